#include "link_drivers/serial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "link_drivers/line_clock.h"
#include "link_drivers/link_report.h"
#include "link_drivers/retry.h"
#include "link_drivers/serial_port.h"

/* Read at most this much an event: other links of the loop want their turn. */
#define READ_BYTES     4096
#define READS_AN_EVENT 4

struct serial {
    const struct serial_options *options;
    struct link_host *host;
    struct serial_port port;
    struct line_clock clock;
    struct buf pending; /* accepted, and not yet taken by the kernel */
    struct link_report report;
    bool started;
    bool short_of_room;  /* the host was told 0: it is owed a `writable` */
    unsigned failures;   /* in a row */
    int64_t retry_at_ms; /* when closed */
    int64_t up_since_ms;
    size_t held_bytes;     /* flow control: what was not sent when last looked at ... */
    int64_t held_since_ms; /* ... since when it is that much ... */
    bool stop_told;        /* ... and whether that was said */
    uint64_t bytes_in, bytes_out;
};

/* Where the line goes on in the air, the radio's own rate is what the line really carries; it drops
 * start and stop bits. */
static void serial_init_clock(struct serial *s)
{
    const struct serial_options *o = s->options;
    unsigned bits = 1 + 8 + (o->parity != TTY_PARITY_NONE) + (o->stop ? 2 : 1);
    size_t frame =
        o->flow == TTY_FLOW_XONXOFF ? SERIAL_FRAME_MAX_ESCAPED_BYTES : SERIAL_FRAME_MAX_BYTES;
    if (o->air_rate > 0 && o->air_rate * bits < o->baud * 8)
        line_clock_init(&s->clock, (uint32_t)o->air_rate, 8, frame);
    else
        line_clock_init(&s->clock, (uint32_t)o->baud, bits, frame);
}

static int serial_init(void *ctx, const void *options, struct link_host *host)
{
    struct serial *s = ctx;
    s->options = options;
    s->host = host;
    serial_port_init(&s->port);
    serial_init_clock(s);
    /* Twice: room for a whole frame is given while up to the horizon may still be pending. */
    buf_init(&s->pending, 2 * line_clock_room_max(&s->clock));
    return 0;
}

static bool serial_is_open(const struct serial *s)
{
    return s->port.fd >= 0;
}

/* What the kernel holds of ours. Behind a slower radio it says nothing of where the bytes are, and
 * the clock alone counts. */
static size_t serial_kernel_bytes(const struct serial *s)
{
    return serial_is_open(s) ? tty_output_held(s->port.fd) : 0;
}

/* The one timer: the next try when closed; the next room when the host waits for some; a look at a
 * line that the other side may have stopped. */
static void serial_arm(struct serial *s, int64_t now_ms)
{
    int64_t at = INT64_MAX;
    if (s->started && !serial_is_open(s)) {
        at = s->retry_at_ms;
    } else if (serial_is_open(s)) {
        /* While the kernel takes nothing, its POLLOUT tells, not the clock. */
        if (s->short_of_room && s->pending.len == 0)
            at = line_clock_room_at_ms(&s->clock, serial_kernel_bytes(s), 0, now_ms);
        if (s->held_bytes > 0 && at > s->held_since_ms + SERIAL_STOPPED_MAX_MS)
            at = s->held_since_ms + SERIAL_STOPPED_MAX_MS;
    }
    s->host->ops->timer(s->host, at);
}

static void serial_watch(struct serial *s)
{
    s->host->ops->watch(s->host, s->port.fd,
                        s->pending.len > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ);
}

static void serial_close(struct serial *s)
{
    if (!serial_is_open(s))
        return;
    s->host->ops->watch(s->host, s->port.fd, WATCH_NONE);
    serial_port_close(&s->port);
    buf_clear(&s->pending);
    s->held_bytes = 0;
}

/* Closed at once: a held fd would keep the old name busy, and the adapter would come back under
 * another. */
static void serial_drop(struct serial *s, const char *why, int64_t now_ms)
{
    if (now_ms - s->up_since_ms >= RETRY_SETTLED_MS)
        s->failures = 0;
    serial_close(s);
    s->retry_at_ms =
        now_ms + retry_delay_ms(++s->failures, SERIAL_REOPEN_MAX_MS, s->host->ops->random(s->host));
    link_report(&s->report, s->host, LINK_DOWN, "%s", why);
    serial_arm(s, now_ms);
}

