/* One section of the file through its option rows into its struct. */
#ifndef CONFIG_FILL_H
#define CONFIG_FILL_H

#include <stdbool.h>
#include <stddef.h>
#include "base/attr.h"
#include "base/option.h"
#include "config/diag.h"
#include "config/ini.h"

#define FILL_MAX_TARGETS 2

/* Rows and the struct that they fill, zeroed before. A link has two of these: its own and its
 * driver's. */
struct fill_target {
    const struct option *rows;
    size_t count;
    void *base;
};

/* Puts the section's keys through the rows; what is not written gets its default. s NULL: the
 * section is not in the file, and nothing of it is required. judge_unknown: a key that is in no row
 * is an error; false where the driver is not known, whose keys therefore cannot be judged. folder:
 * the INI file's, for paths. Entries whose value is refused are marked bad. Every member is
 * well-formed afterwards, whatever the file says. Return: 0 or -ENOMEM. Bad input is told to d and
 * is no failure here. */
int fill(struct ini *ini, const struct ini_section *s, const struct fill_target *t, size_t targets,
         bool judge_unknown, const char *folder, struct diag *d) MUST_CHECK;

#endif
