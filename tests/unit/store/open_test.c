#include "tests/unit/store/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Puts n bytes into the database file from `offset`. */
static void scribble(const struct fixture *f, off_t offset, const void *bytes, size_t n)
{
    int fd = open(f->path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, offset), n);
    close(fd);
}

static int files_with(const struct fixture *f, const char *part)
{
    struct dirent *entry;
    DIR *dir = opendir(f->folder);
    int count = 0;

    while ((entry = readdir(dir)))
        count += strstr(entry->d_name, part) != NULL;
    closedir(dir);
    return count;
}

static void first_opening_creates_and_later_ones_do_not(void **state)
{
    struct fixture *f = *state;
    uint32_t generation = f->opened.generation, segment = f->opened.segment;

    assert_true(f->opened.created);
    assert_false(f->opened.damaged);
    assert_int_not_equal(generation, 0);
    assert_int_not_equal(segment, 0);
    assert_int_equal(store_generation(f->s), generation);
    fixture_reopen(f);
    assert_false(f->opened.created);
    assert_int_equal(f->opened.generation, generation);
    assert_int_not_equal(f->opened.segment, segment);
    assert_int_equal(store_segment(f->s), f->opened.segment);
}

static void file_is_readable_by_its_owner_alone(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_ok(stat(f->path, &st));
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void segment_is_never_repeated_even_by_a_source_that_repeats(void **state)
{
    struct fixture *f = *state;
    uint32_t before = f->opened.segment;

    store_close(f->s);
    f->random = 7; /* gives what it gave at first: the generation, which took four steps, then the
                      segment */
    for (int i = 0; i < 4; i++)
        f->random = f->random * 1664525u + 1013904223u;
    assert_ok(fixture_open(f));
    assert_int_not_equal(f->opened.segment, before);
    assert_int_not_equal(f->opened.segment, 0);
}

static void second_opening_is_refused_as_locked(void **state)
{
    struct fixture *f = *state;
    struct fixture second = *f;
    int status;
    pid_t pid;

    assert_int_equal(fixture_open(&second), STORE_LOCKED);
    assert_null(second.s);
    /* and from another process, which the lock must keep out too */
    if ((pid = fork()) == 0) {
        struct fixture third = *f;

        _exit(store_open(&third.s, third.path, &third.now, NULL, NULL, &third.opened, third.err,
                         sizeof(third.err)) == STORE_LOCKED
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    fixture_put(f, "still works", CLASS_NORMAL);
    fixture_commit(f);
}

static void folder_that_is_not_there_is_an_error_that_names_the_file(void **state)
{
    struct fixture *f = *state;
    struct fixture other = *f;

    snprintf(other.path, sizeof(other.path), "%s/no/such.db", f->folder);
    assert_int_equal(fixture_open(&other), -ENOENT);
    assert_non_null(strstr(other.err, other.path));
}

static void garbage_is_set_aside_and_a_new_generation_begun(void **state)
{
    struct fixture *f = *state;
    uint32_t generation = f->opened.generation;
    char garbage[8192];

    store_close(f->s);
    memset(garbage, 'x', sizeof(garbage));
    scribble(f, 0, garbage, sizeof(garbage));
    assert_ok(fixture_open(f));
    assert_true(f->opened.damaged);
    assert_int_not_equal(f->opened.generation, generation);
    assert_string_equal(f->opened.aside_path, fixture_file(f, ".damaged-20231114-221320"));
    assert_ok(access(f->opened.aside_path, F_OK));
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "");
    fixture_put(f, "works", CLASS_NORMAL);
    fixture_commit(f);
    fixture_reopen(f);
    assert_false(f->opened.damaged);
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "1:works");
}

static void truncated_file_is_set_aside(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2000; i++)
        fixture_put(f, "t", CLASS_NORMAL);
    fixture_commit(f);
    store_close(f->s);
    assert_ok(truncate(f->path, 20000));
    assert_ok(fixture_open(f));
    assert_true(f->opened.damaged);
}

