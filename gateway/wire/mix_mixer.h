/* Mixes the models' votes into one probability.
 *
 * Inputs are logits. Several weight sets, each chosen by another view of the situation, mix them; a
 * second layer mixes the results; two adaptive maps correct what comes out. All of it learns online by
 * the coding error. */
#ifndef WIRE_MIX_MIXER_H
#define WIRE_MIX_MIXER_H

#include <stdbool.h>
#include <stdint.h>

#define MIX_INPUTS      72 /* a multiple of 8, for vector units */
#define MIX_SELECTORS   6 /* one more is for the fast level, where it is the only one */
#define MIX_FAST        MIX_SELECTORS
#define MIX_FINAL_SETS  64
#define MIX_MAP_BUCKETS 33
#define MIX_MAPS        2

struct mix_weight_set {
    int16_t w[MIX_INPUTS]; /* 1/8192 */
};

struct mix_mixer {
    int16_t in[MIX_INPUTS];

    struct mix_weight_set *sets;
    uint32_t first[MIX_SELECTORS + 1], count[MIX_SELECTORS + 1]; /* which sets a selector chooses from */
    uint16_t *uses;                                      /* of each set: new ones learn faster */
    int32_t final[MIX_FINAL_SETS][8];
    uint16_t *map[MIX_MAPS];       /* map_count[i] * MIX_MAP_BUCKETS probabilities */
    uint32_t map_count[MIX_MAPS];

    uint32_t dither;               /* the same at both ends, like all of this */
    bool fast;                     /* the decision under way is mixed by set MIX_FAST alone */
    uint32_t chosen[MIX_SELECTORS + 1];
    int logit[MIX_SELECTORS + 1], p[MIX_SELECTORS + 1];
    unsigned final_set;
    int mixed;                     /* after the second layer */
    uint16_t *map_at[MIX_MAPS];
};

/* sets, uses and maps belong to the caller, who has filled in first, count, map, map_count. */
void mix_mixer_init(struct mix_mixer *m);
/* fast: one weight set alone mixes, the one of select[MIX_FAST]. select: for each selector which of its sets (taken modulo their number); final_set < MIX_FINAL_SETS;
 * map: contexts of the maps (modulo). The inputs stand in m->in, unused ones 0.
 * Return: probability of a 1 in 1/65536, 1 .. 65535. */
int mix_mixer_predict(struct mix_mixer *m, bool fast, const uint32_t select[MIX_SELECTORS + 1],
                      unsigned final_set, const uint32_t map[MIX_MAPS]);
/* Learns the bit. Return: was it a surprise, of a probability below 1 - 1/32? */
bool mix_mixer_update(struct mix_mixer *m, int bit);

#endif
