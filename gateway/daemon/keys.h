/* Keys for the edge: from their files, and from wherever the one in use is known. */
#ifndef DAEMON_KEYS_H
#define DAEMON_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/attr.h"
#include "config/config.h"
#include "gateway/bridge/keys.h"

struct store;

/* The key in a peer's secret_file or next_secret_file. The caller wipes it. Return: 0; negative errno with a line in the log. */
int keys_secret(const struct config *c, const struct config_peer *peer, bool next, uint8_t out[SECRET_BYTES]) MUST_CHECK;

/* keys_check of a configuration against an open store, for the daemon itself; and against whatever is there: the running daemon, or
 * the store's file, for `longwire check`. Return: the number of peers that would be cut off. */
size_t keys_check_store(const struct config *c, struct store *s, FILE *errors) MUST_CHECK;
size_t keys_check_outside(const struct config *c, FILE *errors) MUST_CHECK;

/* One line for each sealed peer: the ids of its keys, which the other end must show alike. */
void keys_summary(const struct config *c, FILE *out);

#endif
