#include <stdlib.h>
#include <string.h>

#include "gateway/wire/channel.h"
#include "gateway/wire/framing.h"
#include "gateway/wire/handshake.h"

/* More than a HELLO with the longest name, and some noise before it. */
#define GUEST_MAX_BYTES 512

struct channel_guest {
    struct framing_avoid avoid; /* listeners have no bytes to avoid */
    struct framing_decoder framing;
    size_t n;
    uint8_t bytes[GUEST_MAX_BYTES];
};

struct channel_guest *channel_guest_new(void)
{
    struct channel_guest *g = calloc(1, sizeof *g);
    if (g)
        framing_decoder_init(&g->framing, &g->avoid);
    return g;
}

void channel_guest_free(struct channel_guest *g)
{
    free(g);
}

static enum channel_guest_outcome on_frame(uint8_t *frame, size_t n,
                                           char name[CHANNEL_NAME_MAX + 1], uint32_t *epoch)
{
    struct hello h;
    struct resume r;
    bool over;
    enum handshake_type type = handshake_type(frame, n, &over);
    if (type == HANDSHAKE_HELLO && hello_decode(&h, frame, n)) {
        memcpy(name, h.name, sizeof h.name);
        *epoch = h.epoch;
        return CHANNEL_GUEST_NAME;
    }
    if ((type == HANDSHAKE_RESUME || type == HANDSHAKE_RESUMED) && resume_decode(&r, frame, n)) {
        *epoch = r.epoch;
        return CHANNEL_GUEST_EPOCH;
    }
    return CHANNEL_GUEST_MORE;
}

enum channel_guest_outcome channel_guest_feed(struct channel_guest *g, const uint8_t *bytes,
                                              size_t n, char name[CHANNEL_NAME_MAX + 1],
                                              uint32_t *epoch)
{
    enum channel_guest_outcome outcome = CHANNEL_GUEST_MORE;
    size_t known = g->n;
    if (n > sizeof g->bytes - g->n)
        n = sizeof g->bytes -
            g->n; /* a frame that begins within the bound and ends beyond it is not waited for */
    memcpy(g->bytes + g->n, bytes, n);
    g->n += n;
    for (size_t i = known; i < g->n && outcome == CHANNEL_GUEST_MORE; i++) {
        size_t len = 0;
        if (framing_feed(&g->framing, g->bytes[i], &len) == FRAMING_FRAME)
            outcome = on_frame(g->framing.frame, len, name, epoch);
    }
    if (outcome == CHANNEL_GUEST_MORE && g->n == sizeof g->bytes)
        return CHANNEL_GUEST_BAD;
    return outcome;
}

const uint8_t *channel_guest_bytes(const struct channel_guest *g, size_t *n)
{
    *n = g->n;
    return g->bytes;
}

size_t channel_guest_refusal(enum channel_refusal why, uint8_t *out, size_t room)
{
    static const struct framing_avoid none;
    uint8_t frame[HANDSHAKE_MAX_BYTES], framed[FRAMING_MAX_BYTES];
    size_t n = refuse_encode(why, true, frame);
    n = framing_encode(&none, true, frame, n, framed);
    if (n > room)
        return 0;
    memcpy(out, framed, n);
    return n;
}
