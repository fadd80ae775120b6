/* How frames lie on a byte stream ([P-2]): COBS, so that 0x00 occurs nowhere but behind a frame,
 * and where the line swallows certain byte values, an escape layer over that. Pure.
 *
 * A frame is at most 254 bytes, so one COBS block holds it and the cost is always two bytes. */
#ifndef WIRE_FRAMING_H
#define WIRE_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

#define FRAME_MAX_BYTES   254 /* tag included, before framing */
#define FRAMING_DELIMITER 0x00
#define FRAMING_ESCAPE    0x7D
#define FRAMING_FLIP      0x20
/* Leading delimiter, COBS code byte, every byte escaped, delimiter. */
#define FRAMING_MAX_BYTES (2 + 2 * (FRAME_MAX_BYTES + 1))
#define FRAMING_AVOID_MAX 8

/* Byte values that must not appear on the line. Embedded; zero = none. */
struct framing_avoid {
    bool on;
    bool escaped[256];
};

/* Return: true; false where the set cannot be kept out (the delimiter, the escape, a value whose
 * flip is in the set too, more than FRAMING_AVOID_MAX). */
bool framing_avoid_set(struct framing_avoid *a, const uint8_t *values, size_t n) MUST_CHECK;

/* Writes the framed form, at most FRAMING_MAX_BYTES. lead: a delimiter goes before it too, so that
 * what a silent line made of noise is not taken for its beginning. Return: its length. */
size_t framing_encode(const struct framing_avoid *a, bool lead, const uint8_t *frame, size_t n,
                      uint8_t *out);
/* The length that framing_encode would give. */
size_t framing_length(const struct framing_avoid *a, bool lead, const uint8_t *frame, size_t n);

enum framing_outcome {
    FRAMING_MORE,  /* nothing whole yet */
    FRAMING_FRAME, /* frame and n are set */
    FRAMING_BAD,   /* what stood between two delimiters is no frame */
};

struct framing_decoder {
    const struct framing_avoid *avoid;
    bool escape; /* the last byte was the escape */
    bool bad;    /* drop all until the next delimiter */
    size_t n;
    uint8_t raw[FRAME_MAX_BYTES + 1];
    uint8_t frame[FRAME_MAX_BYTES];
};

void framing_decoder_init(struct framing_decoder *d, const struct framing_avoid *avoid);
/* Takes one byte. FRAMING_FRAME: d->frame holds *n bytes until the next call. Two delimiters with
 * nothing between them are FRAMING_MORE. */
enum framing_outcome framing_feed(struct framing_decoder *d, uint8_t byte, size_t *n);

#endif
