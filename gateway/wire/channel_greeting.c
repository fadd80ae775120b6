#include <string.h>

#include "gateway/wire/channel_internal.h"

/* Two ends meet thus ([P-8]):
 *     A: HELLO(a)  ->  B: HELLO(b, seen a), MARKS(a, b)  ->  A: MARKS(a, b)
 * An end that knows the other's epoch answers every HELLO with its MARKS; it is ready when the
 * other's MARKS came. Each frame may be lost, repeated or late: the pair of epochs in the seal of
 * MARKS makes what belongs to another attempt fall away, and who is not ready asks again. */

static void clear_pending(struct channel *c)
{
    c->send_confirm = false;
    c->send_hello = c->send_marks = c->send_resume = c->send_resumed = c->send_poll = false;
    c->send_refusal = 0;
}

/* Both directions begin anew under a fresh id of ours. */
void channel_new_epoch(struct channel *c)
{
    channel_send_end(c);
    channel_receive_end(c);
    c->own_epoch = 0;
    while (c->own_epoch == 0 && !c->sealed)
        c->own_epoch = c->ops->random(c->ctx);
    if (c->sealed) {
        channel_sealed_forget(c);
        meeting_end(&c->meeting);
    }
    c->peer_epoch = 0;
    c->live = c->know_peer = false;
    c->hello_sent_ms = -1;
    c->control_out = c->control_in = 0;
    c->distrust = 0;
    channel_prime_end(c);
    clear_pending(c);
}

void channel_greet(struct channel *c, enum greet how, int64_t at_ms)
{
    if (how == GREET_HELLO && (c->live || (c->own_epoch == 0 && !c->meeting.begun)))
        channel_new_epoch(c);
    c->greet = how;
    c->greet_tries = 0;
    c->greet_at_ms = at_ms;
    channel_set_state(c, CHANNEL_GREETING, how == GREET_RESUME ? "resuming" : "handshake");
}

void channel_nonsense(struct channel *c, const char *why, int64_t now_ms)
{
    if (now_ms - c->ready_at_ms > CHANNEL_RESTART_CALM_MS)
        c->errors = 0;
    int64_t wait = 0;
    for (unsigned i = 0; i < c->errors && wait < CHANNEL_RESTART_MAX_MS; i++)
        wait = wait == 0 ? 1000 : 2 * wait;
    if (wait > CHANNEL_RESTART_MAX_MS)
        wait = CHANNEL_RESTART_MAX_MS;
    c->errors++;
    c->status.bad_frames++;
    channel_new_epoch(c);
    c->distrust = c->errors;
    channel_set_state(c, CHANNEL_GREETING, why);
    channel_greet(c, GREET_HELLO, now_ms + wait);
    c->answer_at_ms = now_ms + wait;
}

void channel_resume_sending(struct channel *c)
{
    if (c->greet == GREET_RESUME)
        arq_send_interrupted(&c->out);
    else
        c->rto_anew = c->rto_anew || !c->rto_anew_spent;
}

void channel_resumed(struct channel *c, int64_t now_ms)
{
    c->greet = GREET_NONE;
    c->send_resume = false;
    c->progress_ms = now_ms;
    c->rto_tries = c->unheard = 0;
    c->waiting = true;
    channel_set_state(c, CHANNEL_READY, "resumed");
    if (c->grant_news)
        channel_grant_changed(c, now_ms);
}

void channel_ready(struct channel *c, const struct channel_marks *theirs, int64_t now_ms)
{
    if (channel_send_begin(c) < 0 || channel_receive_begin(c) < 0) {
        /* No memory for the codec: try again when there may be some. */
        channel_send_end(c);
        channel_receive_end(c);
        c->greet_at_ms = now_ms + CHANNEL_REFUSED_MS;
        return;
    }
    c->greet = GREET_NONE;
    c->send_hello = c->send_confirm = c->send_resume = false;
    c->live = true;
    c->refusals = 0;
    c->ready_at_ms = c->progress_ms = now_ms;
    c->waiting = true;
    c->grant_end = theirs->grant_bytes;
    c->ops->greeted(c->ctx, theirs);
    channel_prime_begin(c, theirs->history_tail, now_ms);
    channel_set_state(c, CHANNEL_READY, "handshake done");
    if (c->grant_news)
        channel_grant_changed(c, now_ms); /* our MARKS said less */
}

unsigned channel_memory_log2(const struct channel *c)
{
    unsigned log = 0;
    while (log < 31 && c->config.codec_memory >> (log + 1) > 0)
        log++;
    return log;
}

/* What ended in nonsense time after time may go through without a model. */
unsigned channel_offered_version(const struct channel *c)
{
    return c->distrust >= CHANNEL_DISTRUST ? 1 : c->config.codec_version;
}

void channel_agree_codec(struct channel *c, unsigned version, unsigned memory_log2)
{
    unsigned own_version = channel_offered_version(c);
    c->codec_version = version < own_version ? version : own_version;
    unsigned own = channel_memory_log2(c);
    c->codec_memory = (size_t)1 << (memory_log2 < own ? memory_log2 : own);
}

