/* `longwire probe DEVICE`: which modem answers on a serial port, at which rate, and how it stands.
 * Free of charge: no session, no registration; and nothing is changed that outlasts the modem's
 * power.
 *
 * A loop of its own that waits: nothing else runs in this process. */
#include "gateway/cli/probe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "gateway/cli/commands.h"
#include "link_drivers/at_chat.h"
#include "link_drivers/serial_port.h"

#define WAKE_MS    700
#define WAKE_TRIES 2 /* a rate: the first may complete what somebody had typed */
#define ANSWER_MS  5000
#define SEARCH_MS  12000 /* +CSQ while the modem searches */
#define HUSH_MS    150
#define TAIL_MS    2000
/* Lines of text that are no answers: at so many the rate is right, and the device another one. */
#define FOREIGN_LINES 3
#define FOREIGN_MIN   8 /* characters: shorter ones may be our own, come back, or chance */
#define FOREIGN_MAX   60

struct probe {
    struct serial_port port;
    struct at_chat chat;
    bool gone;
    /* What came at this rate, whatever it was: */
    size_t heard;
    bool readable; /* the line under way, so far */
    size_t line_n;
    char line[FOREIGN_MAX + 1], foreign[FOREIGN_MAX + 1];
    unsigned foreign_lines;
};

static void overhear(struct probe *p, const uint8_t *bytes, size_t n)
{
    p->heard += n;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\r' || bytes[i] == '\n') {
            p->line[p->line_n] = '\0';
            if (p->readable && p->line_n >= FOREIGN_MIN && strncmp(p->line, "AT", 2) != 0) {
                p->foreign_lines++;
                memcpy(p->foreign, p->line, sizeof(p->foreign));
            }
            p->readable = true;
            p->line_n = 0;
        } else if (bytes[i] < 0x20 || bytes[i] > 0x7e) {
            p->readable = false;
        } else if (p->line_n < FOREIGN_MAX) {
            p->line[p->line_n++] = (char)bytes[i];
        }
    }
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for the port once. Return: whether the answer is there. */
static bool turn(struct probe *p)
{
    if (p->chat.out.len > 0) {
        ssize_t put = serial_port_write(&p->port, buf_bytes(&p->chat.out), p->chat.out.len);
        p->gone = put < 0;
        if (put > 0)
            buf_consume(&p->chat.out, (size_t)put);
    }
    int64_t wait = at_chat_deadline(&p->chat) - now_ms();
    struct pollfd fd = {.fd = p->port.fd,
                        .events = (short)(POLLIN | (p->chat.out.len > 0 ? POLLOUT : 0))};
    if (!p->gone && poll(&fd, 1, wait < 0 ? 0 : (int)wait) > 0 &&
        (fd.revents & (POLLIN | POLLHUP | POLLERR))) {
        uint8_t bytes[256];
        const uint8_t *at = bytes;
        ssize_t got = serial_port_read(&p->port, bytes, sizeof(bytes));
        p->gone = got < 0 || (fd.revents & (POLLHUP | POLLERR));
        size_t n = got > 0 ? (size_t)got : 0;
        overhear(p, bytes, n);
        for (enum at_event e; (e = at_chat_feed(&p->chat, &at, &n, now_ms())) != AT_NOTHING;)
            if (e == AT_ANSWER)
                return true;
    }
    return p->gone || at_chat_on_time(&p->chat, now_ms()) == AT_ANSWER;
}

static bool ask(struct probe *p, const struct at_request *request)
{
    at_chat_ask(&p->chat, request, now_ms());
    while (!turn(p))
        ;
    if (p->gone)
        at_chat_reset(&p->chat);
    return !p->gone && p->chat.outcome == AT_OK;
}

/* Return: the wanted line of the answer, "" when there is none. */
static const char *line_of(struct probe *p, const char *command, const char *info,
                           int64_t timeout_ms)
{
    struct at_request r = {.command = command,
                           .info = info,
                           .info_may_miss = true,
                           .timeout_ms = timeout_ms,
                           .tail_ms = TAIL_MS};
    return ask(p, &r) ? p->chat.info : "";
}

static const char *after_colon(const char *line)
{
    const char *colon = strchr(line, ':');
    line = colon ? colon + 1 : line;
    return line + strspn(line, " ");
}

