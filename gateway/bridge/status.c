/* `longwire status --json`: DESIGN 6. */
#include "gateway/bridge/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

struct counters {
    json_t *dropped, *gaps, *other;
    json_int_t delivered, received;
};

static void add_counter(void *ctx, const char *name, uint64_t value)
{
    struct counters *c = ctx;
    if (strcmp(name, "delivered") == 0)
        c->delivered = (json_int_t)value;
    else if (strcmp(name, "received") == 0)
        c->received = (json_int_t)value;
    else if (strncmp(name, "dropped.", 8) == 0)
        json_object_set_new(c->dropped, name + 8, json_integer((json_int_t)value));
    else if (strncmp(name, "gap.", 4) == 0)
        json_object_set_new(c->gaps, name + 4, json_integer((json_int_t)value));
    else
        json_object_set_new(c->other, name, json_integer((json_int_t)value));
}

static json_t *link_json(struct bridge *b, struct peer *p)
{
    static const char *const states[] = {"idle", "greeting", "ready", "silent"};
    const struct config_link *l = &b->config->links[p->link];
    struct channel_status s;
    channel_status(p->channel, &s);
    uint64_t bytes_out = 0, bytes_in = 0;
    char detail[128] = "";
    b->env.link_counts(b->env.ctx, p->link, &bytes_out, &bytes_in, detail, sizeof detail);
    json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "name", l->name, "driver",
                     l->driver->name, "state", p->link_up ? states[channel_state(p->channel)] : "down", "active",
                     p->link_up && channel_state(p->channel) == CHANNEL_READY, "bytes_out", (json_int_t)bytes_out,
                     "bytes_in", (json_int_t)bytes_in, "frames_out", (json_int_t)s.frames_out, "frames_in",
                     (json_int_t)s.frames_in, "retransmits", (json_int_t)s.retransmits, "bad_frames",
                     (json_int_t)s.bad_frames, "echoes", (json_int_t)s.echoes, "stream_bytes_out",
                     (json_int_t)s.stream_bytes_out, "stream_bytes_in", (json_int_t)s.stream_bytes_in, "rtt_ms",
                     (json_int_t)s.rtt_ms, "detail", detail);
    const char *of_peer = p->report.json, *of_link = b->reports[p->link].json;
    if (o && of_link)
        json_object_set_new(o, "report", json_loads(of_link, 0, NULL));
    if (o && of_peer)
        json_object_set_new(o, "peer_report", json_loads(of_peer, 0, NULL));
    return o;
}

static json_t *peer_json(struct bridge *b, int id, const char *name, struct peer *p)
{
    struct store_queue q;
    struct counters c = {json_object(), json_object(), json_object(), 0, 0};
    if (store_peer_queue(b->store, id, &q) != 0 || store_counters_each(b->store, id, add_counter, &c) != 0)
        memset(&q, 0, sizeof q);
    struct channel_status s = {0};
    if (p)
        channel_status(p->channel, &s);
    double oldest = q.messages && q.oldest_age_ms >= 0 ? (double)(bridge_age(b) - q.oldest_age_ms) / 1000 : 0;
    json_t *o = json_pack("{s:s, s:{s:I, s:I, s:f}, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I}", "name", name, "queue", "messages",
                          (json_int_t)(q.messages + q.held_messages), "bytes", (json_int_t)(q.bytes + q.held_bytes), "oldest_s",
                          oldest, "delivered", c.delivered, "received", c.received, "dropped", c.dropped, "gaps_received",
                          c.gaps, "counters", c.other, "waiting_for_broker", (json_int_t)q.inbox_messages, "next_number",
                          (json_int_t)q.next_number, "epoch", (json_int_t)s.epoch);
    if (!o)
        return NULL;
    json_t *links = json_array();
    if (p)
        json_object_set_new(o, "key", keys_json(p, &s));
    if (p)
        json_array_append_new(links, link_json(b, p));
    else
        json_object_set_new(o, "removed", json_true());
    json_object_set_new(o, "links", links);
    return o;
}

struct listing {
    struct bridge *b;
    json_t *peers;
};

static void list_peer(void *ctx, int id, const char *name)
{
    struct listing *l = ctx;
    struct peer *p = peers_by_id(l->b, id);
    json_array_append_new(l->peers, peer_json(l->b, id, name, p));
}

char *bridge_status_json(struct bridge *b, const struct store_now *now)
{
    b->now = *now;
    struct listing l = {b, json_array()};
    if (store_peers_each(b->store, list_peer, &l) != 0)
        bridge_logf(b, BRIDGE_WARN, "store", "status is not whole: %s", store_error(b->store));
    json_t *o = json_pack("{s:s, s:I, s:{s:b, s:I, s:I, s:I}, s:{s:I, s:I}, s:{s:I, s:b}, s:o}", "site", b->config->site_name, "uptime_s",
                          (json_int_t)((now->mono_ms - b->started_ms) / 1000), "broker", "connected", b->broker.connected,
                          "received", (json_int_t)b->broker.received, "published", (json_int_t)b->broker.published,
                          "lost_while_full", (json_int_t)b->broker.refused_full, "guests", "now",
                          (json_int_t)b->guest_count, "refused", (json_int_t)b->guests_refused, "store", "bytes", (json_int_t)store_file_bytes(b->store), "full", store_full(b->store), "peers", l.peers);
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(o);
    return text;
}
