/* Two channels on a datagram link that loses, repeats, delays and reorders: each message must come,
 * and count, once. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/datagram_frame.h"

#define MESSAGES 2000
#define FLYING   400
#define MTU      340

#define KEPT 600

struct kept {
    bool used;
    uint32_t epoch;
    uint64_t number;
    uint16_t n;
    uint8_t bytes[MTU];
};

struct disk {
    bool have[MESSAGES + 1]; /* of the peer's messages */
    uint8_t saved[CHANNEL_SAVED_MAX];
    size_t saved_len;
    uint8_t saved_out[CHANNEL_SAVED_OUT_MAX];
    size_t saved_out_len;
    struct kept kept[KEPT];
    bool acked[MESSAGES + 1]; /* of its own */
};

struct end {
    struct sim *sim;
    int side;
    struct channel *channel;
    struct channel_config config;
    struct channel_identity identity;
    unsigned made;
    bool given[MESSAGES + 1];
    uint16_t index[20000]; /* records given in this epoch */
    unsigned given_count;
    struct disk live, disk;
    uint64_t frame_live;
    int64_t commit_at_ms;
    unsigned frames, largest, greetings, copies, give_ups;
    uint64_t bytes;
    uint8_t payload[300];
};

struct flying {
    bool used;
    int to;
    int64_t at_ms;
    size_t n;
    uint8_t bytes[MTU];
};

struct outcome {
    bool used;
    int side;
    uint64_t token;
    int what;
    int64_t at_ms;
};

struct sim {
    uint64_t seed;
    int64_t now_ms;
    double loss, twice, fail, unknown;
    int64_t delay_ms;
    struct end end[2];
    struct flying flying[FLYING];
    struct outcome outcome[FLYING];
};

static uint32_t rnd(struct sim *s)
{
    s->seed = s->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(s->seed >> 33);
}

static bool chance(struct sim *s, double p)
{
    return (rnd(s) & 0xffffff) < p * 0x1000000;
}

static unsigned length(unsigned number)
{
    return number % 7 == 0 ? 150 : 5 + number % 40;
}

static void fly(struct sim *s, int to, const uint8_t *bytes, size_t n)
{
    for (unsigned i = 0; i < FLYING; i++) {
        struct flying *f = &s->flying[i];
        if (f->used)
            continue;
        *f =
            (struct flying){.used = true,
                            .to = to,
                            .at_ms = s->now_ms + s->delay_ms + rnd(s) % (unsigned)(4 * s->delay_ms),
                            .n = n};
        memcpy(f->bytes, bytes, n);
        return;
    }
}

static void on_output(void *ctx, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    struct end *e = ctx;
    struct sim *s = e->sim;
    assert_true(n <= e->config.mtu);
    e->frames++;
    e->bytes += n;
    e->largest = n > e->largest ? (unsigned)n : e->largest;
    int what = chance(s, s->fail) ? 1 : chance(s, s->unknown) ? 2 : 0;
    for (unsigned i = 0; i < FLYING; i++)
        if (!s->outcome[i].used) {
            s->outcome[i] = (struct outcome){true, e->side, token, what, s->now_ms + 500};
            break;
        }
    if (what == 1 || chance(s, s->loss))
        return;
    fly(s, !e->side, bytes, n);
    if (chance(s, s->twice))
        fly(s, !e->side, bytes, n);
}

static bool on_next_record(void *ctx, size_t room, struct record *r)
{
    struct end *e = ctx;
    for (unsigned n = 1; n <= e->made; n++) {
        if (e->given[n] || e->live.acked[n])
            continue;
        e->given[n] = true;
        assert_true(e->given_count < 20000);
        e->index[e->given_count++] = (uint16_t)n;
        memset(e->payload, (int)n, sizeof e->payload);
        *r = (struct record){.type = RECORD_MESSAGE,
                             .class = n % 50 == 0 ? CLASS_ALARM : CLASS_NORMAL,
                             .number = n,
                             .previous = n - 1,
                             .slot = RECORD_NO_SLOT,
                             .topic = "sensors/t",
                             .topic_len = 9,
                             .bytes = e->payload,
                             .len = length(n),
                             .total = length(n)};
        return true;
    }
    return false;
}

