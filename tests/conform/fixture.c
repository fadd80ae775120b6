#include "tests/conform/fixture.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include "link_drivers/directip.h"
#include "link_drivers/iridium_sbd.h"
#include "link_drivers/loop.h"
#include "link_drivers/null.h"
#include "link_drivers/serial.h"
#include "link_drivers/tcp.h"
#include "tests/support/sbd_modem.h"

/* --- any far end --- */

void far_append(struct fixture *f, const uint8_t *bytes, size_t n)
{
    f->far_bytes = realloc(f->far_bytes, f->far_n + n + 1);
    assert(f->far_bytes);
    memcpy(f->far_bytes + f->far_n, bytes, n);
    f->far_n += n;
}

static void fd_take(struct fixture *f)
{
    uint8_t bytes[4096];
    ssize_t n;
    while (f->far_fd >= 0 && (n = read(f->far_fd, bytes, sizeof(bytes))) > 0)
        far_append(f, bytes, (size_t)n);
}

static void fd_send(struct fixture *f, const uint8_t *bytes, size_t n)
{
    ssize_t put = write(f->far_fd, bytes, n);
    assert(put == (ssize_t)n); /* the cases keep to what a pty holds */
}

static void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- serial: a pty, reached by a link as under /dev/serial/by-id --- */

static void pty_return(struct fixture *f)
{
    f->far_fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    assert(f->far_fd >= 0 && grantpt(f->far_fd) == 0 && unlockpt(f->far_fd) == 0);
    struct termios
        t; /* a fresh pty echoes, and would answer the far end before the driver opens it */
    assert(tcgetattr(f->far_fd, &t) == 0);
    cfmakeraw(&t);
    assert(tcsetattr(f->far_fd, TCSANOW, &t) == 0);
    assert(symlink(ptsname(f->far_fd), f->path) == 0);
}

static void pty_vanish(struct fixture *f)
{
    unlink(f->path);
    fd_close(&f->far_fd);
}

static void pty_prepare(struct fixture *f)
{
    const char *dir = getenv("TMPDIR");
    snprintf(f->path, sizeof(f->path), "%s/longwire-conform-%d-tty", dir ? dir : "/tmp",
             (int)getpid());
    unlink(f->path);
    pty_return(f);
    struct serial_options *o = (struct serial_options *)f->options.bytes;
    o->device = f->path;
    o->baud = 115200;
}

/* --- tcp that connects: a listening socket --- */

