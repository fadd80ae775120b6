#include "store/schema.h"

#include <sqlite3.h>
#include <stdio.h>

/* Every table is STRICT: a column's type is what it says, not what SQLite would make of it.
 * Payloads stand last in their rows, so that reading the columns before them touches no overflow
 * page. */
/* clang-format off */
static const char version_1[] =
    /* One row: who we are, the age clock as last committed (I11), and the counter that orders rows
     * by arrival. */
    "CREATE TABLE state("
    " id INTEGER PRIMARY KEY CHECK(id = 1),"
    " generation INTEGER NOT NULL, segment INTEGER NOT NULL,"
    " age_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL, wall_trusted INTEGER NOT NULL,"
    " ordinal INTEGER NOT NULL) STRICT;"
    "CREATE TABLE value(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"

    /* Peers, their running sums, both identities. remote_*: the newest segment that we met of the
     * peer. */
    "CREATE TABLE peer("
    " id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " next_number INTEGER NOT NULL DEFAULT 1,"
    " segment INTEGER NOT NULL DEFAULT 0, predecessor INTEGER NOT NULL DEFAULT 0,"
    " predecessor_end INTEGER NOT NULL DEFAULT 0,"
    " met INTEGER NOT NULL DEFAULT 0, remote_generation INTEGER NOT NULL DEFAULT 0,"
    " remote_segment INTEGER NOT NULL DEFAULT 0, remote_predecessor INTEGER NOT NULL DEFAULT 0,"
    " remote_predecessor_end INTEGER NOT NULL DEFAULT 0,"
    " inbox_messages INTEGER NOT NULL DEFAULT 0, inbox_bytes INTEGER NOT NULL DEFAULT 0,"
    " held_messages INTEGER NOT NULL DEFAULT 0, held_bytes INTEGER NOT NULL DEFAULT 0,"
    " intervals INTEGER NOT NULL DEFAULT 0, retained INTEGER NOT NULL DEFAULT 0,"
    " frames INTEGER NOT NULL DEFAULT 0,"
    " out_topics INTEGER NOT NULL DEFAULT 0, out_topics_hash INTEGER NOT NULL DEFAULT 0,"
    " out_history INTEGER NOT NULL DEFAULT 0,"
    " in_topics INTEGER NOT NULL DEFAULT 0, in_topics_hash INTEGER NOT NULL DEFAULT 0,"
    " in_history INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE peer_class(" /* key: peer, class */
    " key INTEGER PRIMARY KEY,"
    " messages INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,"
    " gaps INTEGER NOT NULL DEFAULT 0, may_have_left INTEGER NOT NULL DEFAULT 0,"
    " cumulative INTEGER NOT NULL DEFAULT 0, early INTEGER NOT NULL DEFAULT 0,"
    " settled INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE counter(peer INTEGER, name TEXT, value INTEGER NOT NULL,"
    " PRIMARY KEY(peer, name)) STRICT, WITHOUT ROWID;"

    /* Marks: numbers ahead of the cumulative one (key: peer, class, number), and the segments that
     * we met (key: peer, ordinal) with the marks as they were when another segment took over. */
    "CREATE TABLE early(key INTEGER PRIMARY KEY, previous INTEGER NOT NULL) STRICT;"
    "CREATE TABLE remote_segment("
    " key INTEGER PRIMARY KEY, generation INTEGER NOT NULL, id INTEGER NOT NULL,"
    " predecessor INTEGER NOT NULL, predecessor_end INTEGER NOT NULL, marks BLOB) STRICT;"

    /* Messages to a peer (key: peer, class, number), and the gaps among them. */
    "CREATE TABLE outbox("
    " key INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, flags INTEGER NOT NULL,"
    " queued INTEGER NOT NULL, expires INTEGER, origin INTEGER, route TEXT NOT NULL,"
    " topic TEXT NOT NULL, hops TEXT, props BLOB, payload BLOB) STRICT;"
    "CREATE INDEX outbox_expires ON outbox(key >> 46, expires) WHERE expires IS NOT NULL;"
    "CREATE TABLE gap("
    " key INTEGER PRIMARY KEY, route TEXT NOT NULL, reason INTEGER NOT NULL,"
    " count INTEGER NOT NULL, first INTEGER NOT NULL,"
    " from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX gap_kind ON gap(key >> 46, route, reason);"
    "CREATE TABLE latest(peer INTEGER, route TEXT, topic TEXT, key INTEGER NOT NULL,"
    " PRIMARY KEY(peer, route, topic)) STRICT, WITHOUT ROWID;"

    /* What routes remember of topics. */
    "CREATE TABLE held("
    " id INTEGER PRIMARY KEY, peer INTEGER NOT NULL, due INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, flags INTEGER NOT NULL,"
    " queued INTEGER NOT NULL, expires INTEGER, origin INTEGER, route TEXT NOT NULL,"
    " topic TEXT NOT NULL, hops TEXT, props BLOB, payload BLOB) STRICT;"
    "CREATE UNIQUE INDEX held_topic ON held(peer, route, topic);"
    "CREATE INDEX held_due ON held(due);"
    "CREATE TABLE interval(peer INTEGER, route TEXT, topic TEXT, next INTEGER NOT NULL,"
    " PRIMARY KEY(peer, route, topic)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX interval_next ON interval(peer, next);"
    "CREATE TABLE retained(peer INTEGER, route TEXT, topic TEXT, hash INTEGER NOT NULL,"
    " used INTEGER NOT NULL, PRIMARY KEY(peer, route, topic)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX retained_used ON retained(peer, used);"

    /* Messages from peers (key: class, ordinal). How far delivery has come stands apart, as
     * changing a row writes all of it. */
    "CREATE TABLE inbox("
    " key INTEGER PRIMARY KEY, peer INTEGER NOT NULL, number INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, flags INTEGER NOT NULL,"
    " received INTEGER NOT NULL, expiry INTEGER, origin INTEGER,"
    " topic TEXT NOT NULL, hops TEXT, props BLOB, payload BLOB) STRICT;"
    "CREATE TABLE delivery("
    " key INTEGER PRIMARY KEY, state INTEGER NOT NULL, packet_id INTEGER,"
    " refusals INTEGER NOT NULL, again INTEGER NOT NULL, assigned INTEGER, qos INTEGER NOT NULL)"
    " STRICT;"
    "CREATE UNIQUE INDEX delivery_packet_id ON delivery(packet_id) WHERE packet_id IS NOT NULL;"
    "CREATE INDEX delivery_assigned ON delivery(assigned) WHERE packet_id IS NOT NULL;"
    "CREATE TABLE refused("
    " id INTEGER PRIMARY KEY, peer INTEGER NOT NULL, number INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, flags INTEGER NOT NULL, wall_ms INTEGER NOT NULL,"
    " reason TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB) STRICT;"
    /* hash: of the message; released: rises with each PUBREL, NULL before it. */
    "CREATE TABLE qos2("
    " packet_id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, released INTEGER) STRICT;"
    "CREATE INDEX qos2_released ON qos2(released) WHERE released IS NOT NULL;"

    /* The wire's memory. partial: peer, class; piece: peer, class, offset; ahead: peer, class, number; topic: peer, direction,
     * slot. */
    "CREATE TABLE partial("
    " key INTEGER PRIMARY KEY, number INTEGER NOT NULL, total INTEGER NOT NULL,"
    " have INTEGER NOT NULL, header BLOB) STRICT;"
    "CREATE TABLE piece(key INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE ahead(key INTEGER PRIMARY KEY, message BLOB NOT NULL) STRICT;"
    "CREATE TABLE topic(key INTEGER PRIMARY KEY, topic TEXT NOT NULL) STRICT;"
    "CREATE TABLE anchor(side INTEGER, ordinal INTEGER, id INTEGER NOT NULL, bytes BLOB,"
    " PRIMARY KEY(side, ordinal)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE frame(peer INTEGER, epoch INTEGER, number INTEGER, bytes BLOB,"
    " PRIMARY KEY(peer, epoch, number)) STRICT, WITHOUT ROWID;"

    /* Delivered messages (key: peer, direction, number). */
    "CREATE TABLE history("
    " key INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, flags INTEGER NOT NULL, origin INTEGER,"
    " topic TEXT NOT NULL, hops TEXT, props BLOB, payload BLOB) STRICT;";
