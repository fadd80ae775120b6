/* The last bytes of a frame: what makes a wrong byte, another epoch, peer or direction show (I9).
 * Pure. Mode none: CRC-32 over a seed and the frame ([P-3]). The keys issue adds AES-CCM behind the
 * same calls. */
#ifndef WIRE_SEAL_H
#define WIRE_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

enum seal_space { SEAL_SPACE_DATA = 1, SEAL_SPACE_CONTROL = 2, SEAL_SPACE_HANDSHAKE = 3 };

/* What a frame is bound to. Handshake frames: epoch 0. */
struct seal_context {
    uint32_t
        epoch; /* the sender's epoch: random, chosen by it, so it names direction and incarnation */
    uint32_t peer_epoch; /* the other direction's epoch; 0 where there is none yet or the link is
                            one-way */
};

#define SEAL_CRC_BYTES 4

/* Bytes of tag that frames of this context carry. */
size_t seal_overhead(const struct seal_context *c);
/* Writes the tag behind the n bytes of frame (which has room for it). number: the full frame number
 * in its space. Return: the whole length. */
size_t seal_frame(const struct seal_context *c, enum seal_space space, uint64_t number,
                  uint8_t *frame, size_t n);
/* Checks (and, sealed, opens in place) a frame of n bytes with its tag. Return: true, *content =
 * bytes without the tag. */
bool seal_open(const struct seal_context *c, enum seal_space space, uint64_t number, uint8_t *frame,
               size_t n, size_t *content) MUST_CHECK;

#endif
