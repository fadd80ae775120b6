/* What the sending half needs on datagram links alone: what waits (so that a frame may wait for company), a record taken back that
 * found no room, and, after a restart, what was under way before it. */
#include "gateway/bridge/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what waits ---- */

/* Since when something has waited in the lane, the first of which now is from `since`. With keep = latest a newer message takes the
 * place of one that waits: were its own age to count, a topic that changes more often than `hold` lasts would never leave. */
static int64_t waiting_since(struct lane *l, int64_t since)
{
    if (!l->waiting || l->waiting_cursor != l->cursor || since < l->waiting_age_ms)
        l->waiting_age_ms = since;
    l->waiting = true;
    l->waiting_cursor = l->cursor;
    return l->waiting_age_ms;
}

/* The first row of the lane beyond what was given, if it may be given. It does not touch the row read ahead: that may be taken back.
 * Return: how long it has waited, ms; -1 = none. */
static int64_t waits(struct peer *p, enum msg_class class)
{
    struct bridge *b = p->bridge;
    struct lane *l = &p->sender.lanes[class];
    struct outbox_row row;
    if (!(l->have_row && l->row.number <= l->cursor)) {
        if (!sender_lane_ready(p, class)) {
            l->waiting = l->waiting && !l->empty;
            return -1;
        }
        if (l->lost_to) {
            int64_t told = bridge_age(b) - l->lost_age_ms;
            return told > 0 ? told : 0;
        }
        row = l->row;
    } else {
        int rc = store_outbox_next(b->store, p->id, class, l->cursor, 0, &row);
        if (rc != 0) {
            l->waiting = false;
            custody_failed(b, rc);
            return l->tell_to ? 0 : -1;
        }
        msg_free(row.msg);
        if (row.number > p->sender.committed || row.number > l->may_have_left)
            return -1;
    }
    /* A gap has no age of its own: it waits since it was seen first. */
    int64_t since = waiting_since(l, row.gap ? bridge_age(b) : row.queued_age_ms);
    int64_t waited = bridge_age(b) - since;
    return waited > 0 ? waited : 0;
}

void sender_pending(struct peer *p, struct channel_pending *out)
{
    const struct sender *s = &p->sender;
    *out = (struct channel_pending){.oldest_ms = -1};
    if (p->bridge->failed || !s->greeted || s->uncommitted)
        return;
    out->alarm = waits(p, CLASS_ALARM) >= 0;
    out->high = waits(p, CLASS_HIGH) >= 0;
    for (int c = CLASS_NORMAL; c < CLASS_COUNT; c++) {
        int64_t waited = waits(p, (enum msg_class)c);
        out->oldest_ms = waited > out->oldest_ms ? waited : out->oldest_ms;
    }
}

/* ---- records taken back ---- */

void sender_remember(struct peer *p, enum msg_class class)
{
    const struct lane *l = &p->sender.lanes[class];
    p->sender.given[p->sender.given_top++ % CHANNEL_TAKE_BACK_MAX] = (struct given){class, l->cursor, l->offset, l->deficit, l->lost_to, l->lost_count, l->tell_to};
}

void sender_take_back(struct peer *p)
{
    struct sender *s = &p->sender;
    const struct given *g = &s->given[--s->given_top % CHANNEL_TAKE_BACK_MAX];
    struct lane *l = &s->lanes[g->class];
    s->sent_count--;
    l->cursor = g->cursor;
    if (g->offset == 0)
        sender_drop_row(l); /* it may be of a later message by now */
    l->empty = false;
    l->offset = g->offset;
    l->deficit = g->deficit;
    l->lost_to = g->lost_to;
    l->lost_count = g->lost_count;
    l->tell_to = g->tell_to;
}

/* ---- across a restart ---- */

#define LANES_BYTES (CLASS_COUNT * (8 + 8 + 4) + 1)

