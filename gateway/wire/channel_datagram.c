#include "gateway/wire/channel_datagram.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/wire/datagram_internal.h"

static_assert(METERED_WINDOW <= FRAME_WINDOW, "all frames under way have a place");

struct datagram *datagram_new(const struct channel_config *config)
{
    struct datagram *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->shares.seen_ms = -1;
    record_list_init(&d->carried);
    record_list_init(&d->filling);
    if (config->seal != SEAL_NONE &&
        !seal_terms_init(&d->terms, config->seal, config->tag_bytes, config->own_name, config->peer_name)) {
        datagram_free(d);
        return NULL;
    }
    return d;
}

void datagram_free(struct datagram *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < d->frame_count; i++)
        free(d->frames[i].bytes);
    for (unsigned i = 0; i < d->held_count; i++)
        free(d->held[i].bytes);
    record_list_fini(&d->carried);
    record_list_fini(&d->filling);
    datagram_chains_free(d);
    datagram_model_drop(&d->out_model);
    datagram_model_drop(&d->in_models[0]);
    datagram_model_drop(&d->in_models[1]);
    crypto_wipe(d, sizeof *d);
    free(d);
}

unsigned datagram_window(const struct channel *c)
{
    return c->config.metered ? METERED_WINDOW : FRAME_WINDOW;
}

size_t datagram_mtu(const struct channel *c)
{
    return c->config.mtu < DATAGRAM_FRAME_MAX ? c->config.mtu : DATAGRAM_FRAME_MAX;
}

size_t datagram_tag_bytes(const struct channel *c)
{
    return !datagram_sealed(c) ? SEAL_CRC_BYTES : c->datagram->terms.tag_bytes;
}

int64_t datagram_patience_ms(const struct channel *c)
{
    if (!c->config.metered)
        return 3 * pace_rto_ms(&c->pace, 0) + DATAGRAM_ACK_DELAY_MS;
    bool shorter = c->config.ack_max_age_ms > 0 && c->config.ack_max_age_ms < METERED_RTO_MS;
    return shorter ? c->config.ack_max_age_ms : METERED_RTO_MS;
}

void datagram_link_up(struct channel *c, int64_t now_ms)
{
    if (!c->datagram->started)
        datagram_abandon(c); /* nothing was under way: the owner begins at its first record */
    c->link_up = true;
    c->progress_ms = now_ms;
    channel_set_state(c, CHANNEL_READY, "link up");
}

unsigned datagram_in_flight(const struct channel *c)
{
    return c->datagram->frame_count;
}

uint32_t channel_frame_epoch(const struct channel *c)
{
    return c->datagram && c->datagram->begun ? c->datagram->out[0].id : 0;
}

bool channel_frame_leans(const struct channel *c)
{
    return c->datagram && c->datagram->frame_leans;
}

void datagram_restart(struct channel *c)
{
    datagram_new_table(c);
}

/* ---- in ---- */

static void on_answer(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    struct datagram_answer a;
    for (unsigned i = 0; i < d->out_count; i++) {
        uint32_t epoch = d->out[i].id;
        if (!datagram_open_answer(c, &d->out[i], frame, n, &a))
            continue;
        c->status.frames_in++;
        c->heard_ms = now_ms;
        channel_set_state(c, CHANNEL_READY, "heard again");
        switch (a.type) {
        case DATAGRAM_ACK:
            datagram_share_answered(c, &a);
            datagram_on_ack(c, epoch, (uint16_t)a.ack, a.grant, a.bitmap, a.bitmap_bytes, true, now_ms);
            break;
        case DATAGRAM_FORGOTTEN:
            datagram_forgotten(c);
            break;
        case DATAGRAM_NO_ANCHOR:
            datagram_on_no_anchor(c, &d->out[i]);
            break;
        case DATAGRAM_FLOOR:
            datagram_on_floor(c, &a);
            break;
        }
        return;
    }
    c->status.bad_frames++;
    c->status.forged += datagram_sealed(c);
}

void datagram_on_frame(struct channel *c, const uint8_t *bytes, size_t n, int64_t now_ms)
{
    uint8_t frame[DATAGRAM_FRAME_MAX];
    if (n < 2 || n > sizeof frame) {
        c->status.bad_frames++;
        return;
    }
    memcpy(frame, bytes, n);
    if (frame_kind(frame[0]) == FRAME_DATA)
        datagram_on_data(c, frame, n, now_ms);
    else
        on_answer(c, frame, n, now_ms);
}

/* ---- out ---- */

static bool ack_due(const struct channel *c, int64_t now_ms)
{
    return !c->datagram->alarms_only && c->ack_wanted && (c->ack_now || now_ms >= c->ack_at_ms) && datagram_ack_epoch(c->datagram);
}

