/* The line clock: the line never idles behind a backlog, and an alarm waits for little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "link_drivers/line_clock.h"

#define FRAME 264

static void test_nearly_idle_takes_a_frame(void **state)
{
    const uint32_t bauds[] = {50, 300, 1200, 9600, 57600, 115200, 921600, 4000000};
    for (size_t i = 0; i < sizeof(bauds) / sizeof(bauds[0]); i++) {
        struct line_clock c;
        line_clock_init(&c, bauds[i], 10, FRAME);
        assert_true(line_clock_room(&c, 0, 0, 5000) >= FRAME);
        assert_true(line_clock_room(&c, 0, 0, 5000) <= line_clock_room_max(&c));
    }
}

static void test_one_frame_then_wait(void **state)
{
    struct line_clock c;
    line_clock_init(&c, 9600, 10, FRAME);
    assert_int_equal(line_clock_rate(&c), 960);
    line_clock_sent(&c, FRAME, 1000); /* 275 ms of line time */
    assert_int_equal(line_clock_room(&c, 0, 0, 1000), 0);
    assert_int_equal(line_clock_room_at_ms(&c, 0, 0, 1000), 1000 + 275 - LINE_CLOCK_HORIZON_MS);
    assert_int_equal(line_clock_room(&c, 0, 0, 1214), 0);
    assert_true(line_clock_room(&c, 0, 0, 1215) >= FRAME);
    assert_int_equal(line_clock_room_at_ms(&c, 0, 0, 1300), 1300);
}

static void test_fast_line_takes_a_time(void **state)
{
    struct line_clock c;
    line_clock_init(&c, 921600, 10, FRAME);
    assert_int_equal(line_clock_room(&c, 0, 0, 1000), 92160 * LINE_CLOCK_FAST_HORIZON_MS / 1000);
    /* All of it given, there is no more until some of it has left. */
    line_clock_sent(&c, 9216, 1000);
    assert_true(line_clock_room(&c, 0, 0, 1000) <= FRAME);
    line_clock_sent(&c, FRAME, 1000);
    assert_int_equal(line_clock_room(&c, 0, 0, 1000), 0);
}

/* The bound that priorities rest on: what is held never passes the horizon and one frame. */
static void test_held_is_bounded(void **state)
{
    const uint32_t bauds[] = {300, 1200, 2400, 9600, 19200, 115200, 1000000};
    srand(1);
    for (size_t i = 0; i < sizeof(bauds) / sizeof(bauds[0]); i++) {
        struct line_clock c;
        line_clock_init(&c, bauds[i], 10, FRAME);
        int64_t now = 1000;
        int64_t most = FRAME * c.byte_ns + c.horizon_ns;
        for (int step = 0; step < 5000; step++) {
            now += rand() % 30;
            size_t room = line_clock_room(&c, 0, 0, now);
            size_t n = room ? 1 + (size_t)rand() % room : 0;
            line_clock_sent(&c, n, now);
            assert_true(c.idle_at_ns - now * 1000000 <= most);
        }
    }
}

/* A host that is late by up to 20 ms (an fsync) at each turn, asks only when told, and sends frames
 * of 256: how much of the time has the line something to send? */
static void test_line_stays_busy(void **state)
{
    const uint32_t bauds[] = {1200, 9600, 57600, 115200, 460800};
    srand(2);
    for (size_t i = 0; i < sizeof(bauds) / sizeof(bauds[0]); i++) {
        struct line_clock c;
        line_clock_init(&c, bauds[i], 10, FRAME);
        int64_t now = 1000, busy_ns = 0, free_at_ns = now * 1000000;
        const int64_t begin = now;
        while (now < begin + 100000) {
            while (line_clock_room(&c, 0, 0, now) >= 256) {
                line_clock_sent(&c, 256, now);
                /* The line itself, apart from the clock under test. */
                if (free_at_ns < now * 1000000)
                    free_at_ns = now * 1000000;
                free_at_ns += 256 * (10 * 1000000000ll / bauds[i]);
                busy_ns += 256 * (10 * 1000000000ll / bauds[i]);
            }
            now = line_clock_room_at_ms(&c, 0, 0, now) + rand() % 21;
        }
        int64_t total_ns = (now - begin) * 1000000;
        if (busy_ns * 100 < total_ns * 99)
            fail_msg("%u baud: the line was busy %d %% of the time", bauds[i],
                     (int)(busy_ns * 100 / total_ns));
    }
}

static void test_does_not_drift(void **state)
{
    struct line_clock c;
    line_clock_init(&c, 9600, 10, FRAME);
    for (int i = 0; i < 960000; i++)
        line_clock_sent(&c, 1, 0);
    /* 1000 s, to within the rounding of a byte's time. */
    assert_in_range(c.idle_at_ns / 1000000, 999900, 1000000);
}

static void test_kernel_is_believed_when_it_holds_more(void **state)
{
    struct line_clock c;
    line_clock_init(&c, 9600, 10, FRAME);
    /* The clock thinks that all has left; the line was stopped. */
    line_clock_sent(&c, 100, 1000);
    assert_int_equal(line_clock_room(&c, 100, 0, 9000), 0);
    assert_true(line_clock_room_at_ms(&c, 100, 0, 9000) > 9000);
    assert_true(line_clock_room(&c, 50, 0, 9000) >= FRAME);
    /* It says less than the clock: an adapter hides the rest. */
    line_clock_sent(&c, 500, 9000);
    assert_int_equal(line_clock_room(&c, 0, 0, 9000), 0);
}

static void test_pending_counts(void **state)
{
    struct line_clock c;
    line_clock_init(&c, 9600, 10, FRAME);
    assert_int_equal(line_clock_room(&c, 0, 200, 1000), 0);
    assert_true(line_clock_room(&c, 0, 20, 1000) >= FRAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"a nearly idle line takes a whole frame at any rate", test_nearly_idle_takes_a_frame},
        {"behind a frame there is no room until the horizon", test_one_frame_then_wait},
        {"a fast line takes a time's worth", test_fast_line_takes_a_time},
        {"never more than the horizon and a frame is held", test_held_is_bounded},
        {"a line with a backlog stays busy though the loop is late", test_line_stays_busy},
        {"the clock does not drift", test_does_not_drift},
        {"the kernel's count is believed when larger", test_kernel_is_believed_when_it_holds_more},
        {"bytes not yet taken by the kernel count", test_pending_counts},
    };
    return cmocka_run_group_tests_name("line_clock", tests, NULL, NULL);
}