static void serial_enable_rs485(struct serial *s)
{
    int error = tty_enable_rs485(s->port.fd);
    if (error < 0)
        s->host->ops->trace(s->host, 2, "rs485 is left to the adapter: device=%s error=\"%s\"",
                            s->port.path, strerror(-error));
}

static void serial_try_open(struct serial *s, int64_t now_ms)
{
    const struct serial_options *o = s->options;
    struct tty_mode mode = {
        .baud = (uint32_t)o->baud,
        .parity = (enum tty_parity)o->parity,
        .stop_bits = o->stop ? 2 : 1,
        .flow = (enum tty_flow)o->flow,
        .hang_up = false, /* the drop of DTR would reset many a board and radio */
    };
    char why[SERIAL_PORT_WHY_BYTES];
    if (serial_port_open(&s->port, o->device, &mode, why) < 0) {
        s->retry_at_ms = now_ms + retry_delay_ms(++s->failures, SERIAL_REOPEN_MAX_MS,
                                                 s->host->ops->random(s->host));
        link_report(&s->report, s->host, LINK_DOWN, "%s", why);
        serial_arm(s, now_ms);
        return;
    }
    if (o->rs485)
        serial_enable_rs485(s);
    serial_init_clock(s);
    s->up_since_ms = s->held_since_ms = now_ms;
    serial_watch(s);
    link_report(&s->report, s->host, LINK_UP, "%s%s", s->port.path,
                s->port.library ? " (libserialport)" : " (opened directly)");
    if (s->short_of_room) {
        s->short_of_room = false;
        s->host->ops->writable(s->host, STATION_NONE);
    }
    serial_arm(s, now_ms);
}

static void serial_start(void *ctx, int64_t now_ms)
{
    struct serial *s = ctx;
    if (s->started)
        return;
    s->started = true;
    s->failures = 0;
    link_report(&s->report, s->host, LINK_CONNECTING, "opening %s", s->options->device);
    serial_try_open(s, now_ms);
}

static void serial_stop(void *ctx, int64_t now_ms)
{
    struct serial *s = ctx;
    if (!s->started)
        return;
    s->started = false;
    s->short_of_room = false;
    serial_close(s);
    serial_arm(s, now_ms);
    link_report(&s->report, s->host, LINK_DOWN, "stopped");
}

static void serial_fini(void *ctx)
{
    struct serial *s = ctx;
    serial_stop(ctx, 0);
    buf_fini(&s->pending);
}

static size_t serial_room_now(const struct serial *s, int64_t now_ms)
{
    if (!serial_is_open(s))
        return 0;
    return line_clock_room(&s->clock, serial_kernel_bytes(s), s->pending.len, now_ms);
}

static size_t serial_room(void *ctx, station_t station, int64_t now_ms)
{
    struct serial *s = ctx;
    if (station != STATION_NONE)
        return 0;
    size_t room = serial_room_now(s, now_ms);
    if (room == 0 && s->started) {
        s->short_of_room = true;
        serial_arm(s, now_ms);
    }
    return room;
}

/* Return: false when the device is gone. */
static bool serial_flush(struct serial *s, int64_t now_ms)
{
    ssize_t put = serial_port_write(&s->port, buf_bytes(&s->pending), s->pending.len);
    if (put > 0) {
        line_clock_sent(&s->clock, (size_t)put, now_ms);
        buf_consume(&s->pending, (size_t)put);
        s->bytes_out += (uint64_t)put;
    }
    serial_watch(s);
    return put >= 0;
}

/* Where the other side may stop us it can do so for ever: one byte of noise is an XOFF, a loose
 * wire holds CTS. What was stopped by XOFF for long goes on, as the other end must be able to take
 * it: its kernel says XOFF only when 4 KB wait unread. CTS cannot be overruled, but be told. */
static void serial_check_stop(struct serial *s, int64_t now_ms)
{
    if (s->options->flow == TTY_FLOW_NONE)
        return;
    size_t held = serial_kernel_bytes(s) + s->pending.len;
    if (held == 0 || held != s->held_bytes) {
        s->held_bytes = held;
        s->held_since_ms = now_ms;
        s->stop_told = false;
        return;
    }
    if (now_ms - s->held_since_ms < SERIAL_STOPPED_MAX_MS)
        return;
    s->held_since_ms = now_ms;
    bool xonxoff = s->options->flow == TTY_FLOW_XONXOFF;
    if (!s->stop_told)
        s->host->ops->trace(s->host, 2, "output stands still, %s: device=%s bytes=%zu",
                            xonxoff ? "going on without an XON" : "CTS is low", s->port.path, held);
    s->stop_told = true;
    if (xonxoff)
        tty_restart_output(s->port.fd);
}

