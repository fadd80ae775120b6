#include "store/inbox.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "store/db.h"
#include "store/message_row.h"

/* Keys: class, then order of arrival over all peers. */
#define CLASS_SHIFT 56

static int64_t class_base(enum msg_class class)
{
    return (int64_t) class << CLASS_SHIFT;
}

int store_inbox_put(struct store *s, int peer, const struct msg *msg, uint64_t number,
                    int64_t received_age_ms, int64_t *key)
{
    uint64_t bytes = message_row_bytes(msg);
    struct peer_row *p;
    sqlite3_stmt *st;
    int rc = db_add(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    *key = class_base(msg->class) | db_ordinal(s);
    st = db_bind(s, SQL_INBOX_ADD,
                 DB_INTS(*key, peer, (int64_t)number, (int64_t)bytes, received_age_ms));
    if (msg->expiry_ms != MSG_NO_EXPIRY)
        db_bind_int(st, 6, msg->expiry_ms);
    message_row_bind(st, 7, msg, 0);
    if ((rc = db_step(s, st)) != 0)
        return rc;
    p->inbox_messages++;
    p->inbox_bytes += bytes;
    peer_row_changed(s, p);
    return 0;
}

/* How far the row has come; nothing is stored of one that waits for the first time. */
static int read_delivery(struct store *s, struct inbox_row *row, int64_t *assigned)
{
    int64_t v[5] = {INBOX_WAITING, 0, 0, 0, 0};
    int rc = db_read(s, SQL_DELIVERY_GET, DB_INTS(row->key), v, 5);

    if (rc < 0)
        return rc;
    row->state = (enum inbox_state)v[0];
    row->packet_id = (uint16_t)v[1];
    row->refusals = (unsigned)v[2];
    row->again = v[3] != 0;
    *assigned = v[4];
    return 0;
}

/* Reads the row that the statement stands before. */
static int read_row(struct store *s, sqlite3_stmt *st, struct inbox_row *row)
{
    uint32_t payload_len;
    int64_t assigned;
    int rc = db_step(s, st);

    memset(row, 0, sizeof(*row));
    if (rc <= 0)
        return rc == 0 ? STORE_NONE : rc;
    row->key = sqlite3_column_int64(st, 0);
    row->peer = sqlite3_column_int(st, 1);
    row->number = (uint64_t)sqlite3_column_int64(st, 2);
    row->received_age_ms = sqlite3_column_int64(st, 3);
    if (!(row->msg = message_row_read(st, 5, &payload_len)))
        return db_fail_with(s, ENOMEM, "out of memory");
    if (sqlite3_column_type(st, 4) != SQLITE_NULL)
        row->msg->expiry_ms = sqlite3_column_int64(st, 4);
    db_done(st);
    if ((rc = read_delivery(s, row, &assigned)) != 0) {
        msg_free(row->msg);
        row->msg = NULL;
    }
    return rc;
}

int store_inbox_next(struct store *s, enum msg_class class, int64_t after, struct inbox_row *row)
{
    int64_t from = after > class_base(class) ? after : class_base(class);
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    return read_row(
        s,
        db_bind(s, SQL_INBOX_NEXT, DB_INTS(from, class_base(class) + ((1ll << CLASS_SHIFT) - 1))),
        row);
}

int store_inbox_by_packet_id(struct store *s, uint16_t packet_id, struct inbox_row *row)
{
    int64_t key;
    int rc = db_ready(s);

    memset(row, 0, sizeof(*row));
    if (rc != 0 || (rc = db_read(s, SQL_DELIVERY_BY_PACKET_ID, DB_INTS(packet_id), &key, 1)) != 0)
        return rc;
    return read_row(s, db_bind(s, SQL_INBOX_GET, DB_INTS(key)), row);
}

int store_inbox_set(struct store *s, int64_t key, enum inbox_state state, uint16_t packet_id,
                    unsigned refusals, bool again)
{
    struct inbox_row before = {.key = key};
    int64_t figures[3], assigned;
    int rc = db_write(s);

    if (rc != 0 || (rc = db_read(s, SQL_INBOX_FIGURES, DB_INTS(key), figures, 3)) != 0 ||
        (rc = read_delivery(s, &before, &assigned)) != 0)
        return rc;
    if (packet_id != 0 && packet_id != before.packet_id)
        assigned = db_ordinal(s);
    return db_run(
        s, SQL_DELIVERY_SET,
        DB_INTS(key, state, packet_id, refusals, again, assigned, figures[2] & MESSAGE_ROW_QOS));
}

int store_inbox_inflight(struct store *s,
                         void (*each)(void *ctx, int64_t key, enum inbox_state state,
                                      uint16_t packet_id, uint8_t qos),
                         void *ctx)
{
    sqlite3_stmt *st;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    st = db_bind(s, SQL_DELIVERY_EACH, DB_INTS(0));
    while ((rc = db_step(s, st)) > 0)
        each(ctx, sqlite3_column_int64(st, 0), (enum inbox_state)sqlite3_column_int(st, 1),
             (uint16_t)sqlite3_column_int(st, 2), (uint8_t)sqlite3_column_int(st, 3));
    return rc;
}

/* Deletes the row and what is known of its delivery. */
static int forget(struct store *s, int64_t key, const int64_t figures[3])
{
    struct peer_row *p = peer_row(s, (int)figures[0]);
    uint64_t bytes = (uint64_t)figures[1];
    int rc;

    if ((rc = db_run(s, SQL_DELIVERY_DELETE, DB_INTS(key))) != 0 ||
        (rc = db_run(s, SQL_INBOX_DELETE, DB_INTS(key))) != 0)
        return rc;
    if (p) {
        p->inbox_messages -= p->inbox_messages > 0;
        p->inbox_bytes -= bytes < p->inbox_bytes ? bytes : p->inbox_bytes;
        peer_row_changed(s, p);
    }
    return 0;
}

int store_inbox_settle(struct store *s, int64_t key)
{
    int64_t figures[3];
    int rc = db_write(s);

    if (rc != 0 || (rc = db_read(s, SQL_INBOX_FIGURES, DB_INTS(key), figures, 3)) != 0)
        return rc;
    return forget(s, key, figures);
}

/* Drops the oldest refused messages beyond the bounds. */
static int trim_refused(struct store *s)
{
    int64_t v[2];
    int rc = 0;

    while (rc == 0 && (s->refused_rows > STORE_REFUSED_ROWS_MAX ||
                       s->refused_bytes > STORE_REFUSED_BYTES_MAX)) {
        if ((rc = db_read(s, SQL_REFUSED_FIRST, DB_INTS(0), v, 2)) != 0)
            break;
        rc = db_run(s, SQL_REFUSED_DELETE, DB_INTS(v[0]));
        s->refused_rows--;
        s->refused_bytes -= (uint64_t)v[1];
    }
    return rc == STORE_NONE ? 0 : rc;
}

int store_inbox_set_aside(struct store *s, int64_t key, const char *reason, int64_t wall_ms)
{
    int64_t figures[3], added[2], id;
    sqlite3_stmt *st;
    int rc = db_write(s);

    if (rc != 0 || (rc = db_read(s, SQL_INBOX_FIGURES, DB_INTS(key), figures, 3)) != 0)
        return rc;
    id = db_ordinal(s);
    st = db_bind(s, SQL_INBOX_SET_ASIDE,
                 DB_INTS(key, id, wall_ms, s->full ? 0 : STORE_REFUSED_PAYLOAD_MAX));
    db_bind_name(st, 5, reason);
    if ((rc = db_step(s, st)) != 0 ||
        (rc = db_read(s, SQL_REFUSED_FIRST, DB_INTS(id - 1), added, 2)) != 0)
        return rc;
    s->refused_rows++;
    s->refused_bytes += (uint64_t)added[1];
    if ((rc = forget(s, key, figures)) != 0)
        return rc;
    return trim_refused(s);
}

int store_refused_each(struct store *s,
                       void (*each)(void *ctx, int peer, uint64_t number, int64_t wall_ms,
                                    const char *reason, const char *topic, uint64_t bytes),
                       void *ctx)
{
    sqlite3_stmt *st;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    st = db_bind(s, SQL_REFUSED_EACH, DB_INTS(0));
    while ((rc = db_step(s, st)) > 0)
        each(ctx, sqlite3_column_int(st, 0), (uint64_t)sqlite3_column_int64(st, 1),
             sqlite3_column_int64(st, 2), (const char *)sqlite3_column_text(st, 3),
             (const char *)sqlite3_column_text(st, 4), (uint64_t)sqlite3_column_int64(st, 5));
    return rc;
}
