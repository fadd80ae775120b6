/* The iridium-sbd driver: messages for us, and modems of many manners, with what other programs left in them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/link_drivers/sbd_case.h"

/* What looks like the modem's own words, both ways. */
static void expect_both_ways(void)
{
    size_t one = t.link.stations[0]->frames + 1, n = t.link.stations[0]->n;
    uint8_t bytes[270];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)("\r\nOK\r\nSBDRING\r\n"[i % 16] ^ (i / 16 % 4 == 3 ? i : 0));
    assert_int_equal(send_frame("\r\nOK\r\n+SBDIX: 0, 1\r\n\x11\x13"), SEND_DONE);
    sbd_modem_queue(t.modem, bytes, sizeof(bytes), true);
    run_until(has_frames, &one, "a message");
    assert_int_equal(t.link.stations[0]->n, n + sizeof(bytes));
    assert_memory_equal(t.link.stations[0]->bytes + n, bytes, sizeof(bytes));
    fake_run_for(&t.world, MINUTE);
    expect_mo(t.modem->mo_count - 1, "\r\nOK\r\n+SBDIX: 0, 1\r\n\x11\x13");
    expect_right();
}

/* ---- messages for us ---- */

static void leave_mt(const char *text)
{
    t.modem->mt_n = strlen(text);
    memcpy(t.modem->mt, text, t.modem->mt_n);
    t.modem->mt_full = true;
    t.modem->mt_read = false;
}

static void test_unread_message_is_read_before_a_session(void **state)
{
    bring_up();
    leave_mt("left");
    assert_int_equal(send_frame("hello"), SEND_DONE);
    assert_int_equal(t.link.stations[0]->frames, 1);
    assert_memory_equal(t.link.stations[0]->bytes, "left", 4);
    expect_right();
}

static void test_message_is_cleared_after_it_is_on_disk(void **state)
{
    size_t one = 1;
    bring_up();
    t.link.disk_stands = true;
    sbd_modem_queue(t.modem, "for us", 6, true);
    run_until(has_frames, &one, "a message");
    fake_run_for(&t.world, 30 * SECOND);
    assert_true(t.modem->mt_full);
    fake_commit(&t.link);
    fake_run_for(&t.world, 30 * SECOND);
    assert_false(t.modem->mt_full);
    expect_right();
}

static void test_disk_that_never_writes_does_not_hold_up_for_ever(void **state)
{
    size_t one = 1;
    bring_up();
    t.link.disk_stands = true;
    sbd_modem_queue(t.modem, "for us", 6, true);
    run_until(has_frames, &one, "a message");
    assert_int_equal(send_frame("hello"), SEND_DONE);
    expect_right();
}

static void test_damaged_read_is_repeated(void **state)
{
    size_t one = 1;
    bring_up();
    t.modem->damage_reads = 4;
    sbd_modem_queue(t.modem, "for us", 6, true);
    run_until(has_frames, &one, "a message");
    assert_memory_equal(t.link.stations[0]->bytes, "for us", 6);
    expect_right();
}

static void test_unreadable_message_does_not_stop_the_rest(void **state)
{
    bring_up();
    t.modem->damage_reads = 1000;
    sbd_modem_queue(t.modem, "for us", 6, true);
    fake_run_for(&t.world, 10 * MINUTE);
    assert_int_equal(send_frame("hello"), SEND_DONE);
    assert_true(t.link.warnings > 0);
}

static void test_missed_ring_is_found_for_free(void **state)
{
    size_t one = 1;
    t.options.check_ms = 10 * MINUTE;
    bring_up();
    t.modem->ring_on = false;
    sbd_modem_queue(t.modem, "for us", 6, true);
    run_until(has_frames, &one, "a message");
    expect_right();
}

