#include "store/held.h"

#include <errno.h>
#include <string.h>
#include "store/db.h"
#include "store/key.h"
#include "store/message_row.h"
#include "store/outbox.h"
#include "store/queue.h"

/* Binds (route, topic) from ?at on. */
static sqlite3_stmt *bind_topic(struct store *s, enum sql_id id, const int64_t *values, size_t n,
                                const char *route, const char *topic)
{
    sqlite3_stmt *st = db_bind(s, id, values, n);

    db_bind_name(st, (int)n + 1, route);
    db_bind_name(st, (int)n + 2, topic);
    return st;
}

static void subtract_held(struct store *s, struct peer_row *p, uint64_t bytes)
{
    p->held_messages -= p->held_messages > 0;
    p->held_bytes -= bytes < p->held_bytes ? bytes : p->held_bytes;
    peer_row_changed(s, p);
}

int store_held_put(struct store *s, const struct outbox_put *put, int64_t due_age_ms,
                   bool *replaced)
{
    uint64_t bytes = message_row_bytes(put->msg);
    struct peer_row *p;
    sqlite3_stmt *st;
    int rc = db_add(s);

    *replaced = false;
    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, put->peer)) || (put->route && strlen(put->route) > STORE_ROUTE_MAX))
        return db_fail_with(s, EINVAL, "unknown peer, or name of a route too long");
    st = bind_topic(s, SQL_HELD_FIND, DB_INTS(put->peer), put->route, put->msg->topic);
    if ((rc = db_step(s, st)) < 0)
        return rc;
    if (rc > 0) {
        int64_t id = sqlite3_column_int64(st, 0);

        subtract_held(s, p, (uint64_t)sqlite3_column_int64(st, 1));
        db_done(st);
        if ((rc = db_run(s, SQL_HELD_DELETE, DB_INTS(id))) != 0)
            return rc;
        *replaced = true;
    } else if (p->held_messages >= STORE_ROUTE_TOPICS_MAX) {
        return STORE_REFUSED;
    }
    st = db_bind(s, SQL_HELD_ADD,
                 DB_INTS(put->peer, due_age_ms, (int64_t)bytes, put->queued_age_ms));
    if (put->expire_age_ms != MSG_NO_EXPIRY)
        db_bind_int(st, 5, put->expire_age_ms);
    db_bind_name(st, 6, put->route);
    message_row_bind(st, 7, put->msg, put->latest ? MESSAGE_ROW_LATEST : 0);
    if ((rc = db_step(s, st)) != 0)
        return rc;
    p->held_messages++;
    p->held_bytes += bytes;
    peer_row_changed(s, p);
    return 0;
}

/* The id of the held message that has been due for longest. */
static int first_due(struct store *s, int64_t age_ms, int64_t *id, int64_t *next_due_age_ms)
{
    int64_t v[2];
    int rc = db_read(s, SQL_HELD_DUE, DB_INTS(INT64_MIN), v, 2);

    *next_due_age_ms = INT64_MAX;
    if (rc != 0)
        return rc;
    *id = v[0];
    *next_due_age_ms = v[1];
    return v[1] > age_ms ? STORE_NONE : 0;
}

int store_held_due(struct store *s, int64_t age_ms, struct outbox_row *row,
                   int64_t *next_due_age_ms)
{
    int64_t id;
    sqlite3_stmt *st;
    int rc = db_ready(s);

    memset(row, 0, sizeof(*row));
    *next_due_age_ms = INT64_MAX;
    if (rc != 0 || (rc = s->full ? STORE_NONE : first_due(s, age_ms, &id, next_due_age_ms)) != 0)
        return rc;
    st = db_bind(s, SQL_HELD_ROW, DB_INTS(id));
    if ((rc = db_step(s, st)) <= 0)
        return rc == 0 ? STORE_NONE : rc;
    row->peer = sqlite3_column_int(st, 0);
    row->queued_age_ms = sqlite3_column_int64(st, 2);
    row->expire_age_ms =
        sqlite3_column_type(st, 3) == SQLITE_NULL ? MSG_NO_EXPIRY : sqlite3_column_int64(st, 3);
    strncpy(row->route, (const char *)sqlite3_column_text(st, 4), STORE_ROUTE_MAX);
    if (!(row->msg = message_row_read(st, 5, &row->payload_len)))
        return db_fail_with(s, ENOMEM, "out of memory");
    row->class = row->msg->class;
    db_done(st);
    return 0;
}

