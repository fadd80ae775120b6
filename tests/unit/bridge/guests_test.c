/* Strangers at a listener, through the bridge's own door on simulated time: how long they may stay, how many, and what they hear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "gateway/bridge/bridge.h"
#include "link_drivers/driver.h"

#define GUESTS  3
#define STAY_MS 30000
#define LINK    0

struct fixture {
    char folder[64];
    struct config *config;
    struct store *store;
    struct bridge *bridge;
    struct bridge_link link;
    struct store_now now;
    unsigned sent, warnings;
    uint64_t ended[256]; /* stations, in order */
    size_t ended_count;
};

static void broker_write(void *ctx, struct buf *out)
{
    buf_consume(out, out->len);
}

static size_t broker_pending(void *ctx)
{
    return 0;
}

static void broker_drop(void *ctx, bool at_once)
{
}

static void broker_settled(void *ctx)
{
}

static size_t link_room(void *ctx, size_t link, uint64_t station)
{
    return 4096;
}

static int link_send(void *ctx, size_t link, uint64_t station, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    ((struct fixture *)ctx)->sent++;
    return 0;
}

static void link_reset(void *ctx, size_t link, uint64_t station, const char *why)
{
    struct fixture *f = ctx;
    assert_true(f->ended_count < sizeof f->ended / sizeof f->ended[0]);
    f->ended[f->ended_count++] = station;
}

static void link_counts(void *ctx, size_t link, uint64_t *bytes_out, uint64_t *bytes_in, char *detail, size_t size)
{
    *bytes_out = *bytes_in = 0;
    detail[0] = '\0';
}

static void store_damaged(void *ctx)
{
}

static void random_bytes(void *ctx, void *bytes, size_t n)
{
    static uint32_t state = 1;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
}

static int secret(void *ctx, const struct config_peer *peer, bool next, uint8_t out[SECRET_BYTES])
{
    memset(out, 7, SECRET_BYTES);
    return 0;
}

static void on_log(void *ctx, enum bridge_log level, const char *subsystem, const char *text)
{
    ((struct fixture *)ctx)->warnings += level >= BRIDGE_WARN;
}

static const struct bridge_env env = {
    .broker_write = broker_write,
    .broker_pending = broker_pending,
    .broker_drop = broker_drop,
    .broker_settled = broker_settled,
    .link_room = link_room,
    .link_send = link_send,
    .link_reset = link_reset,
    .link_counts = link_counts,
    .store_damaged = store_damaged,
    .random = random_bytes,
    .secret = secret,
    .log = on_log,
};

static const char text[] = "[site]\nname = hub\n[store]\npath = s.db\nmax_bytes = 1M\n"
                           "[peer edge]\nlinks = lan\nsecret_file = k\naccept = a/#\n"
                           "[link lan]\ndriver = tcp\nlisten = :1\n";

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char file[96], err[512] = "";
    struct store_opened opened;
    struct bridge_env mine = env;
    f->now = (struct store_now){1000, 1000, false};
    strcpy(f->folder, "/tmp/longwire-guests-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(file, sizeof file, "%s/t.ini", f->folder);
    FILE *ini = fopen(file, "w");
    assert_non_null(ini);
    assert_true(fputs(text, ini) >= 0 && fclose(ini) == 0);
    f->config = config_load(file, link_driver_options, stderr);
    assert_non_null(f->config);
    unlink(file);
    assert_int_equal(store_open(&f->store, f->config->store.path, &f->now, random_bytes, NULL, &opened, err, sizeof err), 0);
    f->link = (struct bridge_link){.listener = true, .guests = GUESTS};
    mine.ctx = f;
    f->bridge = bridge_new(f->config, &f->link, f->store, &mine, NULL, 0, &f->now, err, sizeof err);
    if (!f->bridge)
        fail_msg("%s", err);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    static const char *const files[] = {"", "-wal", "-ballast"};
    struct fixture *f = *state;
    char file[300];
    bridge_free(f->bridge);
    store_close(f->store);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(file, sizeof file, "%s%s", f->config->store.path, files[i]);
        unlink(file);
    }
    config_free(f->config);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static void comes(struct fixture *f, uint64_t station)
{
    bridge_link_state(f->bridge, LINK, station, BRIDGE_LINK_UP, "", &f->now);
}

static void says(struct fixture *f, uint64_t station, const void *bytes, size_t n)
{
    bridge_link_bytes(f->bridge, LINK, station, bytes, n, &f->now);
}

/* Runs the timers up to then. */
static void until(struct fixture *f, int64_t mono_ms)
{
    int64_t at;
    while ((at = bridge_deadline(f->bridge, &f->now)) <= mono_ms) {
        f->now.mono_ms = at > f->now.mono_ms ? at : f->now.mono_ms + 1;
        bridge_on_timer(f->bridge, &f->now);
    }
    f->now.mono_ms = mono_ms;
}

static void one_that_says_nothing_is_ended_after_half_a_minute_and_hears_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t came = f->now.mono_ms;
    comes(f, 5);
    until(f, came + STAY_MS - 1);
    assert_int_equal(f->ended_count, 0);
    until(f, came + STAY_MS + 1);
    assert_int_equal(f->ended_count, 1);
    assert_int_equal(f->ended[0], 5);
    assert_int_equal(f->sent, 0);
}

static void one_that_drips_bytes_stays_no_longer(void **state)
{
    struct fixture *f = *state;
    int64_t came = f->now.mono_ms;
    comes(f, 5);
    for (int64_t t = 1000; t < STAY_MS; t += 1000) {
        until(f, came + t);
        says(f, 5, "x", 1);
    }
    assert_int_equal(f->ended_count, 0);
    until(f, came + STAY_MS + 1);
    assert_int_equal(f->ended_count, 1);
    assert_int_equal(f->sent, 0);
}

static void at_the_limit_the_oldest_gives_way(void **state)
{
    struct fixture *f = *state;
    for (uint64_t station = 1; station <= GUESTS; station++) {
        comes(f, station);
        until(f, f->now.mono_ms + 10);
    }
    assert_int_equal(f->ended_count, 0);
    comes(f, 77);
    comes(f, 78);
    assert_int_equal(f->ended_count, 2);
    assert_int_equal(f->ended[0], 1);
    assert_int_equal(f->ended[1], 2);
}

static void one_that_has_gone_takes_no_place(void **state)
{
    struct fixture *f = *state;
    for (uint64_t station = 1; station <= 100; station++) {
        comes(f, station);
        bridge_link_state(f->bridge, LINK, station, BRIDGE_LINK_DOWN, "closed", &f->now);
    }
    assert_int_equal(f->ended_count, 0);
    until(f, f->now.mono_ms + 2 * STAY_MS);
    assert_int_equal(f->ended_count, 0);
}

static void noise_is_ended_after_a_bounded_number_of_bytes_and_hears_nothing(void **state)
{
    struct fixture *f = *state;
    uint8_t noise[64];
    size_t said = 0;
    comes(f, 9);
    while (f->ended_count == 0) {
        random_bytes(NULL, noise, sizeof noise);
        says(f, 9, noise, sizeof noise);
        said += sizeof noise;
        assert_true(said <= 1024);
    }
    assert_int_equal(f->ended[0], 9);
    assert_int_equal(f->sent, 0);
}

static void many_that_are_refused_do_not_fill_the_log(void **state)
{
    struct fixture *f = *state;
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
        TEST(one_that_has_gone_takes_no_place),
        TEST(noise_is_ended_after_a_bounded_number_of_bytes_and_hears_nothing),
        TEST(many_that_are_refused_do_not_fill_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
