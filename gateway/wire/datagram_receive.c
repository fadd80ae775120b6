/* What the peer sends on a datagram link. Frames come in any order, and of several epochs (datagram_epochs.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/wire/datagram_internal.h"

/* A sender that has not heard of its epoch by this frame pays more for announcing it than an acknowledgement costs; so does one
 * that waits for its anchor. */
#define ANNOUNCED_LONG 8

enum taken { TAKEN, NOT_NOW, OWNER_WAITS, NO_TOPIC, NO_ANCHOR, NO_CHAIN, NONSENSE };

/* All before this one are here. */
static bool reaches(const struct in_epoch *e, uint64_t number)
{
    for (uint64_t i = e->cumulative + 1; i < number; i++)
        if (!e->here[i % FRAME_WINDOW])
            return false;
    return true;
}

/* A whole record of the frame must do; what does not decode, or the owner cannot take now, was not received. */
static enum taken take(struct channel *c, struct in_epoch *e, uint64_t number, bool leans, const uint8_t *bytes, size_t n)
{
    enum taken what = NONSENSE;
    if (leans && e->broken)
        return NO_CHAIN;
    if (leans && !reaches(e, number))
        return NOT_NOW;
    switch (datagram_decode(c, e, leans, bytes, n)) {
    case DATAGRAM_DECODED:
        what = TAKEN;
        break;
    case DATAGRAM_LATER:
        return NOT_NOW;
    case DATAGRAM_NO_MODEL:
        return NO_ANCHOR;
    case DATAGRAM_NONSENSE:
        /* The two models differ, and will go on to. */
        e->broken |= leans;
        what = leans ? NO_CHAIN : NONSENSE;
        break;
    }
    for (size_t i = 0; i < c->records.count && what == TAKEN; i++) {
        int rc = c->ops->record(c->ctx, c->records.records[i], c->datagram->given + 1);
        if (rc != 0)
            what = rc == -ENOENT ? NO_TOPIC : OWNER_WAITS;
    }
    if (what == TAKEN && leans)
        datagram_chain_taken(c, e, number, bytes, n);
    record_list_clear(&c->records);
    return what;
}

static void want_ack(struct channel *c, bool soon, int64_t now_ms)
{
    int64_t delay = !c->config.metered             ? DATAGRAM_ACK_DELAY_MS
                    : c->config.ack_max_age_ms > 0 ? c->config.ack_max_age_ms
                                                   : METERED_ACK_DELAY_MS;
    if (!c->ack_wanted) {
        c->ack_wanted = true;
        c->ack_at_ms = now_ms + delay;
    }
    if (soon && c->ack_at_ms > now_ms + DATAGRAM_ACK_DELAY_MS)
        c->ack_at_ms = now_ms + DATAGRAM_ACK_DELAY_MS;
}

/* After so many an acknowledgement is due, or the other end's window would stall. */
static unsigned ack_frames(const struct channel *c)
{
    return c->config.metered ? METERED_WINDOW / 2 : DATAGRAM_ACK_FRAMES;
}

static void received(struct channel *c, struct in_epoch *e, uint64_t number, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    e->here[number % FRAME_WINDOW] = true;
    d->waiting[d->given % FRAME_WINDOW].epoch = e->id;
    d->waiting[d->given++ % FRAME_WINDOW].number = number;
    want_ack(c, ++c->unacked >= ack_frames(c), now_ms);
    c->ops->frame_done(c->ctx, d->given);
}

static bool had_it(const struct in_epoch *e, uint64_t number)
{
    return number <= e->cumulative || (number <= e->cumulative + FRAME_WINDOW && e->here[number % FRAME_WINDOW]);
}

/* The last of the epoch's frames that are held gives way to one before it. Return: false: there is none. */
static bool make_room(struct datagram *d, uint32_t epoch, uint64_t number)
{
    unsigned last = d->held_count;
    for (unsigned i = 0; i < d->held_count; i++)
        if (d->held[i].epoch == epoch && d->held[i].number > number && (last == d->held_count || d->held[i].number > d->held[last].number))
            last = i;
    if (last == d->held_count)
        return false;
    datagram_forget_held(d, last);
    return true;
}

