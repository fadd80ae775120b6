/* The model of packed binary: the message is laid beside the two before it on its topic, column by
 * column. A column remembers how its byte moves: from the last one, along the line through the last
 * two, and from what the carry of the byte before (little-endian counters) would make of it. */
#ifndef WIRE_MIX_BINARY_H
#define WIRE_MIX_BINARY_H

#include <stdbool.h>
#include <stdint.h>
#include "gateway/wire/mix_reference.h"
#include "gateway/wire/mix_window.h"

#define MIX_COLUMN_GUESSES 3
#define MIX_BINARY_INPUTS  (2 * MIX_COLUMN_GUESSES)
#define MIX_NO_BYTE        256u

struct mix_column {
    uint16_t spread[MIX_COLUMN_GUESSES]; /* mean error, 1/16 */
    uint8_t same, seen;
};

struct mix_binary {
    const struct mix_window *window;
    struct mix_column *columns;
    uint32_t column_count;

    uint32_t slot;
    struct mix_reference last, before;   /* the messages before, aligned */

    /* For the byte to come. */
    unsigned column;
    unsigned last_byte, before_byte;     /* of the column in the messages before, or MIX_NO_BYTE */
    int lean;                            /* how far the byte before moved, -2 .. 2 */
    unsigned carried;                    /* last byte with that carry, and the carry; or 0x1000 */
    struct mix_column *state;            /* NULL: nothing to compare with */
};

void mix_binary_init(struct mix_binary *b);
void mix_binary_begin(struct mix_binary *b, uint32_t slot);
/* Before a byte of the message at `position`; fixed: a column given by a container's parser, or -1. */
void mix_binary_prepare(struct mix_binary *b, uint32_t position, int fixed);
void mix_binary_predict(const struct mix_binary *b, unsigned node, unsigned bits, int16_t *in);
void mix_binary_follow(struct mix_binary *b, uint8_t c);
/* After the byte was put. */
void mix_binary_align(struct mix_binary *b, uint32_t position);

#endif
