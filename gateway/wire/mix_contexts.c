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
    for (unsigned bit = 0; bit < 2; bit++)
        for (unsigned n = 1; n <= MIX_RUN_IMPLIES; n++)
            c->implied[bit][n] = mix_states[c->implied[bit][n - 1]].next[bit];
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

/* Of a node: where in the line its history may stand, and the check that tells it from others. */
static uint32_t mark_of(uint32_t hash, unsigned node)
{
    uint32_t h = (hash + node * 0x9e3779b1u) * 0x2c1b3c6du;

    return h ^ h >> 15;
}

static unsigned check_of(uint32_t mark)
{
    return mark & 0xff;
}

static unsigned place_of(uint32_t mark)
{
    return mark >> 8 & (MIX_LINE - 1);
}

/* Has the history that check, and a state that is not 0? */
static unsigned is_of(unsigned history, unsigned check)
{
    return history - (check << 8) - 1 < 255;
}

/* The history of that mark, or NULL. Which of the places it is cannot be foretold, so there is one branch, not four. */
static inline uint16_t *find(uint16_t *line, uint32_t mark)
{
    unsigned place = place_of(mark), check = check_of(mark);
    unsigned hits = is_of(line[place], check) | is_of(line[place ^ 1], check) << 1 |
                    is_of(line[place ^ 2], check) << 2 | is_of(line[place ^ 3], check) << 3;

    return hits ? line + (place ^ (unsigned)__builtin_ctz(hits)) : NULL;
}

/* Where a new history of that mark goes: the least seen of its four places. */
static uint16_t *room_for(uint16_t *line, uint32_t mark)
{
    unsigned place = place_of(mark);
    uint16_t *worst = line + place;

    for (unsigned k = 1; k < 4 && mark >> 24 & 7; k++)
        if (seen(line[place ^ k]) < seen(*worst))
            worst = line + (place ^ k);
    return worst;
}

static bool is_run_of(const struct mix_run *run, uint32_t hash)
{
    return run->count && run->check == (uint16_t)hash;
}

/* The context's run, or the shortest of those where it might stand. */
static struct mix_run *run_of(const struct mix_contexts *c, uint32_t hash)
{
    uint32_t place = mix_spread(hash * 0x85ebca77u, c->run_count);
    struct mix_run *shortest = &c->runs[place];

    for (uint32_t k = 0; k < MIX_RUN_BUCKET; k++) {
        struct mix_run *run = &c->runs[place ^ k];
        if (is_run_of(run, hash))
            return run;
        if (run->count < shortest->count)
            shortest = run;
    }
    return shortest;
}

static bool run_votes(const struct mix_contexts *c, unsigned i, unsigned node, unsigned bits)
{
    return c->known[i] && (256u | c->run[i]->byte) >> (8 - bits) == node;
}

/* The bit that the run's byte has next. */
static unsigned run_bit(const struct mix_run *run, unsigned bits)
{
    return run->byte >> (7 - bits) & 1;
}

static uint32_t *run_counter(struct mix_contexts *c, unsigned i, unsigned bits)
{
    const struct mix_run *run = c->run[i];

    return &c->run_map[i][run_bit(run, bits)][mix_least(run->count, 63)];
}

/* Order 4, and the field or column with what it was. */
static const uint8_t fast_ones[MIX_CONTEXTS_FAST] = {1, 3};

static inline void begin_one(struct mix_contexts *c, unsigned i, uint32_t hash)
{
    c->hash[i] = c->nibble[i] = hash;
    c->line[i] = line_of(c, hash);
    c->run[i] = run_of(c, hash);
    c->known[i] = is_run_of(c->run[i], hash);
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
    c->mark[i] = mark_of(c->nibble[i], node);
    c->slot[i] = find(c->line[i], c->mark[i]);
    c->history[i] = c->slot[i] ? *c->slot[i] : (uint16_t)(check_of(c->mark[i]) << 8);
    bool votes = run_votes(c, i, node, bits);
    if (votes && !c->slot[i])
        c->history[i] |= c->implied[run_bit(c->run[i], bits)][mix_least(c->run[i]->count, MIX_RUN_IMPLIES)];
    unsigned state = c->history[i] & 255;
    in[0] = in[1] = in[2] = 0;
    if (state) {
        int p = mix_counter_p(c->state_map[i][c->kind + state]);
        in[0] = (int16_t)mix_stretch(p);
        in[1] = (int16_t)((p - 32768) / 32);
    }
    if (votes)
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

/* Only a context that was met before is worth histories. */
static inline void make_room(struct mix_contexts *c, unsigned i)
{
    if (!c->slot[i] && c->known[i])
        c->slot[i] = room_for(c->line[i], c->mark[i]);
}

static inline void update_one(struct mix_contexts *c, unsigned i, unsigned node, unsigned bits, int bit)
{
    unsigned state = c->history[i] & 255;

    if (state)
        mix_counter_update(&c->state_map[i][c->kind + state], bit, STATE_LIMIT);
    if (c->slot[i])
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
    /* Before any is written: contexts may share a line. */
    for (unsigned n = 0; surprise && c->fast && n < MIX_CONTEXTS_FAST; n++)
        make_room(c, fast_ones[n]);
    for (unsigned i = 0; surprise && !c->fast && i < MIX_CONTEXTS; i++)
        make_room(c, i);
    for (unsigned n = 0; c->fast && n < MIX_CONTEXTS_FAST; n++)
        update_one(c, fast_ones[n], node, bits, bit);
    for (unsigned i = 0; !c->fast && i < MIX_CONTEXTS; i++)
        update_one(c, i, node, bits, bit);
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
