#include "tests/sim/sim_pipe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX (300u << 20) /* more than any one packet of MQTT */

static void begin(struct sim_pipe *p);

void sim_pipe_init(struct sim_pipe *p, struct sim_clock *clock, struct sim_rng *rng, const struct sim_pipe_profile *profile,
                   const struct sim_pipe_ops *ops, void *ctx)
{
    *p = (struct sim_pipe){.clock = clock, .rng = rng_fork(rng), .profile = *profile, .ops = ops, .ctx = ctx};
    buf_init(&p->queue, QUEUE_MAX);
}

static void drop_arrivals(struct sim_pipe *p)
{
    for (; p->arrival_count; p->arrival_count--) {
        free(p->arrivals[p->arrival_head].bytes);
        p->arrival_head = (p->arrival_head + 1) % p->arrival_size;
    }
}

void sim_pipe_fini(struct sim_pipe *p)
{
    drop_arrivals(p);
    free(p->arrivals);
    free(p->taken);
    buf_fini(&p->queue);
}

/* ---- arriving ---- */

static void arrive(void *ctx, uint64_t generation)
{
    struct sim_pipe *p = ctx;
    if (generation != p->generation || !p->arrival_count || p->arrivals[p->arrival_head].at_ms > p->clock->now_ms)
        return;
    struct sim_pipe_arrival a = p->arrivals[p->arrival_head];
    p->arrival_head = (p->arrival_head + 1) % p->arrival_size;
    p->arrival_count--;
    bool more = p->arrival_count && p->arrivals[p->arrival_head].at_ms <= p->clock->now_ms;
    p->bytes_out += a.n;
    p->ops->deliver(p->ctx, a.bytes, a.n, more);
    free(a.bytes);
}

static void push_arrival(struct sim_pipe *p, uint8_t *bytes, size_t n)
{
    if (p->arrival_count == p->arrival_size) {
        size_t size = p->arrival_size ? 2 * p->arrival_size : 16;
        struct sim_pipe_arrival *more = malloc(size * sizeof *more);
        assert(more);
        for (size_t i = 0; i < p->arrival_count; i++)
            more[i] = p->arrivals[(p->arrival_head + i) % p->arrival_size];
        free(p->arrivals);
        p->arrivals = more;
        p->arrival_size = size;
        p->arrival_head = 0;
    }
    int64_t at = p->clock->now_ms + p->profile.delay_ms + rng_range(&p->rng, 0, p->profile.jitter_ms);
    if (p->arrival_count) {
        int64_t last = p->arrivals[(p->arrival_head + p->arrival_count - 1) % p->arrival_size].at_ms;
        at = at < last ? last : at; /* bytes of a stream do not overtake */
    }
    p->arrivals[(p->arrival_head + p->arrival_count++) % p->arrival_size] = (struct sim_pipe_arrival){at, n, bytes};
    sim_at(p->clock, at, arrive, p, p->generation);
}

/* What the air makes of n bytes. */
static void transmit(struct sim_pipe *p, const uint8_t *from, size_t n)
{
    const struct sim_pipe_profile *f = &p->profile;
    uint8_t *to = malloc(2 * n + 1);
    size_t k = 0;
    assert(to);
    bool burst = !p->garbled && rng_chance(&p->rng, f->burst_ppm), garble = p->garbled || burst;
    p->bursts += burst;
    for (size_t i = 0; i < n; i++) {
        if (rng_chance(&p->rng, f->drop_ppm)) {
            p->dropped++;
            continue;
        }
        uint8_t byte = from[i];
        if (garble && rng_chance(&p->rng, PPM / 2))
            byte = (uint8_t)rng_next(&p->rng);
        if (rng_chance(&p->rng, f->flip_ppm)) {
            byte ^= (uint8_t)(1u << rng_range(&p->rng, 0, 7));
            p->flipped++;
        }
        to[k++] = byte;
        if (rng_chance(&p->rng, f->insert_ppm)) {
            to[k++] = (uint8_t)rng_next(&p->rng);
            p->inserted++;
        }
    }
    if (p->mute || k == 0) {
        free(to);
        return;
    }
    if (rng_chance(&p->rng, f->repeat_ppm)) {
        p->repeated++;
        uint8_t *again = malloc(k);
        assert(again);
        memcpy(again, to, k);
        push_arrival(p, again, k);
    }
    push_arrival(p, to, k);
}

/* ---- leaving ---- */

static void left(void *ctx, uint64_t generation)
{
    struct sim_pipe *p = ctx;
    if (generation != p->generation || !p->on_air)
        return;
    size_t n = p->on_air;
    transmit(p, buf_bytes(&p->queue), n);
    buf_consume(&p->queue, n);
    buf_trim(&p->queue, 65536);
    p->on_air = 0;
    p->garbled = false;
    begin(p);
    p->ops->drained(p->ctx);
}

static void begin(struct sim_pipe *p)
{
    if (p->on_air || p->stalled || p->queue.len == 0)
        return;
    size_t n = (size_t)rng_range(&p->rng, 1, p->profile.piece_max_bytes);
    p->on_air = n < p->queue.len ? n : p->queue.len;
    int64_t now_us = p->clock->now_ms * 1000;
    int64_t start = p->free_at_us > now_us - 1000 ? p->free_at_us : now_us;
    p->free_at_us = start;
    if (p->profile.rate_bytes_s)
        p->free_at_us += (int64_t)p->on_air * 1000000 / p->profile.rate_bytes_s;
    if (p->medium && p->medium->on_air) {
        p->garbled = p->medium->garbled = true;
        p->collisions++;
    }
    sim_at(p->clock, (p->free_at_us + 999) / 1000, left, p, p->generation);
}

void sim_pipe_write(struct sim_pipe *p, const void *bytes, size_t n)
{
    bool ok = buf_put(&p->queue, bytes, n);
    assert(ok);
    (void)ok;
    p->bytes_in += n;
    begin(p);
}

size_t sim_pipe_waiting(const struct sim_pipe *p)
{
    return p->queue.len - p->on_air;
}

void sim_pipe_stall(struct sim_pipe *p, bool stalled)
{
    p->stalled = stalled;
    begin(p);
}

const uint8_t *sim_pipe_take(struct sim_pipe *p, size_t *n)
{
    free(p->taken);
    p->taken = NULL;
    p->on_air = 0;
    if (p->arrival_count) {
        struct sim_pipe_arrival *a = &p->arrivals[p->arrival_head];
        p->taken = a->bytes;
        *n = a->n;
        p->arrival_head = (p->arrival_head + 1) % p->arrival_size;
        p->arrival_count--;
    } else if (p->queue.len) {
        *n = p->queue.len;
        p->taken = malloc(*n);
        assert(p->taken);
        memcpy(p->taken, buf_bytes(&p->queue), *n);
        buf_clear(&p->queue);
    }
    return p->taken;
}

void sim_pipe_cut(struct sim_pipe *p, bool queue, bool air)
{
    if (queue) {
        buf_clear(&p->queue);
        p->on_air = 0;
        p->garbled = false;
    }
    if (air)
        drop_arrivals(p);
    p->generation++;
    p->free_at_us = 0;
    /* Events of the old generation are void: begin those again that are still meant. */
    for (size_t i = 0; i < p->arrival_count; i++)
        sim_at(p->clock, p->arrivals[(p->arrival_head + i) % p->arrival_size].at_ms, arrive, p, p->generation);
    if (p->on_air)
        sim_at(p->clock, p->clock->now_ms + 1, left, p, p->generation);
}
