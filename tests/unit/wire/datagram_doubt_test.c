/* A receiver whose store is an older copy takes no recording for news: it asks the peer for a word that nobody can have recorded.
 * In each case end 0 sends, end 1 receives, and an attacker has all that was sent on tape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/wire/datagram_pair.h"

#define MINUTE 60000
#define TAPE   40

struct tape {
    unsigned count;
    uint16_t n[TAPE];
    uint8_t bytes[TAPE][MTU];
};

/* Messages one by one, each in a frame that is acknowledged. */
static void say(struct sim *s, struct tape *t, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        sim_make(s, 0, 1);
        unsigned had = s->end[0].frames;
        while (s->end[0].frames == had)
            sim_step(s, s->now_ms + 100);
        assert_true(t->count < TAPE);
        t->n[t->count] = s->end[0].last;
        memcpy(t->bytes[t->count++], s->end[0].last_frame, s->end[0].last);
        assert_true(sim_drain(s, 1000 * MINUTE));
    }
}

static void play(struct sim *s, const struct tape *t)
{
    for (unsigned i = 0; i < t->count; i++)
        channel_on_bytes(s->end[1].channel, t->bytes[i], t->n[i], s->now_ms);
    sim_step(s, s->now_ms + 1); /* models are made */
}

static struct channel_status status_of(const struct sim *s, int side)
{
    struct channel_status st;
    channel_status(s->end[side].channel, &st);
    return st;
}

/* Another copy of the disk takes the place of what an end has; it starts, and knows it. */
static void set_back(struct sim *s, int side, const struct disk *copy)
{
    s->end[side].disk = *copy;
    sim_start(s, side);
    channel_doubt(s->end[side].channel, true);
}

static unsigned taken(const struct sim *s)
{
    unsigned n = 0;
    for (unsigned i = 1; i <= MESSAGES; i++)
        n += s->end[1].live.have[i];
    return n;
}

/* Ends that know one another, what they had said by then, and what was said since. */
struct story {
    struct sim *s;
    struct disk copy[2];
    struct tape before, after;
};

static struct story *begin(uint64_t seed, bool metered)
{
    struct story *y = calloc(1, sizeof *y);
    y->s = sim_new(seed, metered);
    say(y->s, &y->before, 3);
    sim_run(y->s, MINUTE);
    y->copy[0] = y->s->end[0].disk;
    y->copy[1] = y->s->end[1].disk;
    return y;
}

static void end(struct story *y)
{
    sim_free(y->s);
    free(y);
}

static void without_the_knowledge_of_it_recordings_newer_than_the_copy_pass(void **state)
{
    struct story *y = begin(1, false);
    say(y->s, &y->after, 5);
    y->s->end[1].disk = y->copy[1];
    sim_start(y->s, 1);
    play(y->s, &y->after);
    assert_int_equal(taken(y->s), 3 + 5); /* what the other cases defend against */
    end(y);
}

static void recordings_newer_than_the_copy_are_refused_and_counted(void **state)
{
    struct story *y = begin(2, false);
    say(y->s, &y->after, 5);
    set_back(y->s, 1, &y->copy[1]);
    assert_true(status_of(y->s, 1).awaits_echo);
    play(y->s, &y->before);
    play(y->s, &y->after);
    assert_int_equal(taken(y->s), 3);
    assert_int_equal(status_of(y->s, 1).replayed, 3 + 5);
    sim_run(y->s, MINUTE);
    play(y->s, &y->after);
    assert_int_equal(taken(y->s), 3);
    end(y);
}

static void the_honest_peer_answers_for_itself_and_goes_on(void **state)
{
    struct story *y = begin(3, false);
    struct sim *s = y->s;
    say(s, &y->after, 5);
    set_back(s, 1, &y->copy[1]);
    struct tape more = {0};
    say(s, &more, 4);
    assert_false(status_of(s, 1).awaits_echo);
    assert_int_equal(s->end[0].forgotten, 2); /* at first contact, and now: five that were settled are told of as lost */
    for (unsigned i = 9; i <= 12; i++)
        assert_true(s->end[1].live.have[i]);
    assert_int_equal(taken(s), 3 + 4);
    assert_int_equal(s->end[1].copies, 0);
    play(s, &y->after); /* nor afterwards */
    play(s, &more);
    sim_run(s, 10 * MINUTE);
    assert_int_equal(taken(s), 3 + 4);
    assert_int_equal(s->end[1].copies, 0);
    end(y);
}

