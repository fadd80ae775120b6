#include "store/db.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "store/file.h"

sqlite3_stmt *db_bind(struct store *s, enum sql_id id, const int64_t *values, size_t n)
{
    sqlite3_stmt *st = s->stmt[id];

    sqlite3_reset(st); /* its error, if any, was reported when it was stepped */
    sqlite3_clear_bindings(st);
    for (size_t i = 0; i < n; i++)
        sqlite3_bind_int64(st, (int)i + 1, values[i]);
    return st;
}

void db_bind_blob(sqlite3_stmt *st, int at, const void *bytes, size_t n)
{
    if (bytes && n > 0)
        sqlite3_bind_blob64(st, at, bytes, n, SQLITE_STATIC);
}

void db_bind_text(sqlite3_stmt *st, int at, const char *text, size_t n)
{
    if (text && n > 0)
        sqlite3_bind_text64(st, at, text, n, SQLITE_STATIC, SQLITE_UTF8);
}

void db_bind_name(sqlite3_stmt *st, int at, const char *text)
{
    sqlite3_bind_text64(st, at, text ? text : "", text ? strlen(text) : 0, SQLITE_STATIC,
                        SQLITE_UTF8);
}

void db_bind_int(sqlite3_stmt *st, int at, int64_t value)
{
    sqlite3_bind_int64(st, at, value);
}

int db_step(struct store *s, sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE) {
        sqlite3_reset(st);
        return 0;
    }
    return db_fail(s);
}

void db_done(sqlite3_stmt *st)
{
    sqlite3_reset(st);
}

int db_run(struct store *s, enum sql_id id, const int64_t *values, size_t n)
{
    sqlite3_stmt *st = db_bind(s, id, values, n);
    int rc;

    while ((rc = db_step(s, st)) > 0)
        ;
    return rc;
}

int db_read(struct store *s, enum sql_id id, const int64_t *values, size_t n, int64_t *out,
            int columns)
{
    sqlite3_stmt *st = db_bind(s, id, values, n);
    int rc = db_step(s, st);

    if (rc <= 0)
        return rc == 0 ? STORE_NONE : rc;
    for (int i = 0; i < columns; i++)
        out[i] = sqlite3_column_int64(st, i);
    db_done(st);
    return 0;
}

int db_ready(struct store *s)
{
    if (s->broken || !s->stale)
        return -s->broken;
    return db_mirrors_load(s);
}

int db_write(struct store *s)
{
    int rc;

    if (s->broken || s->in_transaction)
        return -s->broken;
    if ((rc = db_ready(s)) != 0)
        return rc;
    rc = db_run(s, SQL_BEGIN, NULL, 0);
    s->in_transaction = rc == 0;
    return rc;
}

int db_add(struct store *s)
{
    if (!s->broken && s->full) {
        snprintf(s->error, sizeof(s->error), "%s: the disk is full", s->path);
        return -ENOSPC; /* the transaction stays as it is: what deletes goes on */
    }
    return db_write(s);
}

int db_errno(int rc, int system_errno)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return ENOSPC;
    case SQLITE_IOERR:
        if (system_errno == ENOSPC || system_errno == EDQUOT)
            return ENOSPC;
        if (rc == SQLITE_IOERR_NOMEM)
            return ENOMEM;
        return rc == SQLITE_IOERR_DATA || rc == SQLITE_IOERR_CORRUPTFS ? EBADMSG : EIO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return EBADMSG;
    case SQLITE_NOMEM:
        return ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return EBUSY;
    case SQLITE_CONSTRAINT:
        return EINVAL; /* the caller gave a key twice */
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return EACCES;
    case SQLITE_CANTOPEN:
        return system_errno ? system_errno : ENOENT;
    default:
        return EIO;
    }
}

static int fail(struct store *s, int err)
{
    store_rollback(s);
    if (err == ENOSPC)
        db_full(s);
    if (err == EBADMSG) {
        file_mark_damaged(s->path); /* the next store_open sets the file aside */
        s->broken = EBADMSG;
    }
    return -err;
}

int db_fail(struct store *s)
{
    int rc = sqlite3_extended_errcode(s->db);
    int system_errno = sqlite3_system_errno(s->db);
    int err = db_errno(rc, system_errno);

    if ((rc & 0xff) == SQLITE_IOERR && system_errno)
        snprintf(s->error, sizeof(s->error), "%s: %s: %s", s->path, sqlite3_errmsg(s->db),
                 strerror(system_errno));
    else
        snprintf(s->error, sizeof(s->error), "%s: %s", s->path, sqlite3_errmsg(s->db));
    return fail(s, err);
}

int db_fail_with(struct store *s, int err, const char *sentence)
{
    snprintf(s->error, sizeof(s->error), "%s: %s", s->path, sentence);
    return fail(s, err);
}

void db_full(struct store *s)
{
    s->full = true;
    file_ballast_free(s->path);
    db_checkpoint(s, false);
}

void db_checkpoint(struct store *s, bool truncate)
{
    int pages = 0, copied = 0;
    int rc;

    db_release(s);
    rc = sqlite3_wal_checkpoint_v2(
        s->db, NULL, truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &pages,
        &copied);
    /* What is committed is safe in the WAL whether or not it could be copied. */
    if (rc == SQLITE_OK && pages == copied)
        s->wal_pages = 0;
    else if (rc != SQLITE_OK && !s->full &&
             db_errno(sqlite3_extended_errcode(s->db), sqlite3_system_errno(s->db)) == ENOSPC) {
        s->full = true;
        file_ballast_free(s->path);
        snprintf(s->error, sizeof(s->error), "%s: no room to copy the log into the file", s->path);
    }
}

void db_release(struct store *s)
{
    sqlite3_blob_close(s->blob); /* NULL allowed */
    s->blob = NULL;
}

int64_t db_ordinal(struct store *s)
{
    return ++s->ordinal;
}