static size_t send_ack(struct channel *c, int64_t now_ms)
{
    uint8_t frame[DATAGRAM_ANSWER_MAX], bitmap[FRAME_BITMAP_MAX];
    struct in_epoch *e = datagram_ack_epoch(c->datagram);
    struct datagram_answer a = {.type = DATAGRAM_ACK,
                                .ack = e->cumulative,
                                .grant = frame_grant_encode(c->ops->grant(c->ctx)),
                                .bitmap = bitmap,
                                .bitmap_bytes = datagram_told_bitmap(c->datagram, e, bitmap)};
    struct answered to = {{e->counter, e->id, e->salt}, e->next_secret, &e->ids};
    datagram_share_tend(c, now_ms);
    datagram_share_tell(c, &a);
    size_t n = datagram_seal_answer(c, &a, &to, frame);
    if (n > 0)
        c->ops->output(c->ctx, frame, n, 0, false);
    datagram_ack_told(c, e, now_ms);
    return n;
}

static size_t send_refusal(struct channel *c)
{
    struct datagram *d = c->datagram;
    struct refused_epoch *r = &d->refused;
    uint8_t frame[DATAGRAM_ANSWER_MAX];
    struct datagram_answer a = {.type = r->why, .floor = datagram_told_floor(d), .wants_echo = d->has_nonce, .lacks_share = r->lacks_share};
    struct answered to = {{r->counter, r->id, r->salt}, r->next_secret, &r->ids};
    memcpy(a.nonce, d->nonce, sizeof a.nonce);
    datagram_share_refuse(c, &r->ids, &a);
    size_t n = datagram_seal_answer(c, &a, &to, frame);
    if (n > 0)
        c->ops->output(c->ctx, frame, n, 0, false);
    r->due = false;
    return n;
}

static size_t send_frame(struct channel *c, struct out_frame *f, int64_t now_ms)
{
    bool idle = true;
    for (unsigned i = 0; i < c->datagram->frame_count; i++)
        idle &= c->datagram->frames[i].sent_count == 0;
    if (idle)
        c->progress_ms = now_ms;
    c->status.retransmits += f->sent_count > 0;
    f->due = f->overtaken = false;
    f->sent_count++;
    f->sent_at_ms = now_ms;
    size_t n = f->n;
    c->ops->output(c->ctx, f->bytes, f->n, f->token, f->urgent);
    return n;
}

/* A frame is built when it can leave: until then its records may be overtaken. One at a time, as each must be on our disk first. */
static bool may_build(struct channel *c)
{
    for (unsigned i = 0; i < c->datagram->frame_count; i++)
        if (!c->datagram->frames[i].kept)
            return false;
    if (c->datagram->alarms_only && !datagram_alarm_waits(c))
        return false;
    return datagram_has_data(c) && datagram_model_ready(c);
}

size_t datagram_pump(struct channel *c, size_t room, int64_t now_ms)
{
    size_t total = 0;
    while (c->link_up && room - total >= datagram_mtu(c)) {
        struct out_frame *due = datagram_next_due(c);
        if (!due && datagram_has_data(c))
            datagram_share_tend(c, now_ms); /* before the model of a new epoch is asked for */
        if (!due && may_build(c) && datagram_build(c, now_ms))
            due = datagram_next_due(c);
        size_t n = 0;
        if (due)
            n = send_frame(c, due, now_ms);
        else if (c->datagram->refused.due)
            n = send_refusal(c);
        else if (ack_due(c, now_ms))
            n = send_ack(c, now_ms);
        if (n == 0)
            break;
        total += n;
        c->status.frames_out++;
    }
    return total;
}

bool datagram_wants(const struct channel *c, int64_t now_ms)
{
    return c->link_up && (datagram_next_due((struct channel *)c) || c->datagram->refused.due || may_build((struct channel *)c) || ack_due(c, now_ms));
}

void datagram_grant_changed(struct channel *c)
{
    struct datagram *d = c->datagram;
    if (d->in_count == 0)
        return;
    d->in[0].news = true;
    c->ack_wanted = c->ack_now = true;
}

void datagram_kept(struct channel *c)
{
    for (unsigned i = 0; i < c->datagram->frame_count; i++)
        c->datagram->frames[i].kept = true;
}

void datagram_writable(struct channel *c)
{
    c->datagram->alarms_only = false;
}