static bool wakes(struct probe *p)
{
    static const struct at_request hush = {.form = AT_HUSH, .timeout_ms = HUSH_MS};
    static const struct at_request wake = {.command = "ATQ0", .timeout_ms = WAKE_MS};
    for (int i = 0; i < WAKE_TRIES && !p->gone; i++) {
        (void)ask(p, &hush);
        if (!p->gone && (ask(p, &wake) || (!p->gone && p->chat.outcome == AT_ERROR)))
            return ask(p, &hush);
    }
    return false;
}

/* Return: the rate at which something answers, 0 = at none. Ends early where something speaks text
 * that is no answer: p->foreign. */
static unsigned find_rate(struct probe *p)
{
    static const uint32_t rates[] = {19200, 9600, 38400, 115200, 4800, 2400, 1200, 57600, 600};
    char why[SERIAL_PORT_WHY_BYTES];
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]) && !p->gone; i++) {
        struct tty_mode mode = {.baud = rates[i], .stop_bits = 1};
        if (tty_mode_set(p->port.fd, &mode, why, sizeof(why)) < 0)
            continue;
        p->readable = false; /* it may begin in the midst of a line */
        p->line_n = p->foreign_lines = 0;
        if (wakes(p))
            return rates[i];
        fprintf(stderr, "longwire: no answer at %u baud\n", rates[i]);
        if (p->foreign_lines >= FOREIGN_LINES)
            return 0;
    }
    return 0;
}

static void tell(const char *what, const char *value)
{
    printf("%-10s %s\n", what, *value ? value : "not told");
}

static void tell_signal(struct probe *p)
{
    long bars;
    const char *line = line_of(p, "AT+CSQF", "+CSQ", ANSWER_MS); /* the last value, at once */
    if (at_numbers(line, &bars, 1) != 1)
        line = line_of(p, "AT+CSQ", "+CSQ", SEARCH_MS);
    if (at_numbers(line, &bars, 1) == 1)
        printf("%-10s %ld of 5\n", "signal", bars);
    else
        tell("signal", "");
}

static void tell_buffers(struct probe *p)
{
    long v[6] = {0};
    if (at_numbers(line_of(p, "AT+SBDSX", "+SBDSX", ANSWER_MS), v, 6) < 4) {
        tell("buffers", "not told: is this an SBD modem?");
        return;
    }
    printf("%-10s outgoing %s, incoming %s\n", "buffers", v[0] == 1 ? "holds a message" : "empty",
           v[2] == 1 ? "holds an unread message" : "empty");
    printf("%-10s MOMSN %ld; ring %s; %ld waiting at the gateway as of the last session\n",
           "sessions", v[1], v[4] == 1 ? "pending" : "none", v[5]);
}

static void tell_modem(struct probe *p, unsigned rate)
{
    printf("%-10s %s at %u baud\n", "device", p->port.path, rate);
    tell("model", line_of(p, "AT+CGMM", "", ANSWER_MS));
    tell("firmware", after_colon(line_of(p, "AT+CGMR", "Call Processor Version", ANSWER_MS)));
    tell("IMEI", line_of(p, "AT+CGSN", "", ANSWER_MS));
    tell_signal(p);
    tell_buffers(p);
    tell("network", after_colon(line_of(p, "AT-MSSTM", "-MSSTM", ANSWER_MS)));
}

int command_probe(const char *device)
{
    struct probe p = {0};
    struct tty_mode mode = {.baud = 19200, .stop_bits = 1};
    char why[SERIAL_PORT_WHY_BYTES];
    serial_port_init(&p.port);
    if (serial_port_open(&p.port, device, &mode, why) < 0) {
        fprintf(stderr, "longwire: %s\n", why);
        return EXIT_FAILED;
    }
    at_chat_init(&p.chat);
    unsigned rate = find_rate(&p);
    if (rate > 0)
        tell_modem(&p, rate);
    if (p.gone)
        fprintf(stderr, "longwire: %s is gone (unplugged?)\n", p.port.path);
    else if (rate == 0 && p.foreign_lines >= FOREIGN_LINES)
        fprintf(stderr,
                "longwire: %s is another device, which speaks and does not answer to AT: \"%s\"\n",
                p.port.path, p.foreign);
    else if (rate == 0)
        fprintf(stderr, "longwire: nothing on %s answers to AT%s\n", p.port.path,
                p.heard > 0 ? "; what comes from it is not readable at any rate" : "");
    at_chat_fini(&p.chat);
    serial_port_close(&p.port);
    return rate > 0 && !p.gone ? EXIT_DONE : EXIT_FAILED;
}
