/* The pure parts of the iridium-sbd driver: table of results, bill, note. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "link_drivers/iridium_sbd_budget.h"
#include "link_drivers/iridium_sbd_note.h"
#include "link_drivers/iridium_sbd_policy.h"

#define MINUTE (60 * 1000ll)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* Facts: success is 0 to 4; 10, 13, 17, 18 and 19 may have delivered. */
static void test_every_status_has_its_row(void **state)
{
    static const int unknown[] = {10, 13, 17, 18, 19};
    for (int status = -3; status < 300; status++) {
        const struct sbd_policy *p = sbd_policy_of(status);
        assert_true(p->words && *p->words);
        assert_int_equal(p->outcome == SEND_DONE, status >= 0 && status <= 4);
        assert_true(!p->stop || p->alert); /* what stops the link is told */
        if (p->outcome != SEND_DONE)
            assert_int_not_equal(p->wait, SBD_WAIT_NONE);
    }
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_int_equal(sbd_policy_of(unknown[i])->outcome, SEND_UNKNOWN);
    assert_int_equal(sbd_policy_of(47)->outcome, SEND_UNKNOWN);
    assert_int_equal(sbd_policy_of(5)->outcome, SEND_UNKNOWN); /* no success, whatever others think */
    assert_true(sbd_policy_of(15)->stop && sbd_policy_of(16)->stop);
    assert_true(sbd_policy_of(12)->never && sbd_policy_of(14)->never);
    assert_int_equal(sbd_policy_of(38)->remedy, SBD_REMEDY_ASK_WAIT);
    assert_int_equal(sbd_policy_of(34)->remedy, SBD_REMEDY_RADIO_ON);
}

/* Two within 5 s, two within 30 s, then minutes, whatever chance says. */
static void test_ladder(void **state)
{
    static const uint32_t chances[] = {0, 1, 12345, 0x80000000u, UINT32_MAX};
    for (size_t i = 0; i < sizeof(chances) / sizeof(chances[0]); i++) {
        assert_in_range(sbd_ladder_ms(1, chances[i]), 0, 5000);
        assert_in_range(sbd_ladder_ms(2, chances[i]), 0, 5000);
        assert_in_range(sbd_ladder_ms(3, chances[i]), 0, 30000);
        assert_in_range(sbd_ladder_ms(4, chances[i]), 0, 30000);
        assert_int_equal(sbd_ladder_ms(5, chances[i]), 5 * MINUTE);
        assert_int_equal(sbd_ladder_ms(100, chances[i]), 30 * MINUTE);
        assert_int_equal(sbd_ladder_ms(UINT32_MAX, chances[i]), 30 * MINUTE);
    }
}

