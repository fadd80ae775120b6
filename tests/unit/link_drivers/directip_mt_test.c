/* The directip driver's calling half, beyond the conformance suite: what it brings to the gateway, and
 * every answer, and none, that it may get. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "link_drivers/directip_wait.h"
#include "tests/unit/link_drivers/directip_rig.h"

static bool call_whole(void *arg)
{
    struct rig *r = arg;
    if (r->call_fd < 0) {
        r->call_fd = accept4(r->gateway_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (r->call_fd < 0)
            return false;
        r->calls++;
        r->call_n = 0;
    }
    ssize_t n = read(r->call_fd, r->call + r->call_n, sizeof(r->call) - r->call_n);
    if (n > 0)
        r->call_n += (size_t)n;
    return r->call_n >= 3 && r->call_n >= 3 + (size_t)(r->call[1] << 8 | r->call[2]);
}

static void expect_call(struct rig *r)
{
    assert_int_equal(r->call_fd, -1);
    if (!fake_run(&r->world, call_whole, r))
        fail_msg("no message comes to the gateway");
}

static void expect_no_call(struct rig *r, int64_t ms)
{
    fake_run_for(&r->world, ms);
    int fd = accept4(r->gateway_fd, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(fd, -1);
}

static uint32_t call_id(const struct rig *r)
{
    return (uint32_t)r->call[6] << 24 | (uint32_t)r->call[7] << 16 | (uint32_t)r->call[8] << 8 |
           r->call[9];
}

/* The answer to what came last. */
static void answer_of(const struct rig *r, int16_t status, uint8_t out[31])
{
    memcpy(out, (uint8_t[]){1, 0, 28, 0x44, 0, 25}, 6);
    memcpy(out + 6, r->call + 6, 19);
    memcpy(out + 25, (uint8_t[]){0, 0, 0, (uint8_t)(status >= 0), 0, 0}, 6);
    out[29] = (uint8_t)((uint16_t)status >> 8);
    out[30] = (uint8_t)status;
}

static bool outcome_told(void *arg)
{
    return !((struct rig *)arg)->link.outcome_due;
}

static void expect_outcome(struct rig *r, enum send_outcome outcome)
{
    assert_true(fake_run(&r->world, outcome_told, r));
    assert_int_equal(r->link.last_outcome, outcome);
}

static void answer(struct rig *r, int16_t status)
{
    uint8_t out[31];
    answer_of(r, status, out);
    put_bytes(r->call_fd, out, sizeof(out));
    expect_outcome(r, status >= 0 ? SEND_DONE : SEND_FAILED);
    rig_hang_up(r);
}

static bool has_room(void *arg)
{
    struct rig *r = arg;
    return rig_station(r, BUOY)->writables != r->writables;
}

/* Room comes back, and is told. */
static void expect_room(struct rig *r)
{
    r->writables = rig_station(r, BUOY)->writables;
    if (fake_room(&r->link, BUOY) > 0)
        return;
    assert_true(fake_run(&r->world, has_room, r));
    assert_int_equal(fake_room(&r->link, BUOY), 270);
}

static void send_frame(struct rig *r, const char *bytes)
{
    assert_int_equal(fake_send(&r->link, BUOY, bytes, strlen(bytes)), 0);
}

static void test_message_for_a_modem(void **state)
{
    static const uint8_t head[] = {1, 0, 32, 0x41, 0, 21}, tail[] = {0, 0, 0x42, 0, 5};
    struct rig *r = *state;
    assert_int_equal(fake_room(&r->link, BUOY), 270);
    send_frame(r, "frame");
    expect_call(r);
    assert_int_equal(r->call_n, 35);
    assert_memory_equal(r->call, head, sizeof(head));
    assert_memory_equal(r->call + 10, BUOY_IMEI, 15);
    assert_memory_equal(r->call + 25, tail, sizeof(tail));
    assert_memory_equal(r->call + 30, "frame", 5);
    assert_true(r->link.outcome_due);
    assert_int_equal(fake_room(&r->link, BUOY), 0);
    answer(r, 1);
    assert_int_equal(r->link.last_sent, BUOY);
    assert_int_equal(fake_status(&r->link).bytes_out, 5);
    expect_no_call(r, 600000); /* one connection a message, and none without */
}

