#include "tests/unit/link_drivers/sbd_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct sbd_case t;


/* Nothing is on its way through the pty any more when time jumps, however busy the machine is. */
static bool settle(void *arg)
{
    return t.modem && sbd_modem_settle(t.modem, &t.world.in_op, t.world.now_ms);
}

int set_up(void **state)
{
    memset(&t, 0, sizeof(t));
    const char *tmp = getenv("TMPDIR");
    snprintf(t.path, sizeof(t.path), "%s/longwire-sbd-%d", tmp ? tmp : "/tmp", (int)getpid());
    t.settings = (struct sbd_modem_settings){
        .path = t.path, .mo_max = 340, .mt_max = 270, .session_ms = 20 * SECOND, .answer_ms = 50};
    t.options = (struct sbd_options){.device = t.path,
                                     .baud = 19200,
                                     .hold_ms = 15 * MINUTE,
                                     .ack_max_age_ms = 6 * HOUR,
                                     .credit_bytes = 50,
                                     .budget = {t.budget, 0},
                                     .min_interval_ms = 10 * SECOND,
                                     .session_timeout_ms = 90 * SECOND,
                                     .time_scale = 1};
    fake_world_init(&t.world);
    t.world.settle = settle;
    return 0;
}

void begin(void)
{
    assert_int_equal(fake_link_open(&t.world, &t.modem_link, &sbd_modem_driver, &t.settings, false), 0);
    t.modem = t.modem_link.ctx;
    fake_start(&t.modem_link);
    assert_int_equal(fake_link_open(&t.world, &t.link, &sbd_driver, &t.options, true), 0);
    fake_start(&t.link);
}

int tear_down(void **state)
{
    if (t.link.ctx) {
        fake_stop(&t.link);
        fake_link_close(&t.link);
    }
    if (t.modem_link.ctx) {
        fake_stop(&t.modem_link);
        fake_link_close(&t.modem_link);
    }
    return 0;
}

/* ---- what is waited for ---- */

bool is_up(void *arg)
{
    return fake_is_up(&t.link);
}

bool is_down(void *arg)
{
    return t.link.stations[0]->state == LINK_DOWN;
}

bool is_told(void *arg)
{
    return !t.link.outcome_due;
}

bool has_room(void *arg)
{
    return fake_room(&t.link, STATION_NONE) > 0;
}

bool has_frames(void *arg)
{
    return t.link.stations[0]->frames >= *(size_t *)arg;
}

void run_until(bool (*what)(void *), void *arg, const char *words)
{
    if (!fake_run(&t.world, what, arg))
        fail_msg("never: %s; link: %s; trace: %s; modem heard: %s", words, t.link.stations[0]->why, t.link.last_trace,
                 t.modem->last_command);
}

void bring_up(void)
{
    begin();
    run_until(is_up, NULL, "the link is up");
}

/* Waits for room, sends, and waits for the outcome. */
enum send_outcome send_frame(const char *text)
{
    run_until(has_room, NULL, "room for a frame");
    assert_int_equal(fake_send(&t.link, STATION_NONE, text, strlen(text)), 0);
    run_until(is_told, NULL, "the outcome of a frame");
    return t.link.last_outcome;
}

void expect_mo(size_t i, const char *text)
{
    assert_true(t.modem->mo_count > i);
    assert_int_equal(t.modem->mo_got[i].n, strlen(text));
    assert_memory_equal(t.modem->mo_got[i].bytes, text, strlen(text));
}

void expect_right(void)
{
    if (t.modem->wrongs)
        fail_msg("%u times wrong, the last: %s", t.modem->wrongs, t.modem->wrong);
    assert_int_equal(t.modem->mt_lost, 0);
}

void plug(bool in)
{
    t.world.in_op++;
    sbd_modem_plug(t.modem, in);
    t.world.in_op--;
}

bool in_session(void *arg)
{
    return t.modem->in_session;
}

void restart(void)
{
    struct fake_given given = t.link.given;
    fake_stop(&t.link);
    fake_link_close(&t.link);
    assert_int_equal(fake_link_open_given(&t.world, &t.link, &sbd_driver, &t.options, true, &given), 0);
    fake_start(&t.link);
}
