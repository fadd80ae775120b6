/* Keys of datagram links: one-sided, since data flows in the first frame ([P-10.11]). The key of an epoch is of the
 * pre-shared secret, the epoch's counter and 16 bytes of fresh randomness (the epoch's number is four of them). An answer
 * has a key of its own, made of the epoch that it answers and 12 fresh bytes, so that who answers needs to remember no number. */
#include <string.h>

#include "gateway/wire/datagram_internal.h"

#define EPOCH_SALT (8 + 4 + DATAGRAM_SALT_BYTES)

bool datagram_sealed(const struct channel *c)
{
    return c->config.seal != SEAL_NONE;
}

static void put_salt(uint8_t out[EPOCH_SALT], uint64_t counter, uint32_t id, const uint8_t *salt)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(counter >> (56 - 8 * i));
    for (int i = 0; i < 4; i++)
        out[8 + i] = (uint8_t)(id >> (24 - 8 * i));
    memcpy(out + 12, salt, DATAGRAM_SALT_BYTES);
}

static const uint8_t *secret_of(const struct channel *c, bool next)
{
    const struct channel_secrets *s = &c->config.secrets;
    /* An epoch that was begun under the next secret outlives the change: that secret is then the only one. */
    return next && s->has_next ? s->next : s->current;
}

bool datagram_epoch_key(const struct channel *c, enum seal_side side, uint64_t counter, uint32_t id,
                        const uint8_t *salt, bool next_secret, struct seal_key *out)
{
    uint8_t all[EPOCH_SALT];
    const uint8_t *secret = secret_of(c, next_secret);
    if (!datagram_sealed(c))
        return true;
    put_salt(all, counter, id, salt);
    return secret && seal_derive(out, &c->datagram->terms, "datagram", side, secret, SECRET_BYTES,
                                 all, sizeof all);
}

static bool answer_key(const struct channel *c, enum seal_side side, uint64_t counter, uint32_t id,
                       const uint8_t *salt, const uint8_t *fresh, bool next_secret,
                       struct seal_key *out)
{
    uint8_t all[EPOCH_SALT + DATAGRAM_ANSWER_SALT_BYTES];
    const uint8_t *secret = secret_of(c, next_secret);
    put_salt(all, counter, id, salt);
    memcpy(all + EPOCH_SALT, fresh, DATAGRAM_ANSWER_SALT_BYTES);
    return secret && seal_derive(out, &c->datagram->terms, "datagram answer", side, secret,
                                 SECRET_BYTES, all, sizeof all);
}

size_t datagram_seal_answer(struct channel *c, const struct datagram_answer *a, uint64_t counter,
                            uint32_t id, const uint8_t *salt, bool next_secret, uint8_t *out)
{
    uint8_t fresh[DATAGRAM_ANSWER_SALT_BYTES];
    struct seal_key key;
    struct seal_context seal = {0, id, NULL, 0};
    if (!datagram_sealed(c)) {
        size_t n = datagram_answer_encode(a, NULL, out, &seal.clear);
        return seal_frame(&seal, SEAL_SPACE_CONTROL, 0, out, n);
    }
    c->ops->random_bytes(c->ctx, fresh, sizeof fresh);
    if (!answer_key(c, SEAL_OURS, counter, id, salt, fresh, next_secret, &key))
        return 0;
    seal.key = &key;
    size_t n = datagram_answer_encode(a, fresh, out, &seal.clear);
    n = seal_frame(&seal, SEAL_SPACE_CONTROL, 0, out, n);
    crypto_wipe(&key, sizeof key);
    return n;
}

bool datagram_open_answer(const struct channel *c, const struct out_epoch *e, uint8_t *frame,
                          size_t n, struct datagram_answer *a)
{
    struct seal_context seal = {0, e->id, NULL, 1};
    struct seal_key key;
    size_t content;
    bool sealed = datagram_sealed(c);
    if (n > DATAGRAM_ANSWER_MAX || n < (sealed ? 1 + DATAGRAM_ANSWER_SALT_BYTES : 1) + datagram_tag_bytes(c))
        return false;
    if (sealed) {
        if (!answer_key(c, SEAL_THEIRS, e->counter, e->id, e->salt, frame + 1, e->next_secret, &key))
            return false;
        seal.key = &key;
        seal.clear = 1 + DATAGRAM_ANSWER_SALT_BYTES;
    }
    bool good = seal_open(&seal, SEAL_SPACE_CONTROL, 0, frame, n, &content);
    if (sealed)
        crypto_wipe(&key, sizeof key);
    return good && datagram_answer_decode(a, frame, content, seal.clear);
}
