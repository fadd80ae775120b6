/* How outbox rows become history. Internal to store/. */
#ifndef STORE_HISTORY_ROW_H
#define STORE_HISTORY_ROW_H

#include <stdint.h>
#include "base/attr.h"

struct peer_row;
struct store;

/* Copies the outbox rows with from < key <= to, whose n sizes are given, into the peer's outbound
 * history, and trims it. Nothing happens while the disk is full: the queue must be able to shrink
 * without anything else growing. */
int history_take(struct store *s, struct peer_row *p, int64_t from, int64_t to,
                 const uint64_t *bytes, unsigned n) MUST_CHECK;
/* Drops what the history has of numbers above `number`. */
int history_cut(struct store *s, struct peer_row *p, int direction, uint64_t number) MUST_CHECK;

#endif