/* Keeps a frame that cannot be taken before another: so that a large message whose pieces overtake one another does not need
 * each of them once more, nor what leans on a frame that was lost. A restart loses it. That one is here which leans is told,
 * but not acknowledged: its sender keeps it until all before it are here, too. */
static void hold(struct channel *c, struct in_epoch *e, uint64_t number, bool leans, const uint8_t *bytes, size_t n, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    for (unsigned i = 0; i < d->held_count; i++)
        if (d->held[i].epoch == e->id && d->held[i].number == number)
            return;
    if (d->held_count == DATAGRAM_HELD_MAX && !make_room(d, e->id, number))
        return;
    uint8_t *copy = malloc(n);
    if (!copy)
        return;
    memcpy(copy, bytes, n);
    d->held[d->held_count++] = (struct held_frame){e->id, number, leans, copy, n, UINT64_MAX};
    if (leans && !reaches(e, number)) {
        e->news = true;
        want_ack(c, ++c->unacked >= ack_frames(c), now_ms);
    }
}

/* What waited for the frame just taken, and what waited for that. */
void datagram_take_held(struct channel *c, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    for (unsigned i = 0; i < d->held_count;) {
        struct held_frame h = d->held[i];
        struct in_epoch *e = datagram_in_epoch(d, h.epoch);
        if (d->given - d->committed >= FRAME_WINDOW)
            return;
        if (h.refused_at == d->given) {
            i++;
            continue;
        }
        enum taken what = !e || had_it(e, h.number) ? NONSENSE : take(c, e, h.number, h.leans, h.bytes, h.n);
        if (what == NOT_NOW || what == OWNER_WAITS) {
            /* Not again before another was taken: a chain would be made for it each time, and with two epochs' in turns for ever. */
            d->held[i++].refused_at = what == OWNER_WAITS ? d->given : UINT64_MAX;
            continue;
        }
        datagram_forget_held(d, i);
        if (what == NO_CHAIN)
            datagram_refuse(c, e, DATAGRAM_FLOOR, now_ms);
        if (what == TAKEN) {
            received(c, e, h.number, now_ms);
            i = 0;
        }
    }
}

/* What the sender has under way no more will not come: it had been acknowledged, by a store that is lost since. */
static void skip_to(struct in_epoch *e, uint64_t first)
{
    for (uint64_t i = e->cumulative + 1; i < first && !e->broken; i++)
        e->broken = i > e->cumulative + FRAME_WINDOW || !e->here[i % FRAME_WINDOW];
    if (first > e->cumulative + 2 * FRAME_WINDOW) {
        memset(e->here, 0, sizeof e->here);
        memset(e->on_disk, 0, sizeof e->on_disk);
        e->cumulative = first - 1;
    }
    while (e->cumulative + 1 < first) {
        e->cumulative++;
        e->here[e->cumulative % FRAME_WINDOW] = e->on_disk[e->cumulative % FRAME_WINDOW] = false;
    }
    for (uint64_t next; next = e->cumulative + 1, e->on_disk[next % FRAME_WINDOW]; e->cumulative++)
        e->here[next % FRAME_WINDOW] = e->on_disk[next % FRAME_WINDOW] = false;
}

static bool open_as(struct channel *c, struct in_epoch *e, const struct datagram_header *h, uint8_t *frame, size_t n,
                    size_t clear, uint64_t *number, size_t *content)
{
    struct seal_context seal = {e->id, 0, datagram_sealed(c) ? &e->key : NULL, clear};
    *number = h->announces ? h->number : frame_number(e->cumulative + 1, (uint16_t)h->number, FRAME_DATA_BITS);
    return *number > 0 && seal_open(&seal, SEAL_SPACE_DATA, *number, frame, n, content);
}

