#include "gateway/wire/mix_mixer.h"

#include <string.h>
#include "gateway/wire/mix_tables.h"

#define WEIGHT_BITS  12
#define WEIGHT_ONE   (1 << WEIGHT_BITS)
#define WEIGHT_START (WEIGHT_ONE * 35 / 1000)
#define WEIGHT_MAX   14400 /* times what the inputs may come to together, it stays below 2^31 */
#define FINAL_ONE    (1 << 16)
#define RATE_FIRST   28 /* learning rates of a set, at its first uses and later */
#define RATE_LAST    3
#define RATE_USES    512
#define MAP_RATE     6
#define SURPRISE     2048 /* probability of the other bit, in 1/65536 (measured: less fills the tables of a mix of sites) */

/* Half of the model's time goes into two loops that -O2 leaves as they are. */
#if defined __GNUC__ && !defined __clang__
#define VECTORS __attribute__((optimize("O3")))
#else
#define VECTORS
#endif

void mix_mixer_init(struct mix_mixer *m)
{
    uint32_t sets = 0;

    for (unsigned k = 0; k <= MIX_FAST; k++)
        sets += m->count[k];
    for (uint32_t s = 0; s < sets; s++)
        for (unsigned i = 0; i < MIX_INPUTS; i++)
            m->sets[s].w[i] = WEIGHT_START;
    memset(m->uses, 0, sets * sizeof *m->uses);
    for (unsigned s = 0; s < MIX_FINAL_SETS; s++)
        for (unsigned k = 0; k < MIX_SELECTORS; k++)
            m->final[s][k] = FINAL_ONE / MIX_SELECTORS;
    for (unsigned k = 0; k < MIX_MAPS; k++)
        for (uint32_t i = 0; i < m->map_count[k] * MIX_MAP_BUCKETS; i++)
            m->map[k][i] = (uint16_t)mix_squash(((int)(i % MIX_MAP_BUCKETS) - 16) * 176);
}

static int clamp(int64_t logit)
{
    return logit > MIX_LOGIT_MAX ? MIX_LOGIT_MAX : logit < -MIX_LOGIT_MAX ? -MIX_LOGIT_MAX : (int)logit;
}

/* x modulo n; mostly x is below n, and a division a decision is dear. */
static uint32_t within(uint32_t x, uint32_t n)
{
    return x < n ? x : x % n;
}

VECTORS static int dot(const int16_t *w, const int16_t *in)
{
    int32_t sum = 0;

    for (unsigned i = 0; i < MIX_INPUTS; i++)
        sum += w[i] * in[i];
    return sum >> WEIGHT_BITS;
}

/* A step of 1/65536 of input times error is mostly less than a weight's last bit: `dither` says which way it
 * is rounded, so that on the whole no step is lost. (In 16 bits throughout: eight weights at a time.) */
VECTORS static void train(int16_t *w, const int16_t *in, int16_t error, uint16_t dither)
{
    for (unsigned i = 0; i < MIX_INPUTS; i++) {
        int32_t product = in[i] * error;
        int16_t step = (int16_t)(product >> 16);
        uint16_t low = (uint16_t)product, sum = (uint16_t)(low + dither);
        int16_t v = (int16_t)(w[i] + step + (sum < dither));
        v = v > WEIGHT_MAX ? WEIGHT_MAX : v;
        w[i] = v < -WEIGHT_MAX ? -WEIGHT_MAX : v;
    }
}

static void ask_set(struct mix_mixer *m, unsigned k, uint32_t select)
{
    m->chosen[k] = m->first[k] + within(select, m->count[k]);
    m->logit[k] = clamp(dot(m->sets[m->chosen[k]].w, m->in));
    m->p[k] = mix_squash(m->logit[k]);
}

int mix_mixer_predict(struct mix_mixer *m, bool fast, const uint32_t select[MIX_SELECTORS + 1],
                      unsigned final_set, const uint32_t map[MIX_MAPS])
{
    const int32_t *final = m->final[final_set];
    int64_t sum = 0;

    m->fast = fast;
    for (unsigned k = 0; k < MIX_SELECTORS && !fast; k++) {
        ask_set(m, k, select[k]);
        sum += (int64_t)final[k] * m->logit[k];
    }
    if (fast)
        ask_set(m, MIX_FAST, select[MIX_FAST]);
    m->final_set = final_set;
    int logit = fast ? m->logit[MIX_FAST] : clamp(sum >> 16);
    m->mixed = mix_squash(logit);

    int p = 2 * m->mixed;
    unsigned bucket = (unsigned)(logit + MIX_LOGIT_MAX + 90) / 180;
    for (unsigned k = 0; k < MIX_MAPS; k++) {
        m->map_at[k] = &m->map[k][within(map[k], m->map_count[k]) * MIX_MAP_BUCKETS + bucket];
        p += *m->map_at[k];
    }
    p /= 2 + MIX_MAPS;
    return p < 1 ? 1 : p > 65535 ? 65535 : p;
}

bool mix_mixer_update(struct mix_mixer *m, int bit)
{
    int target = bit << 16;

    m->dither = m->dither * 0x2c1b3c6du + 0x9e3779b1u;
    uint16_t dither = (uint16_t)(m->dither >> 16);
    unsigned from = m->fast ? MIX_FAST : 0, to = m->fast ? MIX_FAST + 1 : MIX_SELECTORS;
    for (unsigned k = from; k < to; k++) {
        uint16_t *uses = &m->uses[m->chosen[k]];
        int rate = RATE_LAST + (RATE_FIRST - RATE_LAST) * RATE_USES / (RATE_USES + *uses);
        int error = (target - m->p[k]) * rate / 128;
        if (*uses < 4096)
            ++*uses;
        if (error)
            train(m->sets[m->chosen[k]].w, m->in, (int16_t)error, dither);
    }
    int error = (target - m->mixed) / 16;
    for (unsigned k = 0; k < MIX_SELECTORS && !m->fast; k++)
        m->final[m->final_set][k] += (m->logit[k] * error + (1 << 13)) >> 14;
    for (unsigned k = 0; k < MIX_MAPS; k++) {
        int p = *m->map_at[k];
        *m->map_at[k] = (uint16_t)(p + (((bit << 16) - bit - p) >> MAP_RATE));
    }
    return (bit ? 65536 - m->mixed : m->mixed) >= SURPRISE;
}
