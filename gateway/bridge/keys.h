/* Which of two keys a peer and we use while one takes the place of the other.
 *
 * Both ends hold the old key (secret_file) and, from some time on, the new one (next_secret_file). The channel finds out that the peer
 * has it too, and from then on both use it; that is written to the store, and the old one may then be taken out of the file. Until then
 * it must stay, for the peer may know no other: a file without the key in use is refused, unless the operator says that nobody
 * uses it any more (drop_key: a box was lost or stolen). */
#ifndef BRIDGE_KEYS_H
#define BRIDGE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/attr.h"
#include "base/seal_mode.h"
#include "config/config.h"

/* Under this name the store keeps the id of the key in use with a peer. */
#define KEYS_NAME_BYTES  (4 + CONFIG_NAME_MAX + 1)
#define KEYS_VALUE_BYTES 4
void keys_store_name(const char *peer, char out[KEYS_NAME_BYTES]);
/* 0: these bytes are no such value. */
uint32_t keys_read_value(const uint8_t *value, size_t n);

/* What a person calls a key, written as 8 hex digits: the same at both ends whatever seal and tag are, and no help in guessing it.
 * Return: 0 = no memory. */
uint32_t keys_id(const char *own_name, const char *peer_name, const uint8_t secret[SECRET_BYTES]) MUST_CHECK;

/* Where the keys come from, and what is known of them. */
struct keys_source {
    void *ctx;
    /* The key in secret_file or next_secret_file of a peer. Return: 0 or negative errno. */
    int (*secret)(void *ctx, const struct config_peer *peer, bool next, uint8_t out[SECRET_BYTES]);
    /* The id of the key that was last in use with the peer of this name. Return: 0, *id 0 where there was none; negative errno. */
    int (*in_use)(void *ctx, const char *peer, uint32_t *id);
};
/* Does this configuration lack a key in use? For each peer that it would cut off, a line as of config_load goes to errors. Keys that
 * cannot be read are passed over: config_check_files tells of them. Return: the number of such peers. */
size_t keys_check(const struct config *c, const struct keys_source *source, FILE *errors) MUST_CHECK;

#endif
