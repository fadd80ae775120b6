#include "gateway/wire/meeting.h"

#include <string.h>

#include "base/buf.h"
#include "gateway/wire/crypto.h"

bool key_ring_init(struct key_ring *k, enum seal_mode mode, unsigned tag_bytes,
                   const char *own_name, const char *peer_name,
                   const struct channel_secrets *secrets)
{
    *k = (struct key_ring){.secrets = secrets, .count = secrets->has_next ? 2 : 1};
    if (!seal_terms_init(&k->terms, mode, tag_bytes, own_name, peer_name))
        return false;
    for (unsigned i = 0; i < k->count; i++) {
        const uint8_t *secret = key_ring_secret(k, i);
        k->id[i] = seal_secret_id(&k->terms, secret);
        if (k->id[i] == 0 ||
            !seal_derive(&k->hello_out[i], &k->terms, "hello", SEAL_OURS, secret, SECRET_BYTES,
                         NULL, 0) ||
            !seal_derive(&k->hello_in[i], &k->terms, "hello", SEAL_THEIRS, secret, SECRET_BYTES,
                         NULL, 0))
            return false;
    }
    return true;
}

const uint8_t *key_ring_secret(const struct key_ring *k, unsigned which)
{
    return which ? k->secrets->next : k->secrets->current;
}

bool meeting_begin(struct meeting *m, bool forward_secrecy,
                   void (*random_bytes)(void *ctx, void *bytes, size_t n), void *ctx)
{
    meeting_end(m);
    do
        random_bytes(ctx, m->own, sizeof m->own);
    while (meeting_own_epoch(m) == 0);
    if (forward_secrecy) {
        random_bytes(ctx, m->private_key, sizeof m->private_key);
        if (!crypto_x25519_public(m->private_key, m->share)) {
            meeting_end(m);
            return false;
        }
    }
    m->has_share = forward_secrecy;
    m->begun = true;
    return true;
}

void meeting_end(struct meeting *m)
{
    crypto_wipe(m, sizeof *m);
}

bool meeting_open_hello(const struct key_ring *k, struct sealed_hello *h, unsigned *which,
                        uint8_t *frame, size_t n)
{
    for (*which = 0; *which < k->count; ++*which)
        if (sealed_hello_open(h, &k->hello_in[*which], frame, n))
            return true;
    return false;
}

/* The newest secret that both hold. Where the ends do not agree on which is the newer, the lower id:
 * both find the same. */
static unsigned choose(const struct meeting *m, const struct key_ring *k)
{
    if (!m->peer_holds[0] || !m->peer_holds[1])
        return m->peer_holds[1];
    unsigned theirs = m->theirs.newer ? m->sealed_under : !m->sealed_under;
    return theirs == 1 ? 1 : k->id[1] < k->id[0];
}

/* secret, and behind it what X25519 gives where both have a share. */
static bool mix_secret(const struct meeting *m, const struct key_ring *k, uint8_t *out, size_t *n)
{
    memcpy(out, key_ring_secret(k, m->which), SECRET_BYTES);
    *n = SECRET_BYTES;
    if (!m->forward_secret)
        return true;
    *n += CRYPTO_SHARE_BYTES;
    return crypto_x25519_shared(m->private_key, m->theirs.share, out + SECRET_BYTES);
}

bool meeting_accept(struct meeting *m, const struct key_ring *k, const struct sealed_hello *h,
                    unsigned which)
{
    uint8_t salt[2 * SEALED_RANDOM_BYTES], secret[SECRET_BYTES + CRYPTO_SHARE_BYTES];
    size_t secret_n;
    m->theirs = *h;
    m->sealed_under = which;
    m->proven = false;
    m->received = 0; /* m->sent goes on: this HELLO may have been accepted before, and then dropped */
    for (unsigned i = 0; i < 2; i++)
        m->peer_holds[i] =
            i < k->count && (i == which || (h->has_other && h->other_id == k->id[i]));
    m->which = choose(m, k);
    m->forward_secret = m->has_share && h->has_share;
    /* The part of the lesser name comes first, so that both ends write the same. */
    memcpy(salt + (k->terms.greater ? SEALED_RANDOM_BYTES : 0), m->own, SEALED_RANDOM_BYTES);
    memcpy(salt + (k->terms.greater ? 0 : SEALED_RANDOM_BYTES), h->random, SEALED_RANDOM_BYTES);
    const char *label = m->forward_secret ? "stream x25519" : "stream";
    m->known = mix_secret(m, k, secret, &secret_n) &&
               seal_derive(&m->out, &k->terms, label, SEAL_OURS, secret, secret_n, salt,
                           sizeof salt) &&
               seal_derive(&m->in, &k->terms, label, SEAL_THEIRS, secret, secret_n, salt,
                           sizeof salt);
    crypto_wipe(secret, sizeof secret);
    return m->known;
}

size_t meeting_hello(struct meeting *m, const struct key_ring *k, unsigned which,
                     const struct meeting_terms *t, bool over, uint8_t *out)
{
    struct sealed_hello h = {
        .number = m->hellos,
        .codec_version = t->codec_version,
        .memory_log2 = t->memory_log2,
        .identity = *t->identity,
        .newer = which == 1,
        .has_other = k->count == 2,
        .other_id = k->id[!which],
        .doubts = t->doubts,
        .doubted = t->doubted,
        .has_share = m->has_share,
    };
    memcpy(h.random, m->own, sizeof h.random);
    memcpy(h.share, m->share, sizeof h.share);
    if (m->known)
        h.seen = (uint16_t)(m->theirs.random[0] << 8 | m->theirs.random[1]);
    if (k->terms.mode == SEAL_AUTH)
        sealed_name(t->own_name, h.name);
    size_t n = sealed_hello_encode(&h, &k->hello_out[which], over, out);
    if (n > 0)
        m->hellos++;
    return n;
}

bool meeting_spent(const struct meeting *m)
{
    return m->hellos > SEALED_NUMBER_MAX || m->sent >= SEALED_NUMBER_MAX;
}

static uint32_t epoch_of(const uint8_t random[SEALED_RANDOM_BYTES])
{
    return be32_of(random);
}

uint32_t meeting_own_epoch(const struct meeting *m)
{
    return epoch_of(m->own);
}

uint32_t meeting_peer_epoch(const struct meeting *m)
{
    return epoch_of(m->theirs.random);
}

struct seal_context meeting_out(const struct meeting *m)
{
    return (struct seal_context){meeting_own_epoch(m), meeting_peer_epoch(m), &m->out, 0};
}

struct seal_context meeting_in(const struct meeting *m)
{
    return (struct seal_context){meeting_peer_epoch(m), meeting_own_epoch(m), &m->in, 0};
}
