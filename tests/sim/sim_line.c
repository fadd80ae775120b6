#include "tests/sim/sim_line.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "link_drivers/driver.h"

#define HUB 1

static void on_deliver(void *ctx, const uint8_t *bytes, size_t n, bool more)
{
    struct sim_line_end *from = ctx;
    struct sim_line *l = from->line;
    unsigned to = !from->side;
    (void)more;
    if (l->ends[to].running && l->ends[to].state == SIM_LINE_UP)
        l->ops->bytes(l->ctx, to, sim_line_station(l, to), bytes, n);
}

static void on_drained(void *ctx)
{
    struct sim_line_end *e = ctx;
    struct sim_line *l = e->line;
    if (!e->wants_room || !e->running || e->state != SIM_LINE_UP || sim_line_room(l, e->side) == 0)
        return;
    e->wants_room = false;
    l->ops->writable(l->ctx, e->side, sim_line_station(l, e->side));
}

static void carry(void *ctx, unsigned from, const uint8_t *bytes, size_t n);

static const struct sim_pipe_ops pipe_ops = {.deliver = on_deliver, .drained = on_drained};

void sim_line_init(struct sim_line *l, struct sim_clock *clock, struct sim_rng *rng, const struct sim_line_config *config,
                   const struct sim_line_ops *ops, void *ctx)
{
    *l = (struct sim_line){.clock = clock, .rng = rng_fork(rng), .config = *config, .ops = ops, .ctx = ctx};
    if (config->attack_ppm) {
        l->attacker.rng = rng_fork(rng);
        l->attacker.ppm = config->attack_ppm;
        l->attacker.carry = carry;
        l->attacker.ctx = l;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct sim_line_end *e = &l->ends[i];
        e->line = l;
        e->side = i;
        sim_pipe_init(&e->out, clock, rng, &config->profile, &pipe_ops, e);
        if (config->half_duplex)
            e->out.medium = &l->ends[!i].out;
    }
}

void sim_line_fini(struct sim_line *l)
{
    for (size_t i = 0; i < l->datagram_count; i++)
        free(l->datagrams[i]);
    free(l->datagrams);
    sim_pipe_fini(&l->ends[0].out);
    sim_pipe_fini(&l->ends[1].out);
}

uint64_t sim_line_station(const struct sim_line *l, unsigned side)
{
    return l->config.tcp && side == HUB ? l->station : 0;
}

/* ---- states ---- */

static void set_state(struct sim_line *l, unsigned side, enum sim_line_state state, const char *why)
{
    struct sim_line_end *e = &l->ends[side];
    if (e->state == state)
        return;
    uint64_t station = sim_line_station(l, side);
    e->state = state;
    if (e->running)
        l->ops->state(l->ctx, side, station, state, why);
}

static void come_up(void *ctx, uint64_t generation);

/* This end tries to be up after a while. A TCP connection has one maker: the edge. */
static void try_later(struct sim_line *l, unsigned side, int64_t after_ms)
{
    struct sim_line_end *e = &l->ends[side];
    if (l->config.tcp && side == HUB)
        return;
    sim_at(l->clock, l->clock->now_ms + after_ms, come_up, e, ++e->generation);
}

static void come_up(void *ctx, uint64_t generation)
{
    struct sim_line_end *e = ctx;
    struct sim_line *l = e->line;
    if (generation != e->generation || !e->running || e->state == SIM_LINE_UP)
        return;
    if (l->out_of_order || (l->config.tcp && !l->ends[HUB].running)) {
        try_later(l, e->side, rng_range(&l->rng, 500, 5000));
        return;
    }
    if (l->config.tcp) {
        l->station++;
        set_state(l, HUB, SIM_LINE_UP, "connected");
    }
    set_state(l, e->side, SIM_LINE_UP, "opened");
}

static void go_down(struct sim_line *l, unsigned side, const char *why)
{
    sim_pipe_cut(&l->ends[side].out, true, true);
    l->ends[side].busy = false; /* a datagram under way is not cut: it arrives or not, and nobody is told */
    l->ends[side].generation++;
    set_state(l, side, SIM_LINE_DOWN, why);
}

