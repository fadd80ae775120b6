/* Outbox -> records of one peer's channel. The channel pulls a record when a frame has room, so that what has not left can
 * still be overtaken. Alarms first; high, normal and bulk share the rest 8:4:1 by bytes. Large payloads go in pieces.
 *
 * Within a class records leave in the order of their numbers. `cursor` is the last number given; it goes back to the peer's
 * mark with each handshake. Nothing is given that is not committed, so a number is never seen with two contents. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SENT_MAX       65536   /* records given and not acknowledged; many tiny ones fit a frame */
#define LEFT_AHEAD     256     /* numbers that one commit allows to leave (store_set_may_have_left) */
#define LEFT_AHEAD_DATAGRAM 1024 /* ... where a frame may carry so many */
#define LEFT_LOW       64      /* fewer than this to go: allow more with the next commit */
#define LEFT_LOW_DATAGRAM 768
#define QUANTUM        256     /* bytes a weight of 1 may send in its turn */
#define DATAGRAM_PIECE_MIN 8   /* payload bytes */
#define DATAGRAM_RESERVE   128 /* of an mtu: header, announcement without its name, tag, and a record's own fields */
#define RECORD_COST    8       /* bytes a record is charged with in the sharing, beside its payload */

static const int64_t weights[CLASS_COUNT] = {[CLASS_HIGH] = 8, [CLASS_NORMAL] = 4, [CLASS_BULK] = 1};

/* ---- what was given ---- */

/* Return: false: as many as may be, or no memory, which ends the epoch: a lane that just waited would wait for ever. */
bool sender_push(struct peer *p, struct sent what)
{
    struct sender *s = &p->sender;
    if (s->sent_count == s->sent_size) {
        size_t size = s->sent_size ? 2 * s->sent_size : 64;
        if (size > SENT_MAX)
            return false;
        struct sent *more = malloc(size * sizeof *more);
        if (!more) {
            custody_failed(p->bridge, -ENOMEM);
            return false;
        }
        for (size_t i = 0; i < s->sent_count; i++)
            more[i] = s->sent[(s->sent_head + i) % s->sent_size];
        free(s->sent);
        s->sent = more;
        s->sent_size = size;
        s->sent_head = 0;
    }
    s->sent[(s->sent_head + s->sent_count++) % s->sent_size] = what;
    return true;
}

/* ---- lanes ---- */

void sender_drop_row(struct lane *l)
{
    if (l->have_row)
        msg_free(l->row.msg);
    l->have_row = false;
    l->offset = 0;
}

uint64_t sender_fixed(const struct peer *p, enum msg_class class)
{
    const struct sender *s = &p->sender;
    const struct lane *l = &s->lanes[class];
    uint64_t fixed = l->have_row && l->offset ? l->row.number : l->cursor;
    /* A datagram link has no handshake that tells the fate of what an earlier process sent, or this one in an epoch that is over. */
    uint64_t left = s->datagram ? l->left_to : s->greeted ? 0 : l->may_have_left;
    return fixed > left ? fixed : left;
}

void sender_changed(struct peer *p, enum msg_class class)
{
    struct lane *l = &p->sender.lanes[class];
    if (l->offset == 0)
        sender_drop_row(l);
    l->empty = false;
    p->sender.uncommitted = true;
}

/* Topic, properties and hops are not cut: they must fit a frame with a little of the payload. */
static bool fits_datagram(const struct peer *p, const struct msg *m)
{
    return (size_t)m->topic_len + m->props_len + m->hops_len + DATAGRAM_PIECE_MIN + DATAGRAM_RESERVE +
               strlen(p->bridge->config->site_name) <= p->mtu;
}

/* The next row of the lane becomes a gap record, which goes out after the commit. Return: false, for the caller to pass on. */
static bool give_up(struct peer *p, enum msg_class class, enum gap_reason reason, const char *counter)
{
    struct lane *l = &p->sender.lanes[class];
    if (custody_failed(p->bridge, store_outbox_discard(p->bridge->store, p->id, class, l->row.number, reason, l->cursor)))
        return false;
    bridge_count(p, counter, 1);
    sender_changed(p, class);
    custody_dirty(p->bridge, 0);
    return false;
}

