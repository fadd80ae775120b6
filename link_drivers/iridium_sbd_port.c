/* The serial port of an Iridium SBD modem: opened, lost, opened again, at the rate that the modem
 * speaks. */
#include "link_drivers/iridium_sbd_internal.h"

#include "link_drivers/retry.h"

#define REOPEN_MAX_MS 30000
/* Silences before other rates are tried: a modem that was just switched on needs some. */
#define RATE_TRIES_AT_HOME 12
#define RATE_TRIES_EACH    2

bool sbd_is_open(const struct sbd *s)
{
    return s->port.fd >= 0;
}

static void set_watch(struct sbd *s)
{
    s->host->ops->watch(s->host, s->port.fd,
                        s->chat.out.len > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ);
}

static struct tty_mode mode_of(const struct sbd *s)
{
    return (struct tty_mode){.baud = s->baud,
                             .stop_bits = 1,
                             .flow = s->options->flow ? TTY_FLOW_RTSCTS : TTY_FLOW_NONE,
                             .hang_up = false}; /* the modem is deaf for 10 s after DTR went off */
}

void sbd_close_port(struct sbd *s)
{
    if (!sbd_is_open(s))
        return;
    s->host->ops->watch(s->host, s->port.fd, WATCH_NONE);
    serial_port_close(&s->port);
    at_chat_reset(&s->chat);
    s->step = SBD_CLOSED;
    s->signal = s->service = -1;
}

void sbd_drop(struct sbd *s, const char *why, int64_t now_ms)
{
    sbd_close_port(s);
    s->reopen_at_ms =
        now_ms + retry_delay_ms(++s->open_failures, REOPEN_MAX_MS, s->host->ops->random(s->host));
    if (s->frame.held)
        sbd_settle(s, s->frame.in_session ? SEND_UNKNOWN : SEND_FAILED, now_ms);
    link_report(&s->report, s->host, LINK_DOWN, "%s", why);
}

bool sbd_flush(struct sbd *s)
{
    while (s->chat.out.len > 0) {
        ssize_t put = serial_port_write(&s->port, buf_bytes(&s->chat.out), s->chat.out.len);
        if (put < 0)
            return false;
        if (put == 0)
            break;
        buf_consume(&s->chat.out, (size_t)put);
    }
    set_watch(s);
    return true;
}

void sbd_try_rate(struct sbd *s)
{
    static const uint32_t rates[] = {19200, 9600, 38400, 4800, 2400, 1200, 115200, 57600, 600};
    const unsigned count = sizeof(rates) / sizeof(rates[0]);
    uint32_t baud = (uint32_t)s->options->baud;
    unsigned round = RATE_TRIES_AT_HOME + count * RATE_TRIES_EACH, at = s->silences % round;
    if (at >= RATE_TRIES_AT_HOME)
        baud = rates[(at - RATE_TRIES_AT_HOME) / RATE_TRIES_EACH];
    if (baud == s->baud)
        return;
    char why[SERIAL_PORT_WHY_BYTES];
    s->baud = baud;
    struct tty_mode mode = mode_of(s);
    if (tty_mode_set(s->port.fd, &mode, why, sizeof(why)) < 0)
        s->host->ops->trace(s->host, 0, "rate not tried: baud=%u why=\"%s\"", baud, why);
}

void sbd_try_open(struct sbd *s, int64_t now_ms)
{
    char why[SERIAL_PORT_WHY_BYTES];
    s->baud = (uint32_t)s->options->baud;
    struct tty_mode mode = mode_of(s);
    if (serial_port_open(&s->port, s->options->device, &mode, why) < 0) {
        s->reopen_at_ms = now_ms + retry_delay_ms(++s->open_failures, REOPEN_MAX_MS,
                                                  s->host->ops->random(s->host));
        link_report(&s->report, s->host, LINK_DOWN, "%s", why);
        return;
    }
    s->open_failures = 0;
    s->knows_modem = false;
    set_watch(s);
    link_report(&s->report, s->host, LINK_CONNECTING, "%s: looking for the modem", s->port.path);
    sbd_begin(s, now_ms);
}
