/* Datagram links: each message must come, and count, once, whatever the link and its ends do. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/wire/datagram_pair.h"

static void data_flows_in_the_first_frame(void **state)
{
    struct sim *s = sim_new(2, false);
    sim_make(s, 0, 3);
    while (!s->end[1].live.have[3] && s->now_ms < 100000)
        sim_step(s, s->now_ms + 100);
    assert_int_equal(s->end[0].frames, 1 + sim_contact());
    assert_int_equal(s->end[1].frames, sim_contact());
    assert_true(sim_drain(s, 60000));
    sim_free(s);
}

static void frames_are_filled_and_cost_seven_bytes_once_the_epoch_is_known(void **state)
{
    struct sim *s = sim_new(2, false);
    sim_make(s, 0, 1);
    assert_true(sim_drain(s, 60000));
    s->end[0].bytes = s->end[0].frames = 0;
    sim_make(s, 0, 500);
    assert_true(sim_drain(s, 600000));
    uint64_t least = 0;
    for (unsigned n = 2; n <= 501; n++)
        least += sim_length(n);
    struct channel_status st;
    channel_status(s->end[0].channel, &st);
    print_message("# %d resent, rtt %d; %d frames of %d bytes, payload %d\n", (int)st.retransmits,
                  (int)st.rtt_ms, (int)s->end[0].frames, (int)(s->end[0].bytes / s->end[0].frames),
                  (int)least);
    assert_true(s->end[0].largest <= MTU);
    assert_true(sim_codec > 1 || s->end[0].bytes / s->end[0].frames > MTU * 3 / 4);
    /* Topic as text 10, five of the record, and 7 a frame. */
    assert_true(s->end[0].bytes < least + 500 * 16 + s->end[0].frames * 11ull);
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void loss_repetition_and_reordering_lose_and_double_nothing(void **state)
{
    for (uint64_t seed = 10; seed < (sim_codec > 1 ? 11 : 16); seed++) {
        struct sim *s = sim_new(seed, seed % 2);
        s->loss = 0.2;
        s->twice = 0.1;
        s->fail = 0.1;
        s->unknown = 0.1;
        for (int i = 0; i < 50; i++) {
            sim_make(s, i % 2, 20);
            sim_run(s, 5000);
        }
        assert_true(sim_drain(s, 400000000));
        print_message("# %d and %d frames\n", (int)s->end[0].frames, (int)s->end[1].frames);
        sim_free(s);
    }
}

static void a_round_trip_longer_than_the_first_guess_does_not_have_each_frame_sent_twice_for_ever(void **state)
{
    struct sim *s = sim_new(31, false);
    struct channel_status before, after;
    assert_true(sim_contact() == 0 || (sim_make(s, 0, 1), sim_drain(s, 600000)));
    channel_status(s->end[0].channel, &before);
    s->delay_ms = 5000; /* and up to five times that: 10 to 50 s for both ways */
    for (int i = 0; i < 60; i++) {
        sim_make(s, 0, 1);
        sim_run(s, 300000);
    }
    channel_status(s->end[0].channel, &after);
    print_message("# sent again: %d of 60\n", (int)(after.retransmits - before.retransmits));
    assert_true(sim_all_acked(s));
    assert_true(after.retransmits - before.retransmits < 15);
    sim_free(s);
}

static void a_peer_that_answers_each_second_sending_only_is_not_given_up(void **state)
{
    struct sim *s = sim_new(32, false);
    struct channel_status before, after;
    assert_true((sim_make(s, 0, 1), sim_drain(s, 600000)));
    channel_status(s->end[0].channel, &before);
    for (int i = 0; i < 20; i++) {
        s->loss = 1;
        sim_make(s, 0, 1);
        sim_run(s, 1000);
        s->loss = 0;
        assert_true(sim_drain(s, 1200000));
    }
    channel_status(s->end[0].channel, &after);
    assert_int_equal(after.retransmits - before.retransmits, 20);
    assert_int_equal(after.epoch, before.epoch);
    sim_free(s);
}

static void either_end_may_be_killed_at_any_time(void **state)
{
    for (uint64_t seed = 20; seed < (sim_codec > 1 ? 21 : 26); seed++) {
        struct sim *s = sim_new(seed, seed % 2);
        s->loss = 0.1;
        s->unknown = 0.1;
        for (int i = 0; i < 40; i++) {
            sim_make(s, i % 2, 20);
            sim_run(s, sim_random(s) % 8000);
            sim_start(s, (int)(sim_random(s) % 2));
        }
        assert_true(sim_drain(s, 400000000));
        sim_free(s);
    }
}

