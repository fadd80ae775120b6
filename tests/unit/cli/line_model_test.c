/* The simulated line: what the demo's and the end-to-end tests' claims rest on. Time is invented
 * here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "gateway/cli/line_model.h"

#define SEED 7

static struct line_model *a_line(uint32_t baud, uint32_t delay_ms)
{
    struct line_model *m = line_model_new(SEED);
    assert_non_null(m);
    struct line_quality q = {.baud = baud, .delay_us = delay_ms * 1000};
    line_model_set(m, LINE_A, &q);
    line_model_set(m, LINE_B, &q);
    return m;
}

/* Says n bytes of a counted pattern from A over simulated time and gathers what B hears. Return:
 * bytes heard. */
static size_t carry(struct line_model *m, size_t n, uint8_t *heard, size_t max, int64_t *now_us)
{
    uint8_t bytes[256];
    size_t said = 0, got = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    for (;;) {
        size_t room = line_model_room(m, LINE_A, *now_us);
        size_t piece = n - said < room ? n - said : room;
        if (piece > sizeof bytes - said % sizeof bytes)
            piece = sizeof bytes - said % sizeof bytes;
        line_model_say(m, LINE_A, bytes + said % sizeof bytes, piece, *now_us);
        said += piece;
        got += line_model_hear(m, LINE_B, heard + got, max - got, *now_us);
        int64_t next = line_model_next_us(m, *now_us);
        if (next == INT64_MAX && said == n)
            return got;
        *now_us = next > *now_us ? next : *now_us + 1;
    }
}

static void bytes_take_the_time_of_the_rate_and_the_delay(void **state)
{
    static uint8_t heard[2000];
    int64_t now = 0;
    struct line_model *m = a_line(9600, 250);
    assert_int_equal(carry(m, 960, heard, sizeof heard, &now), 960);
    assert_in_range(now, 1249000, 1251000); /* 960 bytes at 960 a second, then 250 ms */
    for (int i = 0; i < 960; i++)
        assert_int_equal(heard[i], i & 255);
    line_model_free(m);
}

static void the_queue_of_an_end_is_bounded(void **state)
{
    static uint8_t bytes[LINE_QUEUE_BYTES];
    struct line_model *m = a_line(1200, 0);
    line_model_say(m, LINE_A, bytes, sizeof bytes, 0);
    assert_int_equal(line_model_room(m, LINE_A, 0), 1); /* one is on the line */
    assert_int_equal(line_model_room(m, LINE_A, 1000000), 121);
    line_model_free(m);
}

static void bit_errors_come_at_their_rate_and_repeat_with_the_seed(void **state)
{
    static uint8_t first[200000], second[200000];
    int64_t now = 0;
    struct line_counters c;
    for (int run = 0; run < 2; run++) {
        struct line_model *m = a_line(0, 0);
        struct line_quality q = {.bit_error_ppb = 100000}; /* 1e-4 */
        line_model_set(m, LINE_A, &q);
        now = 0;
        assert_int_equal(carry(m, sizeof first, run ? second : first, sizeof first, &now),
                         sizeof first);
        line_model_counters(m, LINE_A, &c);
        line_model_free(m);
    }
    assert_memory_equal(first, second, sizeof first);
    assert_in_range(c.damaged, 130, 190); /* 200,000 bytes of 8 bits: 160 expected */
}

static void lost_and_invented_bytes_are_counted(void **state)
{
    static uint8_t heard[120000];
    int64_t now = 0;
    struct line_counters c;
    struct line_model *m = a_line(0, 0);
    struct line_quality q = {.loss_ppb = 1000000, .insert_ppb = 1000000};
    line_model_set(m, LINE_A, &q);
    size_t got = carry(m, 100000, heard, sizeof heard, &now);
    line_model_counters(m, LINE_A, &c);
    assert_in_range(c.lost, 60, 140);
    assert_in_range(c.invented, 60, 140);
    assert_int_equal(got, 100000 - c.lost + c.invented);
    line_model_free(m);
}

