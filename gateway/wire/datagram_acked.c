/* What became of the frames of a datagram link: acknowledgements, in any order, of a store that may have been set back. */
#include "gateway/wire/datagram_internal.h"

uint64_t datagram_first_of(const struct datagram *d, const struct out_epoch *e)
{
    uint64_t first = e->next;
    for (unsigned i = 0; i < d->frame_count; i++)
        if (d->frames[i].epoch == e->id && d->frames[i].number < first)
            first = d->frames[i].number;
    return first;
}

static bool is_told(uint64_t number, uint64_t cumulative, const uint8_t *bitmap, size_t bitmap_bytes)
{
    uint64_t bit = number - cumulative - 1;
    return number <= cumulative || (bit < bitmap_bytes * 8 && (bitmap[bit / 8] >> bit % 8 & 1));
}

static void settle(struct channel *c, unsigned i, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    struct out_frame f = d->frames[i];
    if (f.payload_end > c->payload_acked)
        c->payload_acked = f.payload_end;
    if (c->ops->drop_frame)
        c->ops->drop_frame(c->ctx, f.epoch, f.number);
    datagram_remove_frame(d, i);
    d->alone_since += f.leans ? 0 : f.records;
    if (d->proposed && f.epoch == d->proposed_epoch && f.number == d->proposed_number) {
        d->anchor = d->proposed;
        d->anchor_due = d->proposed_alone;
        d->proposed = 0;
    }
    for (unsigned k = 0; k < f.records; k++)
        c->ops->acked_record(c->ctx, f.first_record + k);
}

/* Does this tell that one is missing which was acknowledged before: one after `cumulative` and before `first`? */
static bool has_forgotten(uint64_t cumulative, uint64_t first, const uint8_t *bitmap, size_t bitmap_bytes, bool whole)
{
    uint64_t known = whole ? first : cumulative + 1 + 8 * bitmap_bytes;
    for (uint64_t n = cumulative + 1; n < first && n < known; n++)
        if (!is_told(n, cumulative, bitmap, bitmap_bytes))
            return true;
    return false;
}

/* It tells of a frame, and not of one that an earlier acknowledgement told of when the peer did not have that frame yet: what was on its
 * disk then is not there now, so an older copy has taken the place of its store. What waits in memory alone shows no more than that it
 * was made by then. */
static bool contradicts(const struct datagram *d, const struct out_epoch *e, uint64_t cumulative, const uint8_t *bitmap, size_t bitmap_bytes,
                        bool whole)
{
    uint64_t end = whole || cumulative + 1 + 8 * bitmap_bytes > e->next ? e->next : cumulative + 1 + 8 * bitmap_bytes;
    for (unsigned i = 0; i < d->frame_count; i++) {
        const struct out_frame *f = &d->frames[i];
        if (f->epoch != e->id || f->sent_count == 0 || !is_told(f->number, cumulative, bitmap, bitmap_bytes))
            continue;
        uint32_t without = f->leans && f->number > cumulative ? f->made : f->lacked;
        for (uint64_t n = cumulative + 1; n < end; n++) {
            uint32_t by = n + FRAME_WINDOW < e->next ? 0 : e->told_by[n % FRAME_WINDOW];
            if ((n < f->first || (by > 0 && by <= without)) && !is_told(n, cumulative, bitmap, bitmap_bytes))
                return true;
        }
    }
    return false;
}

/* Where this acknowledgement tells of all that was told of before, those under way are not on the peer's disk, and the others are. */
static void note_lacked(struct datagram *d, const struct out_epoch *e, uint64_t cumulative, const uint8_t *bitmap, size_t bitmap_bytes)
{
    uint64_t from = e->next > FRAME_WINDOW && e->next - FRAME_WINDOW > cumulative ? e->next - FRAME_WINDOW : cumulative + 1;
    for (uint64_t n = from; n < e->next; n++)
        if (e->told_by[n % FRAME_WINDOW] > 0 && !is_told(n, cumulative, bitmap, bitmap_bytes))
            return;
    for (unsigned i = 0; i < d->frame_count; i++)
        if (d->frames[i].epoch == e->id)
            d->frames[i].lacked = d->acks;
}

