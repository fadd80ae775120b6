/* Leaning frames ([P-10.17]). What the leaning frames of an epoch carried makes its *chain*: the model of primer and anchor, and of
 * all of them in their order. The sender has it in memory alone: its restart begins a new epoch. The receiver's owner keeps what
 * each of them carried, in the transaction of its records, so that the chain can be made again: after a restart, after a
 * rollback, and when another epoch's frame came between (one chain is in memory at a time). A frame is decoded on a
 * copy, which becomes the chain once all its records were taken. */
#include "gateway/wire/datagram_internal.h"

/* Of a frame, decoded at a time while a chain is made again: of what is squeezed best, some 1 KB of payload, so that a turn of
 * the loop stays short. */
#define STEP_BYTES 16

/* What a record counts towards DATAGRAM_CHAIN_MAX: both ends must count alike. */
static uint64_t cost_of(const struct record *r)
{
    uint64_t cost = DATAGRAM_CHAIN_RECORD;
    switch (r->type) {
    case RECORD_MESSAGE:
        return cost + r->len + r->props_len + r->hops_len + (r->slot == RECORD_NO_SLOT ? r->topic_len : 0);
    case RECORD_CHUNK:
        return cost + r->len;
    case RECORD_TOPIC:
        return cost + r->topic_len;
    case RECORD_GAP:
    case RECORD_ABORT:
    case RECORD_TOPICS_RESET:
        break;
    }
    return cost;
}

static uint64_t cost_of_frame(const struct record_list *list, size_t count, size_t n)
{
    uint64_t cost = n;
    for (size_t i = 0; i < count; i++)
        cost += cost_of(list->records[i]);
    return cost;
}

/* ---- out ---- */

/* Its receiver may lack this frame for long: what leaned on it would wait as long. Handed over and not yet acknowledged
 * is no doubt. */
static bool in_doubt(const struct out_frame *f)
{
    return !f->arrived && (f->doubted || f->overtaken || (f->due && f->sent_count > 0));
}

bool datagram_may_lean(const struct channel *c)
{
    const struct datagram *d = c->datagram;
    struct channel_pending p = {.high = true};
    if (d->distrust >= DATAGRAM_DISTRUST)
        return false;
    for (unsigned i = 0; i < d->frame_count && d->begun; i++) {
        const struct out_frame *f = &d->frames[i];
        /* Nor may it be more than the peer would keep, if this one were lost. */
        if (f->epoch == d->out[0].id && (in_doubt(f) || d->out[0].next - f->number >= DATAGRAM_HELD_MAX))
            return false;
    }
    if (c->ops->pending)
        c->ops->pending(c->ctx, &p);
    return !p.alarm && !p.high;
}

bool datagram_chain_full(const struct datagram *d)
{
    return d->out_chain.cost >= DATAGRAM_CHAIN_MAX;
}

static void drop_out(struct out_chain *o)
{
    const struct codec *codec = datagram_codec_of(o->codec);
    if (codec && o->encoder)
        codec->encoder_free(o->encoder);
    if (codec && o->work)
        codec->encoder_free(o->work);
    *o = (struct out_chain){0};
}

void datagram_chain_begin(struct datagram *d)
{
    d->out_chain.begun = false;
    d->out_chain.bytes = d->out_chain.cost = 0;
}

struct codec_encoder *datagram_encoder(struct channel *c)
{
    struct datagram *d = c->datagram;
    struct out_chain *o = &d->out_chain;
    const struct datagram_model *m = &d->out_model;
    const struct codec *of = datagram_codec_of(m->codec);
    if (o->codec != m->codec) {
        drop_out(o);
        o->codec = m->codec;
    }
    if (!o->work)
        o->work = of->encoder_new(datagram_codec_memory(m->codec));
    if (o->work)
        of->copy_encoder(o->work, d->frame_leans && o->begun ? o->encoder : m->encoder);
    return o->work;
}

