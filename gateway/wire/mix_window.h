/* What was coded lately, byte for byte, in a ring: references point into it. A place is a running
 * 32-bit count of bytes; 0 is no place. Each message is followed by one byte that is never coded, so
 * that a reference which runs on into it can be asked whether its message ended. */
#ifndef WIRE_MIX_WINDOW_H
#define WIRE_MIX_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define MIX_WINDOW_COLUMNS 4

struct mix_window {
    uint8_t *bytes;   /* size */
    uint8_t *columns; /* size / MIX_WINDOW_COLUMNS: the column of a binary message that each of the last
                         bytes stood in */
    uint8_t *ends;    /* size / 8 bits: a message ended before this place */
    uint32_t mask;    /* size - 1 */
    uint32_t head;    /* where the next byte goes */
};

static inline uint8_t mix_window_at(const struct mix_window *w, uint32_t place)
{
    return w->bytes[place & w->mask];
}

static inline bool mix_window_ends(const struct mix_window *w, uint32_t place)
{
    place &= w->mask;
    return w->ends[place >> 3] >> (place & 7) & 1;
}

/* Is the place still held, with some way to go before it is overwritten? */
static inline bool mix_window_holds(const struct mix_window *w, uint32_t place)
{
    return place && w->head - place < w->mask - (w->mask >> 4);
}

static inline void mix_window_put(struct mix_window *w, uint8_t c, bool end)
{
    uint32_t i = w->head++ & w->mask;
    uint8_t bit = (uint8_t)(1u << (i & 7));

    w->bytes[i] = c;
    w->ends[i >> 3] = end ? w->ends[i >> 3] | bit : w->ends[i >> 3] & (uint8_t)~bit;
}

#endif
