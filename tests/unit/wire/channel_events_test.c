/* What happens at the edges of a channel's life: refusals, goodbyes, silence, nonsense, full disks.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/frame.h"
#include "tests/unit/wire/pair.h"

#define LINE_9600 960

/* Bytes that a tag has more than a CRC. */
static unsigned more_tag(void)
{
    return pair_seal == SEAL_NONE ? 0 : SEAL_TAG_DEFAULT - SEAL_CRC_BYTES;
}

static struct pair *ready(const struct pair_options *options)
{
    struct pair *p = pair_new(options);
    pair_up(p, 2);
    for (int i = 0; i < 600 && !(p->owner[0].greeteds && p->owner[1].greeteds); i++)
        pair_run(p, 100);
    pair_run(p, 4000);
    for (int i = 0; i < 2 && !options->metered; i++)
        assert_int_equal(channel_state(p->owner[i].channel), CHANNEL_READY);
    return p;
}

static void the_sender_keeps_to_what_the_peer_can_take(void **state)
{
    for (int metered = 0; metered < 2; metered++) {
        struct pair *p = pair_new(&(struct pair_options){
            .rate = LINE_9600, .delay_ms = 20, .metered = metered, .seed = 61});
        p->owner[1].grant = 2000;
        pair_up(p, 2);
        for (int i = 0; i < 100; i++)
            pair_send(p, 0, CLASS_NORMAL, 100);
        /* The peer's disk fills as it takes: the grant goes to nothing. */
        uint64_t taken = 0;
        for (int i = 0; i < 3000; i++) {
            pair_run(p, 10);
            taken = p->owner[1].disk.count[CLASS_NORMAL] * 100;
            p->owner[1].grant = taken < 2000 ? 2000 - taken : 0;
        }
        assert_true(taken >= 1500 && taken <= 2000 + 300); /* a frame's worth was under way */
        pair_run(p, 3600000);
        assert_int_equal(p->owner[1].disk.count[CLASS_NORMAL] * 100, taken);
        assert_int_equal(p->owner[0].give_ups, 0);
        /* Room again: it goes on by itself, even if the first word of it is lost. */
        p->owner[1].grant = 1000000;
        p->line[1].dead = true;
        channel_grant_changed(p->owner[1].channel, p->now_ms);
        pair_run(p, 2000);
        p->line[1].dead = false;
        assert_true(pair_drain(p, 200000));
        pair_free(p);
    }
}

/* Where nobody probes, who was told that there is no room would wait for ever. */
static void room_that_came_while_the_link_was_down_is_told_of(void **state)
{
    struct pair *p = pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .metered = true, .seed = 63});
    p->owner[1].grant = 1000;
    pair_up(p, 2);
    for (int i = 0; i < 20; i++)
        pair_send(p, 0, CLASS_NORMAL, 500);
    for (int i = 0; i < 3000; i++) {
        uint64_t taken = p->owner[1].disk.count[CLASS_NORMAL] * 500;
        p->owner[1].grant = taken < 1000 ? 1000 - taken : 0;
        pair_run(p, 10);
    }
    assert_true(p->owner[1].disk.count[CLASS_NORMAL] < 20);
    pair_down(p, 2);
    p->owner[1].grant = 1000000;
    channel_grant_changed(p->owner[1].channel, p->now_ms);
    pair_run(p, 60000);
    pair_up(p, 2);
    assert_true(pair_drain(p, 20 * 60 * 1000));
    pair_free(p);
}

static void a_refusal_is_told_and_tried_again_slowly(void **state)
{
    struct pair *p =
        pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 62});
    p->owner[1].refuse = CHANNEL_REFUSED_UNKNOWN;
    pair_up(p, 0);
    pair_run(p, 100);
    pair_up(p, 1);
    pair_run(p, 600000);
    assert_int_equal(p->owner[0].greeteds, 0);
    struct channel_status s;
    channel_status(p->owner[1].channel, &s);
    assert_true(s.refused >= 1);
    assert_true(p->owner[0].bytes_out < 6000);
    p->owner[1].refuse = 0;
    pair_send(p, 0, CLASS_NORMAL, 10);
    assert_true(pair_drain(p, 2000000));
    pair_free(p);
}

