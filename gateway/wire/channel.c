#include "gateway/wire/channel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/wire/channel_datagram.h"
#include "gateway/wire/channel_internal.h"
#include "gateway/wire/crypto.h"

/* Of the wait before a retry, so much is left to chance. Two that spoke at once wait equally long, and a late line shows each
 * the other's voice only when its own is out: what parts them must be long beside a burst and the way there. */
#define RETRY_SPREAD          4 /* a quarter of the wait */
#define RETRY_SPREAD_LEAST_MS 1024

struct channel *channel_new(const struct channel_config *config, const struct channel_identity *own,
                            const struct channel_ops *ops, void *ctx)
{
    assert(config->seal == SEAL_NONE || ops->random_bytes);
    struct channel *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->config = *config;
    c->identity = *own;
    c->ops = ops;
    c->ctx = ctx;
    c->own_models = config->models ? NULL : primer_models_new();
    c->models = config->models ? config->models : c->own_models;
    if (c->config.codec_version == 0 || c->config.codec_version > CODEC_VERSION_MAX)
        c->config.codec_version = CODEC_VERSION_MAX;
    bool kept_out = framing_avoid_set(&c->avoid, config->avoid, config->avoid_count);
    assert(kept_out); /* drivers name flow control characters, nothing else */
    framing_decoder_init(&c->framing, &c->avoid);
    pace_init(&c->pace, config->rate_bytes_s);
    turn_init(&c->turn, config->rate_bytes_s, config->speaks_first);
    buf_init(&c->stream, CHANNEL_STREAM_MAX);
    effort_init(&c->effort, config->effort, config->effort_fixed || !ops->work_us);
    record_list_init(&c->records);
    arq_send_init(&c->out);
    arq_receive_init(&c->in);
    c->last_output_ms = INT64_MIN / 2;
    c->hello_sent_ms = c->marks_sent_ms = -1;
    c->ready_at_ms = c->answer_at_ms = INT64_MIN / 2;
    if (!c->models || (config->kind == CHANNEL_STREAM && config->seal != SEAL_NONE && !channel_sealed_init(c))) {
        channel_free(c);
        return NULL;
    }
    struct seal_context out = channel_seal_out(c);
    c->content_max = FRAME_MAX_BYTES - FRAME_HEADER_BYTES - FRAME_CHECK_BYTES -
                     (c->sealed ? c->ring.terms.tag_bytes : seal_overhead(&out));
    if (config->kind == CHANNEL_DATAGRAM && !(c->datagram = datagram_new(config))) {
        channel_free(c);
        return NULL;
    }
    if (config->models)
        channel_prime_prepare(c);
    return c;
}

void channel_free(struct channel *c)
{
    if (!c)
        return;
    channel_send_end(c);
    channel_receive_end(c);
    arq_send_fini(&c->out);
    arq_receive_fini(&c->in);
    record_list_fini(&c->records);
    buf_fini(&c->stream);
    datagram_free(c->datagram);
    primer_models_free(c->own_models);
    crypto_wipe(c, sizeof *c);
    free(c);
}

void channel_set_state(struct channel *c, enum channel_state state, const char *why)
{
    if (c->state == state)
        return;
    c->state = state;
    c->ops->state(c->ctx, state, why);
}

struct seal_context channel_seal_out(const struct channel *c)
{
    return (struct seal_context){c->own_epoch, c->peer_epoch, c->sealed ? &c->key_out : NULL,
                                 FRAME_HEADER_BYTES};
}

struct seal_context channel_seal_in(const struct channel *c)
{
    return (struct seal_context){c->peer_epoch, c->own_epoch, c->sealed ? &c->key_in : NULL,
                                 FRAME_HEADER_BYTES};
}

void channel_unopened(struct channel *c)
{
    c->status.bad_frames++;
    if (c->sealed)
        c->status.forged++;
}

bool channel_numbers_spent(struct channel *c, int64_t now_ms)
{
    uint64_t limit = c->config.number_limit ? c->config.number_limit : CHANNEL_NUMBERS_MAX;
    if (c->out.next < limit && c->control_out + 1 < limit)
        return false;
    channel_restart(c, "numbers used up", now_ms);
    return true;
}

void channel_heard(struct channel *c, int64_t now_ms)
{
    bool silence = c->unheard > 0 && now_ms - c->heard_ms >= channel_rto_ms(c, 0);
    c->rto_anew = c->rto_anew || (silence && !c->rto_anew_spent);
    c->heard_ms = now_ms;
    c->status.frames_in++;
    c->polls = c->unheard = c->doubts = 0;
    c->gone = false;
    if (!c->live || c->greet == GREET_HELLO)
        return;
    if (c->greet == GREET_RESUME || c->state == CHANNEL_IDLE)
        channel_resumed(c, now_ms); /* only one who holds the epoch can seal so */
    else
        channel_set_state(c, CHANNEL_READY, "heard again");
}

