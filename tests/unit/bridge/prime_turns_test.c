/* A hub that all its sites greet at once: their models are primed a slice a turn, in good order, and an alarm passes meanwhile.
 * The sites' ends are channels of gateway/wire, as fast as can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/bridge/internal.h"
#include "gateway/wire/prime_share.h"
#include "store/history.h"
#include "tests/unit/bridge/one_bridge.h"

#define SITES  5
#define LINK   0
#define MEMORY (256u << 10)

struct site {
    struct world *world;
    struct channel *channel;
    struct buf to_hub;
    struct priming tail;    /* of what it sent: as the hub has it */
    struct topic_slots *topics;
    enum msg_class waits;   /* one message, or none: CLASS_COUNT */
    uint64_t acked;
    bool slow;              /* a slice a turn, as the hub */
};

struct world {
    struct one_bridge *hub;
    struct primer_models *models;
    struct site sites[SITES];
};

static struct site *site_of(struct world *w, uint64_t station)
{
    return &w->sites[station - 1];
}

/* ---- a site's end ---- */

static void output(void *ctx, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    assert_true(buf_put(&((struct site *)ctx)->to_hub, bytes, n));
}

static bool next_record(void *ctx, size_t room, struct record *r)
{
    struct site *s = ctx;
    if (s->waits == CLASS_COUNT)
        return false;
    *r = (struct record){.type = RECORD_MESSAGE, .class = s->waits, .number = 1000, .slot = RECORD_NO_SLOT, .topic = "a/x", .topic_len = 3,
                         .hops = "", .bytes = (const uint8_t *)"now", .len = 3, .total = 3, .qos = 1};
    s->waits = CLASS_COUNT;
    return true;
}

static void acked(void *ctx, uint64_t count)
{
    ((struct site *)ctx)->acked = count;
}

static int record(void *ctx, const struct record *r, uint64_t frame)
{
    return 0;
}

static void frame_done(void *ctx, uint64_t frame)
{
}

static int greeting(void *ctx, const struct channel_identity *peer, struct channel_marks *ours)
{
    *ours = (struct channel_marks){.grant_bytes = 1 << 20, .max_message = 1 << 20};
    return 0;
}

static void greeted(void *ctx, const struct channel_marks *theirs)
{
    struct site *s = ctx;
    const struct one_bridge *hub = s->world->hub;
    assert_int_equal(priming_load(&s->tail, hub->store, hub->bridge->peers[s - s->world->sites].id, STORE_IN, TIMESTAMPS_S), 0);
    assert_int_equal(priming_name(&s->tail), theirs->history_tail);
}

static enum channel_prime prime(void *ctx, bool out, struct record *r)
{
    struct site *s = ctx;
    return out && priming_next(&s->tail, s->topics, r) ? CHANNEL_PRIME_RECORD : CHANNEL_PRIME_END;
}

static bool prime_within(void *ctx, bool out, unsigned units)
{
    struct site *s = ctx;
    if (out)
        priming_cut(&s->tail, units);
    return out && s->tail.count > 0;
}

static bool hurry(void *ctx, bool late)
{
    return ((struct site *)ctx)->waits == CLASS_ALARM;
}

static void primed(void *ctx, bool out)
{
    if (out)
        priming_drop(&((struct site *)ctx)->tail);
}

static void state(void *ctx, enum channel_state state, const char *why)
{
}

static void give_up(void *ctx, const char *why)
{
}

static uint32_t random32(void *ctx)
{
    uint32_t v;
    one_bridge_random(NULL, &v, sizeof v);
    return v;
}

static uint64_t grant(void *ctx)
{
    return 1 << 20;
}

static const struct channel_ops ops = {
    .output = output, .next_record = next_record, .acked = acked, .record = record, .frame_done = frame_done, .greeting = greeting,
    .greeted = greeted, .prime = prime, .prime_within = prime_within, .hurry = hurry, .primed = primed, .state = state,
    .give_up = give_up, .random = random32, .grant = grant,
};

