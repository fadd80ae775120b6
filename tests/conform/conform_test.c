/* The conformance suite: what every link driver must do, run on the one named by the argument
 * (fixture.c has them). conform_test NAME */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/units.h"
#include "tests/conform/fixture.h"

/* The largest frame of a stream link, and more, so that room must suffice for it. */
#define FRAME_BYTES 256

static const struct fixture_kind *kind;
static struct fixture fixture;

static size_t open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    size_t n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static int set_up(void **state)
{
    fixture_set_up(&fixture, kind);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_tear_down(*state);
    return 0;
}

static bool is_datagram(void)
{
    return kind->driver->kind == LINK_DATAGRAM;
}

static void bring_up(struct fixture *f)
{
    if (!fixture_bring_up(f))
        fail_msg("not up: %s", f->link.stations[0]->why);
}

/* Sends all n bytes, waiting for room as a host does: only when `writable` was said. */
struct sending {
    struct fixture *f;
    const uint8_t *bytes;
    size_t n, done;
    unsigned writables, waits;
};

static bool went_on(void *arg)
{
    struct sending *s = arg;
    struct fake_station *st = fixture_station(s->f);
    s->f->kind->far_take(s->f);
    return !st || (st->writables != s->writables && !s->f->link.outcome_due);
}

static void send_all(struct fixture *f, const uint8_t *bytes, size_t n)
{
    struct sending s = {.f = f, .bytes = bytes, .n = n};
    while (s.done < n) {
        struct fake_station *st = fixture_station(f);
        assert_non_null(st);
        size_t part = n - s.done < FRAME_BYTES ? n - s.done : FRAME_BYTES;
        s.writables = st->writables;
        size_t room = fake_room(&f->link, st->station);
        if (room >= part) {
            assert_int_equal(fake_send(&f->link, st->station, bytes + s.done, part), 0);
            s.done += part;
            continue;
        }
        s.waits++;
        if (!fake_run(&f->world, went_on, &s))
            fail_msg("room %zu of %zu wanted, and no writable comes after %zu bytes", room, part,
                     s.done);
    }
}

struct waiting {
    struct fixture *f;
    size_t n;
};

static bool far_has(void *arg)
{
    struct waiting *w = arg;
    if (w->f->kind->far_take)
        w->f->kind->far_take(w->f);
    return w->f->far_n >= w->n;
}

static bool near_has(void *arg)
{
    struct waiting *w = arg;
    struct fake_station *s = fixture_station(w->f);
    return s && s->n >= w->n;
}

static void expect_far(struct fixture *f, const uint8_t *bytes, size_t n)
{
    struct waiting w = {f, n};
    if (!fake_run(&f->world, far_has, &w))
        fail_msg("%zu of %zu bytes came to the far end", f->far_n, n);
    assert_int_equal(f->far_n, n);
    assert_memory_equal(f->far_bytes, bytes, n);
    f->far_n = 0;
}

static void expect_near(struct fixture *f, const uint8_t *bytes, size_t n)
{
    struct waiting w = {f, n};
    if (!fake_run(&f->world, near_has, &w))
        fail_msg("fewer than %zu bytes came", n);
    struct fake_station *s = fixture_station(f);
    assert_int_equal(s->n, n);
    assert_memory_equal(s->bytes, bytes, n);
    s->n = s->frames = 0;
}

static bool no_bytes_pass(void *arg)
{
    return fixture_station(arg) == NULL;
}

static bool bytes_pass(void *arg)
{
    return fixture_station(arg) != NULL;
}

