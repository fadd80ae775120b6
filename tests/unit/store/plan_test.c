/* No cost may grow with the queue: SQLite is asked for the plan of every statement, and the file
 * for its size. */
#include "tests/unit/store/fixture.h"

#include <stdlib.h>
#include <string.h>
#include "store/db.h"

/* Read whole on purpose: at opening, or to forget all of a table bounded by packet ids or
 * STORE_REFUSED_ROWS_MAX. */
static bool whole_on_purpose(enum sql_id id)
{
    switch ((int)id) {
    case SQL_PEERS_LOAD:
    case SQL_CLASSES_LOAD:
    case SQL_COUNTERS_LOAD:
    case SQL_REFUSED_FIGURES:
    case SQL_QOS2_CLEAR:
        return true;
    default:
        return false;
    }
}

static void no_statement_scans_or_sorts(void **state)
{
    struct fixture *f = *state;
    int checked = 0;

    for (int id = SQL_STATE_LOAD; id < SQL_COUNT; id++) {
        char sql[2048];
        sqlite3_stmt *st;

        snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", sql_text(id));
        assert_int_equal(sqlite3_prepare_v2(f->s->db, sql, -1, &st, NULL), SQLITE_OK);
        while (sqlite3_step(st) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(st, 3);

            checked++;
            if (whole_on_purpose(id))
                continue;
            /* the outcome of a subquery with a LIMIT may be scanned */
            if ((strstr(detail, "SCAN") && !strstr(detail, "subquery") &&
                 !strstr(detail, "SUBQUERY")) ||
                strstr(detail, "TEMP B-TREE"))
                fail_msg("%s\n%s", sql_text(id), detail);
        }
        assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    }
    assert_true(checked > 50);
}

/* Pages that one call reads, with a cold cache: the measure of its cost that depends on no clock.
 */
static int pages_read(struct fixture *f, void (*call)(struct fixture *f))
{
    int before, after, high;

    sqlite3_db_release_memory(f->s->db);
    sqlite3_db_status(f->s->db, SQLITE_DBSTATUS_CACHE_MISS, &before, &high, 0);
    call(f);
    sqlite3_db_status(f->s->db, SQLITE_DBSTATUS_CACHE_MISS, &after, &high, 0);
    return after - before;
}

static void call_queue(struct fixture *f)
{
    struct store_queue queue;

    assert_ok(store_peer_queue(f->s, f->peer, &queue));
}

static void call_next(struct fixture *f)
{
    struct outbox_row row;

    assert_ok(store_outbox_next(f->s, f->peer, CLASS_NORMAL, 5, 1000, &row));
    msg_free(row.msg);
}

static void call_expired(struct fixture *f)
{
    uint64_t fixed[CLASS_COUNT] = {0}, number;
    enum msg_class class;

    assert_ok(store_outbox_expired(f->s, f->peer, INT64_MAX - 1, fixed, &class, &number));
}

static void call_settle(struct fixture *f)
{
    struct outbox_row row;

    assert_ok(store_outbox_next(f->s, f->peer, CLASS_NORMAL, 0, 1000, &row));
    msg_free(row.msg);
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, row.number, true));
}

static void call_discard(struct fixture *f)
{
    uint64_t number, bytes;

    assert_ok(store_outbox_oldest(f->s, f->peer, CLASS_NORMAL, 0, &number, &bytes));
    assert_ok(store_outbox_discard(f->s, f->peer, CLASS_NORMAL, number, GAP_OVERFLOW, 0));
}

static void call_put(struct fixture *f)
{
    fixture_put_latest(f, "a topic", CLASS_NORMAL);
}

static void no_call_reads_more_pages_with_a_longer_queue(void **state)
{
    static void (*const calls[])(struct fixture *) = {call_queue,  call_next,    call_expired,
                                                      call_settle, call_discard, call_put};
    struct fixture *f = *state;

    for (int i = 0; i < 100000; i++) {
        fixture_put_expiring(f, "some/topic", CLASS_NORMAL, 5000 + i);
        if (i % 10000 == 0)
            fixture_commit(f);
    }
    fixture_commit(f);
    fixture_reopen(f);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        int pages = pages_read(f, calls[i]);

        if (pages > 24) /* a few walks of four levels each */
            fail_msg("call %zu read %d pages", i, pages);
    }
}

static int64_t wal_bytes(const struct fixture *f)
{
    FILE *file = fopen(fixture_file(f, "-wal"), "r");
    long size = 0;

    if (file) {
        fseek(file, 0, SEEK_END);
        size = ftell(file);
        fclose(file);
    }
    return size;
}

