#include "gateway/cli/estimate_traffic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "gateway/bridge/routes.h"
#include "gateway/cli/estimate_pair.h"
#include "gateway/cli/estimate_share.h"

#define SHARE_MEMORY (1u << 20) /* of a model that only shares out */

struct peer_state {
    struct estimate_traffic *traffic;
    struct estimate_peer *peer;
    struct estimate_pair *pair;   /* from its first message on */
    struct estimate_share *share; /* likewise */
    char **remote;                /* beside estimate_peer.topics: the topic at the far end */
    uint32_t *table;              /* hash table of these: index + 1 */
    size_t table_size, cap;
    int rc; /* what went wrong while a message came out */
};

struct estimate_traffic {
    struct routes routes;
    const struct config *config;
    struct estimate_link link;
    bool (*give_up)(void *ctx);
    void *ctx;
    struct estimate_peer *peers;
    struct peer_state *states;
    size_t peer_count;
    uint64_t messages, unrouted;
    int64_t first_ms, last_ms;
    char error[300];
};

/* ---- MQTT without us ---- */

/* Bytes of MQTT's "remaining length", and of what it counts. */
static uint64_t mqtt_packet(uint64_t remaining)
{
    uint64_t n = 2 + remaining;
    for (; remaining > 127; remaining >>= 7)
        n++;
    return n;
}

/* PUBLISH and PUBACK, each a segment with 40 bytes of TCP and IP header and 4 of PPP. Bare TCP
 * acknowledgements and keep-alives are left out, in MQTT's favour. */
static uint64_t mqtt_tcp(size_t topic, size_t payload)
{
    return mqtt_packet(2 + topic + 2 + payload) + 4 + 2 * (40 + 4);
}

/* MQTT-SN 1.2: the length takes 1 byte, 3 from 256 on. */
static uint64_t mqtt_sn_packet(uint64_t rest)
{
    return rest + 1 > 255 ? rest + 3 : rest + 1;
}

static uint64_t mqtt_sn_publish(size_t payload)
{
    return mqtt_sn_packet(1 + 1 + 2 + 2 + payload) + 7;
}

static uint64_t mqtt_sn_register(size_t topic)
{
    return mqtt_sn_packet(1 + 2 + 2 + topic) + 7;
}

/* ---- life ---- */

struct estimate_traffic *estimate_traffic_new(const struct config *config,
                                              const struct estimate_link *link,
                                              bool (*give_up)(void *ctx), void *ctx)
{
    struct estimate_traffic *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    size_t count = config ? config->peer_count : 1;
    t->config = config;
    t->link = *link;
    t->give_up = give_up;
    t->ctx = ctx;
    t->peers = calloc(count ? count : 1, sizeof *t->peers);
    t->states = calloc(count ? count : 1, sizeof *t->states);
    bool good = t->peers && t->states && (!config || routes_init(&t->routes, config) == 0);
    for (size_t i = 0; i < count && good; i++) {
        t->peer_count = i + 1;
        t->states[i].traffic = t;
        t->states[i].peer = &t->peers[i];
        t->peers[i].name = strdup(config ? config->peers[i].name : "far-end");
        good = t->peers[i].name != NULL;
    }
    if (good)
        return t;
    estimate_traffic_free(t);
    return NULL;
}

static void free_peer(struct estimate_peer *p, struct peer_state *s)
{
    for (size_t i = 0; i < p->topic_count; i++) {
        free(p->topics[i].name);
        free(s->remote[i]);
    }
    free(p->name);
    free(p->topics);
    free(s->remote);
    free(s->table);
    estimate_share_free(s->share);
    estimate_pair_free(s->pair);
}

void estimate_traffic_free(struct estimate_traffic *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->peer_count; i++)
        free_peer(&t->peers[i], &t->states[i]);
    if (t->config)
        routes_fini(&t->routes);
    free(t->peers);
    free(t->states);
    free(t);
}

/* ---- topics ---- */

