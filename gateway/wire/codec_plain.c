#include "gateway/wire/codec_plain.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* First byte: 1CCQQRNX a message, 0TTTCCab anything else. */
#define MESSAGE        0x80
#define MESSAGE_RETAIN 0x04
#define MESSAGE_NUMBER 0x02 /* N: number given; else one more than the highest of the stream */
#define MESSAGE_EXT    0x01 /* X: a byte of extension flags follows; else as the message before */
#define EXT_ORIGIN     0x01
#define EXT_MS         0x02
#define EXT_EXPIRY     0x04
#define EXT_PROPS      0x08
#define EXT_HOPS       0x10
#define EXT_PARTIAL    0x20
#define EXT_TEXT       0x40
#define EXT_KNOWN      0x7f
#define CHUNK_EXPLICIT 0x02 /* a: number and offset are given */
#define GAP_FROM       0x02 /* a: the time of the first is known */
#define GAP_TO         0x01 /* b: the time of the last is known */

#define PROPS_MAX 65536u
#define TEXT_MAX  65535u
#define HOPS_MAX  1024u
#define ROUTE_MAX 255u
/* The longest record: whatever is longer is not waited for. */
#define RECORD_MAX  (RECORD_CHUNK_MAX + PROPS_MAX + TEXT_MAX + HOPS_MAX + 128)
#define TIME_MAX_MS (INT64_MAX / 4)

/* What both ends remember of the stream so far. */
struct memory {
    uint64_t highest;           /* number */
    uint64_t last[CLASS_COUNT]; /* number, of the class */
    bool partial[CLASS_COUNT];
    uint64_t partial_number[CLASS_COUNT];
    uint32_t partial_have[CLASS_COUNT];
    uint32_t partial_total[CLASS_COUNT]; /* 0 = not told in this stream */
    uint8_t ext;
    int64_t origin_ms;
    int64_t expiry_s;
};

static int64_t seconds(int64_t ms)
{
    return ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);
}

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v < 0 ? -1 : 0);
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static void remember_number(struct memory *m, enum msg_class class, uint64_t number)
{
    m->last[class] = number;
    if (number > m->highest)
        m->highest = number;
}

/* After a message or chunk: is there more to come of it? */
static void remember_piece(struct memory *m, const struct record *r, uint32_t total)
{
    uint32_t have = r->offset + r->len;
    m->partial[r->class] = total == 0 || have < total;
    m->partial_number[r->class] = r->number;
    m->partial_have[r->class] = have;
    m->partial_total[r->class] = total;
    remember_number(m, r->class, r->number > m->last[r->class] ? r->number : m->last[r->class]);
}

static void remember_abort(struct memory *m, const struct record *r)
{
    remember_number(m, r->class, r->number);
    /* The gap that follows has the same number: it must still be above the class's last. */
    m->last[r->class] = r->previous;
    m->partial[r->class] = false;
}

/* ---- encoder ---- */

struct codec_encoder {
    struct memory memory;
    uint64_t bytes; /* of the stream so far */
};

static struct codec_encoder *plain_encoder_new(size_t memory)
{
    return calloc(1, sizeof(struct codec_encoder));
}

static void plain_encoder_free(struct codec_encoder *e)
{
    free(e);
}

static void put_text(struct buf *out, const void *bytes, uint32_t n)
{
    buf_put_varint(out, n);
    if (n > 0)
        buf_put(out, bytes, n);
}

/* Number and previous, in full: twice the step from the class's last, odd where previous is not
 * that last. */
static void put_number(struct buf *out, const struct memory *m, const struct record *r)
{
    uint64_t last = m->last[r->class];
    bool other = r->previous != last;
    assert(r->number > last &&
           r->previous < r->number); /* rising within a class: the owner's promise */
    buf_put_varint(out, (r->number - last - 1) << 1 | (other ? 1 : 0));
    if (other)
        buf_put_varint(out, r->number - 1 - r->previous);
}

static uint8_t ext_of(const struct record *r)
{
    return (uint8_t)((r->has_origin ? EXT_ORIGIN : 0) |
                     (r->has_origin && r->origin_in_ms ? EXT_MS : 0) |
                     (r->has_expiry ? EXT_EXPIRY : 0) | (r->props_len > 0 ? EXT_PROPS : 0) |
                     (r->hops_len > 0 ? EXT_HOPS : 0) | (r->total > r->len ? EXT_PARTIAL : 0) |
                     (r->slot == RECORD_NO_SLOT ? EXT_TEXT : 0));
}

