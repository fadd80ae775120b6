#include "tests/unit/store/fixture.h"

#include <stdlib.h>
#include <string.h>
#include "store/history.h"

/* ---- partial messages ---- */

static void partial_grows_and_is_put_together(void **state)
{
    struct fixture *f = *state;
    struct store_partial partial;
    uint8_t bytes[100], *payload;
    void *header;
    size_t header_len;
    uint32_t n;

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(store_partial_get(f->s, f->peer, CLASS_BULK, &partial), STORE_NONE);
    assert_int_equal(store_partial_add(f->s, f->peer, CLASS_BULK, 0, bytes, 1), STORE_NONE);
    assert_ok(store_partial_begin(f->s, f->peer, CLASS_BULK, 42, 100, "head", 4));
    assert_ok(store_partial_add(f->s, f->peer, CLASS_BULK, 0, bytes, 60));
    fixture_commit(f);
    fixture_reopen(f);
    assert_int_equal(store_partial_add(f->s, f->peer, CLASS_BULK, 59, bytes, 10), STORE_REFUSED);
    assert_int_equal(store_partial_add(f->s, f->peer, CLASS_BULK, 61, bytes, 10), STORE_REFUSED);
    assert_int_equal(store_partial_add(f->s, f->peer, CLASS_BULK, 60, bytes, 41), STORE_REFUSED);
    assert_ok(store_partial_get(f->s, f->peer, CLASS_BULK, &partial));
    assert_int_equal(partial.number, 42);
    assert_int_equal(partial.total, 100);
    assert_int_equal(partial.have, 60);
    assert_ok(store_partial_add(f->s, f->peer, CLASS_BULK, 60, bytes + 60, 40));
    assert_ok(store_partial_take(f->s, f->peer, CLASS_BULK, &header, &header_len, &payload, &n));
    assert_int_equal(header_len, 4);
    assert_memory_equal(header, "head", 4);
    assert_int_equal(n, 100);
    assert_memory_equal(payload, bytes, 100);
    free(header);
    free(payload);
    assert_ok(store_partial_drop(f->s, f->peer, CLASS_BULK));
    assert_int_equal(
        store_partial_take(f->s, f->peer, CLASS_BULK, &header, &header_len, &payload, &n),
        STORE_NONE);
    assert_null(header);
}

static void beginning_drops_the_older_one_of_the_class_alone(void **state)
{
    struct fixture *f = *state;
    struct store_partial partial;

    assert_ok(store_partial_begin(f->s, f->peer, CLASS_BULK, 1, 100, NULL, 0));
    assert_ok(store_partial_add(f->s, f->peer, CLASS_BULK, 0, "old", 3));
    assert_ok(store_partial_begin(f->s, f->peer, CLASS_ALARM, 2, 100, NULL, 0));
    assert_ok(store_partial_add(f->s, f->peer, CLASS_ALARM, 0, "alarm", 5));
    assert_ok(store_partial_begin(f->s, f->peer, CLASS_BULK, 3, 50, NULL, 0));
    assert_ok(store_partial_get(f->s, f->peer, CLASS_BULK, &partial));
    assert_int_equal(partial.number, 3);
    assert_int_equal(partial.have, 0);
    assert_ok(store_partial_add(f->s, f->peer, CLASS_BULK, 0, "new", 3));
    assert_ok(store_partial_get(f->s, f->peer, CLASS_ALARM, &partial));
    assert_int_equal(partial.have, 5);
    assert_ok(store_partial_drop(f->s, f->peer, CLASS_HIGH)); /* none there */
}

/* ---- topic tables ---- */

static char slots[256];

static void note_slot(void *ctx, unsigned slot, const char *topic, size_t n)
{
    size_t at = strlen(slots);

    snprintf(slots + at, sizeof(slots) - at, "%u=%.*s ", slot, (int)n, topic);
}

