/* Forward secrecy on a datagram link ([P-10.18]). Each end has a share, an X25519 key pair, of which the other is told the public
 * half: in the announcements of its epochs, or, by an end that only receives, in its answers. An epoch is keyed with the sender's
 * and the receiver's. The private halves must outlive a restart, for frames that were made for them come after it; so they are in
 * the store, and what makes a recorded frame unreadable is that a share is followed by another, and forgotten. */
#include <assert.h>
#include <string.h>

#include "gateway/wire/datagram_internal.h"

/* A share costs the other end an epoch, too: on metered links it lives longer. */
#define SHARE_LIFE_MS         86400000ll /* one day */
#define SHARE_LIFE_METERED_MS 604800000ll
#define SHARE_EPOCHS          16 /* of ours: an end that is always started anew counts no days */

static_assert(DATAGRAM_SHARE_BYTES == CRYPTO_SHARE_BYTES, "a share is a public key");

static bool wanted(const struct channel *c)
{
    return datagram_sealed(c) && c->config.forward_secrecy;
}

static void changed(struct channel *c)
{
    if (c->ops->saved_changed)
        c->ops->saved_changed(c->ctx);
}

static bool is_named(const uint8_t *share, const uint8_t id[DATAGRAM_SHARE_ID])
{
    return memcmp(share, id, DATAGRAM_SHARE_ID) == 0;
}

static const struct own_share *find_own(const struct datagram_shares *s, const uint8_t id[DATAGRAM_SHARE_ID])
{
    for (unsigned i = 0; i < s->own_count; i++)
        if (is_named(s->own[i].share, id))
            return &s->own[i];
    return NULL;
}

static const uint8_t *find_peer(const struct datagram_shares *s, const uint8_t id[DATAGRAM_SHARE_ID])
{
    for (unsigned i = 0; i < s->peer_count; i++)
        if (is_named(s->peer[i], id))
            return s->peer[i];
    return NULL;
}

/* ---- our own ---- */

/* Without memory what there is stays. */
static void draw(struct channel *c)
{
    struct datagram_shares *s = &c->datagram->shares;
    struct own_share fresh;
    bool good;
    do {
        c->ops->random_bytes(c->ctx, fresh.private_key, sizeof fresh.private_key);
        good = crypto_x25519_public(fresh.private_key, fresh.share);
    } while (good && find_own(s, fresh.share));
    if (good) {
        c->status.forgotten += s->own_count == DATAGRAM_OWN_SHARES;
        s->own[1] = s->own[0];
        s->own[0] = fresh;
        s->own_count += s->own_count < DATAGRAM_OWN_SHARES;
        s->told = false;
        s->tellings = s->epochs = 0;
        s->age_ms = 0;
        changed(c);
    }
    crypto_wipe(&fresh, sizeof fresh);
}

void datagram_share_tend(struct channel *c, int64_t now_ms)
{
    struct datagram_shares *s = &c->datagram->shares;
    if (!wanted(c))
        return;
    s->age_ms += s->seen_ms >= 0 ? now_ms - s->seen_ms : 0;
    s->seen_ms = now_ms;
    if (s->own_count == 0 || s->epochs >= SHARE_EPOCHS || s->age_ms >= (c->config.metered ? SHARE_LIFE_METERED_MS : SHARE_LIFE_MS))
        draw(c);
}

/* Nothing that can still come is keyed with the share before the newest: it is forgotten, and what was recorded of it with it. */
static void forget_old(struct channel *c, const struct in_epoch *newest)
{
    const struct datagram *d = c->datagram;
    struct datagram_shares *s = &c->datagram->shares;
    if (s->own_count < 2 || d->in_count - 1 < d->earlier_count)
        return;
    crypto_wipe(&s->own[1], sizeof s->own[1]);
    s->own_count = 1;
    c->status.forgotten++;
    changed(c);
}

/* ---- the peer's ---- */

/* known_too: also one that another has followed. That is the sender's own word in an epoch that may begin, or in a refusal, which
 * ends the epoch that it is bound to and so cannot be played again; an old acknowledgement can. */
static void learn(struct channel *c, const uint8_t share[DATAGRAM_SHARE_BYTES], bool known_too)
{
    struct datagram_shares *s = &c->datagram->shares;
    uint8_t newest[DATAGRAM_SHARE_BYTES];
    unsigned at = 0;
    while (at < s->peer_count && memcmp(s->peer[at], share, DATAGRAM_SHARE_BYTES) != 0)
        at++;
    if (at < s->peer_count && (at == 0 || !known_too))
        return;
    if (at == s->peer_count)
        s->peer_count += s->peer_count < DATAGRAM_PEER_SHARES;
    at = at < DATAGRAM_PEER_SHARES ? at : DATAGRAM_PEER_SHARES - 1;
    memcpy(newest, share, sizeof newest);
    memmove(s->peer[1], s->peer[0], at * sizeof s->peer[0]);
    memcpy(s->peer[0], newest, sizeof newest);
    changed(c);
}