static void test_frame_given_during_an_empty_session_goes_in_the_next(void **state)
{
    bring_up();
    sbd_modem_queue(t.modem, "for us", 6, true);
    run_until(in_session, NULL, "a session for the mailbox");
    assert_int_equal(fake_send(&t.link, STATION_NONE, "hello", 5), 0);
    run_until(is_told, NULL, "the outcome of a frame");
    assert_int_equal(t.link.last_outcome, SEND_DONE);
    expect_mo(0, "hello");
    expect_right();
}

static void test_modem_registers_so_that_it_rings(void **state)
{
    begin();
    t.modem->unregistered = true;
    run_until(is_up, NULL, "the link is up");
    fake_run_for(&t.world, MINUTE);
    assert_int_equal(t.modem->registrations, 1);
    assert_int_equal(t.modem->empty_sessions, 0);
    fake_run_for(&t.world, 10 * HOUR);
    assert_int_equal(t.modem->registrations, 1);
    expect_right();
}

static void test_registration_that_fails_is_tried_with_patience(void **state)
{
    begin();
    t.modem->unregistered = true;
    t.modem->register_error = 32;
    run_until(is_up, NULL, "the link is up");
    fake_run_for(&t.world, 3 * HOUR);
    assert_in_range(t.modem->registrations, 4, 30);
    assert_int_equal(send_frame("hello"), SEND_DONE); /* a session registers as well */
    unsigned before = t.modem->registrations;
    fake_run_for(&t.world, 3 * HOUR);
    assert_int_equal(t.modem->registrations, before);
    expect_right();
}

/* A ring that is found at the start comes before the registration, which its session makes needless. */
static void test_ring_found_at_the_start(void **state)
{
    size_t one = 1;
    begin();
    t.modem->unregistered = true;
    sbd_modem_queue(t.modem, "for us", 6, true);
    run_until(has_frames, &one, "a message");
    fake_run_for(&t.world, HOUR);
    assert_int_equal(t.modem->registrations, 0);
    assert_int_equal(t.modem->sessions, 1);
    expect_right();
}

static void test_other_kind_of_modem_is_told(void **state)
{
    begin();
    t.modem->deny_command = "+SBDSX";
    run_until(is_down, NULL, "down");
    assert_non_null(strstr(t.link.stations[0]->why, "does not answer as an SBD modem"));
    unsigned commands = t.modem->commands;
    fake_run_for(&t.world, HOUR);
    assert_true(t.modem->commands - commands < 12000); /* some three a second at most */
    t.modem->deny_command = NULL;
    run_until(is_up, NULL, "up");
    expect_both_ways();
}

static void test_poll_asks_when_nothing_else_did(void **state)
{
    t.options.poll_ms = HOUR;
    bring_up();
    fake_run_for(&t.world, 30 * MINUTE);
    assert_int_equal(send_frame("hello"), SEND_DONE);
    fake_run_for(&t.world, 4 * HOUR + 30 * MINUTE);
    assert_int_equal(t.modem->empty_sessions, 4);
    expect_right();
}

static void test_error_of_the_mailbox_is_tried_again(void **state)
{
    size_t one = 1;
    bring_up();
    sbd_modem_expect(t.modem, (struct sbd_modem_session){.mt_status = 2});
    sbd_modem_queue(t.modem, "for us", 6, true);
    run_until(has_frames, &one, "a message");
    expect_right();
}

static void test_flag_that_stays_up_costs_no_second_session(void **state)
{
    t.options.check_ms = 10 * MINUTE;
    bring_up();
    t.modem->ra = true;
    t.modem->ra_sticks = true;
    fake_run_for(&t.world, 24 * HOUR);
    assert_int_equal(t.modem->sessions, 1);
}

/* ---- the modem's manners ---- */

#define MANNER(name, ...)                                                                          \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
        bring_up();                                                                                \
        expect_both_ways();                                                                        \
    }