static int serial_send(void *ctx, station_t station, const uint8_t *bytes, size_t n, uint64_t token,
                       bool urgent, int64_t now_ms)
{
    struct serial *s = ctx;
    if (!serial_is_open(s) || station != STATION_NONE)
        return -ENOTCONN;
    if (n > serial_room(ctx, station, now_ms) || !buf_put(&s->pending, bytes, n)) {
        s->short_of_room = true;
        serial_arm(s, now_ms);
        return -EAGAIN;
    }
    /* A failure is not judged here: the fd tells the loop as well, and the link goes down there,
     * not under the host's feet. */
    (void)serial_flush(s, now_ms);
    if (s->options->flow != TTY_FLOW_NONE) {
        serial_check_stop(s, now_ms);
        serial_arm(s, now_ms);
    }
    return 0;
}

/* Tells the host of room that it waits for, and sets the timer anew. */
static void serial_go_on(struct serial *s, int64_t now_ms)
{
    serial_check_stop(s, now_ms);
    if (s->short_of_room && serial_room_now(s, now_ms) > 0) {
        s->short_of_room = false;
        s->host->ops->writable(s->host, STATION_NONE);
    }
    serial_arm(s, now_ms);
}

/* Return: false when the device is gone. */
static bool serial_read(struct serial *s)
{
    uint8_t bytes[READ_BYTES];
    for (int i = 0; i < READS_AN_EVENT; i++) {
        ssize_t got = serial_port_read(&s->port, bytes, sizeof(bytes));
        if (got < 0)
            return false;
        if (got == 0)
            return true;
        s->bytes_in += (uint64_t)got;
        s->host->ops->deliver(s->host, STATION_NONE, bytes, (size_t)got);
        if ((size_t)got < sizeof(bytes) || !serial_is_open(s))
            return true; /* closed: the host did not like what it read */
    }
    return true;
}

static void serial_on_fd(void *ctx, int fd, unsigned events, int64_t now_ms)
{
    struct serial *s = ctx;
    if (!serial_is_open(s) || fd != s->port.fd)
        return; /* an event of a port that was closed in the same turn of the loop */
    bool alive = !(events & WATCH_READ) || serial_read(s);
    if (!serial_is_open(s))
        return;
    if (!alive || !tty_alive(s->port.fd) || (s->pending.len > 0 && !serial_flush(s, now_ms))) {
        char why[SERIAL_PORT_WHY_BYTES + 32];
        snprintf(why, sizeof(why), "%s is gone (unplugged?)", s->port.path);
        serial_drop(s, why, now_ms);
        return;
    }
    serial_go_on(s, now_ms);
}

static void serial_on_timer(void *ctx, int64_t now_ms)
{
    struct serial *s = ctx;
    if (!s->started)
        return;
    if (serial_is_open(s))
        serial_go_on(s, now_ms);
    else if (now_ms >= s->retry_at_ms)
        serial_try_open(s, now_ms);
    else
        serial_arm(s, now_ms);
}

static void serial_reset(void *ctx, station_t station, const char *why, int64_t now_ms)
{
    struct serial *s = ctx;
    if (station == STATION_NONE && serial_is_open(s))
        serial_drop(s, why, now_ms);
}

static uint32_t serial_rate(void *ctx)
{
    struct serial *s = ctx;
    return line_clock_rate(&s->clock);
}

static const uint8_t *serial_avoid(void *ctx, size_t *n)
{
    static const uint8_t xon_xoff[] = {0x11, 0x13};
    struct serial *s = ctx;
    *n = s->options->flow == TTY_FLOW_XONXOFF ? sizeof(xon_xoff) : 0;
    return xon_xoff;
}

static bool serial_half_duplex(void *ctx)
{
    struct serial *s = ctx;
    return s->options->duplex == SERIAL_HALF_DUPLEX;
}

