/* Binary floating point as decimals, by integers alone: sensors' values were decimals before they became
 * floats, and the floats that some short decimal rounds to are few. Bits are IEEE 754 binary32 or
 * binary64, without the sign. */
#ifndef WIRE_MIX_DECIMAL_H
#define WIRE_MIX_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#define MIX_FLOAT_DECIMALS 12 /* looked for behind the point */

/* *edge = how many multiples of 10^-decimals, counted from 0, round to floats below this one. With the
 * next float's edge it tells which decimals round to this one. size: 4 or 8 bytes.
 * Return: false when it does not fit 57 bits, or the float is no number. */
bool mix_decimal_edge(uint64_t bits, unsigned size, unsigned decimals, int64_t *edge);
/* The shortest decimal that rounds to this float: *value in units of 10^-*decimals. Where there is none,
 * the nearest of the most decimals that fit. Return: false as above. */
bool mix_decimal_of(uint64_t bits, unsigned size, int64_t *value, unsigned *decimals);

#endif
