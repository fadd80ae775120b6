#include "gateway/wire/prime_share.h"

#define UNITS_MASK 63u

uint64_t prime_work(uint32_t payload_len)
{
    uint64_t pieces = payload_len > 0 ? (payload_len + (uint64_t)PRIME_PIECE_BYTES - 1) / PRIME_PIECE_BYTES : 1;
    return payload_len + pieces * PRIME_RECORD_COST;
}

unsigned prime_units(uint64_t work)
{
    uint64_t units = work > 0 ? (work - 1) / PRIME_UNIT_WORK + 1 : 1;
    return units < PRIME_SHARE_UNITS ? (unsigned)units : PRIME_SHARE_UNITS;
}

uint32_t prime_tail_name(uint32_t hash, unsigned units)
{
    return (hash & ~UNITS_MASK) | units;
}

unsigned prime_tail_units(uint32_t name)
{
    return name & UNITS_MASK;
}

unsigned prime_share(unsigned own, unsigned other)
{
    const unsigned half = PRIME_SHARE_UNITS / 2;
    if (own + other <= PRIME_SHARE_UNITS)
        return own;
    if (other <= half)
        return PRIME_SHARE_UNITS - other;
    return own < half ? own : half;
}
