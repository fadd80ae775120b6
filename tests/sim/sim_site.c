#include "tests/sim/sim_site.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/hash.h"
#include "gateway/mqtt/backoff.h"
#include "tests/sim/sim_memory.h"
#include "tests/support/primer_made.h"

#define AT_ONCE_MAX   4        /* connections without a wait in a row, as mqtt/connection.h */
#define WRITABLE_LOW  16384
#define MEMORY_MAX    (96u << 20) /* bytes of a gateway: four models of 4M, and large messages on their way */
#define SPINS_MAX     2000     /* timer calls without time passing: more is a loop that eats the processor */
#define EPOCH_MS      1790000000000ll /* the world's wall clock at its beginning */

/* ---- drivers, for the configuration ---- */

static bool always(const void *options)
{
    (void)options;
    return true;
}

static const struct option_group line_group = {
    .name = "simulated", .struct_size = 1, .help = "A simulated point-to-point line."};
static const struct option_group listen_group = {
    .name = "simulated-listener", .struct_size = 1, .help = "A simulated listener.", .serves_many = always};
static const struct option_group *const groups[] = {&line_group, &listen_group, NULL};

/* ---- clocks ---- */

struct store_now sim_site_now(const struct sim_site *s)
{
    return (struct store_now){
        .mono_ms = s->clock->now_ms + s->mono_offset_ms,
        .wall_ms = EPOCH_MS + s->clock->now_ms + s->wall_offset_ms,
        .wall_trusted = s->wall_trusted,
    };
}

/* Each entry to the bridge is between these two. */
static bool enter(struct sim_site *s)
{
    if (!s->alive || s->disk.dead)
        return false;
    assert(!s->inside);
    s->inside = true;
    (void)sim_memory_of(s->index);
    return true;
}

static void leave(struct sim_site *s)
{
    s->inside = false;
    (void)sim_memory_of(SIM_MEMORY_NOBODY);
    if (sim_memory_bytes(s->index) > s->memory_peak)
        s->memory_peak = sim_memory_bytes(s->index);
    if (s->memory_peak > MEMORY_MAX)
        sim_fail(s->report, "memory", "%s holds %zu bytes", s->name, s->memory_peak);
    s->spins = 0;
    if (!s->alive || s->disk.dead)
        return;
    struct store_now now = sim_site_now(s);
    int64_t at = bridge_deadline(s->bridge, &now);
    s->deadline = at == INT64_MAX ? SIM_NEVER : at - s->mono_offset_ms;
}

void sim_site_timer(struct sim_site *s)
{
    if (s->deadline > s->clock->now_ms || !enter(s))
        return;
    unsigned spins = s->spins + 1;
    struct store_now now = sim_site_now(s);
    s->timers++;
    bridge_on_timer(s->bridge, &now);
    leave(s);
    s->spins = spins;
    if (s->deadline > s->clock->now_ms)
        s->spins = 0;
    else if (s->spins > SPINS_MAX)
        sim_fail(s->report, "spin", "%s: its timer was due %u times at one moment", s->name, s->spins);
}

/* ---- the socket ---- */

static void attempt(void *ctx, uint64_t generation);

static void connect_after(struct sim_site *s, int64_t ms)
{
    s->socket.state = SIM_SOCKET_WAITING;
    sim_at(s->clock, s->clock->now_ms + ms, attempt, s, ++s->socket.generation);
}

static void connect_later(struct sim_site *s)
{
    s->socket.backoff_ms = backoff_next_ms(s->socket.backoff_ms, (uint32_t)rng_next(&s->rng));
    connect_after(s, s->socket.backoff_ms);
}

/* keep: what the kernel had taken still reaches the broker. */
static void hang_up(struct sim_site *s, bool keep)
{
    struct sim_socket *k = &s->socket;
    if (k->state == SIM_SOCKET_OPEN) {
        const uint8_t *bytes;
        size_t n;
        while (keep && s->broker_up && !k->to_broker.stalled && (bytes = sim_pipe_take(&k->to_broker, &n)) != NULL)
            if (!sim_broker_bytes(&s->broker, bytes, n))
                break;
        sim_broker_closed(&s->broker);
    }
    sim_pipe_cut(&k->to_broker, true, true);
    sim_pipe_cut(&k->from_broker, true, true);
    k->state = SIM_SOCKET_CLOSED;
    k->generation++;
}

