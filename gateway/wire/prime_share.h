/* What the history tails of a link's two directions may cost their models ([P-12.7]). After a restart both are learned by one
 * processor, at each end; so they have one budget, and what the one leaves the other may take. Nothing here is measured: work is
 * reckoned from lengths, and told in six bits of the tail's name, so that both ends come to the same. Pure.
 *
 * A tail is learned at some 5 microseconds for each byte of work on the machine of docs/BENCHMARKS.md, whatever the messages are
 * (measured: 3.3 for short ones to 5.7 for protobuf), so PRIME_SHARE_UNITS of it at most come to 1.7 s. */
#ifndef WIRE_PRIME_SHARE_H
#define WIRE_PRIME_SHARE_H

#include <stdint.h>

#define PRIME_RECORD_COST 16  /* what a record takes beside its texts, in bytes of them */
#define PRIME_PIECE_BYTES 512 /* of payload in one record, so that a turn of the loop stays short */
#define PRIME_UNIT_WORK   4608
#define PRIME_SHARE_UNITS 63 /* of both directions together: what six bits tell */

/* Of a message of a tail, its topic in a slot. */
uint64_t prime_work(uint32_t payload_len);
/* The units that so much work begins; at least 1, at most PRIME_SHARE_UNITS. */
unsigned prime_units(uint64_t work);
/* How a tail is told of: by 26 bits of its hash and its units. Never 0 if units is not. */
uint32_t prime_tail_name(uint32_t hash, unsigned units);
unsigned prime_tail_units(uint32_t name);
/* Of a direction's own units, those that it may use beside another of so many: all where both fit, else what the other leaves,
 * or half. Which end asks, and for which direction, makes no difference. */
unsigned prime_share(unsigned own, unsigned other);

#endif
