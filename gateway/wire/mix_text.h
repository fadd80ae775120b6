/* The text model: where in JSON, CSV, a sentence or a bare number the next byte stands, what the same
 * field held last time, and which digits its number would need.
 *
 * A field is what stands between two delimiters, named by its JSON path and key, or by the first token
 * of the message and the count of commas. Expectations are strings worked out in full when a field
 * begins: they vote byte for byte until the first byte that differs. */
#ifndef WIRE_MIX_TEXT_H
#define WIRE_MIX_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include "gateway/wire/mix_checksums.h"
#include "gateway/wire/mix_expectation.h"
#include "gateway/wire/mix_numbers.h"
#include "gateway/wire/mix_reference.h"
#include "gateway/wire/mix_window.h"

#define MIX_TEXT_DEPTH         30
#define MIX_TEXT_FLOATS        256
#define MIX_CALIBRATION        32
#define MIX_TEXT_NUMBER_INPUTS (2 * MIX_PREDICTORS)

/* Where the last value of a field stands in the window. */
struct mix_place {
    uint32_t place;
    uint16_t check;
};

struct mix_text {
    const struct mix_window *window;
    struct mix_numbers *numbers;
    struct mix_place *places;
    uint32_t place_count;

    /* Position in the message. */
    uint32_t slot, topic_class;     /* hashes of the topic and of its class */
    uint32_t word, last_word, string, key, path[MIX_TEXT_DEPTH + 1];
    unsigned depth, commas, part;   /* part: delimiters since the last structural one */
    bool in_string;
    uint32_t first_token;
    uint32_t field, class_field;    /* hashes that name the field */
    uint32_t value, last_value;     /* hashes of the value so far, and of the one before */
    unsigned value_at;              /* bytes of the value so far */

    struct mix_sentence sentence;
    bool in_sentence, armored; /* armored: a sentence whose values are bits written as text (AIS) */

    /* The field's last value, read along. */
    struct mix_reference last;
    unsigned last_diverged, last_length; /* how and when the value went off it; its length */
    bool last_is_number;
    struct mix_expectation expected[MIX_EXPECTATIONS];

    /* The number under way. */
    bool is_number, number_known, negative, point;
    unsigned digits, decimals;
    int64_t prefix;
    bool padded;
    bool weighed;                   /* share[] is filled for the digit to come */
    unsigned place;                 /* 0 .. 15: its weight against how far the value moves, 8 = alike */
    unsigned steady;                /* 0 .. 3: how often the value stays as it is */
    unsigned trend;                 /* 0 .. 15: how it moved last, and the number before it just now */
    uint32_t share[MIX_PREDICTORS][16];

    /* Floats written out: how far fields of a kind are believed to be, and how many digits they show
     * (0 = as few as tell a double). */
    struct {
        uint8_t trust, digits;
    } floats[MIX_TEXT_FLOATS];
    unsigned significant; /* digits of the number since its first that is not zero */
    bool spelled;         /* the expectation under way is a float's */

    struct mix_expectation_map map;
    /* How likely a 1 really is where a predictor says so. */
    uint32_t calibration[MIX_PREDICTORS][4][MIX_CALIBRATION];
    uint32_t *calibrated[MIX_PREDICTORS]; /* behind the votes under way, or NULL */
};

void mix_text_init(struct mix_text *t);
void mix_text_begin(struct mix_text *t, uint32_t slot, uint32_t topic_class);
/* Before a byte: weighs the digits, unless that would take too long. */
void mix_text_prepare(struct mix_text *t, bool fast);
/* MIX_TEXT_NUMBER_INPUTS inputs of the number's predictors. */
void mix_text_predict_digit(struct mix_text *t, unsigned node, unsigned bits, int16_t *in);
/* Two inputs of an expectation. Return: as mix_expectation_predict. */
unsigned mix_text_predict_expected(struct mix_text *t, enum mix_expectation_kind kind, unsigned node,
                                   unsigned bits, int16_t in[2]);
void mix_text_update(struct mix_text *t, int bit);
/* The byte c follows, at window->head (not yet put). */
void mix_text_follow(struct mix_text *t, uint8_t c);
/* After c was put: moves on in the structure, and begins a field where one begins. */
void mix_text_parse(struct mix_text *t, uint8_t c, uint32_t position);
void mix_text_end(struct mix_text *t);

#endif
