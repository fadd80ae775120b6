/* The primer's models made at once: what a process has made by the time that its links are up, and what most runs of a test are
 * too short for. For each source that includes it they are made once. */
#ifndef TESTS_SUPPORT_PRIMER_MADE_H
#define TESTS_SUPPORT_PRIMER_MADE_H

#include "gateway/wire/codec.h"
#include "gateway/wire/primer_models.h"

/* What was asked for meanwhile, too. */
static inline void primer_finish(struct primer_models *m)
{
    while (m && primer_models_under_way(m))
        primer_models_work(m);
}

/* Of these sizes of memory; others are made when they are asked for. NULL: no memory. */
static inline struct primer_models *primer_made(const size_t *sizes, size_t count)
{
    static struct primer_models *made;
    const struct codec_encoder *model;
    if (!made)
        made = primer_models_new();
    for (size_t i = 0; i < count && made; i++)
        if (primer_models_get(made, codec_find(CODEC_VERSION_MAX), sizes[i], &model) == PRIMER_MODEL_UNDER_WAY)
            primer_finish(made);
    return made;
}

#endif
