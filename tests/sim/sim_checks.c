#include "tests/sim/sim_world.h"
#include "tests/support/nonces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store/ahead.h"
#include "store/inbox.h"
#include "store/outbox.h"
#include "store/peers.h"
#include "tests/sim/sim_memory.h"

#define IDLE_SETTLE_MS  (2 * 3600 * 1000)  /* the last acknowledgements, and a grown grant told seven times, ever later */
#define IDLE_MS         (6ll * 3600 * 1000)
#define IDLE_TIMERS_A_S 2                  /* timer calls a second, at most, of an idle site with keepalives and probes */
#define LIVENESS_BASE_MS (20 * 60 * 1000)  /* back-offs, time limits of silent peers, reopening of links */
#define DATAGRAM_EXTRA_MS (12ll * 3600 * 1000)
#define REFUSED_MS      (5 * 60 * 1000)    /* three connections that end, with back-off between */
#define MESSAGE_COST    120                /* bytes on the line beside a payload: topic, frame, record, acknowledgement */
#define LINE_SHARE      4                  /* the line may take this many times as long as the bytes alone */
#define PROBE_BYTES_MAX 64                 /* of one probe and its answer */
#define MEMORY_SLACK    (64 << 10)         /* buffers of the usual size that are there at one moment and not at another */
#define GARBAGE_PIECES  200
#define GARBAGE_BYTES   2048               /* of a piece, at most */
#define GARBAGE_MS      (10 * 60 * 1000)

/* ---- what the stores hold ---- */

/* Marks a message that came ahead of its predecessors (datagram links), read from the blob that the bridge keeps of it:
 * age, previous number, flags, origin, expiry, topic, properties, hops, payload. */
static void mark_ahead(struct sim_world *w, const void *blob, size_t n, uint8_t *marks)
{
    struct reader in = reader_of(blob, n);
    read_be64(&in);
    read_varint(&in);
    read_u8(&in);
    read_be64(&in);
    read_varint(&in);
    char topic[256];
    size_t len = read_varint(&in);
    const uint8_t *text = read_bytes(&in, len);
    read_bytes(&in, read_varint(&in));
    read_bytes(&in, read_varint(&in));
    if (in.bad || len >= sizeof topic)
        return;
    memcpy(topic, text, len);
    topic[len] = '\0';
    uint32_t id = sim_ledger_find(&w->ledger, topic, in.p, (uint32_t)in.left);
    if (id != SIM_NO_MESSAGE)
        marks[id] = 1;
}

/* Marks the messages in a site's outbox and inbox. */
static void mark_stored(struct sim_world *w, unsigned site, bool outbox, uint8_t *marks)
{
    struct sim_site *s = &w->sites[site];
    int peer;
    if (!s->alive || store_peer_id(s->store, w->sites[!site].name, &peer) != 0)
        return;
    struct store_mark received[CLASS_COUNT];
    struct store_remote of;
    bool met = !outbox && store_marks(s->store, peer, received, &of) == 0;
    for (int c = 0; met && c < CLASS_COUNT; c++) {
        for (unsigned i = 0; i < received[c].early_count; i++) {
            void *blob = NULL;
            size_t n;
            if (store_ahead_get(s->store, peer, (enum msg_class)c, received[c].early[i], &blob, &n) == 0)
                mark_ahead(w, blob, n, marks);
            free(blob);
        }
    }
    for (int c = 0; c < CLASS_COUNT; c++) {
        struct outbox_row out;
        struct inbox_row in;
        uint64_t after = 0;
        int64_t key = 0;
        while (outbox && store_outbox_next(s->store, peer, (enum msg_class)c, after, UINT32_MAX, &out) == 0) {
            after = out.number;
            if (out.msg) {
                uint32_t id = sim_ledger_find(&w->ledger, out.msg->topic, out.msg->payload, out.msg->payload_len);
                if (id != SIM_NO_MESSAGE)
                    marks[id] = 1;
                msg_free(out.msg);
            }
        }
        while (!outbox && store_inbox_next(s->store, (enum msg_class)c, key, &in) == 0) {
            key = in.key;
            uint32_t id = sim_ledger_find(&w->ledger, in.msg->topic, in.msg->payload, in.msg->payload_len);
            if (id != SIM_NO_MESSAGE)
                marks[id] = 1;
            msg_free(in.msg);
        }
    }
}