static void a_receivers_restart_does_not_begin_an_epoch(void **state)
{
    struct sim *s = sim_new(30, false);
    sim_make(s, 0, 100);
    assert_true(sim_drain(s, 600000));
    sim_start(s, 1);
    sim_make(s, 0, 100);
    assert_true(sim_drain(s, 600000));
    assert_int_equal(s->end[1].greetings, 1);
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void a_receiver_that_lost_its_store_is_reached_again(void **state)
{
    struct sim *s = sim_new(31, false);
    sim_make(s, 0, 10);
    assert_true(sim_drain(s, 600000));
    s->end[1].disk.saved_len = 0;
    sim_start(s, 1);
    sim_make(s, 0, 10);
    assert_true(sim_drain(s, 40000000));
    sim_free(s);
}

static void a_metered_link_is_silent_when_all_is_said(void **state)
{
    struct sim *s = sim_new(32, true);
    sim_make(s, 0, 5);
    sim_run(s, 7 * 86400000ll);
    assert_true(sim_all_acked(s));
    /* The frame, and one acknowledgement rather than the frame again. */
    assert_int_equal(s->end[0].frames, 1 + sim_contact());
    assert_int_equal(s->end[1].frames, 1 + sim_contact());
    assert_true(s->end[1].bytes <= 8 || sim_contact());
    sim_free(s);
}

static void any_bytes_at_all_are_survived(void **state)
{
    struct sim *s = sim_new(33, false);
    sim_make(s, 0, 10);
    assert_true(sim_drain(s, 600000));
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[400];
        size_t n = sim_random(s) % 3 ? sim_random(s) % 40 : sim_random(s) % sizeof bytes;
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)sim_random(s);
        channel_on_bytes(s->end[i % 2].channel, bytes, n, s->now_ms);
    }
    sim_make(s, 0, 10);
    sim_make(s, 1, 10);
    assert_true(sim_drain(s, 600000));
    sim_free(s);
}

static void headers_survive_and_an_announcement_is_whole_or_nothing(void **state)
{
    struct datagram_header h = {.number = 2047,
                                .epoch_low = 0xd4,
                                .announces = true,
                                .announcement = {.counter = 300,
                                                 .epoch = 0xa1b2c3d4,
                                                 .earlier = {{299, 77, 4}, {295, 0xfff0, 300}},
                                                 .earlier_count = 2,
                                                 .codec = 1,
                                                 .identity = {1, 2, 3, 70000, .settled = {[CLASS_ALARM] = 900, [CLASS_BULK] = 20}},
                                                 .echoes = true,
                                                 .next_secret = 77,
                                                 .name = "edge"},
                                .has_ack = true,
                                .ack_epoch = 5,
                                .ack = 6,
                                .grant = 7,
                                .bitmap = 8},
                           g;
    uint8_t bytes[DATAGRAM_HEADER_BYTES + DATAGRAM_ANNOUNCE_MAX + DATAGRAM_ACK_BYTES];
    for (int mode = SEAL_FULL; mode <= SEAL_NONE; mode++) {
        size_t clear, n = datagram_header_encode(&h, mode, bytes, &clear);
        assert_int_equal(datagram_clear_decode(&g, mode, bytes, n), clear);
        assert_int_equal(datagram_rest_decode(&g, mode, bytes, n, clear), n);
        const struct datagram_announcement *a = &g.announcement;
        assert_string_equal(a->name, mode == SEAL_FULL ? "" : "edge");
        assert_true(g.number == 2047 && a->epoch == 0xa1b2c3d4 && a->identity.predecessor_end == 70000 &&
                    a->counter == 300 && a->earlier_count == 2 && memcmp(a->earlier, h.announcement.earlier, sizeof a->earlier) == 0 &&
                    memcmp(a->identity.settled, h.announcement.identity.settled, sizeof a->identity.settled) == 0 && a->echoes && a->next_secret == 77 &&
                    g.ack_epoch == 5 && g.bitmap == 8);
        for (size_t cut = 0; cut < n; cut++)
            assert_true(cut < clear ? datagram_clear_decode(&g, mode, bytes, cut) == 0
                                    : datagram_clear_decode(&g, mode, bytes, cut) == clear &&
                                          datagram_rest_decode(&g, mode, bytes, cut, clear) == 0);
    }
    h = (struct datagram_header){.number = 1, .epoch_low = 9};
    size_t clear;
    assert_int_equal(datagram_header_encode(&h, SEAL_NONE, bytes, &clear), DATAGRAM_HEADER_BYTES);
    assert_int_equal(DATAGRAM_HEADER_BYTES + SEAL_CRC_BYTES, 7);
    assert_int_equal(DATAGRAM_HEADER_BYTES + SEAL_TAG_DEFAULT, 11);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_flows_in_the_first_frame),
        cmocka_unit_test(frames_are_filled_and_cost_seven_bytes_once_the_epoch_is_known),
        cmocka_unit_test(loss_repetition_and_reordering_lose_and_double_nothing),
        cmocka_unit_test(a_round_trip_longer_than_the_first_guess_does_not_have_each_frame_sent_twice_for_ever),
        cmocka_unit_test(a_peer_that_answers_each_second_sending_only_is_not_given_up),
        cmocka_unit_test(either_end_may_be_killed_at_any_time),
        cmocka_unit_test(a_receivers_restart_does_not_begin_an_epoch),
        cmocka_unit_test(a_receiver_that_lost_its_store_is_reached_again),
        cmocka_unit_test(a_metered_link_is_silent_when_all_is_said),
        cmocka_unit_test(any_bytes_at_all_are_survived),
        cmocka_unit_test(headers_survive_and_an_announcement_is_whole_or_nothing),
    };
    sim_arguments(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
