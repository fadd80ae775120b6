#include "store/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "store/db.h"
#include "store/key.h"
#include "store/queue.h"

static_assert(PEER_COUNTERS_MAX == STORE_COUNTERS_MAX && COUNTER_NAME_MAX == STORE_COUNTER_NAME_MAX,
              "the mirror holds what the contract promises");

int store_peer_id(struct store *s, const char *name, int *peer)
{
    size_t n = strlen(name);
    struct peer_row *p = NULL;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    for (int id = 1; id <= s->peer_count; id++) {
        if (strcmp(s->peers[id]->name, name) == 0) {
            *peer = id;
            return 0;
        }
    }
    if (n == 0 || n > PEER_NAME_MAX || s->peer_count == STORE_PEERS_MAX)
        return STORE_REFUSED;
    if ((rc = db_write(s)) != 0 || (rc = peer_row_new(s, name, &p)) != 0)
        return rc;
    *peer = p->id;
    return 0;
}

int store_peers_each(struct store *s, void (*each)(void *ctx, int peer, const char *name),
                     void *ctx)
{
    int rc = db_ready(s);

    for (int id = 1; rc == 0 && id <= s->peer_count; id++)
        each(ctx, id, s->peers[id]->name);
    return rc;
}

/* A reading call about a peer: the store works and the peer is there. */
static int reading(struct store *s, int peer, struct peer_row **p)
{
    int rc = db_ready(s);

    *p = peer_row(s, peer);
    if (rc == 0 && !*p)
        return db_fail_with(s, EINVAL, "unknown peer");
    return rc;
}

/* When the first row of the class was queued. This is asked for with every message that comes: so
 * it is looked up once, and again when that row has gone. */
static int look_up_oldest(struct store *s, struct peer_row *p, int class)
{
    struct class_row *c = &p->class[class];
    int64_t v[2];
    int rc;

    if (c->oldest_key != 0)
        return 0;
    rc = db_read(s, SQL_OUTBOX_QUEUED,
                 DB_INTS(key_base(p->id, class), key_of(p->id, class, STORE_NUMBER_MAX)), v, 2);
    if (rc == 0) {
        c->oldest_key = v[0];
        c->oldest_queued = v[1];
    }
    return rc;
}

int store_peer_queue(struct store *s, int peer, struct store_queue *out)
{
    struct peer_row *p;
    int rc = reading(s, peer, &p);

    memset(out, 0, sizeof(*out));
    out->oldest_age_ms = -1;
    if (rc != 0)
        return rc;
    for (int class = 0; class < CLASS_COUNT; class ++) {
        const struct class_row *c = &p->class[class];

        out->messages += out->class_messages[class] = c->messages;
        out->bytes += out->class_bytes[class] = c->bytes;
        out->class_gaps[class] = c->gaps;
        if (c->messages == 0)
            continue;
        if ((rc = look_up_oldest(s, p, class)) < 0)
            return rc;
        if (rc == 0 && (out->oldest_age_ms < 0 || c->oldest_queued < out->oldest_age_ms))
            out->oldest_age_ms = c->oldest_queued;
    }
    out->next_number = p->next_number;
    out->inbox_messages = p->inbox_messages;
    out->inbox_bytes = p->inbox_bytes;
    out->held_messages = p->held_messages;
    out->held_bytes = p->held_bytes;
    return 0;
}

int store_segment_of(struct store *s, int peer, struct store_segment *out)
{
    struct peer_row *p;
    int rc = reading(s, peer, &p);

    if (rc == 0)
        *out = queue_segment(s, p);
    return rc;
}

int store_may_have_left(struct store *s, int peer, enum msg_class class, uint64_t *number)
{
    struct peer_row *p;
    int rc = reading(s, peer, &p);

    *number = rc == 0 ? p->class[class].may_have_left : 0;
    return rc;
}

int store_set_may_have_left(struct store *s, int peer, enum msg_class class, uint64_t number)
{
    struct peer_row *p;
    struct class_row *c;
    int rc = reading(s, peer, &p);

    if (rc != 0)
        return rc;
    c = &p->class[class];
    if (number <= c->may_have_left)
        return 0;
    if ((rc = db_write(s)) != 0)
        return rc;
    queue_begin_segment(s, p);
    c->may_have_left = number;
    peer_class_changed(s, p, class);
    return 0;
}

int store_count(struct store *s, int peer, const char *name, uint64_t add)
{
    struct peer_row *p;
    struct counter *c = NULL;
    int rc = reading(s, peer, &p);

    if (rc != 0)
        return rc;
    for (unsigned i = 0; i < p->counter_count && !c; i++) {
        if (strcmp(p->counters[i].name, name) == 0)
            c = &p->counters[i];
    }
    if (!c && (p->counter_count == PEER_COUNTERS_MAX || strlen(name) > COUNTER_NAME_MAX))
        return STORE_REFUSED;
    if ((rc = db_write(s)) != 0)
        return rc;
    if (!c) {
        if (!p->counters && !(p->counters = calloc(PEER_COUNTERS_MAX, sizeof(p->counters[0]))))
            return db_fail_with(s, ENOMEM, "out of memory");
        c = &p->counters[p->counter_count++];
        memcpy(c->name, name, strlen(name));
    }
    c->value += add;
    c->changed = true;
    peer_row_changed(s, p);
    return 0;
}

int store_counters_each(struct store *s, int peer,
                        void (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
    struct peer_row *p;
    int rc = reading(s, peer, &p);

    for (unsigned i = 0; rc == 0 && i < p->counter_count; i++)
        each(ctx, p->counters[i].name, p->counters[i].value);
    return rc;
}