/* Retransmission timeout, after so many in vain. */
int64_t channel_rto_ms(const struct channel *c, unsigned tries)
{
    int64_t rto = pace_rto_ms(&c->pace, c->config.metered ? 0 : tries);
    if (c->config.half_duplex)
        rto += 2 * TURN_BURST_MS; /* the answer waits for the end of both bursts */
    if (!c->config.metered)
        return rto;
    rto *= 2;
    for (unsigned i = 0; i < tries && rto < CHANNEL_METERED_RTO_MAX_MS; i++)
        rto *= 2;
    return rto < CHANNEL_METERED_RTO_MAX_MS ? rto : CHANNEL_METERED_RTO_MAX_MS;
}

int64_t channel_spread_ms(const struct channel *c, unsigned tries)
{
    if (!c->config.half_duplex || c->config.speaks_first)
        return 0;
    int64_t spread = channel_rto_ms(c, tries) / RETRY_SPREAD;
    return c->ops->random(c->ctx) % (spread > RETRY_SPREAD_LEAST_MS ? spread : RETRY_SPREAD_LEAST_MS);
}

static bool something_to_say(const struct channel *c)
{
    return c->waiting || c->stream.len > 0 || c->out.first < c->out.next || c->ack_wanted;
}

void channel_link_begin(struct channel *c, int64_t now_ms)
{
    framing_decoder_init(&c->framing, &c->avoid);
    c->link_up = true;
    c->last_output_ms = INT64_MIN / 2;
    c->heard_ms = c->progress_ms = now_ms;
    c->unheard = c->polls = c->rto_tries = 0;
    c->rto_anew = false;
    c->gone = c->left = false;
    turn_init(&c->turn, c->config.rate_bytes_s, c->config.speaks_first);
}

void channel_link_up(struct channel *c, int64_t now_ms)
{
    if (c->datagram) {
        datagram_link_up(c, now_ms);
        return;
    }
    channel_link_begin(c, now_ms);
    if (c->config.metered && !c->config.introduces && !something_to_say(c)) {
        channel_set_state(c, CHANNEL_IDLE, "nothing to say");
        return;
    }
    channel_greet(c, c->live ? GREET_RESUME : GREET_HELLO, now_ms);
}

void channel_link_down(struct channel *c, int64_t now_ms)
{
    c->link_up = false;
    c->greet = GREET_NONE;
    c->send_hello = c->send_marks = c->send_resume = c->send_resumed = c->send_poll = c->send_bye =
        false;
    c->send_refusal = 0;
    c->send_confirm = false;
    c->hello_sent_ms = -1;
    c->held_n = 0; /* its number is spent; what it said will be said anew */
    meeting_end(&c->meeting);
    if (c->live)
        arq_send_interrupted(&c->out); /* DATAGRAM: the driver tells of each frame */
    channel_set_state(c, CHANNEL_IDLE, "link down");
}

void channel_on_bytes(struct channel *c, const uint8_t *bytes, size_t n, int64_t now_ms)
{
    if (c->datagram) {
        datagram_on_frame(c, bytes, n, now_ms);
        return;
    }
    if (!c->link_up)
        return;
    if (c->config.half_duplex && n > 0)
        turn_heard(&c->turn, c->ops->random(c->ctx), now_ms);
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        switch (framing_feed(&c->framing, bytes[i], &len)) {
        case FRAMING_MORE:
            break;
        case FRAMING_BAD:
            c->status.bad_frames++;
            break;
        case FRAMING_FRAME:
            channel_on_frame(c, c->framing.frame, len, now_ms);
            break;
        }
    }
}

void channel_kick(struct channel *c, int64_t now_ms)
{
    c->waiting = true;
    if (!c->datagram && c->link_up && c->state == CHANNEL_IDLE && c->greet == GREET_NONE)
        channel_greet(c, c->live ? GREET_RESUME : GREET_HELLO, now_ms);
}

