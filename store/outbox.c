#include "store/outbox.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "store/db.h"
#include "store/history_row.h"
#include "store/key.h"
#include "store/message_row.h"
#include "store/queue.h"

/* Rows that settle_to reads before it deletes them at one go. */
#define RUN_MAX 128

int store_outbox_put(struct store *s, const struct outbox_put *put, uint64_t *number)
{
    struct peer_row *p;
    uint64_t bytes;
    sqlite3_stmt *st;
    int64_t key;
    int rc = db_add(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, put->peer)) || (put->route && strlen(put->route) > STORE_ROUTE_MAX))
        return db_fail_with(s, EINVAL, "unknown peer, or name of a route too long");
    if ((rc = queue_number(s, p, number)) != 0)
        return rc;
    key = key_of(put->peer, put->msg->class, *number);
    bytes = message_row_bytes(put->msg);
    st = db_bind(s, SQL_OUTBOX_ADD, DB_INTS(key, (int64_t)bytes, put->queued_age_ms));
    if (put->expire_age_ms != MSG_NO_EXPIRY)
        db_bind_int(st, 4, put->expire_age_ms);
    db_bind_name(st, 5, put->route);
    message_row_bind(st, 6, put->msg, put->latest ? MESSAGE_ROW_LATEST : 0);
    if ((rc = db_step(s, st)) != 0)
        return rc;
    if (put->latest && (rc = queue_set_latest(s, p, key, put->route, put->msg->topic)) != 0)
        return rc;
    queue_added(s, p, key, bytes, put->queued_age_ms, put->expire_age_ms);
    return 0;
}

static void copy_route(char route[STORE_ROUTE_MAX + 1], sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    size_t n = text ? strnlen(text, STORE_ROUTE_MAX) : 0;

    if (n > 0)
        memcpy(route, text, n);
    route[n] = '\0';
}

int store_outbox_next(struct store *s, int peer, enum msg_class class, uint64_t after,
                      uint32_t inline_max, struct outbox_row *row)
{
    struct peer_row *p = peer_row(s, peer);
    int64_t from = key_of(peer, class, after), to = key_of(peer, class, STORE_NUMBER_MAX),
            gap_key = INT64_MAX;
    sqlite3_stmt *st = NULL, *gap = NULL;
    int rc = db_ready(s);

    memset(row, 0, sizeof(*row));
    if (rc != 0 || !p)
        return rc != 0 ? rc : STORE_NONE;
    row->peer = peer;
    row->class = class;
    if (p->class[class].gaps > 0) {
        gap = db_bind(s, SQL_GAP_NEXT, DB_INTS(from, to));
        if ((rc = db_step(s, gap)) < 0)
            return rc;
        if (rc > 0)
            to = gap_key =
                sqlite3_column_int64(gap, 0); /* only a message before the gap is of interest */
    }
    st = db_bind(s, SQL_OUTBOX_NEXT, DB_INTS(from, to, inline_max));
    if ((rc = db_step(s, st)) < 0)
        return rc;
    if (rc > 0) {
        row->number = key_number(sqlite3_column_int64(st, 0));
        row->queued_age_ms = sqlite3_column_int64(st, 1);
        row->expire_age_ms =
            sqlite3_column_type(st, 2) == SQLITE_NULL ? MSG_NO_EXPIRY : sqlite3_column_int64(st, 2);
        copy_route(row->route, st, 3);
        row->msg = message_row_read(st, 4, &row->payload_len);
        rc = row->msg ? 0 : -ENOMEM;
        if (row->msg && sqlite3_column_int(st, 4) & MESSAGE_ROW_EXPIRY &&
            row->expire_age_ms != MSG_NO_EXPIRY)
            row->msg->expiry_ms = row->expire_age_ms - row->queued_age_ms;
        db_done(st);
    } else if (gap_key != INT64_MAX) {
        row->gap = true;
        row->number = key_number(gap_key);
        row->expire_age_ms = MSG_NO_EXPIRY;
        row->reason = (enum gap_reason)sqlite3_column_int(gap, 1);
        row->count = (uint64_t)sqlite3_column_int64(gap, 2);
        row->first_number = (uint64_t)sqlite3_column_int64(gap, 3);
        row->from_ms = sqlite3_column_int64(gap, 4);
        row->to_ms = sqlite3_column_int64(gap, 5);
        copy_route(row->route, gap, 6);
    } else {
        rc = STORE_NONE;
    }
    if (gap)
        db_done(gap);
    return rc == -ENOMEM ? db_fail_with(s, ENOMEM, "out of memory") : rc;
}

