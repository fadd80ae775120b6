/* The directip driver's listening half, beyond the conformance suite: what a gateway brings, and every
 * fault that it or whoever reaches its port may show. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "link_drivers/directip_mo.h"
#include "link_drivers/directip_wait.h"
#include "tests/unit/link_drivers/directip_rig.h"

static void test_confirmed_after_commit(void **state)
{
    struct rig *r = *state;
    r->link.disk_stands = true;
    int fd = mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"});
    fake_run_for(&r->world, 20000);
    rig_expect_delivered(r, BUOY, "frame");
    uint8_t byte;
    assert_int_equal(read(fd, &byte, 1), -1); /* nothing is said, and the line is held */
    assert_int_equal(errno, EAGAIN);
    fake_commit(&r->link);
    mo_expect_confirmed(r, fd);
    fake_run_for(&r->world, 100);
    assert_int_equal(fake_watches(&r->link), 1);
}

static void test_not_confirmed_without_commit(void **state)
{
    struct rig *r = *state;
    r->link.disk_stands = true;
    mo_expect_closed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"}));
    assert_true(r->link.warnings > 0);
    fake_commit(&r->link); /* too late for that connection, and no harm */
    r->link.disk_stands = false;
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"}));
    rig_expect_delivered(r, BUOY, "frameframe"); /* the wire knows what came twice */
}

static void test_without_confirmation(void **state)
{
    struct rig *r = *state;
    r->options.mo_confirm = false;
    rig_restart(r);
    r->link.disk_stands = true;
    int fd = mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"});
    fake_run_for(&r->world, 1000);
    rig_expect_delivered(r, BUOY, "frame");
    uint8_t byte;
    assert_int_equal(read(fd, &byte, 1), -1);
    fake_commit(&r->link);
    mo_expect_closed(r, fd);
}

static void test_each_modem_is_a_station(void **state)
{
    struct rig *r = *state;
    mo_expect_confirmed(r, mo_bring(r, &(struct session){MAST_IMEI, 0, 1, 0, false, "of the mast"}));
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 2, 1, 0, true, "of the buoy"}));
    rig_expect_delivered(r, MAST, "of the mast");
    rig_expect_delivered(r, BUOY, "of the buoy");
    assert_int_equal(fake_status(&r->link).bytes_in, 22);
}

static void test_sessions_without_payload(void **state)
{
    struct rig *r = *state;
    r->link.disk_stands = true; /* there is nothing to wait for */
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 4, false, NULL}));
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 13, 2, 0, false, NULL}));
    assert_int_equal(rig_station(r, BUOY)->frames, 0);
    assert_int_equal(r->link.reports, 2);
    assert_non_null(strstr(r->link.last_report, "\"session_status\":13"));
}

static void test_unknown_modem(void **state)
{
    struct rig *r = *state;
    r->link.disk_stands = true;
    for (int i = 0; i < 3; i++)
        mo_expect_confirmed(
            r, mo_bring(r, &(struct session){"300000000000009", 0, 1, 0, false, "who am I"}));
    assert_int_equal(rig_station(r, BUOY)->frames + rig_station(r, MAST)->frames, 0);
    assert_non_null(strstr(r->link.last_trace, "300000000000009"));
    assert_int_equal(r->link.warnings, 2); /* the first, and the second as a doubling; no third */
    mo_expect_confirmed(r, mo_bring(r, &(struct session){"300000000000008", 0, 1, 0, false, "and I"}));
    assert_non_null(strstr(r->link.last_trace, "300000000000008"));
}

