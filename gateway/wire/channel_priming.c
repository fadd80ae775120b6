#include "gateway/wire/datagram_internal.h"

/* A new epoch's models begin from the built-in primer's, and learn a history tail that both ends have ([P-12]), before the first
 * record of a direction: the sender encodes nothing until that is done, the receiver keeps the frames that come meanwhile. The sender says
 * in the first byte of its stream what it did. So it can give up at any time, for an alarm, and
 * nobody has to be asked. */

#define PRIME_LONGEST_MS 2000 /* that a message waits for the sender's priming */

/* The first byte of a stream. */
enum { TOLD_NOTHING = 0, TOLD_TAIL = 1, TOLD_PRIMER = 2 };

static bool under_way(enum prime_state s)
{
    return s == PRIME_PRIMER || s == PRIME_TAIL;
}

static void primed(struct channel *c, bool out)
{
    if (c->ops->primed)
        c->ops->primed(c->ctx, out);
}

void channel_prime_prepare(struct channel *c)
{
    uint8_t datagram = c->datagram ? datagram_codec(c) : 0;
    size_t memory = c->datagram ? datagram_codec_memory(datagram) : (size_t)1 << channel_memory_log2(c);
    const struct codec *codec = c->datagram ? datagram_codec_of(datagram) : codec_find(c->config.codec_version);
    if (codec->version >= CHANNEL_PRIMED_CODEC)
        primer_models_prepare(c->models, codec, memory);
}

/* The direction that takes less is primed first, and both ends do the same: so it is ready at both as soon as can be, and
 * the other no later than if they took turns. */
static void share_work(struct channel *c, uint32_t out_tail)
{
    unsigned in = prime_tail_units(c->ours.history_tail), out = prime_tail_units(out_tail);
    unsigned in_share = prime_share(in, out), out_share = prime_share(out, in);
    bool some = c->ops->prime_within(c->ctx, true, out_share);
    (void)c->ops->prime_within(c->ctx, false, in_share);
    c->prime_out_first = !some || out_share < in_share || (out_share == in_share && c->own_epoch < c->peer_epoch);
}

void channel_prime_begin(struct channel *c, uint32_t out_tail, int64_t now_ms)
{
    bool model = c->codec_version >= CHANNEL_PRIMED_CODEC;
    channel_prime_end(c);
    if (!c->ops->prime)
        return;
    c->prime_until_ms = now_ms + PRIME_LONGEST_MS;
    c->prime_late = false;
    c->prime_in_tail = model && c->ours.history_tail != 0;
    share_work(c, out_tail);
    if (model)
        c->prime_out = c->prime_in = PRIME_PRIMER;
    else
        primed(c, true);
    if (!c->prime_in_tail)
        primed(c, false);
}

void channel_prime_end(struct channel *c)
{
    c->prime_out = c->prime_in = PRIME_NONE;
    c->prime_out_tail = c->prime_in_tail = c->prime_in_wanted = false;
}

bool channel_priming(const struct channel *c)
{
    if (c->datagram)
        return datagram_priming(c);
    return c->live && (under_way(c->prime_out) || under_way(c->prime_in));
}

bool channel_prime_wanted(const struct channel *c)
{
    if (c->datagram)
        return datagram_prime_wanted(c);
    return c->live && under_way(c->prime_in) && c->prime_in_wanted;
}

static enum primer_model primer_model(struct channel *c, const struct codec_encoder **model)
{
    return primer_models_get(c->models, c->codec, c->codec_memory, model);
}

/* ---- out ---- */

bool channel_prime_holds(const struct channel *c)
{
    return under_way(c->prime_out) && !(c->ops->hurry && c->ops->hurry(c->ctx, c->prime_late));
}

/* Our tail is learned, and the peer may still be at it: an alarm that comes first would wait there. */
static bool ahead_of_peer(const struct channel *c, int64_t now_ms)
{
    return c->prime_out == PRIME_DONE && c->prime_out_tail && c->lead == 0 && now_ms < c->prime_until_ms && c->ops->hurry &&
           c->ops->hurry(c->ctx, false);
}

void channel_prime_hurry(struct channel *c, int64_t now_ms)
{
    const struct codec_encoder *model;
    if (ahead_of_peer(c, now_ms) && primer_model(c, &model) == PRIMER_MODEL_READY) {
        c->codec->copy_encoder(c->encoder, model);
        c->prime_out_tail = false;
    }
    if (!under_way(c->prime_out))
        return;
    bool begun = c->prime_out == PRIME_TAIL && !c->prime_out_tail;
    bool ready = begun || primer_model(c, &model) == PRIMER_MODEL_READY;
    if (ready && !begun)
        c->codec->copy_encoder(c->encoder, model);
    c->prime_out = ready ? PRIME_DONE : PRIME_NONE;
    c->prime_out_tail = false;
    primed(c, true);
}

uint8_t channel_prime_tell(const struct channel *c)
{
    return c->prime_out != PRIME_DONE ? TOLD_NOTHING : c->prime_out_tail ? TOLD_TAIL : TOLD_PRIMER;
}