/* The broker's side closed it, or the way between broke. */
static void lost(struct sim_site *s, const char *why)
{
    hang_up(s, false);
    if (!s->alive)
        return;
    connect_later(s);
    if (!enter(s))
        return;
    struct store_now now = sim_site_now(s);
    bridge_broker_closed(s->bridge, why, &now);
    leave(s);
}

static void attempt(void *ctx, uint64_t generation)
{
    struct sim_site *s = ctx;
    if (generation != s->socket.generation || !s->alive || s->socket.state != SIM_SOCKET_WAITING)
        return;
    if (!s->broker_up) {
        lost(s, "connection refused");
        return;
    }
    s->socket.state = SIM_SOCKET_OPEN;
    s->socket.low_told = true;
    sim_pipe_stall(&s->socket.to_broker, false);
    sim_pipe_stall(&s->socket.from_broker, false);
    sim_broker_opened(&s->broker);
    if (!enter(s))
        return;
    struct store_now now = sim_site_now(s);
    bridge_broker_open(s->bridge, &now);
    leave(s);
}

static void broker_says(struct sim_site *s)
{
    struct buf *out = &s->broker.out;
    if (out->len && s->socket.state == SIM_SOCKET_OPEN)
        sim_pipe_write(&s->socket.from_broker, buf_bytes(out), out->len);
    buf_clear(out);
    buf_trim(out, 65536);
}

static void broker_closes(void *ctx, uint64_t generation)
{
    struct sim_site *s = ctx;
    if (generation == s->socket.generation && s->socket.state == SIM_SOCKET_OPEN)
        lost(s, "closed by the broker");
}

static void deliver_to_broker(void *ctx, const uint8_t *bytes, size_t n, bool more)
{
    struct sim_site *s = ctx;
    (void)more;
    if (s->socket.state != SIM_SOCKET_OPEN)
        return;
    bool go_on = sim_broker_bytes(&s->broker, bytes, n);
    broker_says(s);
    if (!go_on) /* what it has said before still arrives */
        sim_at(s->clock, s->clock->now_ms + s->socket.from_broker.profile.delay_ms + s->socket.from_broker.profile.jitter_ms + 1,
               broker_closes, s, s->socket.generation);
}

static void drained_to_broker(void *ctx)
{
    struct sim_site *s = ctx;
    if (s->socket.low_told || s->socket.to_broker.queue.len > WRITABLE_LOW || s->socket.state != SIM_SOCKET_OPEN || !enter(s))
        return;
    s->socket.low_told = true;
    struct store_now now = sim_site_now(s);
    bridge_broker_writable(s->bridge, &now);
    leave(s);
}

static void deliver_from_broker(void *ctx, const uint8_t *bytes, size_t n, bool more)
{
    struct sim_site *s = ctx;
    if (s->socket.state != SIM_SOCKET_OPEN || !enter(s))
        return;
    uint64_t generation = s->socket.generation;
    struct store_now now = sim_site_now(s);
    bridge_broker_bytes(s->bridge, bytes, n, &now);
    if (!more && s->alive && !s->disk.dead && s->socket.generation == generation)
        bridge_broker_dry(s->bridge, &now);
    leave(s);
}

static void drained_from_broker(void *ctx)
{
    (void)ctx;
}

static const struct sim_pipe_ops to_broker_ops = {.deliver = deliver_to_broker, .drained = drained_to_broker};
static const struct sim_pipe_ops from_broker_ops = {.deliver = deliver_from_broker, .drained = drained_from_broker};

/* ---- services of the bridge. From a machine that has stopped nothing comes any more ---- */

static bool mute(const struct sim_site *s)
{
    return !s->alive || s->disk.dead;
}

/* Whatever goes out, to broker or link, may answer for what was committed: then that is on the disk, not on its way there. (After
 * an error of the disk, the log holds what is no commit.) */
static void check_synced(struct sim_site *s, const char *to)
{
    if (s->disk.errors == 0 && s->disk.full == 0 && sim_disk_unsynced(&s->disk, "-wal"))
        sim_fail(s->report, "synced", "%s sends to its %s while a commit is not on the disk", s->name, to);
}

