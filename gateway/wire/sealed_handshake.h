/* The frames by which two ends of a sealed stream link meet ([P-14]). Bytes only; what follows from
 * them is decided in meeting.c and channel_sealed.c. Pure.
 *
 *     HELLO      E1  random(16) n  flags codec memory seen identity ...  tag
 *     CONFIRM    E6  n                                                   tag
 *     MARKS      E2  n  marks                                            tag
 *     REFUSE     E5  n  why                                              tag
 *     RESUME(D)  E3 E4  epoch(4) n(2)  ack(2)                            tag
 *
 * HELLO is sealed under a key that the secret alone makes; the others under the keys of the epoch. */
#ifndef WIRE_SEALED_HANDSHAKE_H
#define WIRE_SEALED_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"
#include "gateway/wire/channel.h"
#include "gateway/wire/handshake.h"
#include "gateway/wire/seal.h"

#define SEALED_RANDOM_BYTES 16
#define SEALED_NAME_MAX     16 /* bytes of a name on the wire */
/* Numbers of handshake frames under one key: one byte tells them. */
#define SEALED_NUMBER_MAX 255
/* However short the tags of data are, who an end is must be certain. */
#define SEALED_TAG_MIN 8

struct sealed_hello {
    uint8_t random[SEALED_RANDOM_BYTES];
    unsigned number; /* of this HELLO under its random bytes: each one sent has another */
    unsigned codec_version, memory_log2;
    uint16_t seen; /* first two of the receiver's random bytes, as far as the sender knows it; 0 */
    struct channel_identity identity;
    bool newer;     /* the key that it is sealed under is the sender's next one */
    bool has_other; /* the sender holds another secret: */
    uint32_t other_id;
    bool doubts;     /* the sender still holds an epoch, and has long heard nothing: */
    uint32_t doubted; /* its own of that */
    bool has_share;   /* X25519 */
    uint8_t share[CRYPTO_SHARE_BYTES];
    char name[SEALED_NAME_MAX + 1]; /* under `auth`; else empty */
};

/* A name as it stands on the wire: itself, or its beginning and a hash where it is longer. */
void sealed_name(const char *name, char out[SEALED_NAME_MAX + 1]);
/* The number under which a HELLO is sealed, and the epoch that goes with it: all of both is random
 * but the last byte. */
struct seal_context sealed_hello_context(const uint8_t random[SEALED_RANDOM_BYTES],
                                         const struct seal_key *key);

/* Each writes a whole frame, at most HANDSHAKE_MAX_BYTES. Return: its length; 0 = no memory. */
size_t sealed_hello_encode(const struct sealed_hello *h, const struct seal_key *key, bool over,
                           uint8_t *out);
/* type: CONFIRM, MARKS or REFUSE; body: what stands between number and tag. */
size_t sealed_frame_encode(enum handshake_type type, const struct seal_context *c, unsigned number,
                           bool over, const struct buf *body, uint8_t *out);
size_t sealed_resume_encode(const struct seal_context *c, bool answer, uint64_t number,
                            uint16_t ack, bool over, uint8_t *out);

/* Each opens a whole frame. Return: false = it is of another key, forged, or malformed; the frame is
 * as it was if the tag was wrong. */
bool sealed_hello_open(struct sealed_hello *h, const struct seal_key *key, uint8_t *frame,
                       size_t n) MUST_CHECK;
/* body: stands behind the number, in frame. */
bool sealed_frame_open(const struct seal_context *c, uint8_t *frame, size_t n, unsigned *number,
                       struct reader *body) MUST_CHECK;
/* near: the number is the nearest to it that ends in what the frame says. */
bool sealed_resume_open(const struct seal_context *c, uint8_t *frame, size_t n, uint64_t near,
                        uint64_t *number, uint16_t *ack) MUST_CHECK;
/* The epoch that a RESUME or RESUMED says it is of, 0 = too short. Nothing is proved by it. */
uint32_t sealed_resume_epoch(const uint8_t *frame, size_t n);

#endif