size_t channel_pump(struct channel *c, size_t room, int64_t now_ms)
{
    if (c->datagram)
        return datagram_pump(c, room, now_ms);
    size_t sent = 0;
    if (c->link_up && !c->left && (!c->config.half_duplex || turn_may_speak(&c->turn, now_ms))) {
        if (c->held_n > 0) {
            sent = channel_emit(c, c->held, c->held_n, false, c->held_over, room, now_ms);
            c->held_n = sent > 0 ? 0 : c->held_n;
            return sent;
        }
        channel_greet_timer(c, now_ms);
        sent = channel_greet_pump(c, room, now_ms);
        if (sent == 0 && !channel_greet_pending(c))
            sent = channel_send_pump(c, room, now_ms);
    }
    if (c->waiting && c->state == CHANNEL_READY && !channel_send_ready(c))
        pace_on_limited(&c->pace);
    return sent;
}

/* Would speak if it were our turn. */
static bool has_words(const struct channel *c, int64_t now_ms)
{
    if (c->held_n > 0 || channel_greet_pending(c) || (c->greet != GREET_NONE && now_ms >= c->greet_at_ms))
        return true;
    if (!c->live || c->greet == GREET_HELLO)
        return false;
    if (c->send_bye)
        return true;
    if (c->greet != GREET_NONE)
        return false;
    return c->send_poll || c->out.lost_count > 0 || channel_send_ready(c) ||
           channel_ack_due(c, now_ms) ||
           (c->config.half_duplex && c->turn.holder == TURN_OURS && c->turn.spoke);
}

bool channel_wants(const struct channel *c, int64_t now_ms)
{
    if (c->datagram)
        return datagram_wants(c, now_ms);
    return c->link_up && !c->left && (!c->config.half_duplex || turn_may_speak(&c->turn, now_ms)) &&
           has_words(c, now_ms);
}

void channel_committed(struct channel *c, uint64_t frame, int64_t now_ms)
{
    if (c->datagram) {
        datagram_committed(c, frame, now_ms);
        return;
    }
    if (frame <= c->frame_base + c->in.committed || frame >= c->frame_base + c->in.next)
        return; /* of an epoch that is over */
    c->in.committed = frame - c->frame_base;
    if (!c->ack_wanted) {
        c->ack_wanted = true;
        c->ack_at_ms = now_ms + pace_ack_delay_ms(&c->pace);
    }
    struct arq_frame *oldest = arq_send_get(&c->out, c->out.first);
    if (oldest && oldest->has_ack && c->in.committed - oldest->ack > CHANNEL_STALE_ACK)
        channel_restart(c, "a frame is older than its acknowledgement can be", now_ms);
}

void channel_grant_changed(struct channel *c, int64_t now_ms)
{
    if (c->datagram) {
        datagram_grant_changed(c);
        return;
    }
    if (!c->live || !c->link_up || c->greet != GREET_NONE) {
        c->grant_news = true;
        return;
    }
    c->grant_news = false;
    c->ack_now = true;
    /* Where nobody probes, a lost word of it would be missed for ever. */
    c->grant_repeats = c->config.metered ? PACE_BACKOFF_MAX : 0;
    c->grant_at_ms = now_ms + channel_rto_ms(c, 0);
}

void channel_writable(struct channel *c)
{
    if (c->datagram)
        datagram_writable(c);
}

void channel_sent(struct channel *c, uint64_t token, int outcome, int64_t now_ms)
{
    if (c->datagram)
        datagram_sent(c, token, outcome, now_ms);
}

void channel_doubt(struct channel *c, bool anew)
{
    if (c->datagram)
        datagram_doubt(c, anew);
}

/* ---- timers ---- */

/* Something of ours is out there, or must be asked for. */
static bool awaits_answer(const struct channel *c)
{
    if (!c->live || c->greet != GREET_NONE || c->state == CHANNEL_IDLE || c->gone)
        return false;
    bool stalled = c->waiting && !c->granted && !c->config.metered;
    return (c->out.first < c->out.next && c->out.lost_count == 0) || stalled;
}

static int64_t rto_at(const struct channel *c)
{
    unsigned tries = c->rto_anew ? 0 : c->rto_tries;
    return awaits_answer(c) ? c->progress_ms + channel_rto_ms(c, tries) + (tries ? c->rto_spread_ms : 0) : CHANNEL_NEVER;
}

/* While waits double, a silent peer is asked in between: a few bytes, so that a line that was cut does not lie idle for as long again.
 * Not where each byte costs, nor where it might be spoken into. */
static int64_t ask_at(const struct channel *c)
{
    if (c->config.metered || c->config.half_duplex || c->unheard == 0 || !awaits_answer(c))
        return CHANNEL_NEVER;
    int64_t since_ms = c->asked_ms > c->progress_ms ? c->asked_ms : c->progress_ms;
    return since_ms + channel_rto_ms(c, 0) * c->unheard;
}