static void env_broker_write(void *ctx, struct buf *out)
{
    struct sim_site *s = ctx;
    if (!mute(s) && s->socket.state == SIM_SOCKET_OPEN) {
        check_synced(s, "broker");
        unsigned who = sim_memory_of(SIM_MEMORY_NOBODY);
        sim_pipe_write(&s->socket.to_broker, buf_bytes(out), out->len);
        (void)sim_memory_of(who);
        s->socket.low_told = s->socket.to_broker.queue.len <= WRITABLE_LOW;
    }
    buf_clear(out);
}

static size_t env_broker_pending(void *ctx)
{
    return ((struct sim_site *)ctx)->socket.to_broker.queue.len;
}

static void env_broker_drop(void *ctx, bool at_once)
{
    struct sim_site *s = ctx;
    if (mute(s))
        return;
    unsigned who = sim_memory_of(SIM_MEMORY_NOBODY);
    hang_up(s, rng_chance(&s->rng, PPM / 2));
    if (at_once && s->socket.at_once < AT_ONCE_MAX) {
        s->socket.at_once++;
        connect_after(s, 0);
    } else {
        connect_later(s);
    }
    (void)sim_memory_of(who);
}

static void env_broker_settled(void *ctx)
{
    struct sim_site *s = ctx;
    s->socket.at_once = 0;
    s->socket.backoff_ms = 0;
}

static size_t env_link_room(void *ctx, size_t link, uint64_t station)
{
    struct sim_site *s = ctx;
    (void)link;
    return mute(s) || station != sim_line_station(s->line, s->index) ? 0 : sim_line_room(s->line, s->index);
}

static int env_link_send(void *ctx, size_t link, uint64_t station, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    struct sim_site *s = ctx;
    (void)link;
    (void)urgent;
    if (mute(s) || station != sim_line_station(s->line, s->index))
        return -1;
    sim_trace(s->report, s->name, "link sends bytes=%zu", n);
    check_synced(s, "peer");
    unsigned who = sim_memory_of(SIM_MEMORY_NOBODY);
    int rc = sim_line_send(s->line, s->index, bytes, n, token);
    (void)sim_memory_of(who);
    return rc;
}

static void env_link_reset(void *ctx, size_t link, uint64_t station, const char *why)
{
    struct sim_site *s = ctx;
    (void)link;
    sim_trace(s->report, s->name, "resets the link: %s", why);
    unsigned who = sim_memory_of(SIM_MEMORY_NOBODY);
    if (!mute(s) && station == sim_line_station(s->line, s->index))
        sim_line_reset(s->line, s->index);
    (void)sim_memory_of(who);
}

static void env_link_counts(void *ctx, size_t link, uint64_t *out, uint64_t *in, char *detail, size_t detail_size)
{
    struct sim_site *s = ctx;
    (void)link;
    *out = s->line->ends[s->index].out.bytes_in;
    *in = s->line->ends[!s->index].out.bytes_out;
    snprintf(detail, detail_size, "simulated");
}

static void env_store_damaged(void *ctx)
{
    struct sim_site *s = ctx;
    if (!mute(s))
        s->gives_up = true;
}

static void env_random(void *ctx, void *bytes, size_t n)
{
    rng_bytes(&((struct sim_site *)ctx)->rng, bytes, n);
}

static void env_log(void *ctx, enum bridge_log level, const char *subsystem, const char *text)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    struct sim_site *s = ctx;
    sim_trace(s->report, s->name, "%s [%s] %s", words[level], subsystem, text);
}

/* ---- life ---- */

struct primer_models *sim_site_models(void)
{
    static const size_t usual[] = {4u << 20, 1u << 20};
    return primer_made(usual, sizeof usual / sizeof *usual);
}