static void on_take_back(void *ctx)
{
    struct end *e = ctx;
    e->given[e->index[--e->given_count]] = false;
}

static void want_commit(struct end *e, int64_t delay_ms)
{
    if (e->commit_at_ms > e->sim->now_ms + delay_ms)
        e->commit_at_ms = e->sim->now_ms + delay_ms;
}

static void on_keep_frame(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct end *e = ctx;
    unsigned i = 0;
    while (i < KEPT && e->live.kept[i].used)
        i++;
    assert_true(i < KEPT && n <= MTU);
    e->live.kept[i] = (struct kept){true, epoch, number, (uint16_t)n, {0}};
    memcpy(e->live.kept[i].bytes, bytes, n);
    want_commit(e, 0);
}

static void on_drop_frame(void *ctx, uint32_t epoch, uint64_t number)
{
    struct end *e = ctx;
    for (unsigned i = 0; i < KEPT; i++)
        if (e->live.kept[i].epoch == epoch && e->live.kept[i].number == number)
            e->live.kept[i].used = false;
    want_commit(e, 20);
}

static void on_saved_changed(void *ctx)
{
    want_commit(ctx, 20);
}

static void on_restored(void *ctx, const struct record *r)
{
    struct end *e = ctx;
    assert_true(r->number >= 1 && r->number <= e->made && !e->given[r->number]);
    e->given[r->number] = true;
    e->index[e->given_count++] = (uint16_t)r->number;
}

static void on_acked(void *ctx, uint64_t count)
{
    fail_msg("not on datagram links");
}

static void on_acked_record(void *ctx, uint64_t index)
{
    struct end *e = ctx;
    assert_true(index < e->given_count);
    unsigned n = e->index[index];
    assert_true(e->sim->end[!e->side].disk.have[n]);
    e->live.acked[n] = true;
}

static int on_record(void *ctx, const struct record *r, uint64_t frame)
{
    struct end *e = ctx;
    assert_true(r->type == RECORD_MESSAGE && r->number >= 1 &&
                r->number <= e->sim->end[!e->side].made);
    assert_int_equal(r->len, length((unsigned)r->number));
    for (unsigned i = 0; i < r->len; i++)
        assert_int_equal(r->bytes[i], (uint8_t)r->number);
    e->copies += e->live.have[r->number];
    e->live.have[r->number] = true;
    return 0;
}

static void on_frame_done(void *ctx, uint64_t frame)
{
    struct end *e = ctx;
    e->frame_live = frame;
    want_commit(e, 20);
}

static int on_greeting(void *ctx, const struct channel_identity *peer, struct channel_marks *ours)
{
    struct end *e = ctx;
    e->greetings++;
    /* A store remembers the segments of the past. */
    return peer->segment == e->sim->end[!e->side].identity.segment ? 0 : CHANNEL_REFUSED_UNKNOWN;
}

static void on_greeted(void *ctx, const struct channel_marks *theirs)
{
    struct end *e = ctx;
    assert_null(theirs);
    memset(e->given, 0, sizeof e->given);
    e->given_count = 0;
}

static void on_state(void *ctx, enum channel_state state, const char *why)
{
}

static void on_give_up(void *ctx, const char *why)
{
    ((struct end *)ctx)->give_ups++;
}

static uint32_t on_random(void *ctx)
{
    return rnd(((struct end *)ctx)->sim) * 2654435761u;
}

static uint64_t on_grant(void *ctx)
{
    return 1000000;
}

static const struct channel_ops ops = {
    .output = on_output,
    .next_record = on_next_record,
    .take_back = on_take_back,
    .keep_frame = on_keep_frame,
    .drop_frame = on_drop_frame,
    .saved_changed = on_saved_changed,
    .restored = on_restored,
    .acked = on_acked,
    .acked_record = on_acked_record,
    .record = on_record,
    .frame_done = on_frame_done,
    .greeting = on_greeting,
    .greeted = on_greeted,
    .state = on_state,
    .give_up = on_give_up,
    .random = on_random,
    .grant = on_grant,
};

