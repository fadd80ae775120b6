/* The MQTT client session, pure: packets in and out, no socket, clock, store or log. MQTT 5.0
 * and 3.1.1.
 *
 * It does what the protocol demands of a client by itself: CONNECT with fallback from 5 to 3.1.1,
 * keepalive, flow control, packet and topic checks; topic aliases of the server are refused by
 * maximum 0. What must be durable it leaves to its owner: an incoming PUBLISH is acknowledged only
 * by the owner's call, in whatever group the owner commits; packet ids and QoS 2 states of outgoing
 * messages live in the owner's store. */
#ifndef MQTT_SESSION_H
#define MQTT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"

enum mqtt_version { MQTT_AUTO = 0, MQTT_311 = 4, MQTT_5 = 5 };

struct mqtt_will {
    const char *topic; /* NULL: none */
    const void *payload;
    size_t payload_len; /* at most 65535 */
    uint8_t qos;
    bool retain;
};

struct mqtt_session_config {   /* copied by mqtt_session_new */
    enum mqtt_version version; /* MQTT_AUTO: 5, then 3.1.1 when refused for the version */
    const char *client_id;     /* not empty */
    const char *username;      /* NULL or "" = none */
    const void *password;      /* NULL = none; under 3.1.1 sent only beside a user name */
    size_t password_len;       /* at most 65535 */
    uint32_t keepalive_s;      /* 0 = none; above 65535 counts as that */
    uint32_t session_expiry_s; /* 0xffffffff = never; 0 = a clean session each time */
    struct mqtt_will will;
    uint16_t receive_maximum;    /* what we ask the server to keep to (MQTT 5); 0 = 65535 */
    uint32_t packet_max_bytes;   /* largest packet that we take, 0 = what MQTT can spell; larger: an
                                    MQTT 5 server is told so, of 3.1.1 see `oversize` below */
    uint32_t connect_timeout_ms; /* from start to CONNACK */
};

struct mqtt_connack {
    enum mqtt_version version;
    bool session_present;
    uint16_t server_receive_maximum;  /* 65535 where not told (MQTT 5); 20 under 3.1.1 */
    uint32_t server_packet_max_bytes; /* UINT32_MAX where not told */
    uint8_t server_qos_max;
    bool retain_available, wildcard_available, sub_id_available;
    bool bridge; /* 3.1.1 with the bridge bit: no-local and retain-as-published
                    are given (by a server that knows it) */
};

struct mqtt_publish {  /* pointers live during the call */
    const char *topic; /* not NUL-terminated; a valid topic name */
    size_t topic_len;
    const uint8_t *payload;
    size_t payload_len;
    const uint8_t *props; /* only the properties that struct msg keeps, in its form, checked;
                             perhaps more than MSG_PROPS_MAX_BYTES */
    size_t props_len;
    uint8_t qos;
    bool retain, dup;
    uint16_t packet_id; /* qos > 0 */
    bool has_expiry;
    uint32_t expiry_s;
    uint32_t subscription_ids[16]; /* the lowest, where there are more */
    unsigned subscription_id_count;
};

enum mqtt_close {
    MQTT_CLOSE_REFUSED,   /* CONNACK with an error: code */
    MQTT_CLOSE_TIMEOUT,   /* no CONNACK, or no answer to PINGREQ */
    MQTT_CLOSE_PROTOCOL,  /* the server sent what it must not: text says what */
    MQTT_CLOSE_SERVER,    /* DISCONNECT from the server: code */
    MQTT_CLOSE_TOO_LARGE, /* a packet above packet_max_bytes; text has the topic as far as read */
    MQTT_CLOSE_VERSION,   /* version refused: connect again at once, the session now tries 3.1.1
                             (or plain 3.1.1 without the bridge bit) */
    MQTT_CLOSE_MEMORY,
};

/* Called from inside feed, on_timer and start; each may call any function below but feed, on_timer
 * and start (which `closed` may not call either: the transport is another one then). Pointers live
 * during the call, even when it stops or frees the session. */
struct mqtt_session_ops {
    void (*connected)(void *ctx, const struct mqtt_connack *c);
    /* The connection must be closed now. `out` may hold a DISCONNECT that tells the server why: a
     * courtesy, not a need. No further callback comes until start. text: one line, printable. */
    void (*closed)(void *ctx, enum mqtt_close why, uint8_t code, const char *text);
    /* With dup, a QoS > 0 message may be one that came before on this or an earlier connection. */
    void (*publish)(void *ctx, const struct mqtt_publish *p);
    /* Answer with mqtt_session_pubcomp once durable. */
    void (*pubrel)(void *ctx, uint16_t packet_id);
    void (*puback)(void *ctx, uint16_t packet_id, uint8_t reason);
    void (*pubrec)(void *ctx, uint16_t packet_id, uint8_t reason);
    void (*pubcomp)(void *ctx, uint16_t packet_id, uint8_t reason);
    void (*suback)(void *ctx, uint16_t packet_id, const uint8_t *reasons, size_t n); /* n is 1 */
    void (*unsuback)(void *ctx, uint16_t packet_id);
    /* A PUBLISH of packet_bytes, above packet_max_bytes, came from a 3.1.1 server and was passed
     * over without being held; p has topic, flags and packet id, and no payload. The owner counts
     * it and acknowledges it as if taken: closing instead would make the server send it again with
     * every connection. NULL: it is closed, with MQTT_CLOSE_TOO_LARGE. */
    void (*oversize)(void *ctx, const struct mqtt_publish *p, size_t packet_bytes);
};

