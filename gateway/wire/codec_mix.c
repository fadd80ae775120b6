#include "gateway/wire/codec_mix.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/msg.h"
#include "gateway/wire/mix_coder.h"
#include "gateway/wire/mix_records.h"
#include "gateway/wire/mix_records_memory.h"

#define EVEN_BITS 8
#define INPUT_MAX (1u << 20) /* what may be given to the decoder before it is asked for records */

/* What one record's strings may come to in the encoder: no limit of the peer's is known here. */
#define ENCODER_BYTES_MAX (RECORD_CHUNK_MAX + MSG_PROPS_MAX_BYTES + 2 * 65536u)

struct codec_encoder {
    struct mix_records *records;
    struct mix_encoder coder;
    uint64_t done;      /* bytes of the stream in the units before this one */
    enum codec_effort effort;
};

struct codec_decoder {
    struct mix_records *records;
    struct mix_decoder coder;
    struct buf input;   /* given and not yet read */
    uint64_t done;      /* bytes of the units before this one */
    uint64_t unit_given; /* of this unit so far */
    bool in_record;     /* mix_records_begin was called for the record under way */
    bool bad;
};

static size_t clamp_memory(size_t memory)
{
    return memory < CODEC_MIX_MEMORY_MIN   ? CODEC_MIX_MEMORY_MIN
           : memory > CODEC_MIX_MEMORY_MAX ? CODEC_MIX_MEMORY_MAX
                                           : memory;
}

static struct mix_records *records_new(size_t memory, uint32_t max_bytes, uint32_t max_message)
{
    memory = clamp_memory(memory);
    void *storage = NULL;
    if (posix_memalign(&storage, 64, mix_records_size(memory)) != 0)
        return NULL;
    memset(storage, 0, mix_records_size(memory));
    return mix_records_init(storage, memory, max_bytes, max_message);
}

static void records_free(struct mix_records *w)
{
    if (!w)
        return;
    mix_records_fini(w);
    free(w);
}

/* --- encoder --- */

static struct codec_encoder *encoder_new(size_t memory)
{
    struct codec_encoder *e = calloc(1, sizeof *e);

    if (!e)
        return NULL;
    e->records = records_new(memory, ENCODER_BYTES_MAX, UINT32_MAX);
    if (!e->records) {
        free(e);
        return NULL;
    }
    mix_encoder_begin(&e->coder);
    return e;
}

static void encoder_free(struct codec_encoder *e)
{
    if (!e)
        return;
    records_free(e->records);
    free(e);
}

/* Codes decisions until the record (NULL: the unit's end) is told. Return: 0; -ENOMEM = there is no memory for a copy of it. */
static int code(struct codec_encoder *e, const struct record *r, const struct mix_choice *choice,
                 struct buf *out)
{
    enum mix_records_state state = MIX_RECORDS_MORE;

    mix_records_begin(e->records, e->coder.shifts);
    while (state == MIX_RECORDS_MORE) {
        int p = mix_records_predict(e->records);
        unsigned bit = mix_records_bit(e->records, r, choice);
        if (p)
            mix_encode(&e->coder, (int)bit, (uint32_t)p, out);
        else
            mix_encode_even(&e->coder, bit, EVEN_BITS, out);
        state = mix_records_update(e->records, bit);
    }
    if (state == MIX_RECORDS_BAD && e->records->bytes.failed)
        return -ENOMEM;
    assert(state == (r ? MIX_RECORDS_DONE : MIX_RECORDS_UNIT_END));
    return 0;
}

static int encode(struct codec_encoder *e, const struct record *r, struct buf *out, uint64_t *needed)
{
    struct mix_choice choice = {.stored = true};

    if (e->effort != CODEC_EFFORT_STORED)
        choice = mix_records_choose(e->records, r);
    choice.fast = e->effort == CODEC_EFFORT_FAST && !choice.stored;

    if (code(e, r, &choice, out) < 0)
        return -ENOMEM;
    *needed = e->done + mix_coder_needed(e->coder.shifts);
    return out->failed ? -ENOMEM : 0;
}

static int flush(struct codec_encoder *e, struct buf *out)
{
    if (!e->coder.used)
        return 0;
    if (code(e, NULL, NULL, out) < 0)
        return -ENOMEM;
    e->done += mix_encoder_flush(&e->coder, out);
    return out->failed ? -ENOMEM : 0;
}

static int prime_encoder(struct codec_encoder *e, const struct record *r)
{
    return mix_records_learn(e->records, r);
}