/* Return: false = no memory. */
static bool prime_out(struct channel *c, size_t *done, int64_t now_ms)
{
    const struct codec_encoder *model;
    struct record r;
    c->prime_late = now_ms >= c->prime_until_ms;
    if (!channel_prime_holds(c)) {
        channel_prime_hurry(c, now_ms);
        return true;
    }
    if (c->prime_out == PRIME_PRIMER) {
        enum primer_model is = primer_model(c, &model);
        *done = PRIME_SLICE_BYTES;
        if (is == PRIMER_MODEL_READY) {
            c->codec->copy_encoder(c->encoder, model);
            c->prime_out = PRIME_TAIL;
        } else if (is == PRIMER_MODEL_NO_MEMORY) {
            channel_prime_hurry(c, now_ms);
        }
        return true;
    }
    switch (c->ops->prime(c->ctx, true, &r)) {
    case CHANNEL_PRIME_RECORD:
        *done += r.len + PRIME_RECORD_COST;
        c->prime_out_tail = true;
        return c->codec->prime_encoder(c->encoder, &r) == 0;
    case CHANNEL_PRIME_END:
        break;
    }
    c->prime_out = PRIME_DONE;
    primed(c, true);
    return true;
}

/* ---- in ---- */

/* Return: false = no memory. */
static bool prime_in(struct channel *c, size_t *done)
{
    const struct codec_encoder *model;
    struct record r;
    if (c->prime_in == PRIME_PRIMER) {
        enum primer_model is = primer_model(c, &model);
        *done = PRIME_SLICE_BYTES;
        if (is == PRIMER_MODEL_READY) {
            c->codec->copy_to_decoder(c->decoder, model);
            c->prime_in = c->prime_in_tail ? PRIME_TAIL : PRIME_DONE;
        }
        return is != PRIMER_MODEL_NO_MEMORY;
    }
    switch (c->ops->prime(c->ctx, false, &r)) {
    case CHANNEL_PRIME_RECORD:
        *done += r.len + PRIME_RECORD_COST;
        return c->codec->prime_decoder(c->decoder, &r) == 0;
    case CHANNEL_PRIME_END:
        break;
    }
    c->prime_in = PRIME_DONE;
    primed(c, false);
    return true;
}

bool channel_prime_wait(struct channel *c, uint8_t told)
{
    if (told == TOLD_PRIMER && c->prime_in == PRIME_PRIMER && c->prime_in_tail) {
        c->prime_in_tail = false;
        primed(c, false);
    }
    c->prime_in_wanted = (told == TOLD_PRIMER && c->prime_in == PRIME_PRIMER) ||
                         (told == TOLD_TAIL && c->prime_in_tail && under_way(c->prime_in));
    return c->prime_in_wanted;
}

const char *channel_prime_told(struct channel *c, uint8_t told)
{
    const struct codec_encoder *model;
    enum prime_state was = c->prime_in;
    if (told > TOLD_PRIMER)
        return "stream does not begin as it must";
    if (told == TOLD_TAIL)
        return c->prime_in_tail ? NULL : "primed from a history that we did not tell of";
    if (was == PRIME_NONE)
        return told == TOLD_NOTHING ? NULL : "primed from what we do not have";
    if (under_way(was) && c->prime_in_tail)
        primed(c, false);
    c->prime_in = told == TOLD_PRIMER ? PRIME_DONE : PRIME_NONE;
    if (told == TOLD_NOTHING)
        return channel_decoder_renew(c) == 0 ? NULL : "out of memory";
    if (c->prime_in_tail) {
        if (primer_model(c, &model) != PRIMER_MODEL_READY)
            return "out of memory";
        c->codec->copy_to_decoder(c->decoder, model);
    }
    return NULL;
}

/* ---- a slice of both ---- */

/* Which direction has the next record. The primer comes before any tail: it is a copy, and with it at hand an alarm need not wait. */
static bool out_is_next(const struct channel *c)
{
    if (!under_way(c->prime_in) || !under_way(c->prime_out))
        return under_way(c->prime_out);
    if (c->prime_out == PRIME_PRIMER || c->prime_in == PRIME_PRIMER)
        return c->prime_out == PRIME_PRIMER;
    return c->prime_out_first && !c->prime_in_wanted;
}

void channel_prime(struct channel *c, int64_t now_ms)
{
    size_t done = 0;
    bool good = true;
    if (c->datagram) {
        datagram_prime(c, now_ms);
        return;
    }
    if (c->prime_out == PRIME_PRIMER || c->prime_in == PRIME_PRIMER)
        primer_models_work(c->models);
    while (good && channel_priming(c) && done < PRIME_SLICE_BYTES)
        good = out_is_next(c) ? prime_out(c, &done, now_ms) : prime_in(c, &done);
    if (!good)
        channel_nonsense(c, "out of memory", now_ms);
    else if (c->prime_in == PRIME_DONE)
        channel_take_held(c, now_ms);
}