static void put_message(struct memory *m, const struct record *r, struct buf *out)
{
    uint8_t ext = ext_of(r);
    bool numbered = r->number != m->highest + 1 || r->previous != m->last[r->class];
    buf_put_u8(out,
               (uint8_t)(MESSAGE | r->class << 5 | r->qos << 3 | (r->retain ? MESSAGE_RETAIN : 0) |
                         (numbered ? MESSAGE_NUMBER : 0) | (ext != m->ext ? MESSAGE_EXT : 0)));
    if (ext != m->ext)
        buf_put_u8(out, ext);
    if (!(ext & EXT_TEXT))
        buf_put_varint(out, r->slot);
    if (numbered)
        put_number(out, m, r);
    if (ext & EXT_ORIGIN) {
        int64_t step = ext & EXT_MS ? r->origin_ms - m->origin_ms
                                    : seconds(r->origin_ms) - seconds(m->origin_ms);
        buf_put_varint(out, zigzag(step));
        m->origin_ms = ext & EXT_MS ? r->origin_ms : seconds(r->origin_ms) * 1000;
    }
    if (ext & EXT_EXPIRY) {
        buf_put_varint(out, zigzag((int64_t)r->expiry_s - m->expiry_s));
        m->expiry_s = (int64_t)r->expiry_s;
    }
    if (ext & EXT_PROPS)
        put_text(out, r->props, r->props_len);
    if (ext & EXT_HOPS)
        put_text(out, r->hops, r->hops_len);
    if (ext & EXT_TEXT)
        put_text(out, r->topic, r->topic_len);
    if (ext & EXT_PARTIAL)
        buf_put_varint(out, r->total);
    put_text(out, r->bytes, r->len);
    m->ext = ext;
    remember_piece(m, r, r->total);
    if (r->total == 0)
        m->partial[r->class] = false;
}

static void put_other(const struct record *r, unsigned flags, struct buf *out)
{
    buf_put_u8(out, (uint8_t)((unsigned)r->type << 4 | (unsigned)r->class << 2 | flags));
}

static void put_chunk(struct memory *m, const struct record *r, struct buf *out)
{
    unsigned c = r->class;
    bool known =
        m->partial[c] && m->partial_number[c] == r->number && m->partial_have[c] == r->offset;
    put_other(r, known ? 0 : CHUNK_EXPLICIT, out);
    if (!known) {
        buf_put_varint(out, r->number);
        buf_put_varint(out, r->offset);
    }
    put_text(out, r->bytes, r->len);
    remember_piece(m, r, known ? m->partial_total[c] : 0);
}

static void put_gap(struct memory *m, const struct record *r, struct buf *out)
{
    put_other(r, (r->from_ms != 0 ? GAP_FROM : 0) | (r->to_ms != 0 ? GAP_TO : 0), out);
    put_number(out, m, r);
    buf_put_u8(out, (uint8_t)r->reason);
    buf_put_varint(out, r->count);
    buf_put_varint(out, r->number - r->first_number);
    if (r->from_ms != 0)
        buf_put_varint(out, zigzag(seconds(r->from_ms) - seconds(m->origin_ms)));
    if (r->to_ms != 0)
        buf_put_varint(out, zigzag(seconds(r->to_ms) - seconds(m->origin_ms)));
    put_text(out, r->route, r->route_len);
    remember_number(m, r->class, r->number);
    m->partial[r->class] = false;
}

static int plain_encode(struct codec_encoder *e, const struct record *r, struct buf *out,
                        uint64_t *needed)
{
    struct memory *m = &e->memory;
    size_t before = out->len;
    struct record neutral;
    switch (r->type) {
    case RECORD_MESSAGE:
        put_message(m, r, out);
        break;
    case RECORD_CHUNK:
        put_chunk(m, r, out);
        break;
    case RECORD_GAP:
        put_gap(m, r, out);
        break;
    case RECORD_ABORT:
        put_other(r, 0, out);
        buf_put_varint(out, zigzag((int64_t)(r->number - m->last[r->class])));
        buf_put_varint(out, r->number - 1 - r->previous);
        remember_abort(m, r);
        break;
    case RECORD_TOPIC:
    case RECORD_TOPICS_RESET:
        neutral = (struct record){.type = r->type};
        put_other(&neutral, 0, out);
        if (r->type == RECORD_TOPIC) {
            buf_put_varint(out, r->slot);
            put_text(out, r->topic, r->topic_len);
        }
        break;
    }
    if (out->failed)
        return -ENOMEM;
    e->bytes += out->len - before;
    *needed = e->bytes;
    return 0;
}

