#include "tests/support/sbd_modem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define KERNEL_WAIT_MS 10000 /* real: more than any machine needs to move some bytes */

static int64_t modem_now; /* of the op under way: ops get it, what they call needs it */

static void wrong(struct sbd_modem *m, const char *what)
{
    m->wrongs++;
    snprintf(m->wrong, sizeof(m->wrong), "%s", what);
}

static void arm(struct sbd_modem *m)
{
    int64_t at = m->out_len > 0 ? m->out_at_ms : INT64_MAX;
    if (m->in_session && m->session_end_ms < at)
        at = m->session_end_ms;
    m->host->ops->timer(m->host, at);
}

static void put(struct sbd_modem *m, const void *bytes, size_t n)
{
    if (!m->powered || m->master < 0)
        return;
    assert(m->out_len + n <= sizeof(m->out));
    if (m->out_len == 0)
        m->out_at_ms = modem_now + m->set->answer_ms;
    memcpy(m->out + m->out_len, bytes, n);
    m->out_len += n;
}

static void put_text(struct sbd_modem *m, const char *text)
{
    put(m, text, strlen(text));
}

static void put_line(struct sbd_modem *m, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (!m->verbose && strcmp(text, "OK") == 0) {
        put_text(m, m->quiet ? "" : "0\r");
        return;
    }
    if (m->quiet)
        return;
    if (m->set->chatter)
        put_text(m, m->set->chatter);
    if (m->verbose && !m->set->lf_less)
        put_text(m, "\r\n");
    put_text(m, text);
    put_text(m, m->set->lf_less ? "\r" : "\r\n");
}

/* Writes for the host, and waits until the kernel has them on its side. */
static size_t write_through(struct sbd_modem *m, const uint8_t *bytes, size_t n)
{
    int before = 0, now = 0;
    (void)ioctl(m->slave, FIONREAD, &before);
    ssize_t done = write(m->master, bytes, n);
    if (done <= 0)
        return 0;
    for (int i = 0; i < KERNEL_WAIT_MS && ioctl(m->slave, FIONREAD, &now) == 0 && now < before + (int)done; i++)
        (void)poll(NULL, 0, 1);
    return (size_t)done;
}

static void drain(struct sbd_modem *m)
{
    if (m->out_len == 0 || modem_now < m->out_at_ms || m->master < 0)
        return;
    size_t n = m->set->dribble ? 1 : m->out_len;
    size_t done = write_through(m, m->out, n);
    memmove(m->out, m->out + done, m->out_len - done);
    m->out_len -= done;
    m->out_at_ms = modem_now + 1;
}

/* ---- the gateway and a session ---- */

static void deliver_mo(struct sbd_modem *m)
{
    if (!m->mo_full)
        return;
    assert(m->mo_count < SBD_MODEM_MESSAGES);
    memcpy(m->mo_got[m->mo_count].bytes, m->mo, m->mo_n);
    m->mo_got[m->mo_count++].n = m->mo_n;
    m->credits += (unsigned)((m->mo_n + 49) / 50);
    if (m->mo_sent_before)
        wrong(m, "the MO buffer was sent again after a success");
    m->mo_sent_before = true;
}

static void fetch_mt(struct sbd_modem *m)
{
    if (m->mt_at >= m->mt_count)
        return;
    const struct sbd_modem_message *q = &m->mt_queue[m->mt_at++];
    memcpy(m->mt, q->bytes, q->n);
    m->mt_n = q->n;
    m->mt_full = true;
    m->mt_read = false;
    m->mtmsn++;
    m->credits += (unsigned)((q->n + 49) / 50);
}

static void power_off(struct sbd_modem *m)
{
    m->powered = m->in_session = m->writing = false;
    m->out_len = m->line_len = 0;
    m->mt_lost += m->mt_full && !m->mt_read;
    m->mo_full = m->mt_full = false;
    m->echo = m->verbose = true;
    m->quiet = m->ring_on = false;
}

