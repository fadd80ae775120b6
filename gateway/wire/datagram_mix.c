#include "gateway/wire/datagram_mix.h"

#include <string.h>

void epoch_name_write(const struct epoch_name *e, uint8_t out[EPOCH_NAME_BYTES])
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(e->counter >> (56 - 8 * i));
    for (int i = 0; i < 4; i++)
        out[8 + i] = (uint8_t)(e->id >> (24 - 8 * i));
    memcpy(out + 12, e->salt, DATAGRAM_SALT_BYTES);
}

bool datagram_mixed_key(const struct seal_terms *t, enum seal_side side, const uint8_t secret[SECRET_BYTES],
                        const struct epoch_name *e, const struct share_pair *pair, struct seal_key *out)
{
    uint8_t both[SECRET_BYTES + CRYPTO_SHARE_BYTES], salt[EPOCH_NAME_BYTES + 2 * DATAGRAM_SHARE_BYTES];
    memcpy(both, secret, SECRET_BYTES);
    epoch_name_write(e, salt);
    memcpy(salt + EPOCH_NAME_BYTES, pair->sender, DATAGRAM_SHARE_BYTES);
    memcpy(salt + EPOCH_NAME_BYTES + DATAGRAM_SHARE_BYTES, pair->receiver, DATAGRAM_SHARE_BYTES);
    const uint8_t *other = side == SEAL_OURS ? pair->receiver : pair->sender;
    bool good = crypto_x25519_shared(pair->private_key, other, both + SECRET_BYTES) &&
                seal_derive(out, t, "datagram x25519", side, both, sizeof both, salt, sizeof salt);
    crypto_wipe(both, sizeof both);
    return good;
}

bool datagram_mix_proof(const struct seal_terms *t, enum seal_side side, const uint8_t secret[SECRET_BYTES],
                        const struct epoch_name *e, const struct datagram_mix *m, uint8_t out[DATAGRAM_SHARE_PROOF])
{
    uint8_t salt[EPOCH_NAME_BYTES + DATAGRAM_SHARE_BYTES + DATAGRAM_SHARE_ID];
    size_t n = m->whole ? DATAGRAM_SHARE_BYTES : DATAGRAM_SHARE_ID;
    struct seal_key key;
    epoch_name_write(e, salt);
    memcpy(salt + EPOCH_NAME_BYTES, m->share, n);
    memcpy(salt + EPOCH_NAME_BYTES + n, m->with, DATAGRAM_SHARE_ID);
    bool good = seal_derive(&key, t, "datagram share", side, secret, SECRET_BYTES, salt, EPOCH_NAME_BYTES + n + DATAGRAM_SHARE_ID);
    memcpy(out, key.bytes, DATAGRAM_SHARE_PROOF);
    crypto_wipe(&key, sizeof key);
    return good;
}
