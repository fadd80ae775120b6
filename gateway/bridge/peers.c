/* Peers: one channel each, on one link. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/wire/codec_mix.h"

#define MODEL_BYTES_S 2000 /* of line, that the model feeds on a slow processor */
#define PUMP_ROUNDS 64 /* frames handed to one link in one turn, so that others get theirs */

/* ---- the channel's services ---- */

static void op_output(void *ctx, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    struct peer *p = ctx;
    struct bridge *b = p->bridge;
    if (b->env.link_send(b->env.ctx, p->link, p->station, bytes, n, token, urgent) == 0)
        return;
    bridge_logf(b, BRIDGE_DEBUG, "link", "frame not taken peer=%s bytes=%zu", p->config->name, n);
    p->refused_token = token;
}

static bool op_next_record(void *ctx, size_t room, struct record *r)
{
    return sender_next_record(ctx, room, r);
}

static void op_acked(void *ctx, uint64_t count)
{
    sender_acked(ctx, count);
}

static int op_record(void *ctx, const struct record *r, uint64_t frame)
{
    (void)frame;
    return receiver_record(ctx, r);
}

static void op_frame_done(void *ctx, uint64_t frame)
{
    struct peer *p = ctx;
    p->frame_done = frame;
    p->models_used = ++p->bridge->models_used;
    if (p->sender.datagram)
        peers_bound_models(p->bridge, p);
    p->frames_waiting = true;
    custody_dirty(p->bridge, COMMIT_SOON_MS);
}

static int op_greeting(void *ctx, const struct channel_identity *them, struct channel_marks *ours)
{
    return receiver_greeting(ctx, them, ours);
}

static void op_acked_record(void *ctx, uint64_t index)
{
    sender_acked_record(ctx, index);
}

static void op_greeted(void *ctx, const struct channel_marks *theirs)
{
    struct peer *p = ctx;
    if (theirs)
        sender_greeted(p, theirs);
    else
        sender_epoch(p);
    p->sender.kick = true;
}

static enum channel_prime op_prime(void *ctx, bool out, struct record *r)
{
    struct peer *p = ctx;
    if (p->sender.datagram)
        return peers_anchor_next(p, out, r) ? CHANNEL_PRIME_RECORD : CHANNEL_PRIME_END;
    return peers_prime(p, out, r);
}

static bool op_prime_within(void *ctx, bool out, unsigned units)
{
    return peers_prime_within(ctx, out, units);
}

static bool op_hurry(void *ctx, bool late)
{
    return late ? sender_waits(ctx) : sender_lane_ready(ctx, CLASS_ALARM);
}

static bool op_anchor_open(void *ctx, bool out, uint32_t id)
{
    return peers_anchor_open(ctx, out, id);
}

static bool op_anchor_propose(void *ctx, uint64_t *up_to, uint32_t *id)
{
    return peers_anchor_propose(ctx, up_to, id);
}

static void op_anchor_proposed(void *ctx, uint64_t up_to, uint32_t id)
{
    peers_anchor_proposed(ctx, up_to, id);
}

static void op_primed(void *ctx, bool out)
{
    struct peer *p = ctx;
    priming_drop(out ? &p->prime_out : &p->prime_in);
    peers_anchor_close(p, out);
}

static void op_state(void *ctx, enum channel_state state, const char *why)
{
    static const char *const names[] = {"idle", "greeting", "ready", "silent"};
    struct peer *p = ctx;
    if (state == p->shown_state)
        return;
    p->shown_state = state;
    bridge_logf(p->bridge, BRIDGE_INFO, "peer", "%s%s%s peer=%s", names[state], why && *why ? ": " : "", why ? why : "",
                p->config->name);
    state_changed(p->bridge);
}

static void op_give_up(void *ctx, const char *why)
{
    struct peer *p = ctx;
    struct bridge *b = p->bridge;
    bridge_logf(b, BRIDGE_WARN, "peer", "link reset: %s peer=%s", why, p->config->name);
    b->env.link_reset(b->env.ctx, p->link, p->station, why);
}

static uint32_t op_random(void *ctx)
{
    return bridge_random32(((struct peer *)ctx)->bridge);
}

static void op_random_bytes(void *ctx, void *bytes, size_t n)
{
    const struct bridge *b = ((struct peer *)ctx)->bridge;
    b->env.random(b->env.ctx, bytes, n);
}

static void op_key_in_use(void *ctx, bool next)
{
    keys_in_use(ctx, next);
}

static uint64_t op_work_us(void *ctx)
{
    struct bridge *b = ((struct peer *)ctx)->bridge;
    return b->env.work_us ? b->env.work_us(b->env.ctx) : 0;
}

static uint64_t op_grant(void *ctx)
{
    return receiver_grant(ctx);
}

static void op_take_back(void *ctx)
{
    sender_take_back(ctx);
}