/* All that it has to do now. */
static void run_site(struct site *s)
{
    struct one_bridge *hub = s->world->hub;
    int64_t now = hub->now.mono_ms;
    for (bool more = true; more && channel_priming(s->channel); more = !s->slow)
        channel_prime(s->channel, now);
    channel_on_timer(s->channel, now);
    while (channel_wants(s->channel, now) && channel_pump(s->channel, 4096, now) > 0)
        ;
    struct buf bytes = s->to_hub;
    buf_init(&s->to_hub, 1u << 20);
    if (bytes.len > 0)
        bridge_link_bytes(hub->bridge, LINK, (uint64_t)(s - s->world->sites) + 1, buf_bytes(&bytes), bytes.len, &hub->now);
    buf_fini(&bytes);
}

/* ---- the hub ---- */

static void to_site(struct one_bridge *f, uint64_t station, const uint8_t *bytes, size_t n)
{
    struct world *w = f->ctx;
    channel_on_bytes(site_of(w, station)->channel, bytes, n, f->now.mono_ms);
}

static uint64_t work_of(const struct peer *p)
{
    return p->prime_in.work_left + p->prime_out.work_left;
}

/* One turn of the hub's loop, and of the sites. Of no more than one peer a slice is done. */
static void turn(struct world *w)
{
    struct one_bridge *f = w->hub;
    uint64_t before[SITES];
    unsigned worked = 0;
    for (size_t i = 0; i < SITES; i++)
        before[i] = work_of(&f->bridge->peers[i]);
    bridge_on_timer(f->bridge, &f->now);
    for (size_t i = 0; i < SITES; i++) {
        uint64_t after = work_of(&f->bridge->peers[i]);
        assert_true(before[i] - after < PRIME_SLICE_BYTES + PRIME_PIECE_BYTES + PRIME_RECORD_COST);
        worked += after != before[i];
    }
    assert_true(worked <= 1);
    for (size_t i = 0; i < SITES; i++)
        run_site(&w->sites[i]);
    f->now.mono_ms++;
}

/* The hub has met the site before, and has this of what it sent. */
static void remember(struct one_bridge *f, size_t site, const struct channel_identity *of, unsigned messages)
{
    struct store_remote remote = {of->generation, {of->segment, of->predecessor, of->predecessor_end}};
    enum store_remote_change change;
    char payload[200];
    assert_int_equal(store_remote_seen(f->store, f->bridge->peers[site].id, &remote, &change), 0);
    memset(payload, 'a' + (int)site, sizeof payload);
    for (unsigned i = 1; i <= messages; i++) {
        payload[7] = (char)('0' + i % 10);
        struct msg *m = msg_new("a/b", 3, payload, sizeof payload, NULL, 0, "");
        m->qos = 1;
        assert_int_equal(store_history_add(f->store, f->bridge->peers[site].id, STORE_IN, i, m), 0);
        msg_free(m);
    }
}

