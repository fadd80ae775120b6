/* The peer's epochs on a datagram link: the newest, and those before it of which the sender still has frames under way. An epoch has
 * a counter that rises; one that is not above all accepted before is a late or a recorded frame, or a sender that was set back, and is
 * told the floor. */
#include <stdlib.h>
#include <string.h>

#include "gateway/wire/datagram_internal.h"

struct in_epoch *datagram_in_epoch(struct datagram *d, uint32_t id)
{
    for (unsigned i = 0; i < d->in_count; i++)
        if (d->in[i].id == id)
            return &d->in[i];
    return NULL;
}

void datagram_forget_held(struct datagram *d, unsigned i)
{
    free(d->held[i].bytes);
    memmove(&d->held[i], &d->held[i + 1], (--d->held_count - i) * sizeof d->held[0]);
}

static void remove_epoch(struct channel *c, unsigned i)
{
    struct datagram *d = c->datagram;
    for (unsigned k = d->held_count; k-- > 0;)
        if (d->held[k].epoch == d->in[i].id)
            datagram_forget_held(d, k);
    c->status.forgotten += d->in[i].ids.mixed;
    crypto_wipe(&d->in[i].key, sizeof d->in[i].key);
    memmove(&d->in[i], &d->in[i + 1], (--d->in_count - i) * sizeof d->in[0]);
}

void datagram_forget_in(struct channel *c)
{
    struct datagram *d = c->datagram;
    while (d->in_count > 0)
        remove_epoch(c, d->in_count - 1);
    datagram_chain_forget(d);
    d->floor = 0;
    d->earlier_count = 0;
    d->committed = d->given; /* what the owner has yet to commit is of no frame that we would acknowledge */
    c->peer_epoch = 0;
    c->ack_wanted = c->ack_now = false;
    c->unacked = 0;
}

/* Puts it in its place by its counter. Return: NULL: behind all that there is room for. */
static struct in_epoch *insert_epoch(struct channel *c, const struct in_epoch *e)
{
    struct datagram *d = c->datagram;
    unsigned at = 0;
    while (at < d->in_count && d->in[at].counter > e->counter)
        at++;
    if (at == DATAGRAM_EPOCHS)
        return NULL;
    if (d->in_count == DATAGRAM_EPOCHS)
        remove_epoch(c, d->in_count - 1);
    memmove(&d->in[at + 1], &d->in[at], (d->in_count - at) * sizeof d->in[0]);
    d->in[at] = *e;
    d->in_count++;
    return &d->in[at];
}

int64_t datagram_answer_every_ms(const struct channel *c)
{
    int64_t age_ms = c->config.ack_max_age_ms;
    if (!c->config.metered)
        return DATAGRAM_ACK_DELAY_MS;
    return age_ms > 0 && age_ms < METERED_FLOOR_EVERY_MS ? age_ms : METERED_FLOOR_EVERY_MS;
}

void datagram_refuse(struct channel *c, const struct in_epoch *e, enum datagram_answer_type why, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    bool forgotten = why == DATAGRAM_FORGOTTEN;
    int64_t *not_before_ms = forgotten ? &d->forgotten_not_before_ms : &d->floor_not_before_ms;
    c->status.refused++;
    if (now_ms < *not_before_ms && !(forgotten && e->id != d->forgotten_epoch))
        return;
    d->refused = (struct refused_epoch){.due = true, .why = why, .id = e->id, .counter = e->counter, .next_secret = e->next_secret,
                                       .ids = e->ids, .lacks_share = e->lacks_share};
    memcpy(d->refused.salt, e->salt, sizeof e->salt);
    *not_before_ms = now_ms + datagram_answer_every_ms(c);
    if (forgotten)
        d->forgotten_epoch = e->id;
}

static void receiver_changed(struct channel *c)
{
    if (c->ops->receiver_changed)
        c->ops->receiver_changed(c->ctx);
}

/* Sealed: a receiver cannot tell a recording by its floor where it remembers nothing of the peer, or where it was set back. Nor where the
 * peer's store is another than before: that counts from the beginning, and what was recorded of one that is lost would stand above
 * it. a: NULL where it could not be read. */
static bool must_echo(const struct channel *c, const struct datagram_announcement *a)
{
    const struct datagram *d = c->datagram;
    return datagram_sealed(c) &&
           (d->floor == 0 || d->doubt || (a && c->ops->other_store && c->ops->other_store(c->ctx, &a->identity)));
}

/* The word that it wants to hear is a fresh one of its own. It is kept over restarts: a box that sleeps between two messages would else
 * ask for another each time that it wakes. */
static bool proves_itself(struct channel *c, const struct datagram_announcement *a)
{
    struct datagram *d = c->datagram;
    if (!must_echo(c, a))
        return true;
    if (!d->has_nonce) {
        c->ops->random_bytes(c->ctx, d->nonce, sizeof d->nonce);
        d->has_nonce = true;
        receiver_changed(c);
        return false;
    }
    return a && a->echoes && memcmp(a->echo, d->nonce, sizeof d->nonce) == 0;
}

bool datagram_awaits_echo(const struct channel *c)
{
    const struct datagram *d = c->datagram;
    return datagram_sealed(c) && (d->doubt || (d->floor == 0 && d->has_nonce));
}

