#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <string.h>
#include "store/inbox.h"

static int64_t receive(struct fixture *f, const char *topic, enum msg_class class, uint8_t qos)
{
    struct msg *msg = fixture_msg(topic, class, 10);
    int64_t key;

    msg->qos = qos;
    msg->expiry_ms = qos == 2 ? 4000 : MSG_NO_EXPIRY;
    assert_ok(store_inbox_put(f->s, f->peer, msg, 7, 123, &key));
    msg_free(msg);
    return key;
}

static char inflight[256];

static void note_inflight(void *ctx, int64_t key, enum inbox_state state, uint16_t packet_id,
                          uint8_t qos)
{
    size_t at = strlen(inflight);

    snprintf(inflight + at, sizeof(inflight) - at, "%u/%d/%u ", packet_id, state, qos);
}

static void rows_are_walked_in_order_of_arrival_within_a_class(void **state)
{
    struct fixture *f = *state;
    struct inbox_row row;
    int64_t last = 0;
    int other, count = 0;

    receive(f, "a", CLASS_NORMAL, 1);
    assert_ok(store_peer_id(f->s, "other", &other));
    f->peer = other;
    receive(f, "b", CLASS_NORMAL, 2);
    receive(f, "alarm", CLASS_ALARM, 1);
    fixture_commit(f);
    fixture_reopen(f);
    receive(f, "c", CLASS_NORMAL, 1);
    while (store_inbox_next(f->s, CLASS_NORMAL, last, &row) == 0) {
        assert_true(row.key > last);
        assert_int_equal(row.msg->topic[0], 'a' + count++);
        assert_int_equal(row.number, 7);
        assert_int_equal(row.received_age_ms, 123);
        assert_int_equal(row.state, INBOX_WAITING);
        assert_int_equal(row.packet_id, 0);
        assert_true(row.msg->expiry_ms == (row.msg->qos == 2 ? 4000 : MSG_NO_EXPIRY));
        last = row.key;
        msg_free(row.msg);
    }
    assert_int_equal(count, 3);
    assert_ok(store_inbox_next(f->s, CLASS_ALARM, 0, &row));
    assert_string_equal(row.msg->topic, "alarm");
    assert_int_equal(row.peer, other);
    msg_free(row.msg);
    assert_int_equal(store_inbox_next(f->s, CLASS_BULK, 0, &row), STORE_NONE);
}

static void delivery_is_found_again_after_a_crash(void **state)
{
    struct fixture *f = *state;
    int64_t a = receive(f, "a", CLASS_NORMAL, 2), b = receive(f, "b", CLASS_NORMAL, 1);
    int64_t c = receive(f, "c", CLASS_ALARM, 2);
    struct inbox_row row;

    assert_ok(store_inbox_set(f->s, b, INBOX_PUBLISHED, 9, 0, false));
    assert_ok(store_inbox_set(f->s, a, INBOX_PUBLISHED, 300, 1, true));
    assert_ok(store_inbox_set(f->s, c, INBOX_PUBLISHED, 2, 0, false));
    assert_ok(
        store_inbox_set(f->s, a, INBOX_RELEASED, 300, 1, true)); /* keeps its place in the order */
    fixture_commit(f);
    fixture_reopen(f);
    inflight[0] = '\0';
    assert_ok(store_inbox_inflight(f->s, note_inflight, NULL));
    assert_string_equal(inflight, "9/1/1 300/2/2 2/1/2 ");
    assert_ok(store_inbox_by_packet_id(f->s, 300, &row));
    assert_int_equal(row.key, a);
    assert_int_equal(row.state, INBOX_RELEASED);
    assert_int_equal(row.refusals, 1);
    assert_true(row.again);
    assert_string_equal(row.msg->topic, "a");
    msg_free(row.msg);
    assert_int_equal(store_inbox_by_packet_id(f->s, 10, &row), STORE_NONE);
    /* The session is gone: it waits again, without an id. */
    assert_ok(store_inbox_set(f->s, a, INBOX_WAITING, 0, 1, true));
    assert_int_equal(store_inbox_by_packet_id(f->s, 300, &row), STORE_NONE);
    assert_ok(store_inbox_next(f->s, CLASS_NORMAL, 0, &row));
    assert_int_equal(row.state, INBOX_WAITING);
    assert_int_equal(row.packet_id, 0);
    assert_true(row.again);
    msg_free(row.msg);
}

