#include "store/queue.h"

#include <stdlib.h>
#include <string.h>
#include "store/db.h"
#include "store/key.h"
#include "store/message_row.h"

struct store_segment queue_segment(const struct store *s, const struct peer_row *p)
{
    struct store_segment segment = {s->segment, p->predecessor, p->predecessor_end};
    bool left = false;

    if (p->segment == s->segment)
        return segment;
    for (int class = 0; class < CLASS_COUNT; class ++)
        left |= p->class[class].may_have_left > p->predecessor_end;
    /* Of a segment from which nothing can have left the peer may never have heard. Its numbers are
     * presented as ours. */
    if (left) {
        segment.predecessor = p->segment;
        segment.predecessor_end = p->next_number - 1;
    }
    return segment;
}

void queue_begin_segment(struct store *s, struct peer_row *p)
{
    struct store_segment segment = queue_segment(s, p);

    p->segment = segment.id;
    p->predecessor = segment.predecessor;
    p->predecessor_end = segment.predecessor_end;
    peer_row_changed(s, p);
}

int queue_number(struct store *s, struct peer_row *p, uint64_t *number)
{
    if (p->next_number > STORE_NUMBER_MAX)
        return STORE_REFUSED;
    queue_begin_segment(s, p);
    *number = p->next_number++;
    return 0;
}

void queue_added(struct store *s, struct peer_row *p, int64_t key, uint64_t bytes, int64_t queued,
                 int64_t expires)
{
    struct class_row *c = &p->class[key_class(key)];

    if (c->messages++ == 0) {
        c->oldest_key = key;
        c->oldest_queued = queued;
    }
    c->bytes += bytes;
    if (expires != INT64_MAX &&
        (c->expiry == EXPIRY_NONE || (c->expiry == EXPIRY_KNOWN && expires < c->expires))) {
        c->expiry = EXPIRY_KNOWN;
        c->expires = expires;
        c->expires_key = key;
    }
    peer_class_changed(s, p, key_class(key));
}

int queue_set_latest(struct store *s, struct peer_row *p, int64_t key, const char *route,
                     const char *topic)
{
    sqlite3_stmt *st = db_bind(s, SQL_LATEST_SET, DB_INTS(p->id, key));

    db_bind_name(st, 3, route);
    db_bind_name(st, 4, topic);
    return db_step(s, st);
}

/* Removes the entry of `latest` that leads to this row; a newer message of the topic keeps its own.
 */
static int drop_latest(struct store *s, struct peer_row *p, int64_t key)
{
    sqlite3_stmt *names = db_bind(s, SQL_OUTBOX_NAMES, DB_INTS(key));
    sqlite3_stmt *st;
    int rc = db_step(s, names);

    if (rc <= 0)
        return rc;
    st = db_bind(s, SQL_LATEST_DROP, DB_INTS(p->id, key));
    db_bind_name(st, 3, (const char *)sqlite3_column_text(names, 0));
    db_bind_name(st, 4, (const char *)sqlite3_column_text(names, 2));
    rc = db_step(s, st);
    db_done(names);
    return rc;
}

int queue_forget(struct store *s, struct peer_row *p, int64_t key, uint64_t bytes, unsigned flags)
{
    struct class_row *c = &p->class[key_class(key)];
    int rc = flags & MESSAGE_ROW_LATEST ? drop_latest(s, p, key) : 0;

    if (rc != 0)
        return rc;
    c->messages -= c->messages > 0;
    c->bytes -= bytes < c->bytes ? bytes : c->bytes;
    if (c->expiry == EXPIRY_KNOWN && c->expires_key == key)
        c->expiry = EXPIRY_UNKNOWN;
    if (c->oldest_key == key)
        c->oldest_key = 0;
    peer_class_changed(s, p, key_class(key));
    return 0;
}
