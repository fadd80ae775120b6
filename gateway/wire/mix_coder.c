#include "gateway/wire/mix_coder.h"

#define RANGE_LOW (1u << 24)

void mix_encoder_begin(struct mix_encoder *e)
{
    *e = (struct mix_encoder){.range = UINT32_MAX};
}

static void put(struct mix_encoder *e, uint8_t byte, struct buf *out)
{
    buf_put_u8(out, byte);
    e->given++;
}

/* Pushes out what was held, settled by the carry that came or can no longer come. */
static void release(struct mix_encoder *e, unsigned carry, struct buf *out)
{
    if (e->held > 0)
        put(e, (uint8_t)(e->held_byte + carry), out);
    for (; e->held > 1; e->held--)
        put(e, (uint8_t)(0xff + carry), out);
    e->held = 0;
}

/* Lets the top byte go: into what is held, as long as a carry may still run through it. */
static void shift_out(struct mix_encoder *e, struct buf *out)
{
    if (e->held == 0 || e->low < 0xff000000u || e->low > UINT32_MAX) {
        release(e, (unsigned)(e->low >> 32), out);
        e->held_byte = (uint8_t)(e->low >> 24);
    }
    e->held++;
    e->low = (e->low & 0x00ffffffu) << 8;
    e->shifts++;
}

static void normalise(struct mix_encoder *e, struct buf *out)
{
    while (e->range < RANGE_LOW) {
        e->range <<= 8;
        shift_out(e, out);
    }
}

void mix_encode(struct mix_encoder *e, int bit, uint32_t p1, struct buf *out)
{
    normalise(e, out);
    e->used = true;
    uint32_t bound = (uint32_t)((uint64_t)e->range * p1 >> 16);
    if (bit) {
        e->range = bound;
    } else {
        e->low += bound;
        e->range -= bound;
    }
}

void mix_encode_even(struct mix_encoder *e, unsigned value, unsigned count, struct buf *out)
{
    normalise(e, out);
    e->used = true;
    e->range >>= count;
    e->low += (uint64_t)e->range * value;
}

uint64_t mix_encoder_flush(struct mix_encoder *e, struct buf *out)
{
    if (!e->used)
        return 0;
    normalise(e, out);
    /* A number in the interval that ends in zero bytes, which need not be sent: as range is at least
     * 2^24 there is one with at most one byte before them. */
    uint64_t none = (e->low + UINT32_MAX) & ~(uint64_t)UINT32_MAX;
    uint64_t v = none - e->low < e->range ? none : (e->low + 0xffffffu) & ~0xffffffull;
    unsigned carry = (unsigned)(v >> 32);
    uint8_t top = (uint8_t)(v >> 24);

    if (top == 0 && e->held == 1 && (uint8_t)(e->held_byte + carry) == 0)
        e->held = 0;
    release(e, carry, out);
    if (top)
        put(e, top, out);
    uint64_t given = e->given;
    mix_encoder_begin(e);
    return given;
}

void mix_decoder_begin(struct mix_decoder *d)
{
    *d = (struct mix_decoder){.range = UINT32_MAX, .next = d->next, .end = d->end,
                              .unit_end = d->unit_end};
}

bool mix_decoder_overrun(const struct mix_decoder *d)
{
    return d->zeros > MIX_CODER_WORD + MIX_CODER_TRIM;
}

static bool shift_in(struct mix_decoder *d)
{
    if (d->next == d->end && !d->unit_end)
        return false;
    if (d->next == d->end) {
        d->value <<= 8;
        d->zeros += d->zeros <= MIX_CODER_WORD + MIX_CODER_TRIM;
    } else {
        d->value = d->value << 8 | *d->next++;
    }
    return true;
}

bool mix_decoder_ready(struct mix_decoder *d)
{
    for (; d->filled < MIX_CODER_WORD; d->filled++)
        if (!shift_in(d))
            return false;
    while (d->range < RANGE_LOW) {
        if (!shift_in(d))
            return false;
        d->range <<= 8;
        d->shifts++;
    }
    return true;
}

int mix_decode(struct mix_decoder *d, uint32_t p1)
{
    uint32_t bound = (uint32_t)((uint64_t)d->range * p1 >> 16);

    if (d->value < bound) {
        d->range = bound;
        return 1;
    }
    d->value -= bound;
    d->range -= bound;
    return 0;
}

unsigned mix_decode_even(struct mix_decoder *d, unsigned count)
{
    d->range >>= count;
    unsigned value = d->value / d->range;

    if (value >> count) /* only bytes that no encoder made come here */
        value = (1u << count) - 1;
    d->value -= value * d->range;
    return value;
}

uint64_t mix_coder_needed(uint64_t shifts)
{
    return MIX_CODER_WORD + shifts;
}
