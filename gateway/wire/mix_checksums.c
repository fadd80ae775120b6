#include "gateway/wire/mix_checksums.h"

#include <assert.h>

#define COVERED_LEAST 4    /* bytes: below, chance hits are too many */
#define TRIED_MOST    2048 /* bytes of a message: longer ones take long to try, and gain nothing to speak of */
#define SKIPS         5
#define TAILS         3

enum method { CRC_REFLECTED, CRC_FORWARD, FLETCHER, ADLER, INTERNET, SUM, SUM_NEGATED, XOR };

struct kind {
    enum method method;
    uint8_t width;                   /* bytes */
    bool big;                        /* most significant byte first */
    uint32_t polynomial, start, end; /* CRC: start value, and what the end is XORed with */
};

/* Wide ones first, which hardly fit by chance. Kind 0 is none. */
static const struct kind kinds[] = {
    {0},
    {CRC_REFLECTED, 4, false, 0xedb88320, 0xffffffff, 0xffffffff}, /* CRC-32 */
    {CRC_REFLECTED, 4, true, 0xedb88320, 0xffffffff, 0xffffffff},
    {CRC_REFLECTED, 4, false, 0xedb88320, 0, 0},                   /* NovAtel */
    {CRC_REFLECTED, 4, false, 0x82f63b78, 0xffffffff, 0xffffffff}, /* CRC-32C */
    {CRC_FORWARD, 4, true, 0x04c11db7, 0xffffffff, 0},             /* MPEG-2 */
    {CRC_FORWARD, 4, false, 0x04c11db7, 0xffffffff, 0},            /* STM32 */
    {ADLER, 4, true, 0, 1, 0},
    {CRC_FORWARD, 3, true, 0x864cfb, 0, 0}, /* RTCM 3, CRC-24Q */
    {CRC_REFLECTED, 2, false, 0xa001, 0xffff, 0}, /* Modbus RTU */
    {CRC_REFLECTED, 2, true, 0xa001, 0xffff, 0},
    {FLETCHER, 2, false, 0, 0, 0}, /* UBX */
    {CRC_FORWARD, 2, true, 0x1021, 0xffff, 0}, /* CCITT */
    {CRC_FORWARD, 2, false, 0x1021, 0xffff, 0},
    {CRC_FORWARD, 2, true, 0x1021, 0, 0}, /* XMODEM */
    {CRC_FORWARD, 2, false, 0x1021, 0, 0},
    {CRC_FORWARD, 2, true, 0x1021, 0x1d0f, 0},
    {CRC_FORWARD, 2, true, 0x1021, 0xffff, 0xffff}, /* GENIBUS */
    {CRC_REFLECTED, 2, false, 0x8408, 0xffff, 0xffff}, /* X.25, HDLC */
    {CRC_REFLECTED, 2, true, 0x8408, 0xffff, 0xffff},
    {CRC_REFLECTED, 2, false, 0x8408, 0, 0}, /* Kermit */
    {CRC_REFLECTED, 2, true, 0x8408, 0, 0},
    {CRC_REFLECTED, 2, false, 0x8408, 0xffff, 0}, /* MAVLink without its extra byte */
    {CRC_REFLECTED, 2, true, 0x8408, 0xffff, 0},
    {CRC_REFLECTED, 2, false, 0xa001, 0, 0}, /* ARC */
    {CRC_REFLECTED, 2, true, 0xa001, 0, 0},
    {CRC_FORWARD, 2, true, 0x8005, 0, 0}, /* UMTS */
    {CRC_REFLECTED, 2, false, 0xa6bc, 0, 0xffff}, /* DNP */
    {INTERNET, 2, true, 0, 0, 0xffff},
    {SUM, 2, true, 0, 0, 0},
    {SUM, 2, false, 0, 0, 0},
    {SUM, 2, true, 0, 0, 0xffff},
    {SUM, 2, false, 0, 0, 0xffff},
    {CRC_FORWARD, 1, true, 0x07, 0, 0}, /* SMBus */
    {CRC_FORWARD, 1, true, 0x07, 0xff, 0},
    {CRC_FORWARD, 1, true, 0x31, 0xff, 0}, /* sensors of Sensirion */
    {CRC_FORWARD, 1, true, 0x31, 0, 0},
    {CRC_FORWARD, 1, true, 0x1d, 0xff, 0xff}, /* SAE J1850 */
    {CRC_FORWARD, 1, true, 0x2f, 0xff, 0xff}, /* AUTOSAR */
    {CRC_FORWARD, 1, true, 0xd5, 0, 0},       /* DVB-S2 */
    {CRC_REFLECTED, 1, true, 0x8c, 0, 0},     /* Maxim */
    {SUM, 1, true, 0, 0, 0},
    {SUM_NEGATED, 1, true, 0, 0, 0},
    {SUM, 1, true, 0, 0, 0xff},
    {XOR, 1, true, 0, 0, 0},
    {XOR, 1, true, 0, 0xff, 0},
};
static_assert(sizeof kinds / sizeof *kinds == MIX_CHECKSUM_KINDS, "the table");

/* One under way. */
struct sum {
    uint32_t v, second; /* second: of those that are two sums */
    bool odd;
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
    return crc & ((top - 1) << 1 | 1);
}

