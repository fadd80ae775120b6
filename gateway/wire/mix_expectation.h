/* A string that is expected to follow: worked out in full when a field begins (a number along the line,
 * by a relation, a checksum), it votes byte for byte until the first one that differs. */
#ifndef WIRE_MIX_EXPECTATION_H
#define WIRE_MIX_EXPECTATION_H

#include <stdbool.h>
#include <stdint.h>

#define MIX_EXPECTED_MAX      24
#define MIX_EXPECTED_COUNTERS 512
#define MIX_EXPECTED_SURE     15

struct mix_expectation {
    uint8_t length, at;
    uint8_t sure;     /* 0 .. MIX_EXPECTED_SURE: how well its maker did lately */
    uint8_t diverged; /* 0 = so far as expected; else how it went off (mix_difference) */
    uint8_t text[MIX_EXPECTED_MAX];
    uint32_t *counter; /* behind the vote under way, or NULL */
    int vote;
};

/* What kinds there are: each has counters of its own. */
enum mix_expectation_kind { MIX_EXPECT_LINE, MIX_EXPECT_OTHER };
#define MIX_EXPECTATIONS 2

/* Counters behind the votes. */
struct mix_expectation_map {
    uint32_t counters[MIX_EXPECTATIONS][MIX_EXPECTED_COUNTERS];
};

void mix_expectation_map_init(struct mix_expectation_map *map);
/* How one byte differs from another: 1 up by one, 2 down by one, 3 up, 4 down, 5 not as digits do. */
unsigned mix_difference(uint8_t is, uint8_t was);
/* The byte expected next, or MIX_NOT_EXPECTED. */
#define MIX_NOT_EXPECTED 256u
unsigned mix_expectation_byte(const struct mix_expectation *e);
/* Two inputs. also: whether another model says the same. Return: 0 no vote, 1 votes, 2 votes and is sure. */
unsigned mix_expectation_predict(struct mix_expectation *e, struct mix_expectation_map *map,
                                 enum mix_expectation_kind kind, unsigned node, unsigned bits, bool also,
                                 int16_t in[2]);
void mix_expectation_update(struct mix_expectation *e, int bit);
void mix_expectation_follow(struct mix_expectation *e, uint8_t c);

#endif
