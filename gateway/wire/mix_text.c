#include "gateway/wire/mix_text.h"

#include <string.h>
#include "gateway/wire/mix_counter.h"
#include "gateway/wire/mix_float_text.h"

#define NUMBER_DIGITS_MAX 15
#define FLOAT_DIGITS      10 /* significant digits that make a float's text a hit */
#define FLOAT_TRUST_MAX   7
#define CALIBRATION_STEP  (2 * MIX_LOGIT_MAX / MIX_CALIBRATION)
#define LAST_DIVERGED_STEP 8 /* last_diverged: how in the low bits, bytes since then above */

void mix_text_init(struct mix_text *t)
{
    mix_expectation_map_init(&t->map);
    for (unsigned k = 0; k < MIX_PREDICTORS; k++)
        for (unsigned b = 0; b < 4; b++)
            for (int i = 0; i < MIX_CALIBRATION; i++)
                t->calibration[k][b][i] =
                    mix_counter_of((uint32_t)mix_squash((2 * i + 1 - MIX_CALIBRATION) * CALIBRATION_STEP / 2), 6);
}

/* Writes a number the way the field's last one was written. */
static unsigned format_number(uint8_t out[MIX_EXPECTED_MAX], int64_t value,
                              const struct mix_number_field *f)
{
    char back[MIX_EXPECTED_MAX];
    unsigned n = 0, least = f->padded ? f->digits : 1;
    bool negative = value < 0;
    uint64_t v = negative ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t unit = (uint64_t)mix_power10(f->decimals - f->shown);

    v = (v + unit / 2) / unit;
    for (unsigned d = 0; d < f->shown + least || v; d++) {
        if (n + 3 > MIX_EXPECTED_MAX)
            return 0;
        if (d == f->shown && d)
            back[n++] = '.';
        back[n++] = (char)('0' + v % 10);
        v /= 10;
    }
    if (negative)
        back[n++] = '-';
    for (unsigned i = 0; i < n; i++)
        out[i] = (uint8_t)back[n - 1 - i];
    return n;
}

static void expect_number(struct mix_expectation *e, int64_t value, const struct mix_number_field *f,
                          unsigned sure)
{
    e->length = (uint8_t)format_number(e->text, value, f);
    e->sure = (uint8_t)sure;
}

static unsigned log_of(uint64_t v)
{
    unsigned n = 0;

    for (; v; v >>= 1)
        n++;
    return n;
}

/* What the digit to come weighs against how far the value is wont to move. */
static void place_digit(struct mix_text *t)
{
    const struct mix_number_field *f = t->numbers->field;
    int below = t->point ? f->decimals - (int)t->decimals - 1
                         : f->digits - (int)t->digits - 1 + f->decimals;
    int weight = (int)log_of((uint64_t)mix_power10(below < 0 ? 0 : below > 17 ? 17 : (unsigned)below) * 16) -
                 (int)log_of(f->spread[MIX_GUESS_LAST]) + 8;

    t->place = weight < 0 ? 0 : weight > 15 ? 15 : (unsigned)weight;
    t->steady = f->hits[MIX_GUESS_LAST] >> 6;
}

/* 0 not, 1 up a little, 2 down a little, 3 up, 4 down, as against a field's usual step. */
static unsigned direction(int64_t change, uint32_t spread)
{
    if (change == 0)
        return 0;
    uint64_t size = change < 0 ? 0 - (uint64_t)change : (uint64_t)change;
    return (size * 16 > spread ? 3u : 1u) + (change < 0);
}

