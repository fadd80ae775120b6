/* The last delivered messages of each peer and direction: primes the codec, and serves `longwire
 * history`. Bounded by bytes. */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "base/msg.h"
#include "store/peers.h"

/* Bytes kept per peer and direction (`history`); 0 = none. To be said after each opening: until
 * then nothing is added. A lower limit than before is reached step by step, as messages are added.
 */
void store_history_limit(struct store *s, int64_t bytes);
/* Adds a delivered message; the oldest go for it. One larger than the limit is not kept, nor is any
 * while the disk is full. A number that is there already (a peer's restored store gives them anew)
 * is replaced. Return: 0; negative errno. */
int store_history_add(struct store *s, int peer, enum store_direction dir, uint64_t number,
                      const struct msg *msg) MUST_CHECK;
/* Walks from the newest back: at most `most` messages and max_bytes of topic+payload+properties;
 * each() returns false to stop. Then the same messages can be read forward by number. The message
 * belongs to the store and lives during the call. */
int store_history_newest(struct store *s, int peer, enum store_direction dir, unsigned most,
                         uint64_t max_bytes,
                         bool (*each)(void *ctx, uint64_t number, const struct msg *msg),
                         void *ctx) MUST_CHECK;
int store_history_clear(struct store *s, int peer, enum store_direction dir) MUST_CHECK;

#endif
