#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/crc32.h"
#include "base/hash.h"
#include "base/msg.h"
#include "base/units.h"
#include "base/utf8.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void utf8_is_accepted_in_all_four_lengths_and_at_their_edges(void **state)
{
    static const char *const good[] = {
        "",
        "\x01",
        "\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z",
    };
    for (size_t i = 0; i < COUNT(good); i++)
        if (!utf8_valid(good[i], strlen(good[i])))
            fail_msg("case %zu", i);
}

static void malformed_utf8_is_refused(void **state)
{
    static const struct {
        const char *s;
        size_t n;
    } bad[] = {
        {"\0", 1},       /* MQTT-1.5.4-2 */
        {"\x80", 1},     /* continuation alone */
        {"\xc0\x80", 2}, /* overlong NUL */
        {"\xc1\xbf", 2},
        {"\xe0\x9f\xbf", 3},
        {"\xf0\x8f\xbf\xbf", 4}, /* overlong */
        {"\xed\xa0\x80", 3},
        {"\xed\xbf\xbf", 3}, /* surrogates */
        {"\xf4\x90\x80\x80", 4},
        {"\xf5\x80\x80\x80", 4},
        {"\xff", 1}, /* beyond U+10FFFF */
        {"\xc3", 1},
        {"\xe2\x82", 2},
        {"\xf0\x9f\x98", 3}, /* cut off */
        {"\xc3(", 2},
        {"\xe2\x82(", 3},
        {"\xf0\x9f\x98(", 4},
        {"ok\xc3", 3},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        if (utf8_valid(bad[i].s, bad[i].n))
            fail_msg("case %zu", i);
}

static void a_sequence_cut_at_the_end_is_not_read_beyond_it(void **state)
{
    char *s = malloc(1); /* the sanitizer watches its end */
    assert_non_null(s);
    *s = (char)0xf0;
    assert_false(utf8_valid(s, 1));
    free(s);
}

static void durations_are_read_with_their_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"0", 0},          {"0s", 0},
        {"500ms", 500},    {"30s", 30000},
        {"15m", 900000},   {"6h", 21600000},
        {"7d", 604800000}, {"never", DURATION_NEVER},
        {"007s", 7000},    {"9223372036854775806ms", INT64_MAX - 1},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t ms = -1;
        if (!duration_parse(good[i].text, &ms) || ms != good[i].ms)
            fail_msg("%s", good[i].text);
    }
}

static void bad_durations_are_refused_and_change_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "5",
        "00",
        "s",
        "-5s",
        "+5s",
        " 5s",
        "5 s",
        "5s ",
        "5S",
        "1.5h",
        "5x",
        "5ss",
        "0x5s",
        "Never",
        "9223372036854775807ms",
        "9223372036854775808ms",
        "106751991168d",
        "99999999999999999999s",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t ms = -7;
        if (duration_parse(bad[i], &ms) || ms != -7)
            fail_msg("%s", bad[i]);
    }
}

static void sizes_are_read_in_powers_of_1024(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {
        {"0", 0},
        {"512", 512},
        {"64K", 65536},
        {"256M", 268435456},
        {"2G", 2147483648},
        {"9223372036854775807", INT64_MAX},
        {"8589934591G", 8589934591 * 1073741824},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t bytes = -1;
        if (!size_parse(good[i].text, &bytes) || bytes != good[i].bytes)
            fail_msg("%s", good[i].text);
    }
}

static void bad_sizes_are_refused_and_change_nothing(void **state)
{
    static const char *const bad[] = {"",
                                      "K",
                                      "-1",
                                      "+1",
                                      "1k",
                                      "1KB",
                                      "1 K",
                                      "1.5M",
                                      "0x10",
                                      "1T",
                                      "9223372036854775808",
                                      "8589934592G",
                                      "99999999999999999999"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t bytes = -7;
        if (size_parse(bad[i], &bytes) || bytes != -7)
            fail_msg("%s", bad[i]);
    }
}

static void integers_are_decimal_and_whole(void **state)
{
    int64_t v = 0;
    assert_true(integer_parse("9600", &v));
    assert_int_equal(v, 9600);
    assert_true(integer_parse("-3", &v));
    assert_int_equal(v, -3);
    assert_true(integer_parse("9223372036854775807", &v));
    assert_true(v == INT64_MAX);
    static const char *const bad[] = {"",
                                      "-",
                                      "--1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "9223372036854775808",
                                      "-9223372036854775809"};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (integer_parse(bad[i], &v))
            fail_msg("%s", bad[i]);
}

static void what_is_written_is_the_largest_exact_unit_and_reads_back(void **state)
{
    static const int64_t values[] = {
        0,       1,        999,       1000,    1024,    1500,       60000,         90000,
        3600000, 86400000, 604800000, 1048576, 3145728, 1073741824, INT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < COUNT(values); i++) {
        char text[UNITS_TEXT_BYTES];
        int64_t back;
        duration_format(values[i], text);
        assert_true(duration_parse(text, &back));
        assert_true(back == values[i]);
        size_format(values[i], text);
        assert_true(size_parse(text, &back));
        assert_true(back == values[i]);
    }
    char text[UNITS_TEXT_BYTES];
    duration_format(604800000, text);
    assert_string_equal(text, "7d");
    duration_format(90000, text);
    assert_string_equal(text, "90s");
    size_format(65536, text);
    assert_string_equal(text, "64K");
}

