/* A running hash over records: what both ends of a stream compare to see that their models still
 * agree (DESIGN.md 2, [P-5]). Only what the codec carries counts, in one canonical form. Pure. */
#ifndef WIRE_RECORD_CHECK_H
#define WIRE_RECORD_CHECK_H

#include <stdint.h>
#include "base/hash.h"
#include "gateway/wire/record.h"

#define RECORD_CHECK_START HASH64_START

/* Continues the hash over one record. */
uint64_t record_check_add(uint64_t h, const struct record *r);
/* What a frame carries of it. */
uint16_t record_check_fold(uint64_t h);

#endif