static void fill(uint8_t *bytes, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

/* --- the cases --- */

static void test_ops(void **state)
{
    const struct link_driver *d = kind->driver;
    assert_non_null(d->name);
    assert_non_null(d->options);
    assert_true(d->ctx_size > 0);
    assert_true(d->init && d->fini && d->start && d->stop && d->room && d->send && d->reset &&
                d->on_fd && d->on_timer && d->status);
    assert_true((d->mtu != NULL) == is_datagram());
    if (!is_datagram())
        assert_non_null(d->rate);
}

/* The configuration lets several peers share a link only where this says so. */
static void test_serves_many(void **state)
{
    struct fixture *f = *state;
    const struct option_group *g = kind->driver->options;
    assert_int_equal(kind->listens, g->serves_many && g->serves_many(f->options.bytes));
}

static void check_default(const struct option *o)
{
    char text[256], *rest = text;
    snprintf(text, sizeof(text), "%s", o->fallback);
    if (o->type != OPTION_LIST) {
        assert_null(o->check(text));
        return;
    }
    for (char *item; (item = strtok_r(rest, ", ", &rest));)
        assert_null(o->check(item));
}

/* The rows feed parser, `check` and the man page: each must be whole, and its default must hold. */
static void test_option_rows(void **state)
{
    const struct option_group *g = kind->driver->options;
    assert_true(g->struct_size > 0);
    assert_true(g->help && g->help[strlen(g->help) - 1] == '.');
    for (size_t i = 0; i < g->count; i++) {
        const struct option *o = &g->rows[i];
        int64_t v;
        assert_true(o->key && *o->key && o->help);
        assert_int_equal(o->help[strlen(o->help) - 1], '.');
        assert_true(o->offset < g->struct_size);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(o->key, g->rows[j].key);
        if (o->type == OPTION_ENUM) {
            bool found = false;
            for (size_t j = 0; o->names[j]; j++)
                found = found || (o->fallback && strcmp(o->names[j], o->fallback) == 0);
            assert_true(found);
        }
        if (o->type == OPTION_INT && o->fallback)
            assert_true(integer_parse(o->fallback, &v) && v >= o->min && v <= o->max);
        if (o->type == OPTION_DURATION && o->fallback)
            assert_true(duration_parse(o->fallback, &v) && v >= o->min && v <= o->max);
        if (o->check && o->fallback)
            check_default(o);
    }
}

static void test_init_opens_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fake_watches(&f->link), 0);
    assert_int_equal(f->link.timer_at_ms, INT64_MAX);
    assert_false(fake_is_up(&f->link));
    assert_int_equal(f->link.stations[0]->ups, 0);
    struct link_status s = fake_status(&f->link);
    assert_int_equal(s.bytes_in, 0);
    assert_int_equal(s.bytes_out, 0);
    assert_non_null(memchr(s.detail, '\0', sizeof(s.detail)));
}

static void test_no_room_until_up(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fake_room(&f->link, STATION_NONE), 0);
    assert_int_equal(fake_send(&f->link, STATION_NONE, "x", 1), -ENOTCONN);
    bring_up(f);
    struct fake_station *s = fixture_station(f);
    size_t room = fake_room(&f->link, s->station);
    assert_true(is_datagram() ? room == kind->driver->mtu(f->link.ctx, s->station)
                              : room >= FRAME_BYTES);
    fake_stop(&f->link);
    assert_int_equal(fake_room(&f->link, s->station), 0);
    assert_int_equal(fake_send(&f->link, s->station, "x", 1), -ENOTCONN);
}

static void test_status_says_what_it_is(void **state)
{
    struct fixture *f = *state;
    bring_up(f);
    struct link_status s = fake_status(&f->link);
    assert_true(s.detail[0] != '\0');
    if (kind->detail && !strstr(s.detail, kind->detail))
        fail_msg("status says \"%s\", not \"%s\"", s.detail, kind->detail);
    fake_stop(&f->link);
    assert_string_equal(f->link.stations[0]->why, "stopped");
}

static void test_start_and_stop_repeat(void **state)
{
    struct fixture *f = *state;
    size_t fds = 0;
    for (int i = 0; i < 20; i++) {
        bring_up(f);
        fake_start(&f->link); /* a second start changes nothing */
        assert_non_null(fixture_station(f));
        fake_stop(&f->link);
        fake_stop(&f->link);
        assert_false(fake_is_up(&f->link));
        assert_int_equal(fake_watches(&f->link), 0);
        assert_int_equal(f->link.timer_at_ms, INT64_MAX);
        if (kind->listens)
            kind->far_vanish(f);
        else if (kind->far_take)
            kind->far_take(f);
        if (i == 0)
            fds = open_fds();
    }
    assert_int_equal(open_fds(), fds);
}

static void test_stop_at_once(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        fake_start(&f->link);
        fake_stop(&f->link);
        assert_int_equal(fake_watches(&f->link), 0);
        assert_int_equal(f->link.timer_at_ms, INT64_MAX);
        assert_false(fake_is_up(&f->link));
    }
}