size_t sender_save_lanes(const struct peer *p, uint8_t out[SENDER_LANES_MAX])
{
    static_assert(LANES_BYTES <= SENDER_LANES_MAX, "room for all classes");
    struct buf b;
    buf_init_over(&b, out, LANES_BYTES);
    for (int c = 0; c < CLASS_COUNT; c++) {
        const struct lane *l = &p->sender.lanes[c];
        bool partial = l->have_row && l->row.number > l->cursor && l->offset > 0;
        buf_put_be64(&b, l->cursor);
        buf_put_be64(&b, partial ? l->row.number : 0);
        buf_put_be32(&b, partial ? l->offset : 0);
    }
    buf_put_u8(&b, sender_telling(p));
    assert(!b.failed);
    return b.len;
}

static void restore_topic(struct peer *p, const struct record *r)
{
    struct sender *s = &p->sender;
    char *topic = strndup(r->topic, r->topic_len);
    if (!topic || !sender_topic_under_way(p, r->slot, topic, 0))
        custody_failed(p->bridge, -ENOMEM);
    if (topic)
        s->sent[(s->sent_head + s->sent_count - 1) % s->sent_size].number = r->slot;
    free(topic);
}

void sender_restored(struct peer *p, const struct record *r)
{
    struct sender *s = &p->sender;
    struct lane *l = &s->lanes[r->class < CLASS_COUNT ? r->class : 0];
    struct sent sent = {.kind = SENT_OTHER, .class = r->class, .number = r->number};
    uint32_t end = r->offset + r->len;
    switch (r->type) {
    case RECORD_MESSAGE:
        sent.kind = r->len < r->total ? SENT_PIECE : SENT_MESSAGE;
        break;
    case RECORD_CHUNK:
        sent.kind = SENT_PIECE;
        break;
    case RECORD_GAP:
        sent.kind = SENT_GAP;
        break;
    case RECORD_TOPIC:
        sent.kind = SENT_TOPIC;
        break;
    case RECORD_ABORT:
    case RECORD_TOPICS_RESET:
        break;
    }
    if (!sender_push(p, sent))
        custody_failed(p->bridge, -ENOMEM);
    else if (r->type == RECORD_TOPIC)
        restore_topic(p, r);
    if ((sent.kind == SENT_MESSAGE || sent.kind == SENT_GAP) && r->number > l->cursor)
        l->cursor = r->number;
    if (sent.kind == SENT_PIECE && r->number >= l->partial) {
        l->partial_have = r->number > l->partial || end > l->partial_have ? end : l->partial_have;
        l->partial = r->number;
    }
}

/* Goes on behind what was given before the restart, in the midst of a large message too. */
static bool begin_lane(struct peer *p, enum msg_class class, struct reader *saved)
{
    struct bridge *b = p->bridge;
    struct lane *l = &p->sender.lanes[class];
    uint64_t cursor = read_be64(saved), partial = read_be64(saved);
    uint32_t have = read_be32(saved);
    if (cursor > l->cursor)
        l->cursor = cursor;
    if (partial > l->partial || (partial == l->partial && have > l->partial_have)) {
        l->partial = partial;
        l->partial_have = have;
    }
    if (l->partial <= l->cursor)
        return true;
    int rc = store_outbox_next(b->store, p->id, class, l->partial - 1, INLINE_PAYLOAD_MAX, &l->row);
    if (rc != 0)
        return !custody_failed(b, rc);
    if (l->row.number != l->partial || l->row.gap || l->partial_have > l->row.payload_len) {
        msg_free(l->row.msg);
        return true;
    }
    /* Its last piece is under way as well: it was given whole. */
    if (l->partial_have == l->row.payload_len) {
        l->cursor = l->partial;
        msg_free(l->row.msg);
        return true;
    }
    l->have_row = true;
    l->offset = l->partial_have;
    return true;
}

bool sender_load_lanes(struct peer *p, const uint8_t *bytes, size_t n)
{
    struct reader saved = reader_of(bytes, n == LANES_BYTES ? n : 0);
    for (int c = 0; c < CLASS_COUNT; c++)
        if (!begin_lane(p, (enum msg_class)c, &saved))
            return false;
    /* What tells of the loss may not have arrived: all of it goes again, in a new epoch. */
    if (read_u8(&saved) == 1 && !saved.bad) {
        sender_forget_topics(p);
        p->restart_channel = true;
    }
    return true;
}
