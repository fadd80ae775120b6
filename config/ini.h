/* An INI file cut into sections and keys, as text: what they mean is config.c's concern.
 *
 *     [kind] or [kind name]      a section
 *     key = value  ; comment     blanks around each are dropped; " ;" begins a comment, "a;b" has none
 *     ; comment, # comment       a line of its own
 *
 * Nothing else is allowed: no quotes, no continued lines, no `key: value`. */
#ifndef CONFIG_INI_H
#define CONFIG_INI_H

#include <stdbool.h>
#include <stddef.h>
#include "base/attr.h"
#include "config/diag.h"

#define INI_MAX_FILE_BYTES (1024 * 1024)
#define INI_MAX_LINE_BYTES 4096
#define INI_MAX_NAME_BYTES 63 /* of a section's kind or name, and of a key */

struct ini_entry {
    const char *key, *value; /* value may be "" */
    int line;
    bool bad;                /* set by who reads it: its value was refused */
};

struct ini_section {
    const char *title;       /* as in the file, "peer hub"; kind and name in one */
    const char *kind, *name; /* name "" when there is none */
    int line;
    size_t first, count;     /* its entries */
};

struct ini {
    char *text;              /* the file; entries and sections point into it */
    char *titles;
    struct ini_section *sections;
    size_t section_count;
    struct ini_entry *entries;
    size_t entry_count;
};

/* Cuts n bytes of text up. Bad lines are told to d and left out; the rest is kept.
 * Return: 0, or -ENOMEM with *ini as ini_fini likes it. */
int ini_parse(struct ini *ini, const char *text, size_t n, struct diag *d) MUST_CHECK;
void ini_fini(struct ini *ini);

/* The first entry of the section with this key, or NULL. */
struct ini_entry *ini_find(const struct ini *ini, const struct ini_section *s, const char *key);
/* The section whose header stands on this line, or NULL. */
const struct ini_section *ini_section_at(const struct ini *ini, int line);

#endif
