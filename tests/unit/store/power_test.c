/* After a power cut, a kill, or a failed write or allocation at any point, the store holds what was
 * committed and nothing else. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/store/fault_vfs.h"

#define MESSAGES_MAX 4096

/* What must be in the store: which numbers are queued. A gap stands as 2. */
struct model {
    uint8_t queued[MESSAGES_MAX];
    uint64_t next, mark;
};

/* One random step on store and model alike. Returns the store's verdict; the model is changed only
 * where that is 0. */
static int step(struct fixture *f, struct model *m, unsigned *seed)
{
    static const char *const topics[] = {"a/b", "some/longer/topic/of/a/tank", "x"};
    unsigned dice = (unsigned)rand_r(seed) % 10;
    uint64_t number = 1 + (uint64_t)rand_r(seed) % m->next;
    int rc;

    if (dice < 6 && m->next < MESSAGES_MAX) {
        struct msg *msg =
            fixture_msg(topics[dice % 3], CLASS_NORMAL, (size_t)(rand_r(seed) % 3000));
        struct outbox_put put = {.peer = f->peer,
                                 .msg = msg,
                                 .route = "r",
                                 .latest = dice == 0,
                                 .expire_age_ms = dice == 1 ? 5000 : MSG_NO_EXPIRY};

        rc = store_outbox_put(f->s, &put, &number);
        msg_free(msg);
        if (rc == 0) {
            assert_int_equal(number, m->next);
            m->queued[m->next++] = 1;
        }
        return rc;
    }
    if (dice < 8) {
        rc = store_outbox_settle(f->s, f->peer, CLASS_NORMAL, number, true);
        if (rc == 0)
            m->queued[number] = 0;
        return rc < 0 ? rc : 0;
    }
    if (dice == 8) {
        rc = store_outbox_discard(f->s, f->peer, CLASS_NORMAL, number, GAP_EXPIRED,
                                  number); /* a row of its own */
        if (rc == 0)
            m->queued[number] = 2;
        return rc < 0 ? rc : 0;
    }
    rc = store_mark_number(f->s, f->peer, CLASS_HIGH, m->mark, m->mark + 1);
    if (rc == 0)
        m->mark++;
    return rc;
}

/* Is the store what the model says? */
static bool equal(struct fixture *f, const struct model *m)
{
    static struct store_mark marks[CLASS_COUNT];
    struct outbox_row row;
    struct store_remote of;
    struct store_queue queue;
    uint64_t after = 0, messages = 0;
    bool same = true;
    int rc;

    while ((rc = store_outbox_next(f->s, f->peer, CLASS_NORMAL, after, 0, &row)) == 0) {
        while (++after < row.number)
            same &= m->queued[after] == 0;
        same &= after < m->next && m->queued[after] == (row.gap ? 2 : 1);
        messages += !row.gap;
        msg_free(row.msg);
    }
    while (++after < m->next)
        same &= m->queued[after] == 0;
    assert_int_equal(rc, STORE_NONE);
    assert_ok(store_peer_queue(f->s, f->peer, &queue));
    assert_int_equal(queue.messages, messages); /* sums and rows agree, whatever happened */
    same &= queue.next_number == m->next;
    assert_true(store_marks(f->s, f->peer, marks, &of) >= 0);
    return same && marks[CLASS_HIGH].cumulative == m->mark;
}

static int meet_peer(struct fixture *f)
{
    struct store_remote remote = {1, {1, 0, 0}};
    enum store_remote_change change;

    assert_ok(store_remote_seen(f->s, f->peer, &remote, &change));
    fixture_commit(f);
    return 0;
}

static int setup(void **state)
{
    fault_vfs_reset();
    fixture_setup(state);
    return meet_peer(*state);
}

static int teardown(void **state)
{
    fault_vfs_fail_at(0);
    fault_vfs_die_at(0);
    fault_vfs_fail_allocation(0);
    return fixture_teardown(state);
}