void datagram_chain_add(struct channel *c, unsigned count, size_t n)
{
    struct out_chain *o = &c->datagram->out_chain;
    struct codec_encoder *before = o->encoder;
    if (!c->datagram->frame_leans)
        return;
    o->encoder = o->work;
    o->work = before;
    o->begun = true;
    o->bytes += n;
    o->cost += cost_of_frame(&c->datagram->filling, count, n + (datagram_codec_of(o->codec)->version > 1));
}

/* ---- in ---- */

void datagram_chain_forget(struct datagram *d)
{
    d->in_chain.epoch = 0;
    d->in_chain.ready = false;
    d->in_chain.frame.number = 0;
}

static void drop_in(struct in_chain *h)
{
    const struct codec *codec = datagram_codec_of(h->codec);
    if (codec && h->decoder)
        codec->decoder_free(h->decoder);
    if (codec && h->work)
        codec->decoder_free(h->work);
    *h = (struct in_chain){0};
}

void datagram_chain_drop_in(struct datagram *d)
{
    drop_in(&d->in_chain);
}

void datagram_chains_free(struct datagram *d)
{
    drop_out(&d->out_chain);
    drop_in(&d->in_chain);
}

static struct codec_decoder *new_decoder(uint8_t codec)
{
    static const struct codec_limits limits = {.max_message = UINT32_MAX};
    return datagram_codec_of(codec)->decoder_new(datagram_codec_memory(codec), &limits);
}

/* Both decoders, of this codec. Return: false = no memory. */
static bool have_decoders(struct in_chain *h, uint8_t codec)
{
    if (h->codec != codec) {
        drop_in(h);
        h->codec = codec;
    }
    if (!h->decoder)
        h->decoder = new_decoder(codec);
    if (!h->work)
        h->work = new_decoder(codec);
    return h->decoder && h->work;
}

/* The records of one frame, into c->records. Return: false: nonsense. */
static bool decode_unit(struct channel *c, const struct codec *of, struct codec_decoder *decoder, const uint8_t *bytes, size_t n)
{
    struct record r;
    uint64_t needed, check = RECORD_CHECK_START;
    size_t checked = of->version > 1 ? 1 : 0;
    record_list_clear(&c->records);
    bool good = n >= checked && of->feed(decoder, bytes + checked, n - checked, true) == 0;
    while (good) {
        int rc = of->decode(decoder, &r, &needed);
        if (rc == CODEC_MORE)
            break;
        good = rc == 0 && record_list_add(&c->records, &r) == 0;
        if (good)
            check = record_check_add(check, &r);
    }
    return good && (!checked || bytes[0] == (uint8_t)record_check_fold(check));
}

/* The epoch's chain, in memory and complete; else its making is begun. */
static enum datagram_decoding ready_chain(struct channel *c, const struct in_epoch *e)
{
    struct in_chain *h = &c->datagram->in_chain;
    struct codec_decoder *base;
    if (h->epoch == e->id)
        return h->ready ? DATAGRAM_DECODED : DATAGRAM_LATER;
    if (datagram_chain_priming(c))
        return DATAGRAM_LATER; /* of another: one after the other */
    enum datagram_decoding what = datagram_in_model(c, e->codec, e->anchor, &base);
    if (what != DATAGRAM_DECODED)
        return what;
    if (!have_decoders(h, e->codec))
        return DATAGRAM_LATER;
    datagram_codec_of(e->codec)->copy_decoder(h->decoder, base);
    h->epoch = e->id;
    h->last = h->cost = h->frame.number = 0;
    h->ready = e->chain_cost == 0;
    return h->ready ? DATAGRAM_DECODED : DATAGRAM_LATER;
}

