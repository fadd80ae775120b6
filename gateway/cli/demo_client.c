#include "gateway/cli/demo_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>
#include "base/buf.h"
#include "base/hash.h"
#include "gateway/daemon/clock.h"
#include "gateway/mqtt/connection.h"
#include "gateway/mqtt/session.h"

#define EXPECTED_MAX 65536
#define TICK_MS      250

struct expected {
    uint64_t topic, content;
    bool arrived;
};

struct demo_client {
    struct mqtt_session *session;
    struct mqtt_connection *connection;
    struct event *tick;
    struct buf out;
    char filter[64];
    char last[128];
    bool ready;
    bool gateway_online;
    uint16_t packet_id;
    unsigned unsent;
    struct expected *expected;
    struct demo_account account;
};

static uint64_t hash_of(const void *bytes, size_t n)
{
    return hash64_add(HASH64_START, bytes, n);
}

static void flush(struct demo_client *c)
{
    if (c->out.len)
        mqtt_connection_write(c->connection, &c->out);
}

/* ---- the session ---- */

static void on_connected(void *ctx, const struct mqtt_connack *server)
{
    struct demo_client *c = ctx;
    (void)server;
    mqtt_connection_settled(c->connection);
    struct mqtt_subscription sub = {.filter = c->filter, .qos = 2}, state = {.filter = "longwire/+/state"};
    if (mqtt_session_subscribe(c->session, &sub, UINT16_MAX) != 0 ||
        (strcmp(c->filter, "#") != 0 && mqtt_session_subscribe(c->session, &state, UINT16_MAX - 1) != 0))
        mqtt_connection_drop(c->connection, false);
}

static void on_session_closed(void *ctx, enum mqtt_close why, uint8_t code, const char *text)
{
    struct demo_client *c = ctx;
    (void)code;
    (void)text;
    c->ready = false;
    mqtt_connection_drop(c->connection, why == MQTT_CLOSE_VERSION);
}

static void account(struct demo_client *c, uint64_t topic, uint64_t content)
{
    bool earlier = false, had = false;
    for (unsigned i = 0; i < c->account.expected; i++) {
        struct expected *e = &c->expected[i];
        if (e->topic != topic)
            continue;
        if (e->content == content && !e->arrived) {
            e->arrived = true;
            c->account.arrived++;
            c->account.disordered += earlier;
            return;
        }
        had = had || e->content == content;
        earlier = earlier || !e->arrived;
    }
    if (had)
        c->account.doubled++;
    else
        c->account.strange++;
}

static void on_publish(void *ctx, const struct mqtt_publish *p)
{
    struct demo_client *c = ctx;
    if (p->topic_len >= 9 && memcmp(p->topic, "longwire/", 9) == 0) {
        c->gateway_online = c->gateway_online || (p->payload_len == 6 && memcmp(p->payload, "online", 6) == 0);
    } else {
        account(c, hash_of(p->topic, p->topic_len), hash_of(p->payload, p->payload_len));
        snprintf(c->last, sizeof c->last, "%.*s", (int)p->topic_len, p->topic);
    }
    if ((p->qos == 1 && mqtt_session_puback(c->session, p->packet_id) != 0) ||
        (p->qos == 2 && mqtt_session_pubrec(c->session, p->packet_id) != 0))
        mqtt_connection_drop(c->connection, false);
}

static void on_pubrel(void *ctx, uint16_t packet_id)
{
    struct demo_client *c = ctx;
    if (mqtt_session_pubcomp(c->session, packet_id) != 0)
        mqtt_connection_drop(c->connection, false);
}

static void on_pubrec(void *ctx, uint16_t packet_id, uint8_t reason)
{
    struct demo_client *c = ctx;
    if (reason >= 0x80 || mqtt_session_pubrel(c->session, packet_id) != 0)
        c->unsent -= c->unsent > 0;
}

static void on_pubcomp(void *ctx, uint16_t packet_id, uint8_t reason)
{
    struct demo_client *c = ctx;
    (void)packet_id;
    (void)reason;
    c->unsent -= c->unsent > 0;
}

