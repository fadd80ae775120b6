/* A channel in every state, between an honest peer and a stranger on the line: [config] then steps [what, ...]. Two
 * real channels speak; bytes between them are lost, damaged, repeated and invented. As long as nobody forges a tag,
 * records arrive once, in order and unaltered, and what is acknowledged is on the peer's disk (I2, I4, I5, I9). A
 * forged frame has a right tag and any content: then all that must hold is that nothing crashes, hangs or grows (I8). */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/channel_world.h"
#include "tests/fuzz/checks_void.h"

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
        world_reached[REACHED_FORGED_DATA] += c->sealed && frame_kind(frame[0]) == FRAME_DATA;
        world_reached[REACHED_FORGED_CONTROL] += c->sealed && frame_kind(frame[0]) == FRAME_CONTROL;
        n = framing_encode(&c->avoid, true, frame, n, line);
        channel_on_bytes(c, line, n, w->now_ms);
    }
    free(bytes);
}

/* A frame on its way to e, opened, changed and sealed again: [frame] then edits. */
static void tamper(struct world *w, struct end *e, struct reader *r)
{
    struct channel *c = e->channel;
    const struct buf *at = &w->end[!e->side].line;
    struct framing_decoder d;
    uint8_t frame[FRAME_MAX_BYTES], line[FRAMING_MAX_BYTES];
    unsigned which = read_u8(r);
    size_t n = 0, i = 0, content = 0;
    framing_decoder_init(&d, &c->avoid);
    while (i < at->len && (framing_feed(&d, at->data[at->head + i++], &n) != FRAMING_FRAME || which-- > 0))
        n = 0;
    enum frame_kind kind = n >= 2 ? frame_kind(d.frame[0]) : FRAME_UNKNOWN;
    if (!c->sealed || !c->live || (kind != FRAME_DATA && kind != FRAME_CONTROL))
        return;
    memcpy(frame, d.frame, n);
    struct seal_context in = channel_seal_in(c);
    if (!seal_open(&in, kind == FRAME_DATA ? SEAL_SPACE_DATA : SEAL_SPACE_CONTROL, number_of(c, frame), frame, n, &content))
        return;
    n = fuzz_edit(r, frame, content, content + 4 < FRAME_MAX_BYTES - SEAL_TAG_MAX ? content + 4 : content);
    n = n >= 2 ? seal_as_peer(c, frame, n) : 0;
    if (n == 0)
        return;
    w->forged = true;
    world_reached[kind == FRAME_DATA ? REACHED_TAMPERED_DATA : REACHED_TAMPERED_CONTROL]++;
    n = framing_encode(&c->avoid, true, frame, n, line);
    channel_on_bytes(c, line, n, w->now_ms);
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
        world_deliver(e, what & 0x20 ? LINE_MAX : read_u8(r), false);
        break;
    case 4:
        world_deliver(e, read_u8(r), true);
        break;
    case 5:
        damage(e, read_u8(r), read_u8(r));
        break;
    case 6:
        world_wait(w, what & 0x20 ? 1000000 : read_u8(r) * 10);
        break;
    case 7:
        world_commit(e);
        break;
    case 8:
        world_restart(e);
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
        if (what & 0x20)
            tamper(w, e, r);
        else
            forge(w, e, r);
        break;
    case 14: /* a good line for a while */
        for (int i = 0; i < 20; i++) {
            world_wait(w, 5000);
            world_serve(w, true);
            world_deliver(&w->end[0], LINE_MAX, false);
            world_deliver(&w->end[1], LINE_MAX, false);
        }
        break;
    default:
        channel_grant_changed(e->channel, w->now_ms);
        break;
    }
    world_serve(w, what & 0x40);
}

const char *fuzz_unreached(void)
{
    return fuzz_first_zero(world_reached, world_reached_names, REACHED_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size < 2048 ? size : 2048);
    struct world *w = calloc(1, sizeof *w);
    FUZZ_MUST(w);
    w->now_ms = 1000000;
    w->seed = size;
    uint8_t how = read_u8(&r);
    /* Keys, and checks that are right whatever the records are: somebody has both. */
    w->forged = checks_void = (how & 0xc0) == 0x80;
    world_begin(w, 0, how);
    world_begin(w, 1, how);
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