static void test_identifier_outlives_the_process(void **state)
{
    struct rig *r = *state;
    send_frame(r, "frame");
    expect_call(r);
    uint32_t id = call_id(r);
    rig_hang_up(r);
    rig_restart(r);
    send_frame(r, "frame");
    expect_call(r);
    assert_int_equal(call_id(r), id);
    answer(r, 1);
    expect_room(r);
    send_frame(r, "other");
    expect_call(r);
    assert_int_not_equal(call_id(r), id);
}

static void test_frame_sizes(void **state)
{
    struct rig *r = *state;
    static uint8_t large[1891];
    assert_int_equal(directip_driver.mtu(r->link.ctx, BUOY), 270);
    assert_int_equal(directip_driver.mtu(r->link.ctx, MAST), 1890);
    assert_int_equal(directip_driver.mtu(r->link.ctx, STATION_NONE), 270);
    assert_int_equal(fake_send(&r->link, BUOY, large, 271), -EMSGSIZE);
    assert_int_equal(fake_send(&r->link, MAST, large, 1891), -EMSGSIZE);
    assert_int_equal(fake_send(&r->link, MAST, large, 1890), 0);
    expect_call(r);
    assert_int_equal(r->call_n, 1920);
    answer(r, 1);
}

static void fill_window(struct rig *r)
{
    for (int16_t place = 1; place <= 3; place++) {
        expect_room(r);
        send_frame(r, "frame");
        expect_call(r);
        answer(r, place);
    }
    assert_int_equal(fake_room(&r->link, BUOY), 0);
    assert_int_equal(fake_send(&r->link, BUOY, "frame", 5), -EAGAIN);
}

static void test_window(void **state)
{
    struct rig *r = *state;
    fill_window(r);
    expect_no_call(r, 3600000);
    assert_int_equal(fake_room(&r->link, MAST), 1890); /* another modem's affair */
    r->writables = rig_station(r, BUOY)->writables;
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 100, false, NULL}));
    assert_true(fake_run(&r->world, has_room, r));
    send_frame(r, "frame");
    expect_call(r);
    answer(r, 3);
    assert_int_equal(fake_room(&r->link, BUOY), 0);
    /* The numbers tell that two were fetched, though one session was not reported. */
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 3, 102, false, NULL}));
    for (int16_t place = 2; place <= 3; place++) {
        expect_room(r);
        send_frame(r, "frame");
        expect_call(r);
        answer(r, place);
    }
    assert_int_equal(fake_room(&r->link, BUOY), 0);
}

static void test_report_that_comes_twice(void **state)
{
    struct rig *r = *state;
    fill_window(r);
    for (int i = 0; i < 2; i++)
        mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 100, false, NULL}));
    send_frame(r, "frame");
    expect_call(r);
    answer(r, 3);
    assert_int_equal(fake_room(&r->link, BUOY), 0);
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 13, 2, 0, false, NULL}));
    assert_int_equal(fake_room(&r->link, BUOY), 0); /* a session that failed fetched nothing */
}

/* Whatever the count says, the gateway's own word counts more. */
static void test_place_mends_the_count(void **state)
{
    struct rig *r = *state;
    send_frame(r, "frame");
    expect_call(r);
    answer(r, 7); /* others use the queue */
    assert_int_equal(fake_room(&r->link, BUOY), 0);
    for (uint16_t i = 0; i < 5; i++)
        mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, i, 0, false, NULL}));
    expect_room(r);
    send_frame(r, "frame");
    expect_call(r);
    answer(r, 1);
    for (int16_t place = 2; place <= 3; place++) {
        send_frame(r, "frame");
        expect_call(r);
        answer(r, place);
    }
    assert_int_equal(fake_room(&r->link, BUOY), 0);
}

/* No session, no report for days: what lay at the gateway is no more. */
static void test_window_opens_at_last(void **state)
{
    struct rig *r = *state;
    fill_window(r);
    r->writables = rig_station(r, BUOY)->writables;
    fake_run_for(&r->world, directip_wait_ms(WAIT_MT_LIFE, 1, 0, 1) + 1);
    assert_true(has_room(r));
}