static void a_refused_resumption_is_followed_by_a_handshake_at_once(void **state)
{
    struct pair *p = ready(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 78});
    uint8_t framed[64];
    pair_down(p, 0);
    pair_kill(p, 1);
    pair_down(p, 1); /* a guest is all that there is at the other end yet */
    pair_up(p, 0);
    pair_run(p, 100);
    uint64_t before = p->owner[0].bytes_out;
    pair_inject(p, 0, framed, channel_guest_refusal(CHANNEL_REFUSED_BUSY, framed, sizeof framed));
    pair_run(p, 100);
    assert_true(p->owner[0].bytes_out > before + 30);
    pair_up(p, 1);
    pair_send(p, 0, CLASS_NORMAL, 10);
    assert_true(pair_drain(p, 20000));
    pair_free(p);
}

static void a_peer_of_another_name_is_refused(void **state)
{
    struct pair *p =
        pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 63});
    snprintf(p->owner[1].config.peer_name, sizeof p->owner[1].config.peer_name, "buoy-18");
    pair_up(p, 0);
    pair_restart(p, 1);
    pair_run(p, 60000);
    assert_int_equal(p->owner[1].greetings, 0);
    assert_int_not_equal(channel_state(p->owner[0].channel), CHANNEL_READY);
    pair_free(p);
}

static void goodbye_is_heard_and_a_new_start_is_welcome(void **state)
{
    struct pair *p = ready(
        &(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .probe_ms = 30000, .seed = 64});
    channel_goodbye(p->owner[0].channel, p->now_ms);
    pair_run(p, 500);
    assert_int_equal(channel_state(p->owner[1].channel), CHANNEL_SILENT);
    pair_send(p, 1, CLASS_NORMAL, 10);
    pair_run(p, 5000);
    pair_restart(p, 0);
    assert_true(pair_drain(p, 20000));
    assert_int_equal(channel_state(p->owner[1].channel), CHANNEL_READY);
    pair_free(p);
}

static void a_dead_peer_is_noticed_by_probes_and_by_unanswered_data(void **state)
{
    for (int data = 0; data < 2; data++) {
        struct pair *p = ready(&(struct pair_options){
            .rate = LINE_9600, .delay_ms = 20, .probe_ms = data ? 0 : 30000, .seed = 65});
        p->line[0].dead = p->line[1].dead = true;
        if (data)
            pair_send(p, 0, CLASS_NORMAL, 10);
        pair_run(p, data ? 400000 : 100000);
        assert_int_equal(channel_state(p->owner[0].channel), CHANNEL_SILENT);
        assert_int_equal(p->owner[0].give_ups, 1);
        p->line[0].dead = p->line[1].dead = false;
        assert_true(pair_drain(p, 200000));
        pair_run(p, 200000);
        assert_int_equal(channel_state(p->owner[0].channel), CHANNEL_READY);
        assert_int_equal(p->owner[0].greeteds, 1);
        pair_free(p);
    }
}

static void a_silent_but_living_peer_is_probed_and_nothing_more(void **state)
{
    struct pair *p = ready(
        &(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .probe_ms = 60000, .seed = 66});
    p->owner[0].bytes_out = p->owner[1].bytes_out = 0;
    pair_run(p, 3600000);
    assert_int_equal(p->owner[0].give_ups + p->owner[1].give_ups, 0);
    /* One question or answer a minute each. */
    assert_true(p->owner[0].bytes_out > 0 && p->owner[0].bytes_out <= 61 * (12 + more_tag()));
    pair_free(p);
}

static void a_metered_peer_that_was_started_anew_is_found_out(void **state)
{
    struct pair *p = pair_new(
        &(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .metered = true, .seed = 67});
    pair_up(p, 2);
    pair_send(p, 0, CLASS_NORMAL, 10);
    assert_true(pair_drain(p, 20000));
    pair_run(p, 20000);
    /* It has nothing to say, so it does not tell. */
    pair_kill(p, 1);
    pair_run(p, 20000);
    pair_send(p, 0, CLASS_NORMAL, 10);
    assert_true(pair_drain(p, 200000));
    assert_int_equal(p->owner[0].greeteds, 2);
    pair_free(p);
}

static void nonsense_in_a_record_begins_a_new_epoch_and_nothing_is_lost(void **state)
{
    struct pair *p = ready(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 68});
    for (int i = 0; i < 20; i++)
        pair_send(p, 0, CLASS_NORMAL, 100);
    pair_run(p, 1000);
    p->owner[1].poison = 1;
    assert_true(pair_drain(p, 60000));
    assert_int_equal(p->owner[0].greeteds, 2);
    pair_free(p);
}

