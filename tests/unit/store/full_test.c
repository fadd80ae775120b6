/* A full disk: nothing that was accepted is lost, what shrinks the queue still commits, and it ends
 * by itself. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store/inbox.h"
#include "tests/unit/store/fault_vfs.h"

#define MB (1 << 20)

static int setup(void **state)
{
    fault_vfs_reset();
    return fixture_setup(state);
}

static int teardown(void **state)
{
    fault_vfs_quota(0, NULL);
    return fixture_teardown(state);
}

/* Puts batches of 100 until the disk is full. Returns how many messages were committed. */
static unsigned fill(struct fixture *f)
{
    struct msg *msg = fixture_msg("some/topic", CLASS_NORMAL, 500);
    struct outbox_put put = {
        .peer = f->peer, .msg = msg, .route = "r", .expire_age_ms = MSG_NO_EXPIRY};
    unsigned committed = 0;
    uint64_t number;
    int rc = 0;

    for (int batch = 0; batch < 1000 && !store_full(f->s); batch++) {
        for (int i = 0; rc == 0 && i < 100; i++)
            rc = store_outbox_put(f->s, &put, &number);
        if (rc == 0)
            rc = store_commit(f->s, &f->now);
        if (rc == 0)
            committed += 100;
    }
    msg_free(msg);
    assert_true(rc == 0 || rc == -ENOSPC);
    assert_true(store_full(f->s));
    return committed;
}

static unsigned queued(struct fixture *f)
{
    struct store_queue queue;

    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    return (unsigned)queue.messages;
}

static void ballast_is_really_allocated(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_ok(stat(fixture_file(f, "-ballast"), &st));
    assert_int_equal(st.st_size, 8 * MB);
    assert_true(st.st_blocks * 512 >= 8 * MB);
}

static void what_was_committed_stays_and_adding_is_refused(void **state)
{
    struct fixture *f = *state;
    struct msg *msg = fixture_msg("t", CLASS_NORMAL, 10);
    struct outbox_put put = {
        .peer = f->peer, .msg = msg, .route = "r", .expire_age_ms = MSG_NO_EXPIRY};
    uint64_t number;
    unsigned committed;
    int64_t key, due;
    bool replaced;
    int peer;
    enum msg_class class;

    fault_vfs_quota(16 * MB, fixture_file(f, "-ballast"));
    committed = fill(f);
    assert_true(committed > 1000);
    assert_int_equal(queued(f), committed);
    assert_int_equal(access(fixture_file(f, "-ballast"), F_OK), -1);
    assert_int_equal(store_outbox_put(f->s, &put, &number), -ENOSPC);
    assert_int_equal(store_held_put(f->s, &put, 1, &replaced), -ENOSPC);
    assert_int_equal(store_held_release(f->s, INT64_MAX, &peer, &class, &number, &due), STORE_NONE);
    assert_int_equal(store_inbox_put(f->s, f->peer, msg, 1, 1, &key), -ENOSPC);
    assert_int_equal(store_partial_begin(f->s, f->peer, CLASS_BULK, 1, 1, NULL, 0), -ENOSPC);
    assert_false(store_dirty(f->s));
    msg_free(msg);
}

/* Settles and commits. The real disk had room for a new ballast, where the bounded one would have
 * refused it: so the first commit after an opening may still be the one that finds the disk full,
 * is rolled back, and is done again. */
static unsigned settle_and_commit(struct fixture *f, uint64_t up_to)
{
    uint64_t settled = 0;
    int rc = -ENOSPC;

    for (int tries = 0; rc == -ENOSPC && tries < 2; tries++) {
        assert_true(
            store_outbox_settle_to(f->s, f->peer, CLASS_NORMAL, up_to, false, 100, &settled) >= 0);
        rc = store_commit(f->s, &f->now);
    }
    assert_ok(rc);
    return (unsigned)settled;
}

