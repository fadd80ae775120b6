/* A new epoch whose models are primed from what both ends still have: it is worth it, and it is never in the way. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "gateway/wire/prime_share.h"
#include "tests/unit/wire/pair.h"

#define LINE_9600 960
#define MESSAGE   90
#define TAIL_WORK 2900 /* of each of 100 messages: a whole budget */

/* Both ends have had 150 messages; then one of them is started anew and meets the other. */
static struct pair *acquainted(uint64_t seed, bool forgetful, int64_t slow_ms)
{
    struct pair *p = pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = seed});
    p->alike = true;
    pair_up(p, 2);
    for (int i = 0; i < 150; i++)
        pair_send(p, 0, CLASS_NORMAL, MESSAGE);
    assert_true(pair_drain(p, 200000));
    p->owner[1].forgetful = forgetful;
    p->owner[1].prime_slow_ms = slow_ms;
    pair_down(p, 2);
    pair_kill(p, 0);
    pair_up(p, 1);
    for (int i = 0; i < 100 && !(p->owner[0].greeteds == 2 && p->owner[1].greeteds == 2); i++)
        pair_run(p, 100);
    return p;
}

static uint64_t cost_of_a_message(struct pair *p)
{
    pair_run(p, 20000);
    uint64_t before = p->owner[0].bytes_out;
    pair_send(p, 0, CLASS_NORMAL, MESSAGE);
    assert_true(pair_drain(p, 20000));
    return p->owner[0].bytes_out - before;
}

static void the_first_message_after_a_restart_costs_what_the_last_before_did(void **state)
{
    struct pair *p = acquainted(101, false, 0);
    uint64_t primed = cost_of_a_message(p);
    assert_int_equal(p->owner[0].primed_out, PAIR_TAIL);
    assert_int_equal(p->owner[1].primed_in, PAIR_TAIL);
    pair_free(p);
    p = acquainted(101, true, 0);
    uint64_t unprimed = cost_of_a_message(p);
    print_message("# %d bytes, %d where the histories differ\n", (int)primed, (int)unprimed);
    assert_true(primed < 40);
    assert_true(unprimed >= MESSAGE);
    pair_free(p);
}

static void an_end_that_has_lost_its_history_understands_all_the_same(void **state)
{
    struct pair *p = acquainted(102, true, 0);
    for (int i = 0; i < 100; i++)
        pair_send(p, i % 2, CLASS_NORMAL, MESSAGE);
    assert_true(pair_drain(p, 60000));
    assert_int_equal(p->owner[0].primed_out, 0);
    assert_int_equal(p->owner[0].greeteds, 2);
    pair_free(p);
}

static void an_alarm_does_not_wait_for_priming(void **state)
{
    for (int64_t before_ms = 0; before_ms < 400; before_ms += 40) {
        struct pair *p = pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 103});
        p->alike = true;
        pair_up(p, 2);
        for (int i = 0; i < 150; i++)
            pair_send(p, 0, CLASS_NORMAL, MESSAGE);
        assert_true(pair_drain(p, 200000));
        p->owner[0].prime_slow_ms = p->owner[1].prime_slow_ms = 90; /* 100 records take it about 1.5 s */
        pair_restart(p, 0);
        pair_run(p, before_ms);
        pair_send(p, 0, CLASS_ALARM, 20);
        pair_send(p, 0, CLASS_NORMAL, MESSAGE);
        assert_true(pair_drain(p, 30000));
        print_message("# after %d ms: %d ms\n", (int)before_ms, (int)p->owner[1].worst_alarm_ms);
        assert_true(p->owner[1].worst_alarm_ms < 700); /* handshake, a slice, a frame, 20 ms of delay each */
        pair_free(p);
    }
}

/* Both ends have had so many messages of the other, each of so much work in a tail; then one is started anew. */
static struct pair *acquainted_both_ways(uint64_t seed, int of_first, int of_second, int64_t slow_ms)
{
    struct pair *p = pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = seed});
    p->alike = true;
    pair_up(p, 2);
    for (int i = 0; i < 150; i++) {
        if (i < of_first)
            pair_send(p, 0, CLASS_NORMAL, MESSAGE);
        if (i < of_second)
            pair_send(p, 1, CLASS_NORMAL, MESSAGE);
    }
    assert_true(pair_drain(p, 400000));
    for (int side = 0; side < 2; side++) {
        p->owner[side].tail_work = TAIL_WORK;
        p->owner[side].prime_slow_ms = slow_ms;
    }
    pair_restart(p, 0);
    return p;
}