int channel_greeting_of(struct channel *c, const struct channel_identity *peer)
{
    int refusal = c->ops->greeting(c->ctx, peer, &c->ours);
    if (refusal == 0 && c->distrust > 0)
        c->ours.history_tail = 0; /* what the models had in common may be what is wrong */
    return refusal;
}

static void refuse(struct channel *c, enum channel_refusal why)
{
    c->send_refusal = why;
    c->status.refused++;
}

static void on_hello(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    struct hello h;
    if (!hello_decode(&h, frame, n)) {
        c->status.bad_frames++;
        return;
    }
    if (h.epoch == c->own_epoch || strcmp(h.name, c->config.own_name) == 0) {
        c->status.echoes++;
        return;
    }
    channel_heard(c, now_ms);
    if (h.protocol != HANDSHAKE_PROTOCOL) {
        refuse(c, CHANNEL_REFUSED_VERSION);
        return;
    }
    if (c->config.peer_name[0] && strcmp(h.name, c->config.peer_name) != 0) {
        refuse(c, CHANNEL_REFUSED_UNKNOWN);
        return;
    }
    if (!c->know_peer || h.epoch != c->peer_epoch) {
        /* What was live, or was half agreed with the peer's last incarnation, is over. */
        if (c->live || c->own_epoch == 0)
            channel_new_epoch(c);
        int refusal = channel_greeting_of(c, &h.identity);
        if (refusal != 0) {
            refuse(c, (enum channel_refusal)refusal);
            return;
        }
        channel_agree_codec(c, h.codec_version, h.memory_log2);
        c->peer_epoch = h.epoch;
        c->know_peer = true;
        c->send_refusal = 0;
        if (c->greet != GREET_HELLO)
            channel_greet(c, GREET_HELLO, now_ms);
        c->greet_tries = 0;
        c->greet_at_ms = now_ms + channel_rto_ms(c, 0);
        pace_restart(&c->pace);
    }
    c->send_marks = true;
    /* A HELLO of ours that is still under way need not be said twice. */
    if (h.seen != (uint16_t)c->own_epoch &&
        (c->hello_sent_ms < 0 || now_ms - c->hello_sent_ms >= channel_rto_ms(c, 0)))
        c->send_hello = true;
}

static void on_marks(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    struct channel_marks theirs;
    if (!c->know_peer || !marks_decode(&theirs, c->peer_epoch, c->own_epoch, frame, n)) {
        struct channel_marks own;
        if (c->own_epoch != 0 && marks_decode(&own, c->own_epoch, c->peer_epoch, frame, n))
            c->status.echoes++;
        else
            c->status.bad_frames++;
        return;
    }
    channel_heard(c, now_ms);
    if (!c->live)
        channel_ready(c, &theirs, now_ms);
}

static void on_resume(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    struct resume r;
    if (!resume_decode(&r, frame, n)) {
        c->status.bad_frames++;
        return;
    }
    if (r.epoch == c->own_epoch) {
        c->status.echoes++;
        return;
    }
    if (!c->live || r.epoch != c->peer_epoch || r.seen != (uint16_t)c->own_epoch) {
        /* It has what we have not (we restarted), or we what it has not. */
        if (!r.answer && c->greet != GREET_HELLO)
            channel_greet(c, GREET_HELLO, now_ms);
        else if (!r.answer && c->hello_sent_ms >= 0 &&
                 now_ms - c->hello_sent_ms >= channel_rto_ms(c, 0))
            c->send_hello = true; /* never before the time that channel_nonsense set */
        return;
    }
    /* Both may ask at once: then each question is the other's answer. */
    bool asked = c->greet == GREET_RESUME && c->greet_tries > 0;
    channel_heard(c, now_ms);
    if (!r.answer && !asked)
        c->send_resumed = true;
    channel_on_ack(c, r.ack, false, 0, NULL, 0, now_ms);
    channel_resume_sending(c);
    if (c->greet == GREET_RESUME)
        channel_resumed(c, now_ms);
}

static void on_refuse(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    enum channel_refusal why;
    if (!refuse_decode(&why, frame, n)) {
        c->status.bad_frames++;
        return;
    }
    if (c->greet == GREET_RESUME) {
        /* A listener that was started anew cannot tell whose epoch it is. */
        channel_greet(c, GREET_HELLO, now_ms);
        return;
    }
    if (c->greet == GREET_NONE || c->hello_sent_ms < 0)
        return; /* not meant for us: we asked for nothing */
    channel_refused(c, why, now_ms);
}

