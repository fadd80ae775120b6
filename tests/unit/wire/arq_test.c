#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/arq_receive.h"
#include "gateway/wire/arq_send.h"
#include "gateway/wire/pace.h"
#include "gateway/wire/turn.h"

static struct arq_send out;
static struct arq_receive in;

static int setup(void **state)
{
    arq_send_init(&out);
    arq_receive_init(&in);
    return 0;
}

static int teardown(void **state)
{
    arq_send_fini(&out);
    arq_receive_fini(&in);
    return 0;
}

static void send_new(unsigned count, int64_t now_ms)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t bytes[100] = {0};
        struct arq_frame *f = arq_send_add(&out, bytes, sizeof bytes);
        assert_non_null(f);
        f->records = out.next - 1;
        arq_send_sent(&out, f, now_ms);
    }
}

static struct arq_ack_result ack(uint64_t cumulative, uint8_t bits, int64_t now_ms)
{
    return arq_send_on_ack(&out, cumulative, &bits, bits ? 1 : 0, 100, now_ms);
}

static void frames_are_kept_until_the_peer_has_them_on_disk(void **state)
{
    send_new(3, 0);
    assert_int_equal(ack(0, 7, 100).records,
                     0); /* they arrived, and may still be lost to a power cut */
    assert_int_equal(out.in_flight, 0);
    assert_int_equal(out.first, 1);
    assert_int_equal(ack(2, 1, 120).records, 2);
    assert_int_equal(out.first, 3);
    assert_int_equal(ack(3, 0, 130).records, 3);
    assert_null(arq_send_due(&out));
}

static void a_frame_sent_before_one_that_arrived_is_lost(void **state)
{
    send_new(5, 0);
    struct arq_ack_result r = ack(1, 0x04, 100); /* 1 and 4 */
    assert_int_equal(r.lost, 2);
    assert_int_equal(r.loss_runs, 1);
    assert_ptr_equal(arq_send_due(&out), arq_send_get(&out, 2));
    assert_int_equal(out.in_flight, 1); /* 5 may still come */
}

static void a_frame_sent_again_is_not_lost_because_of_what_left_before_it(void **state)
{
    send_new(4, 0);
    ack(0, 0x04, 100); /* 3: 1 and 2 are lost */
    arq_send_sent(&out, arq_send_due(&out), 100);
    arq_send_sent(&out, arq_send_due(&out), 100);
    assert_int_equal(ack(0, 0x0c, 110).lost, 0); /* 4 left before the second sendings of 1 and 2 */
    assert_int_equal(ack(0, 0x0e, 300).lost, 1); /* 2's second came, 1's went before it */
}

static void an_early_answer_to_a_second_sending_belongs_to_the_first(void **state)
{
    send_new(2, 0);
    assert_true(arq_send_timeout(&out));
    send_new(1, 400);
    arq_send_sent(&out, arq_send_get(&out, 1), 500);
    /* 20 ms later, where a round trip takes 100: the first sending was late, 2 and 3 may come
     * still. */
    assert_int_equal(ack(1, 0, 520).lost, 0);
    assert_int_equal(ack(1, 0, 520).rtt_ms, -1);
}

static void a_round_trip_longer_than_the_wait_is_measured_all_the_same(void **state)
{
    struct arq_ack_result r;
    send_new(1, 1000);
    arq_send_timeout(&out);
    arq_send_sent(&out, arq_send_due(&out), 1400);
    r = ack(1, 0, 1450); /* too soon for the second sending */
    assert_int_equal(r.rtt_ms, 450);
    send_new(1, 2000);
    arq_send_timeout(&out);
    arq_send_sent(&out, arq_send_due(&out), 2400);
    r = ack(2, 0, 2600); /* of which one it tells, nobody knows */
    assert_int_equal(r.rtt_ms, -1);
}

static void numbers_that_were_never_sent_are_not_acknowledged(void **state)
{
    send_new(3, 0);
    assert_false(ack(4, 0, 10).valid);
    assert_true(ack(2, 0, 10).valid);
    assert_false(ack(0, 0, 20).valid); /* out of date */
    assert_int_equal(out.first, 3);
    ack(2, 0xff, 30); /* bits beyond what was sent */
    assert_int_equal(out.in_flight, 0);
}

static void an_interrupted_link_sends_again_what_has_not_arrived(void **state)
{
    send_new(4, 0);
    ack(1, 0x02, 100);
    arq_send_interrupted(&out);
    assert_int_equal(out.lost_count, 2);
    assert_int_equal(out.in_flight_bytes, 0);
}

static void the_window_is_bounded(void **state)
{
    send_new(FRAME_WINDOW, 0);
    assert_true(arq_send_full(&out));
    ack(1, 0, 10);
    assert_false(arq_send_full(&out));
}

static enum arq_receive_outcome receive(uint64_t number)
{
    enum arq_receive_outcome o = arq_receive_frame(&in, number, (const uint8_t *)"x", 1);
    if (o == ARQ_NEXT)
        arq_receive_advance(&in);
    return o;
}

static void what_comes_early_waits_for_what_is_missing(void **state)
{
    uint8_t bitmap[FRAME_BITMAP_MAX];
    size_t n;
    assert_int_equal(receive(1), ARQ_NEXT);
    assert_int_equal(receive(3), ARQ_EARLY);
    assert_int_equal(receive(4), ARQ_EARLY);
    assert_int_equal(receive(3), ARQ_DUPLICATE);
    assert_true(arq_receive_hole(&in));
    in.committed = 0;
    assert_int_equal(arq_receive_bitmap(&in, bitmap), 1);
    assert_int_equal(bitmap[0], 0x0d); /* 1 is here, if not on disk; 3 and 4 */
    assert_int_equal(receive(2), ARQ_NEXT);
    for (uint64_t want = 3; want <= 4; want++) {
        uint8_t *early = arq_receive_early(&in, &n);
        assert_non_null(early);
        free(early);
        arq_receive_advance(&in);
    }
    assert_null(arq_receive_early(&in, &n));
    assert_false(arq_receive_hole(&in));
    assert_int_equal(receive(2), ARQ_DUPLICATE);
}

