/* Numbers with a unit as operators write them: durations `500ms 30s 15m 6h 7d 0 never`, sizes `512
 * 64K 256M 2G`. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

#define DURATION_NEVER   INT64_MAX /* as a value of milliseconds: "never" */
#define UNITS_TEXT_BYTES 32        /* enough for what the format functions write, with the NUL */

/* Reads a duration into milliseconds: digits and one of ms, s, m, h, d; `0` alone; `never`.
 * Any other bare number is refused, for nobody can tell whether seconds or minutes were meant.
 * Return: false when the text is none, or is more than an int64_t holds; *ms is then untouched. */
bool duration_parse(const char *text, int64_t *ms) MUST_CHECK;
/* Reads a size into bytes: digits and none or one of K, M, G (powers of 1024). Return: as above. */
bool size_parse(const char *text, int64_t *bytes) MUST_CHECK;
/* Reads a whole decimal number, with or without a minus sign. Return: as above. */
bool integer_parse(const char *text, int64_t *value) MUST_CHECK;

/* Write the value (0 or more) in the largest unit that keeps it exact, as the parse functions read
 * it back. */
void duration_format(int64_t ms, char out[UNITS_TEXT_BYTES]);
void size_format(int64_t bytes, char out[UNITS_TEXT_BYTES]);

#endif
