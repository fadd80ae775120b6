/* Datagram links that are billed: what goes when, and what is sent again; and what a restart, a set-back store and a lost one change. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/wire/datagram_pair.h"

#define MINUTE 60000ll
#define QUANTUM 50

/* Two ends that know one another, on a link with terms. */
static struct sim *sim_metered(uint64_t seed, int64_t hold_ms, int64_t ack_ms)
{
    struct sim *s = sim_new(seed, true);
    for (int i = 0; i < 2; i++) {
        s->end[i].config.hold_ms = hold_ms;
        s->end[i].config.ack_max_age_ms = ack_ms;
        s->end[i].config.quantum_bytes = QUANTUM;
        s->end[i].config.alarm_places = 2;
        sim_start(s, i);
    }
    sim_make(s, 0, 1);
    sim_make(s, 1, 1);
    assert_true(sim_drain(s, 10 * ack_ms + 1000 * MINUTE));
    sim_run(s, 10 * ack_ms);
    for (int i = 0; i < 2; i++)
        s->end[i].frames = 0;
    return s;
}

static void what_is_not_urgent_waits_for_company_and_an_alarm_does_not(void **state)
{
    struct sim *s = sim_metered(40, 15 * MINUTE, 60 * MINUTE);
    sim_make(s, 0, 1);
    sim_run(s, 10 * MINUTE);
    sim_make(s, 0, 3);
    sim_run(s, 4 * MINUTE);
    assert_int_equal(s->end[0].frames, 0);
    sim_run(s, 2 * MINUTE);
    assert_int_equal(s->end[0].frames, 1); /* and those that had not waited so long came along */
    sim_make(s, 0, 44);
    sim_run(s, MINUTE);
    assert_int_equal(s->end[0].frames, 1);
    assert_int_equal(s->end[0].made, 49);
    sim_make(s, 0, 1); /* number 50 is an alarm */
    sim_run(s, MINUTE);
    assert_int_equal(s->end[0].frames, 2);
    assert_true(s->end[0].given[50]);
    sim_free(s);
}

static void a_frame_of_an_alarm_takes_along_what_fits_the_quanta_it_has_begun(void **state)
{
    struct sim *s = sim_metered(41, 15 * MINUTE, 60 * MINUTE);
    sim_make(s, 0, 49);
    sim_run(s, MINUTE);
    assert_int_equal(s->end[0].frames, 1); /* number 50 */
    unsigned least = (unsigned)(DATAGRAM_HEADER_BYTES + (sim_seal == SEAL_NONE ? SEAL_CRC_BYTES : SEAL_TAG_DEFAULT)) + sim_length(50);
    unsigned quanta = (least + 20 + QUANTUM - 1) / QUANTUM;
    assert_true(s->end[0].last <= quanta * QUANTUM);
    unsigned along = 0;
    for (unsigned n = 2; n < 50; n++)
        along += s->end[0].given[n];
    assert_true(along < 10);
    sim_free(s);
}

static void a_backlog_goes_in_frames_of_whole_quanta(void **state)
{
    struct sim *s = sim_metered(42, 15 * MINUTE, 60 * MINUTE);
    sim_make(s, 0, 40);
    sim_run(s, 16 * MINUTE);
    assert_true(s->end[0].frames >= 3 || sim_codec > 1);
    /* All but the last are at most 300 of the 340 bytes that the link would take, and no message is missing. */
    uint64_t all = s->end[0].bytes;
    print_message("# %d frames, %d bytes\n", (int)s->end[0].frames, (int)all);
    assert_true(s->end[0].largest <= MTU / QUANTUM * QUANTUM);
    for (unsigned n = 1; n <= s->end[0].made; n++)
        assert_true(s->end[0].given[n] || s->end[0].live.acked[n]);
    sim_free(s);
}

static void an_acknowledgement_alone_waits_for_its_age_or_half_a_window(void **state)
{
    struct sim *s = sim_metered(43, 0, 300 * MINUTE);
    sim_make(s, 0, 1);
    sim_run(s, 290 * MINUTE);
    assert_int_equal(s->end[1].frames, 0);
    sim_run(s, 20 * MINUTE);
    assert_int_equal(s->end[1].frames, 1);
    for (unsigned i = 0; i < 31; i++) {
        sim_make(s, 0, 1);
        sim_run(s, MINUTE);
    }
    assert_int_equal(s->end[1].frames, 1);
    sim_make(s, 0, 1);
    sim_run(s, MINUTE);
    assert_int_equal(s->end[1].frames, 2); /* 32 frames were not acknowledged */
    sim_free(s);
}