bool sender_lane_ready(struct peer *p, enum msg_class class)
{
    struct sender *s = &p->sender;
    struct bridge *b = p->bridge;
    struct lane *l = &s->lanes[class];
    if (!(p->bridge->config->links[p->link].carry & 1u << class))
        return false;
    if (l->lost_to)
        return true;
    if (!l->have_row && !l->empty) {
        int rc = store_outbox_next(b->store, p->id, class, l->cursor, INLINE_PAYLOAD_MAX, &l->row);
        l->have_row = rc == 0;
        l->empty = rc != 0;
        l->offset = 0;
        if (custody_failed(b, rc))
            return false;
    }
    if (l->tell_to && l->offset == 0 && sender_tell_lost(p, class))
        return true;
    if (!l->have_row)
        return false;
    if (l->row.number > s->committed) {
        sender_drop_row(l); /* not on disk yet: it may still change or never be */
        return false;
    }
    if (l->row.number > l->may_have_left) {
        custody_dirty(b, 0); /* sender_before_commit allows more */
        return false;
    }
    if (l->row.gap || l->offset)
        return true;
    if (l->row.expire_age_ms <= bridge_age(b))
        return give_up(p, class, GAP_EXPIRED, "dropped.expired");
    if (s->datagram && !fits_datagram(p, l->row.msg))
        return give_up(p, class, GAP_OVERSIZE, "dropped.oversize");
    if (s->peer_max_message && l->row.payload_len > s->peer_max_message)
        return give_up(p, class, GAP_OVERSIZE, "dropped.oversize");
    return true;
}

/* The class whose turn it is, or -1. */
static int choose(struct peer *p)
{
    struct sender *s = &p->sender;
    if (sender_lane_ready(p, CLASS_ALARM))
        return CLASS_ALARM;
    bool ready[CLASS_COUNT] = {false};
    bool any = false;
    for (int c = CLASS_HIGH; c < CLASS_COUNT && !s->uncommitted; c++) {
        ready[c] = sender_lane_ready(p, (enum msg_class)c);
        any = any || ready[c];
        if (!ready[c])
            s->lanes[c].deficit = 0; /* who has nothing to send saves nothing up */
    }
    if (!any || s->uncommitted)
        return -1;
    for (;;) {
        int c = CLASS_HIGH + (int)(s->turn % (CLASS_COUNT - 1));
        struct lane *l = &s->lanes[c];
        if (ready[c] && l->deficit > 0)
            return c;
        s->turn++;
        c = CLASS_HIGH + (int)(s->turn % (CLASS_COUNT - 1));
        if (ready[c])
            s->lanes[c].deficit += QUANTUM * weights[c];
    }
}

/* ---- records ---- */

static bool give_reset(struct peer *p, struct record *r)
{
    struct sender *s = &p->sender;
    if (!sender_push(p, (struct sent){.kind = SENT_OTHER}))
        return false;
    if (custody_failed(p->bridge, store_topics_clear(p->bridge->store, p->id, STORE_OUT)) ||
        custody_failed(p->bridge, sender_load_topics(p)))
        return false;
    custody_dirty(p->bridge, COMMIT_LATEST_MS);
    s->reset_topics = false;
    *r = (struct record){.type = RECORD_TOPICS_RESET};
    return true;
}

static bool give_lost(struct peer *p, enum msg_class class, struct record *r)
{
    struct lane *l = &p->sender.lanes[class];
    if (!sender_push(p, (struct sent){.kind = SENT_OTHER, .class = class}))
        return false;
    *r = (struct record){
        .type = RECORD_GAP,
        .class = class,
        .number = l->lost_to,
        .previous = l->cursor,
        .first_number = l->cursor + 1,
        .count = l->lost_count,
        .reason = GAP_LOST,
        .route = "",
    };
    l->cursor = l->lost_to;
    l->lost_to = 0;
    p->sender.lost_given = p->sender.acked + p->sender.sent_count;
    return true;
}

