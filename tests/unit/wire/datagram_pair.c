#include "tests/unit/wire/datagram_pair.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum seal_mode sim_seal = SEAL_NONE;
unsigned sim_codec = 1;
bool sim_forward;

uint32_t sim_random(struct sim *s)
{
    s->seed = s->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(s->seed >> 33);
}

static bool chance(struct sim *s, double p)
{
    return (sim_random(s) & 0xffffff) < p * 0x1000000;
}

unsigned sim_length(unsigned number)
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
                            .at_ms = s->now_ms + s->delay_ms + sim_random(s) % (unsigned)(4 * s->delay_ms),
                            .n = n};
        memcpy(f->bytes, bytes, n);
        return;
    }
}

/* What leaves was on our disk before, byte for byte: at its first sending, and at each later one. */
static bool is_kept(const struct disk *d, const uint8_t *bytes, size_t n)
{
    for (unsigned i = 0; i < KEPT; i++)
        if (d->kept[i].used && d->kept[i].n >= n && memcmp(d->kept[i].bytes + d->kept[i].n - n, bytes, n) == 0)
            return true;
    return false;
}

static void on_output(void *ctx, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    struct end *e = ctx;
    struct sim *s = e->sim;
    assert_true(n <= e->config.mtu && (bytes[0] & 0x80)); /* so none begins with "RB" */
    if (token != 0)
        assert_true(is_kept(&e->disk, bytes, n));
    e->last = (uint16_t)n;
    memcpy(e->last_frame, bytes, n);
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

static enum msg_class class_of(unsigned n);

static bool on_next_record(void *ctx, size_t room, struct record *r)
{
    struct end *e = ctx;
    unsigned n = 0;
    for (unsigned i = 1; i <= e->made; i++)
        if (!e->given[i] && !e->live.acked[i] && (n == 0 || (class_of(i) == CLASS_ALARM && class_of(n) != CLASS_ALARM)))
            n = i;
    if (n > 0) {
        e->given[n] = true;
        assert_true(e->given_count < 20000);
        e->index[e->given_count++] = (uint16_t)n;
        memset(e->payload, (int)n, sizeof e->payload);
        *r = (struct record){.type = RECORD_MESSAGE,
                             .class = class_of(n),
                             .number = n,
                             .previous = n - 1,
                             .slot = RECORD_NO_SLOT,
                             .topic = "sensors/t",
                             .topic_len = 9,
                             .bytes = e->payload,
                             .len = sim_length(n),
                             .total = sim_length(n)};
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

static enum msg_class class_of(unsigned n)
{
    return n % 50 == 0 ? CLASS_ALARM : CLASS_NORMAL;
}

static void on_pending(void *ctx, struct channel_pending *out)
{
    struct end *e = ctx;
    *out = (struct channel_pending){.oldest_ms = -1};
    for (unsigned n = 1; n <= e->made; n++) {
        if (e->given[n] || e->live.acked[n])
            continue;
        int64_t waited = e->sim->now_ms - e->made_ms[n];
        if (class_of(n) == CLASS_ALARM)
            out->alarm = true;
        else if (waited > out->oldest_ms)
            out->oldest_ms = waited;
    }
}

static void on_forgotten(void *ctx)
{
    ((struct end *)ctx)->forgotten++;
    memset(((struct end *)ctx)->settled, 0, sizeof ((struct end *)ctx)->settled);
}

static void on_keep_frame(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct end *e = ctx;
    unsigned i = 0;
    while (i < KEPT && e->live.kept[i].used)
        i++;
    struct sim *s = e->sim;
    assert_true(i < KEPT && n <= UINT16_MAX && s->blob_count < BLOBS);
    uint8_t *copy = s->blobs[s->blob_count++] = malloc(n);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    e->live.kept[i] = (struct kept){true, epoch, number, (uint16_t)n, copy};
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

static void on_keep_leaning(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct end *e = ctx;
    struct sim *s = e->sim;
    unsigned i = 0;
    while (i < LEANING && e->live.leaning[i].used)
        i++;
    assert_true(i < LEANING && s->blob_count < BLOBS);
    uint8_t *copy = s->blobs[s->blob_count++] = malloc(n);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    e->live.leaning[i] = (struct kept){true, epoch, number, (uint16_t)n, copy};
}

static bool on_next_leaning(void *ctx, uint32_t epoch, uint64_t after, uint64_t *number, uint8_t *bytes, size_t *n)
{
    const struct end *e = ctx;
    const struct kept *best = NULL;
    for (unsigned i = 0; i < LEANING; i++) {
        const struct kept *k = &e->live.leaning[i];
        if (k->used && k->epoch == epoch && k->number > after && (!best || k->number < best->number))
            best = k;
    }
    if (!best)
        return false;
    assert_true(best->n <= *n);
    *number = best->number;
    *n = best->n;
    memcpy(bytes, best->bytes, best->n);
    return true;
}

static void on_only_leaning(void *ctx, const uint32_t *epochs, unsigned count)
{
    struct end *e = ctx;
    for (unsigned i = 0; i < LEANING; i++) {
        bool kept = false;
        for (unsigned k = 0; k < count; k++)
            kept |= e->live.leaning[i].epoch == epochs[k];
        e->live.leaning[i].used &= kept;
    }
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
    if (n > e->settled[class_of(n)])
        e->settled[class_of(n)] = n;
}

static void on_settled(void *ctx, uint64_t up_to[CLASS_COUNT])
{
    memcpy(up_to, ((struct end *)ctx)->settled, sizeof ((struct end *)ctx)->settled);
}

static bool on_has_settled(void *ctx, const uint64_t up_to[CLASS_COUNT])
{
    const struct end *e = ctx;
    for (int c = 0; c < CLASS_COUNT; c++)
        if (up_to[c] > 0 && !e->live.have[up_to[c]])
            return false;
    return true;
}

static int on_record(void *ctx, const struct record *r, uint64_t frame)
{
    struct end *e = ctx;
    assert_true(r->type == RECORD_MESSAGE && r->number >= 1 &&
                r->number <= e->sim->end[!e->side].made);
    assert_int_equal(r->len, sim_length((unsigned)r->number));
    if (e->not_now[r->number])
        return -EPROTO;
    if (e->unknown > 0) {
        e->unknown--;
        return -ENOENT;
    }
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
    e->greeted_generation = peer->generation;
    /* A store remembers the segments of the past. */
    return peer->segment == e->sim->end[!e->side].identity.segment ? 0 : CHANNEL_REFUSED_UNKNOWN;
}

static bool on_other_store(void *ctx, const struct channel_identity *peer)
{
    const struct end *e = ctx;
    return e->greetings > 0 && peer->generation != e->greeted_generation;
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
    return sim_random(((struct end *)ctx)->sim) * 2654435761u;
}

static void on_random_bytes(void *ctx, void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(sim_random(((struct end *)ctx)->sim) >> 7);
}

static uint64_t on_grant(void *ctx)
{
    return 1000000;
}

static const struct channel_ops ops = {
    .output = on_output,
    .next_record = on_next_record,
    .take_back = on_take_back,
    .pending = on_pending,
    .forgotten = on_forgotten,
    .settled = on_settled,
    .has_settled = on_has_settled,
    .other_store = on_other_store,
    .receiver_changed = on_saved_changed,
    .keep_frame = on_keep_frame,
    .drop_frame = on_drop_frame,
    .keep_leaning = on_keep_leaning,
    .next_leaning = on_next_leaning,
    .only_leaning = on_only_leaning,
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
    .random_bytes = on_random_bytes,
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
void sim_reload(struct sim *s, int side)
{
    struct end *e = &s->end[side];
    channel_free(e->channel);
    e->live = e->disk;
    memset(e->given, 0, sizeof e->given);
    e->given_count = 0;
    e->commit_at_ms = CHANNEL_NEVER;
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

void sim_start(struct sim *s, int side)
{
    struct end *e = &s->end[side];
    e->identity.predecessor = e->identity.segment;
    e->identity.segment = sim_random(s);
    sim_reload(s, side);
}

struct sim *sim_new(uint64_t seed, bool metered)
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
                                           .seal = sim_seal,
                                            .forward_secrecy = sim_forward,
                                            .metered = metered,
                                            .mtu = MTU,
                                            .max_message = 1048576,
                                            .codec_version = sim_codec};
        snprintf(e->config.own_name, sizeof e->config.own_name, "end-%d", i);
        snprintf(e->config.peer_name, sizeof e->config.peer_name, "end-%d", !i);
        sim_start(s, i);
    }
    return s;
}

void sim_free(struct sim *s)
{
    for (int i = 0; i < 2; i++)
        channel_free(s->end[i].channel);
    for (unsigned i = 0; i < s->blob_count; i++)
        free(s->blobs[i]);
    free(s);
}

void sim_make(struct sim *s, int side, unsigned count)
{
    assert_true(s->end[side].made + count <= MESSAGES);
    for (unsigned i = 0; i < count; i++)
        s->end[side].made_ms[++s->end[side].made] = s->now_ms;
    channel_kick(s->end[side].channel, s->now_ms);
}

void sim_step(struct sim *s, int64_t until)
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
        while (channel_priming(e->channel))
            channel_prime(e->channel, s->now_ms);
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

void sim_run(struct sim *s, int64_t ms)
{
    for (int64_t until = s->now_ms + ms; s->now_ms < until;)
        sim_step(s, until);
}

bool sim_all_acked(const struct sim *s)
{
    for (int i = 0; i < 2; i++)
        for (unsigned n = 1; n <= s->end[i].made; n++)
            if (!s->end[i].live.acked[n])
                return false;
    return true;
}

bool sim_drain(struct sim *s, int64_t ms)
{
    for (int64_t until = s->now_ms + ms; s->now_ms < until && !sim_all_acked(s);)
        sim_step(s, s->now_ms + 1000 < until ? s->now_ms + 1000 : until);
    return sim_all_acked(s);
}

/* A sealed link with an end that knows nothing of the other needs a word of it first. */
unsigned sim_contact(void)
{
    return sim_seal == SEAL_NONE ? 0 : 1;
}

void sim_arguments(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "sealed") == 0)
        sim_seal = SEAL_FULL;
    if (argc > 1 && strcmp(argv[1], "mix") == 0)
        sim_codec = 2;
    sim_forward = argc > 1 && strcmp(argv[1], "forward") == 0;
    if (sim_forward)
        sim_seal = SEAL_FULL;
}