static void test_reports(void **state)
{
    struct rig *r = *state;
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 75, 12, true, "frame"}));
    assert_string_equal(r->link.last_report,
                        "{\"session\":\"ok\",\"session_status\":0,\"session_time\":"
                        "\"2015-07-09T18:15:08Z\",\"momsn\":75,\"mtmsn\":12,\"reference\":5,"
                        "\"bytes\":5,\"latitude\":-43.52117,\"longitude\":172.60487,"
                        "\"radius_km\":2}");
    assert_int_equal(r->link.last_report_station, BUOY);
    assert_false(r->link.last_report_published);
    r->options.report = DIRECTIP_REPORT_TOPIC;
    rig_restart(r);
    mo_expect_confirmed(r, mo_bring(r, &(struct session){MAST_IMEI, 0, 75, 12, false, "frame"}));
    assert_null(strstr(r->link.last_report, "latitude"));
    assert_int_equal(r->link.last_report_station, MAST);
    assert_true(r->link.last_report_published);
    r->options.report = DIRECTIP_REPORT_NO;
    rig_restart(r);
    mo_expect_confirmed(r, mo_bring(r, &(struct session){MAST_IMEI, 0, 76, 12, false, "frame"}));
    assert_int_equal(r->link.reports, 0);
}

static void test_byte_by_byte(void **state)
{
    struct rig *r = *state;
    uint8_t m[512];
    size_t n = mo_bytes(&(struct session){BUOY_IMEI, 0, 1, 0, true, "frame"}, m);
    int fd = rig_dial(r);
    for (size_t i = 0; i < n; i++) {
        put_bytes(fd, m + i, 1);
        rig_tick(r);
    }
    mo_expect_confirmed(r, fd);
    rig_expect_delivered(r, BUOY, "frame");
}

static void test_half_a_message(void **state)
{
    struct rig *r = *state;
    uint8_t m[512];
    size_t n = mo_bytes(&(struct session){BUOY_IMEI, 0, 1, 0, true, "frame"}, m);
    int fd = rig_dial(r);
    put_bytes(fd, m, n - 1);
    int64_t began_ms = r->world.now_ms;
    mo_expect_closed(r, fd);
    int64_t idle_ms = directip_wait_ms(WAIT_MO_IDLE, 1, 0, 1);
    assert_true(r->world.now_ms - began_ms >= idle_ms && r->world.now_ms - began_ms <= idle_ms * 2);
    fd = rig_dial(r);
    put_bytes(fd, m, n - 1);
    close(fd);
    fake_run_for(&r->world, 100);
    assert_int_equal(rig_station(r, BUOY)->frames, 0);
    assert_int_equal(fake_watches(&r->link), 1);
}

/* A byte now and then keeps no connection for ever. */
static void test_endless_sender(void **state)
{
    struct rig *r = *state;
    int fd = rig_dial(r);
    uint8_t byte = 1;
    ssize_t put_n = 1, end = -1;
    int64_t began_ms = r->world.now_ms;
    put_bytes(fd, (uint8_t[]){1, 0x0f, 0}, 3);
    while (put_n == 1 && end != 0 && r->world.now_ms - began_ms < 600000) {
        fake_run_for(&r->world, 20000);
        end = read(fd, &byte, 1);
        put_n = send(fd, &byte, 1, MSG_NOSIGNAL);
    }
    assert_true(r->world.now_ms - began_ms <= directip_wait_ms(WAIT_MO_MESSAGE, 1, 0, 1) + 40000);
    close(fd);
}

static void test_no_message(void **state)
{
    static const char *const junk[] = {"GET / HTTP/1.1\r\n\r\n", "\x01\xff\xff", "\x02",
                                       "\x01\x00\x05\x02\x00\x02hi"};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
        int fd = rig_dial(r);
        put_bytes(fd, junk[i], i == 3 ? 8 : strlen(junk[i]));
        mo_expect_closed(r, fd);
    }
    assert_true(r->link.warnings > 0);
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"}));
}

