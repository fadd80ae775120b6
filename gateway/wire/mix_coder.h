/* The range coder under the mixing codec: binary decisions with 16-bit probabilities into bytes and back.
 *
 * The encoder's interval is [low, low + range); a byte leaves when range has fallen under 2^24, with a
 * carry into what was held back. The decoder holds value - low. Both shift *before* a decision, as late
 * as can be, so that the decoder needs as few bytes as possible for what it is asked. Beyond a unit's
 * end the decoder reads zeros, which is why a flush may leave trailing zero bytes out. */
#ifndef WIRE_MIX_CODER_H
#define WIRE_MIX_CODER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

#define MIX_CODER_WORD 4 /* bytes that the decoder holds: it is this far ahead of the shifts */
#define MIX_CODER_TRIM 2 /* zero bytes at most that a flush leaves out */

struct mix_encoder {
    uint64_t low;
    uint32_t range;
    uint64_t held;     /* bytes not yet out: held_byte, then 0xff as often as held - 1 */
    uint8_t held_byte;
    bool used;         /* something was coded since the unit began */
    uint64_t shifts;   /* in this unit */
    uint64_t given;    /* bytes of this unit put out */
};

struct mix_decoder {
    uint32_t range, value;
    unsigned filled;   /* bytes of the first word read; MIX_CODER_WORD in the middle of a unit */
    uint64_t shifts;   /* in this unit */
    const uint8_t *next, *end; /* what was given and not yet read */
    bool unit_end;     /* nothing follows `end` in this unit */
    unsigned zeros;    /* bytes read beyond the unit's end */
};

void mix_encoder_begin(struct mix_encoder *e);
/* bit with p1 = probability of a 1, 1 .. 65535. Failure shows in out->failed. */
void mix_encode(struct mix_encoder *e, int bit, uint32_t p1, struct buf *out);
/* `count` (1 .. 8) bits of equal probability. */
void mix_encode_even(struct mix_encoder *e, unsigned value, unsigned count, struct buf *out);
/* Ends the unit with the fewest bytes that decode to the same, and begins the next.
 * Return: bytes that the whole unit had. */
uint64_t mix_encoder_flush(struct mix_encoder *e, struct buf *out);

void mix_decoder_begin(struct mix_decoder *d);
/* Reads what the next decision needs. Return: false when bytes are missing and the unit has not ended;
 * give more and ask again. */
bool mix_decoder_ready(struct mix_decoder *d);
/* It has read further beyond the unit's end than any encoder makes it: these are no stream of ours, and
 * what it decodes would have no end. */
bool mix_decoder_overrun(const struct mix_decoder *d);
/* After mix_decoder_ready. */
int mix_decode(struct mix_decoder *d, uint32_t p1);
unsigned mix_decode_even(struct mix_decoder *d, unsigned count);

/* Bytes of the unit that a decoder must have for all decisions so far: the same number at both ends. */
uint64_t mix_coder_needed(uint64_t shifts);

#endif