static void end_session(struct sbd_modem *m)
{
    struct sbd_modem_session *s = &m->session;
    bool ok = s->status <= 4, hands = ok || s->delivers;
    bool had_mt = false;
    unsigned before = m->credits;
    m->in_session = false;
    if (s->fate == FATE_POWER_BEFORE) {
        power_off(m);
        m->powered = true;
        return;
    }
    m->empty_sessions += ok && !m->mo_full;
    uint16_t number = m->momsn;
    if (hands)
        deliver_mo(m);
    if (ok) {
        if (s->mt_status != 2) {
            fetch_mt(m);
            m->ra = m->ra_sticks;
        }
        had_mt = m->mt_full;
        if (m->credits == before)
            m->credits++;
        m->momsn++;
        m->waiting = (int)(m->mt_count - m->mt_at);
    }
    if (s->fate == FATE_POWER_AFTER) {
        power_off(m);
        m->powered = true;
        return;
    }
    if (s->fate == FATE_NO_RESULT || s->fate == FATE_HANGS || m->master < 0)
        return;
    if (s->cut) {
        put_line(m, "+SBDIX: %c", s->status > 9 ? '0' + s->status / 10 : '0' + s->status);
        put_line(m, "OK");
        return;
    }
    put_line(m, m->set->no_spaces ? "%s%d,%u,%d,%d,%zu,%d" : "%s %d, %u, %d, %d, %zu, %d",
             m->answering && m->set->label_a ? "+SBDIXA:" : "+SBDIX:", s->status, number,
             s->mt_status == 2 ? 2 : had_mt, had_mt ? m->mtmsn : -1, had_mt ? m->mt_n : 0, ok ? m->waiting : 7);
    put_line(m, "OK");
}

static void begin_session(struct sbd_modem *m, bool answering)
{
    if (m->deny_sessions > 0) {
        m->deny_sessions--;
        put_line(m, "ERROR");
        return;
    }
    if (m->mt_full && !m->mt_read)
        wrong(m, "a session was begun with an unread MT message"), m->mt_lost++;
    m->mt_full = false;
    m->session = (struct sbd_modem_session){0};
    if (m->script_at < m->script_n)
        m->session = m->script[m->script_at++];
    if (m->radio_off)
        m->session = (struct sbd_modem_session){.status = 34};
    if (m->sessions < SBD_MODEM_MESSAGES)
        m->session_began_ms[m->sessions] = modem_now;
    m->sessions++;
    m->in_session = true;
    m->answering = answering;
    m->session_end_ms = modem_now + (m->session.lasts_ms ? m->session.lasts_ms : m->set->session_ms);
    if (m->session.fate == FATE_HANGS)
        m->session_end_ms = INT64_MAX;
    if (m->session.fate == FATE_UNPLUG)
        sbd_modem_plug(m, false);
}

/* ---- commands ---- */

static void read_mt(struct sbd_modem *m)
{
    uint8_t head[2] = {(uint8_t)(m->mt_n >> 8), (uint8_t)m->mt_n};
    size_t n = m->mt_full ? m->mt_n : 0;
    uint16_t sum = 0;
    if (n == 0)
        head[0] = head[1] = 0;
    for (size_t i = 0; i < n; i++)
        sum = (uint16_t)(sum + m->mt[i]);
    if (m->damage_reads > 0) {
        m->damage_reads--;
        sum ^= 1;
    } else {
        m->mt_read = true;
    }
    uint8_t tail[2] = {(uint8_t)(sum >> 8), (uint8_t)sum};
    put(m, head, 2);
    put(m, m->mt, n);
    put(m, tail, 2);
    put_text(m, "\r\nOK\r\n");
}

static void status_line(struct sbd_modem *m)
{
    put_line(m, m->set->no_spaces ? "+SBDSX:%d,%u,%d,%d,%d,%d" : "+SBDSX: %d, %u, %d, %d, %d, %d", m->mo_full, m->momsn,
             m->mt_full, m->mt_full ? m->mtmsn : -1, m->ra, m->waiting);
}

static void clear(struct sbd_modem *m, char what)
{
    if (what != '1')
        m->mo_full = m->mo_sent_before = false;
    if (what != '0') {
        if (m->mt_full && !m->mt_read)
            wrong(m, "an MT message was cleared unread"), m->mt_lost++;
        m->mt_full = false;
    }
    put_line(m, "0");
}