void sim_site_init(struct sim_site *s, unsigned index, struct sim_clock *clock, struct sim_rng *rng, struct sim_report *report,
                   struct sim_ledger *ledger, struct sim_line *line, const struct sim_broker_config *broker, const char *config_text)
{
    static const char *const names[] = {"edge", "hub"};
    *s = (struct sim_site){.index = index, .name = names[index], .clock = clock, .report = report, .ledger = ledger, .line = line,
                           .deadline = SIM_NEVER, .wall_trusted = true, .broker_up = true, .rng = rng_fork(rng)};
    s->config_text = strdup(config_text);
    assert(s->config_text);
    s->mono_offset_ms = rng_range(&s->rng, 0, 1000000);
    sim_disk_init(&s->disk, &s->rng);
    sim_disk_mount(index, &s->disk);
    sim_broker_init(&s->broker, clock, report, ledger, index, broker);
    struct sim_pipe_profile profile = {.piece_max_bytes = (uint32_t)rng_skewed(&s->rng, 8, 16384),
                                       .delay_ms = rng_range(&s->rng, 0, 3), .jitter_ms = rng_range(&s->rng, 0, 5)};
    sim_pipe_init(&s->socket.to_broker, clock, &s->rng, &profile, &to_broker_ops, s);
    sim_pipe_init(&s->socket.from_broker, clock, &s->rng, &profile, &from_broker_ops, s);
}

/* The reader wants a file that has a folder; the disk of the simulation holds only what the store writes. */
/* One secret, which both ends hold. */
static int env_secret(void *ctx, const struct config_peer *peer, bool next, uint8_t out[SECRET_BYTES])
{
    (void)ctx;
    (void)peer;
    memset(out, next ? 0x55 : 0x42, SECRET_BYTES);
    return 0;
}

static struct config *load(struct sim_site *s)
{
    char path[] = "/tmp/longwire-sim-XXXXXX";
    int fd = mkstemp(path);
    size_t n = strlen(s->config_text);
    bool ok = fd >= 0 && write(fd, s->config_text, n) == (ssize_t)n;
    assert(ok);
    char *said = NULL;
    size_t said_len;
    FILE *errors = open_memstream(&said, &said_len);
    assert(errors);
    struct config *c = ok ? config_load(path, groups, errors) : NULL;
    fclose(errors);
    if (!c)
        fputs(said, stderr); /* warnings alone are of no interest */
    free(said);
    close(fd);
    unlink(path);
    return c;
}

static void end_process(struct sim_site *s)
{
    s->alive = false;
    s->inside = false;
    (void)sim_memory_of(SIM_MEMORY_NOBODY);
    s->deadline = SIM_NEVER;
    hang_up(s, rng_chance(&s->rng, PPM / 2));
    sim_line_stop(s->line, s->index);
    bridge_free(s->bridge);
    store_close(s->store);
    config_free(s->config);
    s->bridge = NULL;
    s->store = NULL;
    s->config = NULL;
    if (sim_memory_blocks(s->index))
        sim_fail(s->report, "leak", "%s ended and left %zu blocks of %zu bytes", s->name, sim_memory_blocks(s->index),
                 sim_memory_bytes(s->index));
}

void sim_site_fini(struct sim_site *s)
{
    s->disk.dead = true;
    if (s->alive)
        end_process(s);
    sim_broker_fini(&s->broker);
    sim_pipe_fini(&s->socket.to_broker);
    sim_pipe_fini(&s->socket.from_broker);
    sim_disk_mount(s->index, NULL);
    sim_disk_fini(&s->disk);
    free(s->config_text);
}

static void restart(void *ctx, uint64_t arg)
{
    struct sim_site *s = ctx;
    (void)arg;
    s->restart_pending = false;
    if (!s->alive)
        sim_site_start(s);
}

static void restart_after(struct sim_site *s, int64_t ms)
{
    s->restart_pending = true;
    sim_at(s->clock, s->clock->now_ms + ms, restart, s, 0);
}

