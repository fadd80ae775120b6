/* Which records a frame takes, and when: what costs by the started quantum should fill it, and what is not urgent may wait for
 * company. */
#include <string.h>

#include "gateway/wire/datagram_internal.h"

/* Payload bytes that a byte of a frame may hold, in 1/16: how much of a message to ask for. */
#define RATIO_LEAST 16
#define RATIO_MOST  (16 * 16)
#define PIECE_TRIES 3 /* to find how much of a large message fits */
#define TEAR_PART   4 /* of a frame: a message is not torn for less room */
#define LEAST_ROOM  3 /* bytes that a record is tried in */
#define OVER_PART   2 /* of a quantum: what fills less of it may wait for the next frame, */
#define OVER_LEAST  3 /* quanta that leave all the same: a frame of fewer is dear */
#define YOUNG_PART  2 /* of `hold`: if it has waited no longer */

static struct channel_pending pending(const struct channel *c)
{
    struct channel_pending p = {.high = true, .oldest_ms = -1};
    /* To ask costs the owner a look into its store. */
    if (c->ops->pending && (c->config.hold_ms > 0 || c->config.quantum_bytes > 0 || c->config.alarm_places > 0))
        c->ops->pending(c->ctx, &p);
    return p;
}

static bool urgent_waits(const struct channel_pending *p)
{
    return p->alarm || p->high;
}

bool datagram_alarm_waits(const struct channel *c)
{
    struct channel_pending p = pending(c);
    return p.alarm;
}

/* Places of the window that may be taken now. */
static bool has_place(const struct channel *c, const struct channel_pending *p)
{
    const struct datagram *d = c->datagram;
    unsigned window = datagram_window(c);
    unsigned spared = p->alarm || c->config.alarm_places >= window ? 0 : c->config.alarm_places;
    if (d->frame_count >= window - spared)
        return false;
    /* The peer tells apart so many numbers. */
    for (unsigned i = 0; i < d->frame_count && d->begun; i++)
        if (d->frames[i].epoch == d->out[0].id && d->out[0].next - d->frames[i].number >= FRAME_WINDOW)
            return false;
    return true;
}

bool datagram_has_data(const struct channel *c)
{
    const struct datagram *d = c->datagram;
    if (!c->waiting && d->carried.count == 0)
        return false;
    struct channel_pending p = pending(c);
    if (!has_place(c, &p) || c->grant_end <= c->payload_given)
        return false;
    return c->config.hold_ms <= 0 || d->leaving || d->carried.count > 0 || urgent_waits(&p) ||
           p.oldest_ms >= c->config.hold_ms;
}

int64_t datagram_hold_at(const struct channel *c, int64_t now_ms)
{
    if (!c->waiting || c->config.hold_ms <= 0)
        return CHANNEL_NEVER;
    struct channel_pending p = pending(c);
    if (p.oldest_ms < 0 || p.oldest_ms >= c->config.hold_ms || !has_place(c, &p))
        return CHANNEL_NEVER; /* what is due goes as the link takes it */
    return now_ms + c->config.hold_ms - p.oldest_ms;
}

/* ---- one frame ---- */

struct filling {
    struct channel *c;
    struct buf *out;
    const struct codec *codec;
    struct codec_encoder *encoder;
    size_t size;     /* that the records so far need, flushed */
    size_t overhead; /* of the frame, beside them */
    size_t most;     /* that fits the frame at all */
    size_t content;  /* that fits it now */
    unsigned ratio;  /* payload bytes that one of them may hold, in 1/16 */
    unsigned tries;
    bool good;       /* else memory ran out */
    uint16_t sizes[RECORD_LIST_SENT_RECORDS]; /* as `size`, after each record */
    bool tears;      /* the message that comes next is given in part */
    bool urgent_alone; /* what is not urgent comes along where it costs nothing */
};

static size_t left(const struct filling *f)
{
    return f->content > f->size ? f->content - f->size : 0;
}

/* Bytes of texts and payload that the next record may have. What a message comes to is known only when it is coded, so each is tried
 * whole that may fit a frame; one that is too large is asked for again, in part, or waits for the next frame. */
static size_t record_room(const struct filling *f)
{
    const struct channel *c = f->c;
    size_t fixed = f->size == 0 ? DATAGRAM_FIXED : DATAGRAM_USUAL;
    size_t bytes = f->tears ? left(f) : f->most;
    if (left(f) < LEAST_ROOM)
        return 0;
    size_t room = bytes > fixed ? (bytes - fixed) * f->ratio / 16 : 0;
    uint64_t granted = c->grant_end > c->payload_given ? c->grant_end - c->payload_given : 0;
    return room < granted ? room : (size_t)granted;
}

