/* Two gateways carry messages both ways while, at the edge, each allocation, write, sync and read fails once or for a
 * while: nothing crashes or spins, and when the fault is over every message that a broker gave is at the other broker,
 * those of QoS 2 once (I1, I3, I4), without anybody's help; no memory is left. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/crash/fault.h"
#include "tests/support/two_sites/two_sites.h"

#define EDGE 0
#define HUB  1

static void enter_edge(unsigned site)
{
    if (site == EDGE)
        fault_enter();
}

static void leave_edge(unsigned site)
{
    if (site == EDGE)
        fault_leave();
}

static void give(struct two_sites *w, unsigned round)
{
    char payload[32];
    for (uint8_t qos = 1; qos <= 2; qos++) {
        snprintf(payload, sizeof payload, "up %u qos %u", round, qos);
        small_broker_publish(&w->site[EDGE].broker, qos == 1 ? "data/x" : "alarm/x", payload, qos);
        snprintf(payload, sizeof payload, "down %u qos %u", round, qos);
        small_broker_publish(&w->site[HUB].broker, "cmd/x", payload, qos);
    }
}

static void check_taken(const struct two_sites *w, const struct fault *f, unsigned rounds)
{
    char payload[32];
    for (unsigned i = 0; i < rounds * 4; i++) {
        unsigned round = i / 4, qos = i % 2 + 1, to = i % 4 < 2 ? HUB : EDGE;
        snprintf(payload, sizeof payload, "%s %u qos %u", to == HUB ? "up" : "down", round, qos);
        unsigned times = small_broker_times(&w->site[to].broker, payload);
        if (times < 1 || (qos == 2 && times > 1))
            fail_msg("%s %u: \"%s\" came %u times; the edge's last word: %s", fault_names[f->kind], f->at, payload, times,
                     w->site[EDGE].last_error);
    }
    for (unsigned i = 0; i < 2; i++)
        if (!small_broker_all_acknowledged(&w->site[i].broker))
            fail_msg("%s %u: broker %u still waits for an acknowledgement", fault_names[f->kind], f->at, i);
}

/* Return: the fault was met. */
static bool try_once(const struct fault *f)
{
    static struct two_sites w;
    size_t blocks = fault_live_blocks();
    long long bytes = fault_live_sqlite_bytes();
    assert_true(two_sites_init(&w));
    assert_true(two_sites_start(&w, HUB));
    w.enter = enter_edge;
    w.leave = leave_edge;
    fault_arm(f);
    bool started = two_sites_start(&w, EDGE);
    if (!started && w.site[EDGE].last_error[0] == '\0')
        fail_msg("%s %u: it does not start, and does not say why", fault_names[f->kind], f->at);
    for (unsigned round = 0; started && round < 2; round++) {
        give(&w, round);
        two_sites_run(&w, 2000);
        fault_enter();
        char *json = bridge_status_json(w.site[EDGE].bridge, &w.now);
        free(json);
        fault_leave();
    }
    bool met = fault_disarm();
    if (!started) {
        assert_true(two_sites_start(&w, EDGE));
        give(&w, 0);
        give(&w, 1);
    }
    two_sites_run(&w, 120000);
    check_taken(&w, f, 2);
    two_sites_fini(&w);
    if (fault_live_blocks() != blocks || fault_live_sqlite_bytes() != bytes)
        fail_msg("%s %u: %zu blocks and %lld bytes of SQLite's are left", fault_names[f->kind], f->at,
                 fault_live_blocks() - blocks, fault_live_sqlite_bytes() - bytes);
    return met;
}

static void rise(enum fault_kind kind, int error, bool lasting, unsigned slow)
{
    struct fault f = {.kind = kind, .error = error, .lasting = lasting, .at = fault_first()};
    unsigned tried = 0;
    for (; try_once(&f); tried++)
        f.at = fault_next(f.at, slow);
    assert_true(tried > 0);
    print_message("# %s: %u places up to %u\n", fault_names[kind], tried, f.at);
}

#define CASE(name, kind, error, lasting, slow)  \
    static void name(void **state)              \
    {                                           \
        rise(kind, error, lasting, slow);       \
    }

CASE(every_message_arrives_although_each_allocation_fails_once, FAULT_ALLOC, ENOMEM, false, 40)
CASE(every_message_arrives_although_memory_is_short_for_seconds, FAULT_ALLOC, ENOMEM, true, 10)
CASE(every_message_arrives_although_sqlite_lacks_memory_once, FAULT_MEMORY, ENOMEM, false, 30)
CASE(every_message_arrives_although_sqlite_lacks_memory_for_seconds, FAULT_MEMORY, ENOMEM, true, 5)
CASE(every_message_arrives_although_each_write_fails_once, FAULT_WRITE, EIO, false, 40)
CASE(every_message_arrives_although_the_disk_is_full_for_seconds, FAULT_WRITE, ENOSPC, true, 20)
CASE(every_message_arrives_although_each_sync_fails_once, FAULT_SYNC, EIO, false, 0)
CASE(every_message_arrives_although_each_read_fails_once, FAULT_READ, EIO, false, 0)

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(every_message_arrives_although_each_allocation_fails_once),
        cmocka_unit_test(every_message_arrives_although_memory_is_short_for_seconds),
        cmocka_unit_test(every_message_arrives_although_sqlite_lacks_memory_once),
        cmocka_unit_test(every_message_arrives_although_sqlite_lacks_memory_for_seconds),
        cmocka_unit_test(every_message_arrives_although_each_write_fails_once),
        cmocka_unit_test(every_message_arrives_although_the_disk_is_full_for_seconds),
        cmocka_unit_test(every_message_arrives_although_each_sync_fails_once),
        cmocka_unit_test(every_message_arrives_although_each_read_fails_once),
    };
    fault_init();
    return cmocka_run_group_tests(cases, NULL, NULL);
}
