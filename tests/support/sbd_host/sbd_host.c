/* The iridium-sbd driver alone, in real time, for tests that bring a modem of their own (tests/emulator).
 *
 * usage: sbd_host DEVICE NOTE_FILE TIME_SCALE [POLL_MS CHECK_MS MIN_INTERVAL_MS BAUD]
 *
 * stdin, a line each: "send TOKEN HEX" (kept until there is room), "reset". The end of stdin ends it.
 * stdout: "up WHY", "down WHY", "connecting WHY", "sent TOKEN done|failed|unknown", "frame HEX",
 * "trace LEVEL WORDS", "report JSON". What was delivered is on disk at once, as far as the driver can tell. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "link_drivers/iridium_sbd.h"

#define LINE_MAX_BYTES 8192

static struct {
    struct link_host host;
    struct sbd_options options;
    void *ctx;
    int fd;
    unsigned events;
    int64_t timer_ms;
    const char *note_path;
    bool commit_due;
    char line[LINE_MAX_BYTES]; /* of stdin */
    size_t line_len;
    bool waiting; /* a frame for the driver: */
    uint64_t token;
    uint8_t frame[2048];
    size_t frame_n;
} g = {.fd = -1, .timer_ms = INT64_MAX};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void host_watch(struct link_host *h, int fd, unsigned events)
{
    g.fd = events ? fd : -1;
    g.events = events;
}

static void host_timer(struct link_host *h, int64_t at_ms)
{
    g.timer_ms = at_ms;
}

static void host_deliver(struct link_host *h, station_t station, const uint8_t *bytes, size_t n)
{
    printf("frame ");
    for (size_t i = 0; i < n; i++)
        printf("%02x", bytes[i]);
    printf("\n");
    g.commit_due = true;
}

static void host_sent(struct link_host *h, station_t station, uint64_t token, enum send_outcome outcome)
{
    static const char *const words[] = {"done", "failed", "unknown"};
    printf("sent %llu %s\n", (unsigned long long)token, words[outcome]);
}

static void host_writable(struct link_host *h, station_t station)
{
}

static void host_state(struct link_host *h, station_t station, enum link_state state, const char *why)
{
    static const char *const words[] = {"down", "connecting", "up"};
    printf("%s %s\n", words[state], why);
}

static void host_trace(struct link_host *h, int level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("trace %d ", level);
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
}

static uint32_t host_random(struct link_host *h)
{
    return (uint32_t)random();
}

static int host_note_write(struct link_host *h, const void *bytes, size_t n)
{
    char name[512];
    snprintf(name, sizeof(name), "%s.new", g.note_path);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, bytes, n) == (ssize_t)n && rename(name, g.note_path) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    return good ? 0 : -error;
}

static size_t host_note_read(struct link_host *h, uint8_t bytes[LINK_NOTE_MAX])
{
    int fd = open(g.note_path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, bytes, LINK_NOTE_MAX) : 0;
    if (fd >= 0)
        close(fd);
    return n > 0 ? (size_t)n : 0;
}

static void host_report(struct link_host *h, station_t station, const char *json, bool publish)
{
    printf("report %s\n", json);
}

static const struct link_host_ops ops = {
    .watch = host_watch,
    .timer = host_timer,
    .deliver = host_deliver,
    .sent = host_sent,
    .writable = host_writable,
    .state = host_state,
    .trace = host_trace,
    .random = host_random,
    .note_write = host_note_write,
    .note_read = host_note_read,
    .report = host_report,
};

static void on_line(char *line)
{
    unsigned long long token;
    int at = 0;
    if (strcmp(line, "reset") == 0)
        sbd_driver.reset(g.ctx, STATION_NONE, "reset by the test", now_ms());
    if (sscanf(line, "send %llu %n", &token, &at) != 1 || at == 0)
        return;
    g.token = token;
    g.frame_n = strlen(line + at) / 2;
    assert(g.frame_n <= sizeof(g.frame));
    for (size_t i = 0; i < g.frame_n; i++) {
        char two[3] = {line[at + 2 * (int)i], line[at + 2 * (int)i + 1], '\0'};
        g.frame[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    g.waiting = true;
}

/* Return: false at the end of stdin. */
static bool read_stdin(void)
{
    ssize_t n = read(0, g.line + g.line_len, sizeof(g.line) - 1 - g.line_len);
    if (n <= 0)
        return false;
    g.line_len += (size_t)n;
    g.line[g.line_len] = '\0';
    for (char *end; (end = strchr(g.line, '\n'));) {
        *end = '\0';
        on_line(g.line);
        g.line_len -= (size_t)(end + 1 - g.line);
        memmove(g.line, end + 1, g.line_len + 1);
    }
    return true;
}

static void offer(void)
{
    if (!g.waiting || sbd_driver.room(g.ctx, STATION_NONE, now_ms()) == 0)
        return;
    if (sbd_driver.send(g.ctx, STATION_NONE, g.frame, g.frame_n, g.token, false, now_ms()) == 0)
        g.waiting = false;
}

/* Return: false at the end of stdin. */
static bool turn(void)
{
    int64_t wait = g.timer_ms == INT64_MAX ? 1000 : g.timer_ms - now_ms();
    struct pollfd fds[2] = {{0, POLLIN, 0}, {g.fd, 0, 0}};
    fds[1].events = (short)((g.events & WATCH_READ ? POLLIN : 0) | (g.events & WATCH_WRITE ? POLLOUT : 0));
    poll(fds, 2, wait < 0 ? 0 : wait > 1000 ? 1000 : (int)wait);
    if (fds[1].revents && g.fd == fds[1].fd)
        sbd_driver.on_fd(g.ctx, g.fd,
                         fds[1].revents & (POLLHUP | POLLERR) ? g.events
                                                              : (fds[1].revents & POLLIN ? WATCH_READ : 0u) |
                                                                    (fds[1].revents & POLLOUT ? WATCH_WRITE : 0u),
                         now_ms());
    if (now_ms() >= g.timer_ms) {
        g.timer_ms = INT64_MAX;
        sbd_driver.on_timer(g.ctx, now_ms());
    }
    if (g.commit_due) {
        g.commit_due = false;
        sbd_driver.committed(g.ctx, now_ms());
    }
    offer();
    return !(fds[0].revents & (POLLIN | POLLHUP)) || read_stdin();
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: sbd_host DEVICE NOTE_FILE TIME_SCALE [POLL_MS CHECK_MS MIN_INTERVAL_MS BAUD]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    srandom((unsigned)getpid());
    g.note_path = argv[2];
    g.options = (struct sbd_options){.device = argv[1],
                                     .baud = argc > 7 ? atoll(argv[7]) : 19200,
                                     .hold_ms = 900000,
                                     .ack_max_age_ms = 21600000,
                                     .credit_bytes = 50,
                                     .poll_ms = argc > 4 ? atoll(argv[4]) : 0,
                                     .check_ms = argc > 5 ? atoll(argv[5]) : 600000,
                                     .min_interval_ms = argc > 6 ? atoll(argv[6]) : 10000,
                                     .session_timeout_ms = 90000,
                                     .time_scale = atoll(argv[3])};
    g.host = (struct link_host){.ops = &ops, .metered = true};
    g.ctx = calloc(1, sbd_driver.ctx_size);
    assert(g.ctx && sbd_driver.init(g.ctx, &g.options, &g.host) == 0);
    sbd_driver.start(g.ctx, now_ms());
    while (turn())
        ;
    sbd_driver.stop(g.ctx, now_ms());
    sbd_driver.fini(g.ctx);
    free(g.ctx);
    return 0;
}