static bool give_gap(struct peer *p, enum msg_class class, struct record *r)
{
    struct lane *l = &p->sender.lanes[class];
    if (!sender_push(p, (struct sent){.kind = SENT_GAP, .class = class, .number = l->row.number}))
        return false;
    *r = (struct record){
        .type = RECORD_GAP,
        .class = class,
        .number = l->row.number,
        .previous = l->cursor,
        .first_number = l->row.first_number,
        .count = l->row.count,
        .reason = l->row.reason,
        .from_ms = l->row.from_ms,
        .to_ms = l->row.to_ms,
        .route = l->row.route,
        .route_len = (uint32_t)strlen(l->row.route),
    };
    l->cursor = l->row.number;
    /* The route's name lies in l->row, which stays as it is until the next row is read. */
    l->have_row = false;
    return true;
}

/* The bytes of the next piece, in memory that lives until the next call for the lane. NULL: the store or memory failed. */
static const uint8_t *piece(struct peer *p, enum msg_class class, uint32_t n)
{
    struct bridge *b = p->bridge;
    struct lane *l = &p->sender.lanes[class];
    if (l->row.msg->payload || n == 0)
        return l->row.msg->payload ? l->row.msg->payload + l->offset : (const uint8_t *)"";
    if (l->piece_size < n) {
        uint8_t *more = realloc(l->piece, n);
        if (!more) {
            custody_failed(b, -ENOMEM);
            return NULL;
        }
        l->piece = more;
        l->piece_size = n;
    }
    int rc = store_outbox_read(b->store, p->id, class, l->row.number, l->offset, l->piece, n);
    if (rc > 0)
        rc = -EIO; /* the row cannot be gone: it was read and is not acknowledged */
    return custody_failed(b, rc) ? NULL : l->piece;
}

static void describe_message(struct peer *p, const struct lane *l, struct record *r)
{
    const struct msg *m = l->row.msg;
    r->qos = m->qos;
    r->retain = m->retain;
    r->has_origin = p->config->timestamps != TIMESTAMPS_NO && m->origin_ms != 0;
    r->origin_in_ms = p->config->timestamps == TIMESTAMPS_MS;
    r->origin_ms = m->origin_ms;
    if (m->expiry_ms != MSG_NO_EXPIRY) {
        int64_t left = m->expiry_ms - (bridge_age(p->bridge) - l->row.queued_age_ms);
        r->has_expiry = true;
        r->expiry_s = left > 0 ? (uint64_t)(left + 999) / 1000 : 0;
    }
    r->props = m->props;
    r->props_len = m->props_len;
    r->hops = m->hops;
    r->hops_len = m->hops_len;
    r->total = l->row.payload_len;
}

/* On a datagram link a late frame may still name a slot's old topic: filled slots stay as they are. */
static bool may_define(struct sender *s)
{
    return !s->datagram || !topic_slots_get(s->topics, topic_slots_victim(s->topics));
}

/* Beside the payload, the texts of a first piece must fit the frame; where this one has no room left, a small piece begins the next. */
static uint32_t datagram_piece(const struct lane *l, unsigned slot, uint32_t left, size_t room)
{
    const struct msg *m = l->row.msg;
    size_t text = l->offset ? 0 : m->props_len + m->hops_len + (slot == RECORD_NO_SLOT ? m->topic_len : 0);
    room = room > text ? room - text : 0;
    if (room < DATAGRAM_PIECE_MIN)
        room = DATAGRAM_PIECE_MIN;
    return left <= room ? left : (uint32_t)room;
}