void sim_check_custody(struct sim_world *w, unsigned site)
{
    struct sim_ledger *l = &w->ledger;
    if (!w->sites[0].alive || !w->sites[1].alive || w->sites[0].disk.error_ppm || w->sites[1].disk.error_ppm)
        return;
    uint8_t *marks = calloc(l->count + 1, 1);
    mark_stored(w, site, true, marks);
    mark_stored(w, !site, false, marks);
    for (uint32_t i = 0; marks && i < l->count; i++) {
        const struct sim_message *m = &l->messages[i];
        const struct sim_route *r = &l->routes[m->from][m->route];
        if (m->from == site && m->acked && m->qos && r->qos && !m->accepted && !r->discards && !m->refused && !m->expiry_s && !m->store_lost && !marks[i])
            sim_fail(&w->report, "custody", "message %u was acknowledged to %s's broker; after a restart it is in neither store", i,
                     w->sites[site].name);
    }
    free(marks);
}

void sim_check_excuse(struct sim_world *w)
{
    struct sim_ledger *l = &w->ledger;
    uint8_t *marks = calloc(l->count + 1, 1);
    for (unsigned site = 0; marks && site < 2; site++) {
        mark_stored(w, site, true, marks);
        mark_stored(w, site, false, marks);
    }
    for (uint32_t i = 0; marks && i < l->count; i++) {
        struct sim_message *m = &l->messages[i];
        if (m->offers && (!m->accepted || marks[i] || m->open_copies || w->plan.hazards & HAZARD_STORE_OLD))
            m->store_lost = true;
    }
    free(marks);
}

void sim_check_unmarked(struct sim_world *w, unsigned site)
{
    uint8_t *marks = calloc(w->ledger.count + 1, 1);
    if (marks && !w->sites[site].broker.v5)
        mark_stored(w, site, false, marks);
    for (uint32_t i = 0; marks && i < w->ledger.count; i++)
        w->ledger.messages[i].unmarked_again += marks[i];
    free(marks);
}

void sim_check_late(struct sim_world *w, unsigned site)
{
    bool late = false;
    for (size_t i = 0; i < w->line.datagram_count; i++)
        late |= w->line.datagrams[i]->to == site;
    for (uint32_t i = 0; late && !(w->plan.hazards & HAZARD_SEALED) && i < w->ledger.count; i++)
        w->ledger.messages[i].unmarked_again += w->ledger.messages[i].from != site && w->ledger.messages[i].accepted > 0;
}

/* ---- rest ---- */

static bool queues_empty(struct sim_site *s, const char *peer_name)
{
    struct store_queue q;
    int peer;
    if (!s->alive || store_peer_id(s->store, peer_name, &peer) != 0 || store_peer_queue(s->store, peer, &q) != 0)
        return false;
    return q.messages == 0 && q.inbox_messages == 0 && q.held_messages == 0;
}

const char *sim_check_queues(struct sim_world *w, char out[160])
{
    size_t n = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct store_queue q = {0};
        int peer;
        struct sim_site *s = &w->sites[i];
        if (s->alive && store_peer_id(s->store, w->sites[!i].name, &peer) == 0 && store_peer_queue(s->store, peer, &q) == 0)
            n += (size_t)snprintf(out + n, 160 - n, " %s: broker %zu, outbox %llu, inbox %llu, held %llu;", s->name,
                                  sim_broker_backlog(&s->broker), (unsigned long long)q.messages,
                                  (unsigned long long)q.inbox_messages, (unsigned long long)q.held_messages);
        else
            n += (size_t)snprintf(out + n, 160 - n, " %s is down;", s->name);
    }
    return out;
}

