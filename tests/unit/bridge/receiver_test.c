/* Records of a peer as they reach the bridge: messages in pieces that come again, otherwise cut, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/bridge/internal.h"
#include "store/inbox.h"
#include "store/partials.h"
#include "tests/unit/bridge/one_bridge.h"

#define TOTAL 300

static const char line[] = "[site]\nname = hub\n[store]\npath = s.db\n"
                           "[peer edge]\nlinks = l\nseal = none\naccept = a/#\n"
                           "[link l]\ndriver = tcp\nlisten = 127.0.0.1:1\n";

static uint8_t payload[TOTAL];

static struct peer *peer_of(struct one_bridge *f)
{
    return &f->bridge->peers[0];
}

/* A piece of message 5, or the whole of it. */
static int comes_of(struct one_bridge *f, const char *topic, uint64_t number, uint32_t offset, uint32_t len)
{
    const struct record r = {.type = offset ? RECORD_CHUNK : RECORD_MESSAGE,
                             .class = CLASS_NORMAL,
                             .number = number,
                             .previous = number - 1,
                             .slot = RECORD_NO_SLOT,
                             .topic = topic,
                             .topic_len = (uint32_t)strlen(topic),
                             .qos = 1,
                             .offset = offset,
                             .bytes = payload + offset,
                             .len = len,
                             .total = TOTAL};
    return receiver_record(peer_of(f), &r);
}

static int comes(struct one_bridge *f, uint64_t number, uint32_t offset, uint32_t len)
{
    return comes_of(f, "a", number, offset, len);
}

/* The sender has given these up. */
static int gap(struct one_bridge *f, uint64_t previous, uint64_t last)
{
    const struct record r = {.type = RECORD_GAP, .class = CLASS_NORMAL, .number = last, .previous = previous,
                             .first_number = previous + 1, .count = last - previous, .reason = GAP_EXPIRED, .route = ""};
    return receiver_record(peer_of(f), &r);
}

static bool has_partial(struct one_bridge *f)
{
    struct store_partial partial;
    int rc = store_partial_get(f->store, peer_of(f)->id, CLASS_NORMAL, &partial);
    assert_true(rc == 0 || rc == STORE_NONE);
    return rc == 0;
}

static void assert_arrived(struct one_bridge *f, uint64_t number)
{
    struct inbox_row row;
    int64_t after = 0;
    while (store_inbox_next(f->store, CLASS_NORMAL, after, &row) == 0) {
        bool good = row.number == number && row.msg->payload_len == TOTAL && memcmp(row.msg->payload, payload, TOTAL) == 0;
        after = row.key;
        msg_free(row.msg);
        if (good)
            return;
    }
    fail_msg("message %llu is not in the inbox, or not as it was sent", (unsigned long long)number);
}

static struct channel_marks marks_told(struct one_bridge *f)
{
    const struct channel_identity them = {.generation = 1, .segment = 1};
    struct channel_marks ours;
    assert_int_equal(receiver_greeting(peer_of(f), &them, &ours), 0);
    return ours;
}

static struct one_bridge *greeted(struct bridge_link link)
{
    struct one_bridge *f = one_bridge_new(line, link);
    (void)marks_told(f);
    for (size_t i = 0; i < TOTAL; i++)
        payload[i] = (uint8_t)(i * 7);
    return f;
}

static int setup_stream(void **state)
{
    *state = greeted((struct bridge_link){.rate_bytes_s = 960});
    return 0;
}

static int setup_datagram(void **state)
{
    *state = greeted((struct bridge_link){.datagram = true, .mtu = 340, .terms = {50, 0, 3600000, 0}});
    return 0;
}

static int teardown(void **state)
{
    one_bridge_free(*state);
    return 0;
}

static void of_a_message_that_is_whole_no_pieces_stay(void **state)
{
    struct one_bridge *f = *state;
    assert_int_equal(comes(f, 1, 0, 100), 0);
    assert_true(has_partial(f));
    assert_int_equal(comes(f, 1, 100, TOTAL - 100), 0);
    assert_false(has_partial(f));
    assert_arrived(f, 1);
    assert_false(marks_told(f).partial[CLASS_NORMAL]);
}

static void pieces_of_a_message_that_was_given_up_are_not_offered_in_a_handshake(void **state)
{
    struct one_bridge *f = *state;
    assert_int_equal(comes(f, 1, 0, 100), 0);
    struct channel_marks before = marks_told(f);
    assert_true(before.partial[CLASS_NORMAL]);
    assert_int_equal(before.partial_number[CLASS_NORMAL], 1);
    assert_int_equal(before.partial_have[CLASS_NORMAL], 100);
    assert_int_equal(gap(f, 0, 3), 0);
    struct channel_marks after = marks_told(f);
    assert_int_equal(after.cumulative[CLASS_NORMAL], 3);
    assert_false(after.partial[CLASS_NORMAL]); /* below the mark: the far end could not read such marks */
    assert_false(has_partial(f));
}

static void a_first_piece_sent_again_may_be_longer_or_shorter(void **state)
{
    struct one_bridge *f = *state;
    assert_int_equal(comes(f, 1, 0, 100), 0);
    assert_int_equal(comes(f, 1, 0, 180), 0);
    assert_int_equal(comes(f, 1, 0, 40), 0);
    assert_int_equal(comes(f, 1, 180, TOTAL - 180), 0);
    assert_arrived(f, 1);
}

