#include "config/value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg_class.h"
#include "base/units.h"

#define QUOTE_BYTES (VALUE_WHY_BYTES / 4)

static void *member(const struct option *row, void *base)
{
    return (char *)base + row->offset;
}

void string_list_fini(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct string_list){0};
}

void value_quote(const char *text, char out[QUOTE_BYTES])
{
    size_t n = strlen(text);
    if (n >= QUOTE_BYTES) {
        n = QUOTE_BYTES - 4;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
        memcpy(out, text, n);
        memcpy(out + n, "...", 4);
        return;
    }
    memcpy(out, text, n + 1);
}

static void join_names(const char *const *names, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; names[i] && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", names[i]);
}

static const char *const class_names[] = {"alarm", "high", "normal", "bulk", NULL};

void value_allowed(const struct option *row, char *out, size_t size)
{
    char low[UNITS_TEXT_BYTES], high[UNITS_TEXT_BYTES];
    switch (row->type) {
    case OPTION_BOOL:
        snprintf(out, size, "yes, no");
        return;
    case OPTION_INT:
        snprintf(out, size, "%" PRId64 " to %" PRId64, row->min, row->max);
        return;
    case OPTION_SIZE:
        size_format(row->min, low);
        size_format(row->max, high);
        snprintf(out, size, "%s to %s", low, high);
        return;
    case OPTION_DURATION:
        duration_format(row->min, low);
        duration_format(row->max, high);
        snprintf(out, size, "%s to %s%s", low, high, row->never_ok ? ", or never" : "");
        return;
    case OPTION_ENUM:
        join_names(row->names, out, size);
        return;
    case OPTION_CLASSES:
        join_names(class_names, out, size);
        return;
    case OPTION_STRING:
    case OPTION_LIST:
        if (row->max > 0)
            snprintf(out, size, "%" PRId64 " to %" PRId64 " bytes%s", row->min, row->max,
                     row->type == OPTION_LIST ? " each" : "");
        else
            snprintf(out, size, row->type == OPTION_LIST ? "a list with commas" : "a text");
        return;
    case OPTION_PATH:
        snprintf(out, size, "a path");
        return;
    }
}

/* Writes `"text" PROBLEM, allowed: ...`. */
static bool refuse(const struct option *row, const char *text, const char *problem, char *why)
{
    char quoted[QUOTE_BYTES], allowed[VALUE_WHY_BYTES / 2];
    value_quote(text, quoted);
    value_allowed(row, allowed, sizeof(allowed));
    snprintf(why, VALUE_WHY_BYTES, "\"%s\" %s, allowed: %s", quoted, problem, allowed);
    return false;
}

static bool refuse_memory(char *why)
{
    snprintf(why, VALUE_WHY_BYTES, "out of memory");
    return false;
}

static bool set_bool(const struct option *row, bool *to, const char *text, char *why)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"yes", true},    {"no", false}, {"true", true},
                 {"false", false}, {"on", true},  {"off", false}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i].word) == 0) {
            *to = words[i].value;
            return true;
        }
    }
    return refuse(row, text, "is neither yes nor no", why);
}

static bool set_number(const struct option *row, int64_t *to, const char *text, char *why)
{
    int64_t v = 0;
    bool read = row->type == OPTION_INT    ? integer_parse(text, &v)
                : row->type == OPTION_SIZE ? size_parse(text, &v)
                                           : duration_parse(text, &v);
    int64_t bare;
    if (!read && row->type == OPTION_DURATION && integer_parse(text, &bare))
        return refuse(row, text, "has no unit (ms, s, m, h, d)", why);
    if (!read)
        return refuse(row, text,
                      row->type == OPTION_INT ? "is not a whole number"
                      : row->type == OPTION_SIZE
                          ? "is not a size such as 512, 64K or 256M"
                          : "is not a duration such as 500ms, 30s, 15m, 6h or 7d",
                      why);
    if (row->type == OPTION_DURATION && v == OPTION_NEVER) {
        if (!row->never_ok)
            return refuse(row, text, "is not possible here", why);
    } else if (v < row->min || v > row->max) {
        return refuse(row, text, "is out of bounds", why);
    }
    *to = v;
    return true;
}

static int name_index(const char *const *names, const char *text)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

static bool set_enum(const struct option *row, int *to, const char *text, char *why)
{
    int i = name_index(row->names, text);
    if (i < 0)
        return refuse(row, text, "is not known", why);
    *to = i;
    return true;
}

/* Bounds and the row's own check of one text. */
static bool text_good(const struct option *row, const char *text, char *why)
{
    size_t n = strlen(text);
    if (n == 0 && row->fallback && !*row->fallback)
        return true; /* the default, written out */
    if (row->max > 0 && (n < (uint64_t)row->min || n > (uint64_t)row->max))
        return refuse(row, text, n == 0 ? "is empty" : "is of a wrong length", why);
    const char *wrong = row->check ? row->check(text) : NULL;
    if (wrong) {
        char quoted[QUOTE_BYTES];
        value_quote(text, quoted);
        snprintf(why, VALUE_WHY_BYTES, "\"%s\": %s", quoted, wrong);
        return false;
    }
    return true;
}