void datagram_sent(struct channel *c, uint64_t token, int outcome, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    for (unsigned i = 0; i < d->frame_count && token != 0; i++) {
        struct out_frame *f = &d->frames[i];
        if (f->token != token)
            continue;
        switch ((enum channel_sent)outcome) {
        case CHANNEL_SENT_REFUSED:
            d->alarms_only = !f->urgent;
            f->due = true;
            f->sent_count -= f->sent_count > 0;
            break;
        case CHANNEL_SENT_FAILED:
            f->due = true;
            f->sent_count -= f->sent_count > 0;
            break;
        case CHANNEL_SENT_UNKNOWN:
            f->due = true; /* the driver has asked all that there is to ask: the same bytes again, and the peer drops what is double */
            break;
        case CHANNEL_SENT_DONE:
            f->handed_over = true;
            if (c->ops->saved_changed)
                c->ops->saved_changed(c->ctx);
            break;
        }
        return;
    }
}

/* ---- timers ---- */

/* The oldest frame that is under way, not waiting to be sent. NULL: none, or something else is to be sent first. */
static struct out_frame *oldest(const struct channel *c)
{
    struct datagram *d = c->datagram;
    struct out_frame *first = NULL;
    for (unsigned i = 0; i < d->frame_count; i++) {
        if (d->frames[i].due)
            return NULL;
        if (!first && !d->frames[i].arrived)
            first = &d->frames[i];
    }
    return first || d->frame_count == 0 ? first : &d->frames[0];
}

/* When the oldest is sent again though nothing says that it is lost. With a window that is full the peer must have
 * acknowledged by now; with one that is not, it may still be saving the cost. */
static int64_t rto_at(const struct channel *c)
{
    if (!c->link_up || !oldest(c))
        return CHANNEL_NEVER;
    int64_t rto = datagram_patience_ms(c), max = CHANNEL_METERED_RTO_MAX_MS;
    if (c->config.metered) {
        bool full = c->datagram->frame_count >= datagram_window(c) - c->config.alarm_places;
        max = METERED_RTO_MAX_MS;
        if (c->config.ack_max_age_ms > 0)
            rto = full ? c->config.ack_max_age_ms : 2 * c->config.ack_max_age_ms;
        max = max > rto ? max : rto;
    }
    for (unsigned i = 0; i < c->rto_tries && rto < max; i++)
        rto *= 2;
    return c->progress_ms + (rto < max ? rto : max);
}

/* The peer took no more when it was last heard, and nothing is under way that it would answer: its word that it does again may
 * be lost, so a little is tried. */
static int64_t grant_at(const struct channel *c)
{
    if (!c->link_up || !c->waiting || c->datagram->frame_count > 0 || c->grant_end > c->payload_given)
        return CHANNEL_NEVER;
    int64_t wait = datagram_patience_ms(c);
    for (unsigned i = 0; i < c->rto_tries && wait < METERED_RTO_MAX_MS; i++)
        wait *= 2;
    return c->progress_ms + wait;
}

static int64_t lost_at(const struct channel *c, const struct out_frame *f)
{
    return f->overtaken && !f->due && !f->arrived ? f->sent_at_ms + datagram_patience_ms(c) : CHANNEL_NEVER;
}

void datagram_on_timer(struct channel *c, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    for (unsigned i = 0; i < d->frame_count; i++)
        if (now_ms >= lost_at(c, &d->frames[i]))
            d->frames[i].due = d->frames[i].doubted = true;
    if (now_ms >= grant_at(c)) {
        c->grant_end = c->payload_given + 1;
        c->progress_ms = now_ms;
        c->rto_tries += c->rto_tries < PACE_BACKOFF_MAX;
    }
    if (now_ms < rto_at(c))
        return;
    c->progress_ms = now_ms;
    c->rto_tries += c->rto_tries < PACE_BACKOFF_MAX;
    if (++d->tries < (c->config.metered ? METERED_TRIES : DATAGRAM_TRIES)) {
        struct out_frame *f = oldest(c);
        f->due = f->doubted = true;
        return;
    }
    /* A peer that lost its store cannot read what leans on an epoch that is announced no more. */
    channel_set_state(c, CHANNEL_SILENT, "no answer to what was sent");
    c->rto_tries = d->tries = 0;
    d->distrust += d->distrust < DATAGRAM_DISTRUST;
    datagram_abandon(c);
}

int64_t datagram_deadline(const struct channel *c, int64_t now_ms)
{
    int64_t at = rto_at(c), grant = grant_at(c);
    at = grant < at ? grant : at;
    if (!c->link_up)
        return at;
    for (unsigned i = 0; i < c->datagram->frame_count; i++) {
        int64_t t = lost_at(c, &c->datagram->frames[i]);
        at = t < at ? t : at;
    }
    if (c->ack_wanted && c->ack_at_ms > now_ms && c->ack_at_ms < at)
        at = c->ack_at_ms;
    int64_t hold = datagram_hold_at(c, now_ms);
    return hold < at ? hold : at;
}
