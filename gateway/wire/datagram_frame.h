/* Headers of the frames of datagram links ([P-10]). Pure.
 *
 *     data   1 0 N L A n n n  nnnnnnnn  ee  [announcement]  [ack]  records ...  tag(epoch, 0)
 *     ack    1 1 0 0 0 0 0 0  cc cc g  bitmap ...                              tag(0, acknowledged
 * epoch) */
#ifndef WIRE_DATAGRAM_FRAME_H
#define WIRE_DATAGRAM_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/wire/channel.h"
#include "gateway/wire/frame.h"

#define DATAGRAM_HEADER_BYTES  3
#define DATAGRAM_ACK_BYTES     6
#define DATAGRAM_ANNOUNCE_MAX  (16 + 10 + 1 + CHANNEL_NAME_MAX)
#define DATAGRAM_ACK_FRAME_MAX (4 + FRAME_BITMAP_MAX + SEAL_CRC_BYTES)

struct datagram_header {
    uint64_t number; /* decode: low 11 bits */
    uint8_t epoch_low;
    bool announces; /* the five below */
    uint32_t epoch;
    struct channel_identity identity;
    char name[CHANNEL_NAME_MAX + 1];
    bool has_ack;       /* the four below */
    uint16_t ack_epoch; /* low half of the epoch acknowledged */
    uint16_t ack;       /* all frames up to here are on disk; low bits */
    uint8_t grant;
    uint8_t bitmap; /* of the eight frames behind ack */
};

/* Return: bytes written: at most DATAGRAM_HEADER_BYTES + DATAGRAM_ANNOUNCE_MAX +
 * DATAGRAM_ACK_BYTES. */
size_t datagram_header_encode(const struct datagram_header *h, uint8_t *out);
/* n: without the tag. Return: bytes of header, 0 = malformed. */
size_t datagram_header_decode(struct datagram_header *h, const uint8_t *frame, size_t n) MUST_CHECK;

/* Whole frames, tag included; out has room for DATAGRAM_ACK_FRAME_MAX. epoch: of the frames
 * acknowledged. */
size_t datagram_ack_encode(uint32_t epoch, uint64_t ack, uint8_t grant, const uint8_t *bitmap,
                           size_t bitmap_bytes, uint8_t *out);
bool datagram_ack_decode(uint32_t epoch, uint8_t *frame, size_t n, uint16_t *ack, uint8_t *grant,
                         const uint8_t **bitmap, size_t *bitmap_bytes) MUST_CHECK;

#endif