static bool give_piece(struct peer *p, enum msg_class class, size_t room, struct record *r)
{
    struct sender *s = &p->sender;
    struct lane *l = &s->lanes[class];
    unsigned slot = RECORD_NO_SLOT;
    if (l->offset == 0 && !topic_slots_find(s->topics, l->row.msg->topic, &slot) && may_define(s)) {
        if (!sender_push(p, (struct sent){.kind = SENT_TOPIC}))
            return false;
        if (!sender_define_topic(p, l->row.msg->topic, &slot)) {
            s->sent_count--;
            return false;
        }
        s->sent[(s->sent_head + s->sent_count - 1) % s->sent_size].number = slot;
        *r = (struct record){
            .type = RECORD_TOPIC,
            .slot = slot,
            .topic = l->row.msg->topic,
            .topic_len = l->row.msg->topic_len,
        };
        return true;
    }
    if (slot != RECORD_NO_SLOT && !sender_slot_usable(p, slot))
        slot = RECORD_NO_SLOT;
    uint32_t left = l->row.payload_len - l->offset;
    uint32_t n = s->datagram ? datagram_piece(l, slot, left, room)
                             : channel_piece(p->channel, class, slot, l->offset > 0, left, room);
    const uint8_t *bytes = piece(p, class, n);
    if (!bytes)
        return false;
    enum sent_kind kind = n == left ? SENT_MESSAGE : SENT_PIECE;
    if (!sender_push(p, (struct sent){.kind = kind, .class = class, .number = l->row.number}))
        return false;
    *r = (struct record){
        .type = l->offset ? RECORD_CHUNK : RECORD_MESSAGE,
        .class = class,
        .number = l->row.number,
        .previous = l->cursor,
        .slot = slot,
        .topic = slot == RECORD_NO_SLOT ? l->row.msg->topic : NULL,
        .topic_len = slot == RECORD_NO_SLOT ? l->row.msg->topic_len : 0,
        .offset = l->offset,
        .bytes = bytes,
        .len = n,
    };
    if (l->offset == 0)
        describe_message(p, l, r);
    else
        r->total = l->row.payload_len;
    l->deficit -= n + RECORD_COST;
    l->offset += n;
    if (kind == SENT_MESSAGE)
        l->cursor = l->row.number;
    return true;
}

bool sender_next_record(struct peer *p, size_t room, struct record *r)
{
    struct sender *s = &p->sender;
    if (p->bridge->failed || !s->greeted || s->uncommitted)
        return false;
    /* A message given whole keeps its row until here, since the record pointed into it. */
    for (int c = 0; c < CLASS_COUNT; c++)
        if (s->lanes[c].have_row && s->lanes[c].row.number <= s->lanes[c].cursor)
            sender_drop_row(&s->lanes[c]);
    if (s->reset_topics)
        return give_reset(p, r);
    int class = choose(p);
    if (class < 0)
        return false;
    struct lane *l = &s->lanes[class];
    sender_remember(p, (enum msg_class)class);
    if (l->lost_to) {
        bool told = give_lost(p, (enum msg_class)class, r);
        s->given_top -= !told;
        return told;
    }
    uint64_t number = l->row.number;
    bool given = l->row.gap ? give_gap(p, (enum msg_class)class, r) : give_piece(p, (enum msg_class)class, room, r);
    if (!given || r->type == RECORD_TOPIC)
        s->given_top--;
    if (!given)
        return false;
    l->left_to = number > l->left_to ? number : l->left_to;
    return true;
}

bool sender_waits(struct peer *p)
{
    struct bridge *b = p->bridge;
    for (int c = 0; c < CLASS_COUNT && !b->failed; c++) {
        struct outbox_row row;
        int rc = store_outbox_next(b->store, p->id, (enum msg_class)c, 0, 0, &row);
        if (rc == 0)
            msg_free(row.msg);
        if (rc == 0 || custody_failed(b, rc))
            return rc == 0;
    }
    return false;
}

/* ---- commit ---- */

/* The number of the row that the class sends next, 0 = none or the store failed. */
static uint64_t next_in_line(struct peer *p, enum msg_class class)
{
    const struct lane *l = &p->sender.lanes[class];
    if (l->have_row)
        return l->row.number;
    struct outbox_row row;
    int rc = store_outbox_next(p->bridge->store, p->id, class, l->cursor, 0, &row);
    if (rc != 0) {
        custody_failed(p->bridge, rc);
        return 0;
    }
    msg_free(row.msg);
    return row.number;
}

