/* One value of the operator's file: text to member, by its option row. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/attr.h"
#include "base/option.h"

#define VALUE_WHY_BYTES 400

/* Puts text into the member of `base` that the row names, in place of what is there. folder: the
 * INI file's, for paths. Return: false when the text is refused: the member is as it was, why says
 * what is wrong and what is allowed. */
bool value_set(const struct option *row, void *base, const char *text, const char *folder,
               char why[VALUE_WHY_BYTES]) MUST_CHECK;
/* Puts the default there; for a required option what is empty ("" or no items or 0), so that the
 * member may be read in any case. Return: false when out of memory. */
bool value_set_default(const struct option *row, void *base, const char *folder) MUST_CHECK;
/* Frees what the member owns. The base was zeroed before the first value_set. */
void value_fini(const struct option *row, void *base);

/* What may be written for this row, in words: "1 to 65535", "auto, 5, 3.1.1". */
void value_allowed(const struct option *row, char *out, size_t size);

/* Frees the items and empties the list. */
void string_list_fini(struct string_list *list);
/* Copies text into out and cuts it, between characters, to what can stand in a message. */
void value_quote(const char *text, char out[VALUE_WHY_BYTES / 4]);

#endif
