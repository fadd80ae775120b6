/* Records of a peer -> inbox, and to other peers where it may forward. What a frame brought, its marks and the inbox rows are
 * one transaction (I2, I4); the frame is acknowledged after its commit. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/topic.h"

#define HOPS_ROOM (MSG_HOPS_MAX * (CONFIG_NAME_MAX + 1))

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

/* ---- delivery ---- */

/* By the topic as the peer sends it; and our own state topics are nobody else's, under whatever prefix. */
static bool accepted(const struct peer *p, const char *topic)
{
    const struct string_list *accept = &p->config->accept;
    const char *prefix = p->config->deliver_prefix;
    char local[STATE_TOPIC_MAX];
    if (snprintf(local, sizeof local, "%s%s", prefix, topic) < (int)sizeof local &&
        topic_matches(p->bridge->routes.own_topics, local))
        return false;
    for (size_t i = 0; i < accept->count; i++)
        if (topic_matches(accept->items[i], topic))
            return true;
    return false;
}

/* Counts once, and notes the topic where the operator looks for it. */
static void refuse(struct peer *p, const char *name, const struct msg *m)
{
    bridge_count(p, name, 1);
    bridge_logf(p->bridge, BRIDGE_WARN, "peer", "message not taken: %s peer=%s topic=%s", name, p->config->name, m->topic);
}

static bool put_inbox(struct peer *p, const struct msg *m, uint64_t number)
{
    struct bridge *b = p->bridge;
    int64_t key;
    if (custody_failed(b, store_inbox_put(b->store, p->id, m, number, bridge_age(b), &key)))
        return false;
    publisher_added(b, m->class);
    return true;
}

/* For our own broker: with deliver_prefix before the topic. The hops stay, for lw-site. */
static bool publish_here(struct peer *p, const struct msg *m, uint64_t number)
{
    const char *prefix = p->config->deliver_prefix;
    size_t n = strlen(prefix) + m->topic_len;
    char *topic = malloc(n + 1);
    if (!topic) {
        custody_failed(p->bridge, -ENOMEM);
        return false;
    }
    strcat(strcpy(topic, prefix), m->topic);
    if (!topic_name_valid(topic, n)) {
        refuse(p, "dropped.refused", m);
        free(topic);
        return true;
    }
    struct msg *local = msg_new(topic, n, m->payload, m->payload_len, m->props, m->props_len, m->hops);
    free(topic);
    if (!local) {
        custody_failed(p->bridge, -ENOMEM);
        return false;
    }
    local->class = m->class;
    local->qos = m->qos;
    local->retain = m->retain;
    local->origin_ms = m->origin_ms;
    local->expiry_ms = m->expiry_ms;
    bool ok = put_inbox(p, local, number);
    if (ok && p->config->forward) {
        /* Forwarding works on the topic as it is published here, like any message of this site, and never goes back. */
        char hops[HOPS_ROOM + CONFIG_NAME_MAX + 2];
        unsigned count = m->hops_len != 0;
        for (uint32_t i = 0; i < m->hops_len; i++)
            count += m->hops[i] == ',';
        if (count >= MSG_HOPS_MAX || m->hops_len >= HOPS_ROOM) {
            bridge_count(p, "dropped.hops", 1);
        } else {
            snprintf(hops, sizeof hops, "%s%s%s", m->hops_len ? m->hops : "", m->hops_len ? "," : "", p->config->name);
            struct msg *onward = msg_new(local->topic, local->topic_len, local->payload, local->payload_len, local->props,
                                         local->props_len, hops);
            if (onward) {
                onward->class = local->class;
                onward->qos = local->qos;
                onward->retain = local->retain;
                onward->origin_ms = local->origin_ms;
                onward->expiry_ms = local->expiry_ms;
                ok = outbound_offer(p->bridge, onward, p);
                msg_free(onward);
            } else {
                custody_failed(p->bridge, -ENOMEM);
                ok = false;
            }
        }
    }
    msg_free(local);
    return ok;
}

