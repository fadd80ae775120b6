/* The frames by which two ends meet ([P-8]): who I am, what I have of you, is our epoch still
 * known, I will not talk to you. Bytes only; what follows from them is decided in
 * channel_greeting.c. Pure.
 *
 * Sealed with epochs 0, 0 and number 0 but for MARKS, whose seal names both epochs: marks for
 * another pair of epochs cannot be taken for ours. */
#ifndef WIRE_HANDSHAKE_H
#define WIRE_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/wire/channel.h"
#include "gateway/wire/frame.h"

#define HANDSHAKE_PROTOCOL      0        /* the version of docs/PROTOCOL.md */
#define HANDSHAKE_MESSAGE_USUAL 1048576u /* max_message that costs no byte */

enum handshake_type {
    HANDSHAKE_HELLO = 1,
    HANDSHAKE_MARKS = 2,
    HANDSHAKE_RESUME = 3,  /* is this epoch still known? answer */
    HANDSHAKE_RESUMED = 4, /* it is */
    HANDSHAKE_REFUSE = 5,
    HANDSHAKE_CONFIRM = 6, /* sealed links alone: I hold the key that both our HELLOs make */
};
#define HANDSHAKE_MAX_BYTES 200 /* of any, tag included */

struct hello {
    unsigned protocol;
    unsigned codec_version;
    unsigned memory_log2; /* codec memory, bytes: 1 << this; 0..31 */
    uint32_t epoch;       /* the sender's; never 0 */
    uint16_t seen;        /* low half of the receiver's epoch, as far as the sender knows it; 0 */
    struct channel_identity identity;
    char name[CHANNEL_NAME_MAX + 1];
};
struct buf;
struct reader;
struct resume {
    bool answer;    /* RESUMED */
    uint32_t epoch; /* the sender's */
    uint16_t seen;  /* low half of the receiver's */
    uint16_t ack;   /* cumulative, low bits */
};

/* Values that an honest end keeps to, so that sums of them cannot overflow. */
#define HANDSHAKE_NUMBER_MAX (UINT64_MAX >> 2)

/* The type of a handshake frame, 0 = none that we know. *over: the turn ends. */
enum handshake_type handshake_type(const uint8_t *frame, size_t n, bool *over);

/* Each encoder writes a whole frame with its tag, at most HANDSHAKE_MAX_BYTES, and returns its
 * length; each decoder takes a whole frame and checks its tag. Return: false = tag wrong or
 * malformed. */
size_t hello_encode(const struct hello *h, bool over, uint8_t *out);
bool hello_decode(struct hello *h, uint8_t *frame, size_t n) MUST_CHECK;
size_t marks_encode(const struct channel_marks *m, uint32_t epoch, uint32_t peer_epoch, bool over,
                    uint8_t *out);
bool marks_decode(struct channel_marks *m, uint32_t epoch, uint32_t peer_epoch, uint8_t *frame,
                  size_t n) MUST_CHECK;
/* The same without first byte and tag. lacking: the sender has not yet got the receiver's MARKS, and
 * wants them (sealed links alone). */
void marks_put(struct buf *b, const struct channel_marks *m, bool lacking);
bool marks_read(struct channel_marks *m, bool *lacking, struct reader *r) MUST_CHECK;
/* The first byte of a handshake frame. */
uint8_t handshake_first_byte(enum handshake_type type, bool over);
size_t resume_encode(const struct resume *r, bool over, uint8_t *out);
bool resume_decode(struct resume *r, uint8_t *frame, size_t n) MUST_CHECK;
size_t refuse_encode(enum channel_refusal why, bool over, uint8_t *out);
bool refuse_decode(enum channel_refusal *why, uint8_t *frame, size_t n) MUST_CHECK;
/* Words for the log. Static. */
const char *refusal_text(enum channel_refusal why);

#endif
