#include "gateway/wire/datagram_frame.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"

#define ANNOUNCES 0x20
#define LEANS     0x10
#define HAS_ACK   0x08

/* Flags of an announcement. */
#define ECHOES    0x01
#define HAS_NEXT  0x02
#define HAS_ANCHOR 0x04
#define PROPOSES  0x08
#define SETTLED   0x10 /* of the first class; three bits more for the others */

/* Of X25519, below the upper bits of the number. */
#define MIX_BITS 2
#define MIXED    0x01
#define WHOLE    0x02

/* Of an answer's first byte. */
#define HAS_SHARE   0x01
#define LACKS_SHARE 0x02

static void put_mix(struct buf *b, const struct datagram_mix *m)
{
    if (m->whole || m->mixed)
        buf_put(b, m->share, m->whole ? DATAGRAM_SHARE_BYTES : DATAGRAM_SHARE_ID);
    if (m->mixed) {
        buf_put(b, m->with, sizeof m->with);
        buf_put(b, m->proof, sizeof m->proof);
    }
}

static void read_mix(struct reader *r, struct datagram_mix *m, unsigned how)
{
    m->mixed = how & MIXED;
    m->whole = how & WHOLE;
    if (how)
        read_into(r, m->share, m->whole ? DATAGRAM_SHARE_BYTES : DATAGRAM_SHARE_ID);
    if (m->mixed) {
        read_into(r, m->with, sizeof m->with);
        read_into(r, m->proof, sizeof m->proof);
    }
}

/* Epochs behind the newest, each by its distance to the one before it. */
static void put_earlier(struct buf *b, const struct datagram_announcement *a)
{
    uint64_t above = a->counter;
    buf_put_varint(b, a->earlier_count);
    for (unsigned i = 0; i < a->earlier_count; i++) {
        const struct datagram_earlier *e = &a->earlier[i];
        buf_put_varint(b, above - e->counter);
        buf_put_be16(b, e->id);
        buf_put_varint(b, e->last);
        above = e->counter;
    }
}

static void read_earlier(struct reader *r, struct datagram_announcement *a)
{
    uint64_t above = a->counter, count = read_varint(r);
    r->bad |= count > DATAGRAM_EARLIER;
    for (unsigned i = 0; i < count && !r->bad; i++) {
        uint64_t below = read_varint(r);
        struct datagram_earlier *e = &a->earlier[i];
        e->id = read_be16(r);
        e->last = read_varint(r);
        r->bad |= below == 0 || below >= above;
        e->counter = above -= below;
        a->earlier_count++;
    }
}

/* What the receiver had of ours, each class by its distance to the one before it; which have any is in the flags. */
static void put_settled(struct buf *b, const struct channel_identity *who)
{
    uint64_t before = 0;
    for (int c = 0; c < CLASS_COUNT; c++) {
        if (!who->settled[c])
            continue;
        uint64_t step = who->settled[c] - before;
        buf_put_varint(b, step << 1 ^ (step >> 63 ? UINT64_MAX : 0));
        before = who->settled[c];
    }
}

static void read_settled(struct reader *r, struct channel_identity *who, uint8_t flags)
{
    uint64_t before = 0;
    for (int c = 0; c < CLASS_COUNT; c++) {
        if (!(flags & SETTLED << c))
            continue;
        uint64_t step = read_varint(r);
        who->settled[c] = before += step >> 1 ^ (step & 1 ? UINT64_MAX : 0);
    }
}

static void put_announcement(struct buf *b, const struct datagram_announcement *a,
                             enum seal_mode mode)
{
    unsigned settled = 0;
    for (int c = 0; c < CLASS_COUNT; c++)
        settled |= a->identity.settled[c] ? SETTLED << c : 0;
    buf_put_u8(b, (uint8_t)(settled | (a->echoes ? ECHOES : 0) | (a->next_secret ? HAS_NEXT : 0) |
                            (a->anchor ? HAS_ANCHOR : 0) | (a->proposes ? PROPOSES : 0)));
    buf_put_u8(b, a->codec);
    put_earlier(b, a);
    buf_put_varint(b, a->counter - a->identity.table);
    buf_put_varint(b, a->behind);
    buf_put_be32(b, a->identity.generation);
    buf_put_be32(b, a->identity.segment);
    buf_put_be32(b, a->identity.predecessor);
    buf_put_varint(b, a->identity.predecessor_end);
    put_settled(b, &a->identity);
    if (a->echoes)
        buf_put(b, a->echo, sizeof a->echo);
    if (a->next_secret)
        buf_put_be32(b, a->next_secret);
    if (a->anchor)
        buf_put_be32(b, a->anchor);
    if (a->proposes) {
        buf_put_varint(b, a->proposed_up_to);
        buf_put_be32(b, a->proposed_id);
    }
    if (mode != SEAL_FULL) {
        buf_put_u8(b, (uint8_t)strlen(a->name));
        buf_put(b, a->name, strlen(a->name));
    }
}

