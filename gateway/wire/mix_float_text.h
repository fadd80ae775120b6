/* Single-precision floats written out as text: behind the eighth digit or so of 893.6815795898438 nothing
 * is news, as only one float begins like that. */
#ifndef WIRE_MIX_FLOAT_TEXT_H
#define WIRE_MIX_FLOAT_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#define MIX_FLOAT_TEXT_MAX   20 /* digits */
#define MIX_FLOAT_TEXT_LEAST 7  /* significant digits that must be known first */

/* The digits behind the point are known so far: prefix is the whole number in units of 10^-decimals
 * (at most 15 digits). Writes the decimals that follow for the first float that begins so, as a double
 * prints it: the fewest digits that tell it from other doubles, or, with significant > 0, that many.
 * Return: how many digits, 0 = no float begins so, or it is beyond what fits. */
unsigned mix_float_text(uint64_t prefix, unsigned decimals, unsigned significant,
                        uint8_t out[MIX_FLOAT_TEXT_MAX]);

#endif
