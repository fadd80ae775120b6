#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "store/db.h"
#include "store/file.h"
#include "store/schema.h"
#include "store/witness.h"

/* An unclean end is followed by a whole check only where that is quick; beyond, damage is noticed
 * when it is met. */
#define CHECK_MAX_BYTES (64ll << 20)
/* Without anything else to commit, the age clock is committed this often: what a power cut may take
 * from it where wall time is not trusted. */
#define CLOCK_SAVE_MS   (10 * 60 * 1000)
#define VALUE_MAX_BYTES 4096
#define VALUE_NAME_MAX  80
/* store_tidy: pages in the WAL that are worth cutting it, free pages that are worth moving others
 * for (beside a quarter of the file, or a queue that comes and goes would keep the disk busy). */
#define TIDY_WAL_PAGES  64
#define TIDY_FREE_PAGES 256

static int on_wal(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct store *s = ctx;

    s->wal_pages = pages;
    return SQLITE_OK;
}

static int pragmas(struct store *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_fail(s);
}

/* Opens the connection, takes the lock, looks whose file it is and of which version; nothing is
 * written before that is known. */
static int connect_file(struct store *s)
{
    int version = 0, rc;

    rc = sqlite3_open_v2(s->path, &s->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (!s->db)
        return db_fail_with(s, ENOMEM, "out of memory");
    if (rc != SQLITE_OK)
        return db_fail(s);
    sqlite3_wal_hook(s->db, on_wal,
                     s); /* takes the place of SQLite's own checkpointing: see store_commit */
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    rc = pragmas(
        s, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON");
    if (rc != 0)
        return rc;
    switch (schema_look(s->db, &version)) {
    case SCHEMA_EMPTY:
        if ((rc = pragmas(s, "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL")) != 0)
            return rc;
        break;
    case SCHEMA_OLDER:
    case SCHEMA_CURRENT:
        break;
    case SCHEMA_NEWER:
        return db_fail_with(s, ENOTSUP, "was written by a newer longwire; this one cannot read it");
    case SCHEMA_FOREIGN:
        return db_fail_with(s, EINVAL, "is a database of another program");
    default:
        return db_fail(s);
    }
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    /* EXTRA while the file is turned to WAL: it syncs the folder when the rollback journal of that change is removed. A power cut
     * may else bring the journal back long after, and SQLite would roll the file back to the empty one that it was.
     * synchronous=FULL syncs the WAL at every commit: I1 and I2 hang on it. Two megabytes of cache
     * hold the edges of the B-trees, which is all that a queue touches. */
    rc = pragmas(
        s,
        "PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -4096;"
        "PRAGMA temp_store = MEMORY; PRAGMA secure_delete = FAST; PRAGMA journal_size_limit = 4194304; BEGIN IMMEDIATE; COMMIT");
    if (rc == 0 && schema_migrate(s->db, version) != 0)
        rc = db_fail(s);
    return rc;
}

/* After an unclean end of a small file: all of it. Else the pages that opening reads must do. */
static int check_file(struct store *s, bool unclean)
{
    sqlite3_stmt *st = NULL;
    const char *verdict;
    int rc = 0;

    if (!unclean || file_size(s->path, "") > CHECK_MAX_BYTES)
        return 0;
    if (sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW) {
        rc = db_fail(s);
    } else {
        verdict = (const char *)sqlite3_column_text(st, 0);
        if (!verdict || strcmp(verdict, "ok") != 0)
            rc = db_fail_with(s, EBADMSG, verdict ? verdict : "out of memory");
    }
    sqlite3_finalize(st);
    return rc;
}

static int prepare_all(struct store *s)
{
    for (int id = 0; id < SQL_COUNT; id++) {
        if (sqlite3_prepare_v3(s->db, sql_text((enum sql_id)id), -1, SQLITE_PREPARE_PERSISTENT,
                               &s->stmt[id], NULL) != SQLITE_OK)
            return db_fail(s);
    }
    return 0;
}

int db_mirrors_load(struct store *s)
{
    int64_t v[2];
    int rc;

    s->stale = true;
    if ((rc = peer_rows_load(s)) != 0 || (rc = db_read(s, SQL_REFUSED_FIGURES, NULL, 0, v, 2)) != 0)
        return rc;
    s->refused_rows = (uint64_t)v[0];
    s->refused_bytes = (uint64_t)v[1];
    s->stale = false;
    return 0;
}

static int save_state(struct store *s, const struct store_now *now)
{
    return db_run(s, SQL_STATE_SAVE,
                  DB_INTS(s->generation, s->segment, store_age_ms(s, now), now->wall_ms,
                          now->wall_trusted, s->ordinal));
}

#define DOUBTS_BYTES 8

static int load_doubts(struct store *s)
{
    uint8_t bytes[DOUBTS_BYTES];
    size_t n = sizeof(bytes);
    int rc = store_get(s, "doubts", bytes, &n);
    struct reader r = reader_of(bytes, rc == 0 ? n : 0);

    s->doubts = (struct store_doubts){read_be32(&r), 0};
    s->doubts.aged = read_be32(&r);
    return rc < 0 ? rc : 0;
}

static int save_doubts(struct store *s, const struct store_doubts *doubts)
{
    uint8_t bytes[DOUBTS_BYTES];
    struct buf b;

    buf_init_over(&b, bytes, sizeof(bytes));
    buf_put_be32(&b, doubts->set_back);
    buf_put_be32(&b, doubts->aged);
    return store_set(s, "doubts", bytes, b.len);
}

/* How long the file lay until it was opened. A clock that is not to be trusted may show that it was long, for a box that never
 * hears the time has no other; what it does not show is asked again once it is trusted. One that goes back shows nothing. */
static bool lay_long(struct store *s, const struct store_now *now)
{
    int64_t opened_wall_ms = now->wall_ms - (now->mono_ms - s->opened_mono_ms);
    bool lay = s->before_wall_ms > 0 && opened_wall_ms - s->before_wall_ms > STORE_AGED_MS;

    s->age_judged = lay || now->wall_trusted || s->before_wall_ms == 0;
    return lay;
}

/* A random id other than zero, which means none, and `not`. */
static uint32_t random_id(uint32_t not, void (*random)(void *ctx, void *bytes, size_t n), void *ctx)
{
    uint32_t id = not ;

    for (int tries = 0; (id == 0 || id == not ) && tries < 8; tries++)
        random(ctx, &id, sizeof(id));
    return id != 0 && id != not ? id : (not == 1 ? 2 : 1);
}

/* Who we are: the generation of the file, and a new segment, committed before anything is numbered
 * under it (I4). */
static int begin_segment(struct store *s, const struct store_now *now,
                         void (*random)(void *ctx, void *bytes, size_t n), void *ctx,
                         struct store_opened *opened)
{
    int64_t v[6];
    int rc = db_read(s, SQL_STATE_LOAD, NULL, 0, v, 6), loaded;
    struct store_doubts doubts;

    if (rc < 0 || (loaded = load_doubts(s)) < 0)
        return rc < 0 ? rc : loaded;
    doubts = s->doubts;
    s->age_mono_ms = s->opened_mono_ms = now->mono_ms;
    s->before_wall_ms = 0;
    if (rc == STORE_NONE) {
        s->generation = random_id(0, random, ctx);
    } else {
        s->generation = (uint32_t)v[0];
        s->segment = (uint32_t)v[1];
        s->age_ms = v[2];
        s->ordinal = v[5];
        if (v[4] && now->wall_trusted && now->wall_ms >= v[3])
            s->age_ms += now->wall_ms - v[3];
        s->before_wall_ms = v[3];
        opened->set_back = witness_contradicts(s);
        doubts.set_back += opened->set_back != NULL;
    }
    doubts.aged += lay_long(s, now);
    s->segment = random_id(s->segment, random, ctx);
    /* In one commit with the segment: the witness then speaks of both. */
    if ((rc = db_write(s)) != 0 || (rc = save_doubts(s, &doubts)) != 0 ||
        (rc = store_commit(s, now)) != 0)
        return rc;
    s->doubts = doubts;
    opened->witness_error = witness_write(s, true);
    return 0;
}

static int open_once(struct store *s, const struct store_now *now,
                     void (*random)(void *ctx, void *bytes, size_t n), void *random_ctx,
                     struct store_opened *opened)
{
    bool unclean = file_size(s->path, "-wal") > 0;
    int rc = connect_file(s);

    if (rc != 0)
        return rc;
    if (file_marked_damaged(s->path))
        return db_fail_with(s, EBADMSG, "was found damaged in use");
    if ((rc = check_file(s, unclean)) != 0 || (rc = prepare_all(s)) != 0 ||
        (rc = db_mirrors_load(s)) != 0)
        return rc;
    return begin_segment(s, now, random, random_ctx, opened);
}

/* Back to what store_open began with, but for the path and what it has learned. */
static void disconnect(struct store *s)
{
    db_release(s);
    for (int id = 0; id < SQL_COUNT; id++) {
        sqlite3_finalize(s->stmt[id]);
        s->stmt[id] = NULL;
    }
    peer_rows_free(s);
    sqlite3_close(s->db); /* rolls back; copies the WAL into the file and removes it */
    s->db = NULL;
    s->in_transaction = false;
    s->broken = 0;
    s->stale = false;
}

int store_open(struct store **out, const char *path, const struct store_now *now,
               void (*random)(void *ctx, void *bytes, size_t n), void *random_ctx,
               struct store_opened *opened, char *err, size_t err_size)
{
    struct store *s = calloc(1, sizeof(*s));
    bool retried = false;
    int rc;

    *out = NULL;
    memset(opened, 0, sizeof(*opened));
    if (!s || !(s->path = strdup(path))) {
        free(s);
        snprintf(err, err_size, "%s: out of memory", path);
        return -ENOMEM;
    }
    s->saved_mono_ms = now->mono_ms;
    s->history_limit = -1;
    rc = file_create(path, &opened->created);
    if (rc != 0)
        snprintf(s->error, sizeof(s->error), "%s: cannot be created: %s", path, strerror(-rc));
    while (rc == 0) {
        rc = open_once(s, now, random, random_ctx, opened);
        if (rc == -EBADMSG && !opened->damaged) {
            bool created;

            disconnect(s);
            opened->damaged = true;
            if ((rc = file_set_aside(path, now->wall_ms, opened->aside_path,
                                     sizeof(opened->aside_path))) == 0)
                rc = file_create(path, &created);
            if (rc != 0)
                snprintf(s->error, sizeof(s->error), "%s: is damaged and cannot be set aside: %s",
                         path, strerror(-rc));
        } else if (rc == -ENOSPC && !retried) {
            /* The ballast is gone now (db_full): there may be room for the new segment. */
            disconnect(s);
            retried = true;
            rc = 0;
        } else {
            break;
        }
    }
    if (rc != 0) {
        snprintf(err, err_size, "%s", s->error);
        store_close(s);
        return rc == -EBUSY ? STORE_LOCKED : rc;
    }
    if (file_ballast_make(path) != 0)
        s->full = true;
    else
        s->full = false;
    opened->generation = s->generation;
    opened->segment = s->segment;
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    disconnect(s);
    free(s->path);
    free(s);
}

int store_commit(struct store *s, const struct store_now *now)
{
    struct store_doubts doubts = s->doubts;
    int rc;

    if (s->broken)
        return -s->broken;
    if (!s->in_transaction) {
        if (now->mono_ms - s->saved_mono_ms < CLOCK_SAVE_MS || s->full)
            return 0;
        if ((rc = db_write(s)) != 0)
            return rc;
    }
    db_release(s);
    db_ordinal(s);
    if (!s->age_judged && now->wall_trusted)
        doubts.aged += lay_long(s, now);
    if (doubts.aged != s->doubts.aged && (rc = save_doubts(s, &doubts)) != 0)
        return rc;
    if ((rc = peer_rows_save(s)) != 0 || (rc = save_state(s, now)) != 0 ||
        (rc = db_run(s, SQL_COMMIT, NULL, 0)) != 0)
        return rc;
    s->in_transaction = false;
    s->saved_mono_ms = now->mono_ms;
    s->doubts = doubts;
    (void)witness_write(s, false);
    if (s->wal_pages >= (s->full ? DB_WAL_PAGES_FULL : DB_WAL_PAGES))
        db_checkpoint(s, false);
    return 0;
}

void store_rollback(struct store *s)
{
    if (!s->db)
        return;
    db_release(s);
    for (int id = 0; id < SQL_COUNT; id++)
        sqlite3_reset(s->stmt[id]); /* a walk left open would keep the transaction */
    if (!s->in_transaction && sqlite3_get_autocommit(s->db))
        return;
    s->in_transaction = false;
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    /* What RAM mirrors is as at the last commit again, or stays stale: lack of memory passes. Ordinals are not taken
     * back: they only order. */
    if (!s->broken && s->stmt[SQL_COUNT - 1])
        (void)!db_mirrors_load(s);
}

bool store_dirty(const struct store *s)
{
    return s->in_transaction;
}

int store_tidy(struct store *s)
{
    int64_t free_pages, pages;
    int rc;

    if (s->broken || s->in_transaction)
        return -s->broken; /* the caller commits first, and comes again when idle */
    if ((rc = db_read(s, SQL_FREE_PAGES, NULL, 0, &free_pages, 1)) != 0 ||
        (rc = db_read(s, SQL_PAGES, NULL, 0, &pages, 1)) != 0)
        return rc;
    if (free_pages > TIDY_FREE_PAGES && free_pages > pages / 4) {
        rc = db_run(s, SQL_VACUUM, NULL, 0);
        s->cut = true;
        if (rc == 0 && s->wal_pages >= DB_WAL_PAGES)
            db_checkpoint(s, false);
        return rc == 0 ? 1 : rc;
    }
    if (s->wal_pages >= TIDY_WAL_PAGES || s->cut)
        db_checkpoint(s, true);
    s->cut = false;
    return 0;
}

void store_forget(struct store *s)
{
    s->cut = true;
}

bool store_full(const struct store *s)
{
    return s->full;
}

int store_probe_space(struct store *s)
{
    if (s->broken)
        return -s->broken;
    /* What was deleted is given back to the disk only when the log is copied into the file. */
    if (s->full && !s->in_transaction)
        db_checkpoint(s, true);
    if (s->full && file_ballast_make(s->path) != 0)
        return STORE_REFUSED;
    s->full = false;
    return 0;
}

uint32_t store_generation(const struct store *s)
{
    return s->generation;
}

uint32_t store_segment(const struct store *s)
{
    return s->segment;
}

struct store_doubts store_doubts(const struct store *s)
{
    return s->doubts;
}

int64_t store_age_ms(const struct store *s, const struct store_now *now)
{
    return s->age_ms + (now->mono_ms > s->age_mono_ms ? now->mono_ms - s->age_mono_ms : 0);
}

int64_t store_file_bytes(struct store *s)
{
    int64_t pages;

    if (s->broken || db_read(s, SQL_PAGES, NULL, 0, &pages, 1) != 0)
        return -1;
    return pages * DB_PAGE_BYTES;
}

const char *store_error(const struct store *s)
{
    return s->error;
}

int store_get(struct store *s, const char *key, void *value, size_t *n)
{
    sqlite3_stmt *st;
    int rc = db_ready(s), size;

    if (rc != 0)
        return rc;
    st = db_bind(s, SQL_VALUE_GET, NULL, 0);
    db_bind_name(st, 1, key);
    if ((rc = db_step(s, st)) <= 0)
        return rc == 0 ? STORE_NONE : rc;
    size = sqlite3_column_bytes(st, 0);
    if ((size_t)size <= *n && size > 0)
        memcpy(value, sqlite3_column_blob(st, 0), (size_t)size);
    rc = (size_t)size <= *n ? 0 : STORE_REFUSED;
    *n = (size_t)size;
    db_done(st);
    return rc;
}

int store_set(struct store *s, const char *key, const void *value, size_t n)
{
    sqlite3_stmt *st;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (n > VALUE_MAX_BYTES || strlen(key) > VALUE_NAME_MAX)
        return STORE_REFUSED;
    st = db_bind(s, SQL_VALUE_SET, NULL, 0);
    db_bind_name(st, 1, key);
    sqlite3_bind_blob64(st, 2, n > 0 ? value : "", n, SQLITE_STATIC);
    return db_step(s, st);
}
