/* The iridium-sbd driver: what becomes of a frame. Sessions that go well, fail, or end without a word; processes that end
 * in a session; the bill. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/link_drivers/sbd_case.h"

static void test_message_goes_out_once(void **state)
{
    bring_up();
    assert_int_equal(send_frame("hello"), SEND_DONE);
    fake_run_for(&t.world, HOUR);
    assert_int_equal(t.modem->sessions, 1);
    assert_int_equal(t.modem->credits, 1);
    assert_false(t.modem->mo_full); /* or the next look into the mailbox would send it again */
    expect_mo(0, "hello");
    expect_right();
}

static void test_idle_costs_nothing(void **state)
{
    t.options.check_ms = 10 * MINUTE;
    bring_up();
    fake_run_for(&t.world, 24 * HOUR);
    assert_int_equal(t.modem->sessions, 0);
    assert_int_equal(t.modem->credits, 0);
    expect_right();
}

static void test_ring_fetches_all_that_waits(void **state)
{
    size_t two = 2;
    bring_up();
    send_frame("hello");
    fake_run_for(&t.world, MINUTE);
    sbd_modem_queue(t.modem, "OK\r\nSBDRING\r\n\0\xff", 15, true);
    sbd_modem_queue(t.modem, "second", 6, false);
    run_until(has_frames, &two, "two messages");
    struct fake_station *s = t.link.stations[0];
    assert_memory_equal(s->bytes, "OK\r\nSBDRING\r\n\0\xffsecond", 21);
    fake_run_for(&t.world, HOUR);
    assert_int_equal(t.modem->sessions, 3);
    expect_right();
}

/* ---- what a session's result leads to ---- */

struct verdict {
    int status;
    enum send_outcome outcome;
    int64_t wait_ms; /* at least, before the next session */
};

static void expect_verdict(const struct verdict *v)
{
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = v->status});
    unsigned sessions = t.modem->sessions;
    enum send_outcome outcome = send_frame("hello");
    int64_t told_ms = t.world.now_ms;
    if (outcome != v->outcome)
        fail_msg("status %d: outcome %d", v->status, outcome);
    assert_int_equal(t.modem->sessions, sessions + 1);
    run_until(has_room, NULL, "room again");
    if (t.world.now_ms - told_ms < v->wait_ms - 2 * SECOND)
        fail_msg("status %d: room after %lld ms", v->status, (long long)(t.world.now_ms - told_ms));
}

static void test_statuses_of_success(void **state)
{
    static const struct verdict verdicts[] = {{0, SEND_DONE, 10 * SECOND}, {1, SEND_DONE, 0}, {2, SEND_DONE, 0},
                                              {3, SEND_DONE, 0},           {4, SEND_DONE, 0}};
    bring_up();
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
        expect_verdict(&verdicts[i]);
    assert_int_equal(t.link.warnings, 1); /* the message for us that is too large */
    expect_right();
}

static void test_statuses_of_failure(void **state)
{
    static const struct verdict verdicts[] = {
        {5, SEND_UNKNOWN, 0},         {8, SEND_UNKNOWN, 0},           {10, SEND_UNKNOWN, 0},
        {13, SEND_UNKNOWN, 0},        {17, SEND_UNKNOWN, MINUTE},     {18, SEND_UNKNOWN, 0},
        {19, SEND_UNKNOWN, 0},        {47, SEND_UNKNOWN, 0},          {11, SEND_FAILED, 30 * MINUTE},
        {32, SEND_FAILED, 3 * MINUTE}, {33, SEND_FAILED, 30 * MINUTE}, {35, SEND_FAILED, 30 * SECOND},
        {36, SEND_FAILED, 3 * MINUTE}, {37, SEND_FAILED, 30 * MINUTE}, {64, SEND_FAILED, 30 * MINUTE}};
    bring_up();
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        expect_verdict(&verdicts[i]);
        assert_true(fake_is_up(&t.link));
    }
    assert_int_equal(t.modem->credits, 0);
    expect_right();
}

static void test_statuses_that_stop_the_link(void **state)
{
    static const int statuses[] = {15, 16, 65};
    t.options.check_ms = 10 * MINUTE;
    bring_up();
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        unsigned sessions = t.modem->sessions, warnings = t.link.warnings;
        sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = statuses[i]});
        assert_int_equal(send_frame("hello"), SEND_FAILED);
        run_until(is_down, NULL, "the link is down");
        assert_int_equal(t.link.warnings, warnings + 1);
        sbd_modem_say(t.modem, "\r\nSBDRING\r\n");
        fake_run_for(&t.world, 58 * MINUTE);
        assert_true(is_down(NULL));
        assert_int_equal(t.modem->sessions, sessions + 1); /* nobody knocks meanwhile */
        run_until(is_up, NULL, "tried again after an hour");
    }
    assert_int_equal(send_frame("hello"), SEND_DONE);
    expect_right();
}

