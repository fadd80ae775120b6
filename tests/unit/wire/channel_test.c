/* Two whole channels over a simulated line: what must hold whatever the line does. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/wire/pair.h"

#define LINE_9600 960
#define LINE_1200 120

static void backlog(struct pair *p, int side, unsigned count, uint32_t len)
{
    for (unsigned i = 0; i < count; i++)
        pair_send(p, side, CLASS_NORMAL, len);
}

static uint64_t received(const struct pair *p, int side)
{
    uint64_t n = 0;
    for (unsigned k = 0; k < CLASS_COUNT; k++)
        n += p->owner[side].disk.count[k];
    return n;
}

static void messages_cross_both_ways_once_and_in_order(void **state)
{
    struct pair *p =
        pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 11});
    pair_up(p, 2);
    for (int i = 0; i < 300; i++) {
        pair_send(p, i % 2, (enum msg_class)(i % 4), 10 + (uint32_t)i);
        pair_run(p, 50);
    }
    assert_true(pair_drain(p, 200000));
    assert_int_equal(received(p, 0) + received(p, 1), 300);
    assert_int_equal(p->owner[0].greeteds, 1);
    pair_free(p);
}

static void a_handshake_costs_at_most_64_bytes_each_way_and_the_name_or_100_sealed(void **state)
{
    for (int first = 0; first < 3; first++) {
        struct pair *p =
            pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 12});
        /* As after two million messages. */
        for (unsigned k = 0; k < CLASS_COUNT; k++)
            for (int i = 0; i < 2; i++) {
                p->owner[i].disk.cumulative[k] = 2000000 - 5000 * k;
                p->owner[!i].settled[k] = p->owner[!i].last_of[k] = 2000000 - 5000 * k;
            }
        pair_up(p, first == 2 ? 2 : first);
        if (first != 2) {
            pair_run(p, 3000);
            p->owner[first].bytes_out = 0; /* said to nobody */
            pair_down(p, first);
            pair_up(p, 2);
        }
        pair_run(p, 10000);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(channel_state(p->owner[i].channel), CHANNEL_READY);
            print_message("# side %d: %d bytes\n", i, (int)p->owner[i].bytes_out);
            size_t name = 1 + strlen(p->owner[i].config.own_name);
            assert_true(p->owner[i].bytes_out <= (pair_seal == SEAL_NONE   ? 64 + name
                                                  : pair_seal == SEAL_AUTH ? 100 + name
                                                                           : 100));
        }
        pair_free(p);
    }
}

static void a_link_that_comes_back_is_resumed_for_at_most_16_bytes_each_way_or_28_sealed(void **state)
{
    for (int sides = 0; sides < 3; sides++) {
        struct pair *p =
            pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 13});
        pair_up(p, 2);
        backlog(p, 0, 5, 50);
        assert_true(pair_drain(p, 20000));
        pair_run(p, 5000);
        pair_down(p, sides);
        pair_run(p, 10000);
        p->owner[0].bytes_out = p->owner[1].bytes_out = 0;
        pair_up(p, sides);
        pair_run(p, 5000);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(channel_state(p->owner[i].channel), CHANNEL_READY);
            assert_int_equal(p->owner[i].greeteds, 1);
            print_message("# side %d: %d bytes\n", i, (int)p->owner[i].bytes_out);
            assert_true(p->owner[i].bytes_out <= (pair_seal == SEAL_NONE ? 16 : 28));
        }
        backlog(p, 0, 5, 50);
        assert_true(pair_drain(p, 20000));
        pair_free(p);
    }
}

