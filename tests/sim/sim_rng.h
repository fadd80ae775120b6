/* Chance that a seed gives back. SplitMix64: three lines, and any seed is a good one. */
#ifndef TESTS_SIM_SIM_RNG_H
#define TESTS_SIM_SIM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PPM 1000000u

struct sim_rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct sim_rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* A generator of its own for a part of the world, so that one part's draws do not shift another's. */
static inline struct sim_rng rng_fork(struct sim_rng *r)
{
    return (struct sim_rng){rng_next(r)};
}

/* low..high, both included. */
static inline int64_t rng_range(struct sim_rng *r, int64_t low, int64_t high)
{
    return high <= low ? low : low + (int64_t)(rng_next(r) % (uint64_t)(high - low + 1));
}

/* True once in a million draws for each unit. */
static inline bool rng_chance(struct sim_rng *r, uint32_t ppm)
{
    return ppm != 0 && rng_next(r) % PPM < ppm;
}

/* Small values are likelier: each power of two up to high is as likely as the next. */
static inline int64_t rng_skewed(struct sim_rng *r, int64_t low, int64_t high)
{
    unsigned bits = 0;
    while (bits < 62 && (high - low) >> bits)
        bits++;
    int64_t top = (int64_t)1 << rng_range(r, 0, bits);
    return low + rng_range(r, 0, top - 1 < high - low ? top - 1 : high - low);
}

static inline void rng_bytes(struct sim_rng *r, void *bytes, size_t n)
{
    uint8_t *at = bytes;
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(rng_next(r) >> 24);
}

#endif
