/* Hashed contexts: what followed when it last looked like this.
 *
 * Each context of a byte finds a line of 32 bit histories for its first nibble and another for its
 * second; within the line a node (the bits so far) finds its history by an 8-bit check. Beside that a
 * table of runs keeps for each context the byte that came last and how often in a row.
 * Every context gives three mixer inputs: stretch(p), p - 1/2, and the run's vote.
 *
 * Memory is what is short as soon as several sites share a link, so it goes to what comes again:
 * - Most bits of telemetry are foreseen by what is known already. Histories of them would teach nothing and
 *   drive out others, so a new one, or a new run, begins only where the mix was surprised.
 * - Most contexts that a surprise makes are never met again. Their first byte makes a run alone, of 4 bytes, and
 *   only a context that has one gets histories, of some 16. Until then, and for bits that were always foreseen,
 *   the run tells what the history would be: so often in a row that byte's bit. */
#ifndef WIRE_MIX_CONTEXTS_H
#define WIRE_MIX_CONTEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIX_CONTEXTS       15
#define MIX_CONTEXTS_FAST  2  /* of them, where speed counts more */
#define MIX_CONTEXT_INPUTS 3
#define MIX_LINE           32 /* histories in a line: 64 bytes, a cache line */
#define MIX_RUN_BUCKET     4  /* runs among which a context has its own */
#define MIX_RUN_IMPLIES    7  /* the longest run that a history is made of */
#define MIX_CONTEXT_KINDS  4  /* adaptive maps are apart for words, numbers, binary and containers */

struct mix_run {
    uint16_t check;
    uint8_t byte, count;
};

struct mix_contexts {
    uint16_t *histories; /* check << 8 | state */
    uint32_t lines;
    struct mix_run *runs;
    uint32_t run_count; /* a multiple of MIX_RUN_BUCKET */

    uint32_t state_map[MIX_CONTEXTS][MIX_CONTEXT_KINDS * 256];
    uint32_t run_map[MIX_CONTEXTS][2][64];
    uint8_t implied[2][MIX_RUN_IMPLIES + 1]; /* states after so many equal bits */

    unsigned kind;
    bool fast;
    bool surprised; /* by a bit of this byte */
    uint32_t hash[MIX_CONTEXTS], nibble[MIX_CONTEXTS];
    uint16_t *line[MIX_CONTEXTS];
    uint32_t mark[MIX_CONTEXTS];    /* of the node in the line */
    uint16_t *slot[MIX_CONTEXTS];   /* of its history; NULL: it has none */
    uint16_t history[MIX_CONTEXTS]; /* what stands there; state 0: none */
    struct mix_run *run[MIX_CONTEXTS]; /* its own, or the one that it may take */
    bool known[MIX_CONTEXTS];          /* has a run of its own */
};

/* The tables belong to the caller, who has filled in histories and runs, and are zero. */
void mix_contexts_init(struct mix_contexts *c, uint32_t lines, uint32_t run_count);
/* A byte begins: kind 0 .. 3, its contexts' hashes, and whether only the fast ones are asked. */
void mix_contexts_begin(struct mix_contexts *c, unsigned kind, bool fast, const uint32_t hash[MIX_CONTEXTS]);
/* Writes MIX_CONTEXTS * MIX_CONTEXT_INPUTS inputs. node: 1, then the bits so far below it. */
void mix_contexts_predict(struct mix_contexts *c, unsigned node, unsigned bits, int16_t *in);
/* surprise: the mix had not foreseen the bit, so that it is worth beginning histories for. */
void mix_contexts_update(struct mix_contexts *c, unsigned node, unsigned bits, int bit, bool surprise);
void mix_contexts_end(struct mix_contexts *c, uint8_t byte);

#endif
