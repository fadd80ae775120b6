/* What keys do for two ends: what an eavesdropper sees, whom they do not understand, how a key is changed, what forward secrecy
 * adds, and what it all costs. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/frame.h"
#include "gateway/wire/framing.h"
#include "tests/unit/wire/pair.h"

#define LINE_9600 960

static struct pair *new_pair(enum seal_mode seal, uint64_t seed)
{
    pair_seal = seal;
    return pair_new(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = seed});
}

/* Starts an end anew with what was done to its configuration. */
static void renew(struct pair *p, int side)
{
    pair_kill(p, side);
    pair_down(p, side);
    p->owner[side].keys_in_use[0] = p->owner[side].keys_in_use[1] = 0;
}

static struct channel_status status(const struct pair *p, int side)
{
    struct channel_status s;
    channel_status(p->owner[side].channel, &s);
    return s;
}

/* ---- what an eavesdropper sees ---- */

static uint8_t seen[200000];
static size_t seen_n;

static void eavesdrop(struct pair *p, int from, const uint8_t *bytes, size_t n)
{
    static const struct framing_avoid none;
    struct framing_decoder d;
    size_t len;
    framing_decoder_init(&d, &none);
    for (size_t i = 0; i < n; i++)
        if (framing_feed(&d, bytes[i], &len) == FRAMING_FRAME && seen_n + len <= sizeof seen) {
            memcpy(seen + seen_n, d.frame, len);
            seen_n += len;
        }
    pair_carry(p, from, bytes, n);
}

static bool saw(const void *what, size_t n)
{
    return memmem(seen, seen_n, what, n) != NULL;
}

static void under_full_nothing_is_read_and_under_auth_everything(void **state)
{
    for (unsigned seal = SEAL_FULL; seal <= SEAL_AUTH; seal++) {
        struct pair *p = new_pair((enum seal_mode)seal, 300 + seal);
        p->attacker = eavesdrop;
        seen_n = 0;
        pair_up(p, 2);
        pair_send(p, 0, CLASS_NORMAL, 60);
        assert_true(pair_drain(p, 10000));
        bool readable = seal == SEAL_AUTH;
        assert_int_equal(saw("buoy-17", 7), readable);
        assert_int_equal(saw("\x03hub", 4), readable);
        /* The owner's payload buffer holds the message as it was sent. */
        assert_int_equal(saw(p->owner[0].payload, 60), readable);
        assert_false(saw(p->owner[0].config.secrets.current, 8));
        pair_free(p);
    }
}

static void a_name_of_more_than_16_bytes_goes_as_its_beginning_and_a_hash(void **state)
{
    struct pair *p = new_pair(SEAL_AUTH, 302);
    static const char name[] = "weather-station-of-the-northern-mast";
    strcpy(p->owner[0].config.own_name, name);
    strcpy(p->owner[1].config.peer_name, name);
    renew(p, 0);
    renew(p, 1);
    p->attacker = eavesdrop;
    seen_n = 0;
    pair_up(p, 2);
    pair_send(p, 0, CLASS_NORMAL, 60);
    assert_true(pair_drain(p, 10000));
    assert_true(saw("\x10weather~", 9));
    assert_false(saw("weather-", 8));
    pair_free(p);
}

/* ---- who does not understand whom ---- */

static void ends_that_differ_in_secret_mode_tag_or_names_never_meet_and_say_nothing_of_it(void **state)
{
    for (int what = 0; what < 5; what++) {
        struct pair *p = new_pair(what == 4 ? SEAL_AUTH : SEAL_FULL, 310);
        struct channel_config *c = &p->owner[1].config;
        switch (what) {
        case 0:
            c->secrets.current[31] ^= 1;
            break;
        case 1:
            c->seal = SEAL_AUTH;
            break;
        case 2:
            c->tag_bytes = 10;
            break;
        case 3:
            strcpy(c->peer_name, "buoy-18");
            break;
        case 4:
            c->seal = SEAL_NONE;
            break;
        }
        renew(p, 1);
        pair_up(p, 2);
        pair_send(p, 0, CLASS_NORMAL, 20);
        pair_send(p, 1, CLASS_NORMAL, 20);
        pair_run(p, 600000);
        assert_int_equal(p->owner[0].greetings + p->owner[1].greetings, 0);
        assert_int_equal(p->owner[0].live.count[CLASS_NORMAL] + p->owner[1].live.count[CLASS_NORMAL], 0);
        assert_true(status(p, 0).forged > 3);
        assert_int_equal(status(p, 0).refused, 0);
        pair_free(p);
    }
}

