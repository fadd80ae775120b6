/* How two ends that share a secret meet ([P-14]): one attempt at it, until the peer has proved that
 * it lives and holds the secret. Pure; embedded in a channel, and in the guest of a listener.
 *
 *     A: HELLO(a)  ->  B: HELLO(b), CONFIRM  ->  A: MARKS  ->  B: MARKS
 *
 * Both random parts, and the secret, make the keys of the epoch. A HELLO alone proves nothing: it may
 * be years old. CONFIRM and MARKS are sealed under those keys, so that whoever made them has seen our
 * own random part: they prove. Until then an attempt costs this struct, and disturbs nothing. */
#ifndef WIRE_MEETING_H
#define WIRE_MEETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/wire/channel.h"
#include "gateway/wire/sealed_handshake.h"
#include "gateway/wire/seal.h"

/* What a channel makes of its peer's secrets, once. Holds keys: wipe it. */
struct key_ring {
    struct seal_terms terms;
    const struct channel_secrets *secrets; /* live as long */
    unsigned count;                        /* 1, or 2 with a next one */
    uint32_t id[2];                        /* 0 current, 1 next; so below */
    struct seal_key hello_out[2], hello_in[2];
};
/* Return: false = no memory. */
bool key_ring_init(struct key_ring *k, enum seal_mode mode, unsigned tag_bytes,
                   const char *own_name, const char *peer_name,
                   const struct channel_secrets *secrets) MUST_CHECK;
const uint8_t *key_ring_secret(const struct key_ring *k, unsigned which);

struct meeting {
    bool begun; /* own random part drawn: */
    uint8_t own[SEALED_RANDOM_BYTES];
    bool has_share;
    uint8_t private_key[CRYPTO_SHARE_BYTES], share[CRYPTO_SHARE_BYTES];
    unsigned hellos; /* sent */

    bool known; /* the peer's HELLO came: */
    struct sealed_hello theirs;
    unsigned sealed_under; /* which of our secrets its HELLO used */
    unsigned which;        /* which of our secrets the epoch is keyed with */
    bool peer_holds[2];    /* of our secrets */
    bool forward_secret;
    struct seal_key out, in;
    unsigned sent, received; /* highest number of handshake frames, since begun and under these keys */

    bool proven;
};

/* Draws the own random part, never one whose first four bytes are 0. Return: false = no memory. */
bool meeting_begin(struct meeting *m, bool forward_secrecy,
                   void (*random_bytes)(void *ctx, void *bytes, size_t n),
                   void *ctx) MUST_CHECK;
/* Forgets it all, keys first. */
void meeting_end(struct meeting *m);

/* Opens a HELLO under whichever of the ring's keys fits. which: of our secrets. */
bool meeting_open_hello(const struct key_ring *k, struct sealed_hello *h, unsigned *which,
                        uint8_t *frame, size_t n) MUST_CHECK;
/* Takes it as the peer's part of a begun meeting, in place of an earlier one, and makes the keys.
 * Return: false = no memory, or its share is no share. */
bool meeting_accept(struct meeting *m, const struct key_ring *k, const struct sealed_hello *h,
                    unsigned which) MUST_CHECK;

/* What a HELLO of ours says beside what the meeting itself knows. */
struct meeting_terms {
    unsigned codec_version, memory_log2;
    const struct channel_identity *identity;
    const char *own_name;
    bool doubts; /* it still holds an epoch: */
    uint32_t doubted;
};
/* Writes a HELLO under the key `which`, with the next number. Return: its length; 0 = no memory. */
size_t meeting_hello(struct meeting *m, const struct key_ring *k, unsigned which,
                     const struct meeting_terms *t, bool over, uint8_t *out);
/* The numbers of this meeting's own part are used up: it must begin anew. */
bool meeting_spent(const struct meeting *m);
/* The epoch ids that follow from the random parts. */
uint32_t meeting_own_epoch(const struct meeting *m);
uint32_t meeting_peer_epoch(const struct meeting *m);
/* What its frames are sealed with; keys point into m. */
struct seal_context meeting_out(const struct meeting *m);
struct seal_context meeting_in(const struct meeting *m);

#endif