/* Each row that waits and each message that did not come out, for the trace of a run that did not come to rest. */
void sim_check_trace_queues(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->ledger.count; i++) {
        const struct sim_message *m = &w->ledger.messages[i];
        if (!w->ledger.routes[m->from][m->route].discards && sim_ledger_missing(&w->ledger, m))
            sim_trace(&w->report, "CHECK", "message=%u of %s is due topic=%s", i, w->sites[m->from].name, m->topic);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct sim_site *s = &w->sites[i];
        int peer;
        if (!s->alive || store_peer_id(s->store, w->sites[!i].name, &peer) != 0)
            continue;
        for (int c = 0; c < CLASS_COUNT; c++) {
            struct outbox_row out;
            struct inbox_row in;
            uint64_t after = 0;
            int64_t key = 0;
            for (; store_outbox_next(s->store, peer, (enum msg_class)c, after, 0, &out) == 0; after = out.number) {
                sim_trace(&w->report, s->name, "outbox class=%d number=%llu %s", c, (unsigned long long)out.number,
                          out.gap ? "gap" : out.msg->topic);
                msg_free(out.msg);
            }
            for (; store_inbox_next(s->store, (enum msg_class)c, key, &in) == 0; key = in.key) {
                sim_trace(&w->report, s->name, "inbox class=%d number=%llu state=%d packet_id=%u qos=%u %s", c,
                          (unsigned long long)in.number, in.state, in.packet_id, in.msg->qos, in.msg->topic);
                msg_free(in.msg);
            }
        }
    }
}

bool sim_check_rest(struct sim_world *w)
{
    return sim_ledger_due(&w->ledger) == 0 && sim_broker_backlog(&w->sites[0].broker) == 0 &&
           sim_broker_backlog(&w->sites[1].broker) == 0 && queues_empty(&w->sites[0], "hub") && queues_empty(&w->sites[1], "edge");
}

int64_t sim_check_bound_ms(const struct sim_world *w)
{
    int64_t refused = 0, bytes = 0, round_trip = 2 * (w->plan.line.profile.delay_ms + w->plan.line.profile.jitter_ms);
    for (uint32_t i = 0; i < w->ledger.count; i++)
        if (!w->ledger.messages[i].accepted)
            bytes += (int64_t)w->ledger.messages[i].len + MESSAGE_COST;
    for (uint32_t i = 0; w->plan.hazards & HAZARD_REFUSE && i < w->ledger.count; i++)
        refused += i % 13 == 5;
    return LIVENESS_BASE_MS + LINE_SHARE * bytes * 1000 / w->plan.line.profile.rate_bytes_s + 200 * round_trip + refused * REFUSED_MS +
           (w->plan.line.half_duplex ? bytes * 1000 / 64 : 0) +
           /* A frame lost on a datagram link shows late: at the next ack that rides, or after a long wait. */
           (w->plan.line.mtu ? DATAGRAM_EXTRA_MS : 0);
}

/* ---- silence, and noise ---- */

static void check_growth(struct sim_world *w, const size_t before[2], const char *with)
{
    for (unsigned i = 0; i < 2; i++)
        if (sim_memory_bytes(i) > before[i] + MEMORY_SLACK)
            sim_fail(&w->report, "memory", "%s has grown with %s: it held %zu bytes and holds %zu", w->sites[i].name, with, before[i],
                     sim_memory_bytes(i));
}

/* Bytes that nobody sent come in, at random or like frames that were damaged: a flag, a header, a length. */
static void garbage(void *ctx, uint64_t left)
{
    struct sim_world *w = ctx;
    uint8_t bytes[GARBAGE_BYTES];
    unsigned to = (unsigned)rng_range(&w->rng, 0, 1);
    size_t n = (size_t)rng_skewed(&w->rng, 1, w->plan.line.mtu ? (int64_t)w->plan.line.mtu : (int64_t)sizeof bytes);
    rng_bytes(&w->rng, bytes, n);
    for (size_t i = 0; i < n && rng_chance(&w->rng, PPM / 2); i += (size_t)rng_range(&w->rng, 1, 64))
        bytes[i] = (uint8_t)(rng_chance(&w->rng, PPM / 2) ? 0x7e : 0xe0 | rng_range(&w->rng, 0, 0x1f));
    if (w->sites[to].alive && w->line.ends[to].state == SIM_LINE_UP)
        sim_site_link_bytes(&w->sites[to], sim_line_station(&w->line, to), bytes, n);
    if (left > 1)
        sim_at(&w->clock, w->clock.now_ms + rng_range(&w->rng, 0, 2 * GARBAGE_MS / GARBAGE_PIECES), garbage, w, left - 1);
}