static void topic_table_keeps_slots_sequence_and_hash(void **state)
{
    struct fixture *f = *state;
    struct store_topics_state a, b;

    assert_ok(store_topic_set(f->s, f->peer, STORE_OUT, 0, "first", 5));
    assert_ok(store_topic_set(f->s, f->peer, STORE_OUT, 4095, "last", 4));
    assert_ok(store_topic_set(f->s, f->peer, STORE_OUT, 0, "again", 5));
    fixture_commit(f);
    fixture_reopen(f);
    slots[0] = '\0';
    assert_ok(store_topics_each(f->s, f->peer, STORE_OUT, note_slot, NULL));
    assert_string_equal(slots, "0=again 4095=last ");
    assert_ok(store_topics_state(f->s, f->peer, STORE_OUT, &a));
    assert_int_equal(a.sequence, 3);
    assert_int_equal(a.hash, store_topic_hash(0, "again", 5) + store_topic_hash(4095, "last", 4));
    /* The other direction is another table; the same entries in another order hash the same. */
    assert_ok(store_topic_set(f->s, f->peer, STORE_IN, 4095, "last", 4));
    assert_ok(store_topics_state(f->s, f->peer, STORE_IN, &b));
    assert_int_not_equal(a.hash, b.hash);
    assert_ok(store_topic_set(f->s, f->peer, STORE_IN, 0, "again", 5));
    assert_ok(store_topics_state(f->s, f->peer, STORE_IN, &b));
    assert_int_equal(a.hash, b.hash);
    assert_int_not_equal(store_topic_hash(1, "x", 1), store_topic_hash(2, "x", 1));
    assert_ok(store_topics_clear(f->s, f->peer, STORE_OUT));
    assert_ok(store_topics_state(f->s, f->peer, STORE_OUT, &a));
    assert_int_equal(a.sequence, 0);
    assert_int_equal(a.hash, 0);
    assert_ok(store_topics_state(f->s, f->peer, STORE_IN, &b));
    assert_int_equal(b.sequence, 2);
}

static void slots_and_topics_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;
    static char topic[STORE_TOPIC_MAX_BYTES + 1];

    memset(topic, 't', sizeof(topic));
    assert_int_equal(store_topic_set(f->s, f->peer, STORE_OUT, STORE_TOPIC_SLOTS, "t", 1),
                     STORE_REFUSED);
    assert_int_equal(store_topic_set(f->s, f->peer, STORE_OUT, 1, "", 0), STORE_REFUSED);
    assert_int_equal(store_topic_set(f->s, f->peer, STORE_OUT, 1, topic, sizeof(topic)),
                     STORE_REFUSED);
    assert_ok(store_topic_set(f->s, f->peer, STORE_OUT, 1, topic, sizeof(topic) - 1));
}

/* ---- anchors and frames ---- */

static void newest_two_anchors_are_kept(void **state)
{
    struct fixture *f = *state;
    void *bytes;
    size_t n;

    assert_ok(store_anchor_put(f->s, f->peer, STORE_OUT, 1, "one", 3));
    assert_ok(store_anchor_put(f->s, f->peer, STORE_OUT, 2, "two", 3));
    assert_ok(store_anchor_put(f->s, f->peer, STORE_IN, 9, "in", 2));
    assert_ok(store_anchor_put(f->s, f->peer, STORE_OUT, 1, "one again", 9)); /* newest now */
    assert_ok(store_anchor_put(f->s, f->peer, STORE_OUT, 3, "", 0));
    fixture_commit(f);
    fixture_reopen(f);
    assert_ok(store_anchor_get(f->s, f->peer, STORE_OUT, 1, &bytes, &n));
    assert_int_equal(n, 9);
    assert_memory_equal(bytes, "one again", 9);
    free(bytes);
    assert_int_equal(store_anchor_get(f->s, f->peer, STORE_OUT, 2, &bytes, &n), STORE_NONE);
    assert_ok(store_anchor_get(f->s, f->peer, STORE_OUT, 3, &bytes, &n));
    assert_int_equal(n, 0);
    free(bytes);
    assert_ok(store_anchor_get(f->s, f->peer, STORE_IN, 9, &bytes, &n));
    free(bytes);
    assert_int_equal(store_anchor_put(f->s, f->peer, STORE_IN, 9, "x", STORE_ANCHOR_MAX_BYTES + 1),
                     STORE_REFUSED);
}

static char frames[256];

static void note_frame(void *ctx, uint32_t epoch, uint64_t number, const void *bytes, size_t n)
{
    size_t at = strlen(frames);

    snprintf(frames + at, sizeof(frames) - at, "%u/%u=%.*s ", epoch, (unsigned)number, (int)n,
             (const char *)bytes);
}

