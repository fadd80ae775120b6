/* Frames that lean on all before them: what that saves, what waits for what, and that neither a loss, a restart nor an older store
 * makes anything of them that was not said. The pair's owners check every message. */
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

/* Two ends that know one another, on a link that costs by the frame. */
static struct sim *sim_leaning(uint64_t seed)
{
    struct sim *s = sim_new(seed, true);
    for (int i = 0; i < 2; i++) {
        s->end[i].config.ack_max_age_ms = 20 * MINUTE;
        sim_start(s, i);
    }
    sim_make(s, 0, 1);
    sim_make(s, 1, 1);
    assert_true(sim_drain(s, 1000 * MINUTE));
    sim_run(s, 60 * MINUTE);
    for (int i = 0; i < 2; i++)
        s->end[i].frames = 0;
    return s;
}

/* Makes one message, and what it takes to send it. Return: its frame leans. */
static bool say(struct sim *s)
{
    sim_make(s, 0, 1);
    sim_run(s, MINUTE);
    return datagram_leans(s->end[0].last_frame);
}

static unsigned greetings(const struct sim *s)
{
    return s->end[1].greetings;
}

static void frames_lean_while_nothing_is_in_doubt_and_an_alarm_never_does(void **state)
{
    struct sim *s = sim_leaning(60);
    while (s->end[0].made < 49)
        assert_true(say(s));
    assert_false(say(s)); /* number 50 */
    assert_true(say(s));
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[0].frames, 50);
    sim_free(s);
}

static void what_leans_on_a_lost_frame_waits_for_it_and_is_not_sent_again(void **state)
{
    struct sim *s = sim_leaning(61);
    s->loss = 1;
    assert_true(say(s));
    s->loss = 0;
    unsigned first = s->end[0].made;
    for (unsigned i = 0; i < 5; i++)
        assert_true(say(s));
    for (unsigned n = first; n <= s->end[0].made; n++)
        assert_false(s->end[1].live.have[n]);
    sim_run(s, 21 * MINUTE); /* the acknowledgement shows the hole */
    assert_false(say(s));    /* in doubt: it stands alone, and arrives */
    assert_true(s->end[1].live.have[s->end[0].made]);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[0].frames, 6 + 1 + 1);
    assert_int_equal(s->end[1].copies, 0);
    assert_true(say(s));
    sim_free(s);
}

