#include "tests/unit/store/fixture.h"

#include <stdlib.h>
#include <string.h>
#include "store/history.h"

#define NORMAL CLASS_NORMAL

static struct store_mark marks[CLASS_COUNT];

static const char *mark_text(struct fixture *f, enum msg_class class)
{
    static char text[256];
    struct store_remote of;
    size_t at;

    assert_true(store_marks(f->s, f->peer, marks, &of) >= 0);
    at = (size_t)snprintf(text, sizeof(text), "%u", (unsigned)marks[class].cumulative);
    for (unsigned i = 0; i < marks[class].early_count && at < sizeof(text) - 16; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, " %u<%u",
                               (unsigned)marks[class].early[i],
                               (unsigned)marks[class].early_previous[i]);
    return text;
}

static enum store_remote_change see(struct fixture *f, uint32_t generation, uint32_t id,
                                    uint32_t predecessor, uint64_t predecessor_end)
{
    struct store_remote remote = {generation, {id, predecessor, predecessor_end}};
    enum store_remote_change change;

    assert_ok(store_remote_seen(f->s, f->peer, &remote, &change));
    fixture_commit(f);
    return change;
}

/* Settles from..to in the normal class, each following the one before. */
static void settle(struct fixture *f, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n <= to; n++)
        assert_ok(store_mark_number(f->s, f->peer, NORMAL, n - 1, n));
    fixture_commit(f);
}

/* ---- numbers ---- */

static void mark_moves_with_numbers_in_sequence(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 0, 1));
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 1, 4)); /* 2 and 3 are of other classes */
    assert_string_equal(mark_text(f, NORMAL), "4");
    assert_string_equal(mark_text(f, CLASS_HIGH), "0");
    assert_int_equal(store_mark_number(f->s, f->peer, NORMAL, 0, 1), STORE_NONE);
    assert_int_equal(store_mark_number(f->s, f->peer, NORMAL, 1, 4), STORE_NONE);
    fixture_commit(f);
    fixture_reopen(f);
    assert_string_equal(mark_text(f, NORMAL), "4");
}

static void early_number_told_again_with_nothing_before_it_closes_the_hole(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 3);
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 6, 7));
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 7, 8));
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 9, 10));
    assert_int_equal(store_mark_number(f->s, f->peer, NORMAL, 4, 8), STORE_NONE);
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 0, 8));
    assert_string_equal(mark_text(f, NORMAL), "8 10<9");
    fixture_commit(f);
    fixture_reopen(f);
    assert_string_equal(mark_text(f, NORMAL), "8 10<9");
}

static void early_numbers_wait_for_what_is_before_them(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 5, 7));
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 2, 5));
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 9, 12));
    assert_string_equal(mark_text(f, NORMAL), "0 5<2 7<5 12<9");
    assert_int_equal(store_mark_number(f->s, f->peer, NORMAL, 5, 7), STORE_NONE);
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 0, 2));
    assert_string_equal(mark_text(f, NORMAL), "7 12<9");
    assert_int_equal(store_mark_number(f->s, f->peer, NORMAL, 2, 5), STORE_NONE);
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 7, 9));
    assert_string_equal(mark_text(f, NORMAL), "12");
}

static void early_numbers_are_bounded(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    for (uint64_t i = 0; i < STORE_EARLY_MAX; i++)
        assert_ok(store_mark_number(f->s, f->peer, NORMAL, 10 + 2 * i - 1, 10 + 2 * i));
    assert_int_equal(store_mark_number(f->s, f->peer, NORMAL, 5000, 5001), STORE_REFUSED);
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 0, 3));
    mark_text(f, NORMAL); /* reads them all */
    assert_int_equal(marks[NORMAL].cumulative, 3);
    assert_int_equal(marks[NORMAL].early_count, STORE_EARLY_MAX);
    assert_int_equal(marks[NORMAL].early[STORE_EARLY_MAX - 1], 10 + 2 * (STORE_EARLY_MAX - 1));
}

