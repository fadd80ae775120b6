/* The loop drivers' misfortunes: as often as set, and the same for the same seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "link_drivers/loop.h"
#include "tests/conform/fake_host.h"

#define FRAMES 2000

struct run {
    struct fake_world world;
    struct fake_link near, far;
    struct loop_line *line;
};

static void begin(struct run *r, const struct link_driver *driver,
                  const struct loop_settings *settings)
{
    fake_world_init(&r->world);
    r->line = loop_line_new(settings);
    assert_non_null(r->line);
    struct loop_options near = {r->line, 0}, far = {r->line, 1};
    assert_int_equal(fake_link_open(&r->world, &r->near, driver, &near, false), 0);
    assert_int_equal(fake_link_open(&r->world, &r->far, driver, &far, false), 0);
    fake_start(&r->near);
    fake_start(&r->far);
    fake_run_for(&r->world, 1);
    assert_true(fake_is_up(&r->near) && fake_is_up(&r->far));
}

static void end(struct run *r)
{
    fake_stop(&r->near);
    fake_stop(&r->far);
    fake_link_close(&r->near);
    fake_link_close(&r->far);
    loop_line_free(r->line);
}

static bool outcome_told(void *arg)
{
    return !((struct fake_link *)arg)->outcome_due;
}

/* Sends numbered frames one after the other, and all that is under way arrives. */
static void send_frames(struct run *r, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(fake_send(&r->near, STATION_NONE, &i, sizeof(i)), 0);
        assert_true(fake_run(&r->world, outcome_told, &r->near));
    }
    fake_run_for(&r->world, 100000);
}

static const uint32_t *arrived(struct run *r, size_t *n)
{
    *n = r->far.stations[0]->frames;
    return (const uint32_t *)(const void *)r->far.stations[0]->bytes;
}

static void test_clean(void **state)
{
    struct run r;
    begin(&r, &loop_datagram_driver,
          &(struct loop_settings){
              .seed = 1, .bytes_s = 1000, .delay_min_ms = 7, .delay_max_ms = 7, .mtu = 100});
    send_frames(&r, 100);
    size_t n;
    const uint32_t *got = arrived(&r, &n);
    assert_int_equal(n, 100);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(got[i], i);
    assert_int_equal(r.near.sent_done, 100);
    end(&r);
}

static void test_loss(void **state)
{
    struct run r;
    begin(&r, &loop_datagram_driver,
          &(struct loop_settings){.seed = 2, .bytes_s = 10000, .mtu = 100, .lose_permille = 300});
    send_frames(&r, FRAMES);
    size_t n;
    arrived(&r, &n);
    assert_in_range(n, FRAMES * 65 / 100, FRAMES * 75 / 100);
    assert_int_equal(r.near.sent_done, FRAMES); /* nobody knows of a loss */
    end(&r);
}

static void test_doubles_and_order(void **state)
{
    struct run r;
    begin(&r, &loop_datagram_driver,
          &(struct loop_settings){.seed = 3,
                                  .bytes_s = 100000,
                                  .delay_min_ms = 10,
                                  .delay_max_ms = 500,
                                  .mtu = 100,
                                  .double_permille = 100});
    send_frames(&r, FRAMES);
    size_t n, swapped = 0;
    const uint32_t *got = arrived(&r, &n);
    assert_in_range(n, FRAMES * 107 / 100, FRAMES * 113 / 100);
    for (size_t i = 1; i < n; i++)
        swapped += got[i] < got[i - 1];
    assert_true(swapped > FRAMES / 10);
    end(&r);
}