static void test_all_values_cross(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    bring_up(f);
    send_all(f, bytes, sizeof(bytes));
    expect_far(f, bytes, sizeof(bytes));
    kind->far_send(f, bytes, sizeof(bytes));
    expect_near(f, bytes, sizeof(bytes));
    struct link_status s = fake_status(&f->link);
    assert_int_equal(s.bytes_out, sizeof(bytes));
    assert_int_equal(s.bytes_in, sizeof(bytes));
}

static void test_much_crosses_in_order(void **state)
{
    struct fixture *f = *state;
    static uint8_t bytes[60000];
    fill(bytes, sizeof(bytes), 7);
    bring_up(f);
    f->world.grace_real_ms = 2;
    send_all(f, bytes, sizeof(bytes));
    expect_far(f, bytes, sizeof(bytes));
    for (size_t at = 0; at < sizeof(bytes); at += 1000) {
        kind->far_send(f, bytes + at, 1000);
        expect_near(f, bytes + at, 1000);
    }
}

static void test_beyond_room_is_refused(void **state)
{
    struct fixture *f = *state;
    static uint8_t bytes[100000];
    bring_up(f);
    struct fake_station *s = fixture_station(f);
    size_t room = fake_room(&f->link, s->station);
    assert_true(room < sizeof(bytes));
    int refused = fake_send(&f->link, s->station, bytes, room + 1);
    assert_int_equal(refused, is_datagram() ? -EMSGSIZE : -EAGAIN);
    fake_run_for(&f->world, 10);
    if (kind->has_far_end) {
        kind->far_take(f);
        assert_int_equal(f->far_n, 0); /* all or nothing */
    }
    assert_int_equal(fake_send(&f->link, s->station, bytes, room), 0);
}

static void test_writable_follows_no_room(void **state)
{
    struct fixture *f = *state;
    static uint8_t bytes[FRAME_BYTES];
    bring_up(f);
    struct fake_station *s = fixture_station(f);
    for (int round = 0; round < 3; round++) {
        size_t sent = 0;
        while (fake_room(&f->link, s->station) >= FRAME_BYTES) {
            assert_int_equal(fake_send(&f->link, s->station, bytes, FRAME_BYTES), 0);
            sent += FRAME_BYTES;
            assert_true(sent <
                        1000000); /* a host that listens to room never hands over without end */
        }
        assert_int_equal(fake_send(&f->link, s->station, bytes, FRAME_BYTES), -EAGAIN);
        struct sending wait = {.f = f, .writables = s->writables};
        assert_true(fake_run(&f->world, went_on, &wait));
        assert_true(fake_room(&f->link, s->station) >= FRAME_BYTES);
    }
}

static void test_far_end_goes_and_comes(void **state)
{
    struct fixture *f = *state;
    bring_up(f);
    for (int i = 0; i < 3; i++) {
        station_t before = fixture_station(f)->station;
        kind->far_vanish(f);
        assert_true(fake_run(&f->world, no_bytes_pass, f));
        assert_int_equal(fake_room(&f->link, before), 0);
        assert_int_equal(fake_send(&f->link, before, "x", 1), -ENOTCONN);
        fake_run_for(&f->world, 100000); /* tried in vain for a while */
        assert_null(fixture_station(f));
        kind->far_return(f);
        assert_true(fake_run(&f->world, bytes_pass, f));
        struct fake_station *s = fixture_station(f);
        assert_true(!kind->listens || s->station != before); /* stations are never reused */
        s->n = s->frames = 0;
        kind->far_take(f);
        f->far_n = 0;
        send_all(f, (const uint8_t *)"again", 5);
        expect_far(f, (const uint8_t *)"again", 5);
        kind->far_send(f, (const uint8_t *)"here", 4);
        expect_near(f, (const uint8_t *)"here", 4);
    }
}

/* A fault that lasts is told once, not at each try. */
static void test_lasting_fault_is_told_once(void **state)
{
    struct fixture *f = *state;
    bring_up(f);
    kind->far_vanish(f);
    assert_true(fake_run(&f->world, no_bytes_pass, f));
    fake_run_for(&f->world, 200000);
    unsigned downs = f->link.stations[0]->downs;
    fake_run_for(&f->world, 400000);
    assert_int_equal(f->link.stations[0]->downs, downs);
    assert_true(downs <= 3);
}

