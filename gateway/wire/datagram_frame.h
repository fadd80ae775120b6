/* Headers of the frames of datagram links ([P-10]). Pure.
 *
 *     data    1 0 N L A n n n  nnnnnnnn  ee  [announcement]  [ack]  records ...  tag
 *     answer  1 1 0 0 T T l s  [salt]  [share]  ack or floor                     tag
 *
 * What must be read before the key is known comes first (the clear part); the rest is encrypted
 * where the link is sealed. */
#ifndef WIRE_DATAGRAM_FRAME_H
#define WIRE_DATAGRAM_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/wire/channel.h"
#include "gateway/wire/frame.h"

#define DATAGRAM_HEADER_BYTES 3
#define DATAGRAM_ACK_BYTES    6
#define DATAGRAM_SALT_BYTES   12 /* of an epoch's randomness, beside its id */
#define DATAGRAM_NONCE_BYTES  8  /* that a receiver without memory wants to hear again */
#define DATAGRAM_EARLIER      3  /* epochs before the newest, at most */
#define DATAGRAM_SHARE_BYTES  32 /* X25519 */
#define DATAGRAM_SHARE_ID     4  /* its first bytes, which name it */
#define DATAGRAM_SHARE_PROOF  4
#define DATAGRAM_MIX_MAX (DATAGRAM_SHARE_BYTES + DATAGRAM_SHARE_ID + DATAGRAM_SHARE_PROOF)
#define DATAGRAM_ANNOUNCE_MAX                                                                      \
    (4 + 20 + DATAGRAM_SALT_BYTES + DATAGRAM_MIX_MAX + 2 + 22 + 4 + 14 + 12 + 10 * CLASS_COUNT + 10 + DATAGRAM_NONCE_BYTES + 4 + 1 + \
     22 * DATAGRAM_EARLIER + CHANNEL_NAME_MAX)
#define DATAGRAM_ANSWER_SALT_BYTES 12
#define DATAGRAM_ANSWER_MAX                                                                        \
    (1 + DATAGRAM_ANSWER_SALT_BYTES + DATAGRAM_SHARE_BYTES + 10 + DATAGRAM_NONCE_BYTES + FRAME_BITMAP_MAX + SEAL_TAG_MAX)

/* What an announcement says of X25519 ([P-10.18]). */
struct datagram_mix {
    bool whole; /* the sender's share is here, of which else the first bytes alone are, if mixed: */
    bool mixed; /* the epoch's key is of it, and of the receiver's share named here, too */
    uint8_t share[DATAGRAM_SHARE_BYTES];
    uint8_t with[DATAGRAM_SHARE_ID];
    uint8_t proof[DATAGRAM_SHARE_PROOF]; /* made with the pre-shared key: for a receiver that lacks a share */
};

/* An epoch before the newest of which frames may still come, and the last that its sender knows of. */
struct datagram_earlier {
    uint64_t counter;
    uint16_t id; /* low half */
    uint64_t last;
};

/* What tells of a new epoch. */
struct datagram_announcement {
    uint64_t counter; /* of the sender's epochs: rises */
    uint32_t epoch;
    uint8_t salt[DATAGRAM_SALT_BYTES]; /* sealed links */
    struct datagram_mix mix;
    /* Behind the clear part. */
    struct datagram_earlier earlier[DATAGRAM_EARLIER]; /* newest first */
    unsigned earlier_count;
    uint64_t behind; /* frames of the epoch before this one that may still come */
    uint8_t codec;   /* of the epoch's frames: version, and log2 of its memory << 3 */
    uint32_t anchor; /* that they lean on; 0 = the primer alone */
    bool proposes;   /* an anchor: the messages up to a number, and its id */
    uint64_t proposed_up_to;
    uint32_t proposed_id;
    struct channel_identity identity;
    bool echoes;
    uint8_t echo[DATAGRAM_NONCE_BYTES];
    uint32_t next_secret; /* seal_secret_id of a further secret that the sender holds; 0 = none */
    char name[CHANNEL_NAME_MAX + 1]; /* "" on a link that hides names */
};

struct datagram_header {
    uint64_t number; /* decode: of a frame that announces nothing, its low 11 bits */
    uint8_t epoch_low;
    bool announces;
    bool leans; /* on all leaning frames of the epoch before it; else it decodes alone */
    struct datagram_announcement announcement;
    bool has_ack;       /* the four below */
    uint16_t ack_epoch; /* low half of the epoch acknowledged */
    uint16_t ack;       /* all frames up to here are on disk; low bits */
    uint8_t grant;
    uint8_t bitmap; /* of the eight frames behind ack */
};

/* Does this sealed frame lean? The bit is in the clear. */
bool datagram_leans(const uint8_t *frame);
/* *clear: bytes of the clear part. Return: bytes written, at most DATAGRAM_HEADER_BYTES +
 * DATAGRAM_ANNOUNCE_MAX + DATAGRAM_ACK_BYTES. */
size_t datagram_header_encode(const struct datagram_header *h, enum seal_mode mode, uint8_t *out,
                              size_t *clear);
/* The clear part alone. n: without the tag. Return: its bytes, 0 = malformed. */
size_t datagram_clear_decode(struct datagram_header *h, enum seal_mode mode, const uint8_t *frame,
                             size_t n) MUST_CHECK;
/* The rest, once the frame is opened; clear: as the call before returned. Return: bytes of the whole
 * header, 0 = malformed. */
size_t datagram_rest_decode(struct datagram_header *h, enum seal_mode mode, const uint8_t *frame,
                            size_t n, size_t clear) MUST_CHECK;

/* What goes back without data. ACK: of frames on disk. NO_ANCHOR: what the
 * epoch's frames lean on is not here. FORGOTTEN: the topic table that the epoch
 * uses is not here. FLOOR: the epoch named is refused; another must have a counter above the
 * floor. ACK and FLOOR may bring a share; FLOOR may say that one that the epoch's key is of is not here. */
enum datagram_answer_type {
    DATAGRAM_ACK = 0xC0,
    DATAGRAM_NO_ANCHOR = 0xC4,
    DATAGRAM_FORGOTTEN = 0xC8,
    DATAGRAM_FLOOR = 0xCC
};
struct datagram_answer {
    enum datagram_answer_type type;
    uint64_t ack; /* decode: its low 16 bits */
    uint8_t grant;
    const uint8_t *bitmap;
    size_t bitmap_bytes;
    uint64_t floor;
    bool lacks_share, has_share;
    uint8_t share[DATAGRAM_SHARE_BYTES];
    bool wants_echo;
    uint8_t nonce[DATAGRAM_NONCE_BYTES];
};
/* Without the tag. salt: NULL on a link that is not sealed. *clear as above. Return: bytes. */
size_t datagram_answer_encode(const struct datagram_answer *a, const uint8_t *salt, uint8_t *out,
                              size_t *clear);
/* frame: opened, n without the tag; clear: bytes of the clear part. a->bitmap points into frame.
 * Return: false = malformed. */
bool datagram_answer_decode(struct datagram_answer *a, const uint8_t *frame, size_t n,
                            size_t clear) MUST_CHECK;

#endif