static void a_later_piece_sent_again_may_be_cut_elsewhere(void **state)
{
    struct one_bridge *f = *state;
    assert_int_equal(comes(f, 1, 0, 100), 0);
    assert_int_equal(comes(f, 1, 100, 50), 0);
    assert_int_equal(comes(f, 1, 120, 80), 0);
    assert_int_equal(comes(f, 1, 110, 20), 0); /* nothing new */
    assert_int_equal(comes(f, 1, 200, TOTAL - 200), 0);
    assert_arrived(f, 1);
    assert_int_equal(comes(f, 1, 200, TOTAL - 200), 0); /* and once more, when it is whole */
    assert_false(has_partial(f));
}

static void a_piece_that_leaves_a_hole_is_refused(void **state)
{
    struct one_bridge *f = *state;
    assert_int_equal(comes(f, 1, 0, 100), 0);
    assert_true(comes(f, 1, 150, 50) < 0);
    assert_int_equal(comes(f, 1, 100, TOTAL - 100), 0);
    assert_arrived(f, 1);
}

static void add(void *ctx, const char *name, uint64_t value)
{
    if (strcmp(name, "dropped.not_accepted") == 0)
        *(uint64_t *)ctx = value;
}

/* Nothing of it is stored, its number is settled once, and what follows is taken. */
static void what_is_not_accepted_is_refused_at_its_first_piece(void **state)
{
    struct one_bridge *f = *state;
    uint64_t refused = 0;
    assert_int_equal(comes_of(f, "b", 1, 0, 100), 0);
    assert_false(has_partial(f));
    assert_int_equal(marks_told(f).cumulative[CLASS_NORMAL], 1);
    assert_int_equal(comes_of(f, "b", 1, 100, 100), 0);
    assert_int_equal(comes_of(f, "b", 1, 200, TOTAL - 200), 0);
    assert_int_equal(comes_of(f, "b", 1, 0, 100), 0); /* again, as after a restart of the sender */
    assert_false(has_partial(f));
    assert_int_equal(comes(f, 2, 0, 100), 0);
    assert_int_equal(comes(f, 2, 100, TOTAL - 100), 0);
    assert_arrived(f, 2);
    assert_int_equal(store_counters_each(f->store, peer_of(f)->id, add, &refused), 0);
    assert_int_equal(refused, 1);
    struct inbox_row row;
    assert_int_equal(store_inbox_next(f->store, CLASS_NORMAL, 0, &row), 0);
    assert_int_equal(row.number, 2);
    msg_free(row.msg);
}

/* The operator has taken the topic out of accept while half of it was here. */
static void nor_does_what_was_here_of_it_stay(void **state)
{
    struct one_bridge *f = *state;
    char other[] = "c", *none[] = {other};
    struct config_peer *c = (struct config_peer *)peer_of(f)->config;
    struct string_list before = c->accept;
    assert_int_equal(comes(f, 1, 0, 100), 0);
    assert_true(has_partial(f));
    c->accept = (struct string_list){none, 1};
    assert_int_equal(comes(f, 1, 0, 100), 0);
    assert_false(has_partial(f));
    assert_int_equal(marks_told(f).cumulative[CLASS_NORMAL], 1);
    c->accept = before;
}

/* What the peer says was acknowledged is here only with all before it, in each class: else an older store passed for the newest. */
static void what_came_early_is_not_all_up_to_there(void **state)
{
    struct one_bridge *f = *state;
    const uint64_t normal[CLASS_COUNT] = {[CLASS_NORMAL] = 3}, both[CLASS_COUNT] = {[CLASS_NORMAL] = 3, [CLASS_BULK] = 2};
    assert_int_equal(comes(f, 1, 0, TOTAL), 0);
    assert_int_equal(comes(f, 3, 0, TOTAL), 0);
    assert_false(receiver_has_settled(peer_of(f), normal));
    assert_int_equal(comes(f, 2, 0, TOTAL), 0);
    assert_true(receiver_has_settled(peer_of(f), normal));
    assert_false(receiver_has_settled(peer_of(f), both));
}

int main(void)
{
#define STREAM(name) cmocka_unit_test_setup_teardown(name, setup_stream, teardown)
#define DATAGRAM(name) cmocka_unit_test_setup_teardown(name, setup_datagram, teardown)
    const struct CMUnitTest tests[] = {
        STREAM(of_a_message_that_is_whole_no_pieces_stay),
        STREAM(what_is_not_accepted_is_refused_at_its_first_piece),
        DATAGRAM(what_came_early_is_not_all_up_to_there),
        DATAGRAM(what_is_not_accepted_is_refused_at_its_first_piece),
        DATAGRAM(nor_does_what_was_here_of_it_stay),
        STREAM(pieces_of_a_message_that_was_given_up_are_not_offered_in_a_handshake),
        DATAGRAM(of_a_message_that_is_whole_no_pieces_stay),
        DATAGRAM(a_first_piece_sent_again_may_be_longer_or_shorter),
        DATAGRAM(a_later_piece_sent_again_may_be_cut_elsewhere),
        DATAGRAM(a_piece_that_leaves_a_hole_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