/* A TCP connection ends for both; what was on its way is lost. */
static void break_both(struct sim_line *l, const char *why)
{
    go_down(l, 0, why);
    go_down(l, HUB, why);
}

void sim_line_start(struct sim_line *l, unsigned side)
{
    l->ends[side].running = true;
    l->ends[side].state = SIM_LINE_DOWN;
    try_later(l, side, rng_range(&l->rng, 0, 300));
}

void sim_line_stop(struct sim_line *l, unsigned side)
{
    struct sim_line_end *e = &l->ends[side];
    e->running = false;
    e->busy = false;
    e->wants_room = false;
    e->generation++;
    if (l->config.tcp) {
        e->state = SIM_LINE_DOWN;
        bool other = l->ends[!side].running;
        break_both(l, "connection reset");
        if (other && side == HUB)
            try_later(l, 0, rng_range(&l->rng, 500, 5000));
        return;
    }
    e->state = SIM_LINE_DOWN;
    if (rng_chance(&l->rng, PPM / 2)) /* else the modem goes on sending what it has */
        sim_pipe_cut(&e->out, true, false);
}

/* ---- the driver ---- */

size_t sim_line_room(struct sim_line *l, unsigned side)
{
    struct sim_line_end *e = &l->ends[side];
    if (!e->running || e->state != SIM_LINE_UP)
        return 0;
    if (l->config.mtu) {
        e->wants_room = e->busy;
        return e->busy ? 0 : l->config.mtu;
    }
    if (e->out.queue.len <= l->config.horizon_bytes)
        return l->config.frame_bytes;
    e->wants_room = true;
    return 0;
}

/* ---- datagrams ---- */

static void arrive(void *ctx, uint64_t id)
{
    struct sim_line *l = ctx;
    for (size_t i = 0; i < l->datagram_count; i++) {
        struct sim_datagram *d = l->datagrams[i];
        if (d->id != id)
            continue;
        l->datagrams[i] = l->datagrams[--l->datagram_count];
        struct sim_line_end *from = &l->ends[!d->to], *to = &l->ends[d->to];
        if (!from->out.mute && to->running && to->state == SIM_LINE_UP)
            l->ops->bytes(l->ctx, d->to, 0, d->bytes, d->n);
        free(d);
        return;
    }
}

static void launch(struct sim_line *l, unsigned from, const uint8_t *bytes, size_t n, int64_t after_ms)
{
    if (l->datagram_count == l->datagram_size) {
        l->datagram_size = l->datagram_size ? 2 * l->datagram_size : 16;
        l->datagrams = realloc(l->datagrams, l->datagram_size * sizeof *l->datagrams);
    }
    struct sim_datagram *d = malloc(sizeof *d + n);
    assert(l->datagrams && d);
    d->id = ++l->last_datagram;
    d->to = !from;
    d->n = n;
    memcpy(d->bytes, bytes, n);
    l->datagrams[l->datagram_count++] = d;
    sim_at(l->clock, l->clock->now_ms + after_ms, arrive, l, d->id);
}

/* Puts a frame on its way, whoever made it. */
static void carry(void *ctx, unsigned from, const uint8_t *bytes, size_t n)
{
    struct sim_line *l = ctx;
    const struct sim_pipe_profile *f = &l->config.profile;
    if (!l->config.mtu) {
        sim_pipe_write(&l->ends[from].out, bytes, n);
        return;
    }
    int64_t takes = (int64_t)n * 1000 / f->rate_bytes_s + 1;
    launch(l, from, bytes, n, takes + f->delay_ms + rng_range(&l->rng, 0, f->jitter_ms + 1));
}

static void send_ends(void *ctx, uint64_t generation)
{
    struct sim_line_end *e = ctx;
    struct sim_line *l = e->line;
    if (generation != e->generation || !e->busy)
        return;
    e->busy = false;
    if (!e->running)
        return;
    l->ops->sent(l->ctx, e->side, e->token, e->outcome);
    if (e->running && e->wants_room && e->state == SIM_LINE_UP) {
        e->wants_room = false;
        l->ops->writable(l->ctx, e->side, 0);
    }
}

