#include <string.h>

#include "gateway/wire/channel_internal.h"
#include "gateway/wire/crypto.h"

/* Two ends that share a secret meet thus ([P-14]; meeting.h):
 *     A: HELLO(a)  ->  B: HELLO(b), CONFIRM  ->  A: MARKS  ->  B: MARKS
 * or, where both begin at once, both HELLO, both CONFIRM, both MARKS.
 *
 * A HELLO may be a recording. So it changes nothing but c->meeting, which stands beside a live epoch:
 * that one goes on until a CONFIRM or MARKS under keys of our own random part has come. Who only
 * answers does so at once or not at all; who wants to talk (GREET_HELLO) asks again. */

bool channel_sealed_init(struct channel *c)
{
    c->sealed = true;
    return key_ring_init(&c->ring, c->config.seal, c->config.tag_bytes, c->config.own_name,
                         c->config.peer_name, &c->config.secrets);
}

void channel_sealed_forget(struct channel *c)
{
    crypto_wipe(&c->key_out, sizeof c->key_out);
    crypto_wipe(&c->key_in, sizeof c->key_in);
    memset(c->peer_random, 0, sizeof c->peer_random);
    c->shake_out = c->shake_in = c->doubts = 0;
    c->marks_sent_ms = -1;
}

bool channel_sealed_begin(struct channel *c)
{
    c->hello_sent_ms = c->marks_sent_ms = -1;
    return meeting_begin(&c->meeting, c->config.forward_secrecy, c->ops->random_bytes, c->ctx);
}

void channel_sealed_drop_unproven(struct channel *c)
{
    struct meeting *m = &c->meeting;
    if (!m->known || m->proven)
        return;
    c->status.replayed++;
    m->known = false;
    crypto_wipe(&m->in, sizeof m->in);
    crypto_wipe(&m->out, sizeof m->out);
    c->send_confirm = false;
    if (c->send_refusal != 0)
        c->send_refusal = 0;
}

static bool said_long_ago(const struct channel *c, int64_t at_ms, int64_t now_ms)
{
    return at_ms < 0 || now_ms - at_ms >= channel_rto_ms(c, 0) / 2;
}

/* ---- what comes ---- */

/* Is it our own voice? */
static bool hello_echo(const struct channel *c, uint8_t *frame, size_t n)
{
    struct sealed_hello h;
    for (unsigned i = 0; i < c->ring.count; i++)
        if (sealed_hello_open(&h, &c->ring.hello_out[i], frame, n))
            return true;
    return false;
}

/* Where bytes cost, recordings of HELLOs must not make us talk: each answer that nothing came of
 * makes the next wait longer. */
static bool may_answer(struct channel *c, int64_t now_ms)
{
    if (now_ms < c->answer_at_ms)
        return false;
    if (!c->config.metered)
        return true;
    c->answer_at_ms = now_ms + channel_rto_ms(c, c->answers);
    c->answers++;
    return true;
}

static void on_hello(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    struct meeting *m = &c->meeting;
    struct sealed_hello h;
    unsigned which;
    if (!meeting_open_hello(&c->ring, &h, &which, frame, n)) {
        if (hello_echo(c, frame, n))
            c->status.echoes++;
        else
            channel_unopened(c);
        return;
    }
    c->status.frames_in++;
    bool again = m->known && memcmp(h.random, m->theirs.random, sizeof h.random) == 0;
    if ((c->live && memcmp(h.random, c->peer_random, sizeof h.random) == 0) ||
        (again && h.number <= m->theirs.number)) {
        c->status.replayed++;
        return;
    }
    if (h.doubts && c->live && h.doubted == c->peer_epoch) {
        c->send_resume = true; /* it holds this epoch and has not heard of us for long */
        return;
    }
    if (again) {
        m->theirs.number = h.number;
        m->theirs.seen = h.seen;
    } else {
        if (m->proven && c->greet_tries < CHANNEL_MARKS_TRIES)
            return; /* who has proved itself comes first */
        channel_sealed_drop_unproven(c);
        if ((!m->begun || m->proven || meeting_spent(m)) && !channel_sealed_begin(c))
            return;
        if (!meeting_accept(m, &c->ring, &h, which)) {
            c->status.bad_frames++;
            return;
        }
        c->meeting_until_ms = now_ms + CHANNEL_MEETING_MS;
    }
    if (!may_answer(c, now_ms))
        return;
    if (m->proven)
        c->send_marks = true;
    else
        c->send_confirm = true;
    /* A HELLO of ours that is still under way need not be said twice. */
    if (h.seen != (uint16_t)(meeting_own_epoch(m) >> 16) && said_long_ago(c, c->hello_sent_ms, now_ms))
        c->send_hello = true;
}