static void test_refusals(void **state)
{
    static const struct {
        int16_t status;
        bool of_us, down;
    } refusals[] = {{-1, false, true},  {-2, false, true},  {-3, false, true},  {-4, false, true},
                    {-5, false, false}, {-6, true, false},  {-7, false, true},  {-8, false, true},
                    {-9, false, false}, {-10, true, false}, {-11, false, true}, {-12, true, false},
                    {-13, false, true}, {-32768, false, true}};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        rig_restart(r);
        send_frame(r, "frame");
        expect_call(r);
        answer(r, refusals[i].status);
        assert_int_equal(fake_room(&r->link, BUOY), 0);
        assert_int_equal(fake_room(&r->link, MAST) > 0, !refusals[i].of_us);
        assert_int_equal(rig_station(r, BUOY)->state == LINK_DOWN, refusals[i].down);
        int64_t began_ms = r->world.now_ms;
        struct fake_station *s = rig_station(r, BUOY);
        if (refusals[i].down) {
            fake_run_for(&r->world, 30000); /* never at once again */
            assert_int_equal(s->state, LINK_DOWN);
            fake_run_for(&r->world, 300000);
            assert_int_equal(s->state, LINK_UP);
        } else {
            expect_room(r);
            assert_true(r->world.now_ms - began_ms >= 1000);
        }
        assert_int_equal(fake_room(&r->link, BUOY), 270);
        assert_true(fake_status(&r->link).bytes_out == 0); /* what is refused is not billed */
    }
}

/* What a person has to mend is asked for ever more seldom. */
static void test_lasting_refusal_backs_off(void **state)
{
    struct rig *r = *state;
    int64_t last_ms = 0, least_ms = 0;
    for (int i = 0; i < 8; i++) {
        while (fake_room(&r->link, BUOY) == 0)
            fake_run_for(&r->world, 60000);
        int64_t waited_ms = r->world.now_ms - last_ms;
        assert_true(i == 0 || waited_ms >= least_ms);
        least_ms = i == 0 ? 150000 : least_ms * 2 < 10800000 ? least_ms * 2 : 10800000;
        send_frame(r, "frame");
        expect_call(r);
        answer(r, -2);
        last_ms = r->world.now_ms;
    }
}

static void test_heard_from_while_refused(void **state)
{
    struct rig *r = *state;
    send_frame(r, "frame");
    expect_call(r);
    answer(r, -2);
    assert_int_equal(rig_station(r, BUOY)->state, LINK_DOWN);
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"}));
    rig_expect_delivered(r, BUOY, "frame");
    assert_int_equal(rig_station(r, BUOY)->state, LINK_UP);
    assert_int_equal(fake_room(&r->link, BUOY), 0); /* but the gateway is not asked at once */
    expect_room(r);
}

static void test_full_queue_opens_with_a_session(void **state)
{
    struct rig *r = *state;
    send_frame(r, "frame");
    expect_call(r);
    answer(r, -5);
    assert_int_equal(fake_room(&r->link, BUOY), 0);
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 8, false, NULL}));
    assert_int_equal(fake_room(&r->link, BUOY), 270);
}

static void test_lost_answer(void **state)
{
    struct rig *r = *state;
    uint8_t first[sizeof(r->call)];
    send_frame(r, "frame");
    expect_call(r);
    memcpy(first, r->call, sizeof(first));
    size_t n = r->call_n;
    for (int tries = 1; tries < 3; tries++) {
        rig_hang_up(r);
        int64_t lost_ms = r->world.now_ms;
        expect_call(r);
        assert_true(r->world.now_ms - lost_ms >= 1000);
        assert_int_equal(r->call_n, n);
        assert_memory_equal(r->call, first, n); /* the same identifier, and all else */
        assert_true(r->link.outcome_due);
    }
    rig_hang_up(r);
    expect_outcome(r, SEND_UNKNOWN);
    expect_room(r);
}

static void test_answer_comes_at_last(void **state)
{
    struct rig *r = *state;
    send_frame(r, "frame");
    expect_call(r);
    rig_hang_up(r);
    expect_call(r);
    answer(r, 1);
    assert_int_equal(r->link.sent_done, 1);
}

static void test_half_open_gateway(void **state)
{
    struct rig *r = *state;
    send_frame(r, "frame");
    int64_t began_ms = r->world.now_ms;
    for (int i = 0; i < 3; i++) {
        expect_call(r); /* read, and never answered nor closed */
        int silent = r->call_fd;
        r->call_fd = -1;
        rig_read(r, silent, 1);
        assert_true(r->got_end);
        close(silent);
    }
    expect_outcome(r, SEND_UNKNOWN);
    assert_true(r->world.now_ms - began_ms >= 3 * directip_wait_ms(WAIT_MT_ANSWER, 1, 0, 1));
    assert_int_equal(r->calls, 3);
}