static void frames_come_back_with_the_bytes_first_put(void **state)
{
    struct fixture *f = *state;

    assert_ok(store_frame_put(f->s, f->peer, 0xffffffff, 2, "b", 1));
    assert_ok(store_frame_put(f->s, f->peer, 0xffffffff, 1, "a", 1));
    assert_ok(store_frame_put(f->s, f->peer, 0xffffffff, 2, "other", 5));
    assert_ok(store_frame_put(f->s, f->peer, 5, 9, "c", 1));
    fixture_commit(f);
    fixture_reopen(f);
    frames[0] = '\0';
    assert_ok(store_frames_each(f->s, f->peer, note_frame, NULL));
    assert_string_equal(frames, "5/9=c 4294967295/1=a 4294967295/2=b ");
    assert_ok(store_frames_drop(f->s, f->peer, 0xffffffff, 1));
    assert_ok(store_frames_drop(f->s, f->peer, 5, UINT64_MAX));
    frames[0] = '\0';
    assert_ok(store_frames_each(f->s, f->peer, note_frame, NULL));
    assert_string_equal(frames, "4294967295/2=b ");
}

static void frames_are_bounded(void **state)
{
    struct fixture *f = *state;

    for (uint64_t i = 0; i < STORE_FRAMES_MAX; i++)
        assert_ok(store_frame_put(f->s, f->peer, 1, i, "x", 1));
    assert_int_equal(store_frame_put(f->s, f->peer, 1, STORE_FRAMES_MAX, "x", 1), STORE_REFUSED);
    assert_ok(store_frames_drop(f->s, f->peer, 1, 10));
    assert_ok(store_frame_put(f->s, f->peer, 1, STORE_FRAMES_MAX, "x", 1));
}

/* ---- history ---- */

static char history[512];
static int history_stop;

static bool note_history(void *ctx, uint64_t number, const struct msg *msg)
{
    size_t at = strlen(history);

    snprintf(history + at, sizeof(history) - at, "%u:%s/%u ", (unsigned)number, msg->topic,
             msg->payload_len);
    return --history_stop != 0;
}

static const char *newest(struct fixture *f, enum store_direction dir, unsigned most,
                          uint64_t bytes, int stop)
{
    history[0] = '\0';
    history_stop = stop;
    assert_ok(store_history_newest(f->s, f->peer, dir, most, bytes, note_history, NULL));
    return history;
}

static void settled_messages_become_history_over_all_classes(void **state)
{
    struct fixture *f = *state;
    uint64_t settled;

    fixture_put(f, "a", CLASS_NORMAL);
    fixture_put(f, "b", CLASS_ALARM);
    fixture_put(f, "c", CLASS_NORMAL);
    fixture_put(f, "d", CLASS_NORMAL);
    fixture_put(f, "e", CLASS_NORMAL);
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_ALARM, 2, true));
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, 3, GAP_EXPIRED, 0));
    assert_ok(store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, 4, true, 100, &settled));
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 5, false));
    fixture_commit(f);
    fixture_reopen(f);
    assert_string_equal(newest(f, STORE_OUT, 10, 1000, 0), "4:d/20 2:b/20 1:a/20 ");
    assert_string_equal(newest(f, STORE_OUT, 2, 1000, 0), "4:d/20 2:b/20 ");
    assert_string_equal(newest(f, STORE_OUT, 10, 42, 0), "4:d/20 2:b/20 ");
    assert_string_equal(newest(f, STORE_OUT, 10, 41, 0), "4:d/20 ");
    assert_string_equal(newest(f, STORE_OUT, 10, 1000, 1), "4:d/20 ");
    assert_string_equal(newest(f, STORE_IN, 10, 1000, 0), "");
}

static void add_received(struct fixture *f, uint64_t number, const char *topic, size_t size)
{
    struct msg *msg = fixture_msg(topic, CLASS_NORMAL, size);

    assert_ok(store_history_add(f->s, f->peer, STORE_IN, number, msg));
    msg_free(msg);
}