static void test_no_network_waits_for_service(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 32});
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 32});
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    int64_t told_ms = t.world.now_ms;
    sbd_modem_say(t.modem, "\r\n+CIEV:1,1\r\n");
    run_until(has_room, NULL, "room when service is back");
    assert_in_range(t.world.now_ms - told_ms, 0, 60 * SECOND);
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    assert_int_equal(send_frame("hello"), SEND_DONE);
    expect_right();
}

static void test_radio_is_switched_on(void **state)
{
    bring_up();
    t.modem->radio_off = true;
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    assert_int_equal(send_frame("hello"), SEND_DONE);
    assert_false(t.modem->radio_off);
    assert_int_equal(t.link.stations[0]->downs, 0);
    expect_right();
}

static void test_radio_that_stays_off_stops_the_link(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 34});
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 34});
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    run_until(is_down, NULL, "the link is down");
}

static void test_traffic_management_is_waited_out(void **state)
{
    bring_up();
    t.modem->loe_seconds = 777;
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 38});
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    int64_t told_ms = t.world.now_ms;
    run_until(has_room, NULL, "room after the wait");
    assert_in_range(t.world.now_ms - told_ms, 776 * SECOND, 780 * SECOND);
    expect_right();
}

static void test_no_storm_where_the_network_asks_for_no_wait(void **state)
{
    bring_up();
    t.modem->loe_seconds = 0;
    for (int i = 0; i < 20; i++)
        sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 38});
    int64_t began_ms = t.world.now_ms;
    for (int i = 0; i < 20; i++)
        assert_int_equal(send_frame("hello"), SEND_FAILED);
    assert_true(t.world.now_ms - began_ms > HOUR);
    expect_right();
}

static void test_result_that_is_cut_short_is_no_success(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 18, .cut = true});
    assert_int_equal(send_frame("hello"), SEND_UNKNOWN);
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 0, .cut = true});
    assert_int_equal(send_frame("hello"), SEND_DONE);
    assert_int_equal(t.modem->mo_count, 1);
    expect_right();
}

static void test_no_retry_storm(void **state)
{
    bring_up();
    for (int i = 0; i < SBD_MODEM_SCRIPT; i++)
        sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 18});
    int64_t began_ms = t.world.now_ms;
    for (int i = 0; i < 40; i++)
        assert_int_equal(send_frame("hello"), SEND_UNKNOWN);
    assert_true(t.world.now_ms - began_ms > 5 * HOUR);
    unsigned within = 0; /* of any ten minutes */
    for (unsigned i = 0; i + 1 < t.modem->sessions; i++) {
        unsigned n = 0;
        while (i + n < t.modem->sessions && t.modem->session_began_ms[i + n] < t.modem->session_began_ms[i] + 10 * MINUTE)
            n++;
        within = n > within ? n : within;
        assert_true(t.modem->session_began_ms[i + 1] - t.modem->session_began_ms[i] >= 10 * SECOND);
    }
    assert_true(within <= 8);
    assert_int_equal(t.modem->credits, 0);
    expect_right();
}

/* Given back while it cannot go: an alarm that comes meanwhile goes first. */
static void test_frame_is_given_back_while_it_must_wait(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 32});
    sbd_modem_queue(t.modem, "for us", 6, true);
    run_until(in_session, NULL, "a session for the mailbox");
    assert_int_equal(fake_send(&t.link, STATION_NONE, "normal", 6), 0);
    run_until(is_told, NULL, "the outcome");
    assert_int_equal(t.link.last_outcome, SEND_FAILED);
    assert_int_equal(t.modem->sessions, 1);
    run_until(has_room, NULL, "room");
    assert_int_equal(fake_send_urgent(&t.link, STATION_NONE, "alarm", 5), 0);
    run_until(is_told, NULL, "the outcome");
    expect_mo(0, "alarm");
    expect_right();
}

/* What the gateway will never take is not brought again and again. */
static void test_refused_size_is_not_sent_again(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 12});
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    for (int i = 0; i < 5; i++)
        assert_int_equal(send_frame("hello"), SEND_FAILED);
    assert_int_equal(t.modem->sessions, 1);
    assert_int_equal(send_frame("another"), SEND_DONE);
    expect_right();
}