static void nonsense_from_the_peer_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(store_mark_number(f->s, f->peer, NORMAL, 0, 0), STORE_REFUSED);
    assert_int_equal(store_mark_number(f->s, f->peer, NORMAL, 5, 5), STORE_REFUSED);
    assert_int_equal(store_mark_number(f->s, f->peer, NORMAL, 6, 5), STORE_REFUSED);
    assert_int_equal(store_mark_number(f->s, f->peer, NORMAL, 0, STORE_NUMBER_MAX + 1),
                     STORE_REFUSED);
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 0, STORE_NUMBER_MAX));
}

static void rollback_takes_marks_back(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 3);
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 3, 4));
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 8, 9));
    store_rollback(f->s);
    assert_string_equal(mark_text(f, NORMAL), "3");
}

/* ---- segments ---- */

static void first_contact_is_new_and_the_same_again_is_same(void **state)
{
    struct fixture *f = *state;
    struct store_remote of;

    assert_int_equal(store_marks(f->s, f->peer, marks, &of), STORE_NONE);
    assert_int_equal(see(f, 1, 10, 0, 0), STORE_REMOTE_NEW);
    assert_int_equal(see(f, 1, 10, 0, 0), STORE_REMOTE_SAME);
    settle(f, 1, 5);
    fixture_reopen(f);
    assert_int_equal(see(f, 1, 10, 0, 0), STORE_REMOTE_SAME);
    assert_ok(store_marks(f->s, f->peer, marks, &of));
    assert_int_equal(of.generation, 1);
    assert_int_equal(of.segment.id, 10);
    assert_int_equal(marks[NORMAL].cumulative, 5);
}

static void restart_of_the_peer_keeps_the_marks(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 5);
    assert_int_equal(see(f, 1, 11, 10, 8), STORE_REMOTE_NEXT); /* 6..8 are still on their way */
    assert_string_equal(mark_text(f, NORMAL), "5");
    settle(f, 6, 8);
    assert_int_equal(see(f, 1, 12, 11, 8), STORE_REMOTE_NEXT);
    assert_string_equal(mark_text(f, NORMAL), "8");
}

static void restored_backup_cuts_back_to_where_it_branches(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 5);
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 6, 7));
    assert_ok(store_mark_number(f->s, f->peer, NORMAL, 8, 9));
    assert_ok(store_mark_number(f->s, f->peer, CLASS_HIGH, 0, 3));
    assert_int_equal(see(f, 1, 11, 10, 7), STORE_REMOTE_FORK);
    assert_string_equal(mark_text(f, NORMAL), "5 7<6");
    assert_string_equal(mark_text(f, CLASS_HIGH), "3");
    assert_int_equal(see(f, 1, 12, 10, 2), STORE_REMOTE_FORK);
    assert_string_equal(mark_text(f, NORMAL), "2");
    assert_string_equal(mark_text(f, CLASS_HIGH), "2");
    settle(f, 3, 4); /* other messages than the first 3 and 4 */
    fixture_reopen(f);
    assert_string_equal(mark_text(f, NORMAL), "4");
}

static void backup_is_a_fork_though_nothing_came_from_above_it(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 5);
    assert_int_equal(see(f, 1, 11, 10, 5), STORE_REMOTE_NEXT);
    assert_int_equal(see(f, 1, 12, 10, 5),
                     STORE_REMOTE_FORK); /* 11 gave nothing, but may have had something of ours */
    assert_string_equal(mark_text(f, NORMAL), "5");
    settle(f, 6, 6);
    assert_int_equal(see(f, 1, 13, 10, 5), STORE_REMOTE_FORK);
    assert_string_equal(mark_text(f, NORMAL), "5");
}