enum datagram_decoding datagram_decode(struct channel *c, struct in_epoch *e, bool leans, const uint8_t *bytes, size_t n)
{
    struct in_chain *h = &c->datagram->in_chain;
    struct codec_decoder *from = NULL;
    const struct codec *of = datagram_codec_of(e->codec);
    enum datagram_decoding what = leans ? ready_chain(c, e) : datagram_in_model(c, e->codec, e->anchor, &from);
    if (what != DATAGRAM_DECODED)
        return what;
    if (leans && e->chain_cost >= DATAGRAM_CHAIN_MAX)
        return DATAGRAM_NONSENSE; /* its sender knows better */
    if ((h->codec != e->codec && datagram_chain_priming(c)) || !have_decoders(h, e->codec))
        return DATAGRAM_LATER;
    of->copy_decoder(h->work, leans ? h->decoder : from);
    return decode_unit(c, of, h->work, bytes, n) ? DATAGRAM_DECODED : DATAGRAM_NONSENSE;
}

void datagram_chain_taken(struct channel *c, struct in_epoch *e, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct in_chain *h = &c->datagram->in_chain;
    struct codec_decoder *before = h->decoder;
    h->decoder = h->work;
    h->work = before;
    h->last = number;
    h->cost += cost_of_frame(&c->records, c->records.count, n);
    e->chain_cost = h->cost;
    if (c->ops->keep_leaning)
        c->ops->keep_leaning(c->ctx, e->id, number, bytes, n);
}

/* ---- made again ---- */

bool datagram_chain_priming(const struct channel *c)
{
    return c->datagram->in_chain.epoch != 0 && !c->datagram->in_chain.ready;
}

/* What the owner kept of the next frame. Return: false: there is no more. */
static bool next_frame(struct channel *c, struct in_chain *h, const struct in_epoch *e)
{
    if (h->cost >= e->chain_cost || !c->ops->next_leaning)
        return false;
    h->frame.n = sizeof h->frame.bytes;
    if (!c->ops->next_leaning(c->ctx, h->epoch, h->last, &h->frame.number, h->frame.bytes, &h->frame.n))
        return false;
    h->frame.at = datagram_codec_of(h->codec)->version > 1 ? 1 : 0; /* behind the check */
    h->frame.check = RECORD_CHECK_START;
    h->frame.cost = h->frame.n;
    return h->frame.n >= h->frame.at;
}

/* A few bytes more of it. Return: what that was of DATAGRAM_CHAIN_MAX; 0: it is not what was taken once. */
static size_t decode_some(struct in_chain *h)
{
    const struct codec *of = datagram_codec_of(h->codec);
    size_t left = h->frame.n - h->frame.at, n = left < STEP_BYTES ? left : STEP_BYTES, done = STEP_BYTES;
    struct record r;
    uint64_t needed;
    int rc = of->feed(h->decoder, h->frame.bytes + h->frame.at, n, n == left);
    h->frame.at += n;
    while (rc == 0 && (rc = of->decode(h->decoder, &r, &needed)) == 0) {
        h->frame.check = record_check_add(h->frame.check, &r);
        h->frame.cost += cost_of(&r);
        done += cost_of(&r);
    }
    if (rc != CODEC_MORE)
        return 0;
    if (n < left)
        return done;
    if (of->version > 1 && h->frame.bytes[0] != (uint8_t)record_check_fold(h->frame.check))
        return 0;
    h->last = h->frame.number;
    h->cost += h->frame.cost;
    h->frame.number = 0;
    return done;
}

size_t datagram_chain_step(struct channel *c)
{
    struct datagram *d = c->datagram;
    struct in_chain *h = &d->in_chain;
    struct in_epoch *e = datagram_in_epoch(d, h->epoch);
    if (!e) {
        datagram_chain_forget(d);
        return 0;
    }
    size_t done = h->frame.number || next_frame(c, h, e) ? decode_some(h) : 0;
    if (done > 0)
        return done;
    h->frame.number = 0;
    /* What was kept must make what it made before: a model that is not the sender's would be found out by one byte in 256 only. */
    e->broken |= h->cost != e->chain_cost;
    h->ready = true;
    return 0;
}