void sim_site_start(struct sim_site *s)
{
    char err[512] = "";
    struct store_opened opened;
    struct store_now now = sim_site_now(s);
    assert(!s->alive);
    (void)sim_memory_of(s->index);
    s->config = load(s);
    if (!s->config) {
        (void)sim_memory_of(SIM_MEMORY_NOBODY);
        sim_fail(s->report, "start", "%s: its configuration is refused", s->name);
        return;
    }
    int rc = store_open(&s->store, s->config->store.path, &now, env_random, s, &opened, err, sizeof err);
    (void)sim_memory_of(SIM_MEMORY_NOBODY);
    if (rc != 0) {
        /* The supervisor starts it again, as long as the disk makes trouble. */
        sim_trace(s->report, s->name, "does not start: %s", err);
        config_free(s->config);
        s->config = NULL;
        if (s->disk.dead)
            sim_disk_crash(&s->disk, rng_chance(&s->rng, PPM / 2));
        else if (s->disk.capacity == SIZE_MAX && s->disk.error_ppm == 0)
            sim_fail(s->report, "start", "%s: its store does not open: %s", s->name, err);
        restart_after(s, 1000);
        return;
    }
    if (opened.damaged) {
        s->damaged++;
        if (s->disk.errors == 0)
            sim_fail(s->report, "start", "%s: its store was found damaged after a crash", s->name);
    }
    if (s->max_bytes)
        s->config->store.max_bytes = s->max_bytes;
    s->opens++;
    sim_trace(s->report, s->name, "starts generation=%08x segment=%08x", opened.generation, opened.segment);
    bool listener = s->line->config.tcp && s->index == 1;
    struct bridge_link link = {
        .datagram = s->line->config.mtu != 0,
        .mtu = s->line->config.mtu,
        .half_duplex = s->line->config.half_duplex,
        .listener = listener,
        .calls = s->line->config.tcp && s->index == 0,
        .rate_bytes_s = s->line->config.tcp ? 0 : s->line->config.profile.rate_bytes_s,
        .avoid_count = s->line->config.avoid_count,
    };
    s->described = link;
    memcpy(s->described.avoid, s->line->config.avoid, sizeof s->line->config.avoid);
    struct bridge_env env = {
        .ctx = s,
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
        .models = s->models,
        .log = env_log,
    };
    (void)sim_memory_of(s->index);
    s->bridge = bridge_new(s->config, &s->described, s->store, &env, NULL, 0, &now, err, sizeof err);
    (void)sim_memory_of(SIM_MEMORY_NOBODY);
    primer_finish(s->models);
    if (!s->bridge) {
        sim_trace(s->report, s->name, "does not start: %s", err);
        if (!s->disk.dead && s->disk.capacity == SIZE_MAX && s->disk.error_ppm == 0)
            sim_fail(s->report, "start", "%s: the bridge is not made: %s", s->name, err);
        store_close(s->store);
        config_free(s->config);
        s->store = NULL;
        s->config = NULL;
        if (s->disk.dead)
            sim_disk_crash(&s->disk, rng_chance(&s->rng, PPM / 2));
        restart_after(s, 1000);
        return;
    }
    s->alive = true;
    s->gives_up = false;
    s->deadline = s->clock->now_ms;
    s->socket.backoff_ms = 0;
    s->socket.at_once = 0;
    connect_after(s, 0);
    sim_line_start(s->line, s->index);
}

void sim_site_crash(struct sim_site *s, bool power_cut, int64_t restart_after_ms)
{
    if (!s->alive)
        return;
    sim_trace(s->report, s->name, "%s after %llu disk operations", power_cut ? "POWER FAILS" : "KILLED",
              (unsigned long long)s->disk.operations);
    s->power_cuts += power_cut;
    s->kills += !power_cut;
    s->disk.dead = true; /* nothing that is freed now may write */
    end_process(s);
    sim_disk_crash(&s->disk, power_cut);
    if (power_cut)
        s->mono_offset_ms = rng_range(&s->rng, 0, 60000) - s->clock->now_ms; /* the machine boots anew */
    if (restart_after_ms >= 0)
        restart_after(s, restart_after_ms);
}

void sim_site_crash_at(struct sim_site *s, uint64_t operations)
{
    if (s->alive)
        s->disk.dies_at = s->disk.operations + operations;
}

void sim_site_look(struct sim_site *s)
{
    if (s->alive && s->gives_up && !s->disk.dead) /* as the daemon: begins anew, on a new file */
        sim_site_crash(s, false, 0);
    if (s->alive && s->disk.dead)
        sim_site_crash(s, rng_chance(&s->rng, PPM / 2), rng_range(&s->rng, 0, 20000));
}

void sim_site_stop(struct sim_site *s)
{
    if (!enter(s))
        return;
    struct store_now now = sim_site_now(s);
    sim_trace(s->report, s->name, "is stopped");
    bridge_stop(s->bridge, &now);
    leave(s);
    if (s->disk.dead)
        return;
    hang_up(s, true);
    end_process(s);
    s->disk.life++;
}

/* ---- its broker ---- */

