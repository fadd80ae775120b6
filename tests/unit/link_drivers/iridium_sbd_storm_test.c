/* The iridium-sbd driver in foul weather: a seed decides what the modem, the power, the port, the gateway and the process do,
 * for some hours of fake time. Nothing may be lost by the host or paid twice, time must go on (a driver that spins hangs the
 * test), and when the weather clears, a frame gets through.
 *
 * usage: ... [FIRST_SEED COUNT] */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/link_drivers/sbd_case.h"

#define EVENTS 120

static uint32_t seed_first = 1, seed_count = 12;
static uint32_t dice;

static uint32_t roll(uint32_t sides)
{
    dice = dice * 1664525u + 1013904223u;
    return (dice >> 8) % sides;
}

static void choose_modem(void)
{
    static char day[] = "60/day", month[] = "500/month";
    t.settings.echo_sticks = roll(4) == 0;
    t.settings.no_spaces = roll(2);
    t.settings.label_a = roll(2);
    t.settings.bare_ready = roll(2);
    t.settings.lf_less = roll(5) == 0;
    t.settings.dribble = roll(4) == 0;
    t.settings.verdict_without_ok = roll(2);
    t.settings.chatter = roll(4) == 0 ? "\r\n+CIEV:0,2\r\n" : NULL;
    t.settings.firmware = roll(4) == 0 ? "TA12003" : NULL;
    t.options.check_ms = roll(3) ? 10 * MINUTE : 0;
    t.options.poll_ms = roll(3) ? 0 : HOUR;
    t.options.min_interval_ms = roll(2) ? 10 * SECOND : 0;
    t.options.location = roll(2);
    if (roll(3) == 0) {
        t.budget[0] = day;
        t.budget[1] = month;
        t.options.budget.count = 2;
    }
}

static void choose_sessions(void)
{
    static const int statuses[] = {0, 0, 1, 2, 4, 5, 10, 13, 17, 18, 18, 19, 32, 32, 33, 34, 35, 36, 37, 38, 47, 64};
    static const enum sbd_modem_fate fates[] = {FATE_RESULT, FATE_RESULT, FATE_RESULT, FATE_RESULT, FATE_NO_RESULT,
                                                FATE_POWER_AFTER, FATE_POWER_BEFORE, FATE_UNPLUG};
    if (t.modem->script_n > t.modem->script_at)
        return;
    t.modem->script_n = t.modem->script_at = 0;
    for (uint32_t i = roll(4); i > 0; i--)
        sbd_modem_expect(t.modem, (struct sbd_modem_session){.status = statuses[roll(22)],
                                                             .delivers = roll(3) == 0,
                                                             .fate = fates[roll(8)],
                                                             .mt_status = roll(8) == 0 ? 2 : 0,
                                                             .lasts_ms = (int64_t)roll(100) * SECOND});
}

static void offer_frame(void)
{
    uint8_t bytes[340];
    size_t n = 1 + roll(340);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)roll(256);
    bytes[0] |= 0x80;
    if (t.link.outcome_due || fake_room(&t.link, STATION_NONE) == 0)
        return;
    int rc = roll(4) ? fake_send(&t.link, STATION_NONE, bytes, n) : fake_send_urgent(&t.link, STATION_NONE, bytes, n);
    (void)rc; /* the budget may refuse it */
}

static void queue_message(void)
{
    uint8_t bytes[270];
    size_t n = 1 + roll(270);
    for (size_t i = 0; i < n; i++)
        bytes[i] = "\r\nOK\r\nSBDRING\r\n"[roll(15)];
    if (t.modem->mt_count < SBD_MODEM_MESSAGES)
        sbd_modem_queue(t.modem, bytes, n, roll(3) != 0);
}

static void one_event(void)
{
    static const char *const noise[] = {"\r\n+CIEV:1,1\r\n", "\r\nSBDRING\r\n", "\r\n+AREG:0,0\r\n", "garbage", "\r\nOK\r\n",
                                        "\r\n+CIEV:1,0\r\n", "\r\nHARDWARE FAILURE: RF,1\r\n", "\r\n\r\n"};
    switch (roll(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        offer_frame();
        break;
    case 4:
    case 5:
        queue_message();
        break;
    case 6:
        sbd_modem_say(t.modem, noise[roll(8)]);
        break;
    case 7:
        t.modem->damage_reads = (int)roll(4);
        t.modem->refuse_writes = (int)roll(3);
        t.modem->deny_sessions = (int)roll(2);
        break;
    case 8:
        sbd_modem_power(t.modem, roll(3) != 0);
        break;
    case 9:
        plug(t.modem->master < 0);
        break;
    case 10:
        if (roll(2))
            restart();
        break;
    case 11:
        t.modem->no_time = roll(4) == 0;
        t.modem->ra_sticks = roll(8) == 0;
        t.modem->loe_seconds = (int)roll(600);
        t.link.disk_stands = roll(8) == 0;
        break;
    }
}

/* All faults end: a frame must get through. */
static void weather_clears(void)
{
    t.modem->script_n = t.modem->script_at = 0;
    t.modem->damage_reads = t.modem->refuse_writes = t.modem->deny_sessions = 0;
    t.modem->no_time = t.modem->ra_sticks = t.link.disk_stands = false;
    if (t.modem->master < 0)
        plug(true);
    if (!t.modem->powered)
        sbd_modem_power(t.modem, true);
    run_until(is_told, NULL, "the outcome of what was under way");
    if (t.options.budget.count > 0)
        fake_run_for(&t.world, 25 * HOUR); /* the next day's budget */
    enum send_outcome outcome = SEND_FAILED;
    for (int i = 0; i < 4 && outcome != SEND_DONE; i++)
        outcome = send_frame("the weather is clear");
    assert_int_equal(outcome, SEND_DONE);
    if (t.options.budget.count == 0) /* a ring may have been lost, but a later message brings all along */
        for (size_t i = 0; i < 40 && t.modem->mt_at < t.modem->mt_count; i++)
            fake_run_for(&t.world, 10 * MINUTE);
}

static void storm(uint32_t seed)
{
    dice = seed;
    choose_modem();
    begin();
    for (int i = 0; i < EVENTS; i++) {
        choose_sessions();
        one_event();
        fake_run_for(&t.world, 1 + roll(roll(4) ? 30 : 900) * SECOND);
        if (t.modem->in_session && t.modem->session_end_ms == INT64_MAX)
            sbd_modem_power(t.modem, true);
        if (t.modem->wrongs)
            fail_msg("seed %u, event %d: %s", seed, i, t.modem->wrong);
        if (t.modem->mo_count > SBD_MODEM_MESSAGES - 10)
            break;
    }
    weather_clears();
    assert_int_equal(t.modem->wrongs, 0);
}

static void test_storms(void **state)
{
    for (uint32_t i = 0; i < seed_count; i++) {
        print_message("# seed %u\n", seed_first + i);
        set_up(state);
        storm(seed_first + i);
        tear_down(state);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        seed_first = (uint32_t)strtoul(argv[1], NULL, 10);
        seed_count = (uint32_t)strtoul(argv[2], NULL, 10);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_storms)};
    return cmocka_run_group_tests_name("iridium_sbd_storm", tests, NULL, NULL);
}
