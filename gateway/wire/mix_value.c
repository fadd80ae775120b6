#include "gateway/wire/mix_value.h"

#include <string.h>
#include "gateway/wire/mix_decimal.h"
#include "gateway/wire/mix_tables.h"

#define EDGE_MAX   (INT64_MAX / 64)
#define FEW_POINTS 1024 /* below, each value left counts by itself, however unlikely */

void mix_value_init(struct mix_value *v)
{
    mix_expectation_map_init(&v->map);
}

void mix_value_idle(struct mix_value *v)
{
    v->open = false;
    v->choices = 0;
    for (unsigned k = 0; k < MIX_EXPECTATIONS; k++)
        v->expected[k].length = v->expected[k].at = v->expected[k].diverged = 0;
}

static void expect_varint(struct mix_expectation *e, int64_t value, unsigned sure)
{
    if (value < 0)
        return;
    uint64_t left = (uint64_t)value;
    unsigned n = 0;
    for (; left > 127; left >>= 7)
        e->text[n++] = (uint8_t)(left | 128);
    e->text[n++] = (uint8_t)left;
    e->length = (uint8_t)n;
    e->sure = (uint8_t)sure;
}

void mix_value_begin(struct mix_value *v, uint32_t key, unsigned size, bool is_float)
{
    mix_value_idle(v);
    v->open = true;
    v->size = size;
    v->is_float = is_float;
    v->at = 0;
    v->prefix = 0;
    v->known = mix_numbers_open(v->numbers, key);
    if (!v->known || size)
        return;
    const struct mix_numbers *n = v->numbers;
    expect_varint(&v->expected[MIX_EXPECT_LINE], n->guess[MIX_GUESS_LINE], n->field->hits[MIX_GUESS_LINE] >> 4);
    if (n->related)
        expect_varint(&v->expected[MIX_EXPECT_OTHER], n->guess[MIX_GUESS_RELATED], n->field->trust);
}

/* Where the number `bits` stands among the field's values: those below it are those of smaller numbers. */
static bool edge(const struct mix_value *v, uint64_t bits, int64_t *out)
{
    if (v->is_float)
        return mix_decimal_edge(bits, v->size, v->numbers->field->decimals, out);
    *out = (int64_t)bits;
    return bits <= EDGE_MAX;
}

static uint32_t between(const struct mix_value *v, unsigned k, int64_t from, int64_t to, bool negative)
{
    const struct mix_numbers *n = v->numbers;

    if (negative)
        return mix_numbers_cumulated(n, k, -from) - mix_numbers_cumulated(n, k, -to);
    return mix_numbers_cumulated(n, k, to - 1) - mix_numbers_cumulated(n, k, from - 1);
}

static unsigned log_class(uint64_t n)
{
    unsigned bits = 0;

    while (n >> bits && bits < 15)
        bits++;
    return bits;
}

void mix_value_predict(struct mix_value *v, unsigned node, unsigned bits, int16_t in[MIX_VALUE_INPUTS])
{
    memset(in, 0, MIX_VALUE_INPUTS * sizeof *in);
    v->choices = 0;
    if (!v->open || !v->known || !v->size)
        return;
    unsigned done = 8 * v->at + bits, all = 8 * v->size;
    uint64_t prefix = v->prefix << bits | (node & ((1u << bits) - 1));
    bool negative = false;
    if (v->is_float) { /* the sign is the first bit, the rest is a magnitude */
        if (done == 0)
            return;
        negative = prefix >> (done - 1) & 1;
        prefix &= (1ull << (done - 1)) - 1;
    }
    unsigned shift = all - done - 1;
    if (done && shift + 1 < 64 && prefix > UINT64_MAX >> (shift + 1))
        return;
    uint64_t low = shift + 1 < 64 ? prefix << (shift + 1) : 0;
    int64_t from, middle, to;
    if (!edge(v, low, &from) || !edge(v, low + (1ull << shift), &middle))
        return;
    if (!edge(v, low + (1ull << shift) + (1ull << shift), &to))
        to = EDGE_MAX;
    if (to <= from || middle < from || to < middle)
        return;
    v->choices = log_class((uint64_t)(to - from));
    for (unsigned k = 0; k < MIX_PREDICTORS; k++) {
        uint64_t zeros = between(v, k, from, middle, negative);
        uint64_t ones = between(v, k, middle, to, negative);
        if (to - from < FEW_POINTS) {
            zeros += (uint64_t)(middle - from);
            ones += (uint64_t)(to - middle);
        } else {
            zeros++;
            ones++;
        }
        int p = (int)(ones * 65535 / (zeros + ones));
        in[2 * k] = (int16_t)mix_stretch(p);
        in[2 * k + 1] = (int16_t)((p - 32768) / 32);
    }
}

static void close_value(struct mix_value *v)
{
    int64_t value = (int64_t)v->prefix;
    unsigned decimals = 0;
    bool negative = false;

    v->open = false;
    if (v->is_float) {
        uint64_t sign = 1ull << (8 * v->size - 1);
        negative = v->prefix & sign;
        if (!mix_decimal_of(v->prefix & (sign - 1), v->size, &value, &decimals))
            return;
    } else if (v->prefix > EDGE_MAX) {
        return;
    }
    mix_numbers_close(v->numbers, negative ? -value : value, decimals, 0, false);
}

void mix_value_byte(struct mix_value *v, uint8_t c)
{
    for (unsigned k = 0; k < MIX_EXPECTATIONS; k++)
        mix_expectation_follow(&v->expected[k], c);
    if (!v->open)
        return;
    if (v->size) {
        v->prefix = v->prefix << 8 | c;
        if (++v->at == v->size)
            close_value(v);
        return;
    }
    if (v->at > 8) { /* more than 63 bits are no count of anything */
        v->open = false;
        return;
    }
    v->prefix |= (uint64_t)(c & 127) << (7 * v->at++);
    if (!(c & 128))
        close_value(v);
}