/* ---- silence ---- */

/* HELLOs go between RESUMEs that nobody answers; but an epoch that both ends hold outlives them, in either order. */
static void an_epoch_outlives_questions_that_were_lost(void **state)
{
    for (int dead_s = 1; dead_s < 60; dead_s += 4) {
        struct pair *p = new_pair(SEAL_FULL, 315 + (uint64_t)dead_s);
        pair_up(p, 2);
        pair_send(p, 0, CLASS_NORMAL, 20);
        assert_true(pair_drain(p, 10000));
        pair_down(p, 2);
        p->line[0].dead = p->line[1].dead = true;
        pair_up(p, 2);
        pair_run(p, dead_s * 1000);
        p->line[0].dead = p->line[1].dead = false;
        pair_send(p, 0, CLASS_NORMAL, 20);
        assert_true(pair_drain(p, 200000));
        pair_run(p, 60000);
        assert_int_equal(p->owner[0].greeteds, 1);
        assert_int_equal(p->owner[1].greeteds, 1);
        pair_free(p);
    }
}

static void a_peer_that_was_started_anew_is_met_although_it_cannot_read_what_it_is_asked(void **state)
{
    for (int side = 0; side < 2; side++) {
        struct pair *p = new_pair(SEAL_FULL, 316);
        /* It says nothing of its own accord. */
        p->owner[side].config.metered = true;
        renew(p, side);
        pair_up(p, 2);
        pair_send(p, !side, CLASS_NORMAL, 20);
        assert_true(pair_drain(p, 60000));
        pair_run(p, 10000);
        pair_down(p, !side);
        pair_kill(p, side);
        pair_up(p, !side);
        pair_send(p, !side, CLASS_NORMAL, 20);
        assert_true(pair_drain(p, 30000));
        pair_free(p);
    }
}

/* ---- forward secrecy ---- */

static void forward_secrecy_is_in_force_where_both_ends_have_it(void **state)
{
    for (int who = 0; who < 4; who++) {
        struct pair *p = new_pair(SEAL_FULL, 320 + (uint64_t)who);
        for (int i = 0; i < 2; i++) {
            p->owner[i].config.forward_secrecy = who & (1 << i);
            renew(p, i);
            p->owner[i].bytes_out = 0;
        }
        pair_up(p, 2);
        pair_run(p, 10000);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(channel_state(p->owner[i].channel), CHANNEL_READY);
            assert_int_equal(status(p, i).forward_secret, who == 3);
            print_message("# side %d with%s: %d bytes\n", i, who & (1 << i) ? "" : "out", (int)p->owner[i].bytes_out);
            assert_true(p->owner[i].bytes_out <= (who & (1 << i) ? 100 + 40 : 100));
        }
        pair_send(p, 0, CLASS_NORMAL, 20);
        assert_true(pair_drain(p, 10000));
        pair_free(p);
    }
}

/* ---- a key is changed ---- */

static void both_ways(struct pair *p)
{
    pair_up(p, 2);
    pair_send(p, 0, CLASS_NORMAL, 20);
    pair_send(p, 1, CLASS_NORMAL, 20);
    assert_true(pair_drain(p, 60000));
}

static void add_next(struct pair *p, int side, uint8_t fill)
{
    struct channel_secrets *s = &p->owner[side].config.secrets;
    memset(s->next, fill, SECRET_BYTES);
    s->has_next = true;
    s->use_next = false;
    renew(p, side);
}

/* What was next is all there is. */
static void retire(struct pair *p, int side)
{
    struct channel_secrets *s = &p->owner[side].config.secrets;
    memcpy(s->current, s->next, SECRET_BYTES);
    s->has_next = s->use_next = false;
    renew(p, side);
}

static void a_key_is_changed_one_end_after_the_other_and_the_link_works_at_each_step(void **state)
{
    for (int first = 0; first < 2; first++) {
        struct pair *p = new_pair(SEAL_FULL, 330 + (uint64_t)first);
        int then = !first;
        both_ways(p);
        assert_int_equal(p->owner[0].keys_in_use[0], 1);
        add_next(p, first, 0x55);
        both_ways(p);
        assert_false(status(p, first).peer_has_next || status(p, first).next_in_use || status(p, then).next_in_use);
        add_next(p, then, 0x55);
        both_ways(p);
        for (int i = 0; i < 2; i++) {
            assert_true(status(p, i).peer_has_next && status(p, i).next_in_use);
            assert_true(p->owner[i].keys_in_use[1] > 0); /* now the owner may let the old one go */
            p->owner[i].config.secrets.use_next = true;
        }
        retire(p, first);
        both_ways(p);
        assert_true(status(p, then).next_in_use);
        retire(p, then);
        both_ways(p);
        /* And again, with the next one. */
        add_next(p, then, 0x66);
        add_next(p, first, 0x66);
        both_ways(p);
        assert_true(status(p, 0).next_in_use && status(p, 1).next_in_use);
        pair_free(p);
    }
}

