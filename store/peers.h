/* What belongs to a peer and survives: its queue's figures, our side of the identity, counters.
 * Peers are known by a small id (row), given at first sight of the name and never reused. What we
 * have of a peer is in marks.h, what the wire keeps of it in partials.h, topics.h and anchors.h. */
#ifndef STORE_PEERS_H
#define STORE_PEERS_H

#include "store/anchors.h"
#include "store/marks.h"
#include "store/partials.h"
#include "store/store.h"
#include "store/topics.h"

#define STORE_COUNTERS_MAX     64 /* names of counters a peer */
#define STORE_COUNTER_NAME_MAX 47 /* bytes of such a name */

/* ---- the peer itself ---- */

/* The id (1..STORE_PEERS_MAX) of the peer of this name (1..63 bytes), made if new. A rollback takes
 * a new one back. Return: 0; STORE_REFUSED (too many, or no name); negative errno. */
int store_peer_id(struct store *s, const char *name, int *peer) MUST_CHECK;
/* Peers that have rows in the store: calls each(ctx, id, name) for all. */
int store_peers_each(struct store *s, void (*each)(void *ctx, int peer, const char *name),
                     void *ctx) MUST_CHECK;

struct store_queue { /* kept as running sums: reading it costs the same at a million messages */
    uint64_t messages, bytes; /* queued for the peer, gap records not counted; bytes: topic,
                                 properties, hops, payload */
    uint64_t class_messages[CLASS_COUNT], class_bytes[CLASS_COUNT];
    uint64_t class_gaps[CLASS_COUNT]; /* gap records among them */
    int64_t oldest_age_ms; /* age clock at which the oldest was queued; -1 = empty */
    uint64_t next_number;
    uint64_t inbox_messages, inbox_bytes; /* received from the peer, not yet with our broker */
    uint64_t held_messages, held_bytes;   /* waiting for min_interval */
};
int store_peer_queue(struct store *s, int peer, struct store_queue *out) MUST_CHECK;

/* ---- our side of the identity: what we sent, under which segment ---- */

/* The segment this process writes under for this peer: predecessor's id and the last number given
 * before this process (0,0 = none). The predecessor is the newest segment of which the peer may
 * have seen a number: one whose numbers cannot have left (store_may_have_left) is passed over,
 * since the peer may never have heard of it. */
int store_segment_of(struct store *s, int peer, struct store_segment *out) MUST_CHECK;

/* Numbers of this class up to `number` may have left for the peer. Read after a restart: what is
 * above was certainly never sent and may be discarded before the peer was asked (I6). Raising
 * commits with the transaction; it never sinks. It must be committed before such a number leaves,
 * on links of every kind. */
int store_may_have_left(struct store *s, int peer, enum msg_class class,
                        uint64_t *number) MUST_CHECK;
int store_set_may_have_left(struct store *s, int peer, enum msg_class class,
                            uint64_t number) MUST_CHECK;

/* ---- counters: survive, shown by status ---- */

/* Adds to the counter of this name (e.g. "delivered", "dropped.expired"); names are a small fixed
 * set of the caller's. Costs no row until the commit. Return: 0; STORE_REFUSED: too many names, or
 * too long; negative errno. */
int store_count(struct store *s, int peer, const char *name, uint64_t add) MUST_CHECK;
int store_counters_each(struct store *s, int peer,
                        void (*each)(void *ctx, const char *name, uint64_t value),
                        void *ctx) MUST_CHECK;

#endif