static void op_pending(void *ctx, struct channel_pending *out)
{
    sender_pending(ctx, out);
}

static void op_forgotten(void *ctx)
{
    struct peer *p = ctx;
    if (sender_ever_settled(p))
        bridge_logf(p->bridge, BRIDGE_WARN, "peer", "has lost what it had of ours: told, and begun anew peer=%s", p->config->name);
    sender_forget_topics(p);
}

static void op_settled(void *ctx, uint64_t up_to[CLASS_COUNT])
{
    sender_settled(ctx, up_to);
}

static bool op_has_settled(void *ctx, const uint64_t up_to[CLASS_COUNT])
{
    return receiver_has_settled(ctx, up_to);
}

static bool op_other_store(void *ctx, const struct channel_identity *them)
{
    return receiver_other_store(ctx, them);
}

static void op_restored(void *ctx, const struct record *r)
{
    sender_restored(ctx, r);
}

static const struct channel_ops channel_ops = {
    .forgotten = op_forgotten,
    .settled = op_settled,
    .has_settled = op_has_settled,
    .other_store = op_other_store,
    .receiver_changed = peers_receiver_changed,
    .anchor_open = op_anchor_open,
    .anchor_propose = op_anchor_propose,
    .anchor_proposed = op_anchor_proposed,
    .take_back = op_take_back,
    .pending = op_pending,
    .keep_frame = peers_keep_frame,
    .drop_frame = peers_drop_frame,
    .keep_leaning = peers_keep_leaning,
    .next_leaning = peers_next_leaning,
    .only_leaning = peers_only_leaning,
    .saved_changed = peers_saved_changed,
    .restored = op_restored,
    .output = op_output,
    .next_record = op_next_record,
    .acked = op_acked,
    .acked_record = op_acked_record,
    .record = op_record,
    .frame_done = op_frame_done,
    .greeting = op_greeting,
    .greeted = op_greeted,
    .prime = op_prime,
    .prime_within = op_prime_within,
    .hurry = op_hurry,
    .primed = op_primed,
    .state = op_state,
    .give_up = op_give_up,
    .random = op_random,
    .random_bytes = op_random_bytes,
    .key_in_use = op_key_in_use,
    .grant = op_grant,
    .work_us = op_work_us,
};

/* ---- life ---- */

struct peer *peers_find(struct bridge *b, const char *name)
{
    for (size_t i = 0; i < b->peer_count; i++)
        if (strcmp(b->peers[i].config->name, name) == 0)
            return &b->peers[i];
    return NULL;
}

struct peer *peers_by_id(struct bridge *b, int id)
{
    for (size_t i = 0; i < b->peer_count; i++)
        if (b->peers[i].id == id)
            return &b->peers[i];
    return NULL;
}

static size_t link_of(const struct bridge *b, const struct config_peer *c)
{
    const struct config_link *l = config_find_link(b->config, c->links.items[0]);
    return (size_t)(l - b->config->links);
}

/* A share that is smaller than the smallest model has none. */
static unsigned codec_version(const struct bridge *b, const struct config_peer *c)
{
    return c->codec == CODEC_PLAIN || peers_model_share(b) < CODEC_MIX_MEMORY_MIN ? 1 : CODEC_VERSION_MAX;
}

/* The peer's station on a link that knows all of them from the start. NULL: not one of those. */
static const struct bridge_station *station_of(const struct bridge_link *l, const char *name)
{
    for (size_t i = 0; i < l->station_count; i++)
        if (strcmp(l->stations[i].peer, name) == 0)
            return &l->stations[i];
    return NULL;
}

static void describe_datagrams(const struct bridge_link *l, const struct bridge_station *at, struct channel_config *cc)
{
    const struct bridge_terms *t = at ? &at->terms : &l->terms;
    cc->mtu = at ? at->mtu : l->mtu;
    cc->quantum_bytes = t->quantum_bytes;
    cc->hold_ms = t->hold_ms;
    cc->ack_max_age_ms = t->ack_max_age_ms;
    cc->alarm_places = t->alarm_places;
}

