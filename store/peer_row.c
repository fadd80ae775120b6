#include "store/peer_row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "store/db.h"
#include "store/key.h"

struct peer_row *peer_row(struct store *s, int peer)
{
    return peer > 0 && peer <= s->peer_count ? s->peers[peer] : NULL;
}

void peer_row_changed(struct store *s, struct peer_row *p)
{
    if (p->changed)
        return;
    p->changed = true;
    p->next_changed = s->changed;
    s->changed = p;
}

void peer_class_changed(struct store *s, struct peer_row *p, enum msg_class class)
{
    p->changed_classes |= 1u << class;
    peer_row_changed(s, p);
}

void peer_rows_free(struct store *s)
{
    for (int i = 1; i <= s->peer_count; i++) {
        if (s->peers[i])
            free(s->peers[i]->counters);
        free(s->peers[i]);
        s->peers[i] = NULL;
    }
    s->peer_count = 0;
    s->changed = NULL;
}

static void copy_text(char *to, size_t size, sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    size_t n = text ? strnlen(text, size - 1) : 0;

    if (n > 0)
        memcpy(to, text, n);
    to[n] = '\0';
}

static int load_peers(struct store *s)
{
    sqlite3_stmt *st = db_bind(s, SQL_PEERS_LOAD, NULL, 0);
    int rc;

    while ((rc = db_step(s, st)) > 0) {
        int id = sqlite3_column_int(st, 0), at = 2;
        struct peer_row *p;

        /* Ids are given without holes; anything else was not written by us. */
        if (id != s->peer_count + 1 || id > STORE_PEERS_MAX)
            return db_fail_with(s, EBADMSG, "the table of peers is damaged");
        if (!(p = calloc(1, sizeof(*p))))
            return db_fail_with(s, ENOMEM, "out of memory");
        s->peers[id] = p;
        s->peer_count = id;
        p->id = id;
        copy_text(p->name, sizeof(p->name), st, 1);
        p->next_number = (uint64_t)sqlite3_column_int64(st, at++);
        p->segment = (uint32_t)sqlite3_column_int64(st, at++);
        p->predecessor = (uint32_t)sqlite3_column_int64(st, at++);
        p->predecessor_end = (uint64_t)sqlite3_column_int64(st, at++);
        p->met = sqlite3_column_int64(st, at++) != 0;
        p->remote_generation = (uint32_t)sqlite3_column_int64(st, at++);
        p->remote_segment = (uint32_t)sqlite3_column_int64(st, at++);
        p->remote_predecessor = (uint32_t)sqlite3_column_int64(st, at++);
        p->remote_predecessor_end = (uint64_t)sqlite3_column_int64(st, at++);
        p->inbox_messages = (uint64_t)sqlite3_column_int64(st, at++);
        p->inbox_bytes = (uint64_t)sqlite3_column_int64(st, at++);
        p->held_messages = (uint64_t)sqlite3_column_int64(st, at++);
        p->held_bytes = (uint64_t)sqlite3_column_int64(st, at++);
        p->intervals = (uint64_t)sqlite3_column_int64(st, at++);
        p->retained = (uint64_t)sqlite3_column_int64(st, at++);
        p->frames = (uint64_t)sqlite3_column_int64(st, at++);
        for (int dir = 0; dir < 2; dir++) {
            p->side[dir].topics_sequence = (uint64_t)sqlite3_column_int64(st, at++);
            p->side[dir].topics_hash = (uint32_t)sqlite3_column_int64(st, at++);
            p->side[dir].history_bytes = (uint64_t)sqlite3_column_int64(st, at++);
        }
    }
    return rc;
}

static int load_classes(struct store *s)
{
    sqlite3_stmt *st = db_bind(s, SQL_CLASSES_LOAD, NULL, 0);
    int rc;

    while ((rc = db_step(s, st)) > 0) {
        int64_t key = sqlite3_column_int64(st, 0);
        struct peer_row *p = peer_row(s, (int)(key >> 2));
        struct class_row *c;

        if (!p)
            return db_fail_with(s, EBADMSG, "the table of peers' classes is damaged");
        c = &p->class[key & 3];
        c->messages = (uint64_t)sqlite3_column_int64(st, 1);
        c->bytes = (uint64_t)sqlite3_column_int64(st, 2);
        c->gaps = (uint64_t)sqlite3_column_int64(st, 3);
        c->may_have_left = (uint64_t)sqlite3_column_int64(st, 4);
        c->cumulative = (uint64_t)sqlite3_column_int64(st, 5);
        c->early = (unsigned)sqlite3_column_int64(st, 6);
        c->settled = (uint64_t)sqlite3_column_int64(st, 7);
    }
    return rc;
}

