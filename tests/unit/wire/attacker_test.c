/* An attacker between two ends that share a secret: it sees, keeps, changes, holds back and makes what goes by, in both
 * directions, and gains nothing but delay. The owner of each end (pair.c) says so when a message is invented, doubled,
 * changed or lost; here it is told that the attacker was at work, and that no key ever sealed twice under one nonce. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/framing.h"
#include "tests/support/nonces.h"
#include "tests/unit/wire/pair.h"

#define LINE_9600 960
#define KEPT_MAX  4096

struct kept {
    int from;
    size_t n;
    uint8_t bytes[FRAMING_MAX_BYTES];
};
static struct kept *tape; /* what went over the line, oldest first; goes round */
static unsigned tape_n;
static bool working; /* the attacker */
static unsigned attacks;
static struct kept held; /* a frame that waits to be swapped with the next */

static void record(int from, const uint8_t *bytes, size_t n)
{
    struct kept *k = &tape[tape_n++ % KEPT_MAX];
    assert_true(n <= sizeof k->bytes);
    k->from = from;
    k->n = n;
    memcpy(k->bytes, bytes, n);
}

static const struct kept *any_kept(struct pair *p)
{
    unsigned n = tape_n < KEPT_MAX ? tape_n : KEPT_MAX;
    return &tape[pair_random(p) % n];
}

/* A frame of the shape of ours, with content from nowhere or from the tape. */
static void invent(struct pair *p, int towards)
{
    static const uint8_t firsts[] = {0x80, 0xa0, 0xa8, 0x98, 0xc0, 0xc4, 0xc8, 0xd0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xf1, 0xf6};
    static const struct framing_avoid none;
    uint8_t frame[FRAME_MAX_BYTES], line[FRAMING_MAX_BYTES];
    size_t n = 2 + pair_random(p) % 120;
    for (size_t i = 0; i < n; i++)
        frame[i] = (uint8_t)pair_random(p);
    frame[0] = firsts[pair_random(p) % sizeof firsts] | (frame[0] & 3);
    pair_inject(p, towards, line, framing_encode(&none, true, frame, n, line));
}

/* Flip, cut, swap, repeat, delay, reflect, invent. */
static void attacker(struct pair *p, int from, const uint8_t *bytes, size_t n)
{
    uint8_t changed[FRAMING_MAX_BYTES];
    const struct kept *old;
    record(from, bytes, n);
    if (!working || pair_random(p) % 4 != 0) {
        pair_carry(p, from, bytes, n);
        return;
    }
    attacks++;
    memcpy(changed, bytes, n);
    switch (pair_random(p) % 9) {
    case 0: /* one bit */
        changed[pair_random(p) % n] ^= (uint8_t)(1u << pair_random(p) % 8);
        pair_carry(p, from, changed, n);
        break;
    case 1: /* its end, with a delimiter put there */
        n = 1 + pair_random(p) % n;
        changed[n - 1] = 0;
        pair_carry(p, from, changed, n);
        break;
    case 2: /* two change places */
        if (held.n > 0)
            pair_carry(p, held.from, held.bytes, held.n);
        held = (struct kept){.from = from, .n = n};
        memcpy(held.bytes, bytes, n);
        break;
    case 3: /* twice, and once more later */
        pair_carry(p, from, bytes, n);
        pair_carry(p, from, bytes, n);
        break;
    case 4: /* back to who said it */
        pair_carry(p, from, bytes, n);
        pair_carry(p, !from, bytes, n);
        break;
    case 5: /* something old, either way */
        pair_carry(p, from, bytes, n);
        old = any_kept(p);
        pair_carry(p, pair_random(p) % 2 ? from : !from, old->bytes, old->n);
        break;
    case 6: /* never there */
        break;
    case 7: /* the beginning of one, and the end of another */
        old = any_kept(p);
        if (old->n > 12 && n > 12)
            memcpy(changed + n / 2, old->bytes + old->n / 2, n - n / 2 < old->n - old->n / 2 ? n - n / 2 : old->n - old->n / 2);
        pair_carry(p, from, changed, n);
        break;
    case 8:
        pair_carry(p, from, bytes, n);
        invent(p, pair_random(p) % 2);
        break;
    }
}

static struct pair *attacked(const struct pair_options *options)
{
    struct pair *p = pair_new(options);
    p->attacker = attacker;
    tape_n = attacks = 0;
    held.n = 0;
    working = false;
    nonces_forget();
    return p;
}

static struct channel_status status(const struct pair *p, int side)
{
    struct channel_status s;
    channel_status(p->owner[side].channel, &s);
    return s;
}