/* Takes custody of a message whose number was new, or keeps it for later. */
static void pass_on(struct peer *p, uint64_t number, const struct msg *m)
{
    struct bridge *b = p->bridge;
    if (custody_failed(b, store_history_add(b->store, p->id, STORE_IN, number, m)))
        return;
    bridge_count(p, "received", 1);
    if (!accepted(p, m->topic))
        refuse(p, "dropped.not_accepted", m);
    else if (m->payload_len > (uint64_t)p->config->max_message)
        refuse(p, "dropped.too_large", m);
    else
        publish_here(p, m, number);
}

static struct msg *msg_of(struct peer *p, const struct record *r, const char *topic, const uint8_t *payload, uint32_t n)
{
    struct msg *m = msg_new(topic, strlen(topic), payload, n, r->props, r->props_len, "");
    if (m && r->hops_len) {
        struct msg *with = NULL;
        char *hops = strndup(r->hops, r->hops_len);
        if (hops)
            with = msg_new(topic, strlen(topic), payload, n, r->props, r->props_len, hops);
        free(hops);
        msg_free(m);
        m = with;
    }
    if (!m) {
        custody_failed(p->bridge, -ENOMEM);
        return NULL;
    }
    m->class = r->class;
    m->qos = r->qos;
    m->retain = r->retain;
    m->origin_ms = r->has_origin ? r->origin_ms : 0;
    m->expiry_ms = r->has_expiry ? (int64_t)r->expiry_s * 1000 : MSG_NO_EXPIRY;
    return m;
}

static void deliver(struct peer *p, uint64_t previous, uint64_t number, const struct msg *m);

/* ---- partials: the message without payload is kept as a blob beside what came of the payload ---- */

static bool put_header(struct buf *b, const struct record *r, const char *topic)
{
    buf_put_varint(b, r->previous);
    buf_put_u8(b, (uint8_t)(r->qos | r->retain << 2 | r->has_origin << 3 | r->has_expiry << 4));
    buf_put_be64(b, (uint64_t)r->origin_ms);
    buf_put_varint(b, r->expiry_s);
    buf_put_varint(b, strlen(topic));
    buf_put(b, topic, strlen(topic));
    buf_put_varint(b, r->props_len);
    buf_put(b, r->props, r->props_len);
    buf_put_varint(b, r->hops_len);
    return buf_put(b, r->hops, r->hops_len) && !b->failed;
}

/* topic: to be freed. */
static bool get_header(struct reader *in, struct record *r, char **topic)
{
    r->previous = read_varint(in);
    uint8_t flags = read_u8(in);
    r->qos = flags & 3;
    r->retain = flags & 4;
    r->has_origin = flags & 8;
    r->has_expiry = flags & 16;
    r->origin_ms = (int64_t)read_be64(in);
    r->expiry_s = read_varint(in);
    size_t topic_len = read_varint(in);
    const uint8_t *t = read_bytes(in, topic_len);
    r->props_len = (uint32_t)read_varint(in);
    r->props = read_bytes(in, r->props_len);
    r->hops_len = (uint32_t)read_varint(in);
    r->hops = (const char *)read_bytes(in, r->hops_len);
    *topic = in->bad || !t ? NULL : strndup((const char *)t, topic_len);
    return *topic != NULL;
}

static void begin_partial(struct peer *p, const struct record *r, const char *topic)
{
    struct bridge *b = p->bridge;
    struct buf header;
    buf_init(&header, TOPIC_MAX_BYTES + MSG_PROPS_MAX_BYTES + 4096);
    if (put_header(&header, r, topic)) {
        int rc = store_partial_begin(b->store, p->id, r->class, r->number, r->total, buf_bytes(&header), header.len);
        if (rc == 0)
            rc = store_partial_add(b->store, p->id, r->class, 0, r->bytes, r->len);
        custody_failed(b, rc > 0 ? -EIO : rc);
    } else {
        custody_failed(b, -ENOMEM);
    }
    buf_fini(&header);
}

