#include "store/history.h"

#include <errno.h>
#include "store/db.h"
#include "store/history_row.h"
#include "store/key.h"
#include "store/message_row.h"

/* Rows that one addition may push out: more than one, so that a lowered limit is reached; few, so
 * that none pays for all. */
#define TRIM_ROWS 8

void store_history_limit(struct store *s, int64_t bytes)
{
    s->history_limit = bytes > 0 ? bytes : 0;
}

/* Deletes from the oldest end while there is more than the limit, at most `most` rows. */
static int trim(struct store *s, struct peer_row *p, int dir, unsigned most)
{
    int64_t from = key_base(p->id, dir), to = key_of(p->id, dir, STORE_NUMBER_MAX), v[2];
    uint64_t *sum = &p->side[dir].history_bytes;
    int rc = 0;

    for (unsigned i = 0; i<most && * sum>(uint64_t) s->history_limit; i++) {
        if ((rc = db_read(s, SQL_HISTORY_FIRST, DB_INTS(from, to), v, 2)) != 0)
            break;
        if ((rc = db_run(s, SQL_HISTORY_DELETE, DB_INTS(v[0]))) != 0)
            break;
        *sum -= (uint64_t)v[1] < *sum ? (uint64_t)v[1] : *sum;
        from = v[0]; /* over the holes that deletions left behind */
    }
    if (rc == STORE_NONE) {
        *sum = 0;
        rc = 0;
    }
    peer_row_changed(s, p);
    return rc;
}

int history_take(struct store *s, struct peer_row *p, int64_t from, int64_t to,
                 const uint64_t *bytes, unsigned n)
{
    unsigned added = 0;
    int rc;

    if (s->full || s->history_limit < 0)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        if (bytes[i] <= (uint64_t)s->history_limit) { /* as the statement asks */
            p->side[STORE_OUT].history_bytes += bytes[i];
            added++;
        }
    }
    if (added == 0)
        return trim(s, p, STORE_OUT, TRIM_ROWS); /* the limit may be lower than it was */
    rc = db_run(s, SQL_OUTBOX_TO_HISTORY,
                DB_INTS(from, to, s->history_limit, KEY_NUMBER_MASK, key_base(p->id, STORE_OUT)));
    return rc != 0 ? rc : trim(s, p, STORE_OUT, added + TRIM_ROWS);
}

int store_history_add(struct store *s, int peer, enum store_direction dir, uint64_t number,
                      const struct msg *msg)
{
    uint64_t bytes = message_row_bytes(msg);
    int64_t key = key_of(peer, dir, number), old = 0;
    struct peer_row *p;
    sqlite3_stmt *st;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    if (s->full || s->history_limit < 0)
        return 0;
    if (bytes > (uint64_t)s->history_limit)
        return trim(s, p, dir, TRIM_ROWS);
    /* A peer whose store was restored gives numbers anew. */
    if ((rc = db_read(s, SQL_HISTORY_FIGURES, DB_INTS(key), &old, 1)) < 0)
        return rc;
    st = db_bind(s, SQL_HISTORY_ADD, DB_INTS(key, (int64_t)bytes));
    message_row_bind(st, 3, msg, 0);
    if ((rc = db_step(s, st)) != 0)
        return rc;
    p->side[dir].history_bytes += bytes - (uint64_t)old;
    return trim(s, p, dir, TRIM_ROWS);
}

int store_history_newest(struct store *s, int peer, enum store_direction dir, unsigned most,
                         uint64_t max_bytes,
                         bool (*each)(void *ctx, uint64_t number, const struct msg *msg), void *ctx)
{
    sqlite3_stmt *st;
    uint64_t sum = 0;
    bool more = true;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    st = db_bind(s, SQL_HISTORY_BACK,
                 DB_INTS(key_base(peer, dir), key_of(peer, dir, STORE_NUMBER_MAX), most));
    while (more && (rc = db_step(s, st)) > 0) {
        struct msg *msg;
        uint32_t payload_len;

        sum += (uint64_t)sqlite3_column_int64(st, 1);
        if (sum > max_bytes)
            break;
        if (!(msg = message_row_read(st, 2, &payload_len))) {
            rc = db_fail_with(s, ENOMEM, "out of memory");
            break;
        }
        more = each(ctx, key_number(sqlite3_column_int64(st, 0)), msg);
        msg_free(msg);
    }
    db_done(st);
    return rc < 0 ? rc : 0;
}

int history_cut(struct store *s, struct peer_row *p, int direction, uint64_t number)
{
    int64_t from = key_of(p->id, direction, number),
            to = key_of(p->id, direction, STORE_NUMBER_MAX), bytes;
    uint64_t *sum = &p->side[direction].history_bytes;
    int rc = db_read(s, SQL_HISTORY_BYTES, DB_INTS(from, to), &bytes, 1);

    if (rc != 0 || (rc = db_run(s, SQL_HISTORY_CLEAR, DB_INTS(from, to))) != 0)
        return rc;
    *sum -= (uint64_t)bytes < *sum ? (uint64_t)bytes : *sum;
    peer_row_changed(s, p);
    return 0;
}

int store_history_clear(struct store *s, int peer, enum store_direction dir)
{
    struct peer_row *p;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    return history_cut(s, p, dir, 0);
}
