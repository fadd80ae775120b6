/* Constants of the context-mixing codec, written by gen_mix_tables.py: both ends must have the same
 * to the last bit, so they stand in the source and nothing computes them at run time (docs/CODEC.md). */
#ifndef WIRE_MIX_TABLES_H
#define WIRE_MIX_TABLES_H

#include <stdint.h>

/* Logits are in 1/256 units within +-MIX_LOGIT_MAX; probabilities of a 1 in 1/65536. */
#define MIX_LOGIT_MAX 2880

/* A bit history: how often each bit was seen in a context lately (bounded), and the last one. */
struct mix_state {
    uint8_t next[2]; /* after a 0, after a 1 */
    uint8_t zeros, ones;
};

extern const uint16_t mix_squash_table[361];   /* every 8th logit from 0 up */
extern const int16_t mix_stretch_tail[2048];   /* p = 0 .. 2047 */
extern const int16_t mix_stretch_middle[1921]; /* p = 2048 .. 32783 in steps of 16 */
extern const uint16_t mix_reciprocal[512];     /* 65536 / (n + 3/2) */
extern const uint32_t mix_exp_tail[2048];      /* 2^23 exp(-i / 128) */
extern const struct mix_state mix_states[256];

static inline int mix_squash(int logit)
{
    int x = logit < 0 ? -logit : logit;

    if (x >= MIX_LOGIT_MAX)
        x = MIX_LOGIT_MAX - 1;
    int low = mix_squash_table[x >> 3], high = mix_squash_table[(x >> 3) + 1];
    int p = low + ((high - low) * (x & 7) >> 3);
    return logit < 0 ? 65536 - p : p;
}

static inline int mix_stretch(int p)
{
    int low = p < 32768 ? p : 65535 - p;
    int logit = low < 2048 ? mix_stretch_tail[low] : mix_stretch_middle[(low >> 4) - 128];

    return p < 32768 ? logit : -logit;
}

#endif