/* The other end has let the old key go, and ours has forgotten that it was used: from a backup. */
static void an_end_that_lost_the_memory_of_a_change_is_heard_all_the_same(void **state)
{
    for (int caller = 0; caller < 2; caller++) {
        struct pair *p = new_pair(SEAL_FULL, 340);
        add_next(p, 0, 0x55);
        add_next(p, 1, 0x55);
        both_ways(p);
        retire(p, 1);
        renew(p, 0); /* use_next is false */
        /* Only one of them begins. */
        for (int i = 0; i < 2; i++) {
            p->owner[i].config.metered = i != caller;
            renew(p, i);
        }
        pair_up(p, 2);
        pair_run(p, 120000);
        assert_int_equal(channel_state(p->owner[caller].channel), CHANNEL_READY);
        pair_free(p);
    }
}

static void ends_that_name_the_keys_the_other_way_round_agree_on_one(void **state)
{
    struct pair *p = new_pair(SEAL_FULL, 350);
    add_next(p, 0, 0x55);
    add_next(p, 1, 0x55);
    struct channel_secrets *s = &p->owner[1].config.secrets;
    memset(s->next, 0x42, SECRET_BYTES);
    memset(s->current, 0x55, SECRET_BYTES);
    renew(p, 1);
    both_ways(p);
    assert_int_equal(status(p, 0).next_in_use + status(p, 1).next_in_use, 1);
    pair_free(p);
}

/* ---- what it costs ---- */

static uint64_t data_frames, data_bytes;

static void weigh(struct pair *p, int from, const uint8_t *bytes, size_t n)
{
    static const struct framing_avoid none;
    struct framing_decoder d;
    size_t len;
    framing_decoder_init(&d, &none);
    for (size_t i = 0; i < n; i++)
        if (framing_feed(&d, bytes[i], &len) == FRAMING_FRAME && frame_kind(d.frame[0]) == FRAME_DATA && from == 0) {
            data_frames++;
            data_bytes += n;
        }
    pair_carry(p, from, bytes, n);
}

static void a_data_frame_costs_at_most_12_bytes_and_its_check(void **state)
{
    for (unsigned seal = SEAL_FULL; seal <= SEAL_AUTH; seal++) {
        struct pair *p = new_pair((enum seal_mode)seal, 360);
        p->attacker = weigh;
        data_frames = data_bytes = 0;
        pair_up(p, 2);
        for (int i = 0; i < 3000; i++)
            pair_send(p, 0, CLASS_NORMAL, 100);
        assert_true(pair_drain(p, 2000000));
        struct channel_status s = status(p, 0);
        assert_int_equal(s.retransmits, 0);
        double each = (double)(data_bytes - s.stream_bytes_out) / (double)data_frames;
        print_message("# %d frames, %.2f bytes beside the record stream, 2 of them the check\n", (int)data_frames, each);
        assert_true(each <= 12 + 2 + 0.01); /* a delimiter more on an idle line */
        pair_free(p);
    }
}

int main(int argc, char **argv)
{
    pair_arguments(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(under_full_nothing_is_read_and_under_auth_everything),
        cmocka_unit_test(a_name_of_more_than_16_bytes_goes_as_its_beginning_and_a_hash),
        cmocka_unit_test(ends_that_differ_in_secret_mode_tag_or_names_never_meet_and_say_nothing_of_it),
        cmocka_unit_test(an_epoch_outlives_questions_that_were_lost),
        cmocka_unit_test(a_peer_that_was_started_anew_is_met_although_it_cannot_read_what_it_is_asked),
        cmocka_unit_test(forward_secrecy_is_in_force_where_both_ends_have_it),
        cmocka_unit_test(a_key_is_changed_one_end_after_the_other_and_the_link_works_at_each_step),
        cmocka_unit_test(an_end_that_lost_the_memory_of_a_change_is_heard_all_the_same),
        cmocka_unit_test(ends_that_name_the_keys_the_other_way_round_agree_on_one),
        cmocka_unit_test(a_data_frame_costs_at_most_12_bytes_and_its_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