static void clones_that_take_turns_each_find_their_own_marks(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 5);
    assert_int_equal(see(f, 1, 20, 10, 5), STORE_REMOTE_NEXT); /* one card ... */
    settle(f, 6, 9);
    assert_int_equal(see(f, 1, 30, 10, 5), STORE_REMOTE_FORK); /* ... and its clone */
    settle(f, 6, 7);
    assert_int_equal(see(f, 1, 20, 10, 5), STORE_REMOTE_FORK); /* the same process again */
    assert_string_equal(mark_text(f, NORMAL), "9");
    settle(f, 10, 10);
    assert_int_equal(see(f, 1, 31, 30, 8), STORE_REMOTE_FORK); /* the clone after a restart */
    assert_string_equal(mark_text(f, NORMAL), "7");
    assert_int_equal(see(f, 1, 21, 20, 10), STORE_REMOTE_FORK);
    assert_string_equal(mark_text(f, NORMAL), "10");
}

static void what_came_late_under_a_later_segment_counts_for_its_siblings(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 3);
    see(f, 1, 20, 10, 5);
    settle(f, 4, 5); /* given by 10, delivered while 20 runs */
    assert_int_equal(see(f, 1, 30, 10, 5), STORE_REMOTE_FORK);
    assert_string_equal(mark_text(f, NORMAL), "5");
    settle(f, 6, 6);
    assert_int_equal(see(f, 1, 40, 10, 4), STORE_REMOTE_FORK);
    assert_string_equal(mark_text(f, NORMAL), "4");
}

static void clone_that_came_as_far_as_the_first_is_a_fork(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 5);
    assert_int_equal(see(f, 1, 20, 10, 5), STORE_REMOTE_NEXT); /* one card ... */
    settle(f, 6, 9);
    assert_int_equal(see(f, 1, 30, 10, 5), STORE_REMOTE_FORK); /* ... and its clone, which sends as many */
    settle(f, 6, 9);
    assert_int_equal(see(f, 1, 21, 20, 9), STORE_REMOTE_FORK); /* the first again: the same marks, other messages */
    assert_string_equal(mark_text(f, NORMAL), "9");
}

static void unknown_predecessor_continues_where_nothing_contradicts(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 5);
    assert_int_equal(see(f, 1, 30, 20, 9), STORE_REMOTE_NEXT); /* 20 was never here */
    assert_string_equal(mark_text(f, NORMAL), "5");
    assert_int_equal(see(f, 1, 50, 40, 5), STORE_REMOTE_NEXT);
    assert_int_equal(see(f, 1, 70, 60, 4), STORE_REMOTE_FORK);
    assert_string_equal(mark_text(f, NORMAL), "4");
}

static void segment_without_predecessor_shares_nothing(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    assert_int_equal(see(f, 1, 20, 0, 0), STORE_REMOTE_NEXT); /* a restart before any number */
    settle(f, 1, 5);
    assert_int_equal(see(f, 1, 30, 0, 0), STORE_REMOTE_FORK); /* a backup from before any number */
    assert_string_equal(mark_text(f, NORMAL), "0");
}

static void another_generation_begins_anew_and_an_earlier_one_is_found_again(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 5);
    assert_int_equal(see(f, 2, 10, 0, 0),
                     STORE_REMOTE_NEW); /* the store was lost; same segment id by chance */
    assert_string_equal(mark_text(f, NORMAL), "0");
    settle(f, 1, 2);
    assert_int_equal(see(f, 1, 11, 10, 5),
                     STORE_REMOTE_NEW); /* the old store was found and put back */
    assert_string_equal(mark_text(f, NORMAL), "5");
}

static void segments_beyond_the_bound_are_forgotten_and_the_current_stays(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 1000, 0, 0);
    settle(f, 1, 3);
    for (uint32_t i = 1; i < 200; i++)
        assert_int_equal(see(f, 1, 1000 + i, 1000 + i - 1, 3), STORE_REMOTE_NEXT);
    assert_string_equal(mark_text(f, NORMAL), "3");
    assert_int_equal(see(f, 1, 5000, 1199, 2), STORE_REMOTE_FORK);
    assert_string_equal(mark_text(f, NORMAL), "2");
}

