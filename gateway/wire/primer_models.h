/* Models that have seen the built-in primer (primer.h) and nothing else: what every epoch's models begin from ([P-12], [P-10.16]).
 * Making one costs as much as coding 16 KB of messages, and all that ask for the same size get the same, so
 * it is made once for all channels of a process, a little at a time, and copied from then on.
 *
 * One of each size that was ever asked for is kept. Sizes are powers of two, so together they are less than twice the largest. */
#ifndef WIRE_PRIMER_MODELS_H
#define WIRE_PRIMER_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/attr.h"
#include "gateway/wire/codec.h"
#include "gateway/wire/prime_share.h"

/* Work (as prime_share.h reckons it) that is done in slices, for nothing else runs meanwhile: so much in one, well under 10 ms where
 * 100 KB are modelled in a second. */
#define PRIME_SLICE_BYTES 512

struct primer_models;

/* The primer at once, for those who need one model only and have the time. Return: 0; -ENOMEM. */
int primer_teach(const struct codec *codec, struct codec_encoder *e) MUST_CHECK;

enum primer_model {
    PRIMER_MODEL_READY,
    PRIMER_MODEL_UNDER_WAY, /* ask again after primer_models_work */
    PRIMER_MODEL_NO_MEMORY, /* now; may be asked again */
};

struct primer_models *primer_models_new(void) MUST_CHECK;
void primer_models_free(struct primer_models *m);
/* The model of a codec that has one, at a power of two of memory; begins its making where it is not begun. *model, where it is
 * ready: to be copied by copy_encoder and copy_to_decoder, m's, for as long as m lives. */
enum primer_model primer_models_get(struct primer_models *m, const struct codec *codec, size_t memory,
                                    const struct codec_encoder **model) MUST_CHECK;
/* One will be wanted: its making is begun, if there is memory now; primer_models_get asks again. */
void primer_models_prepare(struct primer_models *m, const struct codec *codec, size_t memory);
/* Something is to be done: primer_models_work does a slice of it. */
bool primer_models_under_way(const struct primer_models *m);
void primer_models_work(struct primer_models *m);

#endif