static double utilisation(const struct pair_options *o, double *frames)
{
    struct pair *p = pair_new(o);
    pair_up(p, 2);
    pair_run(p, 10000);
    backlog(p, 0, 20000, 100);
    pair_run(p, 30000);
    struct channel_status before, after;
    channel_status(p->owner[1].channel, &before);
    uint64_t carried = p->line[0].carried;
    int64_t from = p->now_ms;
    pair_run(p, 600000);
    assert_false(p->wrong);
    channel_status(p->owner[1].channel, &after);
    double line = (double)o->rate * (double)(p->now_ms - from) / 1000;
    *frames = (double)(p->line[0].carried - carried) / line;
    double stream = (double)(after.stream_bytes_in - before.stream_bytes_in) / line;
    struct channel_status s;
    channel_status(p->owner[0].channel, &s);
    print_message("# frames %.4f of the line, stream %.4f; resent %d of %d, bad %d, rtt %d\n",
                  *frames, stream, (int)s.retransmits, (int)s.frames_out, (int)after.bad_frames,
                  (int)s.rtt_ms);
    pair_free(p);
    return stream;
}

static void a_backlog_fills_a_clean_9600_line(void **state)
{
    double frames;
    double stream =
        utilisation(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 14}, &frames);
    assert_true(frames >= 0.97);
    assert_true(stream >= 0.93);
}

static void a_backlog_fills_a_line_with_a_second_of_delay(void **state)
{
    double frames;
    double stream = utilisation(
        &(struct pair_options){.rate = LINE_9600, .delay_ms = 1000, .seed = 15}, &frames);
    assert_true(frames >= 0.95);
    assert_true(stream >= 0.91);
}

static void one_bit_error_in_100000_leaves_nine_tenths(void **state)
{
    double frames;
    assert_true(utilisation(
                    &(struct pair_options){
                        .rate = LINE_9600, .delay_ms = 20, .bit_error = 1e-5, .seed = 16},
                    &frames) >= 0.90);
}

static void one_bit_error_in_10000_leaves_three_quarters(void **state)
{
    double frames;
    assert_true(utilisation(
                    &(struct pair_options){
                        .rate = LINE_9600, .delay_ms = 20, .bit_error = 1e-4, .seed = 17},
                    &frames) >= 0.75);
}

static int64_t worst_alarm_ms(size_t message, int64_t delay_ms)
{
    struct pair *p =
        pair_new(&(struct pair_options){.rate = LINE_1200, .delay_ms = delay_ms, .seed = 18});
    pair_up(p, 2);
    pair_run(p, 30000);
    backlog(p, 0, 1000, (uint32_t)message);
    pair_run(p, 60000);
    for (int i = 0; i < 20; i++) {
        pair_send(p, 0, CLASS_ALARM, 20);
        pair_run(p, 10000 + pair_random(p) % 3000);
    }
    assert_false(p->wrong);
    assert_true(p->owner[0].alarms_urgent >= 20);
    int64_t worst = p->owner[1].worst_alarm_ms;
    pair_free(p);
    return worst;
}

static void an_alarm_overtakes_a_backlog_at_1200_bps(void **state)
{
    int64_t frame_ms = 256 * 1000 / LINE_1200;
    /* Also of messages that nearly fill a frame: what is coded can no longer be overtaken. */
    for (size_t message = 20; message <= 240; message += 44) {
        int64_t worst = worst_alarm_ms(message, 50);
        print_message("# behind messages of %d: worst %d ms, two frame times %d ms\n", (int)message,
                      (int)worst, (int)(2 * frame_ms));
        assert_true(worst <= 2 * frame_ms + 2 * 50 + 250);
    }
}

static void an_alarm_overtakes_a_megabyte_of_noise(void **state)
{
    struct pair *p =
        pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 50, .seed = 52});
    pair_up(p, 2);
    pair_run(p, 5000);
    pair_send(p, 0, CLASS_BULK, 1000000);
    pair_run(p, 10000);
    for (int i = 0; i < 40; i++) {
        pair_send(p, 0, CLASS_ALARM, 20);
        pair_run(p, 5000 + pair_random(p) % 3000);
    }
    assert_false(p->wrong);
    assert_true(p->owner[1].disk.partial[CLASS_BULK]);
    int64_t frame_ms = 256 * 1000 / LINE_9600;
    print_message("# worst %d ms, two frame times %d ms\n", (int)p->owner[1].worst_alarm_ms,
                  (int)(2 * frame_ms));
    /* What the line's driver takes ahead (pair.c) comes on top. */
    assert_true(p->owner[1].worst_alarm_ms <= 2 * frame_ms + 2 * 50 + 250);
    pair_free(p);
}