static void begin_write(struct sbd_modem *m, const char *number)
{
    m->write_n = (size_t)strtoul(number, NULL, 10);
    if (m->write_n < 1 || m->write_n > m->set->mo_max) {
        put_line(m, "3");
        return;
    }
    if (m->set->bare_ready)
        put_text(m, "READY\r\n");
    else
        put_line(m, "READY");
    m->writing = true;
    m->write_got = 0;
}

static void on_written(struct sbd_modem *m)
{
    uint16_t sum = 0;
    for (size_t i = 0; i < m->write_n; i++)
        sum = (uint16_t)(sum + m->write_bytes[i]);
    m->writing = false;
    bool good = sum == (m->write_bytes[m->write_n] << 8 | m->write_bytes[m->write_n + 1]);
    if (m->refuse_writes > 0) {
        m->refuse_writes--;
        good = false;
    }
    if (good) {
        memcpy(m->mo, m->write_bytes, m->write_n);
        m->mo_n = m->write_n;
        m->mo_full = true;
        m->mo_sent_before = false;
    }
    put_line(m, good ? "0" : "2");
    if (m->set->baud) /* they had to come over the line */
        m->out_at_ms += (int64_t)(m->write_n + 2) * 10000 / m->set->baud;
    if (good || !m->set->verdict_without_ok)
        put_line(m, "OK");
}

static void command(struct sbd_modem *m, const char *c)
{
    char echo[600];
    snprintf(m->last_command, sizeof(m->last_command), "%s", c);
    m->commands++;
    if (m->silent_commands > 0 && m->silent_to && strncmp(c, m->silent_to, strlen(m->silent_to)) == 0) {
        m->silent_commands--;
        return;
    }
    if (m->echo) {
        snprintf(echo, sizeof(echo), "%s\r", c);
        put_text(m, echo);
    }
    const char *at = strstr(c, "AT");
    if (!at)
        return; /* a lone CR, or somebody's rest */
    at += 2;
    if (strlen(c) > 128)
        wrong(m, "a command of more than 128 characters");
    if (strcmp(at, "E0") == 0 || strcmp(at, "E1") == 0)
        m->echo = at[1] == '1' || m->set->echo_sticks;
    else if (strcmp(at, "V1") == 0)
        m->verbose = true;
    else if (strcmp(at, "Q0") == 0)
        m->quiet = false;
    else if (m->deny_command && strcmp(at, m->deny_command) == 0) {
        put_line(m, "ERROR");
        return;
    } else if (strcmp(at, "+CGMM") == 0)
        put_line(m, "IRIDIUM 9600 Family SBD Transceiver");
    else if (strcmp(at, "+CGMR") == 0) {
        put_line(m, "");
        put_line(m, "Call Processor Version: %s", m->set->firmware ? m->set->firmware : "TA16005");
        put_line(m, "Modem DSP Version: 1.7 svn: 2358");
    } else if (strcmp(at, "+CGSN") == 0)
        put_line(m, "300234010123450");
    else if (strncmp(at, "+SBDMTA=", 8) == 0)
        m->ring_on = at[8] == '1';
    else if (strcmp(at, "+SBDREG?") == 0)
        put_line(m, "+SBDREG:%d", m->unregistered ? 0 : 2);
    else if (strcmp(at, "+SBDREG") == 0) {
        m->registrations++;
        m->unregistered = m->register_error != 0;
        put_line(m, "+SBDREG:%d,%d", m->unregistered ? 1 : 2, m->register_error);
    } else if (strcmp(at, "+SBDSX") == 0)
        status_line(m);
    else if (strcmp(at, "-MSSTM") == 0)
        put_line(m, m->no_time ? "-MSSTM: no network service" : "-MSSTM: a5cb42ad");
    else if (strcmp(at, "*R1") == 0)
        m->radio_off = false;
    else if (strcmp(at, "+SBDLOE") == 0)
        put_line(m, "+SBDLOE:0,%d", m->loe_seconds);
    else if (strcmp(at, "+SBDRB") == 0) {
        read_mt(m);
        return;
    } else if (strncmp(at, "+SBDD", 5) == 0) {
        clear(m, at[5]);
    } else if (strncmp(at, "+SBDWB=", 7) == 0) {
        begin_write(m, at + 7);
        return;
    } else if (strcmp(at, "+SBDIX") == 0 || strcmp(at, "+SBDIXA") == 0) {
        if (m->restarts_before_session > 0) {
            m->restarts_before_session--;
            power_off(m);
            m->powered = true;
            put_text(m, c);
            put_text(m, "\r");
        }
        begin_session(m, at[6] == 'A');
        return;
    } else if (*at && strncmp(at, "&", 1) != 0 && strncmp(at, "+SBDST=", 7) != 0 && strcmp(at, "+CIER=1,1,1") != 0) {
        put_line(m, "ERROR");
        return;
    }
    put_line(m, "OK");
    if (strcmp(at, "+CIER=1,1,1") == 0)
        put_text(m, "\r\n+CIEV:0,4\r\n\r\n+CIEV:1,1\r\n");
}

