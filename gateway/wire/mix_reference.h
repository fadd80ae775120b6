/* A reference: a place in the window that is read along with the message and votes for the byte there.
 * Text is kept in step at delimiters, binary is aligned again when fields came or went. */
#ifndef WIRE_MIX_REFERENCE_H
#define WIRE_MIX_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>
#include "gateway/wire/mix_window.h"

#define MIX_REFERENCE_MAPS   (16 * 4 * 8)
#define MIX_REFERENCE_INPUTS 2

struct mix_reference {
    bool on;
    uint32_t place;
    uint32_t begin, end;  /* of the message it runs in; 0, 0 = not known */
    unsigned agreed;      /* bytes in a row, up to 65535 */
    unsigned missed;      /* misses lately, up to 3 */
    uint32_t *counter;    /* behind the vote under way, or NULL */
    int vote;             /* the bit voted for */
};

/* Starts (or stops, when nothing is held there) a reference at a place. */
void mix_reference_start(struct mix_reference *r, const struct mix_window *w, uint32_t place,
                         uint32_t length, unsigned agreed);
/* The byte it points to, or 256. */
unsigned mix_reference_byte(const struct mix_reference *r, const struct mix_window *w);
/* Two inputs; counters has MIX_REFERENCE_MAPS of them. Return: how sure, 0 (no vote) to 16, negative for a 0. */
int mix_reference_predict(struct mix_reference *r, const struct mix_window *w, unsigned node,
                          unsigned bits, bool binary, uint32_t *counters, int16_t in[2]);
void mix_reference_update(struct mix_reference *r, int bit);

/* The byte at w->head was c (not yet put). armored: all but commas and stars belong to values. */
void mix_reference_follow_text(struct mix_reference *r, const struct mix_window *w, bool armored, uint8_t c);
void mix_reference_follow_binary(struct mix_reference *r, const struct mix_window *w, uint8_t c);
void mix_reference_follow_match(struct mix_reference *r, const struct mix_window *w, uint8_t c);
/* Binary, after the byte was put: looks for a place in its message that fits what came lately better. */
void mix_reference_align(struct mix_reference *r, const struct mix_window *w, uint32_t position);

/* Bytes of values (digits, letters, point) in text; everything else delimits. */
bool mix_is_value(uint8_t c);
/* In bits written as text, six a character (AIS): everything does but what ends the field. */
static inline bool mix_is_armor(uint8_t c)
{
    return c != ',' && c != '*';
}
bool mix_is_letter(uint8_t c);
static inline bool mix_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

#endif