static void copy_encoder(struct codec_encoder *dst, const struct codec_encoder *src)
{
    assert(!src->coder.used);
    mix_records_copy(dst->records, src->records);
    mix_encoder_begin(&dst->coder);
    dst->done = src->done;
    dst->effort = src->effort;
}

static void set_effort(struct codec_encoder *e, enum codec_effort effort)
{
    e->effort = effort;
}

/* --- decoder --- */

static struct codec_decoder *decoder_new(size_t memory, const struct codec_limits *limits)
{
    struct codec_decoder *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->records = records_new(memory, limits->max_message, limits->max_message);
    if (!d->records) {
        free(d);
        return NULL;
    }
    buf_init(&d->input, INPUT_MAX);
    mix_decoder_begin(&d->coder);
    return d;
}

static void decoder_free(struct codec_decoder *d)
{
    if (!d)
        return;
    records_free(d->records);
    buf_fini(&d->input);
    free(d);
}

static int feed(struct codec_decoder *d, const uint8_t *bytes, size_t n, bool unit_end)
{
    if (d->bad || d->coder.unit_end) /* the unit before was not decoded to its end */
        return CODEC_BAD;
    buf_consume(&d->input, d->input.len - (size_t)(d->coder.end - d->coder.next));
    if (!buf_put(&d->input, bytes, n))
        return -ENOMEM;
    d->unit_given += n;
    d->coder.next = buf_bytes(&d->input);
    d->coder.end = d->coder.next + d->input.len;
    d->coder.unit_end = unit_end;
    return 0;
}

/* The unit's end was decoded: that must be the end of its bytes too. */
static bool end_unit(struct codec_decoder *d)
{
    if (!d->coder.unit_end || d->coder.next != d->coder.end)
        return false;
    d->done += d->unit_given;
    d->unit_given = 0;
    d->coder.unit_end = false;
    mix_decoder_begin(&d->coder);
    return true;
}

static int decode(struct codec_decoder *d, struct record *r, uint64_t *needed)
{
    enum mix_records_state state = MIX_RECORDS_MORE;

    if (d->bad)
        return CODEC_BAD;
    while (state == MIX_RECORDS_MORE) {
        if (!d->in_record) {
            mix_records_begin(d->records, d->coder.shifts);
            d->in_record = true;
        }
        if (!mix_decoder_ready(&d->coder))
            return CODEC_MORE;
        int p = mix_records_predict(d->records);
        unsigned bit = p ? (unsigned)mix_decode(&d->coder, (uint32_t)p)
                         : mix_decode_even(&d->coder, EVEN_BITS);
        state = mix_decoder_overrun(&d->coder) ? MIX_RECORDS_BAD : mix_records_update(d->records, bit);
    }
    d->in_record = false;
    switch (state) {
    case MIX_RECORDS_DONE:
        *r = d->records->record;
        *needed = d->done + mix_coder_needed(d->coder.shifts);
        return 0;
    case MIX_RECORDS_UNIT_END:
        if (end_unit(d))
            return CODEC_MORE;
        break;
    case MIX_RECORDS_MORE:
    case MIX_RECORDS_BAD:
        break;
    }
    d->bad = true;
    return CODEC_BAD;
}

static int prime_decoder(struct codec_decoder *d, const struct record *r)
{
    return mix_records_learn(d->records, r);
}

static void begin_from(struct codec_decoder *dst, const struct mix_records *model)
{
    mix_records_copy(dst->records, model);
    buf_clear(&dst->input);
    dst->coder = (struct mix_decoder){0};
    mix_decoder_begin(&dst->coder);
    dst->done = dst->unit_given = 0;
    dst->in_record = dst->bad = false;
}

static void copy_decoder(struct codec_decoder *dst, const struct codec_decoder *src)
{
    assert(src->unit_given == 0);
    begin_from(dst, src->records);
    dst->done = src->done;
    dst->bad = src->bad;
}

static void copy_to_decoder(struct codec_decoder *dst, const struct codec_encoder *src)
{
    assert(src->done == 0 && !src->coder.used);
    begin_from(dst, src->records);
}

const struct codec codec_mix = {
    .name = "mix",
    .version = CODEC_MIX_VERSION,
    .encoder_new = encoder_new,
    .encoder_free = encoder_free,
    .decoder_new = decoder_new,
    .decoder_free = decoder_free,
    .encode = encode,
    .flush = flush,
    .feed = feed,
    .decode = decode,
    .prime_encoder = prime_encoder,
    .prime_decoder = prime_decoder,
    .copy_encoder = copy_encoder,
    .copy_decoder = copy_decoder,
    .copy_to_decoder = copy_to_decoder,
    .set_effort = set_effort,
};
