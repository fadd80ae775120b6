/* Outbox -> records of one peer's channel. The channel pulls a record when a frame has room, so that what has not left can
 * still be overtaken. Alarms first; high, normal and bulk share the rest 8:4:1 by bytes. Large payloads go in pieces.
 *
 * Within a class records leave in the order of their numbers. `cursor` is the last number given; it goes back to the peer's
 * mark with each handshake. Nothing is given that is not committed, so a number is never seen with two contents. */
#include "gateway/bridge/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SENT_MAX       65536   /* records given and not acknowledged; many tiny ones fit a frame */
#define DEFINITIONS_MAX 2048   /* topic definitions not yet acknowledged */
#define LEFT_AHEAD     256     /* numbers that one commit allows to leave (store_set_may_have_left) */
#define LEFT_LOW       64      /* fewer than this to go: allow more with the next commit */
#define QUANTUM        256     /* bytes a weight of 1 may send in its turn */
#define SETTLE_BATCH   1024
#define RECORD_COST    8       /* bytes a record is charged with in the sharing, beside its payload */

static const int64_t weights[CLASS_COUNT] = {[CLASS_HIGH] = 8, [CLASS_NORMAL] = 4, [CLASS_BULK] = 1};

/* ---- what was given ---- */

static bool push_sent(struct sender *s, struct sent what)
{
    if (s->sent_count == s->sent_size) {
        size_t size = s->sent_size ? 2 * s->sent_size : 64;
        if (size > SENT_MAX)
            return false;
        struct sent *more = malloc(size * sizeof *more);
        if (!more)
            return false;
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

/* ---- topic definitions under way ---- */

static bool define_topic(struct sender *s, const char *topic, unsigned *slot)
{
    if (s->pending_count == DEFINITIONS_MAX)
        return false;
    if (s->pending_count == s->pending_size) {
        size_t size = s->pending_size ? 2 * s->pending_size : 16;
        struct topic_definition *more = realloc(s->pending, size * sizeof *more);
        if (!more)
            return false;
        s->pending = more;
        s->pending_size = size;
    }
    char *copy = strdup(topic);
    if (!copy)
        return false;
    *slot = topic_slots_victim(s->topics);
    if (topic_slots_set(s->topics, *slot, topic, strlen(topic)) != 0) {
        free(copy);
        return false;
    }
    s->pending[s->pending_count++] = (struct topic_definition){*slot, copy};
    return true;
}

/* The oldest definition is on the peer's disk: write it to ours. */
static bool confirm_definition(struct peer *p)
{
    struct sender *s = &p->sender;
    struct bridge *b = p->bridge;
    assert(s->pending_count > 0);
    struct topic_definition d = s->pending[0];
    memmove(s->pending, s->pending + 1, --s->pending_count * sizeof *s->pending);
    int rc = store_topic_set(b->store, p->id, STORE_OUT, d.slot, d.topic, strlen(d.topic));
    free(d.topic);
    if (rc >= 0)
        rc = store_topics_state(b->store, p->id, STORE_OUT, &s->confirmed);
    return !custody_failed(b, rc);
}

static void drop_definitions(struct sender *s)
{
    for (size_t i = 0; i < s->pending_count; i++)
        free(s->pending[i].topic);
    s->pending_count = 0;
}

static void load_topic(void *ctx, unsigned slot, const char *topic, size_t n)
{
    struct topic_slots *t = ctx;
    if (topic_slots_set(t, slot, topic, n) != 0)
        return; /* out of memory: the topic is defined again, at the cost of its text */
}

static int load_topics(struct peer *p)
{
    struct sender *s = &p->sender;
    topic_slots_clear(s->topics);
    int rc = store_topics_each(p->bridge->store, p->id, STORE_OUT, load_topic, s->topics);
    return rc < 0 ? rc : store_topics_state(p->bridge->store, p->id, STORE_OUT, &s->confirmed);
}

/* Brings our table to what the peer says it has: as confirmed, or with some of the definitions that were under way. What it has
 * and we do not know of (we crashed after sending it) shows in the hash, and the table is begun anew. */
static bool agree_on_topics(struct peer *p, const struct channel_marks *theirs)
{
    struct sender *s = &p->sender;
    while (s->pending_count && s->confirmed.sequence < theirs->topics_sequence)
        if (!confirm_definition(p))
            return false;
    drop_definitions(s);
    s->reset_topics = s->confirmed.sequence != theirs->topics_sequence || s->confirmed.hash != theirs->topics_hash;
    return !custody_failed(p->bridge, load_topics(p));
}

/* ---- lanes ---- */

static void drop_row(struct lane *l)
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
    return s->greeted || fixed > l->may_have_left ? fixed : l->may_have_left;
}

void sender_changed(struct peer *p, enum msg_class class)
{
    struct lane *l = &p->sender.lanes[class];
    if (l->offset == 0)
        drop_row(l);
    l->empty = false;
    p->sender.uncommitted = true;
}

/* Reads the next row ahead. Return: true: l->row is there and may be given now. */
static bool lane_ready(struct peer *p, enum msg_class class)
{
    struct sender *s = &p->sender;
    struct bridge *b = p->bridge;
    struct lane *l = &s->lanes[class];
    if (l->lost_to)
        return true;
    if (!l->have_row) {
        if (l->empty)
            return false;
        int rc = store_outbox_next(b->store, p->id, class, l->cursor, INLINE_PAYLOAD_MAX, &l->row);
        if (rc != 0) {
            l->empty = true;
            custody_failed(b, rc);
            return false;
        }
        l->have_row = true;
        l->offset = 0;
    }
    if (l->row.number > s->committed) {
        drop_row(l); /* not on disk yet: it may still change or never be */
        return false;
    }
    if (l->row.number > l->may_have_left) {
        custody_dirty(b, 0); /* sender_before_commit allows more */
        return false;
    }
    if (!l->row.gap && l->offset == 0 && l->row.expire_age_ms <= bridge_age(b)) {
        if (custody_failed(b, store_outbox_discard(b->store, p->id, class, l->row.number, GAP_EXPIRED, l->cursor)))
            return false;
        bridge_count(p, "dropped.expired", 1);
        sender_changed(p, class);
        custody_dirty(b, 0);
        return false;
    }
    return true;
}

/* The class whose turn it is, or -1. */
static int choose(struct peer *p)
{
    struct sender *s = &p->sender;
    if (lane_ready(p, CLASS_ALARM))
        return CLASS_ALARM;
    bool ready[CLASS_COUNT] = {false};
    bool any = false;
    for (int c = CLASS_HIGH; c < CLASS_COUNT && !s->uncommitted; c++) {
        ready[c] = lane_ready(p, (enum msg_class)c);
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
    if (!push_sent(s, (struct sent){.kind = SENT_OTHER}))
        return false;
    if (custody_failed(p->bridge, store_topics_clear(p->bridge->store, p->id, STORE_OUT)) ||
        custody_failed(p->bridge, load_topics(p)))
        return false;
    custody_dirty(p->bridge, COMMIT_LATEST_MS);
    s->reset_topics = false;
    *r = (struct record){.type = RECORD_TOPICS_RESET};
    return true;
}

static bool give_lost(struct peer *p, enum msg_class class, struct record *r)
{
    struct lane *l = &p->sender.lanes[class];
    if (!push_sent(&p->sender, (struct sent){.kind = SENT_OTHER, .class = class}))
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
    return true;
}

static bool give_gap(struct peer *p, enum msg_class class, struct record *r)
{
    struct lane *l = &p->sender.lanes[class];
    if (!push_sent(&p->sender, (struct sent){SENT_GAP, class, l->row.number}))
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

/* The bytes of the next piece, in memory that lives until the next call for the lane. NULL: the store failed. */
static const uint8_t *piece(struct peer *p, enum msg_class class, uint32_t n)
{
    struct bridge *b = p->bridge;
    struct lane *l = &p->sender.lanes[class];
    if (l->row.msg->payload || n == 0)
        return l->row.msg->payload ? l->row.msg->payload + l->offset : (const uint8_t *)"";
    if (l->piece_size < n) {
        uint8_t *more = realloc(l->piece, n);
        if (!more)
            return NULL;
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

static bool give_piece(struct peer *p, enum msg_class class, size_t room, struct record *r)
{
    struct sender *s = &p->sender;
    struct lane *l = &s->lanes[class];
    unsigned slot = 0;
    if (l->offset == 0 && !topic_slots_find(s->topics, l->row.msg->topic, &slot)) {
        if (!push_sent(s, (struct sent){.kind = SENT_TOPIC}))
            return false;
        if (!define_topic(s, l->row.msg->topic, &slot)) {
            s->sent_count--;
            return false;
        }
        *r = (struct record){
            .type = RECORD_TOPIC,
            .slot = slot,
            .topic = l->row.msg->topic,
            .topic_len = l->row.msg->topic_len,
        };
        return true;
    }
    uint32_t left = l->row.payload_len - l->offset;
    uint32_t n = left;
    if (room > RECORD_CHUNK_MAX)
        room = RECORD_CHUNK_MAX;
    /* What fits a frame goes whole, if not in this one: a piece costs the far end a row of its own. */
    if (n > room && (l->offset || n > CHANNEL_WHOLE_BYTES))
        n = room ? (uint32_t)room : 1;
    const uint8_t *bytes = piece(p, class, n);
    if (!bytes)
        return false;
    enum sent_kind kind = n == left ? SENT_MESSAGE : SENT_PIECE;
    if (!push_sent(s, (struct sent){kind, class, l->row.number}))
        return false;
    *r = (struct record){
        .type = l->offset ? RECORD_CHUNK : RECORD_MESSAGE,
        .class = class,
        .number = l->row.number,
        .previous = l->cursor,
        .slot = slot,
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
            drop_row(&s->lanes[c]);
    if (s->reset_topics)
        return give_reset(p, r);
    int class = choose(p);
    if (class < 0)
        return false;
    struct lane *l = &s->lanes[class];
    if (l->lost_to)
        return give_lost(p, (enum msg_class)class, r);
    if (l->row.gap)
        return give_gap(p, (enum msg_class)class, r);
    return give_piece(p, (enum msg_class)class, room, r);
}

/* ---- what the peer has ---- */

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
        return confirm_definition(p);
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

struct lost {
    enum msg_class class;
    uint64_t above, count;
};

static bool count_lost(void *ctx, uint64_t number, const struct msg *m)
{
    struct lost *l = ctx;
    if (m->class == l->class && number > l->above)
        l->count++;
    return number > l->above;
}

/* The peer's mark of a class after a handshake: what it covers is delivered, what is above goes (again). */
static bool begin_lane(struct peer *p, enum msg_class class, const struct channel_marks *theirs)
{
    struct bridge *b = p->bridge;
    struct lane *l = &p->sender.lanes[class];
    uint64_t mark = theirs->cumulative[class];
    drop_row(l);
    l->empty = false;
    l->lost_to = 0;
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
        struct lost lost = {class, mark, 0};
        if (custody_failed(b, store_history_newest(b->store, p->id, STORE_OUT, UINT_MAX, UINT64_MAX, count_lost, &lost)))
            return false;
        l->lost_to = settled_to;
        l->lost_count = lost.count;
        return true;
    }
    if (!theirs->partial[class] || !lane_ready(p, class) || l->row.gap)
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
    if (!agree_on_topics(p, theirs))
        return;
    for (int c = 0; c < CLASS_COUNT; c++)
        if (!begin_lane(p, (enum msg_class)c, theirs))
            return;
    custody_dirty(b, 0);
}

/* ---- commit ---- */

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
        /* Numbers are shared by the classes: the next one of this class may lie far beyond the last. */
        bool stuck = l->have_row && l->row.number > l->may_have_left;
        bool plenty = l->may_have_left > l->cursor && l->may_have_left - l->cursor >= LEFT_LOW;
        if (!s->greeted || !p->link_up || l->may_have_left >= s->next_committed || (plenty && !stuck))
            continue;
        uint64_t left = l->cursor + LEFT_AHEAD;
        if (l->have_row && l->row.number + LEFT_AHEAD > left)
            left = l->row.number + LEFT_AHEAD;
        if (left < l->may_have_left || left > s->next_committed)
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
    s->acked = 0;
    s->greeted = s->uncommitted = s->reset_topics = false;
    drop_definitions(s);
    struct store_queue q;
    int rc = store_peer_queue(b->store, p->id, &q);
    if (rc < 0)
        return rc;
    s->committed = q.next_number ? q.next_number - 1 : 0;
    for (int c = 0; c < CLASS_COUNT; c++) {
        struct lane *l = &s->lanes[c];
        drop_row(l);
        l->empty = false;
        l->lost_to = 0;
        l->cursor = 0;
        rc = store_may_have_left(b->store, p->id, (enum msg_class)c, &l->may_have_left);
        if (rc < 0)
            return rc;
        l->next_may_have_left = l->may_have_left;
    }
    return load_topics(p);
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
        drop_row(&s->lanes[c]);
        free(s->lanes[c].piece);
    }
    drop_definitions(s);
    free(s->pending);
    free(s->sent);
    topic_slots_free(s->topics);
}