static void test_credits_are_started_multiples(void **state)
{
    static const struct {
        size_t bytes;
        int64_t credits;
    } known[] = {{0, 0}, {1, 1}, {50, 1}, {51, 2}, {100, 2}, {340, 7}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal(sbd_credits(known[i].bytes, 50), known[i].credits);
}

static void test_budget_is_read(void **state)
{
    static const char *const wrong[] = {"", "40", "/day", "0/day", "-1/day", "40/week", "101%", "x%", "1000001/day", "4 0/day"};
    struct sbd_budget b;
    sbd_budget_init(&b, 1);
    assert_int_equal(b.alarm_percent, SBD_ALARM_SHARE_DEFAULT);
    assert_null(sbd_budget_read(&b, "40/day"));
    assert_null(sbd_budget_read(&b, "900/month"));
    assert_null(sbd_budget_read(&b, "0%"));
    assert_int_equal(b.limit[SBD_DAY], 40);
    assert_int_equal(b.limit[SBD_MONTH], 900);
    assert_int_equal(b.alarm_percent, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_non_null(sbd_budget_read(&b, wrong[i]));
}

static void test_budget_holds_and_renews(void **state)
{
    struct sbd_budget b;
    sbd_budget_init(&b, 1);
    assert_null(sbd_budget_read(&b, "10/day"));
    assert_null(sbd_budget_read(&b, "25/month"));
    int64_t now = 5 * HOUR;
    assert_int_equal(sbd_budget_renews_ms(&b, now), INT64_MAX);
    sbd_budget_spend(&b, 7, now);
    assert_true(sbd_budget_allows(&b, 1, false, now));
    assert_false(sbd_budget_allows(&b, 2, false, now)); /* 20 % are for alarms */
    assert_true(sbd_budget_allows(&b, 3, true, now));
    assert_false(sbd_budget_allows(&b, 4, true, now));
    assert_int_equal(sbd_budget_renews_ms(&b, now), now + DAY);
    now += DAY;
    assert_true(sbd_budget_allows(&b, 8, false, now));
    sbd_budget_spend(&b, 10, now);
    now += DAY;
    sbd_budget_spend(&b, 8, now);
    now += DAY;
    assert_false(sbd_budget_allows(&b, 1, true, now)); /* of the month */
    assert_int_equal(sbd_budget_renews_ms(&b, now), 5 * HOUR + 30 * DAY);
    assert_true(sbd_budget_allows(&b, 1, false, 5 * HOUR + 30 * DAY));
    assert_int_equal(b.total, 25);
}

static void test_no_budget_allows_all(void **state)
{
    struct sbd_budget b;
    sbd_budget_init(&b, 1);
    sbd_budget_spend(&b, 1000000, 0);
    assert_true(sbd_budget_allows(&b, 1000000, false, 1));
    assert_int_equal(sbd_budget_renews_ms(&b, 1), INT64_MAX);
}

static void test_note_comes_back(void **state)
{
    struct sbd_note note = {.pending = true, .with_frame = true, .frame_crc = 0x12345678, .frame_bytes = 340,
                            .settled = true, .settled_crc = 9, .settled_bytes = 8, .momsn = 65535,
                            .imei = "300234010123450", .failures = 7, .wait_ms = HOUR, .blocked = true, .wall_ms = 1000 * DAY};
    struct sbd_budget bill, got_bill;
    struct sbd_note got;
    uint8_t bytes[SBD_NOTE_MAX];
    sbd_budget_init(&bill, 1);
    sbd_budget_init(&got_bill, 1);
    sbd_budget_spend(&bill, 12, 40 * HOUR);
    size_t n = sbd_note_write(&note, &bill, 41 * HOUR, bytes);
    assert_in_range(n, 1, SBD_NOTE_MAX);
    /* The clock of the new process begins elsewhere; half an hour has passed meanwhile. */
    assert_true(sbd_note_read(&got, &got_bill, bytes, n, 5000, 1000 * DAY + HOUR / 2));
    assert_true(got.pending && got.with_frame && got.settled && got.blocked);
    assert_int_equal(got.frame_crc, note.frame_crc);
    assert_int_equal(got.frame_bytes, 340);
    assert_int_equal(got.settled_crc, 9);
    assert_int_equal(got.settled_bytes, 8);
    assert_int_equal(got.momsn, 65535);
    assert_string_equal(got.imei, note.imei);
    assert_int_equal(got.failures, 7);
    assert_int_equal(got.wait_ms, HOUR / 2);
    assert_int_equal(got_bill.spent[SBD_DAY], 12);
    assert_int_equal(got_bill.began_ms[SBD_DAY], 5000 - HOUR - HOUR / 2);
    assert_int_equal(got_bill.total, 12);
    /* Without a clock, or with one that went back, time stood still. */
    assert_true(sbd_note_read(&got, &got_bill, bytes, n, 5000, 0));
    assert_int_equal(got.wait_ms, HOUR);
    assert_true(sbd_note_read(&got, &got_bill, bytes, n, 5000, 999 * DAY));
    assert_int_equal(got.wait_ms, HOUR);
}

static void test_damaged_note_is_none(void **state)
{
    struct sbd_note note = {.momsn = 3}, got;
    struct sbd_budget bill;
    uint8_t bytes[SBD_NOTE_MAX];
    sbd_budget_init(&bill, 1);
    size_t n = sbd_note_write(&note, &bill, 0, bytes);
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 1;
        assert_false(sbd_note_read(&got, &bill, bytes, n, 0, 0));
        bytes[i] ^= 1;
        assert_false(sbd_note_read(&got, &bill, bytes, i, 0, 0));
    }
    assert_true(sbd_note_read(&got, &bill, bytes, n, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_its_row), cmocka_unit_test(test_ladder),
        cmocka_unit_test(test_credits_are_started_multiples), cmocka_unit_test(test_budget_is_read),
        cmocka_unit_test(test_budget_holds_and_renews), cmocka_unit_test(test_no_budget_allows_all),
        cmocka_unit_test(test_note_comes_back), cmocka_unit_test(test_damaged_note_is_none),
    };
    return cmocka_run_group_tests_name("iridium_sbd_parts", tests, NULL, NULL);
}