void sim_site_broker(struct sim_site *s, bool up)
{
    sim_trace(s->report, s->broker.name, up ? "is back" : "vanishes");
    s->broker_up = up;
    if (!up && s->socket.state == SIM_SOCKET_OPEN)
        lost(s, "connection reset");
}

void sim_site_broker_slow(struct sim_site *s, bool to, bool from)
{
    sim_trace(s->report, s->broker.name, "%s", to || from ? "is slow" : "is quick again");
    sim_pipe_stall(&s->socket.to_broker, to);
    sim_pipe_stall(&s->socket.from_broker, from);
}

void sim_site_break_socket(struct sim_site *s)
{
    if (s->socket.state == SIM_SOCKET_OPEN)
        lost(s, "connection reset");
}

void sim_site_publish(struct sim_site *s, uint32_t message)
{
    sim_broker_publish(&s->broker, message);
    broker_says(s);
}

/* ---- its link ---- */

void sim_site_link_state(struct sim_site *s, uint64_t station, enum sim_line_state state, const char *why)
{
    static const enum bridge_link_state states[] = {BRIDGE_LINK_DOWN, BRIDGE_LINK_CONNECTING, BRIDGE_LINK_UP};
    if (!enter(s))
        return;
    struct store_now now = sim_site_now(s);
    bridge_link_state(s->bridge, 0, station, states[state], why, &now);
    leave(s);
}

/* ---- what an attacker has of a time that its store does not know of ---- */

static uint64_t hash_of(const uint8_t *bytes, size_t n)
{
    return hash64_add(HASH64_START, bytes, n);
}

void sim_site_memory_lost(struct sim_site *s)
{
    const struct sim_attacker *a = &s->line->attacker;
    s->stale_count = 0;
    for (unsigned i = 0; i < a->recorded && i < SIM_ATTACKER_TAPE; i++)
        if (a->tape[i].from != s->index)
            s->stale[s->stale_count++] = hash_of(a->tape[i].bytes, a->tape[i].n);
}

static bool is_stale(const struct sim_site *s, const uint8_t *bytes, size_t n)
{
    uint64_t hash = s->stale_count > 0 ? hash_of(bytes, n) : 0;
    for (unsigned i = 0; i < s->stale_count; i++)
        if (s->stale[i] == hash)
            return true;
    return false;
}

/* Bytes of records that came in frames which were taken. */
static int64_t taken(struct sim_site *s, const struct store_now *now)
{
    static const char name[] = "\"stream_bytes_in\":";
    char *text = bridge_status_json(s->bridge, now);
    const char *at = text ? strstr(text, name) : NULL;
    int64_t bytes = at ? strtoll(at + strlen(name), NULL, 10) : 0;
    free(text);
    return bytes;
}

bool sim_site_awaits_echo(struct sim_site *s)
{
    if (!s->line->config.mtu || !enter(s))
        return false;
    struct store_now now = sim_site_now(s);
    char *text = bridge_status_json(s->bridge, &now);
    bool waits = store_dirty(s->store) || !text || strstr(text, "\"awaits_echo\":true");
    free(text);
    leave(s);
    return waits;
}

void sim_site_link_bytes(struct sim_site *s, uint64_t station, const uint8_t *bytes, size_t n)
{
    if (!enter(s))
        return;
    struct store_now now = sim_site_now(s);
    sim_trace(s->report, s->name, "link brings bytes=%zu", n);
    bool stale = is_stale(s, bytes, n);
    int64_t before = stale ? taken(s, &now) : 0;
    bridge_link_bytes(s->bridge, 0, station, bytes, n, &now);
    if (stale && taken(s, &now) > before)
        sim_fail(s->report, "replay", "%s: a frame was taken that was on the line before its store was set back or lost", s->name);
    s->stale_refused += stale;
    if (stale)
        sim_trace(s->report, s->name, "... which was on the line before its store was set back or lost");
    leave(s);
}

void sim_site_link_writable(struct sim_site *s, uint64_t station)
{
    if (!enter(s))
        return;
    struct store_now now = sim_site_now(s);
    bridge_link_writable(s->bridge, 0, station, &now);
    leave(s);
}

void sim_site_link_sent(struct sim_site *s, uint64_t token, int outcome)
{
    if (!enter(s))
        return;
    struct store_now now = sim_site_now(s);
    bridge_link_sent(s->bridge, 0, 0, token, outcome, &now);
    leave(s);
}
