#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <string.h>
#include "store/history.h"

static void message_comes_back_as_it_was_put(void **state)
{
    struct fixture *f = *state;
    static const uint8_t props[] = {0x01, 0x01}, payload[] = {0, 1, 2, 0, 255};
    struct msg *msg =
        msg_new("a/b/\xc3\xa9", 6, payload, sizeof(payload), props, sizeof(props), "s1,s2");
    struct outbox_put put = {.peer = f->peer,
                             .msg = msg,
                             .route = "telemetry",
                             .queued_age_ms = 77,
                             .expire_age_ms = 99};
    struct outbox_row row;
    uint64_t number;

    msg->class = CLASS_HIGH;
    msg->qos = 2;
    msg->retain = true;
    msg->origin_ms = -5;
    assert_ok(store_outbox_put(f->s, &put, &number));
    assert_int_equal(number, 1);
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_outbox_next(f->s, f->peer, CLASS_HIGH, 0, 1024, &row));
    assert_int_equal(row.number, 1);
    assert_false(row.gap);
    assert_string_equal(row.route, "telemetry");
    assert_int_equal(row.queued_age_ms, 77);
    assert_int_equal(row.expire_age_ms, 99);
    assert_string_equal(row.msg->topic, msg->topic);
    assert_string_equal(row.msg->hops, "s1,s2");
    assert_int_equal(row.msg->props_len, sizeof(props));
    assert_memory_equal(row.msg->props, props, sizeof(props));
    assert_int_equal(row.msg->payload_len, sizeof(payload));
    assert_int_equal(row.payload_len, sizeof(payload));
    assert_memory_equal(row.msg->payload, payload, sizeof(payload));
    assert_int_equal(row.msg->class, CLASS_HIGH);
    assert_int_equal(row.msg->qos, 2);
    assert_true(row.msg->retain);
    assert_int_equal(row.msg->origin_ms, -5);
    msg_free(row.msg);
    msg_free(msg);
}

static void numbers_come_from_one_counter_and_classes_are_walked_apart(void **state)
{
    struct fixture *f = *state;

    fixture_put(f, "n1", CLASS_NORMAL);
    fixture_put(f, "a1", CLASS_ALARM);
    fixture_put(f, "n2", CLASS_NORMAL);
    fixture_put(f, "b1", CLASS_BULK);
    assert_string_equal(fixture_outbox(f, CLASS_ALARM), "2:a1");
    assert_string_equal(fixture_outbox(f, CLASS_HIGH), "");
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "1:n1 3:n2");
    assert_string_equal(fixture_outbox(f, CLASS_BULK), "4:b1");
}

static void peers_do_not_see_each_other(void **state)
{
    struct fixture *f = *state;
    int hub = f->peer, other;

    assert_ok(store_peer_id(f->s, "other", &other));
    assert_int_not_equal(hub, other);
    fixture_put(f, "x", CLASS_BULK);
    f->peer = other;
    assert_int_equal(fixture_put(f, "y", CLASS_ALARM), 1);
    assert_string_equal(fixture_outbox(f, CLASS_BULK), "");
    f->peer = hub;
    assert_string_equal(fixture_outbox(f, CLASS_ALARM), "");
    assert_string_equal(fixture_outbox(f, CLASS_BULK), "1:x");
}

static void what_is_not_committed_is_gone_and_its_numbers_too(void **state)
{
    struct fixture *f = *state;
    struct store_queue queue;

    fixture_put(f, "kept", CLASS_NORMAL);
    fixture_commit(f);
    fixture_put(f, "lost", CLASS_NORMAL);
    assert_true(store_dirty(f->s));
    store_rollback(f->s);
    assert_false(store_dirty(f->s));
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.messages, 1);
    assert_int_equal(queue.next_number, 2);
    fixture_put(f, "lost", CLASS_NORMAL);
    fixture_reopen(f);
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "1:kept");
    assert_int_equal(fixture_put(f, "next", CLASS_NORMAL), 2);
}

