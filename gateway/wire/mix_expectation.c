#include "gateway/wire/mix_expectation.h"

#include <stddef.h>
#include "gateway/wire/mix_counter.h"

void mix_expectation_map_init(struct mix_expectation_map *map)
{
    for (unsigned k = 0; k < MIX_EXPECTATIONS; k++)
        for (unsigned i = 0; i < MIX_EXPECTED_COUNTERS; i++)
            map->counters[k][i] = mix_counter_of(32768, 3);
}

unsigned mix_difference(uint8_t is, uint8_t was)
{
    if (is < '0' || is > '9' || was < '0' || was > '9')
        return 5;
    int d = is - was;
    return d == 1 ? 1 : d == -1 ? 2 : d > 0 ? 3 : 4;
}

unsigned mix_expectation_byte(const struct mix_expectation *e)
{
    return e->diverged || e->at >= e->length ? MIX_NOT_EXPECTED : e->text[e->at];
}

unsigned mix_expectation_predict(struct mix_expectation *e, struct mix_expectation_map *map,
                                 enum mix_expectation_kind kind, unsigned node, unsigned bits, bool also,
                                 int16_t in[2])
{
    unsigned byte = mix_expectation_byte(e);

    in[0] = in[1] = 0;
    e->counter = NULL;
    if (byte == MIX_NOT_EXPECTED || (byte | 256) >> (8 - bits) != node)
        return 0;
    unsigned left = e->length - e->at;
    unsigned part = bits < 4 ? 0 : bits - 3 > 3 ? 3 : bits - 3;
    e->counter = &map->counters[kind][(unsigned)e->sure << 5 | part << 3 | (left > 3 ? 3u : left) << 1 | also];
    e->vote = byte >> (7 - bits) & 1;
    int p = mix_counter_p(*e->counter);
    int logit = mix_stretch(p), lean = (p - 32768) / 32;
    in[0] = (int16_t)(e->vote ? logit : -logit);
    in[1] = (int16_t)(e->vote ? lean : -lean);
    return 1 + (e->sure > 8);
}

void mix_expectation_update(struct mix_expectation *e, int bit)
{
    if (e->counter)
        mix_counter_update(e->counter, e->vote == bit, 255);
}

void mix_expectation_follow(struct mix_expectation *e, uint8_t c)
{
    unsigned expected = mix_expectation_byte(e);

    if (expected != MIX_NOT_EXPECTED && expected != c)
        e->diverged = (uint8_t)mix_difference(c, (uint8_t)expected);
    if (e->at < e->length)
        e->at++;
}
