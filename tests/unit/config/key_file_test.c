/* Key files: what is taken for a key, what is refused and with what sentence, and who may own one. */
#include "config/key_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/config/fixture.h"

#define HALF "000102030405060708090a0b0c0d0e0f"
#define REST "101112131415161718191A1B1C1D1E1F"
#define NOBODY ((uid_t)-1)

static void assert_counting(const uint8_t key[KEY_BYTES])
{
    for (int i = 0; i < KEY_BYTES; i++)
        assert_int_equal(key[i], i);
}

static void a_line_of_64_digits_is_a_key_however_it_is_grouped(void **state)
{
    static const char *const texts[] = {
        HALF REST,
        HALF REST "\n",
        "; a remark\n\n# another\r\n  \t\n" HALF " " REST "\r\n\n; the end",
        "0 0 01 02030405 060708090a0b0c0d0e0f\t" REST,
        "  ; 12\n" HALF REST,
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint8_t key[KEY_BYTES];
        char why[KEY_WHY_BYTES];
        assert_int_equal(key_text_parse(texts[i], strlen(texts[i]), key, why), 0);
        assert_counting(key);
    }
}

static void what_is_no_key_is_refused_and_left_nowhere(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "there is no key in it: one line of 64 hex digits"},
        {"; nothing\n", "there is no key in it: one line of 64 hex digits"},
        {HALF "\n" REST, "line 1: a key has 64 hex digits, here are 32"},
        {";\n" HALF REST "0", "line 2: a key has 64 hex digits, here are 65"},
        {HALF REST HALF REST HALF, "line 1: a key has 64 hex digits, here are 160"},
        {HALF REST "\n" HALF REST, "line 2: there is a key on line 1 already"},
        {HALF REST " ; mine", "line 1: only the digits 0-9 a-f are allowed"},
        {"key = " HALF REST, "line 1: only the digits 0-9 a-f are allowed"},
        {"0x" HALF REST, "line 1: only the digits 0-9 a-f are allowed"},
        {"\n00000000000000000000000000000000"
         "00000000000000000000000000000000",
         "line 2: nothing but zeros is no key"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t key[KEY_BYTES], none[KEY_BYTES] = {0};
        char why[KEY_WHY_BYTES];
        int rc = key_text_parse(cases[i].text, strlen(cases[i].text), key, why);
        assert_int_equal(rc, -EINVAL);
        assert_string_equal(why, cases[i].why);
        assert_memory_equal(key, none, KEY_BYTES);
    }
    uint8_t key[KEY_BYTES];
    char why[KEY_WHY_BYTES];
    assert_int_equal(key_text_parse("\0" HALF REST, 65, key, why), -EINVAL);
}

static void a_new_file_is_closed_to_others_and_never_takes_anothers_place(void **state)
{
    uint8_t key[KEY_BYTES], back[KEY_BYTES];
    char why[KEY_WHY_BYTES];
    struct stat st;
    for (int i = 0; i < KEY_BYTES; i++)
        key[i] = (uint8_t)i;
    mode_t old = umask(0);
    assert_int_equal(key_file_create("secret", key), 0);
    umask(old);
    assert_int_equal(stat("secret", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(key_file_read("secret", NOBODY, back, why), 0);
    assert_counting(back);

    char *before = slurp("secret");
    key[0] = 0xff;
    assert_int_equal(key_file_create("secret", key), -EEXIST);
    char *after = slurp("secret");
    assert_string_equal(before, after);
    free(before);
    free(after);
    unlink("secret");

    /* A link that leads to nothing is no way to make a file elsewhere. */
    assert_int_equal(symlink("elsewhere", "secret"), 0);
    assert_int_equal(key_file_create("secret", key), -EEXIST);
    assert_int_not_equal(access("elsewhere", F_OK), 0);
    unlink("secret");
    assert_int_equal(key_file_create("no/such/folder", key), -ENOENT);
}

static void a_file_with_any_right_for_others_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0666, 0777};
    uint8_t key[KEY_BYTES];
    char why[KEY_WHY_BYTES], wanted[KEY_WHY_BYTES];
    write_file("secret", HALF REST "\n", 65);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(chmod("secret", modes[i]), 0);
        assert_int_equal(key_file_read("secret", NOBODY, key, why), -EPERM);
        snprintf(wanted, sizeof(wanted), "is open to others (mode %04o), allowed: chmod 600",
                 (unsigned)modes[i]);
        assert_string_equal(why, wanted);
    }
    assert_int_equal(chmod("secret", 0400), 0);
    assert_int_equal(key_file_read("secret", NOBODY, key, why), 0);
    assert_counting(key);
    unlink("secret");
}

static void a_file_of_another_user_is_refused_unless_it_is_the_one_named(void **state)
{
    uint8_t key[KEY_BYTES];
    char why[KEY_WHY_BYTES];
    if (geteuid() != 0)
        skip(); /* only root can give a file away */
    write_file("secret", HALF REST "\n", 65);
    assert_int_equal(chmod("secret", 0600), 0);
    assert_int_equal(chown("secret", 12345, (gid_t)-1), 0);
    assert_int_equal(key_file_read("secret", NOBODY, key, why), -EPERM);
    assert_string_equal(why, "belongs to another user (uid 12345), who can read it");
    assert_int_equal(key_file_read("secret", 12346, key, why), -EPERM);
    assert_int_equal(key_file_read("secret", 12345, key, why), 0);
    unlink("secret");
}

static void what_is_no_file_or_cannot_be_one_is_refused_at_once(void **state)
{
    uint8_t key[KEY_BYTES];
    char why[KEY_WHY_BYTES];
    assert_int_equal(key_file_read("nowhere", NOBODY, key, why), -ENOENT);
    assert_string_equal(why, "cannot be read: No such file or directory");
    assert_int_equal(key_file_read(".", NOBODY, key, why), -EINVAL);
    assert_string_equal(why, "is not a file");
    assert_int_equal(mkfifo("secret", 0600), 0);
    assert_int_equal(key_file_read("secret", NOBODY, key, why), -EINVAL);
    unlink("secret");

    char *much = malloc(KEY_FILE_MAX_BYTES + 1);
    memset(much, '\n', KEY_FILE_MAX_BYTES + 1);
    write_file("secret", much, KEY_FILE_MAX_BYTES + 1);
    free(much);
    assert_int_equal(chmod("secret", 0600), 0);
    assert_int_equal(key_file_read("secret", NOBODY, key, why), -EINVAL);
    assert_string_equal(why, "is too long for a key, allowed: 4096 bytes");
    unlink("secret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_64_digits_is_a_key_however_it_is_grouped),
        cmocka_unit_test(what_is_no_key_is_refused_and_left_nowhere),
        cmocka_unit_test(a_new_file_is_closed_to_others_and_never_takes_anothers_place),
        cmocka_unit_test(a_file_with_any_right_for_others_is_refused),
        cmocka_unit_test(a_file_of_another_user_is_refused_unless_it_is_the_one_named),
        cmocka_unit_test(what_is_no_file_or_cannot_be_one_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
