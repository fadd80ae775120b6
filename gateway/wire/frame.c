#include "gateway/wire/frame.h"

#include <assert.h>
#include <string.h>

#define DATA_UNIT_END 0x20
#define DATA_OVER     0x10
#define DATA_ACK      0x08
#define CONTROL_OVER  0x10

enum frame_kind frame_kind(uint8_t first)
{
    if ((first & 0xC0) == 0x80)
        return FRAME_DATA;
    if ((first & 0xE0) == 0xC0)
        return FRAME_CONTROL;
    if ((first & 0xE0) == 0xE0)
        return FRAME_HANDSHAKE;
    return FRAME_UNKNOWN;
}

uint64_t frame_number(uint64_t near, uint16_t low, unsigned bits)
{
    uint64_t span = 1ull << bits;
    uint64_t ahead = (low - near) & (span - 1);
    if (ahead < span / 2 || near < span - ahead)
        return near + ahead;
    return near + ahead - span;
}

size_t frame_data_encode(const struct frame_data *f, uint8_t *out)
{
    size_t n = 0;
    out[n++] = (uint8_t)(0x80 | (f->unit_end ? DATA_UNIT_END : 0) | (f->over ? DATA_OVER : 0) |
                         (f->has_ack ? DATA_ACK : 0) | ((f->number >> 8) & 7));
    out[n++] = (uint8_t)f->number;
    if (f->has_ack) {
        out[n++] = (uint8_t)(f->ack >> 8);
        out[n++] = (uint8_t)f->ack;
        out[n++] = f->grant;
    }
    out[n++] = (uint8_t)(f->check >> 8);
    out[n++] = (uint8_t)f->check;
    return n;
}

size_t frame_data_decode(struct frame_data *f, const uint8_t *frame, size_t n)
{
    *f = (struct frame_data){0};
    if (n < FRAME_HEADER_BYTES + FRAME_CHECK_BYTES)
        return 0;
    size_t at = FRAME_HEADER_BYTES;
    f->unit_end = frame[0] & DATA_UNIT_END;
    f->over = frame[0] & DATA_OVER;
    f->has_ack = frame[0] & DATA_ACK;
    f->number = (uint64_t)(frame[0] & 7) << 8 | frame[1];
    if (f->has_ack) {
        if (n < at + FRAME_ACK_BYTES + FRAME_CHECK_BYTES)
            return 0;
        f->ack = (uint16_t)(frame[at] << 8 | frame[at + 1]);
        f->grant = frame[at + 2];
        at += FRAME_ACK_BYTES;
    }
    f->check = (uint16_t)(frame[at] << 8 | frame[at + 1]);
    return at + FRAME_CHECK_BYTES;
}

size_t frame_control_encode(const struct frame_control *f, uint8_t *out)
{
    assert(f->bitmap_bytes <= FRAME_BITMAP_MAX);
    size_t n = 0;
    out[n++] =
        (uint8_t)(0xC0 | (f->over ? CONTROL_OVER : 0) | f->type << 2 | ((f->number >> 8) & 3));
    out[n++] = (uint8_t)f->number;
    if (f->type == CONTROL_BYE)
        return n;
    out[n++] = (uint8_t)(f->ack >> 8);
    out[n++] = (uint8_t)f->ack;
    out[n++] = f->grant;
    if (f->bitmap_bytes > 0)
        memcpy(out + n, f->bitmap, f->bitmap_bytes);
    return n + f->bitmap_bytes;
}

bool frame_control_decode(struct frame_control *f, const uint8_t *frame, size_t n)
{
    *f = (struct frame_control){0};
    if (n < FRAME_HEADER_BYTES)
        return false;
    f->type = (enum frame_control_type)(frame[0] >> 2 & 3);
    f->over = frame[0] & CONTROL_OVER;
    f->number = (uint64_t)(frame[0] & 3) << 8 | frame[1];
    if (f->type == CONTROL_RESERVED)
        return false;
    if (f->type == CONTROL_BYE)
        return n == FRAME_HEADER_BYTES;
    if (n < FRAME_HEADER_BYTES + FRAME_ACK_BYTES || n > FRAME_CONTROL_MAX_BYTES)
        return false;
    f->ack = (uint16_t)(frame[2] << 8 | frame[3]);
    f->grant = frame[4];
    f->bitmap = frame + 5;
    f->bitmap_bytes = n - 5;
    return true;
}

uint8_t frame_grant_encode(uint64_t bytes)
{
    if (bytes < 8)
        return (uint8_t)bytes;
    unsigned e = 1;
    while (bytes >= 16 && e < 31) {
        bytes >>= 1;
        e++;
    }
    return (uint8_t)(e << 3 | (bytes >= 16 ? 7 : bytes - 8));
}

uint64_t frame_grant_decode(uint8_t code)
{
    unsigned e = code >> 3, m = code & 7;
    return e == 0 ? m : (uint64_t)(8 + m) << (e - 1);
}
