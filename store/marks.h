/* The peer's side of the identity (I4): which of its segments we have met, and which of its numbers
 * we have. */
#ifndef STORE_MARKS_H
#define STORE_MARKS_H

#include "store/store.h"

#define STORE_EARLY_MAX    256 /* numbers received ahead of the mark, per class (datagram links) */
#define STORE_SEGMENTS_MAX 64  /* of a peer that are remembered, with our marks in each */

/* A segment of numbers: what one process start gave. predecessor, predecessor_end: the segment
 * before, and the last number given before this one; 0, 0 = none. */
struct store_segment {
    uint32_t id, predecessor;
    uint64_t predecessor_end;
};
/* What the peer says of itself in a handshake. */
struct store_remote {
    uint32_t generation;
    struct store_segment segment;
};
enum store_remote_change {
    STORE_REMOTE_SAME, /* as known */
    STORE_REMOTE_NEXT, /* a segment that continues where we know the last ended, or later than our
                          marks */
    STORE_REMOTE_FORK, /* a segment that is no continuation of the current one: a restored or cloned store;
                          marks taken back */
    STORE_REMOTE_NEW,  /* another generation (or first contact): partials, inbound topic table,
                          anchors and history begun anew */
};
/* Compares with what is stored; adjusts marks, partials, inbound topic table, anchors and history
 * in the open transaction; remembers the segment as the current one. To be committed before the
 * answer to the peer leaves.
 *
 * Segments form a tree: each names its predecessor and where that ended, and numbers up to a branch
 * point are the same messages in both branches. When a segment comes that is not the current one,
 * our marks become what we have in any remembered segment of the numbers that it shares with the
 * new one. For a restart this changes nothing (NEXT). For a restored copy it cuts back to the
 * branch point (FORK). For two cloned stores that take turns each finds what we have of its own
 * numbers again. A predecessor that we never met branches off at predecessor_end from the newest
 * segment of that generation: what we have above it are other messages. Return: 0; negative errno.
 */
int store_remote_seen(struct store *s, int peer, const struct store_remote *remote,
                      enum store_remote_change *change) MUST_CHECK;

struct store_mark {
    uint64_t cumulative;                      /* everything of the class up to here is settled */
    uint64_t early[STORE_EARLY_MAX];          /* numbers above, ascending */
    uint64_t early_previous[STORE_EARLY_MAX]; /* the number of the class before each, as its record
                                                 said */
    unsigned early_count;
};
/* The marks of all classes, and of which generation and segment of the peer they are. STORE_NONE:
 * never met; the marks are zero then. */
int store_marks(struct store *s, int peer, struct store_mark marks[CLASS_COUNT],
                struct store_remote *of) MUST_CHECK;
/* Settles one number of a class, that follows `previous` (the number of the class before it, as the
 * sender has them): advances the cumulative mark when previous <= cumulative, and over early ones
 * that then follow; else remembers it as early. Works while the disk is full. Return: 0 = new, or
 * early until now and told again with nothing before it (the sender has no more what was missing);
 * STORE_NONE = had it already (duplicate; nothing changed); STORE_REFUSED = too many early, or no
 * number. */
int store_mark_number(struct store *s, int peer, enum msg_class class, uint64_t previous,
                      uint64_t number) MUST_CHECK;

#endif
