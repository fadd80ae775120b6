#include "gateway/wire/handshake.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"

#define OVER           0x10
#define MARKS_PARTIALS 0x0f /* bit per class */
#define MARKS_HISTORY  0x10
#define MARKS_MESSAGE  0x20
#define MARKS_KNOWN    0x3f
#define MARKS_LACKING  0x40 /* sealed links alone */
#define NUMBER_MAX     HANDSHAKE_NUMBER_MAX

static const struct seal_context any_epoch = {0, 0};

enum handshake_type handshake_type(const uint8_t *frame, size_t n, bool *over)
{
    *over = false;
    if (n < 2 || frame_kind(frame[0]) != FRAME_HANDSHAKE)
        return (enum handshake_type)0;
    unsigned type = frame[0] & 0x0f;
    *over = frame[0] & OVER;
    return type >= HANDSHAKE_HELLO && type <= HANDSHAKE_CONFIRM ? (enum handshake_type)type
                                                               : (enum handshake_type)0;
}

uint8_t handshake_first_byte(enum handshake_type type, bool over)
{
    return (uint8_t)(0xE0 | (over ? OVER : 0) | type);
}

/* A frame is put together where it is wanted, by appends that cannot fail: every part of it is bounded, and no memory is
 * asked for. */
static size_t finish(const struct buf *b, const struct seal_context *c, uint8_t *out)
{
    assert(!b->failed);
    return seal_frame(c, SEAL_SPACE_HANDSHAKE, 0, out, b->len);
}

/* Checks the tag; the reader then stands behind the first byte. */
static bool open_frame(struct reader *r, const struct seal_context *c, uint8_t *frame, size_t n)
{
    size_t content;
    if (!seal_open(c, SEAL_SPACE_HANDSHAKE, 0, frame, n, &content) || content < 1)
        return false;
    *r = reader_of(frame + 1, content - 1);
    return true;
}

size_t hello_encode(const struct hello *h, bool over, uint8_t *out)
{
    struct buf b;
    buf_init_over(&b, out, HANDSHAKE_MAX_BYTES - SEAL_CRC_BYTES);
    buf_put_u8(&b, handshake_first_byte(HANDSHAKE_HELLO, over));
    buf_put_u8(&b, (uint8_t)h->protocol);
    buf_put_u8(&b, (uint8_t)h->codec_version);
    buf_put_u8(&b, (uint8_t)h->memory_log2);
    buf_put_be32(&b, h->epoch);
    buf_put_be16(&b, h->seen);
    buf_put_be32(&b, h->identity.generation);
    buf_put_be32(&b, h->identity.segment);
    buf_put_be32(&b, h->identity.predecessor);
    buf_put_varint(&b, h->identity.predecessor_end);
    size_t name = strlen(h->name);
    buf_put_u8(&b, (uint8_t)name);
    buf_put(&b, h->name, name);
    return finish(&b, &any_epoch, out);
}

static bool name_valid(const char *name, size_t n)
{
    if (n < 1 || n > CHANNEL_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
              name[i] == '-' || name[i] == '_'))
            return false;
    return true;
}

bool hello_decode(struct hello *h, uint8_t *frame, size_t n)
{
    struct reader r;
    *h = (struct hello){0};
    if (!open_frame(&r, &any_epoch, frame, n))
        return false;
    h->protocol = read_u8(&r);
    h->codec_version = read_u8(&r);
    h->memory_log2 = read_u8(&r);
    h->epoch = read_be32(&r);
    h->seen = read_be16(&r);
    h->identity.generation = read_be32(&r);
    h->identity.segment = read_be32(&r);
    h->identity.predecessor = read_be32(&r);
    h->identity.predecessor_end = read_varint(&r);
    size_t name = read_u8(&r);
    const uint8_t *text = read_bytes(&r, name);
    /* Bytes behind the name are a later version's: left alone. */
    if (r.bad || !name_valid((const char *)text, name) || h->epoch == 0 || h->codec_version == 0 ||
        h->memory_log2 > 31 || h->identity.predecessor_end > NUMBER_MAX)
        return false;
    memcpy(h->name, text, name);
    return true;
}

void marks_put(struct buf *b, const struct channel_marks *m, bool lacking)
{
    unsigned flags = (lacking ? MARKS_LACKING : 0) | (m->history_tail != 0 ? MARKS_HISTORY : 0) |
                     (m->max_message != HANDSHAKE_MESSAGE_USUAL ? MARKS_MESSAGE : 0);
    uint64_t top = 0;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        flags |= m->partial[c] ? 1u << c : 0;
        if (m->cumulative[c] > top)
            top = m->cumulative[c];
    }
    buf_put_u8(b, (uint8_t)flags);
    /* One counter numbers all classes, so the marks lie near the largest or are 0. */
    buf_put_varint(b, top);
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        buf_put_varint(b, m->cumulative[c] == 0 ? 0 : top - m->cumulative[c] + 1);
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        if (!m->partial[c])
            continue;
        buf_put_varint(b, m->partial_number[c] > m->cumulative[c]
                               ? m->partial_number[c] - m->cumulative[c]
                               : 0);
        buf_put_varint(b, m->partial_have[c]);
    }
    buf_put_varint(b, m->topics_sequence);
    buf_put_be32(b, m->topics_hash);
    if (flags & MARKS_HISTORY)
        buf_put_be32(b, m->history_tail);
    buf_put_u8(b, frame_grant_encode(m->grant_bytes));
    if (flags & MARKS_MESSAGE)
        buf_put_varint(b, m->max_message);
}

