/* When the codec gives way to a fast line, and when not. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/wire/effort.h"

/* A machine and a line: the codec takes full_bytes_s of payload and at the fast level three times that, the line
 * line_bytes_s as it is, `ratio` times as much squeezed and three quarters of that at the fast level. Looked at
 * every 10 ms. */
struct scene {
    uint64_t full_bytes_s, line_bytes_s, ratio;
    struct effort effort;
    int64_t now_ms;
    uint64_t arrived;
    int64_t fast_ms, stored_ms;
};

static void run(struct scene *s, bool backlog, int64_t ms)
{
    for (int64_t until = s->now_ms + ms; s->now_ms < until; s->now_ms += 10) {
        uint64_t rate = 0, work_us = 0;
        if (backlog && s->effort.now != CODEC_EFFORT_STORED) {
            bool fast = s->effort.now == CODEC_EFFORT_FAST;
            uint64_t squeezed = s->line_bytes_s * s->ratio * (fast ? 3 : 4) / 4;
            uint64_t codec = s->full_bytes_s * (fast ? 3 : 1);
            rate = squeezed < codec ? squeezed : codec;
            work_us = 10000 * rate / codec;
        } else if (backlog) {
            rate = s->line_bytes_s;
        }
        effort_worked(&s->effort, work_us);
        s->arrived += rate / 100;
        enum codec_effort effort = effort_look(&s->effort, backlog, s->arrived, s->now_ms);
        s->stored_ms += effort == CODEC_EFFORT_STORED ? 10 : 0;
        s->fast_ms += effort == CODEC_EFFORT_FAST ? 10 : 0;
    }
}

static struct scene scene(uint64_t full, uint64_t line, uint64_t ratio)
{
    struct scene s = {.full_bytes_s = full, .line_bytes_s = line, .ratio = ratio, .now_ms = 5000};
    effort_init(&s.effort, CODEC_EFFORT_FULL, false);
    return s;
}

static void on_a_fast_line_payloads_are_stored_while_a_backlog_lasts(void **state)
{
    struct scene s = scene(150000, 10000000, 8);
    run(&s, true, 5000);
    assert_true(s.stored_ms >= 4500);
    run(&s, false, EFFORT_WINDOW_MS + 20);
    assert_int_equal(s.effort.now, CODEC_EFFORT_FULL);
}

static void on_a_slow_line_everything_is_squeezed(void **state)
{
    struct scene s = scene(150000, 1200, 8);
    run(&s, true, 600000);
    assert_int_equal(s.stored_ms + s.fast_ms, 0);
}

static void a_slow_processor_on_a_slow_line_goes_on_squeezing(void **state)
{
    /* The codec has all of the time, and still carries four times what the line does without it. Either
     * level below would carry less than the one above. */
    struct scene s = scene(20000, 3000, 8);
    run(&s, true, 600000);
    assert_true(s.fast_ms > 0); /* it was tried */
    assert_true(s.fast_ms <= 600000 / 100);
    assert_int_equal(s.stored_ms, 0);
    assert_int_equal(s.effort.now, CODEC_EFFORT_FULL);
}

static void between_the_two_the_fast_level_is_kept_to(void **state)
{
    /* 150 KB/s at the full level, 300 at the fast one, where the line is the limit, 50 as it is. */
    struct scene s = scene(150000, 50000, 8);
    run(&s, true, 600000);
    assert_true(s.fast_ms >= 600000 * 9 / 10);
    assert_true(s.stored_ms <= 600000 / 100);
    assert_int_equal(s.effort.now, CODEC_EFFORT_FAST);
    run(&s, false, EFFORT_WINDOW_MS + 20);
    assert_int_equal(s.effort.now, CODEC_EFFORT_FULL);
}

static void a_short_wait_for_a_commit_is_no_end_of_the_backlog(void **state)
{
    struct scene s = scene(150000, 10000000, 8);
    for (int i = 0; i < 100; i++) {
        run(&s, true, 40);
        run(&s, false, 10);
    }
    assert_true(s.stored_ms >= 4000);
}

static void what_is_fixed_stays(void **state)
{
    struct scene s = scene(150000, 10000000, 8);
    effort_init(&s.effort, CODEC_EFFORT_FULL, true);
    run(&s, true, 5000);
    assert_int_equal(s.stored_ms + s.fast_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_fast_line_payloads_are_stored_while_a_backlog_lasts),
        cmocka_unit_test(on_a_slow_line_everything_is_squeezed),
        cmocka_unit_test(a_slow_processor_on_a_slow_line_goes_on_squeezing),
        cmocka_unit_test(between_the_two_the_fast_level_is_kept_to),
        cmocka_unit_test(a_short_wait_for_a_commit_is_no_end_of_the_backlog),
        cmocka_unit_test(what_is_fixed_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