static bool hears(struct sbd_modem *m)
{
    struct termios t;
    if (!m->powered || tcgetattr(m->master, &t) != 0)
        return false;
    speed_t speed = cfgetospeed(&t);
    static const struct {
        unsigned baud;
        speed_t speed;
    } speeds[] = {{600, B600}, {1200, B1200}, {9600, B9600}, {19200, B19200}};
    for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++)
        if (m->set->baud == speeds[i].baud)
            return speed == speeds[i].speed;
    return m->set->baud == 0;
}

static void on_byte(struct sbd_modem *m, uint8_t byte)
{
    if (m->in_session) {
        wrong(m, "the host wrote during a session");
        return;
    }
    if (m->writing) {
        m->write_bytes[m->write_got++] = byte;
        if (m->write_got == m->write_n + 2)
            on_written(m);
        return;
    }
    if (byte == '\n')
        wrong(m, "a LF behind a command");
    if (byte == '\r') {
        m->line[m->line_len] = '\0';
        m->line_len = 0;
        command(m, m->line);
    } else if (m->line_len < sizeof(m->line) - 1) {
        m->line[m->line_len++] = (char)byte;
    }
}

/* ---- as a link of the fake host ---- */

void sbd_modem_plug(struct sbd_modem *m, bool in)
{
    if (!in) {
        unlink(m->set->path);
        if (m->master >= 0) {
            m->host->ops->watch(m->host, m->master, WATCH_NONE);
            close(m->master);
            close(m->slave);
        }
        m->master = m->slave = -1;
        m->out_len = 0; /* into the air */
        return;
    }
    struct termios t;
    m->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    assert(m->master >= 0 && grantpt(m->master) == 0 && unlockpt(m->master) == 0);
    assert(tcgetattr(m->master, &t) == 0);
    cfmakeraw(&t);
    assert(tcsetattr(m->master, TCSANOW, &t) == 0);
    m->slave = open(ptsname(m->master), O_RDWR | O_NOCTTY | O_CLOEXEC); /* else the master's reads fail while nobody has it */
    unlink(m->set->path);
    assert(m->slave >= 0 && symlink(ptsname(m->master), m->set->path) == 0);
    m->host->ops->watch(m->host, m->master, WATCH_READ);
}

void sbd_modem_power(struct sbd_modem *m, bool on)
{
    power_off(m);
    m->powered = on;
}

void sbd_modem_queue(struct sbd_modem *m, const void *bytes, size_t n, bool ring)
{
    assert(m->mt_count < SBD_MODEM_MESSAGES && n <= SBD_MODEM_BYTES);
    memcpy(m->mt_queue[m->mt_count].bytes, bytes, n);
    m->mt_queue[m->mt_count++].n = n;
    if (ring) {
        m->ra = true;
        if (m->ring_on)
            sbd_modem_say(m, "\r\nSBDRING\r\n");
    }
}

void sbd_modem_say(struct sbd_modem *m, const char *text)
{
    if (m->powered && m->master >= 0)
        assert(write_through(m, (const uint8_t *)text, strlen(text)) == strlen(text));
}

