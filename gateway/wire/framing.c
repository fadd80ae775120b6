#include "gateway/wire/framing.h"

#include <assert.h>
#include <string.h>

bool framing_avoid_set(struct framing_avoid *a, const uint8_t *values, size_t n)
{
    *a = (struct framing_avoid){0};
    if (n > FRAMING_AVOID_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (values[i] == FRAMING_DELIMITER || values[i] == FRAMING_ESCAPE)
            return false;
        a->escaped[values[i]] = true;
        a->on = true;
    }
    a->escaped[FRAMING_ESCAPE] = a->on;
    for (unsigned v = 0; v < 256; v++)
        if (a->escaped[v] &&
            (a->escaped[v ^ FRAMING_FLIP] || (v ^ FRAMING_FLIP) == FRAMING_DELIMITER))
            return false;
    return true;
}

static size_t put(const struct framing_avoid *a, uint8_t byte, uint8_t *out)
{
    if (!a->escaped[byte]) {
        out[0] = byte;
        return 1;
    }
    out[0] = FRAMING_ESCAPE;
    out[1] = byte ^ FRAMING_FLIP;
    return 2;
}

/* COBS of one block: each zero is replaced by the distance to the next; the first distance leads.
 */
static void cobs(const uint8_t *frame, size_t n, uint8_t out[FRAME_MAX_BYTES + 1])
{
    size_t code = 0;
    for (size_t i = 0; i < n; i++) {
        if (frame[i] == 0) {
            out[code] = (uint8_t)(i + 1 - code);
            code = i + 1;
        } else {
            out[i + 1] = frame[i];
        }
    }
    out[code] = (uint8_t)(n + 1 - code);
}

size_t framing_encode(const struct framing_avoid *a, bool lead, const uint8_t *frame, size_t n,
                      uint8_t *out)
{
    assert(n > 0 && n <= FRAME_MAX_BYTES);
    uint8_t block[FRAME_MAX_BYTES + 1];
    cobs(frame, n, block);
    size_t len = 0;
    if (lead)
        out[len++] = FRAMING_DELIMITER;
    for (size_t i = 0; i <= n; i++)
        len += put(a, block[i], out + len);
    out[len++] = FRAMING_DELIMITER;
    return len;
}

size_t framing_length(const struct framing_avoid *a, bool lead, const uint8_t *frame, size_t n)
{
    if (!a->on)
        return n + 2 + (lead ? 1 : 0);
    uint8_t framed[FRAMING_MAX_BYTES];
    return framing_encode(a, lead, frame, n, framed);
}

void framing_decoder_init(struct framing_decoder *d, const struct framing_avoid *avoid)
{
    *d = (struct framing_decoder){.avoid = avoid};
}

static enum framing_outcome finish(struct framing_decoder *d, size_t *n)
{
    size_t raw = d->n;
    bool bad = d->bad || d->escape;
    d->n = 0;
    d->bad = d->escape = false;
    if (bad)
        return FRAMING_BAD;
    if (raw == 0)
        return FRAMING_MORE;
    size_t at = 0, len = 0;
    while (at < raw) {
        size_t code = d->raw[at];
        /* 0xff (254 bytes and no zero behind them) can only be the one block of a full frame. */
        if (code > raw - at)
            return FRAMING_BAD;
        memcpy(d->frame + len, d->raw + at + 1, code - 1);
        len += code - 1;
        at += code;
        if (at < raw)
            d->frame[len++] = 0;
    }
    if (len == 0)
        return FRAMING_BAD;
    *n = len;
    return FRAMING_FRAME;
}

enum framing_outcome framing_feed(struct framing_decoder *d, uint8_t byte, size_t *n)
{
    if (byte == FRAMING_DELIMITER)
        return finish(d, n);
    if (d->avoid->on) {
        if (byte == FRAMING_ESCAPE && !d->escape) {
            d->escape = true;
            return FRAMING_MORE;
        }
        if (d->escape) {
            d->escape = false;
            byte ^= FRAMING_FLIP;
            if (!d->avoid->escaped[byte])
                d->bad = true;
        } else if (d->avoid->escaped[byte]) {
            /* The line's own flow control, or noise: not from the peer's encoder, so not part of
             * the frame. */
            return FRAMING_MORE;
        }
    }
    if (d->n == sizeof d->raw)
        d->bad = true;
    else
        d->raw[d->n++] = byte;
    return FRAMING_MORE;
}
