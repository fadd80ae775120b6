/* The models that frames of datagram links are coded with ([P-10.16]). The coder of a frame that stands alone begins from a copy of a
 * model that has seen what both ends have, the codec's primer, and behind it the anchor's messages; so does the first that leans
 * (datagram_lean.c). The copy is a memcpy; the model itself is made once, a little at a time. */
#include <string.h>

#include "gateway/wire/datagram_internal.h"

#define MEMORY_LOG2       22
#define MEMORY_LEAST_LOG2 18
#define MEMORY_ANY_LOG2   20 /* that every receiver takes */

static unsigned version_of(uint8_t codec)
{
    return codec & 7;
}

size_t datagram_codec_memory(uint8_t codec)
{
    return codec >> 3 ? (size_t)1 << (codec >> 3) : 0;
}

uint8_t datagram_codec(const struct channel *c)
{
    unsigned log2 = c->datagram->modest ? MEMORY_ANY_LOG2 : MEMORY_LOG2;
    size_t memory = c->config.codec_memory ? c->config.codec_memory : (size_t)1 << MEMORY_ANY_LOG2;
    if (c->config.codec_version < 2 || c->datagram->plain || memory >> MEMORY_LEAST_LOG2 == 0)
        return 1;
    while (memory >> log2 == 0)
        log2--;
    return (uint8_t)(2 | log2 << 3);
}

bool datagram_codec_modest(uint8_t codec)
{
    return codec >> 3 <= MEMORY_ANY_LOG2;
}

bool datagram_codec_known(const struct channel *c, uint8_t codec)
{
    unsigned log2 = codec >> 3;
    if (version_of(codec) == 1)
        return log2 == 0;
    bool ours = log2 <= MEMORY_ANY_LOG2 || (log2 <= MEMORY_LOG2 && (size_t)1 << log2 <= c->config.receive_memory);
    return version_of(codec) == 2 && c->config.codec_version >= 2 && log2 >= MEMORY_LEAST_LOG2 && ours;
}

const struct codec *datagram_codec_of(uint8_t codec)
{
    return codec_find(version_of(codec));
}

/* ---- a model's making ---- */

void datagram_model_drop(struct datagram_model *m)
{
    const struct codec *codec = datagram_codec_of(m->codec);
    if (codec && m->encoder)
        codec->encoder_free(m->encoder);
    if (codec && m->decoder)
        codec->decoder_free(m->decoder);
    *m = (struct datagram_model){0};
}

/* Return: false = no memory. */
static bool begin(struct datagram_model *m, bool out, uint8_t codec, uint32_t anchor)
{
    static const struct codec_limits limits = {.max_message = UINT32_MAX};
    const struct codec *of = datagram_codec_of(codec);
    datagram_model_drop(m);
    m->codec = codec;
    m->anchor = anchor;
    m->out = out;
    if (out)
        m->encoder = of->encoder_new(datagram_codec_memory(codec));
    else
        m->decoder = of->decoder_new(datagram_codec_memory(codec), &limits);
    m->ready = !of->prime_encoder;
    return m->encoder || m->decoder;
}

static int learn(struct datagram_model *m, const struct record *r)
{
    const struct codec *of = datagram_codec_of(m->codec);
    return m->out ? of->prime_encoder(m->encoder, r) : of->prime_decoder(m->decoder, r);
}

static bool model_under_way(const struct datagram_model *m)
{
    return m->codec && !m->ready;
}

static struct datagram_model *under_way(const struct channel *c)
{
    struct datagram *d = c->datagram;
    struct datagram_model *out = model_under_way(&d->out_model) ? &d->out_model : NULL;
    for (unsigned i = 0; i < 2; i++)
        if (model_under_way(&d->in_models[i]) && (!out || d->held_count > 0))
            return &d->in_models[i]; /* something that is here already waits for it */
    return out;
}

bool datagram_priming(const struct channel *c)
{
    return under_way(c) || datagram_chain_priming(c);
}

bool datagram_prime_wanted(const struct channel *c)
{
    return c->datagram->held_count > 0 && datagram_priming(c);
}

