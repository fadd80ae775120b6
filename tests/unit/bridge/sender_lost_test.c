/* What a peer's store had of ours and has no more, as the sender tells of it on a datagram link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "gateway/bridge/internal.h"
#include "store/outbox.h"
#include "tests/unit/bridge/one_bridge.h"

static const char line[] = "[site]\nname = edge\n[store]\npath = s.db\n"
                           "[peer hub]\nlinks = l\nseal = none\n"
                           "[route r]\npeer = hub\ntopics = a\n"
                           "[link l]\ndriver = tcp\nlisten = 127.0.0.1:1\n";

static struct peer *peer_of(struct one_bridge *f)
{
    return &f->bridge->peers[0];
}

/* Messages 1 to 5; the peer has acknowledged 1, 3 and 5. */
static int setup(void **state)
{
    struct one_bridge *f = one_bridge_new(line, (struct bridge_link){.datagram = true, .mtu = 340, .terms = {50, 0, 3600000, 0}});
    struct peer *p = peer_of(f);
    for (uint64_t n = 1; n <= 5; n++) {
        struct msg *m = msg_new("a", 1, "x", 1, NULL, 0, "");
        uint64_t number;
        assert_non_null(m);
        m->class = CLASS_NORMAL;
        const struct outbox_put put = {.peer = p->id, .msg = m, .route = "r", .expire_age_ms = MSG_NO_EXPIRY};
        assert_int_equal(store_outbox_put(f->store, &put, &number), 0);
        assert_int_equal(number, n);
        msg_free(m);
    }
    for (uint64_t n = 1; n <= 5; n += 2)
        assert_int_equal(store_outbox_settle(f->store, p->id, CLASS_NORMAL, n, true), 0);
    p->sender.committed = p->sender.lanes[CLASS_NORMAL].may_have_left = 5;
    sender_epoch(p);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    one_bridge_free(*state);
    return 0;
}

static void assert_told_in_its_place(struct peer *p)
{
    uint64_t next = 1;
    struct record r;
    while (next <= 5 && sender_next_record(p, 300, &r)) {
        if (r.type == RECORD_TOPIC)
            continue;
        assert_int_equal(r.number, next);
        assert_int_equal(r.previous, next - 1);
        assert_int_equal(r.type, next % 2 ? RECORD_GAP : RECORD_MESSAGE);
        if (r.type == RECORD_GAP)
            assert_true(r.reason == GAP_LOST && r.count == 1 && r.first_number == next);
        next++;
    }
    assert_int_equal(next, 6);
    assert_false(sender_next_record(p, 300, &r));
}

static void what_was_lost_is_told_between_what_is_still_queued(void **state)
{
    struct peer *p = peer_of(*state);
    assert_false(sender_telling(p));
    sender_forget_topics(p);
    sender_epoch(p);
    assert_told_in_its_place(p);
    assert_true(sender_telling(p));
}

static void an_epoch_that_ends_before_it_was_told_tells_of_it_again(void **state)
{
    struct peer *p = peer_of(*state);
    struct record r;
    uint64_t up_to[CLASS_COUNT] = {0};
    sender_forget_topics(p);
    sender_epoch(p);
    sender_epoch(p);
    assert_true(sender_next_record(p, 300, &r));
    sender_epoch(p);
    sender_settled(p, up_to);
    assert_int_equal(up_to[CLASS_NORMAL], 0);
    assert_told_in_its_place(p);
}

static void a_restart_that_interrupts_the_telling_begins_it_anew(void **state)
{
    struct peer *p = peer_of(*state);
    uint8_t saved[SENDER_LANES_MAX];
    struct record r;
    sender_forget_topics(p);
    sender_epoch(p);
    assert_true(sender_next_record(p, 300, &r)); /* is under way when the process dies */
    size_t n = sender_save_lanes(p, saved);
    p->sender.lost_given = 0;
    for (int c = 0; c < CLASS_COUNT; c++)
        p->sender.lanes[c].lost_to = p->sender.lanes[c].tell_to = 0;
    assert_false(sender_telling(p));
    assert_true(sender_load_lanes(p, saved, n));
    assert_true(p->restart_channel);
    sender_epoch(p);
    assert_told_in_its_place(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_lost_is_told_between_what_is_still_queued, setup, teardown),
        cmocka_unit_test_setup_teardown(an_epoch_that_ends_before_it_was_told_tells_of_it_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_that_interrupts_the_telling_begins_it_anew, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