static void test_reset_drops_and_returns(void **state)
{
    struct fixture *f = *state;
    bring_up(f);
    if (kind->far_take)
        kind->far_take(f);
    struct fake_station *link = fake_station(&f->link, STATION_NONE);
    unsigned ups = link->ups, downs = link->downs;
    fake_reset(&f->link, STATION_NONE, "the peer is silent");
    if (kind->listens) { /* the far end sees its connection closed, and makes another */
        assert_null(fake_latest_station(&f->link));
        kind->far_vanish(f);
    }
    bring_up(f);
    assert_int_equal(link->downs, downs + 1);
    assert_int_equal(link->ups, ups + 1);
    if (!kind->has_far_end)
        return;
    kind->far_take(f);
    f->far_n = 0;
    send_all(f, (const uint8_t *)"again", 5);
    expect_far(f, (const uint8_t *)"again", 5);
}

/* A host that answers, or has enough, while it is being told. */
static void answer(struct fake_link *l, station_t station)
{
    assert_true(fake_room(l, station) > 0);
    assert_int_equal(fake_send(l, station, "answer", 6), 0);
}

static void turn_away(struct fake_link *l, station_t station)
{
    answer(l, station);
    fake_reset(l, station, "not welcome");
    assert_int_equal(fake_room(l, station), 0);
}

static void test_host_answers_from_inside(void **state)
{
    struct fixture *f = *state;
    bring_up(f);
    f->link.on_deliver = answer;
    kind->far_send(f, (const uint8_t *)"question", 8);
    expect_near(f, (const uint8_t *)"question", 8);
    expect_far(f, (const uint8_t *)"answer", 6);
    struct fake_station *s = fixture_station(f);
    f->link.on_deliver = turn_away;
    unsigned downs = s->downs;
    kind->far_send(f, (const uint8_t *)"question", 8);
    for (int i = 0; i < 100 && s->downs == downs; i++)
        fake_run_for(&f->world, 100);
    assert_int_equal(s->downs, downs + 1);
    if (kind->hears_last_words) { /* what was said before the door closed is heard */
        kind->far_take(f);
        assert_int_equal(f->far_n, 6);
    }
    f->link.on_deliver = NULL;
    if (kind->listens)
        kind->far_vanish(f);
    bring_up(f);
}

static void test_strange_events_do_nothing(void **state)
{
    struct fixture *f = *state;
    const int strange[] = {0, 1, 2, 77, 100000, 2000000000};
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            bring_up(f);
        if (round == 2)
            fake_stop(&f->link);
        bool up = fixture_station(f) != NULL;
        for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
            bool watched = false;
            for (size_t j = 0; j < f->link.fd_count; j++)
                watched = watched || f->link.fds[j].fd == strange[i];
            if (!watched)
                fake_on_fd(&f->link, strange[i], WATCH_READ | WATCH_WRITE);
        }
        fake_on_timer(&f->link);
        for (size_t j = 0; j < f->link.fd_count; j++) /* a watched one, but nothing is there */
            fake_on_fd(&f->link, f->link.fds[j].fd, WATCH_READ | WATCH_WRITE);
        assert_true(up == (fixture_station(f) != NULL));
        fake_reset(&f->link, 123456789, "no such station");
        assert_true(up == (fixture_station(f) != NULL));
    }
}

static void test_unknown_station_is_nobody(void **state)
{
    struct fixture *f = *state;
    bring_up(f);
    assert_int_equal(fake_room(&f->link, 987654321), 0);
    assert_int_equal(fake_send(&f->link, 987654321, "x", 1), -ENOTCONN);
    if (kind->listens) {
        assert_int_equal(fake_room(&f->link, STATION_NONE), 0);
        assert_int_equal(fake_send(&f->link, STATION_NONE, "x", 1), -ENOTCONN);
    }
}

/* An idle link that is up does nothing by itself: no timer, no bytes. */
static void test_idle_is_silent(void **state)
{
    struct fixture *f = *state;
    bring_up(f);
    fake_run_for(&f->world, 1000);
    assert_int_equal(f->link.timer_at_ms, INT64_MAX);
    kind->far_take(f);
    assert_int_equal(f->far_n, 0);
    assert_int_equal(fake_status(&f->link).bytes_out, 0);
}

