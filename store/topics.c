#include "store/topics.h"

#include <errno.h>
#include "base/hash.h"
#include "store/db.h"
#include "store/key.h"

static int64_t slot_key(int peer, int dir, unsigned slot)
{
    return key_side(peer, (enum store_direction)dir) * STORE_TOPIC_SLOTS + slot;
}

uint32_t store_topic_hash(unsigned slot, const char *topic, size_t n)
{
    uint8_t be[2] = {(uint8_t)(slot >> 8), (uint8_t)slot};

    return hash64_fold32(hash64_add(hash64_add(HASH64_START, be, sizeof(be)), topic, n));
}

int store_topics_state(struct store *s, int peer, enum store_direction dir,
                       struct store_topics_state *out)
{
    struct peer_row *p = peer_row(s, peer);
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    if (!p)
        return db_fail_with(s, EINVAL, "unknown peer");
    out->sequence = p->side[dir].topics_sequence;
    out->hash = p->side[dir].topics_hash;
    return 0;
}

int store_topic_set(struct store *s, int peer, enum store_direction dir, unsigned slot,
                    const char *topic, size_t n)
{
    struct peer_row *p;
    sqlite3_stmt *st;
    uint32_t before = 0;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    if (slot >= STORE_TOPIC_SLOTS || n == 0 || n > STORE_TOPIC_MAX_BYTES)
        return STORE_REFUSED;
    st = db_bind(s, SQL_TOPIC_GET, DB_INTS(slot_key(peer, dir, slot)));
    if ((rc = db_step(s, st)) < 0)
        return rc;
    if (rc > 0) {
        const char *old = (const char *)sqlite3_column_text(st, 0);

        before = store_topic_hash(slot, old, (size_t)sqlite3_column_bytes(st, 0));
        db_done(st);
    }
    st = db_bind(s, SQL_TOPIC_SET, DB_INTS(slot_key(peer, dir, slot)));
    db_bind_text(st, 2, topic, n);
    if ((rc = db_step(s, st)) != 0)
        return rc;
    p->side[dir].topics_hash += store_topic_hash(slot, topic, n) - before;
    p->side[dir].topics_sequence++;
    peer_row_changed(s, p);
    return 0;
}

int store_topics_each(struct store *s, int peer, enum store_direction dir,
                      void (*each)(void *ctx, unsigned slot, const char *topic, size_t n),
                      void *ctx)
{
    sqlite3_stmt *st;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    st = db_bind(s, SQL_TOPICS_EACH,
                 DB_INTS(slot_key(peer, dir, 0), slot_key(peer, dir, STORE_TOPIC_SLOTS)));
    while ((rc = db_step(s, st)) > 0) {
        const char *topic = (const char *)sqlite3_column_text(st, 1);

        each(ctx, (unsigned)(sqlite3_column_int64(st, 0) % STORE_TOPIC_SLOTS), topic,
             (size_t)sqlite3_column_bytes(st, 1));
    }
    return rc;
}

int store_topics_clear(struct store *s, int peer, enum store_direction dir)
{
    struct peer_row *p;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    p->side[dir].topics_sequence = 0;
    p->side[dir].topics_hash = 0;
    peer_row_changed(s, p);
    return db_run(s, SQL_TOPICS_CLEAR,
                  DB_INTS(slot_key(peer, dir, 0), slot_key(peer, dir, STORE_TOPIC_SLOTS)));
}
