/* What the peer has of ours: acknowledgements, and the marks of a handshake. What it has is settled in the store; what it
 * has not goes (again). */
#include "gateway/bridge/internal.h"

#include <string.h>

#define SETTLE_BATCH 1024 /* rows settled in one call, so that a turn stays short */

static bool settle(struct peer *p, const struct sent *sent)
{
    struct bridge *b = p->bridge;
    int rc = 0;
    switch (sent->kind) {
    case SENT_MESSAGE:
        rc = store_outbox_settle(b->store, p->id, sent->class, sent->number, true);
        if (rc == 0)
            bridge_count(p, "delivered", 1);
        break;
    case SENT_GAP:
        rc = store_outbox_settle(b->store, p->id, sent->class, sent->number, false);
        break;
    case SENT_TOPIC:
        return sender_confirm_topic(p, (unsigned)sent->number);
    case SENT_PIECE:
    case SENT_OTHER:
        break;
    }
    return !custody_failed(b, rc);
}

void sender_acked(struct peer *p, uint64_t count)
{
    struct sender *s = &p->sender;
    while (s->acked < count && s->sent_count && !p->bridge->failed) {
        struct sent sent = s->sent[s->sent_head];
        s->sent_head = (s->sent_head + 1) % s->sent_size;
        s->sent_count--;
        s->acked++;
        if (!settle(p, &sent))
            return;
    }
    custody_dirty(p->bridge, COMMIT_LATEST_MS);
}

/* Is a piece of this message still on its way? Its last piece alone settles nothing. */
static bool pieces_open(const struct sender *s, const struct sent *of)
{
    for (size_t i = 0; i < s->sent_count; i++) {
        const struct sent *e = &s->sent[(s->sent_head + i) % s->sent_size];
        if (!e->acked && (e->kind == SENT_PIECE || e->kind == SENT_MESSAGE) && e->class == of->class && e->number == of->number)
            return true;
    }
    return false;
}

void sender_acked_record(struct peer *p, uint64_t index)
{
    struct sender *s = &p->sender;
    if (index < s->acked || index - s->acked >= s->sent_count || p->bridge->failed)
        return;
    struct sent *e = &s->sent[(s->sent_head + (size_t)(index - s->acked)) % s->sent_size];
    if (e->acked)
        return;
    e->acked = true;
    struct sent done = *e;
    bool of_message = done.kind == SENT_PIECE || done.kind == SENT_MESSAGE;
    const struct lane *l = &s->lanes[done.class];
    if (of_message && (pieces_open(s, &done) || (l->have_row && l->row.number == done.number && l->cursor < done.number)))
        done.kind = SENT_PIECE; /* more of it is on its way or to come */
    else if (of_message)
        done.kind = SENT_MESSAGE;
    while (s->sent_count && s->sent[s->sent_head].acked) {
        s->sent_head = (s->sent_head + 1) % s->sent_size;
        s->sent_count--;
        s->acked++;
    }
    if (settle(p, &done))
        custody_dirty(p->bridge, COMMIT_LATEST_MS);
}

struct lost {
    enum msg_class class;
    uint64_t above, to, count;
};

static bool count_lost(void *ctx, uint64_t number, const struct msg *m)
{
    struct lost *l = ctx;
    if (m->class == l->class && number > l->above && number <= l->to)
        l->count++;
    return number > l->above;
}

/* A peer without a handshake has a new store, or an older one: what it had of ours, and we have no more, is told to be lost. Of what
 * of that it still has it knows itself. */
static bool begin_telling(struct peer *p, enum msg_class class)
{
    struct lane *l = &p->sender.lanes[class];
    l->lost_age_ms = bridge_age(p->bridge);
    return !custody_failed(p->bridge, store_settled_to(p->bridge->store, p->id, class, &l->tell_to));
}

bool sender_tell_lost(struct peer *p, enum msg_class class)
{
    struct lane *l = &p->sender.lanes[class];
    /* What is still queued is not lost, nor is anything closed that lies behind it. */
    uint64_t to = l->have_row && l->row.number <= l->tell_to ? l->row.number - 1 : l->tell_to;
    struct lost lost = {class, l->cursor, to, 0};
    if (to > l->cursor &&
        custody_failed(p->bridge, store_history_newest(p->bridge->store, p->id, STORE_OUT, UINT_MAX, UINT64_MAX, count_lost, &lost)))
        return false;
    if (to == l->tell_to)
        l->tell_to = 0;
    if (to <= l->cursor || (lost.count == 0 && l->cursor > 0))
        return false;
    l->lost_to = to;
    l->lost_count = lost.count;
    return true;
}

bool sender_telling(const struct peer *p)
{
    const struct sender *s = &p->sender;
    bool telling = s->tell_lost || s->lost_given > s->acked;
    for (int c = 0; c < CLASS_COUNT; c++)
        telling |= s->lanes[c].lost_to > 0 || s->lanes[c].tell_to > 0;
    return telling;
}

