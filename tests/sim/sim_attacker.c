#include "tests/sim/sim_attacker.h"

#include <string.h>

static void record(struct sim_attacker *a, unsigned from, const uint8_t *bytes, size_t n)
{
    struct sim_recording *r = &a->tape[a->recorded++ % SIM_ATTACKER_TAPE];
    r->from = from;
    r->n = n < sizeof r->bytes ? n : sizeof r->bytes;
    memcpy(r->bytes, bytes, r->n);
}

static const struct sim_recording *any(struct sim_attacker *a)
{
    unsigned n = a->recorded < SIM_ATTACKER_TAPE ? a->recorded : SIM_ATTACKER_TAPE;
    return &a->tape[rng_range(&a->rng, 0, n - 1)];
}

/* The shape of a frame, with anything in it. On a stream one COBS block without zeros in it. */
static size_t make_up(struct sim_attacker *a, uint8_t *out, bool datagram)
{
    static const uint8_t firsts[] = {0x80, 0x88, 0xa0, 0xa8, 0xc0, 0xc4, 0xc8, 0xcc, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6};
    size_t n = (size_t)rng_range(&a->rng, 10, 150);
    rng_bytes(&a->rng, out, n + 2);
    if (datagram) {
        out[0] = firsts[rng_range(&a->rng, 0, sizeof firsts - 1)];
        return n;
    }
    for (size_t i = 1; i <= n; i++)
        out[i] |= 1;
    out[0] = (uint8_t)(n + 1);
    out[1] = firsts[rng_range(&a->rng, 0, sizeof firsts - 1)];
    out[n + 1] = 0;
    return n + 2;
}

void sim_attacker_see(struct sim_attacker *a, unsigned from, const uint8_t *bytes, size_t n, bool datagram)
{
    uint8_t made[SIM_ATTACKER_FRAME];
    const struct sim_recording *old;
    record(a, from, bytes, n);
    if (n > sizeof made || !rng_chance(&a->rng, a->ppm)) {
        a->carry(a->ctx, from, bytes, n);
        return;
    }
    a->attacks++;
    memcpy(made, bytes, n);
    switch (rng_range(&a->rng, 0, 8)) {
    case 0:
        made[rng_range(&a->rng, 0, (int64_t)n - 1)] ^= (uint8_t)(1u << rng_range(&a->rng, 0, 7));
        a->carry(a->ctx, from, made, n);
        break;
    case 1: /* cut; on a stream a delimiter closes what is left */
        n = (size_t)rng_range(&a->rng, 1, (int64_t)n);
        if (!datagram)
            made[n - 1] = 0;
        a->carry(a->ctx, from, made, n);
        break;
    case 2: /* takes the place of the one that was held back */
        if (a->held.n)
            a->carry(a->ctx, a->held.from, a->held.bytes, a->held.n);
        a->held.from = from;
        a->held.n = n;
        memcpy(a->held.bytes, made, n);
        break;
    case 3:
        a->carry(a->ctx, from, bytes, n);
        a->carry(a->ctx, from, bytes, n);
        break;
    case 4:
        a->carry(a->ctx, from, bytes, n);
        a->carry(a->ctx, !from, bytes, n);
        break;
    case 5:
        break;
    case 6:
        a->carry(a->ctx, from, bytes, n);
        a->carry(a->ctx, (unsigned)rng_range(&a->rng, 0, 1), made, make_up(a, made, datagram));
        break;
    default:
        a->carry(a->ctx, from, bytes, n);
        old = any(a);
        a->carry(a->ctx, rng_chance(&a->rng, PPM / 5) ? !old->from : old->from, old->bytes, old->n);
    }
}

void sim_attacker_play(struct sim_attacker *a, unsigned from)
{
    for (unsigned i = a->recorded < SIM_ATTACKER_TAPE ? 0 : a->recorded - SIM_ATTACKER_TAPE; i < a->recorded; i++) {
        const struct sim_recording *r = &a->tape[i % SIM_ATTACKER_TAPE];
        if (r->from == from)
            a->carry(a->ctx, from, r->bytes, r->n);
    }
}
