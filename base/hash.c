#include "base/hash.h"

uint64_t hash64_add(uint64_t h, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3ull;
    return h;
}

uint32_t hash64_fold32(uint64_t h)
{
    /* FNV's low bits depend on few input bits: two rounds of xor-shift and an odd multiplier mend
     * it. */
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15ull;
    h ^= h >> 29;
    h *= 0xd6e8feb86659fd93ull;
    h ^= h >> 32;
    return (uint32_t)h;
}
