/* Broker (or another peer) -> outbox: what the routes choose, cut to what they allow. Every message that a route takes gets
 * a number; one that is not kept becomes a gap record (I6). */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"

#define MESSAGE_OVERHEAD 64        /* bytes of bookkeeping a queued message is charged with, beside topic, payload, properties */
#define RESERVE_DIVISOR  16        /* this part of max_bytes is kept for alarm and high */
#define EXPIRED_LOOK_MS  5000      /* between looks at expired messages that may already have left */
#define EXPIRE_BATCH     256       /* expired messages turned into gaps, and held ones released, in one turn */

/* A message on its way to one peer. */
struct offer {
    struct bridge *b;
    struct peer *peer;
    const struct config_route *route;
    bool oversize;             /* the payload was left out */
    struct outbox_put put;
};

static void count_drop(struct offer *o, enum gap_reason reason)
{
    char name[48];
    snprintf(name, sizeof name, "dropped.%s", gap_reason_name(reason));
    bridge_count(o->peer, name, 1);
}

/* The message is not kept: it takes a number and becomes (part of) a gap record. */
static bool refuse(struct offer *o, enum gap_reason reason)
{
    enum msg_class class = o->put.msg->class;
    if (custody_failed(o->b, store_outbox_gap(o->b->store, o->put.peer, class, o->route->name, reason,
                                              o->put.msg->origin_ms, sender_fixed(o->peer, class))))
        return false;
    sender_changed(o->peer, class);
    count_drop(o, reason);
    return true;
}

static bool discard(struct offer *o, enum msg_class class, uint64_t number, enum gap_reason reason)
{
    if (custody_failed(o->b, store_outbox_discard(o->b->store, o->put.peer, class, number, reason,
                                                  sender_fixed(o->peer, class))))
        return false;
    sender_changed(o->peer, class);
    count_drop(o, reason);
    return true;
}

/* ---- room: max_bytes and on_full ---- */

static uint64_t size_of(const struct msg *m)
{
    return (uint64_t)m->topic_len + m->payload_len + m->props_len + MESSAGE_OVERHEAD;
}

static bool fits(struct offer *o, const struct store_queue *q)
{
    uint64_t most = (uint64_t)o->b->config->store.max_bytes;
    if (o->put.msg->class > CLASS_HIGH)
        most -= most / RESERVE_DIVISOR;
    uint64_t charged = q->bytes + (q->messages + q->held_messages) * MESSAGE_OVERHEAD + q->held_bytes;
    return charged + size_of(o->put.msg) <= most;
}

/* Makes room by dropping the oldest of the lowest class, never of a class above the new message's, and never what may already
 * have left. *made: there is room now. */
static bool make_room(struct offer *o, struct store_queue *q, bool *made)
{
    for (;;) {
        *made = fits(o, q);
        if (*made)
            return true;
        bool dropped = false;
        for (int class = CLASS_BULK; class >= (int)o->put.msg->class && !dropped; class--) {
            uint64_t number, bytes;
            int rc = store_outbox_oldest(o->b->store, o->put.peer, class, sender_fixed(o->peer, class), &number, &bytes);
            if (custody_failed(o->b, rc))
                return false;
            if (rc == 0) {
                if (!discard(o, class, number, GAP_OVERFLOW))
                    return false;
                dropped = true;
            }
        }
        if (!dropped)
            return true;
        if (custody_failed(o->b, store_peer_queue(o->b->store, o->put.peer, q)))
            return false;
    }
}

/* ---- queueing ---- */

static bool queue(struct offer *o)
{
    struct bridge *b = o->b;
    struct store_queue q;
    if (custody_failed(b, store_peer_queue(b->store, o->put.peer, &q)))
        return false;
    bool room = fits(o, &q);
    if (!room && b->config->store.on_full == ON_FULL_DROP_OLDEST && !make_room(o, &q, &room))
        return false;
    if (!room)
        return refuse(o, GAP_OVERFLOW);
    uint64_t number;
    if (custody_failed(b, store_outbox_put(b->store, &o->put, &number)))
        return false;
    if (o->put.expire_age_ms < b->expiry_age_ms)
        b->expiry_age_ms = o->put.expire_age_ms;
    o->peer->sender.lanes[o->put.msg->class].empty = false;
    return true;
}