/* ---- results that never come ---- */

static void test_lost_result_is_known_by_the_count(void **state)
{
    static const enum sbd_modem_fate fates[] = {FATE_NO_RESULT, FATE_POWER_AFTER};
    bring_up();
    for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++) {
        sbd_modem_expect(t.modem, (struct sbd_modem_session){.fate = fates[i]});
        assert_int_equal(send_frame("hello"), SEND_DONE);
        assert_int_equal(t.modem->sessions, i + 1);
    }
    t.modem->momsn = 65535; /* it wraps */
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.fate = FATE_NO_RESULT});
    assert_int_equal(send_frame("hello"), SEND_DONE);
    expect_right();
}

static void test_power_loss_before_the_end_is_unknown(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.fate = FATE_POWER_BEFORE});
    assert_int_equal(send_frame("hello"), SEND_UNKNOWN);
    assert_int_equal(send_frame("hello"), SEND_DONE);
    assert_true(t.modem->ring_on); /* set up anew after its restart */
    expect_right();
}

/* It answers at once, but its buffer is empty: the success is that of a look into the mailbox. */
static void test_restart_between_writing_and_session(void **state)
{
    bring_up();
    t.modem->restarts_before_session = 1;
    assert_int_equal(send_frame("hello"), SEND_UNKNOWN);
    assert_int_equal(t.modem->mo_count, 0);
    assert_int_equal(send_frame("hello"), SEND_DONE);
    assert_int_equal(t.modem->mo_count, 1);
    assert_true(t.modem->ring_on);
    expect_right();
}

static void test_failure_that_delivered_is_unknown(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 18, .delivers = true});
    assert_int_equal(send_frame("hello"), SEND_UNKNOWN);
    assert_int_equal(t.modem->mo_count, 1);
    expect_right();
}

static void test_hanging_modem_is_told_and_comes_back(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.fate = FATE_HANGS});
    assert_int_equal(send_frame("hello"), SEND_UNKNOWN);
    run_until(is_down, NULL, "the link is down");
    fake_run_for(&t.world, HOUR);
    t.modem->wrongs = 0; /* asking for a sign of life after the guard is what is left to do */
    sbd_modem_power(t.modem, false);
    fake_run_for(&t.world, MINUTE);
    sbd_modem_power(t.modem, true);
    run_until(is_up, NULL, "up again");
    assert_int_equal(send_frame("hello"), SEND_DONE);
    expect_right();
}

static void test_port_that_vanishes_in_a_session(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.fate = FATE_UNPLUG});
    assert_int_equal(send_frame("hello"), SEND_UNKNOWN);
    run_until(is_down, NULL, "the link is down");
    fake_run_for(&t.world, 5 * MINUTE);
    plug(true);
    run_until(is_up, NULL, "up again");
    assert_int_equal(t.modem->mo_count, 1);
    assert_int_equal(send_frame("hello"), SEND_DONE); /* the modem's count says that it is gone already */
    assert_int_equal(t.modem->sessions, 1);
    assert_int_equal(send_frame("hello"), SEND_DONE); /* asked for once more, it goes */
    assert_int_equal(t.modem->sessions, 2);
    expect_right();
}

/* ---- the process ends ---- */

static void test_session_left_by_a_process_is_resolved(void **state)
{
    bring_up();
    run_until(has_room, NULL, "room");
    assert_int_equal(fake_send(&t.link, STATION_NONE, "hello", 5), 0);
    run_until(in_session, NULL, "a session");
    restart(); /* no byte is written into the session: the modem would take it ill */
    run_until(is_up, NULL, "up again");
    assert_int_equal(send_frame("another"), SEND_DONE);
    assert_int_equal(t.modem->sessions, 2);
    assert_int_equal(send_frame("hello"), SEND_DONE);
    assert_int_equal(t.modem->sessions, 2); /* it was handed over by the process before */
    assert_int_equal(t.modem->mo_count, 2);
    expect_right();
}

static void test_session_left_and_failed_is_sent_again(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 18});
    run_until(has_room, NULL, "room");
    assert_int_equal(fake_send(&t.link, STATION_NONE, "hello", 5), 0);
    run_until(in_session, NULL, "a session");
    restart();
    run_until(is_up, NULL, "up again");
    assert_int_equal(send_frame("hello"), SEND_DONE);
    assert_int_equal(t.modem->sessions, 2);
    expect_right();
}

