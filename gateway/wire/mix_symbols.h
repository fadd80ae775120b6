/* Small symbols: everything of a record but its bytes (type, class, slot, numbers, lengths, ends).
 *
 * A symbol is up to 16 bits, coded from the top, or a number of up to 64: its length in bits first, then
 * the bits below the leading one. Each decision mixes the counters of up to six contexts, which whoever
 * codes the symbol has hashed from what both ends know; each kind of symbol has mixer weights of its own,
 * and in it each bit. */
#ifndef WIRE_MIX_SYMBOLS_H
#define WIRE_MIX_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIX_SYMBOL_CONTEXTS 6
#define MIX_SYMBOL_SETS     48
#define MIX_SYMBOL_FLAGS    27 /* sets from here on are of flags beside each byte */
#define MIX_SYMBOL_DEPTHS   8 /* bits into the symbol that have weights of their own */

struct mix_symbols {
    uint32_t *counters; /* MIX_SYMBOL_CONTEXTS tables of counter_count */
    uint32_t counter_count, flag_count; /* of them flag_count for flags, which would drive out all others */
    int32_t weights[MIX_SYMBOL_SETS][MIX_SYMBOL_DEPTHS][MIX_SYMBOL_CONTEXTS];

    /* The symbol under way. */
    uint32_t context[MIX_SYMBOL_CONTEXTS];
    unsigned set, bits, limit;
    bool number;      /* the number's length is being coded */
    unsigned size;    /* of the number; 0 for other symbols */
    uint64_t value;
    unsigned done;

    /* The decision under way. */
    uint32_t *counter[MIX_SYMBOL_CONTEXTS];
    int logit[MIX_SYMBOL_CONTEXTS];
    int p;
};

/* counters: zero, MIX_SYMBOL_CONTEXTS * counter_count of them, the caller's. */
void mix_symbols_init(struct mix_symbols *s, uint32_t *counters, uint32_t counter_count);
/* A symbol of `bits` bits begins; bits 0: a number. set < MIX_SYMBOL_SETS. limit: how far back counters
 * remember (127 for what changes, 511 for what stays). */
void mix_symbols_begin(struct mix_symbols *s, unsigned set, unsigned bits, unsigned limit,
                       const uint32_t context[MIX_SYMBOL_CONTEXTS]);
/* Probability of a 1 in 1/65536. */
int mix_symbols_predict(struct mix_symbols *s);
/* The decision. Return: true when the symbol is complete: s->value. */
bool mix_symbols_update(struct mix_symbols *s, int bit);
/* The next bit of a symbol that shall get this value. */
int mix_symbols_bit(const struct mix_symbols *s, uint64_t value);

#endif
