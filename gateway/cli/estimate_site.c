#include "gateway/cli/estimate_site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/bridge/bridge.h"
#include "gateway/wire/seal.h"
#include "link_drivers/driver.h"
#include "store/peers.h"

#define BROKER_BYTES   16384 /* that a broker says at a time */
#define BUFFER_MAX     (64u << 20)
#define MAX_MESSAGE    (64u << 20) /* beyond every recording's line */
#define MAX_PAYLOAD    (8u << 20)
#define QUEUE_BYTES    (256u << 20)
#define HISTORY_BYTES  (4u << 20)
#define CACHE_BYTES    (256u << 20)
#define CODEC_MEMORY   (4u << 20)
#define ACK_MAX_AGE_MS (6 * 3600000ll) /* both drivers' default */
#define HUB_HOLD_MS    60000           /* directip's default */
#define ALARM_PLACES   2               /* iridium-sbd's */
#define BACKLOG_MS     (20 * 86400000ll) /* hold that lets no frame go before it is full */
#define TOPIC_BASE     "longwire-estimate"

/* ---- what the gateway asks for ---- */

static void env_broker_write(void *ctx, struct buf *out)
{
    struct estimate_site *s = ctx;
    s->broken |= !buf_put(&s->to_broker, buf_bytes(out), out->len);
    buf_consume(out, out->len);
}

static size_t env_broker_pending(void *ctx)
{
    return ((struct estimate_site *)ctx)->to_broker.len;
}

static void env_broker_drop(void *ctx, bool at_once)
{
    ((struct estimate_site *)ctx)->broken = true;
}

static void env_broker_settled(void *ctx)
{
}

static size_t env_link_room(void *ctx, size_t link, uint64_t station)
{
    struct estimate_site *s = ctx;
    return estimate_air_room(s->air, s->end, s->now->mono_ms);
}

static int env_link_send(void *ctx, size_t link, uint64_t station, const uint8_t *bytes, size_t n,
                         uint64_t token, bool urgent)
{
    struct estimate_site *s = ctx;
    return estimate_air_send(s->air, s->end, bytes, n, token, s->now->mono_ms);
}

static void env_link_reset(void *ctx, size_t link, uint64_t station, const char *why)
{
    struct estimate_site *s = ctx;
    snprintf(s->trouble, sizeof s->trouble, "%s", why);
    s->broken = true; /* nothing is lost between the two */
}

static void env_link_counts(void *ctx, size_t link, uint64_t *out, uint64_t *in, char *detail,
                            size_t size)
{
    *out = *in = 0;
    snprintf(detail, size, "estimate");
}

static void env_store_damaged(void *ctx)
{
    ((struct estimate_site *)ctx)->broken = true;
}

/* Alike each time: so are the figures. */
static void env_random(void *ctx, void *bytes, size_t n)
{
    uint64_t *seed = ((struct estimate_site *)ctx)->seed;
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)bytes)[i] = (uint8_t)(*seed >> 56);
    }
}

static int env_secret(void *ctx, const struct config_peer *peer, bool next,
                      uint8_t out[SECRET_BYTES])
{
    memset(out, 0x4c, SECRET_BYTES); /* the same at both ends; nothing leaves this process */
    return 0;
}

static void env_log(void *ctx, enum bridge_log level, const char *subsystem, const char *text)
{
    struct estimate_site *s = ctx;
    if (level >= BRIDGE_ERR)
        snprintf(s->trouble, sizeof s->trouble, "%s: %s", subsystem, text);
}

static void on_taken(void *ctx, const uint8_t *topic, size_t topic_len, const uint8_t *payload,
                     size_t n)
{
    struct estimate_site *s = ctx;
    bool own = topic_len >= strlen(TOPIC_BASE) && memcmp(topic, TOPIC_BASE, strlen(TOPIC_BASE)) == 0;
    if (s->delivered && !own)
        s->delivered(s->ctx, (const char *)topic, topic_len, payload, n);
}

/* ---- a configuration of one peer and one link, made from the operator's ---- */

