#include "tests/unit/store/fixture.h"

#include <string.h>

static void discarded_message_leaves_a_gap_at_its_number(void **state)
{
    struct fixture *f = *state;
    struct store_queue queue;
    struct outbox_row row;

    fixture_put(f, "a", CLASS_NORMAL);
    fixture_put(f, "b", CLASS_NORMAL);
    fixture_put(f, "c", CLASS_NORMAL);
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 2, GAP_EXPIRED, 0));
    assert_int_equal(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 2, GAP_EXPIRED, 0),
                     STORE_NONE);
    assert_int_equal(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 9, GAP_EXPIRED, 0),
                     STORE_NONE);
    fixture_commit(f);
    fixture_reopen(f);
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "1:a 2-2x1:expired 3:c");
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.messages, 2);
    assert_int_equal(queue.bytes, 42);
    assert_ok(store_outbox_next(f->s, f->peer, CLASS_NORMAL, 1, 100, &row));
    assert_true(row.gap);
    assert_null(row.msg);
    assert_string_equal(row.route, "r");
    assert_int_equal(row.from_ms, 1700000000000);
    assert_int_equal(row.to_ms, 1700000000000);
}

static void gaps_of_a_kind_are_merged_at_the_highest_number(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 6; i++)
        fixture_put(f, "t", CLASS_NORMAL);
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 1, GAP_OVERFLOW, 0));
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 2, GAP_OVERFLOW, 0));
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "1-2x2:overflow 3:t 4:t 5:t 6:t");
    /* over a message that stays */
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 5, GAP_OVERFLOW, 0));
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "3:t 4:t 1-5x3:overflow 6:t");
    /* a lower number joins a higher gap */
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 4, GAP_OVERFLOW, 0));
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "3:t 1-5x4:overflow 6:t");
}

static void gaps_of_another_reason_route_or_class_stay_apart(void **state)
{
    struct fixture *f = *state;

    fixture_put(f, "t", CLASS_NORMAL);
    fixture_put(f, "t", CLASS_NORMAL);
    fixture_put(f, "t", CLASS_BULK);
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 1, GAP_OVERFLOW, 0));
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 2, GAP_EXPIRED, 0));
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_BULK, 3, GAP_OVERFLOW, 0));
    assert_ok(store_outbox_gap(f->s, f->peer, CLASS_NORMAL, "other", GAP_OVERFLOW, 0, 0));
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL),
                        "1-1x1:overflow 2-2x1:expired 4-4x1:overflow");
    assert_string_equal(fixture_outbox(f, CLASS_BULK), "3-3x1:overflow");
}

static void gap_that_may_have_left_stays_as_it_was(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 5; i++)
        fixture_put(f, "t", CLASS_NORMAL);
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 2, GAP_OVERFLOW, 0));
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 4, GAP_OVERFLOW, 2));
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL),
                        "1:t 2-2x1:overflow 3:t 4-4x1:overflow 5:t");
    assert_ok(store_outbox_gap(f->s, f->peer, CLASS_NORMAL, "r", GAP_OVERFLOW, 5, 3));
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL),
                        "1:t 2-2x1:overflow 3:t 5:t 4-6x2:overflow");
    /* One whose fate was learned stands in its place. */
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 3, GAP_OVERFLOW, 3));
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL),
                        "1:t 2-2x1:overflow 3-3x1:overflow 5:t 4-6x2:overflow");
}

static void gap_without_a_message_takes_a_number_and_grows(void **state)
{
    struct fixture *f = *state;
    struct outbox_row row;

    for (int i = 0; i < 1000; i++)
        assert_ok(store_outbox_gap(f->s, f->peer, CLASS_HIGH, "r", GAP_OVERSIZE,
                                   i == 0 ? 0 : 5000 - i, 0));
    assert_string_equal(fixture_outbox(f, CLASS_HIGH), "1-1000x1000:oversize");
    assert_ok(store_outbox_next(f->s, f->peer, CLASS_HIGH, 0, 0, &row));
    assert_int_equal(row.from_ms, 4001);
    assert_int_equal(row.to_ms, 4999);
    assert_int_equal(fixture_put(f, "t", CLASS_HIGH), 1001);
}

static void settled_gap_is_gone(void **state)
{
    struct fixture *f = *state;
    uint64_t settled;

    for (int i = 0; i < 4; i++)
        fixture_put(f, "t", CLASS_NORMAL);
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 1, GAP_LOST, 0));
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 3, GAP_REFUSED, 0));
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 1, true));
    assert_int_equal(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 1, true), STORE_NONE);
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "2:t 3-3x1:refused 4:t");
    assert_int_equal(store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, 3, false, 10, &settled),
                     0);
    assert_int_equal(settled, 1);
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "4:t");
    fixture_commit(f);
    fixture_reopen(f);
    assert_int_equal(store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, 9, false, 10, &settled),
                     0);
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "");
}

static void rollback_takes_gaps_back(void **state)
{
    struct fixture *f = *state;

    fixture_put(f, "t", CLASS_NORMAL);
    fixture_commit(f);
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 1, GAP_EXPIRED, 0));
    store_rollback(f->s);
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "1:t");
}

static void every_reason_has_a_name_of_its_own(void **state)
{
    for (int a = GAP_EXPIRED; a <= GAP_REFUSED; a++) {
        assert_string_not_equal(gap_reason_name(a), "unknown");
        for (int b = GAP_EXPIRED; b < a; b++)
            assert_string_not_equal(gap_reason_name(a), gap_reason_name(b));
    }
    assert_string_equal(gap_reason_name((enum gap_reason)15), "unknown");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(discarded_message_leaves_a_gap_at_its_number),
        CASE(gaps_of_a_kind_are_merged_at_the_highest_number),
        CASE(gaps_of_another_reason_route_or_class_stay_apart),
        CASE(gap_that_may_have_left_stays_as_it_was),
        CASE(gap_without_a_message_takes_a_number_and_grows),
        CASE(settled_gap_is_gone),
        CASE(rollback_takes_gaps_back),
        cmocka_unit_test(every_reason_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
