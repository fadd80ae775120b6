#include "gateway/cli/demo_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "gateway/cli/broker_client.h"

#define EXPECTED_MAX 65536

struct expected {
    uint64_t topic, content;
    bool arrived;
};

struct demo_client {
    struct broker_client *broker;
    char filter[64];
    char last[128];
    bool ready;
    bool gateway_online;
    unsigned unsent;
    struct expected *expected;
    struct demo_account account;
};

static uint64_t hash_of(const void *bytes, size_t n)
{
    return hash64_add(HASH64_START, bytes, n);
}

/* ---- the broker's news ---- */

static bool on_connected(void *ctx, const struct mqtt_connack *server)
{
    struct demo_client *c = ctx;
    return broker_client_subscribe(c->broker, c->filter, 2, 0) == 0 &&
           (strcmp(c->filter, "#") == 0 || broker_client_subscribe(c->broker, "longwire/+/state", 0, 0) == 0);
}

static void on_subscribed(void *ctx, uint8_t reason)
{
    struct demo_client *c = ctx;
    c->ready = c->ready || reason < 0x80;
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

static void on_message(void *ctx, const struct mqtt_publish *p)
{
    struct demo_client *c = ctx;
    if (p->topic_len >= 9 && memcmp(p->topic, "longwire/", 9) == 0) {
        c->gateway_online = c->gateway_online || (p->payload_len == 6 && memcmp(p->payload, "online", 6) == 0);
    } else {
        account(c, hash_of(p->topic, p->topic_len), hash_of(p->payload, p->payload_len));
        snprintf(c->last, sizeof c->last, "%.*s", (int)p->topic_len, p->topic);
    }
}

static void on_settled(void *ctx)
{
    struct demo_client *c = ctx;
    c->unsent -= c->unsent > 0;
}

static void on_closed(void *ctx, const char *why, bool at_once)
{
    ((struct demo_client *)ctx)->ready = false;
}

static void on_tick(void *ctx, int64_t now_ms)
{
}

static const struct broker_client_ops broker_ops = {
    .connected = on_connected,
    .subscribed = on_subscribed,
    .message = on_message,
    .settled = on_settled,
    .closed = on_closed,
    .tick = on_tick,
};

/* ---- life ---- */

struct demo_client *demo_client_new(struct event_base *base, uint16_t port, const char *id, const char *filter)
{
    const struct mqtt_session_config config = {
        .version = MQTT_5,
        .client_id = id,
        .keepalive_s = 30,
        .session_expiry_s = 300,
        .receive_maximum = 1000,
        .packet_max_bytes = 1 << 20,
        .connect_timeout_ms = 5000,
    };
    const struct mqtt_address address = {.host = "127.0.0.1", .port = port};
    char err[256];
    struct demo_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    snprintf(c->filter, sizeof c->filter, "%s", filter);
    c->expected = calloc(EXPECTED_MAX, sizeof *c->expected);
    if (c->expected)
        c->broker = broker_client_new(base, &config, &address, &broker_ops, c, err, sizeof err);
    if (!c->broker) {
        demo_client_free(c);
        return NULL;
    }
    return c;
}

void demo_client_free(struct demo_client *c)
{
    if (!c)
        return;
    broker_client_free(c->broker);
    free(c->expected);
    free(c);
}

bool demo_client_ready(const struct demo_client *c)
{
    return c->ready && c->gateway_online;
}

bool demo_client_publish(struct demo_client *c, const char *topic, const void *payload, size_t n, bool retain)
{
    if (!c->ready || !broker_client_publish(c->broker, topic, payload, n, retain))
        return false;
    c->unsent++;
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