static bool set_text(const struct option *row, char **to, const char *text, const char *folder,
                     char *why)
{
    if (!text_good(row, text, why))
        return false;
    bool join = row->type == OPTION_PATH && *text && *text != '/';
    char *copy;
    if (!join)
        copy = strdup(text);
    else if (asprintf(&copy, "%s/%s", folder, text) < 0)
        copy = NULL;
    if (!copy)
        return refuse_memory(why);
    free(*to);
    *to = copy;
    return true;
}

/* Takes the next item off *rest, which it cuts in place: blanks around it are dropped. NULL at the
 * end. */
static char *next_item(char **rest)
{
    char *item = *rest;
    if (!item)
        return NULL;
    char *comma = strchr(item, ',');
    *rest = comma ? comma + 1 : NULL;
    if (comma)
        *comma = '\0';
    item += strspn(item, " \t");
    size_t n = strlen(item);
    while (n > 0 && (item[n - 1] == ' ' || item[n - 1] == '\t'))
        item[--n] = '\0';
    return item;
}

static bool item_good(const struct option *row, const struct string_list *list, const char *item,
                      char *why)
{
    if (!*item)
        return refuse(row, item, "stands between commas as an item", why);
    if (list->count == OPTION_LIST_MAX) {
        snprintf(why, VALUE_WHY_BYTES, "too many items, allowed: %d", OPTION_LIST_MAX);
        return false;
    }
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], item) == 0)
            return refuse(row, item, "stands twice in the list", why);
    return text_good(row, item, why);
}

static bool set_list(const struct option *row, struct string_list *to, const char *text, char *why)
{
    struct string_list list = {0};
    bool good = false;
    char *copy = strdup(text);
    if (!copy)
        return refuse_memory(why);
    list.items = calloc(OPTION_LIST_MAX, sizeof(*list.items));
    if (!list.items) {
        refuse_memory(why);
        goto out;
    }
    char *rest = *text ? copy : NULL;
    for (char *item = next_item(&rest); item; item = next_item(&rest)) {
        if (!item_good(row, &list, item, why))
            goto out;
        if (!(list.items[list.count] = strdup(item))) {
            refuse_memory(why);
            goto out;
        }
        list.count++;
    }
    if (list.count == 0 && !row->fallback) {
        refuse(row, text, "names nothing", why);
        goto out;
    }
    /* A thousand peers with a list of one must not cost a thousand times the largest list. */
    char **fit = realloc(list.items, (list.count ? list.count : 1) * sizeof(*list.items));
    if (fit)
        list.items = fit;
    string_list_fini(to);
    *to = list;
    list = (struct string_list){0};
    good = true;
out:
    string_list_fini(&list);
    free(copy);
    return good;
}

static bool set_classes(const struct option *row, unsigned *to, const char *text, char *why)
{
    unsigned mask = 0;
    char *copy = strdup(text);
    if (!copy)
        return refuse_memory(why);
    bool good = true;
    char *rest = copy;
    for (char *item = next_item(&rest); good && item; item = next_item(&rest)) {
        int class = name_index(class_names, item);
        if (class < 0)
            good = refuse(row, item, "is not a class", why);
        else
            mask |= 1u << class;
    }
    free(copy);
    if (good)
        *to = mask;
    return good;
}

bool value_set(const struct option *row, void *base, const char *text, const char *folder,
               char why[VALUE_WHY_BYTES])
{
    void *to = member(row, base);
    switch (row->type) {
    case OPTION_STRING:
    case OPTION_PATH:
        return set_text(row, to, text, folder, why);
    case OPTION_BOOL:
        return set_bool(row, to, text, why);
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        return set_number(row, to, text, why);
    case OPTION_ENUM:
        return set_enum(row, to, text, why);
    case OPTION_LIST:
        return set_list(row, to, text, why);
    case OPTION_CLASSES:
        /* `carry =` with nothing behind it is how an operator leaves the default in place. */
        return set_classes(row, to, !*text && row->fallback ? row->fallback : text, why);
    }
    assert(!"an option type that is none");
    return false;
}

bool value_set_default(const struct option *row, void *base, const char *folder)
{
    char why[VALUE_WHY_BYTES];
    if (row->fallback && (*row->fallback || (row->type != OPTION_STRING &&
                                             row->type != OPTION_PATH && row->type != OPTION_LIST)))
        return value_set(row, base, row->fallback, folder, why);
    /* Empty, whatever the row's bounds and check say about a value that is written. */
    if (row->type == OPTION_STRING || row->type == OPTION_PATH) {
        char **to = member(row, base);
        free(*to);
        *to = strdup("");
        return *to != NULL;
    }
    return true;
}

void value_fini(const struct option *row, void *base)
{
    if (row->type == OPTION_STRING || row->type == OPTION_PATH) {
        char **p = member(row, base);
        free(*p);
        *p = NULL;
    } else if (row->type == OPTION_LIST) {
        string_list_fini(member(row, base));
    }
}