static void a_frame_whose_check_differs_gives_no_record(void **state)
{
    struct pair *p = ready(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 79});
    static const uint8_t record[] = {0xc0, 0x05, 0x02, 'x', 'y'};
    struct channel_status s;
    struct framing_avoid none = {0};
    channel_status(p->owner[0].channel, &s);
    /* As if the peer's model had drifted: all is right but the check. */
    uint8_t frame[64], framed[FRAMING_MAX_BYTES];
    struct frame_data f = {.number = 1, .unit_end = true, .check = 0x1234};
    struct seal_context seal = {s.epoch, channel_peer_epoch(p->owner[0].channel)};
    size_t n = frame_data_encode(&f, frame);
    memcpy(frame + n, record, sizeof record);
    n = seal_frame(&seal, SEAL_SPACE_DATA, 1, frame, n + sizeof record);
    pair_inject(p, 1, framed, framing_encode(&none, true, frame, n, framed));
    pair_run(p, 10000);
    assert_false(p->wrong); /* the owner would have said that nobody sent this */
    assert_int_equal(p->owner[1].greeteds, 2);
    pair_send(p, 0, CLASS_NORMAL, 10);
    assert_true(pair_drain(p, 20000));
    pair_free(p);
}

static void nothing_is_acknowledged_before_it_is_on_disk(void **state)
{
    struct pair *p = ready(&(struct pair_options){.rate = 11520, .delay_ms = 5, .seed = 80});
    p->owner[0].commit_ms = p->owner[1].commit_ms = 700;
    for (int i = 0; i < 400; i++) {
        pair_send(p, i % 2, CLASS_NORMAL, 100);
        pair_run(p, 20); /* the owner's settle() looks at the peer's disk */
    }
    assert_true(pair_drain(p, 60000));
    pair_free(p);
}

static void a_commit_of_an_epoch_that_is_over_acknowledges_nothing(void **state)
{
    struct pair *p = ready(&(struct pair_options){.rate = 11520, .delay_ms = 5, .seed = 81});
    for (int i = 0; i < 10; i++)
        pair_send(p, 0, CLASS_NORMAL, 200);
    assert_true(pair_drain(p, 20000));
    uint64_t late = p->owner[1].frame_live;
    channel_restart(p->owner[0].channel, "test", p->now_ms);
    pair_run(p, 5000);
    assert_int_equal(p->owner[0].greeteds, 2);
    p->owner[1].commit_ms = 100000;
    for (int i = 0; i < 20; i++)
        pair_send(p, 0, CLASS_NORMAL, 200);
    pair_run(p, 3000);
    channel_committed(p->owner[1].channel, late, p->now_ms);
    pair_run(p, 3000);
    assert_int_equal(p->owner[0].acked_count, 0);
    assert_true(pair_drain(p, 200000));
    pair_free(p);
}

static void what_makes_no_sense_each_time_is_tried_ever_more_slowly(void **state)
{
    struct pair *p = ready(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 69});
    p->owner[1].poison = 1000000;
    pair_send(p, 0, CLASS_NORMAL, 100);
    pair_run(p, 3600000);
    assert_true(p->owner[0].greeteds > 3 && p->owner[0].greeteds < 40);
    p->owner[1].poison = 0;
    assert_true(pair_drain(p, 400000));
    pair_free(p);
}

static void a_channel_may_be_restarted_by_its_owner(void **state)
{
    struct pair *p = ready(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 70});
    for (int i = 0; i < 50; i++) {
        pair_send(p, i % 2, CLASS_NORMAL, 100);
        pair_run(p, pair_random(p) % 500);
        if (i % 5 == 0)
            channel_restart(p->owner[i / 5 % 2].channel, "test", p->now_ms);
        if (i % 15 == 0) { /* while the link is down, too */
            pair_down(p, 0);
            channel_restart(p->owner[0].channel, "test", p->now_ms);
            pair_up(p, 0);
        }
    }
    assert_true(pair_drain(p, 60000));
    pair_free(p);
}

static void our_own_echo_is_told_from_errors(void **state)
{
    struct pair *p =
        pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 71});
    p->echo = true;
    pair_up(p, 2);
    for (int i = 0; i < 40; i++) {
        pair_send(p, i % 2, CLASS_NORMAL, 50);
        pair_run(p, 3000);
    }
    assert_true(pair_drain(p, 60000));
    struct channel_status s;
    channel_status(p->owner[0].channel, &s);
    assert_true(s.echoes > 20);
    pair_free(p);
}

