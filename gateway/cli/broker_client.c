#include "gateway/cli/broker_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <event2/event.h>
#include "base/buf.h"
#include "gateway/daemon/clock.h"

#define TICK_MS          100
#define OUT_MAX_BYTES    (1u << 22)
#define PUBLISH_IDS      60000u /* packet ids 1..60000 for PUBLISH, those above for SUBSCRIBE */
#define SUBSCRIBE_IDS    (UINT16_MAX - PUBLISH_IDS)

struct broker_client {
    const struct broker_client_ops *ops;
    void *ctx;
    struct mqtt_session *session;
    struct mqtt_connection *connection;
    struct event *tick;
    struct buf out;
    uint16_t publish_id, subscribe_id; /* the last of each, counted from 0 */
};

static void flush(struct broker_client *c)
{
    if (c->out.len)
        mqtt_connection_write(c->connection, &c->out);
}

/* ---- the session ---- */

static void on_connected(void *ctx, const struct mqtt_connack *server)
{
    struct broker_client *c = ctx;
    mqtt_connection_settled(c->connection);
    if (!c->ops->connected(c->ctx, server))
        mqtt_connection_drop(c->connection, false);
}

static void on_session_closed(void *ctx, enum mqtt_close why, uint8_t code, const char *text)
{
    struct broker_client *c = ctx;
    const bool at_once = why == MQTT_CLOSE_VERSION;
    c->ops->closed(c->ctx, text, at_once);
    mqtt_connection_drop(c->connection, at_once);
}

static void on_publish(void *ctx, const struct mqtt_publish *p)
{
    struct broker_client *c = ctx;
    c->ops->message(c->ctx, p);
    if ((p->qos == 1 && mqtt_session_puback(c->session, p->packet_id) != 0) ||
        (p->qos == 2 && mqtt_session_pubrec(c->session, p->packet_id) != 0))
        mqtt_connection_drop(c->connection, false);
}

static void on_pubrel(void *ctx, uint16_t packet_id)
{
    struct broker_client *c = ctx;
    if (mqtt_session_pubcomp(c->session, packet_id) != 0)
        mqtt_connection_drop(c->connection, false);
}

static void on_pubrec(void *ctx, uint16_t packet_id, uint8_t reason)
{
    struct broker_client *c = ctx;
    if (reason >= 0x80 || mqtt_session_pubrel(c->session, packet_id) != 0)
        c->ops->settled(c->ctx);
}

static void on_pubcomp(void *ctx, uint16_t packet_id, uint8_t reason)
{
    struct broker_client *c = ctx;
    c->ops->settled(c->ctx);
}

static void on_puback(void *ctx, uint16_t packet_id, uint8_t reason)
{
}

static void on_suback(void *ctx, uint16_t packet_id, const uint8_t *reasons, size_t n)
{
    struct broker_client *c = ctx;
    if (n == 1)
        c->ops->subscribed(c->ctx, reasons[0]);
}

static void on_unsuback(void *ctx, uint16_t packet_id)
{
}

static const struct mqtt_session_ops session_ops = {
    .connected = on_connected,
    .closed = on_session_closed,
    .publish = on_publish,
    .pubrel = on_pubrel,
    .puback = on_puback,
    .pubrec = on_pubrec,
    .pubcomp = on_pubcomp,
    .suback = on_suback,
    .unsuback = on_unsuback,
};

/* ---- the connection ---- */

static void on_open(void *ctx)
{
    struct broker_client *c = ctx;
    mqtt_session_start(c->session, clock_mono_ms());
    flush(c);
}

static void on_closed(void *ctx, const char *why)
{
    struct broker_client *c = ctx;
    c->ops->closed(c->ctx, why, false);
    mqtt_session_stop(c->session);
    buf_clear(&c->out);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t n)
{
    struct broker_client *c = ctx;
    mqtt_session_feed(c->session, bytes, n, clock_mono_ms());
    flush(c);
}

static void on_nothing(void *ctx)
{
}

static uint32_t on_random(void *ctx)
{
    return (uint32_t)clock_mono_ms() * 2654435761u; /* for jitter */
}

static const struct mqtt_connection_ops connection_ops = {
    .bytes = on_bytes,
    .dry = on_nothing,
    .open = on_open,
    .closed = on_closed,
    .writable = on_nothing,
    .random = on_random,
};

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct broker_client *c = ctx;
    int64_t now_ms = clock_mono_ms();
    mqtt_session_on_timer(c->session, now_ms);
    flush(c);
    c->ops->tick(c->ctx, now_ms);
}

/* ---- life ---- */

struct broker_client *broker_client_new(struct event_base *base, const struct mqtt_session_config *config,
                                        const struct mqtt_address *address, const struct broker_client_ops *ops, void *ctx,
                                        char *err, size_t err_size)
{
    static const struct timeval tick = {0, TICK_MS * 1000};
    snprintf(err, err_size, "out of memory");
    struct broker_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->ops = ops;
    c->ctx = ctx;
    buf_init(&c->out, OUT_MAX_BYTES);
    c->session = mqtt_session_new(config, &session_ops, c, &c->out);
    c->tick = event_new(base, -1, EV_PERSIST, on_tick, c);
    if (c->session && c->tick && event_add(c->tick, &tick) == 0)
        c->connection = mqtt_connection_new(base, address, &connection_ops, c, err, err_size);
    if (!c->connection) {
        broker_client_free(c);
        return NULL;
    }
    mqtt_connection_start(c->connection);
    return c;
}

void broker_client_free(struct broker_client *c)
{
    if (!c)
        return;
    if (c->tick)
        event_free(c->tick);
    mqtt_connection_free(c->connection);
    mqtt_session_free(c->session);
    buf_fini(&c->out);
    free(c);
}

int broker_client_subscribe(struct broker_client *c, const char *filter, uint8_t qos, uint32_t id)
{
    const struct mqtt_subscription sub = {.filter = filter, .qos = qos, .id = id};
    c->subscribe_id = (uint16_t)((c->subscribe_id + 1u) % SUBSCRIBE_IDS);
    return mqtt_session_subscribe(c->session, &sub, (uint16_t)(PUBLISH_IDS + 1 + c->subscribe_id));
}

bool broker_client_publish(struct broker_client *c, const char *topic, const void *payload, size_t n, bool retain)
{
    uint16_t next = (uint16_t)((c->publish_id + 1u) % PUBLISH_IDS);
    const struct mqtt_out out = {
        .topic = topic,
        .payload = payload,
        .payload_len = n,
        .qos = 2,
        .retain = retain,
        .packet_id = (uint16_t)(next + 1),
    };
    if (mqtt_session_publish(c->session, &out) != 0)
        return false;
    c->publish_id = next;
    flush(c);
    return true;
}
