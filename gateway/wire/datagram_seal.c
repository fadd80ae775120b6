/* Keys of datagram links: one-sided, since data flows in the first frame ([P-10.13]). The key of an epoch is of the
 * pre-shared secret, the epoch's counter and 16 bytes of fresh randomness (the epoch's number is four of them). An answer
 * has a key of its own, made of the epoch that it answers and 12 fresh bytes, so that who answers needs to remember no number. */
#include <string.h>

#include "gateway/wire/datagram_internal.h"

bool datagram_sealed(const struct channel *c)
{
    return c->config.seal != SEAL_NONE;
}

const uint8_t *datagram_secret(const struct channel *c, bool next)
{
    const struct channel_secrets *s = &c->config.secrets;
    /* An epoch that was begun under the next secret outlives the change: that secret is then the only one. */
    return next && s->has_next ? s->next : s->current;
}

bool datagram_epoch_key(const struct channel *c, enum seal_side side, uint64_t counter, uint32_t id,
                        const uint8_t *salt, bool next_secret, struct seal_key *out)
{
    uint8_t name[EPOCH_NAME_BYTES];
    const uint8_t *secret = datagram_secret(c, next_secret);
    if (!datagram_sealed(c))
        return true;
    epoch_name_write(&(struct epoch_name){counter, id, salt}, name);
    return secret && seal_derive(out, &c->datagram->terms, "datagram", side, secret, SECRET_BYTES, name, sizeof name);
}

/* Of the pre-shared secret alone: an answer tells nothing that would have to be kept from who gets it later, and one that says
 * that a share is not here can be sent, and read. The ids, so that nobody who changes them draws such an answer to a true epoch. */
static bool answer_key(const struct channel *c, enum seal_side side, const struct answered *to, const uint8_t *fresh, struct seal_key *out)
{
    uint8_t all[EPOCH_NAME_BYTES + 2 * DATAGRAM_SHARE_ID + DATAGRAM_ANSWER_SALT_BYTES];
    const uint8_t *secret = datagram_secret(c, to->next_secret);
    size_t n = EPOCH_NAME_BYTES;
    epoch_name_write(&to->name, all);
    if (to->ids->mixed) {
        memcpy(all + n, to->ids->sender, DATAGRAM_SHARE_ID);
        memcpy(all + n + DATAGRAM_SHARE_ID, to->ids->receiver, DATAGRAM_SHARE_ID);
        n += 2ul * DATAGRAM_SHARE_ID;
    }
    memcpy(all + n, fresh, DATAGRAM_ANSWER_SALT_BYTES);
    n += DATAGRAM_ANSWER_SALT_BYTES;
    return secret && seal_derive(out, &c->datagram->terms, "datagram answer", side, secret, SECRET_BYTES, all, n);
}

size_t datagram_seal_answer(struct channel *c, const struct datagram_answer *a, const struct answered *to, uint8_t *out)
{
    uint8_t fresh[DATAGRAM_ANSWER_SALT_BYTES];
    struct seal_key key;
    struct seal_context seal = {0, to->name.id, NULL, 0};
    if (!datagram_sealed(c)) {
        size_t n = datagram_answer_encode(a, NULL, out, &seal.clear);
        return seal_frame(&seal, SEAL_SPACE_CONTROL, 0, out, n);
    }
    c->ops->random_bytes(c->ctx, fresh, sizeof fresh);
    if (!answer_key(c, SEAL_OURS, to, fresh, &key))
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
    struct answered to = {{e->counter, e->id, e->salt}, e->next_secret, &e->ids};
    struct seal_context seal = {0, e->id, NULL, 1};
    struct seal_key key;
    size_t content;
    bool sealed = datagram_sealed(c);
    if (n > DATAGRAM_ANSWER_MAX || n < (sealed ? 1 + DATAGRAM_ANSWER_SALT_BYTES : 1) + datagram_tag_bytes(c))
        return false;
    if (sealed) {
        if (!answer_key(c, SEAL_THEIRS, &to, frame + 1, &key))
            return false;
        seal.key = &key;
        seal.clear = 1 + DATAGRAM_ANSWER_SALT_BYTES;
    }
    bool good = seal_open(&seal, SEAL_SPACE_CONTROL, 0, frame, n, &content);
    if (sealed)
        crypto_wipe(&key, sizeof key);
    return good && datagram_answer_decode(a, frame, content, seal.clear);
}
