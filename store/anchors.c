#include "store/anchors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "store/db.h"
#include "store/key.h"

int store_anchor_put(struct store *s, int peer, enum store_direction dir, uint32_t id,
                     const void *bytes, size_t n)
{
    int64_t side = key_side(peer, dir);
    sqlite3_stmt *st;
    int rc = db_add(s);

    if (rc != 0)
        return rc;
    if (!peer_row(s, peer))
        return db_fail_with(s, EINVAL, "unknown peer");
    if (n > STORE_ANCHOR_MAX_BYTES)
        return STORE_REFUSED;
    if ((rc = db_run(s, SQL_ANCHOR_DELETE, DB_INTS(side, id))) != 0)
        return rc;
    st = db_bind(s, SQL_ANCHOR_SET, DB_INTS(side, db_ordinal(s), id));
    db_bind_blob(st, 4, bytes, n);
    if ((rc = db_step(s, st)) != 0)
        return rc;
    return db_run(s, SQL_ANCHOR_TRIM, DB_INTS(side));
}

int store_anchor_get(struct store *s, int peer, enum store_direction dir, uint32_t id, void **bytes,
                     size_t *n)
{
    sqlite3_stmt *st;
    int rc = db_ready(s);

    *bytes = NULL;
    if (rc != 0)
        return rc;
    st = db_bind(s, SQL_ANCHOR_GET, DB_INTS(key_side(peer, dir), id));
    if ((rc = db_step(s, st)) <= 0)
        return rc == 0 ? STORE_NONE : rc;
    *n = (size_t)sqlite3_column_bytes(st, 0);
    if (!(*bytes = malloc(*n + 1)))
        return db_fail_with(s, ENOMEM, "out of memory");
    if (*n > 0)
        memcpy(*bytes, sqlite3_column_blob(st, 0), *n);
    db_done(st);
    return 0;
}

int store_frame_put(struct store *s, int peer, uint32_t epoch, uint64_t number, const void *bytes,
                    size_t n)
{
    struct peer_row *p;
    sqlite3_stmt *st;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    if (p->frames >= STORE_FRAMES_MAX || n > STORE_FRAME_MAX_BYTES || number > INT64_MAX)
        return STORE_REFUSED;
    st = db_bind(s, SQL_FRAME_ADD, DB_INTS(peer, epoch, (int64_t)number));
    db_bind_blob(st, 4, bytes, n);
    if ((rc = db_step(s, st)) != 0)
        return rc;
    p->frames += (uint64_t)sqlite3_changes(s->db);
    peer_row_changed(s, p);
    return 0;
}

static int drop(struct store *s, int peer, enum sql_id which, uint32_t epoch, uint64_t number)
{
    struct peer_row *p;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    rc = db_run(s, which,
                DB_INTS(peer, epoch, number > INT64_MAX ? INT64_MAX : (int64_t)number));
    if (rc == 0) {
        p->frames -= (uint64_t)sqlite3_changes(s->db);
        peer_row_changed(s, p);
    }
    return rc;
}

int store_frames_drop(struct store *s, int peer, uint32_t epoch, uint64_t up_to)
{
    return drop(s, peer, SQL_FRAMES_DROP, epoch, up_to);
}

int store_frame_drop(struct store *s, int peer, uint32_t epoch, uint64_t number)
{
    return drop(s, peer, SQL_FRAME_DROP, epoch, number);
}

int store_frames_each(struct store *s, int peer,
                      void (*each)(void *ctx, uint32_t epoch, uint64_t number, const void *bytes,
                                   size_t n),
                      void *ctx)
{
    sqlite3_stmt *st;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    st = db_bind(s, SQL_FRAMES_EACH, DB_INTS(peer));
    while ((rc = db_step(s, st)) > 0)
        each(ctx, (uint32_t)sqlite3_column_int64(st, 0), (uint64_t)sqlite3_column_int64(st, 1),
             sqlite3_column_blob(st, 2), (size_t)sqlite3_column_bytes(st, 2));
    return rc;
}

int store_leaning_put(struct store *s, int peer, uint32_t epoch, uint64_t number, const void *bytes,
                      size_t n)
{
    sqlite3_stmt *st;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!peer_row(s, peer))
        return db_fail_with(s, EINVAL, "unknown peer");
    if (n > STORE_FRAME_MAX_BYTES || number > INT64_MAX)
        return STORE_REFUSED;
    st = db_bind(s, SQL_LEANING_ADD, DB_INTS(peer, epoch, (int64_t)number));
    db_bind_blob(st, 4, bytes, n);
    return db_step(s, st);
}

int store_leaning_next(struct store *s, int peer, uint32_t epoch, uint64_t after, uint64_t *number,
                       void *bytes, size_t *n)
{
    sqlite3_stmt *st;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    if (after > INT64_MAX)
        return STORE_NONE;
    st = db_bind(s, SQL_LEANING_NEXT, DB_INTS(peer, epoch, (int64_t)after));
    if ((rc = db_step(s, st)) <= 0)
        return rc == 0 ? STORE_NONE : rc;
    size_t len = (size_t)sqlite3_column_bytes(st, 1);
    if (len > *n) {
        db_done(st);
        return STORE_NONE;
    }
    *number = (uint64_t)sqlite3_column_int64(st, 0);
    *n = len;
    if (len > 0)
        memcpy(bytes, sqlite3_column_blob(st, 1), len);
    db_done(st);
    return 0;
}

int store_leaning_only(struct store *s, int peer, const uint32_t *epochs, unsigned count)
{
    int64_t of[STORE_LEANING_EPOCHS] = {-1, -1, -1, -1}; /* no epoch's number */
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!peer_row(s, peer) || count > STORE_LEANING_EPOCHS)
        return db_fail_with(s, EINVAL, "unknown peer");
    for (unsigned i = 0; i < count; i++)
        of[i] = epochs[i];
    return db_run(s, SQL_LEANING_ONLY, DB_INTS(peer, of[0], of[1], of[2], of[3]));
}