static void wild_claims_of_a_peer_do_no_harm(void **state)
{
    struct fixture *f = *state;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 3);
    see(f, 1, 11, 11, UINT64_MAX); /* its own predecessor */
    assert_string_equal(mark_text(f, NORMAL), "3");
    see(f, 1, 12, 13, 3);
    see(f, 1, 13, 12, 3); /* a circle */
    assert_string_equal(mark_text(f, NORMAL), "3");
    see(f, 1, 0, 0, 0); /* no id at all */
    see(f, 1, 0, 0, 7);
}

/* A model without a store: each branch of a random tree remembers what it delivered; a peer must
 * never see a number of its own branch taken for another's (loss), nor one settled twice while the
 * segments are remembered (doubled). */
struct branch {
    uint32_t id, predecessor;
    uint64_t predecessor_end, next;
    uint32_t identity[256]; /* of the message that has this number in this branch */
};

static void random_restarts_and_restores_neither_lose_nor_double(void **state)
{
    struct fixture *f = *state;
    static struct branch branches[60];
    static uint32_t delivered[60 * 256];
    unsigned seed = 20261123, count = 1;
    uint32_t messages = 0, deliveries = 0;
    int current = 0;

    print_message("# seed %u\n", seed);
    memset(branches, 0, sizeof(branches));
    memset(delivered, 0, sizeof(delivered));
    branches[0].id = 1;
    branches[0].next = 1;
    see(f, 1, 1, 0, 0);
    while (count < 60) {
        struct branch *b = &branches[current];
        uint64_t n;

        unsigned dice = (unsigned)rand_r(&seed) % 24;

        switch (dice < 2 ? dice : dice / 10 + 2) {
        case 0: { /* a restart, or a restored backup of any earlier state of any branch */
            struct branch *from =
                &branches[rand_r(&seed) % 2 ? (unsigned)current : rand_r(&seed) % count];
            struct branch *to = &branches[count];

            *to = *from;
            to->id = ++count;
            to->predecessor = from->id;
            if (rand_r(&seed) % 3 == 0 &&
                from->next > from->predecessor_end + 1) /* an older state */
                to->next = from->predecessor_end + 1 +
                           (uint64_t)rand_r(&seed) % (from->next - from->predecessor_end);
            to->predecessor_end = to->next - 1;
            current = (int)count - 1;
            see(f, 1, to->id, to->predecessor, to->predecessor_end);
            break;
        }
        case 1: /* a clone takes its turn */
            current = (int)((unsigned)rand_r(&seed) % count);
            see(f, 1, branches[current].id, branches[current].predecessor,
                branches[current].predecessor_end);
            break;
        case 2: /* a new message */
            if (b->next < 255)
                b->identity[b->next++] = ++messages;
            break;
        default: /* the sender sends again whatever it likes, as after a lost acknowledgement */
            n = 1 + (uint64_t)rand_r(&seed) % b->next;
            if (n < b->next && marks[NORMAL].early_count < 200 &&
                store_mark_number(f->s, f->peer, NORMAL, n - 1, n) == 0) {
                assert_int_equal(delivered[b->identity[n]], 0);
                delivered[b->identity[n]] = 1;
                deliveries++;
            }
            mark_text(f, NORMAL);
            break;
        }
        /* No loss: what the mark covers in the current branch was delivered. */
        mark_text(f, NORMAL);
        b = &branches[current];
        for (n = 1; n <= marks[NORMAL].cumulative; n++)
            assert_int_equal(delivered[b->identity[n]], 1);
        for (unsigned i = 0; i < marks[NORMAL].early_count; i++)
            assert_int_equal(delivered[b->identity[marks[NORMAL].early[i]]], 1);
    }
    assert_true(deliveries > 100);
}

/* ---- what hangs on a branch ---- */

