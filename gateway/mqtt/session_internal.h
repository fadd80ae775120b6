/* What session.c (connecting, sending) and session_incoming.c (what the server sends) share. Nobody
 * else includes this. */
#ifndef MQTT_SESSION_INTERNAL_H
#define MQTT_SESSION_INTERNAL_H

#include "base/attr.h"
#include "gateway/mqtt/fallback.h"
#include "gateway/mqtt/framer.h"
#include "gateway/mqtt/keepalive.h"
#include "gateway/mqtt/packet.h"
#include "gateway/mqtt/packet_ids.h"
#include "gateway/mqtt/session.h"

enum state {
    STATE_IDLE,
    STATE_CONNECTING,
    STATE_CONNECTED,
};

/* Under 3.1.1 nobody says how much may be in flight. This is mosquitto's max_inflight_messages, both
 * ways, and others' is about the same. Beyond it mosquitto closes the connection, or acknowledges a
 * message that it drops. */
#define SESSION_WINDOW_311 20

struct mqtt_session {
    struct mqtt_session_config config; /* its pointers are into `copies` */
    char *copies;
    const struct mqtt_session_ops *ops;
    void *ctx;
    struct buf *out;
    enum state state;
    unsigned run; /* counts the ends of connections */
    bool busy, doomed;
    struct fallback fallback;
    struct framer framer;
    struct buf props; /* of the PUBLISH at hand */
    int64_t now_ms;   /* of the call under way */
    int64_t connect_by_ms;
    struct keepalive keepalive;
    struct mqtt_connack server;
    struct packet_ids ids;
    struct mqtt_publish over; /* an oversize PUBLISH that is being passed over */
    char *over_topic;         /* its topic, NULL = none under way */
    size_t over_bytes;
};

/* ---- session.c ---- */

/* The connection is over, by our decision or the server's: tells the owner. disconnect: the reason
 * to give an MQTT 5 server, or REASON_SUCCESS to say nothing. */
void session_fail(struct mqtt_session *s, enum mqtt_close why, uint8_t code, uint8_t disconnect,
                  const char *fmt, ...) PRINTF_LIKE(5, 6);

/* ---- session_incoming.c ---- */

/* A whole packet came. */
void session_on_packet(struct mqtt_session *s, const struct packet *p);
/* A packet above packet_max_bytes has begun; `known` bytes of p->body are there. */
void session_on_oversize(struct mqtt_session *s, const struct packet *p, size_t known);
/* Its last byte has passed. */
void session_on_skipped(struct mqtt_session *s);
void session_forget_oversize(struct mqtt_session *s);

#endif