/* Looks up what the field held before. */
static void field_begin(struct mix_text *t)
{
    struct mix_place *place = &t->places[mix_spread(t->field, t->place_count)];
    uint16_t check = (uint16_t)t->field;

    t->last.on = false;
    t->last_diverged = t->last_length = 0;
    t->last_is_number = false;
    for (unsigned k = 0; k < MIX_EXPECTATIONS; k++)
        t->expected[k].length = t->expected[k].at = t->expected[k].diverged = 0;
    t->is_number = true;
    t->number_known = t->negative = t->point = t->weighed = false;
    t->digits = t->decimals = 0;
    t->prefix = 0;
    t->padded = t->spelled = false;
    t->significant = 0;

    if (place->check == check)
        mix_reference_start(&t->last, t->window, place->place, 0, 0);
    if (t->last.on) {
        unsigned n = 0;
        for (uint32_t p = place->place; n < 24 && !mix_window_ends(t->window, p); p++, n++) {
            uint8_t c = mix_window_at(t->window, p);
            if (!mix_is_value(c) && !(n == 0 && c == '-'))
                break;
        }
        t->last_length = n;
        uint8_t c = mix_window_at(t->window, place->place);
        if (c == '-' && n > 1)
            c = mix_window_at(t->window, place->place + 1);
        t->last_is_number = n && mix_is_digit(c);
    }
    place->check = check;
    place->place = t->window->head;

    t->number_known = mix_numbers_open(t->numbers, t->field);
    if (t->number_known) {
        const struct mix_numbers *n = t->numbers;
        const struct mix_number_recent *r =
            &n->recent[(n->recent_at + MIX_NUMBERS_RECENT - 1) % MIX_NUMBERS_RECENT];
        t->trend = direction(n->field->last - n->field->before, n->field->spread[MIX_GUESS_LAST]) * 5 +
                   direction(r->value - r->before, 0);
        if (n->field->seen > 1)
            expect_number(&t->expected[MIX_EXPECT_LINE], n->guess[MIX_GUESS_LINE], n->field,
                          n->field->hits[MIX_GUESS_LINE] >> 4);
        if (n->related)
            expect_number(&t->expected[MIX_EXPECT_OTHER], n->guess[MIX_GUESS_RELATED], n->field,
                          n->field->trust);
    }
}

/* The digits of a sentence's checksum follow. */
static void expect_checksum(struct mix_text *t)
{
    struct mix_expectation *e = &t->expected[MIX_EXPECT_OTHER];

    e->length = (uint8_t)mix_sentence_digits(&t->sentence, 0, e->text);
    e->sure = MIX_EXPECTED_SURE;
    e->at = e->diverged = 0;
    t->number_known = false;
}

void mix_text_begin(struct mix_text *t, uint32_t slot, uint32_t topic_class)
{
    t->slot = slot;
    t->topic_class = topic_class;
    t->word = t->last_word = t->string = t->key = 0;
    t->path[0] = 0;
    t->depth = t->commas = t->part = 0;
    t->in_string = t->in_sentence = t->armored = false;
    t->first_token = mix_hash2(slot, 5);
    t->value = t->last_value = 0;
    t->value_at = 0;
    t->field = mix_hash3(slot, 0, 0);
    t->class_field = mix_hash3(topic_class, 0, 0);
    field_begin(t);
}

/* Likelihood of each digit to come: the mass of all the values that begin so, over the lengths that the
 * number may have. */
void mix_text_prepare(struct mix_text *t, bool fast)
{
    const struct mix_number_field *f = t->numbers->field;
    uint64_t mass[MIX_PREDICTORS][10] = {0}, sum[MIX_PREDICTORS] = {0};

    t->weighed = false;
    if (fast || !t->is_number || !t->number_known || t->digits + t->decimals >= NUMBER_DIGITS_MAX)
        return;
    place_digit(t);
    unsigned from = f->digits, to = f->digits; /* digits before the point that are thought possible */
    if (t->point) {
        if (t->decimals >= f->decimals)
            return;
        from = to = t->digits;
    } else if (!f->padded || f->digits < 2) {
        from = from > 1 ? from - 1 : 1;
        to++;
    }
    for (unsigned length = from; length <= to; length++) {
        unsigned done = t->digits + t->decimals + 1, all = length + f->decimals;
        if (all < done || length < t->digits + !t->point || all > NUMBER_DIGITS_MAX + 2)
            continue;
        bool leads = t->digits == 0 && length > 1 && from != to; /* no zero in front */
        if (from != to && t->digits && t->prefix == 0)
            continue;
        int64_t unit = mix_power10(all - done);
        /* Edges of the ten intervals, which touch: one cumulated mass each. */
        for (unsigned k = 0; k < MIX_PREDICTORS; k++) {
            int64_t low = t->prefix * 10 * unit;
            uint32_t below = t->negative ? mix_numbers_cumulated(t->numbers, k, -low)
                                         : mix_numbers_cumulated(t->numbers, k, low - 1);
            for (unsigned d = 0; d < 10; d++) {
                low += unit;
                uint32_t edge = t->negative ? mix_numbers_cumulated(t->numbers, k, -low)
                                            : mix_numbers_cumulated(t->numbers, k, low - 1);
                uint32_t part = t->negative ? below - edge : edge - below;
                if (!(leads && d == 0)) {
                    mass[k][d] += part;
                    sum[k] += part;
                }
                below = edge;
            }
        }
    }
    for (unsigned k = 0; k < MIX_PREDICTORS; k++) {
        for (unsigned d = 0; d < 16; d++)
            t->share[k][d] = d < 10 && sum[k] ? (uint32_t)(mass[k][d] * 60000 / sum[k]) + 16 : 4;
    }
    t->weighed = true;
}

