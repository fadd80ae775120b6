#include "gateway/wire/mix_decimal.h"

#include "gateway/wire/mix_numbers.h"

#define EDGE_MAX (INT64_MAX / 64)

/* a * b as high and low 64 bits. */
static void multiply(uint64_t a, uint64_t b, uint64_t *high, uint64_t *low)
{
    uint64_t a0 = a & UINT32_MAX, a1 = a >> 32, b0 = b & UINT32_MAX, b1 = b >> 32;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
    uint64_t cross = a0 * b1 + (middle & UINT32_MAX);

    *low = cross << 32 | (a0 * b0 & UINT32_MAX);
    *high = a1 * b1 + (middle >> 32) + (cross >> 32);
}

bool mix_decimal_edge(uint64_t bits, unsigned size, unsigned decimals, int64_t *edge)
{
    unsigned fraction = size == 4 ? 23 : 52;
    int bias = size == 4 ? 127 : 1023;
    int exponent = (int)(bits >> fraction);
    uint64_t mantissa = bits & ((1ull << fraction) - 1);
    uint64_t high, low;

    if (exponent >= 2 * bias + 1)
        return false;
    if (exponent > 0)
        mantissa |= 1ull << fraction;
    else
        exponent = 1;
    if (mantissa == 0) {
        *edge = 0;
        return true;
    }
    /* Half a step below: (2 m - 1) 2^(exponent - bias - fraction - 1), times 10^decimals, rounded up. */
    int shift = fraction + 1 + bias - exponent;
    multiply(2 * mantissa - 1, (uint64_t)mix_power10(decimals), &high, &low);
    if (shift <= 0) {
        if (high || shift < -20 || low > (uint64_t)EDGE_MAX >> -shift)
            return false;
        *edge = (int64_t)(low << -shift);
        return true;
    }
    if (shift >= 128) {
        *edge = 1;
        return true;
    }
    uint64_t whole, rest;
    if (shift >= 64) {
        unsigned s = (unsigned)shift - 64;
        whole = high >> s;
        rest = low | (high & ((1ull << s) - 1));
    } else {
        if (high >> shift)
            return false;
        whole = low >> shift | high << (64 - shift);
        rest = low & ((1ull << shift) - 1);
    }
    if (whole > EDGE_MAX)
        return false;
    *edge = (int64_t)whole + (rest != 0);
    return true;
}

bool mix_decimal_of(uint64_t bits, unsigned size, int64_t *value, unsigned *decimals)
{
    bool found = false;

    for (unsigned d = 0; d <= MIX_FLOAT_DECIMALS; d++) {
        int64_t from, to;
        if (!mix_decimal_edge(bits, size, d, &from) || !mix_decimal_edge(bits + 1, size, d, &to))
            break;
        found = true;
        *value = from;
        *decimals = d;
        if (to > from)
            break;
    }
    return found;
}