void channel_refused(struct channel *c, enum channel_refusal why, int64_t now_ms)
{
    clear_pending(c);
    c->greet = GREET_HELLO;
    int64_t wait = CHANNEL_REFUSED_MS;
    for (unsigned i = 0; i < c->refusals && wait < CHANNEL_REFUSED_MAX_MS; i++)
        wait *= 2;
    c->refusals++;
    c->greet_tries = 0;
    c->greet_at_ms = now_ms + (wait < CHANNEL_REFUSED_MAX_MS ? wait : CHANNEL_REFUSED_MAX_MS);
    channel_set_state(c, CHANNEL_SILENT, refusal_text(why));
}

void channel_on_handshake(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    bool over;
    enum handshake_type type = handshake_type(frame, n, &over);
    if (c->sealed) {
        channel_sealed_handshake(c, type, frame, n, now_ms);
        return;
    }
    switch (type) {
    case HANDSHAKE_HELLO:
        on_hello(c, frame, n, now_ms);
        break;
    case HANDSHAKE_MARKS:
        on_marks(c, frame, n, now_ms);
        break;
    case HANDSHAKE_RESUME:
    case HANDSHAKE_RESUMED:
        on_resume(c, frame, n, now_ms);
        break;
    case HANDSHAKE_REFUSE:
        on_refuse(c, frame, n, now_ms);
        break;
    case HANDSHAKE_CONFIRM:
    default:
        c->status.bad_frames++;
        return;
    }
    if (over && c->config.half_duplex)
        turn_given(&c->turn, now_ms);
}

void channel_greet_timer(struct channel *c, int64_t now_ms)
{
    if (c->greet == GREET_NONE || now_ms < c->greet_at_ms || channel_greet_pending(c))
        return;
    if (c->greet == GREET_RESUME && c->greet_tries >= CHANNEL_RESUME_TRIES && !c->sealed)
        channel_greet(c, GREET_HELLO, now_ms);
    if (c->sealed) {
        channel_sealed_greet(c, now_ms);
    } else if (c->greet == GREET_HELLO) {
        if (c->own_epoch == 0)
            channel_new_epoch(c);
        c->send_hello = true;
        c->send_marks = c->know_peer;
    } else {
        c->send_resume = true;
    }
    if (c->greet_tries > 0 && c->greet_tries % CHANNEL_GREET_GIVE_UP == 0)
        c->ops->give_up(c->ctx, "handshake unanswered");
}

bool channel_greet_pending(const struct channel *c)
{
    return c->send_refusal != 0 || c->send_hello || c->send_confirm || c->send_marks ||
           c->send_resume || c->send_resumed;
}

/* The next try is timed from when this one leaves, not from when it was wanted. */
void channel_greet_tried(struct channel *c, int64_t now_ms)
{
    c->greet_at_ms = now_ms + channel_rto_ms(c, c->greet_tries) + channel_spread_ms(c, c->greet_tries);
    c->greet_tries++;
}

static size_t build_hello(const struct channel *c, bool over, uint8_t *frame)
{
    struct hello h = {
        .protocol = HANDSHAKE_PROTOCOL,
        .codec_version = channel_offered_version(c),
        .memory_log2 = channel_memory_log2(c),
        .epoch = c->own_epoch,
        .seen = c->know_peer ? (uint16_t)c->peer_epoch : 0,
        .identity = c->identity,
    };
    memcpy(h.name, c->config.own_name, sizeof h.name);
    return hello_encode(&h, over, frame);
}

size_t channel_greet_pump(struct channel *c, size_t room, int64_t now_ms)
{
    if (c->sealed)
        return channel_sealed_pump(c, room, now_ms);
    uint8_t frame[HANDSHAKE_MAX_BYTES];
    bool *flag;
    size_t n;
    bool more =
        c->live && c->greet == GREET_NONE && (c->out.lost_count > 0 || channel_send_ready(c));
    if (c->send_refusal != 0) {
        n = refuse_encode((enum channel_refusal)c->send_refusal, true, frame);
        size_t sent = channel_emit(c, frame, n, false, true, room, now_ms);
        if (sent > 0)
            c->send_refusal = 0;
        return sent;
    }
    bool over;
    if (c->send_hello) {
        flag = &c->send_hello;
        over = !c->send_marks;
        n = build_hello(c, over, frame);
    } else if (c->send_marks) {
        flag = &c->send_marks;
        over = !more;
        n = marks_encode(&c->ours, c->own_epoch, c->peer_epoch, over, frame);
    } else if (c->send_resume || c->send_resumed) {
        flag = c->send_resume ? &c->send_resume : &c->send_resumed;
        over = !more;
        struct resume r = {
            .answer = !c->send_resume,
            .epoch = c->own_epoch,
            .seen = (uint16_t)c->peer_epoch,
            .ack = (uint16_t)c->in.committed,
        };
        n = resume_encode(&r, over, frame);
    } else {
        return 0;
    }
    size_t sent = channel_emit(c, frame, n, false, over, room, now_ms);
    if (sent == 0)
        return 0;
    *flag = false;
    if (flag == &c->send_hello)
        c->hello_sent_ms = now_ms;
    if (flag == &c->send_hello || flag == &c->send_resume)
        channel_greet_tried(c, now_ms);
    return sent;
}
