/* A driver's note: what was written last is read, whole, whatever else is open. */
#include "tests/unit/store/fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store/note.h"

static void none_is_there_before_one_was_written(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[STORE_NOTE_MAX_BYTES];

    assert_int_equal(store_note_read(f->s, "sat", bytes), 0);
}

static void the_last_one_is_read_after_a_crash_and_each_link_has_its_own(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[STORE_NOTE_MAX_BYTES];

    assert_ok(store_note_write(f->s, "sat", "first and longer", 16));
    assert_ok(store_note_write(f->s, "sat", "second", 6));
    assert_ok(store_note_write(f->s, "radio", "other", 5));
    fixture_reopen(f);
    assert_int_equal(store_note_read(f->s, "sat", bytes), 6);
    assert_memory_equal(bytes, "second", 6);
    assert_int_equal(store_note_read(f->s, "radio", bytes), 5);
    assert_memory_equal(bytes, "other", 5);
}

static void an_open_transaction_is_neither_committed_nor_lost_by_it(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[STORE_NOTE_MAX_BYTES];

    fixture_put(f, "t", CLASS_NORMAL);
    assert_ok(store_note_write(f->s, "sat", "note", 4));
    assert_true(store_dirty(f->s));
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "1:t");
    fixture_reopen(f);
    assert_string_equal(fixture_outbox(f, CLASS_NORMAL), "");
    assert_int_equal(store_note_read(f->s, "sat", bytes), 4);
}

static void too_long_a_note_and_an_unwritable_folder_leave_the_old_one(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[STORE_NOTE_MAX_BYTES], big[STORE_NOTE_MAX_BYTES + 1] = {0};

    assert_ok(store_note_write(f->s, "sat", "old", 3));
    assert_int_equal(store_note_write(f->s, "sat", big, sizeof big), -EINVAL);
    /* What stands where the new one would be written cannot be written over. */
    assert_ok(mkdir(fixture_file(f, "-note-sat.new"), 0700));
    assert_true(store_note_write(f->s, "sat", "new", 3) < 0);
    assert_int_equal(store_note_read(f->s, "sat", bytes), 3);
    assert_memory_equal(bytes, "old", 3);
    assert_ok(rmdir(fixture_file(f, "-note-sat.new")));
    assert_ok(store_note_write(f->s, "sat", big, STORE_NOTE_MAX_BYTES));
    assert_int_equal(store_note_read(f->s, "sat", bytes), STORE_NOTE_MAX_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(none_is_there_before_one_was_written, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(
            the_last_one_is_read_after_a_crash_and_each_link_has_its_own, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(an_open_transaction_is_neither_committed_nor_lost_by_it,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(too_long_a_note_and_an_unwritable_folder_leave_the_old_one,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