static void damage_met_in_use_makes_the_next_opening_set_the_file_aside(void **state)
{
    struct fixture *f = *state;
    char zeros[4096] = {0};
    struct outbox_row row;
    uint64_t after = 0;
    int rc;

    for (int i = 0; i < 20000; i++)
        fixture_put(f, "some/topic/of/a/certain/length", CLASS_NORMAL);
    fixture_commit(f);
    store_close(f->s);
    /* Pages of the middle; opening reads none of them. */
    for (off_t page = 100; page < 140; page++)
        scribble(f, page * 4096, zeros, sizeof(zeros));
    assert_ok(fixture_open(f));
    assert_false(f->opened.damaged);
    while ((rc = store_outbox_next(f->s, f->peer, CLASS_NORMAL, after, 100, &row)) == 0) {
        after = row.number;
        msg_free(row.msg);
    }
    assert_int_equal(rc, -EBADMSG);
    assert_int_equal(store_outbox_next(f->s, f->peer, CLASS_NORMAL, 0, 100, &row), -EBADMSG);
    assert_int_equal(store_commit(f->s, &f->now), -EBADMSG);
    fixture_reopen(f);
    assert_true(f->opened.damaged);
    fixture_reopen(f);
    assert_false(f->opened.damaged);
}

static void damage_after_an_unclean_end_is_found_at_opening(void **state)
{
    struct fixture *f = *state;
    char zeros[4096] = {0};
    char copy[128];

    for (int i = 0; i < 20000; i++)
        fixture_put(f, "some/topic/of/a/certain/length", CLASS_NORMAL);
    fixture_commit(f);
    assert_ok(store_tidy(f->s)); /* copies the WAL into the file */
    fixture_put(f, "in the WAL", CLASS_NORMAL);
    fixture_commit(f);
    snprintf(copy, sizeof(copy), "%s/copy.db", f->folder);
    fixture_copy(f, copy);
    store_close(f->s);
    strcpy(f->path, copy);
    for (off_t page = 100; page < 140; page++)
        scribble(f, page * 4096, zeros, sizeof(zeros));
    assert_ok(fixture_open(f));
    assert_true(f->opened.damaged);
}

static void files_set_aside_are_bounded(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 8; i++) {
        store_close(f->s);
        f->now.wall_ms += i == 3 ? 0 : 1000; /* once within the same second */
        scribble(f, 0, "not a database at all", 21);
        assert_ok(fixture_open(f));
        assert_true(f->opened.damaged);
        assert_ok(access(f->opened.aside_path, F_OK));
    }
    assert_int_equal(files_with(f, ".damaged-"), 4);
}

static void newer_version_is_refused_and_the_file_untouched(void **state)
{
    struct fixture *f = *state;
    static const uint8_t version[4] = {0, 0, 0, 99};
    char before[4096], after[4096];
    int fd;

    store_close(f->s);
    f->s = NULL;
    scribble(f, 60, version, sizeof(version)); /* user_version, as SQLite's file format has it */
    fd = open(f->path, O_RDONLY);
    assert_int_equal(read(fd, before, sizeof(before)), sizeof(before));
    assert_int_equal(fixture_open(f), -ENOTSUP);
    assert_non_null(strstr(f->err, "newer"));
    assert_non_null(strstr(f->err, f->path));
    assert_int_equal(pread(fd, after, sizeof(after), 0), sizeof(after));
    close(fd);
    assert_memory_equal(before, after, sizeof(before));
    assert_int_equal(files_with(f, ".damaged-"), 0);
}

static void database_of_another_program_is_refused(void **state)
{
    struct fixture *f = *state;
    static const uint8_t other[4] = {1, 2, 3, 4};

    store_close(f->s);
    f->s = NULL;
    scribble(f, 68, other, sizeof(other)); /* application_id */
    assert_int_equal(fixture_open(f), -EINVAL);
    assert_non_null(strstr(f->err, "another program"));
    assert_int_equal(files_with(f, ".damaged-"), 0);
}

static void empty_file_is_taken_as_new(void **state)
{
    struct fixture *f = *state;

    store_close(f->s);
    assert_ok(truncate(f->path, 0));
    assert_ok(fixture_open(f));
    assert_false(f->opened.damaged);
    fixture_put(f, "works", CLASS_NORMAL);
    fixture_commit(f);
}