static void a_plug_looped_to_ourselves_never_becomes_ready(void **state)
{
    struct pair *p =
        pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 72});
    p->echo = true;
    p->line[0].dead = true;
    pair_up(p, 0);
    pair_run(p, 600000);
    assert_int_not_equal(channel_state(p->owner[0].channel), CHANNEL_READY);
    struct channel_status s;
    channel_status(p->owner[0].channel, &s);
    assert_true(s.echoes > 0);
    pair_free(p);
}

/* Cuts the line for so long behind a backlog, at several moments. Return: the mean time from its coming back to the next frame on
 * the peer's disk. */
static int64_t recovery_ms(int64_t cut_ms, bool both_ways)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < 10; i++) {
        struct pair *p = ready(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .probe_ms = 60000, .seed = 80 + i});
        for (int k = 0; k < 3000; k++)
            pair_send(p, k % 8 == 0 && both_ways, CLASS_NORMAL, 100);
        pair_run(p, 20000 + 370 * i);
        p->line[0].dead = p->line[1].dead = true;
        pair_run(p, cut_ms);
        p->line[0].dead = p->line[1].dead = false;
        uint64_t had = p->owner[1].disk.count[CLASS_NORMAL];
        int64_t from = p->now_ms;
        while (p->owner[1].disk.count[CLASS_NORMAL] == had && p->now_ms - from < 600000)
            pair_run(p, 20);
        sum += p->now_ms - from;
        pair_free(p);
    }
    print_message("# cut for %d ms%s: %d ms until the next is there\n", (int)cut_ms, both_ways ? ", both ways" : "", (int)(sum / 10));
    return sum / 10;
}

static void after_a_cut_the_line_is_used_again_soon(void **state)
{
    static const int64_t cuts_ms[] = {1000, 3300, 8000, 20000};
    /* With models the pace is the same, and the test takes half a minute. */
    for (unsigned i = 0; i < 4 && pair_codec_version == 1; i++) {
        int64_t most = 2500 + cuts_ms[i] / 4;
        assert_true(recovery_ms(cuts_ms[i], false) < most);
        assert_true(recovery_ms(cuts_ms[i], true) < most);
    }
}

static void a_peer_that_is_only_far_away_is_not_sent_what_it_has(void **state)
{
    for (int64_t delay_ms = 1000; delay_ms <= 4000; delay_ms += 1000) {
        struct pair *p = ready(&(struct pair_options){.rate = LINE_9600, .delay_ms = delay_ms, .seed = 79});
        struct channel_status before[2], after[2];
        for (int i = 0; i < 2; i++)
            channel_status(p->owner[i].channel, &before[i]);
        for (int i = 0; i < 300; i++) {
            pair_send(p, i & 1, CLASS_NORMAL, 100);
            pair_run(p, 2000 + (i % 7) * 100);
        }
        assert_true(pair_drain(p, 60000));
        for (int i = 0; i < 2; i++) {
            channel_status(p->owner[i].channel, &after[i]);
            unsigned again = (unsigned)(after[i].retransmits - before[i].retransmits);
            print_message("# %d ms away: sent again %u of 150, %d frames\n", (int)delay_ms, again, (int)(after[i].frames_out - before[i].frames_out));
            assert_true(again < 20);
        }
        pair_free(p);
    }
}

static void a_modem_that_buffers_holds_little_of_ours(void **state)
{
    /* A radio of 1200 bps behind a port of 9600, for more than half an hour: what it holds must not grow from one measuring of
     * the round trip to the next. */
    struct pair *p = pair_new(&(struct pair_options){.rate = 120, .delay_ms = 300, .seed = 73});
    for (int i = 0; i < 2; i++) {
        p->line[i].port_rate = 960;
        p->owner[i].config.rate_bytes_s = 960;
        pair_restart(p, i);
    }
    pair_run(p, 20000);
    for (int i = 0; i < 5000; i++)
        pair_send(p, 0, CLASS_NORMAL, 100);
    pair_run(p, 60000);
    int64_t most = 0;
    uint64_t carried = p->line[0].carried;
    int64_t from = p->now_ms;
    for (int i = 0; i < 20000; i++) {
        pair_run(p, 100);
        int64_t queue = p->line[0].free_us / 1000 - p->now_ms;
        most = queue > most ? queue : most;
    }
    double share =
        (double)(p->line[0].carried - carried) / 120 / ((double)(p->now_ms - from) / 1000);
    struct channel_status s;
    channel_status(p->owner[0].channel, &s);
    print_message("# queue at most %d ms, line used %.3f, sent again %d of %d\n", (int)most, share, (int)s.retransmits,
                  (int)s.frames_out);
    assert_true(share > 0.95);
    /* Two frames and a second: less would leave the line idle between them. */
    assert_true(most < 2 * 2133 + 1000);
    /* The first answers come later than anybody would have thought; what was sent again until then was in vain. */
    assert_true(s.retransmits < 10);
    pair_free(p);
}