/* Runs until the machine dies; then opens what a power cut leaves, and compares. */
static void one_power_cut(struct fixture *f, int die_at, unsigned *seed)
{
    struct model now = {.next = 1}, committed = now, in_doubt;
    struct fixture image = *f;
    char wal[128], image_wal[128], image_witness[128];
    int rc = 0;

    fault_vfs_die_at(die_at);
    while (rc == 0) {
        for (int steps = 1 + rand_r(seed) % 30; rc == 0 && steps > 0; steps--)
            rc = step(f, &now, seed);
        if (rc != 0)
            break;
        in_doubt = now;
        if ((rc = store_commit(f->s, &f->now)) != 0)
            break;
        committed = now;
        if (rand_r(seed) % 8 == 0)
            rc = store_tidy(f->s) < 0 ? -EIO : 0;
        in_doubt = committed;
    }
    snprintf(image.path, sizeof(image.path), "%s/image.db", f->folder);
    snprintf(wal, sizeof(wal), "%s-wal", f->path);
    snprintf(image_wal, sizeof(image_wal), "%s-wal", image.path);
    fault_vfs_image(f->path, image.path, seed);
    fault_vfs_image(wal, image_wal, seed);
    store_close(f->s);
    f->s = NULL;
    fault_vfs_reset();
    /* The witness may have come through as it was written last, though nobody synced it. */
    snprintf(image_witness, sizeof(image_witness), "%s-witness", image.path);
    assert_true(link(fixture_file(f, "-witness"), image_witness) == 0);
    assert_ok(fixture_open(&image));
    assert_false(image.opened.damaged);
    if (image.opened.set_back)
        fail_msg("died at operation %d: %s", die_at, image.opened.set_back);
    /* A commit that was under way when the power went may have come through, or not; half of it
     * never. */
    if (!equal(&image, &committed) && !equal(&image, &in_doubt))
        fail_msg("died at operation %d: neither the last commit nor the one under way", die_at);
    store_close(image.s);
    unlink(image.path);
    unlink(image_wal);
    unlink(image_witness);
}

static void power_cut_at_any_operation_keeps_what_was_committed(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 4711;

    print_message("# seed %u\n", seed);
    for (int i = 0; i < 150; i++) {
        one_power_cut(f, 1 + (i < 50 ? i : rand_r(&seed) % 3000), &seed);
        unlink(f->path);
        unlink(fixture_file(f, "-wal"));
        assert_ok(fixture_open(f));
        meet_peer(f);
    }
}

static void failed_operation_takes_the_whole_transaction_back(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 99, failures = 0;
    struct model now = {.next = 1}, committed = now;

    print_message("# seed %u\n", seed);
    for (int round = 0; round < 600; round++) {
        int rc = 0;

        fault_vfs_fail_at(1 + rand_r(&seed) % 40);
        for (int steps = 1 + rand_r(&seed) % 40; rc == 0 && steps > 0; steps--)
            rc = step(f, &now, &seed);
        if (rc == 0)
            rc = store_commit(f->s, &f->now);
        if (rc == 0) {
            committed = now;
        } else {
            assert_int_equal(rc, -EIO);
            assert_false(store_dirty(f->s));
            assert_true(strlen(store_error(f->s)) > 0);
            now = committed;
            failures++;
        }
        if (!equal(f, &committed))
            fail_msg("round %d: the store is not as at the last commit", round);
    }
    fault_vfs_fail_at(0);
    assert_true(failures > 50);
    fixture_reopen(f);
    assert_true(equal(f, &committed));
}

static void failed_allocation_takes_the_whole_transaction_back(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 5, failures = 0;
    struct model now = {.next = 1}, committed = now;

    print_message("# seed %u\n", seed);
    for (int round = 0; round < 400; round++) {
        int rc = 0;

        fault_vfs_fail_allocation(1 + rand_r(&seed) % 60);
        for (int steps = 1 + rand_r(&seed) % 40; rc == 0 && steps > 0; steps--)
            rc = step(f, &now, &seed);
        if (rc == 0)
            rc = store_commit(f->s, &f->now);
        fault_vfs_fail_allocation(0);
        if (rc == 0) {
            committed = now;
        } else {
            assert_int_equal(rc, -ENOMEM);
            now = committed;
            failures++;
        }
        if (!equal(f, &committed))
            fail_msg("round %d: the store is not as at the last commit", round);
    }
    assert_true(failures > 10);
}

