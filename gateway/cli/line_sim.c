#include "gateway/cli/line_sim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* Arrived bytes are handed over at most this often, as a USB adapter gathers them: a wake-up for
 * each byte would cost more than the gateways under test. */
#define GATHER_US 2000

struct end {
    const char *link;
    int master, slave; /* -1: unplugged. The slave is kept open: a pty without one reads as EIO. */
    char device[64];
    uint64_t overrun; /* heard, but the tty's buffer was full */
    int record;       /* file that gets what this end says, or -1 */
};

struct sim {
    struct line_model *line;
    struct end ends[2];
    int in_fd, out_fd;
    char command[LINE_SIM_COMMAND_MAX];
    size_t command_len;
    bool skipping; /* the rest of a command that was too long */
    bool done;
    sigset_t while_waiting; /* the signal mask of ppoll: the only place where a stop is heard */
};

/* Set by SIGTERM and SIGINT, so that the links are removed. */
static volatile sig_atomic_t stop_asked;

static void on_stop(int signal_number)
{
    stop_asked = signal_number;
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A new pty for an end, raw from the start (set through the master: settings outlive the slave's
 * users), and the link turned to it in one step. */
static int plug(struct end *e)
{
    char temporary[512];
    struct termios raw;
    if (openpty(&e->master, &e->slave, e->device, NULL, NULL) != 0)
        return -errno;
    if (fcntl(e->master, F_SETFD, FD_CLOEXEC) != 0 || fcntl(e->slave, F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(e->master, F_SETFL, O_NONBLOCK) != 0 || tcgetattr(e->master, &raw) != 0)
        return -errno;
    cfmakeraw(&raw);
    if (tcsetattr(e->master, TCSANOW, &raw) != 0)
        return -errno;
    snprintf(temporary, sizeof temporary, "%s.new", e->link);
    unlink(temporary);
    if (symlink(e->device, temporary) != 0 || rename(temporary, e->link) != 0)
        return -errno;
    return 0;
}

static void unplug(struct end *e)
{
    unlink(e->link);
    if (e->slave >= 0)
        close(e->slave);
    if (e->master >= 0)
        close(e->master);
    e->master = e->slave = -1;
    snprintf(e->device, sizeof e->device, "-");
}

static void answer(struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void answer(struct sim *s, const char *fmt, ...)
{
    char text[LINE_SIM_ANSWER_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text - 1, fmt, ap);
    va_end(ap);
    if (n > (int)sizeof text - 2)
        n = (int)sizeof text - 2;
    text[n] = '\n';
    if (write(s->out_fd, text, (size_t)n + 1) < 0)
        s->done = true;
}

static int describe(struct sim *s, enum line_end which, char *out, size_t size)
{
    struct line_counters c;
    line_model_counters(s->line, which, &c);
    return snprintf(
        out, size,
        "{\"device\":\"%s\",\"sent\":%llu,\"heard\":%llu,\"damaged\":%llu,\"lost\":%llu,"
        "\"invented\":%llu,\"cut\":%llu,\"collided\":%llu,\"overrun\":%llu,"
        "\"waiting\":%zu,\"busy_us\":%lld}",
        s->ends[which].device, (unsigned long long)c.sent, (unsigned long long)c.heard,
        (unsigned long long)c.damaged, (unsigned long long)c.lost, (unsigned long long)c.invented,
        (unsigned long long)c.cut, (unsigned long long)c.collided,
        (unsigned long long)s->ends[which].overrun, line_model_waiting(s->line, which),
        (long long)c.busy_us);
}

static void answer_status(struct sim *s)
{
    char a[640], b[640];
    int64_t now = now_us();
    (void)line_model_room(s->line, LINE_A, now); /* brings the counters up to now */
    describe(s, LINE_A, a, sizeof a);
    describe(s, LINE_B, b, sizeof b);
    answer(s, "{\"ok\":true,\"now_us\":%lld,\"cut\":%s,\"half\":%s,\"a\":%s,\"b\":%s}",
           (long long)now, line_model_is_cut(s->line) ? "true" : "false",
           line_model_is_half_duplex(s->line) ? "true" : "false", a, b);
}

/* One `KEY VALUE` of set. Return: NULL, or what is wrong. */
static const char *set_quality(struct line_quality *q, const char *key, const char *value)
{
    char *end;
    double v = strtod(value, &end);
    if (end == value || *end != '\0' || v < 0 || v > 4e9)
        return "the value is not a number of 0 .. 4e9";
    struct {
        const char *key;
        uint32_t *field;
        double scale;
    } rows[] = {{"baud", &q->baud, 1},
                {"delay_ms", &q->delay_us, 1e3},
                {"ber", &q->bit_error_ppb, 1e9},
                {"loss", &q->loss_ppb, 1e9},
                {"insert", &q->insert_ppb, 1e9},
                {"burst", &q->burst_ppb, 1e9},
                {"burst_bytes", &q->burst_bytes, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(key, rows[i].key) != 0)
            continue;
        if (v * rows[i].scale > 4e9)
            return "the value is too large";
        *rows[i].field = (uint32_t)(v * rows[i].scale + 0.5);
        return NULL;
    }
    return "unknown key: baud, delay_ms, ber, loss, insert, burst, burst_bytes";
}

static const char *command_set(struct sim *s, const char *who, char **words)
{
    struct line_quality q[2];
    bool both = strcmp(who, "both") == 0;
    for (int end = 0; end < 2; end++) {
        char name[2] = {(char)('a' + end), '\0'};
        line_model_get(s->line, end, &q[end]);
        if (!both && strcmp(who, name) != 0)
            continue;
        for (char **w = words; *w != NULL; w += 2) {
            const char *wrong =
                w[1] == NULL ? "a key without a value" : set_quality(&q[end], w[0], w[1]);
            if (wrong != NULL)
                return wrong;
        }
    }
    line_model_set(s->line, LINE_A, &q[LINE_A]);
    line_model_set(s->line, LINE_B, &q[LINE_B]);
    return NULL;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

static const char *command_inject(struct sim *s, enum line_end at, const char *hex)
{
    uint8_t bytes[LINE_SIM_COMMAND_MAX / 2];
    size_t n = 0;
    for (; hex[0] != '\0'; hex += 2) {
        int high = hex_digit(hex[0]), low = high < 0 ? -1 : hex_digit(hex[1]);
        if (low < 0)
            return "not pairs of lower-case hex digits";
        bytes[n++] = (uint8_t)(high << 4 | low);
    }
    return line_model_inject(s->line, at, bytes, n, now_us()) == n ? NULL : "no room in flight";
}

static const char *command_record(struct end *e, const char *path)
{
    if (e->record >= 0)
        close(e->record);
    e->record = -1;
    if (strcmp(path, "off") == 0)
        return NULL;
    e->record = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return e->record >= 0 ? NULL : strerror(errno);
}

static const char *command_plug(struct sim *s, enum line_end end, bool in)
{
    struct end *e = &s->ends[end];
    if (in == (e->master >= 0))
        return in ? "it is plugged in" : "it is not plugged in";
    if (!in) {
        unplug(e);
        line_model_unplug(s->line, end, now_us());
        return NULL;
    }
    int rc = plug(e);
    if (rc == 0)
        return NULL;
    unplug(e);
    return strerror(-rc);
}

/* Carries out one command. Return: NULL, or what is wrong with it. */
static const char *obey(struct sim *s, char *text)
{
    char *words[32] = {0}, *save;
    size_t n = 0;
    for (char *w = strtok_r(text, " ", &save); w != NULL && n < 31; w = strtok_r(NULL, " ", &save))
        words[n++] = w;
    const char *verb = n > 0 ? words[0] : "";
    if (strcmp(verb, "quit") == 0)
        s->done = true;
    else if (strcmp(verb, "cut") == 0 || strcmp(verb, "restore") == 0)
        line_model_cut(s->line, verb[0] == 'c');
    else if (strcmp(verb, "set") == 0 && n >= 4)
        return command_set(s, words[1], words + 2);
    else if (strcmp(verb, "duplex") == 0 && n == 2)
        line_model_half_duplex(s->line, strcmp(words[1], "half") == 0);
    else if (n >= 2 && (strcmp(words[1], "a") == 0 || strcmp(words[1], "b") == 0)) {
        enum line_end end = words[1][0] == 'a' ? LINE_A : LINE_B;
        if (strcmp(verb, "inject") == 0 && n == 3)
            return command_inject(s, end, words[2]);
        if (strcmp(verb, "record") == 0 && n == 3)
            return command_record(&s->ends[end], words[2]);
        if (strcmp(verb, "unplug") == 0 || strcmp(verb, "replug") == 0)
            return command_plug(s, end, verb[0] == 'r');
        return "unknown command";
    } else if (strcmp(verb, "status") != 0)
        return "unknown command";
    return NULL;
}

static void on_command_line(struct sim *s)
{
    const char *wrong = s->skipping ? "the line is too long" : NULL;
    s->command[s->command_len] = '\0';
    if (wrong == NULL)
        wrong = obey(s, s->command);
    s->command_len = 0;
    s->skipping = false;
    if (wrong != NULL)
        answer(s, "{\"ok\":false,\"error\":\"%s\"}", wrong);
    else
        answer_status(s);
}

static void on_commands(struct sim *s)
{
    char bytes[4096];
    ssize_t n = read(s->in_fd, bytes, sizeof bytes);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        s->done = true;
    for (ssize_t i = 0; i < n && !s->done; i++) {
        if (bytes[i] == '\n')
            on_command_line(s);
        else if (s->command_len == sizeof s->command - 1)
            s->skipping = true;
        else
            s->command[s->command_len++] = bytes[i];
    }
}

/* Takes what the end's user wrote, as much as its transmit queue holds: the rest waits in the
 * kernel. */
static void listen_to(struct sim *s, enum line_end end)
{
    struct end *e = &s->ends[end];
    uint8_t bytes[LINE_QUEUE_BYTES];
    int64_t now = now_us();
    size_t room = line_model_room(s->line, end, now);
    ssize_t n = room == 0 ? 0 : read(e->master, bytes, room);
    if (n <= 0)
        return;
    if (e->record >= 0 && write(e->record, bytes, (size_t)n) != n)
        (void)command_record(e, "off");
    line_model_say(s->line, end, bytes, (size_t)n, now);
}

/* Hands over what has arrived. A full tty loses it, as a UART does that nobody reads. */
static void speak_to(struct sim *s, enum line_end end)
{
    struct end *e = &s->ends[end];
    uint8_t bytes[4096];
    for (;;) {
        size_t n = line_model_hear(s->line, end, bytes, sizeof bytes, now_us());
        if (n == 0)
            return;
        ssize_t done = e->master < 0 ? 0 : write(e->master, bytes, n);
        e->overrun += n - (done > 0 ? (size_t)done : 0);
    }
}

static void turn(struct sim *s)
{
    struct pollfd fds[3] = {{.fd = s->in_fd, .events = POLLIN}};
    int64_t now = now_us(), next = line_model_next_us(s->line, now);
    int64_t wait_us = -1;
    if (next != INT64_MAX) {
        wait_us = next - now;
        if (wait_us < GATHER_US)
            wait_us = GATHER_US;
    }
    for (int end = 0; end < 2; end++) {
        bool full = line_model_room(s->line, end, now) == 0;
        fds[1 + end].fd = s->ends[end].master;
        fds[1 + end].events = full ? 0 : POLLIN;
    }
    struct timespec wait = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
    if (ppoll(fds, 3, wait_us < 0 ? NULL : &wait, &s->while_waiting) < 0 && errno != EINTR)
        s->done = true;
    for (int end = 0; end < 2 && !s->done; end++) {
        if (fds[1 + end].revents & POLLIN)
            listen_to(s, end);
        speak_to(s, 1 - end);
    }
    if (fds[0].revents != 0)
        on_commands(s);
}

/* SIGTERM and SIGINT end the loop, but only inside ppoll, so that none is missed. An ignored
 * SIGINT stays so: the demo's Ctrl-C is its parent's business. */
static void hear_signals(struct sim *s)
{
    struct sigaction act = {.sa_handler = on_stop}, old;
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigprocmask(SIG_BLOCK, &stops, &s->while_waiting);
    sigdelset(&s->while_waiting, SIGTERM);
    sigdelset(&s->while_waiting, SIGINT);
    sigaction(SIGTERM, &act, NULL);
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(SIGINT, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int line_sim_run(const char *link_a, const char *link_b, uint64_t seed, int in_fd, int out_fd)
{
    struct sim s = {.in_fd = in_fd, .out_fd = out_fd};
    s.ends[LINE_A] = (struct end){.link = link_a, .master = -1, .slave = -1, .record = -1};
    s.ends[LINE_B] = (struct end){.link = link_b, .master = -1, .slave = -1, .record = -1};
    hear_signals(&s);
    int rc = -ENOMEM;
    s.line = line_model_new(seed);
    if (s.line == NULL)
        goto out;
    for (int end = 0; end < 2; end++) {
        rc = plug(&s.ends[end]);
        if (rc != 0) {
            fprintf(stderr, "line_sim: %s: %s\n", s.ends[end].link, strerror(-rc));
            goto out;
        }
    }
    answer_status(&s); /* says that the links are there */
    while (!s.done && !stop_asked)
        turn(&s);
out:
    for (int end = 0; end < 2; end++) {
        unplug(&s.ends[end]);
        if (s.ends[end].record >= 0)
            close(s.ends[end].record);
    }
    line_model_free(s.line);
    return rc;
}
