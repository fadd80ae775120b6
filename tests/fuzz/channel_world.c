#include "tests/fuzz/channel_world.h"

#include <errno.h>
#include "gateway/wire/prime_share.h"
#include "tests/fuzz/checks_void.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/primer_made.h"

#define MODEL_BYTES (256u << 10)

unsigned world_reached[REACHED_COUNT];
const char *const world_reached_names[REACHED_COUNT] = {
    "a model primed from history", "a record that makes no sense", "a data frame changed", "a control frame changed",
    "a data frame made", "a control frame made",
};

static uint32_t on_random(void *ctx)
{
    struct end *e = ctx;
    e->world->seed = e->world->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(e->world->seed >> 33);
}

static uint8_t content(int side, unsigned number, uint32_t at)
{
    return (uint8_t)(number * 7 + at * 13 + (unsigned)side);
}

static void on_output(void *ctx, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    struct end *e = ctx;
    FUZZ_MUST(n > 0 && n <= FRAMING_MAX_BYTES);
    (void)buf_put(&e->line, bytes, n); /* a full line loses it */
}

static bool on_next_record(void *ctx, size_t room, struct record *r)
{
    struct end *e = ctx;
    if (e->cursor >= e->count)
        return false;
    unsigned number = e->cursor + 1;
    const struct message *m = &e->made[number];
    uint32_t len = m->len - e->offset;
    if (m->len > CHANNEL_WHOLE_BYTES && len > room)
        len = room > 0 ? (uint32_t)room : 1;
    for (uint32_t i = 0; i < len; i++)
        e->payload[i] = content(e->side, number, e->offset + i);
    bool begun = e->offset > 0;
    *r = (struct record){.type = begun ? RECORD_CHUNK : RECORD_MESSAGE, .class = m->class, .number = number,
                         .previous = m->previous, .slot = number % 50, .qos = 1, .total = m->len,
                         .offset = e->offset, .bytes = e->payload, .len = len};
    bool whole = e->offset + len == m->len;
    FUZZ_MUST(e->given_count < sizeof e->given / sizeof e->given[0]);
    e->given[e->given_count++] = whole ? number : 0;
    e->offset = whole ? 0 : e->offset + len;
    e->cursor += whole;
    return true;
}

static void on_acked(void *ctx, uint64_t count)
{
    struct end *e = ctx;
    FUZZ_MUST(count >= e->acked_count && count <= e->given_count);
    if (!e->world->forged)
        for (uint64_t i = e->acked_count; i < count; i++)
            FUZZ_MUST(e->given[i] <= e->world->end[!e->side].disk);
    e->acked_count = count;
}

static int on_record(void *ctx, const struct record *r, uint64_t frame)
{
    struct end *e = ctx;
    const struct end *peer = &e->world->end[!e->side];
    uint64_t touched = 0;
    for (uint32_t i = 0; i < r->len; i++)
        touched += r->bytes[i];
    if (e->world->forged) {
        world_reached[REACHED_HOSTILE_RECORD] += r->type != RECORD_MESSAGE || r->number != e->live + 1;
        return touched % 7 == 1 ? -EPROTO : 0;
    }
    unsigned number = e->live + 1;
    FUZZ_MUST((r->type == RECORD_MESSAGE || r->type == RECORD_CHUNK) && r->number == number && number <= peer->count);
    const struct message *m = &peer->made[number];
    FUZZ_MUST(r->class == m->class && r->offset == (r->type == RECORD_MESSAGE ? 0 : e->live_have));
    if (r->type == RECORD_MESSAGE)
        FUZZ_MUST(r->total == m->len && r->previous == m->previous && r->slot == number % 50);
    FUZZ_MUST(r->offset + r->len <= m->len);
    for (uint32_t i = 0; i < r->len; i++)
        FUZZ_MUST(r->bytes[i] == content(peer->side, number, r->offset + i));
    e->live_have = r->offset + r->len;
    if (e->live_have == m->len) {
        e->live = number;
        e->live_have = 0;
    }
    return 0;
}

static void on_frame_done(void *ctx, uint64_t frame)
{
    struct end *e = ctx;
    FUZZ_MUST(frame > e->frame);
    e->frame = frame;
}