/* ---- epochs of ours ---- */

bool datagram_share_current(const struct channel *c, const struct out_epoch *e)
{
    const struct datagram_shares *s = &c->datagram->shares;
    if (!wanted(c) || s->own_count == 0)
        return !e->ids.offered && !e->ids.mixed;
    if (e->ids.mixed != (s->peer_count > 0) || !is_named(s->own[0].share, e->ids.sender))
        return false;
    return !e->ids.mixed || is_named(s->peer[0], e->ids.receiver);
}

bool datagram_share_begin(struct channel *c, struct out_epoch *e)
{
    struct datagram *d = c->datagram;
    struct datagram_shares *s = &d->shares;
    const struct own_share *own = &s->own[0];
    const struct epoch_name name = {e->counter, e->id, e->salt};
    e->ids = (struct mixed_ids){0};
    e->mix = (struct datagram_mix){0};
    if (wanted(c) && s->own_count > 0) {
        s->epochs++;
        e->ids.offered = true;
        memcpy(e->ids.sender, own->share, DATAGRAM_SHARE_ID);
        memcpy(e->mix.share, own->share, DATAGRAM_SHARE_BYTES);
        e->mix.whole = !s->told;
    }
    if (e->ids.offered && s->peer_count > 0) {
        const struct share_pair pair = {own->share, s->peer[0], own->private_key};
        const uint8_t *secret = datagram_secret(c, e->next_secret);
        memcpy(e->ids.receiver, s->peer[0], DATAGRAM_SHARE_ID);
        memcpy(e->mix.with, s->peer[0], DATAGRAM_SHARE_ID);
        e->ids.mixed = e->mix.mixed = datagram_mixed_key(&d->terms, SEAL_OURS, secret, &name, &pair, &d->out_key) &&
                                      datagram_mix_proof(&d->terms, SEAL_OURS, secret, &name, &e->mix, e->mix.proof);
        if (e->ids.mixed)
            return true;
        s->peer_count = 0; /* a share that gives no secret, or no memory: the peer will tell it again */
    }
    return datagram_epoch_key(c, SEAL_OURS, e->counter, e->id, e->salt, e->next_secret, &d->out_key);
}

void datagram_share_acked(struct channel *c, const struct out_epoch *e)
{
    struct datagram_shares *s = &c->datagram->shares;
    if (s->told || !e->mix.whole || s->own_count == 0 || memcmp(e->mix.share, s->own[0].share, DATAGRAM_SHARE_BYTES) != 0)
        return;
    s->told = true;
    changed(c);
}

void datagram_share_answered(struct channel *c, const struct datagram_answer *a)
{
    struct datagram_shares *s = &c->datagram->shares;
    if (a->lacks_share) {
        s->told = false;
        s->peer_count = a->has_share ? s->peer_count : 0;
        changed(c);
    }
    if (a->has_share && wanted(c))
        learn(c, a->share, a->type == DATAGRAM_FLOOR);
}

/* ---- epochs of the peer's ---- */

enum datagram_keying datagram_share_open(struct channel *c, const struct datagram_announcement *a, struct in_epoch *e)
{
    const struct datagram *d = c->datagram;
    const struct datagram_mix *m = &a->mix;
    const struct epoch_name name = {a->counter, a->epoch, a->salt};
    const uint8_t *secret = datagram_secret(c, e->next_secret);
    e->ids = (struct mixed_ids){.offered = m->whole || m->mixed, .mixed = m->mixed};
    memcpy(e->ids.sender, m->share, DATAGRAM_SHARE_ID);
    memcpy(e->ids.receiver, m->with, DATAGRAM_SHARE_ID);
    e->lacks_share = false;
    if (!m->mixed)
        return datagram_epoch_key(c, SEAL_THEIRS, a->counter, a->epoch, a->salt, e->next_secret, &e->key) ? DATAGRAM_KEYED
                                                                                                           : DATAGRAM_NO_KEY;
    /* Also where both shares are here: X25519 is the costliest thing that a stranger could make us do. */
    uint8_t proof[DATAGRAM_SHARE_PROOF];
    if (!datagram_mix_proof(&d->terms, SEAL_THEIRS, secret, &name, m, proof) || memcmp(proof, m->proof, sizeof proof) != 0)
        return DATAGRAM_NO_KEY;
    const struct own_share *own = find_own(&d->shares, m->with);
    const uint8_t *sender = m->whole ? m->share : find_peer(&d->shares, m->share);
    e->lacks_share = !own || !sender;
    if (e->lacks_share)
        return DATAGRAM_NO_SHARE;
    const struct share_pair pair = {sender, own->share, own->private_key};
    return datagram_mixed_key(&d->terms, SEAL_THEIRS, secret, &name, &pair, &e->key) ? DATAGRAM_KEYED : DATAGRAM_NO_KEY;
}