/* Return: bytes that the stream needs with this record; SIZE_MAX = no memory. */
static size_t encode(struct filling *f, const struct record *r)
{
    uint64_t needed;
    if (!f->encoder || f->codec->encode(f->encoder, r, f->out, &needed) < 0)
        return SIZE_MAX;
    size_t slack = f->codec->version > 1 ? 2 : 0; /* of a flush */
    uint64_t base = f->c->datagram->frame_leans ? f->c->datagram->out_chain.bytes : 0; /* of the stream before this frame */
    return (f->out->len > needed - base ? f->out->len : (size_t)(needed - base)) + slack;
}

/* The encoder has seen a record that is not sent: once more, without it. Return: false = no memory. */
static bool encode_again(struct filling *f, unsigned count)
{
    f->encoder = datagram_encoder(f->c);
    buf_clear(f->out);
    f->size = 0;
    for (unsigned i = 0; i < count; i++)
        if ((f->size = encode(f, f->c->datagram->filling.records[i])) == SIZE_MAX)
            return false;
    return true;
}

/* The end of the quantum that a frame of this much content has begun. */
static size_t quantum_end(const struct filling *f, size_t content)
{
    size_t q = f->c->config.quantum_bytes;
    size_t end = (content + f->overhead + q - 1) / q * q;
    return end - f->overhead < f->most ? end - f->overhead : f->most;
}

/* How much the frame takes of what comes next. */
static void set_content(struct filling *f)
{
    const struct channel *c = f->c;
    size_t q = c->config.quantum_bytes, whole = f->most + f->overhead;
    f->content = f->most;
    if (q == 0)
        return;
    if (whole >= q && whole / q * q > f->overhead + DATAGRAM_FIXED)
        f->content = whole / q * q - f->overhead; /* a last quantum that is not whole would cost as one that is */
    struct channel_pending p = pending(c);
    if (f->urgent_alone && f->size > 0 && !urgent_waits(&p))
        f->content = quantum_end(f, f->size);
}

/* The last of what waits may begin one quantum more: alone in a frame it would, too. */
static bool is_last(const struct filling *f)
{
    struct channel_pending p = pending(f->c);
    return f->c->config.quantum_bytes > 0 && f->c->ops->pending && !f->urgent_alone && !urgent_waits(&p) && p.oldest_ms < 0;
}

/* The next record, that a frame before had no room for or that the owner gives. */
static bool next_record(struct filling *f, struct record *r)
{
    struct channel *c = f->c;
    struct datagram *d = c->datagram;
    if (d->carried.count > 0) {
        *r = *d->carried.records[0];
        return true;
    }
    size_t room = record_room(f);
    if (!c->waiting || room == 0)
        return false;
    if (c->ops->next_record(c->ctx, room, r))
        return true;
    c->waiting = d->leaving = false;
    return false;
}

/* It has no room here. A topic's definition cannot be taken back; it begins the next frame. */
static void put_back(struct channel *c, const struct record *r)
{
    struct datagram *d = c->datagram;
    if (d->carried.count > 0)
        return;
    if (r->type != RECORD_TOPIC && r->type != RECORD_TOPICS_RESET)
        c->ops->take_back(c->ctx);
    else if (record_list_add(&d->carried, r) != 0)
        c->ops->give_up(c->ctx, "out of memory");
}

static bool is_urgent(const struct record *r)
{
    return r->type != RECORD_TOPIC && r->type != RECORD_TOPICS_RESET && (r->class == CLASS_ALARM || r->class == CLASS_HIGH);
}

static void count_in(struct filling *f, const struct record *r, bool *urgent)
{
    struct channel *c = f->c;
    record_list_clear(&c->datagram->carried);
    *urgent |= r->type != RECORD_TOPIC && r->type != RECORD_TOPICS_RESET && r->class == CLASS_ALARM;
    if (r->type == RECORD_MESSAGE || r->type == RECORD_CHUNK)
        c->payload_given += r->len;
}

/* A piece that was too large: less of the message may fit. Return: false: nothing less is worth it. */
static bool try_smaller(struct filling *f, const struct record *r)
{
    struct datagram *d = f->c->datagram;
    bool piece = r->type == RECORD_MESSAGE || r->type == RECORD_CHUNK;
    if (!piece || d->carried.count > 0)
        return false;
    if (!f->tears) {
        f->tears = true;
        if (f->size > 0 && left(f) < f->most / TEAR_PART)
            return false;
        if (f->size > 0) {
            f->c->ops->take_back(f->c->ctx);
            return true;
        }
    }
    if (f->ratio == RATIO_LEAST || f->tries == PIECE_TRIES)
        return false;
    f->tries++;
    f->ratio = f->tries == PIECE_TRIES || f->ratio < 2 * RATIO_LEAST ? RATIO_LEAST : f->ratio / 2;
    f->c->ops->take_back(f->c->ctx);
    return true;
}

static void learn_ratio(struct datagram *d, uint64_t payload, size_t size)
{
    uint64_t seen = size > 0 ? payload * 16 / size : RATIO_LEAST;
    seen = seen < RATIO_LEAST ? RATIO_LEAST : seen > RATIO_MOST ? RATIO_MOST : seen;
    d->ratio = (unsigned)((3 * d->ratio + seen) / 4);
}

