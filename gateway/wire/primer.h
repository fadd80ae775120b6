/* The built-in primer: short made-up messages in the manner of many kinds of devices. What a new pair's
 * first messages lack is text (names of fields, units, topic words), and here it is.
 *
 * Every model begins from it (primer_models.c): these records, in this order at both ends. The primer is part of the codec
 * version. */
#ifndef WIRE_PRIMER_H
#define WIRE_PRIMER_H

#include <stddef.h>
#include "gateway/wire/record.h"

#define PRIMER_BYTES_MAX 16384 /* topics and payloads together */

size_t primer_count(void);
/* Record i of the primer; its pointers are static. */
struct record primer_record(size_t i);

#endif
