#include "gateway/wire/seal.h"

#include "base/crc32.h"

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* The seed is as long for every frame, so two seeds that differ always give different checks to the
 * same bytes (unless 20 bytes' difference is a multiple of the polynomial: once in 2^32). */
static uint32_t check_of(const struct seal_context *c, enum seal_space space, uint64_t number,
                         const uint8_t *frame, size_t n)
{
    uint8_t seed[20] = {'L', 'W', 0, (uint8_t)space};
    put32(seed + 4, c->epoch);
    put32(seed + 8, c->peer_epoch);
    put32(seed + 12, (uint32_t)(number >> 32));
    put32(seed + 16, (uint32_t)number);
    return crc32_add(crc32_add(0, seed, sizeof seed), frame, n);
}

size_t seal_overhead(const struct seal_context *c)
{
    return SEAL_CRC_BYTES;
}

size_t seal_frame(const struct seal_context *c, enum seal_space space, uint64_t number,
                  uint8_t *frame, size_t n)
{
    put32(frame + n, check_of(c, space, number, frame, n));
    return n + SEAL_CRC_BYTES;
}

bool seal_open(const struct seal_context *c, enum seal_space space, uint64_t number, uint8_t *frame,
               size_t n, size_t *content)
{
    if (n < SEAL_CRC_BYTES)
        return false;
    *content = n - SEAL_CRC_BYTES;
    uint8_t tag[SEAL_CRC_BYTES];
    put32(tag, check_of(c, space, number, frame, *content));
    uint8_t wrong = 0;
    for (size_t i = 0; i < SEAL_CRC_BYTES; i++)
        wrong |= tag[i] ^ frame[*content + i];
    return wrong == 0;
}
