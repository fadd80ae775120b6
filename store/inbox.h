/* Messages received from peers, on their way to our broker (I3), and the broker session's own state: packet ids and QoS 2
 * handshakes of both directions (I4). */
#ifndef STORE_INBOX_H
#define STORE_INBOX_H

#include "base/msg.h"
#include "store/store.h"

enum inbox_state {
    INBOX_WAITING,      /* not given to the broker under a packet id */
    INBOX_PUBLISHED,    /* PUBLISH with packet id may have left (committed before it leaves) */
    INBOX_RELEASED,     /* QoS 2: PUBREC came; PUBREL may have left */
};

/* Adds a message; it is published after those of its class before it. received_age_ms: age clock. msg->expiry_ms is what is left to live now. */
int store_inbox_put(struct store *s, int peer, const struct msg *msg, uint64_t number, int64_t received_age_ms, int64_t *key) MUST_CHECK;

struct inbox_row {
    int64_t key;               /* ascending in order of arrival within a class */
    int peer;
    enum inbox_state state;
    uint16_t packet_id;        /* 0 = none */
    unsigned refusals;         /* times the broker closed the connection on it */
    bool again;                /* published before, in a session that the broker lost: mark as possibly repeated */
    uint64_t number;
    int64_t received_age_ms;
    struct msg *msg;           /* owned by the caller */
};
/* The first row of the class with key > after. */
int store_inbox_next(struct store *s, enum msg_class class, int64_t after, struct inbox_row *row) MUST_CHECK;
/* The row with this packet id. */
int store_inbox_by_packet_id(struct store *s, uint16_t packet_id, struct inbox_row *row) MUST_CHECK;
int store_inbox_set(struct store *s, int64_t key, enum inbox_state state, uint16_t packet_id, unsigned refusals, bool again) MUST_CHECK;
/* All rows that have a packet id, in order of packet-id assignment: for a session resumed. */
int store_inbox_inflight(struct store *s, void (*each)(void *ctx, int64_t key, enum inbox_state state, uint16_t packet_id, uint8_t qos), void *ctx) MUST_CHECK;
/* The broker has it: deletes; the message goes to the history where to_history is the caller's wish (inbound history is written on arrival instead, see history.h). */
int store_inbox_settle(struct store *s, int64_t key) MUST_CHECK;
/* The broker refuses it for ever: moved to the refused table (newest 1,000 and at most 1 MB kept) with the reason. */
int store_inbox_set_aside(struct store *s, int64_t key, const char *reason, int64_t wall_ms) MUST_CHECK;

/* ---- packet ids of QoS 2 PUBLISHes received from the broker, until PUBREL ---- */
int store_qos2_add(struct store *s, uint16_t packet_id) MUST_CHECK;
/* Return: 0 = known; STORE_NONE. */
int store_qos2_known(struct store *s, uint16_t packet_id) MUST_CHECK;
int store_qos2_remove(struct store *s, uint16_t packet_id) MUST_CHECK;
/* The broker lost its session: forgets all. */
int store_qos2_clear(struct store *s) MUST_CHECK;

/* ---- packet ids that we used as sender under this generation or segment fork; an unused one gets a PUBREL first (I4) ---- */
int store_packet_id_used(struct store *s, uint16_t packet_id) MUST_CHECK; /* Return: 0 = used before; STORE_NONE = not yet */
int store_packet_id_use(struct store *s, uint16_t packet_id) MUST_CHECK;
int store_packet_ids_forget(struct store *s) MUST_CHECK;

#endif