static uint32_t tail_name(unsigned up_to)
{
    return prime_tail_name(up_to * 2654435761u, 1 + up_to % 5);
}

/* A history tail is of the last messages before a number. */
static void tail_of(struct end *e, bool out, unsigned up_to)
{
    e->tail_end[out] = up_to;
    e->tail_at[out] = up_to > TAIL ? up_to - TAIL : 0;
}

static int on_greeting(void *ctx, const struct channel_identity *peer, struct channel_marks *ours)
{
    struct end *e = ctx;
    const struct end *other = &e->world->end[!e->side];
    if (e->refuses)
        return CHANNEL_REFUSED_BUSY;
    e->live = e->disk;
    e->live_have = e->disk_have;
    *ours = (struct channel_marks){.grant_bytes = 1u << 20, .max_message = HANDSHAKE_MESSAGE_USUAL};
    for (unsigned n = 1; n <= e->disk && n <= other->count; n++)
        ours->cumulative[other->made[n].class] = n;
    if (e->disk_have > 0 && e->disk < other->count) {
        enum msg_class class = other->made[e->disk + 1].class;
        ours->partial[class] = true;
        ours->partial_number[class] = e->disk + 1;
        ours->partial_have[class] = e->disk_have;
    }
    unsigned tail = e->disk <= other->count ? e->disk : 0;
    ours->history_tail = tail > 0 ? tail_name(tail) : 0;
    tail_of(e, false, tail);
    return 0;
}

static void on_greeted(void *ctx, const struct channel_marks *theirs)
{
    struct end *e = ctx;
    uint64_t top = 0;
    e->offset = 0;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        top = theirs->cumulative[c] > top ? theirs->cumulative[c] : top;
        if (theirs->partial[c] && !e->world->forged)
            e->offset = theirs->partial_have[c];
    }
    if (!e->world->forged)
        FUZZ_MUST(top == e->world->end[!e->side].disk);
    e->cursor = top <= e->count ? (unsigned)top : e->count;
    e->given_count = e->acked_count = 0;
    unsigned tail = e->count;
    while (tail > 0 && theirs->history_tail != tail_name(tail))
        tail--;
    tail_of(e, true, tail);
}

static void on_state(void *ctx, enum channel_state state, const char *why)
{
    FUZZ_MUST(why[0] != '\0');
}

static void on_give_up(void *ctx, const char *why)
{
    FUZZ_MUST(why[0] != '\0');
}

static void on_random_bytes(void *ctx, void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(on_random(ctx) >> 24);
}

static uint64_t on_grant(void *ctx)
{
    return 1u << 20;
}

static enum channel_prime on_prime(void *ctx, bool out, struct record *r)
{
    struct end *e = ctx;
    const struct end *from = out ? e : &e->world->end[!e->side];
    if (e->tail_at[out] >= e->tail_end[out])
        return CHANNEL_PRIME_END;
    unsigned number = ++e->tail_at[out];
    const struct message *m = &from->made[number];
    uint32_t len = m->len < 100 ? m->len : 100;
    for (uint32_t i = 0; i < len; i++)
        e->payload[i] = content(from->side, number, i);
    *r = (struct record){.type = RECORD_MESSAGE, .class = m->class, .number = number, .previous = m->previous, .slot = RECORD_NO_SLOT,
                         .topic = "t", .topic_len = 1, .qos = 1, .total = len, .bytes = e->payload, .len = len};
    world_reached[REACHED_PRIMED]++;
    return CHANNEL_PRIME_RECORD;
}

static bool on_prime_within(void *ctx, bool out, unsigned units)
{
    struct end *e = ctx;
    unsigned most = units * 4;
    FUZZ_MUST(units <= PRIME_SHARE_UNITS);
    if (e->tail_end[out] - e->tail_at[out] > most)
        e->tail_at[out] = e->tail_end[out] - most;
    return e->tail_at[out] < e->tail_end[out];
}

static void on_primed(void *ctx, bool out)
{
    struct end *e = ctx;
    e->tail_at[out] = e->tail_end[out] = 0;
}

