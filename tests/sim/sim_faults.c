/* What befalls the world while it is not calm. Each kind is a row: which hazard allows it, what begins it. What ends a fault is
 * an event of its own, and calm ends all. */
#include "tests/sim/sim_world.h"

#include <stdio.h>
#include <string.h>
#include "store/store.h"

#define OUTAGE_MAX_MS     (20 * 60 * 1000)
#define BROKER_AWAY_MAX_MS (5 * 60 * 1000)
#define RESTART_MAX_MS    60000
#define OPERATIONS_MAX    200   /* disk operations until a machine stops inside one */

static struct sim_site *any_site(struct sim_world *w)
{
    return &w->sites[rng_range(&w->rng, 0, 1)];
}

static void later(struct sim_world *w, int64_t ms, sim_event_fn *fn, uint64_t arg)
{
    sim_at(&w->clock, w->clock.now_ms + ms, fn, w, arg);
}

/* ---- the line ---- */

static void end_outage(void *ctx, uint64_t arg)
{
    struct sim_world *w = ctx;
    (void)arg;
    if (w->line.out_of_order)
        sim_line_outage(&w->line, false);
}

static void outage(struct sim_world *w)
{
    if (w->line.out_of_order)
        return;
    w->figures.of[SIM_OUTAGES]++;
    sim_trace(&w->report, "line", "OUTAGE");
    sim_line_outage(&w->line, true);
    later(w, rng_skewed(&w->rng, 100, OUTAGE_MAX_MS), end_outage, 0);
}

static void end_silence(void *ctx, uint64_t arg)
{
    struct sim_world *w = ctx;
    (void)arg;
    sim_line_silence(&w->line, false, false);
}

static void silence(struct sim_world *w)
{
    int64_t which = rng_range(&w->rng, 1, 3);
    w->figures.of[SIM_SILENCES]++;
    sim_trace(&w->report, "line", "SILENCE%s%s", which & 1 ? " from edge" : "", which & 2 ? " from hub" : "");
    sim_line_silence(&w->line, which & 1, which & 2);
    later(w, rng_skewed(&w->rng, 100, OUTAGE_MAX_MS), end_silence, 0);
}

/* ---- machines ---- */

static void jump(struct sim_world *w, struct sim_site *s)
{
    w->figures.of[SIM_CLOCK_JUMPS]++;
    s->wall_offset_ms += rng_range(&w->rng, -1, 1) * rng_skewed(&w->rng, 1000, 400ll * 86400 * 1000);
    s->wall_trusted = rng_chance(&w->rng, PPM / 2);
    w->ledger.clock_lies = w->ledger.clock_lies || (s->wall_trusted && s->wall_offset_ms != 0);
    sim_trace(&w->report, s->name, "wall clock is %lld s off, %s", (long long)s->wall_offset_ms / 1000,
              s->wall_trusted ? "trusted" : "not trusted");
}

static void wall_clock(struct sim_world *w)
{
    jump(w, any_site(w));
}

static void crash(struct sim_world *w, struct sim_site *s)
{
    if (rng_chance(&w->rng, PPM / 2))
        sim_site_crash_at(s, (uint64_t)rng_skewed(&w->rng, 1, OPERATIONS_MAX));
    else
        sim_site_crash(s, rng_chance(&w->rng, PPM / 2), rng_skewed(&w->rng, 0, RESTART_MAX_MS));
    if (w->plan.hazards & HAZARD_CLOCK && !s->alive)
        jump(w, s); /* a machine without a clock of its own comes back at another time */
}

static void crash_edge(struct sim_world *w)
{
    crash(w, &w->sites[0]);
}

static void crash_hub(struct sim_world *w)
{
    crash(w, &w->sites[1]);
}

static void start_again(void *ctx, uint64_t site)
{
    struct sim_world *w = ctx;
    if (!w->sites[site].alive && !w->sites[site].restart_pending)
        sim_site_start(&w->sites[site]);
}

static void stop(struct sim_world *w)
{
    struct sim_site *s = any_site(w);
    sim_site_stop(s);
    w->figures.of[SIM_STOPS]++;
    later(w, rng_skewed(&w->rng, 0, RESTART_MAX_MS), start_again, s->index);
}

/* ---- brokers ---- */

static void end_broker(void *ctx, uint64_t site)
{
    struct sim_world *w = ctx;
    if (!w->sites[site].broker_up)
        sim_site_broker(&w->sites[site], true);
    sim_site_broker_slow(&w->sites[site], false, false);
}