static void sums_follow_the_rows(void **state)
{
    struct fixture *f = *state;
    struct store_queue queue;
    uint64_t settled;

    for (int i = 0; i < 10; i++) {
        f->now.mono_ms += 1000;
        fixture_put(f, "ab", i % 2 ? CLASS_NORMAL : CLASS_HIGH);
    }
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.messages, 10);
    assert_int_equal(queue.bytes, 10 * 22);
    assert_int_equal(queue.class_messages[CLASS_NORMAL], 5);
    assert_int_equal(queue.class_bytes[CLASS_HIGH], 5 * 22);
    assert_int_equal(queue.oldest_age_ms, 1000);
    assert_ok(store_outbox_settle_to(f->s, f->peer, CLASS_HIGH, 9, false, 100, &settled));
    assert_int_equal(settled, 5);
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 2, false));
    assert_int_equal(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 2, false), STORE_NONE);
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.messages, 4);
    assert_int_equal(queue.bytes, 4 * 22);
    assert_int_equal(queue.class_messages[CLASS_HIGH], 0);
    assert_int_equal(queue.oldest_age_ms, 4000);
    assert_int_equal(queue.class_gaps[CLASS_NORMAL], 0);
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 4, GAP_EXPIRED, 4)); /* a record stands in its place */
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.class_messages[CLASS_NORMAL], 3);
    assert_int_equal(queue.class_gaps[CLASS_NORMAL], 1);
}

static void oldest_is_that_of_the_first_row_whatever_goes_before_it(void **state)
{
    struct fixture *f = *state;
    struct store_queue queue;

    for (int i = 1; i <= 5; i++) {
        f->now.mono_ms += 1000;
        fixture_put(f, "t", CLASS_NORMAL);
        assert_ok(store_peer_queue(f->s, f->peer, &queue));
        assert_int_equal(queue.oldest_age_ms, 1000);
    }
    fixture_commit(f);
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 2, false));
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.oldest_age_ms, 1000);
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 1, GAP_EXPIRED, 0));
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.oldest_age_ms, 3000);
    store_rollback(f->s);
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.oldest_age_ms, 1000);
    for (uint64_t n = 1; n <= 5; n++)
        assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, n, false));
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.oldest_age_ms, -1);
    f->now.mono_ms += 1000;
    fixture_put(f, "t", CLASS_NORMAL);
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.oldest_age_ms, 6000);
}

static void settling_up_to_a_number_is_bounded_a_call(void **state)
{
    struct fixture *f = *state;
    struct store_queue queue;
    uint64_t settled;

    for (int i = 0; i < 700; i++)
        fixture_put(f, "t", CLASS_NORMAL);
    assert_int_equal(store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, 650, false, 300, &settled),
                     1);
    assert_int_equal(settled, 300);
    assert_int_equal(store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, 650, false, 300, &settled),
                     1);
    assert_int_equal(settled, 300);
    assert_int_equal(store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, 650, false, 300, &settled),
                     0);
    assert_int_equal(settled, 50);
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.messages, 50);
}

static void highest_number_that_the_peer_has_is_remembered(void **state)
{
    struct fixture *f = *state;
    uint64_t number, settled;

    assert_ok(store_settled_to(f->s, f->peer, CLASS_NORMAL, &number));
    assert_int_equal(number, 0);
    for (int i = 0; i < 5; i++)
        fixture_put(f, "t", CLASS_NORMAL);
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 4, false));
    assert_ok(store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, 2, false, 10, &settled));
    fixture_commit(f);
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 5, false));
    fixture_reopen(f);
    assert_ok(store_settled_to(f->s, f->peer, CLASS_NORMAL, &number));
    assert_int_equal(number, 4);
    assert_ok(store_settled_to(f->s, f->peer, CLASS_HIGH, &number));
    assert_int_equal(number, 0);
}

