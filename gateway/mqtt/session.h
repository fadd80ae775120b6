/* The MQTT client session, pure: packets in and out, no socket, clock, store or log. MQTT 5.0 and 3.1.1.
 *
 * It does what the protocol demands of a client by itself (CONNECT with fallback from 5 to 3.1.1, keepalive, flow control, packet and
 * topic checks, topic aliases of the server refused by maximum 0). What must be durable it leaves to its owner: an incoming PUBLISH is acknowledged only by the
 * owner's call, in whatever group the owner commits; packet ids and QoS 2 states of outgoing messages live in the owner's store. */
#ifndef MQTT_SESSION_H
#define MQTT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"

enum mqtt_version { MQTT_AUTO = 0, MQTT_311 = 4, MQTT_5 = 5 };

struct mqtt_will {
    const char *topic;              /* NULL: none */
    const void *payload;
    size_t payload_len;
    uint8_t qos;
    bool retain;
};

struct mqtt_session_config {        /* copied by mqtt_session_new */
    enum mqtt_version version;      /* MQTT_AUTO: 5, then 3.1.1 when refused for the version */
    const char *client_id;
    const char *username;           /* NULL or "" = none */
    const void *password;
    size_t password_len;
    uint32_t keepalive_s;
    uint32_t session_expiry_s;      /* 0xffffffff = never */
    struct mqtt_will will;
    uint16_t receive_maximum;       /* what we ask the server to keep to (MQTT 5) */
    uint32_t packet_max_bytes;      /* largest packet that we take; larger: MQTT 5 told so, 3.1.1 the connection is closed and the topic told */
    uint32_t connect_timeout_ms;    /* from start to CONNACK */
};

struct mqtt_connack {
    enum mqtt_version version;
    bool session_present;
    uint16_t server_receive_maximum;    /* 65535 where not told */
    uint32_t server_packet_max_bytes;   /* UINT32_MAX where not told */
    uint8_t server_qos_max;
    bool retain_available, wildcard_available, sub_id_available;
    bool bridge;                        /* 3.1.1 with the bridge bit: no-local and retain-as-published are given */
};

struct mqtt_publish {               /* pointers live during the call */
    const char *topic;              /* not NUL-terminated */
    size_t topic_len;
    const uint8_t *payload;
    size_t payload_len;
    const uint8_t *props;           /* only the properties that struct msg keeps, in its form */
    size_t props_len;
    uint8_t qos;
    bool retain, dup;
    uint16_t packet_id;             /* qos > 0 */
    bool has_expiry;
    uint32_t expiry_s;
    uint32_t subscription_ids[16];
    unsigned subscription_id_count;
};

enum mqtt_close {
    MQTT_CLOSE_REFUSED,             /* CONNACK with an error: code */
    MQTT_CLOSE_TIMEOUT,             /* no CONNACK, or no answer to PINGREQ */
    MQTT_CLOSE_PROTOCOL,            /* the server sent what it must not: text says what */
    MQTT_CLOSE_SERVER,              /* DISCONNECT from the server: code */
    MQTT_CLOSE_TOO_LARGE,           /* a packet above packet_max_bytes; text has the topic as far as read */
    MQTT_CLOSE_VERSION,             /* version refused: connect again at once, the session now tries 3.1.1 (or plain 3.1.1 without the bridge bit) */
    MQTT_CLOSE_MEMORY,
};

struct mqtt_session_ops {           /* called from inside feed and on_timer; may call the sending calls below */
    void (*connected)(void *ctx, const struct mqtt_connack *c);
    /* The connection must be closed now. No further callback comes until start. */
    void (*closed)(void *ctx, enum mqtt_close why, uint8_t code, const char *text);
    void (*publish)(void *ctx, const struct mqtt_publish *p);
    void (*pubrel)(void *ctx, uint16_t packet_id);              /* answer with mqtt_session_pubcomp once durable */
    void (*puback)(void *ctx, uint16_t packet_id, uint8_t reason);
    void (*pubrec)(void *ctx, uint16_t packet_id, uint8_t reason);
    void (*pubcomp)(void *ctx, uint16_t packet_id, uint8_t reason);
    void (*suback)(void *ctx, uint16_t packet_id, const uint8_t *reasons, size_t n);
    void (*unsuback)(void *ctx, uint16_t packet_id);
};

