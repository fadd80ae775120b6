/* One direction of a link as one entropy-coded byte stream of records ([P-7]). Pure: no clock, no
 * fd, no allocation beyond creation but what `memory` bounds. Encoder and decoder of one codec
 * version keep the same model, as long as they see the same records in the same order.
 *
 * The stream is cut into frames by the caller. A *unit* is a run of the stream between two flushes:
 * after a flush the coder begins byte-aligned, the model goes on. The frame that ends a unit says
 * so, and the decoder is told.
 *
 * A codec is one ops table; codec_find() has the list. The plain one (varints, payload as it is) is
 * version 1 level PLAIN. */
#ifndef WIRE_CODEC_H
#define WIRE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"
#include "gateway/wire/record.h"

struct codec_encoder;
struct codec_decoder;

struct codec_limits {
    uint32_t max_message; /* payload + properties + topic of one record, bytes; more is an error in
                             the decoder */
};

enum codec_outcome {
    CODEC_MORE = 1, /* decoder: the next record is not whole yet */
    CODEC_BAD, /* decoder: not a stream of this codec, or beyond the limits; the decoder is of no
                  more use */
};

/* Where a line is faster than the model, the model is what the line waits for. */
enum codec_effort {
    CODEC_EFFORT_FULL,   /* the fewest bytes */
    CODEC_EFFORT_FAST,   /* several times the speed, and still far fewer bytes than there were */
    CODEC_EFFORT_STORED, /* payloads as they are: as quick as the disks */
};

struct codec {
    const char *name; /* "plain", "mix" */
    unsigned version; /* as in the handshake */

    /* memory: bytes of model state (codec_memory as agreed). NULL when out of memory. */
    struct codec_encoder *(*encoder_new)(size_t memory);
    void (*encoder_free)(struct codec_encoder *e);
    struct codec_decoder *(*decoder_new)(size_t memory, const struct codec_limits *limits);
    void (*decoder_free)(struct codec_decoder *d);

    /* Appends the record to out (bytes of it may stay inside until later records or flush push them
     * out). *needed: how many bytes of this stream, counted from its beginning, the decoder may
     * need to have the record: once so many have arrived (or the unit's end), it has it. Return: 0;
     * -ENOMEM (out full or no memory: the encoder is of no more use). */
    int (*encode)(struct codec_encoder *e, const struct record *r, struct buf *out,
                  uint64_t *needed) MUST_CHECK;
    /* Ends the unit: appends what is still inside (at most 2 bytes more than the content needs; 0
     * when the unit is empty). */
    int (*flush)(struct codec_encoder *e, struct buf *out) MUST_CHECK;

    /* Gives n further bytes of the stream; unit_end: they are the last of a unit. Then call decode
     * until it returns CODEC_MORE. */
    int (*feed)(struct codec_decoder *d, const uint8_t *bytes, size_t n, bool unit_end) MUST_CHECK;
    /* The next record: 0 and *r (its pointers live until the next call on d), CODEC_MORE,
     * CODEC_BAD, -ENOMEM. *needed as in encode, the same number. A record must come out with the
     * feed that brings the stream to `needed` bytes (or ends its unit): not earlier, not later,
     * since each frame's check covers exactly the records that it completes. */
    int (*decode)(struct codec_decoder *d, struct record *r, uint64_t *needed) MUST_CHECK;

    /* Priming: lets the model see a record as if it had been coded, without output; the same calls
     * at both ends. r NULL: the numbers of what comes have nothing to do with those seen. NULL = no model. */
    int (*prime_encoder)(struct codec_encoder *e, const struct record *r);
    int (*prime_decoder)(struct codec_decoder *d, const struct record *r);
    /* Makes dst what src is: the model, the stream's numbers, everything but what lies in between two
     * units, so both must stand there (nothing encoded since the flush; decoded to a unit's end). dst was
     * made with the same memory, keeps its limits, and may have been in any state. Costs a memcpy of the model:
     * for a model that was primed once and is begun from many times. */
    void (*copy_encoder)(struct codec_encoder *dst, const struct codec_encoder *src);
    void (*copy_decoder)(struct codec_decoder *dst, const struct codec_decoder *src);
    /* The same from an encoder that was primed and has encoded nothing: the models of both directions begin alike. */
    void (*copy_to_decoder)(struct codec_decoder *dst, const struct codec_encoder *src);
    /* How much work goes into what is encoded from here on; told within the stream, so the decoder
     * follows by itself. NULL = there is one way only. */
    void (*set_effort)(struct codec_encoder *e, enum codec_effort effort);
};

/* The codec of this version, or NULL. Versions are 1 (plain) and 2 (mix). */
const struct codec *codec_find(unsigned version);
#define CODEC_VERSION_MAX 2

#endif