static void broker(struct sim_world *w)
{
    struct sim_site *s = any_site(w);
    switch (rng_range(&w->rng, 0, 2)) {
    case 0:
        w->figures.of[SIM_BROKER_BREAKS]++;
        sim_trace(&w->report, s->name, "connection to the broker breaks");
        sim_site_break_socket(s);
        return;
    case 1:
        w->figures.of[SIM_BROKER_AWAY]++;
        sim_site_broker(s, false);
        break;
    default:
        w->figures.of[SIM_BROKER_SLOW]++;
        sim_site_broker_slow(s, rng_chance(&w->rng, PPM / 2), rng_chance(&w->rng, PPM / 2));
    }
    later(w, rng_skewed(&w->rng, 100, BROKER_AWAY_MAX_MS), end_broker, s->index);
}

static void session(struct sim_world *w)
{
    struct sim_site *s = any_site(w);
    if (s->alive)
        sim_check_unmarked(w, s->index);
    else
        w->forgot_unseen[s->index] = true;
    sim_site_broker(s, false);
    sim_broker_lose_session(&s->broker);
    later(w, rng_skewed(&w->rng, 10, 10000), end_broker, s->index);
}

/* ---- disks ---- */

static void end_disk(void *ctx, uint64_t site)
{
    struct sim_world *w = ctx;
    w->sites[site].disk.capacity = SIZE_MAX;
    w->sites[site].disk.error_ppm = 0;
    sim_trace(&w->report, w->sites[site].name, "disk is well again");
}

static void disk_full(struct sim_world *w)
{
    struct sim_site *s = any_site(w);
    w->figures.of[SIM_DISKS_FILLED]++;
    s->disk.capacity = sim_disk_used(&s->disk) + (size_t)rng_skewed(&w->rng, 0, 1 << 18);
    sim_trace(&w->report, s->name, "DISK FULL soon");
    later(w, rng_skewed(&w->rng, 1000, 600000), end_disk, s->index);
}

static void disk_error(struct sim_world *w)
{
    struct sim_site *s = any_site(w);
    w->figures.of[SIM_DISKS_FAILING]++;
    s->disk.error_ppm = (uint32_t)rng_skewed(&w->rng, 1000, 500000);
    sim_trace(&w->report, s->name, "DISK ERRORS %u ppm", s->disk.error_ppm);
    later(w, rng_skewed(&w->rng, 100, 60000), end_disk, s->index);
}

static void play(void *ctx, uint64_t site)
{
    struct sim_world *w = ctx;
    if (!w->calm)
        sim_attacker_play(&w->line.attacker, !site);
}

/* Its store is about to know less than it did: an attacker plays all that it has, once the site is there again. */
static void memory_lost(struct sim_world *w, struct sim_site *s)
{
    if (!w->line.config.mtu || !w->line.attacker.ppm)
        return;
    sim_site_memory_lost(s);
    later(w, RESTART_MAX_MS + rng_skewed(&w->rng, 0, OUTAGE_MAX_MS), play, s->index);
}

static void lose_store(void *ctx, uint64_t site)
{
    struct sim_world *w = ctx;
    struct sim_site *s = &w->sites[site];
    if (w->figures.of[SIM_STORES_LOST] >= 3 || !s->alive || w->calm)
        return;
    w->figures.of[SIM_STORES_LOST]++;
    sim_check_excuse(w);
    sim_check_late(w, s->index);
    sim_site_crash(s, true, rng_skewed(&w->rng, 0, RESTART_MAX_MS));
    sim_trace(&w->report, s->name, "STORE LOST");
    memory_lost(w, s);
    sim_disk_wipe(&s->disk);
}

/* Half of the time while the broker's answers are held up, so that it knows packet ids of which the new store knows nothing. */
static void store_lost(struct sim_world *w)
{
    struct sim_site *s = any_site(w);
    bool slow = rng_chance(&w->rng, PPM / 2);
    if (slow)
        sim_site_broker_slow(s, false, true);
    later(w, slow ? rng_range(&w->rng, 0, 10000) : 0, lose_store, s->index);
}