static void what_is_under_way_when_the_store_is_in_doubt_comes_once_for_one_answer_and_one_announcement(void **state)
{
    struct story *y = begin(4, true);
    struct sim *s = y->s;
    sim_start(s, 1);
    channel_doubt(s->end[1].channel, false); /* it lay long: nothing is lost */
    unsigned out = s->end[0].frames, back = s->end[1].frames;
    sim_run(s, 1000 * MINUTE);
    assert_int_equal(s->end[1].frames, back); /* not a byte of its own accord */
    sim_make(s, 0, 1);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[0].frames - out, 2);
    assert_int_equal(s->end[1].frames - back, 2); /* the demand, and the acknowledgement that comes anyway */
    print_message("# demand and acknowledgement %d bytes, announced frame %d\n", (int)s->end[1].bytes, s->end[0].last);
    assert_int_equal(taken(s), 4);
    assert_int_equal(s->end[1].copies, 0);
    assert_int_equal(s->end[0].forgotten, 1); /* at first contact alone: nothing is told of as lost */
    end(y);
}

static void who_repeats_recordings_draws_an_answer_now_and_then(void **state)
{
    struct story *y = begin(5, true);
    struct sim *s = y->s;
    say(s, &y->after, 2);
    s->loss = 1; /* the peer hears nothing of it */
    set_back(s, 1, &y->copy[1]);
    unsigned back = s->end[1].frames;
    for (unsigned i = 0; i < 600; i++) {
        play(s, &y->after);
        sim_run(s, MINUTE / 10);
    }
    assert_in_range(s->end[1].frames - back, 1, 7); /* an hour; one in ten minutes */
    assert_int_equal(taken(s), 3);
    end(y);
}

static void a_restart_while_it_waits_waits_on_for_the_same_word(void **state)
{
    struct story *y = begin(6, true);
    struct sim *s = y->s;
    set_back(s, 1, &y->copy[1]);
    unsigned back = s->end[1].frames;
    sim_make(s, 0, 1);
    while (s->end[1].frames == back)
        sim_run(s, 100);
    s->end[1].commit_at_ms = s->now_ms;
    sim_run(s, 100);
    for (unsigned i = 0; i < 3; i++) {
        sim_start(s, 1);
        assert_true(status_of(s, 1).awaits_echo);
    }
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_int_equal(s->end[1].frames - back, 2);
    assert_false(status_of(s, 1).awaits_echo);
    sim_start(s, 1);
    assert_false(status_of(s, 1).awaits_echo);
    assert_int_equal(s->end[1].copies, 0);
    end(y);
}

static void an_answer_that_was_recorded_is_none_to_another_copy_of_the_same_moment(void **state)
{
    struct story *y = begin(7, false);
    struct sim *s = y->s;
    set_back(s, 1, &y->copy[1]);
    sim_make(s, 0, 1);
    struct disk waiting = s->end[1].disk;
    bool asked = false;
    for (unsigned frames = s->end[1].frames; !sim_all_acked(s); sim_step(s, s->now_ms + 100)) {
        if (status_of(s, 1).awaits_echo && s->end[1].frames > frames && !asked) {
            sim_step(s, s->now_ms + 1); /* the word is on its disk */
            waiting = s->end[1].disk;
            asked = true;
        }
    }
    assert_true(asked);
    y->after.n[0] = s->end[0].last; /* announces, and echoes */
    memcpy(y->after.bytes[0], s->end[0].last_frame, s->end[0].last);
    y->after.count = 1;
    unsigned greetings = s->end[1].greetings;
    set_back(s, 1, &waiting);
    play(s, &y->after);
    assert_int_equal(taken(s), 3);
    assert_int_equal(s->end[1].greetings, greetings);
    assert_true(status_of(s, 1).awaits_echo);
    end(y);
}

/* The sender was set back, too. It knows that, or the receiver does, or both. */
static void both_set_back(uint64_t seed, bool receiver_is_new, bool sender_knows)
{
    static const struct disk nothing;
    struct story *y = begin(seed, false);
    struct sim *s = y->s;
    for (unsigned i = 0; i < 4; i++) {
        sim_start(s, 0);
        say(s, &y->after, 1); /* epochs of its own, each announced */
    }
    set_back(s, 1, receiver_is_new ? &nothing : &y->copy[1]);
    memcpy(y->copy[0].acked, s->end[0].disk.acked, sizeof y->copy[0].acked); /* what it queued since is another matter */
    memset(s->end[0].settled, 0, sizeof s->end[0].settled);
    s->end[0].disk = y->copy[0];
    sim_start(s, 0);
    if (sender_knows)
        channel_doubt(s->end[0].channel, true);
    struct tape more = {0};
    say(s, &more, 1);
    unsigned greetings = s->end[1].greetings, have = taken(s);
    uint64_t replayed = status_of(s, 1).replayed;
    play(s, &y->after);
    assert_int_equal(s->end[1].greetings, greetings); /* none of these epochs is looked at twice */
    if (!receiver_is_new) /* with its shares it lost what it would read them with */
        assert_int_equal(status_of(s, 1).replayed, replayed + 4);
    assert_int_equal(taken(s), have);
    end(y);
}

static void recordings_are_refused_where_both_ends_were_set_back(void **state)
{
    both_set_back(8, false, true);
    both_set_back(13, false, false);
    both_set_back(14, true, true);
}

