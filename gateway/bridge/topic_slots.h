/* One direction's topic table in memory: a fixed number of slots, found by topic (sending) or by slot (receiving). The sender
 * names the slot that it overwrites, so the receiver needs no policy. Pure; the store keeps the lasting copy. */
#ifndef BRIDGE_TOPIC_SLOTS_H
#define BRIDGE_TOPIC_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

struct topic_slots;

struct topic_slots *topic_slots_new(void) MUST_CHECK;
void topic_slots_free(struct topic_slots *t);
void topic_slots_clear(struct topic_slots *t);
/* Writes a slot (below RECORD_TOPIC_SLOTS). Return: 0; -ENOMEM. */
int topic_slots_set(struct topic_slots *t, unsigned slot, const char *topic, size_t n) MUST_CHECK;
/* The topic in a slot, or NULL when it was never written. Belongs to t. */
const char *topic_slots_get(const struct topic_slots *t, unsigned slot);
/* The slot of a topic, which then counts as used now; false: in none. */
bool topic_slots_find(struct topic_slots *t, const char *topic, unsigned *slot);
/* The slot to write next: an empty one, else the one used longest ago. */
unsigned topic_slots_victim(struct topic_slots *t);

#endif