static void no_attack_but_delay(struct pair_options o, bool kills)
{
    struct pair *p = attacked(&o);
    pair_up(p, 2);
    working = true;
    for (int i = 0; i < 400; i++) {
        pair_send(p, i % 2, (enum msg_class)(i % 4), 10 + (uint32_t)i % 300);
        pair_run(p, 500);
        if (kills && i % 50 == 49)
            pair_restart(p, i / 50 % 2);
        if (i % 60 == 59) {
            pair_down(p, i / 60 % 3);
            pair_run(p, 100);
            pair_up(p, i / 60 % 3);
        }
        assert_false(p->wrong);
    }
    working = false;
    bool drained = pair_drain(p, 1800000);
    if (!drained)
        print_message("# %s\n", p->why);
    assert_true(drained);
    struct channel_status a = status(p, 0), b = status(p, 1);
    print_message("# %u attacks; forged %d %d, replayed %d %d, repeated %d %d, echoes %d %d; %d epochs, %d sealings\n", attacks,
                  (int)a.forged, (int)b.forged, (int)a.replayed, (int)b.replayed, (int)a.repeated, (int)b.repeated, (int)a.echoes,
                  (int)b.echoes, (int)p->owner[0].greeteds, (int)nonces_used());
    assert_true(attacks > 100 && (kills || a.forged + b.forged > 10)); /* an end that is killed forgets its counts */
    assert_true(nonces_used() > 400);
    assert_int_equal(nonces_reused(), 0);
    pair_free(p);
}

static void who_changes_holds_back_and_makes_frames_gains_nothing_but_delay(void **state)
{
    for (unsigned i = 0; i < 4; i++)
        no_attack_but_delay((struct pair_options){.rate = LINE_9600, .delay_ms = 20, .probe_ms = 30000, .seed = 200 + i}, i % 2);
}

static void nor_on_a_half_duplex_line_a_metered_one_or_with_forward_secrecy(void **state)
{
    no_attack_but_delay((struct pair_options){.rate = LINE_9600, .delay_ms = 20, .half_duplex = true, .probe_ms = 30000, .seed = 210}, true);
    no_attack_but_delay((struct pair_options){.rate = LINE_9600, .delay_ms = 20, .metered = true, .seed = 211}, true);
    no_attack_but_delay((struct pair_options){.rate = LINE_9600, .delay_ms = 20, .forward_secrecy = true, .probe_ms = 30000, .seed = 212}, true);
    no_attack_but_delay((struct pair_options){.rate = LINE_9600, .delay_ms = 20, .avoid = true, .tag_bytes = 4, .probe_ms = 30000, .seed = 213}, true);
}

/* All of a session, both directions, is played to each end: while it lives, and after restarts. */
static void a_session_that_is_played_back_does_nothing_and_is_counted(void **state)
{
    struct pair *p = attacked(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 220});
    pair_up(p, 2);
    for (int i = 0; i < 40; i++) {
        pair_send(p, i % 2, CLASS_NORMAL, 50);
        pair_run(p, 300);
    }
    assert_true(pair_drain(p, 20000));
    pair_run(p, 5000);
    unsigned recorded = tape_n;
    assert_true(recorded > 50 && recorded < KEPT_MAX);
    for (int round = 0; round < 4; round++) {
        if (round > 0) {
            /* One end alone, the other alone, both. */
            if (round & 1)
                pair_kill(p, 0);
            if (round & 2)
                pair_kill(p, 1);
            if (round < 3) {
                pair_send(p, round - 1, CLASS_NORMAL, 20);
                assert_true(pair_drain(p, 60000));
            }
            pair_run(p, 10000);
        }
        unsigned greetings[2] = {p->owner[0].greetings, p->owner[1].greetings};
        struct channel_status before[2] = {status(p, 0), status(p, 1)};
        p->line[0].dead = p->line[1].dead = true; /* what the attacker hears in answer, it keeps to itself */
        for (unsigned i = 0; i < recorded; i++)
            for (int towards = 0; towards < 2; towards++) {
                pair_inject(p, towards, tape[i].bytes, tape[i].n);
                pair_run(p, 20);
            }
        assert_false(p->wrong);
        for (int i = 0; i < 2; i++) {
            struct channel_status s = status(p, i);
            uint64_t counted = s.forged - before[i].forged + s.replayed - before[i].replayed + s.repeated - before[i].repeated +
                               s.echoes - before[i].echoes;
            print_message("# round %d: of %u frames end %d counted %d\n", round, 2 * recorded, i, (int)counted);
            assert_int_equal(p->owner[i].greetings, greetings[i]);
            assert_int_equal(s.epoch, before[i].epoch);
            /* All but one HELLO a tape, which may be true until it proves nothing. */
            assert_true(counted + 2 * 2 >= recorded);
        }
        p->line[0].dead = p->line[1].dead = false;
        pair_send(p, 0, CLASS_NORMAL, 20);
        pair_send(p, 1, CLASS_NORMAL, 20);
        assert_true(pair_drain(p, 200000));
        for (int i = 0; i < 2; i++) /* what lived goes on */
            assert_int_equal(status(p, i).epoch, before[i].epoch);
    }
    assert_int_equal(nonces_reused(), 0);
    pair_free(p);
}