static void commit(struct end *e)
{
    e->live.saved_len = channel_save(e->channel, e->live.saved);
    e->live.saved_out_len = channel_save_out(e->channel, e->live.saved_out);
    e->disk = e->live;
    e->commit_at_ms = CHANNEL_NEVER;
    channel_committed(e->channel, e->frame_live, e->sim->now_ms);
    channel_kept(e->channel);
}

/* Kill -9 and a new start. */
static void start(struct sim *s, int side)
{
    struct end *e = &s->end[side];
    channel_free(e->channel);
    e->live = e->disk;
    memset(e->given, 0, sizeof e->given);
    e->given_count = 0;
    e->commit_at_ms = CHANNEL_NEVER;
    e->identity.predecessor = e->identity.segment;
    e->identity.segment = rnd(s);
    for (unsigned i = 0; i < FLYING; i++)
        if (s->outcome[i].side == side)
            s->outcome[i].used = false;
    e->channel = channel_new(&e->config, &e->identity, &ops, e);
    if (e->disk.saved_len > 0)
        assert_true(channel_load(e->channel, e->disk.saved, e->disk.saved_len));
    if (e->disk.saved_out_len > 0)
        assert_true(channel_load_out(e->channel, e->disk.saved_out, e->disk.saved_out_len));
    for (unsigned i = 0; i < KEPT; i++) {
        struct kept *k = &e->live.kept[i];
        if (k->used && !channel_restore_frame(e->channel, k->epoch, k->number, k->bytes, k->n))
            k->used = false;
    }
    channel_link_up(e->channel, s->now_ms);
}

static struct sim *sim_new(uint64_t seed, bool metered)
{
    struct sim *s = calloc(1, sizeof *s);
    print_message("# seed %d\n", (int)seed);
    s->seed = seed;
    s->delay_ms = 1000;
    for (int i = 0; i < 2; i++) {
        struct end *e = &s->end[i];
        e->sim = s;
        e->side = i;
        e->config = (struct channel_config){.kind = CHANNEL_DATAGRAM,
                                           .seal = SEAL_NONE,
                                            .metered = metered,
                                            .mtu = MTU,
                                            .max_message = 1048576,
                                            .codec_version = 1};
        snprintf(e->config.own_name, sizeof e->config.own_name, "end-%d", i);
        snprintf(e->config.peer_name, sizeof e->config.peer_name, "end-%d", !i);
        start(s, i);
    }
    return s;
}

static void sim_free(struct sim *s)
{
    for (int i = 0; i < 2; i++)
        channel_free(s->end[i].channel);
    free(s);
}

static void make(struct sim *s, int side, unsigned count)
{
    s->end[side].made += count;
    assert_true(s->end[side].made <= MESSAGES);
    channel_kick(s->end[side].channel, s->now_ms);
}

static void step(struct sim *s, int64_t until)
{
    int64_t next = until;
    for (unsigned i = 0; i < FLYING; i++) {
        struct flying *f = &s->flying[i];
        struct outcome *o = &s->outcome[i];
        if (f->used && f->at_ms <= s->now_ms) {
            f->used = false;
            channel_on_bytes(s->end[f->to].channel, f->bytes, f->n, s->now_ms);
        }
        if (o->used && o->at_ms <= s->now_ms) {
            o->used = false;
            channel_sent(s->end[o->side].channel, o->token, o->what, s->now_ms);
        }
    }
    for (int i = 0; i < 2; i++) {
        struct end *e = &s->end[i];
        if (e->commit_at_ms <= s->now_ms)
            commit(e);
        channel_on_timer(e->channel, s->now_ms);
        for (int k = 0; k < 3 && channel_wants(e->channel, s->now_ms); k++)
            channel_pump(e->channel, MTU, s->now_ms);
        int64_t at = channel_wants(e->channel, s->now_ms) ? s->now_ms + 300
                                                          : channel_deadline(e->channel, s->now_ms);
        next = at < next ? at : next;
        next = e->commit_at_ms < next ? e->commit_at_ms : next;
    }
    for (unsigned i = 0; i < FLYING; i++) {
        if (s->flying[i].used && s->flying[i].at_ms < next)
            next = s->flying[i].at_ms;
        if (s->outcome[i].used && s->outcome[i].at_ms < next)
            next = s->outcome[i].at_ms;
    }
    s->now_ms = next > s->now_ms ? next : s->now_ms + 1;
}