static void the_crc_is_the_one_of_ethernet(void **state)
{
    assert_true(crc32_add(0, "", 0) == 0);
    assert_true(crc32_add(0, "123456789", 9) == 0xcbf43926u);
    assert_true(crc32_add(0, "a", 1) == 0xe8b7be43u);
    assert_true(crc32_add(0, "The quick brown fox jumps over the lazy dog", 43) == 0x414fa339u);
}

static void a_crc_in_parts_is_the_crc_of_the_whole(void **state)
{
    const char *text = "The quick brown fox jumps over the lazy dog";
    uint32_t whole = crc32_add(0, text, 43);
    for (size_t cut = 0; cut <= 43; cut++)
        assert_true(crc32_add(crc32_add(0, text, cut), text + cut, 43 - cut) == whole);
}

static void the_hash_is_fnv_1a(void **state)
{
    assert_true(hash64_add(HASH64_START, "", 0) == 0xcbf29ce484222325ull);
    assert_true(hash64_add(HASH64_START, "a", 1) == 0xaf63dc4c8601ec8cull);
    assert_true(hash64_add(HASH64_START, "foobar", 6) == 0x85944171f73967e8ull);
    assert_true(hash64_add(hash64_add(HASH64_START, "foo", 3), "bar", 3) == 0x85944171f73967e8ull);
}

static void every_input_bit_of_the_fold_reaches_the_output(void **state)
{
    for (int bit = 0; bit < 64; bit++) {
        uint32_t changed = 0;
        for (uint64_t i = 1; i <= 256; i++) {
            uint64_t h = i * 0x0123456789abcdefull;
            changed |= hash64_fold32(h) ^ hash64_fold32(h ^ 1ull << bit);
        }
        assert_true(changed == 0xffffffffu);
    }
}

static void a_message_holds_copies_with_a_nul_behind_the_topic(void **state)
{
    char topic[] = "a/bX", payload[] = "12";
    struct msg *m = msg_new(topic, 3, payload, 2, "\x01\x01", 2, "edge,hub");
    assert_non_null(m);
    topic[0] = payload[0] = '?';
    assert_string_equal(m->topic, "a/b");
    assert_int_equal(m->topic_len, 3);
    assert_memory_equal(m->payload, "12", 2);
    assert_int_equal(m->payload_len, 2);
    assert_memory_equal(m->props, "\x01\x01", 2);
    assert_string_equal(m->hops, "edge,hub");
    assert_int_equal(m->hops_len, 8);
    assert_int_equal(m->class, CLASS_NORMAL);
    assert_true(m->expiry_ms == MSG_NO_EXPIRY);
    assert_int_equal(m->qos, 0);
    assert_false(m->retain);
    assert_int_equal(m->origin_ms, 0);
    msg_free(m);
}

static void a_message_may_be_without_payload_properties_and_hops(void **state)
{
    struct msg *m = msg_new("t", 1, NULL, 0, NULL, 0, NULL);
    assert_non_null(m);
    assert_int_equal(m->payload_len, 0);
    assert_string_equal(m->hops, "");
    msg_free(m);
    msg_free(NULL);
}

static void classes_are_named_as_in_the_configuration(void **state)
{
    assert_string_equal(msg_class_name(CLASS_ALARM), "alarm");
    assert_string_equal(msg_class_name(CLASS_HIGH), "high");
    assert_string_equal(msg_class_name(CLASS_NORMAL), "normal");
    assert_string_equal(msg_class_name(CLASS_BULK), "bulk");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_accepted_in_all_four_lengths_and_at_their_edges),
        cmocka_unit_test(malformed_utf8_is_refused),
        cmocka_unit_test(a_sequence_cut_at_the_end_is_not_read_beyond_it),
        cmocka_unit_test(durations_are_read_with_their_unit),
        cmocka_unit_test(bad_durations_are_refused_and_change_nothing),
        cmocka_unit_test(sizes_are_read_in_powers_of_1024),
        cmocka_unit_test(bad_sizes_are_refused_and_change_nothing),
        cmocka_unit_test(integers_are_decimal_and_whole),
        cmocka_unit_test(what_is_written_is_the_largest_exact_unit_and_reads_back),
        cmocka_unit_test(the_crc_is_the_one_of_ethernet),
        cmocka_unit_test(a_crc_in_parts_is_the_crc_of_the_whole),
        cmocka_unit_test(the_hash_is_fnv_1a),
        cmocka_unit_test(every_input_bit_of_the_fold_reaches_the_output),
        cmocka_unit_test(a_message_holds_copies_with_a_nul_behind_the_topic),
        cmocka_unit_test(a_message_may_be_without_payload_properties_and_hops),
        cmocka_unit_test(classes_are_named_as_in_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