static size_t place_of(const struct peer_state *s, const char *remote)
{
    size_t at = hash64_add(HASH64_START, remote, strlen(remote)) % s->table_size;
    while (s->table[at] && strcmp(s->remote[s->table[at] - 1], remote) != 0)
        at = (at + 1) % s->table_size;
    return at;
}

static bool grow(struct peer_state *s)
{
    struct estimate_peer *p = s->peer;
    size_t cap = s->cap ? 2 * s->cap : 64;
    struct estimate_topic *topics = realloc(p->topics, cap * sizeof *topics);
    if (topics)
        p->topics = topics;
    char **remote = realloc(s->remote, cap * sizeof *remote);
    if (remote)
        s->remote = remote;
    uint32_t *table = calloc(2 * cap, sizeof *table);
    if (!topics || !remote || !table) {
        free(table);
        return false;
    }
    free(s->table);
    s->table = table;
    s->table_size = 2 * cap;
    s->cap = cap;
    for (size_t i = 0; i < p->topic_count; i++)
        table[place_of(s, remote[i])] = (uint32_t)i + 1;
    return true;
}

/* The topic of this name at the far end, made if new, as one that is called `local` here. */
static int topic_of(struct peer_state *s, const char *remote, const char *local,
                    struct estimate_topic **topic)
{
    struct estimate_peer *p = s->peer;
    if (p->topic_count == s->cap && !grow(s))
        return -ENOMEM;
    size_t at = place_of(s, remote);
    if (!s->table[at]) {
        if (p->topic_count == ESTIMATE_TOPICS_MAX)
            return -E2BIG;
        char *a = strdup(local), *b = strdup(remote);
        if (!a || !b) {
            free(a);
            free(b);
            return -ENOMEM;
        }
        p->topics[p->topic_count] = (struct estimate_topic){.name = a};
        s->remote[p->topic_count] = b;
        s->table[at] = (uint32_t)++p->topic_count;
    }
    *topic = &p->topics[s->table[at] - 1];
    return 0;
}

/* ---- what comes out ---- */

static void on_delivered(void *ctx, const char *name, size_t name_len, const uint8_t *payload,
                         size_t n)
{
    struct peer_state *s = ctx;
    struct estimate_topic *topic;
    uint64_t bytes = 0;
    char *remote = strndup(name, name_len);
    int rc = remote ? topic_of(s, remote, remote, &topic) : -ENOMEM;
    if (rc == 0)
        rc = estimate_share_put(s->share, remote, payload, n, &bytes);
    free(remote);
    if (rc < 0) {
        s->rc = rc;
        return;
    }
    size_t local = strlen(topic->name);
    topic->sum.messages++;
    topic->sum.payload_bytes += n;
    topic->sum.stream_bytes += bytes;
    topic->sum.mqtt_tcp_bytes += mqtt_tcp(local, n);
    topic->sum.mqtt_sn_bytes +=
        mqtt_sn_publish(n) + (topic->sum.messages == 1 ? mqtt_sn_register(local) : 0);
}

static bool on_give_up(void *ctx)
{
    const struct estimate_traffic *t = ((struct peer_state *)ctx)->traffic;
    return t->give_up(t->ctx);
}

/* ---- what goes in ---- */

static int make_pair(struct estimate_traffic *t, size_t i)
{
    static const struct estimate_pair_ops ops = {on_delivered, on_give_up};
    struct peer_state *s = &t->states[i];
    bool plain = t->link.codec >= 0 ? t->link.codec == CODEC_PLAIN
                                    : t->config && t->config->peers[i].codec == CODEC_PLAIN;
    s->share = estimate_share_new(plain, SHARE_MEMORY);
    if (!s->share)
        return -ENOMEM;
    s->pair = estimate_pair_new(t->config, i, &t->link, &ops, s, t->error, sizeof t->error);
    return s->pair ? 0 : -EPROTO;
}

