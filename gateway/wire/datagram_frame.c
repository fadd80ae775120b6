#include "gateway/wire/datagram_frame.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"

#define ANNOUNCES 0x20
#define LEANS     0x10 /* on all frames before it: for a codec with a model; reserved */
#define HAS_ACK   0x08

size_t datagram_header_encode(const struct datagram_header *h, uint8_t *out)
{
    struct buf b;
    buf_init(&b, DATAGRAM_HEADER_BYTES + DATAGRAM_ANNOUNCE_MAX + DATAGRAM_ACK_BYTES);
    buf_put_u8(&b, (uint8_t)(0x80 | (h->announces ? ANNOUNCES : 0) | (h->has_ack ? HAS_ACK : 0) |
                             ((h->number >> 8) & 7)));
    buf_put_u8(&b, (uint8_t)h->number);
    buf_put_u8(&b, (uint8_t)h->epoch);
    if (h->announces) {
        buf_put_be32(&b, h->epoch);
        buf_put_be32(&b, h->identity.generation);
        buf_put_be32(&b, h->identity.segment);
        buf_put_be32(&b, h->identity.predecessor);
        buf_put_varint(&b, h->identity.predecessor_end);
        buf_put_u8(&b, (uint8_t)strlen(h->name));
        buf_put(&b, h->name, strlen(h->name));
    }
    if (h->has_ack) {
        buf_put_be16(&b, h->ack_epoch);
        buf_put_be16(&b, h->ack);
        buf_put_u8(&b, h->grant);
        buf_put_u8(&b, h->bitmap);
    }
    size_t n = b.len;
    memcpy(out, buf_bytes(&b), n);
    buf_fini(&b);
    return n;
}

size_t datagram_header_decode(struct datagram_header *h, const uint8_t *frame, size_t n)
{
    struct reader r = reader_of(frame, n);
    *h = (struct datagram_header){0};
    uint8_t first = read_u8(&r);
    h->number = (uint64_t)(first & 7) << 8;
    h->number |= read_u8(&r);
    h->epoch_low = read_u8(&r);
    if (first & LEANS)
        return 0;
    if (first & ANNOUNCES) {
        h->announces = true;
        h->epoch = read_be32(&r);
        h->identity.generation = read_be32(&r);
        h->identity.segment = read_be32(&r);
        h->identity.predecessor = read_be32(&r);
        h->identity.predecessor_end = read_varint(&r);
        size_t name = read_u8(&r);
        const uint8_t *text = read_bytes(&r, name);
        if (r.bad || name < 1 || name > CHANNEL_NAME_MAX || memchr(text, 0, name) ||
            (uint8_t)h->epoch != h->epoch_low || h->epoch == 0)
            return 0;
        memcpy(h->name, text, name);
    }
    if (first & HAS_ACK) {
        h->has_ack = true;
        h->ack_epoch = read_be16(&r);
        h->ack = read_be16(&r);
        h->grant = read_u8(&r);
        h->bitmap = read_u8(&r);
    }
    return r.bad ? 0 : n - r.left;
}

size_t datagram_ack_encode(uint32_t epoch, uint64_t ack, uint8_t grant, const uint8_t *bitmap,
                           size_t bitmap_bytes, uint8_t *out)
{
    assert(bitmap_bytes <= FRAME_BITMAP_MAX);
    out[0] = 0xC0;
    out[1] = (uint8_t)(ack >> 8);
    out[2] = (uint8_t)ack;
    out[3] = grant;
    memcpy(out + 4, bitmap, bitmap_bytes);
    struct seal_context seal = {0, epoch};
    return seal_frame(&seal, SEAL_SPACE_CONTROL, 0, out, 4 + bitmap_bytes);
}

bool datagram_ack_decode(uint32_t epoch, uint8_t *frame, size_t n, uint16_t *ack, uint8_t *grant,
                         const uint8_t **bitmap, size_t *bitmap_bytes)
{
    struct seal_context seal = {0, epoch};
    size_t content;
    if (frame[0] != 0xC0 || n > DATAGRAM_ACK_FRAME_MAX ||
        !seal_open(&seal, SEAL_SPACE_CONTROL, 0, frame, n, &content) || content < 4)
        return false;
    *ack = (uint16_t)(frame[1] << 8 | frame[2]);
    *grant = frame[3];
    *bitmap = frame + 4;
    *bitmap_bytes = content - 4;
    return true;
}