/* The epoch that the frame was made in, opened; fresh: one that is announced and not known. NULL: none fits, or
 * fresh->lacks_share. */
static struct in_epoch *open_frame(struct channel *c, const struct datagram_header *h, uint8_t *frame, size_t n, size_t clear,
                                   struct in_epoch *fresh, uint64_t *number, size_t *content)
{
    struct datagram *d = c->datagram;
    const struct datagram_announcement *a = &h->announcement;
    for (unsigned i = 0; i < d->in_count; i++)
        if ((uint8_t)d->in[i].id == h->epoch_low && (!h->announces || a->epoch == d->in[i].id) &&
            open_as(c, &d->in[i], h, frame, n, clear, number, content))
            return &d->in[i];
    if (!h->announces)
        return NULL;
    fresh->id = a->epoch;
    fresh->counter = a->counter;
    memcpy(fresh->salt, a->salt, sizeof fresh->salt);
    for (int next = 0; next < 2; next++) {
        fresh->next_secret = next;
        enum datagram_keying how = datagram_share_open(c, a, fresh);
        if (how == DATAGRAM_KEYED && open_as(c, fresh, h, frame, n, clear, number, content))
            return fresh;
        if (how == DATAGRAM_NO_SHARE)
            break;
        if (!datagram_sealed(c) || !c->config.secrets.has_next)
            break;
    }
    return NULL;
}

static void on_data(struct channel *c, uint8_t *frame, size_t n, struct in_epoch *fresh, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    struct datagram_header h;
    struct in_epoch *e = NULL;
    size_t tag = datagram_tag_bytes(c), content = 0, header = 0;
    size_t clear = n > tag ? datagram_clear_decode(&h, c->config.seal, frame, n - tag) : 0;
    uint64_t number = 0;
    if (clear > 0)
        e = open_frame(c, &h, frame, n, clear, fresh, &number, &content);
    if (!e && fresh->lacks_share) {
        datagram_refuse_unread(c, fresh, now_ms);
        return;
    }
    if (e)
        header = datagram_rest_decode(&h, c->config.seal, frame, content, clear);
    if (header == 0) {
        c->status.bad_frames++;
        c->status.forged += clear > 0 && datagram_sealed(c);
        return;
    }
    if (e != fresh && d->doubt) {
        datagram_refuse_doubted(c, e, now_ms);
        return;
    }
    if (e == fresh && !(e = datagram_accept_epoch(c, &h.announcement, fresh, now_ms)))
        return;
    if (!datagram_is_of_branch(d, e, number)) {
        c->status.refused++;
        return;
    }
    if (h.announces && number > h.announcement.behind)
        skip_to(e, number - h.announcement.behind);
    c->status.frames_in++;
    c->heard_ms = now_ms;
    channel_set_state(c, CHANNEL_READY, "heard again");
    for (unsigned i = 0; i < d->out_count && h.has_ack; i++)
        if ((uint16_t)d->out[i].id == h.ack_epoch) {
            datagram_on_ack(c, d->out[i].id, h.ack, h.grant, &h.bitmap, 1, false, now_ms);
            break;
        }
    if (had_it(e, number)) {
        /* It was sent again: the peer has not heard of it. Or it was recorded. */
        c->status.replayed += datagram_sealed(c);
        if (now_ms >= d->repeated_not_before_ms) {
            d->repeated_not_before_ms = now_ms + datagram_answer_every_ms(c);
            e->news = true;
            want_ack(c, true, now_ms);
        }
        return;
    }
    if (h.announces && !datagram_has_settled(c, &h.announcement)) {
        datagram_refuse(c, e, DATAGRAM_FORGOTTEN, now_ms);
        return;
    }
    if (number > e->cumulative + FRAME_WINDOW || d->given - d->committed >= FRAME_WINDOW)
        return;
    switch (take(c, e, number, h.leans, frame + header, content - header)) {
    case TAKEN:
        c->status.stream_bytes_in += content - header;
        if (h.announces && h.announcement.proposes && c->ops->anchor_proposed)
            c->ops->anchor_proposed(c->ctx, h.announcement.proposed_up_to, h.announcement.proposed_id);
        received(c, e, number, now_ms);
        if (h.announces && (h.announcement.proposes || number == ANNOUNCED_LONG || number == 2 * ANNOUNCED_LONG))
            want_ack(c, true, now_ms);
        datagram_take_held(c, now_ms);
        break;
    case NOT_NOW:
    case OWNER_WAITS:
        hold(c, e, number, h.leans, frame + header, content - header, now_ms);
        break;
    case NO_ANCHOR:
        datagram_refuse(c, e, DATAGRAM_NO_ANCHOR, now_ms);
        break;
    case NO_TOPIC:
        datagram_refuse(c, e, DATAGRAM_FORGOTTEN, now_ms);
        break;
    case NO_CHAIN:
        datagram_refuse(c, e, DATAGRAM_FLOOR, now_ms); /* it is to begin an epoch in which nothing is missing */
        break;
    case NONSENSE:
        c->status.bad_frames++;
        break;
    }
}