static void reset_connection(int fd)
{
    struct linger hard = {1, 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(fd);
}

static void test_resets(void **state)
{
    struct rig *r = *state;
    uint8_t m[512];
    size_t n = mo_bytes(&(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"}, m);
    r->link.disk_stands = true;
    for (size_t part = 0; part <= n; part += n / 3) {
        int fd = rig_dial(r);
        if (part > 0)
            put_bytes(fd, m, part);
        fake_run_for(&r->world, 50);
        reset_connection(fd);
        fake_run_for(&r->world, 50);
    }
    fake_commit(&r->link);
    fake_run_for(&r->world, 50);
    r->link.disk_stands = false;
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"}));
    fake_run_for(&r->world, 50);
    assert_int_equal(fake_watches(&r->link), 1);
}

static void test_strange_caller(void **state)
{
    struct rig *r = *state;
    snprintf(r->allow, sizeof(r->allow), "127.0.0.2/31");
    rig_restart(r);
    int fd = mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"});
    rig_read(r, fd, sizeof(r->got));
    assert_true(r->got_end);
    close(fd);
    assert_int_equal(rig_station(r, BUOY)->frames, 0);
    assert_true(r->link.warnings > 0);
}

static void test_a_hundred_at_once(void **state)
{
    struct rig *r = *state;
    int fds[100];
    for (int i = 0; i < 100; i++)
        fds[i] = mo_bring(r, &(struct session){BUOY_IMEI, 0, (uint16_t)i, 0, false, "f"});
    for (int i = 0; i < 100; i++)
        mo_expect_confirmed(r, fds[i]);
    assert_int_equal(rig_station(r, BUOY)->frames, 100);
}

static void test_silent_callers_give_way(void **state)
{
    struct rig *r = *state;
    int fds[DIRECTIP_MO_CONNECTIONS_MAX + 20];
    size_t n = sizeof(fds) / sizeof(fds[0]);
    for (size_t i = 0; i < n; i++) {
        fds[i] = rig_dial(r);
        rig_tick(r);
    }
    assert_true(fake_watches(&r->link) <= DIRECTIP_MO_CONNECTIONS_MAX + 1);
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"}));
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

static void test_peers_without_a_place(void **state)
{
    struct rig *r = *state;
    r->given.peers[1].imei = BUOY_IMEI;
    r->given.peers[2] = (struct link_peer){11, "none", "", 270};
    r->given.peers[3] = (struct link_peer){3, "odd", "30023406390419x", 270};
    r->given.peer_count = 4;
    rig_restart(r);
    assert_null(fake_station(&r->link, MAST));
    assert_int_equal(fake_send(&r->link, MAST, "frame", 5), -ENOTCONN);
    assert_int_equal(fake_room(&r->link, 11), 0);
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"}));
    rig_expect_delivered(r, BUOY, "frame");
}

#define CASE(words, function) {words, function, rig_set_up, rig_tear_down, NULL}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE("a message is confirmed once it is on disk, not before",
             test_confirmed_after_commit),
        CASE("one that is not on disk in time is not confirmed",
             test_not_confirmed_without_commit),
        CASE("without confirmation the line is held until the commit",
             test_without_confirmation),
        CASE("one listener serves all modems", test_each_modem_is_a_station),
        CASE("sessions without payload are reported and confirmed",
             test_sessions_without_payload),
        CASE("an unknown modem is confirmed, and warned of once", test_unknown_modem),
        CASE("session and place are reported as asked for", test_reports),
        CASE("a message comes byte by byte", test_byte_by_byte),
        CASE("half a message is given up", test_half_a_message),
        CASE("an endless sender is cut off", test_endless_sender),
        CASE("what is no message gets no confirmation", test_no_message),
        CASE("a connection may be reset at any point", test_resets),
        CASE("a caller that is not allowed is turned away", test_strange_caller),
        CASE("a hundred call at once", test_a_hundred_at_once),
        CASE("silent callers give way to one that speaks", test_silent_callers_give_way),
        CASE("peers without an IMEI of their own have no place", test_peers_without_a_place),
    };
    return cmocka_run_group_tests_name("directip_mo", tests, NULL, NULL);
}