static void history_stays_within_its_bytes_and_loses_the_oldest(void **state)
{
    struct fixture *f = *state;

    store_history_limit(f->s, 1000);
    for (uint64_t i = 1; i <= 100; i++)
        add_received(f, i, "t", 99);
    assert_string_equal(newest(f, STORE_IN, 3, 10000, 0), "100:t/99 99:t/99 98:t/99 ");
    newest(f, STORE_IN, 100, 100000, 0);
    assert_non_null(strstr(history, "91:t"));
    assert_null(strstr(history, " 90:t"));
    add_received(f, 101, "too large", 1000); /* not kept, and nothing goes for it */
    newest(f, STORE_IN, 100, 100000, 0);
    assert_non_null(strstr(history, "91:t"));
    assert_null(strstr(history, "101:"));
    /* A lower limit is reached step by step. */
    store_history_limit(f->s, 200);
    add_received(f, 102, "t", 99);
    add_received(f, 103, "t", 99);
    assert_string_equal(newest(f, STORE_IN, 100, 100000, 0), "103:t/99 102:t/99 ");
    store_history_limit(f->s, 0);
    add_received(f, 104, "t", 1); /* not kept; those that are go */
    assert_string_equal(newest(f, STORE_IN, 1, 100000, 0), "");
}

static void number_given_again_replaces_and_counts_once(void **state)
{
    struct fixture *f = *state;

    store_history_limit(f->s, 1000);
    for (int i = 0; i < 50; i++)
        add_received(f, 5, "t", 399);
    add_received(f, 6, "u", 399);
    assert_string_equal(newest(f, STORE_IN, 10, 10000, 0), "6:u/399 5:t/399 ");
}

static void cleared_history_is_empty_in_that_direction(void **state)
{
    struct fixture *f = *state;

    fixture_put(f, "a", CLASS_NORMAL);
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 1, true));
    add_received(f, 5, "t", 10);
    assert_ok(store_history_clear(f->s, f->peer, STORE_IN));
    assert_string_equal(newest(f, STORE_IN, 10, 10000, 0), "");
    assert_string_equal(newest(f, STORE_OUT, 10, 10000, 0), "1:a/20 ");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* The next one of an epoch, as text: "number:bytes"; "" = none. */
static const char *leaning(struct fixture *f, uint32_t epoch, uint64_t after)
{
    static char text[40];
    uint64_t number;
    char bytes[16];
    size_t n = sizeof(bytes);
    int rc = store_leaning_next(f->s, f->peer, epoch, after, &number, bytes, &n);

    assert_true(rc == 0 || rc == STORE_NONE);
    text[0] = 0;
    if (rc == 0)
        snprintf(text, sizeof(text), "%d:%.*s", (int)number, (int)n, bytes);
    return text;
}

static void what_frames_lean_on_is_read_in_order_until_its_epoch_is_over(void **state)
{
    struct fixture *f = *state;
    static const uint32_t both[] = {0xffffffff, 5}, one[] = {5};

    assert_ok(store_leaning_put(f->s, f->peer, 0xffffffff, 3, "c", 1));
    assert_ok(store_leaning_put(f->s, f->peer, 0xffffffff, 1, "a", 1));
    assert_ok(store_leaning_put(f->s, f->peer, 0xffffffff, 1, "other", 5));
    assert_ok(store_leaning_put(f->s, f->peer, 5, 2, "b", 1));
    fixture_commit(f);
    assert_ok(store_leaning_put(f->s, f->peer, 0xffffffff, 4, "d", 1));
    fixture_reopen(f); /* a crash: what was not committed is gone */
    assert_string_equal(leaning(f, 0xffffffff, 0), "1:a");
    assert_string_equal(leaning(f, 0xffffffff, 1), "3:c");
    assert_string_equal(leaning(f, 0xffffffff, 3), "");
    assert_ok(store_leaning_only(f->s, f->peer, both, 2));
    assert_string_equal(leaning(f, 0xffffffff, 0), "1:a");
    assert_ok(store_leaning_only(f->s, f->peer, one, 1));
    assert_string_equal(leaning(f, 0xffffffff, 0), "");
    assert_string_equal(leaning(f, 5, 0), "2:b");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(partial_grows_and_is_put_together),
        CASE(beginning_drops_the_older_one_of_the_class_alone),
        CASE(topic_table_keeps_slots_sequence_and_hash),
        CASE(slots_and_topics_out_of_range_are_refused),
        CASE(newest_two_anchors_are_kept),
        CASE(frames_come_back_with_the_bytes_first_put),
        CASE(frames_are_bounded),
        CASE(settled_messages_become_history_over_all_classes),
        CASE(history_stays_within_its_bytes_and_loses_the_oldest),
        CASE(number_given_again_replaces_and_counts_once),
        CASE(cleared_history_is_empty_in_that_direction),
        CASE(what_frames_lean_on_is_read_in_order_until_its_epoch_is_over),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
