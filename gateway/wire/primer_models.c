#include "gateway/wire/primer_models.h"

#include <assert.h>
#include <stdlib.h>
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/primer.h"

#define SIZES_MAX 8 /* more than there are powers of two from the smallest to the largest model */
static_assert(CODEC_MIX_MEMORY_MAX >> (SIZES_MAX - 1) < CODEC_MIX_MEMORY_MIN, "a size without a place");

struct entry {
    const struct codec *codec; /* NULL = not asked for */
    size_t memory;
    struct codec_encoder *encoder;
    size_t seen; /* steps */
    bool failed; /* to be told once */
};

struct primer_models {
    struct entry entries[SIZES_MAX];
};

/* Step i of the primer: a record, and behind the last the end. */
static int step(const struct codec *codec, struct codec_encoder *e, size_t i, size_t *cost)
{
    struct record r = {0};
    bool end = i == primer_count();
    if (!end)
        r = primer_record(i);
    *cost += r.len + r.topic_len + PRIME_RECORD_COST;
    return codec->prime_encoder(e, end ? NULL : &r);
}

int primer_teach(const struct codec *codec, struct codec_encoder *e)
{
    size_t cost = 0;
    int rc = 0;
    for (size_t i = 0; i <= primer_count() && rc == 0; i++)
        rc = step(codec, e, i, &cost);
    return rc;
}

struct primer_models *primer_models_new(void)
{
    return calloc(1, sizeof(struct primer_models));
}

static void drop(struct entry *e)
{
    if (e->encoder)
        e->codec->encoder_free(e->encoder);
    *e = (struct entry){0};
}

void primer_models_free(struct primer_models *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < SIZES_MAX; i++)
        drop(&m->entries[i]);
    free(m);
}

static struct entry *find(struct primer_models *m, const struct codec *codec, size_t memory)
{
    struct entry *unused = NULL;
    for (size_t i = 0; i < SIZES_MAX; i++) {
        struct entry *e = &m->entries[i];
        if (e->codec == codec && e->memory == memory)
            return e;
        if (!e->codec)
            unused = e;
    }
    return unused;
}

/* The model's place, its making begun. Return: NULL = no memory. */
static struct entry *wanted(struct primer_models *m, const struct codec *codec, size_t memory)
{
    /* What the codec makes of sizes beyond its own. */
    memory = memory < CODEC_MIX_MEMORY_MIN ? CODEC_MIX_MEMORY_MIN : memory > CODEC_MIX_MEMORY_MAX ? CODEC_MIX_MEMORY_MAX : memory;
    assert(codec);
    struct entry *e = find(m, codec, memory);
    if (!e)
        return NULL;
    if (!e->codec)
        *e = (struct entry){.codec = codec, .memory = memory, .encoder = codec->encoder_new(memory)};
    if (e->encoder && !e->failed)
        return e;
    drop(e);
    return NULL;
}

void primer_models_prepare(struct primer_models *m, const struct codec *codec, size_t memory)
{
    wanted(m, codec, memory);
}

enum primer_model primer_models_get(struct primer_models *m, const struct codec *codec, size_t memory,
                                    const struct codec_encoder **model)
{
    const struct entry *e = wanted(m, codec, memory);
    if (!e)
        return PRIMER_MODEL_NO_MEMORY;
    *model = e->encoder;
    return e->seen > primer_count() ? PRIMER_MODEL_READY : PRIMER_MODEL_UNDER_WAY;
}

static struct entry *under_way(const struct primer_models *m)
{
    for (size_t i = 0; i < SIZES_MAX; i++)
        if (m->entries[i].codec && !m->entries[i].failed && m->entries[i].seen <= primer_count())
            return (struct entry *)&m->entries[i];
    return NULL;
}

bool primer_models_under_way(const struct primer_models *m)
{
    return under_way(m);
}

void primer_models_work(struct primer_models *m)
{
    struct entry *e = under_way(m);
    size_t done = 0;
    while (e && !e->failed && done < PRIME_SLICE_BYTES && e->seen <= primer_count())
        e->failed = step(e->codec, e->encoder, e->seen++, &done) != 0;
}