/* Begins it from the primer's model. Return: bytes that this is worth; 0 = given up. */
static size_t step_primer(struct channel *c, struct datagram_model *m)
{
    const struct codec *of = datagram_codec_of(m->codec);
    const struct codec_encoder *model;
    switch (primer_models_get(c->models, of, datagram_codec_memory(m->codec), &model)) {
    case PRIMER_MODEL_READY:
        if (m->out)
            of->copy_encoder(m->encoder, model);
        else
            of->copy_to_decoder(m->decoder, model);
        m->primed = true;
        break;
    case PRIMER_MODEL_UNDER_WAY:
        primer_models_work(c->models);
        break;
    case PRIMER_MODEL_NO_MEMORY:
        datagram_model_drop(m);
        c->ops->give_up(c->ctx, "out of memory");
        return 0;
    }
    return PRIME_SLICE_BYTES;
}

/* One record more. Return: bytes of it; 0 = it is done, or given up. */
static size_t step(struct channel *c, struct datagram_model *m)
{
    struct record r;
    if (!m->primed)
        return step_primer(c, m);
    if (!m->anchor || c->ops->prime(c->ctx, m->out, &r) != CHANNEL_PRIME_RECORD) {
        if (m->anchor)
            c->ops->primed(c->ctx, m->out);
        m->ready = true;
        return 0;
    }
    if (learn(m, &r) == 0)
        return r.len + r.topic_len + PRIME_RECORD_COST;
    datagram_model_drop(m);
    c->ops->give_up(c->ctx, "out of memory");
    return 0;
}

void datagram_prime(struct channel *c, int64_t now_ms)
{
    struct datagram_model *m = under_way(c);
    size_t done = 0, n = 1;
    while (m && done < PRIME_SLICE_BYTES && n > 0)
        done += n = step(c, m);
    bool chain = !m && datagram_chain_priming(c);
    while (chain && done < PRIME_SLICE_BYTES && n > 0)
        done += n = datagram_chain_step(c);
    if ((m && m->ready && !m->out) || (chain && n == 0))
        datagram_take_held(c, now_ms);
}

/* ---- their use ---- */

size_t datagram_models_in(const struct channel *c)
{
    const struct datagram *d = c->datagram;
    size_t bytes = 0;
    for (unsigned i = 0; i < 2; i++)
        bytes += d->in_models[i].decoder ? datagram_codec_memory(d->in_models[i].codec) : 0;
    bytes += d->in_chain.decoder ? datagram_codec_memory(d->in_chain.codec) : 0;
    return bytes + (d->in_chain.work ? datagram_codec_memory(d->in_chain.codec) : 0);
}

size_t datagram_forget_models_in(struct channel *c)
{
    struct datagram *d = c->datagram;
    size_t bytes = datagram_models_in(c);
    if (datagram_priming(c))
        return 0;
    for (unsigned i = 0; i < 2; i++)
        datagram_model_drop(&d->in_models[i]);
    datagram_chain_drop_in(d);
    return bytes;
}

bool datagram_out_model(struct channel *c, uint8_t codec, uint32_t anchor)
{
    struct datagram_model *m = &c->datagram->out_model;
    if (m->codec != codec || m->anchor != anchor) {
        if (anchor && (!c->ops->anchor_open || !c->ops->anchor_open(c->ctx, true, anchor))) {
            c->datagram->anchor = 0; /* gone, as from a store that was set back: the primer alone will do */
            return false;
        }
        if (!begin(m, true, codec, anchor))
            datagram_model_drop(m);
    }
    return m->ready;
}

enum datagram_decoding datagram_in_model(struct channel *c, uint8_t codec, uint32_t anchor, struct codec_decoder **out)
{
    struct datagram *d = c->datagram;
    struct datagram_model *m = NULL;
    for (unsigned i = 0; i < 2; i++)
        if (d->in_models[i].codec == codec && d->in_models[i].anchor == anchor)
            m = &d->in_models[i];
    if (!m) {
        m = &d->in_models[model_under_way(&d->in_models[0]) || d->in_model_turn == 1];
        if (model_under_way(m))
            return DATAGRAM_LATER;
        d->in_model_turn = m == &d->in_models[0];
        if (anchor && (!c->ops->anchor_open || !c->ops->anchor_open(c->ctx, false, anchor)))
            return DATAGRAM_NO_MODEL;
        if (!begin(m, false, codec, anchor)) {
            datagram_model_drop(m);
            return DATAGRAM_LATER;
        }
    }
    *out = m->decoder;
    return m->ready ? DATAGRAM_DECODED : DATAGRAM_LATER;
}
