/* Numbers inside binary containers: fixed ones guessed from their top bit down, variable ones as an
 * expected string of bytes. */
#ifndef WIRE_MIX_VALUE_H
#define WIRE_MIX_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include "gateway/wire/mix_expectation.h"
#include "gateway/wire/mix_numbers.h"

#define MIX_VALUE_INPUTS (2 * MIX_PREDICTORS)

struct mix_value {
    struct mix_numbers *numbers;
    struct mix_expectation expected[MIX_EXPECTATIONS];
    struct mix_expectation_map map;

    bool open, known, is_float;
    unsigned size;      /* bytes; 0 = variable */
    unsigned at;
    uint64_t prefix;    /* bytes so far */
    unsigned choices;   /* how many values are still thought of: 0 unknown, else about log2 + 1, at most 15 */
};

void mix_value_init(struct mix_value *v);
/* Nothing is under way. */
void mix_value_idle(struct mix_value *v);
/* A number of this field begins: of `size` bytes, most first, or (0) variable, seven bits a byte. */
void mix_value_begin(struct mix_value *v, uint32_t key, unsigned size, bool is_float);
/* Inputs of the predictors, and v->choices. */
void mix_value_predict(struct mix_value *v, unsigned node, unsigned bits, int16_t in[MIX_VALUE_INPUTS]);
/* A byte of it. */
void mix_value_byte(struct mix_value *v, uint8_t c);

#endif