/* Opens the payload for reading by piece. A blob handle is kept until the next commit, since each
 * piece of a large payload would else be reached by a walk from its beginning. Return: 0,
 * STORE_NONE, negative. */
static int open_blob(struct store *s, int64_t key)
{
    int64_t figures[3];
    int rc;

    if (s->blob && s->blob_key == key)
        return 0;
    db_release(s);
    if ((rc = db_read(s, SQL_OUTBOX_FIGURES, DB_INTS(key), figures, 3)) != 0)
        return rc;
    if (sqlite3_blob_open(s->db, "main", "outbox", "payload", key, 0, &s->blob) != SQLITE_OK) {
        db_release(s);
        return db_fail(s);
    }
    s->blob_key = key;
    return 0;
}

int store_outbox_read(struct store *s, int peer, enum msg_class class, uint64_t number,
                      uint32_t offset, void *bytes, size_t n)
{
    int64_t key = key_of(peer, class, number);
    int rc = db_ready(s);

    if (rc != 0 || n == 0)
        return rc;
    for (int tries = 0; tries < 2; tries++) {
        if ((rc = open_blob(s, key)) != 0)
            return rc;
        if ((uint64_t)offset + n > (uint64_t)sqlite3_blob_bytes(s->blob))
            return db_fail_with(s, EINVAL, "piece beyond the end of the payload");
        rc = sqlite3_blob_read(s->blob, bytes, (int)n, (int)offset);
        if (rc == SQLITE_OK)
            return 0;
        if ((rc & 0xff) != SQLITE_ABORT)
            return db_fail(s);
        db_release(s); /* the row was written or deleted since: look anew */
    }
    return STORE_NONE;
}

/* The peer has said that it has this number. */
static void note_settled(struct store *s, struct peer_row *p, enum msg_class class, uint64_t number)
{
    if (number <= p->class[class].settled)
        return;
    p->class[class].settled = number;
    peer_class_changed(s, p, class);
}

int store_settled_to(struct store *s, int peer, enum msg_class class, uint64_t *number)
{
    struct peer_row *p = peer_row(s, peer);
    int rc = db_ready(s);

    *number = p ? p->class[class].settled : 0;
    return rc;
}

int store_outbox_settle(struct store *s, int peer, enum msg_class class, uint64_t number,
                        bool to_history)
{
    int64_t key = key_of(peer, class, number), figures[3];
    struct peer_row *p;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    note_settled(s, p, class, number);
    rc = db_read(s, SQL_OUTBOX_FIGURES, DB_INTS(key), figures, 3);
    if (rc < 0)
        return rc;
    if (rc == STORE_NONE) {
        if (p->class[class].gaps == 0)
            return STORE_NONE;
        if ((rc = db_run(s, SQL_GAP_DELETE_RUN, DB_INTS(key - 1, key))) != 0)
            return rc;
        if (sqlite3_changes(s->db) == 0)
            return STORE_NONE;
        p->class[class].gaps--;
        peer_class_changed(s, p, class);
        return 0;
    }
    if (to_history &&
        (rc = history_take(s, p, key - 1, key, (uint64_t[]){(uint64_t)figures[1]}, 1)) != 0)
        return rc;
    if ((rc = queue_forget(s, p, key, (uint64_t)figures[1], (unsigned)figures[2])) != 0)
        return rc;
    return db_run(s, SQL_OUTBOX_DELETE, DB_INTS(key));
}

/* Settles the next messages after `from` up to `to`, at most `most`. *last: key of the last one, or
 * `to` where they ended. */
static int settle_run(struct store *s, struct peer_row *p, int64_t from, int64_t to,
                      bool to_history, unsigned most, int64_t *last, unsigned *count)
{
    uint64_t bytes[RUN_MAX];
    unsigned n = 0;
    sqlite3_stmt *st = db_bind(s, SQL_OUTBOX_RUN, DB_INTS(from, to, most));
    int rc;

    assert(most <= RUN_MAX);
    *last = to;
    while ((rc = db_step(s, st)) > 0) {
        int64_t key = sqlite3_column_int64(st, 0);

        bytes[n] = (uint64_t)sqlite3_column_int64(st, 1);
        if ((rc = queue_forget(s, p, key, bytes[n], (unsigned)sqlite3_column_int(st, 2))) != 0)
            return rc;
        if (++n == most)
            *last = key;
    }
    *count = n;
    if (rc != 0 || n == 0)
        return rc;
    if (to_history && (rc = history_take(s, p, from, *last, bytes, n)) != 0)
        return rc;
    return db_run(s, SQL_OUTBOX_DELETE_RUN, DB_INTS(from, *last));
}

