#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Small enough that a thousand idle peers cost little, large enough that a control packet fits. */
#define BUF_FIRST_BYTES 256

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_init_over(struct buf *b, void *memory, size_t room)
{
    *b = (struct buf){.data = memory, .cap = room, .max = room};
}

void buf_fini(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->head = 0;
    b->len = 0;
    b->failed = false;
}

void buf_trim(struct buf *b, size_t keep_bytes)
{
    if (b->len > 0 || b->cap <= keep_bytes)
        return;
    free(b->data);
    b->data = NULL;
    b->head = 0;
    b->cap = 0;
}

/* Makes room for n bytes behind those held: by moving them to the front where that is enough and
 * cheap (at most half the memory is in use), else by growing. */
static bool make_room(struct buf *b, size_t n)
{
    if (n > b->max || b->len > b->max - n)
        return false;
    size_t want = b->len + n;
    if (b->head + want <= b->cap)
        return true;
    if (want <= b->cap && (b->len <= b->cap / 2 || b->cap == b->max)) {
        memmove(b->data, b->data + b->head, b->len);
        b->head = 0;
        return true;
    }
    size_t cap = b->cap > 0 ? b->cap : BUF_FIRST_BYTES;
    while (cap < want && cap <= SIZE_MAX / 2)
        cap *= 2;
    if (cap == b->cap && cap <= SIZE_MAX / 2)
        cap *=
            2; /* a full buffer consumed from the front by crumbs would else move at every append */
    if (cap > b->max)
        cap = b->max;
    uint8_t *data = malloc(cap);
    if (!data)
        return false;
    if (b->len > 0)
        memcpy(data, b->data + b->head, b->len);
    free(b->data);
    b->data = data;
    b->head = 0;
    b->cap = cap;
    return true;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    /* At least one byte, so that a success is never NULL for want of any memory at all. */
    if (!make_room(b, n) || (!b->data && !make_room(b, 1))) {
        b->failed = true;
        return NULL;
    }
    return b->data + b->head + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
    assert(n <= b->cap - b->head - b->len);
    b->len += n;
}

bool buf_put(struct buf *b, const void *bytes, size_t n)
{
    if (n == 0)
        return true;
    uint8_t *to = buf_reserve(b, n);
    if (!to)
        return false;
    memcpy(to, bytes, n);
    b->len += n;
    return true;
}

bool buf_put_u8(struct buf *b, uint8_t v)
{
    return buf_put(b, &v, 1);
}

static bool put_be(struct buf *b, uint64_t v, size_t width)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    return buf_put(b, bytes, width);
}

bool buf_put_be16(struct buf *b, uint16_t v)
{
    return put_be(b, v, 2);
}

bool buf_put_be32(struct buf *b, uint32_t v)
{
    return put_be(b, v, 4);
}

bool buf_put_be64(struct buf *b, uint64_t v)
{
    return put_be(b, v, 8);
}

bool buf_put_varint(struct buf *b, uint64_t v)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    size_t n = 0;
    while (v >= 0x80) {
        bytes[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    bytes[n++] = (uint8_t)v;
    return buf_put(b, bytes, n);
}

const uint8_t *buf_bytes(const struct buf *b)
{
    /* Nothing was ever held: a pointer that memcpy and write of 0 bytes accept. */
    static const uint8_t none[1];
    return b->data ? b->data + b->head : none;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    b->len -= n;
    b->head = b->len > 0 ? b->head + n : 0;
}

struct reader reader_of(const void *bytes, size_t n)
{
    return (struct reader){.p = bytes, .left = n};
}

const uint8_t *read_bytes(struct reader *r, size_t n)
{
    /* NULL + 0 is not defined in C: an empty reader over NULL hands out a byte of ours. */
    static const uint8_t none[1];
    if (r->bad || n > r->left) {
        r->bad = true;
        return NULL;
    }
    if (n == 0)
        return r->p ? r->p : none;
    const uint8_t *p = r->p;
    r->p += n;
    r->left -= n;
    return p;
}

void read_into(struct reader *r, void *out, size_t n)
{
    const uint8_t *p = read_bytes(r, n);
    if (p)
        memcpy(out, p, n);
}

static uint64_t read_be(struct reader *r, size_t width)
{
    const uint8_t *p = read_bytes(r, width);
    uint64_t v = 0;
    for (size_t i = 0; p && i < width; i++)
        v = v << 8 | p[i];
    return v;
}

uint32_t be32_of(const uint8_t bytes[4])
{
    struct reader r = reader_of(bytes, 4);
    return read_be32(&r);
}

uint8_t read_u8(struct reader *r)
{
    return (uint8_t)read_be(r, 1);
}

uint16_t read_be16(struct reader *r)
{
    return (uint16_t)read_be(r, 2);
}

uint32_t read_be32(struct reader *r)
{
    return (uint32_t)read_be(r, 4);
}

uint64_t read_be64(struct reader *r)
{
    return read_be(r, 8);
}

uint64_t read_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < VARINT_MAX_BYTES; i++) {
        uint8_t byte = read_u8(r);
        if (r->bad)
            return 0;
        if (i == VARINT_MAX_BYTES - 1 && byte > 1)
            break; /* beyond 64 bits, or an eleventh byte */
        if (i > 0 && byte == 0)
            break; /* a shorter form exists: two spellings of one number would be two frames */
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80))
            return v;
    }
    r->bad = true;
    return 0;
}
