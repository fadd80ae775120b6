/* Three states: no connection, CONNECT sent, connected. Every byte of the server goes through the
 * framer and then, as a whole packet, to session_incoming.c; whatever is wrong ends in
 * session_fail.
 *
 * A callback may stop, disconnect or free the session it was called from. `run` changes with every
 * end of a connection, so that the loop in feed sees it; freeing waits until the loop has left. */
#include "gateway/mqtt/session.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/topic.h"
#include "base/utf8.h"
#include "gateway/mqtt/packet_write.h"
#include "gateway/mqtt/props.h"
#include "gateway/mqtt/session_internal.h"

#define TEXT_MAX_BYTES 320
#define STRING_MAX     65535

/* ---- making and ending ---- */

static bool text_valid(const char *s)
{
    size_t n = s ? strlen(s) : 0;
    return n <= STRING_MAX && (n == 0 || utf8_valid(s, n));
}

static bool config_valid(const struct mqtt_session_config *c)
{
    if (!c->client_id || !c->client_id[0] || !text_valid(c->client_id) || !text_valid(c->username))
        return false;
    if (c->password && c->password_len > STRING_MAX)
        return false;
    const struct mqtt_will *w = &c->will;
    return !w->topic || (topic_name_valid(w->topic, strlen(w->topic)) &&
                         w->payload_len <= STRING_MAX && w->qos <= 2);
}

/* Copies n bytes and a NUL to *to, and moves it on. NULL stays NULL. */
static const void *copy_in(char **to, const void *bytes, size_t n)
{
    if (!bytes)
        return NULL;
    char *at = *to;
    memcpy(at, bytes, n);
    at[n] = '\0';
    *to += n + 1;
    return at;
}

static bool copy_config(struct mqtt_session *s, const struct mqtt_session_config *c)
{
    const struct mqtt_will *w = &c->will;
    size_t username = c->username ? strlen(c->username) : 0;
    size_t topic = w->topic ? strlen(w->topic) : 0;
    char *to =
        malloc(strlen(c->client_id) + username + topic + c->password_len + w->payload_len + 5);
    if (!to)
        return false;
    s->copies = to;
    s->config = *c;
    s->config.client_id = copy_in(&to, c->client_id, strlen(c->client_id));
    s->config.username = copy_in(&to, c->username, username);
    s->config.password = copy_in(&to, c->password, c->password ? c->password_len : 0);
    s->config.will.topic = copy_in(&to, w->topic, topic);
    s->config.will.payload = copy_in(&to, w->payload, w->payload ? w->payload_len : 0);
    if (!w->payload)
        s->config.will.payload_len = 0;
    return true;
}

struct mqtt_session *mqtt_session_new(const struct mqtt_session_config *config,
                                      const struct mqtt_session_ops *ops, void *ctx,
                                      struct buf *out)
{
    if (!config_valid(config))
        return NULL;
    struct mqtt_session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    if (!copy_config(s, config)) {
        free(s);
        return NULL;
    }
    s->ops = ops;
    s->ctx = ctx;
    s->out = out;
    uint32_t max = config->packet_max_bytes;
    max = max > 0 && max < PACKET_MAX_BYTES ? max : PACKET_MAX_BYTES;
    fallback_init(&s->fallback, config->version);
    framer_init(&s->framer, max);
    buf_init(&s->props, max);
    return s;
}

static void free_now(struct mqtt_session *s)
{
    framer_fini(&s->framer);
    buf_fini(&s->props);
    free(s->over_topic);
    free(s->copies);
    free(s);
}

/* Ends the connection in every respect but telling the owner. */
static void end(struct mqtt_session *s)
{
    if (s->state == STATE_CONNECTED)
        fallback_ended(&s->fallback);
    s->state = STATE_IDLE;
    s->run++;
}

void mqtt_session_free(struct mqtt_session *s)
{
    if (!s)
        return;
    end(s);
    if (s->busy)
        s->doomed = true;
    else
        free_now(s);
}

void mqtt_session_stop(struct mqtt_session *s)
{
    if (s->state == STATE_IDLE)
        return;
    if (s->state == STATE_CONNECTING)
        fallback_silence(&s->fallback);
    end(s);
}

static void enter(struct mqtt_session *s, int64_t now_ms)
{
    assert(!s->busy); /* a callback must not feed the session that called it */
    s->busy = true;
    s->now_ms = now_ms;
}

static void leave(struct mqtt_session *s)
{
    s->busy = false;
    if (s->doomed)
        free_now(s);
}