/* The peer lives, and holds the secret: what it said of itself counts now. Return: false = refused. */
static bool prove(struct channel *c, int64_t now_ms)
{
    if (c->meeting.proven)
        return true;
    if (c->live || c->encoder) { /* or one that its owner has ended, and we have not greeted since */
        struct meeting kept = c->meeting;
        channel_new_epoch(c);
        c->meeting = kept;
        crypto_wipe(&kept, sizeof kept);
    }
    struct meeting *m = &c->meeting;
    int refusal = channel_greeting_of(c, &m->theirs.identity);
    if (refusal != 0) {
        c->send_refusal = (unsigned)refusal;
        c->status.refused++;
        if (c->greet != GREET_HELLO) { /* what lived is over all the same */
            channel_set_state(c, CHANNEL_GREETING, "we refuse the peer");
            c->greet = GREET_HELLO;
            c->greet_tries = 0;
            c->greet_at_ms = now_ms + CHANNEL_REFUSED_MS;
        }
        return false;
    }
    channel_agree_codec(c, m->theirs.codec_version, m->theirs.memory_log2);
    m->proven = true;
    c->send_refusal = 0;
    c->send_hello = c->send_confirm = c->send_resume = c->send_resumed = false;
    c->send_marks = true;
    c->answers = 0;
    c->answer_at_ms = now_ms;
    if (c->greet != GREET_HELLO)
        channel_set_state(c, CHANNEL_GREETING, "handshake");
    c->greet = GREET_HELLO;
    c->greet_tries = 0;
    c->greet_at_ms = now_ms + channel_rto_ms(c, 0);
    pace_restart(&c->pace);
    return true;
}

/* The meeting becomes the live epoch. */
static void promote(struct channel *c, const struct channel_marks *theirs, int64_t now_ms)
{
    struct meeting *m = &c->meeting;
    c->own_epoch = meeting_own_epoch(m);
    c->peer_epoch = meeting_peer_epoch(m);
    c->key_out = m->out;
    c->key_in = m->in;
    memcpy(c->peer_random, m->theirs.random, sizeof c->peer_random);
    c->shake_out = m->sent;
    c->shake_in = m->received;
    c->control_out = c->control_in = 0;
    c->know_peer = true;
    channel_ready(c, theirs, now_ms);
    if (!c->live) { /* no memory: the peer's MARKS are asked for again */
        channel_sealed_forget(c);
        c->own_epoch = c->peer_epoch = 0;
        return;
    }
    c->which_key = m->which;
    c->peer_has_next = m->peer_holds[1];
    c->forward_secret = m->forward_secret;
    meeting_end(m);
    /* Ours may be under way; who lacks them will ask. */
    c->send_marks = said_long_ago(c, c->marks_sent_ms, now_ms);
    if (c->ops->key_in_use)
        c->ops->key_in_use(c->ctx, c->which_key == 1);
}

enum frame_of { OF_NOBODY, OF_MEETING, OF_EPOCH, OF_BEFORE };

/* Whose keys open it, and is it new? */
static enum frame_of open_frame(struct channel *c, uint8_t *frame, size_t n, struct reader *body)
{
    struct meeting *m = &c->meeting;
    struct seal_context live = channel_seal_in(c), own = channel_seal_out(c);
    unsigned number;
    if (m->known) {
        struct seal_context in = meeting_in(m);
        if (sealed_frame_open(&in, frame, n, &number, body)) {
            if (number <= m->received)
                return OF_BEFORE;
            m->received = number;
            return OF_MEETING;
        }
    }
    if (c->live && sealed_frame_open(&live, frame, n, &number, body)) {
        if (number <= c->shake_in)
            return OF_BEFORE;
        c->shake_in = number;
        return OF_EPOCH;
    }
    bool echo = c->live && sealed_frame_open(&own, frame, n, &number, body);
    if (m->known && !echo) {
        struct seal_context out = meeting_out(m);
        echo = sealed_frame_open(&out, frame, n, &number, body);
    }
    if (echo)
        c->status.echoes++;
    else
        channel_unopened(c);
    return OF_NOBODY;
}