static void ids_of_many_rows_without_one_do_not_clash(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++)
        assert_ok(
            store_inbox_set(f->s, receive(f, "a", CLASS_NORMAL, 1), INBOX_WAITING, 0, 1, false));
    assert_int_equal(store_inbox_set(f->s, 1, INBOX_WAITING, 0, 1, false), STORE_NONE);
}

static void packet_id_given_twice_is_an_error(void **state)
{
    struct fixture *f = *state;
    int64_t a = receive(f, "a", CLASS_NORMAL, 1), b = receive(f, "b", CLASS_NORMAL, 1);

    fixture_commit(f);
    assert_ok(store_inbox_set(f->s, a, INBOX_PUBLISHED, 5, 0, false));
    assert_int_equal(store_inbox_set(f->s, b, INBOX_PUBLISHED, 5, 0, false), -EINVAL);
}

static void settled_message_is_gone_with_its_packet_id(void **state)
{
    struct fixture *f = *state;
    int64_t a = receive(f, "a", CLASS_NORMAL, 1);
    struct store_queue queue;
    struct inbox_row row;

    assert_ok(store_inbox_set(f->s, a, INBOX_PUBLISHED, 5, 0, false));
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.inbox_messages, 1);
    assert_int_equal(queue.inbox_bytes, 11);
    assert_ok(store_inbox_settle(f->s, a));
    assert_int_equal(store_inbox_settle(f->s, a), STORE_NONE);
    fixture_commit(f);
    fixture_reopen(f);
    assert_int_equal(store_inbox_by_packet_id(f->s, 5, &row), STORE_NONE);
    assert_int_equal(store_inbox_next(f->s, CLASS_NORMAL, 0, &row), STORE_NONE);
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.inbox_messages, 0);
    assert_int_equal(queue.inbox_bytes, 0);
}

struct refused {
    int count;
    uint64_t bytes;
    char first[64], last[64], reason[64];
};

static void note_refused(void *ctx, int peer, uint64_t number, int64_t wall_ms, const char *reason,
                         const char *topic, uint64_t bytes)
{
    struct refused *r = ctx;

    if (r->count++ == 0)
        snprintf(r->first, sizeof(r->first), "%s", topic);
    snprintf(r->last, sizeof(r->last), "%s", topic);
    snprintf(r->reason, sizeof(r->reason), "%s", reason);
    r->bytes += bytes;
}

static void refused_messages_are_kept_with_their_reason(void **state)
{
    struct fixture *f = *state;
    int64_t a = receive(f, "a", CLASS_NORMAL, 1);
    struct store_queue queue;
    struct refused refused = {0};

    assert_ok(store_inbox_set(f->s, a, INBOX_PUBLISHED, 5, 3, false));
    assert_ok(store_inbox_set_aside(f->s, a, "closed 3 times", 1700000000001));
    assert_int_equal(store_inbox_set_aside(f->s, a, "again", 0), STORE_NONE);
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_refused_each(f->s, note_refused, &refused));
    assert_int_equal(refused.count, 1);
    assert_int_equal(refused.bytes, 11);
    assert_string_equal(refused.reason, "closed 3 times");
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.inbox_messages, 0);
}

