#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/topic.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct pair {
    const char *filter, *topic;
    bool yes;
};

static const struct pair matches[] = {
    /* the examples of MQTT 4.7.1.2 and 4.7.1.3 */
    {"sport/tennis/player1/#", "sport/tennis/player1", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
    {"sport/#", "sport", true},
    {"#", "sport/tennis", true},
    {"sport/tennis/+", "sport/tennis/player1", true},
    {"sport/tennis/+", "sport/tennis/player1/ranking", false},
    {"sport/+", "sport", false},
    {"sport/+", "sport/", true},
    {"+/+", "/finance", true},
    {"/+", "/finance", true},
    {"+", "/finance", false},
    /* 4.7.2 */
    {"#", "$SYS/uptime", false},
    {"+/uptime", "$SYS/uptime", false},
    {"$SYS/#", "$SYS/uptime", true},
    {"$SYS/+", "$SYS/uptime", true},
    {"+", "$SYS", false},
    {"a/+", "a/$b", true},
    {"a/#", "a/$b", true},
    /* names, empty levels, prefixes of one another */
    {"a", "a", true},
    {"a", "A", false},
    {"a", "ab", false},
    {"ab", "a", false},
    {"a/b", "a", false},
    {"a", "a/b", false},
    {"a", "a/", false},
    {"a/", "a", false},
    {"a/", "a/", true},
    {"/", "/", true},
    {"/", "a/", false},
    {"+/", "/", true},
    {"a//b", "a//b", true},
    {"a/+/b", "a//b", true},
    {"a/+/b", "a/b", false},
    {"a/#", "ab", false},
    {"a/b/#", "a", false},
    {"a/b/#", "a/bc", false},
    {"+/#", "a", true},
    {"+/#", "/", true},
    {"+/b/#", "a/b", true},
    {"+/b/#", "a/c", false},
    {"a/+/c/#", "a/b/c/d/e", true},
};

static void a_filter_matches_the_topics_that_mqtt_says(void **state)
{
    for (size_t i = 0; i < COUNT(matches); i++)
        if (topic_matches(matches[i].filter, matches[i].topic) != matches[i].yes)
            fail_msg("%s / %s", matches[i].filter, matches[i].topic);
}

static const struct pair overlaps[] = {
    {"a", "a", true},          {"a", "b", false},          {"a/+", "a/b", true},
    {"a/+", "+/b", true},      {"a/+/c", "a/b/+", true},   {"a/#", "a", true},
    {"a/#", "b/#", false},     {"a/#", "+", true},         {"a/+", "a", false},
    {"#", "a/b", true},        {"#", "$SYS/a", false},     {"+/a", "$SYS/a", false},
    {"#", "+/+", true},        {"$SYS/#", "$SYS/+", true}, {"a/b/#", "a/+", true},
    {"a/b/c/#", "a/+", false}, {"+/+", "+", false},        {"+/#", "+", true},
    {"a/", "a/+", true},       {"a/b/+", "a/#", true},     {"a/+/c", "a/+/d", false},
};

static void overlap_is_found_whichever_filter_stands_first(void **state)
{
    for (size_t i = 0; i < COUNT(overlaps); i++) {
        const struct pair *p = &overlaps[i];
        if (topic_filters_overlap(p->filter, p->topic) != p->yes ||
            topic_filters_overlap(p->topic, p->filter) != p->yes)
            fail_msg("%s / %s", p->filter, p->topic);
    }
}

static const struct pair covers[] = {
    {"a", "a", true},           {"a", "b", false},        {"+", "a", true},
    {"a", "+", false},          {"#", "a/b", true},       {"#", "+/+", true},
    {"#", "#", true},           {"#", "$SYS", false},     {"+", "$SYS", false},
    {"$SYS/#", "$SYS/+", true}, {"a/#", "a", true},       {"a/#", "a/#", true},
    {"a/#", "a/+/b/#", true},   {"a/+", "a/#", false},    {"a/+", "a/b", true},
    {"a/+", "a/b/c", false},    {"a/b/c", "a/b", false},  {"+/#", "#", true},
    {"a/+/#", "a/#", false},    {"a/+/#", "a/b", true},   {"+/b", "a/b", true},
    {"+/+", "#", false},        {"a/+/c", "a/b/c", true}, {"a/+/c", "a/+/c", true},
};

static void a_wide_filter_covers_exactly_the_narrower_ones(void **state)
{
    for (size_t i = 0; i < COUNT(covers); i++)
        if (topic_filter_covers(covers[i].filter, covers[i].topic) != covers[i].yes)
            fail_msg("%s / %s", covers[i].filter, covers[i].topic);
}

/* Every string of up to `longest` (at most 5) characters over a small alphabet. */
static size_t make_all(char out[][6], const char *alphabet, size_t longest,
                       bool (*valid)(const char *, size_t))
{
    size_t letters = strlen(alphabet), count = 0;
    for (size_t n = 1; n <= longest; n++) {
        size_t total = 1;
        for (size_t i = 0; i < n; i++)
            total *= letters;
        for (size_t code = 0; code < total; code++) {
            char s[6] = "";
            size_t rest = code;
            for (size_t i = 0; i < n; i++, rest /= letters)
                s[i] = alphabet[rest % letters];
            if (valid(s, n))
                memcpy(out[count++], s, 6);
        }
    }
    return count;
}

/* The definitions themselves, tried on every short filter against every short topic. Topics are one
 * character longer than filters: "+/aa" and "aa/+" meet in "aa/aa". */
static void overlap_and_cover_agree_with_matching_on_every_short_filter(void **state)
{
    static char filters[5000][6], topics[5000][6];
    static uint8_t hits[1000][5000];
    size_t nf = make_all(filters, "a/+#", 4, topic_filter_valid);
    size_t nt = make_all(topics, "ab/$", 5, topic_name_valid);
    assert_in_range(nf, 50, 1000);
    assert_in_range(nt, 500, 5000);
    for (size_t f = 0; f < nf; f++)
        for (size_t t = 0; t < nt; t++)
            hits[f][t] = topic_matches(filters[f], topics[t]);
    for (size_t a = 0; a < nf; a++) {
        for (size_t b = 0; b < nf; b++) {
            bool both = false, covered = true;
            for (size_t t = 0; t < nt; t++) {
                both |= hits[a][t] && hits[b][t];
                covered &= hits[a][t] || !hits[b][t];
            }
            if (topic_filters_overlap(filters[a], filters[b]) != both)
                fail_msg("overlap %s / %s", filters[a], filters[b]);
            /* Covered here may be by accident of short topics; the other way round never. */
            if (topic_filter_covers(filters[a], filters[b]) && !covered)
                fail_msg("cover %s / %s", filters[a], filters[b]);
        }
    }
}

static void names_hold_no_wildcard_and_no_bad_bytes(void **state)
{
    static const struct {
        const char *s;
        size_t n;
        bool yes;
    } names[] = {
        {"a", 1, true},
        {"/", 1, true},
        {"a b/\xc3\xa9", 6, true},
        {"", 0, false},
        {"a/+", 3, false},
        {"a+", 2, false},
        {"#", 1, false},
        {"a\0b", 3, false},
        {"a\xff", 2, false},
        {"\xed\xa0\x80", 3, false},
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (topic_name_valid(names[i].s, names[i].n) != names[i].yes)
            fail_msg("%s", names[i].s);
}

static void wildcards_stand_alone_in_their_level_and_the_hash_last(void **state)
{
    static const struct {
        const char *s;
        bool yes;
    } filters[] = {
        {"#", true},      {"+", true},    {"a/#", true}, {"a/+/b", true}, {"+/+/#", true},
        {"/+", true},     {"/#", true},   {"a", true},   {"", false},     {"a#", false},
        {"a/#/b", false}, {"#/a", false}, {"a+", false}, {"+a", false},   {"a/b+/c", false},
        {"##", false},    {"++", false},  {"+#", false}, {"a/+#", false}, {"a/\xff", false},
    };
    for (size_t i = 0; i < COUNT(filters); i++)
        if (topic_filter_valid(filters[i].s, strlen(filters[i].s)) != filters[i].yes)
            fail_msg("%s", filters[i].s);
}

static void topics_are_bounded_by_the_16_bit_length(void **state)
{
    char *s = malloc(TOPIC_MAX_BYTES + 1);
    assert_non_null(s);
    memset(s, 'a', TOPIC_MAX_BYTES + 1);
    assert_true(topic_name_valid(s, TOPIC_MAX_BYTES));
    assert_true(topic_filter_valid(s, TOPIC_MAX_BYTES));
    assert_false(topic_name_valid(s, TOPIC_MAX_BYTES + 1));
    assert_false(topic_filter_valid(s, TOPIC_MAX_BYTES + 1));
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_matches_the_topics_that_mqtt_says),
        cmocka_unit_test(overlap_is_found_whichever_filter_stands_first),
        cmocka_unit_test(a_wide_filter_covers_exactly_the_narrower_ones),
        cmocka_unit_test(overlap_and_cover_agree_with_matching_on_every_short_filter),
        cmocka_unit_test(names_hold_no_wildcard_and_no_bad_bytes),
        cmocka_unit_test(wildcards_stand_alone_in_their_level_and_the_hash_last),
        cmocka_unit_test(topics_are_bounded_by_the_16_bit_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
