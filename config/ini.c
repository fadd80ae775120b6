/* Why not libinih: Debian's is built with a buffer of 200 bytes a line, and a list of topics is
 * soon longer; it gives no line numbers, cuts names at 49 bytes, takes an indented key for a
 * continued value and ':' for '=', and does not tell of a section without keys. A reader in front
 * of it would have to find all of that in each line before libinih sees it, which is the whole
 * grammar again. */
#include "config/ini.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

struct parser {
    struct ini *ini;
    struct diag *d;
    size_t section_cap, entry_cap;
    bool skipping; /* the last section header was bad: its keys have no home */
    int line;
};

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Drops blanks at both ends of a string, in place. */
static char *trim(char *s)
{
    while (blank(*s))
        s++;
    size_t n = strlen(s);
    while (n > 0 && blank(s[n - 1]))
        n--;
    s[n] = '\0';
    return s;
}

/* What is wrong with the bytes of a line, or NULL. */
static const char *bad_bytes(const char *line, size_t n)
{
    if (n > INI_MAX_LINE_BYTES)
        return "the line is longer than 4096 bytes";
    if (memchr(line, '\0', n))
        return "a NUL byte is in the line; is this a text file?";
    if (!utf8_valid(line, n))
        return "the line is not UTF-8";
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
            return "a control character is in the line";
    return NULL;
}

/* Room for one more in an array that grows by doubling. */
static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    size_t more = *cap ? 2 * *cap : 32;
    void *p = realloc(array, more * size);
    if (p)
        *cap = more;
    return p;
}

/* A comment is cut off where a ';' follows a blank; a ';' inside a word belongs to it. */
static void cut_comment(char *s)
{
    for (char *p = s; *p; p++) {
        if (*p == ';' && p > s && blank(p[-1])) {
            *p = '\0';
            return;
        }
    }
}

static bool names_valid(const struct ini_section *s)
{
    return *s->kind && strlen(s->kind) <= INI_MAX_NAME_BYTES &&
           strlen(s->name) <= INI_MAX_NAME_BYTES;
}

/* `[kind name]`, with what may follow it cut off. */
static int on_section(struct parser *p, char *s)
{
    struct ini *ini = p->ini;
    char *end = strchr(s, ']');
    p->skipping = true;
    if (!end || *trim(end + 1) != '\0') {
        diag_error(p->d, p->line, NULL, NULL,
                   "a section is written [kind] or [kind name], alone on its line");
        return 0;
    }
    *end = '\0';
    struct ini_section *sections =
        grow(ini->sections, ini->section_count, &p->section_cap, sizeof(*sections));
    if (!sections)
        return -ENOMEM;
    ini->sections = sections;

    /* The title keeps one blank; the same bytes cut in two are kind and name. The copy never
     * outgrows its place in `titles`, which is as large as the file. */
    char *kind = trim(s + 1);
    char *name = kind + strcspn(kind, " \t");
    if (*name)
        *name++ = '\0';
    name = trim(name);
    char *title = ini->titles + (kind - ini->text);
    strcpy(title, kind);
    if (*name) {
        strcat(title, " ");
        strcat(title, name);
    }
    struct ini_section section = {
        .title = title, .kind = kind, .name = name, .line = p->line, .first = ini->entry_count};
    if (!names_valid(&section)) {
        diag_error(p->d, p->line, NULL, NULL,
                   "the name of a section has 1 to 63 bytes, as in [peer hub]");
        return 0;
    }
    ini->sections[ini->section_count++] = section;
    p->skipping = false;
    return 0;
}

static int on_key(struct parser *p, char *s)
{
    struct ini *ini = p->ini;
    char *equals = strchr(s, '=');
    if (!equals) {
        diag_error(p->d, p->line, NULL, NULL,
                   "neither [section] nor key = value (a value stands on one line)");
        return 0;
    }
    *equals = '\0';
    char *key = trim(s);
    char *value = trim(equals + 1);
    if (!*key || strlen(key) > INI_MAX_NAME_BYTES || strpbrk(key, " \t")) {
        diag_error(p->d, p->line, NULL, NULL, "a key is one word of at most 63 bytes before the =");
        return 0;
    }
    if (ini->section_count == 0 && !p->skipping) {
        diag_error(p->d, p->line, NULL, key, "the key %s stands before the first [section]", key);
        return 0;
    }
    if (p->skipping)
        return 0;
    struct ini_section *section = &ini->sections[ini->section_count - 1];
    size_t n = strlen(value);
    bool quoted = n >= 2 && value[0] == '"' && value[n - 1] == '"';
    if (quoted)
        diag_error(p->d, p->line, section->title, key, "values are written without quotes");
    struct ini_entry *entries =
        grow(ini->entries, ini->entry_count, &p->entry_cap, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    ini->entries = entries;
    ini->entries[ini->entry_count++] =
        (struct ini_entry){.key = key, .value = value, .line = p->line, .bad = quoted};
    section->count++;
    return 0;
}

/* line: n bytes and a NUL of ours behind them. */
static int on_line(struct parser *p, char *line, size_t n)
{
    if (n > 0 && line[n - 1] == '\r')
        line[--n] = '\0';
    const char *bad = bad_bytes(line, n);
    if (bad) {
        diag_error(p->d, p->line, NULL, NULL, "%s", bad);
        return 0;
    }
    char *s = line;
    while (blank(*s))
        s++;
    if (*s == '\0' || *s == ';' || *s == '#')
        return 0;
    cut_comment(s);
    return *s == '[' ? on_section(p, s) : on_key(p, s);
}

int ini_parse(struct ini *ini, const char *text, size_t n, struct diag *d)
{
    static const char bom[] = "\xef\xbb\xbf"; /* what Windows editors put in front */
    *ini = (struct ini){0};
    if (n >= 3 && memcmp(text, bom, 3) == 0) {
        text += 3;
        n -= 3;
    }
    ini->text = malloc(n + 1);
    ini->titles = malloc(n + 1);
    if (!ini->text || !ini->titles)
        goto fail;
    if (n > 0)
        memcpy(ini->text, text, n);
    ini->text[n] = '\0';

    struct parser p = {.ini = ini, .d = d};
    for (char *at = ini->text, *end = ini->text + n; at < end;) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        char *stop = newline ? newline : end;
        *stop = '\0';
        p.line++;
        if (on_line(&p, at, (size_t)(stop - at)) < 0)
            goto fail;
        at = stop + 1;
    }
    return 0;
fail:
    ini_fini(ini);
    return -ENOMEM;
}

void ini_fini(struct ini *ini)
{
    free(ini->text);
    free(ini->titles);
    free(ini->sections);
    free(ini->entries);
    *ini = (struct ini){0};
}

struct ini_entry *ini_find(const struct ini *ini, const struct ini_section *s, const char *key)
{
    for (size_t i = s->first; i < s->first + s->count; i++)
        if (strcmp(ini->entries[i].key, key) == 0)
            return &ini->entries[i];
    return NULL;
}

const struct ini_section *ini_section_at(const struct ini *ini, int line)
{
    size_t low = 0, high = ini->section_count; /* in the order of their lines */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct ini_section *s = &ini->sections[middle];
        if (s->line == line)
            return s;
        if (s->line < line)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
