/* Both ends of the control socket: [what] bytes. A client may send anything, or leave, and gets its answer or none; and
 * `longwire status` takes any answer of whoever holds the socket. */
#include "tests/fuzz/fuzz.h"
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/event.h>
#include "gateway/daemon/control.h"

#define STATUS "{\"site\":\"x\"}"

static char folder[64], store_path[96], site[] = "longwire-fuzz-none";

static void leave(void)
{
    rmdir(folder);
}

static void enter(void)
{
    if (folder[0])
        return;
    snprintf(folder, sizeof folder, "/tmp/longwire-control-XXXXXX");
    FUZZ_MUST(mkdtemp(folder));
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    snprintf(store_path, sizeof store_path, "%s/s", folder);
    atexit(leave);
}

static char *status(void *ctx)
{
    return *(uint8_t *)ctx & 4 ? NULL : strdup(STATUS);
}

static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    FUZZ_MUST(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The daemon's end: what a client sends is no concern of it. */
static void ask_with(const struct config *c, uint8_t what, const uint8_t *bytes, size_t n)
{
    char err[200], path[CONTROL_PATH_MAX], answer[64] = "";
    struct event_base *base = event_base_new();
    struct control *control = control_new(base, c, status, &what, err, sizeof err);
    FUZZ_MUST(base && control);
    FUZZ_MUST(control_path(c, 0, path) == 0);
    int fd = connect_to(path);
    if (fd < 0) {
        FUZZ_MUST(control_path(c, 1, path) == 0);
        fd = connect_to(path);
    }
    FUZZ_MUST(fd >= 0);
    ssize_t sent = n > 0 ? send(fd, bytes, n, MSG_NOSIGNAL) : 0;
    (void)sent;
    if (what & 2)
        shutdown(fd, SHUT_WR);
    if (what & 8) {
        close(fd);
        fd = -1;
    }
    for (int i = 0; i < 4; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    if (fd >= 0) {
        ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
        FUZZ_MUST(what & 4 || (got == (ssize_t)strlen(STATUS) + 1 && strncmp(answer, STATUS, strlen(STATUS)) == 0));
        close(fd);
    }
    control_free(control);
    event_base_free(base);
}

/* The client's end: somebody else listens, and says what it likes. */
struct stranger {
    int fd;
    const uint8_t *bytes;
    size_t n;
};

static void *be_strange(void *arg)
{
    struct stranger *s = arg;
    int client = accept(s->fd, NULL, NULL);
    FUZZ_MUST(client >= 0);
    ssize_t sent = s->n > 0 ? send(client, s->bytes, s->n, MSG_NOSIGNAL) : 0;
    (void)sent;
    close(client);
    return NULL;
}

static void answer_with(const struct config *c, const uint8_t *bytes, size_t n)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stranger s = {socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), bytes, n};
    pthread_t thread;
    char *answer = NULL;
    FUZZ_MUST(s.fd >= 0 && control_path(c, 1, a.sun_path) == 0);
    unlink(a.sun_path);
    FUZZ_MUST(bind(s.fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(s.fd, 1) == 0);
    FUZZ_MUST(pthread_create(&thread, NULL, be_strange, &s) == 0);
    int rc = control_ask(c, &answer);
    pthread_join(thread, NULL);
    FUZZ_MUST(rc <= 0 && (rc == 0) == (n > 0));
    if (rc == 0)
        FUZZ_MUST(strlen(answer) <= n && memcmp(answer, bytes, strlen(answer)) == 0);
    free(answer);
    close(s.fd);
    unlink(a.sun_path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enter();
    struct config c = {.site_name = site, .store = {.path = store_path}};
    struct reader r = reader_of(data, size);
    uint8_t what = read_u8(&r);
    size_t n;
    uint8_t *bytes = fuzz_take(&r, 65536, &n);
    if (what & 1)
        answer_with(&c, bytes, n);
    else
        ask_with(&c, what, bytes, n);
    free(bytes);
    return 0;
}
