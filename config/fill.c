#include "config/fill.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/value.h"

#define MAX_ROWS       64  /* of one section or driver */
#define MAX_KEYS_BYTES 500 /* of the list of keys in a message */

static void list_keys(const struct fill_target *t, size_t targets, char out[MAX_KEYS_BYTES])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < targets; i++)
        for (size_t r = 0; r < t[i].count && n < MAX_KEYS_BYTES; r++)
            n += (size_t)snprintf(out + n, MAX_KEYS_BYTES - n, "%s%s", n ? ", " : "",
                                  t[i].rows[r].key);
}

static void unknown_key(struct diag *d, const struct ini_section *s, const struct ini_entry *e,
                        const struct fill_target *t, size_t targets)
{
    char keys[MAX_KEYS_BYTES];
    list_keys(t, targets, keys);
    diag_error(d, e->line, s->title, e->key, "there is no such key here, allowed: %s", keys);
}

static bool find_row(const struct fill_target *t, size_t targets, const char *key, size_t *i,
                     size_t *row)
{
    for (*i = 0; *i < targets; ++*i)
        for (*row = 0; *row < t[*i].count; ++*row)
            if (strcmp(t[*i].rows[*row].key, key) == 0)
                return true;
    return false;
}

int fill(struct ini *ini, const struct ini_section *s, const struct fill_target *t, size_t targets,
         bool judge_unknown, const char *folder, struct diag *d)
{
    int seen[FILL_MAX_TARGETS][MAX_ROWS] = {{0}}; /* line of each key */
    assert(targets <= FILL_MAX_TARGETS);
    for (size_t i = 0; i < targets; i++) {
        assert(t[i].count <= MAX_ROWS);
        for (size_t r = 0; r < t[i].count; r++)
            if (!value_set_default(&t[i].rows[r], t[i].base, folder))
                return -ENOMEM;
    }
    for (size_t n = s ? s->first : 0; s && n < s->first + s->count; n++) {
        struct ini_entry *e = &ini->entries[n];
        size_t i, r;
        char why[VALUE_WHY_BYTES];
        if (!find_row(t, targets, e->key, &i, &r)) {
            if (judge_unknown)
                unknown_key(d, s, e, t, targets);
            continue;
        }
        if (seen[i][r]) {
            diag_error(d, e->line, s->title, e->key, "stands here a second time, first on line %d",
                       seen[i][r]);
            continue;
        }
        seen[i][r] = e->line;
        if (e->bad)
            continue;
        if (!value_set(&t[i].rows[r], t[i].base, e->value, folder, why)) {
            e->bad = true;
            diag_error(d, e->line, s->title, e->key, "%s", why);
        }
    }
    for (size_t i = 0; s && i < targets; i++)
        for (size_t r = 0; r < t[i].count; r++)
            if (!t[i].rows[r].fallback && !seen[i][r])
                diag_error(d, s->line, s->title, t[i].rows[r].key, "must be written: %s",
                           t[i].rows[r].help);
    return 0;
}