static int peer_init(struct bridge *b, struct peer *p, const struct config_peer *c)
{
    p->bridge = b;
    p->config = c;
    p->link = link_of(b, c);
    int rc = store_peer_id(b->store, c->name, &p->id);
    if (rc != 0)
        return rc < 0 ? rc : -ENOSPC;
    if ((rc = sender_init(p)) < 0 || (rc = receiver_init(p)) < 0)
        return rc;

    const struct config_link *cl = &b->config->links[p->link];
    const struct bridge_link *l = &b->links[p->link];
    struct store_segment segment;
    rc = store_segment_of(b->store, p->id, &segment);
    if (rc < 0)
        return rc;
    struct channel_identity own = {store_generation(b->store), segment.id, segment.predecessor, segment.predecessor_end};
    struct channel_config cc = {
        .kind = l->datagram ? CHANNEL_DATAGRAM : CHANNEL_STREAM,
        .metered = cl->metered,
        .half_duplex = l->half_duplex,
        .introduces = l->calls,
        /* Which end may start after silence without a random wait: both must agree without being told, so the names say it. */
        .speaks_first = strcmp(b->config->site_name, c->name) < 0,
        .probe_ms = cl->metered ? 0 : cl->probe_ms,
        .rate_bytes_s = l->rate_bytes_s,
        .avoid_count = l->avoid_count,
        .max_message = (uint32_t)c->max_message,
        .codec_version = codec_version(b, c),
        .codec_memory = peers_model_memory(b, c, l->datagram),
        .receive_memory = (size_t)c->codec_memory,
        .models = b->models,
        .effort = c->codec == CODEC_FAST ? CODEC_EFFORT_FAST : CODEC_EFFORT_FULL,
        /* Where bytes cost, or the line is known to be slower than any model, the fewest. */
        .effort_fixed = c->codec != CODEC_AUTO || cl->metered || (l->rate_bytes_s && l->rate_bytes_s < MODEL_BYTES_S),
    };
    strcpy(cc.own_name, b->config->site_name);
    strcpy(cc.peer_name, c->name);
    memcpy(cc.avoid, l->avoid, sizeof cc.avoid);
    const struct bridge_station *at = station_of(l, c->name);
    p->station = at ? at->station : 0;
    p->mtu = at ? at->mtu : l->mtu;
    describe_datagrams(l, at, &cc);
    p->sender.datagram = l->datagram;
    rc = keys_fill(p, &cc);
    if (rc == 0) {
        p->channel = channel_new(&cc, &own, &channel_ops, p);
        rc = p->channel ? 0 : -ENOMEM;
    }
    explicit_bzero(&cc.secrets, sizeof cc.secrets);
    if (rc < 0)
        return rc;
    return l->datagram ? peers_load_channel(p) : 0;
}