static void what_waits_at_a_receiver_that_is_killed_is_sent_again(void **state)
{
    struct sim *s = sim_leaning(62);
    unsigned before = greetings(s);
    s->loss = 1;
    say(s);
    s->loss = 0;
    for (unsigned i = 0; i < 5; i++)
        assert_true(say(s));
    while (s->end[0].frames < 7)
        sim_step(s, s->now_ms + MINUTE);
    sim_start(s, 1); /* that they are there was told, and the lost one is on its way */
    assert_true(sim_drain(s, 3000 * MINUTE));
    assert_int_equal(s->end[0].frames, 12);
    assert_int_equal(greetings(s), before);
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void a_receivers_restart_changes_nothing(void **state)
{
    struct sim *s = sim_leaning(63);
    unsigned before = greetings(s);
    for (unsigned i = 0; i < 60; i++) {
        say(s);
        if (i % 7 == 3)
            sim_start(s, 1);
    }
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_true(s->end[0].frames < 60 + 9); /* an acknowledgement that was due is forgotten */
    assert_int_equal(greetings(s), before);
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void a_senders_restart_begins_an_epoch_and_what_is_under_way_is_read_in_its_own(void **state)
{
    struct sim *s = sim_leaning(64);
    for (unsigned round = 0; round < 12; round++) {
        unsigned before = greetings(s);
        s->loss = round % 3 == 1 ? 1 : 0;
        say(s);
        s->loss = 0;
        say(s);
        sim_start(s, 0);
        assert_true(say(s));
        sim_start(s, 1);
        say(s);
        assert_true(sim_drain(s, 3000 * MINUTE));
        assert_true(greetings(s) > before);
    }
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void a_receiver_whose_store_is_older_reads_nothing_wrong_and_is_reached_again(void **state)
{
    struct sim *s = sim_leaning(65);
    say(s);
    assert_true(sim_drain(s, 1000 * MINUTE));
    struct disk old = s->end[1].disk;
    for (unsigned i = 0; i < 20; i++)
        say(s);
    assert_true(sim_drain(s, 1000 * MINUTE));
    s->end[1].disk = old;
    memcpy(s->end[1].disk.have, s->end[1].live.have, sizeof old.have);
    sim_start(s, 1);
    unsigned before = greetings(s);
    for (unsigned i = 0; i < 5; i++)
        say(s);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(greetings(s), before + 1);
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

/* Each costs a model to look at: one after the other for ever would be a loop without an end. */
static void what_cannot_be_taken_of_two_epochs_is_tried_again_when_something_was(void **state)
{
    struct sim *s = sim_leaning(69);
    for (unsigned epoch = 0; epoch < 2; epoch++) {
        say(s);
        s->end[1].not_now[s->end[0].made + 1] = true;
        assert_true(say(s));
        if (epoch == 0)
            sim_start(s, 0);
    }
    sim_run(s, 300 * MINUTE);
    assert_false(sim_all_acked(s));
    memset(s->end[1].not_now, 0, sizeof s->end[1].not_now);
    say(s);
    assert_true(sim_drain(s, 3000 * MINUTE));
    sim_free(s);
}

/* What was kept is not what the model was made of: nothing is read by a model that is not the sender's. */
static void kept_frames_that_are_missing_end_the_epoch(void **state)
{
    struct sim *s = sim_leaning(66);
    for (unsigned i = 0; i < 10; i++)
        say(s);
    assert_true(sim_drain(s, 1000 * MINUTE));
    unsigned kept = 0;
    for (unsigned i = 0; i < LEANING; i++) {
        kept += s->end[1].disk.leaning[i].used;
        if (s->end[1].disk.leaning[i].number == 5)
            s->end[1].disk.leaning[i].used = false;
    }
    assert_true(kept >= 10);
    sim_start(s, 1);
    unsigned before = greetings(s);
    say(s);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(greetings(s), before + 1);
    sim_free(s);
}

static void an_epoch_ends_before_too_much_leans(void **state)
{
    if (sim_codec > 1)
        return; /* takes more messages, and is the same */
    struct sim *s = sim_new(67, false);
    sim_make(s, 0, 1);
    assert_true(sim_drain(s, 60000));
    unsigned before = greetings(s);
    while (s->end[0].made < MESSAGES - 60) {
        sim_make(s, 0, 60);
        assert_true(sim_drain(s, 6000000));
    }
    assert_int_equal(greetings(s), before + 1); /* some 100 bytes a message, and 1 MB an epoch */
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void a_model_too_large_for_the_receiver_gives_way_to_one_that_all_take(void **state)
{
    if (sim_codec == 1)
        return;
    struct sim *s = sim_new(68, true);
    s->end[0].config.codec_memory = 4u << 20; /* the other end takes 1 MB, as any does */
    sim_start(s, 0);
    sim_make(s, 0, 20);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[0].config.codec_memory, 4u << 20);
    assert_true(channel_models_in(s->end[1].channel) > 0);
    unsigned before = greetings(s);
    sim_make(s, 0, 20);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(greetings(s), before); /* it is kept to */
    assert_int_equal(channel_models_in(s->end[1].channel) % (1u << 20), 0);
    assert_true(channel_models_in(s->end[1].channel) <= 4u << 20);

    /* And where it takes as much, at once. */
    s->end[1].config.receive_memory = 4u << 20;
    sim_start(s, 1);
    sim_start(s, 0);
    sim_make(s, 0, 20);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_true(channel_models_in(s->end[1].channel) >= 12u << 20);
    sim_free(s);
}

static void models_that_were_given_up_are_made_again_from_what_was_kept(void **state)
{
    struct sim *s = sim_leaning(69);
    for (unsigned i = 0; i < 20; i++)
        say(s);
    assert_true(sim_drain(s, 1000 * MINUTE));
    unsigned before = greetings(s);
    assert_true(sim_codec == 1 || channel_models_in(s->end[1].channel) > 0);
    channel_forget_models_in(s->end[1].channel);
    assert_int_equal(channel_models_in(s->end[1].channel), 0);
    assert_true(say(s));
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(greetings(s), before);
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_lean_while_nothing_is_in_doubt_and_an_alarm_never_does),
        cmocka_unit_test(what_leans_on_a_lost_frame_waits_for_it_and_is_not_sent_again),
        cmocka_unit_test(what_waits_at_a_receiver_that_is_killed_is_sent_again),
        cmocka_unit_test(a_receivers_restart_changes_nothing),
        cmocka_unit_test(a_senders_restart_begins_an_epoch_and_what_is_under_way_is_read_in_its_own),
        cmocka_unit_test(a_receiver_whose_store_is_older_reads_nothing_wrong_and_is_reached_again),
        cmocka_unit_test(what_cannot_be_taken_of_two_epochs_is_tried_again_when_something_was),
        cmocka_unit_test(kept_frames_that_are_missing_end_the_epoch),
        cmocka_unit_test(an_epoch_ends_before_too_much_leans),
        cmocka_unit_test(a_model_too_large_for_the_receiver_gives_way_to_one_that_all_take),
        cmocka_unit_test(models_that_were_given_up_are_made_again_from_what_was_kept),
    };
    sim_arguments(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
