/* What messages come to on a link, counted without one: the real codec, frames as the gateway makes
 * them, and their acknowledgements. Pure: time is the recording's.
 *
 * Messages that wait together share frames, so what they cost depends on how long they wait:
 * `hold`. */
#ifndef CLI_ESTIMATE_LINE_H
#define CLI_ESTIMATE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/wire/codec.h"
#include "gateway/wire/seal.h"

struct estimate_link {
    bool datagram;
    size_t frame_bytes;  /* largest frame: of a stream before framing, of a datagram the MTU */
    size_t credit_bytes; /* each frame is billed in such steps; 0 = by the byte */
    int64_t hold_ms; /* that a message may wait for company; INT64_MAX = until a frame is full */
    unsigned tag_bytes; /* that prove a frame: SEAL_CRC_BYTES without a key */
    bool plain;      /* the codec that does not squeeze */
    size_t codec_memory;
};
#define ESTIMATE_FRAME_MIN 32
#define ESTIMATE_MTU_MAX   4096

struct estimate_totals {
    uint64_t frames, bytes;           /* towards the far end, as they lie on the line */
    uint64_t back_frames, back_bytes; /* acknowledgements */
    uint64_t credits;                 /* both ways */
    uint64_t stream_bytes;            /* of the codec, inside the frames */
};

struct estimate_line;

/* link is copied. Return: NULL when out of memory. */
struct estimate_line *estimate_line_new(const struct estimate_link *link) MUST_CHECK;
void estimate_line_free(struct estimate_line *l); /* NULL is allowed */

/* Codes a record now; frames that are full leave. Large messages come in pieces of
 * estimate_line_room. *stream_bytes: by how much the codec's stream has grown with it. Return: 0 or
 * -ENOMEM. */
int estimate_line_put(struct estimate_line *l, const struct record *r, int64_t now_ms,
                      uint64_t *stream_bytes) MUST_CHECK;
/* Payload bytes that are worth putting in the next record. */
size_t estimate_line_room(const struct estimate_line *l);
/* Nothing more waits: what is still inside leaves in a frame that is not full. *stream_bytes and
 * return: as above. */
int estimate_line_flush(struct estimate_line *l, int64_t now_ms, uint64_t *stream_bytes) MUST_CHECK;
/* Acknowledgements that are due by now leave. */
void estimate_line_tick(struct estimate_line *l, int64_t now_ms);
const struct estimate_totals *estimate_line_totals(const struct estimate_line *l);

#endif