static int plain_flush(struct codec_encoder *e, struct buf *out)
{
    return 0; /* nothing is ever inside */
}

/* ---- decoder ---- */

struct codec_decoder {
    struct memory memory;
    struct codec_limits limits;
    struct buf waiting;
    uint64_t bytes; /* of the stream consumed */
    bool unit_end;  /* what waits must end with a record */
    bool bad;
};

/* Tells "not all here yet" from "cannot be". */
struct cursor {
    const uint8_t *p;
    size_t left;
    bool more, bad;
};

static uint8_t get_u8(struct cursor *c)
{
    if (c->bad || c->more)
        return 0;
    if (c->left == 0) {
        c->more = true;
        return 0;
    }
    c->left--;
    return *c->p++;
}

static uint64_t get_varint(struct cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = get_u8(c);
        if (c->more || c->bad)
            return 0;
        if ((shift == 63 && byte > 1) || (byte == 0 && shift > 0))
            break; /* beyond 64 bits, or not the shortest form */
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    c->bad = true;
    return 0;
}

static uint64_t get_bounded(struct cursor *c, uint64_t max)
{
    uint64_t v = get_varint(c);
    if (v > max)
        c->bad = true;
    return c->bad ? 0 : v;
}

static const uint8_t *get_bytes(struct cursor *c, uint64_t n)
{
    if (c->bad || c->more)
        return NULL;
    if (c->left < n) {
        c->more = true;
        return NULL;
    }
    const uint8_t *at = c->p;
    c->p += n;
    c->left -= n;
    return at;
}

static void get_number(struct cursor *c, const struct memory *m, struct record *r)
{
    uint64_t last = m->last[r->class];
    uint64_t v = get_varint(c);
    bool other = v & 1;
    v >>= 1;
    if (v >= INT64_MAX - last) {
        c->bad = true;
        return;
    }
    r->number = last + 1 + v;
    r->previous = other ? r->number - 1 - get_bounded(c, r->number - 1) : last;
}

/* A time as a step from the last one. Beyond any calendar: bad, so that sums cannot overflow. */
static int64_t get_time(struct cursor *c, int64_t from, int64_t unit_ms)
{
    int64_t step = unzigzag(get_varint(c));
    if (step > TIME_MAX_MS / unit_ms || step < -TIME_MAX_MS / unit_ms) {
        c->bad = true;
        return 0;
    }
    int64_t ms = unit_ms == 1 ? from + step : (seconds(from) + step) * 1000;
    if (ms > TIME_MAX_MS || ms < -TIME_MAX_MS)
        c->bad = true;
    return c->bad ? 0 : ms;
}