void sim_check_garbage(struct sim_world *w)
{
    size_t memory[2] = {sim_memory_bytes(0), sim_memory_bytes(1)};
    uint64_t accepted = w->ledger.accepted;
    garbage(w, GARBAGE_PIECES);
    sim_world_run_to(w, w->clock.now_ms + 4 * GARBAGE_MS + sim_check_bound_ms(w));
    if (w->report.failed)
        return;
    check_growth(w, memory, "garbage");
    if (w->ledger.accepted != accepted)
        sim_fail(&w->report, "payload", "garbage became a message");
    if (!sim_check_rest(w))
        sim_fail(&w->report, "rest", "after garbage on the line something is queued");
}

void sim_check_idle(struct sim_world *w)
{
    sim_world_run_to(w, w->clock.now_ms + IDLE_SETTLE_MS);
    uint64_t bytes = sim_line_bytes(&w->line);
    uint64_t timers[2] = {w->sites[0].timers, w->sites[1].timers};
    size_t memory[2] = {sim_memory_bytes(0), sim_memory_bytes(1)};
    sim_world_run_to(w, w->clock.now_ms + IDLE_MS);
    if (w->report.failed)
        return;
    bytes = sim_line_bytes(&w->line) - bytes;
    check_growth(w, memory, "time");
    uint64_t allowed = 0;
    if (!w->plan.metered && w->plan.probe_ms)
        allowed = (uint64_t)(2 * IDLE_MS / w->plan.probe_ms + 2) * PROBE_BYTES_MAX;
    if (bytes > allowed)
        sim_fail(&w->report, "idle", "%llu bytes on a%s line in %lld hours without traffic; %llu allowed", (unsigned long long)bytes,
                 w->plan.metered ? " metered" : "", IDLE_MS / 3600000, (unsigned long long)allowed);
    for (unsigned i = 0; i < 2; i++)
        if (w->sites[i].timers - timers[i] > IDLE_MS / 1000 * IDLE_TIMERS_A_S)
            sim_fail(&w->report, "idle", "%s: %llu timer calls in %lld hours without traffic", w->sites[i].name,
                     (unsigned long long)(w->sites[i].timers - timers[i]), IDLE_MS / 3600000);
}

/* What came through could only be sealed once each end had asked the other for a fresh word, which brought its share as well: whatever
 * the attacker has done, epochs without X25519 are not what the ends are left with. */
static void sim_check_shares(struct sim_world *w)
{
    for (unsigned i = 0; i < 2 && w->ledger.count > 0; i++) {
        struct sim_site *s = &w->sites[i];
        struct store_now now = sim_site_now(s);
        char *status = s->bridge ? bridge_status_json(s->bridge, &now) : NULL;
        if (status && !strstr(status, "\"forward_secret\":true"))
            sim_fail(&w->report, "shares", "%s is not forward secret: %s", s->name, status);
        free(status);
    }
}

void sim_check_end(struct sim_world *w)
{
    sim_ledger_settle(&w->ledger);
    for (unsigned i = 0; i < 2; i++)
        if (w->line.ends[i].forbidden)
            sim_fail(&w->report, "avoid", "%s put %llu bytes on the line that it must avoid", w->sites[i].name,
                     (unsigned long long)w->line.ends[i].forbidden);
    if (nonces_reused() > 0)
        sim_fail(&w->report, "nonces", "of %llu sealings %llu had a key and nonce that had been used", (unsigned long long)nonces_used(),
                 (unsigned long long)nonces_reused());
    if (w->plan.hazards & HAZARD_SEALED && w->ledger.count > 0 && nonces_used() == 0)
        sim_fail(&w->report, "nonces", "nothing was sealed");
    if (w->plan.hazards & HAZARD_SHARES)
        sim_check_shares(w);
    if (!sim_check_rest(w))
        sim_fail(&w->report, "rest", "something was queued again without traffic");
    for (unsigned i = 0; i < 2; i++) /* leaves no memory behind */
        sim_site_stop(&w->sites[i]);
}
