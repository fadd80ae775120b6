/* What belongs to a peer and survives: its numbers, both ends' generation and segments, receive marks, partials, topic
 * tables, counters. Peers are known by a small id (row), given at first sight of the name and never reused. */
#ifndef STORE_PEERS_H
#define STORE_PEERS_H

#include "store/store.h"

#define STORE_EARLY_MAX 256     /* numbers received ahead of the mark, per class (datagram links) */
#define STORE_TOPIC_SLOTS 4096  /* of the topic table, each direction */

/* ---- the peer itself ---- */

/* The id of the peer of this name, made if new. Return: 0; STORE_REFUSED (too many); negative errno. */
int store_peer_id(struct store *s, const char *name, int *peer) MUST_CHECK;
/* Peers that have rows in the store: calls each(ctx, id, name) for all. */
int store_peers_each(struct store *s, void (*each)(void *ctx, int peer, const char *name), void *ctx) MUST_CHECK;

struct store_queue {            /* kept as running sums: reading it costs the same at a million messages */
    uint64_t messages, bytes;   /* queued for the peer, gap records not counted */
    uint64_t class_messages[CLASS_COUNT], class_bytes[CLASS_COUNT];
    int64_t oldest_age_ms;      /* age clock at which the oldest was queued; -1 = empty */
    uint64_t next_number;
    uint64_t inbox_messages, inbox_bytes; /* received from the peer, not yet with our broker */
    uint64_t held_messages, held_bytes;   /* waiting for min_interval */
};
int store_peer_queue(struct store *s, int peer, struct store_queue *out) MUST_CHECK;

/* ---- our side of the identity: what we sent, under which segment ---- */

/* The segment this process writes under for this peer: predecessor's id and the last number that it gave (0,0 = none). */
struct store_segment {
    uint32_t id, predecessor;
    uint64_t predecessor_end;
};
int store_segment_of(struct store *s, int peer, struct store_segment *out) MUST_CHECK;

/* Numbers of this class up to `number` may have left for the peer. Read after a restart: what is above was certainly
 * never sent and may be discarded before the peer was asked (I6). Raising commits with the transaction. */
int store_may_have_left(struct store *s, int peer, enum msg_class class, uint64_t *number) MUST_CHECK;
int store_set_may_have_left(struct store *s, int peer, enum msg_class class, uint64_t number) MUST_CHECK;

/* ---- the peer's side: what we have of it ---- */

/* What the peer says of itself in a handshake. */
struct store_remote {
    uint32_t generation;
    struct store_segment segment;
};
enum store_remote_change {
    STORE_REMOTE_SAME,        /* as known */
    STORE_REMOTE_NEXT,        /* a new segment that continues where we know the last ended, or later than our marks */
    STORE_REMOTE_FORK,        /* a segment that branches off before our marks: a restored or cloned store; marks taken back to the branch point */
    STORE_REMOTE_NEW,         /* another generation (or first contact): marks, partials, inbound topic table and inbound history begun anew */
};
/* Compares with what is stored, adjusts marks, partials, inbound topic table in the open transaction, remembers the new segment.
 * A fork's branch point is predecessor_end; marks above it, and early numbers above it, are cut back to it, since numbers
 * above it under the new segment are other messages. The last 64 segments of a peer are remembered. */
int store_remote_seen(struct store *s, int peer, const struct store_remote *remote, enum store_remote_change *change) MUST_CHECK;

struct store_mark {
    uint64_t cumulative;                /* everything of the class up to here is settled */
    uint64_t early[STORE_EARLY_MAX];    /* numbers above, ascending */
    uint64_t early_previous[STORE_EARLY_MAX]; /* the number of the class before each, as its record said */
    unsigned early_count;
};
/* The marks of all classes, and of which generation and segment of the peer they are. STORE_NONE: never met. */
int store_marks(struct store *s, int peer, struct store_mark marks[CLASS_COUNT], struct store_remote *of) MUST_CHECK;
/* Settles one number of a class, that follows `previous` (the number of the class before it, as the sender has them): advances the
 * cumulative mark when previous <= cumulative, and over early ones that then follow; else remembers it as early.
 * Return: 0 = new; STORE_NONE = had it already (duplicate; nothing changed); STORE_REFUSED = too many early. */
