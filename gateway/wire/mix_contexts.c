#include "gateway/wire/mix_contexts.h"

#include <stdbool.h>
#include <string.h>
#include "gateway/wire/mix_counter.h"

#define STATE_LIMIT 255
#define RUN_LIMIT   255
#define RUN_WORN    3 /* a run no longer than this gives way */

void mix_contexts_init(struct mix_contexts *c, uint32_t lines, uint32_t run_count)
{
    c->lines = lines;
    c->run_count = run_count;
    for (unsigned i = 0; i < MIX_CONTEXTS; i++) {
        for (unsigned s = 0; s < MIX_CONTEXT_KINDS * 256; s++) {
            const struct mix_state *state = &mix_states[s & 255];
            uint32_t zeros = state->zeros, ones = state->ones;
            c->state_map[i][s] =
                mix_counter_of((4 * ones + 1) * 65535 / (4 * (zeros + ones) + 2), 4);
        }
        for (unsigned n = 0; n < 64; n++) {
            uint32_t against = 65536 / (2 * n + 3);
            c->run_map[i][0][n] = mix_counter_of(against, 4);
            c->run_map[i][1][n] = mix_counter_of(65535 - against, 4);
        }
    }
}

static uint16_t *line_of(const struct mix_contexts *c, uint32_t hash)
{
    uint16_t *line = c->histories + (size_t)mix_spread(hash * 0x9e3779b1u, c->lines) * MIX_LINE;

    __builtin_prefetch(line, 1);
    return line;
}

static unsigned seen(uint16_t history)
{
    const struct mix_state *state = &mix_states[history & 255];

    return (unsigned)state->zeros + state->ones;
}

/* The history of a node in the line: found by its check; else the least seen of four places, where it
 * would go. history: what stands there of this node, with state 0 where that is nothing. */
static uint16_t *slot_of(uint16_t *line, uint32_t hash, unsigned node, uint16_t *history)
{
    uint32_t h = (hash + node * 0x9e3779b1u) * 0x2c1b3c6du;

    h ^= h >> 15;
    unsigned check = h & 0xff, place = h >> 8 & (MIX_LINE - 1);
    for (unsigned k = 0; k < 4; k++) {
        uint16_t *slot = line + (place ^ k);
        if (*slot >> 8 == check && *slot & 255) {
            *history = *slot;
            return slot;
        }
    }
    uint16_t *worst = line + place;
    for (unsigned k = 1; k < 4 && h >> 24 & 7; k++)
        if (seen(line[place ^ k]) < seen(*worst))
            worst = line + (place ^ k);
    *history = (uint16_t)(check << 8);
    return worst;
}

static bool run_votes(const struct mix_contexts *c, unsigned i, unsigned node, unsigned bits)
{
    const struct mix_run *run = c->run[i];

    return run->count && run->check == (uint16_t)c->hash[i] &&
           (256u | run->byte) >> (8 - bits) == node;
}

static uint32_t *run_counter(struct mix_contexts *c, unsigned i, unsigned bits)
{
    const struct mix_run *run = c->run[i];

    return &c->run_map[i][run->byte >> (7 - bits) & 1][run->count > 63 ? 63 : run->count];
}

/* Order 4, and the field or column with what it was. */
static const uint8_t fast_ones[MIX_CONTEXTS_FAST] = {1, 3};

static inline void begin_one(struct mix_contexts *c, unsigned i, uint32_t hash)
{
    c->hash[i] = c->nibble[i] = hash;
    c->line[i] = line_of(c, hash);
    c->run[i] = &c->runs[mix_spread(hash * 0x85ebca77u, c->run_count)];
}

void mix_contexts_begin(struct mix_contexts *c, unsigned kind, bool fast, const uint32_t hash[MIX_CONTEXTS])
{
    c->kind = kind * 256;
    c->fast = fast;
    c->surprised = false;
    for (unsigned n = 0; fast && n < MIX_CONTEXTS_FAST; n++)
        begin_one(c, fast_ones[n], hash[fast_ones[n]]);
    for (unsigned i = 0; !fast && i < MIX_CONTEXTS; i++)
        begin_one(c, i, hash[i]);
}

