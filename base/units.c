#include "base/units.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *suffix;
    int64_t factor;
};

/* Largest first, so that formatting takes the first that divides. */
static const struct unit duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                             {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit size_units[] = {
    {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}, {NULL, 0}};

/* Reads the digits at *text and moves behind them. strtoll would take spaces, signs and hex as
 * well. */
static bool read_digits(const char **text, int64_t *value)
{
    const char *p = *text;
    int64_t v = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
            return false;
    if (p == *text)
        return false;
    *text = p;
    *value = v;
    return true;
}

static bool parse_with(const struct unit *units, const char *text, int64_t *out)
{
    int64_t v;
    if (!read_digits(&text, &v))
        return false;
    for (const struct unit *u = units; u->suffix; u++)
        if (strcmp(text, u->suffix) == 0)
            return !__builtin_mul_overflow(v, u->factor, out);
    return false;
}

static void format_with(const struct unit *units, int64_t value, char out[UNITS_TEXT_BYTES])
{
    assert(value >= 0);
    const struct unit *u = units;
    while (value % u->factor != 0)
        u++;
    snprintf(out, UNITS_TEXT_BYTES, "%" PRId64 "%s", value / u->factor, u->suffix);
}

bool duration_parse(const char *text, int64_t *ms)
{
    if (strcmp(text, "0") == 0)
        *ms = 0;
    else if (strcmp(text, "never") == 0)
        *ms = DURATION_NEVER;
    else {
        int64_t v;
        /* The largest number means "never", so that no digits may spell it. */
        if (!parse_with(duration_units, text, &v) || v == DURATION_NEVER)
            return false;
        *ms = v;
    }
    return true;
}

bool size_parse(const char *text, int64_t *bytes)
{
    int64_t v;
    if (!parse_with(size_units, text, &v))
        return false;
    *bytes = v;
    return true;
}

bool integer_parse(const char *text, int64_t *value)
{
    bool negative = *text == '-';
    int64_t v;
    text += negative;
    /* INT64_MIN is out of reach this way, and of no use. */
    if (!read_digits(&text, &v) || *text != '\0')
        return false;
    *value = negative ? -v : v;
    return true;
}

void duration_format(int64_t ms, char out[UNITS_TEXT_BYTES])
{
    if (ms == DURATION_NEVER)
        snprintf(out, UNITS_TEXT_BYTES, "never");
    else if (ms == 0)
        snprintf(out, UNITS_TEXT_BYTES, "0");
    else
        format_with(duration_units, ms, out);
}

void size_format(int64_t bytes, char out[UNITS_TEXT_BYTES])
{
    if (bytes == 0)
        snprintf(out, UNITS_TEXT_BYTES, "0");
    else
        format_with(size_units, bytes, out);
}