static void named_values_survive(void **state)
{
    struct fixture *f = *state;
    char value[16];
    size_t n = sizeof(value);

    assert_int_equal(store_get(f->s, "client_id", value, &n), STORE_NONE);
    assert_ok(store_set(f->s, "client_id", "longwire-a", 10));
    assert_ok(store_set(f->s, "client_id", "longwire-b", 10));
    assert_ok(store_set(f->s, "empty", "", 0));
    fixture_commit(f);
    assert_ok(store_set(f->s, "client_id", "longwire-c", 10));
    fixture_reopen(f);
    assert_ok(store_get(f->s, "client_id", value, &n));
    assert_int_equal(n, 10);
    assert_memory_equal(value, "longwire-b", 10);
    n = 3;
    assert_int_equal(store_get(f->s, "client_id", value, &n), STORE_REFUSED);
    assert_int_equal(n, 10);
    assert_ok(store_get(f->s, "empty", value, &n));
    assert_int_equal(n, 0);
    assert_int_equal(store_set(f->s, "long", f, 4097), STORE_REFUSED);
}

/* ---- the age clock (I11) ---- */

static int64_t age(struct fixture *f)
{
    return store_age_ms(f->s, &f->now);
}

static void age_follows_the_monotonic_clock_alone_while_running(void **state)
{
    struct fixture *f = *state;
    int64_t start = age(f);

    f->now.mono_ms += 500;
    f->now.wall_ms += 86400000;
    assert_int_equal(age(f), start + 500);
    f->now.wall_ms -= 2 * 86400000ll;
    f->now.wall_trusted = false;
    assert_int_equal(age(f), start + 500);
}

static void trusted_wall_time_bridges_a_restart(void **state)
{
    struct fixture *f = *state;
    int64_t before;

    f->now.mono_ms += 1000;
    fixture_put(f, "t", CLASS_NORMAL);
    fixture_commit(f);
    before = age(f);
    f->now.mono_ms = 3; /* the machine restarted */
    f->now.wall_ms += 7200000;
    fixture_reopen(f);
    assert_int_equal(age(f), before + 7200000);
}

static void untrusted_wall_time_makes_age_stand_still(void **state)
{
    struct fixture *f = *state;
    int64_t before = age(f);

    f->now.wall_trusted = false; /* boots in 1970 ... */
    f->now.wall_ms = 0;
    f->now.mono_ms = 10;
    fixture_reopen(f);
    assert_int_equal(age(f), before);
    f->now.mono_ms += 100;
    fixture_put(f, "t", CLASS_NORMAL);
    fixture_commit(f);
    f->now.wall_trusted =
        true; /* ... GPS sets the date, and it restarts: the gap's beginning was not trusted */
    f->now.wall_ms = 1700000000000;
    fixture_reopen(f);
    assert_int_equal(age(f), before + 100);
}

static void wall_time_before_the_stored_does_not_count(void **state)
{
    struct fixture *f = *state;
    int64_t before = age(f);

    f->now.wall_ms -= 1;
    fixture_reopen(f);
    assert_int_equal(age(f), before);
}

static void idle_age_is_saved_now_and_then(void **state)
{
    struct fixture *f = *state;
    int64_t before = age(f);

    f->now.wall_trusted = false;
    f->now.mono_ms += 60000;
    fixture_commit(f);
    assert_int_equal(age(f), before + 60000);
    f->now.mono_ms += 1200000;
    fixture_commit(f); /* nothing to commit, but it is 20 minutes */
    fixture_reopen(f);
    assert_int_equal(age(f), before + 1260000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(first_opening_creates_and_later_ones_do_not),
        CASE(file_is_readable_by_its_owner_alone),
        CASE(segment_is_never_repeated_even_by_a_source_that_repeats),
        CASE(second_opening_is_refused_as_locked),
        CASE(folder_that_is_not_there_is_an_error_that_names_the_file),
        CASE(garbage_is_set_aside_and_a_new_generation_begun),
        CASE(truncated_file_is_set_aside),
        CASE(damage_met_in_use_makes_the_next_opening_set_the_file_aside),
        CASE(damage_after_an_unclean_end_is_found_at_opening),
        CASE(files_set_aside_are_bounded),
        CASE(newer_version_is_refused_and_the_file_untouched),
        CASE(database_of_another_program_is_refused),
        CASE(empty_file_is_taken_as_new),
        CASE(named_values_survive),
        CASE(age_follows_the_monotonic_clock_alone_while_running),
        CASE(trusted_wall_time_bridges_a_restart),
        CASE(untrusted_wall_time_makes_age_stand_still),
        CASE(wall_time_before_the_stored_does_not_count),
        CASE(idle_age_is_saved_now_and_then),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
