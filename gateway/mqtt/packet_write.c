#include "gateway/mqtt/packet_write.h"

#include <errno.h>
#include <string.h>

#include "gateway/mqtt/props.h"

/* Sizes are summed first, for the header holds the length; room is made sure of next, so that what
 * follows cannot fail half-way. */
static int begin(struct buf *out, enum packet_type type, uint8_t flags, size_t remaining,
                 size_t packet_max)
{
    size_t total = packet_size(remaining);
    if (remaining > PACKET_REMAINING_MAX || total > packet_max)
        return PACKET_WRITE_TOO_LARGE;
    if (total > out->max) /* it never will fit: waiting for room would be for ever */
        return PACKET_WRITE_TOO_LARGE;
    bool failed = out->failed;
    if (!buf_reserve(out, total)) {
        out->failed = failed; /* nothing is missing in it */
        return -ENOBUFS;
    }
    buf_put_u8(out, (uint8_t)(type << 4 | flags));
    buf_put_varint(out, remaining);
    return 0;
}

static void put_string(struct buf *out, const void *s, size_t n)
{
    buf_put_be16(out, (uint16_t)n);
    buf_put(out, s, n);
}

static size_t string_size(const char *s)
{
    return 2 + strlen(s);
}

static bool is_set(const char *s)
{
    return s && s[0];
}

/* MQTT 5, 3.1.2.11. Topic Alias Maximum is left at its default 0: the server must not use aliases.
 * Problem information is left to CONNACK and DISCONNECT, the only ones of which we read it. */
static size_t connect_props_size(const struct mqtt_session_config *c)
{
    return (c->session_expiry_s ? 5 : 0) + (c->receive_maximum ? 3 : 0) +
           (c->packet_max_bytes ? 5 : 0) + 2;
}

static void put_connect_props(struct buf *out, const struct mqtt_session_config *c)
{
    buf_put_varint(out, connect_props_size(c));
    if (c->session_expiry_s) {
        buf_put_u8(out, PROP_SESSION_EXPIRY);
        buf_put_be32(out, c->session_expiry_s);
    }
    if (c->receive_maximum) {
        buf_put_u8(out, PROP_RECEIVE_MAXIMUM);
        buf_put_be16(out, c->receive_maximum);
    }
    if (c->packet_max_bytes) {
        buf_put_u8(out, PROP_MAXIMUM_PACKET_SIZE);
        buf_put_be32(out, c->packet_max_bytes);
    }
    buf_put_u8(out, PROP_REQUEST_PROBLEM_INFO);
    buf_put_u8(out, 0);
}

static uint8_t connect_flags(const struct mqtt_session_config *c, bool password)
{
    uint8_t flags = c->session_expiry_s ? 0 : 2;
    if (c->will.topic)
        flags |= (uint8_t)(4 | c->will.qos << 3 | (c->will.retain ? 0x20 : 0));
    if (is_set(c->username))
        flags |= 0x80;
    if (password)
        flags |= 0x40;
    return flags;
}

int packet_write_connect(struct buf *out, const struct mqtt_session_config *c, uint8_t level)
{
    bool v5 = level == MQTT_5;
    /* MQTT 3.1.1 allows no password without a user name (MQTT-3.1.2-22 there). */
    bool password = c->password && (v5 || is_set(c->username));
    size_t n = 10 + string_size(c->client_id);
    if (v5)
        n += 1 + connect_props_size(c);
    if (c->will.topic)
        n += (v5 ? 1 : 0) + string_size(c->will.topic) + 2 + c->will.payload_len;
    if (is_set(c->username))
        n += string_size(c->username);
    if (password)
        n += 2 + c->password_len;
    int rc = begin(out, PACKET_CONNECT, 0, n, PACKET_MAX_BYTES);
    if (rc)
        return rc;
    put_string(out, "MQTT", 4);
    buf_put_u8(out, level);
    buf_put_u8(out, connect_flags(c, password));
    buf_put_be16(out, (uint16_t)(c->keepalive_s < UINT16_MAX ? c->keepalive_s : UINT16_MAX));
    if (v5)
        put_connect_props(out, c);
    put_string(out, c->client_id, strlen(c->client_id));
    if (c->will.topic) {
        if (v5)
            buf_put_u8(out, 0); /* no will properties: no delay */
        put_string(out, c->will.topic, strlen(c->will.topic));
        put_string(out, c->will.payload, c->will.payload_len);
    }
    if (is_set(c->username))
        put_string(out, c->username, strlen(c->username));
    if (password)
        put_string(out, c->password, c->password_len);
    return 0;
}

static size_t publish_props_size(const struct mqtt_out *p)
{
    size_t n = p->props_len + (p->has_expiry ? 5 : 0);
    for (const char *const *user = p->user; user && user[0]; user += 2)
        n += 1 + string_size(user[0]) + string_size(user[1]);
    return n;
}

