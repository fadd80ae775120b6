#include "store/ahead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "store/db.h"
#include "store/key.h"

int store_ahead_put(struct store *s, int peer, enum msg_class class, uint64_t number,
                    const void *message, size_t n)
{
    sqlite3_stmt *st;
    int rc = db_add(s);

    if (rc != 0)
        return rc;
    if (!peer_row(s, peer))
        return db_fail_with(s, EINVAL, "unknown peer");
    st = db_bind(s, SQL_AHEAD_PUT, DB_INTS(key_of(peer, class, number)));
    db_bind_blob(st, 2, message, n);
    return db_step(s, st);
}

int store_ahead_get(struct store *s, int peer, enum msg_class class, uint64_t number,
                    void **message, size_t *n)
{
    sqlite3_stmt *st;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    st = db_bind(s, SQL_AHEAD_GET, DB_INTS(key_of(peer, class, number)));
    if ((rc = db_step(s, st)) <= 0)
        return rc == 0 ? STORE_NONE : rc;
    *n = (size_t)sqlite3_column_bytes(st, 0);
    *message = malloc(*n ? *n : 1);
    if (!*message)
        return db_fail_with(s, ENOMEM, "out of memory");
    if (*n)
        memcpy(*message, sqlite3_column_blob(st, 0), *n);
    db_done(st);
    return 0;
}

int store_ahead_take(struct store *s, int peer, enum msg_class class, uint64_t number,
                     void **message, size_t *n)
{
    int rc = db_write(s);

    if (rc != 0 || (rc = store_ahead_get(s, peer, class, number, message, n)) != 0)
        return rc;
    rc = db_run(s, SQL_AHEAD_DELETE, DB_INTS(key_of(peer, class, number)));
    if (rc != 0) {
        free(*message);
        *message = NULL;
    }
    return rc;
}