static void fork_drops_what_came_from_the_branch_that_was_left(void **state)
{
    struct fixture *f = *state;
    struct store_topics_state topics;
    struct store_partial partial;
    struct msg *msg = fixture_msg("t", NORMAL, 10);

    see(f, 1, 10, 0, 0);
    settle(f, 1, 5);
    assert_ok(store_topic_set(f->s, f->peer, STORE_IN, 3, "a", 1));
    assert_ok(store_topic_set(f->s, f->peer, STORE_OUT, 3, "a", 1));
    assert_ok(store_partial_begin(f->s, f->peer, NORMAL, 6, 10, "h", 1));
    assert_ok(store_partial_begin(f->s, f->peer, CLASS_BULK, 4, 10, "h", 1));
    assert_ok(store_history_add(f->s, f->peer, STORE_IN, 5, msg));
    msg_free(msg);
    assert_int_equal(see(f, 1, 11, 10, 7), STORE_REMOTE_NEXT);
    assert_ok(store_partial_get(f->s, f->peer, NORMAL, &partial)); /* a restart keeps all of it */
    assert_ok(store_topics_state(f->s, f->peer, STORE_IN, &topics));
    assert_int_equal(topics.sequence, 1);
    assert_int_equal(see(f, 1, 12, 10, 4), STORE_REMOTE_FORK);
    assert_int_equal(store_partial_get(f->s, f->peer, NORMAL, &partial), STORE_NONE);
    assert_ok(store_partial_get(f->s, f->peer, CLASS_BULK, &partial));
    assert_ok(store_topics_state(f->s, f->peer, STORE_IN, &topics));
    assert_int_equal(topics.sequence, 0);
    assert_int_equal(topics.hash, 0);
    assert_ok(store_topics_state(f->s, f->peer, STORE_OUT, &topics));
    assert_int_equal(topics.sequence, 1);
    assert_int_equal(see(f, 2, 1, 0, 0), STORE_REMOTE_NEW);
    assert_int_equal(store_partial_get(f->s, f->peer, CLASS_BULK, &partial), STORE_NONE);
}

static void rollback_forgets_a_meeting(void **state)
{
    struct fixture *f = *state;
    struct store_remote remote = {1, {11, 10, 2}};
    enum store_remote_change change;

    see(f, 1, 10, 0, 0);
    settle(f, 1, 5);
    assert_ok(store_remote_seen(f->s, f->peer, &remote, &change));
    assert_int_equal(change, STORE_REMOTE_FORK);
    store_rollback(f->s);
    assert_string_equal(mark_text(f, NORMAL), "5");
    assert_int_equal(see(f, 1, 10, 0, 0), STORE_REMOTE_SAME);
    assert_int_equal(see(f, 1, 11, 10, 2), STORE_REMOTE_FORK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(mark_moves_with_numbers_in_sequence),
        CASE(early_number_told_again_with_nothing_before_it_closes_the_hole),
        CASE(early_numbers_wait_for_what_is_before_them),
        CASE(early_numbers_are_bounded),
        CASE(nonsense_from_the_peer_is_refused),
        CASE(rollback_takes_marks_back),
        CASE(first_contact_is_new_and_the_same_again_is_same),
        CASE(restart_of_the_peer_keeps_the_marks),
        CASE(restored_backup_cuts_back_to_where_it_branches),
        CASE(backup_is_a_fork_though_nothing_came_from_above_it),
        CASE(clones_that_take_turns_each_find_their_own_marks),
        CASE(what_came_late_under_a_later_segment_counts_for_its_siblings),
        CASE(clone_that_came_as_far_as_the_first_is_a_fork),
        CASE(unknown_predecessor_continues_where_nothing_contradicts),
        CASE(segment_without_predecessor_shares_nothing),
        CASE(another_generation_begins_anew_and_an_earlier_one_is_found_again),
        CASE(segments_beyond_the_bound_are_forgotten_and_the_current_stays),
        CASE(wild_claims_of_a_peer_do_no_harm),
        CASE(random_restarts_and_restores_neither_lose_nor_double),
        CASE(fork_drops_what_came_from_the_branch_that_was_left),
        CASE(rollback_forgets_a_meeting),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
