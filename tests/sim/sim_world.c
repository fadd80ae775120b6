#include "tests/sim/sim_world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support/nonces.h"

#define STEPS_MAX 30000000ull  /* of a run; the largest have some millions */
#define COLD_EVERY 64          /* seeds, of which one has gateways that make their own models: slow */
#define GARBAGE_EVERY 3        /* seeds, of which one ends in a storm of garbage */
#define LOOK_MS   1000         /* between looks whether everything has come to rest */

const char *const sim_figure_names[SIM_FIGURES] = {
    [SIM_SECONDS] = "simulated_s",
    [SIM_STEPS] = "steps",
    [SIM_MESSAGES] = "messages",
    [SIM_CAME_OUT] = "came_out",
    [SIM_PAYLOAD_BYTES] = "payload_bytes",
    [SIM_LINE_BYTES] = "line_bytes",
    [SIM_SYNCS] = "syncs",
    [SIM_KILLS] = "kills",
    [SIM_POWER_CUTS] = "power_cuts",
    [SIM_STOPS] = "stops",
    [SIM_DISKS_FILLED] = "disks_filled",
    [SIM_DISKS_FAILING] = "disks_failing",
    [SIM_STORES_LOST] = "stores_lost",
    [SIM_STORES_SET_BACK] = "stores_set_back",
    [SIM_CLOCK_JUMPS] = "clock_jumps",
    [SIM_BROKER_BREAKS] = "broker_breaks",
    [SIM_BROKER_AWAY] = "broker_away",
    [SIM_BROKER_SLOW] = "broker_slow",
    [SIM_SESSIONS_LOST] = "sessions_lost",
    [SIM_REFUSALS] = "refusals",
    [SIM_EXPIRED] = "expired",
    [SIM_OUTAGES] = "outages",
    [SIM_SILENCES] = "silences",
    [SIM_BYTES_DAMAGED] = "bytes_damaged",
    [SIM_BYTES_LOST] = "bytes_lost",
    [SIM_BYTES_ADDED] = "bytes_added",
    [SIM_PIECES_GARBLED] = "pieces_garbled",
    [SIM_PIECES_DOUBLED] = "pieces_doubled",
    [SIM_COLLISIONS] = "collisions",
    [SIM_DATAGRAMS_LOST] = "datagrams_lost",
    [SIM_DATAGRAMS_DOUBLED] = "datagrams_doubled",
    [SIM_SENDS_FAILED] = "sends_failed",
    [SIM_SENDS_UNKNOWN] = "sends_unknown",
    [SIM_ATTACKS] = "attacks",
    [SIM_SEALINGS] = "sealings",
};

/* ---- the line's events to the sites ---- */

static void line_state(void *ctx, unsigned side, uint64_t station, enum sim_line_state state, const char *why)
{
    static const char *const words[] = {"down", "connecting", "up"};
    struct sim_world *w = ctx;
    sim_trace(&w->report, w->sites[side].name, "link %s: %s", words[state], why);
    sim_site_link_state(&w->sites[side], station, state, why);
}

static void line_bytes(void *ctx, unsigned side, uint64_t station, const uint8_t *bytes, size_t n)
{
    struct sim_world *w = ctx;
    sim_site_link_bytes(&w->sites[side], station, bytes, n);
}

static void line_writable(void *ctx, unsigned side, uint64_t station)
{
    struct sim_world *w = ctx;
    sim_site_link_writable(&w->sites[side], station);
}

static void line_sent(void *ctx, unsigned side, uint64_t token, int outcome)
{
    static const char *const words[] = {"done", "failed", "unknown"};
    struct sim_world *w = ctx;
    sim_trace(&w->report, w->sites[side].name, "datagram %s", words[outcome]);
    sim_site_link_sent(&w->sites[side], token, outcome);
}

static const struct sim_line_ops line_ops = {
    .state = line_state, .bytes = line_bytes, .writable = line_writable, .sent = line_sent};