static void a_cut_swallows_and_a_restored_line_carries(void **state)
{
    uint8_t heard[64];
    int64_t now = 0;
    struct line_counters c;
    struct line_model *m = a_line(9600, 0);
    line_model_cut(m, true);
    assert_int_equal(carry(m, 32, heard, sizeof heard, &now), 0);
    line_model_cut(m, false);
    assert_int_equal(carry(m, 32, heard, sizeof heard, &now), 32);
    line_model_counters(m, LINE_A, &c);
    assert_int_equal(c.cut, 32);
    assert_int_equal(c.heard, 32);
    line_model_free(m);
}

static void two_that_speak_at_once_garble_each_other_on_half_duplex(void **state)
{
    uint8_t ones[8], at_a[16], at_b[16];
    struct line_counters c;
    memset(ones, 1, sizeof ones);
    for (int half = 0; half < 2; half++) {
        struct line_model *m = a_line(9600, 0);
        line_model_half_duplex(m, half);
        line_model_say(m, LINE_A, ones, 8, 0);
        line_model_say(m, LINE_B, ones, 8, 500);
        assert_int_equal(line_model_hear(m, LINE_A, at_a, 16, 1000000), 8);
        assert_int_equal(line_model_hear(m, LINE_B, at_b, 16, 1000000), 8);
        assert_int_equal(memcmp(at_a, ones, 8) != 0, half);
        assert_int_equal(memcmp(at_b, ones, 8) != 0, half);
        line_model_counters(m, LINE_A, &c);
        assert_int_equal(c.collided > 0, half);
        line_model_free(m);
    }
}

static void turns_taken_in_order_pass_on_half_duplex(void **state)
{
    uint8_t ones[8], got[16];
    memset(ones, 1, sizeof ones);
    struct line_model *m = a_line(9600, 0);
    line_model_half_duplex(m, true);
    line_model_say(m, LINE_A, ones, 8, 0);
    assert_int_equal(line_model_hear(m, LINE_B, got, 16, 20000), 8);
    assert_memory_equal(got, ones, 8);
    line_model_say(m, LINE_B, ones, 8, 20000);
    assert_int_equal(line_model_hear(m, LINE_A, got, 16, 40000), 8);
    assert_memory_equal(got, ones, 8);
    line_model_free(m);
}

static void injected_bytes_are_heard_at_once_and_in_order(void **state)
{
    uint8_t got[16];
    struct line_model *m = a_line(9600, 1000);
    line_model_say(m, LINE_A, (const uint8_t *)"xy", 2, 0);
    assert_int_equal(line_model_inject(m, LINE_B, (const uint8_t *)"BOOT", 4, 5000), 4);
    assert_int_equal(line_model_hear(m, LINE_B, got, 16, 5000), 4);
    assert_memory_equal(got, "BOOT", 4);
    assert_int_equal(line_model_hear(m, LINE_B, got, 16, 2000000), 2);
    assert_memory_equal(got, "xy", 2);
    line_model_free(m);
}

static void a_pulled_plug_forgets_what_its_end_had_to_say_and_hear(void **state)
{
    uint8_t got[16];
    struct line_model *m = a_line(9600, 1000);
    line_model_say(m, LINE_A, (const uint8_t *)"ab", 2, 0);
    line_model_say(m, LINE_B, (const uint8_t *)"cd", 2, 0);
    line_model_unplug(m, LINE_B, 10000);
    assert_int_equal(line_model_hear(m, LINE_B, got, 16, 5000000), 0);
    assert_int_equal(line_model_hear(m, LINE_A, got, 16, 5000000), 2); /* already on its way */
    line_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_take_the_time_of_the_rate_and_the_delay),
        cmocka_unit_test(the_queue_of_an_end_is_bounded),
        cmocka_unit_test(bit_errors_come_at_their_rate_and_repeat_with_the_seed),
        cmocka_unit_test(lost_and_invented_bytes_are_counted),
        cmocka_unit_test(a_cut_swallows_and_a_restored_line_carries),
        cmocka_unit_test(two_that_speak_at_once_garble_each_other_on_half_duplex),
        cmocka_unit_test(turns_taken_in_order_pass_on_half_duplex),
        cmocka_unit_test(injected_bytes_are_heard_at_once_and_in_order),
        cmocka_unit_test(a_pulled_plug_forgets_what_its_end_had_to_say_and_hear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
