/* Adaptive probabilities and hashes: the small change of the mixing codec.
 *
 * A counter is 32 bits: probability of a 1 in 22 bits, number of observations in 10. It moves by
 * 1 / (observations + 3/2) of the error, so it is an average first and forgets later, from `limit` on. */
#ifndef WIRE_MIX_COUNTER_H
#define WIRE_MIX_COUNTER_H

#include <stdint.h>
#include "gateway/wire/mix_tables.h"

/* limit: at most 511 (mix_reciprocal has no more). */
static inline void mix_counter_update(uint32_t *c, int bit, unsigned limit)
{
    unsigned n = *c & 1023;
    int32_t p = (int32_t)(*c >> 10);
    int32_t error = ((bit << 22) - bit - p) / 8;

    p += (int32_t)((int64_t)error * mix_reciprocal[n] / 8192);
    *c = (uint32_t)p << 10 | (n < limit ? n + 1 : n);
}

/* Probability of a 1 in 1/65536. */
static inline int mix_counter_p(uint32_t c)
{
    return (int)(c >> 16);
}

/* p in 1/65536, as if seen `n` times. */
static inline uint32_t mix_counter_of(uint32_t p, unsigned n)
{
    return p << 16 | n;
}

static inline uint32_t mix_hash2(uint32_t a, uint32_t b)
{
    uint32_t h = (a * 0x9e3779b1u) ^ ((b + 0x632be5abu) * 0x85ebca77u);

    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    return h ^ h >> 13;
}

static inline uint32_t mix_hash3(uint32_t a, uint32_t b, uint32_t c)
{
    return mix_hash2(mix_hash2(a, b), c);
}

static inline unsigned mix_least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* A hash spread evenly over 0 .. n - 1. */
static inline uint32_t mix_spread(uint32_t hash, uint32_t n)
{
    return (uint32_t)((uint64_t)hash * n >> 32);
}

#endif