static void test_answers_that_are_none(void **state)
{
    struct rig *r = *state;
    uint8_t good[31], wrong[31];
    for (int kind = 0; kind < 4; kind++) {
        rig_restart(r);
        send_frame(r, "frame");
        expect_call(r);
        answer_of(r, 1, good);
        memcpy(wrong, good, sizeof(good));
        if (kind == 0)
            wrong[9] ^= 1; /* another message's */
        else if (kind == 1)
            wrong[24] ^= 1; /* another modem's */
        else if (kind == 2)
            wrong[2] = 27; /* its lengths lie */
        else
            wrong[0] = 'H';
        put_bytes(r->call_fd, wrong, sizeof(wrong));
        int bad_fd = r->call_fd;
        r->call_fd = -1;
        expect_call(r);
        assert_true(r->link.outcome_due);
        close(bad_fd);
        for (size_t i = 0; i < sizeof(good); i++) { /* byte by byte, the second time */
            put_bytes(r->call_fd, good + i, 1);
            rig_tick(r);
        }
        expect_outcome(r, SEND_DONE);
        rig_hang_up(r);
    }
}

static void test_endless_answer(void **state)
{
    static const uint8_t endless[600] = {1, 0x0f, 0};
    struct rig *r = *state;
    send_frame(r, "frame");
    expect_call(r);
    put_bytes(r->call_fd, endless, sizeof(endless));
    int fd = r->call_fd;
    r->call_fd = -1;
    expect_call(r); /* given up, and brought again */
    answer(r, 1);
    close(fd);
}

static void test_gateway_away_for_hours(void **state)
{
    struct rig *r = *state;
    uint16_t port = (uint16_t)atoi(strchr(r->connect_to, ':') + 1);
    rig_gateway_gone(r);
    unsigned failures = 0;
    int64_t began_ms = r->world.now_ms;
    while (r->world.now_ms - began_ms < 3 * 3600000) {
        expect_room(r);
        send_frame(r, "frame");
        expect_outcome(r, SEND_FAILED); /* it certainly has not left: the host may choose anew */
        failures++;
        assert_int_equal(fake_room(&r->link, MAST), 0);
    }
    assert_true(failures <= 90); /* 5 minutes apart at the end, the half of it random */
    assert_true(failures >= 30);
    assert_int_equal(r->link.warnings, 1); /* told once */
    assert_non_null(strstr(fake_status(&r->link).detail, "refused"));
    assert_true(fake_is_up(&r->link)); /* modems are heard all the same */
    mo_expect_confirmed(r, mo_bring(r, &(struct session){BUOY_IMEI, 0, 1, 0, false, "frame"}));
    r->gateway_fd = rig_listen(&port);
    expect_room(r);
    send_frame(r, "frame");
    expect_call(r);
    answer(r, 1);
    assert_null(strstr(fake_status(&r->link).detail, "refused"));
}

static void test_alarms_go_first(void **state)
{
    static const uint8_t priority[] = {0x46, 0, 2, 0, 1};
    struct rig *r = *state;
    assert_int_equal(fake_send_urgent(&r->link, BUOY, "alarm", 5), 0);
    expect_call(r);
    assert_int_equal(r->call_n, 40);
    assert_memory_equal(r->call + 27, priority, sizeof(priority));
    uint32_t id = call_id(r);
    answer(r, -7); /* a gateway that does not know the element */
    while (fake_room(&r->link, BUOY) == 0)
        fake_run_for(&r->world, 60000);
    assert_int_equal(fake_send_urgent(&r->link, BUOY, "alarm", 5), 0);
    expect_call(r);
    assert_int_equal(r->call_n, 35);
    assert_int_equal(call_id(r), id);
    answer(r, 1);
    /* As older gateways have it. */
    r->options.mt_priority = DIRECTIP_PRIORITY_FLAG;
    rig_restart(r);
    assert_int_equal(fake_send_urgent(&r->link, BUOY, "alarm", 5), 0);
    expect_call(r);
    assert_int_equal(r->call_n, 35);
    assert_int_equal(r->call[25] << 8 | r->call[26], 0x0010);
    answer(r, 1);
    /* No other frame ever has a flag: none flushes the queue. */
    send_frame(r, "frame");
    expect_call(r);
    assert_int_equal(r->call[25] << 8 | r->call[26], 0);
    answer(r, 2);
}