struct mqtt_session;
/* out: where packets are appended; belongs to the owner, who writes it to the socket. */
struct mqtt_session *mqtt_session_new(const struct mqtt_session_config *config, const struct mqtt_session_ops *ops, void *ctx, struct buf *out) MUST_CHECK;
void mqtt_session_free(struct mqtt_session *s);

/* The transport is open: sends CONNECT. */
void mqtt_session_start(struct mqtt_session *s, int64_t now_ms);
/* The transport is gone; no callback. */
void mqtt_session_stop(struct mqtt_session *s);
/* Bytes from the server; any bytes, in any pieces. */
void mqtt_session_feed(struct mqtt_session *s, const uint8_t *bytes, size_t n, int64_t now_ms);
void mqtt_session_on_timer(struct mqtt_session *s, int64_t now_ms);
int64_t mqtt_session_deadline(const struct mqtt_session *s);     /* INT64_MAX = none */
/* Something was written to the socket: keepalive counts from here. */
void mqtt_session_wrote(struct mqtt_session *s, int64_t now_ms);
bool mqtt_session_is_connected(const struct mqtt_session *s);
const struct mqtt_connack *mqtt_session_server(const struct mqtt_session *s);

struct mqtt_subscription {
    const char *filter;
    uint8_t qos;
    uint32_t id;                    /* subscription identifier, 1..268435455; sent with MQTT 5 where the server has them; 0 = none */
};
/* One SUBSCRIBE a filter where ids are used (the id belongs to the packet), with no-local, retain-as-published, retain handling 1 under MQTT 5.
 * *packet_id of each SUBSCRIBE comes back in suback. Return: 0; -ENOBUFS. */
int mqtt_session_subscribe(struct mqtt_session *s, const struct mqtt_subscription *sub, uint16_t packet_id) MUST_CHECK;
int mqtt_session_unsubscribe(struct mqtt_session *s, const char *filter, uint16_t packet_id) MUST_CHECK;

/* Acknowledgements of what the server published: the owner calls them in order of arrival, after its commit. */
int mqtt_session_puback(struct mqtt_session *s, uint16_t packet_id) MUST_CHECK;
int mqtt_session_pubrec(struct mqtt_session *s, uint16_t packet_id) MUST_CHECK;
int mqtt_session_pubcomp(struct mqtt_session *s, uint16_t packet_id) MUST_CHECK;

struct mqtt_out {
    const char *topic;
    const void *payload;
    size_t payload_len;
    const void *props;              /* as struct msg; sent with MQTT 5 only */
    size_t props_len;
    const char *const *user;        /* NULL-terminated key, value, key, value ...: further user properties; NULL = none */
    bool has_expiry;
    uint32_t expiry_s;
    uint8_t qos;
    bool retain, dup;
    uint16_t packet_id;             /* qos > 0: the owner's */
};
enum mqtt_outcome {
    MQTT_WAIT = 1,                  /* server's receive maximum reached (QoS > 0): again after an acknowledgement */
    MQTT_TOO_LARGE,                 /* above the server's maximum packet size */
    MQTT_INVALID,                   /* topic or properties that MQTT forbids; retain or QoS that the server has not */
};
/* Sends a PUBLISH. Return: 0; MQTT_WAIT, MQTT_TOO_LARGE, MQTT_INVALID; -ENOTCONN; -ENOBUFS (out is full: write first). */
int mqtt_session_publish(struct mqtt_session *s, const struct mqtt_out *p) MUST_CHECK;
/* PUBREL for a packet id (also one not in use: clears it at the server). pending: counts against the receive maximum as a resumed message. */
int mqtt_session_pubrel(struct mqtt_session *s, uint16_t packet_id) MUST_CHECK;
/* Outgoing QoS > 0 messages that may still be sent within the server's receive maximum. */
unsigned mqtt_session_quota(const struct mqtt_session *s);
/* Incoming QoS > 0 messages not yet acknowledged by us, and the window the server keeps to. */
unsigned mqtt_session_unacked(const struct mqtt_session *s);
/* DISCONNECT, normal (the will is not published). with_will: MQTT 5 reason 0x04. */
void mqtt_session_disconnect(struct mqtt_session *s, bool with_will);

#endif