static void own_expiry_of_a_message_is_told_apart_from_the_routes(void **state)
{
    struct fixture *f = *state;
    struct msg *msg = fixture_msg("t", CLASS_NORMAL, 10);
    struct outbox_put put = {
        .peer = f->peer, .msg = msg, .route = "r", .queued_age_ms = 1000, .expire_age_ms = 4000};
    struct outbox_row row;
    uint64_t number;

    assert_ok(store_outbox_put(f->s, &put, &number)); /* the route's alone */
    msg->expiry_ms = 3000;
    assert_ok(store_outbox_put(f->s, &put, &number));
    assert_ok(store_outbox_next(f->s, f->peer, CLASS_NORMAL, 0, 100, &row));
    assert_true(row.msg->expiry_ms == MSG_NO_EXPIRY);
    msg_free(row.msg);
    assert_ok(store_outbox_next(f->s, f->peer, CLASS_NORMAL, 1, 100, &row));
    assert_int_equal(row.msg->expiry_ms, 3000);
    msg_free(row.msg);
    msg_free(msg);
}

static void large_payload_is_left_out_and_read_by_piece(void **state)
{
    struct fixture *f = *state;
    struct msg *msg = fixture_msg("big", CLASS_BULK, 300000);
    struct outbox_put put = {
        .peer = f->peer, .msg = msg, .route = "r", .expire_age_ms = MSG_NO_EXPIRY};
    struct outbox_row row;
    uint8_t piece[1000];
    uint64_t number;

    assert_ok(store_outbox_put(f->s, &put, &number));
    fixture_commit(f);
    assert_ok(store_outbox_next(f->s, f->peer, CLASS_BULK, 0, 4096, &row));
    assert_null(row.msg->payload);
    assert_int_equal(row.msg->payload_len, 0);
    assert_int_equal(row.payload_len, 300000);
    assert_string_equal(row.msg->topic, "big");
    msg_free(row.msg);
    for (uint32_t at = 0; at < 300000; at += sizeof(piece)) {
        assert_ok(store_outbox_read(f->s, f->peer, CLASS_BULK, number, at, piece, sizeof(piece)));
        assert_memory_equal(piece, msg->payload + at, sizeof(piece));
        if (at % 50000 == 0) { /* commits and other writes between the pieces */
            fixture_put(f, "other", CLASS_ALARM);
            fixture_commit(f);
        }
    }
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_BULK, number, false));
    assert_int_equal(store_outbox_read(f->s, f->peer, CLASS_BULK, number, 0, piece, 10),
                     STORE_NONE);
    fixture_commit(f);
    assert_int_equal(store_outbox_read(f->s, f->peer, CLASS_BULK, number, 0, piece, 10),
                     STORE_NONE);
    msg_free(msg);
}

static void latest_finds_the_newest_of_a_topic_until_it_is_gone(void **state)
{
    struct fixture *f = *state;
    enum msg_class class;
    uint64_t number;

    assert_int_equal(store_outbox_latest(f->s, f->peer, "r", "t", &class, &number), STORE_NONE);
    fixture_put_latest(f, "t", CLASS_NORMAL);
    fixture_put_latest(f, "u", CLASS_NORMAL);
    fixture_put_latest(f, "t", CLASS_HIGH);
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_outbox_latest(f->s, f->peer, "r", "t", &class, &number));
    assert_int_equal(number, 3);
    assert_int_equal(class, CLASS_HIGH);
    assert_int_equal(store_outbox_latest(f->s, f->peer, "q", "t", &class, &number), STORE_NONE);
    /* The older one's end does not hide the newer. */
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 1, false));
    assert_ok(store_outbox_latest(f->s, f->peer, "r", "t", &class, &number));
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_HIGH, 3, GAP_REPLACED, 0));
    assert_int_equal(store_outbox_latest(f->s, f->peer, "r", "t", &class, &number), STORE_NONE);
    assert_ok(store_outbox_latest(f->s, f->peer, "r", "u", &class, &number));
}

