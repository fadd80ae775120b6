#include "tests/unit/store/fixture.h"

#include <string.h>

static void ids_are_stable_and_names_bounded(void **state)
{
    struct fixture *f = *state;
    char name[80];
    int a, b, again;

    assert_ok(store_peer_id(f->s, "a", &a));
    assert_ok(store_peer_id(f->s, "b", &b));
    assert_int_not_equal(a, b);
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_peer_id(f->s, "b", &again));
    assert_int_equal(again, b);
    assert_false(store_dirty(f->s));
    memset(name, 'n', sizeof(name));
    name[64] = '\0';
    assert_int_equal(store_peer_id(f->s, name, &a), STORE_REFUSED);
    assert_int_equal(store_peer_id(f->s, "", &a), STORE_REFUSED);
    name[63] = '\0';
    assert_ok(store_peer_id(f->s, name, &a));
}

static void peers_beyond_the_bound_are_refused(void **state)
{
    struct fixture *f = *state;
    char name[32];
    int peer;

    for (int i = 1; i < STORE_PEERS_MAX; i++) { /* "hub" is there */
        snprintf(name, sizeof(name), "p%d", i);
        assert_ok(store_peer_id(f->s, name, &peer));
    }
    assert_int_equal(peer, STORE_PEERS_MAX);
    assert_int_equal(store_peer_id(f->s, "one too many", &peer), STORE_REFUSED);
    f->peer = STORE_PEERS_MAX; /* its keys are right as well */
    fixture_put(f, "last", CLASS_BULK);
    fixture_commit(f);
    fixture_reopen(f);
    f->peer = STORE_PEERS_MAX;
    assert_string_equal(fixture_outbox(f, CLASS_BULK), "1:last");
}

static void new_peer_is_gone_with_a_rollback(void **state)
{
    struct fixture *f = *state;
    struct store_queue queue;
    int peer;

    assert_ok(store_peer_id(f->s, "new", &peer));
    store_rollback(f->s);
    assert_true(store_peer_queue(f->s, peer, &queue) < 0);
    assert_ok(store_peer_id(f->s, "new", &peer));
    assert_int_equal(peer, 2);
}

static void assert_segment(struct fixture *f, uint32_t predecessor, uint64_t end)
{
    struct store_segment segment;

    assert_ok(store_segment_of(f->s, f->peer, &segment));
    assert_int_equal(segment.id, f->opened.segment);
    assert_int_equal(segment.predecessor, predecessor);
    assert_int_equal(segment.predecessor_end, end);
}

static void segment_names_the_last_one_of_which_a_number_may_have_left(void **state)
{
    struct fixture *f = *state;
    uint32_t first = f->opened.segment, third;

    assert_segment(f, 0, 0);
    fixture_put(f, "t", CLASS_NORMAL);
    fixture_put(f, "t", CLASS_NORMAL);
    assert_segment(f, 0, 0); /* fixed while the process runs */
    assert_ok(store_set_may_have_left(f->s, f->peer, CLASS_NORMAL, 1));
    fixture_commit(f);
    fixture_reopen(f);
    assert_segment(f, first, 2);
    fixture_reopen(f); /* nothing was numbered in between */
    assert_segment(f, first, 2);
    fixture_put(f, "t", CLASS_NORMAL);
    fixture_commit(f);
    fixture_reopen(f); /* number 3 was given, but the peer cannot have met the segment with it */
    assert_segment(f, first, 2);
    third = f->opened.segment;
    assert_ok(store_set_may_have_left(f->s, f->peer, CLASS_NORMAL,
                                      3)); /* now it leaves, as one of this segment */
    assert_segment(f, first, 2);
    fixture_commit(f);
    fixture_reopen(f);
    assert_segment(f, third, 3);
}

static void numbers_go_on_across_segments(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fixture_put(f, "t", CLASS_NORMAL), 1);
    fixture_commit(f);
    fixture_reopen(f);
    assert_int_equal(fixture_put(f, "t", CLASS_NORMAL), 2);
}

static void may_have_left_only_rises_and_survives(void **state)
{
    struct fixture *f = *state;
    uint64_t number;

    assert_ok(store_may_have_left(f->s, f->peer, CLASS_HIGH, &number));
    assert_int_equal(number, 0);
    assert_ok(store_set_may_have_left(f->s, f->peer, CLASS_HIGH, 10));
    fixture_commit(f);
    assert_ok(store_set_may_have_left(f->s, f->peer, CLASS_HIGH, 9));
    assert_false(store_dirty(f->s));
    assert_ok(store_set_may_have_left(f->s, f->peer, CLASS_HIGH, 12));
    store_rollback(f->s);
    assert_ok(store_may_have_left(f->s, f->peer, CLASS_HIGH, &number));
    assert_int_equal(number, 10);
    fixture_reopen(f);
    assert_ok(store_may_have_left(f->s, f->peer, CLASS_HIGH, &number));
    assert_int_equal(number, 10);
    assert_ok(store_may_have_left(f->s, f->peer, CLASS_NORMAL, &number));
    assert_int_equal(number, 0);
}

static void note_counter(void *ctx, const char *name, uint64_t value)
{
    char *text = ctx;

    snprintf(text + strlen(text), 256 - strlen(text), "%s=%llu ", name, (unsigned long long)value);
}

static void counters_survive_and_roll_back(void **state)
{
    struct fixture *f = *state;
    char text[256] = "";

    assert_ok(store_count(f->s, f->peer, "delivered", 5));
    assert_ok(store_count(f->s, f->peer, "dropped.expired", 1));
    fixture_commit(f);
    assert_ok(store_count(f->s, f->peer, "delivered", 2));
    fixture_commit(f);
    assert_ok(store_count(f->s, f->peer, "delivered", 100));
    assert_ok(store_count(f->s, f->peer, "new", 100));
    store_rollback(f->s);
    assert_ok(store_counters_each(f->s, f->peer, note_counter, text));
    assert_string_equal(text, "delivered=7 dropped.expired=1 ");
    fixture_reopen(f);
    text[0] = '\0';
    assert_ok(store_counters_each(f->s, f->peer, note_counter, text));
    assert_string_equal(text, "delivered=7 dropped.expired=1 ");
}

static void names_of_counters_are_bounded(void **state)
{
    struct fixture *f = *state;
    char name[64];

    memset(name, 'x', sizeof(name));
    name[48] = '\0';
    assert_int_equal(store_count(f->s, f->peer, name, 1), STORE_REFUSED);
    for (int i = 0; i < STORE_COUNTERS_MAX; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        assert_ok(store_count(f->s, f->peer, name, 1));
    }
    assert_int_equal(store_count(f->s, f->peer, "one more", 1), STORE_REFUSED);
    assert_ok(store_count(f->s, f->peer, "c0", 1));
    fixture_commit(f);
    fixture_reopen(f);
    assert_int_equal(store_count(f->s, f->peer, "one more", 1), STORE_REFUSED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(ids_are_stable_and_names_bounded),
        CASE(peers_beyond_the_bound_are_refused),
        CASE(new_peer_is_gone_with_a_rollback),
        CASE(segment_names_the_last_one_of_which_a_number_may_have_left),
        CASE(numbers_go_on_across_segments),
        CASE(may_have_left_only_rises_and_survives),
        CASE(counters_survive_and_roll_back),
        CASE(names_of_counters_are_bounded),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