size_t marks_encode(const struct channel_marks *m, uint32_t epoch, uint32_t peer_epoch, bool over,
                    uint8_t *out)
{
    struct buf b;
    struct seal_context c = {epoch, peer_epoch};
    buf_init_over(&b, out, HANDSHAKE_MAX_BYTES - SEAL_CRC_BYTES);
    buf_put_u8(&b, handshake_first_byte(HANDSHAKE_MARKS, over));
    marks_put(&b, m, false);
    return finish(&b, &c, out);
}

static uint64_t read_number(struct reader *r)
{
    uint64_t v = read_varint(r);
    if (v > NUMBER_MAX)
        r->bad = true;
    return r->bad ? 0 : v;
}

bool marks_read(struct channel_marks *m, bool *lacking, struct reader *r)
{
    *m = (struct channel_marks){0};
    uint8_t flags = read_u8(r);
    if (flags & ~(MARKS_KNOWN | MARKS_LACKING))
        return false;
    *lacking = flags & MARKS_LACKING;
    uint64_t top = read_number(r);
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        uint64_t below = read_number(r);
        if (below > top + 1)
            return false;
        m->cumulative[c] = below == 0 ? 0 : top + 1 - below;
    }
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        if (!(flags & 1u << c))
            continue;
        m->partial[c] = true;
        m->partial_number[c] = m->cumulative[c] + read_number(r);
        uint64_t have = read_number(r);
        if (have > UINT32_MAX || m->partial_number[c] == m->cumulative[c])
            return false;
        m->partial_have[c] = (uint32_t)have;
    }
    m->topics_sequence = read_number(r);
    m->topics_hash = read_be32(r);
    m->history_tail = flags & MARKS_HISTORY ? read_be32(r) : 0;
    m->grant_bytes = frame_grant_decode(read_u8(r));
    uint64_t max = flags & MARKS_MESSAGE ? read_number(r) : HANDSHAKE_MESSAGE_USUAL;
    m->max_message = max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
    return !r->bad;
}

bool marks_decode(struct channel_marks *m, uint32_t epoch, uint32_t peer_epoch, uint8_t *frame,
                  size_t n)
{
    struct reader r;
    struct seal_context seal = {epoch, peer_epoch};
    bool lacking = false;
    *m = (struct channel_marks){0};
    return open_frame(&r, &seal, frame, n) && marks_read(m, &lacking, &r) && !lacking;
}

size_t resume_encode(const struct resume *m, bool over, uint8_t *out)
{
    struct buf b;
    buf_init_over(&b, out, HANDSHAKE_MAX_BYTES - SEAL_CRC_BYTES);
    buf_put_u8(&b, handshake_first_byte(m->answer ? HANDSHAKE_RESUMED : HANDSHAKE_RESUME, over));
    buf_put_be32(&b, m->epoch);
    buf_put_be16(&b, m->seen);
    buf_put_be16(&b, m->ack);
    return finish(&b, &any_epoch, out);
}

bool resume_decode(struct resume *m, uint8_t *frame, size_t n)
{
    struct reader r;
    bool over;
    *m = (struct resume){.answer = handshake_type(frame, n, &over) == HANDSHAKE_RESUMED};
    if (!open_frame(&r, &any_epoch, frame, n))
        return false;
    m->epoch = read_be32(&r);
    m->seen = read_be16(&r);
    m->ack = read_be16(&r);
    return !r.bad && r.left == 0 && m->epoch != 0;
}

size_t refuse_encode(enum channel_refusal why, bool over, uint8_t *out)
{
    out[0] = handshake_first_byte(HANDSHAKE_REFUSE, over);
    out[1] = (uint8_t)why;
    return seal_frame(&any_epoch, SEAL_SPACE_HANDSHAKE, 0, out, 2);
}

bool refuse_decode(enum channel_refusal *why, uint8_t *frame, size_t n)
{
    struct reader r;
    if (!open_frame(&r, &any_epoch, frame, n))
        return false;
    *why = (enum channel_refusal)read_u8(&r);
    return !r.bad && r.left == 0;
}

const char *refusal_text(enum channel_refusal why)
{
    switch (why) {
    case CHANNEL_REFUSED_UNKNOWN:
        return "refused: our name is not known there";
    case CHANNEL_REFUSED_VERSION:
        return "refused: protocol version";
    case CHANNEL_REFUSED_SEAL:
        return "refused: seal";
    case CHANNEL_REFUSED_BUSY:
        return "refused: busy";
    }
    return "refused";
}
