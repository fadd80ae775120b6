/* Looking at a store from outside: what is committed is seen, a running gateway is left alone. */
#include "store/peek.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/store/fixture.h"

static void set(struct fixture *f, const char *name, const char *value)
{
    assert_ok(store_set(f->s, name, value, strlen(value)));
    fixture_commit(f);
}

static void assert_peeked(const char *path, const char *name, const char *wanted)
{
    struct store_peek *p;
    char value[32];
    size_t n = sizeof value;
    assert_ok(store_peek_open(&p, path));
    int rc = store_peek_get(p, name, value, &n);
    if (wanted) {
        assert_int_equal(rc, 0);
        assert_int_equal(n, strlen(wanted));
        assert_memory_equal(value, wanted, n);
    } else {
        assert_int_equal(rc, STORE_NONE);
    }
    store_peek_close(p);
}

static void what_is_committed_is_seen_after_a_clean_end(void **state)
{
    struct fixture *f = *state;
    set(f, "key.hub", "abcd");
    store_close(f->s);
    f->s = NULL;
    assert_peeked(f->path, "key.hub", "abcd");
    assert_peeked(f->path, "key.other", NULL);
}

/* The file and its WAL as kill -9 leaves them: copied while the store is open. */
static void what_is_committed_is_seen_after_an_unclean_end_and_nothing_is_lost_by_looking(void **state)
{
    struct fixture *f = *state;
    char copy[128];
    set(f, "key.hub", "abcd");
    snprintf(copy, sizeof copy, "%s/copy.db", f->folder);
    fixture_copy(f, copy);
    assert_peeked(copy, "key.hub", "abcd");
    assert_peeked(copy, "key.hub", "abcd");
}

static void values_that_do_not_fit_are_told_by_their_length(void **state)
{
    struct fixture *f = *state;
    struct store_peek *p;
    char value[3];
    size_t n = sizeof value;
    set(f, "key.hub", "abcd");
    store_close(f->s);
    f->s = NULL;
    assert_ok(store_peek_open(&p, f->path));
    assert_int_equal(store_peek_get(p, "key.hub", value, &n), STORE_REFUSED);
    assert_int_equal(n, 4);
    store_peek_close(p);
}

/* POSIX locks are of a process: another one must look. */
static void the_store_of_a_running_gateway_is_locked_and_not_disturbed(void **state)
{
    struct fixture *f = *state;
    set(f, "key.hub", "abcd");
    pid_t child = fork();
    if (child == 0) {
        struct store_peek *p;
        _exit(store_peek_open(&p, f->path) == STORE_LOCKED && p == NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    set(f, "key.hub", "efgh");
}

static void what_is_no_store_of_ours_is_none(void **state)
{
    struct fixture *f = *state;
    struct store_peek *p;
    char other[128];
    snprintf(other, sizeof other, "%s/other.db", f->folder);
    assert_int_equal(store_peek_open(&p, other), STORE_NONE);
    assert_int_not_equal(access(other, F_OK), 0);
    FILE *file = fopen(other, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(store_peek_open(&p, other), STORE_NONE);
    file = fopen(other, "w");
    fputs("this is no database, however long it may be ", file);
    fclose(file);
    assert_true(store_peek_open(&p, other) < 0);
    assert_null(p);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_committed_is_seen_after_a_clean_end),
        TEST(what_is_committed_is_seen_after_an_unclean_end_and_nothing_is_lost_by_looking),
        TEST(values_that_do_not_fit_are_told_by_their_length),
        TEST(the_store_of_a_running_gateway_is_locked_and_not_disturbed),
        TEST(what_is_no_store_of_ours_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
