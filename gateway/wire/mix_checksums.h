/* Checksums that follow from the rest of a message, found by trial: whoever has the same polynomial in
 * its last bytes a few times over is believed, and those bytes then cost nearly nothing. */
#ifndef WIRE_MIX_CHECKSUMS_H
#define WIRE_MIX_CHECKSUMS_H

#include <stdint.h>
#include "gateway/wire/mix_window.h"

#define MIX_CHECKSUM_MAX   4 /* bytes */
#define MIX_SENTENCE_KINDS 2 /* of text: XOR in two hex digits (NMEA 0183), CRC-16 in four */

/* At the end of a binary message of n bytes at `begin`: which checksum its last bytes are; 0 = none. */
unsigned mix_checksum_find(const struct mix_window *w, uint32_t begin, uint32_t n);
/* Bytes of it. */
unsigned mix_checksum_width(unsigned kind);
/* What the last bytes of a message of n bytes must be, its others standing at `begin`. */
void mix_checksum_make(const struct mix_window *w, uint32_t begin, uint32_t n, unsigned kind,
                       uint8_t out[MIX_CHECKSUM_MAX]);

/* A sentence's checksum: from behind '$' or '!' to before '*'. */
struct mix_sentence {
    uint8_t sum;
    uint16_t crc;
};
void mix_sentence_begin(struct mix_sentence *s);
void mix_sentence_add(struct mix_sentence *s, uint8_t c);
/* The digits that follow '*', upper case. Return: how many. */
unsigned mix_sentence_digits(const struct mix_sentence *s, unsigned kind, uint8_t out[4]);

#endif