/* The same fault at every point of an opening: the n-th operation, then the n-th allocation, until
 * one comes through. */
static void opening_that_fails_at_any_point_says_so_and_the_next_one_works(void **state)
{
    static void (*const faults[])(int n) = {fault_vfs_fail_at, fault_vfs_fail_allocation};
    struct fixture *f = *state;

    fixture_put(f, "kept", CLASS_NORMAL);
    fixture_commit(f);
    for (int kind = 0; kind < 2; kind++) {
        int n = 0, rc;

        do {
            store_close(f->s);
            f->s = NULL;
            faults[kind](++n);
            rc = store_open(&f->s, f->path, &f->now, fixture_random, f, &f->opened, f->err,
                            sizeof(f->err));
            assert_true(rc == 0 || rc == -EIO || rc == -ENOMEM);
            assert_true(rc == 0 || (f->s == NULL && strstr(f->err, f->path)));
            faults[kind](0);
        } while (!(rc == 0 && !(kind == 0 ? fault_vfs_met() : fault_vfs_allocation_failed())) &&
                 n < 20000);
        assert_true(n > 3 && n < 20000);
    }
    fixture_reopen(f);
    assert_false(f->opened.damaged);
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "1:kept");
}

/* Commits rows and says each committed number on the pipe, until it is killed. */
static void child(struct fixture *f, int pipe_fd)
{
    for (uint64_t n = 1;; n++) {
        if (fixture_put(f, "t", CLASS_NORMAL) != n || store_commit(f->s, &f->now) != 0)
            _exit(1);
        if (n % 10 == 0 && store_outbox_settle(f->s, f->peer, CLASS_NORMAL, n - 5, true) != 0)
            _exit(2);
        if (write(pipe_fd, &n, sizeof(n)) != sizeof(n))
            _exit(3);
    }
}

static void killed_process_leaves_all_that_it_said_was_committed(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 77;

    print_message("# seed %u\n", seed);
    for (int round = 0; round < 10; round++) {
        uint64_t said = 0, wanted = 5 + (uint64_t)rand_r(&seed) % 300;
        struct store_queue queue;
        struct outbox_row row;
        int fds[2], status;
        pid_t pid;

        store_close(f->s);
        f->s = NULL;
        unlink(f->path);
        assert_ok(pipe(fds));
        if ((pid = fork()) == 0) {
            close(fds[0]);
            if (fixture_open(f) != 0)
                _exit(4);
            child(f, fds[1]);
        }
        close(fds[1]);
        while (said < wanted)
            assert_int_equal(read(fds[0], &said, sizeof(said)), sizeof(said));
        assert_ok(kill(pid, SIGKILL));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        while (read(fds[0], &wanted, sizeof(wanted)) == sizeof(wanted))
            said = wanted;
        close(fds[0]);
        assert_ok(fixture_open(f));
        assert_false(f->opened.damaged);
        assert_ok(store_peer_queue(f->s, f->peer, &queue));
        assert_in_range(queue.next_number, said + 1, said + 2);
        assert_ok(store_outbox_next(f->s, f->peer, CLASS_NORMAL, said - 1, 0, &row));
        assert_int_equal(row.number, said);
        msg_free(row.msg);
    }
}

/* One that came back would be rolled back by SQLite at the next opening, long after: to the empty file that the store began as. */
static void the_journal_of_making_the_file_cannot_come_back(void **state)
{
    struct fixture *f = *state;
    assert_true(f->opened.created);
    assert_false(fault_vfs_journal_may_come_back());
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(power_cut_at_any_operation_keeps_what_was_committed),
        CASE(failed_operation_takes_the_whole_transaction_back),
        CASE(failed_allocation_takes_the_whole_transaction_back),
        CASE(opening_that_fails_at_any_point_says_so_and_the_next_one_works),
        CASE(the_journal_of_making_the_file_cannot_come_back),
        CASE(killed_process_leaves_all_that_it_said_was_committed),
    };

    fault_vfs_install_memory();
    fault_vfs_install();
    return cmocka_run_group_tests(cases, NULL, NULL);
}