static const struct channel_ops ops = {
    .output = on_output, .next_record = on_next_record, .acked = on_acked, .record = on_record,
    .frame_done = on_frame_done, .greeting = on_greeting, .greeted = on_greeted, .state = on_state,
    .give_up = on_give_up, .prime = on_prime, .prime_within = on_prime_within, .primed = on_primed, .random = on_random,
    .random_bytes = on_random_bytes, .grant = on_grant,
};

/* ---- the world ---- */

void world_begin(struct world *w, int side, uint8_t how)
{
    static const size_t model = MODEL_BYTES;
    struct end *e = &w->end[side];
    e->world = w;
    e->side = side;
    e->identity = (struct channel_identity){.generation = 7, .segment = 100, .predecessor = 99, .predecessor_end = 5};
    e->config = (struct channel_config){
        .kind = CHANNEL_STREAM, .seal = !(how & 0x80) ? SEAL_NONE : how & 8 ? SEAL_AUTH : SEAL_FULL,
        .forward_secrecy = how & 4, .metered = how & 1, .half_duplex = how & 2, .speaks_first = side == 1,
        .probe_ms = how & 4 ? 60000 : 0, .rate_bytes_s = how & 8 ? 120 : 0, .avoid = {0x11, 0x13},
        .avoid_count = how & 16 ? 2 : 0, .max_message = 1u << 20, .codec_version = 1 + (how >> 5 & 1), .codec_memory = MODEL_BYTES,
        .models = primer_made(&model, how & 0x20 ? 1 : 0),
    };
    snprintf(e->config.own_name, sizeof e->config.own_name, "%s", side ? "hub" : "buoy");
    snprintf(e->config.peer_name, sizeof e->config.peer_name, "%s", side ? "buoy" : "hub");
    buf_init(&e->line, LINE_MAX);
    e->channel = channel_new(&e->config, &e->identity, &ops, e);
    FUZZ_MUST(e->channel);
}

void world_commit(struct end *e)
{
    e->disk = e->live;
    e->disk_have = e->live_have;
    channel_committed(e->channel, e->frame, e->world->now_ms);
}

void world_deliver(struct end *e, size_t n, bool lose)
{
    struct buf *line = &e->world->end[!e->side].line;
    n = n < line->len ? n : line->len;
    uint8_t *bytes = malloc(n ? n : 1);
    FUZZ_MUST(bytes);
    memcpy(bytes, buf_bytes(line), n);
    buf_consume(line, n);
    if (!lose)
        channel_on_bytes(e->channel, bytes, n, e->world->now_ms);
    free(bytes);
}

void world_serve(struct world *w, bool commits)
{
    for (int turns = 0;; turns++) {
        bool busy = false;
        FUZZ_MUST(turns < TURNS_MAX);
        for (int i = 0; i < 2; i++) {
            struct end *e = &w->end[i];
            if (commits && e->frame > 0)
                world_commit(e);
            if (channel_deadline(e->channel, w->now_ms) <= w->now_ms) {
                channel_on_timer(e->channel, w->now_ms);
                busy = true;
            }
            if (channel_priming(e->channel)) {
                channel_prime(e->channel, w->now_ms);
                busy = true;
            }
            if (channel_wants(e->channel, w->now_ms))
                busy |= channel_pump(e->channel, 4096, w->now_ms) > 0;
        }
        if (!busy)
            return;
    }
}

void world_wait(struct world *w, int64_t most_ms)
{
    int64_t at = w->now_ms + most_ms;
    for (int i = 0; i < 2; i++) {
        int64_t due = channel_deadline(w->end[i].channel, w->now_ms);
        at = due > w->now_ms && due < at ? due : at;
    }
    w->now_ms = at;
}

void world_restart(struct end *e)
{
    channel_free(e->channel);
    e->live = e->disk;
    e->live_have = e->disk_have;
    e->frame = 0;
    e->given_count = e->acked_count = 0;
    e->identity.predecessor = e->identity.segment++;
    e->channel = channel_new(&e->config, &e->identity, &ops, e);
    FUZZ_MUST(e->channel);
}