void datagram_on_data(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    struct in_epoch fresh = {0};
    on_data(c, frame, n, &fresh, now_ms);
    crypto_wipe(&fresh.key, sizeof fresh.key);
}

void datagram_committed(struct channel *c, uint64_t frame, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    for (; d->committed < frame && d->committed < d->given; d->committed++) {
        struct in_epoch *e = datagram_in_epoch(d, d->waiting[d->committed % FRAME_WINDOW].epoch);
        uint64_t number = d->waiting[d->committed % FRAME_WINDOW].number;
        if (!e || number <= e->cumulative)
            continue;
        e->on_disk[number % FRAME_WINDOW] = true;
        e->news = true;
        for (uint64_t next; next = e->cumulative + 1, e->on_disk[next % FRAME_WINDOW]; e->cumulative++)
            e->here[next % FRAME_WINDOW] = e->on_disk[next % FRAME_WINDOW] = false;
    }
}

/* ---- what is told of them ---- */

static bool waits_in_memory(const struct datagram *d, uint32_t epoch, uint64_t number)
{
    for (unsigned i = 0; i < d->held_count; i++)
        if (d->held[i].epoch == epoch && d->held[i].number == number)
            return d->held[i].leans;
    return false;
}

size_t datagram_told_bitmap(const struct datagram *d, const struct in_epoch *e, uint8_t bitmap[FRAME_BITMAP_MAX])
{
    size_t bytes = 0;
    memset(bitmap, 0, FRAME_BITMAP_MAX);
    for (size_t bit = 0; bit < FRAME_WINDOW; bit++) {
        if (!e->on_disk[(e->cumulative + 1 + bit) % FRAME_WINDOW] &&
            (bit == 0 || !waits_in_memory(d, e->id, e->cumulative + 1 + bit)))
            continue;
        bitmap[bit / 8] |= (uint8_t)(1u << bit % 8);
        bytes = bit / 8 + 1;
    }
    return bytes;
}

struct in_epoch *datagram_ack_epoch(struct datagram *d)
{
    for (unsigned i = d->in_count; i-- > 0;)
        if (d->in[i].news)
            return &d->in[i];
    return NULL;
}

void datagram_ack_told(struct channel *c, struct in_epoch *e, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    e->news = false;
    /* What is not on disk yet is told with the next. */
    c->ack_wanted = d->committed < d->given || datagram_ack_epoch(d);
    if (datagram_ack_epoch(d))
        return; /* of another epoch: as due as this one was */
    c->ack_at_ms = now_ms + (!c->config.metered             ? DATAGRAM_ACK_DELAY_MS
                             : c->config.ack_max_age_ms > 0 ? c->config.ack_max_age_ms
                                                            : METERED_ACK_DELAY_MS);
    c->ack_now = false;
    c->unacked = 0;
}
