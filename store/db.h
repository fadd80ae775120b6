/* The open store, and the few ways in which its files talk to SQLite: bind, step, fail. Internal to
 * store/.
 *
 * Every failure of SQLite goes through db_fail: it rolls back, reloads what RAM mirrors
 * (peer_row.h) and turns the failure into errno and a sentence. So an error path in the other files
 * is `return rc`. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "store/peer_row.h"
#include "store/sql.h"
#include "store/store.h"

/* The WAL is checkpointed when it holds this many pages; while the disk is full at every commit,
 * since then only the freed ballast is left for it to grow into. */
#define DB_WAL_PAGES      1000
#define DB_WAL_PAGES_FULL 1
#define DB_PAGE_BYTES     4096

struct store {
    sqlite3 *db;
    sqlite3_stmt *stmt[SQL_COUNT];
    char *path;
    char error[512];
    bool in_transaction;
    bool full;
    int broken;    /* errno: the file cannot be used any more; 0 = fine */
    bool stale;               /* what RAM mirrors could not be read back after a rollback: next use tries again */
    int wal_pages; /* as of the last commit */
    bool cut;      /* the WAL is to be cut: free pages were cut off the file, which is as long as before until then, or it holds what must go */

    uint32_t generation, segment;
    /* The age clock: age at the moment when the monotonic clock said mono. */
    int64_t age_ms, age_mono_ms;
    int64_t saved_mono_ms; /* when it was last committed */
    int64_t ordinal;       /* the last given; orders rows by arrival, persists with each commit, which takes one too */

    struct store_doubts doubts;
    int64_t opened_mono_ms;
    int64_t before_wall_ms;  /* wall time of the last commit of the process before; 0 = there was none */
    bool age_judged;         /* nothing more is to be learned of how long it lay */
    int64_t witness_stamp_s; /* the time of change that the witness says of itself */

    struct peer_row *peers[STORE_PEERS_MAX + 1]; /* by id; [0] is not used */
    int peer_count;
    struct peer_row *changed; /* list of those to be written before the commit */
    int64_t
        history_limit; /* bytes a peer and direction; -1 = not told yet: nothing added or trimmed */
    uint64_t refused_rows, refused_bytes;

    sqlite3_blob *blob; /* of the outbox payload being read by piece; closed at each commit */
    int64_t blob_key;
};

/* Bound to the statement as ?1, ?2 ...: DB_INTS(a, b) is a pointer and a count, each value
 * converted to int64_t. */
#define DB_INTS(...)                                                                               \
    (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

/* The statement, reset, unbound, with the integers bound. Valid until its next use: no two walks
 * over the same one. */
sqlite3_stmt *db_bind(struct store *s, enum sql_id id, const int64_t *values, size_t n);
/* Texts and blobs are not copied: they must live until the statement is stepped. n == 0 or NULL
 * binds NULL. */
void db_bind_blob(sqlite3_stmt *st, int at, const void *bytes, size_t n);
void db_bind_text(sqlite3_stmt *st, int at, const char *text, size_t n);
/* The same, but an empty text is an empty text. NULL is taken as "". */
void db_bind_name(sqlite3_stmt *st, int at, const char *text);
void db_bind_int(sqlite3_stmt *st, int at, int64_t value);

/* Return: 1 = a row (call db_done before leaving the walk early); 0 = the end, reset; negative
 * errno, rolled back. */
int db_step(struct store *s, sqlite3_stmt *st) MUST_CHECK;
void db_done(sqlite3_stmt *st);
/* Binds integers and steps to the end. Return: 0 or negative. */
int db_run(struct store *s, enum sql_id id, const int64_t *values, size_t n) MUST_CHECK;
/* Binds integers, reads the first columns of one row. Return: 0, STORE_NONE, negative. */
int db_read(struct store *s, enum sql_id id, const int64_t *values, size_t n, int64_t *out,
            int columns) MUST_CHECK;

/* To be called first by every function that reads. Return: 0, or negative when the store is broken.
 */
int db_ready(struct store *s) MUST_CHECK;
/* To be called first by every function that writes: begins the transaction where none is open. */
int db_write(struct store *s) MUST_CHECK;
/* To be called by those that add: the same, and -ENOSPC while the disk is full. */
int db_add(struct store *s) MUST_CHECK;

/* Reads the rows that RAM mirrors. Return: 0; negative: they are stale. */
int db_mirrors_load(struct store *s) MUST_CHECK;

/* SQLite's last error as negative errno, with all that it entails (see above). */
int db_fail(struct store *s) MUST_CHECK;
/* The same for a wrong argument or lack of memory of our own. */
int db_fail_with(struct store *s, int err, const char *sentence) MUST_CHECK;
/* errno for an extended result code and the operating system's errno behind it. */
int db_errno(int rc, int system_errno);
/* The disk is full: gives the ballast back and remembers. */
void db_full(struct store *s);
/* Copies WAL pages into the file. truncate: and cuts the WAL to nothing. */
void db_checkpoint(struct store *s, bool truncate);
/* Closes what would keep a read transaction open. */
void db_release(struct store *s);
int64_t db_ordinal(struct store *s);

#endif