/* An alarm that went before others says nothing of how many there are. */
static void test_place_of_an_alarm(void **state)
{
    struct rig *r = *state;
    for (int16_t place = 1; place <= 2; place++) {
        send_frame(r, "frame");
        expect_call(r);
        answer(r, place);
    }
    assert_int_equal(fake_send_urgent(&r->link, BUOY, "alarm", 5), 0);
    expect_call(r);
    answer(r, 1);
    assert_int_equal(fake_room(&r->link, BUOY), 0);
}

static void test_stop_tells_outcomes(void **state)
{
    struct rig *r = *state;
    send_frame(r, "frame");
    fake_stop(&r->link);
    assert_false(r->link.outcome_due);
    assert_int_equal(r->link.last_outcome, SEND_FAILED);
    fake_start(&r->link);
    assert_true(fake_run(&r->world, rig_is_up, r));
    send_frame(r, "frame");
    expect_call(r);
    fake_run_for(&r->world, 10);
    fake_stop(&r->link);
    assert_int_equal(r->link.last_outcome, SEND_UNKNOWN);
    assert_int_equal(rig_station(r, BUOY)->state, LINK_DOWN);
    rig_hang_up(r);
}

static void test_terms(void **state)
{
    struct rig *r = *state;
    struct link_terms terms;
    directip_driver.terms(r->link.ctx, BUOY, &terms);
    assert_int_equal(terms.quantum_bytes, 50);
    assert_int_equal(terms.hold_ms, 60000);
    assert_int_equal(terms.ack_max_age_ms, 3600000);
    r->options.time_scale = 60;
    rig_restart(r);
    directip_driver.terms(r->link.ctx, BUOY, &terms);
    assert_int_equal(terms.hold_ms, 1000);
    assert_int_equal(terms.ack_max_age_ms, 60000);
}

static void test_waits(void **state)
{
    for (int wait = 0; wait < WAIT_COUNT; wait++) {
        int64_t last_ms = 0;
        for (unsigned n = 1; n < 40; n++) {
            int64_t least = directip_wait_ms((enum directip_wait)wait, n, 0, 1);
            assert_true(least >= last_ms && least > 0);
            assert_true(directip_wait_ms((enum directip_wait)wait, n, 4294967295u, 1) >= least);
            assert_int_equal(directip_wait_ms((enum directip_wait)wait, n, 0, 1000), least / 1000);
            last_ms = least;
        }
        assert_int_equal(directip_wait_ms((enum directip_wait)wait, 1, 0, INT64_MAX), 1);
    }
}

#define CASE(words, function) {words, function, rig_set_up, rig_tear_down, NULL}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE("a message has its bytes and its own connection", test_message_for_a_modem),
        CASE("the same message has the same identifier after a restart",
             test_identifier_outlives_the_process),
        CASE("each modem has its largest frame", test_frame_sizes),
        CASE("no more than the window lies at the gateway", test_window),
        CASE("a session reported twice, or failed, frees no further place",
             test_report_that_comes_twice),
        CASE("the place in the queue mends the count", test_place_mends_the_count),
        CASE("a window that nothing opens opens at last", test_window_opens_at_last),
        CASE("every refusal has its consequence", test_refusals),
        CASE("a lasting refusal is tested ever more seldom", test_lasting_refusal_backs_off),
        CASE("a refused modem is heard all the same", test_heard_from_while_refused),
        CASE("a full queue opens with a session", test_full_queue_opens_with_a_session),
        CASE("a lost answer is asked for again, with the same bytes", test_lost_answer),
        CASE("an answer to the second try is one", test_answer_comes_at_last),
        CASE("a gateway that says nothing is left", test_half_open_gateway),
        CASE("an answer that is not ours is none", test_answers_that_are_none),
        CASE("an answer without end is left", test_endless_answer),
        CASE("a gateway that is away is not stormed", test_gateway_away_for_hours),
        CASE("alarms go before others where the gateway knows how", test_alarms_go_first),
        CASE("the place of an alarm is not the length of the queue", test_place_of_an_alarm),
        CASE("a stop tells what became of the message in hand", test_stop_tells_outcomes),
        CASE("the terms are the operator's, and follow the scale", test_terms),
        {"waits grow to a bound, and shrink by the scale", test_waits, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests_name("directip_mt", tests, NULL, NULL);
}