/* keep = latest: an older message of the topic that has not been sent is replaced. */
static bool replace_older(struct offer *o)
{
    enum msg_class class;
    uint64_t number;
    int rc = store_outbox_latest(o->b->store, o->put.peer, o->route->name, o->put.msg->topic, &class, &number);
    if (custody_failed(o->b, rc))
        return false;
    if (rc != 0 || number <= sender_fixed(o->peer, class))
        return true;
    return discard(o, class, number, GAP_REPLACED);
}

/* min_interval: at most one message of the topic in this time; the newest waits until it is due. *held: it waits. */
static bool hold_back(struct offer *o, bool *held)
{
    struct bridge *b = o->b;
    int64_t next;
    *held = false;
    if (custody_failed(b, store_interval_get(b->store, o->put.peer, o->route->name, o->put.msg->topic, &next)))
        return false;
    int64_t age = bridge_age(b);
    if (next <= age)
        return !custody_failed(b, store_interval_set(b->store, o->put.peer, o->route->name, o->put.msg->topic,
                                                     age + o->route->min_interval_ms));
    bool replaced;
    int rc = store_held_put(b->store, &o->put, next, &replaced);
    if (custody_failed(b, rc))
        return false;
    if (rc == STORE_REFUSED)
        return true; /* too many topics wait: this one goes at once */
    *held = true;
    if (next < b->held_age_ms)
        b->held_age_ms = next;
    return !replaced || refuse(o, GAP_INTERVAL);
}

/* retain = on-change. *same: equal to the retained message last sent. */
static bool unchanged(struct offer *o, bool *same)
{
    const struct msg *m = o->put.msg;
    uint64_t h = hash64_add(HASH64_START, &m->payload_len, sizeof m->payload_len);
    h = hash64_add(h, m->payload, m->payload_len);
    h = hash64_add(h, m->props, m->props_len);
    int rc = store_retained_same(o->b->store, o->put.peer, o->route->name, m->topic, h);
    if (custody_failed(o->b, rc))
        return false;
    *same = rc == 0;
    if (*same) {
        bridge_count(o->peer, "unchanged", 1);
        return true;
    }
    return !custody_failed(o->b, store_retained_set(o->b->store, o->put.peer, o->route->name, m->topic, h));
}

static bool offer_to(struct offer *o, struct msg *m)
{
    const struct config_route *route = o->route;
    if (o->oversize)
        return refuse(o, GAP_OVERSIZE);
    if (m->retain && route->retain == RETAIN_DROP)
        m->retain = false;
    if (m->retain && route->retain == RETAIN_ON_CHANGE) {
        bool same;
        if (!unchanged(o, &same))
            return false;
        if (same)
            return true;
    }
    if (route->min_interval_ms) {
        bool held;
        if (!hold_back(o, &held))
            return false;
        if (held)
            return true;
    }
    if (route->keep == KEEP_LATEST && !replace_older(o))
        return false;
    return queue(o);
}

/* Is name in a comma-separated list? */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; *at;) {
        size_t len = strcspn(at, ",");
        if (len == n && strncmp(at, name, n) == 0)
            return true;
        at += len + (at[len] == ',');
    }
    return false;
}

static int64_t sooner(int64_t a, int64_t c)
{
    return a < c ? a : c;
}

