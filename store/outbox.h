/* Messages on their way to a peer, from our broker's PUBLISH to the peer's acknowledgement (I1, I3,
 * I6). A row's key is peer, class, number in one 63-bit integer, so that every query is a walk from
 * one key: no cost grows with the queue. A discarded message stays as a *gap* row at its number
 * until the peer has it. */
#ifndef STORE_OUTBOX_H
#define STORE_OUTBOX_H

#include "base/msg.h"
#include "store/gap.h"
#include "store/held.h"
#include "store/store.h"

#define STORE_ROUTE_MAX 63 /* bytes of a route's name */
/* Topics that routes remember (held messages, intervals, hashes of retained ones), each kind and
 * peer. */
#define STORE_ROUTE_TOPICS_MAX 65536

struct outbox_put {
    int peer;
    const struct msg *msg; /* class, qos, retain, origin_ms, hops used; copied */
    const char *route;     /* name, at most STORE_ROUTE_MAX bytes: for gap records, and to find the
                              topic again */
    bool latest;           /* keep = latest: find it again by (peer, route, topic) */
    int64_t queued_age_ms; /* age clock now */
    int64_t expire_age_ms; /* age clock at which it expires; MSG_NO_EXPIRY */
};
/* Gives the next number and stores. *number out. With `latest`, store_outbox_latest finds this one
 * from here on; the one before it stays queued until the caller discards it.
 * Return: 0; STORE_REFUSED: no numbers are left; negative errno (-ENOSPC when full). */
int store_outbox_put(struct store *s, const struct outbox_put *put, uint64_t *number) MUST_CHECK;

struct outbox_row {
    int peer;
    enum msg_class class;
    uint64_t number;
    bool gap;
    struct msg *msg;      /* message rows; owned by the caller. expiry_ms counts from queued_age_ms;
                             payload absent (NULL) when larger than the inline limit asked */
    uint32_t payload_len; /* the true length */
    int64_t queued_age_ms, expire_age_ms;
    char route[STORE_ROUTE_MAX + 1];
    /* gap rows: */
    enum gap_reason reason;
    uint64_t count, first_number;
    int64_t from_ms, to_ms; /* origin times (wall) of the first and last discarded; 0 = not known */
};
/* The first row of the class with number > after. Payloads above inline_max are left out (read them
 * by piece). Return: 0, row filled (free row->msg); STORE_NONE; negative errno. */
int store_outbox_next(struct store *s, int peer, enum msg_class class, uint64_t after,
                      uint32_t inline_max, struct outbox_row *row) MUST_CHECK;
/* n bytes of a payload from offset; beyond its end is -EINVAL. Pieces of one payload, read in turn
 * between two commits, cost the same wherever they stand. STORE_NONE: the row is gone. */
int store_outbox_read(struct store *s, int peer, enum msg_class class, uint64_t number,
                      uint32_t offset, void *bytes, size_t n) MUST_CHECK;

/* The peer has it: deletes; a message goes to the history (store/history.h) where to_history.
 * STORE_NONE: was not there. */
int store_outbox_settle(struct store *s, int peer, enum msg_class class, uint64_t number,
                        bool to_history) MUST_CHECK;
/* The same for all of the class up to and including `number`, at most `most` rows a call. Return: 0
 * = done, 1 = more remain; negative errno. *settled: how many messages. */
int store_outbox_settle_to(struct store *s, int peer, enum msg_class class, uint64_t number,
                           bool to_history, unsigned most, uint64_t *settled) MUST_CHECK;

/* keep = latest: the queued message of (peer, route, topic), if any. STORE_NONE otherwise. */
int store_outbox_latest(struct store *s, int peer, const char *route, const char *topic,
                        enum msg_class *class, uint64_t *number) MUST_CHECK;
/* The highest number of the class that was settled with the peer (it had it on its disk); 0 = none.
 */
int store_settled_to(struct store *s, int peer, enum msg_class class, uint64_t *number) MUST_CHECK;

/* The message that has expired for longest at age_ms, or STORE_NONE. Only those above fixed[class]
 * are given: the highest number that may have left. */
int store_outbox_expired(struct store *s, int peer, int64_t age_ms,
                         const uint64_t fixed[CLASS_COUNT], enum msg_class *class,
                         uint64_t *number) MUST_CHECK;
/* When the next one expires (age clock), over all peers; INT64_MAX = none. One that has expired and
 * may have left counts as well, for only the caller knows what has really left: a time that has
 * passed means to look again later, not at once. */
int store_outbox_next_expiry(struct store *s, int64_t *age_ms) MUST_CHECK;
/* The oldest message (not gap) of the class above `after`: what drop-oldest takes. STORE_NONE. */
int store_outbox_oldest(struct store *s, int peer, enum msg_class class, uint64_t after,
                        uint64_t *number, uint64_t *bytes) MUST_CHECK;

#endif
