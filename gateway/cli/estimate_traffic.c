#include "gateway/cli/estimate_traffic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "gateway/bridge/routes.h"
#include "gateway/bridge/topic_slots.h"

/* Some Unix time for recordings that begin at 0: times of origin are coded as steps. */
#define EPOCH_MS 1700000000000

/* A message that may still be held back or replaced. */
struct waiting {
    struct waiting *next;
    uint32_t topic;
    const struct config_route *route; /* NULL: the one that takes all */
    enum msg_class class;
    int64_t origin_ms;
    bool retain;
    size_t len;
    uint8_t payload[];
};

struct topic_state {        /* beside estimate_peer.topics, same index */
    struct waiting *queued; /* its last message in the queue */
    struct waiting *held;   /* until min_interval is over */
    int64_t sent_ms;
    uint64_t retained; /* hash of the last retained payload that went */
    bool sent, has_retained;
};

struct peer_state {
    struct topic_state *topics;
    uint32_t *table; /* hash table: index + 1 */
    size_t table_size, cap;
    struct topic_slots *slots;
    struct estimate_line *line;
    struct waiting *queue[CLASS_COUNT], **tail[CLASS_COUNT];
    int64_t flush_at_ms;   /* INT64_MAX: nothing waits */
    int64_t held_until_ms; /* no held message is due before; INT64_MAX: none is held */
    uint64_t number, last_of[CLASS_COUNT];
    int timestamps;
};

