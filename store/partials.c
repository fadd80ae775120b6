#include "store/partials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "store/db.h"
#include "store/key.h"

/* Pieces of a partial: its group, then the offset. */
static int64_t piece_key(int peer, int class, uint64_t offset)
{
    return (key_group(peer, class) << 32) + (int64_t)offset;
}

#define PIECES_END (1ull << 32) /* the offset behind all of a partial's */

static int drop_pieces(struct store *s, int peer, enum msg_class class)
{
    return db_run(s, SQL_PIECES_DELETE,
                  DB_INTS(piece_key(peer, class, 0), piece_key(peer, class, PIECES_END)));
}

int store_partial_begin(struct store *s, int peer, enum msg_class class, uint64_t number,
                        uint32_t total, const void *header, size_t header_len)
{
    sqlite3_stmt *st;
    int rc = db_add(s);

    if (rc != 0)
        return rc;
    if (!peer_row(s, peer))
        return db_fail_with(s, EINVAL, "unknown peer");
    if ((rc = drop_pieces(s, peer, class)) != 0)
        return rc;
    st = db_bind(s, SQL_PARTIAL_SET, DB_INTS(key_group(peer, class), (int64_t)number, total));
    db_bind_blob(st, 4, header, header_len);
    return db_step(s, st);
}

int store_partial_add(struct store *s, int peer, enum msg_class class, uint32_t offset,
                      const void *bytes, size_t n)
{
    struct store_partial partial;
    sqlite3_stmt *st;
    int rc = db_add(s);

    if (rc != 0 || (rc = store_partial_get(s, peer, class, &partial)) != 0)
        return rc;
    if (offset != partial.have || n > partial.total - partial.have)
        return STORE_REFUSED;
    if (n == 0)
        return 0;
    st = db_bind(s, SQL_PIECE_ADD, DB_INTS(piece_key(peer, class, offset)));
    db_bind_blob(st, 2, bytes, n);
    if ((rc = db_step(s, st)) != 0)
        return rc;
    return db_run(s, SQL_PARTIAL_HAVE, DB_INTS(key_group(peer, class), (int64_t)(offset + n)));
}

int store_partial_get(struct store *s, int peer, enum msg_class class, struct store_partial *out)
{
    int64_t v[3];
    int rc = db_ready(s);

    if (rc != 0 || (rc = db_read(s, SQL_PARTIAL_GET, DB_INTS(key_group(peer, class)), v, 3)) != 0)
        return rc;
    *out = (struct store_partial){(uint64_t)v[0], (uint32_t)v[1], (uint32_t)v[2]};
    return 0;
}

/* Puts the pieces together; what was stored must be without holes. */
static int join(struct store *s, int peer, enum msg_class class, uint8_t *payload, uint32_t have)
{
    sqlite3_stmt *st = db_bind(
        s, SQL_PIECE_EACH, DB_INTS(piece_key(peer, class, 0), piece_key(peer, class, PIECES_END)));
    uint32_t at = 0;
    int rc;

    while ((rc = db_step(s, st)) > 0) {
        uint32_t n = (uint32_t)sqlite3_column_bytes(st, 1);

        if ((uint32_t)sqlite3_column_int64(st, 0) != at || n > have - at)
            return db_fail_with(s, EBADMSG, "the pieces of a partial message do not join");
        memcpy(payload + at, sqlite3_column_blob(st, 1), n);
        at += n;
    }
    if (rc == 0 && at != have)
        return db_fail_with(s, EBADMSG, "the pieces of a partial message do not join");
    return rc;
}

int store_partial_take(struct store *s, int peer, enum msg_class class, void **header,
                       size_t *header_len, uint8_t **payload, uint32_t *n)
{
    sqlite3_stmt *st;
    int rc = db_ready(s);

    *header = NULL;
    *payload = NULL;
    if (rc != 0)
        return rc;
    st = db_bind(s, SQL_PARTIAL_GET, DB_INTS(key_group(peer, class)));
    if ((rc = db_step(s, st)) <= 0)
        return rc == 0 ? STORE_NONE : rc;
    *n = (uint32_t)sqlite3_column_int64(st, 2);
    *header_len = (size_t)sqlite3_column_bytes(st, 3);
    *header = malloc(*header_len + 1); /* so that an empty one is not NULL */
    *payload = malloc(*n + (size_t)1);
    if (!*header || !*payload) {
        rc = db_fail_with(s, ENOMEM, "out of memory");
    } else {
        if (*header_len > 0)
            memcpy(*header, sqlite3_column_blob(st, 3), *header_len);
        db_done(st);
        rc = join(s, peer, class, *payload, *n);
    }
    if (rc != 0) {
        free(*header);
        free(*payload);
        *header = NULL;
        *payload = NULL;
    }
    return rc;
}

int store_partial_drop(struct store *s, int peer, enum msg_class class)
{
    int rc = db_write(s);

    if (rc != 0 || (rc = db_run(s, SQL_PARTIAL_DELETE, DB_INTS(key_group(peer, class)))) != 0)
        return rc;
    return drop_pieces(s, peer, class);
}