/* ---- traffic ---- */

static void traffic(void *ctx, uint64_t arg);

static void next_traffic(struct sim_world *w)
{
    if (!w->traffic_left || w->calm)
        return;
    int64_t mean = w->plan.active_ms / (w->plan.messages + 1);
    /* Bursts and pauses: most come at once, some after several times the mean. */
    int64_t wait = rng_chance(&w->rng, PPM / 2) ? rng_range(&w->rng, 0, 20) : rng_range(&w->rng, 0, 4 * mean);
    sim_at(&w->clock, w->clock.now_ms + wait, traffic, w, 0);
}

/* The next message; one that is not given to the broker has its number all the same. */
static void give(struct sim_world *w, bool really)
{
    unsigned site = rng_chance(&w->rng, PPM / 3);
    unsigned route = (unsigned)rng_range(&w->rng, 0, w->plan.route_count[site] - 1);
    unsigned topic = (unsigned)rng_range(&w->rng, 0, w->plan.routes[site][route].topics - 1);
    size_t len = rng_chance(&w->rng, PPM / 12) ? 0 : (size_t)rng_skewed(&w->rng, 1, (int64_t)w->plan.len_max);
    uint8_t qos = rng_chance(&w->rng, PPM / 10 * 7) ? 2 : (uint8_t)rng_range(&w->rng, 0, 2);
    bool retain = rng_chance(&w->rng, PPM / 8);
    uint32_t id = sim_ledger_add(&w->ledger, site, route, topic, len, qos, retain, (unsigned)rng_range(&w->rng, 0, 2));
    if (w->plan.hazards & HAZARD_EXPIRY && w->plan.brokers[site].v5 && rng_chance(&w->rng, PPM / 2))
        w->ledger.messages[id].expiry_s = (uint32_t)rng_skewed(&w->rng, 2, 3600);
    if (!really)
        return;
    sim_trace(&w->report, w->sites[site].broker.name, "is given message=%u topic=%s bytes=%zu qos=%u%s", id,
              w->ledger.messages[id].topic, len, qos, retain ? " retain" : "");
    sim_site_publish(&w->sites[site], id);
}

static void traffic(void *ctx, uint64_t arg)
{
    struct sim_world *w = ctx;
    (void)arg;
    if (!w->traffic_left || w->calm)
        return;
    w->traffic_left--;
    sim_world_note(w, false);
    give(w, true);
    next_traffic(w);
}

/* ---- again, in part ---- */

void sim_world_note(struct sim_world *w, bool fault)
{
    if (w->deed_count == w->deed_size) {
        w->deed_size = w->deed_size ? 2 * w->deed_size : 64;
        w->deeds = realloc(w->deeds, w->deed_size * sizeof *w->deeds);
        assert(w->deeds);
    }
    w->deeds[w->deed_count++] = (struct sim_deed){w->clock.now_ms, w->rng.state, fault};
}

static void do_again(void *ctx, uint64_t number)
{
    struct sim_world *w = ctx;
    const struct sim_deed *d = &w->run.deeds[number];
    if (w->calm)
        return;
    w->rng.state = d->chance;
    sim_world_note(w, d->fault);
    if (d->fault && w->run.keep[number])
        sim_faults_strike(w);
    else if (!d->fault)
        give(w, w->run.keep[number]);
}

static void begin_deeds(struct sim_world *w)
{
    if (!w->run.keep) {
        next_traffic(w);
        sim_faults_begin(w);
        return;
    }
    for (size_t i = 0; i < w->run.keep_count; i++)
        sim_at(&w->clock, w->run.deeds[i].at_ms, do_again, w, i);
}


/* ---- running ---- */