static inline void predict_one(struct mix_contexts *c, unsigned i, unsigned node, unsigned bits, int16_t *in)
{
    c->slot[i] = slot_of(c->line[i], c->nibble[i], node, &c->history[i]);
    unsigned state = c->history[i] & 255;
    in[0] = in[1] = in[2] = 0;
    if (state) {
        int p = mix_counter_p(c->state_map[i][c->kind + state]);
        in[0] = (int16_t)mix_stretch(p);
        in[1] = (int16_t)((p - 32768) / 32);
    }
    if (run_votes(c, i, node, bits))
        in[2] = (int16_t)mix_stretch(mix_counter_p(*run_counter(c, i, bits)));
}

void mix_contexts_predict(struct mix_contexts *c, unsigned node, unsigned bits, int16_t *in)
{
    if (c->fast)
        memset(in, 0, MIX_CONTEXTS * MIX_CONTEXT_INPUTS * sizeof *in);
    for (unsigned n = 0; c->fast && n < MIX_CONTEXTS_FAST; n++)
        predict_one(c, fast_ones[n], node, bits, in + (size_t)fast_ones[n] * MIX_CONTEXT_INPUTS);
    for (unsigned i = 0; !c->fast && i < MIX_CONTEXTS; i++)
        predict_one(c, i, node, bits, in + (size_t)i * MIX_CONTEXT_INPUTS);
}

static inline void update_one(struct mix_contexts *c, unsigned i, unsigned node, unsigned bits, int bit,
                              bool surprise)
{
    unsigned state = c->history[i] & 255;

    if (state)
        mix_counter_update(&c->state_map[i][c->kind + state], bit, STATE_LIMIT);
    if (state || surprise)
        *c->slot[i] = (uint16_t)((c->history[i] & 0xff00) | mix_states[state].next[bit]);
    if (run_votes(c, i, node, bits))
        mix_counter_update(run_counter(c, i, bits), bit, RUN_LIMIT);
    if (bits == 3) {
        c->nibble[i] = mix_hash2(c->hash[i], 0x51ed27 + (node << 1 | (unsigned)bit));
        c->line[i] = line_of(c, c->nibble[i]);
    }
}

void mix_contexts_update(struct mix_contexts *c, unsigned node, unsigned bits, int bit, bool surprise)
{
    c->surprised |= surprise;
    for (unsigned n = 0; c->fast && n < MIX_CONTEXTS_FAST; n++)
        update_one(c, fast_ones[n], node, bits, bit, surprise);
    for (unsigned i = 0; !c->fast && i < MIX_CONTEXTS; i++)
        update_one(c, i, node, bits, bit, surprise);
}

static inline void end_one(struct mix_contexts *c, unsigned i, uint8_t byte)
{
    struct mix_run *run = c->run[i];

    if (run->check != (uint16_t)c->hash[i]) { /* a stranger: worn down before it is replaced */
        if (!c->surprised)
            return;
        if (run->count > RUN_WORN)
            run->count -= 2;
        else
            *run = (struct mix_run){.check = (uint16_t)c->hash[i], .byte = byte, .count = 1};
    } else if (run->count == 0 || run->byte != byte) {
        run->byte = byte;
        run->count = 1;
    } else if (run->count < 255) {
        run->count++;
    }
}

void mix_contexts_end(struct mix_contexts *c, uint8_t byte)
{
    for (unsigned n = 0; c->fast && n < MIX_CONTEXTS_FAST; n++)
        end_one(c, fast_ones[n], byte);
    for (unsigned i = 0; !c->fast && i < MIX_CONTEXTS; i++)
        end_one(c, i, byte);
}