static void recordings_of_a_store_that_is_lost_are_refused_where_both_ends_lost_theirs(void **state)
{
    struct story *y = begin(9, false);
    struct sim *s = y->s;
    for (unsigned i = 0; i < 4; i++) {
        sim_start(s, 0);
        say(s, &y->after, 1);
    }
    static const struct disk nothing;
    unsigned made = s->end[0].made;
    s->end[1].disk = nothing;
    s->end[0].disk = nothing;
    memcpy(s->end[0].disk.acked, s->end[0].live.acked, sizeof nothing.acked);
    memset(s->end[0].settled, 0, sizeof s->end[0].settled);
    s->end[0].identity.generation++;
    sim_start(s, 1);
    sim_start(s, 0);
    struct tape more = {0};
    say(s, &more, 1);
    unsigned greetings = s->end[1].greetings;
    play(s, &y->after);
    assert_int_equal(s->end[1].greetings, greetings);
    assert_int_equal(taken(s), 1);
    assert_true(s->end[1].live.have[made + 1]);
    end(y);
}

static void nor_is_an_epoch_taken_that_might_have_been_late(void **state)
{
    struct story *y = begin(12, true);
    struct sim *s = y->s;
    sim_start(s, 0);
    s->loss = 1;
    sim_make(s, 0, 1);
    sim_run(s, MINUTE);
    s->loss = 0;
    sim_start(s, 0);
    sim_make(s, 0, 1); /* in an epoch after that of the one that was lost, which may still come */
    while (!s->end[1].disk.have[5])
        sim_run(s, 1000);
    assert_false(s->end[1].disk.have[4]);
    struct disk copy = s->end[1].disk;
    while (!s->end[1].disk.have[4])
        sim_run(s, 1000);
    y->after.n[0] = s->end[0].last;
    memcpy(y->after.bytes[0], s->end[0].last_frame, s->end[0].last);
    y->after.count = 1;
    set_back(s, 1, &copy);
    play(s, &y->after);
    assert_false(s->end[1].live.have[4]);
    end(y);
}

static void an_old_acknowledgement_settles_nothing_in_a_store_that_was_set_back(void **state)
{
    struct story *y = begin(10, false);
    struct sim *s = y->s;
    sim_make(s, 0, 1);
    unsigned frames = s->end[0].frames;
    while (s->end[0].frames == frames)
        sim_step(s, s->now_ms + 100);
    sim_run(s, 900); /* the link says that it has it, and no answer is here */
    struct disk under_way = s->end[0].disk;
    uint8_t ack[MTU];
    assert_true(sim_drain(s, 1000 * MINUTE));
    uint16_t n = s->end[1].last;
    memcpy(ack, s->end[1].last_frame, n);
    set_back(s, 1, &y->copy[1]);
    set_back(s, 0, &under_way);
    channel_on_bytes(s->end[0].channel, ack, n, s->now_ms);
    assert_false(s->end[0].live.acked[4]);
    assert_true(sim_drain(s, 1000 * MINUTE));
    assert_true(s->end[1].live.have[4]);
    end(y);
}

static void a_link_without_a_key_is_in_no_doubt(void **state)
{
    enum seal_mode seal = sim_seal;
    bool forward = sim_forward;
    sim_seal = SEAL_NONE;
    sim_forward = false;
    struct story *y = begin(11, false);
    set_back(y->s, 1, &y->copy[1]);
    assert_false(status_of(y->s, 1).awaits_echo);
    say(y->s, &y->after, 1);
    assert_int_equal(taken(y->s), 4);
    end(y);
    sim_seal = seal;
    sim_forward = forward;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_knowledge_of_it_recordings_newer_than_the_copy_pass),
        cmocka_unit_test(recordings_newer_than_the_copy_are_refused_and_counted),
        cmocka_unit_test(the_honest_peer_answers_for_itself_and_goes_on),
        cmocka_unit_test(what_is_under_way_when_the_store_is_in_doubt_comes_once_for_one_answer_and_one_announcement),
        cmocka_unit_test(who_repeats_recordings_draws_an_answer_now_and_then),
        cmocka_unit_test(a_restart_while_it_waits_waits_on_for_the_same_word),
        cmocka_unit_test(an_answer_that_was_recorded_is_none_to_another_copy_of_the_same_moment),
        cmocka_unit_test(recordings_are_refused_where_both_ends_were_set_back),
        cmocka_unit_test(recordings_of_a_store_that_is_lost_are_refused_where_both_ends_lost_theirs),
        cmocka_unit_test(nor_is_an_epoch_taken_that_might_have_been_late),
        cmocka_unit_test(an_old_acknowledgement_settles_nothing_in_a_store_that_was_set_back),
        cmocka_unit_test(a_link_without_a_key_is_in_no_doubt),
    };
    sim_arguments(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