/* What is to be looked at after each event of a site. */
static void look(struct sim_world *w)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sim_site *s = &w->sites[i];
        sim_site_look(s);
        if (s->opens != w->opens_seen[i] && s->alive) {
            w->opens_seen[i] = s->opens;
            sim_check_custody(w, i);
            if (w->forgot_unseen[i])
                sim_check_unmarked(w, i);
            w->forgot_unseen[i] = false;
        }
    }
}

void sim_world_run_to(struct sim_world *w, int64_t until_ms)
{
    while (!w->report.failed) {
        int64_t at = sim_due(&w->clock);
        unsigned timer = 2;
        for (unsigned i = 0; i < 2; i++) {
            if (w->sites[i].alive && w->sites[i].deadline < at) {
                at = w->sites[i].deadline;
                timer = i;
            }
        }
        if (at > until_ms)
            break;
        if (timer < 2) {
            if (at > w->clock.now_ms)
                w->clock.now_ms = at;
            sim_site_timer(&w->sites[timer]);
        } else {
            sim_run_next(&w->clock);
        }
        look(w);
        if (++w->figures.of[SIM_STEPS] > STEPS_MAX)
            sim_fail(&w->report, "spin", "more than %llu steps", STEPS_MAX);
    }
    if (w->clock.now_ms < until_ms && !w->report.failed)
        w->clock.now_ms = until_ms;
}

static void setup(struct sim_world *w)
{
    sim_clock_init(&w->clock);
    nonces_forget();
    sim_ledger_init(&w->ledger, &w->report);
    memcpy(w->ledger.routes, w->plan.routes, sizeof w->ledger.routes);
    memcpy(w->ledger.route_count, w->plan.route_count, sizeof w->ledger.route_count);
    w->ledger.machines_fail = w->plan.hazards & (HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB | HAZARD_DISK_ERROR | HAZARD_DISK_FULL |
                                                 HAZARD_STORE_LOST | HAZARD_STORE_OLD);
    w->ledger.quiet = !(w->plan.hazards & (HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB | HAZARD_BROKER | HAZARD_SESSION | HAZARD_DISK_ERROR |
                                           HAZARD_DISK_FULL | HAZARD_STORE_LOST | HAZARD_STORE_OLD | HAZARD_STOP | HAZARD_REFUSE));
    w->ledger.stores_fail = w->plan.hazards & (HAZARD_STORE_LOST | HAZARD_STORE_OLD);
    sim_vfs_register(&w->rng);
    sim_line_init(&w->line, &w->clock, &w->rng, &w->plan.line, &line_ops, w);
    for (unsigned i = 0; i < 2; i++) {
        sim_site_init(&w->sites[i], i, &w->clock, &w->rng, &w->report, &w->ledger, &w->line, &w->plan.brokers[i], w->plan.config[i]);
        w->sites[i].models = w->run.seed % COLD_EVERY ? sim_site_models() : NULL;
        w->sites[i].max_bytes = w->plan.max_bytes[i];
    }
    w->traffic_left = w->plan.messages;
}

static void active_phase(struct sim_world *w)
{
    sim_site_start(&w->sites[0]);
    sim_site_start(&w->sites[1]);
    begin_deeds(w);
    sim_world_run_to(w, w->plan.active_ms);
    w->calm = true;
    w->calm_at = w->clock.now_ms;
    sim_faults_end(w);
}

static void come_to_rest(struct sim_world *w)
{
    int64_t until = w->clock.now_ms + sim_check_bound_ms(w);
    while (!w->report.failed && !sim_check_rest(w)) {
        if (w->clock.now_ms >= until) {
            char text[160];
            if (w->report.trace)
                sim_check_trace_queues(w);
            sim_fail(&w->report, "liveness", "%lld s after the last fault %u messages are still due;%s",
                     (long long)(w->clock.now_ms - w->calm_at) / 1000, sim_ledger_due(&w->ledger), sim_check_queues(w, text));
            return;
        }
        sim_world_run_to(w, w->clock.now_ms + LOOK_MS);
    }
}

