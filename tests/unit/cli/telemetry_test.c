/* The telemetry generator: repeatable, plausible, well-formed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/cli/telemetry.h"

#define MESSAGES 5000
#define SEED     20261123

static void same_seed_gives_the_same_bytes(void **state)
{
    struct telemetry a, b;
    struct telemetry_message ma, mb;
    telemetry_init(&a, SEED, 1780000000);
    telemetry_init(&b, SEED, 1780000000);
    for (int i = 0; i < MESSAGES; i++) {
        telemetry_next(&a, &ma);
        telemetry_next(&b, &mb);
        assert_memory_equal(&ma, &mb, sizeof ma);
    }
}

static void another_seed_gives_other_values(void **state)
{
    struct telemetry a, b;
    struct telemetry_message ma, mb;
    int equal = 0;
    telemetry_init(&a, SEED, 1780000000);
    telemetry_init(&b, SEED + 1, 1780000000);
    for (int i = 0; i < MESSAGES; i++) {
        telemetry_next(&a, &ma);
        telemetry_next(&b, &mb);
        equal += strcmp(ma.payload, mb.payload) == 0;
    }
    assert_in_range(equal, 0, MESSAGES / 10);
}

static void these_first_bytes_never_change(void **state)
{
    /* Figures of the demo and the benchmarks are compared across releases: the generator must
     * stay. */
    struct telemetry t;
    struct telemetry_message m;
    uint64_t h = 0xcbf29ce484222325ull;
    telemetry_init(&t, 1, 1780000000);
    for (int i = 0; i < 1000; i++) {
        telemetry_next(&t, &m);
        for (size_t k = 0; k < m.payload_len; k++)
            h = (h ^ (uint8_t)m.payload[k]) * 0x100000001b3ull;
    }
    assert_int_equal(h, 0x8d69ad693f873745ull);
}

static void time_never_falls(void **state)
{
    struct telemetry t;
    struct telemetry_message m;
    int64_t last = 0;
    telemetry_init(&t, SEED, 0);
    for (int i = 0; i < MESSAGES; i++) {
        telemetry_next(&t, &m);
        assert_true(m.offset_ms >= last);
        last = m.offset_ms;
    }
    assert_true(last > 1000000); /* a rate of some messages a second, not thousands */
}

static void nmea_sentences_carry_right_checksums(void **state)
{
    struct telemetry t;
    struct telemetry_message m;
    int seen = 0;
    telemetry_init(&t, SEED, 1780000000);
    for (int i = 0; i < MESSAGES; i++) {
        telemetry_next(&t, &m);
        if (strcmp(m.topic, "nmea/0183") != 0)
            continue;
        unsigned sum = 0;
        const char *star = strchr(m.payload, '*');
        assert_non_null(star);
        assert_int_equal(m.payload[0], '$');
        assert_int_equal(strlen(star), 3);
        assert_in_range(m.payload_len, 10, 82);
        for (const char *c = m.payload + 1; c < star; c++)
            sum ^= (unsigned char)*c;
        assert_int_equal(strtoul(star + 1, NULL, 16), sum);
        seen++;
    }
    assert_true(seen > MESSAGES / 4);
}

static void every_kind_of_source_speaks(void **state)
{
    static const char *const topics[] = {"weather/mast/loop",
                                         "owntracks/longwire/boat",
                                         "N/boat/tank/20/Level",
                                         "N/boat/battery/1/Dc/0/Voltage",
                                         "switches/bilge-pump",
                                         "alarms/bilge",
                                         "nmea/0183"};
    for (size_t k = 0; k < sizeof topics / sizeof *topics; k++) {
        struct telemetry t;
        struct telemetry_message m;
        char first[TELEMETRY_PAYLOAD_MAX] = "";
        int seen = 0, changed = 0;
        telemetry_init(&t, SEED, 1780000000);
        for (int i = 0; i < MESSAGES; i++) {
            telemetry_next(&t, &m);
            assert_int_equal(strlen(m.payload), m.payload_len);
            if (strcmp(m.topic, topics[k]) != 0)
                continue;
            assert_int_equal(m.alarm, strncmp(m.topic, "alarms/", 7) == 0);
            changed += seen++ > 0 && strcmp(first, m.payload) != 0;
            strcpy(first, m.payload);
        }
        assert_true(seen >= 5);
        assert_true(changed >= 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_gives_the_same_bytes),
        cmocka_unit_test(another_seed_gives_other_values),
        cmocka_unit_test(these_first_bytes_never_change),
        cmocka_unit_test(time_never_falls),
        cmocka_unit_test(nmea_sentences_carry_right_checksums),
        cmocka_unit_test(every_kind_of_source_speaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
