/* Frames of datagram links: made, kept until the peer has them on its disk (datagram_acked.c), and repeated byte for byte. A frame is on our disk
 * before it is handed over, with the epoch's next number: so a restart knows what it may have said, and says it again alike,
 * and new records go in a new epoch. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "gateway/wire/datagram_internal.h"

#define ANNOUNCE_EVERY 32  /* frames */
#define ANNOUNCE_FIRST 8   /* ... of a metered link, until it is heard that the epoch is known */
/* Records of frames that stood alone, acknowledged before an anchor is proposed for them: the first, and another. Where most lean
 * an anchor is of use to the next epoch only. */
#define PROPOSE_FIRST  30
#define PROPOSE_AGAIN  600
#define PROPOSE_COST   (DATAGRAM_CHAIN_MAX / 4 * 3)

struct out_epoch *datagram_out_epoch(struct datagram *d, uint32_t id)
{
    for (unsigned i = 0; i < d->out_count; i++)
        if (d->out[i].id == id)
            return &d->out[i];
    return NULL;
}

/* ---- the list of frames ---- */

struct out_frame *datagram_add_frame(struct channel *c, uint32_t epoch, uint64_t number,
                                     const uint8_t *bytes, size_t n)
{
    struct datagram *d = c->datagram;
    uint8_t *copy = d->frame_count < FRAME_WINDOW ? malloc(n) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, bytes, n);
    struct out_frame *f = &d->frames[d->frame_count++];
    *f = (struct out_frame){.epoch = epoch,
                            .number = number,
                            .token = ++d->last_token,
                            .bytes = copy,
                            .n = n,
                            .leans = datagram_leans(bytes),
                            .first_record = d->records_given,
                            .due = true};
    return f;
}

void datagram_remove_frame(struct datagram *d, unsigned i)
{
    free(d->frames[i].bytes);
    memmove(&d->frames[i], &d->frames[i + 1], (--d->frame_count - i) * sizeof d->frames[0]);
}

void datagram_forget_frames(struct channel *c)
{
    struct datagram *d = c->datagram;
    while (d->frame_count > 0)
        datagram_remove_frame(d, d->frame_count - 1);
    d->out_count = 0;
    d->begun = d->announced = d->leaving = d->anchor_due = false;
    d->proposed = 0;
    datagram_chain_begin(d);
    record_list_clear(&d->carried);
    c->own_epoch = 0;
}

void datagram_drop_idle_epochs(struct datagram *d)
{
    for (unsigned i = d->out_count; i-- > (d->begun ? 1 : 0);) {
        bool used = false;
        for (unsigned k = 0; k < d->frame_count; k++)
            used |= d->frames[k].epoch == d->out[i].id;
        if (!used)
            memmove(&d->out[i], &d->out[i + 1], (--d->out_count - i) * sizeof d->out[0]);
    }
}

/* Urgent ones first, then those made first. */
struct out_frame *datagram_next_due(struct channel *c)
{
    struct datagram *d = c->datagram;
    struct out_frame *best = NULL;
    for (unsigned i = 0; i < d->frame_count; i++) {
        struct out_frame *f = &d->frames[i];
        if (d->alarms_only && !f->urgent)
            continue;
        if (f->due && f->kept && (!best || (f->urgent && !best->urgent)))
            best = f;
    }
    return best;
}

/* ---- epochs ---- */

void datagram_abandon(struct channel *c)
{
    struct datagram *d = c->datagram;
    for (unsigned i = 0; i < d->frame_count && c->ops->drop_frame; i++)
        c->ops->drop_frame(c->ctx, d->frames[i].epoch, d->frames[i].number);
    datagram_forget_frames(c);
    d->records_given = 0;
    d->started = true;
    c->payload_given = c->payload_acked = 0;
    c->grant_end = UINT64_MAX; /* nothing was said of it yet */
    c->waiting = true;
    if (c->ops->saved_changed)
        c->ops->saved_changed(c->ctx);
    c->ops->greeted(c->ctx, NULL);
}

void datagram_new_table(struct channel *c)
{
    c->datagram->table = c->datagram->counter + 1;
    datagram_abandon(c);
}

void datagram_forgotten(struct channel *c)
{
    if (c->ops->forgotten)
        c->ops->forgotten(c->ctx);
    datagram_new_table(c);
}

/* A number that an epoch is known by; where there are keys it is part of what makes the epoch's key a fresh one. */
static uint32_t draw_id(struct channel *c)
{
    uint8_t fresh[4];
    if (!datagram_sealed(c))
        return c->ops->random(c->ctx);
    c->ops->random_bytes(c->ctx, fresh, sizeof fresh);
    return be32_of(fresh);
}

