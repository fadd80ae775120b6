#include "gateway/cli/estimate_live.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "gateway/cli/broker_client.h"
#include "gateway/daemon/clock.h"

#define PROGRESS_MS 10000
#define CONNECT_MS  30000 /* then it is given up: an operator is waiting */
#define PACKET_MAX  (16u << 20)

struct live {
    struct event_base *base;
    struct broker_client *broker;
    const struct config *config;
    struct estimate_traffic *traffic;
    int64_t begin_ms, connect_by_ms, for_ms, progress_ms; /* begin_ms 0: not subscribed yet */
    FILE *progress, *errors;
    int rc;
    char why[160];
};

static void finish(struct live *l, int rc)
{
    l->rc = rc;
    event_base_loopbreak(l->base);
}

/* ---- the broker's news ---- */

static bool on_connected(void *ctx)
{
    struct live *l = ctx;
    int rc = 0;
    for (size_t i = 0; l->config && i < l->config->route_count && rc == 0; i++)
        for (size_t k = 0; k < l->config->routes[i].topics.count && rc == 0; k++)
            rc = broker_client_subscribe(l->broker, l->config->routes[i].topics.items[k], 0);
    if (!l->config)
        rc = broker_client_subscribe(l->broker, "#", 0);
    if (rc == 0 && !l->begin_ms)
        l->begin_ms = clock_mono_ms();
    return rc == 0;
}

static void on_subscribed(void *ctx, uint8_t reason)
{
    struct live *l = ctx;
    if (reason >= 0x80)
        fprintf(l->errors, "longwire: the broker refuses a subscription, reason 0x%02x\n", reason);
}

/* Overlapping filters make some brokers send a message once a filter, one right behind the other:
 * the routes take one, and so do we. */
static void on_message(void *ctx, const struct mqtt_publish *p)
{
    struct live *l = ctx;
    char *topic = strndup(p->topic, p->topic_len);
    const struct estimate_message m = {.at_ms = clock_mono_ms() - l->begin_ms,
                                       .topic = topic,
                                       .payload = p->payload,
                                       .payload_len = p->payload_len,
                                       .retain = p->retain};
    int rc = topic ? estimate_traffic_put(l->traffic, &m) : -ENOMEM;
    free(topic);
    if (rc != 0)
        finish(l, rc);
}

static void on_settled(void *ctx)
{
}

static void on_closed(void *ctx, const char *why)
{
    struct live *l = ctx;
    snprintf(l->why, sizeof l->why, "%s", why);
}

static void on_tick(void *ctx, int64_t now_ms)
{
    struct live *l = ctx;
    if (!l->begin_ms && now_ms >= l->connect_by_ms) {
        fprintf(l->errors, "longwire: cannot reach the broker: %s\n",
                l->why[0] ? l->why : "no answer");
        finish(l, -ETIMEDOUT);
    } else if (l->begin_ms && now_ms - l->begin_ms >= l->for_ms) {
        finish(l, 0);
    } else if (l->begin_ms && now_ms >= l->progress_ms) {
        l->progress_ms = now_ms + PROGRESS_MS;
        fprintf(l->progress, "longwire: %" PRIu64 " messages in %" PRId64 " of %" PRId64 " s\n",
                estimate_traffic_messages(l->traffic), (now_ms - l->begin_ms) / 1000,
                l->for_ms / 1000);
    }
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

static bool begin(struct live *l, const struct config_broker *broker, const void *password,
                  size_t password_len, char *err, size_t err_size)
{
    static const enum mqtt_version versions[] = {
        [PROTOCOL_AUTO] = MQTT_AUTO, [PROTOCOL_5] = MQTT_5, [PROTOCOL_311] = MQTT_311};
    char id[64];
    snprintf(id, sizeof id, "longwire-estimate-%ld", (long)getpid());
    const struct mqtt_session_config sc = {
        .version = versions[broker->protocol],
        .client_id = id,
        .username = broker->username,
        .password = password,
        .password_len = password_len,
        .keepalive_s = 60,
        .receive_maximum = 1000,
        .packet_max_bytes = PACKET_MAX,
        .connect_timeout_ms = CONNECT_MS,
    };
    const struct mqtt_address address = {
        .host = broker->host,
        .port = (uint16_t)broker->port,
        .tls = broker->tls,
        .tls_ca = broker->tls_ca,
        .tls_cert = broker->tls_cert,
        .tls_key = broker->tls_key,
        .tls_name = broker->tls_name,
    };
    snprintf(err, err_size, "out of memory");
    l->base = event_base_new();
    if (l->base)
        l->broker = broker_client_new(l->base, &sc, &address, &broker_ops, l, err, err_size);
    return l->broker != NULL;
}

int estimate_live(const struct config_broker *broker, const void *password, size_t password_len,
                  const struct config *config, int64_t for_ms, struct estimate_traffic *t,
                  FILE *progress, FILE *errors)
{
    struct live l = {.config = config,
                     .traffic = t,
                     .for_ms = for_ms,
                     .progress = progress,
                     .errors = errors,
                     .connect_by_ms = clock_mono_ms() + CONNECT_MS,
                     .rc = -EIO};
    char err[256];
    if (begin(&l, broker, password, password_len, err, sizeof err))
        event_base_dispatch(l.base);
    else
        fprintf(errors, "longwire: %s\n", err);
    broker_client_free(l.broker);
    if (l.base)
        event_base_free(l.base);
    return l.rc;
}
