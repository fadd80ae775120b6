/* The last bytes of a frame: what makes a wrong byte, another epoch, peer or direction show (I9).
 * Pure. Without a key: CRC-32 over a seed and the frame ([P-3]). With one: AES-128-CCM, whose tag
 * stands where the CRC would ([P-13]).
 *
 * The nonce is never sent: it is made of direction, space, epoch and the frame's full number, and
 * the key is of one direction of one epoch. So what must never happen is that two different frames
 * are sealed under the same key, space and number. Who calls seal_frame sees to it:
 *   - a data frame is sealed once, kept, and repeated byte for byte;
 *   - any other frame takes a number that was never used, each time it is sent;
 *   - a key never outlives the RAM of the process that drew its randomness, or (datagram links) the
 *     numbers that were used with it are on disk before the frames leave.
 *
 * Stream links have their keys from the handshake (channel_meeting.c). Datagram links, which send
 * data in the first frame, make theirs one-sidedly:
 *
 *     struct seal_terms t;                     once: mode, tag, the two names
 *     seal_terms_init(&t, mode, tag_bytes, own_name, peer_name);
 *     uint8_t salt[8 + 16];                    an epoch: its counter (committed before use, never
 *     struct seal_key key;                     used twice), and 16 bytes of ops->random_bytes,
 *     seal_derive(&key, &t, "datagram", SEAL_OURS, secret, SECRET_BYTES, salt, sizeof salt);
 *     struct seal_context c = {epoch_id, 0, &key, clear};
 *     n = seal_frame(&c, SEAL_SPACE_DATA, number, frame, n);
 *
 * The counter and the 16 bytes travel in clear in the frames that announce the epoch (inside
 * `clear`); the receiver derives with SEAL_THEIRS and tries each secret that it has. `clear` counts
 * the leading bytes that must be read before a key is known (number, low bits of the epoch, the
 * announcement): under `full` the rest is encrypted and these are authenticated, under `auth`
 * all is in clear and authenticated. Frames that are not data (acks, floors) are sealed with the key
 * of the epoch of who sends them, under SEAL_SPACE_CONTROL with a number of their own that travels
 * in the clear part. Under `full` no name stands in a frame: the names are part of the key. */
#ifndef WIRE_SEAL_H
#define WIRE_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/seal_mode.h"
#include "gateway/wire/crypto.h"

enum seal_space { SEAL_SPACE_DATA = 1, SEAL_SPACE_CONTROL = 2, SEAL_SPACE_HANDSHAKE = 3 };

#define SEAL_CRC_BYTES   4
#define SEAL_TAG_DEFAULT 8
#define SEAL_TAG_MAX     CRYPTO_TAG_MAX
#define SEAL_FRAME_MAX   4096 /* bytes of a frame that can be sealed, tag included */

/* A key of one direction and epoch. Wipe it (crypto_wipe) when that is over. */
struct seal_key {
    enum seal_mode mode; /* SEAL_FULL or SEAL_AUTH */
    unsigned tag_bytes;
    bool downward; /* direction: of the site whose name is the greater */
    uint8_t bytes[CRYPTO_KEY_BYTES];
};

/* What a frame is bound to. Handshake frames without a key: epochs 0. */
struct seal_context {
    uint32_t
        epoch; /* the sender's epoch: random, chosen by it, so it names direction and incarnation */
    uint32_t peer_epoch; /* the other direction's epoch; 0 where there is none yet or the link is
                            one-way. Not part of a sealed frame: its key is of both. */
    const struct seal_key *key; /* NULL: CRC */
    size_t clear;               /* leading bytes of the frame that are never encrypted */
};

/* What two sites have agreed on in their configurations; part of every key, so that ends which
 * differ in it never understand one another. Holds no secret. */
struct seal_terms {
    enum seal_mode mode;
    unsigned tag_bytes;
    bool greater;      /* our name is the greater one */
    uint8_t names[32]; /* a hash of both */
};
enum seal_side { SEAL_OURS, SEAL_THEIRS }; /* whose frames the key is for */

/* tag_bytes: 4, 6, 8 ... 16; 0 = SEAL_TAG_DEFAULT. Return: false = no memory. */
bool seal_terms_init(struct seal_terms *t, enum seal_mode mode, unsigned tag_bytes,
                     const char *own_name, const char *peer_name) MUST_CHECK;
/* Derives a key by HKDF-SHA256 ([P-13.3]). secret: the pre-shared key, SECRET_BYTES, with an X25519
 * secret behind it where there is one. salt: what both ends (or the one) have contributed. label:
 * what the key is for. Return: false = no memory; out is then not to be used. */
bool seal_derive(struct seal_key *out, const struct seal_terms *t, const char *label,
                 enum seal_side side, const uint8_t *secret, size_t secret_n, const uint8_t *salt,
                 size_t salt_n) MUST_CHECK;
/* 32 bits that name a secret without telling anything of it; never 0. Return: 0 = no memory. */
uint32_t seal_secret_id(const struct seal_terms *t, const uint8_t secret[SECRET_BYTES]);

/* Bytes of tag that frames of this context carry. */
size_t seal_overhead(const struct seal_context *c);
/* Writes the tag behind the n bytes of frame (which has room for it), and encrypts what lies behind
 * the first c->clear bytes where the key says so. number: the full frame number in its space.
 * Return: the whole length; 0 = no memory: the frame must not be used, its number may. */
size_t seal_frame(const struct seal_context *c, enum seal_space space, uint64_t number,
                  uint8_t *frame, size_t n);
/* Checks (and, sealed, opens in place) a frame of n bytes with its tag. Return: true, *content =
 * bytes without the tag; false: the frame is as it was. */
bool seal_open(const struct seal_context *c, enum seal_space space, uint64_t number, uint8_t *frame,
               size_t n, size_t *content);

#endif