static void deliveries_go_on_until_the_queue_is_empty(void **state)
{
    struct fixture *f = *state;
    unsigned committed, left;
    uint64_t number = 0;

    fault_vfs_quota(16 * MB, fixture_file(f, "-ballast"));
    left = committed = fill(f);
    /* One message a commit, marks and counters beside it: the worst for the log. */
    for (unsigned i = 0; i < 2000; i++) {
        assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, ++number, true));
        assert_ok(store_mark_number(f->s, f->peer, CLASS_HIGH, i, i + 1));
        assert_ok(store_count(f->s, f->peer, "delivered", 1));
        assert_ok(store_set_may_have_left(f->s, f->peer, CLASS_NORMAL, number));
        fixture_commit(f);
        left--;
    }
    assert_ok(store_outbox_gap(f->s, f->peer, CLASS_NORMAL, "r", GAP_OVERFLOW, 0, 0));
    fixture_commit(f);
    assert_int_equal(queued(f), left);
    fixture_reopen(f); /* with the disk as full as it is */
    assert_int_equal(queued(f), left);
    assert_true(store_full(f->s) || access(fixture_file(f, "-ballast"), F_OK) == 0);
    while (left > 0)
        left -= settle_and_commit(f, committed);
    assert_int_equal(queued(f), 0);
}

static void it_recovers_by_itself_when_there_is_room(void **state)
{
    struct fixture *f = *state;
    unsigned committed;

    fault_vfs_quota(16 * MB, fixture_file(f, "-ballast"));
    committed = fill(f);
    fault_vfs_quota(24 * MB, fixture_file(f, "-ballast"));
    assert_ok(store_probe_space(f->s));
    assert_false(store_full(f->s));
    assert_ok(access(fixture_file(f, "-ballast"), F_OK));
    fixture_put(f, "t", CLASS_NORMAL);
    fixture_commit(f);
    assert_int_equal(queued(f), committed + 1);
    fill(f); /* and again */
    assert_true(queued(f) > committed);
}

static void transaction_open_when_it_fills_is_rolled_back_whole(void **state)
{
    struct fixture *f = *state;
    struct msg *big = fixture_msg("big", CLASS_BULK, 9 * MB);
    struct outbox_put put = {
        .peer = f->peer, .msg = big, .route = "r", .expire_age_ms = MSG_NO_EXPIRY};
    uint64_t number;
    int rc;

    fixture_put(f, "a", CLASS_NORMAL);
    fixture_commit(f);
    fault_vfs_quota(12 * MB, fixture_file(f, "-ballast"));
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 1, false));
    rc = store_outbox_put(f->s, &put, &number);
    if (rc == 0)
        rc = store_commit(f->s, &f->now);
    assert_int_equal(rc, -ENOSPC);
    assert_false(store_dirty(f->s));
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "1:a");
    assert_string_equal(fixture_outbox(f, CLASS_BULK), "");
    assert_ok(store_outbox_settle(f->s, f->peer, CLASS_NORMAL, 1, false));
    fixture_commit(f);
    msg_free(big);
}

static void opening_on_a_full_disk_works_with_the_ballast(void **state)
{
    struct fixture *f = *state;
    int64_t size;
    FILE *file;

    for (int i = 0; i < 1000; i++)
        fixture_put(f, "t", CLASS_NORMAL);
    fixture_commit(f);
    store_close(f->s);
    file = fopen(f->path, "r");
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    fclose(file);
    fault_vfs_reset();
    fault_vfs_quota(size + 8 * MB, fixture_file(f, "-ballast")); /* not a byte beside them */
    assert_ok(fixture_open(f));
    assert_int_equal(queued(f), 1000);
    assert_int_equal(settle_and_commit(f, 1), 1);
    assert_int_equal(queued(f), 999);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(ballast_is_really_allocated),
        CASE(what_was_committed_stays_and_adding_is_refused),
        CASE(deliveries_go_on_until_the_queue_is_empty),
        CASE(it_recovers_by_itself_when_there_is_room),
        CASE(transaction_open_when_it_fills_is_rolled_back_whole),
        CASE(opening_on_a_full_disk_works_with_the_ballast),
    };

    fault_vfs_install();
    return cmocka_run_group_tests(cases, NULL, NULL);
}
