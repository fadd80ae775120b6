#include "gateway/wire/mix_checksums.h"

#include <stdbool.h>
#include <stddef.h>

#define MESSAGE_LEAST 4 /* bytes beside the checksum: below, chance hits are too many */

enum method { CRC_REFLECTED, CRC_FORWARD, FLETCHER, SUM, SUM_NEGATED, XOR };

struct kind {
    enum method method;
    uint8_t width;       /* bytes */
    uint8_t skip;        /* bytes in front that are not summed */
    bool big;            /* most significant byte first */
    uint32_t polynomial, start, end; /* CRC: start value, and what the end is XORed with */
};

/* Kind 0 is none. */
static const struct kind kinds[] = {
    {0},
    {CRC_REFLECTED, 2, 0, false, 0xa001, 0xffff, 0},               /* Modbus RTU */
    {FLETCHER, 2, 2, false, 0, 0, 0},                              /* UBX */
    {CRC_FORWARD, 3, 0, true, 0x864cfb, 0, 0},                     /* RTCM 3, CRC-24Q */
    {CRC_REFLECTED, 4, 0, false, 0xedb88320, 0xffffffff, 0xffffffff}, /* CRC-32 */
    {CRC_REFLECTED, 4, 0, true, 0xedb88320, 0xffffffff, 0xffffffff},
    {CRC_FORWARD, 2, 0, true, 0x1021, 0xffff, 0},                  /* CCITT */
    {CRC_FORWARD, 2, 0, false, 0x1021, 0xffff, 0},
    {CRC_FORWARD, 2, 0, true, 0x1021, 0, 0},                       /* XMODEM */
    {CRC_REFLECTED, 2, 0, false, 0x8408, 0xffff, 0xffff},          /* X.25, HDLC */
    {CRC_REFLECTED, 2, 0, true, 0xa001, 0xffff, 0},
    {CRC_REFLECTED, 2, 0, false, 0x8408, 0, 0},                    /* Kermit */
    {CRC_REFLECTED, 2, 1, false, 0x8408, 0xffff, 0},               /* MAVLink without its extra byte */
    {CRC_REFLECTED, 2, 0, false, 0xa001, 0, 0},                    /* ARC */
    {CRC_FORWARD, 1, 0, true, 0x07, 0, 0},                         /* SMBus */
    {CRC_REFLECTED, 1, 0, true, 0x8c, 0, 0},                       /* Maxim */
    {SUM, 1, 0, true, 0, 0, 0},
    {SUM_NEGATED, 1, 0, true, 0, 0, 0},
    {XOR, 1, 0, true, 0, 0, 0},
    {SUM, 1, 1, true, 0, 0, 0},
    {SUM_NEGATED, 1, 1, true, 0, 0, 0},
    {XOR, 1, 1, true, 0, 0, 0},
    {SUM, 2, 0, true, 0, 0, 0},
    {SUM, 2, 2, true, 0, 0, 0},
    {SUM, 2, 0, false, 0, 0, 0},
};

static uint32_t add_reflected(uint32_t crc, uint8_t c, uint32_t polynomial)
{
    crc ^= c;
    for (unsigned b = 0; b < 8; b++)
        crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
    return crc;
}

static uint32_t add_forward(uint32_t crc, uint8_t c, uint32_t polynomial, unsigned width)
{
    uint32_t top = 1u << (8 * width - 1);

    crc ^= (uint32_t)c << 8 * (width - 1);
    for (unsigned b = 0; b < 8; b++)
        crc = crc << 1 ^ (crc & top ? polynomial : 0);
    return crc & ((top << 1) - 1);
}

unsigned mix_checksum_width(unsigned kind)
{
    return kinds[kind].width;
}

void mix_checksum_make(const struct mix_window *w, uint32_t begin, uint32_t n, unsigned kind,
                       uint8_t out[MIX_CHECKSUM_MAX])
{
    const struct kind *k = &kinds[kind];
    uint32_t v = k->start, second = 0;

    for (uint32_t i = k->skip; i + k->width < n; i++) {
        uint8_t c = mix_window_at(w, begin + i);
        switch (k->method) {
        case CRC_REFLECTED:
            v = add_reflected(v, c, k->polynomial);
            break;
        case CRC_FORWARD:
            v = add_forward(v, c, k->polynomial, k->width);
            break;
        case FLETCHER:
            v = (v + c) & 255;
            second = (second + v) & 255;
            break;
        case SUM:
        case SUM_NEGATED:
            v += c;
            break;
        case XOR:
            v ^= c;
            break;
        }
    }
    v ^= k->end;
    if (k->method == FLETCHER)
        v |= second << 8;
    if (k->method == SUM_NEGATED)
        v = 0 - v;
    for (unsigned i = 0; i < k->width; i++)
        out[i] = (uint8_t)(v >> 8 * (k->big ? k->width - 1 - i : i));
}

unsigned mix_checksum_find(const struct mix_window *w, uint32_t begin, uint32_t n)
{
    for (unsigned kind = 1; kind < sizeof kinds / sizeof *kinds; kind++) {
        uint8_t made[MIX_CHECKSUM_MAX];
        unsigned width = kinds[kind].width, fits = 0;
        if (n < width + MESSAGE_LEAST)
            continue;
        mix_checksum_make(w, begin, n, kind, made);
        while (fits < width && made[fits] == mix_window_at(w, begin + n - width + fits))
            fits++;
        if (fits == width)
            return kind;
    }
    return 0;
}

void mix_sentence_begin(struct mix_sentence *s)
{
    s->sum = 0;
    s->crc = 0xffff;
}

void mix_sentence_add(struct mix_sentence *s, uint8_t c)
{
    s->sum ^= c;
    s->crc = (uint16_t)add_forward(s->crc, c, 0x1021, 2);
}

unsigned mix_sentence_digits(const struct mix_sentence *s, unsigned kind, uint8_t out[4])
{
    unsigned digits = kind ? 4 : 2, v = kind ? s->crc : s->sum;

    for (unsigned i = 0; i < digits; i++)
        out[i] = (uint8_t)"0123456789ABCDEF"[v >> 4 * (digits - 1 - i) & 15];
    return digits;
}
