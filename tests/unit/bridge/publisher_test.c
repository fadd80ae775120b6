/* From the inbox to our broker, over a restart of the gateway: what the broker's session remembers, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/bridge/internal.h"
#include "store/inbox.h"
#include "tests/unit/bridge/one_bridge.h"

static const char text[] = "[site]\nname = hub\n[broker]\nprotocol = 3.1.1\n[store]\npath = s.db\n"
                           "[peer edge]\nlinks = l\nseal = none\naccept = #\n"
                           "[link l]\ndriver = tcp\nlisten = 127.0.0.1:1\n";

static int setup(void **state)
{
    *state = one_bridge_new(text, (struct bridge_link){.rate_bytes_s = 960});
    return 0;
}

static int teardown(void **state)
{
    one_bridge_free(*state);
    return 0;
}

/* A message in the inbox, with the payload of one letter. Return: its key. */
static int64_t put(struct one_bridge *f, char letter, uint8_t qos)
{
    static uint64_t number;
    int64_t key;
    struct msg *m = msg_new("t", 1, &letter, 1, NULL, 0, "");
    assert_non_null(m);
    m->qos = qos;
    assert_int_equal(store_inbox_put(f->store, f->bridge->peers[0].id, m, ++number, 0, &key), 0);
    msg_free(m);
    return key;
}

/* The packet at p. Return: its length; *body: its variable header and payload, *n: bytes of those. */
static size_t packet(const uint8_t *p, const uint8_t **body, size_t *n)
{
    bool longer = p[1] & 0x80; /* two bytes of length hold all that is said here */
    *n = longer ? (p[1] & 0x7f) | (size_t)p[2] << 7 : p[1];
    *body = p + (longer ? 3 : 2);
    return (size_t)(*body - p) + *n;
}

/* A broker that still holds nothing of what it is asked to release: the gateway clears packet ids that way (I4). */
static void answer(struct one_bridge *f)
{
    const uint8_t *body;
    size_t n;
    for (size_t at = 0; at < f->to_broker.len;) {
        const uint8_t *p = buf_bytes(&f->to_broker) + at;
        at += packet(p, &body, &n);
        const uint8_t pubcomp[] = {0x70, 2, body[0], body[1]};
        if (p[0] == 0x62)
            bridge_broker_bytes(f->bridge, pubcomp, sizeof pubcomp, &f->now);
    }
    one_bridge_until(f, f->now.mono_ms + 100);
}

static void connect(struct one_bridge *f, bool session_present)
{
    const uint8_t connack[] = {0x20, 2, session_present, 0};
    bridge_broker_open(f->bridge, &f->now);
    bridge_broker_bytes(f->bridge, connack, sizeof connack, &f->now);
    bridge_broker_dry(f->bridge, &f->now);
    answer(f);
}

/* How often a PUBLISH of this payload has been sent to the broker. */
static unsigned published(const struct one_bridge *f, char letter)
{
    const uint8_t *body;
    unsigned times = 0;
    size_t n;
    for (size_t at = 0; at < f->to_broker.len;) {
        const uint8_t *p = buf_bytes(&f->to_broker) + at;
        at += packet(p, &body, &n);
        times += p[0] >> 4 == 3 && memcmp(body, "\0\1t", 3) == 0 && body[n - 1] == (uint8_t)letter;
    }
    return times;
}

static void what_left_without_its_leaving_being_committed_is_published_before_what_is_in_flight(void **state)
{
    struct one_bridge *f = *state;
    put(f, 'A', 0); /* published and deleted, but the machine died before the commit */
    int64_t flown = put(f, 'B', 2);
    put(f, 'C', 0);
    assert_int_equal(store_inbox_set(f->store, flown, INBOX_PUBLISHED, 1, 0, false), 0);
    assert_int_equal(store_commit(f->store, &f->now), 0);
    one_bridge_restart(f);
    connect(f, true);
    assert_int_equal(published(f, 'A'), 1);
    assert_int_equal(published(f, 'B'), 1);
    assert_int_equal(published(f, 'C'), 1);
    struct inbox_row row;
    assert_int_equal(store_inbox_next(f->store, CLASS_NORMAL, 0, &row), 0);
    assert_int_equal(row.key, flown); /* nothing but what waits for its PUBREC is left */
    msg_free(row.msg);
    assert_int_equal(store_inbox_next(f->store, CLASS_NORMAL, flown, &row), STORE_NONE);
}

static void a_broker_that_lost_its_session_gets_all_of_it_again(void **state)
{
    struct one_bridge *f = *state;
    put(f, 'A', 0);
    int64_t flown = put(f, 'B', 2);
    assert_int_equal(store_inbox_set(f->store, flown, INBOX_RELEASED, 1, 0, false), 0);
    assert_int_equal(store_commit(f->store, &f->now), 0);
    one_bridge_restart(f);
    connect(f, false);
    assert_int_equal(published(f, 'A'), 1);
    assert_int_equal(published(f, 'B'), 1);
    one_bridge_restart(f);
    connect(f, true); /* it had PUBREC of neither: B goes on under its packet id */
    assert_int_equal(published(f, 'A'), 0);
    assert_int_equal(published(f, 'B'), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_left_without_its_leaving_being_committed_is_published_before_what_is_in_flight),
        TEST(a_broker_that_lost_its_session_gets_all_of_it_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