void datagram_doubt(struct channel *c, bool anew)
{
    struct datagram *d = c->datagram;
    if (!datagram_sealed(c))
        return;
    d->has_nonce &= !anew && datagram_awaits_echo(c);
    d->doubt = true;
    while (d->held_count > 0)
        datagram_forget_held(d, d->held_count - 1);
    receiver_changed(c);
    /* What we sent since may be on tape, and the peer's memory of it lost: our next epochs are to stand above it. */
    d->counter += d->counter < UINT64_MAX - DATAGRAM_LEAP ? DATAGRAM_LEAP : 0;
    if (c->ops->saved_changed)
        c->ops->saved_changed(c->ctx);
    /* What was recorded of the peer's acknowledgements tells what it had once: it may have been set back, too. */
    if (anew && d->frame_count > 0)
        datagram_abandon(c);
}

/* In doubt the peer's sender may have been set back as well, and not know it, to a counter below what it used once: so it is told to
 * leave all of that behind. */
uint64_t datagram_told_floor(const struct datagram *d)
{
    return d->doubt && d->floor > 0 && d->floor < UINT64_MAX - DATAGRAM_LEAP ? d->floor + DATAGRAM_LEAP : d->floor;
}

void datagram_refuse_doubted(struct channel *c, const struct in_epoch *e, int64_t now_ms)
{
    c->status.replayed++;
    (void)proves_itself(c, NULL);
    datagram_refuse(c, e, DATAGRAM_FLOOR, now_ms);
}

void datagram_refuse_unread(struct channel *c, const struct in_epoch *e, int64_t now_ms)
{
    (void)proves_itself(c, NULL);
    datagram_refuse(c, e, DATAGRAM_FLOOR, now_ms);
}

static void note_secrets(struct channel *c, const struct datagram_announcement *a, const struct in_epoch *e)
{
    struct channel_secrets *s = &c->config.secrets;
    if (!datagram_sealed(c))
        return;
    if (c->ops->key_in_use)
        c->ops->key_in_use(c->ctx, e->next_secret);
    if (!s->has_next)
        return;
    c->datagram->peer_next_secret = a->next_secret;
    c->status.peer_has_next = e->next_secret || (a->next_secret && a->next_secret == seal_secret_id(&c->datagram->terms, s->next));
    c->status.next_in_use = e->next_secret;
    if (c->status.peer_has_next && !s->use_next) {
        s->use_next = true;
        c->datagram->begun = false; /* the next frame begins an epoch under it */
    }
}

/* What of epochs that are over was kept to lean on is of no more use. */
static struct in_epoch *begin_epoch(struct channel *c, const struct in_epoch *e)
{
    struct datagram *d = c->datagram;
    struct in_epoch *begun = insert_epoch(c, e);
    uint32_t ids[DATAGRAM_EPOCHS];
    for (unsigned i = 0; i < d->in_count; i++)
        ids[i] = d->in[i].id;
    if (c->ops->only_leaning)
        c->ops->only_leaning(c->ctx, ids, d->in_count);
    return begun;
}

bool datagram_has_settled(const struct channel *c, const struct datagram_announcement *a)
{
    return !c->ops->has_settled || c->ops->has_settled(c->ctx, a->identity.settled);
}

/* As the newest epoch's sender knows it; NULL: it does not. */
static const struct datagram_earlier *earlier_of(const struct datagram *d, uint64_t counter, uint32_t id)
{
    for (unsigned i = 0; i < d->earlier_count; i++)
        if (d->earlier[i].counter == counter && d->earlier[i].id == (uint16_t)id)
            return &d->earlier[i];
    return NULL;
}

bool datagram_is_of_branch(const struct datagram *d, const struct in_epoch *e, uint64_t number)
{
    const struct datagram_earlier *known = e == &d->in[0] ? NULL : earlier_of(d, e->counter, e->id);
    return e == &d->in[0] || (known && number <= known->last);
}

struct in_epoch *datagram_accept_epoch(struct channel *c, const struct datagram_announcement *a, struct in_epoch *e, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    struct channel_marks ours = {0};
    e->codec = a->codec;
    e->anchor = a->anchor;
    if ((a->name[0] && strcmp(a->name, c->config.own_name) == 0) ||
        (a->name[0] && c->config.peer_name[0] && strcmp(a->name, c->config.peer_name) != 0)) {
        c->status.refused++;
        return NULL;
    }
    if (!datagram_codec_known(c, a->codec)) {
        datagram_refuse(c, e, DATAGRAM_NO_ANCHOR, now_ms);
        return NULL;
    }
    if (!d->doubt && earlier_of(d, a->counter, a->epoch))
        return begin_epoch(c, e);
    bool proven = proves_itself(c, a);
    if (a->counter <= d->floor || !proven) {
        c->status.replayed += datagram_sealed(c);
        datagram_refuse(c, e, DATAGRAM_FLOOR, now_ms);
        return NULL;
    }
    if (c->ops->greeting(c->ctx, &a->identity, &ours) != 0) {
        c->status.refused++;
        return NULL;
    }
    /* Where it branched off, what came before it, or is still under way, is of another branch; in doubt it may be a recording. */
    memcpy(d->earlier, a->earlier, sizeof d->earlier);
    d->earlier_count = ours.branched || d->doubt ? 0 : a->earlier_count;
    for (unsigned i = d->in_count; i-- > 0;)
        if (!earlier_of(d, d->in[i].counter, d->in[i].id))
            remove_epoch(c, i);
    if (!datagram_has_settled(c, a)) {
        if (now_ms >= d->forgotten_not_before_ms) /* one answer is enough: the next epoch claims nothing */
            datagram_refuse(c, e, DATAGRAM_FORGOTTEN, now_ms);
        return NULL;
    }
    d->floor = a->counter;
    d->doubt = d->has_nonce = false;
    note_secrets(c, a, e);
    c->peer_epoch = e->id;
    e = begin_epoch(c, e);
    datagram_share_accepted(c, a, e);
    return e;
}
