/* What routes remember of topics: messages held back by min_interval, when a topic may next be
 * sent, and the hash of the retained message last sent. Each bounded by STORE_ROUTE_TOPICS_MAX a
 * peer. */
#ifndef STORE_HELD_H
#define STORE_HELD_H

#include "base/msg.h"
#include "store/store.h"

struct outbox_put;
struct outbox_row;

/* ---- held back by min_interval: the newest of a topic waits until it may go ---- */

/* Replaces an older held one of (peer, route, topic): *replaced says so. due_age_ms: age clock. The
 * message gets its number when released. Return: 0; STORE_REFUSED: as many topics are held as may
 * be (queue it at once); -ENOSPC when full. */
int store_held_put(struct store *s, const struct outbox_put *put, int64_t due_age_ms,
                   bool *replaced) MUST_CHECK;
/* The message that store_held_release would move now, for who must look first (keep = latest);
 * row->number is 0. The caller frees row->msg. Return: 0; STORE_NONE: none is due, *next_due_age_ms
 * tells when (INT64_MAX never). */
int store_held_due(struct store *s, int64_t age_ms, struct outbox_row *row,
                   int64_t *next_due_age_ms) MUST_CHECK;
/* Moves one held message that is due to the outbox (numbers it). Return: 0 moved; STORE_NONE: none
 * due, *next_due_age_ms tells when (INT64_MAX never). While the disk is full none is: ask again
 * when that has ended. */
int store_held_release(struct store *s, int64_t age_ms, int *peer, enum msg_class *class,
                       uint64_t *number, int64_t *next_due_age_ms) MUST_CHECK;

/* When the topic may next be sent (age clock), 0 = at once. Set when one goes out. The topics that
 * may be sent soonest are forgotten first. While the disk is full nothing new is remembered. */
int store_interval_get(struct store *s, int peer, const char *route, const char *topic,
                       int64_t *next_age_ms) MUST_CHECK;
int store_interval_set(struct store *s, int peer, const char *route, const char *topic,
                       int64_t next_age_ms) MUST_CHECK;

/* ---- retain = on-change: the hash of the retained message last sent, per topic ---- */

/* Same as last time? Return: 0 = yes; STORE_NONE = no or never; negative errno. The least recently
 * set is forgotten first. While the disk is full nothing new is remembered: a message too many is
 * sent, none too few. */
int store_retained_same(struct store *s, int peer, const char *route, const char *topic,
                        uint64_t hash) MUST_CHECK;
int store_retained_set(struct store *s, int peer, const char *route, const char *topic,
                       uint64_t hash) MUST_CHECK;

#endif