static void a_played_back_hello_makes_a_metered_end_talk_ever_less(void **state)
{
    struct pair *p = attacked(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .metered = true, .seed = 221});
    pair_up(p, 2);
    struct kept hellos[20];
    unsigned n = 0;
    while (n < 20) { /* one a session */
        unsigned from = tape_n;
        pair_send(p, 0, CLASS_NORMAL, 20);
        assert_true(pair_drain(p, 60000));
        for (unsigned i = from; i < tape_n && n < 20; i++)
            if (tape[i % KEPT_MAX].from == 0 && tape[i % KEPT_MAX].n > 40) {
                hellos[n++] = tape[i % KEPT_MAX];
                break;
            }
        pair_kill(p, 0);
        pair_kill(p, 1);
    }
    pair_run(p, 10000);
    p->owner[1].bytes_out = 0;
    for (int i = 0; i < 2000; i++) {
        pair_inject(p, 1, hellos[i % 20].bytes, hellos[i % 20].n);
        pair_run(p, 3600000 / 2000);
    }
    print_message("# %d bytes in an hour of 2000 old HELLOs\n", (int)p->owner[1].bytes_out);
    assert_true(p->owner[1].bytes_out < 1500);
    assert_int_equal(nonces_reused(), 0);
    pair_free(p);
}

/* Each is answered, as it might be true; the numbers of what answers run out, and a new part is drawn. */
static void a_flood_of_old_hellos_leaves_the_living_epoch_alone(void **state)
{
    struct pair *p = attacked(&(struct pair_options){.rate = 100000, .delay_ms = 20, .seed = 223});
    struct kept hellos[8];
    unsigned n = 0;
    while (n < 8) {
        unsigned from = tape_n;
        pair_up(p, 2);
        pair_send(p, 0, CLASS_NORMAL, 20);
        assert_true(pair_drain(p, 60000));
        for (unsigned i = from; i < tape_n; i++)
            if (tape[i % KEPT_MAX].from == 0 && tape[i % KEPT_MAX].n > 40) {
                hellos[n++] = tape[i % KEPT_MAX];
                break;
            }
        pair_kill(p, 0);
        pair_kill(p, 1);
    }
    pair_send(p, 0, CLASS_NORMAL, 20);
    assert_true(pair_drain(p, 60000));
    pair_run(p, 10000);
    unsigned greeteds = p->owner[1].greeteds;
    uint32_t epoch = status(p, 1).epoch;
    for (int i = 0; i < 3000; i++) {
        pair_inject(p, 1, hellos[i % 8].bytes, hellos[i % 8].n);
        pair_run(p, 20);
        if (i % 100 == 0)
            pair_send(p, i / 100 % 2, CLASS_NORMAL, 20);
    }
    assert_true(pair_drain(p, 60000));
    assert_int_equal(p->owner[1].greeteds, greeteds);
    assert_int_equal(status(p, 1).epoch, epoch);
    print_message("# %d of 3000 counted as replayed\n", (int)status(p, 1).replayed);
    assert_true(status(p, 1).replayed > 2900);
    assert_int_equal(nonces_reused(), 0);
    pair_free(p);
}

static void numbers_that_run_out_begin_a_new_epoch(void **state)
{
    struct pair *p = attacked(&(struct pair_options){.rate = LINE_9600, .delay_ms = 20, .seed = 222});
    for (int i = 0; i < 2; i++) {
        p->owner[i].config.number_limit = 40;
        pair_kill(p, i);
        pair_down(p, i);
    }
    pair_up(p, 2);
    for (int i = 0; i < 600; i++) {
        pair_send(p, i % 2, CLASS_NORMAL, 100);
        pair_run(p, 400);
    }
    assert_true(pair_drain(p, 60000));
    print_message("# %u epochs for %d frames\n", p->owner[0].greeteds, (int)status(p, 0).frames_out);
    assert_true(p->owner[0].greeteds >= 300 / 40 && p->owner[0].greeteds < 30);
    assert_int_equal(nonces_reused(), 0);
    pair_free(p);
}

int main(int argc, char **argv)
{
    pair_arguments(argc, argv);
    tape = calloc(KEPT_MAX, sizeof *tape);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_changes_holds_back_and_makes_frames_gains_nothing_but_delay),
        cmocka_unit_test(nor_on_a_half_duplex_line_a_metered_one_or_with_forward_secrecy),
        cmocka_unit_test(a_session_that_is_played_back_does_nothing_and_is_counted),
        cmocka_unit_test(a_played_back_hello_makes_a_metered_end_talk_ever_less),
        cmocka_unit_test(a_flood_of_old_hellos_leaves_the_living_epoch_alone),
        cmocka_unit_test(numbers_that_run_out_begin_a_new_epoch),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(tape);
    return failed;
}