void mix_text_predict_digit(struct mix_text *t, unsigned node, unsigned bits, int16_t *in)
{
    memset(t->calibrated, 0, sizeof t->calibrated);
    memset(in, 0, MIX_TEXT_NUMBER_INPUTS * sizeof *in);
    if (!t->weighed || bits < 4 || node >> (bits - 4) != (16 | '0' >> 4))
        return;
    unsigned low = (node & ((1u << (bits - 4)) - 1)) << (8 - bits), half = 1u << (7 - bits);
    for (unsigned k = 0; k < MIX_PREDICTORS; k++) {
        uint32_t zeros = 0, ones = 0;
        for (unsigned i = 0; i < half; i++) {
            zeros += t->share[k][low + i];
            ones += t->share[k][low + half + i];
        }
        int logit = mix_stretch((int)((uint64_t)ones * 65535 / (zeros + ones)));
        int bucket = (logit + MIX_LOGIT_MAX) / CALIBRATION_STEP;
        t->calibrated[k] =
            &t->calibration[k][bits - 4][bucket < MIX_CALIBRATION ? bucket : MIX_CALIBRATION - 1];
        in[2 * k] = (int16_t)logit;
        in[2 * k + 1] = (int16_t)mix_stretch(mix_counter_p(*t->calibrated[k]));
    }
}

unsigned mix_text_predict_expected(struct mix_text *t, enum mix_expectation_kind kind, unsigned node,
                                   unsigned bits, int16_t in[2])
{
    struct mix_expectation *e = &t->expected[kind];
    bool also = !t->last_diverged && mix_reference_byte(&t->last, t->window) == mix_expectation_byte(e);

    return mix_expectation_predict(e, &t->map, kind, node, bits, also, in);
}

void mix_text_update(struct mix_text *t, int bit)
{
    for (unsigned k = 0; k < MIX_EXPECTATIONS; k++)
        mix_expectation_update(&t->expected[k], bit);
    for (unsigned k = 0; k < MIX_PREDICTORS; k++)
        if (t->calibrated[k])
            mix_counter_update(t->calibrated[k], bit, 511);
}

void mix_text_follow(struct mix_text *t, uint8_t c)
{
    if (t->last.on) {
        uint8_t was = mix_window_at(t->window, t->last.place);
        if (t->last_diverged == 0) {
            if (was != c)
                t->last_diverged = mix_difference(c, was);
        } else if (t->last_diverged / LAST_DIVERGED_STEP < 3) {
            t->last_diverged += LAST_DIVERGED_STEP;
        }
        if (was == c) {
            t->last.agreed++;
            t->last.place++;
        } else {
            t->last.missed = 1;
            t->last.agreed = 0;
            t->last.place += mix_is_value(was) || was == '-' || (t->armored && mix_is_armor(was));
        }
        t->last.on = mix_window_holds(t->window, t->last.place);
    }
    for (unsigned k = 0; k < MIX_EXPECTATIONS; k++)
        mix_expectation_follow(&t->expected[k], c);
}

/* Enough digits are known that only one float begins so: its others should follow. */
static void expect_float(struct mix_text *t)
{
    struct mix_expectation *e = &t->expected[MIX_EXPECT_OTHER];
    unsigned kind = t->class_field % MIX_TEXT_FLOATS, n;

    if (!t->point || t->significant < MIX_FLOAT_TEXT_LEAST || t->digits + t->decimals >= NUMBER_DIGITS_MAX ||
        (!e->diverged && e->at < e->length))
        return;
    n = mix_float_text((uint64_t)t->prefix, t->decimals, t->floats[kind].digits, e->text);
    e->length = (uint8_t)n;
    e->at = e->diverged = 0;
    e->sure = (uint8_t)((t->floats[kind].trust ? 8 : 0) + (t->significant > 13 ? 6 : t->significant - 7));
    t->spelled = n > 0;
}