int peers_init(struct bridge *b)
{
    b->peers = calloc(b->config->peer_count ? b->config->peer_count : 1, sizeof *b->peers);
    b->link_up = calloc(b->config->link_count ? b->config->link_count : 1, sizeof *b->link_up);
    b->deliveries = calloc(b->config->link_count ? b->config->link_count : 1, sizeof *b->deliveries);
    b->reports = calloc(b->config->link_count ? b->config->link_count : 1, sizeof *b->reports);
    if (!b->env.models)
        b->own_models = primer_models_new();
    b->models = b->env.models ? b->env.models : b->own_models;
    if (!b->peers || !b->link_up || !b->deliveries || !b->reports || !b->models || guests_init(b) < 0)
        return -ENOMEM;
    if (b->config->peer_count > 0 && peers_model_share(b) < CODEC_MIX_MEMORY_MIN)
        bridge_logf(b, BRIDGE_WARN, "peer", "codec_cache is too small for so many peers: nothing is squeezed peers=%zu",
                    b->config->peer_count);
    for (size_t i = 0; i < b->config->peer_count; i++) {
        b->peer_count++;
        int rc = peer_init(b, &b->peers[i], &b->config->peers[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void peers_fini(struct bridge *b)
{
    for (size_t i = 0; b->peers && i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        channel_free(p->channel);
        receiver_fini(p);
        priming_drop(&p->prime_out);
        priming_drop(&p->prime_in);
        peers_anchor_close(p, false);
        peers_anchor_close(p, true);
        free(p->report.json);
        if (p->sender.topics)
            sender_fini(p);
    }
    primer_models_free(b->own_models);
    for (size_t i = 0; b->reports && i < b->config->link_count; i++)
        free(b->reports[i].json);
    free(b->reports);
    free(b->deliveries);
    free(b->peers);
    guests_fini(b);
    free(b->link_up);
}

/* ---- sending ---- */

void peers_pump(struct bridge *b)
{
    int64_t now = b->now.mono_ms;
    for (size_t i = 0; i < b->peer_count && !b->failed; i++) {
        struct peer *p = &b->peers[i];
        if (p->restart_channel)
            channel_restart(p->channel, "the peer has a new store", now);
        p->restart_channel = false;
        bool refused = false;
        for (int k = 0; p->link_up && k < PUMP_ROUNDS && !b->failed; k++) {
            size_t room = b->env.link_room(b->env.ctx, p->link, p->station);
            if (room == 0 || channel_pump(p->channel, room, now) == 0)
                break;
            if (p->refused_token) {
                channel_sent(p->channel, p->refused_token, CHANNEL_SENT_REFUSED, now);
                p->refused_token = 0;
                if (refused)
                    break;
                refused = true; /* an alarm may still pass */
            }
        }
    }
}

int64_t peers_deadline(const struct bridge *b)
{
    int64_t at = peers_priming(b) ? b->now.mono_ms : NEVER;
    for (size_t i = 0; i < b->peer_count; i++) {
        int64_t t = channel_deadline(b->peers[i].channel, b->now.mono_ms);
        if (t < at)
            at = t;
    }
    int64_t guests = guests_deadline(b);
    return guests < at ? guests : at;
}

/* A metered link stays silent unless something waits; what waits from before our start nobody has told the channel of. */
static void link_up(struct peer *p)
{
    if (sender_waits(p))
        channel_kick(p->channel, p->bridge->now.mono_ms);
    channel_link_up(p->channel, p->bridge->now.mono_ms);
}

void peers_attach(struct peer *p, uint64_t station, struct channel_guest *guest)
{
    struct bridge *b = p->bridge;
    if (p->link_up) {
        channel_link_down(p->channel, b->now.mono_ms);
        b->env.link_reset(b->env.ctx, p->link, p->station, "replaced by a newer connection of the same site");
    }
    p->station = station;
    p->link_up = true;
    if (sender_waits(p))
        channel_kick(p->channel, b->now.mono_ms);
    channel_guest_join(guest, p->channel, b->now.mono_ms);
}

static struct peer *find_peer(struct bridge *b, size_t link, uint64_t station)
{
    for (size_t i = 0; i < b->peer_count; i++)
        if (b->peers[i].link == link && b->peers[i].link_up && b->peers[i].station == station)
            return &b->peers[i];
    return NULL;
}

void peers_on_timer(struct bridge *b)
{
    for (size_t i = 0; i < b->peer_count; i++)
        channel_on_timer(b->peers[i].channel, b->now.mono_ms);
    peers_prime_some(b);
    guests_on_timer(b);
}

/* ---- events of the links ---- */

static void set_link(struct bridge *b, struct peer *p, uint64_t station, bool up)
{
    if (up == p->link_up && station == p->station)
        return;
    if (p->link_up)
        channel_link_down(p->channel, b->now.mono_ms);
    p->link_up = up;
    p->station = station;
    if (up)
        link_up(p);
}

void bridge_link_state(struct bridge *b, size_t link, uint64_t station, enum bridge_link_state state, const char *why,
                       const struct store_now *now)
{
    static const char *const names[] = {"down", "connecting", "up"};
    b->now = *now;
    bool up = state == BRIDGE_LINK_UP;
    bool listener = b->links[link].listener;
    if (station == 0 || !(listener || b->links[link].addressed)) {
        b->link_up[link] = up;
        bridge_logf(b, BRIDGE_INFO, "link", "%s%s%s link=%s", names[state], why && *why ? ": " : "", why ? why : "",
                    b->config->links[link].name);
        state_changed(b);
    }
    if (listener && station != 0) {
        struct guest *g = guests_find(b, link, station);
        struct peer *p = find_peer(b, link, station);
        if (up && !g && !p)
            guests_add(b, link, station, why ? why : "");
        else if (!up && g)
            guests_remove(b, g);
        else if (!up && p)
            set_link(b, p, 0, false);
    } else if (!listener) {
        bool addressed = b->links[link].addressed;
        for (size_t i = 0; i < b->peer_count; i++) {
            struct peer *p = &b->peers[i];
            if (p->link == link && (!addressed || station == 0 || p->station == station))
                set_link(b, p, addressed ? p->station : station, up);
        }
    }
    bridge_turn(b);
}

static void peer_bytes(struct peer *p, const uint8_t *bytes, size_t n)
{
    channel_on_bytes(p->channel, bytes, n, p->bridge->now.mono_ms);
    keys_watch(p);
}

void bridge_link_bytes(struct bridge *b, size_t link, uint64_t station, const uint8_t *bytes, size_t n, const struct store_now *now)
{
    b->now = *now;
    struct peer *p = find_peer(b, link, station);
    struct guest *g = p ? NULL : guests_find(b, link, station);
    if (p)
        peer_bytes(p, bytes, n);
    else if (g)
        guests_bytes(b, g, bytes, n);
    b->deliveries[link].given++;
    bridge_turn(b);
}

void bridge_link_writable(struct bridge *b, size_t link, uint64_t station, const struct store_now *now)
{
    (void)station;
    b->now = *now;
    for (size_t i = 0; i < b->peer_count; i++)
        if (b->peers[i].link == link)
            channel_writable(b->peers[i].channel);
    bridge_turn(b);
}

void bridge_link_sent(struct bridge *b, size_t link, uint64_t station, uint64_t token, int outcome, const struct store_now *now)
{
    b->now = *now;
    struct peer *p = find_peer(b, link, station);
    if (p)
        channel_sent(p->channel, token, outcome, now->mono_ms);
    bridge_turn(b);
}