static void an_acknowledgement_rides_on_data(void **state)
{
    struct sim *s = sim_metered(44, 0, 300 * MINUTE);
    sim_make(s, 0, 1);
    sim_run(s, MINUTE);
    sim_make(s, 1, 1);
    sim_run(s, MINUTE);
    assert_true(s->end[0].live.acked[2]);
    assert_int_equal(s->end[1].frames, 1);
    sim_free(s);
}

static void what_was_handed_over_is_sent_again_only_where_a_hole_shows(void **state)
{
    struct sim *s = sim_metered(45, 0, 300 * MINUTE);
    s->loss = 1;
    sim_make(s, 0, 1); /* lost */
    sim_run(s, MINUTE);
    s->loss = 0;
    for (unsigned i = 0; i < 5; i++) {
        sim_make(s, 0, 1);
        sim_run(s, MINUTE);
    }
    assert_int_equal(s->end[0].frames, 6);
    sim_run(s, 30 * MINUTE);
    assert_int_equal(s->end[0].frames, 6);
    sim_make(s, 1, 1); /* brings the acknowledgement, with the hole */
    sim_run(s, 20 * MINUTE);
    assert_int_equal(s->end[0].frames, 7);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void a_frame_whose_fate_the_link_does_not_know_goes_again_and_counts_once(void **state)
{
    struct sim *s = sim_metered(46, 0, 300 * MINUTE);
    s->unknown = 1;
    sim_make(s, 0, 1);
    sim_run(s, 100);
    s->unknown = 0;
    sim_run(s, MINUTE);
    assert_int_equal(s->end[0].frames, 2);
    assert_int_equal(s->end[1].copies, 0);
    assert_true(s->end[1].live.have[2]);
    sim_free(s);
}

static void places_of_the_window_are_kept_for_alarms(void **state)
{
    struct sim *s = sim_metered(47, 0, 100000 * MINUTE);
    s->loss = 1;
    for (unsigned i = 0; i < 48; i++) { /* numbers 2 to 49, a frame each */
        sim_make(s, 0, 1);
        sim_run(s, 2000);
    }
    sim_make(s, 0, 1); /* 50, an alarm */
    sim_run(s, 2000);
    for (unsigned i = 0; i < 40; i++) {
        sim_make(s, 0, 1);
        sim_run(s, 2000);
    }
    assert_int_equal(s->end[0].frames, 62); /* 64, and 2 are kept */
    sim_make(s, 0, 10); /* 100 is among them: the alarm goes, the rest waits */
    sim_run(s, 2000);
    assert_int_equal(s->end[0].frames, 63);
    assert_true(s->end[0].given[100]);
    sim_free(s);
}

static void a_restart_neither_repeats_what_was_handed_over_nor_gives_it_anew(void **state)
{
    struct sim *s = sim_metered(48, 0, 300 * MINUTE);
    sim_make(s, 0, 20);
    sim_run(s, 2000);
    unsigned frames = s->end[0].frames;
    assert_true(frames > 0 && !sim_all_acked(s));
    sim_start(s, 0);
    sim_run(s, 60 * MINUTE);
    assert_int_equal(s->end[0].frames, frames);
    sim_make(s, 0, 1);
    sim_run(s, MINUTE);
    assert_int_equal(s->end[0].frames, frames + 1);
    assert_int_equal(s->end[1].copies, 0);
    sim_make(s, 1, 1);
    sim_run(s, 10 * MINUTE); /* its acknowledgement is of one of the two epochs, the next of the other */
    assert_true(sim_drain(s, 1000 * MINUTE));
    struct channel_status st;
    channel_status(s->end[0].channel, &st);
    assert_int_equal(st.retransmits, 0);
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void a_late_datagram_of_two_starts_back_is_no_new_beginning(void **state)
{
    struct sim *s = sim_new(49, true);
    s->delay_ms = 1;
    s->loss = 1;
    sim_make(s, 0, 1);
    sim_run(s, 1000);
    uint8_t late[MTU];
    uint16_t late_n = s->end[0].last;
    memcpy(late, s->end[0].last_frame, late_n);
    sim_start(s, 0);
    sim_start(s, 0);
    s->loss = 0;
    sim_make(s, 0, 1);
    assert_true(sim_drain(s, 1000 * MINUTE));
    unsigned greetings = s->end[1].greetings, copies = s->end[1].copies;
    channel_on_bytes(s->end[1].channel, late, late_n, s->now_ms);
    sim_run(s, 10 * MINUTE);
    assert_int_equal(s->end[1].greetings, greetings);
    assert_int_equal(s->end[1].copies, copies);
    /* Nor where it is long over. */
    for (unsigned i = 0; i < 5; i++) {
        sim_start(s, 0);
        sim_make(s, 0, 1);
        assert_true(sim_drain(s, 1000 * MINUTE));
    }
    greetings = s->end[1].greetings;
    copies = s->end[1].copies;
    channel_on_bytes(s->end[1].channel, late, late_n, s->now_ms);
    sim_run(s, 10 * MINUTE);
    assert_int_equal(s->end[1].greetings, greetings);
    assert_int_equal(s->end[1].copies, copies);
    sim_free(s);
}

static void a_recorded_frame_that_is_repeated_costs_an_answer_now_and_then(void **state)
{
    struct sim *s = sim_metered(53, 0, 60 * MINUTE);
    sim_make(s, 0, 1);
    sim_run(s, 2 * MINUTE);
    uint8_t recorded[MTU];
    uint16_t n = s->end[0].last;
    memcpy(recorded, s->end[0].last_frame, n);
    sim_make(s, 1, 1); /* brings the acknowledgement */
    sim_run(s, 20 * MINUTE);
    uint64_t before = s->end[1].frames;
    for (unsigned i = 0; i < 290; i++) {
        uint8_t again[MTU];
        memcpy(again, recorded, n);
        channel_on_bytes(s->end[1].channel, again, n, s->now_ms);
        sim_run(s, MINUTE / 10);
    }
    assert_int_equal(s->end[1].copies, 0);
    assert_in_range(s->end[1].frames - before, 1, 3); /* 29 minutes; one in ten */
    sim_free(s);
}

static void a_sender_that_was_set_back_is_told_the_floor_and_goes_on(void **state)
{
    struct sim *s = sim_new(50, true);
    sim_make(s, 0, 5);
    assert_true(sim_drain(s, 1000 * MINUTE));
    struct disk old = s->end[0].disk;
    for (unsigned i = 0; i < 4; i++) {
        sim_start(s, 0);
        sim_make(s, 0, 5);
        assert_true(sim_drain(s, 1000 * MINUTE));
    }
    memcpy(old.acked, s->end[0].disk.acked, sizeof old.acked); /* what it queued since is another matter */
    s->end[0].disk = old;
    sim_start(s, 0);
    sim_make(s, 0, 5);
    assert_true(sim_drain(s, 1000 * MINUTE));
    sim_free(s);
}

static void a_receiver_without_the_topic_table_says_so(void **state)
{
    struct sim *s = sim_new(51, true);
    sim_make(s, 0, 5);
    assert_true(sim_drain(s, 1000 * MINUTE));
    unsigned before = s->end[0].forgotten; /* sealed, at first contact too */
    s->end[1].unknown = 1;
    sim_make(s, 0, 5);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[0].forgotten, before + 1);
    sim_free(s);
}

static void a_receiver_with_an_older_store_meets_the_epoch_in_a_later_frame(void **state)
{
    struct sim *s = sim_metered(52, 0, 10 * MINUTE);
    struct disk old = s->end[1].disk;
    for (unsigned i = 0; i < 40; i++) {
        sim_make(s, 0, 1);
        sim_run(s, 15 * MINUTE);
    }
    assert_true(sim_all_acked(s));
    s->end[1].disk = old;
    memcpy(s->end[1].disk.have, s->end[1].live.have, sizeof old.have);
    sim_start(s, 1);
    for (unsigned i = 0; i < 40; i++) {
        sim_make(s, 0, 1);
        sim_run(s, 15 * MINUTE);
    }
    assert_true(sim_drain(s, 10000 * MINUTE));
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void a_new_epoch_tells_a_receiver_what_its_older_store_has_lost(void **state)
{
    struct sim *s = sim_metered(54, 0, 10 * MINUTE);
    struct disk old = s->end[1].disk;
    sim_make(s, 0, 3);
    assert_true(sim_drain(s, 1000 * MINUTE));
    unsigned before = s->end[0].forgotten;
    s->end[1].disk = old;
    sim_start(s, 1);
    sim_start(s, 0);
    sim_make(s, 0, 1);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_true(s->end[0].forgotten > before);
    assert_true(s->end[1].disk.have[4]);
    sim_free(s);
}

static void a_new_store_that_counts_as_an_earlier_process_did_is_not_taken_for_it(void **state)
{
    struct sim *s = sim_new(57, true);
    struct disk empty = s->end[0].disk;
    sim_make(s, 0, 1);
    assert_true(sim_drain(s, 1000 * MINUTE));
    s->loss = 1; /* one stays under way while another process begins an epoch: the first may still come */
    sim_make(s, 0, 1);
    sim_run(s, MINUTE);
    sim_start(s, 0);
    s->loss = 0;
    sim_make(s, 0, 1);
    assert_true(sim_drain(s, 1000 * MINUTE));
    unsigned before = s->end[1].greetings;
    s->end[0].disk = empty;
    sim_start(s, 0);
    sim_start(s, 0); /* whose predecessor is not the one that was known */
    assert_true(sim_drain(s, 1000 * MINUTE)); /* all three, as the new store has them */
    assert_true(s->end[1].greetings > before);
    sim_free(s);
}

/* 49 was lost and 50 acknowledged; then an older store of the receiver's has come in place, and takes 49. Nothing was made since. */
static void an_acknowledgement_that_lacks_what_came_before_it_is_of_an_older_store(void **state)
{
    struct sim *s = sim_metered(60, 0, 10 * MINUTE);
    sim_make(s, 0, 47);
    assert_true(sim_drain(s, 1000 * MINUTE));
    struct disk old = s->end[1].disk;
    s->loss = 1;
    sim_make(s, 0, 1);
    sim_run(s, MINUTE);
    s->loss = 0;
    sim_make(s, 0, 1); /* number 50 is an alarm, so its frame leans on nothing */
    sim_run(s, 12 * MINUTE);
    assert_true(s->end[0].live.acked[50] && !s->end[0].live.acked[49]);
    unsigned before = s->end[0].forgotten;
    s->end[1].disk = old;
    sim_start(s, 1);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[0].forgotten, before + 1);
    sim_free(s);
}

/* A receiver's older store that has the newest record of all, an alarm, but not what was under way beside it. */
static void what_an_older_store_lacks_of_another_class_is_told(void **state)
{
    struct sim *s = sim_metered(59, 0, 10 * MINUTE);
    sim_make(s, 0, 47);
    assert_true(sim_drain(s, 1000 * MINUTE));
    s->loss = 1;
    sim_make(s, 0, 1);
    sim_run(s, MINUTE); /* 49 is on its way and lost */
    s->loss = 0;
    sim_make(s, 0, 1); /* number 50 is an alarm */
    sim_run(s, MINUTE);
    struct disk old = s->end[1].disk;
    assert_true(old.have[50] && !old.have[49]);
    assert_true(sim_drain(s, 1000 * MINUTE));
    unsigned before = s->end[0].forgotten;
    s->end[1].disk = old;
    sim_start(s, 1);
    sim_start(s, 0);
    sim_make(s, 0, 1);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[0].forgotten, before + 1);
    sim_free(s);
}

