/* A channel in every state, between an honest peer and a stranger on the line: [config] then steps [what, ...]. Two
 * real channels speak; bytes between them are lost, damaged, repeated and invented. As long as nobody forges a tag,
 * records arrive once, in order and unaltered, and what is acknowledged is on the peer's disk (I2, I4, I5, I9). A
 * forged frame has a right tag and any content: then all that must hold is that nothing crashes, hangs or grows (I8). */
#include "tests/fuzz/fuzz.h"
#include <errno.h>
#include "gateway/wire/channel.h"
#include "gateway/wire/channel_internal.h"

#define MESSAGES_MAX 64  /* made by each end */
#define LINE_MAX     65536
#define TURNS_MAX    400 /* of one instant: beyond, it spins */

struct message {
    enum msg_class class;
    uint64_t previous;
    uint16_t len;
};

struct end {
    struct world *world;
    int side;
    struct channel *channel;
    struct channel_config config;
    struct channel_identity identity;
    struct buf line;                     /* bytes on their way to the other end */
    struct message made[MESSAGES_MAX + 1];
    unsigned count, cursor;              /* all after cursor are still to be given, in order of number */
    uint32_t offset;                     /* of the one after cursor */
    unsigned given[8192];                /* number of each record given, 0 = a piece */
    uint64_t given_count, acked_count;
    unsigned live, disk;                 /* numbers received, all classes in one order */
    uint32_t live_have, disk_have;       /* bytes of the next one */
    uint64_t frame;
    bool refuses;
    uint8_t payload[4096];
};