static void a_metered_link_is_silent_when_idle(void **state)
{
    struct pair *p = pair_new(&(struct pair_options){
        .rate = LINE_9600, .delay_ms = 20, .metered = true, .probe_ms = 60000, .seed = 19});
    pair_up(p, 2);
    pair_run(p, 86400000);
    assert_int_equal(p->owner[0].bytes_out + p->owner[1].bytes_out, 0);
    backlog(p, 0, 3, 50);
    assert_true(pair_drain(p, 60000));
    pair_run(p, 10000);
    p->owner[0].bytes_out = p->owner[1].bytes_out = 0;
    pair_run(p, 7 * 86400000ll);
    assert_int_equal(p->owner[0].bytes_out + p->owner[1].bytes_out, 0);
    pair_free(p);
}

static void either_end_may_be_killed_at_any_time(void **state)
{
    struct pair *p = pair_new(
        &(struct pair_options){.rate = 11520, .delay_ms = 20, .bit_error = 1e-5, .seed = 20});
    pair_up(p, 2);
    for (int i = 0; i < 60; i++) {
        backlog(p, i % 2, 40, 60);
        pair_send(p, !(i % 2), CLASS_BULK, 3000);
        pair_run(p, pair_random(p) % 4000);
        pair_restart(p, (int)(pair_random(p) % 2));
    }
    assert_true(pair_drain(p, 600000));
    assert_int_equal(received(p, 0) + received(p, 1), 60 * 41);
    pair_free(p);
}

static void a_line_that_drops_damages_loses_and_adds_bytes_only_costs_time(void **state)
{
    for (uint64_t seed = 21; seed < 27; seed++) {
        struct pair *p = pair_new(&(struct pair_options){.rate = LINE_9600,
                                                         .delay_ms = 30,
                                                         .bit_error = 1e-5,
                                                         .avoid = seed % 2,
                                                         .probe_ms = 20000,
                                                         .seed = seed});
        for (int i = 0; i < 2; i++)
            p->line[i].byte_loss = p->line[i].byte_insert = 0.0003;
        pair_up(p, 2);
        for (int i = 0; i < 40; i++) {
            backlog(p, i % 2, 10, 80);
            uint32_t what = pair_random(p) % 4;
            p->line[what % 2].dead = what < 2;
            pair_run(p, 1000 + pair_random(p) % 6000);
            p->line[what % 2].dead = false;
            if (what == 3) {
                pair_down(p, (int)(pair_random(p) % 3));
                pair_run(p, 500);
                pair_up(p, 2);
            }
        }
        assert_true(pair_drain(p, 900000));
        assert_int_equal(received(p, 0) + received(p, 1), 400);
        pair_free(p);
    }
}

static void half_duplex_ends_take_turns_and_both_progress(void **state)
{
    for (uint64_t seed = 31; seed < 35; seed++) {
        struct pair *p = pair_new(&(struct pair_options){.rate = LINE_1200,
                                                         .delay_ms = 100,
                                                         .half_duplex = true,
                                                         .bit_error = seed % 2 ? 1e-5 : 0,
                                                         .seed = seed});
        pair_up(p, 2);
        backlog(p, 0, 200, 60);
        backlog(p, 1, 200, 60);
        int64_t from = p->now_ms;
        assert_true(pair_drain(p, 900000));
        double share = 400 * 64.0 / LINE_1200 * 1000 / (double)(p->now_ms - from);
        print_message("# %d s, %.2f of the line\n", (int)((p->now_ms - from) / 1000), share);
        assert_true(share > 0.6);
        /* Collisions are the exception: they happen while nobody has the turn. */
        uint64_t carried = p->line[0].carried + p->line[1].carried;
        uint64_t collided = p->line[0].collided + p->line[1].collided;
        print_message("# %d of %d bytes collided\n", (int)collided, (int)carried);
        assert_true(collided * 50 < carried);
        pair_free(p);
    }
}