static void run(struct sim *s, int64_t ms)
{
    for (int64_t until = s->now_ms + ms; s->now_ms < until;)
        step(s, until);
}

static bool all_acked(const struct sim *s)
{
    for (int i = 0; i < 2; i++)
        for (unsigned n = 1; n <= s->end[i].made; n++)
            if (!s->end[i].live.acked[n])
                return false;
    return true;
}

static bool drain(struct sim *s, int64_t ms)
{
    for (int64_t until = s->now_ms + ms; s->now_ms < until && !all_acked(s);)
        step(s, s->now_ms + 1000 < until ? s->now_ms + 1000 : until);
    return all_acked(s);
}

static void data_flows_in_the_first_frame(void **state)
{
    struct sim *s = sim_new(1, false);
    make(s, 0, 3);
    while (!s->end[1].live.have[3] && s->now_ms < 100000)
        step(s, s->now_ms + 100);
    assert_int_equal(s->end[0].frames, 1);
    assert_int_equal(s->end[1].frames, 0);
    assert_true(drain(s, 60000));
    sim_free(s);
}

static void frames_are_filled_and_cost_seven_bytes_once_the_epoch_is_known(void **state)
{
    struct sim *s = sim_new(2, false);
    make(s, 0, 1);
    assert_true(drain(s, 60000));
    s->end[0].bytes = s->end[0].frames = 0;
    make(s, 0, 500);
    assert_true(drain(s, 600000));
    uint64_t least = 0;
    for (unsigned n = 2; n <= 501; n++)
        least += length(n);
    struct channel_status st;
    channel_status(s->end[0].channel, &st);
    print_message("# %d resent, rtt %d; %d frames of %d bytes, payload %d\n", (int)st.retransmits,
                  (int)st.rtt_ms, (int)s->end[0].frames, (int)(s->end[0].bytes / s->end[0].frames),
                  (int)least);
    assert_true(s->end[0].largest <= MTU);
    assert_true(s->end[0].bytes / s->end[0].frames > MTU * 3 / 4);
    /* Topic as text 10, five of the record, and 7 a frame. */
    assert_true(s->end[0].bytes < least + 500 * 16 + s->end[0].frames * 11ull);
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void loss_repetition_and_reordering_lose_and_double_nothing(void **state)
{
    for (uint64_t seed = 10; seed < 16; seed++) {
        struct sim *s = sim_new(seed, seed % 2);
        s->loss = 0.2;
        s->twice = 0.1;
        s->fail = 0.1;
        s->unknown = 0.1;
        for (int i = 0; i < 50; i++) {
            make(s, i % 2, 20);
            run(s, 5000);
        }
        assert_true(drain(s, 400000000));
        print_message("# %d and %d frames\n", (int)s->end[0].frames, (int)s->end[1].frames);
        sim_free(s);
    }
}

static void either_end_may_be_killed_at_any_time(void **state)
{
    for (uint64_t seed = 20; seed < 26; seed++) {
        struct sim *s = sim_new(seed, seed % 2);
        s->loss = 0.1;
        s->unknown = 0.1;
        for (int i = 0; i < 40; i++) {
            make(s, i % 2, 20);
            run(s, rnd(s) % 8000);
            start(s, (int)(rnd(s) % 2));
        }
        assert_true(drain(s, 400000000));
        sim_free(s);
    }
}

static void a_receivers_restart_does_not_begin_an_epoch(void **state)
{
    struct sim *s = sim_new(30, false);
    make(s, 0, 100);
    assert_true(drain(s, 600000));
    start(s, 1);
    make(s, 0, 100);
    assert_true(drain(s, 600000));
    assert_int_equal(s->end[1].greetings, 1);
    assert_int_equal(s->end[1].copies, 0);
    sim_free(s);
}

static void a_receiver_that_lost_its_store_is_reached_again(void **state)
{
    struct sim *s = sim_new(31, false);
    make(s, 0, 10);
    assert_true(drain(s, 600000));
    s->end[1].disk.saved_len = 0;
    start(s, 1);
    make(s, 0, 10);
    assert_true(drain(s, 40000000));
    sim_free(s);
}

static void a_metered_link_is_silent_when_all_is_said(void **state)
{
    struct sim *s = sim_new(32, true);
    make(s, 0, 5);
    run(s, 7 * 86400000ll);
    assert_true(all_acked(s));
    assert_int_equal(s->end[0].frames,
                     1); /* the frame, and one acknowledgement rather than the frame again */
    assert_int_equal(s->end[1].frames, 1);
    assert_true(s->end[1].bytes <= 8);
    sim_free(s);
}

static void any_bytes_at_all_are_survived(void **state)
{
    struct sim *s = sim_new(33, false);
    make(s, 0, 10);
    assert_true(drain(s, 600000));
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[400];
        size_t n = rnd(s) % 3 ? rnd(s) % 40 : rnd(s) % sizeof bytes;
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)rnd(s);
        channel_on_bytes(s->end[i % 2].channel, bytes, n, s->now_ms);
    }
    make(s, 0, 10);
    make(s, 1, 10);
    assert_true(drain(s, 600000));
    sim_free(s);
}