/* Site i has i + 1 times as long a history as the first; all of them come at once, and the primer's model is made. */
static int setup(void **state)
{
    static const char text[] = "[site]\nname = hub\n[store]\npath = s.db\n"
                               "[peer site-0]\nlinks = lan\nseal = none\naccept = a/#\ncodec_memory = 256K\n"
                               "[peer site-1]\nlinks = lan\nseal = none\naccept = a/#\ncodec_memory = 256K\n"
                               "[peer site-2]\nlinks = lan\nseal = none\naccept = a/#\ncodec_memory = 256K\n"
                               "[peer site-3]\nlinks = lan\nseal = none\naccept = a/#\ncodec_memory = 256K\n"
                               "[peer site-4]\nlinks = lan\nseal = none\naccept = a/#\ncodec_memory = 256K\n"
                               "[link lan]\ndriver = tcp\nlisten = :1\n";
    struct world *w = calloc(1, sizeof *w);
    struct one_bridge *f = w->hub = one_bridge_new(text, (struct bridge_link){.listener = true, .guests = SITES});
    f->ctx = w;
    f->on_send = to_site;
    w->models = f->bridge->models;
    while (peers_priming(f->bridge))
        bridge_on_timer(f->bridge, &f->now);
    for (size_t i = 0; i < SITES; i++) {
        struct site *s = &w->sites[i];
        struct channel_config config = {.kind = CHANNEL_STREAM, .seal = SEAL_NONE, .peer_name = "hub", .max_message = 1 << 20, .codec_version = CODEC_VERSION_MAX,
                                        .effort_fixed = true, .codec_memory = MEMORY, .models = w->models};
        struct channel_identity own = {.generation = 10 + (uint32_t)i, .segment = 20 + (uint32_t)i};
        remember(f, i, &own, 20 * (unsigned)(i + 1));
        snprintf(config.own_name, sizeof config.own_name, "site-%zu", i);
        s->world = w;
        s->waits = CLASS_COUNT;
        s->topics = topic_slots_new();
        buf_init(&s->to_hub, 1u << 20);
        s->channel = channel_new(&config, &own, &ops, s);
        assert_non_null(s->channel);
        bridge_link_state(f->bridge, LINK, i + 1, BRIDGE_LINK_UP, "", &f->now);
        channel_link_up(s->channel, f->now.mono_ms);
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < SITES; i++) {
        channel_free(w->sites[i].channel);
        priming_drop(&w->sites[i].tail);
        topic_slots_free(w->sites[i].topics);
        buf_fini(&w->sites[i].to_hub);
    }
    one_bridge_free(w->hub);
    free(w);
    return 0;
}

/* All have greeted, and the hub has learned next to nothing. */
static void meet(struct world *w)
{
    for (size_t i = 0; i < SITES;) {
        turn(w);
        while (i < SITES && channel_priming(w->hub->bridge->peers[i].channel))
            i++;
    }
}

static void of_all_peers_one_slice_is_done_a_turn_and_the_shortest_first(void **state)
{
    struct world *w = *state;
    const struct peer *peers = w->hub->bridge->peers;
    size_t done = 0;
    meet(w);
    assert_true(work_of(&peers[SITES - 1]) > 0);
    for (unsigned turns = 0; done < SITES; turns++) {
        assert_true(turns < 1000);
        turn(w);
        while (done < SITES && work_of(&peers[done]) == 0)
            done++;
        for (size_t i = done + 1; i < SITES; i++)
            assert_true(work_of(&peers[i]) == 20 * (i + 1) * prime_work(200)); /* untouched */
    }
}

/* Every second site is as slow as the hub; the others have learned their tails long before. */
static void alarms_of_all_sites_pass_meanwhile(void **state)
{
    struct world *w = *state;
    size_t passed = 0;
    for (size_t i = 0; i < SITES; i += 2)
        w->sites[i].slow = true;
    meet(w);
    for (size_t i = 0; i < SITES; i++) {
        w->sites[i].waits = CLASS_ALARM;
        channel_kick(w->sites[i].channel, w->hub->now.mono_ms);
    }
    for (unsigned turns = 0; passed < SITES; turns++) {
        assert_true(turns < 50); /* a commit of the hub's, and what an acknowledgement waits for company */
        turn(w);
        while (passed < SITES && w->sites[passed].acked == 1)
            passed++;
    }
}

static void whom_a_frame_waits_for_comes_first(void **state)
{
    struct world *w = *state;
    const struct peer *peers = w->hub->bridge->peers;
    struct site *last = &w->sites[SITES - 1];
    last->waits = CLASS_NORMAL; /* it is primed from its tail, and says so */
    channel_kick(last->channel, w->hub->now.mono_ms);
    for (unsigned turns = 0; last->acked == 0; turns++) {
        assert_true(turns < 1000);
        turn(w);
    }
    assert_int_equal(work_of(&peers[SITES - 1]), 0);
    assert_true(work_of(&peers[1]) > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(of_all_peers_one_slice_is_done_a_turn_and_the_shortest_first),
        TEST(alarms_of_all_sites_pass_meanwhile),
        TEST(whom_a_frame_waits_for_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