/* The first frame since our start: an epoch begins with it. Return: false = no memory. */
static bool begin_epoch(struct channel *c)
{
    struct datagram *d = c->datagram;
    struct out_epoch e = {.counter = d->counter + 1, .next = 1, .codec = datagram_codec(c), .anchor = d->anchor};
    /* An acknowledgement that rides names half of the epoch: no two that are alive share it. */
    bool taken;
    do {
        e.id = draw_id(c);
        taken = (uint16_t)e.id == 0;
        for (unsigned i = 0; i < d->out_count; i++)
            taken |= (uint16_t)d->out[i].id == (uint16_t)e.id;
    } while (taken);
    if (datagram_sealed(c)) {
        c->ops->random_bytes(c->ctx, e.salt, sizeof e.salt);
        const struct channel_secrets *s = &c->config.secrets;
        e.next_secret = s->has_next && s->use_next;
    }
    if (!datagram_share_begin(c, &e))
        return false;
    memmove(&d->out[1], &d->out[0], d->out_count * sizeof d->out[0]);
    d->out[0] = e;
    d->out_count++;
    d->counter = e.counter;
    d->begun = true;
    d->announced = d->anchor_due = false;
    datagram_chain_begin(d);
    c->own_epoch = e.id;
    return true;
}

/* Does the frame of this number tell of the epoch? A metered link spares most of those that follow the first: they are
 * of use only where it arrived, and else come again. Now and then one does later, too: a receiver whose store is a new or an
 * older one knows nothing of the epoch. */
static bool announces(const struct channel *c, uint64_t number)
{
    if (number % ANNOUNCE_EVERY == 0)
        return true;
    return !c->datagram->announced && (!c->config.metered || number == 1 || number % ANNOUNCE_FIRST == 0);
}

static void announce(const struct channel *c, struct datagram_announcement *a)
{
    const struct datagram *d = c->datagram;
    const struct out_epoch *e = &d->out[0];
    const struct channel_secrets *s = &c->config.secrets;
    *a = (struct datagram_announcement){
        .proposes = a->proposes,
        .proposed_up_to = a->proposed_up_to,
        .proposed_id = a->proposed_id,
        .counter = e->counter,
        .epoch = e->id,
        .behind = e->next - datagram_first_of(d, e),
        .codec = e->codec,
        .anchor = e->anchor,
        .identity = c->identity,
        .echoes = d->has_echo,
    };
    a->identity.table = d->table;
    for (unsigned i = 1; i < d->out_count; i++)
        a->earlier[a->earlier_count++] = (struct datagram_earlier){d->out[i].counter, (uint16_t)d->out[i].id, d->out[i].next - 1};
    memset(a->identity.settled, 0, sizeof a->identity.settled);
    if (c->ops->settled)
        c->ops->settled(c->ctx, a->identity.settled);
    memcpy(a->salt, e->salt, sizeof a->salt);
    a->mix = e->mix;
    memcpy(a->echo, d->echo, sizeof a->echo);
    if (datagram_sealed(c) && s->has_next)
        a->next_secret = seal_secret_id(&d->terms, s->next);
    memcpy(a->name, c->config.own_name, sizeof a->name);
}

/* Names an anchor in this frame, where there is one worth it. */
static void propose(struct channel *c, struct datagram_header *h)
{
    struct datagram *d = c->datagram;
    struct datagram_announcement *a = &h->announcement;
    if (!c->ops->anchor_propose || d->proposed || !d->announced || d->out[0].codec == 1 ||
        !(d->alone_since >= (d->anchor ? PROPOSE_AGAIN : PROPOSE_FIRST) ||
          (d->out_chain.cost >= PROPOSE_COST && d->anchor == d->out[0].anchor) || (h->announces && !d->anchor)))
        return;
    d->proposed_alone = d->alone_since >= (d->anchor ? PROPOSE_AGAIN : PROPOSE_FIRST);
    d->alone_since = 0;
    if (!c->ops->anchor_propose(c->ctx, &a->proposed_up_to, &a->proposed_id) || a->proposed_id == d->anchor)
        return;
    h->announces = a->proposes = true;
}

/* Frames that lean are many enough, or what frames lean on, or are keyed with, is not what it might be. */
static bool epoch_is_over(const struct channel *c)
{
    const struct datagram *d = c->datagram;
    return d->begun && (d->out[0].codec != datagram_codec(c) || datagram_chain_full(d) || !datagram_share_current(c, &d->out[0]) ||
                        (d->out[0].anchor != d->anchor && (d->anchor_due || d->anchor == 0)));
}

static struct in_epoch *ride_along(struct channel *c, struct datagram_header *h)
{
    uint8_t bitmap[FRAME_BITMAP_MAX];
    struct in_epoch *e = c->ack_wanted ? datagram_ack_epoch(c->datagram) : NULL;
    if (!e)
        return NULL;
    datagram_told_bitmap(c->datagram, e, bitmap);
    h->has_ack = true;
    h->ack_epoch = (uint16_t)e->id;
    h->ack = (uint16_t)e->cumulative;
    h->grant = frame_grant_encode(c->ops->grant(c->ctx));
    h->bitmap = bitmap[0];
    return e;
}

static uint8_t check_of(const struct datagram *d, unsigned count)
{
    uint64_t check = RECORD_CHECK_START;
    for (unsigned i = 0; i < count; i++)
        check = record_check_add(check, d->filling.records[i]);
    return (uint8_t)record_check_fold(check);
}