static void on_puback(void *ctx, uint16_t packet_id, uint8_t reason)
{
    (void)ctx;
    (void)packet_id;
    (void)reason;
}

static void on_suback(void *ctx, uint16_t packet_id, const uint8_t *reasons, size_t n)
{
    struct demo_client *c = ctx;
    (void)packet_id;
    c->ready = c->ready || (n == 1 && reasons[0] < 0x80);
}

static void on_unsuback(void *ctx, uint16_t packet_id)
{
    (void)ctx;
    (void)packet_id;
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
    struct demo_client *c = ctx;
    mqtt_session_start(c->session, clock_mono_ms());
    flush(c);
}

static void on_closed(void *ctx, const char *why)
{
    struct demo_client *c = ctx;
    (void)why;
    c->ready = false;
    mqtt_session_stop(c->session);
    buf_clear(&c->out);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t n)
{
    struct demo_client *c = ctx;
    mqtt_session_feed(c->session, bytes, n, clock_mono_ms());
    flush(c);
}

static void on_nothing(void *ctx)
{
    (void)ctx;
}

static uint32_t on_random(void *ctx)
{
    (void)ctx;
    return (uint32_t)clock_mono_ms() * 2654435761u;
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
    struct demo_client *c = ctx;
    (void)fd;
    (void)what;
    mqtt_session_on_timer(c->session, clock_mono_ms());
    flush(c);
}

/* ---- life ---- */

struct demo_client *demo_client_new(struct event_base *base, uint16_t port, const char *id, const char *filter)
{
    struct demo_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    char err[256];
    struct mqtt_session_config sc = {
        .version = MQTT_5,
        .client_id = id,
        .keepalive_s = 30,
        .session_expiry_s = 300,
        .receive_maximum = 1000,
        .packet_max_bytes = 1 << 20,
        .connect_timeout_ms = 5000,
    };
    struct mqtt_address address = {.host = "127.0.0.1", .port = port};
    buf_init(&c->out, 1 << 22);
    snprintf(c->filter, sizeof c->filter, "%s", filter);
    c->expected = calloc(EXPECTED_MAX, sizeof *c->expected);
    c->session = mqtt_session_new(&sc, &session_ops, c, &c->out);
    c->connection = mqtt_connection_new(base, &address, &connection_ops, c, err, sizeof err);
    c->tick = event_new(base, -1, EV_PERSIST, on_tick, c);
    struct timeval tv = {0, TICK_MS * 1000};
    if (!c->expected || !c->session || !c->connection || !c->tick || event_add(c->tick, &tv) != 0) {
        demo_client_free(c);
        return NULL;
    }
    mqtt_connection_start(c->connection);
    return c;
}

void demo_client_free(struct demo_client *c)
{
    if (!c)
        return;
    if (c->tick)
        event_free(c->tick);
    mqtt_connection_free(c->connection);
    mqtt_session_free(c->session);
    buf_fini(&c->out);
    free(c->expected);
    free(c);
}

bool demo_client_ready(const struct demo_client *c)
{
    return c->ready && c->gateway_online;
}

bool demo_client_publish(struct demo_client *c, const char *topic, const void *payload, size_t n, bool retain)
{
    if (!c->ready)
        return false;
    uint16_t id = c->packet_id % 60000 + 1;
    struct mqtt_out out = {
        .topic = topic,
        .payload = payload,
        .payload_len = n,
        .qos = 2,
        .retain = retain,
        .packet_id = id,
    };
    if (mqtt_session_publish(c->session, &out) != 0)
        return false;
    c->packet_id = id;
    c->unsent++;
    flush(c);
    return true;
}

unsigned demo_client_unsent(const struct demo_client *c)
{
    return c->unsent;
}

void demo_client_expect(struct demo_client *c, const char *topic, const void *payload, size_t n)
{
    if (c->account.expected < EXPECTED_MAX)
        c->expected[c->account.expected++] = (struct expected){hash_of(topic, strlen(topic)), hash_of(payload, n), false};
}

const struct demo_account *demo_client_account(const struct demo_client *c)
{
    return &c->account;
}

const char *demo_client_last(const struct demo_client *c)
{
    return c->last;
}