/* Did the number turn out to be a float's text, and to how many digits? */
static void learn_float(struct mix_text *t)
{
    const struct mix_expectation *e = &t->expected[MIX_EXPECT_OTHER];
    unsigned kind = t->class_field % MIX_TEXT_FLOATS;
    uint8_t *trust = &t->floats[kind].trust;

    if (t->significant < FLOAT_DIGITS)
        return;
    if (!t->spelled || e->diverged) {
        *trust /= 2;
    } else if (*trust < FLOAT_TRUST_MAX) {
        ++*trust;
    }
    if (t->spelled && !e->diverged && e->at < e->length) /* it ended before the float was told */
        t->floats[kind].digits = (uint8_t)t->significant;
    else if (!*trust)
        t->floats[kind].digits = 0;
}

/* A value's bytes as a number. Digits beyond what 64 bits take are left to the other models. */
static void number_byte(struct mix_text *t, uint8_t c)
{
    if (!t->is_number)
        return;
    if (mix_is_digit(c)) {
        t->significant += c != '0' || t->significant;
        if (t->digits + t->decimals >= NUMBER_DIGITS_MAX) {
            t->is_number = t->point;
            return;
        }
        if (t->digits == 0 && !t->point)
            t->padded = c == '0';
        t->prefix = t->prefix * 10 + (c - '0');
        if (t->point)
            t->decimals++;
        else
            t->digits++;
        expect_float(t);
    } else if (c == '-' && t->value_at == 0) {
        t->negative = true;
    } else if (c == '.' && !t->point && t->digits) {
        t->point = true;
    } else {
        t->is_number = false;
    }
}

static void number_end(struct mix_text *t)
{
    if (t->is_number && t->point)
        learn_float(t);
    if (t->is_number && t->digits)
        mix_numbers_close(t->numbers, t->negative ? -t->prefix : t->prefix, t->decimals, t->digits,
                          t->padded && t->digits > 1);
    t->is_number = t->number_known = false;
}

/* Moves through JSON and lists. Return: whether c is structural. */
static bool structure(struct mix_text *t, uint8_t c)
{
    if (c == '"') {
        t->in_string = !t->in_string;
        if (t->in_string)
            t->string = 0;
        return false;
    }
    if (t->in_string) {
        t->string = mix_hash2(t->string, c);
        return false;
    }
    switch (c) {
    case '{':
    case '[':
        if (t->depth < MIX_TEXT_DEPTH) {
            t->path[t->depth + 1] = mix_hash2(t->path[t->depth], t->key + c);
            t->depth++;
        }
        t->key = 0;
        t->commas = t->part = 0;
        return true;
    case '}':
    case ']':
        if (t->depth > 0)
            t->depth--;
        t->key = c;
        t->part = 0;
        return true;
    case ':':
        if (!t->depth)
            return false;
        t->key = t->string;
        t->part = 0;
        return true;
    case ',':
        t->commas++;
        t->part = 0;
        if (t->depth)
            t->key = 1;
        return true;
    default:
        return false;
    }
}

void mix_text_parse(struct mix_text *t, uint8_t c, uint32_t position)
{
    if (mix_is_letter(c) || (mix_is_digit(c) && t->word)) {
        t->word = mix_hash2(t->word, c);
    } else if (t->word) {
        t->last_word = t->word;
        t->word = 0;
    }
    if ((position < 6 || (t->commas == 0 && !t->depth)) &&
        (mix_is_letter(c) || c == '$' || c == '!'))
        t->first_token = mix_hash2(t->first_token, c);
    bool structural = structure(t, c);
    if (t->in_sentence && c != '*')
        mix_sentence_add(&t->sentence, c);
    if (mix_is_value(c) || (c == '-' && t->value_at == 0) || (t->armored && mix_is_armor(c))) {
        t->value = mix_hash2(t->value, c);
        number_byte(t, c);
        t->value_at++;
        return;
    }
    number_end(t);
    bool begins = t->value_at == 0;
    if (!structural)
        t->part++;
    t->last_value = t->value;
    t->value = 0;
    t->value_at = 0;
    uint32_t where = t->depth ? mix_hash2(t->path[t->depth], t->key)
                              : mix_hash3(t->first_token, t->commas, 9);
    t->field = mix_hash3(t->slot, where, t->part);
    t->class_field = mix_hash3(t->topic_class, where, t->part);
    field_begin(t);
    if (c == '$' || c == '!') {
        t->in_sentence = true;
        t->armored = c == '!' && begins;
        mix_sentence_begin(&t->sentence);
    } else if (c == '*' && t->in_sentence) {
        t->in_sentence = t->armored = false;
        expect_checksum(t);
    }
}

void mix_text_end(struct mix_text *t)
{
    number_end(t);
}
