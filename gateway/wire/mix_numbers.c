#include "gateway/wire/mix_numbers.h"

#include <stddef.h>
#include "gateway/wire/mix_counter.h"

#define SPREAD_MIN  6          /* 1/16 units: even a field that stands still may move */
#define SPREAD_MAX  960000000
#define ERROR_MAX   (SPREAD_MAX / 16)
#define VALUE_MAX   (INT64_MAX / 64)
#define TRUST_MAX   14
#define RATIO_MAX   INT32_MAX  /* beyond it products might not fit */
#define MEAN_RATE   6

int64_t mix_power10(unsigned n)
{
    static const int64_t powers[MIX_DECIMALS_MAX + 1] = {
        1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
        100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000,
        10000000000000000, 100000000000000000, 1000000000000000000};

    return powers[n];
}

static int64_t magnitude(int64_t x)
{
    return x < 0 ? -x : x;
}

/* The value in units of 10^-to, as near as can be; *fits = false when it is too large. */
static int64_t rescale(int64_t value, unsigned from, unsigned to, bool *fits)
{
    if (to >= from) {
        int64_t factor = mix_power10(to - from);
        if (magnitude(value) > VALUE_MAX / factor) {
            *fits = false;
            return 0;
        }
        return value * factor;
    }
    return value / mix_power10(from - to);
}

static const struct mix_number_recent *recent_of(const struct mix_numbers *n, uint32_t key)
{
    for (unsigned i = 1; i <= MIX_NUMBERS_RECENT; i++) {
        const struct mix_number_recent *r =
            &n->recent[(n->recent_at - i) % MIX_NUMBERS_RECENT];
        if (r->key == key)
            return r;
    }
    return NULL;
}

/* What the relation to r says of the field's next value. */
static bool relate(const struct mix_number_field *f, const struct mix_number_recent *r,
                   enum mix_relation relation, int64_t *guess)
{
    bool fits = true;
    int64_t value = rescale(r->value, r->decimals, f->decimals, &fits);
    int64_t before = rescale(r->before, r->decimals, f->decimals, &fits);

    if (!fits)
        return false;
    switch (relation) {
    case MIX_SAME_VALUE:
        *guess = value;
        return true;
    case MIX_SAME_CHANGE:
        *guess = f->last + (value - before);
        return true;
    case MIX_OPPOSITE_CHANGE:
        *guess = f->last - (value - before);
        return true;
    case MIX_SAME_RATIO:
        if (r->before == 0 || magnitude(f->last) > RATIO_MAX || magnitude(r->value) > RATIO_MAX)
            return false;
        int64_t product = f->last * r->value, half = magnitude(r->before) / 2;
        *guess = (product + ((product < 0) ? -half : half)) / r->before;
        return true;
    }
    return false;
}

/* A field has two places. What is new takes the second, and moves to the first when it is met again: so
 * fields that are seen once do not drive out those that come every time. */
static struct mix_number_field *places_of(const struct mix_numbers *n, uint32_t key)
{
    return &n->fields[2 * mix_spread(key, n->field_count / 2)];
}

static struct mix_number_field *find(const struct mix_numbers *n, uint32_t key)
{
    struct mix_number_field *f = places_of(n, key);

    if (f[0].check != (uint16_t)key && f[1].check == (uint16_t)key) {
        struct mix_number_field first = f[0];
        f[0] = f[1];
        f[1] = first;
    }
    return f;
}

bool mix_numbers_open(struct mix_numbers *n, uint32_t key)
{
    struct mix_number_field *f = find(n, key);

    n->key = key;
    n->field = NULL;
    n->related = false;
    if (f->check != (uint16_t)key || !f->seen)
        return false;
    n->field = f;
    n->guess[MIX_GUESS_LAST] = n->guess[MIX_GUESS_RELATED] = f->last;
    n->guess[MIX_GUESS_LINE] = 2 * f->last - f->before;
    n->guess[MIX_GUESS_MEAN] = (f->mean16 + 8) >> 4;
    if (f->trust) {
        const struct mix_number_recent *r = recent_of(n, f->source);
        n->related = r && relate(f, r, f->relation, &n->guess[MIX_GUESS_RELATED]);
        if (!n->related)
            n->guess[MIX_GUESS_RELATED] = f->last;
    }
    return true;
}

/* About 2^23 times the probability of an error of at least d >= 1: mostly an exponential law, an eighth
 * of it eight times as wide. */
static uint32_t tail(uint64_t d, uint32_t spread)
{
    uint64_t x = d < (1u << 20) ? ((uint32_t)d * 2048 - 1024) / spread : (d * 2048 - 1024) / spread;
    uint32_t narrow = x < 2048 ? mix_exp_tail[x] : 0;

    x >>= 3;
    uint32_t wide = x < 2048 ? mix_exp_tail[x] : 0;
    return narrow - (narrow >> 3) + (wide >> 3);
}

uint32_t mix_numbers_cumulated(const struct mix_numbers *n, enum mix_predictor k, int64_t x)
{
    uint32_t spread = n->field->spread[k];
    int64_t guess = n->guess[k];

    if (x < guess)
        return tail((uint64_t)guess - (uint64_t)x, spread);
    uint32_t all = 2 * tail(1, spread) + n->field->hits[k] * 65536u;
    return all - tail((uint64_t)x + 1 - (uint64_t)guess, spread);
}