static void headers_survive_and_an_announcement_is_whole_or_nothing(void **state)
{
    struct datagram_header h = {.number = 2047,
                                .epoch_low = 0xd4,
                                .announces = true,
                                .announcement = {.counter = 300,
                                                 .epoch = 0xa1b2c3d4,
                                                 .since = 298,
                                                 .codec = 1,
                                                 .identity = {1, 2, 3, 70000},
                                                 .echoes = true,
                                                 .next_secret = 77,
                                                 .name = "edge"},
                                .has_ack = true,
                                .ack_epoch = 5,
                                .ack = 6,
                                .grant = 7,
                                .bitmap = 8},
                           g;
    uint8_t bytes[DATAGRAM_HEADER_BYTES + DATAGRAM_ANNOUNCE_MAX + DATAGRAM_ACK_BYTES];
    for (int mode = SEAL_FULL; mode <= SEAL_NONE; mode++) {
        size_t clear, n = datagram_header_encode(&h, mode, bytes, &clear);
        assert_int_equal(datagram_clear_decode(&g, mode, bytes, n), clear);
        assert_int_equal(datagram_rest_decode(&g, mode, bytes, n, clear), n);
        const struct datagram_announcement *a = &g.announcement;
        assert_string_equal(a->name, mode == SEAL_FULL ? "" : "edge");
        assert_true(g.number == 2047 && a->epoch == 0xa1b2c3d4 && a->identity.predecessor_end == 70000 &&
                    a->counter == 300 && a->since == 298 && a->echoes && a->next_secret == 77 &&
                    g.ack_epoch == 5 && g.bitmap == 8);
        for (size_t cut = 0; cut < n; cut++)
            assert_true(cut < clear ? datagram_clear_decode(&g, mode, bytes, cut) == 0
                                    : datagram_clear_decode(&g, mode, bytes, cut) == clear &&
                                          datagram_rest_decode(&g, mode, bytes, cut, clear) == 0);
    }
    h = (struct datagram_header){.number = 1, .epoch_low = 9};
    size_t clear;
    assert_int_equal(datagram_header_encode(&h, SEAL_NONE, bytes, &clear), DATAGRAM_HEADER_BYTES);
    assert_int_equal(DATAGRAM_HEADER_BYTES + SEAL_CRC_BYTES, 7);
    assert_int_equal(DATAGRAM_HEADER_BYTES + SEAL_TAG_DEFAULT, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_flows_in_the_first_frame),
        cmocka_unit_test(frames_are_filled_and_cost_seven_bytes_once_the_epoch_is_known),
        cmocka_unit_test(loss_repetition_and_reordering_lose_and_double_nothing),
        cmocka_unit_test(either_end_may_be_killed_at_any_time),
        cmocka_unit_test(a_receivers_restart_does_not_begin_an_epoch),
        cmocka_unit_test(a_receiver_that_lost_its_store_is_reached_again),
        cmocka_unit_test(a_metered_link_is_silent_when_all_is_said),
        cmocka_unit_test(any_bytes_at_all_are_survived),
        cmocka_unit_test(headers_survive_and_an_announcement_is_whole_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