static void two_tails_at_once_share_one_budget_alike_at_both_ends(void **state)
{
    static const struct {
        int of_first, of_second;
        unsigned first, second; /* messages of the tails that are learned */
    } cases[] = {{150, 150, 49, 49}, {150, 20, 79, 20}, {20, 150, 20, 79}, {150, 0, 100, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair *p = acquainted_both_ways(110, cases[i].of_first, cases[i].of_second, 0);
        uint64_t first = cost_of_a_message(p);
        assert_int_equal(p->owner[0].primed_out, cases[i].first);
        assert_int_equal(p->owner[1].primed_in, cases[i].first);
        assert_int_equal(p->owner[1].primed_out, cases[i].second);
        assert_int_equal(p->owner[0].primed_in, cases[i].second);
        assert_true((cases[i].first + cases[i].second) * TAIL_WORK <= PRIME_SHARE_UNITS * PRIME_UNIT_WORK);
        assert_true(first < 40); /* so the models are the same, and know the message */
        pair_send(p, 1, CLASS_NORMAL, MESSAGE);
        assert_true(pair_drain(p, 20000));
        assert_int_equal(p->owner[0].greeteds, 2);
        pair_free(p);
    }
}

static void an_alarm_of_either_end_passes_while_both_directions_are_primed(void **state)
{
    for (int from = 0; from < 2; from++)
        for (int64_t before_ms = 0; before_ms < 1600; before_ms += 500) {
            struct pair *p = acquainted_both_ways(111, 150, 150, 90); /* 2 x 49 records take some 1.5 s */
            pair_run(p, before_ms);
            pair_send(p, from, CLASS_ALARM, 20);
            pair_send(p, from, CLASS_NORMAL, MESSAGE);
            pair_send(p, !from, CLASS_NORMAL, MESSAGE);
            assert_true(pair_drain(p, 30000));
            print_message("# of %d, after %d ms: %d ms\n", from, (int)before_ms, (int)p->owner[!from].worst_alarm_ms);
            assert_true(p->owner[!from].worst_alarm_ms < 700);
            assert_int_equal(p->owner[0].greeteds, 2);
            pair_free(p);
        }
}

/* The sender is done at once; the receiver would learn its own sending's shorter tail first. */
static void what_a_frame_waits_for_is_primed_before_anything_else(void **state)
{
    struct pair *p = acquainted_both_ways(112, 150, 70, 0);
    p->owner[1].prime_slow_ms = 90;
    for (int i = 0; i < 100 && p->owner[1].greeteds < 2; i++)
        pair_run(p, 10);
    pair_send(p, 0, CLASS_NORMAL, MESSAGE);
    for (int i = 0; i < 1000 && p->owner[0].settled[CLASS_NORMAL] < 151; i++)
        pair_run(p, 10);
    assert_int_equal(p->owner[1].primed_in, p->owner[0].primed_out);
    assert_true(p->owner[1].primed_out < p->owner[0].primed_in);
    assert_true(pair_drain(p, 20000));
    pair_free(p);
}

static void frames_that_come_while_the_receiver_is_still_at_it_are_kept(void **state)
{
    struct pair *p = acquainted(104, false, 60);
    for (int i = 0; i < 200; i++)
        pair_send(p, 0, CLASS_HIGH, MESSAGE + 20);
    assert_true(pair_drain(p, 60000));
    struct channel_status s;
    channel_status(p->owner[0].channel, &s);
    assert_int_equal(s.retransmits, 0);
    assert_int_equal(p->owner[0].primed_out, PAIR_TAIL);
    assert_int_equal(p->owner[0].greeteds, 2);
    pair_free(p);
}

static void a_processor_that_is_too_slow_for_it_gives_up_in_time(void **state)
{
    struct pair *p = acquainted(105, false, 0);
    p->owner[0].prime_slow_ms = 1000;
    pair_restart(p, 0);
    pair_send(p, 0, CLASS_NORMAL, MESSAGE);
    int64_t from = p->now_ms;
    assert_true(pair_drain(p, 60000));
    assert_true(p->now_ms - from < 5000);
    pair_free(p);
}

/* What the first message of two ends costs that never met before. */
static uint64_t first_message(const char *text, bool cold, enum msg_class class)
{
    struct pair *p = pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 107, .cold = cold});
    p->text = text;
    p->owner[0].prime_slow_ms = p->owner[1].prime_slow_ms = cold ? 90 : 0;
    pair_up(p, 2);
    for (int i = 0; i < 100 && !(p->owner[0].greeteds == 1 && p->owner[1].greeteds == 1); i++)
        pair_run(p, 10);
    uint64_t before = p->owner[0].bytes_out;
    pair_send(p, 0, class, MESSAGE);
    assert_true(pair_drain(p, 20000));
    assert_int_equal(p->owner[0].greeteds, 1);
    if (class == CLASS_ALARM)
        assert_true(p->owner[1].worst_alarm_ms < 700);
    uint64_t cost = p->owner[0].bytes_out - before;
    print_message("# %d bytes\n", (int)cost);
    pair_free(p);
    return cost;
}

