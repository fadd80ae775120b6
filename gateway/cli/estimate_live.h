/* Traffic as it comes from a broker, for some time: what `longwire estimate --broker` counts. */
#ifndef CLI_ESTIMATE_LIVE_H
#define CLI_ESTIMATE_LIVE_H

#include <stdint.h>
#include <stdio.h>
#include "base/attr.h"
#include "config/config.h"
#include "gateway/cli/estimate_traffic.h"

/* Subscribes to what the routes of config name (NULL: to all) with QoS 0 and puts what comes into
 * the traffic, for for_ms from the first subscription on. broker: where and as whom, but with a
 * client id and a clean session of its own, so that a running gateway's session is left alone.
 * password: NULL = none. progress: where it is told how it goes. Return: 0, or negative after one
 * line about it went to errors. */
int estimate_live(const struct config_broker *broker, const void *password, size_t password_len,
                  const struct config *config, int64_t for_ms, struct estimate_traffic *t,
                  FILE *progress, FILE *errors) MUST_CHECK;

#endif
