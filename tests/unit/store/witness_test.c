/* A store that was set back knows it: by its witness, by the witness's own time, or by how long it lay. One that was not never
 * says so, whatever ended the process. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/crc32.h"

#define HOUR_MS (60 * 60 * 1000ll)

/* witness.c: where the time of change stands, and the check behind it. */
#define STAMP_AT 17
#define BYTES    29

static void put_and_commit(struct fixture *f, const char *topic)
{
    fixture_put(f, topic, CLASS_NORMAL);
    fixture_commit(f);
}

static void assert_doubts(struct fixture *f, uint32_t set_back, uint32_t aged)
{
    struct store_doubts d = store_doubts(f->s);
    assert_int_equal(d.set_back, set_back);
    assert_int_equal(d.aged, aged);
}

/* The database of a moment, in a file beside: database and WAL. */
static const char *backup(struct fixture *f)
{
    static char to[128];
    snprintf(to, sizeof(to), "%s/backup", f->folder);
    fixture_copy(f, to);
    return to;
}

static void put_back(struct fixture *f, const char *from)
{
    char name[160], to[160];
    store_close(f->s);
    f->s = NULL;
    unlink(fixture_file(f, "-wal"));
    assert_ok(rename(from, f->path));
    snprintf(name, sizeof(name), "%s-wal", from);
    snprintf(to, sizeof(to), "%s-wal", f->path);
    assert_true(rename(name, to) == 0 || errno == ENOENT);
    assert_ok(fixture_open(f));
}

static size_t read_witness(struct fixture *f, uint8_t bytes[BYTES])
{
    int fd = open(fixture_file(f, "-witness"), O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, bytes, BYTES);
    close(fd);
    return n > 0 ? (size_t)n : 0;
}

