/* The tail that both ends take from their own histories: the same where they are, and the same records from it. */
#include <stdlib.h>
#include <string.h>
#include "gateway/bridge/priming.h"
#include "gateway/wire/prime_share.h"
#include "tests/unit/store/fixture.h"

static void keep(struct fixture *f, enum store_direction dir, uint64_t number, const char *payload, size_t n, int64_t origin_ms)
{
    struct msg *m = msg_new("weather/1", 9, payload, n, NULL, 0, "");
    m->qos = 1;
    m->origin_ms = origin_ms;
    assert_ok(store_history_add(f->s, f->peer, dir, number, m));
    msg_free(m);
}

static uint32_t name_of(struct fixture *f, enum store_direction dir, int timestamps)
{
    struct priming t = {0};
    int rc = priming_load(&t, f->s, f->peer, dir, timestamps);
    assert_true(rc == 0 || rc == STORE_NONE);
    uint32_t name = priming_name(&t);
    assert_int_equal(rc == 0, name != 0);
    priming_drop(&t);
    return name;
}

static void both_ends_find_the_same_tail_whatever_became_of_the_times(void **state)
{
    struct fixture *f = *state;
    store_history_limit(f->s, 1 << 20);
    assert_int_equal(name_of(f, STORE_OUT, TIMESTAMPS_S), 0);
    for (uint64_t n = 1; n <= 20; n++) {
        keep(f, STORE_OUT, 3 * n, "20.1", 4, 1700000000123 + (int64_t)n * 1000);
        keep(f, STORE_IN, 3 * n, "20.1", 4, 1700000000000 + (int64_t)n * 1000); /* as it crosses in seconds */
    }
    assert_int_equal(name_of(f, STORE_OUT, TIMESTAMPS_S), name_of(f, STORE_IN, TIMESTAMPS_S));
    assert_int_equal(name_of(f, STORE_OUT, TIMESTAMPS_MS), name_of(f, STORE_IN, TIMESTAMPS_S));
    assert_int_not_equal(name_of(f, STORE_OUT, TIMESTAMPS_NO), name_of(f, STORE_IN, TIMESTAMPS_S));
    keep(f, STORE_IN, 61, "20.1", 4, 0);
    assert_int_not_equal(name_of(f, STORE_OUT, TIMESTAMPS_S), name_of(f, STORE_IN, TIMESTAMPS_S));
    keep(f, STORE_OUT, 61, "20.2", 4, 0);
    assert_int_not_equal(name_of(f, STORE_OUT, TIMESTAMPS_S), name_of(f, STORE_IN, TIMESTAMPS_S));
}

static void no_more_than_a_thousand_messages_and_256_kb_are_taken(void **state)
{
    struct fixture *f = *state;
    static char large[5000];
    struct priming t = {0};
    store_history_limit(f->s, 4 << 20);
    for (uint64_t n = 1; n <= 1200; n++)
        keep(f, STORE_OUT, n, "1", 1, 0);
    assert_ok(priming_load(&t, f->s, f->peer, STORE_OUT, TIMESTAMPS_S));
    assert_int_equal(t.count, PRIMING_MESSAGES);
    for (uint64_t n = 1201; n <= 1300; n++)
        keep(f, STORE_OUT, n, large, sizeof large, 0);
    assert_ok(priming_load(&t, f->s, f->peer, STORE_OUT, TIMESTAMPS_S));
    assert_int_equal(t.count, PRIMING_BYTES / (sizeof large + 9));
    priming_drop(&t);
}

static void the_newest_whose_work_fits_are_left_and_the_name_tells_of_how_much(void **state)
{
    struct fixture *f = *state;
    static char half[PRIME_UNIT_WORK / 2];
    struct priming t = {0}, all = {0};
    store_history_limit(f->s, 4 << 20);
    for (uint64_t n = 1; n <= 20; n++)
        keep(f, STORE_OUT, n, half, sizeof half - 5 * PRIME_RECORD_COST, 0); /* five pieces */
    assert_ok(priming_load(&all, f->s, f->peer, STORE_OUT, TIMESTAMPS_S));
    assert_int_equal(prime_tail_units(priming_name(&all)), 10);
    for (unsigned units = 0; units <= 10; units++) {
        assert_ok(priming_load(&t, f->s, f->peer, STORE_OUT, TIMESTAMPS_S));
        priming_cut(&t, units);
        assert_int_equal(t.count, 2 * units);
        assert_true(t.count == 0 || t.tail[0].number == 20);
        assert_int_equal(priming_name(&t) == priming_name(&all), units == 10);
        assert_int_equal(prime_tail_units(priming_name(&t)), units);
        uint64_t work = t.work_left;
        struct record r;
        struct topic_slots *topics = topic_slots_new();
        while (priming_next(&t, topics, &r))
            work -= r.len + PRIME_RECORD_COST;
        assert_int_equal(work, 0);
        assert_int_equal(t.work_left, 0);
        topic_slots_free(topics);
    }
    priming_drop(&all);
    priming_drop(&t);
}

static void records_come_in_the_order_of_numbers_in_small_pieces(void **state)
{
    struct fixture *f = *state;
    static char large[1300];
    struct priming t = {0};
    struct topic_slots *topics = topic_slots_new();
    struct record r;
    store_history_limit(f->s, 1 << 20);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)('a' + i % 26);
    keep(f, STORE_IN, 5, "x", 1, 1700000000000);
    keep(f, STORE_IN, 9, large, sizeof large, 0);
    keep(f, STORE_IN, 12, "", 0, 0);
    assert_ok(topic_slots_set(topics, 77, "weather/1", 9));
    assert_ok(priming_load(&t, f->s, f->peer, STORE_IN, TIMESTAMPS_S));

    static const struct {
        enum record_type type;
        uint64_t number, previous;
        uint32_t offset, len, total;
    } wanted[] = {
        {RECORD_MESSAGE, 5, 0, 0, 1, 1},         {RECORD_MESSAGE, 9, 5, 0, 512, 1300},
        {RECORD_CHUNK, 9, 5, 512, 512, 1300},    {RECORD_CHUNK, 9, 5, 1024, 276, 1300},
        {RECORD_MESSAGE, 12, 9, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_true(priming_next(&t, topics, &r));
        assert_int_equal(r.type, wanted[i].type);
        assert_int_equal(r.number, wanted[i].number);
        assert_int_equal(r.previous, wanted[i].previous);
        assert_int_equal(r.offset, wanted[i].offset);
        assert_int_equal(r.len, wanted[i].len);
        assert_int_equal(r.total, wanted[i].total);
        assert_int_equal(r.slot, 77);
        assert_int_equal(r.has_origin, r.number == 5);
        if (r.number == 9)
            assert_memory_equal(r.bytes, large + r.offset, r.len);
    }
    assert_false(priming_next(&t, topics, &r));
    priming_drop(&t);
    topic_slots_free(topics);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(both_ends_find_the_same_tail_whatever_became_of_the_times),
        CASE(no_more_than_a_thousand_messages_and_256_kb_are_taken),
        CASE(the_newest_whose_work_fits_are_left_and_the_name_tells_of_how_much),
        CASE(records_come_in_the_order_of_numbers_in_small_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