static void test_outcomes(void **state)
{
    struct run r;
    begin(&r, &loop_datagram_driver,
          &(struct loop_settings){.seed = 4,
                                  .bytes_s = 10000,
                                  .mtu = 100,
                                  .fail_permille = 100,
                                  .unknown_permille = 200});
    send_frames(&r, FRAMES);
    size_t n;
    arrived(&r, &n);
    assert_in_range(r.near.sent_failed, FRAMES * 8 / 100, FRAMES * 12 / 100);
    assert_in_range(r.near.sent_unknown, FRAMES * 15 / 100, FRAMES * 21 / 100);
    assert_int_equal(r.near.sent_done + r.near.sent_failed + r.near.sent_unknown, FRAMES);
    /* All that were done came, none that failed, and some of the unknown. */
    assert_true(n > r.near.sent_done + r.near.sent_unknown / 3);
    assert_true(n < r.near.sent_done + r.near.sent_unknown * 2 / 3);
    end(&r);
}

static void test_seed_repeats(void **state)
{
    struct run first, second;
    struct loop_settings settings = {.seed = 5,
                                     .bytes_s = 10000,
                                     .delay_min_ms = 0,
                                     .delay_max_ms = 90,
                                     .mtu = 100,
                                     .lose_permille = 200,
                                     .double_permille = 100,
                                     .unknown_permille = 50};
    begin(&first, &loop_datagram_driver, &settings);
    begin(&second, &loop_datagram_driver, &settings);
    send_frames(&first, 300);
    send_frames(&second, 300);
    size_t n, m;
    const uint32_t *a = arrived(&first, &n), *b = arrived(&second, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n * sizeof(*a));
    end(&second);
    settings.seed = 6;
    begin(&second, &loop_datagram_driver, &settings);
    send_frames(&second, 300);
    b = arrived(&second, &m);
    assert_true(n != m || memcmp(a, b, n * sizeof(*a)) != 0);
    end(&first);
    end(&second);
}

static void test_cut(void **state)
{
    struct run r;
    begin(&r, &loop_datagram_driver,
          &(struct loop_settings){
              .seed = 7, .bytes_s = 10, .delay_min_ms = 1000, .delay_max_ms = 1000, .mtu = 100});
    uint32_t frame = 1;
    assert_int_equal(fake_send(&r.near, STATION_NONE, &frame, sizeof(frame)), 0);
    r.world.in_op++; /* the cut sets the hosts' timers, as an op does */
    loop_line_cut(r.line, true, r.world.now_ms);
    r.world.in_op--;
    fake_run_for(&r.world, 1);
    assert_false(fake_is_up(&r.near) || fake_is_up(&r.far));
    assert_int_equal(r.near.sent_unknown, 1); /* it may have left */
    r.world.in_op++;
    loop_line_cut(r.line, false, r.world.now_ms);
    r.world.in_op--;
    fake_run_for(&r.world, 10000);
    assert_true(fake_is_up(&r.near) && fake_is_up(&r.far));
    assert_int_equal(r.far.stations[0]->frames, 0);
    end(&r);
}

static void test_stream_rate(void **state)
{
    struct run r;
    begin(&r, &loop_stream_driver,
          &(struct loop_settings){.seed = 8, .bytes_s = 960, .delay_min_ms = 1000});
    int64_t start = r.world.now_ms;
    static uint8_t bytes[960];
    for (size_t sent = 0; sent < sizeof(bytes);) {
        size_t room = fake_room(&r.near, STATION_NONE), n = sizeof(bytes) - sent;
        n = n < room ? n : room;
        assert_int_equal(n ? fake_send(&r.near, STATION_NONE, bytes + sent, n) : 0, 0);
        sent += n;
        fake_run_for(&r.world, 10);
    }
    fake_run_for(&r.world, start + 1990 - r.world.now_ms);
    assert_int_equal(r.far.stations[0]->n, 0); /* the piece's last byte has not come */
    fake_run_for(&r.world, 10);
    assert_int_equal(r.far.stations[0]->n, sizeof(bytes));
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"a clean line keeps number and order", test_clean},
        {"frames are lost as often as set, unseen by the sender", test_loss},
        {"frames come twice, and out of order", test_doubles_and_order},
        {"failed frames never come, unknown ones may", test_outcomes},
        {"a seed repeats the run", test_seed_repeats},
        {"a cut loses what is under way, and says unknown", test_cut},
        {"a stream has rate and delay", test_stream_rate},
    };
    printf("# seeds 1 to 8\n");
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