static void a_line_that_becomes_slow_is_not_sent_everything_twice_for_ever(void **state)
{
    struct pair *p = ready(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 78});
    struct channel_status before, after;
    for (int i = 0; i < 100; i++) {
        pair_send(p, 0, CLASS_NORMAL, 100);
        pair_run(p, 1000);
    }
    p->line[0].delay_ms = p->line[1].delay_ms = 4000;
    channel_status(p->owner[0].channel, &before);
    for (int i = 0; i < 100; i++) {
        pair_send(p, 0, CLASS_NORMAL, 100);
        pair_run(p, 20000);
    }
    channel_status(p->owner[0].channel, &after);
    assert_true(pair_drain(p, 60000));
    print_message("# sent again: %d of 100\n", (int)(after.retransmits - before.retransmits));
    assert_true(after.retransmits - before.retransmits < 20);
    pair_free(p);
}

static void a_fast_link_is_filled(void **state)
{
    /* A megabyte a second with 20 ms each way: what 512 frames in flight allow is 2.7 MB/s. */
    struct pair *p = pair_new(&(struct pair_options){.rate = 1000000, .delay_ms = 20, .seed = 74});
    for (int i = 0; i < 2; i++) {
        p->owner[i].config.rate_bytes_s = 0;
        pair_restart(p, i);
    }
    pair_run(p, 3000);
    for (int i = 0; i < 20000; i++)
        pair_send(p, 0, CLASS_NORMAL, 200);
    int64_t from = p->now_ms;
    assert_true(pair_drain(p, 60000));
    print_message("# 4 MB in %d ms\n", (int)(p->now_ms - from));
    assert_true(p->now_ms - from < 8000);
    pair_free(p);
}

static void an_alarm_waits_one_turn_at_most_on_a_half_duplex_line(void **state)
{
    struct pair *p =
        ready(&(struct pair_options){.rate = 120, .delay_ms = 50, .half_duplex = true, .seed = 75});
    for (int i = 0; i < 1000; i++) {
        pair_send(p, 0, CLASS_NORMAL, 100);
        pair_send(p, 1, CLASS_NORMAL, 100);
    }
    pair_run(p, 60000);
    for (int i = 0; i < 20; i++) {
        pair_send(p, 0, CLASS_ALARM, 20);
        pair_run(p, 15000 + pair_random(p) % 5000);
    }
    assert_false(p->wrong);
    print_message("# worst %d ms\n", (int)p->owner[1].worst_alarm_ms);
    /* Two frame times, and the peer's turn (3 s and a frame). */
    assert_true(p->owner[1].worst_alarm_ms < 2 * 2133 + 3000 + 2133 + 500);
    pair_free(p);
}

/* A slow line with a long delay: whoever speaks hears the other only when its own voice is out. */
static void two_that_speak_at_once_do_not_do_so_for_ever(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct pair *p = pair_new(
            &(struct pair_options){.rate = 30, .delay_ms = 1200, .half_duplex = true, .metered = true, .seed = seed});
        pair_up(p, 2);
        for (int i = 0; i < 2; i++)
            for (int k = 0; k < 4; k++)
                pair_send(p, i, CLASS_NORMAL, 20);
        if (!pair_drain(p, 20 * 60 * 1000))
            fail_msg("seed %d: what both said at once is not there after 20 minutes", (int)seed);
        pair_free(p);
    }
}