MANNER(echo_that_stays, t.settings.echo_sticks = true)
MANNER(no_spaces_and_another_label, t.settings.no_spaces = t.settings.label_a = true)
MANNER(ready_without_a_line_break_before, t.settings.bare_ready = true)
MANNER(lines_that_end_in_cr_alone, t.settings.lf_less = true)
MANNER(left_quiet, t.settings.starts_quiet = true)
MANNER(left_numeric, t.settings.starts_numeric = true)
MANNER(a_byte_at_a_time, t.settings.dribble = true)
MANNER(news_before_each_answer, t.settings.chatter = "\r\n+CIEV:0,3\r\n\r\n+AREG:0,0\r\n")
MANNER(news_glued_to_each_answer, t.settings.chatter = "+CIEV:0,3\r\n")
MANNER(a_coloured_debug_stream, t.settings.chatter = "\r\n\x1b[1;31mdebug 1, 2\x1b[0m\r\n")
MANNER(no_ok_behind_a_bad_verdict, t.settings.verdict_without_ok = true)
MANNER(another_baud_rate, t.settings.baud = 9600)
MANNER(old_firmware, t.settings.firmware = "TA12003")

static void test_ring_glued_to_answers(void **state)
{
    t.settings.chatter = "SBDRING";
    bring_up();
    assert_int_equal(send_frame("hello"), SEND_DONE);
}

static void test_old_firmware_is_kept_from_hanging(void **state)
{
    t.settings.firmware = "TA12003";
    bring_up();
    t.modem->no_time = true;
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    assert_int_equal(t.modem->sessions, 0);
    t.modem->no_time = false;
    assert_int_equal(send_frame("hello"), SEND_DONE);
}

static void test_leftovers_of_modem_manager(void **state)
{
    begin();
    strcpy(t.modem->line, "AT+GC");
    t.modem->line_len = 5;
    sbd_modem_say(t.modem, "AT+GCAP\r\r\n+GCAP: +CGSM\r\n\r\nOK\r\nAT\r\r\nOK\r\n");
    run_until(is_up, NULL, "up");
    expect_both_ways();
}

static void test_write_mode_left_by_somebody(void **state)
{
    begin();
    t.modem->writing = true;
    t.modem->write_n = 40;
    run_until(is_up, NULL, "up");
    expect_both_ways();
}

static void test_old_message_in_the_buffer_is_not_sent(void **state)
{
    begin();
    t.modem->mo_full = true;
    t.modem->mo_n = 3;
    t.modem->mo_sent_before = true;
    run_until(is_up, NULL, "up");
    expect_both_ways();
}

static void test_bad_checksum_is_written_again(void **state)
{
    bring_up();
    t.modem->refuse_writes = 2;
    assert_int_equal(send_frame("hello"), SEND_DONE);
    expect_right();
}

static void test_large_message_at_a_low_rate(void **state)
{
    char text[1901];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    t.settings.baud = 1200;
    t.settings.mo_max = 1960;
    t.options.baud = 1200;
    t.options.model = 3; /* 9522b */
    bring_up();
    assert_int_equal(send_frame(text), SEND_DONE);
    expect_mo(0, text);
    expect_right();
}

static void test_modem_that_takes_no_bytes(void **state)
{
    bring_up();
    t.modem->refuse_writes = 1000;
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    fake_run_for(&t.world, HOUR);
    assert_int_equal(t.modem->sessions, 0);
    assert_true(t.link.warnings > 0);
    t.modem->refuse_writes = 0;
    assert_int_equal(send_frame("hello"), SEND_DONE);
}

static void test_no_ready(void **state)
{
    bring_up();
    t.modem->silent_to = "AT+SBDWB";
    t.modem->silent_commands = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_frame("hello"), SEND_FAILED);
    assert_int_equal(send_frame("hello"), SEND_DONE);
    expect_right();
}

static void test_each_command_may_be_lost(void **state)
{
    static const char *const commands[] = {"ATQ0", "ATE0", "ATV1", "AT&D0", "AT&K0", "AT+CGMM", "AT+CGMR", "AT+CGSN",
                                           "AT+SBDMTA", "AT+CIER", "AT+SBDST", "AT+SBDREG?", "AT+SBDSX", "AT+SBDRB", "AT+SBDD0",
                                           "AT+SBDD1"};
    begin();
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        t.modem->silent_to = commands[i];
        t.modem->silent_commands = 2;
        fake_reset(&t.link, STATION_NONE, "for the test");
        run_until(is_up, NULL, commands[i]);
        expect_both_ways();
    }
}