/* Of an epoch that goes on behind a newer one a sender that was set back knows some frames, and others it has sent and forgotten: late,
 * they would pass under numbers that mean something else by now. */
static void a_late_frame_that_its_sender_was_set_back_behind_is_not_taken(void **state)
{
    struct sim *s = sim_metered(58, 0, 10 * MINUTE);
    s->loss = 1;
    sim_make(s, 0, 1);
    sim_run(s, MINUTE);
    struct disk old = s->end[0].disk; /* a frame is under way */
    sim_make(s, 0, 1);
    sim_run(s, MINUTE);
    uint8_t late[MTU];
    uint16_t n = s->end[0].last;
    memcpy(late, s->end[0].last_frame, n);
    s->end[0].disk = old;
    sim_start(s, 0);
    s->loss = 0;
    sim_make(s, 0, 1);
    assert_true(sim_drain(s, 1000 * MINUTE));
    struct channel_status before, after;
    channel_status(s->end[1].channel, &before);
    channel_on_bytes(s->end[1].channel, late, n, s->now_ms);
    sim_run(s, 10 * MINUTE);
    assert_int_equal(s->end[1].copies, 0);
    channel_status(s->end[1].channel, &after);
    assert_true(after.refused > before.refused);
    sim_free(s);
}

static void an_acknowledgement_without_what_was_acknowledged_before_is_of_an_older_store(void **state)
{
    struct sim *s = sim_metered(55, 0, 10 * MINUTE);
    for (unsigned i = 0; i < 3; i++) {
        sim_make(s, 0, 1);
        assert_true(sim_drain(s, 1000 * MINUTE));
    }
    struct disk old = s->end[1].disk;
    for (unsigned i = 0; i < 4; i++) {
        sim_make(s, 0, 1);
        assert_true(sim_drain(s, 1000 * MINUTE));
    }
    unsigned before = s->end[0].forgotten;
    s->end[1].disk = old;
    sim_start(s, 1);
    sim_make(s, 0, 1);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[0].forgotten, before + 1);
    sim_free(s);
}

