#include "config/diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX_BYTES 600 /* of one message; values inside it are cut by who quotes them */

struct diag_line {
    int line;
    size_t order; /* qsort is not stable */
    bool warning;
    char *text; /* with section and key */
};

void diag_init(struct diag *d, const char *file)
{
    *d = (struct diag){.file = file};
}

void diag_fini(struct diag *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->lines[i].text);
    free(d->lines);
    *d = (struct diag){0};
}

static void add(struct diag *d, bool warning, int line, const char *section, const char *key,
                const char *fmt, va_list args)
{
    size_t *number = warning ? &d->warnings : &d->errors;
    if (++*number > DIAG_MAX_LINES)
        return;
    if (d->count == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 16;
        struct diag_line *lines = realloc(d->lines, cap * sizeof(*lines));
        if (!lines)
            return;
        d->lines = lines;
        d->cap = cap;
    }
    char text[TEXT_MAX_BYTES];
    size_t n = 0;
    if (section)
        n = (size_t)snprintf(text, sizeof(text), "%s%s%s: ", section, key ? "." : "",
                             key ? key : "");
    if (n >= sizeof(text))
        n = 0; /* names are bounded long before this */
    vsnprintf(text + n, sizeof(text) - n, fmt, args);
    char *copy = strdup(text);
    if (copy)
        d->lines[d->count] =
            (struct diag_line){.line = line, .order = d->count, .warning = warning, .text = copy};
    d->count += copy != NULL;
}

void diag_error(struct diag *d, int line, const char *section, const char *key, const char *fmt,
                ...)
{
    va_list args;
    va_start(args, fmt);
    add(d, false, line, section, key, fmt, args);
    va_end(args);
}

void diag_warning(struct diag *d, int line, const char *section, const char *key, const char *fmt,
                  ...)
{
    va_list args;
    va_start(args, fmt);
    add(d, true, line, section, key, fmt, args);
    va_end(args);
}

static int by_line(const void *a, const void *b)
{
    const struct diag_line *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void print_left_out(const struct diag *d, FILE *out, size_t number, const char *what)
{
    if (number > DIAG_MAX_LINES)
        fprintf(out, "%s: %zu more %s\n", d->file, number - DIAG_MAX_LINES, what);
}

void diag_print(struct diag *d, FILE *out)
{
    size_t kept = 0;
    if (d->count > 0)
        qsort(d->lines, d->count, sizeof(*d->lines), by_line);
    for (size_t i = 0; i < d->count; i++) {
        const struct diag_line *l = &d->lines[i];
        kept += !l->warning;
        fputs(d->file, out);
        if (l->line > 0)
            fprintf(out, ":%d", l->line);
        fprintf(out, ": %s%s\n", l->warning ? "warning: " : "", l->text);
    }
    if (d->errors > 0 && kept == 0)
        fprintf(out, "%s: errors were found, and no memory is left to tell them\n", d->file);
    print_left_out(d, out, d->errors, "errors");
    print_left_out(d, out, d->warnings, "warnings");
}