static int load_counters(struct store *s)
{
    sqlite3_stmt *st = db_bind(s, SQL_COUNTERS_LOAD, NULL, 0);
    int rc;

    while ((rc = db_step(s, st)) > 0) {
        struct peer_row *p = peer_row(s, sqlite3_column_int(st, 0));

        if (!p || p->counter_count == PEER_COUNTERS_MAX)
            return db_fail_with(s, EBADMSG, "the table of counters is damaged");
        if (!p->counters && !(p->counters = calloc(PEER_COUNTERS_MAX, sizeof(p->counters[0]))))
            return db_fail_with(s, ENOMEM, "out of memory");
        copy_text(p->counters[p->counter_count].name, COUNTER_NAME_MAX + 1, st, 1);
        p->counters[p->counter_count++].value = (uint64_t)sqlite3_column_int64(st, 2);
    }
    return rc;
}

int peer_rows_load(struct store *s)
{
    int rc;

    peer_rows_free(s);
    if ((rc = load_peers(s)) == 0 && (rc = load_classes(s)) == 0)
        rc = load_counters(s);
    if (rc != 0)
        peer_rows_free(s);
    return rc;
}

static int save_one(struct store *s, struct peer_row *p)
{
    int rc = db_run(
        s, SQL_PEER_SAVE,
        DB_INTS(p->id, (int64_t)p->next_number, p->segment, p->predecessor,
                (int64_t)p->predecessor_end, p->met, p->remote_generation, p->remote_segment,
                p->remote_predecessor, (int64_t)p->remote_predecessor_end,
                (int64_t)p->inbox_messages, (int64_t)p->inbox_bytes, (int64_t)p->held_messages,
                (int64_t)p->held_bytes, (int64_t)p->intervals, (int64_t)p->retained,
                (int64_t)p->frames, (int64_t)p->side[0].topics_sequence, p->side[0].topics_hash,
                (int64_t)p->side[0].history_bytes, (int64_t)p->side[1].topics_sequence,
                p->side[1].topics_hash, (int64_t)p->side[1].history_bytes));

    for (int class = 0; rc == 0 && class < CLASS_COUNT; class ++) {
        const struct class_row *c = &p->class[class];

        if (p->changed_classes & 1u << class)
            rc = db_run(s, SQL_CLASS_SAVE,
                        DB_INTS(key_group(p->id, class), (int64_t)c->messages, (int64_t)c->bytes,
                                (int64_t)c->gaps, (int64_t)c->may_have_left, (int64_t)c->cumulative,
                                c->early, (int64_t)c->settled));
    }
    for (unsigned i = 0; rc == 0 && i < p->counter_count; i++) {
        sqlite3_stmt *st;

        if (!p->counters[i].changed)
            continue;
        st = db_bind(s, SQL_COUNTER_SAVE, DB_INTS(p->id, (int64_t)p->counters[i].value));
        db_bind_name(st, 3, p->counters[i].name);
        rc = db_step(s, st);
        if (rc == 0)
            p->counters[i].changed = false;
    }
    return rc;
}

int peer_rows_save(struct store *s)
{
    while (s->changed) {
        struct peer_row *p = s->changed;
        int rc = save_one(s, p);

        if (rc != 0)
            return rc; /* rolled back: p is gone */
        s->changed = p->next_changed;
        p->changed = false;
        p->changed_classes = 0;
    }
    return 0;
}

int peer_row_new(struct store *s, const char *name, struct peer_row **out)
{
    struct peer_row *p = calloc(1, sizeof(*p));
    sqlite3_stmt *st;
    int rc;

    if (!p)
        return db_fail_with(s, ENOMEM, "out of memory");
    p->id = s->peer_count + 1;
    p->next_number = 1;
    memcpy(p->name, name, strnlen(name, PEER_NAME_MAX));
    st = db_bind(s, SQL_PEER_ADD, DB_INTS(p->id));
    db_bind_name(st, 2, p->name);
    rc = db_step(s, st);
    for (int class = 0; rc == 0 && class < CLASS_COUNT; class ++)
        rc = db_run(s, SQL_CLASS_ADD, DB_INTS(key_group(p->id, class)));
    if (rc != 0) {
        free(p);
        return rc;
    }
    s->peers[p->id] = p;
    s->peer_count = p->id;
    *out = p;
    return 0;
}
