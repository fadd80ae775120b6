/* What the server sends: packet_check first, then the one function for the packet's type. Whatever
 * is wrong ends the connection, and the text says which packet and why. */
#include "gateway/mqtt/session_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/mqtt/reason.h"

#define TOLD_MAX_BYTES 200 /* of a topic or reason string in a text for people */

static void fail_protocol(struct mqtt_session *s, const struct packet *p, uint8_t reason,
                          const char *what)
{
    session_fail(s, MQTT_CLOSE_PROTOCOL, reason, reason, "%s: %s", packet_name(p->type), what);
}

/* A server's text for one line of a log: at most max - 1 bytes, '?' for what is not ASCII. */
static const char *printable(char *to, size_t max, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    size_t i = 0;
    for (; i < n && i + 1 < max; i++)
        to[i] = (char)(from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?');
    to[i] = '\0';
    return to;
}

static void on_refusal(struct mqtt_session *s, const struct packet_connack *c)
{
    bool v5 = fallback_version(&s->fallback) == MQTT_5 && !c->old_form;
    /* A server of 3.1.1 answers a CONNECT of version 5 in the form that it knows. */
    bool version = v5 ? c->code == REASON_VERSION || c->code == RETURN_CODE_VERSION
                      : c->code == RETURN_CODE_VERSION;
    const char *name = v5 ? mqtt_reason_name(c->code) : mqtt_return_code_name(c->code);
    uint8_t level = fallback_level(&s->fallback);
    if (version && fallback_refused(&s->fallback)) {
        session_fail(s, MQTT_CLOSE_VERSION, c->code, REASON_SUCCESS,
                     "protocol level 0x%02x refused", level);
        return;
    }
    char said[TOLD_MAX_BYTES + 1];
    printable(said, sizeof(said), c->reason, c->reason_len);
    session_fail(s, MQTT_CLOSE_REFUSED, c->code, REASON_SUCCESS, "refused: %s (0x%02x)%s%s", name,
                 c->code, said[0] ? ": " : "", said);
}

static void on_connack(struct mqtt_session *s, const struct packet *p)
{
    struct packet_connack c;
    enum mqtt_version version = fallback_version(&s->fallback);
    const char *error = packet_read_connack(p, version, &c);
    if (!error && c.code != REASON_SUCCESS) {
        on_refusal(s, &c);
        return;
    }
    if (!error && version == MQTT_5 && c.old_form) {
        error = "MQTT 5 was answered in MQTT 3.1.1";
        if (fallback_refused(&s->fallback)) {
            session_fail(s, MQTT_CLOSE_VERSION, 0, REASON_SUCCESS, "%s", error);
            return;
        }
    }
    if (!error && c.client_id_assigned)
        error = "client identifier assigned, though we gave one"; /* MQTT-3.2.2-16 */
    if (!error && c.wants_authentication)
        error = "authentication method, though we gave none"; /* MQTT-4.12.0-6 */
    if (error) {
        fail_protocol(s, p, REASON_PROTOCOL, error);
        return;
    }
    s->server = (struct mqtt_connack){
        .version = version,
        .session_present = c.session_present,
        .server_receive_maximum = version == MQTT_5 ? c.receive_maximum : SESSION_WINDOW_311,
        .server_packet_max_bytes = c.packet_max_bytes,
        .server_qos_max = c.qos_max,
        .retain_available = c.retain_available,
        .wildcard_available = c.wildcard_available,
        .sub_id_available = c.sub_id_available,
        .bridge = fallback_is_bridge(&s->fallback),
    };
    fallback_accepted(&s->fallback);
    s->state = STATE_CONNECTED;
    uint32_t keepalive_s = s->config.keepalive_s < UINT16_MAX ? s->config.keepalive_s : UINT16_MAX;
    keepalive_start(&s->keepalive,
                    c.has_keepalive ? c.keepalive_s : keepalive_s, /* MQTT-3.1.2-21 */
                    s->now_ms);
    s->ops->connected(s->ctx, &s->server);
}

/* Counts an incoming QoS > 0 message. Return: true; false: the connection was ended. */
static bool admit(struct mqtt_session *s, const struct packet *p, const struct mqtt_publish *m)
{
    if (m->qos == 0)
        return true;
    if (!packet_ids_got_publish(&s->ids, m->packet_id, m->qos, m->dup)) {
        fail_protocol(s, p, REASON_PROTOCOL, "packet identifier is in use");
        return false;
    }
    unsigned max = s->config.receive_maximum ? s->config.receive_maximum : UINT16_MAX;
    if (s->server.version == MQTT_5 && s->ids.incoming > max) { /* MQTT-3.3.4-9 */
        fail_protocol(s, p, REASON_RECEIVE_MAXIMUM, "more in flight than our receive maximum");
        return false;
    }
    return true;
}

static void on_publish(struct mqtt_session *s, const struct packet *p)
{
    struct mqtt_publish m;
    const char *error = packet_read_publish(p, s->server.version, &s->props, &m);
    if (error)
        fail_protocol(s, p, REASON_MALFORMED, error);
    else if (admit(s, p, &m))
        s->ops->publish(s->ctx, &m);
}

static void on_ack(struct mqtt_session *s, const struct packet *p)
{
    static const char misplaced[] = "not the answer to what was sent with this packet identifier";
    struct packet_ack a;
    const char *error = packet_read_ack(p, s->server.version, &a);
    if (error) {
        fail_protocol(s, p, REASON_MALFORMED, error);
    } else if (p->type == PACKET_PUBACK) {
        if (packet_ids_got_puback(&s->ids, a.packet_id))
            s->ops->puback(s->ctx, a.packet_id, a.reason);
        else
            fail_protocol(s, p, REASON_PROTOCOL, misplaced);
    } else if (p->type == PACKET_PUBREC) {
        if (packet_ids_got_pubrec(&s->ids, a.packet_id, REASON_IS_ERROR(a.reason)))
            s->ops->pubrec(s->ctx, a.packet_id, a.reason);
        else
            fail_protocol(s, p, REASON_PROTOCOL, misplaced);
    } else if (p->type == PACKET_PUBCOMP) {
        if (packet_ids_got_pubcomp(&s->ids, a.packet_id))
            s->ops->pubcomp(s->ctx, a.packet_id, a.reason);
        else
            fail_protocol(s, p, REASON_PROTOCOL, misplaced);
    } else {
        if (packet_ids_got_pubrel(&s->ids, a.packet_id))
            s->ops->pubrel(s->ctx, a.packet_id);
        else
            fail_protocol(s, p, REASON_PROTOCOL, "of a QoS 1 message");
    }
}

static void on_suback(struct mqtt_session *s, const struct packet *p)
{
    struct packet_suback a;
    const char *error = packet_read_suback(p, s->server.version, &a);
    bool has_reasons = p->type == PACKET_SUBACK || s->server.version == MQTT_5;
    if (!error && has_reasons && a.n != 1) /* MQTT-3.8.4-6: we ask for one filter at a time */
        error = "not one reason code for the one filter";
    if (error)
        fail_protocol(s, p, REASON_MALFORMED, error);
    else if (p->type == PACKET_SUBACK)
        s->ops->suback(s->ctx, a.packet_id, a.reasons, a.n);
    else
        s->ops->unsuback(s->ctx, a.packet_id);
}

static void on_disconnect(struct mqtt_session *s, const struct packet *p)
{
    struct packet_disconnect d;
    const char *error = packet_read_disconnect(p, &d);
    if (error) {
        fail_protocol(s, p, REASON_MALFORMED, error);
        return;
    }
    char said[TOLD_MAX_BYTES + 1];
    printable(said, sizeof(said), d.reason, d.reason_len);
    session_fail(s, MQTT_CLOSE_SERVER, d.code, REASON_SUCCESS,
                 "server disconnected: %s (0x%02x)%s%s", mqtt_reason_name(d.code), d.code,
                 said[0] ? ": " : "", said);
}

static void on_pingresp(struct mqtt_session *s, const struct packet *p)
{
    if (p->len > 0)
        fail_protocol(s, p, REASON_MALFORMED, "packet is longer than what it says");
    else
        keepalive_answered(&s->keepalive);
}

void session_on_packet(struct mqtt_session *s, const struct packet *p)
{
    bool connected = s->state == STATE_CONNECTED;
    const char *error =
        packet_check(p, connected ? s->server.version : fallback_version(&s->fallback));
    /* MQTT-3.2.0-1, -2: CONNACK first, and once. (An MQTT 5 server may also refuse by AUTH, which
     * only follows an authentication method in CONNECT, or by nothing but a close.) */
    if (!error && connected == (p->type == PACKET_CONNACK))
        error = connected ? "a second one" : "before CONNACK";
    if (error) {
        fail_protocol(s, p, REASON_PROTOCOL, error);
        return;
    }
    switch (p->type) {
    case PACKET_CONNACK:
        on_connack(s, p);
        return;
    case PACKET_PUBLISH:
        on_publish(s, p);
        return;
    case PACKET_PUBACK:
    case PACKET_PUBREC:
    case PACKET_PUBREL:
    case PACKET_PUBCOMP:
        on_ack(s, p);
        return;
    case PACKET_SUBACK:
    case PACKET_UNSUBACK:
        on_suback(s, p);
        return;
    case PACKET_PINGRESP:
        on_pingresp(s, p);
        return;
    case PACKET_DISCONNECT:
        on_disconnect(s, p);
        return;
    case PACKET_AUTH:
        fail_protocol(s, p, REASON_PROTOCOL, "no authentication method was given");
        return;
    case PACKET_CONNECT:
    case PACKET_SUBSCRIBE:
    case PACKET_UNSUBSCRIBE:
    case PACKET_PINGREQ:
        break; /* packet_check has refused them */
    }
    assert(!"a packet that packet_check lets through has its case");
}

/* ---- packets above packet_max_bytes ---- */

void session_forget_oversize(struct mqtt_session *s)
{
    free(s->over_topic);
    s->over_topic = NULL;
}

/* An oversize PUBLISH of a 3.1.1 server is remembered until its last byte has passed; anything else
 * ends the connection. known: bytes of p->body that are there. */
void session_on_oversize(struct mqtt_session *s, const struct packet *p, size_t known)
{
    struct mqtt_publish m = {.topic = ""};
    bool whole = p->type == PACKET_PUBLISH && packet_peek_publish(p->flags, p->body, known, &m);
    s->over_bytes = packet_size(p->len);
    if (whole && s->state == STATE_CONNECTED && s->server.version == MQTT_311 && s->ops->oversize) {
        struct packet head = {p->type, p->flags, p->body, known};
        struct buf none;
        buf_init(&none, 0);
        const char *error = packet_read_publish(&head, MQTT_311, &none, &s->over);
        if (error) {
            fail_protocol(s, p, REASON_MALFORMED, error);
            return;
        }
        s->over_topic = strndup(m.topic, m.topic_len);
        if (s->over_topic)
            s->over.topic = s->over_topic;
        else
            session_fail(s, MQTT_CLOSE_MEMORY, 0, REASON_SUCCESS, "out of memory");
        return;
    }
    char topic[TOLD_MAX_BYTES + 1];
    printable(topic, sizeof(topic), m.topic, m.topic_len);
    session_fail(s, MQTT_CLOSE_TOO_LARGE, REASON_TOO_LARGE, REASON_TOO_LARGE,
                 "%s of %zu bytes is above the maximum of %zu: topic '%s'", packet_name(p->type),
                 s->over_bytes, s->framer.packet_max, topic);
}

void session_on_skipped(struct mqtt_session *s)
{
    struct packet p = {.type = PACKET_PUBLISH};
    s->over.payload = NULL;
    s->over.payload_len = 0;
    if (admit(s, &p, &s->over))
        s->ops->oversize(s->ctx, &s->over, s->over_bytes);
    session_forget_oversize(s);
}
