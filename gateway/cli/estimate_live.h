/* Traffic as it comes from a broker, for some time: what `longwire estimate --broker` counts. */
#ifndef CLI_ESTIMATE_LIVE_H
#define CLI_ESTIMATE_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/attr.h"
#include "config/config.h"
#include "gateway/cli/estimate_traffic.h"

struct estimate_live_plan {
    const struct config_broker *broker; /* where and as whom */
    const void *password;               /* NULL = none */
    size_t password_len;
    const struct config *config; /* its routes say what is asked for; NULL: all */
    int64_t for_ms;              /* from the first subscription on */
    bool (*enough)(void *ctx);   /* called with NULL some times a second: shall it end now? */
};

/* Subscribes with QoS 0, with a client id and a clean session of its own, so that a running gateway's
 * session is left alone, and puts what comes into the traffic, each message once however many filters
 * it meets. *lasted_ms: for how long it did. progress: where it is told how it goes. Return: 0, or
 * negative after one line about it went to errors. */
int estimate_live(const struct estimate_live_plan *plan, struct estimate_traffic *t,
                  int64_t *lasted_ms, FILE *progress, FILE *errors) MUST_CHECK;

#endif