static void restore(struct sim_site *s, const struct sim_file *copy, bool alone)
{
    static const char suffix[] = "-witness";
    uint8_t witness[64];
    char path[256] = "";
    size_t n = 0;
    for (const struct sim_file *f = s->disk.files; f && alone; f = f->next) {
        size_t len = strlen(f->path);
        if (!f->there || len < strlen(suffix) || strcmp(f->path + len - strlen(suffix), suffix) != 0)
            continue;
        n = f->now_size < sizeof witness ? f->now_size : sizeof witness;
        memcpy(witness, f->now, n);
        snprintf(path, sizeof path, "%s", f->path);
    }
    sim_disk_restore(&s->disk, copy);
    struct sim_file *f = n > 0 ? sim_disk_file(&s->disk, path, true) : NULL;
    if (f && (sim_file_write(&s->disk, f, 0, witness, n) != SIM_DISK_OK || sim_file_sync(&s->disk, f) != SIM_DISK_OK))
        sim_fail(s->report, "disk", "%s: its witness is lost", s->name);
}

/* First a copy is made, as a backup of a running machine would be; later it is put in place of what there is. */
static void store_set_back(struct sim_world *w)
{
    struct sim_site *s = any_site(w);
    if (!s->alive)
        return;
    if (!w->copies[s->index]) {
        w->copies[s->index] = sim_disk_copy(&s->disk);
        w->copy_waits[s->index] = w->plan.hazards & HAZARD_SEALED && sim_site_awaits_echo(s);
        sim_trace(&w->report, s->name, "its disk is copied");
        return;
    }
    w->figures.of[SIM_STORES_SET_BACK]++;
    sim_check_excuse(w);
    /* With keys the copy is to be known as one: the database alone was put back, or a whole disk that is old: one that was waiting
     * for the peer's answer goes on waiting for the same (docs/SECURITY.md, what is left). */
    bool sealed = w->plan.hazards & HAZARD_SEALED, alone = sealed && (rng_chance(&w->rng, PPM / 2) || w->copy_waits[s->index]);
    sim_site_crash(s, !alone, rng_skewed(&w->rng, 0, RESTART_MAX_MS));
    sim_trace(&w->report, s->name, "STORE SET BACK to the copy%s", alone ? ", but for its witness" : "");
    restore(s, w->copies[s->index], alone);
    if (sealed && !alone)
        s->wall_offset_ms += STORE_AGED_MS + 1;
    w->ledger.clock_lies = w->ledger.clock_lies || (s->wall_trusted && s->wall_offset_ms != 0);
    memory_lost(w, s);
    sim_disk_free_copy(w->copies[s->index]);
    w->copies[s->index] = NULL;
}

/* ---- the table ---- */

static const struct {
    unsigned hazard;
    void (*begin)(struct sim_world *w);
} faults[] = {
    {HAZARD_OUTAGE, outage},         {HAZARD_SILENCE, silence},       {HAZARD_CRASH_EDGE, crash_edge},
    {HAZARD_CRASH_HUB, crash_hub},   {HAZARD_BROKER, broker},         {HAZARD_SESSION, session},
    {HAZARD_DISK_FULL, disk_full},   {HAZARD_DISK_ERROR, disk_error}, {HAZARD_STORE_LOST, store_lost},
    {HAZARD_STORE_OLD, store_set_back}, {HAZARD_CLOCK, wall_clock},   {HAZARD_STOP, stop},
};
#define FAULTS (sizeof faults / sizeof faults[0])

static void next_fault(struct sim_world *w);

void sim_faults_strike(struct sim_world *w)
{
    unsigned allowed[FAULTS], n = 0;
    for (unsigned i = 0; i < FAULTS; i++)
        if (w->plan.hazards & faults[i].hazard)
            allowed[n++] = i;
    if (n)
        faults[allowed[rng_range(&w->rng, 0, n - 1)]].begin(w);
}

static void strike(void *ctx, uint64_t arg)
{
    struct sim_world *w = ctx;
    (void)arg;
    if (w->calm)
        return;
    sim_world_note(w, true);
    sim_faults_strike(w);
    next_fault(w);
}

static void next_fault(struct sim_world *w)
{
    later(w, rng_range(&w->rng, 0, 2 * w->plan.fault_every_ms), strike, 0);
}

void sim_faults_begin(struct sim_world *w)
{
    next_fault(w);
}

void sim_faults_end(struct sim_world *w)
{
    sim_trace(&w->report, "world", "CALM");
    end_outage(w, 0);
    end_silence(w, 0);
    sim_line_attacker_ends(&w->line);
    for (unsigned i = 0; i < 2; i++) {
        end_broker(w, i);
        end_disk(w, i);
        w->sites[i].disk.dies_at = 0;
        start_again(w, i);
        struct sim_pipe_profile *f = &w->line.ends[i].out.profile;
        f->flip_ppm = f->drop_ppm = f->insert_ppm = f->burst_ppm = f->repeat_ppm = 0;
    }
}
