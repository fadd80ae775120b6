/* Records of a peer -> inbox, and to other peers where it may forward. What a frame brought, its marks and the inbox rows are
 * one transaction (I2, I4); the frame is acknowledged after its commit. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/topic.h"

/* ---- topic table ---- */

static void load_topic(void *ctx, unsigned slot, const char *topic, size_t n)
{
    if (topic_slots_set(ctx, slot, topic, n) != 0)
        return; /* out of memory: records with this slot are answered with a new epoch, and the topic comes again */
}

int receiver_reload(struct peer *p)
{
    topic_slots_clear(p->topics_in);
    return store_topics_each(p->bridge->store, p->id, STORE_IN, load_topic, p->topics_in);
}

int receiver_init(struct peer *p)
{
    p->topics_in = topic_slots_new();
    return p->topics_in ? receiver_reload(p) : -ENOMEM;
}

void receiver_fini(struct peer *p)
{
    topic_slots_free(p->topics_in);
}

static int on_topic(struct peer *p, const struct record *r)
{
    if (!topic_name_valid(r->topic, r->topic_len))
        return -EPROTO;
    /* A frame that came twice defines nothing new. */
    const char *known = topic_slots_get(p->topics_in, r->slot);
    if (p->sender.datagram && known && strlen(known) == r->topic_len && memcmp(known, r->topic, r->topic_len) == 0)
        return 0;
    if (topic_slots_set(p->topics_in, r->slot, r->topic, r->topic_len) != 0) {
        custody_failed(p->bridge, -ENOMEM);
        return 0;
    }
    custody_failed(p->bridge, store_topic_set(p->bridge->store, p->id, STORE_IN, r->slot, r->topic, r->topic_len));
    return 0;
}

static int on_topics_reset(struct peer *p)
{
    topic_slots_clear(p->topics_in);
    custody_failed(p->bridge, store_topics_clear(p->bridge->store, p->id, STORE_IN));
    return 0;
}

static int on_gap(struct peer *p, const struct record *r);

/* Nobody has told the peer of the limit: the message is set aside, and its place settled. */
static int refuse_large(struct peer *p, const struct record *r)
{
    struct record gap = {.type = RECORD_GAP, .class = r->class, .number = r->number, .previous = r->previous, .first_number = r->number,
                         .count = 1, .reason = GAP_OVERSIZE, .route = ""};
    return on_gap(p, &gap);
}

/* Is everything of the class up to this number settled? */
static bool all_here(struct peer *p, enum msg_class class, uint64_t number)
{
    struct store_mark marks[CLASS_COUNT];
    struct store_remote of;
    int rc = store_marks(p->bridge->store, p->id, marks, &of);
    return !custody_failed(p->bridge, rc) && number <= marks[class].cumulative;
}

/* The first piece of one that the peer may not publish here: none of it is stored. It is settled at once, and what follows of it is
 * ignored (on_chunk). The history does not have it, so for a while the tails differ, and models begin without them. */
static void refuse_pieces(struct peer *p, const struct record *r, const char *topic)
{
    struct store_partial partial;
    int rc = store_partial_get(p->bridge->store, p->id, r->class, &partial);
    /* It was accepted when it began, and comes again under another configuration. */
    if (rc == 0 && partial.number == r->number)
        rc = store_partial_drop(p->bridge->store, p->id, r->class);
    if (!custody_failed(p->bridge, rc) && kept_settle_number(p, r->class, r->previous, r->number, NULL))
        arrival_not_accepted(p, topic);
}

/* The first piece of a large message. On a datagram link it may come twice, or before another large message of the class is whole: that
 * one's pieces are acknowledged, so it must not be given up. Nor is one begun before all its predecessors are here: one of those may
 * come in pieces, too, and there is room for the pieces of one message. */
