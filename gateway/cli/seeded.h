/* Random numbers that a seed gives back: for simulation only, never for identities or keys.
 * SplitMix64, because it is three lines and any seed is a good one. */
#ifndef GATEWAY_CLI_SEEDED_H
#define GATEWAY_CLI_SEEDED_H

#include <stdint.h>

struct seeded {
    uint64_t state;
};

static inline uint64_t seeded_next(struct seeded *s)
{
    uint64_t z = (s->state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* 0 .. bound-1; bound at least 1. The bias of the remainder does not matter in a simulation. */
static inline uint32_t seeded_below(struct seeded *s, uint32_t bound)
{
    return (uint32_t)((seeded_next(s) >> 32) % bound);
}

/* True once in a thousand million draws for each unit of ppb. */
static inline int seeded_chance(struct seeded *s, uint32_t ppb)
{
    return ppb != 0 && (seeded_next(s) >> 32) * 1000000000ull >> 32 < ppb;
}

#endif