/* To be kept: what the frame carries, in short, and the frame. Return: false = no memory. */
static bool keep(struct channel *c, const struct out_frame *f)
{
    struct buf b;
    if (!c->ops->keep_frame)
        return true;
    buf_init(&b, 1 << 18);
    datagram_put_contents(&b, &c->datagram->filling, f->records);
    bool good = buf_put(&b, f->bytes, f->n) && !b.failed;
    if (good)
        c->ops->keep_frame(c->ctx, f->epoch, f->number, buf_bytes(&b), b.len);
    buf_fini(&b);
    return good;
}

bool datagram_build(struct channel *c, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    uint8_t frame[DATAGRAM_FRAME_MAX];
    size_t mtu = datagram_mtu(c), tag = datagram_tag_bytes(c), clear;
    if (d->begun && d->out[0].next >= CHANNEL_NUMBERS_MAX)
        d->begun = false; /* far below what would wear out a key */
    if (epoch_is_over(c))
        d->begun = false;
    datagram_drop_idle_epochs(d);
    if (!d->begun && d->out_count == DATAGRAM_EPOCHS)
        datagram_abandon(c); /* the peer keeps so many */
    if (!d->begun && !begin_epoch(c))
        return false;
    struct out_epoch *e = &d->out[0];
    struct datagram_header h = {.number = e->next, .epoch_low = (uint8_t)e->id, .announces = announces(c, e->next)};
    propose(c, &h);
    if (h.announces)
        announce(c, &h.announcement);
    struct in_epoch *told = ride_along(c, &h);
    size_t header = datagram_header_encode(&h, c->config.seal, frame, &clear);
    if (mtu <= header + tag + DATAGRAM_FIXED) {
        c->waiting = false;
        c->ops->give_up(c->ctx, "the link's frames are too small");
        return false;
    }
    d->frame_leans = datagram_may_lean(c);
    bool urgent = false, checked = datagram_codec_of(e->codec)->version > 1;
    struct buf records;
    buf_init(&records, 1 << 18);
    size_t beside = header + checked + tag;
    unsigned count = datagram_fill(c, &records, mtu - beside, beside, &urgent);
    h.leans = d->frame_leans;
    header = datagram_header_encode(&h, c->config.seal, frame, &clear);
    if (checked)
        frame[header++] = check_of(d, count);
    size_t n = header + records.len;
    if (count > 0)
        memcpy(frame + header, buf_bytes(&records), records.len);
    c->status.stream_bytes_out += count > 0 ? records.len : 0;
    buf_fini(&records);
    if (count == 0)
        return false;
    struct seal_context seal = {e->id, 0, datagram_sealed(c) ? &d->out_key : NULL, clear};
    n = seal_frame(&seal, SEAL_SPACE_DATA, h.number, frame, n);
    struct out_frame *f = n > 0 ? datagram_add_frame(c, e->id, h.number, frame, n) : NULL;
    if (!f) {
        datagram_abandon(c); /* no memory: what was given is asked for again */
        return false;
    }
    f->first = datagram_first_of(d, e);
    f->made = f->lacked = d->acks;
    e->told_by[e->next % FRAME_WINDOW] = 0;
    e->next++;
    if (h.announcement.proposes) {
        d->proposed = h.announcement.proposed_id;
        d->proposed_epoch = f->epoch;
        d->proposed_number = f->number;
    }
    f->records = count;
    f->urgent = urgent;
    f->payload_end = c->payload_given;
    d->records_given += count;
    datagram_chain_add(c, count, n - tag - header);
    f->kept = !c->ops->keep_frame;
    bool whole = keep(c, f);
    record_list_clear(&d->filling);
    if (!whole) {
        datagram_abandon(c); /* as above: what may leave must be kept first */
        return false;
    }
    if (told)
        datagram_ack_told(c, told, now_ms);
    return true;
}

/* The model that new frames will be coded with is made, or its making begun. */
bool datagram_model_ready(struct channel *c)
{
    struct datagram *d = c->datagram;
    return datagram_out_model(c, datagram_codec(c), d->begun && !epoch_is_over(c) ? d->out[0].anchor : d->anchor);
}

/* ---- answers that end an epoch ---- */

void datagram_on_no_anchor(struct channel *c, const struct out_epoch *e)
{
    struct datagram *d = c->datagram;
    if (e->anchor == 0 && datagram_codec_modest(e->codec))
        d->plain = true;
    d->modest |= e->anchor == 0;
    d->anchor = d->proposed = 0;
    d->alone_since = 0;
    datagram_abandon(c);
}

void datagram_on_floor(struct channel *c, const struct datagram_answer *a)
{
    struct datagram *d = c->datagram;
    if (a->floor > d->counter)
        d->counter = a->floor;
    if (a->wants_echo) {
        d->has_echo = true;
        memcpy(d->echo, a->nonce, sizeof d->echo);
    }
    c->status.refused++;
    d->distrust += !a->lacks_share && d->distrust < DATAGRAM_DISTRUST;
    datagram_share_answered(c, a);
    if (a->wants_echo && a->floor == 0)
        datagram_forgotten(c); /* it remembers nothing of us */
    else
        datagram_abandon(c);
}
