#include "gateway/cli/estimate_live.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/topic.h"
#include "gateway/bridge/routes.h"
#include "gateway/cli/broker_client.h"
#include "gateway/daemon/clock.h"

#define PROGRESS_MS  10000
#define CONNECT_MS   30000 /* then it is given up: an operator is waiting */
#define ATTEMPTS     2     /* and so it is after so many connections that came to nothing */
#define PACKET_MAX   (16u << 20)
#define WAITING_MAX  (64u << 20)
#define ENDING_TICKS 5  /* turns of the loop in which what lies in the socket when it is enough comes up */
#define WORK_MS      80 /* of counting at a stretch: the broker must not find us deaf */

/* A message between its arrival and its being counted; topic and payload follow. */
struct waiting {
    int64_t at_ms;
    uint32_t topic_len, payload_len;
    bool retain;
};

struct live {
    struct event_base *base;
    struct broker_client *broker;
    const struct estimate_live_plan *plan;
    struct routes routes; /* of plan->config */
    struct estimate_traffic *traffic;
    struct buf waiting; /* struct waiting ... : counting may take longer than a burst of messages */
    bool identified;    /* each copy says which subscription it is one of */
    unsigned ending;    /* ticks since it was enough */
    unsigned attempts, losses;
    uint64_t overflowed;
    int64_t begin_ms, connect_by_ms, end_ms, progress_ms; /* begin_ms 0: not subscribed yet */
    FILE *progress, *errors;
    int rc;
};

static void finish(struct live *l, int rc)
{
    l->rc = rc;
    event_base_loopbreak(l->base);
}

/* ---- subscriptions ---- */

/* Two filters that one topic may match; among those that begin with $, or among the others. */
static bool overlap(const struct routes *r, bool dollar)
{
    for (size_t i = 0; i < r->filter_count; i++)
        for (size_t k = 0; k < i; k++)
            if ((r->filters[i].filter[0] == '$') == dollar &&
                topic_filters_overlap(r->filters[i].filter, r->filters[k].filter))
                return true;
    return false;
}

static int subscribe(struct live *l, const char *filter, uint32_t id)
{
    return broker_client_subscribe(l->broker, filter, 0, id);
}

/* Where copies do not say what they are copies of, and filters overlap, some brokers send a message
 * twice, which nobody could tell from two messages. One filter that takes all brings each once; those
 * that begin with $ are none of it. */
static int subscribe_without_identifiers(struct live *l)
{
    const bool all = overlap(&l->routes, false);
    int rc = all ? subscribe(l, "#", 0) : 0;
    if (overlap(&l->routes, true)) {
        fprintf(l->errors, "longwire: this broker's MQTT has no subscription identifiers, and routes "
                           "have overlapping filters that begin with $: messages would count twice\n");
        return -EINVAL;
    }
    for (size_t i = 0; i < l->routes.filter_count && rc == 0; i++)
        if (!all || l->routes.filters[i].filter[0] == '$')
            rc = subscribe(l, l->routes.filters[i].filter, 0);
    return rc;
}

static bool on_connected(void *ctx, const struct mqtt_connack *server)
{
    struct live *l = ctx;
    int rc = 0;
    l->identified = server->version == MQTT_5 && server->sub_id_available;
    if (!l->plan->config)
        rc = subscribe(l, "#", 0);
    else if (!l->identified)
        rc = subscribe_without_identifiers(l);
    for (size_t i = 0; l->plan->config && l->identified && i < l->routes.filter_count && rc == 0; i++)
        rc = subscribe(l, l->routes.filters[i].filter, l->routes.filters[i].id);
    if (rc == -EINVAL)
        finish(l, rc);
    if (rc == 0 && !l->begin_ms)
        l->begin_ms = clock_mono_ms();
    return rc == 0;
}

static void on_subscribed(void *ctx, uint8_t reason)
{
    struct live *l = ctx;
    if (reason < 0x80)
        return;
    fprintf(l->errors, "longwire: the broker refuses a subscription, reason 0x%02x\n", reason);
    finish(l, -EACCES);
}

/* ---- messages ---- */

/* Overlapping filters bring one copy each; that of the first matching filter counts (I4b). */
static bool copy_counts(const struct live *l, const struct mqtt_publish *p)
{
    if (!l->plan->config || !l->identified)
        return true;
    char *topic = strndup(p->topic, p->topic_len);
    const struct route_filter *f = topic ? routes_counting_filter(&l->routes, topic) : NULL;
    bool counts = false;
    for (unsigned i = 0; f && i < p->subscription_id_count; i++)
        counts |= p->subscription_ids[i] == f->id;
    free(topic);
    return counts;
}

static void on_message(void *ctx, const struct mqtt_publish *p)
{
    struct live *l = ctx;
    const struct waiting w = {clock_mono_ms() - l->begin_ms, (uint32_t)p->topic_len,
                              (uint32_t)p->payload_len, p->retain};
    if (!copy_counts(l, p))
        return;
    if (l->waiting.len + sizeof w + p->topic_len + p->payload_len > WAITING_MAX) {
        l->overflowed++;
        return;
    }
    bool good = buf_put(&l->waiting, &w, sizeof w) && buf_put(&l->waiting, p->topic, p->topic_len) &&
                buf_put(&l->waiting, p->payload, p->payload_len);
    if (!good)
        finish(l, -ENOMEM);
}