static void garbage_and_banners_cost_no_more_than_the_frames_they_hit(void **state)
{
    static const char banner[] = "\r\nRB1\r\nLinux buoy 6.1 #1 SMP\r\nlogin: AT+GCAP\r\r\nOK\r\n";
    struct pair *p =
        pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 41});
    pair_up(p, 2);
    for (int i = 0; i < 100; i++) {
        uint8_t noise[3000];
        for (size_t k = 0; k < sizeof noise; k++)
            noise[k] = (uint8_t)pair_random(p);
        backlog(p, i % 2, 4, 80);
        if (i % 3 == 0)
            pair_inject(p, i / 3 % 2, banner, sizeof banner - 1);
        if (i % 3 == 1)
            pair_inject(p, i / 3 % 2, noise, pair_random(p) % sizeof noise);
        pair_run(p, 1500);
    }
    assert_true(pair_drain(p, 100000));
    assert_int_equal(p->owner[0].greeteds, 1);
    struct channel_status s;
    channel_status(p->owner[0].channel, &s);
    assert_true(s.bad_frames > 0);
    assert_true(s.retransmits < 150);
    pair_free(p);
}

static void a_large_message_resumes_where_it_was_after_a_restart(void **state)
{
    struct pair *p = pair_new(&(struct pair_options){.rate = 11520, .delay_ms = 20, .seed = 51});
    pair_up(p, 2);
    pair_send(p, 0, CLASS_BULK, 1000000);
    pair_run(p, 50000);
    uint32_t have = p->owner[1].disk.partial_have[CLASS_BULK];
    assert_true(have > 400000);
    pair_restart(p, 0);
    pair_run(p, 1000);
    pair_send(p, 0, CLASS_ALARM, 20);
    int64_t from = p->now_ms;
    assert_true(pair_drain(p, 200000));
    print_message("# had %u, the rest took %d ms\n", have, (int)(p->now_ms - from));
    /* The rest alone, not the whole. */
    assert_true(p->now_ms - from < (int64_t)(1000000 - have) * 1000 / 11520 * 11 / 10 + 3000);
    assert_true(p->owner[1].worst_alarm_ms < 500);
    pair_free(p);
}

int main(int argc, char **argv)
{
    pair_arguments(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_cross_both_ways_once_and_in_order),
        cmocka_unit_test(a_handshake_costs_at_most_64_bytes_each_way_and_the_name_or_100_sealed),
        cmocka_unit_test(a_link_that_comes_back_is_resumed_for_at_most_16_bytes_each_way_or_28_sealed),
        cmocka_unit_test(a_backlog_fills_a_clean_9600_line),
        cmocka_unit_test(a_backlog_fills_a_line_with_a_second_of_delay),
        cmocka_unit_test(one_bit_error_in_100000_leaves_nine_tenths),
        cmocka_unit_test(one_bit_error_in_10000_leaves_three_quarters),
        cmocka_unit_test(an_alarm_overtakes_a_backlog_at_1200_bps),
        cmocka_unit_test(an_alarm_overtakes_a_megabyte_of_noise),
        cmocka_unit_test(a_metered_link_is_silent_when_idle),
        cmocka_unit_test(either_end_may_be_killed_at_any_time),
        cmocka_unit_test(a_line_that_drops_damages_loses_and_adds_bytes_only_costs_time),
        cmocka_unit_test(half_duplex_ends_take_turns_and_both_progress),
        cmocka_unit_test(garbage_and_banners_cost_no_more_than_the_frames_they_hit),
        cmocka_unit_test(a_large_message_resumes_where_it_was_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