static void fill_peer(struct estimate_site *s, const struct estimate_site_plan *plan)
{
    const struct config *c = plan->config;
    const struct estimate_link *link = plan->link;
    struct config_peer *p = &s->peer;
    *p = c ? c->peers[plan->peer]
           : (struct config_peer){.name = (char *)"far-end",
                                  .seal = SEAL_FULL,
                                  .seal_tag = SEAL_TAG_DEFAULT,
                                  .timestamps = TIMESTAMPS_S,
                                  .codec = CODEC_AUTO,
                                  .codec_memory = CODEC_MEMORY};
    if (s->end == ESTIMATE_THERE)
        p->name = (char *)(c ? c->site_name : "here");
    p->links = s->links;
    p->secret_file = (char *)"estimate";
    p->next_secret_file = p->drop_key = p->deliver_prefix = p->imei = (char *)"";
    p->accept = s->all;
    p->forward = false;
    p->max_message = MAX_MESSAGE;
    if (link->timestamps >= 0)
        p->timestamps = link->timestamps;
    if (link->codec >= 0)
        p->codec = link->codec;
    if (link->codec_memory)
        p->codec_memory = link->codec_memory;
}

static bool fill_routes(struct estimate_site *s, const struct estimate_site_plan *plan)
{
    const struct config *c = plan->config;
    size_t count = c ? c->route_count : 1;
    s->routes = calloc(count ? count : 1, sizeof *s->routes);
    if (!s->routes)
        return false;
    if (c)
        memcpy(s->routes, c->routes, count * sizeof *s->routes);
    else
        *s->routes = (struct config_route){.name = (char *)"all",
                                           .peers = {&s->peer.name, 1},
                                           .topics = s->all,
                                           .strip_prefix = (char *)"",
                                           .remote_prefix = (char *)"",
                                           .priority = CLASS_NORMAL,
                                           .qos = 1,
                                           .expire_ms = OPTION_NEVER,
                                           .retain = RETAIN_PASS,
                                           .max_payload = MAX_PAYLOAD};
    for (size_t i = 0; i < count && plan->link->backlog; i++)
        s->routes[i].expire_ms = OPTION_NEVER; /* its time is not the messages' */
    s->config.routes = s->routes;
    s->config.route_count = count;
    return true;
}

static bool fill_config(struct estimate_site *s, const struct estimate_site_plan *plan)
{
    static const struct option_group driver = {.name = "estimate"};
    const struct config *c = plan->config;
    s->links = (struct string_list){&s->link_name, 1};
    s->all = (struct string_list){&s->all_filter, 1};
    s->link_name = (char *)"air";
    s->all_filter = (char *)"#";
    fill_peer(s, plan);
    s->link = (struct config_link){.name = s->link_name,
                                   .driver_name = (char *)"estimate",
                                   .driver = &driver,
                                   .metered = plan->link->datagram || plan->link->metered,
                                   .probe_ms = plan->link->probe_ms,
                                   .carry = (1u << CLASS_COUNT) - 1};
    const char *here = c ? c->site_name : "here", *there = c ? c->peers[plan->peer].name : "far-end";
    s->config = (struct config){
        .file = (char *)"estimate",
        .site_name = (char *)(s->end == ESTIMATE_HERE ? here : there),
        .broker = {.host = (char *)"estimate",
                   .port = 1,
                   .protocol = PROTOCOL_311,
                   .client_id = (char *)"estimate",
                   .username = (char *)"",
                   .password_file = (char *)"",
                   .topic_base = (char *)TOPIC_BASE,
                   .session_expiry_ms = OPTION_NEVER},
        .store = {.path = s->path,
                  .max_bytes = c ? c->store.max_bytes : QUEUE_BYTES,
                  .on_full = c ? c->store.on_full : ON_FULL_DROP_OLDEST,
                  .history = c ? c->store.history : HISTORY_BYTES,
                  .codec_cache = c ? c->store.codec_cache / (int64_t)c->peer_count : CACHE_BYTES},
        .peers = &s->peer,
        .peer_count = 1,
        .links = &s->link,
        .link_count = 1,
    };
    return s->end == ESTIMATE_THERE || fill_routes(s, plan);
}

/* ---- life ---- */