void session_fail(struct mqtt_session *s, enum mqtt_close why, uint8_t code, uint8_t disconnect,
                  const char *fmt, ...)
{
    char text[TEXT_MAX_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (s->state == STATE_CONNECTED && s->server.version == MQTT_5 &&
        disconnect != REASON_SUCCESS) {
        int rc = packet_write_disconnect(s->out, MQTT_5, disconnect);
        (void)rc; /* a courtesy: where out is full the server learns it from the close */
    }
    end(s);
    s->ops->closed(s->ctx, why, code, text);
}

/* ---- calls of the owner: the connection ---- */

void mqtt_session_start(struct mqtt_session *s, int64_t now_ms)
{
    enter(s, now_ms);
    if (s->state != STATE_IDLE)
        end(s);
    framer_reset(&s->framer);
    packet_ids_reset(&s->ids);
    session_forget_oversize(s);
    buf_clear(s->out); /* CONNECT is the first packet (MQTT-3.1.0-1) */
    s->state = STATE_CONNECTING;
    s->connect_by_ms = now_ms + s->config.connect_timeout_ms;
    if (packet_write_connect(s->out, &s->config, fallback_level(&s->fallback)))
        session_fail(s, MQTT_CLOSE_MEMORY, 0, REASON_SUCCESS, "no room for CONNECT");
    leave(s);
}

/* Handles one thing that the framer tells. Return: false when it needs more bytes. */
static bool step(struct mqtt_session *s, const uint8_t **bytes, size_t *n)
{
    struct packet p;
    size_t known = 0;
    switch (framer_next(&s->framer, bytes, n, &p, &known)) {
    case FRAMER_MORE:
        return false;
    case FRAMER_PACKET:
        session_on_packet(s, &p);
        return true;
    case FRAMER_OVERSIZE:
        session_on_oversize(s, &p, known);
        return true;
    case FRAMER_SKIPPED:
        session_on_skipped(s);
        return true;
    case FRAMER_MALFORMED:
        session_fail(s, MQTT_CLOSE_PROTOCOL, REASON_MALFORMED, REASON_MALFORMED,
                     "malformed packet length");
        return true;
    case FRAMER_MEMORY:
        session_fail(s, MQTT_CLOSE_MEMORY, 0, REASON_SUCCESS, "out of memory");
        return true;
    }
    return false;
}

void mqtt_session_feed(struct mqtt_session *s, const uint8_t *bytes, size_t n, int64_t now_ms)
{
    if (s->state == STATE_IDLE)
        return; /* what was on its way when we left */
    enter(s, now_ms);
    if (n > 0)
        keepalive_heard(&s->keepalive, now_ms);
    unsigned run = s->run;
    while (s->run == run && step(s, &bytes, &n))
        ;
    leave(s);
}

void mqtt_session_on_timer(struct mqtt_session *s, int64_t now_ms)
{
    if (now_ms < mqtt_session_deadline(s))
        return;
    enter(s, now_ms);
    if (s->state == STATE_CONNECTING) {
        session_fail(s, MQTT_CLOSE_TIMEOUT, 0, REASON_SUCCESS, "no CONNACK within %u ms",
                     (unsigned)s->config.connect_timeout_ms);
    } else if (keepalive_due(&s->keepalive, now_ms) == KEEPALIVE_DEAD) {
        session_fail(s, MQTT_CLOSE_TIMEOUT, 0, REASON_SUCCESS, "no answer to PINGREQ for %lld ms",
                     (long long)(now_ms - s->keepalive.ping_ms));
    } else {
        /* With out full, the server has stopped reading: its answer is overdue all the same. */
        int rc = packet_write_pingreq(s->out);
        (void)rc;
        keepalive_pinged(&s->keepalive, now_ms);
    }
    leave(s);
}

int64_t mqtt_session_deadline(const struct mqtt_session *s)
{
    switch (s->state) {
    case STATE_IDLE:
        return INT64_MAX;
    case STATE_CONNECTING:
        return s->connect_by_ms;
    case STATE_CONNECTED:
        return keepalive_deadline(&s->keepalive);
    }
    return INT64_MAX;
}

void mqtt_session_wrote(struct mqtt_session *s, int64_t now_ms)
{
    keepalive_wrote(&s->keepalive, now_ms);
}

bool mqtt_session_is_connected(const struct mqtt_session *s)
{
    return s->state == STATE_CONNECTED;
}

const struct mqtt_connack *mqtt_session_server(const struct mqtt_session *s)
{
    return &s->server;
}

void mqtt_session_disconnect(struct mqtt_session *s, bool with_will)
{
    if (s->state == STATE_IDLE)
        return;
    if (s->state == STATE_CONNECTED && (s->server.version == MQTT_5 || !with_will)) {
        int rc = packet_write_disconnect(s->out, s->server.version,
                                         with_will ? REASON_WITH_WILL : REASON_SUCCESS);
        (void)rc; /* no room: the close alone must do */
    }
    end(s);
}

/* ---- calls of the owner: sending ---- */

/* The codec's outcome as the owner knows it. */
static int sent(int rc)
{
    return rc == PACKET_WRITE_TOO_LARGE ? (int)MQTT_TOO_LARGE : rc;
}

static bool filter_valid(const char *filter)
{
    return topic_filter_valid(filter, strlen(filter));
}

int mqtt_session_subscribe(struct mqtt_session *s, const struct mqtt_subscription *sub,
                           uint16_t packet_id)
{
    assert(packet_id > 0);
    if (s->state != STATE_CONNECTED)
        return -ENOTCONN;
    if (!filter_valid(sub->filter) || sub->qos > 2 || sub->id > PROP_SUBSCRIPTION_ID_MAX)
        return MQTT_INVALID;
    int rc = packet_write_subscribe(s->out, sub, packet_id, s->server.version,
                                    s->server.sub_id_available, s->server.server_packet_max_bytes);
    return sent(rc);
}

int mqtt_session_unsubscribe(struct mqtt_session *s, const char *filter, uint16_t packet_id)
{
    assert(packet_id > 0);
    if (s->state != STATE_CONNECTED)
        return -ENOTCONN;
    if (!filter_valid(filter))
        return MQTT_INVALID;
    return sent(packet_write_unsubscribe(s->out, filter, packet_id, s->server.version,
                                         s->server.server_packet_max_bytes));
}

/* An acknowledgement, if this connection has brought what it answers. The id's state moves only
 * with the packet in out, so that the owner may try again after -ENOBUFS. */
static int acknowledge(struct mqtt_session *s, enum packet_type type, uint16_t packet_id,
                       bool (*note)(struct packet_ids *, uint16_t))
{
    if (s->state != STATE_CONNECTED)
        return -ENOTCONN;
    size_t before = s->out->len;
    int rc = packet_write_ack(s->out, type, packet_id);
    if (rc)
        return rc < 0 ? rc : -ENOBUFS;
    if (note(&s->ids, packet_id))
        return 0;
    s->out->len = before;
    return MQTT_STALE;
}

int mqtt_session_puback(struct mqtt_session *s, uint16_t packet_id)
{
    return acknowledge(s, PACKET_PUBACK, packet_id, packet_ids_sent_puback);
}

int mqtt_session_pubrec(struct mqtt_session *s, uint16_t packet_id)
{
    return acknowledge(s, PACKET_PUBREC, packet_id, packet_ids_sent_pubrec);
}

int mqtt_session_pubcomp(struct mqtt_session *s, uint16_t packet_id)
{
    return acknowledge(s, PACKET_PUBCOMP, packet_id, packet_ids_sent_pubcomp);
}

static bool user_valid(const char *const *user)
{
    for (; user && user[0]; user += 2)
        if (!user[1] || !text_valid(user[0]) || !text_valid(user[1]))
            return false;
    return true;
}

/* May the server be sent this at all? */
static bool publish_valid(const struct mqtt_session *s, const struct mqtt_out *p)
{
    if (!topic_name_valid(p->topic, strlen(p->topic)))
        return false;
    if (p->qos > s->server.server_qos_max || (p->retain && !s->server.retain_available))
        return false; /* MQTT-3.2.2-11, MQTT-3.2.2-14 */
    if (s->server.version != MQTT_5)
        return true;
    return !props_check(p->props, p->props_len, PROP_IN_MSG) && user_valid(p->user);
}

int mqtt_session_publish(struct mqtt_session *s, const struct mqtt_out *p)
{
    assert(p->qos == 0 || p->packet_id > 0);
    if (s->state != STATE_CONNECTED)
        return -ENOTCONN;
    if (!publish_valid(s, p))
        return MQTT_INVALID;
    if (p->qos > 0 && mqtt_session_quota(s) == 0) /* MQTT-3.3.4-7 */
        return MQTT_WAIT;
    int rc = packet_write_publish(s->out, p, s->server.version, s->server.server_packet_max_bytes);
    if (rc == 0 && p->qos > 0)
        packet_ids_sent_publish(&s->ids, p->packet_id, p->qos);
    return sent(rc);
}

int mqtt_session_pubrel(struct mqtt_session *s, uint16_t packet_id)
{
    assert(packet_id > 0);
    if (s->state != STATE_CONNECTED)
        return -ENOTCONN;
    int rc = packet_write_ack(s->out, PACKET_PUBREL, packet_id);
    if (rc == 0)
        packet_ids_sent_pubrel(&s->ids, packet_id);
    return rc;
}

unsigned mqtt_session_quota(const struct mqtt_session *s)
{
    unsigned max = s->server.server_receive_maximum;
    if (s->state != STATE_CONNECTED || s->ids.outgoing >= max)
        return 0;
    return max - s->ids.outgoing;
}

unsigned mqtt_session_unacked(const struct mqtt_session *s)
{
    return s->ids.incoming;
}

unsigned mqtt_session_window(const struct mqtt_session *s)
{
    if (s->server.version != MQTT_5)
        return SESSION_WINDOW_311;
    return s->config.receive_maximum ? s->config.receive_maximum : UINT16_MAX;
}
