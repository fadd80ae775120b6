/* Topic tables: a fixed number of slots, each direction of a peer; the sender names the slot that
 * it overwrites. */
#ifndef STORE_TOPICS_H
#define STORE_TOPICS_H

#include "store/store.h"

#define STORE_TOPIC_SLOTS     4096  /* of a table */
#define STORE_TOPIC_MAX_BYTES 65535 /* MQTT's own limit */

struct store_topics_state {
    uint64_t sequence; /* definitions since the table was begun */
    uint32_t hash;     /* over (slot, topic) of all filled slots; order does not matter: a sum of
                          per-slot hashes */
};
int store_topics_state(struct store *s, int peer, enum store_direction dir,
                       struct store_topics_state *out) MUST_CHECK;
/* Writes a slot; sequence counts up by one. Return: 0; STORE_REFUSED: no such slot, or no topic;
 * negative errno. */
int store_topic_set(struct store *s, int peer, enum store_direction dir, unsigned slot,
                    const char *topic, size_t n) MUST_CHECK;
/* Calls each filled slot, ascending. each() calls nothing of the store. */
int store_topics_each(struct store *s, int peer, enum store_direction dir,
                      void (*each)(void *ctx, unsigned slot, const char *topic, size_t n),
                      void *ctx) MUST_CHECK;
/* Begins the table anew: no slots, sequence and hash 0. */
int store_topics_clear(struct store *s, int peer, enum store_direction dir) MUST_CHECK;
/* The hash of one slot's entry as summed up in the state; pure. */
uint32_t store_topic_hash(unsigned slot, const char *topic, size_t n);

#endif
