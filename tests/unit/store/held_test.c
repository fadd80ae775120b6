#include "tests/unit/store/fixture.h"

#include <string.h>

static int hold(struct fixture *f, const char *topic, size_t size, bool latest, int64_t due,
                bool *replaced)
{
    struct msg *msg = fixture_msg(topic, CLASS_HIGH, size);
    struct outbox_put put = {.peer = f->peer,
                             .msg = msg,
                             .route = "r",
                             .latest = latest,
                             .queued_age_ms = 5,
                             .expire_age_ms = 9000};
    int rc = store_held_put(f->s, &put, due, replaced);

    msg_free(msg);
    return rc;
}

static void held_message_goes_to_the_outbox_when_it_is_due(void **state)
{
    struct fixture *f = *state;
    struct store_queue queue;
    enum msg_class class;
    uint64_t number;
    int64_t due;
    bool replaced;
    int peer;

    assert_int_equal(store_held_release(f->s, 100, &peer, &class, &number, &due), STORE_NONE);
    assert_true(due == INT64_MAX);
    assert_ok(hold(f, "a", 10, false, 300, &replaced));
    assert_ok(hold(f, "b", 10, false, 200, &replaced));
    assert_false(replaced);
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.held_messages, 2);
    assert_int_equal(queue.held_bytes, 22);
    assert_int_equal(queue.messages, 0);
    assert_int_equal(store_held_release(f->s, 199, &peer, &class, &number, &due), STORE_NONE);
    assert_int_equal(due, 200);
    assert_ok(store_held_release(f->s, 400, &peer, &class, &number, &due));
    assert_int_equal(peer, f->peer);
    assert_int_equal(class, CLASS_HIGH);
    assert_int_equal(number, 1);
    assert_ok(store_held_release(f->s, 400, &peer, &class, &number, &due));
    assert_int_equal(store_held_release(f->s, 400, &peer, &class, &number, &due), STORE_NONE);
    assert_string_equal(fixture_outbox(f, CLASS_HIGH), "1:b 2:a");
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.held_messages, 0);
    assert_int_equal(queue.held_bytes, 0);
    assert_int_equal(queue.messages, 2);
    assert_int_equal(queue.bytes, 22);
    assert_int_equal(queue.oldest_age_ms, 5);
    assert_ok(store_outbox_next_expiry(f->s, &due));
    assert_int_equal(due, 9000);
}

static void newer_one_of_the_topic_takes_the_place_of_the_held(void **state)
{
    struct fixture *f = *state;
    struct store_queue queue;
    struct outbox_row row;
    int64_t due;
    bool replaced;

    assert_ok(hold(f, "a", 10, false, 100, &replaced));
    assert_false(replaced);
    assert_ok(hold(f, "a", 30, false, 100, &replaced));
    assert_true(replaced);
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.held_messages, 1);
    assert_int_equal(queue.held_bytes, 31);
    assert_ok(store_held_due(f->s, 100, &row, &due));
    assert_int_equal(row.payload_len, 30);
    assert_string_equal(row.route, "r");
    assert_int_equal(row.peer, f->peer);
    assert_int_equal(row.class, CLASS_HIGH);
    assert_int_equal(row.expire_age_ms, 9000);
    msg_free(row.msg);
    assert_int_equal(store_held_due(f->s, 99, &row, &due), STORE_NONE);
    assert_int_equal(due, 100);
}

static void released_message_is_found_as_latest(void **state)
{
    struct fixture *f = *state;
    enum msg_class class;
    uint64_t number;
    int64_t due;
    bool replaced;
    int peer;

    assert_ok(hold(f, "a", 10, true, 100, &replaced));
    assert_int_equal(store_outbox_latest(f->s, f->peer, "r", "a", &class, &number), STORE_NONE);
    assert_ok(store_held_release(f->s, 100, &peer, &class, &number, &due));
    number = 0;
    assert_ok(store_outbox_latest(f->s, f->peer, "r", "a", &class, &number));
    assert_int_equal(number, 1);
}