static void test_restart_does_not_shorten_a_wait(void **state)
{
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = 15});
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    run_until(is_down, NULL, "down");
    for (int i = 0; i < 5; i++) {
        restart();
        fake_run_for(&t.world, 5 * MINUTE);
    }
    assert_false(fake_is_up(&t.link));
    assert_int_equal(t.modem->sessions, 1);
}

static void test_damaged_note_is_passed_over(void **state)
{
    bring_up();
    assert_int_equal(send_frame("hello"), SEND_DONE);
    for (size_t at = 0; at < t.link.given.note_n; at += 7) {
        t.link.given.note[at] ^= 0x55;
        restart();
        run_until(is_up, NULL, "up again");
        assert_int_equal(send_frame("hello"), SEND_DONE);
    }
    t.link.note_error = -ENOSPC; /* a full disk: worth a credit at most */
    assert_int_equal(send_frame("hello"), SEND_DONE);
    expect_right();
}

/* ---- the bill ---- */

static void test_budget_keeps_a_share_for_alarms(void **state)
{
    static char day[] = "10/day", share[] = "30%";
    t.budget[0] = day;
    t.budget[1] = share;
    t.options.budget.count = 2;
    bring_up();
    for (int i = 0; i < 7; i++)
        assert_int_equal(send_frame("hello"), SEND_DONE);
    fake_run_for(&t.world, MINUTE);
    assert_true(fake_room(&t.link, STATION_NONE) > 0); /* for an alarm */
    assert_int_equal(fake_send(&t.link, STATION_NONE, "hello", 5), -EAGAIN);
    assert_non_null(strstr(fake_status(&t.link).detail, "budget"));
    for (int i = 0; i < 3; i++) {
        run_until(has_room, NULL, "room");
        assert_int_equal(fake_send_urgent(&t.link, STATION_NONE, "alarm", 5), 0);
        run_until(is_told, NULL, "outcome");
    }
    assert_int_equal(t.modem->credits, 10);
    sbd_modem_queue(t.modem, "for us", 6, true);
    fake_run_for(&t.world, 20 * HOUR);
    assert_int_equal(fake_room(&t.link, STATION_NONE), 0);
    assert_int_equal(t.modem->credits, 10);
    restart(); /* which renews nothing */
    run_until(is_up, NULL, "up");
    fake_run_for(&t.world, HOUR);
    assert_int_equal(t.modem->credits, 10);
    run_until(has_room, NULL, "room on the next day");
    expect_right();
}

static void test_terms_follow_the_keys(void **state)
{
    struct link_terms terms;
    t.options.time_scale = 10;
    bring_up();
    sbd_driver.terms(t.link.ctx, STATION_NONE, &terms);
    assert_int_equal(terms.quantum_bytes, 50);
    assert_int_equal(terms.hold_ms, 90 * SECOND);
    assert_int_equal(terms.ack_max_age_ms, 36 * MINUTE);
    assert_int_equal(terms.alarm_places, 2);
    assert_int_equal(sbd_driver.mtu(t.link.ctx, STATION_NONE), 340);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(test_message_goes_out_once),
    CASE(test_idle_costs_nothing),
    CASE(test_ring_fetches_all_that_waits),
    CASE(test_statuses_of_success),
    CASE(test_statuses_of_failure),
    CASE(test_statuses_that_stop_the_link),
    CASE(test_no_network_waits_for_service),
    CASE(test_radio_is_switched_on),
    CASE(test_radio_that_stays_off_stops_the_link),
    CASE(test_traffic_management_is_waited_out),
    CASE(test_no_storm_where_the_network_asks_for_no_wait),
    CASE(test_result_that_is_cut_short_is_no_success),
    CASE(test_no_retry_storm),
    CASE(test_frame_is_given_back_while_it_must_wait),
    CASE(test_refused_size_is_not_sent_again),
    CASE(test_lost_result_is_known_by_the_count),
    CASE(test_power_loss_before_the_end_is_unknown),
    CASE(test_restart_between_writing_and_session),
    CASE(test_failure_that_delivered_is_unknown),
    CASE(test_hanging_modem_is_told_and_comes_back),
    CASE(test_port_that_vanishes_in_a_session),
    CASE(test_session_left_by_a_process_is_resolved),
    CASE(test_session_left_and_failed_is_sent_again),
    CASE(test_restart_does_not_shorten_a_wait),
    CASE(test_damaged_note_is_passed_over),
    CASE(test_budget_keeps_a_share_for_alarms),
    CASE(test_terms_follow_the_keys),
};

int main(void)
{
    return cmocka_run_group_tests_name("iridium_sbd", tests, NULL, NULL);
}