int store_outbox_settle_to(struct store *s, int peer, enum msg_class class, uint64_t number,
                           bool to_history, unsigned most, uint64_t *settled)
{
    int64_t from = key_base(peer, class), to = key_of(peer, class, number), last = from;
    struct peer_row *p;
    unsigned count = 0, room;
    int rc = db_write(s);

    *settled = 0;
    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    note_settled(s, p, class, number);
    do {
        room = most - (unsigned)*settled < RUN_MAX ? most - (unsigned)*settled : RUN_MAX;
        if (room == 0)
            break;
        if ((rc = settle_run(s, p, last, to, to_history, room, &last, &count)) != 0)
            return rc;
        *settled += count;
    } while (count == room);
    if (p->class[class].gaps > 0) {
        if ((rc = db_run(s, SQL_GAP_DELETE_RUN, DB_INTS(from, last))) != 0)
            return rc;
        p->class[class].gaps -= (uint64_t)sqlite3_changes(s->db);
        peer_class_changed(s, p, class);
    }
    return last < to ? 1 : 0;
}

int store_outbox_latest(struct store *s, int peer, const char *route, const char *topic,
                        enum msg_class *class, uint64_t *number)
{
    sqlite3_stmt *st;
    int64_t key;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    st = db_bind(s, SQL_LATEST_GET, DB_INTS(peer));
    db_bind_name(st, 2, route);
    db_bind_name(st, 3, topic);
    if ((rc = db_step(s, st)) <= 0)
        return rc == 0 ? STORE_NONE : rc;
    key = sqlite3_column_int64(st, 0);
    db_done(st);
    *class = key_class(key);
    *number = key_number(key);
    return 0;
}

int store_outbox_expired(struct store *s, int peer, int64_t age_ms,
                         const uint64_t fixed[CLASS_COUNT], enum msg_class *class, uint64_t *number)
{
    struct peer_row *p = peer_row(s, peer);
    int64_t v[2], oldest = INT64_MAX;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    for (int c = 0; p && c < CLASS_COUNT; c++) {
        const struct class_row *row = &p->class[c];

        if (row->messages == 0 || row->expiry == EXPIRY_NONE ||
            (row->expiry == EXPIRY_KNOWN && row->expires > age_ms))
            continue;
        rc = db_read(s, SQL_OUTBOX_EXPIRED,
                     DB_INTS(key_group(peer, c), age_ms, key_of(peer, c, fixed[c])), v, 2);
        if (rc < 0)
            return rc;
        if (rc == 0 && v[1] < oldest) {
            oldest = v[1];
            *class = (enum msg_class)c;
            *number = key_number(v[0]);
        }
    }
    return oldest == INT64_MAX ? STORE_NONE : 0;
}

/* Fills the cache of the class's first expiry. */
static int first_expiry(struct store *s, struct peer_row *p, int class)
{
    struct class_row *c = &p->class[class];
    int64_t v[2];
    int rc = STORE_NONE;

    if (c->messages > 0)
        rc = db_read(s, SQL_OUTBOX_EXPIRED,
                     DB_INTS(key_group(p->id, class), INT64_MAX, key_of(p->id, class, 0)), v, 2);
    if (rc < 0)
        return rc;
    c->expiry = rc == 0 ? EXPIRY_KNOWN : EXPIRY_NONE;
    if (rc == 0) {
        c->expires_key = v[0];
        c->expires = v[1];
    }
    return 0;
}

int store_outbox_next_expiry(struct store *s, int64_t *age_ms)
{
    int rc = db_ready(s);

    *age_ms = INT64_MAX;
    for (int id = 1; rc == 0 && id <= s->peer_count; id++) {
        for (int class = 0; rc == 0 && class < CLASS_COUNT; class ++) {
            struct class_row *c = &s->peers[id]->class[class];

            if (c->expiry == EXPIRY_UNKNOWN)
                rc = first_expiry(s, s->peers[id], class);
            if (rc == 0 && c->expiry == EXPIRY_KNOWN && c->expires < *age_ms)
                *age_ms = c->expires;
        }
    }
    return rc;
}

int store_outbox_oldest(struct store *s, int peer, enum msg_class class, uint64_t after,
                        uint64_t *number, uint64_t *bytes)
{
    int64_t v[3];
    int rc = db_ready(s);

    if (rc == 0)
        rc = db_read(s, SQL_OUTBOX_RUN,
                     DB_INTS(key_of(peer, class, after), key_of(peer, class, STORE_NUMBER_MAX), 1),
                     v, 3);
    if (rc == 0) {
        *number = key_number(v[0]);
        *bytes = (uint64_t)v[1];
    }
    return rc;
}