static int listen_on(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(*port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(a);
    assert(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
    assert(bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 8) == 0);
    assert(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void tcp_connect_return(struct fixture *f)
{
    uint16_t port = (uint16_t)f->text_number;
    f->far_listen_fd = listen_on(&port);
    f->text_number = port;
}

static void tcp_connect_prepare(struct fixture *f)
{
    tcp_connect_return(f);
    snprintf(f->text, sizeof(f->text), "127.0.0.1:%u", f->text_number);
    struct tcp_options *o = (struct tcp_options *)f->options.bytes;
    *o = (struct tcp_options){.connect = f->text,
                              .listen = f->path,
                              .timeout_ms = 60000,
                              .keepalive_ms = 60000,
                              .max_connections = 8};
}

static void tcp_connect_take(struct fixture *f)
{
    int fd = accept4(f->far_listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        fd_close(&f->far_fd);
        f->far_fd = fd;
    }
    fd_take(f);
}

static void tcp_vanish(struct fixture *f)
{
    fd_close(&f->far_fd);
    fd_close(&f->far_listen_fd);
}

static void tcp_connect_send(struct fixture *f, const uint8_t *bytes, size_t n)
{
    tcp_connect_take(f);
    fd_send(f, bytes, n);
}

/* --- tcp that listens: a connecting socket --- */

static int connect_to_detail(struct fixture *f)
{
    struct link_status status = fake_status(&f->link);
    const char *colon = strchr(status.detail, ':');
    assert(fake_is_up(&f->link) && colon);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    return fd;
}

static void tcp_listen_prepare(struct fixture *f)
{
    snprintf(f->text, sizeof(f->text), "127.0.0.1:0");
    struct tcp_options *o = (struct tcp_options *)f->options.bytes;
    *o = (struct tcp_options){.connect = f->path,
                              .listen = f->text,
                              .timeout_ms = 60000,
                              .keepalive_ms = 60000,
                              .max_connections = 3};
}

/* Connects once the listener has told its port. */
static void tcp_listen_return(struct fixture *f)
{
    f->far_fd = connect_to_detail(f);
    assert(fcntl(f->far_fd, F_SETFL, O_NONBLOCK) == 0);
}

/* --- directip: a gateway to which a message is a connection each way --- */

#define GATEWAY_IMEI "300234010753370"

static void gateway_return(struct fixture *f)
{
    uint16_t port = (uint16_t)f->text_number;
    if (f->far_listen_fd < 0)
        f->far_listen_fd = listen_on(&port);
    f->text_number = port;
}

static void gateway_vanish(struct fixture *f)
{
    fd_close(&f->call_fd);
    fd_close(&f->far_fd);
    fd_close(&f->far_listen_fd);
}

static void gateway_prepare(struct fixture *f)
{
    static char address[] = "127.0.0.1", *loopback[] = {address};
    gateway_return(f);
    snprintf(f->text, sizeof(f->text), "127.0.0.1:%u", f->text_number);
    snprintf(f->path, sizeof(f->path), "127.0.0.1:0");
    struct directip_options *o = (struct directip_options *)f->options.bytes;
    *o = (struct directip_options){.mo_listen = f->path,
                                   .mo_allow = {loopback, 1},
                                   .mo_confirm = true,
                                   .mt_connect = f->text,
                                   .mt_window = 3,
                                   .report = DIRECTIP_REPORT_STATUS,
                                   .credit_bytes = 50,
                                   .time_scale = 1};
    f->given.peers[0] = (struct link_peer){7, "buoy", GATEWAY_IMEI, 270};
    f->given.peer_count = 1;
}

/* Answers a whole message. The modem fetches at once, so that each is the first of its queue. */
static void gateway_answer(struct fixture *f)
{
    static const uint8_t head[] = {1, 0, 28, 0x44, 0, 25}, tail[] = {0, 0, 0, 9, 0, 1};
    uint8_t answer[31];
    assert(f->call_n > 30 && f->call[27] == 0x42);
    memcpy(answer, head, sizeof(head));
    memcpy(answer + 6, f->call + 6, 19); /* identifier and IMEI */
    memcpy(answer + 25, tail, sizeof(tail));
    assert(write(f->call_fd, answer, sizeof(answer)) == (ssize_t)sizeof(answer));
    far_append(f, f->call + 30, f->call_n - 30);
}

static void gateway_take(struct fixture *f)
{
    if (f->call_fd < 0 && f->far_listen_fd >= 0) {
        f->call_fd = accept4(f->far_listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        f->call_n = 0;
    }
    if (f->call_fd < 0)
        return;
    ssize_t n = read(f->call_fd, f->call + f->call_n, sizeof(f->call) - f->call_n);
    if (n < 0 && errno == EAGAIN)
        return;
    f->call_n += n > 0 ? (size_t)n : 0;
    bool whole = f->call_n > 3 && f->call_n == 3 + (size_t)(f->call[1] << 8 | f->call[2]);
    if (whole)
        gateway_answer(f);
    if (whole || n <= 0) /* a message taken back */
        fd_close(&f->call_fd);
}

static void gateway_send(struct fixture *f, const uint8_t *bytes, size_t n)
{
    uint8_t m[2048] = {1, (uint8_t)((n + 34) >> 8), (uint8_t)(n + 34), 1, 0, 28};
    m[9] = (uint8_t)++f->serial_number;
    memcpy(m + 10, GATEWAY_IMEI, 15);
    m[27] = (uint8_t)f->serial_number; /* MOMSN */
    memcpy(m + 34, (uint8_t[]){2, (uint8_t)(n >> 8), (uint8_t)n}, 3);
    memcpy(m + 37, bytes, n);
    fd_close(&f->far_fd); /* the answer to the one before is not looked at */
    f->far_fd = connect_to_detail(f);
    assert(write(f->far_fd, m, n + 37) == (ssize_t)n + 37);
    assert(shutdown(f->far_fd, SHUT_WR) == 0);
}

/* --- the loop drivers: their other end, under the same host --- */

static void loop_prepare(struct fixture *f)
{
    struct loop_settings settings = {
        .seed = 1, .bytes_s = 100000, .delay_min_ms = 5, .delay_max_ms = 5, .mtu = 256};
    f->line = loop_line_new(&settings);
    struct loop_options *o = (struct loop_options *)f->options.bytes;
    *o = (struct loop_options){.line = f->line, .end = 0};
    struct loop_options other = {.line = f->line, .end = 1};
    assert(fake_link_open(&f->world, &f->other, f->kind->driver, &other, false) == 0);
    fake_start(&f->other);
}

static void loop_clean_up(struct fixture *f)
{
    fake_stop(&f->other);
    fake_link_close(&f->other);
    loop_line_free(f->line);
}

static void loop_take(struct fixture *f)
{
    struct fake_station *s = f->other.stations[0];
    far_append(f, s->bytes ? s->bytes : (const uint8_t *)"", s->n);
    s->n = s->frames = 0;
}

static void loop_send(struct fixture *f, const uint8_t *bytes, size_t n)
{
    fake_run_for(&f->world, 1); /* the far end hears in its own turn that the line is joined */
    while (n > 0) {
        size_t room = fake_room(&f->other, STATION_NONE), part = n < room ? n : room;
        assert(part > 0 && fake_send(&f->other, STATION_NONE, bytes, part) == 0);
        bytes += part;
        n -= part;
        fake_run_for(&f->world, 20);
    }
}

static void loop_vanish(struct fixture *f)
{
    fake_stop(&f->other);
}

static void loop_return(struct fixture *f)
{
    fake_start(&f->other);
}

/* --- iridium-sbd: a modem on a pty, and the gateway behind it --- */

static struct sbd_modem *modem_of(struct fixture *f)
{
    return f->other.ctx;
}

static bool modem_settle(void *arg)
{
    struct fixture *f = arg;
    return sbd_modem_settle(modem_of(f), &f->world.in_op, f->world.now_ms);
}

static void modem_plug(struct fixture *f, bool in)
{
    f->world.in_op++;
    sbd_modem_plug(modem_of(f), in);
    f->world.in_op--;
}

static void modem_prepare(struct fixture *f)
{
    static struct sbd_modem_settings settings;
    const char *dir = getenv("TMPDIR");
    snprintf(f->path, sizeof(f->path), "%s/longwire-conform-%d-modem", dir ? dir : "/tmp", (int)getpid());
    settings = (struct sbd_modem_settings){
        .path = f->path, .mo_max = 340, .mt_max = 270, .session_ms = 100, .answer_ms = 1};
    struct sbd_options *o = (struct sbd_options *)f->options.bytes;
    *o = (struct sbd_options){.device = f->path,
                              .baud = 19200,
                              .hold_ms = 900000,
                              .ack_max_age_ms = 21600000,
                              .credit_bytes = 50,
                              .session_timeout_ms = 90000,
                              .time_scale = 1};
    assert(fake_link_open(&f->world, &f->other, &sbd_modem_driver, &settings, false) == 0);
    fake_start(&f->other);
    f->world.settle = modem_settle;
    f->world.settle_arg = f;
}

static void modem_clean_up(struct fixture *f)
{
    fake_stop(&f->other);
    fake_link_close(&f->other);
}

static void modem_take(struct fixture *f)
{
    for (; f->text_number < modem_of(f)->mo_count; f->text_number++)
        far_append(f, modem_of(f)->mo_got[f->text_number].bytes, modem_of(f)->mo_got[f->text_number].n);
}

static void modem_send(struct fixture *f, const uint8_t *bytes, size_t n)
{
    for (size_t part; n > 0; bytes += part, n -= part) {
        part = n < 270 ? n : 270;
        sbd_modem_queue(modem_of(f), bytes, part, true);
    }
}

/* At rest: a session that is cut off leaves its frame in doubt, and the same bytes would then not be sent twice. */
static void modem_vanish(struct fixture *f)
{
    fake_run_for(&f->world, 1000);
    modem_plug(f, false);
}

static void modem_return(struct fixture *f)
{
    modem_plug(f, true);
}

/* --- null --- */

static void null_prepare(struct fixture *f)
{
}

/* --- the list --- */

static const struct fixture_kind serial_kind = {
    .name = "serial",
    .driver = &serial_driver,
    .has_far_end = true,
    .hears_last_words = true,
    .detail = "(opened directly)",
    .prepare = pty_prepare,
    .clean_up = pty_vanish,
    .far_send = fd_send,
    .far_take = fd_take,
    .far_vanish = pty_vanish,
    .far_return = pty_return,
};
/* The same, with the preload shim: libserialport must have taken the port. */
static const struct fixture_kind serial_library_kind = {
    .name = "serial-library",
    .driver = &serial_driver,
    .has_far_end = true,
    .hears_last_words = true,
    .detail = "(libserialport)",
    .prepare = pty_prepare,
    .clean_up = pty_vanish,
    .far_send = fd_send,
    .far_take = fd_take,
    .far_vanish = pty_vanish,
    .far_return = pty_return,
};
static const struct fixture_kind tcp_connect_kind = {
    .name = "tcp-connect",
    .driver = &tcp_driver,
    .has_far_end = true,
    .hears_last_words = true,
    .detail = "connected to 127.0.0.1:",
    .prepare = tcp_connect_prepare,
    .clean_up = tcp_vanish,
    .far_send = tcp_connect_send,
    .far_take = tcp_connect_take,
    .far_vanish = tcp_vanish,
    .far_return = tcp_connect_return,
};
static const struct fixture_kind tcp_listen_kind = {
    .name = "tcp-listen",
    .driver = &tcp_driver,
    .has_far_end = true,
    .hears_last_words = true,
    .listens = true,
    .detail = "listening on 127.0.0.1:",
    .prepare = tcp_listen_prepare,
    .clean_up = tcp_vanish,
    .far_send = fd_send,
    .far_take = fd_take,
    .far_vanish = tcp_vanish,
    .far_return = tcp_listen_return,
};
static const struct fixture_kind directip_kind = {
    .name = "directip",
    .driver = &directip_driver,
    .has_far_end = true,
    .listens = true,
    .each_alone = true,
    .detail = "listening on 127.0.0.1:",
    .prepare = gateway_prepare,
    .clean_up = gateway_vanish,
    .far_send = gateway_send,
    .far_take = gateway_take,
    .far_vanish = gateway_vanish,
    .far_return = gateway_return,
};
static const struct fixture_kind sbd_kind = {
    .name = "iridium-sbd",
    .driver = &sbd_driver,
    .has_far_end = true,
    .detail = "IMEI 300234010123450",
    .prepare = modem_prepare,
    .clean_up = modem_clean_up,
    .far_send = modem_send,
    .far_take = modem_take,
    .far_vanish = modem_vanish,
    .far_return = modem_return,
};
static const struct fixture_kind null_kind = {
    .name = "null",
    .driver = &null_driver,
    .prepare = null_prepare,
};
static const struct fixture_kind loop_stream_kind = {
    .name = "loop-stream",
    .driver = &loop_stream_driver,
    .has_far_end = true,
    .prepare = loop_prepare,
    .clean_up = loop_clean_up,
    .far_send = loop_send,
    .far_take = loop_take,
    .far_vanish = loop_vanish,
    .far_return = loop_return,
};
static const struct fixture_kind loop_datagram_kind = {
    .name = "loop-datagram",
    .driver = &loop_datagram_driver,
    .has_far_end = true,
    .prepare = loop_prepare,
    .clean_up = loop_clean_up,
    .far_send = loop_send,
    .far_take = loop_take,
    .far_vanish = loop_vanish,
    .far_return = loop_return,
};

const struct fixture_kind *const fixture_kinds[] = {
    &serial_kind,   &serial_library_kind, &tcp_connect_kind,   &tcp_listen_kind,
    &directip_kind, &sbd_kind, &null_kind,           &loop_stream_kind,   &loop_datagram_kind,
    NULL,
};

void fixture_set_up(struct fixture *f, const struct fixture_kind *kind)
{
    memset(f, 0, sizeof(*f));
    f->kind = kind;
    f->far_fd = f->far_listen_fd = f->call_fd = -1;
    fake_world_init(&f->world);
    kind->prepare(f);
    assert(fake_link_open_given(&f->world, &f->link, kind->driver, f->options.bytes, false,
                                &f->given) == 0);
}

void fixture_tear_down(struct fixture *f)
{
    fake_stop(&f->link);
    fake_link_close(&f->link);
    if (f->kind->clean_up)
        f->kind->clean_up(f);
    free(f->far_bytes);
}

struct fake_station *fixture_station(struct fixture *f)
{
    if (!fake_is_up(&f->link))
        return NULL;
    return f->kind->listens ? fake_latest_station(&f->link) : fake_station(&f->link, STATION_NONE);
}

static bool link_is_up(void *arg)
{
    return fake_is_up(&((struct fixture *)arg)->link);
}

static bool bytes_can_pass(void *arg)
{
    return fixture_station(arg) != NULL;
}

bool fixture_bring_up(struct fixture *f)
{
    fake_start(&f->link);
    if (!fake_run(&f->world, link_is_up, f))
        return false;
    if (f->kind->listens && f->far_fd < 0)
        f->kind->far_return(f);
    return fake_run(&f->world, bytes_can_pass, f);
}