void sender_before_commit(struct peer *p)
{
    struct sender *s = &p->sender;
    struct bridge *b = p->bridge;
    struct store_queue q;
    if (custody_failed(b, store_peer_queue(b->store, p->id, &q)))
        return;
    s->next_committed = q.next_number ? q.next_number - 1 : 0;
    for (int c = 0; c < CLASS_COUNT; c++) {
        struct lane *l = &s->lanes[c];
        l->next_may_have_left = l->may_have_left;
        if (!s->greeted || !p->link_up || l->may_have_left >= s->next_committed)
            continue;
        if (!q.class_messages[c] && !q.class_gaps[c])
            continue; /* most classes, most of the time: not worth a look into the outbox */
        /* Numbers are shared by the classes: the next one of this class may lie far beyond the last. It is looked for here:
         * an alarm that had to ask for a commit first would miss the frame that is built meanwhile. */
        uint64_t next = next_in_line(p, (enum msg_class)c);
        if (next == 0 || (l->may_have_left >= next && l->may_have_left - next >= (s->datagram ? LEFT_LOW_DATAGRAM : LEFT_LOW)))
            continue;
        uint64_t left = next + (s->datagram ? LEFT_AHEAD_DATAGRAM : LEFT_AHEAD);
        if (left > s->next_committed)
            left = s->next_committed;
        if (custody_failed(b, store_set_may_have_left(b->store, p->id, (enum msg_class)c, left)))
            return;
        l->next_may_have_left = left;
    }
}

void sender_after_commit(struct peer *p)
{
    struct sender *s = &p->sender;
    bool more = s->uncommitted || s->next_committed != s->committed;
    s->committed = s->next_committed;
    s->uncommitted = false;
    for (int c = 0; c < CLASS_COUNT; c++) {
        struct lane *l = &s->lanes[c];
        more = more || l->may_have_left != l->next_may_have_left;
        l->may_have_left = l->next_may_have_left;
    }
    if (more)
        for (int c = 0; c < CLASS_COUNT; c++)
            s->lanes[c].empty = false;
    if (more || s->kick)
        channel_kick(p->channel, p->bridge->now.mono_ms);
    s->kick = false;
}

/* ---- life ---- */

int sender_reload(struct peer *p)
{
    struct sender *s = &p->sender;
    struct bridge *b = p->bridge;
    s->sent_count = s->sent_head = 0;
    s->tell_lost = sender_telling(p);
    s->acked = 0;
    s->greeted = s->uncommitted = s->reset_topics = false;
    s->lost_given = 0;
    struct store_queue q;
    int rc = store_peer_queue(b->store, p->id, &q);
    if (rc < 0)
        return rc;
    s->committed = q.next_number ? q.next_number - 1 : 0;
    for (int c = 0; c < CLASS_COUNT; c++) {
        struct lane *l = &s->lanes[c];
        sender_drop_row(l);
        l->empty = false;
        l->lost_to = l->tell_to = 0;
        l->cursor = 0;
        l->waiting = false;
        rc = store_may_have_left(b->store, p->id, (enum msg_class)c, &l->may_have_left);
        if (rc < 0)
            return rc;
        l->next_may_have_left = l->left_to = l->may_have_left;
    }
    return sender_load_topics(p);
}

int sender_init(struct peer *p)
{
    p->sender.topics = topic_slots_new();
    return p->sender.topics ? sender_reload(p) : -ENOMEM;
}

void sender_fini(struct peer *p)
{
    struct sender *s = &p->sender;
    for (int c = 0; c < CLASS_COUNT; c++) {
        sender_drop_row(&s->lanes[c]);
        free(s->lanes[c].piece);
    }
    for (size_t i = 0; i < s->pending_count; i++)
        free(s->pending[i].topic);
    free(s->pending);
    free(s->sent);
    topic_slots_free(s->topics);
}
