#include "gateway/wire/mix_symbols.h"

#include <string.h>
#include "gateway/wire/mix_counter.h"

#define SIZE_BITS    7         /* a number's length in bits, 0 .. 64 */
#define WEIGHT_ONE   (1 << 16)
#define WEIGHT_START (WEIGHT_ONE * 20 / 100)
#define WEIGHT_MAX   (8 * WEIGHT_ONE)
#define RATE         14
#define FLAGS_SHARE  8         /* of the counters: one in so many */
#define PREFIX_BITS  10        /* of a number: the bits that the lower ones are seen in the light of */

void mix_symbols_init(struct mix_symbols *s, uint32_t *counters, uint32_t counter_count)
{
    memset(s, 0, sizeof *s);
    s->counters = counters;
    s->counter_count = counter_count;
    s->flag_count = counter_count / FLAGS_SHARE;
    for (uint32_t i = 0; i < counter_count * MIX_SYMBOL_CONTEXTS; i++)
        counters[i] = mix_counter_of(32768, 0);
    for (unsigned set = 0; set < MIX_SYMBOL_SETS; set++)
        for (unsigned i = 0; i < MIX_SYMBOL_CONTEXTS; i++)
            for (unsigned depth = 0; depth < MIX_SYMBOL_DEPTHS; depth++)
                s->weights[set][depth][i] = WEIGHT_START;
}

void mix_symbols_begin(struct mix_symbols *s, unsigned set, unsigned bits, unsigned limit,
                       const uint32_t context[MIX_SYMBOL_CONTEXTS])
{
    memcpy(s->context, context, sizeof s->context);
    s->set = set;
    s->number = bits == 0;
    s->bits = s->number ? SIZE_BITS : bits;
    s->limit = limit;
    s->size = 0;
    s->value = 0;
    s->done = 0;
}

/* What is known of the symbol so far, as a hash. */
static uint32_t node(const struct mix_symbols *s)
{
    if (s->size == 0)
        return ((uint32_t)s->value | 1u << s->done) + 17;
    /* Far down in a number the bits are noise, one bit like another. */
    return mix_hash3(s->size, s->done, s->done <= PREFIX_BITS ? (uint32_t)s->value : 0);
}

/* The weights of the bit to come: which contexts are to be believed changes as the symbol comes out. */
static int32_t *weights(struct mix_symbols *s)
{
    return s->weights[s->set][s->done < MIX_SYMBOL_DEPTHS ? s->done : MIX_SYMBOL_DEPTHS - 1];
}

int mix_symbols_predict(struct mix_symbols *s)
{
    const int32_t *w = weights(s);
    uint32_t at = node(s);
    uint32_t first = s->set < MIX_SYMBOL_FLAGS ? s->flag_count : 0;
    uint32_t count = s->set < MIX_SYMBOL_FLAGS ? s->counter_count - s->flag_count : s->flag_count;
    int64_t sum = 0;

    for (unsigned i = 0; i < MIX_SYMBOL_CONTEXTS; i++) {
        uint32_t place = first + mix_spread(mix_hash3(s->context[i], at, s->set), count);
        s->counter[i] = &s->counters[i * s->counter_count + place];
        s->logit[i] = mix_stretch(mix_counter_p(*s->counter[i]));
        sum += (int64_t)w[i] * s->logit[i];
    }
    sum >>= 16;
    int logit = sum > MIX_LOGIT_MAX ? MIX_LOGIT_MAX : sum < -MIX_LOGIT_MAX ? -MIX_LOGIT_MAX : (int)sum;
    int p = mix_squash(logit);
    s->p = p < 1 ? 1 : p > 65535 ? 65535 : p;
    return s->p;
}

bool mix_symbols_update(struct mix_symbols *s, int bit)
{
    int32_t *w = weights(s);
    int error = ((bit << 16) - s->p) / 16;

    for (unsigned i = 0; i < MIX_SYMBOL_CONTEXTS; i++) {
        int64_t v = w[i] + ((int64_t)s->logit[i] * error * RATE >> 14);
        w[i] = (int32_t)(v > WEIGHT_MAX ? WEIGHT_MAX : v < -WEIGHT_MAX ? -WEIGHT_MAX : v);
        mix_counter_update(s->counter[i], bit, s->limit);
    }
    s->value = s->value << 1 | (unsigned)bit;
    if (++s->done < s->bits)
        return false;
    if (s->number && s->size == 0) {
        s->size = (unsigned)s->value;
        if (s->size <= 1)
            return true; /* 0 and 1 are their own length */
        if (s->size > 64)
            s->size = 64; /* only bytes that no encoder made come here */
        s->value = 1;
        s->done = 1;
        s->bits = s->size;
        return false;
    }
    return true;
}

int mix_symbols_bit(const struct mix_symbols *s, uint64_t value)
{
    if (!s->number)
        return value >> (s->bits - 1 - s->done) & 1;
    if (s->size)
        return value >> (s->size - 1 - s->done) & 1;
    unsigned size = 0;
    while (size < 64 && value >> size)
        size++;
    return size >> (SIZE_BITS - 1 - s->done) & 1;
}