static void refused_messages_are_bounded_in_number_and_bytes(void **state)
{
    struct fixture *f = *state;
    struct refused refused = {0};
    char topic[32];

    for (int i = 0; i < 1100; i++) {
        snprintf(topic, sizeof(topic), "t%d", i);
        assert_ok(store_inbox_set_aside(f->s, receive(f, topic, CLASS_NORMAL, 1), "no", 1));
    }
    assert_ok(store_refused_each(f->s, note_refused, &refused));
    assert_int_equal(refused.count, 1000);
    assert_string_equal(refused.first, "t100");
    assert_string_equal(refused.last, "t1099");
    fixture_commit(f);
    fixture_reopen(f);
    for (int i = 0; i < 40; i++) {
        struct msg *msg = fixture_msg("big", CLASS_NORMAL, i == 20 ? 200000 : 40000);
        int64_t key;

        assert_ok(store_inbox_put(f->s, f->peer, msg, 1, 1, &key));
        assert_ok(store_inbox_set_aside(f->s, key, "no", 1));
        msg_free(msg);
    }
    memset(&refused, 0, sizeof(refused));
    assert_ok(store_refused_each(f->s, note_refused, &refused));
    assert_true(refused.bytes <= STORE_REFUSED_BYTES_MAX);
    assert_true(refused.bytes > STORE_REFUSED_BYTES_MAX - 80000);
    assert_string_equal(refused.first, "big");
}

static void qos2_ids_are_known_until_released(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(store_qos2_known(f->s, 1), STORE_NONE);
    assert_ok(store_qos2_add(f->s, 1, 11));
    assert_ok(store_qos2_add(f->s, 1, 11));
    assert_ok(store_qos2_add(f->s, 65535, 12));
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_qos2_known(f->s, 1));
    assert_ok(store_qos2_release(f->s, 1));
    assert_ok(store_qos2_release(f->s, 1));
    assert_int_equal(store_qos2_known(f->s, 1), STORE_NONE);
    assert_ok(store_qos2_known(f->s, 65535));
    assert_ok(store_qos2_clear(f->s));
    assert_int_equal(store_qos2_known(f->s, 65535), STORE_NONE);
    store_rollback(f->s);
    assert_ok(store_qos2_known(f->s, 1));
}

static void a_released_qos2_id_is_remembered_with_its_message_for_a_window(void **state)
{
    struct fixture *f = *state;

    assert_ok(store_qos2_add(f->s, 7, 70));
    assert_int_equal(store_qos2_was(f->s, 7, 70), STORE_NONE); /* not yet released */
    assert_ok(store_qos2_release(f->s, 7));
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_qos2_was(f->s, 7, 70));
    assert_int_equal(store_qos2_was(f->s, 7, 71), STORE_NONE); /* the id, but another message */
    assert_int_equal(store_qos2_was(f->s, 8, 70), STORE_NONE);
    assert_ok(store_qos2_add(f->s, 7, 72)); /* used anew */
    assert_int_equal(store_qos2_was(f->s, 7, 70), STORE_NONE);
    assert_ok(store_qos2_known(f->s, 7));
    assert_ok(store_qos2_release(f->s, 7));
    for (unsigned id = 1000; id < 1000 + STORE_QOS2_RELEASED_MAX; id++) {
        assert_ok(store_qos2_was(f->s, 7, 72));
        assert_ok(store_qos2_add(f->s, (uint16_t)id, id));
        assert_ok(store_qos2_release(f->s, (uint16_t)id));
    }
    assert_int_equal(store_qos2_was(f->s, 7, 72), STORE_NONE);
    assert_ok(store_qos2_was(f->s, 1000, 1000));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(rows_are_walked_in_order_of_arrival_within_a_class),
        CASE(delivery_is_found_again_after_a_crash),
        CASE(ids_of_many_rows_without_one_do_not_clash),
        CASE(packet_id_given_twice_is_an_error),
        CASE(settled_message_is_gone_with_its_packet_id),
        CASE(refused_messages_are_kept_with_their_reason),
        CASE(refused_messages_are_bounded_in_number_and_bytes),
        CASE(qos2_ids_are_known_until_released),
        CASE(a_released_qos2_id_is_remembered_with_its_message_for_a_window),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