static const char reading[] = "{\"temperature\":19.2,\"humidity\":51,\"battery_voltage\":3.61,\"rssi\":-88,\"uptime\":";

static void the_very_first_message_of_a_pair_is_not_the_first_text_that_the_codec_sees(void **state)
{
    assert_true(first_message(reading, false, CLASS_NORMAL) < MESSAGE * 2 / 3);
}

static void a_message_waits_for_the_primer_and_an_alarm_does_not(void **state)
{
    uint64_t primed = first_message(reading, false, CLASS_NORMAL);
    assert_true(first_message(reading, true, CLASS_NORMAL) <= primed + 1); /* a delimiter, after the wait */
    assert_true(first_message(reading, true, CLASS_ALARM) > primed + 10);
}

/* The sender is ready and the receiver is not, and the other way about. */
static void ends_of_which_one_has_its_primer_later_understand_one_another(void **state)
{
    for (int slow = 0; slow < 2; slow++) {
        struct pair *p = pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 108, .cold = true});
        p->owner[slow].prime_slow_ms = 30;
        pair_up(p, 2);
        for (int i = 0; i < 60; i++)
            pair_send(p, i % 2, i % 7 ? CLASS_NORMAL : CLASS_ALARM, MESSAGE);
        assert_true(pair_drain(p, 60000));
        assert_int_equal(p->owner[0].greeteds, 1);
        struct channel_status s;
        channel_status(p->owner[!slow].channel, &s);
        assert_int_equal(s.retransmits, 0);
        pair_free(p);
    }
}

static void a_slow_processor_takes_its_time_while_nothing_waits(void **state)
{
    struct pair *p = acquainted(109, false, 200); /* both tails: some 5 s */
    p->owner[0].prime_slow_ms = 200;
    uint64_t primed = cost_of_a_message(p);
    assert_true(primed < 40);
    pair_free(p);
}

static void after_nonsense_the_history_is_not_trusted(void **state)
{
    struct pair *p = acquainted(106, false, 0);
    cost_of_a_message(p);
    p->owner[1].poison = 1;
    pair_send(p, 0, CLASS_NORMAL, MESSAGE);
    assert_true(pair_drain(p, 60000));
    assert_int_equal(p->owner[0].greeteds, 3);
    assert_int_equal(p->owner[0].primed_out, 0);
    pair_free(p);
}

int main(int argc, char **argv)
{
    pair_arguments(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_message_after_a_restart_costs_what_the_last_before_did),
        cmocka_unit_test(an_end_that_has_lost_its_history_understands_all_the_same),
        cmocka_unit_test(an_alarm_does_not_wait_for_priming),
        cmocka_unit_test(two_tails_at_once_share_one_budget_alike_at_both_ends),
        cmocka_unit_test(an_alarm_of_either_end_passes_while_both_directions_are_primed),
        cmocka_unit_test(what_a_frame_waits_for_is_primed_before_anything_else),
        cmocka_unit_test(frames_that_come_while_the_receiver_is_still_at_it_are_kept),
        cmocka_unit_test(a_processor_that_is_too_slow_for_it_gives_up_in_time),
        cmocka_unit_test(the_very_first_message_of_a_pair_is_not_the_first_text_that_the_codec_sees),
        cmocka_unit_test(a_message_waits_for_the_primer_and_an_alarm_does_not),
        cmocka_unit_test(ends_of_which_one_has_its_primer_later_understand_one_another),
        cmocka_unit_test(a_slow_processor_takes_its_time_while_nothing_waits),
        cmocka_unit_test(after_nonsense_the_history_is_not_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
