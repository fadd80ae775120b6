/* Looking at a store that nobody runs on, for `longwire check`: nothing of it is migrated or repaired, and no segment begins. */
#ifndef STORE_PEEK_H
#define STORE_PEEK_H

#include <stddef.h>
#include "base/attr.h"

struct store_peek;

/* Return: 0, to be closed; STORE_NONE: there is no file, or nothing in it; STORE_LOCKED: a gateway runs on it: ask that; negative
 * errno: it cannot be read. */
int store_peek_open(struct store_peek **out, const char *path) MUST_CHECK;
/* As store_get. */
int store_peek_get(struct store_peek *p, const char *key, void *value, size_t *n) MUST_CHECK;
/* NULL is allowed. */
void store_peek_close(struct store_peek *p);

#endif
