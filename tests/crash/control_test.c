/* The control socket while each allocation and socket call of the daemon's end fails once: it comes up or says which
 * socket could not be made, a client gets the whole answer or a closed connection, the next one is served, and neither
 * memory nor descriptors are left. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include <event2/event.h>
#include "gateway/daemon/control.h"
#include "tests/crash/fault.h"

#define ANSWER "{\"site\":\"x\"}\n"

static char folder[64], store_path[80];
static char site[] = "longwire-crash-none";
static struct config config = {.site_name = site, .store = {.path = store_path}};

static int enter(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/longwire-crash-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(store_path, sizeof store_path, "%s/s", folder);
    return 0;
}

static int leave(void **state)
{
    return rmdir(folder);
}

static char *status(void *ctx)
{
    return strdup("{\"site\":\"x\"}");
}

static int lowest_free_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static int ask(const struct config *c)
{
    for (int second = 0; second < 2; second++) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        assert_int_equal(control_path(c, second, a.sun_path), 0);
        if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
            return fd;
        close(fd);
    }
    return -1;
}

/* One client. with_fault: only what the daemon does counts. Return: it got the whole answer. */
static bool serve(struct event_base *base, bool with_fault)
{
    char got[64];
    int fd = ask(&config);
    assert_true(fd >= 0);
    for (int i = 0; i < 4; i++) {
        if (with_fault)
            fault_enter();
        event_base_loop(base, EVLOOP_NONBLOCK);
        if (with_fault)
            fault_leave();
    }
    ssize_t n = recv(fd, got, sizeof got, 0);
    close(fd);
    assert_true(n <= 0 || (n == (ssize_t)strlen(ANSWER) && memcmp(got, ANSWER, (size_t)n) == 0));
    return n > 0;
}

static bool try_once(const struct fault *f)
{
    char err[200] = "";
    size_t blocks = fault_live_blocks();
    struct event_base *base = event_base_new();
    int fd = lowest_free_fd();
    fault_arm(f);
    fault_enter();
    struct control *c = control_new(base, &config, status, NULL, err, sizeof err);
    fault_leave();
    if (c)
        (void)serve(base, true);
    bool met = fault_disarm();
    if (!c && !strstr(err, "control socket") && !strstr(err, "out of memory"))
        fail_msg("%s %u: it does not say what failed: \"%s\"", fault_names[f->kind], f->at, err);
    if (c && !serve(base, false))
        fail_msg("%s %u: the next client is not served", fault_names[f->kind], f->at);
    control_free(c);
    assert_int_equal(lowest_free_fd(), fd);
    event_base_free(base);
    if (fault_live_blocks() != blocks)
        fail_msg("%s %u: %zu blocks are left", fault_names[f->kind], f->at, fault_live_blocks() - blocks);
    return met;
}

static void rise(enum fault_kind kind, int error)
{
    struct fault f = {.kind = kind, .error = error, .at = fault_first()};
    while (try_once(&f))
        f.at++;
    assert_true(f.at > 1);
    print_message("# %s: %u places\n", fault_names[kind], f.at - 1);
}

static void clients_are_served_after_each_failed_socket_call(void **state)
{
    rise(FAULT_SOCKET, EMFILE);
}

static void clients_are_served_after_each_failed_allocation(void **state)
{
    rise(FAULT_ALLOC, ENOMEM);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(clients_are_served_after_each_failed_socket_call),
        cmocka_unit_test(clients_are_served_after_each_failed_allocation),
    };
    fault_init();
    event_set_mem_functions(malloc, realloc, free);
    return cmocka_run_group_tests(cases, enter, leave);
}