struct world {
    struct end end[2];
    int64_t now_ms;
    uint64_t seed;
    bool forged;
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
    if (e->world->forged)
        return touched % 7 == 1 ? -EPROTO : 0;
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

static const struct channel_ops ops = {
    .output = on_output, .next_record = on_next_record, .acked = on_acked, .record = on_record,
    .frame_done = on_frame_done, .greeting = on_greeting, .greeted = on_greeted, .state = on_state,
    .give_up = on_give_up, .random = on_random, .random_bytes = on_random_bytes, .grant = on_grant,
};

/* ---- the world ---- */

static void begin(struct world *w, int side, uint8_t how)
{
    struct end *e = &w->end[side];
    e->world = w;
    e->side = side;
    e->identity = (struct channel_identity){.generation = 7, .segment = 100, .predecessor = 99, .predecessor_end = 5};
    e->config = (struct channel_config){
        .kind = CHANNEL_STREAM, .seal = (how & 0xc0) != 0xc0 ? SEAL_NONE : how & 8 ? SEAL_AUTH : SEAL_FULL,
        .forward_secrecy = how & 4, .metered = how & 1, .half_duplex = how & 2, .speaks_first = side == 1,
        .probe_ms = how & 4 ? 60000 : 0, .rate_bytes_s = how & 8 ? 120 : 0, .avoid = {0x11, 0x13},
        .avoid_count = how & 16 ? 2 : 0, .max_message = 1u << 20, .codec_version = 1 + (how >> 5 & 1), .codec_memory = 256u << 10,
    };
    snprintf(e->config.own_name, sizeof e->config.own_name, "%s", side ? "hub" : "buoy");
    snprintf(e->config.peer_name, sizeof e->config.peer_name, "%s", side ? "buoy" : "hub");
    buf_init(&e->line, LINE_MAX);
    e->channel = channel_new(&e->config, &e->identity, &ops, e);
    FUZZ_MUST(e->channel);
}

static void commit(struct end *e)
{
    e->disk = e->live;
    e->disk_have = e->live_have;
    channel_committed(e->channel, e->frame, e->world->now_ms);
}

/* Gives the first n bytes on the line towards e, or loses them. */
static void deliver(struct end *e, size_t n, bool lose)
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

/* What the loop does: timers that are due, and all that wants to leave. */
static void serve(struct world *w, bool commits)
{
    for (int turns = 0;; turns++) {
        bool busy = false;
        FUZZ_MUST(turns < TURNS_MAX);
        for (int i = 0; i < 2; i++) {
            struct end *e = &w->end[i];
            if (commits && e->frame > 0)
                commit(e);
            if (channel_deadline(e->channel, w->now_ms) <= w->now_ms) {
                channel_on_timer(e->channel, w->now_ms);
                busy = true;
            }
            if (channel_wants(e->channel, w->now_ms))
                busy |= channel_pump(e->channel, 4096, w->now_ms) > 0;
        }
        if (!busy)
            return;
    }
}

/* Time goes to the next thing that is due. */
static void wait(struct world *w, int64_t most_ms)
{
    int64_t at = w->now_ms + most_ms;
    for (int i = 0; i < 2; i++) {
        int64_t due = channel_deadline(w->end[i].channel, w->now_ms);
        at = due > w->now_ms && due < at ? due : at;
    }
    w->now_ms = at;
}

static uint64_t number_of(const struct channel *c, const uint8_t *frame)
{
    uint16_t low = (uint16_t)((frame[0] & 7) << 8 | frame[1]);
    return frame_kind(frame[0]) == FRAME_DATA
               ? frame_number(c->in.next, low, FRAME_DATA_BITS)
               : frame_number(c->control_in + (1u << (FRAME_CONTROL_BITS - 2)), low & 0x3ff, FRAME_CONTROL_BITS);
}

static size_t check_as_peer(const struct channel *c, uint8_t *frame, size_t n)
{
    struct seal_context pair = {c->peer_epoch, c->own_epoch}, any = {0, 0};
    bool over;
    if (frame_kind(frame[0]) == FRAME_DATA)
        return seal_frame(&pair, SEAL_SPACE_DATA, number_of(c, frame), frame, n);
    if (frame_kind(frame[0]) == FRAME_CONTROL)
        return seal_frame(&pair, SEAL_SPACE_CONTROL, number_of(c, frame), frame, n);
    bool marks = handshake_type(frame, n, &over) == HANDSHAKE_MARKS;
    return seal_frame(marks ? &pair : &any, SEAL_SPACE_HANDSHAKE, 0, frame, n);
}

/* The same with keys: those of the epoch, of the meeting, or of a HELLO. */
static size_t seal_as_peer(const struct channel *c, uint8_t *frame, size_t n)
{
    struct seal_context in = channel_seal_in(c);
    bool over;
    if (frame_kind(frame[0]) != FRAME_HANDSHAKE)
        return !c->live ? 0 : seal_frame(&in, frame_kind(frame[0]) == FRAME_DATA ? SEAL_SPACE_DATA : SEAL_SPACE_CONTROL,
                                         number_of(c, frame), frame, n);
    enum handshake_type type = handshake_type(frame, n, &over);
    if (type == HANDSHAKE_HELLO) {
        if (n < 2 + SEALED_RANDOM_BYTES)
            return 0;
        in = sealed_hello_context(frame + 1, &c->ring.hello_in[0]);
        uint64_t number = 0;
        for (unsigned i = 5; i < 12; i++)
            number = number << 8 | frame[i];
        return seal_frame(&in, SEAL_SPACE_HANDSHAKE, number << 8 | frame[17], frame, n);
    }
    if (type == HANDSHAKE_RESUME || type == HANDSHAKE_RESUMED) {
        if (!c->live || n < 7)
            return 0;
        for (unsigned i = 0; i < 4; i++)
            frame[1 + i] = (uint8_t)(c->peer_epoch >> (24 - 8 * i));
        in.clear = 7;
        return seal_frame(&in, SEAL_SPACE_CONTROL,
                          frame_number(c->control_in + CHANNEL_RESUME_AHEAD, (uint16_t)(frame[5] << 8 | frame[6]), 16), frame, n);
    }
    if (c->meeting.known)
        in = meeting_in(&c->meeting);
    in.clear = 2;
    return c->meeting.known || c->live ? seal_frame(&in, SEAL_SPACE_HANDSHAKE, frame[1], frame, n) : 0;
}

/* A frame with a right tag and any content, as only the peer could make it. */
static void forge(struct world *w, struct end *e, struct reader *r)
{
    uint8_t frame[FRAME_MAX_BYTES], line[FRAMING_MAX_BYTES];
    size_t n;
    struct channel *c = e->channel;
    uint8_t *bytes = fuzz_take(r, read_u8(r) % (FRAME_MAX_BYTES - SEAL_TAG_MAX) + 1, &n);
    if (n >= 2) {
        memcpy(frame, bytes, n);
        n = c->sealed ? seal_as_peer(c, frame, n) : check_as_peer(c, frame, n);
    }
    if (n >= 2) {
        w->forged = true;
        n = framing_encode(&c->avoid, true, frame, n, line);
        channel_on_bytes(c, line, n, w->now_ms);
    }
    free(bytes);
}

static void make(struct end *e, uint8_t what)
{
    enum msg_class class = (enum msg_class)(what & 3);
    if (e->count == MESSAGES_MAX)
        return;
    uint64_t previous = 0;
    for (unsigned n = 1; n <= e->count; n++)
        previous = e->made[n].class == class ? n : previous;
    e->made[++e->count] = (struct message){class, previous, (uint16_t)(what & 0x80 ? what * 12 : what >> 2)};
    channel_kick(e->channel, e->world->now_ms);
}

static void restart(struct end *e)
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

static void damage(struct end *e, uint8_t where, uint8_t with)
{
    struct buf *line = &e->world->end[!e->side].line;
    if (line->len > 0)
        line->data[line->head + where % line->len] ^= with;
}

static void invent(struct end *e, struct reader *r)
{
    size_t n;
    uint8_t *bytes = fuzz_take(r, read_u8(r), &n);
    channel_on_bytes(e->channel, bytes, n, e->world->now_ms);
    free(bytes);
}

static void step(struct world *w, struct reader *r)
{
    uint8_t what = read_u8(r);
    struct end *e = &w->end[what >> 4 & 1];
    switch (what & 0x0f) {
    case 0:
        channel_link_up(e->channel, w->now_ms);
        break;
    case 1:
        channel_link_down(e->channel, w->now_ms);
        buf_clear(&e->line);
        break;
    case 2:
        make(e, read_u8(r));
        break;
    case 3:
        deliver(e, what & 0x20 ? LINE_MAX : read_u8(r), false);
        break;
    case 4:
        deliver(e, read_u8(r), true);
        break;
    case 5:
        damage(e, read_u8(r), read_u8(r));
        break;
    case 6:
        wait(w, what & 0x20 ? 1000000 : read_u8(r) * 10);
        break;
    case 7:
        commit(e);
        break;
    case 8:
        restart(e);
        break;
    case 9:
        e->refuses = !e->refuses;
        break;
    case 10:
        channel_goodbye(e->channel, w->now_ms);
        break;
    case 11:
        channel_restart(e->channel, "asked", w->now_ms);
        break;
    case 12:
        invent(e, r);
        break;
    case 13:
        forge(w, e, r);
        break;
    case 14: /* a good line for a while */
        for (int i = 0; i < 20; i++) {
            wait(w, 5000);
            serve(w, true);
            deliver(&w->end[0], LINE_MAX, false);
            deliver(&w->end[1], LINE_MAX, false);
        }
        break;
    default:
        channel_grant_changed(e->channel, w->now_ms);
        break;
    }
    serve(w, what & 0x40);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size < 2048 ? size : 2048);
    struct world *w = calloc(1, sizeof *w);
    FUZZ_MUST(w);
    w->now_ms = 1000000;
    w->seed = size;
    uint8_t how = read_u8(&r);
    begin(w, 0, how);
    begin(w, 1, how);
    while (r.left > 0)
        step(w, &r);
    for (int i = 0; i < 2; i++) {
        struct channel_status status;
        channel_status(w->end[i].channel, &status);
        FUZZ_MUST(w->end[i].channel->stream.len <= CHANNEL_STREAM_MAX);
        channel_free(w->end[i].channel);
        buf_fini(&w->end[i].line);
    }
    free(w);
    return 0;
}