int store_mark_number(struct store *s, int peer, enum msg_class class, uint64_t previous, uint64_t number) MUST_CHECK;

/* ---- partial messages: at most one a class ---- */
struct store_partial {
    uint64_t number;
    uint32_t total, have;               /* payload bytes */
};
/* Begins one (an older of the class is dropped): header is an opaque blob of the caller's (the message without payload). */
int store_partial_begin(struct store *s, int peer, enum msg_class class, uint64_t number, uint32_t total,
                        const void *header, size_t header_len) MUST_CHECK;
/* Appends at offset; it must be == have. STORE_REFUSED where not, or beyond total; STORE_NONE where there is none. */
int store_partial_add(struct store *s, int peer, enum msg_class class, uint32_t offset, const void *bytes, size_t n) MUST_CHECK;
int store_partial_get(struct store *s, int peer, enum msg_class class, struct store_partial *out) MUST_CHECK;
/* The header and all bytes so far, both to be freed by the caller. */
int store_partial_take(struct store *s, int peer, enum msg_class class, void **header, size_t *header_len, uint8_t **payload, uint32_t *n) MUST_CHECK;
int store_partial_drop(struct store *s, int peer, enum msg_class class) MUST_CHECK;

/* ---- topic tables: a fixed number of slots, each direction; the sender names the slot that it overwrites ---- */
enum store_direction { STORE_OUT = 0, STORE_IN = 1 };
struct store_topics_state {
    uint64_t sequence;                  /* definitions since the table was begun */
    uint32_t hash;                      /* over (slot, topic) of all filled slots; order does not matter: a sum of per-slot hashes */
};
int store_topics_state(struct store *s, int peer, enum store_direction dir, struct store_topics_state *out) MUST_CHECK;
/* Writes a slot; sequence counts up by one, or is set where sequence != 0. */
int store_topic_set(struct store *s, int peer, enum store_direction dir, unsigned slot, const char *topic, size_t n) MUST_CHECK;
/* Calls each filled slot. */
int store_topics_each(struct store *s, int peer, enum store_direction dir,
                      void (*each)(void *ctx, unsigned slot, const char *topic, size_t n), void *ctx) MUST_CHECK;
int store_topics_clear(struct store *s, int peer, enum store_direction dir) MUST_CHECK;
/* The hash of one slot's entry as summed up in the state; pure. */
uint32_t store_topic_hash(unsigned slot, const char *topic, size_t n);

/* ---- datagram links: anchors and frames that may have left ---- */
/* An opaque blob a (peer, direction, name); the newest two are kept. */
int store_anchor_put(struct store *s, int peer, enum store_direction dir, uint32_t id, const void *bytes, size_t n) MUST_CHECK;
int store_anchor_get(struct store *s, int peer, enum store_direction dir, uint32_t id, void **bytes, size_t *n) MUST_CHECK;
/* Frames committed before they are handed to a metered link, so that a restart resends the same bytes. */
int store_frame_put(struct store *s, int peer, uint32_t epoch, uint64_t number, const void *bytes, size_t n) MUST_CHECK;
int store_frames_drop(struct store *s, int peer, uint32_t epoch, uint64_t up_to) MUST_CHECK;
int store_frames_each(struct store *s, int peer, void (*each)(void *ctx, uint32_t epoch, uint64_t number, const void *bytes, size_t n), void *ctx) MUST_CHECK;

/* ---- counters: survive, shown by status ---- */
/* Adds to the counter of this name (e.g. "delivered", "dropped.expired"); names are a small fixed set of the caller's. */
int store_count(struct store *s, int peer, const char *name, uint64_t add) MUST_CHECK;
int store_counters_each(struct store *s, int peer, void (*each)(void *ctx, const char *name, uint64_t value), void *ctx) MUST_CHECK;

#endif