static void sum_add(struct sum *s, const struct kind *k, uint8_t c)
{
    uint32_t modulus = k->method == ADLER ? 65521 : 256;

    switch (k->method) {
    case CRC_REFLECTED:
        s->v = add_reflected(s->v, c, k->polynomial);
        break;
    case CRC_FORWARD:
        s->v = add_forward(s->v, c, k->polynomial, k->width);
        break;
    case FLETCHER:
    case ADLER:
        s->v = (s->v + c) % modulus;
        s->second = (s->second + s->v) % modulus;
        break;
    case INTERNET:
        s->v += s->odd ? c : (uint32_t)c << 8;
        s->v = (s->v & 0xffff) + (s->v >> 16);
        s->odd = !s->odd;
        break;
    case SUM:
    case SUM_NEGATED:
        s->v += c;
        break;
    case XOR:
        s->v ^= c;
        break;
    }
}

static void sum_end(const struct sum *s, const struct kind *k, uint8_t out[MIX_CHECKSUM_MAX])
{
    uint32_t v = s->v ^ k->end;

    if (k->method == FLETCHER)
        v |= s->second << 8;
    if (k->method == ADLER)
        v |= s->second << 16;
    if (k->method == SUM_NEGATED)
        v = 0 - v;
    for (unsigned i = 0; i < k->width; i++)
        out[i] = (uint8_t)(v >> 8 * (k->big ? k->width - 1 - i : i));
}

unsigned mix_checksum_width(unsigned kind)
{
    return kinds[kind].width;
}

void mix_checksum_make(const struct mix_window *w, struct mix_message m, struct mix_checksum c,
                       uint8_t out[MIX_CHECKSUM_MAX])
{
    const struct kind *k = &kinds[c.kind];
    struct sum s = {.v = k->start};

    for (uint32_t i = c.skip; i + k->width + c.tail < m.length; i++)
        sum_add(&s, k, mix_window_at(w, m.begin + i));
    sum_end(&s, k, out);
}

static bool stands_at(const struct mix_window *w, uint32_t place, const uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (mix_window_at(w, place + i) != bytes[i])
            return false;
    return true;
}

bool mix_checksum_fits(const struct mix_window *w, struct mix_message m, struct mix_checksum c)
{
    uint8_t made[MIX_CHECKSUM_MAX];
    unsigned width = kinds[c.kind].width;

    if (m.length < c.skip + COVERED_LEAST + width + c.tail || m.length > TRIED_MOST || !mix_window_holds(w, m.begin))
        return false;
    mix_checksum_make(w, m, c, made);
    return stands_at(w, m.begin + m.length - c.tail - width, made, width);
}

/* All places in one pass, a sum for each skip. Return: of those that fit the one with the longest tail, for
 * behind a checksum and itself an XOR is 0, which a tail may be; and among these with the least skip. */
static struct mix_checksum find_kind(const struct mix_window *w, struct mix_message m, struct mix_message before,
                                     unsigned kind)
{
    const struct kind *k = &kinds[kind];
    struct sum s[SKIPS];
    struct mix_checksum found = {0};

    for (unsigned skip = 0; skip < SKIPS; skip++)
        s[skip] = (struct sum){.v = k->start};
    for (uint32_t i = 0; i + k->width <= m.length && !found.kind; i++) {
        uint32_t tail = m.length - k->width - i;
        for (unsigned skip = 0; tail < TAILS && skip < SKIPS && !found.kind; skip++) {
            struct mix_checksum c = {(uint8_t)kind, (uint8_t)skip, (uint8_t)tail};
            uint8_t made[MIX_CHECKSUM_MAX];
            if (i < skip + COVERED_LEAST)
                continue;
            sum_end(&s[skip], k, made);
            if (stands_at(w, m.begin + i, made, k->width) && (k->width > 1 || mix_checksum_fits(w, before, c)))
                found = c;
        }
        uint8_t c = mix_window_at(w, m.begin + i);
        for (unsigned skip = 0; skip < SKIPS && skip <= i; skip++)
            sum_add(&s[skip], k, c);
    }
    return found;
}

struct mix_checksum mix_checksum_find(const struct mix_window *w, struct mix_message m, struct mix_message before)
{
    struct mix_checksum found = {0};

    for (unsigned kind = 1; kind < MIX_CHECKSUM_KINDS && !found.kind && m.length <= TRIED_MOST; kind++)
        found = find_kind(w, m, before, kind);
    return found;
}

/* --- frames --- */

enum { KIND_CRC_24Q = 8, KIND_UBX = 11 };

bool mix_frame_at(struct mix_frame *f, const struct mix_window *w, struct mix_message m, uint32_t position)
{
    uint32_t place = m.begin + f->begin, so_far = position - f->begin;

    if (f->end && position == f->end)
        *f = (struct mix_frame){.begin = f->end};
    else if (so_far == 3 && mix_window_at(w, place) == 0xd3 && mix_window_at(w, place + 1) < 4)
        *f = (struct mix_frame){f->begin,
                                f->begin + 6 + (mix_window_at(w, place + 1) << 8 | mix_window_at(w, place + 2)),
                                {KIND_CRC_24Q, 0, 0}};
    else if (so_far == 6 && mix_window_at(w, place) == 0xb5 && mix_window_at(w, place + 1) == 0x62)
        *f = (struct mix_frame){f->begin,
                                f->begin + 8 + (mix_window_at(w, place + 5) << 8 | mix_window_at(w, place + 4)),
                                {KIND_UBX, 2, 0}};
    return f->end && f->end <= m.length && position + kinds[f->checksum.kind].width == f->end;
}

/* --- sentences --- */

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