static void test_session_that_is_not_begun(void **state)
{
    bring_up();
    t.modem->deny_sessions = 2;
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    assert_int_equal(send_frame("hello"), SEND_FAILED);
    assert_int_equal(send_frame("hello"), SEND_DONE);
    expect_right();
}

static void test_hardware_failure_is_told(void **state)
{
    bring_up();
    sbd_modem_say(t.modem, "\r\nHARDWARE FAILURE: RF,0042\r\n");
    fake_run_for(&t.world, SECOND);
    assert_true(t.link.warnings > 0);
    assert_non_null(strstr(fake_status(&t.link).detail, "hardware"));
    expect_both_ways();
}

static void test_last_baud_rate_of_those_tried(void **state)
{
    t.settings.baud = 600;
    begin();
    fake_run_for(&t.world, 24 * HOUR);
    run_until(is_up, NULL, "up");
    expect_both_ways();
}

static void test_silent_modem_is_told_and_not_hammered(void **state)
{
    begin();
    sbd_modem_power(t.modem, false);
    run_until(is_down, NULL, "down");
    fake_run_for(&t.world, 30 * MINUTE);
    assert_false(fake_is_up(&t.link));
    assert_non_null(strstr(t.link.stations[0]->why, "no modem answers at 19200 baud"));
    sbd_modem_power(t.modem, true);
    run_until(is_up, NULL, "up");
    expect_both_ways();
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    CASE(test_unread_message_is_read_before_a_session),
    CASE(test_message_is_cleared_after_it_is_on_disk),
    CASE(test_disk_that_never_writes_does_not_hold_up_for_ever),
    CASE(test_damaged_read_is_repeated),
    CASE(test_unreadable_message_does_not_stop_the_rest),
    CASE(test_missed_ring_is_found_for_free),
    CASE(test_frame_given_during_an_empty_session_goes_in_the_next),
    CASE(test_modem_registers_so_that_it_rings),
    CASE(test_registration_that_fails_is_tried_with_patience),
    CASE(test_ring_found_at_the_start),
    CASE(test_other_kind_of_modem_is_told),
    CASE(test_poll_asks_when_nothing_else_did),
    CASE(test_error_of_the_mailbox_is_tried_again),
    CASE(test_flag_that_stays_up_costs_no_second_session),
    CASE(test_echo_that_stays),
    CASE(test_no_spaces_and_another_label),
    CASE(test_ready_without_a_line_break_before),
    CASE(test_lines_that_end_in_cr_alone),
    CASE(test_left_quiet),
    CASE(test_left_numeric),
    CASE(test_a_byte_at_a_time),
    CASE(test_news_before_each_answer),
    CASE(test_news_glued_to_each_answer),
    CASE(test_a_coloured_debug_stream),
    CASE(test_no_ok_behind_a_bad_verdict),
    CASE(test_another_baud_rate),
    CASE(test_last_baud_rate_of_those_tried),
    CASE(test_old_firmware),
    CASE(test_ring_glued_to_answers),
    CASE(test_old_firmware_is_kept_from_hanging),
    CASE(test_leftovers_of_modem_manager),
    CASE(test_write_mode_left_by_somebody),
    CASE(test_old_message_in_the_buffer_is_not_sent),
    CASE(test_bad_checksum_is_written_again),
    CASE(test_large_message_at_a_low_rate),
    CASE(test_modem_that_takes_no_bytes),
    CASE(test_no_ready),
    CASE(test_each_command_may_be_lost),
    CASE(test_session_that_is_not_begun),
    CASE(test_hardware_failure_is_told),
    CASE(test_silent_modem_is_told_and_not_hammered),
};

int main(void)
{
    return cmocka_run_group_tests_name("iridium_sbd_modem", tests, NULL, NULL);
}