void datagram_share_accepted(struct channel *c, const struct datagram_announcement *a, const struct in_epoch *e)
{
    struct datagram_shares *s = &c->datagram->shares;
    const uint8_t *sender = a->mix.whole ? a->mix.share : a->mix.mixed ? find_peer(s, a->mix.share) : NULL;
    if (!wanted(c))
        return;
    if (sender)
        learn(c, sender, true);
    if (!e->ids.mixed || !is_named(s->own[0].share, e->ids.receiver))
        return;
    if (!s->told)
        changed(c);
    s->told = true;
    forget_old(c, e);
}

/* ---- answers ---- */

static void bring(const struct datagram_shares *s, struct datagram_answer *a)
{
    a->has_share = true;
    memcpy(a->share, s->own[0].share, sizeof a->share);
}

void datagram_share_refuse(struct channel *c, const struct mixed_ids *ids, struct datagram_answer *a)
{
    struct datagram_shares *s = &c->datagram->shares;
    if (a->type != DATAGRAM_FLOOR || !wanted(c) || !ids->offered)
        return;
    if (s->own_count == 0)
        draw(c);
    if (s->own_count > 0 && (a->lacks_share || !s->told))
        bring(s, a);
}

void datagram_share_tell(struct channel *c, struct datagram_answer *a)
{
    struct datagram_shares *s = &c->datagram->shares;
    if (!wanted(c) || s->own_count == 0 || s->peer_count == 0 || s->told)
        return;
    s->tellings++;
    if ((s->tellings & (s->tellings - 1)) == 0) /* as seldom as an epoch is announced: it costs */
        bring(s, a);
}

bool datagram_forward_secret(const struct channel *c)
{
    const struct datagram *d = c->datagram;
    bool sends = d->out_count > 0 && d->out[0].next > 1, receives = d->in_count > 0; /* an epoch may have begun for nothing */
    if (!wanted(c))
        return false;
    if (!sends && !receives) /* as after a restart: what will leave next counts */
        return d->shares.own_count > 0 && d->shares.peer_count > 0;
    return (!sends || d->out[0].ids.mixed) && (!receives || d->in[0].ids.mixed);
}

/* ---- across a restart ---- */

void datagram_shares_save(const struct channel *c, struct buf *b)
{
    const struct datagram_shares *s = &c->datagram->shares;
    buf_put_u8(b, (uint8_t)(s->own_count | s->told << 2));
    buf_put_u8(b, (uint8_t)s->epochs);
    buf_put_be64(b, (uint64_t)s->age_ms);
    for (unsigned i = 0; i < s->own_count; i++)
        buf_put(b, s->own[i].private_key, sizeof s->own[i].private_key);
    buf_put_u8(b, (uint8_t)s->peer_count);
    buf_put(b, s->peer, s->peer_count * sizeof s->peer[0]);
}

bool datagram_shares_load(struct channel *c, struct reader *r)
{
    struct datagram_shares *s = &c->datagram->shares;
    crypto_wipe(s, sizeof *s);
    s->seen_ms = -1;
    uint8_t first = read_u8(r);
    unsigned own_count = first & 3;
    s->told = first & 4;
    s->epochs = read_u8(r);
    s->age_ms = (int64_t)read_be64(r);
    if (own_count > DATAGRAM_OWN_SHARES || s->age_ms < 0)
        return false;
    for (; s->own_count < own_count; s->own_count++) {
        struct own_share *own = &s->own[s->own_count];
        read_into(r, own->private_key, sizeof own->private_key);
        if (r->bad || !crypto_x25519_public(own->private_key, own->share))
            return false;
    }
    unsigned peer_count = read_u8(r);
    if (peer_count > DATAGRAM_PEER_SHARES)
        return false;
    read_into(r, s->peer, peer_count * sizeof s->peer[0]);
    s->peer_count = peer_count;
    if (!wanted(c)) { /* no longer: what was kept for it goes with the next commit */
        c->status.forgotten += s->own_count;
        crypto_wipe(s, sizeof *s);
        s->seen_ms = -1;
    }
    return !r->bad;
}
