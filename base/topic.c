#include "base/topic.h"

#include <string.h>

#include "base/utf8.h"

bool topic_name_valid(const char *topic, size_t n)
{
    return n >= 1 && n <= TOPIC_MAX_BYTES && !memchr(topic, '+', n) && !memchr(topic, '#', n) &&
           utf8_valid(topic, n);
}

bool topic_filter_valid(const char *filter, size_t n)
{
    if (n < 1 || n > TOPIC_MAX_BYTES || !utf8_valid(filter, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (filter[i] != '+' && filter[i] != '#')
            continue;
        bool begins_level = i == 0 || filter[i - 1] == '/';
        bool ends_level = i + 1 == n || filter[i + 1] == '/';
        if (!begins_level || !ends_level || (filter[i] == '#' && i + 1 != n))
            return false;
    }
    return true;
}

/* A walk over the levels of a topic or filter. "a/" has two levels, the second one empty. */
struct level {
    const char *at;
    size_t len;
    bool last;
};

static struct level level_at(const char *at)
{
    size_t len = strcspn(at, "/");
    return (struct level){.at = at, .len = len, .last = at[len] == '\0'};
}

static struct level level_next(struct level l)
{
    return level_at(l.at + l.len + 1);
}

static bool is(struct level l, char wildcard)
{
    return l.len == 1 && *l.at == wildcard;
}

static bool same(struct level a, struct level b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* Is the rest behind this level "/#", which matches the parent level too (MQTT 4.7.1.2)? */
static bool hash_follows(struct level l)
{
    return !l.last && is(level_next(l), '#');
}

/* 4.7.2: a leading wildcard keeps away from topics that begin with $. */
static bool dollar_bars(const char *wild, const char *other)
{
    return (*wild == '+' || *wild == '#') && *other == '$';
}

/* Apart from topic_filter_covers, which would do, because this one is called for each message and
 * filter. */
bool topic_matches(const char *filter, const char *topic)
{
    if (dollar_bars(filter, topic))
        return false;
    for (;;) {
        if (filter[0] == '#' && filter[1] == '\0')
            return true;
        if (filter[0] == '+' && (filter[1] == '\0' || filter[1] == '/')) {
            filter++;
            topic += strcspn(topic, "/");
        } else {
            while (*filter == *topic && *filter != '\0' && *filter != '/') {
                filter++;
                topic++;
            }
        }
        if (*topic == '\0')
            return *filter == '\0' || strcmp(filter, "/#") == 0;
        if (*topic != '/' || *filter != '/')
            return false;
        filter++;
        topic++;
    }
}

bool topic_filters_overlap(const char *a, const char *b)
{
    if (dollar_bars(a, b) || dollar_bars(b, a))
        return false;
    struct level x = level_at(a), y = level_at(b);
    for (;;) {
        if (is(x, '#') || is(y, '#'))
            return true;
        if (!is(x, '+') && !is(y, '+') && !same(x, y))
            return false;
        if (x.last && y.last)
            return true;
        /* The parent of "/#" would be the empty name, which is no topic. */
        if (x.last)
            return hash_follows(y) && strcmp(b, "/#") != 0;
        if (y.last)
            return hash_follows(x) && strcmp(a, "/#") != 0;
        x = level_next(x);
        y = level_next(y);
    }
}

bool topic_filter_covers(const char *wide, const char *narrow)
{
    if (dollar_bars(wide, narrow))
        return false;
    /* The one case that a comparison by levels misses: every topic has a first level. */
    if (strcmp(wide, "+/#") == 0 && strcmp(narrow, "#") == 0)
        return true;
    struct level w = level_at(wide), n = level_at(narrow);
    for (;;) {
        if (is(w, '#'))
            return true;
        if (is(n, '#') || (is(n, '+') && !is(w, '+')))
            return false;
        if (!is(w, '+') && !same(w, n))
            return false;
        if (n.last)
            return w.last || hash_follows(w);
        if (w.last)
            return false;
        w = level_next(w);
        n = level_next(n);
    }
}
