/* The first bytes of every frame, and the whole of control frames ([P-4]). Pure.
 *
 *     data       1 0 F O A n n n  nnnnnnnn  [ack: cc cc g]  kk kk  record stream ...  tag
 *     control    1 1 0 O T T n n  nnnnnnnn  ...                                     tag
 *     handshake  1 1 1 O t t t t  ...                                               tag
 *
 * The top bit is always set, so that no frame begins with "RB" or any other text. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/wire/framing.h"
#include "gateway/wire/seal.h"

enum frame_kind { FRAME_DATA, FRAME_CONTROL, FRAME_HANDSHAKE, FRAME_UNKNOWN };
enum frame_kind frame_kind(uint8_t first);

#define FRAME_HEADER_BYTES 2 /* data and control */
#define FRAME_ACK_BYTES    3 /* a cumulative number's low 16 bits, and a grant */
#define FRAME_CHECK_BYTES  2 /* of the records complete by this frame */
#define FRAME_CONTENT_MAX                                                                          \
    (FRAME_MAX_BYTES - FRAME_HEADER_BYTES - FRAME_CHECK_BYTES - SEAL_CRC_BYTES)

/* Frames in flight at most. The 11 bits of a number on the wire name one of 2048: four windows, so
 * that what is repeated late is still told from what is new. */
#define FRAME_WINDOW       512
#define FRAME_DATA_BITS    11
#define FRAME_CONTROL_BITS 10
#define FRAME_ACK_BITS     16

/* The number nearest to `near` (above or below) whose low `bits` are `low`. Never below 0. */
uint64_t frame_number(uint64_t near, uint16_t low, unsigned bits);

struct frame_data {
    uint64_t number; /* encode: all of it; decode: the low bits */
    bool unit_end, over, has_ack;
    uint16_t ack;
    uint8_t grant;
    uint16_t check;
};
/* Return: bytes of header written (at most FRAME_HEADER_BYTES + FRAME_ACK_BYTES +
 * FRAME_CHECK_BYTES). */
size_t frame_data_encode(const struct frame_data *f, uint8_t *out);
/* frame: without its tag. Return: bytes of header, 0 = too short. */
size_t frame_data_decode(struct frame_data *f, const uint8_t *frame, size_t n) MUST_CHECK;

enum frame_control_type {
    CONTROL_ACK = 0,
    CONTROL_POLL = 1,
    CONTROL_BYE = 2,
    CONTROL_RESERVED = 3
};
#define FRAME_BITMAP_MAX (FRAME_WINDOW / 8)
struct frame_control {
    enum frame_control_type type; /* POLL: an ACK that asks for one */
    bool over;
    uint64_t number;
    uint16_t ack;
    uint8_t grant;
    const uint8_t *bitmap; /* bit i (low bit first) = frame ack + 1 + i is here */
    size_t bitmap_bytes;
};
#define FRAME_CONTROL_MAX_BYTES (FRAME_HEADER_BYTES + FRAME_ACK_BYTES + FRAME_BITMAP_MAX)
size_t frame_control_encode(const struct frame_control *f, uint8_t *out);
/* bitmap points into frame. Return: false = malformed. */
bool frame_control_decode(struct frame_control *f, const uint8_t *frame, size_t n) MUST_CHECK;

/* A byte count as 5 bits of exponent and 3 of mantissa, rounded down, at most 15 << 30. */
uint8_t frame_grant_encode(uint64_t bytes);
uint64_t frame_grant_decode(uint8_t code);

#endif
