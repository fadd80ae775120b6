/* The operator's file read while each allocation, open and read fails once: either the configuration is just what it
 * would have been, or there is none and a line that names the file says why; no memory is left. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "config/config.h"
#include "config/key_file.h"
#include "link_drivers/driver.h"
#include "tests/crash/fault.h"

static const char good[] =
    "[site]\nname = a\n"
    "[broker]\nhost = unix:/run/b\nusername = u\n"
    "[store]\npath = s.db\nmax_bytes = 1M\n"
    "[peer b]\nlinks = l, m\nseal = none\naccept = cmd/#, config/+\ndeliver_prefix = x/\n"
    "[route r]\npeer = b\ntopics = a/#, b/+\nexclude = a/b\nkeep = latest\nexpire = 7d\n"
    "[link l]\ndriver = tcp\nconnect = h:1\n"
    "[link m]\ndriver = serial\ndevice = /dev/ttyS0\nflow = xonxoff\ncarry = alarm, high\n";
static const char bad[] = "[site]\nname = A\nnosuch = 1\n[link l]\ndriver = ether\n[peer b]\nlinks = q\n[route r]\n";

static char folder[64], file[80];

static int enter(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/longwire-crash-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/t.ini", folder);
    return 0;
}

static int leave(void **state)
{
    unlink(file);
    return rmdir(folder);
}

static void write_file(const char *text)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* What the configuration says, or NULL; *messages: the errors. Both to be freed. */
static char *load(const struct fault *f, char **messages)
{
    char *said = NULL;
    size_t n, blocks = fault_live_blocks();
    FILE *errors = open_memstream(messages, &n);
    fault_arm(f);
    fault_enter();
    struct config *c = config_load(file, link_driver_options, errors);
    fault_leave();
    fault_disarm();
    fclose(errors);
    if (c) {
        FILE *out = open_memstream(&said, &n);
        config_summary(c, out);
        fclose(out);
    }
    config_free(c);
    if (fault_live_blocks() != blocks)
        fail_msg("%s %u: %zu blocks are left", fault_names[f->kind], f->at, fault_live_blocks() - blocks);
    return said;
}

static void rise(const char *text, enum fault_kind kind, int error)
{
    struct fault f = {.kind = kind, .error = error};
    char *messages, *clean, *clean_messages;
    bool met = true;
    write_file(text);
    clean = load(&f, &clean_messages);
    for (f.at = fault_first(); met; f.at++) {
        char *said = load(&f, &messages);
        met = fault_met();
        if (said && (!clean || strcmp(said, clean) != 0))
            fail_msg("%s %u: another configuration was read:\n%s", fault_names[kind], f.at, said);
        if (!said && strncmp(messages, file, strlen(file)) != 0)
            fail_msg("%s %u: no configuration, and the message is \"%s\"", fault_names[kind], f.at, messages);
        if (!said && clean && !strstr(messages, strerror(error)) && !strstr(messages, "out of memory"))
            fail_msg("%s %u: the message does not say what failed: \"%s\"", fault_names[kind], f.at, messages);
        free(said);
        free(messages);
    }
    assert_true(f.at > 2);
    print_message("# %s: %u places\n", fault_names[kind], f.at - 2);
    free(clean);
    free(clean_messages);
}

static void a_good_file_is_read_whole_or_refused_at_each_failed_allocation(void **state)
{
    rise(good, FAULT_ALLOC, ENOMEM);
}

static void a_bad_file_is_never_taken_for_a_good_one_at_any_failed_allocation(void **state)
{
    rise(bad, FAULT_ALLOC, ENOMEM);
}

static void a_file_that_cannot_be_opened_or_read_is_named_with_the_reason(void **state)
{
    rise(good, FAULT_OPEN, EACCES);
    rise(good, FAULT_READ, EIO);
}

static void a_new_key_file_is_whole_or_not_there(void **state)
{
    static const struct fault kinds[] = {{.kind = FAULT_ALLOC, .error = ENOMEM},
                                         {.kind = FAULT_OPEN, .error = EACCES},
                                         {.kind = FAULT_SYNC, .error = EIO}};
    uint8_t key[KEY_BYTES], back[KEY_BYTES];
    char path[96], why[KEY_WHY_BYTES];
    snprintf(path, sizeof path, "%s/key", folder);
    memset(key, 7, sizeof key);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct fault f = kinds[k];
        bool met = true;
        for (f.at = 1; met; f.at++) {
            fault_arm(&f);
            fault_enter();
            int rc = key_file_create(path, key);
            fault_leave();
            met = fault_met();
            fault_disarm();
            if (rc == 0) {
                assert_int_equal(key_file_read(path, (uid_t)-1, back, why), 0);
                assert_memory_equal(back, key, sizeof key);
                unlink(path);
            } else if (access(path, F_OK) == 0) {
                fail_msg("%s %u: a file is left although keygen failed", fault_names[f.kind], f.at);
            }
            assert_true(met || rc == 0);
        }
        assert_true(f.at > 2);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_good_file_is_read_whole_or_refused_at_each_failed_allocation),
        cmocka_unit_test(a_bad_file_is_never_taken_for_a_good_one_at_any_failed_allocation),
        cmocka_unit_test(a_file_that_cannot_be_opened_or_read_is_named_with_the_reason),
        cmocka_unit_test(a_new_key_file_is_whole_or_not_there),
    };
    fault_init();
    return cmocka_run_group_tests(cases, enter, leave);
}