static void rollback_keeps_what_was_held(void **state)
{
    struct fixture *f = *state;
    struct store_queue queue;
    enum msg_class class;
    uint64_t number;
    int64_t due;
    bool replaced;
    int peer;

    assert_ok(hold(f, "a", 10, false, 100, &replaced));
    fixture_commit(f);
    assert_ok(store_held_release(f->s, 100, &peer, &class, &number, &due));
    store_rollback(f->s);
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.held_messages, 1);
    assert_int_equal(queue.messages, 0);
    assert_ok(store_held_release(f->s, 100, &peer, &class, &number, &due));
    assert_int_equal(number, 1);
}

static void interval_is_remembered_by_route_and_topic(void **state)
{
    struct fixture *f = *state;
    int64_t next;

    assert_ok(store_interval_get(f->s, f->peer, "r", "t", &next));
    assert_int_equal(next, 0);
    assert_ok(store_interval_set(f->s, f->peer, "r", "t", 500));
    assert_ok(store_interval_set(f->s, f->peer, "r", "t", 700));
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_interval_get(f->s, f->peer, "r", "t", &next));
    assert_int_equal(next, 700);
    assert_ok(store_interval_get(f->s, f->peer, "q", "t", &next));
    assert_int_equal(next, 0);
}

static void intervals_beyond_the_bound_push_out_the_ones_that_end_first(void **state)
{
    struct fixture *f = *state;
    char topic[32];
    int64_t next;

    for (int i = 0; i <= STORE_ROUTE_TOPICS_MAX; i++) {
        snprintf(topic, sizeof(topic), "t%d", i);
        assert_ok(store_interval_set(f->s, f->peer, "r", topic, 1000 + (i * 7919) % 65537));
    }
    fixture_commit(f);
    assert_ok(store_interval_get(f->s, f->peer, "r", "t0", &next)); /* the smallest of all */
    assert_int_equal(next, 0);
    assert_ok(store_interval_get(f->s, f->peer, "r", "t1", &next));
    assert_int_equal(next, 1000 + 7919);
}

static void retained_message_is_the_same_only_with_the_same_hash(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(store_retained_same(f->s, f->peer, "r", "t", 1), STORE_NONE);
    assert_ok(store_retained_set(f->s, f->peer, "r", "t", 0xffffffffffffffffull));
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_retained_same(f->s, f->peer, "r", "t", 0xffffffffffffffffull));
    assert_int_equal(store_retained_same(f->s, f->peer, "r", "t", 1), STORE_NONE);
    assert_int_equal(store_retained_same(f->s, f->peer, "r", "u", 0xffffffffffffffffull),
                     STORE_NONE);
    assert_ok(store_retained_set(f->s, f->peer, "r", "t", 2));
    assert_ok(store_retained_same(f->s, f->peer, "r", "t", 2));
}

static void retained_beyond_the_bound_push_out_the_least_recent(void **state)
{
    struct fixture *f = *state;
    char topic[32];

    for (int i = 0; i < STORE_ROUTE_TOPICS_MAX; i++) {
        snprintf(topic, sizeof(topic), "t%d", i);
        assert_ok(store_retained_set(f->s, f->peer, "r", topic, 1));
    }
    assert_ok(store_retained_set(f->s, f->peer, "r", "t0", 1)); /* recent again */
    assert_ok(store_retained_set(f->s, f->peer, "r", "new", 1));
    fixture_commit(f);
    assert_ok(store_retained_same(f->s, f->peer, "r", "t0", 1));
    assert_ok(store_retained_same(f->s, f->peer, "r", "new", 1));
    assert_int_equal(store_retained_same(f->s, f->peer, "r", "t1", 1), STORE_NONE);
    assert_ok(store_retained_same(f->s, f->peer, "r", "t2", 1));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(held_message_goes_to_the_outbox_when_it_is_due),
        CASE(newer_one_of_the_topic_takes_the_place_of_the_held),
        CASE(released_message_is_found_as_latest),
        CASE(rollback_keeps_what_was_held),
        CASE(interval_is_remembered_by_route_and_topic),
        CASE(intervals_beyond_the_bound_push_out_the_ones_that_end_first),
        CASE(retained_message_is_the_same_only_with_the_same_hash),
        CASE(retained_beyond_the_bound_push_out_the_least_recent),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
