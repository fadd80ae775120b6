/* Strangers at a listener, through the bridge's own door on simulated time: how long they may stay, how many, and what they hear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/unit/bridge/one_bridge.h"

#define GUESTS  3
#define STAY_MS 30000
#define LINK    0

static const char text[] = "[site]\nname = hub\n[store]\npath = s.db\nmax_bytes = 1M\n"
                           "[peer edge]\nlinks = lan\nsecret_file = k\naccept = a/#\n"
                           "[link lan]\ndriver = tcp\nlisten = :1\n";

static int setup(void **state)
{
    *state = one_bridge_new(text, (struct bridge_link){.listener = true, .guests = GUESTS});
    return 0;
}

static int teardown(void **state)
{
    one_bridge_free(*state);
    return 0;
}

static void comes(struct one_bridge *f, uint64_t station)
{
    bridge_link_state(f->bridge, LINK, station, BRIDGE_LINK_UP, "", &f->now);
}

static void comes_from(struct one_bridge *f, uint64_t station, const char *name)
{
    bridge_link_state(f->bridge, LINK, station, BRIDGE_LINK_UP, name, &f->now);
    one_bridge_until(f, f->now.mono_ms + 1);
}

static void says(struct one_bridge *f, uint64_t station, const void *bytes, size_t n)
{
    bridge_link_bytes(f->bridge, LINK, station, bytes, n, &f->now);
}

static void one_that_says_nothing_is_ended_after_half_a_minute_and_hears_nothing(void **state)
{
    struct one_bridge *f = *state;
    int64_t came = f->now.mono_ms;
    comes(f, 5);
    one_bridge_until(f, came + STAY_MS - 1);
    assert_int_equal(f->ended_count, 0);
    one_bridge_until(f, came + STAY_MS + 1);
    assert_int_equal(f->ended_count, 1);
    assert_int_equal(f->ended[0], 5);
    assert_int_equal(f->sent, 0);
}

static void one_that_drips_bytes_stays_no_longer(void **state)
{
    struct one_bridge *f = *state;
    int64_t came = f->now.mono_ms;
    comes(f, 5);
    for (int64_t t = 1000; t < STAY_MS; t += 1000) {
        one_bridge_until(f, came + t);
        says(f, 5, "x", 1);
    }
    assert_int_equal(f->ended_count, 0);
    one_bridge_until(f, came + STAY_MS + 1);
    assert_int_equal(f->ended_count, 1);
    assert_int_equal(f->sent, 0);
}

static void at_the_limit_the_oldest_gives_way(void **state)
{
    struct one_bridge *f = *state;
    for (uint64_t station = 1; station <= GUESTS; station++) {
        comes(f, station);
        one_bridge_until(f, f->now.mono_ms + 10);
    }
    assert_int_equal(f->ended_count, 0);
    comes(f, 77);
    comes(f, 78);
    assert_int_equal(f->ended_count, 2);
    assert_int_equal(f->ended[0], 1);
    assert_int_equal(f->ended[1], 2);
}

static void a_flood_from_one_address_pushes_out_none_from_another(void **state)
{
    struct one_bridge *f = *state;
    char name[40];
    comes_from(f, 1, "192.0.2.7:1000");
    for (uint64_t station = 2; station < 200; station++) {
        snprintf(name, sizeof name, "203.0.113.5:%d", (int)station);
        comes_from(f, station, name);
        if (station == 100)
            comes_from(f, 5000, "[2001:db8::1]:99");
    }
    assert_int_equal(f->ended_count, 200 - GUESTS);
    for (unsigned i = 0; i < f->ended_count; i++)
        assert_true(f->ended[i] != 1 && f->ended[i] != 5000);
}

/* An owner of IPv6 addresses has as many as there are places many times over: by their first half they are one's. */
static void addresses_of_one_network_are_one_place(void **state)
{
    struct one_bridge *f = *state;
    char name[60];
    comes_from(f, 1, "192.0.2.7:1000");
    for (uint64_t station = 2; station < 100; station++) {
        snprintf(name, sizeof name, "[2001:db8:1:2:%x:1:1:1]:4000", (unsigned)station);
        comes_from(f, station, name);
    }
    for (unsigned i = 0; i < f->ended_count; i++)
        assert_true(f->ended[i] != 1);
}

static void one_that_has_gone_takes_no_place(void **state)
{
    struct one_bridge *f = *state;
    for (uint64_t station = 1; station <= 100; station++) {
        comes(f, station);
        bridge_link_state(f->bridge, LINK, station, BRIDGE_LINK_DOWN, "closed", &f->now);
    }
    assert_int_equal(f->ended_count, 0);
    one_bridge_until(f, f->now.mono_ms + 2 * STAY_MS);
    assert_int_equal(f->ended_count, 0);
}

static void noise_is_ended_after_a_bounded_number_of_bytes_and_hears_nothing(void **state)
{
    struct one_bridge *f = *state;
    uint8_t noise[64];
    size_t said = 0;
    comes(f, 9);
    while (f->ended_count == 0) {
        one_bridge_random(NULL, noise, sizeof noise);
        says(f, 9, noise, sizeof noise);
        said += sizeof noise;
        assert_true(said <= 1024);
    }
    assert_int_equal(f->ended[0], 9);
    assert_int_equal(f->sent, 0);
}

static void many_that_are_refused_do_not_fill_the_log(void **state)
{
    struct one_bridge *f = *state;
    unsigned before = f->warnings;
    for (uint64_t station = 1; station <= 200; station++)
        comes(f, station);
    assert_int_equal(f->ended_count, 200 - GUESTS);
    assert_in_range(f->warnings - before, 1, 8); /* the first, and each doubling */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_that_says_nothing_is_ended_after_half_a_minute_and_hears_nothing),
        TEST(one_that_drips_bytes_stays_no_longer),
        TEST(at_the_limit_the_oldest_gives_way),
        TEST(a_flood_from_one_address_pushes_out_none_from_another),
        TEST(addresses_of_one_network_are_one_place),
        TEST(one_that_has_gone_takes_no_place),
        TEST(noise_is_ended_after_a_bounded_number_of_bytes_and_hears_nothing),
        TEST(many_that_are_refused_do_not_fill_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