/* Numbers the held row and copies it to the outbox. */
static int move_to_outbox(struct store *s, int64_t id, int *peer, enum msg_class *class,
                          uint64_t *number)
{
    sqlite3_stmt *st = db_bind(s, SQL_HELD_ROW, DB_INTS(id));
    struct peer_row *p;
    int64_t key, queued, expires;
    uint64_t bytes;
    unsigned flags;
    int rc = db_step(s, st);

    if (rc <= 0)
        return rc == 0 ? STORE_NONE : rc;
    *peer = sqlite3_column_int(st, 0);
    bytes = (uint64_t)sqlite3_column_int64(st, 1);
    queued = sqlite3_column_int64(st, 2);
    expires =
        sqlite3_column_type(st, 3) == SQLITE_NULL ? MSG_NO_EXPIRY : sqlite3_column_int64(st, 3);
    flags = (unsigned)sqlite3_column_int(st, 5);
    *class = (enum msg_class)(flags >> MESSAGE_ROW_CLASS & 3);
    if (!(p = peer_row(s, *peer)))
        return db_fail_with(s, EBADMSG, "a held message is of no peer");
    if ((rc = queue_number(s, p, number)) != 0) {
        db_done(st);
        return rc;
    }
    key = key_of(*peer, *class, *number);
    if ((rc = db_run(s, SQL_HELD_TO_OUTBOX, DB_INTS(id, key))) == 0 && (flags & MESSAGE_ROW_LATEST))
        rc = queue_set_latest(s, p, key, (const char *)sqlite3_column_text(st, 4),
                              (const char *)sqlite3_column_text(st, 7));
    if (rc != 0)
        return rc;
    db_done(st);
    queue_added(s, p, key, bytes, queued, expires);
    subtract_held(s, p, bytes);
    return db_run(s, SQL_HELD_DELETE, DB_INTS(id));
}

int store_held_release(struct store *s, int64_t age_ms, int *peer, enum msg_class *class,
                       uint64_t *number, int64_t *next_due_age_ms)
{
    int64_t id = 0;
    int rc = db_ready(s);

    *next_due_age_ms = INT64_MAX;
    if (rc != 0 || (rc = s->full ? STORE_NONE : first_due(s, age_ms, &id, next_due_age_ms)) != 0)
        return rc;
    if ((rc = db_write(s)) != 0)
        return rc;
    return move_to_outbox(s, id, peer, class, number);
}

int store_interval_get(struct store *s, int peer, const char *route, const char *topic,
                       int64_t *next_age_ms)
{
    sqlite3_stmt *st;
    int rc = db_ready(s);

    *next_age_ms = 0;
    if (rc != 0)
        return rc;
    st = bind_topic(s, SQL_INTERVAL_GET, DB_INTS(peer), route, topic);
    if ((rc = db_step(s, st)) <= 0)
        return rc;
    *next_age_ms = sqlite3_column_int64(st, 0);
    db_done(st);
    return 0;
}

/* Runs `set`, and where that found no row, `add`, dropping the first of `drop` beyond the bound. */
static int set_or_add(struct store *s, struct peer_row *p, sqlite3_stmt *set, sqlite3_stmt *add,
                      enum sql_id drop, uint64_t *count)
{
    int rc = db_step(s, set);

    if (rc != 0 || sqlite3_changes(s->db) > 0 || s->full)
        return rc;
    if ((rc = db_step(s, add)) != 0)
        return rc;
    peer_row_changed(s, p);
    if (*count < STORE_ROUTE_TOPICS_MAX) {
        ++*count;
        return 0;
    }
    return db_run(s, drop, DB_INTS(p->id));
}

int store_interval_set(struct store *s, int peer, const char *route, const char *topic,
                       int64_t next_age_ms)
{
    struct peer_row *p;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    return set_or_add(s, p,
                      bind_topic(s, SQL_INTERVAL_SET, DB_INTS(peer, next_age_ms), route, topic),
                      bind_topic(s, SQL_INTERVAL_ADD, DB_INTS(peer, next_age_ms), route, topic),
                      SQL_INTERVAL_DROP_FIRST, &p->intervals);
}

int store_retained_same(struct store *s, int peer, const char *route, const char *topic,
                        uint64_t hash)
{
    sqlite3_stmt *st;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    st = bind_topic(s, SQL_RETAINED_GET, DB_INTS(peer), route, topic);
    if ((rc = db_step(s, st)) <= 0)
        return rc == 0 ? STORE_NONE : rc;
    rc = (uint64_t)sqlite3_column_int64(st, 0) == hash ? 0 : STORE_NONE;
    db_done(st);
    return rc;
}

int store_retained_set(struct store *s, int peer, const char *route, const char *topic,
                       uint64_t hash)
{
    struct peer_row *p;
    int64_t used;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    used = db_ordinal(s);
    return set_or_add(
        s, p, bind_topic(s, SQL_RETAINED_SET, DB_INTS(peer, (int64_t)hash, used), route, topic),
        bind_topic(s, SQL_RETAINED_ADD, DB_INTS(peer, (int64_t)hash, used), route, topic),
        SQL_RETAINED_DROP_FIRST, &p->retained);
}
