#include "gateway/wire/mix_float_text.h"

#include "gateway/wire/mix_numbers.h"

#define MANTISSA_BITS 24
#define SCALE_MAX     58 /* bits behind the point: ten times that still fits 64 */
#define DOUBLE_SLACK  30 /* a double is told by 2^-30 of a float's half step */

static unsigned digits_of(uint64_t v)
{
    unsigned n = 0;

    for (; v; v /= 10)
        n++;
    return n;
}

/* The smallest float >= prefix / 10^decimals, as mantissa / 2^scale. */
static bool next_float(uint64_t prefix, unsigned decimals, uint64_t *mantissa, unsigned *scale)
{
    uint64_t unit = (uint64_t)mix_power10(decimals);
    uint64_t m = prefix / unit, rest = prefix % unit;
    unsigned s = 0;

    if (m >> MANTISSA_BITS)
        return false;
    while (!(m >> (MANTISSA_BITS - 1))) {
        if (++s > SCALE_MAX || (m == 0 && rest == 0))
            return false;
        rest *= 2;
        m = m << 1 | (rest >= unit);
        rest -= rest >= unit ? unit : 0;
    }
    *mantissa = m + (rest != 0);
    *scale = s;
    return true;
}

unsigned mix_float_text(uint64_t prefix, unsigned decimals, unsigned significant,
                        uint8_t out[MIX_FLOAT_TEXT_MAX])
{
    uint64_t mantissa;
    unsigned scale, n = 0, known = digits_of(prefix);

    if (!next_float(prefix, decimals, &mantissa, &scale))
        return 0;
    uint64_t mask = (1ull << scale) - 1, rest = mantissa & mask, whole = mantissa >> scale;
    for (unsigned d = 0; d < decimals; d++) {
        rest *= 10;
        whole = whole * 10 + (rest >> scale);
        rest &= mask;
    }
    if (whole != prefix)
        return 0;
    while (rest && n < MIX_FLOAT_TEXT_MAX && decimals + n < MIX_DECIMALS_MAX) {
        rest *= 10;
        uint8_t digit = (uint8_t)('0' + (rest >> scale));
        rest &= mask;
        out[n++] = digit;
        uint64_t slack = (uint64_t)mix_power10(decimals + n) >> DOUBLE_SLACK;
        bool ends = significant ? known + n >= significant : rest < slack || mask + 1 - rest < slack;
        if (ends) {
            if (rest > mask / 2 && digit < '9')
                out[n - 1]++;
            break;
        }
    }
    return n;
}