/* Whole quanta leave; what would begin another for a few bytes goes with the next frame, if it is young. */
static void what_would_fill_little_of_a_quantum_waits_for_the_next_frame(void **state)
{
    struct sim *s = sim_metered(53, 15 * MINUTE, 60 * MINUTE);
    unsigned stayed = 0, frames = 0;
    while (s->end[0].made < 49) {
        sim_make(s, 0, 1);
        sim_run(s, MINUTE);
        if (s->end[0].frames == frames)
            continue;
        frames = s->end[0].frames;
        bool all = s->end[0].given[s->end[0].made] || s->end[0].live.acked[s->end[0].made];
        stayed += !all;
        print_message("# %d bytes, %s\n", (int)s->end[0].last, all ? "all that waited" : "something waits on");
    }
    assert_true(stayed > 0 || sim_codec > 1); /* to that model all of them are a quantum */
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_urgent_waits_for_company_and_an_alarm_does_not),
        cmocka_unit_test(a_frame_of_an_alarm_takes_along_what_fits_the_quanta_it_has_begun),
        cmocka_unit_test(a_backlog_goes_in_frames_of_whole_quanta),
        cmocka_unit_test(what_would_fill_little_of_a_quantum_waits_for_the_next_frame),
        cmocka_unit_test(an_acknowledgement_alone_waits_for_its_age_or_half_a_window),
        cmocka_unit_test(an_acknowledgement_rides_on_data),
        cmocka_unit_test(what_was_handed_over_is_sent_again_only_where_a_hole_shows),
        cmocka_unit_test(a_frame_whose_fate_the_link_does_not_know_goes_again_and_counts_once),
        cmocka_unit_test(places_of_the_window_are_kept_for_alarms),
        cmocka_unit_test(a_restart_neither_repeats_what_was_handed_over_nor_gives_it_anew),
        cmocka_unit_test(a_late_datagram_of_two_starts_back_is_no_new_beginning),
        cmocka_unit_test(a_recorded_frame_that_is_repeated_costs_an_answer_now_and_then),
        cmocka_unit_test(a_sender_that_was_set_back_is_told_the_floor_and_goes_on),
        cmocka_unit_test(a_receiver_without_the_topic_table_says_so),
        cmocka_unit_test(a_receiver_with_an_older_store_meets_the_epoch_in_a_later_frame),
        cmocka_unit_test(a_new_epoch_tells_a_receiver_what_its_older_store_has_lost),
        cmocka_unit_test(a_new_store_that_counts_as_an_earlier_process_did_is_not_taken_for_it),
        cmocka_unit_test(an_acknowledgement_without_what_was_acknowledged_before_is_of_an_older_store),
        cmocka_unit_test(an_acknowledgement_that_lacks_what_came_before_it_is_of_an_older_store),
        cmocka_unit_test(what_an_older_store_lacks_of_another_class_is_told),
        cmocka_unit_test(a_late_frame_that_its_sender_was_set_back_behind_is_not_taken),
    };
    sim_arguments(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