static int on_first_piece(struct peer *p, const struct record *r, const char *topic)
{
    struct bridge *b = p->bridge;
    struct store_partial partial;
    if (p->sender.datagram) {
        int rc = store_partial_get(b->store, p->id, r->class, &partial);
        if (custody_failed(b, rc) || kept_is_settled(p, r->class, r->number))
            return 0;
        if (rc == 0 && partial.number == r->number) {
            /* Sent again, the message is cut elsewhere: the piece may reach beyond what is here. */
            if (partial.have < r->len)
                rc = store_partial_add(b->store, p->id, r->class, partial.have, r->bytes + partial.have, r->len - partial.have);
            custody_failed(b, rc > 0 ? -EIO : rc);
            return 0;
        }
        if ((rc == 0 && !kept_is_settled(p, r->class, partial.number)) || !all_here(p, r->class, r->previous))
            return -EPROTO;
    }
    kept_begin(p, r, topic);
    return 0;
}

static int on_message(struct peer *p, const struct record *r)
{
    const char *topic = topic_slots_get(p->topics_in, r->slot);
    char *text = NULL;
    if (r->slot == RECORD_NO_SLOT) {
        if (!topic_name_valid(r->topic, r->topic_len))
            return -EPROTO;
        topic = text = strndup(r->topic, r->topic_len);
    }
    if (!topic)
        return -ENOENT;
    int rc = 0;
    if (r->total > (uint64_t)p->config->max_message) {
        rc = p->sender.datagram ? refuse_large(p, r) : -EPROTO; /* it was told the limit in the handshake */
    } else if (r->len < r->total && !arrival_accepts(p, topic)) {
        refuse_pieces(p, r, topic);
    } else if (r->len < r->total) {
        rc = on_first_piece(p, r, topic);
    } else {
        struct msg *m = arrival_msg(p, r, topic, r->bytes, r->len);
        if (m)
            kept_deliver(p, r->previous, r->number, m);
        msg_free(m);
    }
    free(text);
    return rc;
}

static int on_chunk(struct peer *p, const struct record *r)
{
    struct bridge *b = p->bridge;
    struct store_partial partial;
    int rc = store_partial_get(b->store, p->id, r->class, &partial);
    if (custody_failed(b, rc))
        return 0;
    bool ours = rc == 0 && partial.number == r->number;
    bool had = p->sender.datagram && ours && (uint64_t)r->offset + r->len <= partial.have;
    if (had || ((p->sender.datagram || !ours) && kept_is_settled(p, r->class, r->number)))
        return 0; /* had it: the frame came twice; or it was refused at its first piece */
    /* Sent again, a message is cut elsewhere: of a piece that overlaps what is here the rest is new. */
    uint32_t skip = p->sender.datagram && ours && r->offset < partial.have ? partial.have - r->offset : 0;
    if (!ours || partial.have != r->offset + skip || (uint64_t)r->offset + r->len > partial.total)
        return -EPROTO;
    rc = store_partial_add(b->store, p->id, r->class, partial.have, r->bytes + skip, r->len - skip);
    if (custody_failed(b, rc > 0 ? -EIO : rc))
        return 0;
    if (r->offset + r->len == partial.total)
        kept_finish(p, r);
    return 0;
}

/* ---- gaps: counted here, and published in their place among the messages (I6) ---- */

static void publish_gap(struct peer *p, const struct record *r)
{
    struct bridge *b = p->bridge;
    char topic[STATE_TOPIC_MAX];
    state_topic(b, topic, "gap/%s", p->config->name);
    json_t *o = json_pack("{s:s%, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "route", r->route, (size_t)r->route_len, "reason",
                          gap_reason_name((enum gap_reason)r->reason), "class", msg_class_name(r->class), "count",
                          (json_int_t)r->count, "first", (json_int_t)r->first_number, "last", (json_int_t)r->number,
                          "from", (json_int_t)(r->from_ms / 1000), "to", (json_int_t)(r->to_ms / 1000));
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(o);
    struct msg *m = text ? msg_new(topic, strlen(topic), text, strlen(text), NULL, 0, "") : NULL;
    free(text);
    if (!m) {
        bridge_logf(b, BRIDGE_WARN, "peer", "gap not published: its route's name is no text peer=%s", p->config->name);
        return;
    }
    m->class = r->class;
    m->qos = 2;
    arrival_put_inbox(p, m, r->number);
    msg_free(m);
}