static int64_t disk_bytes(const struct fixture *f)
{
    FILE *file = fopen(f->path, "r");
    long size;

    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    fclose(file);
    return size;
}

static void file_shrinks_after_a_backlog(void **state)
{
    struct fixture *f = *state;
    uint64_t settled;
    int64_t full, steps = 0;
    int rc;

    for (int i = 0; i < 100000; i++) {
        fixture_put(f, "some/topic/of/some/length", CLASS_NORMAL);
        if (i % 1000 == 999) {
            fixture_commit(f);
            assert_true(wal_bytes(f) < 6 << 20);
        }
    }
    full = store_file_bytes(f->s);
    assert_true(full > 6 << 20);
    while ((rc = store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, 99900, false, 1000,
                                        &settled)) == 1)
        fixture_commit(f);
    assert_ok(rc);
    fixture_commit(f);
    while ((rc = store_tidy(f->s)) == 1)
        assert_true(++steps < 1000);
    assert_ok(rc);
    assert_true(steps > 4); /* a bounded piece each time */
    assert_true(store_file_bytes(f->s) < 2 << 20);
    assert_true(disk_bytes(f) < 2 << 20);
    assert_int_equal(wal_bytes(f), 0);
    assert_ok(store_tidy(f->s));
    assert_int_equal(strncmp(fixture_outbox(f, CLASS_NORMAL), "99901:some", 10), 0);
}

/* Free pages at the end are cut off by a few pages of the WAL: the file is as long as before until those are copied. */
static void file_shrinks_where_nothing_had_to_be_moved(void **state)
{
    struct fixture *f = *state;
    uint64_t settled;

    for (int i = 0; i < 30000; i++)
        fixture_put(f, "some/topic/of/some/length", CLASS_NORMAL);
    fixture_commit(f);
    assert_ok(store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, 30000, false, 30000, &settled));
    fixture_commit(f);
    assert_true(disk_bytes(f) > 2 << 20);
    for (int rc = 1, steps = 0; rc == 1; steps++) {
        rc = store_tidy(f->s);
        assert_in_range(rc, 0, 1);
        assert_true(steps < 1000);
    }
    assert_true(store_file_bytes(f->s) < 1 << 20);
    assert_true(disk_bytes(f) < 1 << 20);
}

static void tidy_leaves_an_open_transaction_alone(void **state)
{
    struct fixture *f = *state;

    fixture_put(f, "t", CLASS_NORMAL);
    assert_ok(store_tidy(f->s));
    assert_true(store_dirty(f->s));
    fixture_commit(f);
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "1:t");
}

static bool on_disk(const struct fixture *f, const char *suffix, const char *text)
{
    FILE *file = fopen(fixture_file(f, suffix), "r");
    bool found = false;
    int c;
    size_t at = 0, n = strlen(text);
    assert_non_null(file);
    while (!found && (c = fgetc(file)) != EOF) {
        at = c == text[at] ? at + 1 : c == text[0];
        found = at == n;
    }
    fclose(file);
    return found;
}

/* A key that is forgotten is in no file of ours any more once the store is idle: its page was written, and the WAL is cut. */
static void what_was_overwritten_is_gone_from_the_files(void **state)
{
    struct fixture *f = *state;
    char secret[900], other[700];

    memset(secret, 's', sizeof secret);
    memset(other, 'o', sizeof other);
    memcpy(secret + 300, "PRIVATE-HALF", 12);
    for (int i = 0; i < 20; i++) {
        char name[20];
        snprintf(name, sizeof name, "channel.%d", i);
        assert_ok(store_set(f->s, name, i == 7 ? secret : other, i == 7 ? sizeof secret : sizeof other));
    }
    fixture_commit(f);
    store_forget(f->s);
    assert_ok(store_tidy(f->s));
    assert_true(on_disk(f, "", "PRIVATE-HALF")); /* so the look itself is worth something */
    assert_ok(store_set(f->s, "channel.7", other, sizeof other));
    store_forget(f->s);
    fixture_commit(f);
    assert_ok(store_tidy(f->s));
    assert_false(on_disk(f, "", "PRIVATE-HALF"));
    assert_false(on_disk(f, "-wal", "PRIVATE-HALF"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(no_statement_scans_or_sorts),
        CASE(no_call_reads_more_pages_with_a_longer_queue),
        CASE(file_shrinks_after_a_backlog),
        CASE(file_shrinks_where_nothing_had_to_be_moved),
        CASE(tidy_leaves_an_open_transaction_alone),
        CASE(what_was_overwritten_is_gone_from_the_files),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
