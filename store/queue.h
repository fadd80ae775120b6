/* What outbox, gaps and held messages do alike: numbers, running sums, the entry of `latest`.
 * Internal to store/. */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include <stdint.h>
#include "base/attr.h"
#include "base/msg_class.h"
#include "store/marks.h"

struct peer_row;
struct store;

/* What this process's segment follows for this peer (store_segment_of). */
struct store_segment queue_segment(const struct store *s, const struct peer_row *p);
/* To be called before the first number of this process is given to, or may leave for, the peer:
 * fixes what the segment follows, or it would change while the process runs. */
void queue_begin_segment(struct store *s, struct peer_row *p);
/* Gives the peer's next number, under this process's segment. Return: 0; STORE_REFUSED: the counter
 * is at its end. */
int queue_number(struct store *s, struct peer_row *p, uint64_t *number) MUST_CHECK;
/* A row was added to the outbox. queued, expires: its columns; INT64_MAX = never. */
void queue_added(struct store *s, struct peer_row *p, int64_t key, uint64_t bytes, int64_t queued,
                 int64_t expires);
/* The names under which a later message finds this one (keep = latest). */
int queue_set_latest(struct store *s, struct peer_row *p, int64_t key, const char *route,
                     const char *topic) MUST_CHECK;
/* A row is about to be deleted from the outbox; flags, bytes: its columns. */
int queue_forget(struct store *s, struct peer_row *p, int64_t key, uint64_t bytes,
                 unsigned flags) MUST_CHECK;

#endif