static int offer(struct estimate_traffic *t, size_t i, const struct config_route *route,
                 const struct estimate_message *m)
{
    struct peer_state *s = &t->states[i];
    struct estimate_topic *topic;
    char *remote = NULL;
    int rc = s->pair ? 0 : make_pair(t, i);
    if (rc == 0 && route)
        rc = route_remote_topic(route, m->topic, &remote);
    if (rc == 0)
        rc = topic_of(s, remote ? remote : m->topic, m->topic, &topic);
    free(remote);
    if (rc == -EINVAL)
        rc = 0; /* it is nothing at the far end: the gateway says so too, and counts it */
    if (rc == 0 && (rc = estimate_pair_put(s->pair, m)) < 0)
        snprintf(t->error, sizeof t->error, "%s", estimate_pair_error(s->pair));
    return rc < 0 ? rc : s->rc;
}

int estimate_traffic_put(struct estimate_traffic *t, const struct estimate_message *m)
{
    bool taken = false;
    int rc = 0;
    if (t->messages++ == 0)
        t->first_ms = m->at_ms;
    t->last_ms = m->at_ms;
    for (size_t i = 0; i < t->peer_count && rc == 0; i++) {
        const struct config_route *route =
            t->config ? routes_match(&t->routes, t->peers[i].name, m->topic) : NULL;
        if (t->config && !route)
            continue;
        taken = true;
        rc = offer(t, i, route, m);
    }
    t->unrouted += !taken;
    return rc;
}

/* ---- the end ---- */

static void on_dropped(void *ctx, const char *reason, uint64_t count)
{
    struct estimate_peer *p = ctx;
    if (p->dropped_count == ESTIMATE_REASONS_MAX || count == 0)
        return;
    struct estimate_dropped *d = &p->dropped[p->dropped_count++];
    snprintf(d->reason, sizeof d->reason, "%s", reason);
    d->count = count;
}

static void add_up(struct estimate_peer *p)
{
    for (size_t k = 0; k < p->topic_count; k++) {
        const struct estimate_sum *sum = &p->topics[k].sum;
        p->sum.messages += sum->messages;
        p->sum.payload_bytes += sum->payload_bytes;
        p->sum.stream_bytes += sum->stream_bytes;
        p->sum.mqtt_tcp_bytes += sum->mqtt_tcp_bytes;
        p->sum.mqtt_sn_bytes += sum->mqtt_sn_bytes;
    }
}

int estimate_traffic_end(struct estimate_traffic *t)
{
    int rc = 0;
    for (size_t i = 0; i < t->peer_count && rc == 0; i++) {
        struct peer_state *s = &t->states[i];
        if (!s->pair)
            continue;
        rc = estimate_pair_end(s->pair);
        if (rc < 0)
            snprintf(t->error, sizeof t->error, "%s", estimate_pair_error(s->pair));
        else
            rc = s->rc;
        if (rc == 0)
            rc = estimate_pair_dropped(s->pair, on_dropped, s->peer);
        s->peer->totals = *estimate_pair_totals(s->pair);
        add_up(s->peer);
    }
    return rc;
}

const char *estimate_traffic_error(const struct estimate_traffic *t, int rc)
{
    return rc == -E2BIG    ? "too many topics"
           : rc == -ENOMEM ? "out of memory"
           : rc == -EINTR  ? "given up"
           : t->error[0]   ? t->error
                           : strerror(-rc);
}

const struct estimate_peer *estimate_traffic_peers(const struct estimate_traffic *t, size_t *count)
{
    *count = t->peer_count;
    return t->peers;
}

uint64_t estimate_traffic_messages(const struct estimate_traffic *t)
{
    return t->messages;
}

uint64_t estimate_traffic_unrouted(const struct estimate_traffic *t)
{
    return t->unrouted;
}

int64_t estimate_traffic_span_ms(const struct estimate_traffic *t)
{
    return t->messages ? t->last_ms - t->first_ms : 0;
}
