/* The simulated line as a child process with real ptys: what `longwire demo` holds in its hands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "gateway/cli/line_child.h"
#include "gateway/cli/line_sim.h"

#define WAIT_MS 60000 /* a guard: nothing here takes long */

struct fixture {
    char folder[64], a[96], b[96];
    struct line_child *sim;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/line_sim_test.XXXXXX");
    if (mkdtemp(f->folder) == NULL)
        return -1;
    snprintf(f->a, sizeof f->a, "%s/a", f->folder);
    snprintf(f->b, sizeof f->b, "%s/b", f->folder);
    *state = f;
    return line_child_start(&f->sim, f->a, f->b, 1);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    line_child_stop(f->sim);
    int left = access(f->a, F_OK) == 0 || access(f->b, F_OK) == 0;
    rmdir(f->folder);
    free(f);
    return left ? -1 : 0; /* a link left behind fails the case */
}

static int open_end(const char *link)
{
    int fd = open(link, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Reads exactly n bytes, waiting for them. */
static void read_all(int fd, char *out, size_t n)
{
    size_t got = 0;
    while (got < n) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t r = read(fd, out + got, n - got);
        assert_true(r > 0);
        got += (size_t)r;
    }
}

static void all_byte_values_cross_both_ways(void **state)
{
    struct fixture *f = *state;
    char said[256], heard[256];
    int a = open_end(f->a), b = open_end(f->b);
    for (int i = 0; i < 256; i++)
        said[i] = (char)i;
    assert_int_equal(write(a, said, 256), 256);
    read_all(b, heard, 256);
    assert_memory_equal(said, heard, 256);
    assert_int_equal(write(b, said, 256), 256);
    read_all(a, heard, 256);
    assert_memory_equal(said, heard, 256);
    close(a);
    close(b);
}

static void counters_tell_what_crossed(void **state)
{
    struct fixture *f = *state;
    struct line_counters c;
    char heard[8];
    int a = open_end(f->a), b = open_end(f->b);
    assert_int_equal(line_child_ask(f->sim, "set both baud 9600 delay_ms 10", NULL, 0), 0);
    assert_int_equal(write(a, "hello", 5), 5);
    read_all(b, heard, 5);
    assert_int_equal(line_child_counters(f->sim, LINE_A, &c), 0);
    assert_int_equal(c.sent, 5);
    assert_int_equal(c.heard, 5);
    assert_int_equal(line_child_counters(f->sim, LINE_B, &c), 0);
    assert_int_equal(c.sent, 0);
    close(a);
    close(b);
}

static void a_cut_line_carries_nothing_until_it_is_restored(void **state)
{
    struct fixture *f = *state;
    struct line_counters c = {0};
    char heard[8];
    int a = open_end(f->a), b = open_end(f->b);
    assert_int_equal(line_child_ask(f->sim, "cut", NULL, 0), 0);
    assert_int_equal(write(a, "lost", 4), 4);
    while (c.cut < 4)
        assert_int_equal(line_child_counters(f->sim, LINE_A, &c), 0);
    assert_int_equal(line_child_ask(f->sim, "restore", NULL, 0), 0);
    assert_int_equal(write(a, "here", 4), 4);
    read_all(b, heard, 4);
    assert_memory_equal(heard, "here", 4);
    close(a);
    close(b);
}

static void an_unplugged_end_hangs_up_and_comes_back_as_another_tty(void **state)
{
    struct fixture *f = *state;
    char before[128] = "", after[128] = "", heard[8];
    int a = open_end(f->a), b = open_end(f->b);
    assert_true(readlink(f->a, before, sizeof before - 1) > 0);
    assert_int_equal(line_child_ask(f->sim, "unplug a", NULL, 0), 0);
    struct pollfd p = {.fd = a, .events = POLLIN};
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    assert_true(p.revents & POLLHUP);
    assert_int_equal(access(f->a, F_OK), -1);
    int holds_the_name = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(line_child_ask(f->sim, "replug a", NULL, 0), 0);
    assert_true(readlink(f->a, after, sizeof after - 1) > 0);
    int again = open_end(f->a);
    assert_int_equal(write(again, "back", 4), 4);
    read_all(b, heard, 4);
    assert_memory_equal(heard, "back", 4);
    assert_string_not_equal(before, after);
    close(holds_the_name);
    close(again);
    close(a);
    close(b);
}

static void injected_bytes_reach_the_end(void **state)
{
    struct fixture *f = *state;
    char heard[8];
    int b = open_end(f->b);
    assert_int_equal(line_child_ask(f->sim, "inject b 424f4f54", NULL, 0), 0);
    read_all(b, heard, 4);
    assert_memory_equal(heard, "BOOT", 4);
    close(b);
}

static void wrong_commands_are_refused_in_words(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {
        "",           "fly",         "set a baud",  "set a wings 2", "set a baud -1",
        "inject a 4", "inject a zz", "inject c 00", "replug a",      "record a"};
    char answer[LINE_SIM_ANSWER_MAX];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(line_child_ask(f->sim, wrong[i], answer, sizeof answer), -EINVAL);
        assert_non_null(strstr(answer, "\"error\""));
    }
    assert_int_equal(line_child_ask(f->sim, "status", NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_byte_values_cross_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counters_tell_what_crossed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cut_line_carries_nothing_until_it_is_restored, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_unplugged_end_hangs_up_and_comes_back_as_another_tty,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(injected_bytes_reach_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_commands_are_refused_in_words, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