static void get_message(struct cursor *c, struct memory *m, const struct codec_limits *limits,
                        uint8_t first, struct record *r)
{
    r->type = RECORD_MESSAGE;
    r->class = (enum msg_class)(first >> 5 & 3);
    r->qos = first >> 3 & 3;
    r->retain = first & MESSAGE_RETAIN;
    uint8_t ext = first & MESSAGE_EXT ? get_u8(c) : m->ext;
    if (r->qos == 3 || (ext & ~EXT_KNOWN) || ((ext & EXT_MS) && !(ext & EXT_ORIGIN)))
        c->bad = true;
    r->slot = ext & EXT_TEXT ? RECORD_NO_SLOT : (unsigned)get_bounded(c, RECORD_TOPIC_SLOTS - 1);
    if (first & MESSAGE_NUMBER) {
        get_number(c, m, r);
    } else {
        r->number = m->highest + 1;
        r->previous = m->last[r->class];
    }
    r->has_origin = ext & EXT_ORIGIN;
    r->origin_in_ms = ext & EXT_MS;
    if (r->has_origin)
        r->origin_ms = get_time(c, m->origin_ms, r->origin_in_ms ? 1 : 1000);
    r->has_expiry = ext & EXT_EXPIRY;
    if (r->has_expiry) {
        int64_t step = unzigzag(get_varint(c));
        if (step > UINT32_MAX || step < -(int64_t)UINT32_MAX || m->expiry_s + step < 0 ||
            m->expiry_s + step > UINT32_MAX)
            c->bad = true;
        else
            r->expiry_s = (uint64_t)(m->expiry_s + step);
    }
    if (ext & EXT_PROPS) {
        r->props_len = (uint32_t)get_bounded(c, PROPS_MAX);
        r->props = get_bytes(c, r->props_len);
    }
    if (ext & EXT_HOPS) {
        r->hops_len = (uint32_t)get_bounded(c, HOPS_MAX);
        r->hops = (const char *)get_bytes(c, r->hops_len);
    }
    if (ext & EXT_TEXT) {
        r->topic_len = (uint32_t)get_bounded(c, TEXT_MAX);
        r->topic = (const char *)get_bytes(c, r->topic_len);
    }
    uint64_t total = ext & EXT_PARTIAL ? get_bounded(c, limits->max_message) : 0;
    r->len = (uint32_t)get_bounded(c, RECORD_CHUNK_MAX);
    r->total = ext & EXT_PARTIAL ? (uint32_t)total : r->len;
    uint64_t whole = (uint64_t)r->total + r->props_len + r->topic_len;
    if (!c->more && (whole > limits->max_message || ((ext & EXT_PARTIAL) && r->len >= r->total)))
        c->bad = true;
    r->bytes = get_bytes(c, r->len);
    if (c->more || c->bad)
        return;
    m->ext = ext;
    if (r->has_origin)
        m->origin_ms = r->origin_ms;
    if (r->has_expiry)
        m->expiry_s = (int64_t)r->expiry_s;
    remember_piece(m, r, r->total);
    if (r->total == 0)
        m->partial[r->class] = false;
}

static void get_chunk(struct cursor *c, struct memory *m, const struct codec_limits *limits,
                      uint8_t first, struct record *r)
{
    bool given = first & CHUNK_EXPLICIT;
    uint32_t total = 0;
    if ((first & 1) || (!given && !m->partial[r->class]))
        c->bad = true;
    if (given) {
        r->number = get_bounded(c, INT64_MAX);
        r->offset = (uint32_t)get_bounded(c, limits->max_message);
    } else {
        r->number = m->partial_number[r->class];
        r->offset = m->partial_have[r->class];
        total = m->partial_total[r->class];
    }
    r->len = (uint32_t)get_bounded(c, RECORD_CHUNK_MAX);
    r->bytes = get_bytes(c, r->len);
    uint64_t end = (uint64_t)r->offset + r->len;
    if (!c->more &&
        (r->number == 0 || r->len == 0 || end > limits->max_message || (total != 0 && end > total)))
        c->bad = true;
    if (!c->more && !c->bad)
        remember_piece(m, r, total);
}

static void get_gap(struct cursor *c, struct memory *m, uint8_t first, struct record *r)
{
    get_number(c, m, r);
    r->reason = get_u8(c);
    r->count = get_bounded(c, INT64_MAX);
    r->first_number = r->number - get_bounded(c, r->number > 0 ? r->number - 1 : 0);
    if (first & GAP_FROM)
        r->from_ms = get_time(c, m->origin_ms, 1000);
    if (first & GAP_TO)
        r->to_ms = get_time(c, m->origin_ms, 1000);
    r->route_len = (uint32_t)get_bounded(c, ROUTE_MAX);
    r->route = (const char *)get_bytes(c, r->route_len);
    /* A count of 0 is good: numbers are closed of which the sender's history knows no message. */
    if (!c->more && r->reason >= RECORD_REASONS)
        c->bad = true;
    if (c->more || c->bad)
        return;
    remember_number(m, r->class, r->number);
    m->partial[r->class] = false;
}