static void write_witness(struct fixture *f, const uint8_t *bytes, size_t n)
{
    int fd = open(fixture_file(f, "-witness"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
}

static void a_new_store_and_one_that_is_started_again_are_not_doubted(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_null(f->opened.set_back);
    for (int i = 0; i < 5; i++) {
        put_and_commit(f, "t");
        fixture_put(f, "lost", CLASS_NORMAL); /* what is not committed is nothing that the witness saw */
        f->now.wall_ms += 10 * HOUR_MS;
        fixture_reopen(f);
        assert_null(f->opened.set_back);
        assert_int_equal(f->opened.witness_error, 0);
    }
    assert_doubts(f, 0, 0);
    assert_ok(stat(fixture_file(f, "-witness"), &st));
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_store_made_anew_beside_the_witness_of_a_lost_one_is_not_doubted(void **state)
{
    struct fixture *f = *state;

    put_and_commit(f, "t");
    store_close(f->s);
    unlink(f->path);
    assert_ok(fixture_open(f));
    assert_null(f->opened.set_back);
    fixture_reopen(f);
    assert_null(f->opened.set_back);
    assert_doubts(f, 0, 0);
}

static void a_copy_of_the_database_that_is_put_back_is_found_out_each_time(void **state)
{
    struct fixture *f = *state;
    const char *copy = backup(f);

    put_and_commit(f, "t");
    put_back(f, copy);
    assert_string_equal(f->opened.set_back, "it is older than its witness");
    assert_doubts(f, 1, 0);
    fixture_reopen(f);
    assert_null(f->opened.set_back); /* it is known: who depends on it has the count */
    assert_doubts(f, 1, 0);
    copy = backup(f);
    put_and_commit(f, "t");
    put_back(f, copy);
    assert_doubts(f, 2, 0);
}

static void a_copy_to_which_nothing_was_added_since_but_a_start_is_found_out(void **state)
{
    struct fixture *f = *state;
    const char *copy = backup(f);

    fixture_reopen(f);
    put_back(f, copy);
    assert_string_equal(f->opened.set_back, "its witness is of another");
}

static void without_a_witness_that_can_be_read_the_store_counts_as_set_back(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[BYTES];

    put_and_commit(f, "t");
    unlink(fixture_file(f, "-witness"));
    fixture_reopen(f);
    assert_string_equal(f->opened.set_back, "its witness is missing");
    for (size_t at = 0; at < BYTES; at++) {
        assert_int_equal(read_witness(f, bytes), BYTES);
        bytes[at] ^= 1;
        write_witness(f, bytes, BYTES);
        fixture_reopen(f);
        assert_string_equal(f->opened.set_back, "its witness cannot be read");
    }
    write_witness(f, bytes, BYTES - 1);
    fixture_reopen(f);
    assert_string_equal(f->opened.set_back, "its witness cannot be read");
    assert_doubts(f, BYTES + 2, 0);
}

/* As if the folder had been copied by `ago` seconds ago: who copies a file cannot copy when it was changed. */
static void age_witness(struct fixture *f, unsigned ago)
{
    uint8_t bytes[BYTES];
    unsigned borrow = ago;

    assert_int_equal(read_witness(f, bytes), BYTES);
    for (int at = STAMP_AT + 7; at >= STAMP_AT; at--) {
        unsigned had = bytes[at], take = borrow & 255;
        borrow = (borrow >> 8) + (had < take);
        bytes[at] = (uint8_t)(had - take);
    }
    uint32_t check = crc32_add(0, bytes, BYTES - 4);
    for (int i = 0; i < 4; i++)
        bytes[BYTES - 4 + i] = (uint8_t)(check >> (24 - 8 * i));
    write_witness(f, bytes, BYTES);
}

static void a_copy_that_brought_its_witness_along_is_known_by_the_time_of_that_file(void **state)
{
    struct fixture *f = *state;

    put_and_commit(f, "t");
    age_witness(f, 60); /* as a power cut may leave it */
    fixture_reopen(f);
    assert_null(f->opened.set_back);
    age_witness(f, 3600);
    fixture_reopen(f);
    assert_string_equal(f->opened.set_back, "its witness is a copy");
    fixture_reopen(f);
    assert_null(f->opened.set_back);
}

static void a_store_that_lay_long_is_doubted_and_less_so_than_one_that_was_set_back(void **state)
{
    struct fixture *f = *state;

    f->now.wall_ms += STORE_AGED_MS;
    fixture_reopen(f);
    assert_doubts(f, 0, 0);
    f->now.wall_ms += STORE_AGED_MS + 1;
    fixture_reopen(f);
    assert_null(f->opened.set_back);
    assert_doubts(f, 0, 1);
    fixture_reopen(f);
    assert_doubts(f, 0, 1);
    f->now.wall_ms -= 1000 * HOUR_MS; /* no word on anything */
    fixture_reopen(f);
    assert_doubts(f, 0, 1);
}

static void a_box_without_a_clock_learns_how_long_it_lay_when_it_hears_the_time(void **state)
{
    struct fixture *f = *state;

    f->now.wall_trusted = false;
    f->now.wall_ms += HOUR_MS; /* as a box has it that saves the time when it stops */
    fixture_reopen(f);
    put_and_commit(f, "t");
    f->now.wall_ms += HOUR_MS;
    f->now.mono_ms += HOUR_MS;
    put_and_commit(f, "t");
    assert_doubts(f, 0, 0);
    f->now.wall_ms += STORE_AGED_MS;
    f->now.wall_trusted = true;
    assert_ok(store_commit(f->s, &f->now)); /* nothing to commit: nothing is judged */
    put_and_commit(f, "t");
    assert_doubts(f, 0, 1);
    put_and_commit(f, "t");
    assert_doubts(f, 0, 1);
    fixture_reopen(f);
    assert_doubts(f, 0, 1);
}

static void time_that_passes_in_a_process_is_not_time_that_the_store_lay(void **state)
{
    struct fixture *f = *state;

    f->now.wall_trusted = false;
    fixture_reopen(f);
    f->now.wall_ms += 10 * STORE_AGED_MS;
    f->now.mono_ms += 10 * STORE_AGED_MS;
    f->now.wall_trusted = true;
    put_and_commit(f, "t");
    assert_doubts(f, 0, 0);
}

static void a_witness_that_cannot_be_written_stops_nothing_and_the_next_start_is_on_the_safe_side(void **state)
{
    struct fixture *f = *state;
    char name[160];

    snprintf(name, sizeof(name), "%s", fixture_file(f, "-witness"));
    unlink(name);
    assert_ok(mkdir(name, 0700));
    fixture_reopen(f);
    assert_int_equal(f->opened.witness_error, -EISDIR);
    put_and_commit(f, "t");
    fixture_reopen(f);
    assert_non_null(f->opened.set_back);
    assert_doubts(f, 2, 0);
    assert_ok(rmdir(name));
    fixture_reopen(f);
    fixture_reopen(f);
    assert_null(f->opened.set_back);
    assert_doubts(f, 3, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        CASE(a_new_store_and_one_that_is_started_again_are_not_doubted),
        CASE(a_store_made_anew_beside_the_witness_of_a_lost_one_is_not_doubted),
        CASE(a_copy_of_the_database_that_is_put_back_is_found_out_each_time),
        CASE(a_copy_to_which_nothing_was_added_since_but_a_start_is_found_out),
        CASE(without_a_witness_that_can_be_read_the_store_counts_as_set_back),
        CASE(a_copy_that_brought_its_witness_along_is_known_by_the_time_of_that_file),
        CASE(a_store_that_lay_long_is_doubted_and_less_so_than_one_that_was_set_back),
        CASE(a_box_without_a_clock_learns_how_long_it_lay_when_it_hears_the_time),
        CASE(time_that_passes_in_a_process_is_not_time_that_the_store_lay),
        CASE(a_witness_that_cannot_be_written_stops_nothing_and_the_next_start_is_on_the_safe_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
