/* The messages of one reading of the operator's file: collected, so that all of them are told in
 * one run and in the order of the file's lines, whichever check found them. */
#ifndef CONFIG_DIAG_H
#define CONFIG_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "base/attr.h"

#define DIAG_MAX_LINES 200 /* of errors and of warnings each; the rest is counted */

struct diag_line;
struct diag {
    const char *file; /* as it stands before each message; the caller's */
    struct diag_line *lines;
    size_t count, cap;
    size_t errors, warnings; /* all, also those not kept */
};

void diag_init(struct diag *d, const char *file);
void diag_fini(struct diag *d);
/* Adds `FILE:LINE: section.key: text`. line 0: of the whole file, no number is written. section or
 * key NULL: left out. An error beyond memory still counts, so that a bad file is never taken for a
 * good one. */
void diag_error(struct diag *d, int line, const char *section, const char *key, const char *fmt,
                ...) PRINTF_LIKE(5, 6);
void diag_warning(struct diag *d, int line, const char *section, const char *key, const char *fmt,
                  ...) PRINTF_LIKE(5, 6);
/* Writes them all, sorted by line. */
void diag_print(struct diag *d, FILE *out);

#endif