bool datagram_leans(const uint8_t *frame)
{
    return frame[0] & LEANS;
}

size_t datagram_header_encode(const struct datagram_header *h, enum seal_mode mode, uint8_t *out,
                              size_t *clear)
{
    const struct datagram_announcement *a = &h->announcement;
    struct buf b;
    buf_init_over(&b, out, DATAGRAM_HEADER_BYTES + DATAGRAM_ANNOUNCE_MAX + DATAGRAM_ACK_BYTES);
    buf_put_u8(&b, (uint8_t)(0x80 | (h->announces ? ANNOUNCES : 0) | (h->leans ? LEANS : 0) |
                             (h->has_ack ? HAS_ACK : 0) | ((h->number >> 8) & 7)));
    buf_put_u8(&b, (uint8_t)h->number);
    buf_put_u8(&b, h->epoch_low);
    if (h->announces) {
        buf_put_be32(&b, a->epoch);
        buf_put_varint(&b, a->counter);
        buf_put_varint(&b, mode == SEAL_NONE ? h->number >> FRAME_DATA_BITS
                                             : h->number >> FRAME_DATA_BITS << MIX_BITS | (a->mix.whole ? WHOLE : 0) |
                                                   (a->mix.mixed ? MIXED : 0));
        if (mode != SEAL_NONE) {
            buf_put(&b, a->salt, sizeof a->salt);
            put_mix(&b, &a->mix);
        }
    }
    *clear = b.len;
    if (h->announces)
        put_announcement(&b, a, mode);
    if (h->has_ack) {
        buf_put_be16(&b, h->ack_epoch);
        buf_put_be16(&b, h->ack);
        buf_put_u8(&b, h->grant);
        buf_put_u8(&b, h->bitmap);
    }
    assert(!b.failed);
    return b.len;
}

size_t datagram_clear_decode(struct datagram_header *h, enum seal_mode mode, const uint8_t *frame,
                             size_t n)
{
    struct reader r = reader_of(frame, n);
    *h = (struct datagram_header){0};
    uint8_t first = read_u8(&r);
    h->number = (uint64_t)(first & 7) << 8;
    h->number |= read_u8(&r);
    h->epoch_low = read_u8(&r);
    h->announces = first & ANNOUNCES;
    h->leans = first & LEANS;
    h->has_ack = first & HAS_ACK;
    if (h->announces) {
        struct datagram_announcement *a = &h->announcement;
        a->epoch = read_be32(&r);
        a->counter = read_varint(&r);
        uint64_t high = read_varint(&r);
        unsigned how = mode == SEAL_NONE ? 0 : (unsigned)high & (MIXED | WHOLE);
        high >>= mode == SEAL_NONE ? 0 : MIX_BITS;
        h->number |= high << FRAME_DATA_BITS;
        if (high >= CHANNEL_NUMBERS_MAX >> FRAME_DATA_BITS)
            return 0;
        if (mode != SEAL_NONE) {
            read_into(&r, a->salt, sizeof a->salt);
            read_mix(&r, &a->mix, how);
        }
        if (a->epoch == 0 || (uint8_t)a->epoch != h->epoch_low || a->counter == 0)
            return 0;
    }
    return r.bad ? 0 : n - r.left;
}