static void finish_partial(struct peer *p, const struct record *chunk)
{
    struct bridge *b = p->bridge;
    void *header = NULL;
    uint8_t *payload = NULL;
    char *topic = NULL;
    size_t header_len;
    uint32_t n;
    struct record r = {.class = chunk->class, .number = chunk->number};
    int rc = store_partial_take(b->store, p->id, chunk->class, &header, &header_len, &payload, &n);
    struct reader in = reader_of(header, rc == 0 ? header_len : 0);
    if (rc == 0 && !get_header(&in, &r, &topic))
        rc = -EIO;
    if (!custody_failed(b, rc > 0 ? -EIO : rc)) {
        struct msg *m = msg_of(p, &r, topic, payload, n);
        if (m && !custody_failed(b, store_partial_drop(b->store, p->id, chunk->class))) {
            /* What lies between was settled while the pieces came. */
            deliver(p, r.previous, r.number, m);
        }
        msg_free(m);
    }
    free(header);
    free(payload);
    free(topic);
}

/* ---- datagram links: what came before its predecessors waits, so that it is passed on in order (I5) ---- */

static void keep_ahead(struct peer *p, uint64_t number, const struct msg *m)
{
    struct bridge *b = p->bridge;
    struct record r = {
        .qos = m->qos,
        .retain = m->retain,
        .has_origin = m->origin_ms != 0,
        .origin_ms = m->origin_ms,
        .has_expiry = m->expiry_ms != MSG_NO_EXPIRY,
        .expiry_s = m->expiry_ms != MSG_NO_EXPIRY ? (uint64_t)m->expiry_ms / 1000 : 0,
        .props = m->props,
        .props_len = m->props_len,
        .hops = m->hops,
        .hops_len = m->hops_len,
    };
    struct buf blob;
    buf_init(&blob, TOPIC_MAX_BYTES + MSG_PROPS_MAX_BYTES + 4096 + (size_t)m->payload_len);
    buf_put_be64(&blob, (uint64_t)bridge_age(b));
    if (put_header(&blob, &r, m->topic) && buf_put(&blob, m->payload, m->payload_len))
        custody_failed(b, store_ahead_put(b->store, p->id, m->class, number, buf_bytes(&blob), blob.len));
    else
        custody_failed(b, -ENOMEM);
    buf_fini(&blob);
}

static void pass_on_kept(struct peer *p, enum msg_class class, uint64_t number)
{
    struct bridge *b = p->bridge;
    void *blob = NULL;
    size_t n;
    char *topic = NULL;
    struct record r = {.class = class, .number = number};
    int rc = store_ahead_take(b->store, p->id, class, number, &blob, &n);
    if (custody_failed(b, rc) || rc == STORE_NONE)
        return; /* none: the number was that of a gap */
    struct reader in = reader_of(blob, n);
    int64_t waited = bridge_age(b) - (int64_t)read_be64(&in);
    const uint8_t *payload = in.p;
    if (in.bad || !get_header(&in, &r, &topic)) {
        custody_failed(b, -EIO);
    } else {
        payload = in.p;
        struct msg *m = msg_of(p, &r, topic, payload, (uint32_t)in.left);
        if (m && m->expiry_ms != MSG_NO_EXPIRY)
            m->expiry_ms = m->expiry_ms > waited ? m->expiry_ms - waited : 1;
        if (m)
            pass_on(p, number, m);
        msg_free(m);
    }
    free(topic);
    free(blob);
}

/* Settles a number; m: its message, NULL for a gap. What waited for it follows it. Return: it was new. */
static bool settle_number(struct peer *p, enum msg_class class, uint64_t previous, uint64_t number, const struct msg *m)
{
    struct bridge *b = p->bridge;
    struct store_mark before[CLASS_COUNT], after[CLASS_COUNT];
    struct store_remote of;
    bool datagram = p->sender.datagram;
    if (datagram && custody_failed(b, store_marks(b->store, p->id, before, &of)))
        return false;
    int rc = store_mark_number(b->store, p->id, class, previous, number);
    if (custody_failed(b, rc))
        return false;
    if (rc != 0) {
        p->not_now = rc == STORE_REFUSED; /* too much came early: the frame must come again */
        bridge_count(p, "duplicates", !p->not_now);
        return false;
    }
    if (!datagram) {
        if (m)
            pass_on(p, number, m);
        return true;
    }
    if (custody_failed(b, store_marks(b->store, p->id, after, &of)))
        return false;
    uint64_t reached = after[class].cumulative;
    if (m && number > reached)
        keep_ahead(p, number, m);
    else if (m)
        pass_on(p, number, m);
    for (unsigned i = 0; i < before[class].early_count && before[class].early[i] <= reached && !b->failed; i++)
        pass_on_kept(p, class, before[class].early[i]);
    return true;
}