/* Counts what waits, until a moment; INT64_MAX: all of it. Return: 0 or negative. */
static int work(struct live *l, int64_t until_ms)
{
    int rc = 0;
    while (rc == 0 && l->waiting.len > 0 && clock_mono_ms() < until_ms) {
        struct waiting w;
        memcpy(&w, buf_bytes(&l->waiting), sizeof w);
        const uint8_t *bytes = buf_bytes(&l->waiting) + sizeof w;
        char *topic = strndup((const char *)bytes, w.topic_len);
        const struct estimate_message m = {w.at_ms, topic, bytes + w.topic_len, w.payload_len,
                                           w.retain};
        rc = topic ? estimate_traffic_put(l->traffic, &m) : -ENOMEM;
        free(topic);
        buf_consume(&l->waiting, sizeof w + w.topic_len + w.payload_len);
    }
    if (rc < 0)
        fprintf(l->errors, "longwire: %s\n", estimate_traffic_error(l->traffic, rc));
    return rc;
}

static void on_settled(void *ctx)
{
}

static void on_closed(void *ctx, const char *why, bool at_once)
{
    struct live *l = ctx;
    if (l->begin_ms) {
        l->losses++;
        fprintf(l->progress, "longwire: the connection to the broker is lost: %s\n", why);
    } else if (!at_once && ++l->attempts == ATTEMPTS) {
        fprintf(l->errors, "longwire: cannot reach the broker: %s\n", why);
        finish(l, -ECONNREFUSED);
    }
}

static void on_tick(void *ctx, int64_t now_ms)
{
    struct live *l = ctx;
    int rc = work(l, now_ms + WORK_MS);
    l->end_ms = now_ms;
    if (rc < 0) {
        finish(l, rc);
    } else if (l->plan->enough(NULL)) {
        if (l->ending++ == ENDING_TICKS)
            finish(l, 0);
    } else if (!l->begin_ms && now_ms >= l->connect_by_ms) {
        fprintf(l->errors, "longwire: cannot reach the broker: no answer\n");
        finish(l, -ETIMEDOUT);
    } else if (l->begin_ms && now_ms - l->begin_ms >= l->plan->for_ms) {
        finish(l, 0);
    } else if (l->begin_ms && now_ms >= l->progress_ms) {
        l->progress_ms = now_ms + PROGRESS_MS;
        fprintf(l->progress, "longwire: %" PRIu64 " messages in %" PRId64 " of %" PRId64 " s\n",
                estimate_traffic_messages(l->traffic), (now_ms - l->begin_ms) / 1000,
                l->plan->for_ms / 1000);
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

static bool begin(struct live *l, char *err, size_t err_size)
{
    static const enum mqtt_version versions[] = {
        [PROTOCOL_AUTO] = MQTT_AUTO, [PROTOCOL_5] = MQTT_5, [PROTOCOL_311] = MQTT_311};
    const struct config_broker *broker = l->plan->broker;
    char id[64];
    snprintf(id, sizeof id, "longwire-estimate-%ld", (long)getpid());
    const struct mqtt_session_config sc = {
        .version = versions[broker->protocol],
        .client_id = id,
        .username = broker->username,
        .password = l->plan->password,
        .password_len = l->plan->password_len,
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
    buf_init(&l->waiting, WAITING_MAX);
    if (l->plan->config && routes_init(&l->routes, l->plan->config) != 0)
        return false;
    l->base = event_base_new();
    if (l->base)
        l->broker = broker_client_new(l->base, &sc, &address, &broker_ops, l, err, err_size);
    return l->broker != NULL;
}

static void tell_doubts(const struct live *l)
{
    if (l->losses)
        fprintf(l->progress, "longwire: the connection was lost %u times: what was published "
                             "meanwhile is not counted\n", l->losses);
    if (l->overflowed)
        fprintf(l->progress, "longwire: %" PRIu64 " messages came faster than they could be counted, "
                             "and are not\n", l->overflowed);
}

int estimate_live(const struct estimate_live_plan *plan, struct estimate_traffic *t,
                  int64_t *lasted_ms, FILE *progress, FILE *errors)
{
    struct live l = {.plan = plan,
                     .traffic = t,
                     .progress = progress,
                     .errors = errors,
                     .connect_by_ms = clock_mono_ms() + CONNECT_MS,
                     .rc = -EIO};
    char err[256];
    if (begin(&l, err, sizeof err))
        event_base_dispatch(l.base);
    else
        fprintf(errors, "longwire: %s\n", err);
    broker_client_free(l.broker);
    if (l.base)
        event_base_free(l.base);
    *lasted_ms = l.begin_ms ? l.end_ms - l.begin_ms : 0;
    if (l.rc == 0)
        l.rc = work(&l, INT64_MAX);
    if (l.rc == 0)
        tell_doubts(&l);
    if (plan->config)
        routes_fini(&l.routes);
    buf_fini(&l.waiting);
    return l.rc;
}
