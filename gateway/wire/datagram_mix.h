/* What X25519 adds to the key of an epoch on a datagram link ([P-10.18]). Pure.
 *
 * Each end has a share that it receives under, and sends with: the key of an epoch is of the pre-shared secret and of what the
 * sender's share and the receiver's give together. Both are bound into the key by their bytes, so that no other pair gives it. */
#ifndef WIRE_DATAGRAM_MIX_H
#define WIRE_DATAGRAM_MIX_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/wire/datagram_frame.h"
#include "gateway/wire/seal.h"

/* The epoch, as its announcement names it. */
struct epoch_name {
    uint64_t counter;
    uint32_t id;
    const uint8_t *salt; /* DATAGRAM_SALT_BYTES */
};
#define EPOCH_NAME_BYTES (8 + 4 + DATAGRAM_SALT_BYTES)
void epoch_name_write(const struct epoch_name *e, uint8_t out[EPOCH_NAME_BYTES]);

/* Of the two one is ours, whose private half is given. */
struct share_pair {
    const uint8_t *sender, *receiver; /* public, DATAGRAM_SHARE_BYTES */
    const uint8_t *private_key;
};

/* side: of the sender. Return: false = no memory, or the other share is one that gives no secret. */
bool datagram_mixed_key(const struct seal_terms *t, enum seal_side side, const uint8_t secret[SECRET_BYTES],
                        const struct epoch_name *e, const struct share_pair *pair, struct seal_key *out) MUST_CHECK;
/* What m->proof must be, by its other fields: whoever made it holds the secret. Return: false = no memory. */
bool datagram_mix_proof(const struct seal_terms *t, enum seal_side side, const uint8_t secret[SECRET_BYTES],
                        const struct epoch_name *e, const struct datagram_mix *m, uint8_t out[DATAGRAM_SHARE_PROOF]) MUST_CHECK;

#endif
