#include "gateway/cli/estimate_live.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "gateway/daemon/clock.h"
#include "gateway/mqtt/connection.h"
#include "gateway/mqtt/session.h"

#define TICK_MS       100
#define PROGRESS_MS   10000
#define CONNECT_MS    30000 /* then it is given up: an operator is waiting */
#define OUT_MAX_BYTES (1u << 20)
#define PACKET_MAX    (16u << 20)

struct live {
    struct event_base *base;
    struct event *tick;
    struct mqtt_session *session;
    struct mqtt_connection *connection;
    struct buf out;
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

static void flush(struct live *l)
{
    if (l->out.len)
        mqtt_connection_write(l->connection, &l->out);
}

/* ---- the session ---- */

static int subscribe(struct live *l, const char *filter, uint16_t *packet_id)
{
    const struct mqtt_subscription sub = {.filter = filter};
    return mqtt_session_subscribe(l->session, &sub, ++*packet_id);
}

static void on_connected(void *ctx, const struct mqtt_connack *server)
{
    struct live *l = ctx;
    uint16_t packet_id = 0;
    int rc = 0;
    (void)server;
    mqtt_connection_settled(l->connection);
    for (size_t i = 0; l->config && i < l->config->route_count && rc == 0; i++)
        for (size_t k = 0; k < l->config->routes[i].topics.count && rc == 0; k++)
            rc = subscribe(l, l->config->routes[i].topics.items[k], &packet_id);
    if (!l->config)
        rc = subscribe(l, "#", &packet_id);
    if (rc != 0)
        mqtt_connection_drop(l->connection, false);
    else if (!l->begin_ms)
        l->begin_ms = clock_mono_ms();
}

static void on_session_closed(void *ctx, enum mqtt_close why, uint8_t code, const char *text)
{
    struct live *l = ctx;
    (void)code;
    snprintf(l->why, sizeof l->why, "%s", text);
    mqtt_connection_drop(l->connection, why == MQTT_CLOSE_VERSION);
}

/* Overlapping filters make some brokers send a message once a filter, one right behind the other:
 * the routes take one, and so do we. */
static void on_publish(void *ctx, const struct mqtt_publish *p)
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

static void on_id(void *ctx, uint16_t packet_id)
{
    (void)ctx;
    (void)packet_id;
}

static void on_answer(void *ctx, uint16_t packet_id, uint8_t reason)
{
    (void)ctx;
    (void)packet_id;
    (void)reason;
}

static void on_suback(void *ctx, uint16_t packet_id, const uint8_t *reasons, size_t n)
{
    struct live *l = ctx;
    (void)packet_id;
    if (n == 1 && reasons[0] >= 0x80)
        fprintf(l->errors, "longwire: the broker refuses a subscription, reason 0x%02x\n",
                reasons[0]);
}

static const struct mqtt_session_ops session_ops = {
    .connected = on_connected,
    .closed = on_session_closed,
    .publish = on_publish,
    .pubrel = on_id,
    .puback = on_answer,
    .pubrec = on_answer,
    .pubcomp = on_answer,
    .suback = on_suback,
    .unsuback = on_id,
};

/* ---- the connection ---- */

static void on_open(void *ctx)
{
    struct live *l = ctx;
    mqtt_session_start(l->session, clock_mono_ms());
    flush(l);
}

static void on_closed(void *ctx, const char *why)
{
    struct live *l = ctx;
    snprintf(l->why, sizeof l->why, "%s", why);
    mqtt_session_stop(l->session);
    buf_clear(&l->out);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t n)
{
    struct live *l = ctx;
    mqtt_session_feed(l->session, bytes, n, clock_mono_ms());
    flush(l);
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
    struct live *l = ctx;
    int64_t now_ms = clock_mono_ms();
    (void)fd;
    (void)what;
    mqtt_session_on_timer(l->session, now_ms);
    flush(l);
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
    const struct timeval tick = {0, TICK_MS * 1000};
    snprintf(err, err_size, "out of memory");
    l->base = event_base_new();
    if (!l->base)
        return false;
    l->session = mqtt_session_new(&sc, &session_ops, l, &l->out);
    l->tick = event_new(l->base, -1, EV_PERSIST, on_tick, l);
    if (!l->session || !l->tick || event_add(l->tick, &tick) != 0)
        return false;
    l->connection = mqtt_connection_new(l->base, &address, &connection_ops, l, err, err_size);
    if (l->connection)
        mqtt_connection_start(l->connection);
    return l->connection != NULL;
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
    buf_init(&l.out, OUT_MAX_BYTES);
    if (begin(&l, broker, password, password_len, err, sizeof err))
        event_base_dispatch(l.base);
    else
        fprintf(errors, "longwire: %s\n", err);
    if (l.tick)
        event_free(l.tick);
    mqtt_connection_free(l.connection);
    mqtt_session_free(l.session);
    if (l.base)
        event_base_free(l.base);
    buf_fini(&l.out);
    return l.rc;
}