static void expiry_gives_the_one_expired_for_longest_above_what_may_have_left(void **state)
{
    struct fixture *f = *state;
    uint64_t fixed[CLASS_COUNT] = {0}, number, settled;
    enum msg_class class;
    int64_t next;

    assert_ok(store_outbox_next_expiry(f->s, &next));
    assert_true(next == INT64_MAX);
    fixture_put_expiring(f, "1", CLASS_NORMAL, 5000);
    fixture_put_expiring(f, "2", CLASS_NORMAL, 3000);
    fixture_put_expiring(f, "3", CLASS_BULK, 4000);
    fixture_put(f, "4", CLASS_NORMAL);
    assert_ok(store_outbox_next_expiry(f->s, &next));
    assert_int_equal(next, 3000);
    assert_int_equal(store_outbox_expired(f->s, f->peer, 2999, fixed, &class, &number), STORE_NONE);
    assert_ok(store_outbox_expired(f->s, f->peer, 9000, fixed, &class, &number));
    assert_int_equal(number, 2);
    fixed[CLASS_NORMAL] = 2;
    assert_ok(store_outbox_expired(f->s, f->peer, 9000, fixed, &class, &number));
    assert_int_equal(number, 3);
    assert_int_equal(class, CLASS_BULK);
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_BULK, 3, GAP_EXPIRED, 0));
    assert_int_equal(store_outbox_expired(f->s, f->peer, 9000, fixed, &class, &number), STORE_NONE);
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_outbox_next_expiry(f->s, &next));
    assert_int_equal(next, 3000);
    /* May have left is a reserve of numbers, most of which have not: they expire all the same. */
    assert_ok(store_set_may_have_left(f->s, f->peer, CLASS_NORMAL, 256));
    assert_ok(store_outbox_next_expiry(f->s, &next));
    assert_int_equal(next, 3000);
    fixture_put_expiring(f, "5", CLASS_NORMAL, 7000);
    assert_ok(store_outbox_expired(f->s, f->peer, 9000, fixed, &class, &number));
    assert_int_equal(number, 5);
    assert_ok(store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, 2, false, 10, &settled));
    assert_ok(store_outbox_next_expiry(f->s, &next));
    assert_int_equal(next, 7000);
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 5, false));
    assert_ok(store_outbox_next_expiry(f->s, &next));
    assert_true(next == INT64_MAX);
}

static void oldest_passes_over_gaps_and_what_may_have_left(void **state)
{
    struct fixture *f = *state;
    uint64_t number, bytes;

    assert_int_equal(store_outbox_oldest(f->s, f->peer, CLASS_BULK, 0, &number, &bytes),
                     STORE_NONE);
    for (int i = 0; i < 4; i++)
        fixture_put(f, "t", CLASS_BULK);
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_BULK, 2, GAP_OVERFLOW, 1));
    assert_ok(store_outbox_oldest(f->s, f->peer, CLASS_BULK, 1, &number, &bytes));
    assert_int_equal(number, 3);
    assert_int_equal(bytes, 21);
}

static void wrong_arguments_are_refused_with_a_sentence_and_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct msg *msg = fixture_msg("t", CLASS_NORMAL, 1);
    struct outbox_put put = {.peer = f->peer,
                             .msg = msg,
                             .route = "a route whose name is far longer than the sixty-three "
                                      "bytes that it may have",
                             .expire_age_ms = MSG_NO_EXPIRY};
    uint64_t number;

    assert_int_equal(store_outbox_put(f->s, &put, &number), -EINVAL);
    put.route = "r";
    put.peer = 17;
    assert_int_equal(store_outbox_put(f->s, &put, &number), -EINVAL);
    assert_non_null(strstr(store_error(f->s), f->path));
    put.peer = f->peer;
    assert_ok(store_outbox_put(f->s, &put, &number));
    assert_int_equal(number, 1);
    msg_free(msg);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(message_comes_back_as_it_was_put),
        CASE(numbers_come_from_one_counter_and_classes_are_walked_apart),
        CASE(peers_do_not_see_each_other),
        CASE(what_is_not_committed_is_gone_and_its_numbers_too),
        CASE(sums_follow_the_rows),
        CASE(oldest_is_that_of_the_first_row_whatever_goes_before_it),
        CASE(settling_up_to_a_number_is_bounded_a_call),
        CASE(highest_number_that_the_peer_has_is_remembered),
        CASE(own_expiry_of_a_message_is_told_apart_from_the_routes),
        CASE(large_payload_is_left_out_and_read_by_piece),
        CASE(latest_finds_the_newest_of_a_topic_until_it_is_gone),
        CASE(expiry_gives_the_one_expired_for_longest_above_what_may_have_left),
        CASE(oldest_passes_over_gaps_and_what_may_have_left),
        CASE(wrong_arguments_are_refused_with_a_sentence_and_change_nothing),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
