/* Messages received from peers, on their way to our broker (I3), and how far each has come there
 * (I4): what the broker session must find again after a crash. The packet ids alone are in
 * packet_ids.h. */
#ifndef STORE_INBOX_H
#define STORE_INBOX_H

#include "base/msg.h"
#include "store/packet_ids.h"
#include "store/store.h"

#define STORE_REFUSED_ROWS_MAX    1000          /* messages set aside that are kept, the newest */
#define STORE_REFUSED_BYTES_MAX   (1024 * 1024) /* of their topics and payloads */
#define STORE_REFUSED_PAYLOAD_MAX 65536         /* kept of the payload of one */

enum inbox_state {
    INBOX_WAITING,   /* not given to the broker under a packet id */
    INBOX_PUBLISHED, /* PUBLISH with packet id may have left (committed before it leaves) */
    INBOX_RELEASED,  /* QoS 2: PUBREC came; PUBREL may have left */
};

/* Adds a message; it is published after those of its class before it. received_age_ms: age clock.
 * msg->expiry_ms is what is left to live at that moment. *key out. -ENOSPC when full. */
int store_inbox_put(struct store *s, int peer, const struct msg *msg, uint64_t number,
                    int64_t received_age_ms, int64_t *key) MUST_CHECK;

struct inbox_row {
    int64_t key; /* ascending in order of arrival within a class */
    int peer;
    enum inbox_state state;
    uint16_t packet_id; /* 0 = none */
    unsigned refusals;  /* times the broker closed the connection on it */
    bool again; /* published before, in a session that the broker lost: mark as possibly repeated */
    uint64_t number;
    int64_t received_age_ms;
    struct msg *msg; /* owned by the caller; expiry_ms is what was left at received_age_ms */
};
/* The first row of the class with key > after. Return: 0, row filled (free row->msg); STORE_NONE;
 * negative errno. */
int store_inbox_next(struct store *s, enum msg_class class, int64_t after,
                     struct inbox_row *row) MUST_CHECK;
/* The row with this packet id. Returns as store_inbox_next. */
int store_inbox_by_packet_id(struct store *s, uint16_t packet_id, struct inbox_row *row) MUST_CHECK;
/* How far it has come. packet_id: 0 = none; no two rows may have the same (-EINVAL). Works while
 * the disk is full. Return: 0; STORE_NONE: no such row; negative errno. */
int store_inbox_set(struct store *s, int64_t key, enum inbox_state state, uint16_t packet_id,
                    unsigned refusals, bool again) MUST_CHECK;
/* All rows that have a packet id, in the order in which those were assigned: for a session resumed.
 * each() calls nothing of the store. */
int store_inbox_inflight(struct store *s,
                         void (*each)(void *ctx, int64_t key, enum inbox_state state,
                                      uint16_t packet_id, uint8_t qos),
                         void *ctx) MUST_CHECK;
/* The broker has it: deletes. Inbound history is written on arrival (history.h). Return: 0;
 * STORE_NONE; negative errno. */
int store_inbox_settle(struct store *s, int64_t key) MUST_CHECK;
/* The broker refuses it for ever: moved to the refused messages, of which the newest are kept, with
 * the reason. While the disk is full its payload is not kept. Return: 0; STORE_NONE; negative
 * errno. */
int store_inbox_set_aside(struct store *s, int64_t key, const char *reason,
                          int64_t wall_ms) MUST_CHECK;
/* The refused messages, oldest first. bytes: of topic and of what is kept of the payload. */
int store_refused_each(struct store *s,
                       void (*each)(void *ctx, int peer, uint64_t number, int64_t wall_ms,
                                    const char *reason, const char *topic, uint64_t bytes),
                       void *ctx) MUST_CHECK;

#endif