static void send_datagram(struct sim_line *l, struct sim_line_end *e, const uint8_t *bytes, size_t n, uint64_t token)
{
    const struct sim_line_config *c = &l->config;
    int64_t takes = (int64_t)n * 1000 / c->profile.rate_bytes_s + 1;
    e->busy = true;
    e->token = token;
    e->outcome = rng_chance(&l->rng, c->fail_ppm) ? SEND_FAILED : rng_chance(&l->rng, c->unknown_ppm) ? SEND_UNKNOWN : SEND_DONE;
    l->datagram_bytes += n;
    bool lost = e->outcome == SEND_FAILED || rng_chance(&l->rng, e->outcome == SEND_UNKNOWN ? PPM / 2 : c->lose_ppm);
    unsigned copies = lost ? 0 : rng_chance(&l->rng, c->double_ppm) ? 2 : 1;
    l->sends_failed += e->outcome == SEND_FAILED;
    l->sends_unknown += e->outcome == SEND_UNKNOWN;
    l->datagrams_lost += lost;
    l->datagrams_doubled += copies == 2;
    for (unsigned i = 0; i < copies; i++) {
        if (l->attacker.ppm)
            sim_attacker_see(&l->attacker, e->side, bytes, n, true);
        else
            carry(l, e->side, bytes, n);
    }
    sim_at(l->clock, l->clock->now_ms + takes + rng_range(&l->rng, 0, 200), send_ends, e, ++e->generation);
}

int sim_line_send(struct sim_line *l, unsigned side, const uint8_t *bytes, size_t n, uint64_t token)
{
    struct sim_line_end *e = &l->ends[side];
    if (!e->running || e->state != SIM_LINE_UP)
        return -ENOTCONN;
    if (n > sim_line_room(l, side))
        return -EAGAIN;
    if (l->config.mtu) {
        send_datagram(l, e, bytes, n, token);
        return 0;
    }
    for (size_t i = 0; i < n && l->config.avoid_count; i++)
        if (memchr(l->config.avoid, bytes[i], l->config.avoid_count))
            e->forbidden++;
    if (l->attacker.ppm)
        sim_attacker_see(&l->attacker, side, bytes, n, false);
    else
        carry(l, side, bytes, n);
    return 0;
}

static void reset_now(void *ctx, uint64_t generation)
{
    struct sim_line_end *e = ctx;
    struct sim_line *l = e->line;
    if (generation != e->generation || !e->running || e->state != SIM_LINE_UP)
        return;
    if (l->config.tcp)
        break_both(l, "reset");
    else
        go_down(l, e->side, "reset");
    try_later(l, l->config.tcp ? 0 : e->side, rng_range(&l->rng, 500, 5000));
}

void sim_line_reset(struct sim_line *l, unsigned side)
{
    struct sim_line_end *e = &l->ends[side];
    sim_at(l->clock, l->clock->now_ms, reset_now, e, ++e->generation);
}

/* ---- faults ---- */

void sim_line_outage(struct sim_line *l, bool begins)
{
    l->out_of_order = begins;
    if (begins) {
        break_both(l, "line lost");
        return;
    }
    for (unsigned i = 0; i < 2; i++)
        if (l->ends[i].running)
            try_later(l, i, rng_range(&l->rng, 0, 3000));
}

void sim_line_silence(struct sim_line *l, bool from_edge, bool from_hub)
{
    l->ends[0].out.mute = from_edge;
    l->ends[1].out.mute = from_hub;
}

void sim_line_attacker_ends(struct sim_line *l)
{
    l->attacker.ppm = 0;
}

uint64_t sim_line_bytes(const struct sim_line *l)
{
    return l->ends[0].out.bytes_in + l->ends[1].out.bytes_in + l->datagram_bytes;
}