struct mqtt_session;
/* out: where packets are appended; belongs to the owner, who writes it to the socket after each
 * call into the session, and outlives the session.
 * Return: NULL: out of memory, or a config that cannot be spelled in MQTT (a string above 65535
 * bytes or not UTF-8, an empty client id, a will topic that is none). */
struct mqtt_session *mqtt_session_new(const struct mqtt_session_config *config,
                                      const struct mqtt_session_ops *ops, void *ctx,
                                      struct buf *out) MUST_CHECK;
/* NULL is allowed. From a callback: the session lives until the call into it returns. */
void mqtt_session_free(struct mqtt_session *s);

/* The transport is open: empties out of what an earlier connection left, and puts CONNECT in it. */
void mqtt_session_start(struct mqtt_session *s, int64_t now_ms);
/* The transport is gone; no callback. Before CONNACK it counts as the server's silent refusal of
 * the protocol version. May be called at any time. */
void mqtt_session_stop(struct mqtt_session *s);
/* Bytes from the server; any bytes, in any pieces. */
void mqtt_session_feed(struct mqtt_session *s, const uint8_t *bytes, size_t n, int64_t now_ms);
void mqtt_session_on_timer(struct mqtt_session *s, int64_t now_ms);
int64_t mqtt_session_deadline(const struct mqtt_session *s); /* INT64_MAX = none */
/* Something was written to the socket: keepalive counts from here. */
void mqtt_session_wrote(struct mqtt_session *s, int64_t now_ms);
bool mqtt_session_is_connected(const struct mqtt_session *s);
/* What the server told last; meaningful while connected. */
const struct mqtt_connack *mqtt_session_server(const struct mqtt_session *s);

struct mqtt_subscription {
    const char *filter;
    uint8_t qos;
    uint32_t id; /* subscription identifier, 1..268435455; sent with MQTT 5 where the
                    server has them; 0 = none */
};

enum mqtt_outcome {
    MQTT_WAIT = 1,  /* server's receive maximum reached (QoS > 0): again after an
                       acknowledgement */
    MQTT_TOO_LARGE, /* above the server's maximum packet size, or above what out can
                       ever hold */
    MQTT_INVALID,   /* topic, filter or properties that MQTT forbids; retain or QoS that
                       the server has not */
    MQTT_STALE,     /* an acknowledgement of what this connection has not brought: it is
                       not sent; the server will send the message again */
};
/* All sending calls. Return: 0: in out; an outcome that the call names; -ENOTCONN; -ENOBUFS (out is
 * full: write first). */

/* One SUBSCRIBE for one filter, with no-local, retain-as-published, retain handling 1 under MQTT 5.
 * packet_id comes back in suback. Return: MQTT_INVALID, MQTT_TOO_LARGE. */
int mqtt_session_subscribe(struct mqtt_session *s, const struct mqtt_subscription *sub,
                           uint16_t packet_id) MUST_CHECK;
int mqtt_session_unsubscribe(struct mqtt_session *s, const char *filter,
                             uint16_t packet_id) MUST_CHECK;

/* Acknowledgements of what the server published: the owner calls them in order of arrival
 * (MQTT-4.6.0-2), after its commit. Return: MQTT_STALE. */
int mqtt_session_puback(struct mqtt_session *s, uint16_t packet_id) MUST_CHECK;
int mqtt_session_pubrec(struct mqtt_session *s, uint16_t packet_id) MUST_CHECK;
int mqtt_session_pubcomp(struct mqtt_session *s, uint16_t packet_id) MUST_CHECK;

struct mqtt_out {
    const char *topic;
    const void *payload;
    size_t payload_len;
    const void *props; /* as struct msg; sent with MQTT 5 only */
    size_t props_len;
    const char *const *user; /* NULL-terminated key, value, key, value ...: further user
                                properties; NULL = none */
    bool has_expiry;
    uint32_t expiry_s;
    uint8_t qos;
    bool retain, dup;   /* dup is not sent with QoS 0 */
    uint16_t packet_id; /* qos > 0: the owner's */
};
/* Sends a PUBLISH. Return: MQTT_WAIT, MQTT_TOO_LARGE, MQTT_INVALID. */
int mqtt_session_publish(struct mqtt_session *s, const struct mqtt_out *p) MUST_CHECK;
/* PUBREL for a packet id (also one not in use: clears it at the server). It never waits for the
 * receive maximum, but counts against it as a resumed message until its PUBCOMP. */
int mqtt_session_pubrel(struct mqtt_session *s, uint16_t packet_id) MUST_CHECK;
/* Outgoing QoS > 0 messages that may still be sent within the server's receive maximum. */
unsigned mqtt_session_quota(const struct mqtt_session *s);
/* Incoming QoS > 0 messages of this connection that we have not given the last acknowledgement. */
unsigned mqtt_session_unacked(const struct mqtt_session *s);
/* The most of them that the server lets stand: what we asked for under MQTT 5; a common default
 * under 3.1.1, which has no word for it. A server may keep to less. */
unsigned mqtt_session_window(const struct mqtt_session *s);
/* DISCONNECT, normal (the will is not published), and no further callback. with_will: MQTT 5 reason
 * 0x04; under 3.1.1 nothing is sent, for there a close without a word publishes the will. */
void mqtt_session_disconnect(struct mqtt_session *s, bool with_will);

#endif
