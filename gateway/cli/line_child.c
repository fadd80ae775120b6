#include "gateway/cli/line_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/cli/line_sim.h"

#define ANSWER_TIMEOUT_MS 2000

struct line_child {
    pid_t pid;
    int fd; /* commands out, answers in */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads one line. Return: 0; -ETIMEDOUT; -EPIPE. */
static int read_answer(int fd, char *out, size_t size)
{
    const int64_t until = now_ms() + ANSWER_TIMEOUT_MS;
    size_t n = 0;
    while (n < size - 1) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left_ms = until - now_ms();
        int ready = left_ms <= 0 ? 0 : poll(&p, 1, (int)left_ms);
        if (ready == 0)
            return -ETIMEDOUT;
        ssize_t got = ready < 0 ? -1 : read(fd, out + n, size - 1 - n);
        if (got == 0 || (got < 0 && errno != EINTR))
            return -EPIPE;
        n += got > 0 ? (size_t)got : 0;
        if (n > 0 && out[n - 1] == '\n')
            break;
    }
    out[n > 0 ? n - 1 : 0] = '\0';
    return 0;
}

/* The child's life. It keeps nothing of its parent's but the socket and stderr. */
static _Noreturn void child_main(const char *link_a, const char *link_b, uint64_t seed, int fd, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0);
    signal(SIGINT, SIG_IGN);
    if (fd != 3)
        fd = dup2(fd, 3);
    if (fd != 3 || close_range(4, ~0u, 0) != 0)
        _exit(1);
    _exit(line_sim_run(link_a, link_b, seed, fd, fd) == 0 ? 0 : 1);
}

int line_child_start(struct line_child **out, const char *link_a, const char *link_b, uint64_t seed)
{
    char ready[LINE_SIM_ANSWER_MAX];
    int pair[2];
    *out = NULL;
    struct line_child *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        int rc = -errno;
        free(s);
        return rc;
    }
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        free(s);
        child_main(link_a, link_b, seed, pair[1], parent);
    }
    s->pid = child;
    int rc = child < 0 ? -errno : 0;
    close(pair[1]);
    s->fd = pair[0];
    if (rc == 0)
        rc = read_answer(s->fd, ready, sizeof ready);
    if (rc != 0) {
        line_child_stop(s);
        return rc;
    }
    *out = s;
    return 0;
}

int line_child_ask(struct line_child *s, const char *command, char *answer_out, size_t size)
{
    char line[LINE_SIM_COMMAND_MAX], text[LINE_SIM_ANSWER_MAX];
    int n = snprintf(line, sizeof line, "%s\n", command);
    if (n < 0 || (size_t)n >= sizeof line)
        return -EINVAL;
    if (send(s->fd, line, (size_t)n, MSG_NOSIGNAL) != n)
        return -EPIPE;
    int rc = read_answer(s->fd, text, sizeof text);
    if (rc != 0)
        return rc;
    if (answer_out != NULL)
        snprintf(answer_out, size, "%s", text);
    return strncmp(text, "{\"ok\":true", 10) == 0 ? 0 : -EINVAL;
}

static uint64_t number_of(const char *json, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    return at == NULL ? 0 : strtoull(at + strlen(quoted), NULL, 10);
}

int line_child_counters(struct line_child *s, enum line_end from, struct line_counters *out)
{
    char text[LINE_SIM_ANSWER_MAX];
    memset(out, 0, sizeof *out);
    int rc = line_child_ask(s, "status", text, sizeof text);
    const char *json = rc != 0 ? NULL : strstr(text, from == LINE_A ? "\"a\":{" : "\"b\":{");
    if (json == NULL)
        return rc != 0 ? rc : -EINVAL;
    out->sent = number_of(json, "sent");
    out->heard = number_of(json, "heard");
    out->damaged = number_of(json, "damaged");
    out->lost = number_of(json, "lost");
    out->invented = number_of(json, "invented");
    out->cut = number_of(json, "cut");
    out->collided = number_of(json, "collided");
    out->busy_us = (int64_t)number_of(json, "busy_us");
    return 0;
}

void line_child_stop(struct line_child *s)
{
    if (s == NULL)
        return;
    close(s->fd); /* end of input: it removes its links and ends */
    if (s->pid > 0)
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    free(s);
}