static struct bridge_link describe(const struct estimate_site *s, const struct estimate_link *link)
{
    const bool here = s->end == ESTIMATE_HERE;
    const int64_t hold_ms = link->backlog ? BACKLOG_MS : link->hold_ms;
    if (!link->datagram)
        return (struct bridge_link){.rate_bytes_s = (uint32_t)(link->baud / 10)};
    return (struct bridge_link){
        .datagram = true,
        .mtu = here || link->mtu < ESTIMATE_BACK_MTU ? link->mtu : ESTIMATE_BACK_MTU,
        .terms = {(uint32_t)link->credit_bytes, here ? hold_ms : HUB_HOLD_MS, ACK_MAX_AGE_MS,
                  here ? ALARM_PLACES : 0}};
}

int estimate_site_init(struct estimate_site *s, enum estimate_end end,
                       const struct estimate_site_plan *plan, char *err, size_t err_size)
{
    const struct bridge_env env = {.ctx = s,
                                   .broker_write = env_broker_write,
                                   .broker_pending = env_broker_pending,
                                   .broker_drop = env_broker_drop,
                                   .broker_settled = env_broker_settled,
                                   .link_room = env_link_room,
                                   .link_send = env_link_send,
                                   .link_reset = env_link_reset,
                                   .link_counts = env_link_counts,
                                   .store_damaged = env_store_damaged,
                                   .random = env_random,
                                   .secret = env_secret,
                                   .log = env_log};
    struct store_opened opened;
    s->end = end;
    estimate_broker_init(&s->broker, on_taken, s);
    buf_init(&s->to_broker, BUFFER_MAX);
    snprintf(s->path, sizeof s->path, "%s/%s.db", plan->folder, end == ESTIMATE_HERE ? "here" : "there");
    snprintf(err, err_size, "out of memory");
    if (!fill_config(s, plan))
        return -ENOMEM;
    int rc = store_open(&s->store, s->path, s->now, env_random, s, &opened, err, err_size);
    if (rc != 0)
        return rc < 0 ? rc : -EBUSY;
    const struct bridge_link link = describe(s, plan->link);
    s->bridge = bridge_new(&s->config, &link, s->store, &env, NULL, 0, s->now, err, err_size);
    if (!s->bridge || store_peer_id(s->store, s->peer.name, &s->peer_id) != 0)
        return -EIO;
    bridge_broker_open(s->bridge, s->now);
    bridge_link_state(s->bridge, 0, 0, BRIDGE_LINK_UP, "estimate", s->now);
    return 0;
}

void estimate_site_fini(struct estimate_site *s)
{
    if (s->bridge)
        bridge_free(s->bridge);
    if (s->store)
        store_close(s->store);
    estimate_broker_fini(&s->broker);
    buf_fini(&s->to_broker);
    free(s->routes);
}

/* ---- events ---- */

bool estimate_site_serve(struct estimate_site *s)
{
    if (s->to_broker.len > 0) {
        s->broken |= !estimate_broker_feed(&s->broker, buf_bytes(&s->to_broker), s->to_broker.len);
        buf_clear(&s->to_broker);
    } else if (s->broker.out.len > 0) {
        uint8_t bytes[BROKER_BYTES];
        size_t n = s->broker.out.len < sizeof bytes ? s->broker.out.len : sizeof bytes;
        memcpy(bytes, buf_bytes(&s->broker.out), n);
        buf_consume(&s->broker.out, n);
        bridge_broker_bytes(s->bridge, bytes, n, s->now);
        if (s->broker.out.len == 0)
            bridge_broker_dry(s->bridge, s->now);
    } else if (bridge_deadline(s->bridge, s->now) <= s->now->mono_ms) {
        bridge_on_timer(s->bridge, s->now);
    } else {
        return false;
    }
    return true;
}

int64_t estimate_site_deadline(struct estimate_site *s)
{
    return bridge_deadline(s->bridge, s->now);
}

void estimate_site_hears(struct estimate_site *s, const struct estimate_air_event *e)
{
    switch (e->kind) {
    case ESTIMATE_AIR_DELIVER:
        bridge_link_bytes(s->bridge, 0, 0, e->bytes, e->n, s->now);
        break;
    case ESTIMATE_AIR_SENT:
        bridge_link_sent(s->bridge, 0, 0, e->token, SEND_DONE, s->now);
        break;
    case ESTIMATE_AIR_WRITABLE:
        bridge_link_writable(s->bridge, 0, 0, s->now);
        break;
    }
}
