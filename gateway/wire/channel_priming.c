#include "gateway/wire/datagram_internal.h"

/* A new epoch's models are primed from a history tail that both ends have ([P-12]), before the first record of a direction:
 * the sender encodes nothing until it is done, the receiver keeps the frames that come meanwhile. The sender says
 * in the first byte of its stream whether it did. So it can give up at any time, for an alarm, and
 * nobody has to be asked. */

#define PRIME_SLICE_BYTES 640  /* of payload in one call: under 10 ms where 100 KB are modelled in a second */
#define PRIME_RECORD_COST 16   /* what a record takes beside its payload, in bytes of it */
#define PRIME_LONGEST_MS  2000 /* of the sender: what it has learnt by then is not worth more waiting */

void channel_prime_begin(struct channel *c, int64_t now_ms)
{
    bool model = c->codec_version >= CHANNEL_PRIMED_CODEC;
    channel_prime_end(c);
    if (!c->ops->prime)
        return;
    c->prime_until_ms = now_ms + PRIME_LONGEST_MS;
    if (model)
        c->prime_out = PRIME_UNDER_WAY;
    else
        c->ops->primed(c->ctx, true);
    if (model && c->ours.history_hash != 0)
        c->prime_in = PRIME_UNDER_WAY;
    else
        c->ops->primed(c->ctx, false);
}

void channel_prime_end(struct channel *c)
{
    c->prime_out = c->prime_in = PRIME_NONE;
    c->prime_seen = false;
}

bool channel_priming(const struct channel *c)
{
    if (c->datagram)
        return datagram_priming(c);
    return c->live && (c->prime_out == PRIME_UNDER_WAY || c->prime_in == PRIME_UNDER_WAY);
}

/* The encoder has seen part of the tail only: it begins anew, with nothing. */
static bool give_up(struct channel *c)
{
    c->ops->primed(c->ctx, true);
    c->prime_out = PRIME_NONE;
    return channel_encoder_renew(c) == 0;
}

/* Return: false = no memory. */
static bool prime_out(struct channel *c, size_t *done, int64_t now_ms)
{
    struct record r;
    if (now_ms >= c->prime_until_ms)
        return give_up(c);
    switch (c->ops->prime(c->ctx, true, &r)) {
    case CHANNEL_PRIME_RECORD:
        *done += r.len + PRIME_RECORD_COST;
        c->prime_seen = true;
        return c->codec->prime_encoder(c->encoder, &r) == 0;
    case CHANNEL_PRIME_END:
        c->ops->primed(c->ctx, true);
        c->prime_out = c->prime_seen ? PRIME_DONE : PRIME_NONE;
        return true;
    case CHANNEL_PRIME_HURRY:
        return give_up(c);
    }
    return true;
}

static bool prime_in(struct channel *c, size_t *done)
{
    struct record r;
    switch (c->ops->prime(c->ctx, false, &r)) {
    case CHANNEL_PRIME_RECORD:
        *done += r.len + PRIME_RECORD_COST;
        return c->codec->prime_decoder(c->decoder, &r) == 0;
    case CHANNEL_PRIME_END:
    case CHANNEL_PRIME_HURRY:
        break;
    }
    c->ops->primed(c->ctx, false);
    c->prime_in = PRIME_DONE;
    return true;
}

void channel_prime(struct channel *c, int64_t now_ms)
{
    size_t done = 0;
    bool good = true;
    if (c->datagram) {
        datagram_prime(c, now_ms);
        return;
    }
    /* Turn by turn, since the peer does the same: so both directions are ready at both ends together. */
    while (good && channel_priming(c) && done < PRIME_SLICE_BYTES) {
        if (c->prime_out == PRIME_UNDER_WAY)
            good = prime_out(c, &done, now_ms);
        if (good && c->prime_in == PRIME_UNDER_WAY)
            good = prime_in(c, &done);
    }
    if (!good)
        channel_nonsense(c, "out of memory", now_ms);
    else if (c->prime_in == PRIME_DONE)
        channel_take_held(c, now_ms);
}

const char *channel_prime_told(struct channel *c, bool tail)
{
    if (tail)
        return c->prime_in == PRIME_NONE ? "primed from a history that we did not tell of" : NULL;
    if (c->prime_in == PRIME_NONE)
        return NULL;
    if (c->prime_in == PRIME_UNDER_WAY)
        c->ops->primed(c->ctx, false);
    c->prime_in = PRIME_NONE;
    return channel_decoder_renew(c) == 0 ? NULL : "out of memory";
}