/* A sender on a datagram link does not know what we have of what it has no more: it tells of all. */
static void subtract_had(struct peer *p, struct record *gap)
{
    struct store_mark marks[CLASS_COUNT];
    struct store_remote of;
    if (store_marks(p->bridge->store, p->id, marks, &of) != 0)
        return;
    const struct store_mark *m = &marks[gap->class];
    if (gap->number <= m->cumulative)
        return;
    uint64_t most = gap->number - m->cumulative;
    for (unsigned i = 0; i < m->early_count; i++)
        most -= m->early[i] <= gap->number;
    if (gap->first_number <= m->cumulative)
        gap->first_number = m->cumulative + 1;
    if (gap->count > most)
        gap->count = most;
}

static int on_gap(struct peer *p, const struct record *told)
{
    struct bridge *b = p->bridge;
    struct record gap = *told, *r = &gap;
    if (p->sender.datagram && r->reason == GAP_LOST)
        subtract_had(p, r);
    if (!kept_settle_number(p, r->class, r->previous, r->number, NULL))
        return 0;
    char name[48];
    snprintf(name, sizeof name, "gap.%s", gap_reason_name((enum gap_reason)r->reason));
    bridge_count(p, name, r->count);
    bridge_logf(b, BRIDGE_WARN, "peer", "the far end dropped messages peer=%s reason=%s count=%llu route=%.*s", p->config->name,
                gap_reason_name((enum gap_reason)r->reason), (unsigned long long)r->count, (int)r->route_len, r->route);
    if (r->count)
        publish_gap(p, r);
    return 0;
}

static int take(struct peer *p, const struct record *r)
{
    switch (r->type) {
    case RECORD_MESSAGE:
        return on_message(p, r);
    case RECORD_CHUNK:
        return on_chunk(p, r);
    case RECORD_TOPIC:
        return on_topic(p, r);
    case RECORD_TOPICS_RESET:
        return on_topics_reset(p);
    case RECORD_GAP:
        return on_gap(p, r);
    case RECORD_ABORT:
        custody_failed(p->bridge, store_partial_drop(p->bridge->store, p->id, r->class));
        return 0;
    }
    return -EPROTO;
}

int receiver_record(struct peer *p, const struct record *r)
{
    if (p->bridge->failed)
        return 0; /* the turn's end begins new epochs; it all comes again */
    p->not_now = false;
    int rc = take(p, r);
    return rc == 0 && p->not_now ? -EPROTO : rc;
}

/* ---- handshake ---- */

/* Payload bytes of the peer that we can still take: its inbox is bounded like its outbox, by max_bytes. */
uint64_t receiver_grant(struct peer *p)
{
    struct bridge *b = p->bridge;
    struct store_queue q;
    if (store_full(b->store) || store_peer_queue(b->store, p->id, &q) != 0)
        return 0;
    uint64_t most = (uint64_t)b->config->store.max_bytes;
    uint64_t grant = q.inbox_bytes < most ? most - q.inbox_bytes : 0;
    p->grant_small = grant < most / 4;
    return grant;
}

/* Datagram links: the peer names its topic table. Another than before is begun anew: no slot may keep what it meant.
 * Return: false: the store failed. */
static bool agree_on_table(struct peer *p, uint64_t table)
{
    struct store *s = p->bridge->store;
    char key[32];
    uint64_t known = 0;
    size_t n = sizeof known;
    if (!p->sender.datagram)
        return true;
    snprintf(key, sizeof key, "table.%d", p->id);
    int rc = store_get(s, key, &known, &n);
    if (rc == 0 && known == table)
        return true;
    return !custody_failed(p->bridge, rc) && !custody_failed(p->bridge, store_set(s, key, &table, sizeof table)) &&
           on_topics_reset(p) == 0 && !p->bridge->failed;
}