/* Looks for a recent number that this value follows from. */
static void find_relation(const struct mix_numbers *n, struct mix_number_field *f, int64_t value)
{
    if (value == f->last)
        return;
    for (unsigned relation = 0; relation < MIX_RELATIONS; relation++) {
        int64_t slack = relation == MIX_SAME_RATIO ? 1 : 0;
        for (unsigned i = 1; i <= MIX_NUMBERS_RECENT; i++) {
            const struct mix_number_recent *r =
                &n->recent[(n->recent_at - i) % MIX_NUMBERS_RECENT];
            int64_t guess;
            if (!r->key || r->key == n->key || (relation != MIX_SAME_VALUE && r->value == r->before))
                continue;
            if (!relate(f, r, relation, &guess) || magnitude(guess - value) > slack)
                continue;
            f->source = r->key;
            f->relation = (uint8_t)relation;
            f->trust = 1;
            return;
        }
    }
}

static void learn(struct mix_numbers *n, struct mix_number_field *f, int64_t value)
{
    int rate = f->seen < 2 ? 2 : f->seen < 12 ? f->seen + 1 : 12;

    for (unsigned k = 0; k < MIX_PREDICTORS; k++) {
        int64_t error = magnitude(value - n->guess[k]);
        if (error > ERROR_MAX)
            error = ERROR_MAX;
        f->hits[k] = (uint8_t)(f->hits[k] + ((error == 0 ? 255 : 0) - f->hits[k]) / rate);
        if (f->hits[k] < 2)
            f->hits[k] = 2;
        if (k == MIX_GUESS_LAST && error == 0)
            continue; /* how far it moves when it moves */
        int64_t spread = f->spread[k] + (error * 16 - (int64_t)f->spread[k]) / rate;
        f->spread[k] = spread < SPREAD_MIN ? SPREAD_MIN : (uint32_t)spread;
    }
    int64_t off = magnitude(n->guess[MIX_GUESS_RELATED] - value);
    if (!f->trust) {
        find_relation(n, f, value);
    } else if (n->related && off <= (f->relation == MIX_SAME_RATIO)) {
        f->trust += f->trust < TRUST_MAX && value != f->last;
    } else {
        f->trust = f->trust > 2 ? f->trust - 2 : 0;
    }
    f->mean16 += (value * 16 - f->mean16) / MEAN_RATE;
}

/* A field seen for the first time: wide as a quarter of its value. */
static void first(struct mix_number_field *f, uint32_t key, int64_t value)
{
    int64_t wide = 16 + magnitude(value) / 4;

    *f = (struct mix_number_field){.check = (uint16_t)key, .last = value, .before = value,
                                   .mean16 = value * 16};
    for (unsigned k = 0; k < MIX_PREDICTORS; k++) {
        f->spread[k] = wide > 1000000 ? 1000000 : (uint32_t)wide;
        f->hits[k] = 64;
    }
}

/* Gives the field finer units. Return: false when its values do not fit them. */
static bool refine(struct mix_number_field *f, unsigned decimals)
{
    bool fits = true;
    int64_t factor = mix_power10(decimals - f->decimals);

    f->last = rescale(f->last, f->decimals, decimals, &fits);
    f->before = rescale(f->before, f->decimals, decimals, &fits);
    f->mean16 = rescale(f->mean16, f->decimals, decimals, &fits);
    for (unsigned k = 0; k < MIX_PREDICTORS; k++)
        f->spread[k] = f->spread[k] > SPREAD_MAX / factor ? SPREAD_MAX
                                                          : (uint32_t)(f->spread[k] * factor);
    f->decimals = (uint8_t)decimals;
    return fits;
}

void mix_numbers_close(struct mix_numbers *n, int64_t value, unsigned decimals, unsigned digits,
                       bool padded)
{
    bool known = n->field != NULL;
    struct mix_number_field *f = known ? n->field : places_of(n, n->key) + 1;

    if (decimals > MIX_DECIMALS_MAX || magnitude(value) > VALUE_MAX)
        return;
    if (known && decimals > f->decimals) {
        unsigned finer = decimals - f->decimals;
        for (unsigned k = 0; k < MIX_PREDICTORS; k++)
            known = known && magnitude(n->guess[k]) <= VALUE_MAX / mix_power10(finer);
        known = known && refine(f, decimals);
        for (unsigned k = 0; known && k < MIX_PREDICTORS; k++)
            n->guess[k] *= mix_power10(finer);
    } else if (known) {
        int64_t finer = rescale(value, decimals, f->decimals, &known);
        value = known ? finer : value;
    }
    if (known) {
        learn(n, f, value);
    } else {
        first(f, n->key, value);
        f->decimals = (uint8_t)decimals;
    }
    f->before = f->last;
    f->last = value;
    f->shown = (uint8_t)decimals;
    f->digits = (uint8_t)(digits > 255 ? 255 : digits);
    f->padded = padded;
    if (f->seen < 255)
        f->seen++;
    n->recent[n->recent_at++ % MIX_NUMBERS_RECENT] = (struct mix_number_recent){
        .key = n->key, .decimals = f->decimals, .value = value, .before = f->before};
}