static bool read_announcement(struct reader *r, struct datagram_announcement *a,
                              enum seal_mode mode)
{
    uint8_t flags = read_u8(r);
    a->codec = read_u8(r);
    read_earlier(r, a);
    uint64_t table_behind = read_varint(r);
    a->behind = read_varint(r);
    a->identity.generation = read_be32(r);
    a->identity.segment = read_be32(r);
    a->identity.predecessor = read_be32(r);
    a->identity.predecessor_end = read_varint(r);
    read_settled(r, &a->identity, flags);
    a->echoes = flags & ECHOES;
    if (a->echoes)
        read_into(r, a->echo, sizeof a->echo);
    if (flags & HAS_NEXT)
        a->next_secret = read_be32(r);
    if (flags & HAS_ANCHOR)
        a->anchor = read_be32(r);
    a->proposes = flags & PROPOSES;
    if (a->proposes) {
        a->proposed_up_to = read_varint(r);
        a->proposed_id = read_be32(r);
    }
    if (mode != SEAL_FULL) {
        size_t name = read_u8(r);
        const uint8_t *text = read_bytes(r, name);
        if (r->bad || name < 1 || name > CHANNEL_NAME_MAX || memchr(text, 0, name))
            return false;
        memcpy(a->name, text, name);
    }
    if (r->bad || table_behind > a->counter ||
        a->behind >= FRAME_WINDOW)
        return false;
    a->identity.table = a->counter - table_behind;
    return true;
}

size_t datagram_rest_decode(struct datagram_header *h, enum seal_mode mode, const uint8_t *frame,
                            size_t n, size_t clear)
{
    struct reader r = reader_of(frame + clear, n - clear);
    if (h->announces && !read_announcement(&r, &h->announcement, mode))
        return 0;
    if (h->has_ack) {
        h->ack_epoch = read_be16(&r);
        h->ack = read_be16(&r);
        h->grant = read_u8(&r);
        h->bitmap = read_u8(&r);
    }
    return r.bad ? 0 : n - r.left;
}

size_t datagram_answer_encode(const struct datagram_answer *a, const uint8_t *salt, uint8_t *out,
                              size_t *clear)
{
    struct buf b;
    assert(a->type != DATAGRAM_ACK || a->bitmap_bytes <= FRAME_BITMAP_MAX);
    buf_init_over(&b, out, DATAGRAM_ANSWER_MAX - SEAL_TAG_MAX);
    buf_put_u8(&b, (uint8_t)(a->type | (a->has_share ? HAS_SHARE : 0) | (a->lacks_share ? LACKS_SHARE : 0)));
    if (salt)
        buf_put(&b, salt, DATAGRAM_ANSWER_SALT_BYTES);
    *clear = b.len;
    if (a->has_share)
        buf_put(&b, a->share, sizeof a->share);
    switch (a->type) {
    case DATAGRAM_ACK:
        buf_put_be16(&b, (uint16_t)a->ack);
        buf_put_u8(&b, a->grant);
        buf_put(&b, a->bitmap, a->bitmap_bytes);
        break;
    case DATAGRAM_NO_ANCHOR:
    case DATAGRAM_FORGOTTEN:
        break;
    case DATAGRAM_FLOOR:
        buf_put_varint(&b, a->floor);
        if (a->wants_echo)
            buf_put(&b, a->nonce, sizeof a->nonce);
        break;
    }
    assert(!b.failed);
    return b.len;
}

bool datagram_answer_decode(struct datagram_answer *a, const uint8_t *frame, size_t n, size_t clear)
{
    struct reader r = reader_of(frame + clear, n - clear);
    bool sealed = clear > 1;
    *a = (struct datagram_answer){
        .type = (enum datagram_answer_type)(frame[0] & ~(HAS_SHARE | LACKS_SHARE)),
        .has_share = frame[0] & HAS_SHARE,
        .lacks_share = frame[0] & LACKS_SHARE,
    };
    if (a->has_share)
        read_into(&r, a->share, sizeof a->share);
    switch (a->type) {
    case DATAGRAM_ACK:
        a->ack = read_be16(&r);
        a->grant = read_u8(&r);
        a->bitmap = r.p;
        a->bitmap_bytes = r.left;
        return !r.bad && a->bitmap_bytes <= FRAME_BITMAP_MAX && !a->lacks_share && (sealed || !a->has_share);
    case DATAGRAM_FORGOTTEN:
    case DATAGRAM_NO_ANCHOR:
        return r.left == 0 && !a->has_share && !a->lacks_share;
    case DATAGRAM_FLOOR:
        a->floor = read_varint(&r);
        a->wants_echo = r.left > 0;
        if (a->wants_echo)
            read_into(&r, a->nonce, sizeof a->nonce);
        return !r.bad && r.left == 0 && (sealed || (!a->has_share && !a->lacks_share));
    }
    return false; /* an "over", or no answer at all */
}
