#include "gateway/wire/channel_internal.h"

/* Handshakes with keys: what is due to be said of those that channel_sealed.c wants, when, and under which keys. */

/* A RESUME that is not answered is followed by a HELLO, and that by a RESUME: a peer that was started anew cannot read the
 * first, and cannot say so either, for whoever asks might be anybody. The epoch lives on until it has proved itself. */
void channel_sealed_greet(struct channel *c, int64_t now_ms)
{
    struct meeting *m = &c->meeting;
    if (c->greet == GREET_RESUME && c->greet_tries % 2 == 0) {
        c->send_resume = true;
        return;
    }
    if (m->proven && c->greet_tries < CHANNEL_MARKS_TRIES) {
        c->send_marks = true;
        return;
    }
    if ((!m->begun || m->proven || meeting_spent(m)) && !channel_sealed_begin(c)) {
        c->greet_at_ms = now_ms + CHANNEL_REFUSED_MS;
        return;
    }
    c->send_hello = true;
    c->send_confirm = m->known;
}

/* The secret that a HELLO is sealed under: the newest that the peer is known to hold; now and then
 * the other, or an end that lost the memory of a change could never be heard again. */
static unsigned hello_key(const struct channel *c)
{
    if (c->ring.count < 2)
        return 0;
    if (c->meeting.known)
        return c->meeting.peer_holds[1];
    unsigned which = c->config.secrets.use_next;
    return c->greet_tries % CHANNEL_OTHER_KEY == CHANNEL_OTHER_KEY - 1 ? !which : which;
}

static size_t build_hello(struct channel *c, bool over, uint8_t *frame)
{
    struct meeting_terms terms = {
        .codec_version = channel_offered_version(c),
        .memory_log2 = channel_memory_log2(c),
        .identity = &c->identity,
        .own_name = c->config.own_name,
        .doubts = c->live,
        .doubted = c->own_epoch,
    };
    return meeting_hello(&c->meeting, &c->ring, hello_key(c), &terms, over, frame);
}

/* CONFIRM, MARKS and REFUSE: under the keys of the meeting, or of the epoch. */
static size_t build_frame(struct channel *c, enum handshake_type type, bool over, uint8_t *frame)
{
    uint8_t bytes[HANDSHAKE_MAX_BYTES];
    struct buf body;
    buf_init_over(&body, bytes, sizeof bytes - SEAL_TAG_MAX - 2);
    if (type == HANDSHAKE_MARKS)
        marks_put(&body, &c->ours, !c->live);
    if (type == HANDSHAKE_REFUSE)
        buf_put_u8(&body, (uint8_t)c->send_refusal);
    struct seal_context out = c->meeting.known ? meeting_out(&c->meeting) : channel_seal_out(c);
    unsigned *sent = c->meeting.known ? &c->meeting.sent : &c->shake_out;
    size_t n = sealed_frame_encode(type, &out, *sent + 1, over, &body, frame);
    *sent += n > 0;
    return n;
}

static size_t build_resume(struct channel *c, bool answer, bool over, uint8_t *frame)
{
    struct seal_context out = channel_seal_out(c);
    size_t n = sealed_resume_encode(&out, answer, c->control_out + 1, (uint16_t)c->in.committed,
                                    over, frame);
    c->control_out += n > 0;
    return n;
}

/* The same for a RESUME into a long silence. */
static void doubt(struct channel *c)
{
    if (c->greet != GREET_NONE || ++c->doubts % CHANNEL_DOUBT_HELLO != 0 || c->meeting.known)
        return;
    if (!c->meeting.begun && !channel_sealed_begin(c))
        return;
    c->send_resume = false;
    c->send_hello = true;
}

size_t channel_sealed_pump(struct channel *c, size_t room, int64_t now_ms)
{
    uint8_t frame[HANDSHAKE_MAX_BYTES];
    size_t n;
    bool over, known = c->meeting.known,
               more = c->live && c->greet == GREET_NONE &&
                      (c->out.lost_count > 0 || channel_send_ready(c));
    if (c->held_n > 0)
        return 0;
    /* What was wanted of a meeting or an epoch that is over. */
    c->send_hello = c->send_hello && c->meeting.begun && c->meeting.hellos <= SEALED_NUMBER_MAX;
    c->send_confirm = c->send_confirm && known;
    c->send_marks = c->send_marks && (c->meeting.proven || c->live);
    c->send_refusal = known ? c->send_refusal : 0;
    c->send_resume = c->send_resume && c->live;
    c->send_resumed = c->send_resumed && c->live;
    if (c->meeting.begun && c->meeting.sent >= SEALED_NUMBER_MAX) {
        channel_sealed_drop_unproven(c);
        meeting_end(&c->meeting);
        c->send_confirm = c->send_marks = c->send_hello = false;
        return 0;
    }
    if (c->send_marks && !known && c->shake_out >= SEALED_NUMBER_MAX) {
        channel_restart(c, "numbers used up", now_ms);
        return 0;
    }
    if (c->send_resume)
        doubt(c);
    bool hello = false, marks = false, resume = false, *flag = NULL;
    if (c->send_refusal != 0) {
        n = build_frame(c, HANDSHAKE_REFUSE, over = true, frame);
        if (n > 0)
            c->send_refusal = 0;
    } else if ((hello = c->send_hello)) {
        flag = &c->send_hello;
        n = build_hello(c, over = !c->send_confirm && !c->send_marks, frame);
    } else if (c->send_confirm) {
        flag = &c->send_confirm;
        n = build_frame(c, HANDSHAKE_CONFIRM, over = true, frame);
    } else if ((marks = c->send_marks)) {
        flag = &c->send_marks;
        n = build_frame(c, HANDSHAKE_MARKS, over = !more, frame);
    } else if ((resume = c->send_resume) || c->send_resumed) {
        flag = resume ? &c->send_resume : &c->send_resumed;
        n = build_resume(c, !resume, over = !more, frame);
    } else {
        return 0;
    }
    if (n == 0)
        return 0; /* no memory: tried again with the next call */
    if (flag)
        *flag = false;
    if (hello)
        c->hello_sent_ms = now_ms;
    if (marks)
        c->marks_sent_ms = now_ms;
    if (hello || resume || (marks && !c->live))
        channel_greet_tried(c, now_ms);
    return channel_emit_once(c, frame, n, over, room, now_ms);
}