int packet_write_publish(struct buf *out, const struct mqtt_out *p, enum mqtt_version version,
                         size_t packet_max_bytes)
{
    size_t props = version == MQTT_5 ? publish_props_size(p) : 0;
    /* Each term apart, so that no sum of sizes from outside wraps. */
    if (p->payload_len > PACKET_REMAINING_MAX || props > PACKET_REMAINING_MAX)
        return PACKET_WRITE_TOO_LARGE;
    size_t n = string_size(p->topic) + (p->qos > 0 ? 2 : 0) + p->payload_len;
    if (version == MQTT_5)
        n += packet_varint_size(props) + props;
    uint8_t flags = (uint8_t)(p->qos << 1 | (p->retain ? 1 : 0) | (p->dup && p->qos > 0 ? 8 : 0));
    int rc = begin(out, PACKET_PUBLISH, flags, n, packet_max_bytes);
    if (rc)
        return rc;
    put_string(out, p->topic, strlen(p->topic));
    if (p->qos > 0)
        buf_put_be16(out, p->packet_id);
    if (version == MQTT_5) {
        buf_put_varint(out, props);
        if (p->has_expiry) {
            buf_put_u8(out, PROP_MESSAGE_EXPIRY);
            buf_put_be32(out, p->expiry_s);
        }
        buf_put(out, p->props, p->props_len);
        for (const char *const *user = p->user; user && user[0]; user += 2) {
            buf_put_u8(out, PROP_USER);
            put_string(out, user[0], strlen(user[0]));
            put_string(out, user[1], strlen(user[1]));
        }
    }
    buf_put(out, p->payload, p->payload_len);
    return 0;
}

int packet_write_ack(struct buf *out, enum packet_type type, uint16_t packet_id)
{
    int rc = begin(out, type, type == PACKET_PUBREL ? 2 : 0, 2, PACKET_MAX_BYTES);
    if (rc)
        return rc;
    buf_put_be16(out, packet_id);
    return 0;
}

/* MQTT 5, 3.8.3.1. Retain handling 1: retained messages only where the subscription is new, or each
 * reconnect would send them all again. */
static uint8_t subscribe_options(const struct mqtt_subscription *sub)
{
    bool shared = strncmp(sub->filter, "$share/", 7) == 0; /* MQTT-3.8.3-4: no No Local there */
    return (uint8_t)(sub->qos | (shared ? 0 : 0x04) | 0x08 | 1 << 4);
}

int packet_write_subscribe(struct buf *out, const struct mqtt_subscription *sub, uint16_t packet_id,
                           enum mqtt_version version, bool with_id, size_t packet_max_bytes)
{
    bool v5 = version == MQTT_5;
    with_id = with_id && v5 && sub->id > 0;
    size_t props = with_id ? 1 + packet_varint_size(sub->id) : 0;
    int rc = begin(out, PACKET_SUBSCRIBE, 2,
                   2 + (v5 ? 1 + props : 0) + string_size(sub->filter) + 1, packet_max_bytes);
    if (rc)
        return rc;
    buf_put_be16(out, packet_id);
    if (v5)
        buf_put_varint(out, props);
    if (with_id) {
        buf_put_u8(out, PROP_SUBSCRIPTION_ID);
        buf_put_varint(out, sub->id);
    }
    put_string(out, sub->filter, strlen(sub->filter));
    buf_put_u8(out, v5 ? subscribe_options(sub) : sub->qos);
    return 0;
}

int packet_write_unsubscribe(struct buf *out, const char *filter, uint16_t packet_id,
                             enum mqtt_version version, size_t packet_max_bytes)
{
    bool v5 = version == MQTT_5;
    int rc =
        begin(out, PACKET_UNSUBSCRIBE, 2, 2 + (v5 ? 1 : 0) + string_size(filter), packet_max_bytes);
    if (rc)
        return rc;
    buf_put_be16(out, packet_id);
    if (v5)
        buf_put_varint(out, 0);
    put_string(out, filter, strlen(filter));
    return 0;
}

int packet_write_pingreq(struct buf *out)
{
    return begin(out, PACKET_PINGREQ, 0, 0, PACKET_MAX_BYTES);
}

int packet_write_disconnect(struct buf *out, enum mqtt_version version, uint8_t reason)
{
    /* Normal disconnection needs no reason code (MQTT 5, 3.14.2.1). */
    bool with_reason = version == MQTT_5 && reason != REASON_SUCCESS;
    int rc = begin(out, PACKET_DISCONNECT, 0, with_reason ? 1 : 0, PACKET_MAX_BYTES);
    if (!rc && with_reason)
        buf_put_u8(out, reason);
    return rc;
}