static void sum_up(struct sim_world *w)
{
    uint64_t *f = w->figures.of;
    f[SIM_MESSAGES] = w->ledger.count;
    f[SIM_CAME_OUT] = w->ledger.accepted;
    f[SIM_PAYLOAD_BYTES] = w->ledger.bytes;
    f[SIM_LINE_BYTES] = sim_line_bytes(&w->line);
    f[SIM_SECONDS] = (uint64_t)w->clock.now_ms / 1000;
    f[SIM_DATAGRAMS_LOST] = w->line.datagrams_lost;
    f[SIM_DATAGRAMS_DOUBLED] = w->line.datagrams_doubled;
    f[SIM_SENDS_FAILED] = w->line.sends_failed;
    f[SIM_SENDS_UNKNOWN] = w->line.sends_unknown;
    f[SIM_ATTACKS] = w->line.attacker.attacks;
    f[SIM_SEALINGS] = nonces_used();
    for (unsigned i = 0; i < 2; i++) {
        const struct sim_site *s = &w->sites[i];
        const struct sim_pipe *p = &w->line.ends[i].out;
        f[SIM_KILLS] += s->kills;
        f[SIM_POWER_CUTS] += s->power_cuts;
        f[SIM_SESSIONS_LOST] += s->broker.sessions_lost;
        f[SIM_REFUSALS] += s->broker.refused;
        f[SIM_EXPIRED] += s->broker.expired;
        for (unsigned r = 0; r < SIM_ROUTES_MAX; r++)
            f[SIM_EXPIRED] += w->ledger.gaps[i][r].expired;
        f[SIM_SYNCS] += s->disk.syncs;
        f[SIM_BYTES_DAMAGED] += p->flipped;
        f[SIM_BYTES_LOST] += p->dropped;
        f[SIM_BYTES_ADDED] += p->inserted;
        f[SIM_PIECES_GARBLED] += p->bursts;
        f[SIM_PIECES_DOUBLED] += p->repeated;
        f[SIM_COLLISIONS] += p->collisions;
    }
}

bool sim_world_run(struct sim_world *w, const struct sim_run *run)
{
    memset(w, 0, sizeof *w);
    w->run = *run;
    w->rng = (struct sim_rng){run->seed};
    w->report.clock = &w->clock;
    w->report.trace = run->trace;
    unsigned chosen = (unsigned)rng_range(&w->rng, 0, sim_family_count - 1);
    sim_plan_init(&w->plan, run->family ? run->family : &sim_families[chosen], &w->rng);
    setup(w);
    if (run->trace)
        for (unsigned i = 0; i < 2; i++)
            sim_trace(&w->report, "plan", "configuration of %s:\n%s", w->sites[i].name, w->plan.config[i]);
    sim_trace(&w->report, "plan", "family=%s hazards=%05x rate=%u delay=%lld messages=%u largest=%zu active=%llds", w->plan.family->name,
              w->plan.hazards, w->plan.line.profile.rate_bytes_s, (long long)w->plan.line.profile.delay_ms, w->plan.messages,
              w->plan.len_max, (long long)w->plan.active_ms / 1000);
    active_phase(w);
    come_to_rest(w);
    if (!w->report.failed)
        sim_check_idle(w);
    if (!w->report.failed && run->seed % GARBAGE_EVERY == 0)
        sim_check_garbage(w);
    if (!w->report.failed)
        sim_check_end(w);
    sum_up(w);
    return !w->report.failed;
}

void sim_world_fini(struct sim_world *w)
{
    for (unsigned i = 0; i < 2; i++) {
        sim_site_fini(&w->sites[i]);
        sim_disk_free_copy(w->copies[i]);
    }
    free(w->deeds);
    sim_line_fini(&w->line);
    sim_ledger_fini(&w->ledger);
    sim_plan_fini(&w->plan);
    sim_clock_fini(&w->clock);
    sim_vfs_unregister();
}
