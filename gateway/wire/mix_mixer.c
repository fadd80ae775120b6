#include "gateway/wire/mix_mixer.h"

#include <string.h>
#include "gateway/wire/mix_tables.h"

#define WEIGHT_ONE   (1 << 18)
#define WEIGHT_START (WEIGHT_ONE * 35 / 1000)
#define WEIGHT_MAX   (4 * WEIGHT_ONE - 1) /* so that dot() cannot overflow 32 bits */
#define FINAL_ONE    (1 << 16)
#define RATE_FIRST   28 /* learning rates of a set, at its first uses and later */
#define RATE_LAST    3
#define RATE_USES    512
#define MAP_RATE     6

void mix_mixer_init(struct mix_mixer *m)
{
    uint32_t sets = 0;

    for (unsigned k = 0; k < MIX_SELECTORS; k++)
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

static int dot(const int32_t *w, const int16_t *in)
{
    int32_t sum = 0;

    for (unsigned i = 0; i < MIX_INPUTS; i++)
        sum += (int16_t)(w[i] >> 7) * in[i];
    return sum >> 11;
}

static void train(int32_t *w, const int16_t *in, int16_t error)
{
    for (unsigned i = 0; i < MIX_INPUTS; i++) {
        int32_t v = w[i] + ((in[i] * error + (1 << 9)) >> 10);
        v = v > WEIGHT_MAX ? WEIGHT_MAX : v;
        w[i] = v < -WEIGHT_MAX ? -WEIGHT_MAX : v;
    }
}

int mix_mixer_predict(struct mix_mixer *m, const uint32_t select[MIX_SELECTORS], unsigned final_set,
                      const uint32_t map[MIX_MAPS])
{
    const int32_t *final = m->final[final_set];
    int64_t sum = 0;

    for (unsigned k = 0; k < MIX_SELECTORS; k++) {
        m->chosen[k] = m->first[k] + within(select[k], m->count[k]);
        m->logit[k] = clamp(dot(m->sets[m->chosen[k]].w, m->in));
        m->p[k] = mix_squash(m->logit[k]);
        sum += (int64_t)final[k] * m->logit[k];
    }
    m->final_set = final_set;
    int logit = clamp(sum >> 16);
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

void mix_mixer_update(struct mix_mixer *m, int bit)
{
    int target = bit << 16;

    for (unsigned k = 0; k < MIX_SELECTORS; k++) {
        uint16_t *uses = &m->uses[m->chosen[k]];
        int rate = RATE_LAST + (RATE_FIRST - RATE_LAST) * RATE_USES / (RATE_USES + *uses);
        int error = (target - m->p[k]) * rate / 128;
        if (*uses < 4096)
            ++*uses;
        if (error)
            train(m->sets[m->chosen[k]].w, m->in, (int16_t)error);
    }
    int error = (target - m->mixed) / 16;
    for (unsigned k = 0; k < MIX_SELECTORS; k++)
        m->final[m->final_set][k] += (m->logit[k] * error + (1 << 13)) >> 14;
    for (unsigned k = 0; k < MIX_MAPS; k++) {
        int p = *m->map_at[k];
        *m->map_at[k] = (uint16_t)(p + (((bit << 16) - bit - p) >> MAP_RATE));
    }
}