static void deliver(struct peer *p, uint64_t previous, uint64_t number, const struct msg *m)
{
    settle_number(p, m->class, previous, number, m);
}

static bool is_settled(struct peer *p, enum msg_class class, uint64_t number)
{
    struct store_mark marks[CLASS_COUNT];
    struct store_remote of;
    if (store_marks(p->bridge->store, p->id, marks, &of) != 0)
        return false;
    bool settled = number <= marks[class].cumulative;
    for (unsigned i = 0; i < marks[class].early_count && !settled; i++)
        settled = marks[class].early[i] == number;
    return settled;
}

/* The first piece of a large message. On a datagram link it may come twice, or before another large message of the class is whole: that
 * one's pieces are acknowledged, so it must not be given up. */
static int on_first_piece(struct peer *p, const struct record *r, const char *topic)
{
    struct bridge *b = p->bridge;
    struct store_partial partial;
    if (p->sender.datagram) {
        int rc = store_partial_get(b->store, p->id, r->class, &partial);
        if (custody_failed(b, rc) || is_settled(p, r->class, r->number) || (rc == 0 && partial.number == r->number))
            return 0;
        if (rc == 0 && !is_settled(p, r->class, partial.number))
            return -EPROTO;
    }
    begin_partial(p, r, topic);
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
        return -EPROTO;
    int rc = 0;
    if (r->total > (uint64_t)p->config->max_message) {
        rc = -EPROTO; /* it was told the limit in the handshake */
    } else if (r->len < r->total) {
        rc = on_first_piece(p, r, topic);
    } else {
        struct msg *m = msg_of(p, r, topic, r->bytes, r->len);
        if (m)
            deliver(p, r->previous, r->number, m);
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
    if (p->sender.datagram && ((ours && (uint64_t)r->offset + r->len <= partial.have) || is_settled(p, r->class, r->number)))
        return 0; /* had it: the frame came twice */
    /* Sent again, a message is cut elsewhere: of a piece that overlaps what is here the rest is new. */
    uint32_t skip = p->sender.datagram && ours && r->offset < partial.have ? partial.have - r->offset : 0;
    if (!ours || partial.have != r->offset + skip || (uint64_t)r->offset + r->len > partial.total)
        return -EPROTO;
    rc = store_partial_add(b->store, p->id, r->class, partial.have, r->bytes + skip, r->len - skip);
    if (custody_failed(b, rc > 0 ? -EIO : rc))
        return 0;
    if (r->offset + r->len == partial.total)
        finish_partial(p, r);
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
    put_inbox(p, m, r->number);
    msg_free(m);
}

static int on_gap(struct peer *p, const struct record *r)
{
    struct bridge *b = p->bridge;
    if (!settle_number(p, r->class, r->previous, r->number, NULL))
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
    if (change != STORE_REMOTE_SAME && custody_failed(b, receiver_reload(p)))
        return CHANNEL_REFUSED_BUSY;
    /* It knows no topic of ours. Definitions under way must not meet others of the same slots: those go in an epoch of their own. */
    if (change == STORE_REMOTE_NEW && p->sender.datagram && p->sender.confirmed.sequence > 0) {
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
    ours->topics_sequence = topics.sequence;
    ours->topics_hash = topics.hash;
    ours->grant_bytes = receiver_grant(p);
    ours->max_message = (uint32_t)p->config->max_message;
    /* The peer deletes what these marks cover: they must be on disk before it hears of them. */
    if (custody_failed(b, store_commit(b->store, &b->now)))
        return CHANNEL_REFUSED_BUSY;
    custody_dirty(b, 0);
    return 0;
}
