/* Checksums that follow from the rest of a message, found by trial: whoever has the same one at its
 * end a few times over is believed, and those bytes then cost nearly nothing. */
#ifndef WIRE_MIX_CHECKSUMS_H
#define WIRE_MIX_CHECKSUMS_H

#include <stdbool.h>
#include <stdint.h>
#include "gateway/wire/mix_window.h"

#define MIX_CHECKSUM_MAX   4 /* bytes */
#define MIX_CHECKSUM_KINDS 46 /* with 0, none */
#define MIX_SENTENCE_KINDS 2 /* of text: XOR in two hex digits (NMEA 0183), CRC-16 in four */

/* Where it stands and what it covers: the bytes from the skipped ones up to itself; behind it comes the
 * tail, as a line's end or an end mark. */
struct mix_checksum {
    uint8_t kind; /* 0 = none */
    uint8_t skip, tail;
};

struct mix_message {
    uint32_t begin, length; /* in the window */
};

/* Looks for one at the end of the message. Those of one byte are believed only where the message before
 * has them too: one in 256 fits by chance. Return: kind 0 where none is found. */
struct mix_checksum mix_checksum_find(const struct mix_window *w, struct mix_message m, struct mix_message before);
/* Does the message have it? false also for one that is no longer in the window, or too long to try. */
bool mix_checksum_fits(const struct mix_window *w, struct mix_message m, struct mix_checksum c);
/* Bytes of it. */
unsigned mix_checksum_width(unsigned kind);
/* What its bytes must be in a message, whose bytes before them stand in the window. */
void mix_checksum_make(const struct mix_window *w, struct mix_message m, struct mix_checksum c,
                       uint8_t out[MIX_CHECKSUM_MAX]);

/* A frame whose head says what it is and where it ends: of UBX or RTCM 3. A message may have several, one
 * behind the other, so that only the last one's checksum is found at its end. */
struct mix_frame {
    uint32_t begin, end; /* in the message; end 0 = not known (yet) */
    struct mix_checksum checksum; /* tail 0: of the frame as a message */
};

/* A byte of the message comes, which is that at `position`. Return: are the bytes from there on the
 * checksum of a frame that ends within the message? */
bool mix_frame_at(struct mix_frame *f, const struct mix_window *w, struct mix_message m, uint32_t position);

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