struct estimate_traffic {
    struct routes routes;
    const struct config *config;
    int64_t hold_ms;
    struct estimate_peer *peers;
    struct peer_state *states;
    size_t peer_count;
    uint64_t messages, unrouted;
    int64_t first_ms, last_ms;
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
                                              const struct estimate_link *link, int timestamps)
{
    struct estimate_traffic *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    size_t count = config ? config->peer_count : 1;
    t->config = config;
    t->hold_ms = link->hold_ms;
    t->peers = calloc(count, sizeof *t->peers);
    t->states = calloc(count, sizeof *t->states);
    bool good = t->peers && t->states && (!config || routes_init(&t->routes, config) == 0);
    for (size_t i = 0; i < count && good; i++) {
        struct peer_state *s = &t->states[i];
        struct estimate_link own = *link;
        t->peer_count = i + 1;
        s->timestamps = timestamps >= 0 ? timestamps
                        : config        ? config->peers[i].timestamps
                                        : TIMESTAMPS_S;
        if (config) {
            own.plain = own.plain || config->peers[i].codec == CODEC_PLAIN;
            own.tag_bytes = config->peers[i].seal == SEAL_NONE ? SEAL_CRC_BYTES : (unsigned)config->peers[i].seal_tag;
            own.codec_memory = (size_t)config->peers[i].codec_memory;
        }
        s->flush_at_ms = s->held_until_ms = INT64_MAX;
        for (int c = 0; c < CLASS_COUNT; c++)
            s->tail[c] = &s->queue[c];
        t->peers[i].name = strdup(config ? config->peers[i].name : "far end");
        s->slots = topic_slots_new();
        s->line = estimate_line_new(&own);
        good = t->peers[i].name && s->slots && s->line;
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
        free(s->topics[i].held);
    }
    for (int c = 0; c < CLASS_COUNT; c++) {
        for (struct waiting *w = s->queue[c], *next; w; w = next) {
            next = w->next;
            free(w);
        }
    }
    free(p->name);
    free(p->topics);
    free(s->topics);
    free(s->table);
    topic_slots_free(s->slots);
    estimate_line_free(s->line);
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

static bool grow(struct estimate_peer *p, struct peer_state *s)
{
    size_t cap = s->cap ? 2 * s->cap : 64;
    struct estimate_topic *topics = realloc(p->topics, cap * sizeof *topics);
    if (topics)
        p->topics = topics;
    struct topic_state *states = realloc(s->topics, cap * sizeof *states);
    if (states)
        s->topics = states;
    uint32_t *table = calloc(2 * cap, sizeof *table);
    if (!topics || !states || !table) {
        free(table);
        return false;
    }
    free(s->table);
    s->table = table;
    s->table_size = 2 * cap;
    s->cap = cap;
    for (size_t i = 0; i < p->topic_count; i++) {
        size_t at =
            hash64_add(HASH64_START, topics[i].name, strlen(topics[i].name)) % s->table_size;
        while (table[at])
            at = (at + 1) % s->table_size;
        table[at] = (uint32_t)i + 1;
    }
    return true;
}

static int topic_of(struct estimate_peer *p, struct peer_state *s, const char *name,
                    uint32_t *index)
{
    if (p->topic_count == s->cap && !grow(p, s))
        return -ENOMEM;
    size_t at = hash64_add(HASH64_START, name, strlen(name)) % s->table_size;
    for (; s->table[at]; at = (at + 1) % s->table_size) {
        *index = s->table[at] - 1;
        if (strcmp(p->topics[*index].name, name) == 0)
            return 0;
    }
    if (p->topic_count == ESTIMATE_TOPICS_MAX)
        return -E2BIG;
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    *index = (uint32_t)p->topic_count++;
    s->table[at] = *index + 1;
    p->topics[*index] = (struct estimate_topic){.name = copy};
    s->topics[*index] = (struct topic_state){0};
    return 0;
}

/* ---- out ---- */

/* The slot of the topic as the far end gets it, named to it first where it is new. */
static int slot_of(struct peer_state *s, struct estimate_topic *topic, const char *remote,
                   int64_t now_ms, unsigned *slot)
{
    uint64_t bytes = 0;
    if (topic_slots_find(s->slots, remote, slot))
        return 0;
    *slot = topic_slots_victim(s->slots);
    struct record r = {.type = RECORD_TOPIC,
                       .slot = *slot,
                       .topic = remote,
                       .topic_len = (uint32_t)strlen(remote)};
    int rc = topic_slots_set(s->slots, *slot, remote, r.topic_len);
    if (rc == 0)
        rc = estimate_line_put(s->line, &r, now_ms, &bytes);
    topic->sum.stream_bytes += bytes;
    return rc;
}

static int put_pieces(struct peer_state *s, struct estimate_topic *topic, const struct waiting *w,
                      unsigned slot, int64_t now_ms)
{
    uint64_t number = ++s->number, bytes;
    struct record r = {.class = w->class,
                       .number = number,
                       .previous = s->last_of[w->class],
                       .slot = slot,
                       .qos = w->route ? (uint8_t)w->route->qos : 1,
                       .retain = w->retain,
                       .has_origin = s->timestamps != TIMESTAMPS_NO,
                       .origin_in_ms = s->timestamps == TIMESTAMPS_MS,
                       .origin_ms = w->origin_ms,
                       .total = (uint32_t)w->len};
    if (!r.origin_in_ms)
        r.origin_ms -= r.origin_ms % 1000;
    s->last_of[w->class] = number;
    do {
        size_t room = estimate_line_room(s->line), left = w->len - r.offset;
        r.type = r.offset ? RECORD_CHUNK : RECORD_MESSAGE;
        r.bytes = w->payload + r.offset;
        r.len = (uint32_t)(left < room ? left : room);
        if (r.len > RECORD_CHUNK_MAX)
            r.len = RECORD_CHUNK_MAX;
        int rc = estimate_line_put(s->line, &r, now_ms, &bytes);
        if (rc != 0)
            return rc;
        topic->sum.stream_bytes += bytes;
        r.offset += r.len;
    } while (r.offset < w->len);
    return 0;
}

static int put_message(struct estimate_peer *p, struct peer_state *s, const struct waiting *w,
                       int64_t now_ms)
{
    struct estimate_topic *topic = &p->topics[w->topic];
    char *remote = NULL;
    unsigned slot;
    int rc = w->route ? route_remote_topic(w->route, topic->name, &remote) : 0;
    if (rc == 0)
        rc = slot_of(s, topic, remote ? remote : topic->name, now_ms, &slot);
    free(remote);
    if (rc == 0)
        rc = put_pieces(s, topic, w, slot, now_ms);
    topic->sum.messages++;
    topic->sum.payload_bytes += w->len;
    topic->sum.mqtt_tcp_bytes += mqtt_tcp(strlen(topic->name), w->len);
    topic->sum.mqtt_sn_bytes +=
        mqtt_sn_publish(w->len) +
        (topic->sum.messages == 1 ? mqtt_sn_register(strlen(topic->name)) : 0);
    return rc;
}

/* All that waits leaves, most urgent first. */
static int send_queue(struct estimate_peer *p, struct peer_state *s, int64_t now_ms, bool flush)
{
    uint64_t bytes = 0;
    uint32_t last = 0;
    int rc = 0;
    for (int c = 0; c < CLASS_COUNT; c++) {
        while (s->queue[c] && rc == 0) {
            struct waiting *w = s->queue[c];
            last = w->topic;
            s->queue[c] = w->next;
            if (s->topics[w->topic].queued == w)
                s->topics[w->topic].queued = NULL;
            rc = put_message(p, s, w, now_ms);
            free(w);
        }
        if (!s->queue[c])
            s->tail[c] = &s->queue[c];
    }
    s->flush_at_ms = INT64_MAX;
    if (rc == 0 && flush)
        rc = estimate_line_flush(s->line, now_ms, &bytes);
    if (bytes)
        p->topics[last].sum.stream_bytes += bytes;
    return rc;
}

/* ---- in ---- */

static bool urgent(const struct waiting *w)
{
    return w->class <= CLASS_HIGH;
}

/* Takes w over. */
static int queue(struct estimate_traffic *t, size_t peer, struct waiting *w, int64_t now_ms)
{
    struct peer_state *s = &t->states[peer];
    struct topic_state *topic = &s->topics[w->topic];
    topic->sent = true;
    topic->sent_ms = now_ms;
    if (topic->queued && w->route && w->route->keep == KEEP_LATEST) {
        /* The newest takes the place of the one before at the end: the other leaves empty. */
        struct waiting **at = &s->queue[w->class];
        while (*at != topic->queued)
            at = &(*at)->next;
        *at = topic->queued->next;
        if (!*at)
            s->tail[w->class] = at;
        free(topic->queued);
        t->peers[peer].replaced++;
    }
    topic->queued = w;
    w->next = NULL;
    *s->tail[w->class] = w;
    s->tail[w->class] = &w->next;
    if (t->hold_ms == INT64_MAX)
        return send_queue(&t->peers[peer], s, now_ms, false);
    if (s->flush_at_ms == INT64_MAX)
        s->flush_at_ms = now_ms + t->hold_ms;
    return urgent(w) || t->hold_ms == 0 ? send_queue(&t->peers[peer], s, now_ms, true) : 0;
}

/* Held messages whose interval is over by now are queued. */
static int release_held(struct estimate_traffic *t, size_t peer, int64_t now_ms)
{
    struct peer_state *s = &t->states[peer];
    int rc = 0;
    s->held_until_ms = INT64_MAX;
    for (size_t i = 0; i < t->peers[peer].topic_count && rc == 0; i++) {
        struct waiting *w = s->topics[i].held;
        int64_t due_ms = w ? s->topics[i].sent_ms + w->route->min_interval_ms : INT64_MAX;
        if (due_ms > now_ms) {
            s->held_until_ms = due_ms < s->held_until_ms ? due_ms : s->held_until_ms;
            continue;
        }
        s->topics[i].held = NULL;
        rc = queue(t, peer, w, due_ms);
    }
    return rc;
}

/* What has waited long enough by now. */
static int catch_up(struct estimate_traffic *t, size_t peer, int64_t now_ms)
{
    struct peer_state *s = &t->states[peer];
    int rc = s->held_until_ms <= now_ms ? release_held(t, peer, now_ms) : 0;
    if (rc == 0 && s->flush_at_ms <= now_ms)
        rc = send_queue(&t->peers[peer], s, s->flush_at_ms, true);
    estimate_line_tick(s->line, now_ms);
    return rc;
}

/* Does the route drop it for its retain flag? */
static bool unwanted(const struct config_route *route, struct topic_state *topic,
                     const struct estimate_message *m)
{
    if (!m->retain || route->retain == RETAIN_PASS)
        return false;
    uint64_t hash = hash64_add(HASH64_START, m->payload, m->payload_len);
    bool same = topic->has_retained && topic->retained == hash;
    topic->has_retained = true;
    topic->retained = hash;
    return route->retain == RETAIN_DROP || same;
}

static int offer(struct estimate_traffic *t, size_t peer, const struct config_route *route,
                 const struct estimate_message *m)
{
    struct peer_state *s = &t->states[peer];
    uint32_t index;
    int rc = topic_of(&t->peers[peer], s, m->topic, &index);
    if (rc != 0)
        return rc;
    struct topic_state *topic = &s->topics[index];
    if (route && unwanted(route, topic, m)) {
        t->peers[peer].unwanted++;
        return 0;
    }
    char *remote = NULL;
    rc = route ? route_remote_topic(route, m->topic, &remote) : 0;
    if (rc == -ENOMEM)
        return rc;
    if (route && (!remote || m->payload_len > (size_t)route->max_payload)) {
        t->peers[peer].refused++;
        free(remote);
        return 0;
    }
    free(remote);
    struct waiting *w = malloc(sizeof *w + m->payload_len);
    if (!w)
        return -ENOMEM;
    *w = (struct waiting){.topic = index,
                          .route = route,
                          .class = route ? (enum msg_class)route->priority : CLASS_NORMAL,
                          .origin_ms = EPOCH_MS + m->at_ms - t->first_ms,
                          .retain = m->retain,
                          .len = m->payload_len};
    memcpy(w->payload, m->payload, m->payload_len);
    if (route && route->min_interval_ms && topic->sent &&
        m->at_ms < topic->sent_ms + route->min_interval_ms) {
        t->peers[peer].replaced += topic->held != NULL;
        free(topic->held);
        topic->held = w;
        if (topic->sent_ms + route->min_interval_ms < s->held_until_ms)
            s->held_until_ms = topic->sent_ms + route->min_interval_ms;
        return 0;
    }
    return queue(t, peer, w, m->at_ms);
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
        rc = catch_up(t, i, m->at_ms);
        if (rc != 0 || (t->config && !route))
            continue;
        taken = true;
        rc = offer(t, i, route, m);
    }
    t->unrouted += !taken;
    return rc;
}

int estimate_traffic_end(struct estimate_traffic *t)
{
    int rc = 0;
    for (size_t i = 0; i < t->peer_count && rc == 0; i++) {
        struct estimate_peer *p = &t->peers[i];
        rc = release_held(t, i, INT64_MAX - 1);
        if (rc == 0)
            rc = send_queue(p, &t->states[i], t->last_ms, true);
        estimate_line_tick(t->states[i].line, INT64_MAX);
        p->totals = *estimate_line_totals(t->states[i].line);
        for (size_t k = 0; k < p->topic_count; k++) {
            const struct estimate_sum *sum = &p->topics[k].sum;
            p->sum.messages += sum->messages;
            p->sum.payload_bytes += sum->payload_bytes;
            p->sum.stream_bytes += sum->stream_bytes;
            p->sum.mqtt_tcp_bytes += sum->mqtt_tcp_bytes;
            p->sum.mqtt_sn_bytes += sum->mqtt_sn_bytes;
        }
    }
    return rc;
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