static void frames_beyond_the_window_are_dropped(void **state)
{
    assert_int_equal(receive(FRAME_WINDOW + 1), ARQ_BEYOND);
    assert_int_equal(receive(FRAME_WINDOW), ARQ_EARLY);
    in.committed = 0;
    uint8_t bitmap[FRAME_BITMAP_MAX];
    assert_int_equal(arq_receive_bitmap(&in, bitmap), FRAME_BITMAP_MAX);
    assert_int_equal(bitmap[FRAME_BITMAP_MAX - 1], 0x80);
}

static void timeouts_follow_the_round_trip_and_back_off(void **state)
{
    struct pace p;
    pace_init(&p, 960);
    int64_t first = pace_rto_ms(&p, 0);
    assert_true(first > 2000 && first < 5000);
    for (int i = 0; i < 50; i++)
        pace_on_ack(&p, 300, 900, (uint64_t)i * 1000, (uint64_t)i * 1000 + 500, i * 300);
    assert_true(pace_rto_ms(&p, 0) < 1000);
    assert_int_equal(pace_rto_ms(&p, 1), 2 * pace_rto_ms(&p, 0));
    assert_int_equal(pace_rto_ms(&p, 30), PACE_RTO_MAX_MS);
}

static void a_longer_round_trip_is_believed_where_our_own_frames_do_not_explain_it(void **state)
{
    struct pace p;
    int64_t now = 0;
    pace_init(&p, 0);
    for (int i = 0; i < 20; i++)
        pace_on_ack(&p, 300, 1000, (uint64_t)i * 1000, (uint64_t)i * 1000 + 500, now += 300);
    assert_int_equal(p.min_rtt_ms, 300);
    /* A queue of ours, which shrinks while it is let run dry. */
    for (int i = 0; i < 300; i++)
        pace_on_ack(&p, p.draining ? 360 : 700, 1000, 0, 0, now += 300);
    assert_int_equal(p.min_rtt_ms, 300);
    /* A satellite's hop has come in between. */
    for (int i = 0; i < 300; i++)
        pace_on_ack(&p, 2500, 1000, 0, 0, now += 300);
    assert_int_equal(p.min_rtt_ms, 2500);
    /* And is gone. */
    pace_on_ack(&p, 310, 1000, 0, 0, now += 300);
    assert_int_equal(p.min_rtt_ms, 310);
}

static void frames_are_long_on_a_clean_line_and_short_on_a_bad_one(void **state)
{
    struct pace p;
    pace_init(&p, 960);
    assert_int_equal(pace_content_bytes(&p), FRAME_CONTENT_MAX);
    pace_on_fate(&p, 250, 1); /* one unlucky frame */
    assert_true(pace_content_bytes(&p) > 150);
    for (int i = 0; i < 2000; i++)
        pace_on_fate(&p, 100, i % 10 == 0);
    assert_true(pace_content_bytes(&p) < 120 && pace_content_bytes(&p) > 70);
    for (int i = 0; i < 2000; i++)
        pace_on_fate(&p, 250, 0);
    assert_int_equal(pace_content_bytes(&p), FRAME_CONTENT_MAX);
}

static void over_gives_the_turn_and_silence_frees_the_line(void **state)
{
    struct turn t;
    turn_init(&t, 120, true);
    assert_true(turn_may_speak(&t, 1000));
    turn_sent(&t, 120, true, 0, 1000);
    assert_false(turn_may_speak(&t, 2100));
    turn_heard(&t, 0, 2500);
    assert_false(turn_may_speak(&t, 2600));
    turn_given(&t, 3000);
    assert_false(turn_may_speak(&t, 3000));
    assert_true(turn_may_speak(&t, turn_due_ms(&t, 3000)));
    turn_sent(&t, 120, true, 0, 3100);
    /* No answer: the line is free again in bounded time. */
    assert_true(turn_due_ms(&t, 3100) < 3100 + 1000 + 4000);
    /* A burst is bounded. */
    turn_given(&t, 20000);
    turn_sent(&t, 240, false, 0, 20100);
    assert_true(turn_burst_full(&t, 240));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_are_kept_until_the_peer_has_them_on_disk, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_frame_sent_before_one_that_arrived_is_lost, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_frame_sent_again_is_not_lost_because_of_what_left_before_it, setup, teardown),
        cmocka_unit_test_setup_teardown(an_early_answer_to_a_second_sending_belongs_to_the_first,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_round_trip_longer_than_the_wait_is_measured_all_the_same,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_that_were_never_sent_are_not_acknowledged, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_interrupted_link_sends_again_what_has_not_arrived, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_window_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(what_comes_early_waits_for_what_is_missing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(frames_beyond_the_window_are_dropped, setup, teardown),
        cmocka_unit_test(timeouts_follow_the_round_trip_and_back_off),
        cmocka_unit_test(a_longer_round_trip_is_believed_where_our_own_frames_do_not_explain_it),
        cmocka_unit_test(frames_are_long_on_a_clean_line_and_short_on_a_bad_one),
        cmocka_unit_test(over_gives_the_turn_and_silence_frees_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