/* clang-format on */

/* clang-format off */
static const char version_2[] =
    /* What came of a peer's epoch that its next frames lean on. */
    "CREATE TABLE leaning(peer INTEGER, epoch INTEGER, number INTEGER, bytes BLOB,"
    " PRIMARY KEY(peer, epoch, number)) STRICT, WITHOUT ROWID;";
/* clang-format on */

static const struct {
    int to_version;
    const char *sql;
} steps[] = {
    {1, version_1},
    {2, version_2},
};

_Static_assert(sizeof(steps) / sizeof(steps[0]) == SCHEMA_VERSION, "one step a version");

static int number_of(sqlite3 *db, const char *sql, int *value)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

    *value = 0;
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        *value = sqlite3_column_int(st, 0);
    /* finalize gives the error of the step as well */
    return sqlite3_finalize(st) == SQLITE_OK ? 0 : -1;
}

int schema_look(sqlite3 *db, int *version)
{
    int application_id = 0, tables = 0;

    if (number_of(db, "PRAGMA user_version", version) != 0 ||
        number_of(db, "PRAGMA application_id", &application_id) != 0 ||
        number_of(db, "SELECT count(*) FROM sqlite_schema", &tables) != 0)
        return -1;
    if (*version == 0 && tables == 0)
        return SCHEMA_EMPTY;
    if (application_id != SCHEMA_APPLICATION_ID)
        return SCHEMA_FOREIGN;
    if (*version > SCHEMA_VERSION)
        return SCHEMA_NEWER;
    return *version == SCHEMA_VERSION ? SCHEMA_CURRENT : SCHEMA_OLDER;
}

int schema_migrate(sqlite3 *db, int version)
{
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        char pragma[96];

        if (steps[i].to_version <= version)
            continue;
        snprintf(pragma, sizeof(pragma),
                 "PRAGMA application_id = %d; PRAGMA user_version = %d;"
                 " COMMIT",
                 SCHEMA_APPLICATION_ID, steps[i].to_version);
        if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_exec(db, steps[i].sql, NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_exec(db, pragma, NULL, NULL, NULL) != SQLITE_OK)
            return -1; /* the caller closes, which rolls back */
    }
    return 0;
}