static void on_marks(struct channel *c, enum frame_of of, struct reader *body, int64_t now_ms)
{
    struct channel_marks theirs;
    bool lacking;
    if (!marks_read(&theirs, &lacking, body)) {
        c->status.bad_frames++;
    } else if (of == OF_MEETING) {
        if (prove(c, now_ms))
            promote(c, &theirs, now_ms);
        if (c->live)
            channel_heard(c, now_ms);
    } else {
        channel_heard(c, now_ms);
        if (lacking && said_long_ago(c, c->marks_sent_ms, now_ms))
            c->send_marks = true;
    }
}

static void on_refuse(struct channel *c, enum frame_of of, struct reader *body, int64_t now_ms)
{
    enum channel_refusal why = (enum channel_refusal)read_u8(body);
    if (body->bad || of != OF_MEETING || c->greet != GREET_HELLO)
        return;
    meeting_end(&c->meeting);
    channel_refused(c, why, now_ms);
}

static void on_resume(struct channel *c, bool answer, uint8_t *frame, size_t n, int64_t now_ms)
{
    struct seal_context in = channel_seal_in(c);
    uint64_t number;
    uint16_t ack;
    if (c->live && sealed_resume_epoch(frame, n) == c->own_epoch) {
        c->status.echoes++;
        return;
    }
    if (!c->live || !sealed_resume_open(&in, frame, n, c->control_in + CHANNEL_RESUME_AHEAD,
                                        &number, &ack)) {
        channel_unopened(c);
        return;
    }
    if (number <= c->control_in) {
        c->status.replayed++;
        return;
    }
    c->control_in = number;
    /* Both may ask at once: then each question is the other's answer. */
    bool asked = c->greet == GREET_RESUME && c->greet_tries > 0;
    if (!c->meeting.proven) { /* it is not needed any more */
        channel_sealed_drop_unproven(c);
        meeting_end(&c->meeting);
        c->send_hello = c->send_confirm = false;
    }
    channel_heard(c, now_ms);
    c->send_resume = false;
    if (!answer && !asked)
        c->send_resumed = true;
    channel_on_ack(c, ack, false, 0, NULL, 0, now_ms);
    channel_resume_sending(c);
}

void channel_sealed_handshake(struct channel *c, enum handshake_type type, uint8_t *frame, size_t n,
                              int64_t now_ms)
{
    struct reader body;
    enum frame_of of;
    bool over = c->config.half_duplex && n > 0 && frame[0] & 0x10;
    uint64_t before = c->status.bad_frames + c->status.echoes + c->status.replayed;
    switch (type) {
    case HANDSHAKE_HELLO:
        on_hello(c, frame, n, now_ms);
        break;
    case HANDSHAKE_RESUME:
    case HANDSHAKE_RESUMED:
        on_resume(c, type == HANDSHAKE_RESUMED, frame, n, now_ms);
        break;
    case HANDSHAKE_CONFIRM:
    case HANDSHAKE_MARKS:
    case HANDSHAKE_REFUSE:
        of = open_frame(c, frame, n, &body);
        if (of == OF_BEFORE)
            c->status.replayed++;
        if (of == OF_NOBODY || of == OF_BEFORE)
            break;
        if (type == HANDSHAKE_MARKS)
            on_marks(c, of, &body, now_ms);
        else if (type == HANDSHAKE_REFUSE)
            on_refuse(c, of, &body, now_ms);
        else if (of == OF_MEETING)
            (void)prove(c, now_ms);
        break;
    default:
        c->status.bad_frames++;
        break;
    }
    /* Only what was ours to open and new tells whose turn it is. */
    if (over && before == c->status.bad_frames + c->status.echoes + c->status.replayed)
        turn_given(&c->turn, now_ms);
}

void channel_sealed_join(struct channel *c, struct meeting *m, int64_t now_ms)
{
    channel_link_begin(c, now_ms);
    meeting_end(&c->meeting);
    c->meeting = *m;
    crypto_wipe(m, sizeof *m);
    c->meeting_until_ms = now_ms + CHANNEL_MEETING_MS;
    c->hello_sent_ms = now_ms;
}

/* ---- time ---- */

void channel_sealed_timer(struct channel *c, int64_t now_ms)
{
    if (now_ms < channel_sealed_deadline(c))
        return;
    channel_sealed_drop_unproven(c);
    if (c->greet != GREET_HELLO)
        meeting_end(&c->meeting);
}

int64_t channel_sealed_deadline(const struct channel *c)
{
    return c->meeting.known && !c->meeting.proven ? c->meeting_until_ms : CHANNEL_NEVER;
}
