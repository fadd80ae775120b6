#include "tests/unit/link_drivers/directip_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

int rig_listen(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(*port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(a);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    assert_int_equal(bind(fd, (struct sockaddr *)&a, length), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &length), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

bool rig_is_up(void *arg)
{
    return fake_is_up(&((struct rig *)arg)->link);
}

static void rig_begin(struct rig *r)
{
    uint16_t port = 0;
    memset(r, 0, sizeof(*r));
    r->gateway_fd = rig_listen(&port);
    r->call_fd = -1;
    snprintf(r->connect_to, sizeof(r->connect_to), "127.0.0.1:%u", port);
    snprintf(r->listen_on, sizeof(r->listen_on), "127.0.0.1:0");
    snprintf(r->allow, sizeof(r->allow), "127.0.0.1");
    r->allow_items[0] = r->allow;
    r->options = (struct directip_options){.mo_listen = r->listen_on,
                                           .mo_allow = {r->allow_items, 1},
                                           .mo_confirm = true,
                                           .mt_connect = r->connect_to,
                                           .mt_window = 3,
                                           .mt_priority = DIRECTIP_PRIORITY_ELEMENT,
                                           .report = DIRECTIP_REPORT_STATUS,
                                           .hold_ms = 60000,
                                           .ack_max_age_ms = 3600000,
                                           .credit_bytes = 50,
                                           .time_scale = 1};
    r->given.peers[0] = (struct link_peer){BUOY, "buoy", BUOY_IMEI, 270};
    r->given.peers[1] = (struct link_peer){MAST, "mast", MAST_IMEI, 1890};
    r->given.peer_count = 2;
    fake_world_init(&r->world);
    r->world.grace_real_ms = 20;
}

static void rig_start(struct rig *r)
{
    assert_int_equal(fake_link_open_given(&r->world, &r->link, &directip_driver, &r->options, true,
                                          &r->given),
                     0);
    fake_start(&r->link);
    if (!fake_run(&r->world, rig_is_up, r))
        fail_msg("not up: %s", r->link.stations[0]->why);
}

int rig_set_up(void **state)
{
    static struct rig rig;
    rig_begin(&rig);
    rig_start(&rig);
    *state = &rig;
    return 0;
}

void rig_hang_up(struct rig *r)
{
    if (r->call_fd >= 0)
        close(r->call_fd);
    r->call_fd = -1;
}

void rig_gateway_gone(struct rig *r)
{
    rig_hang_up(r);
    if (r->gateway_fd >= 0)
        close(r->gateway_fd);
    r->gateway_fd = -1;
}

void rig_tick(struct rig *r)
{
    int grace_ms = r->world.grace_real_ms;
    r->world.grace_real_ms = 1;
    fake_run_for(&r->world, 5);
    r->world.grace_real_ms = grace_ms;
}

int rig_tear_down(void **state)
{
    struct rig *r = *state;
    rig_gateway_gone(r);
    fake_stop(&r->link);
    fake_link_close(&r->link);
    return 0;
}

void rig_restart(struct rig *r)
{
    fake_stop(&r->link);
    fake_link_close(&r->link);
    rig_start(r);
}

/* --- the gateway that brings --- */

int rig_dial(struct rig *r)
{
    struct link_status status = fake_status(&r->link);
    const char *colon = strchr(status.detail, ':');
    assert_non_null(colon);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

void put_bytes(int fd, const void *bytes, size_t n)
{
    assert_int_equal(write(fd, bytes, n), n);
}

size_t mo_bytes(const struct session *s, uint8_t out[512])
{
    static const uint8_t position[] = {3, 0, 11, 2, 43, 0x7a, 0x26, 172, 0x8d, 0xc4, 0, 0, 0, 2};
    size_t n = 34, length = s->payload ? strlen(s->payload) : 0;
    memset(out, 0, 512);
    memcpy(out, (uint8_t[]){1, 0, 0, 1, 0, 28, 0, 0, 0, 5}, 10);
    memcpy(out + 10, s->imei, 15);
    out[25] = s->status;
    memcpy(out + 26,
           (uint8_t[]){(uint8_t)(s->momsn >> 8), (uint8_t)s->momsn, (uint8_t)(s->mtmsn >> 8),
                       (uint8_t)s->mtmsn, 0x55, 0x9e, 0xba, 0x2c},
           8);
    if (s->located) {
        memcpy(out + n, position, sizeof(position));
        n += sizeof(position);
    }
    if (s->payload) {
        memcpy(out + n, (uint8_t[]){2, (uint8_t)(length >> 8), (uint8_t)length}, 3);
        memcpy(out + n + 3, s->payload, length);
        n += 3 + length;
    }
    out[1] = (uint8_t)((n - 3) >> 8);
    out[2] = (uint8_t)(n - 3);
    return n;
}

int mo_bring(struct rig *r, const struct session *s)
{
    uint8_t m[512];
    size_t n = mo_bytes(s, m);
    int fd = rig_dial(r);
    put_bytes(fd, m, n);
    return fd;
}

static bool got_enough(void *arg)
{
    struct rig *r = arg;
    ssize_t n = read(r->until_fd, r->got + r->got_n, sizeof(r->got) - r->got_n);
    if (n > 0)
        r->got_n += (size_t)n;
    r->got_end = r->got_end || n == 0 || (n < 0 && errno != EAGAIN);
    return r->got_n >= r->got_wanted || r->got_end;
}

void rig_read(struct rig *r, int fd, size_t wanted)
{
    r->until_fd = fd;
    r->got_n = 0;
    r->got_wanted = wanted;
    r->got_end = false;
    assert_true(fake_run(&r->world, got_enough, r));
}

void mo_expect_confirmed(struct rig *r, int fd)
{
    static const uint8_t confirmation[] = {1, 0, 4, 5, 0, 1, 1};
    rig_read(r, fd, sizeof(confirmation));
    assert_int_equal(r->got_n, sizeof(confirmation));
    assert_memory_equal(r->got, confirmation, sizeof(confirmation));
    close(fd);
}

void mo_expect_closed(struct rig *r, int fd)
{
    rig_read(r, fd, sizeof(r->got));
    assert_true(r->got_end);
    assert_int_equal(r->got_n, 0);
    close(fd);
}

struct fake_station *rig_station(struct rig *r, station_t number)
{
    struct fake_station *s = fake_station(&r->link, number);
    assert_non_null(s);
    return s;
}

void rig_expect_delivered(struct rig *r, station_t number, const char *bytes)
{
    struct fake_station *s = rig_station(r, number);
    assert_int_equal(s->n, strlen(bytes));
    assert_memory_equal(s->bytes, bytes, s->n);
    s->n = s->frames = 0;
}
