/* The tcp driver: what goes beyond the conformance suite. Everything on loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "link_drivers/tcp.h"
#include "link_drivers/tcp_client.h"
#include "link_drivers/tcp_listener.h"
#include "tests/conform/fake_host.h"

struct rig {
    struct fake_world world;
    struct fake_link link;
    struct tcp_options options;
    char none[1];
};

static void rig_open(struct rig *r, const char *connect_to, const char *listen_on,
                     int64_t connections, bool metered)
{
    r->none[0] = '\0';
    r->options = (struct tcp_options){.connect = connect_to ? strdup(connect_to) : r->none,
                                      .listen = listen_on ? strdup(listen_on) : r->none,
                                      .timeout_ms = 60000,
                                      .keepalive_ms = 30000,
                                      .max_connections = connections};
    fake_world_init(&r->world);
    assert_int_equal(fake_link_open(&r->world, &r->link, &tcp_driver, &r->options, metered), 0);
    fake_start(&r->link);
}

static void rig_close(struct rig *r)
{
    fake_stop(&r->link);
    fake_link_close(&r->link);
    if (r->options.connect != r->none)
        free(r->options.connect);
    if (r->options.listen != r->none)
        free(r->options.listen);
}

static bool is_up(void *arg)
{
    return fake_is_up(&((struct rig *)arg)->link);
}

static void expect_up(struct rig *r)
{
    if (!fake_run(&r->world, is_up, r))
        fail_msg("not up: %s", r->link.stations[0]->why);
}

static uint16_t port_of(struct rig *r)
{
    const char *colon = strrchr(fake_status(&r->link).detail, ':');
    assert_non_null(colon);
    return (uint16_t)atoi(colon + 1);
}

static int dial(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* A listening socket of the test's; *port 0 asks for any. */
static int host_a_port(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(*port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static size_t stations_up(struct rig *r)
{
    size_t n = 0;
    for (size_t i = 1; i < r->link.station_count; i++)
        n += r->link.stations[i]->state == LINK_UP;
    return n;
}

/* Is the far end of this connection closed? */
static bool closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void test_many_stations(void **state)
{
    struct rig r;
    rig_open(&r, NULL, "127.0.0.1:0", 1100, false);
    expect_up(&r);
    int fds[40];
    for (int i = 0; i < 40; i++)
        fds[i] = dial(port_of(&r));
    fake_run_for(&r.world, 10);
    assert_int_equal(stations_up(&r), 40);
    for (int i = 0; i < 40; i++)
        assert_int_equal(write(fds[i], &i, sizeof(i)), sizeof(i));
    fake_run_for(&r.world, 10);
    /* Each station's bytes are its own, and an answer goes to who asked. */
    for (size_t s = 1; s <= 40; s++) {
        struct fake_station *st = r.link.stations[s];
        assert_int_equal(st->n, sizeof(int));
        assert_int_equal(fake_send(&r.link, st->station, st->bytes, st->n), 0);
        for (size_t t = 1; t < s; t++)
            assert_true(r.link.stations[t]->station != st->station);
    }
    fake_run_for(&r.world, 10);
    for (int i = 0; i < 40; i++) {
        int answer = -1;
        assert_int_equal(read(fds[i], &answer, sizeof(answer)), sizeof(answer));
        assert_int_equal(answer, i);
    }
    /* One goes, by our will or by its own; the others stay. */
    station_t unwanted = r.link.stations[7]->station;
    fake_reset(&r.link, unwanted, "unknown site");
    assert_string_equal(fake_station(&r.link, unwanted)->why, "unknown site");
    assert_int_equal(stations_up(&r), 39);
    int i;
    memcpy(&i, r.link.stations[7]->bytes, sizeof(i));
    assert_true(closed(fds[i]));
    close(fds[(i + 1) % 40]);
    fake_run_for(&r.world, 10);
    assert_int_equal(stations_up(&r), 38);
    assert_true(fake_is_up(&r.link));
    for (int j = 0; j < 40; j++)
        if (j != (i + 1) % 40)
            close(fds[j]);
    rig_close(&r);
}

static void test_limit(void **state)
{
    struct rig r;
    rig_open(&r, NULL, "127.0.0.1:0", 2, false);
    expect_up(&r);
    int first = dial(port_of(&r));
    fake_run_for(&r.world, 10);
    int second = dial(port_of(&r));
    fake_run_for(&r.world, 10);
    assert_int_equal(write(second, "I am here", 9), 9);
    fake_run_for(&r.world, 10);
    int third = dial(port_of(&r)); /* the silent one is young: the newcomer goes */
    fake_run_for(&r.world, 10);
    assert_true(closed(third) && !closed(first));
    close(third);
    assert_int_equal(r.link.warnings, 1);
    fake_run_for(&r.world, TCP_LISTENER_SAY_WITHIN_MS);
    third = dial(port_of(&r)); /* now it has had its time */
    fake_run_for(&r.world, 10);
    assert_true(closed(first) && !closed(third) && !closed(second));
    assert_int_equal(stations_up(&r), 2);
    assert_int_equal(write(third, "me too", 6), 6);
    fake_run_for(&r.world, TCP_LISTENER_SAY_WITHIN_MS);
    int fourth = dial(port_of(&r)); /* who has spoken stays */
    fake_run_for(&r.world, 10);
    assert_true(closed(fourth) && !closed(second) && !closed(third));
    close(first);
    close(second);
    close(third);
    close(fourth);
    rig_close(&r);
}

static void test_no_descriptors(void **state)
{
    struct rig r;
    rig_open(&r, NULL, "127.0.0.1:0", 100, false);
    expect_up(&r);
    int fd = dial(port_of(&r)), probe = dup(fd);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)probe; /* the next descriptor would be the first refused */
    close(probe);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int64_t begin = r.world.now_ms;
    fake_run_for(&r.world, 1);
    unsigned warnings = r.link.warnings;
    assert_int_equal(warnings, 1);
    assert_int_equal(fake_watches(&r.link), 0); /* watching on would spin */
    assert_int_equal(stations_up(&r), 0);
    assert_int_equal(r.link.timer_at_ms, begin + TCP_LISTENER_ACCEPT_PAUSE_MS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    fake_run_for(&r.world, TCP_LISTENER_ACCEPT_PAUSE_MS + 10);
    assert_int_equal(stations_up(&r), 1); /* it had waited */
    close(fd);
    rig_close(&r);
}

static void test_port_in_use(void **state)
{
    uint16_t port = 0;
    int holder = host_a_port(&port);
    char at[32];
    snprintf(at, sizeof(at), "127.0.0.1:%u", port);
    struct rig r;
    rig_open(&r, NULL, at, 10, false);
    fake_run_for(&r.world, 200000);
    assert_false(fake_is_up(&r.link));
    assert_non_null(strstr(r.link.stations[0]->why, "in use"));
    assert_non_null(strstr(r.link.stations[0]->why, at));
    close(holder);
    expect_up(&r);
    rig_close(&r);
}

static void test_nobody_listens(void **state)
{
    uint16_t port = 0;
    int holder = host_a_port(&port);
    close(holder);
    char to[32];
    snprintf(to, sizeof(to), "127.0.0.1:%u", port);
    struct rig r;
    rig_open(&r, to, NULL, 10, false);
    fake_run_for(&r.world, 10);
    assert_non_null(strstr(r.link.stations[0]->why, "refused"));
    for (int i = 0; i < 30; i++) {
        int64_t wait = r.link.timer_at_ms - r.world.now_ms;
        assert_in_range(wait, 0, TCP_CLIENT_RETRY_MAX_MS);
        fake_run_for(&r.world, wait);
    }
    assert_int_equal(r.link.stations[0]->downs, 1);
    holder = host_a_port(&port);
    expect_up(&r);
    close(holder);
    rig_close(&r);
}

/* A full backlog: the kernel answers nothing at all, as a host that is switched off does. */
static void test_no_answer(void **state)
{
    uint16_t port = 0;
    int holder = host_a_port(&port), fillers[4];
    assert_int_equal(listen(holder, 0), 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (struct sockaddr *)&a, sizeof(a));
    }
    char to[32];
    snprintf(to, sizeof(to), "127.0.0.1:%u", port);
    struct rig r;
    rig_open(&r, to, NULL, 10, false);
    int64_t begin = r.world.now_ms;
    fake_run_for(&r.world, TCP_CLIENT_CONNECT_MAX_MS - 1000);
    assert_int_equal(r.link.stations[0]->state, LINK_CONNECTING);
    fake_run_for(&r.world, begin + TCP_CLIENT_CONNECT_MAX_MS - r.world.now_ms);
    assert_int_equal(r.link.stations[0]->state, LINK_DOWN);
    assert_non_null(strstr(r.link.stations[0]->why, "does not answer"));
    assert_int_equal(fake_watches(&r.link), 0);
    rig_close(&r);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(holder);
}

static void test_no_such_name(void **state)
{
    struct rig r;
    rig_open(&r, "no-such-host.invalid:5000", NULL, 10, false);
    struct fake_station *s = r.link.stations[0];
    for (int i = 0; i < 100 && s->downs == 0; i++)
        fake_run_for(&r.world, 1000);
    assert_int_equal(s->downs, 1);
    assert_non_null(strstr(s->why, "no-such-host.invalid:5000"));
    assert_true(r.link.timer_at_ms < INT64_MAX); /* the name may exist one day */
    rig_close(&r);
}

/* localhost is ::1 before 127.0.0.1 on most systems, and only the latter has a listener. */
static void test_all_addresses(void **state)
{
    uint16_t port = 0;
    int holder = host_a_port(&port);
    char to[32];
    snprintf(to, sizeof(to), "localhost:%u", port);
    struct rig r;
    rig_open(&r, to, NULL, 10, false);
    expect_up(&r);
    assert_int_equal(r.link.stations[0]->downs, 0);
    char name[64];
    snprintf(name, sizeof(name), "connected to 127.0.0.1:%u", port);
    assert_string_equal(r.link.stations[0]->why, name);
    rig_close(&r);
    close(holder);
}

static void test_ipv6(void **state)
{
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool there = probe >= 0 && bind(probe, (struct sockaddr *)&a, sizeof(a)) == 0;
    if (probe >= 0)
        close(probe);
    if (!there)
        skip(); /* this machine has no IPv6 */
    struct rig hub, site;
    rig_open(&hub, NULL, "[::1]:0", 10, false);
    expect_up(&hub);
    assert_non_null(strstr(fake_status(&hub.link).detail, "listening on [::1]:"));
    char to[32];
    snprintf(to, sizeof(to), "[::1]:%u", port_of(&hub));
    rig_open(&site, to, NULL, 10, false);
    expect_up(&site);
    rig_close(&site);
    rig_close(&hub);
}

static int fd_of(struct rig *r)
{
    assert_int_equal(r->link.fd_count, 1);
    return r->link.fds[0].fd;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void test_half_open_is_noticed(void **state)
{
    uint16_t port = 0;
    int holder = host_a_port(&port);
    char to[32];
    snprintf(to, sizeof(to), "127.0.0.1:%u", port);
    struct rig r;
    rig_open(&r, to, NULL, 10, false);
    expect_up(&r);
    assert_int_equal(option(fd_of(&r), IPPROTO_TCP, TCP_USER_TIMEOUT), 60000);
    assert_int_equal(option(fd_of(&r), SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option(fd_of(&r), IPPROTO_TCP, TCP_KEEPIDLE), 30);
    assert_int_equal(option(fd_of(&r), IPPROTO_TCP, TCP_KEEPINTVL), 15);
    assert_int_equal(option(fd_of(&r), IPPROTO_TCP, TCP_NODELAY), 1);
    rig_close(&r);
    rig_open(&r, to, NULL, 10, true); /* metered: not a byte of its own */
    expect_up(&r);
    assert_int_equal(option(fd_of(&r), SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(option(fd_of(&r), IPPROTO_TCP, TCP_USER_TIMEOUT), 60000);
    rig_close(&r);
    close(holder);
}

static void test_one_segment(void **state)
{
    struct rig r;
    rig_open(&r, NULL, "127.0.0.1:0", 10, false);
    expect_up(&r);
    int fd = dial(port_of(&r));
    fake_run_for(&r.world, 10);
    station_t s = fake_latest_station(&r.link)->station;
    for (int i = 0; i < 5; i++)
        assert_int_equal(fake_send(&r.link, s, "0123456789", 10), 0);
    char bytes[100];
    assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), -1); /* not before the turn ends */
    fake_run_for(&r.world, 1);
    assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 50);
    close(fd);
    rig_close(&r);
}

/* A far end that reads nothing: what waits here stays bounded, and all arrives when it reads. */
static void test_slow_reader(void **state)
{
    struct rig r;
    rig_open(&r, NULL, "127.0.0.1:0", 10, false);
    expect_up(&r);
    int fd = dial(port_of(&r)), small = 4096;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    fake_run_for(&r.world, 10);
    struct fake_station *s = fake_latest_station(&r.link);
    static uint8_t frame[256];
    size_t sent = 0, came = 0;
    r.world.grace_real_ms = 5;
    for (int idle = 0; idle < 5;) {
        if (fake_room(&r.link, s->station) < sizeof(frame)) {
            fake_run_for(&r.world, 10);
            idle++;
            continue;
        }
        assert_int_equal(fake_send(&r.link, s->station, frame, sizeof(frame)), 0);
        sent += sizeof(frame);
        idle = 0;
        assert_true(sent < 10000000);
    }
    unsigned before = s->writables;
    static uint8_t bytes[65536];
    for (int i = 0; i < 10000 && came < sent; i++) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        came += n > 0 ? (size_t)n : 0;
        if (n < 0)
            fake_run_for(&r.world, 1);
    }
    assert_int_equal(came, sent);
    assert_true(s->writables > before);
    close(fd);
    rig_close(&r);
}

static bool has_station(void *arg)
{
    return stations_up(arg) == 1;
}

static void test_both_drivers(void **state)
{
    struct rig hub;
    rig_open(&hub, NULL, "127.0.0.1:0", 10, false);
    expect_up(&hub);
    char to[32];
    snprintf(to, sizeof(to), "127.0.0.1:%u", port_of(&hub));
    struct fake_link site;
    char none[1] = "";
    struct tcp_options o = {
        .connect = to, .listen = none, .timeout_ms = 60000, .max_connections = 1};
    assert_int_equal(fake_link_open(&hub.world, &site, &tcp_driver, &o, false), 0);
    fake_start(&site);
    assert_true(fake_run(&hub.world, has_station, &hub));
    fake_run_for(&hub.world, 10);
    assert_true(fake_is_up(&site));
    assert_int_equal(fake_send(&site, STATION_NONE, "to hub", 6), 0);
    assert_int_equal(fake_send(&hub.link, fake_latest_station(&hub.link)->station, "to site", 7),
                     0);
    fake_run_for(&hub.world, 10);
    assert_int_equal(fake_latest_station(&hub.link)->n, 6);
    assert_int_equal(site.stations[0]->n, 7);
    /* The hub refuses it each time: the site asks ever more rarely. */
    unsigned refusals = 0;
    hub.world.grace_real_ms = 5;
    for (int64_t end = hub.world.now_ms + 600000; hub.world.now_ms < end;) {
        struct fake_station *s = fake_latest_station(&hub.link);
        if (s) {
            fake_reset(&hub.link, s->station, "unknown site");
            refusals++;
        }
        fake_run_for(&hub.world, 2000);
    }
    assert_in_range(refusals, 10, 25);
    fake_stop(&site);
    fake_link_close(&site);
    rig_close(&hub);
}

static void test_options(void **state)
{
    char none[1] = "", some[] = "hub:5000";
    const char *key = NULL;
    struct tcp_options o = {.connect = none, .listen = none, .max_connections = 1};
    assert_non_null(tcp_option_group.check(&o, &key));
    assert_string_equal(key, "connect");
    o.connect = some;
    assert_null(tcp_option_group.check(&o, &key));
    o.listen = some;
    assert_non_null(tcp_option_group.check(&o, &key));
    assert_string_equal(key, "listen");
    /* And init refuses what no check has seen. */
    struct fake_world w;
    struct fake_link l;
    fake_world_init(&w);
    assert_int_equal(fake_link_open(&w, &l, &tcp_driver, &o, false), -EINVAL);
    fake_link_close(&l);
    o.listen = none;
    o.connect = none;
    assert_int_equal(fake_link_open(&w, &l, &tcp_driver, &o, false), -EINVAL);
    fake_link_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"one listener serves many stations, each its own bytes", test_many_stations},
        {"at the limit only one that said nothing gives way", test_limit},
        {"out of descriptors, accept pauses and does not spin", test_no_descriptors},
        {"a port in use is said, and taken once free", test_port_in_use},
        {"a refused connection is tried again with a growing delay", test_nobody_listens},
        {"a host that does not answer is given up after a time", test_no_answer},
        {"a name that does not resolve is said and tried again", test_no_such_name},
        {"each address of a name is tried", test_all_addresses},
        {"IPv6 addresses in brackets work", test_ipv6},
        {"a half-open peer is noticed by TCP, unasked where metered", test_half_open_is_noticed},
        {"the sends of one turn leave together", test_one_segment},
        {"a far end that reads nothing bounds what waits", test_slow_reader},
        {"both ends of the driver meet; a refused site comes back rarely", test_both_drivers},
        {"exactly one of connect and listen", test_options},
    };
    return cmocka_run_group_tests_name("tcp", tests, NULL, NULL);
}