/* Alone in a frame, and too large: a fault of the owner's, which must not stop the rest. */
static void skip(struct channel *c)
{
    record_list_clear(&c->datagram->carried);
    c->datagram->records_given++;
    c->ops->give_up(c->ctx, "a record is larger than a frame of the link");
}

/* Adds records to the first `count` of d->filling, as long as they fit. Return: how many there are then; f->good: false = no memory. */
static unsigned take_records(struct filling *f, unsigned count, bool *urgent)
{
    struct channel *c = f->c;
    struct datagram *d = c->datagram;
    struct record r;
    while (f->good && count < RECORD_LIST_SENT_RECORDS) {
        set_content(f);
        if (!next_record(f, &r))
            break;
        if (d->frame_leans && is_urgent(&r)) {
            /* It came while the frame was filled: an alarm waits for nothing. */
            put_back(c, &r);
            if (count > 0)
                break;
            d->frame_leans = false;
            f->good = encode_again(f, 0);
            continue;
        }
        if (record_list_add(&d->filling, &r) != 0) {
            put_back(c, &r);
            break;
        }
        size_t size = encode(f, &r);
        if (size <= f->content || (size <= f->most && (count == 0 || is_last(f)))) {
            count_in(f, &r, urgent);
            f->size = size;
            f->sizes[count++] = (uint16_t)size;
            if (f->tears)
                break;
            continue;
        }
        if (try_smaller(f, &r)) {
            record_list_drop_last(&d->filling);
            f->good = encode_again(f, count);
            continue;
        }
        if (count == 0) {
            skip(c);
            record_list_clear(&d->filling);
            f->good = encode_again(f, 0);
            continue;
        }
        put_back(c, &r);
        record_list_drop_last(&d->filling);
        f->good = encode_again(f, count);
        break;
    }
    return count;
}

/* Of what fills a last quantum by less than half, how many records stay for the next frame: they are the youngest, and cost nothing
 * there. all: it need not leave now even if that is the whole frame. */
static unsigned left_over(const struct filling *f, unsigned count, bool all)
{
    const struct channel *c = f->c;
    size_t q = c->config.quantum_bytes;
    if (q == 0 || c->config.hold_ms <= 0 || f->urgent_alone || c->waiting)
        return 0;
    size_t over = (f->size + f->overhead) % q, whole = f->size + f->overhead - over;
    if (over > q / OVER_PART || (whole < OVER_LEAST * q && !all))
        return 0;
    unsigned keep = count;
    while (keep > 0 && f->sizes[keep - 1] + f->overhead > whole) {
        const struct record *r = c->datagram->filling.records[keep - 1];
        if (r->type != RECORD_MESSAGE || r->len < r->total || is_urgent(r))
            return 0;
        keep--;
    }
    return (keep > 0 || all) && count - keep <= CHANNEL_TAKE_BACK_MAX ? count - keep : 0;
}

static void leave_over(struct filling *f, unsigned count, unsigned n)
{
    struct channel *c = f->c;
    for (unsigned i = 0; i < n; i++) {
        c->payload_given -= c->datagram->filling.records[count - 1 - i]->len;
        record_list_drop_last(&c->datagram->filling);
        c->ops->take_back(c->ctx);
    }
    c->waiting = true;
    f->good = encode_again(f, count - n);
}

unsigned datagram_fill(struct channel *c, struct buf *out, size_t content, size_t overhead, bool *urgent)
{
    struct datagram *d = c->datagram;
    struct channel_pending p = pending(c);
    struct filling f = {.c = c, .out = out, .codec = datagram_codec_of(d->out[0].codec), .encoder = datagram_encoder(c),
                        .overhead = overhead, .most = content,
                        .ratio = d->ratio < RATIO_LEAST ? RATIO_LEAST : d->ratio};
    uint64_t payload = c->payload_given;
    int64_t hold_ms = c->config.hold_ms;
    f.good = f.encoder;
    d->leaving |= hold_ms > 0 && p.oldest_ms >= hold_ms;
    f.urgent_alone = hold_ms > 0 && !d->leaving;
    record_list_clear(&d->filling);
    unsigned count = take_records(&f, 0, urgent);
    unsigned over = f.good ? left_over(&f, count, p.oldest_ms < hold_ms) : 0;
    if (over > 0) {
        leave_over(&f, count, over);
        count -= over;
        p = pending(c);
        if (count > 0 && p.oldest_ms > hold_ms / YOUNG_PART)
            count = take_records(&f, count, urgent); /* it would leave soon after */
    }
    bool good = f.good && count > 0 && f.codec->flush(f.encoder, out) == 0 && out->len <= content;
    if (good && f.codec->version > 1)
        learn_ratio(d, c->payload_given - payload, out->len);
    return good ? count : 0;
}