/* The newest number of the class that is settled, where nothing before it is still queued: what tell_lost would tell of. */
static uint64_t settled_whole(struct peer *p, enum msg_class class)
{
    uint64_t to = 0;
    struct outbox_row row;
    if (custody_failed(p->bridge, store_settled_to(p->bridge->store, p->id, class, &to)))
        return 0;
    int rc = store_outbox_next(p->bridge->store, p->id, class, 0, 0, &row);
    if (custody_failed(p->bridge, rc))
        return 0;
    if (rc == 0)
        msg_free(row.msg);
    return rc == 0 && row.number <= to ? 0 : to;
}

void sender_settled(struct peer *p, uint64_t up_to[CLASS_COUNT])
{
    for (int c = 0; c < CLASS_COUNT && !sender_telling(p); c++)
        up_to[c] = settled_whole(p, (enum msg_class)c);
}

void sender_epoch(struct peer *p)
{
    struct sender *s = &p->sender;
    s->tell_lost = sender_telling(p); /* what told of it did not arrive, or has not left */
    s->lost_given = 0;
    s->sent_count = s->sent_head = 0;
    s->acked = 0;
    for (int c = 0; c < CLASS_COUNT; c++) {
        sender_drop_row(&s->lanes[c]);
        s->lanes[c].cursor = s->lanes[c].lost_to = s->lanes[c].tell_to = 0;
        s->lanes[c].partial = 0;
        s->lanes[c].partial_have = 0;
        s->lanes[c].empty = false;
    }
    s->greeted = !custody_failed(p->bridge, sender_load_topics(p));
    for (int c = 0; c < CLASS_COUNT && s->greeted && s->tell_lost; c++)
        s->greeted = begin_telling(p, (enum msg_class)c);
    s->tell_lost = false;
}

bool sender_ever_settled(struct peer *p)
{
    bool any = p->sender.confirmed.sequence > 0;
    for (int c = 0; c < CLASS_COUNT && !any; c++) {
        uint64_t to = 0;
        any = !custody_failed(p->bridge, store_settled_to(p->bridge->store, p->id, (enum msg_class)c, &to)) && to > 0;
    }
    return any;
}

void sender_forget_topics(struct peer *p)
{
    if (custody_failed(p->bridge, store_topics_clear(p->bridge->store, p->id, STORE_OUT)) ||
        custody_failed(p->bridge, sender_load_topics(p)))
        return;
    p->sender.tell_lost = true;
    custody_dirty(p->bridge, COMMIT_SOON_MS);
}

/* The peer's mark of a class after a handshake: what it covers is delivered, what is above goes (again). */
static bool begin_lane(struct peer *p, enum msg_class class, const struct channel_marks *theirs)
{
    struct bridge *b = p->bridge;
    struct lane *l = &p->sender.lanes[class];
    uint64_t mark = theirs->cumulative[class];
    sender_drop_row(l);
    l->empty = false;
    l->lost_to = l->tell_to = 0;
    l->cursor = mark;

    int rc;
    do {
        uint64_t settled = 0;
        rc = store_outbox_settle_to(b->store, p->id, class, mark, true, SETTLE_BATCH, &settled);
        if (custody_failed(b, rc))
            return false;
        bridge_count(p, "delivered", settled);
    } while (rc == 1);

    /* A peer that once had more than it says (its store is gone or an older copy): we have those messages no more. */
    uint64_t settled_to;
    if (custody_failed(b, store_settled_to(b->store, p->id, class, &settled_to)))
        return false;
    if (settled_to > mark) {
        struct lost lost = {class, mark, settled_to, 0};
        if (custody_failed(b, store_history_newest(b->store, p->id, STORE_OUT, UINT_MAX, UINT64_MAX, count_lost, &lost)))
            return false;
        l->lost_to = settled_to;
        l->lost_count = lost.count;
        return true;
    }
    if (!theirs->partial[class] || !sender_lane_ready(p, class) || l->row.gap)
        return true;
    if (l->row.number == theirs->partial_number[class] && theirs->partial_have[class] > 0 &&
        theirs->partial_have[class] < l->row.payload_len)
        l->offset = theirs->partial_have[class];
    return true;
}

void sender_greeted(struct peer *p, const struct channel_marks *theirs)
{
    struct sender *s = &p->sender;
    struct bridge *b = p->bridge;
    s->sent_count = s->sent_head = 0;
    s->acked = 0;
    s->greeted = false;
    for (int c = 0; c < CLASS_COUNT; c++) {
        if (theirs->cumulative[c] <= s->committed)
            continue;
        bridge_logf(b, BRIDGE_ERR, "peer", "claims to have messages that were never sent: nothing is sent to it peer=%s "
                    "class=%s number=%llu", p->config->name, msg_class_name((enum msg_class)c),
                    (unsigned long long)theirs->cumulative[c]);
        return;
    }
    s->greeted = true;
    s->peer_max_message = theirs->max_message;
    if (!sender_agree_on_topics(p, theirs))
        return;
    for (int c = 0; c < CLASS_COUNT; c++)
        if (!begin_lane(p, (enum msg_class)c, theirs))
            return;
    /* A table that is begun anew gives the tail's topics other slots than the peer's. */
    if (!s->reset_topics)
        peers_tail_out(p, theirs->history_tail);
    custody_dirty(b, 0);
}
