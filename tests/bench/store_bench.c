/* The store's figures, as ratios in one run: memory, opening and the cost of a message at 1,000,
 * 100,000 and 1,000,000 queued; durable ingest against bare SQLite at the same batch sizes.
 *
 *     store_bench [FOLDER [MESSAGES ...]]      the folder decides the disk; default /var/tmp */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/msg.h"
#include "store/history.h"
#include "store/outbox.h"
#include "store/peers.h"

#define TOPIC         "site/buoy-17/sensors/tank/3/level"
#define PAYLOAD_BYTES 100
#define QUEUE_BATCH   500  /* messages a commit while a queue is built */
#define PROBES        2000 /* messages put and settled to measure the cost of one */
#define INGEST_ROUNDS 5    /* store and bare SQLite by turns, so that a busy disk meets both */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "store_bench: %s: %d\n", what, rc);
        exit(1);
    }
}

static void random_bytes(void *ctx, void *bytes, size_t n)
{
    memset(bytes, 0x5a + (*(int *)ctx)++, n);
}

static double rss_mb(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%ld %ld", &pages, &resident) != 2)
        must(-1, "/proc/self/statm");
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static const struct store_now now = {
    .mono_ms = 1000, .wall_ms = 1700000000000, .wall_trusted = true};

static struct store *opened(const char *path, int *peer)
{
    static int salt;
    struct store *s;
    struct store_opened info;
    char err[512];

    if (store_open(&s, path, &now, random_bytes, &salt, &info, err, sizeof(err)) != 0) {
        fprintf(stderr, "store_bench: %s\n", err);
        exit(1);
    }
    store_history_limit(s, 4 << 20);
    must(store_peer_id(s, "hub", peer), "peer");
    must(store_commit(s, &now), "commit");
    return s;
}

static void put(struct store *s, int peer, const struct msg *msg, int64_t expire_age_ms)
{
    struct outbox_put what = {.peer = peer,
                              .msg = msg,
                              .route = "telemetry",
                              .queued_age_ms = 1,
                              .expire_age_ms = expire_age_ms};
    uint64_t number;

    must(store_outbox_put(s, &what, &number), "put");
}

static void remove_store(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-ballast", "-witness"};
    char name[512];

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

/* The time of one put, read and settle, in batches of 100 a commit, with the queue as long as it
 * is. */
static double probe(struct store *s, int peer, const struct msg *msg)
{
    double start = seconds();
    struct outbox_row row;
    uint64_t after = 0;

    for (int i = 0; i < PROBES; i++) {
        put(s, peer, msg, MSG_NO_EXPIRY);
        must(store_outbox_next(s, peer, CLASS_NORMAL, after, 4096, &row), "next");
        after = row.number;
        msg_free(row.msg);
        must(store_outbox_settle(s, peer, CLASS_NORMAL, after, true), "settle");
        if (i % 100 == 99)
            must(store_commit(s, &now), "commit");
    }
    return (seconds() - start) / PROBES;
}

static void queues(const char *path, const struct msg *msg, const long *counts, int n)
{
    double first = 0;
    long queued = 0;
    int peer;
    struct store *s = opened(path, &peer);

    printf("store: %.1f MB RSS with nothing queued\n", rss_mb());
    for (int i = 0; i < n; i++) {
        double cost, start, open_s;

        for (; queued < counts[i]; queued++) {
            put(s, peer, msg, queued % 2 ? MSG_NO_EXPIRY : 1000000 + queued);
            if (queued % QUEUE_BATCH == QUEUE_BATCH - 1)
                must(store_commit(s, &now), "commit");
        }
        must(store_commit(s, &now), "commit");
        cost = probe(s, peer, msg);
        first = i == 0 ? cost : first;
        store_close(s);
        start = seconds();
        s = opened(path, &peer);
        open_s = seconds() - start;
        printf("store: %9ld queued: one message put, read and settled costs %.2f of that at %ld "
               "(%.0f us); opened in %.3f s (to reach: < 1); %.1f MB RSS (to reach: 12 with the "
               "rest of the daemon); file %.0f MB\n",
               counts[i], cost / first, counts[0], cost * 1e6, open_s, rss_mb(),
               (double)store_file_bytes(s) / 1e6);
        fflush(stdout);
    }
    store_close(s);
    remove_store(path);
}

static double ingest_store(const char *path, const struct msg *msg, int batch, int messages,
                           bool expiring)
{
    double start;
    int peer;
    struct store *s;

    remove_store(path);
    s = opened(path, &peer);
    start = seconds();
    for (int i = 0; i < messages; i++) {
        put(s, peer, msg, expiring ? 1000000 + i : MSG_NO_EXPIRY);
        if (i % batch == batch - 1)
            must(store_commit(s, &now), "commit");
    }
    start = seconds() - start;
    store_close(s);
    remove_store(path);
    return start;
}

/* The least that keeps a message: topic and payload in a row, the same journal and the same
 * promise. */
static double ingest_bare(const char *path, const struct msg *msg, int batch, int messages)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    double start;

    remove_store(path);
    must(sqlite3_open(path, &db), "open");
    must(sqlite3_exec(db,
                      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                      "PRAGMA synchronous = FULL; CREATE TABLE t(id INTEGER PRIMARY KEY,"
                      " topic TEXT, payload BLOB)",
                      NULL, NULL, NULL),
         "create");
    must(sqlite3_prepare_v2(db, "INSERT INTO t(topic, payload) VALUES(?1, ?2)", -1, &st, NULL),
         "prepare");
    start = seconds();
    for (int i = 0; i < messages; i++) {
        if (i % batch == 0)
            must(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), "begin");
        sqlite3_bind_text(st, 1, msg->topic, (int)msg->topic_len, SQLITE_STATIC);
        sqlite3_bind_blob(st, 2, msg->payload, (int)msg->payload_len, SQLITE_STATIC);
        if (sqlite3_step(st) != SQLITE_DONE)
            must(-1, "insert");
        sqlite3_reset(st);
        if (i % batch == batch - 1)
            must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), "commit");
    }
    start = seconds() - start;
    sqlite3_finalize(st);
    sqlite3_close(db);
    remove_store(path);
    return start;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static void ingest(const char *path, const struct msg *msg)
{
    static const struct {
        int batch, messages;
    } sizes[] = {{10, 1000}, {100, 10000}, {500, 50000}, {2000, 50000}};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        double bare = 1e9, plain = 1e9, expiring = 1e9; /* the best of each: others use the disk */

        for (int round = 0; round < INGEST_ROUNDS; round++) {
            bare = least(bare, ingest_bare(path, msg, sizes[i].batch, sizes[i].messages));
            plain = least(plain, ingest_store(path, msg, sizes[i].batch, sizes[i].messages, false));
            expiring =
                least(expiring, ingest_store(path, msg, sizes[i].batch, sizes[i].messages, true));
        }
        printf(
            "store: durable ingest, %4d a commit: %.0f %% of bare SQLite, %.0f %% with an expiry "
            "(to reach: 50 %%); %.0f messages a second\n",
            sizes[i].batch, 100 * bare / plain, 100 * bare / expiring, sizes[i].messages / plain);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    static long counts[16] = {1000, 100000, 1000000};
    int n = 3;
    char folder[256], path[300];
    uint8_t payload[PAYLOAD_BYTES];
    struct msg *msg;

    snprintf(folder, sizeof(folder), "%s/store-bench-XXXXXX", argc > 1 ? argv[1] : "/var/tmp");
    if (!mkdtemp(folder))
        must(-1, folder);
    snprintf(path, sizeof(path), "%s/store.db", folder);
    for (int i = 2; i < argc && i - 2 < 16; i++) {
        counts[i - 2] = atol(argv[i]);
        n = i - 1;
    }
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 37 + i / 7);
    msg = msg_new(TOPIC, strlen(TOPIC), payload, sizeof(payload), NULL, 0, "");
    if (!msg)
        must(-1, "memory");
    msg->origin_ms = 1700000000000;
    queues(path, msg, counts, n);
    ingest(path, msg);
    msg_free(msg);
    rmdir(folder);
    return 0;
}