bool receiver_has_settled(struct peer *p, const uint64_t up_to[CLASS_COUNT])
{
    for (int c = 0; c < CLASS_COUNT; c++)
        if (up_to[c] > 0 && !all_here(p, (enum msg_class)c, up_to[c]))
            return false;
    return true;
}

bool receiver_other_store(struct peer *p, const struct channel_identity *them)
{
    struct store_mark marks[CLASS_COUNT];
    struct store_remote of = {0};
    return !custody_failed(p->bridge, store_marks(p->bridge->store, p->id, marks, &of)) && of.generation != 0 &&
           of.generation != them->generation;
}

int receiver_greeting(struct peer *p, const struct channel_identity *them, struct channel_marks *ours)
{
    struct bridge *b = p->bridge;
    if (b->failed)
        return CHANNEL_REFUSED_BUSY;
    struct store_remote remote = {them->generation, {them->segment, them->predecessor, them->predecessor_end}};
    enum store_remote_change change;
    if (custody_failed(b, store_remote_seen(b->store, p->id, &remote, &change)))
        return CHANNEL_REFUSED_BUSY;
    static const char *const words[] = {"known", "restarted", "its store is an older copy: continuing from there",
                                        "new, or its store was lost"};
    bridge_logf(b, BRIDGE_INFO, "peer", "greeted: %s peer=%s generation=%08x segment=%08x", words[change], p->config->name,
                them->generation, them->segment);
    if ((change != STORE_REMOTE_SAME && custody_failed(b, receiver_reload(p))) || !agree_on_table(p, them->table))
        return CHANNEL_REFUSED_BUSY;
    /* It knows no topic of ours, or not all that we think. Definitions under way must not meet others of the same slots: those go in
     * an epoch of their own. */
    bool behind = change == STORE_REMOTE_NEW || change == STORE_REMOTE_FORK;
    if (behind && p->sender.datagram && sender_ever_settled(p)) {
        sender_forget_topics(p);
        p->restart_channel = true;
    }

    struct store_mark marks[CLASS_COUNT];
    struct store_remote of;
    struct store_topics_state topics;
    if (custody_failed(b, store_marks(b->store, p->id, marks, &of)) ||
        custody_failed(b, store_topics_state(b->store, p->id, STORE_IN, &topics)))
        return CHANNEL_REFUSED_BUSY;
    memset(ours, 0, sizeof *ours);
    for (int c = 0; c < CLASS_COUNT; c++) {
        struct store_partial partial;
        ours->cumulative[c] = marks[c].cumulative;
        int rc = store_partial_get(b->store, p->id, (enum msg_class)c, &partial);
        /* The sender may have given up a message, or sent it whole, without knowing of what we have of it. */
        bool stale = rc == 0 && partial.number <= marks[c].cumulative;
        if (stale)
            rc = store_partial_drop(b->store, p->id, (enum msg_class)c);
        if (custody_failed(b, rc))
            return CHANNEL_REFUSED_BUSY;
        rc = stale ? STORE_NONE : rc;
        ours->partial[c] = rc == 0;
        ours->partial_number[c] = rc == 0 ? partial.number : 0;
        ours->partial_have[c] = rc == 0 ? partial.have : 0;
    }
    ours->branched = change == STORE_REMOTE_FORK || change == STORE_REMOTE_NEW;
    ours->topics_sequence = topics.sequence;
    ours->topics_hash = topics.hash;
    ours->grant_bytes = receiver_grant(p);
    ours->max_message = (uint32_t)p->config->max_message;
    ours->history_tail = peers_tail_in(p);
    /* The peer deletes what these marks cover: they must be on disk before it hears of them. */
    if (custody_failed(b, store_commit(b->store, &b->now)))
        return CHANNEL_REFUSED_BUSY;
    custody_dirty(b, 0);
    return 0;
}