bool outbound_offer(struct bridge *b, const struct msg *m, const struct peer *from)
{
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        if (p == from || (m->hops && listed(m->hops, p->config->name)))
            continue;
        const struct config_route *route = routes_match(&b->routes, p->config->name, m->topic);
        if (!route)
            continue;
        char *topic;
        int rc = route_remote_topic(route, m->topic, &topic);
        if (rc == -EINVAL) {
            bridge_count(p, "bad_topic", 1);
            continue;
        }
        if (custody_failed(b, rc))
            return false;
        bool oversize = m->payload_len > (uint64_t)route->max_payload;
        struct msg *copy = msg_new(topic, strlen(topic), m->payload, oversize ? 0 : m->payload_len, m->props, m->props_len,
                                   m->hops);
        free(topic);
        if (!copy) {
            custody_failed(b, -ENOMEM);
            return false;
        }
        copy->class = (enum msg_class)route->priority;
        copy->qos = m->qos < route->qos ? m->qos : (uint8_t)route->qos;
        copy->retain = m->retain;
        copy->origin_ms = m->origin_ms;
        int64_t age = bridge_age(b);
        int64_t live = sooner(m->expiry_ms, route->expire_ms == OPTION_NEVER ? MSG_NO_EXPIRY : route->expire_ms);
        copy->expiry_ms = m->expiry_ms;
        struct offer o = {
            .b = b,
            .peer = p,
            .route = route,
            .oversize = oversize,
            .put = {.peer = p->id,
                    .msg = copy,
                    .route = route->name,
                    .latest = route->keep == KEEP_LATEST,
                    .queued_age_ms = age,
                    .expire_age_ms = live == MSG_NO_EXPIRY ? MSG_NO_EXPIRY : age + live},
        };
        bool ok = offer_to(&o, copy);
        msg_free(copy);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- what time brings: expiry, and messages held back that are due ---- */

static bool expire_of(struct bridge *b, struct peer *p, int64_t age)
{
    uint64_t fixed[CLASS_COUNT];
    for (int c = 0; c < CLASS_COUNT; c++)
        fixed[c] = sender_fixed(p, (enum msg_class)c);
    for (unsigned i = 0; i < EXPIRE_BATCH; i++) {
        enum msg_class class;
        uint64_t number;
        int rc = store_outbox_expired(b->store, p->id, age, fixed, &class, &number);
        if (custody_failed(b, rc))
            return false;
        if (rc != 0)
            return true;
        if (custody_failed(b, store_outbox_discard(b->store, p->id, class, number, GAP_EXPIRED, fixed[class])))
            return false;
        sender_changed(p, class);
        bridge_count(p, "dropped.expired", 1);
        custody_dirty(b, COMMIT_SOON_MS);
    }
    return true;
}

static void expire(struct bridge *b, int64_t age)
{
    for (size_t i = 0; i < b->peer_count; i++)
        if (!expire_of(b, &b->peers[i], age))
            return;
    int64_t next;
    if (custody_failed(b, store_outbox_next_expiry(b->store, &next)))
        return;
    /* What has expired but may already have left stays until its fate is known: look again now and then, not at once. */
    b->expiry_age_ms = next <= age ? age + EXPIRED_LOOK_MS : next;
}

/* What a message that had waited brings with it: the topic's next one waits for a whole interval from here, and with keep = latest an
 * older one that is still queued goes. Return: false: the store failed. */
static bool before_release(struct bridge *b, const struct outbox_row *row, int64_t age)
{
    struct peer *p = peers_by_id(b, row->peer);
    const struct config_route *route = NULL;
    for (size_t i = 0; i < b->config->route_count; i++)
        if (strcmp(b->config->routes[i].name, row->route) == 0)
            route = &b->config->routes[i];
    if (!p || !route)
        return true; /* taken out of the file since: it goes as it is */
    struct offer o = {.b = b, .peer = p, .route = route, .put = {.peer = row->peer, .msg = row->msg}};
    if (route->keep == KEEP_LATEST && !replace_older(&o))
        return false;
    return !custody_failed(b, store_interval_set(b->store, row->peer, row->route, row->msg->topic,
                                                 age + route->min_interval_ms));
}

static void release_held(struct bridge *b, int64_t age)
{
    for (unsigned i = 0; i < EXPIRE_BATCH; i++) {
        struct outbox_row row;
        int id;
        enum msg_class class;
        uint64_t number;
        int64_t next;
        int rc = store_held_due(b->store, age, &row, &next);
        if (custody_failed(b, rc))
            return;
        if (rc != 0) {
            b->held_age_ms = next;
            return;
        }
        bool ok = before_release(b, &row, age);
        msg_free(row.msg);
        rc = ok ? store_held_release(b->store, age, &id, &class, &number, &next) : -EIO;
        if (!ok || custody_failed(b, rc))
            return;
        if (rc != 0) {
            b->held_age_ms = next; /* the disk is full: looked at again when there is room */
            return;
        }
        struct peer *p = peers_by_id(b, id);
        if (p)
            p->sender.lanes[class].empty = false;
        b->expiry_age_ms = 0; /* the released one may expire; looked up at the next turn */
        custody_dirty(b, COMMIT_SOON_MS);
    }
}

void outbound_on_timer(struct bridge *b)
{
    if (b->failed)
        return;
    int64_t age = bridge_age(b);
    if (b->held_age_ms <= age)
        release_held(b, age);
    if (!b->failed && b->expiry_age_ms <= age)
        expire(b, age);
}

/* An instant of the age clock as one of the monotonic clock; they run alike within a process. */
static int64_t mono_of(const struct bridge *b, int64_t at_age)
{
    return at_age == NEVER ? NEVER : at_age - bridge_age(b) + b->now.mono_ms;
}

int64_t outbound_deadline(const struct bridge *b)
{
    return sooner(mono_of(b, b->expiry_age_ms), mono_of(b, b->held_age_ms));
}
