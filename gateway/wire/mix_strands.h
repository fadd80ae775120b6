/* Several sites, or several parts of one, whose messages come interleaved: each is a strand that keeps its
 * own order. A record tells first whose turn it is and then which of that strand's topics comes, so that what
 * is learnt of one strand's order holds however the others fall in between.
 *
 * Strands are told apart by the first segment in which the topics differ: of "n/1/a", "n/1/b" and "n/2/a" that is the
 * second. Each has a number of its own by that segment's hash; sharing one costs a little and harms nothing. */
#ifndef WIRE_MIX_STRANDS_H
#define WIRE_MIX_STRANDS_H

#include <stdbool.h>
#include <stdint.h>

#define MIX_STRAND_BITS    5
#define MIX_STRANDS        (1u << MIX_STRAND_BITS)
#define MIX_STRAND_TEXT    (MIX_STRANDS - 1) /* of messages whose topic comes as text */
#define MIX_STRAND_LEVELS  4
#define MIX_STRAND_RECENT  6

/* The strands that a topic would belong to, by the level that tells the topics apart. */
struct mix_strand_name {
    uint8_t at[MIX_STRAND_LEVELS];
};

struct mix_strand {
    uint32_t recent[MIX_STRAND_RECENT]; /* its last topics' slots + 1, the last one first */
    uint32_t seen;
    uint32_t last;      /* when, counted in messages of all strands */
    uint32_t period;    /* 1/256 messages from one to the next */
    int64_t due;        /* 1/256 messages */
};

struct mix_strands {
    struct mix_strand strand[MIX_STRANDS];
    uint32_t first[MIX_STRAND_LEVELS]; /* hashes of the first topic's segments, up to each level */
    unsigned levels;    /* of it, that all topics have had in common so far */
    bool named;
    uint32_t count;     /* messages so far */
    uint32_t order;     /* the last strands, six bits each and the latest lowest */
};

/* A topic gets a text. */
void mix_strands_name(struct mix_strands *s, struct mix_strand_name *name, const char *text, uint32_t n);
/* The strand of a topic. */
unsigned mix_strands_of(const struct mix_strands *s, const struct mix_strand_name *name);
/* Contexts for whose turn it is. recent: slots of the last messages, of all strands. */
void mix_strands_contexts(const struct mix_strands *s, const uint32_t recent[2], uint32_t c[6]);
/* A message of the strand came. */
void mix_strands_add(struct mix_strands *s, unsigned strand, uint32_t slot);

#endif