static void a_single_message_leaves_at_once_and_costs_few_bytes(void **state)
{
    struct pair *p = ready(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 76});
    pair_send(p, 0, CLASS_NORMAL, 20);
    assert_true(pair_drain(p, 5000));
    pair_run(p, 30000);
    p->owner[0].bytes_out = p->owner[1].bytes_out = 0;
    pair_send(p, 0, CLASS_NORMAL, 20);
    int64_t from = p->now_ms;
    while (p->owner[1].live.count[CLASS_NORMAL] < 2 && p->now_ms < from + 5000)
        pair_run(p, 5);
    assert_true(p->now_ms - from < 120);
    assert_true(pair_drain(p, 5000));
    pair_run(p, 60000);
    /* Message 4 + 20, and what noise costs more where a model expects text; frame 8, check 2, a delimiter before it
     * on the idle line; the acknowledgement alone. */
    unsigned surprise = pair_codec_version > 1 ? 5 : 0;
    assert_true(p->owner[0].bytes_out <= 5 + 20 + surprise + 8 + 2 + 1 + more_tag());
    assert_true(p->owner[1].bytes_out <= 12 + more_tag());
    pair_free(p);
}

static void any_bytes_at_all_are_survived(void **state)
{
    struct pair *p = ready(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 77});
    for (int i = 0; i < 100000; i++) {
        /* Short runs between delimiters, with first bytes of all kinds: most reach the parsers
         * behind the framing. */
        uint8_t bytes[24];
        size_t n = 3 + pair_random(p) % 20;
        bytes[0] = (uint8_t)n;
        for (size_t k = 1; k < n; k++)
            bytes[k] = (uint8_t)(1 + pair_random(p) % 255);
        bytes[n] = 0;
        channel_on_bytes(p->owner[i % 2].channel, bytes, n + 1, p->now_ms);
    }
    assert_false(p->wrong);
    for (int i = 0; i < 20; i++)
        pair_send(p, i % 2, CLASS_NORMAL, 50);
    assert_true(pair_drain(p, 20000));
    struct channel_status s;
    channel_status(p->owner[0].channel, &s);
    assert_true(s.bad_frames > 40000);
    assert_int_equal(p->owner[0].greeteds, 1);
    pair_free(p);
}

int main(int argc, char **argv)
{
    pair_arguments(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sender_keeps_to_what_the_peer_can_take),
        cmocka_unit_test(room_that_came_while_the_link_was_down_is_told_of),
        cmocka_unit_test(a_refusal_is_told_and_tried_again_slowly),
        cmocka_unit_test(a_peer_of_another_name_is_refused),
        cmocka_unit_test(goodbye_is_heard_and_a_new_start_is_welcome),
        cmocka_unit_test(a_dead_peer_is_noticed_by_probes_and_by_unanswered_data),
        cmocka_unit_test(a_silent_but_living_peer_is_probed_and_nothing_more),
        cmocka_unit_test(a_metered_peer_that_was_started_anew_is_found_out),
        cmocka_unit_test(nonsense_in_a_record_begins_a_new_epoch_and_nothing_is_lost),
        cmocka_unit_test(nothing_is_acknowledged_before_it_is_on_disk),
        cmocka_unit_test(a_commit_of_an_epoch_that_is_over_acknowledges_nothing),
        cmocka_unit_test(what_makes_no_sense_each_time_is_tried_ever_more_slowly),
        cmocka_unit_test(a_channel_may_be_restarted_by_its_owner),
        cmocka_unit_test(our_own_echo_is_told_from_errors),
        cmocka_unit_test(a_plug_looped_to_ourselves_never_becomes_ready),
        cmocka_unit_test(a_line_that_becomes_slow_is_not_sent_everything_twice_for_ever),
        cmocka_unit_test(a_fast_link_is_filled),
        cmocka_unit_test(an_alarm_waits_one_turn_at_most_on_a_half_duplex_line),
        cmocka_unit_test(two_that_speak_at_once_do_not_do_so_for_ever),
        cmocka_unit_test(a_single_message_leaves_at_once_and_costs_few_bytes),
        cmocka_unit_test(any_bytes_at_all_are_survived),
        cmocka_unit_test(after_a_cut_the_line_is_used_again_soon),
        cmocka_unit_test(a_peer_that_is_only_far_away_is_not_sent_what_it_has),
        cmocka_unit_test(a_modem_that_buffers_holds_little_of_ours),
        /* Without keys alone: with them a stranger is not answered, and the test cannot make a frame of
         * the peer's. */
        cmocka_unit_test(a_refused_resumption_is_followed_by_a_handshake_at_once),
        cmocka_unit_test(a_frame_whose_check_differs_gives_no_record),
    };
    size_t count = sizeof tests / sizeof *tests - (pair_seal == SEAL_NONE ? 0 : 2);
    return _cmocka_run_group_tests("channel_events", tests, count, NULL, NULL);
}