static void get_abort(struct cursor *c, struct memory *m, uint8_t first, struct record *r)
{
    int64_t step = unzigzag(get_varint(c));
    int64_t number = 0;
    if (c->more)
        return;
    if ((first & 3) || __builtin_add_overflow((int64_t)m->last[r->class], step, &number) ||
        number <= 0) {
        c->bad = true;
        return;
    }
    r->number = (uint64_t)number;
    r->previous = r->number - 1 - get_bounded(c, r->number - 1);
    if (!c->more && !c->bad)
        remember_abort(m, r);
}

static void get_record(struct cursor *c, struct memory *m, const struct codec_limits *limits,
                       struct record *r)
{
    uint8_t first = get_u8(c);
    if (first & MESSAGE) {
        get_message(c, m, limits, first, r);
        return;
    }
    r->type = (enum record_type)(first >> 4);
    r->class = (enum msg_class)(first >> 2 & 3);
    if (c->more)
        return;
    switch (r->type) {
    case RECORD_CHUNK:
        get_chunk(c, m, limits, first, r);
        return;
    case RECORD_GAP:
        get_gap(c, m, first, r);
        return;
    case RECORD_ABORT:
        get_abort(c, m, first, r);
        return;
    case RECORD_TOPIC:
        r->slot = (unsigned)get_bounded(c, RECORD_TOPIC_SLOTS - 1);
        r->topic_len = (uint32_t)get_bounded(c, TEXT_MAX);
        r->topic = (const char *)get_bytes(c, r->topic_len);
        break;
    case RECORD_TOPICS_RESET:
        break;
    case RECORD_MESSAGE:
        c->bad = true;
        return;
    }
    if ((first & 0x0f) || r->type >= RECORD_TYPES)
        c->bad = true;
}

static struct codec_decoder *plain_decoder_new(size_t memory, const struct codec_limits *limits)
{
    struct codec_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->limits = *limits;
    /* A frame may end in the middle of the longest record, and the next be a whole frame more. */
    buf_init(&d->waiting, RECORD_MAX + 4096);
    return d;
}

static void plain_decoder_free(struct codec_decoder *d)
{
    if (d)
        buf_fini(&d->waiting);
    free(d);
}

static int plain_feed(struct codec_decoder *d, const uint8_t *bytes, size_t n, bool unit_end)
{
    if (d->bad)
        return CODEC_BAD;
    d->unit_end = unit_end;
    if (!buf_put(&d->waiting, bytes, n)) {
        d->bad = true;
        return CODEC_BAD;
    }
    return 0;
}

static int plain_decode(struct codec_decoder *d, struct record *r, uint64_t *needed)
{
    *r = (struct record){0};
    if (d->bad)
        return CODEC_BAD;
    if (d->waiting.len == 0)
        return CODEC_MORE;
    struct cursor c = {.p = buf_bytes(&d->waiting), .left = d->waiting.len};
    get_record(&c, &d->memory, &d->limits, r);
    if (c.bad || (c.more && (d->unit_end || d->waiting.len > RECORD_MAX))) {
        d->bad = true;
        return CODEC_BAD;
    }
    if (c.more)
        return CODEC_MORE;
    size_t used = d->waiting.len - c.left;
    d->bytes += used;
    *needed = d->bytes;
    /* Consuming moves only the head: the record's pointers live until the next feed. */
    buf_consume(&d->waiting, used);
    return 0;
}

static void plain_copy_encoder(struct codec_encoder *dst, const struct codec_encoder *src)
{
    *dst = *src;
}

static void plain_copy_decoder(struct codec_decoder *dst, const struct codec_decoder *src)
{
    assert(src->waiting.len == 0);
    dst->memory = src->memory;
    dst->limits = src->limits;
    buf_clear(&dst->waiting);
    dst->bytes = src->bytes;
    dst->unit_end = src->unit_end;
    dst->bad = src->bad;
}

const struct codec codec_plain = {
    .name = "plain",
    .version = 1,
    .encoder_new = plain_encoder_new,
    .encoder_free = plain_encoder_free,
    .decoder_new = plain_decoder_new,
    .decoder_free = plain_decoder_free,
    .encode = plain_encode,
    .flush = plain_flush,
    .feed = plain_feed,
    .decode = plain_decode,
    .prime_encoder = NULL, /* no model to prime */
    .prime_decoder = NULL,
    .copy_encoder = plain_copy_encoder,
    .copy_decoder = plain_copy_decoder,
    .set_effort = NULL, /* it has no model to spare */
};
