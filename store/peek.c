#include "store/peek.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store/db.h"
#include "store/schema.h"

struct store_peek {
    sqlite3 *db;
    sqlite3_stmt *get;
};

static int outcome(sqlite3 *db, int rc)
{
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        return STORE_LOCKED;
    return rc == SQLITE_OK ? 0 : -db_errno(rc, db ? sqlite3_system_errno(db) : 0);
}

/* Opened for writing all the same: after an unclean end the WAL is to be read, which only one who may write can do. The lock is
 * exclusive, for a running gateway keeps no shared memory beside the file. */
static int connect_file(struct store_peek *p, const char *path)
{
    int version = 0;
    int rc = sqlite3_open_v2(path, &p->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(p->db, 0);
        sqlite3_db_config(p->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(p->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        rc = sqlite3_exec(p->db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA mmap_size = 0; SELECT count(*) FROM sqlite_schema", NULL,
                          NULL, NULL);
    }
    if (rc != SQLITE_OK)
        return outcome(p->db, rc);
    int kind = schema_look(p->db, &version);
    if (kind != SCHEMA_OLDER && kind != SCHEMA_CURRENT)
        return STORE_NONE;
    return outcome(p->db, sqlite3_prepare_v2(p->db, "SELECT value FROM value WHERE name = ?1", -1, &p->get, NULL));
}

int store_peek_open(struct store_peek **out, const char *path)
{
    *out = NULL;
    if (access(path, F_OK) < 0)
        return errno == ENOENT ? STORE_NONE : -errno;
    struct store_peek *p = calloc(1, sizeof *p);
    int rc = p ? connect_file(p, path) : -ENOMEM;
    if (rc == 0)
        *out = p;
    else
        store_peek_close(p);
    return rc;
}

int store_peek_get(struct store_peek *p, const char *key, void *value, size_t *n)
{
    sqlite3_bind_text(p->get, 1, key, -1, SQLITE_STATIC);
    int rc = sqlite3_step(p->get), result = STORE_NONE;
    if (rc == SQLITE_ROW) {
        size_t size = (size_t)sqlite3_column_bytes(p->get, 0);
        result = size <= *n ? 0 : STORE_REFUSED;
        if (result == 0 && size > 0)
            memcpy(value, sqlite3_column_blob(p->get, 0), size);
        *n = size;
    } else if (rc != SQLITE_DONE) {
        result = outcome(p->db, rc);
    }
    sqlite3_reset(p->get);
    return result;
}

void store_peek_close(struct store_peek *p)
{
    if (!p)
        return;
    sqlite3_finalize(p->get);
    sqlite3_close(p->db);
    free(p);
}
