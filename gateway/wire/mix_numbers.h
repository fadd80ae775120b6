/* Numbers as numbers: where a field's next value will lie, judged from its last ones.
 *
 * A field (one key or column of one topic) has a few predictors of its next value: the last value, the
 * straight line through the last two, a running mean, and a relation to another number that came
 * shortly before (the same value, the same change, the same ratio: knots and km/h, metres and feet).
 * Each has a two-sided exponential law around its guess, as wide as it was wrong lately, with a share
 * of its own for being right. Whoever codes digits or bytes asks for the mass of an interval.
 *
 * Values are integers in units of 10^-decimals (text, decimal floats) or in raw steps (others). */
#ifndef WIRE_MIX_NUMBERS_H
#define WIRE_MIX_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#define MIX_PREDICTORS     4
#define MIX_NUMBERS_RECENT 64
#define MIX_DECIMALS_MAX   18

enum mix_predictor { MIX_GUESS_LAST, MIX_GUESS_LINE, MIX_GUESS_MEAN, MIX_GUESS_RELATED };

enum mix_relation { MIX_SAME_VALUE, MIX_SAME_CHANGE, MIX_OPPOSITE_CHANGE, MIX_SAME_RATIO };
#define MIX_RELATIONS 4

struct mix_number_field {
    uint16_t check;
    uint8_t seen;                  /* values, up to 255; 0 = none */
    uint8_t decimals;              /* units: the most that were ever shown */
    uint8_t shown, digits;         /* of the last value as text: decimals, digits before the point */
    bool padded;                   /* it began with a zero: the number of digits is fixed */
    uint8_t trust;                 /* in the relation, 0 = none */
    uint8_t relation;              /* enum mix_relation */
    uint8_t hits[MIX_PREDICTORS];  /* how often the guess was right, in 1/256 */
    uint32_t source;               /* key of the related field */
    uint32_t spread[MIX_PREDICTORS]; /* mean error, 1/16 units */
    _Alignas(8) int64_t last; /* so that the struct, and with it the tables, are as large on every machine */
    int64_t before, mean16;
};

struct mix_number_recent {
    uint32_t key;
    uint8_t decimals;
    int64_t value, before;
};

struct mix_numbers {
    struct mix_number_field *fields;
    uint32_t field_count;
    struct mix_number_recent recent[MIX_NUMBERS_RECENT];
    unsigned recent_at;

    /* The number under way. */
    uint32_t key;
    struct mix_number_field *field; /* has values of this key; NULL = nothing known */
    int64_t guess[MIX_PREDICTORS];
    bool related;                   /* guess[MIX_GUESS_RELATED] stands; else it is a copy of MIX_GUESS_LAST */
};

/* A number of this field begins. Return: true when something is known of it. */
bool mix_numbers_open(struct mix_numbers *n, uint32_t key);
/* Mass of all values <= x under a predictor: differences of it are likelihoods. Only while known. */
uint32_t mix_numbers_cumulated(const struct mix_numbers *n, enum mix_predictor k, int64_t x);
/* It ended with this value. */
void mix_numbers_close(struct mix_numbers *n, int64_t value, unsigned decimals, unsigned digits,
                       bool padded);

/* 10^n, n <= 18. */
int64_t mix_power10(unsigned n);

#endif