static size_t fds_before;

static int remember_fds(void **state)
{
    fds_before = open_fds();
    return 0;
}

static void test_no_descriptor_is_left(void **state)
{
    fixture_set_up(&fixture, kind);
    bring_up(&fixture);
    if (kind->far_vanish && !kind->each_alone) {
        kind->far_vanish(&fixture);
        assert_true(fake_run(&fixture.world, no_bytes_pass, &fixture));
        kind->far_return(&fixture);
        assert_true(fake_run(&fixture.world, bytes_pass, &fixture));
    }
    fixture_tear_down(&fixture); /* asserts that no watch and no timer is left */
    assert_int_equal(open_fds(), fds_before);
}

enum needs {
    NEEDS_NOTHING,
    NEEDS_FAR_END,
    NEEDS_LINK_THAT_FAILS, /* when its far end goes: a listener's does not */
    NEEDS_FAR_END_SEEN,    /* to go */
};

static const struct conform_case {
    const char *words;
    CMUnitTestFunction function;
    enum needs needs;
    bool bare; /* sets up by itself */
} cases[] = {
    {"the ops table is whole", test_ops},
    {"a link that serves many says so", test_serves_many},
    {"each option row is whole and its default holds", test_option_rows},
    {"init opens nothing", test_init_opens_nothing},
    {"there is no room until the link is up", test_no_room_until_up},
    {"status says what it is connected to", test_status_says_what_it_is},
    {"start and stop repeat without a leak", test_start_and_stop_repeat},
    {"stop right after start leaves nothing", test_stop_at_once},
    {"bytes of all values cross both ways", test_all_values_cross, NEEDS_FAR_END},
    {"60000 bytes cross in order both ways", test_much_crosses_in_order, NEEDS_FAR_END},
    {"a send beyond the room is refused whole", test_beyond_room_is_refused},
    {"writable comes after room had run out", test_writable_follows_no_room, NEEDS_FAR_END},
    {"the far end goes and comes back", test_far_end_goes_and_comes, NEEDS_FAR_END_SEEN},
    {"a lasting fault is told once", test_lasting_fault_is_told_once, NEEDS_LINK_THAT_FAILS},
    {"a reset link drops and comes back", test_reset_drops_and_returns},
    {"the host may answer and reset while it is told", test_host_answers_from_inside,
     NEEDS_FAR_END},
    {"stale and strange events do nothing", test_strange_events_do_nothing},
    {"an unknown station is nobody", test_unknown_station_is_nobody},
    {"an idle link is silent", test_idle_is_silent, NEEDS_FAR_END},
    {"no descriptor is left behind", test_no_descriptor_is_left, .bare = true},
};
#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

static bool applies(const struct conform_case *c)
{
    switch (c->needs) {
    case NEEDS_NOTHING:
        return true;
    case NEEDS_FAR_END:
        return kind->has_far_end;
    case NEEDS_LINK_THAT_FAILS:
        return kind->has_far_end && !kind->listens;
    case NEEDS_FAR_END_SEEN:
        return kind->has_far_end && !kind->each_alone;
    }
    return false;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && fixture_kinds[i]; i++)
        if (strcmp(fixture_kinds[i]->name, argv[1]) == 0)
            kind = fixture_kinds[i];
    if (!kind) {
        fprintf(stderr, "usage: conform_test NAME\n");
        return 2;
    }
    static char names[CASE_COUNT][128];
    struct CMUnitTest tests[CASE_COUNT];
    size_t n = 0;
    memset(tests, 0, sizeof(tests));
    for (size_t i = 0; i < CASE_COUNT; i++) {
        if (!applies(&cases[i]))
            continue;
        snprintf(names[n], sizeof(names[n]), "%s: %s", kind->name, cases[i].words);
        tests[n].name = names[n];
        tests[n].test_func = cases[i].function;
        tests[n].setup_func = cases[i].bare ? remember_fds : set_up;
        tests[n].teardown_func = cases[i].bare ? NULL : tear_down;
        n++;
    }
    return _cmocka_run_group_tests(kind->name, tests, n, NULL, NULL);
}