void sbd_modem_expect(struct sbd_modem *m, struct sbd_modem_session session)
{
    assert(m->script_n < SBD_MODEM_SCRIPT);
    m->script[m->script_n++] = session;
}

static int modem_init(void *ctx, const void *options, struct link_host *host)
{
    struct sbd_modem *m = ctx;
    m->host = host;
    m->set = options;
    m->master = m->slave = -1;
    m->echo = true;
    m->verbose = !m->set->starts_numeric;
    m->quiet = m->set->starts_quiet;
    m->powered = true;
    m->momsn = 75;
    return 0;
}

static void modem_start(void *ctx, int64_t now_ms)
{
    modem_now = now_ms;
    sbd_modem_plug(ctx, true);
}

static void modem_stop(void *ctx, int64_t now_ms)
{
    struct sbd_modem *m = ctx;
    if (m->host)
        m->host->ops->timer(m->host, INT64_MAX);
    if (m->master >= 0)
        sbd_modem_plug(m, false);
}

static void modem_fini(void *ctx)
{
    modem_stop(ctx, 0);
}

static void hear(struct sbd_modem *m, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n && m->master >= 0; i++)
        if (hears(m))
            on_byte(m, bytes[i]);
        else if (m->powered && bytes[i] == '\r')
            put(m, "\xf0\x3c\x80", 3); /* another rate: garbage each way */
    drain(m);
    arm(m);
}

static void modem_on_fd(void *ctx, int fd, unsigned events, int64_t now_ms)
{
    struct sbd_modem *m = ctx;
    uint8_t bytes[1024];
    modem_now = now_ms;
    ssize_t n = fd == m->master ? read(fd, bytes, sizeof(bytes)) : 0;
    hear(m, bytes, n > 0 ? (size_t)n : 0);
}

/* What we write into the host's side ourselves comes behind all that it has written. */
bool sbd_modem_settle(struct sbd_modem *m, unsigned *in_op, int64_t now_ms)
{
    static const uint8_t mark[] = "\xa5\x5a the end of what was written \x5a\xa5";
    uint8_t bytes[8192];
    size_t n = 0;
    if (m->master < 0 || write(m->slave, mark, sizeof(mark)) != (ssize_t)sizeof(mark))
        return false;
    while (n < sizeof(mark) || memcmp(bytes + n - sizeof(mark), mark, sizeof(mark)) != 0) {
        struct pollfd p = {.fd = m->master, .events = POLLIN};
        assert(poll(&p, 1, KERNEL_WAIT_MS) == 1);
        ssize_t got = read(m->master, bytes + n, sizeof(bytes) - n);
        assert(got > 0);
        n += (size_t)got;
    }
    n -= sizeof(mark);
    if (n == 0)
        return false;
    modem_now = now_ms;
    ++*in_op;
    hear(m, bytes, n);
    --*in_op;
    return true;
}

static void modem_on_timer(void *ctx, int64_t now_ms)
{
    struct sbd_modem *m = ctx;
    modem_now = now_ms;
    if (m->in_session && now_ms >= m->session_end_ms)
        end_session(m);
    drain(m);
    arm(m);
}

static size_t modem_room(void *ctx, station_t station, int64_t now_ms)
{
    return 0;
}

static int modem_send(void *ctx, station_t station, const uint8_t *bytes, size_t n, uint64_t token, bool urgent,
                      int64_t now_ms)
{
    return -ENOTCONN;
}

static void modem_reset(void *ctx, station_t station, const char *why, int64_t now_ms)
{
}

static void modem_status(void *ctx, struct link_status *out)
{
    memset(out, 0, sizeof(*out));
}

const struct link_driver sbd_modem_driver = {
    .name = "sbd-modem",
    .kind = LINK_DATAGRAM,
    .ctx_size = sizeof(struct sbd_modem),
    .init = modem_init,
    .fini = modem_fini,
    .start = modem_start,
    .stop = modem_stop,
    .room = modem_room,
    .send = modem_send,
    .reset = modem_reset,
    .on_fd = modem_on_fd,
    .on_timer = modem_on_timer,
    .status = modem_status,
};