static void serial_status(void *ctx, struct link_status *out)
{
    struct serial *s = ctx;
    *out = (struct link_status){.bytes_in = s->bytes_in, .bytes_out = s->bytes_out};
    snprintf(out->detail, sizeof(out->detail), "%s", s->report.why);
}

static const char *const parity_names[] = {
    [TTY_PARITY_NONE] = "none", [TTY_PARITY_EVEN] = "even", [TTY_PARITY_ODD] = "odd", NULL};
static const char *const stop_names[] = {"1", "2", NULL};
static const char *const flow_names[] = {
    [TTY_FLOW_NONE] = "none", [TTY_FLOW_RTSCTS] = "rtscts", [TTY_FLOW_XONXOFF] = "xonxoff", NULL};
static const char *const duplex_names[] = {
    [SERIAL_FULL_DUPLEX] = "full", [SERIAL_HALF_DUPLEX] = "half", NULL};

#define AT(member) offsetof(struct serial_options, member)
static const struct option serial_rows[] = {
    {.key = "device",
     .type = OPTION_PATH,
     .offset = AT(device),
     .min = 1,
     .max = 4095,
     .help = "The serial port; a link under /dev/serial/by-id/ stays the same when an adapter "
             "comes back under another name."},
    {.key = "baud",
     .type = OPTION_INT,
     .offset = AT(baud),
     .min = 50,
     .max = 4000000,
     .fallback = "9600",
     .help = "The rate of the line in bits a second; unusual rates are allowed where the device "
             "can do them."},
    {.key = "parity",
     .type = OPTION_ENUM,
     .offset = AT(parity),
     .names = parity_names,
     .fallback = "none",
     .help = "The parity bit that follows the 8 data bits."},
    {.key = "stop",
     .type = OPTION_ENUM,
     .offset = AT(stop),
     .names = stop_names,
     .fallback = "1",
     .help = "The number of stop bits."},
    {.key = "flow",
     .type = OPTION_ENUM,
     .offset = AT(flow),
     .names = flow_names,
     .fallback = "none",
     .help = "How the other side stops us: by the RTS and CTS wires, by the bytes XON and XOFF "
             "(which then never appear in the data; both ends of the link must say so), or not at "
             "all."},
    {.key = "duplex",
     .type = OPTION_ENUM,
     .offset = AT(duplex),
     .names = duplex_names,
     .fallback = "full",
     .help = "half: only one end may speak at a time (most radios, two-wire RS-485), so the ends "
             "take turns; both must say so."},
    {.key = "air_rate",
     .type = OPTION_INT,
     .offset = AT(air_rate),
     .min = 0,
     .max = 4000000,
     .fallback = "0",
     .help = "The bits a second that a radio behind the port really carries, so that its buffer "
             "does not fill with what an alarm would have to wait for; 0: as fast as the port."},
    {.key = "rs485",
     .type = OPTION_BOOL,
     .offset = AT(rs485),
     .fallback = "no",
     .help = "Have the kernel switch an RS-485 transceiver by the RTS wire; adapters that switch "
             "themselves do not need it."},
};

static const char *serial_check(const void *options, const char **key)
{
    const struct serial_options *o = options;
    if (o->rs485 && o->flow == TTY_FLOW_RTSCTS) {
        *key = "rs485";
        return "uses the RTS wire, as flow = rtscts does: only one of them is allowed";
    }
    return NULL;
}

const struct option_group serial_option_group = {
    .name = "serial",
    .rows = serial_rows,
    .count = sizeof(serial_rows) / sizeof(serial_rows[0]),
    .struct_size = sizeof(struct serial_options),
    .help = "A serial line: a cable, a transparent radio, or a pty.",
    .metered_default = false,
    .check = serial_check,
};

const struct link_driver serial_driver = {
    .name = "serial",
    .kind = LINK_STREAM,
    .options = &serial_option_group,
    .ctx_size = sizeof(struct serial),
    .init = serial_init,
    .fini = serial_fini,
    .start = serial_start,
    .stop = serial_stop,
    .room = serial_room,
    .send = serial_send,
    .mtu = NULL, /* STREAM */
    .rate = serial_rate,
    .avoid = serial_avoid,
    .half_duplex = serial_half_duplex,
    .calls = NULL, /* point to point: whoever is there is the peer */
    .reset = serial_reset,
    .on_fd = serial_on_fd,
    .on_timer = serial_on_timer,
    .status = serial_status,
};