static int64_t probe_at(const struct channel *c)
{
    if (c->config.metered || c->config.probe_ms <= 0 || !c->live || c->greet != GREET_NONE ||
        (c->state != CHANNEL_READY && c->state != CHANNEL_SILENT))
        return CHANNEL_NEVER;
    /* One end asks a little later than the other, or both would ask at once and both answer. */
    if (c->polls == 0)
        return c->heard_ms + c->config.probe_ms +
               (c->own_epoch > c->peer_epoch ? c->config.probe_ms / 8 : 0);
    if (c->polls < CHANNEL_PROBE_TRIES)
        return c->polled_ms + channel_rto_ms(c, c->polls - 1);
    int64_t wait = channel_rto_ms(c, c->polls);
    return c->polled_ms + (wait > c->config.probe_ms ? wait : c->config.probe_ms);
}

static void silent(struct channel *c, const char *why)
{
    channel_set_state(c, CHANNEL_SILENT, why);
    c->ops->give_up(c->ctx, why);
}

static void on_rto(struct channel *c, int64_t now_ms)
{
    if (c->unheard >= CHANNEL_DOUBT)
        c->send_resume = true; /* a peer that was started anew says so; small, too */
    else if (!arq_send_timeout(&c->out))
        c->send_poll = true;
    c->progress_ms = now_ms;
    c->rto_anew_spent |= c->rto_anew;
    c->rto_anew = false;
    if (c->rto_tries < PACE_BACKOFF_MAX)
        c->rto_tries++;
    c->rto_spread_ms = channel_spread_ms(c, c->rto_tries);
    if (++c->unheard == PACE_BACKOFF_MAX)
        silent(c, "no answer to what was sent");
}

static void on_probe(struct channel *c, int64_t now_ms)
{
    c->polled_ms = now_ms;
    if (c->polls++ == CHANNEL_PROBE_TRIES)
        silent(c, "no answer to probes");
    if (c->polls >= CHANNEL_DOUBT)
        c->send_resume = true;
    else
        c->send_poll = true;
}

void channel_on_timer(struct channel *c, int64_t now_ms)
{
    if (c->datagram) {
        datagram_on_timer(c, now_ms);
        return;
    }
    if (!c->link_up || c->left)
        return;
    channel_greet_timer(c, now_ms);
    if (c->sealed)
        channel_sealed_timer(c, now_ms);
    if (now_ms >= rto_at(c)) {
        on_rto(c, now_ms);
    } else if (now_ms >= ask_at(c)) {
        c->asked_ms = now_ms;
        c->send_poll = true;
    }
    if (now_ms >= probe_at(c))
        on_probe(c, now_ms);
    if (c->grant_repeats > 0 && now_ms >= c->grant_at_ms) {
        c->grant_repeats--;
        c->grant_at_ms = now_ms + channel_rto_ms(c, PACE_BACKOFF_MAX - c->grant_repeats);
        c->ack_now = true;
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t channel_deadline(const struct channel *c, int64_t now_ms)
{
    if (c->datagram)
        return datagram_deadline(c, now_ms);
    if (!c->link_up || c->left)
        return CHANNEL_NEVER;
    int64_t at = CHANNEL_NEVER;
    if (c->greet != GREET_NONE && !channel_greet_pending(c))
        at = earlier(at, c->greet_at_ms);
    at = earlier(at, rto_at(c));
    at = earlier(at, ask_at(c));
    at = earlier(at, probe_at(c));
    if (c->sealed)
        at = earlier(at, channel_sealed_deadline(c));
    if (c->grant_repeats > 0)
        at = earlier(at, c->grant_at_ms);
    if (c->live && c->greet == GREET_NONE && c->ack_wanted && !channel_ack_due(c, now_ms)) {
        at = earlier(at,
                     c->ack_at_ms > now_ms ? c->ack_at_ms : c->ack_at_ms + CHANNEL_COMMIT_WAIT_MS);
    }
    if (c->config.half_duplex && has_words(c, now_ms))
        at = earlier(at, turn_due_ms(&c->turn, now_ms));
    return at;
}

void channel_restart(struct channel *c, const char *why, int64_t now_ms)
{
    if (c->datagram) {
        datagram_restart(c);
        return;
    }
    c->live = false;
    c->own_epoch = 0; /* the next greeting begins anew */
    meeting_end(&c->meeting);
    if (!c->link_up)
        return;
    channel_set_state(c, CHANNEL_GREETING, why);
    channel_greet(c, GREET_HELLO, now_ms);
}

void channel_goodbye(struct channel *c, int64_t now_ms)
{
    if (c->live && c->link_up && c->greet == GREET_NONE && !c->config.metered)
        c->send_bye = true;
}