void datagram_on_ack(struct channel *c, uint32_t epoch, uint16_t low, uint8_t grant,
                     const uint8_t *bitmap, size_t bitmap_bytes, bool whole, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    struct out_epoch *e = datagram_out_epoch(d, epoch);
    uint64_t first = datagram_first_of(d, e);
    uint64_t cumulative = frame_number(first - 1, low, FRAME_ACK_BITS);
    if (cumulative >= e->next) /* our store is an older copy: of what it has under way all is there */
        cumulative = e->next - 1;
    if (contradicts(d, e, cumulative, bitmap, bitmap_bytes, whole)) {
        datagram_forgotten(c);
        return;
    }
    uint64_t highest = cumulative;
    for (size_t bit = 0; bit < bitmap_bytes * 8; bit++)
        if (bitmap[bit / 8] >> bit % 8 & 1)
            highest = cumulative + 1 + bit;
    datagram_share_acked(c, e);
    d->acks++;
    bool progress = false, waits = false, measured = c->config.metered; /* the wait of a metered link follows no round trip */
    int64_t latest_ms = INT64_MIN / 2; /* sending of a frame that arrived */
    for (unsigned i = 0; i < d->frame_count;) {
        struct out_frame *f = &d->frames[i];
        if (f->epoch != epoch || f->sent_count == 0) {
            i++;
        } else if (is_told(f->number, cumulative, bitmap, bitmap_bytes)) {
            latest_ms = f->sent_at_ms > latest_ms ? f->sent_at_ms : latest_ms;
            progress |= !f->arrived;
            if (f->sent_count == 1 && !f->timed) {
                pace_on_ack(&c->pace, now_ms - f->sent_at_ms, 0, 0, 0, now_ms);
                f->timed = measured = true;
            }
            if (f->leans && f->number > cumulative) {
                /* It waits for one before it, in memory. */
                waits = f->arrived = true;
                f->overtaken = f->due = false;
                i++;
                continue;
            }
            e->told_by[f->number % FRAME_WINDOW] = d->acks;
            settle(c, i, now_ms);
            progress = true;
        } else {
            if (whole || f->number <= cumulative + 8 * bitmap_bytes)
                f->arrived = false;
            f->overtaken |= f->number < highest;
            i++;
        }
    }
    if (whole)
        note_lacked(d, e, cumulative, bitmap, bitmap_bytes);
    /* Of a receiver that did not know the epoch none arrived; that the first, sent again, did is no word of the others'
     * numbers, but of their time. */
    for (unsigned i = 0; i < d->frame_count; i++)
        d->frames[i].overtaken |= d->frames[i].epoch == epoch && d->frames[i].sent_count > 0 && !d->frames[i].arrived &&
                                  d->frames[i].sent_at_ms < latest_ms - datagram_patience_ms(c) / 2;
    if (d->begun && epoch == d->out[0].id) {
        d->announced = true;
        d->has_echo = false;
    }
    c->grant_end = c->payload_acked + frame_grant_decode(grant);
    if (waits && has_forgotten(cumulative, first, bitmap, bitmap_bytes, whole)) {
        /* For one that will not come: an older copy of a store. (Or this is late; then the new epoch is for nothing.) */
        datagram_abandon(c);
        return;
    }
    if (progress) {
        c->progress_ms = now_ms;
        /* As on streams: where only what was sent again arrives, the wait may be too short, and stays as it has become. */
        if (measured)
            c->rto_tries = 0;
        d->tries = 0;
        d->distrust = 0;
        datagram_drop_idle_epochs(d);
        if (c->ops->saved_changed)
            c->ops->saved_changed(c->ctx);
    }
}
