#include "store/marks.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "store/db.h"
#include "store/history_row.h"
#include "store/key.h"
#include "store/lineage.h"
#include "store/partials.h"
#include "store/topics.h"

/* Marks of all classes as a blob: varints, a class after the other: cumulative, count, then number
 * and previous of each. */
#define MARKS_BLOB_MAX (CLASS_COUNT * (2 + 2 * STORE_EARLY_MAX) * 10)
/* Keys of remembered segments: peer, then ordinal. */
#define SEGMENT_SHIFT 44

static int64_t segment_base(int peer)
{
    return (int64_t)peer << SEGMENT_SHIFT;
}

/* ---- the marks in use ---- */

static int load_marks(struct store *s, const struct peer_row *p,
                      struct store_mark marks[CLASS_COUNT])
{
    int rc = 0;

    for (int class = 0; rc == 0 && class < CLASS_COUNT; class ++) {
        struct store_mark *m = &marks[class];
        sqlite3_stmt *st;

        m->cumulative = p->class[class].cumulative;
        m->early_count = 0;
        if (p->class[class].early == 0)
            continue;
        st = db_bind(s, SQL_EARLY_EACH,
                     DB_INTS(key_base(p->id, class), key_of(p->id, class, STORE_NUMBER_MAX)));
        while ((rc = db_step(s, st)) > 0 && m->early_count < STORE_EARLY_MAX) {
            m->early[m->early_count] = key_number(sqlite3_column_int64(st, 0));
            m->early_previous[m->early_count++] = (uint64_t)sqlite3_column_int64(st, 1);
        }
        db_done(st);
        rc = rc < 0 ? rc : 0;
    }
    return rc;
}

static int save_marks(struct store *s, struct peer_row *p,
                      const struct store_mark marks[CLASS_COUNT])
{
    int rc = db_run(s, SQL_EARLY_CLEAR, DB_INTS(key_base(p->id, 0), key_base(p->id + 1, 0)));

    for (int class = 0; rc == 0 && class < CLASS_COUNT; class ++) {
        const struct store_mark *m = &marks[class];

        p->class[class].cumulative = m->cumulative;
        p->class[class].early = m->early_count;
        peer_class_changed(s, p, class);
        for (unsigned i = 0; rc == 0 && i < m->early_count; i++)
            rc = db_run(s, SQL_EARLY_ADD,
                        DB_INTS(key_of(p->id, class, m->early[i]), (int64_t)m->early_previous[i]));
    }
    return rc;
}

static struct store_remote current_remote(const struct peer_row *p)
{
    return (struct store_remote){
        p->remote_generation,
        {p->remote_segment, p->remote_predecessor, p->remote_predecessor_end}};
}

int store_marks(struct store *s, int peer, struct store_mark marks[CLASS_COUNT],
                struct store_remote *of)
{
    struct peer_row *p = peer_row(s, peer);
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    if (!p)
        return db_fail_with(s, EINVAL, "unknown peer");
    memset(marks, 0, CLASS_COUNT * sizeof(marks[0]));
    *of = current_remote(p);
    if (!p->met)
        return STORE_NONE;
    return load_marks(s, p, marks);
}

/* Moves the cumulative mark over early numbers that follow it now. */
static int advance(struct store *s, struct peer_row *p, enum msg_class class)
{
    struct class_row *c = &p->class[class];
    int64_t base = key_base(p->id, class), end = key_of(p->id, class, STORE_NUMBER_MAX), v[2];
    int rc = 0;

    while (c->early > 0) {
        if ((rc = db_read(s, SQL_EARLY_FIRST, DB_INTS(base, end), v, 2)) != 0)
            break;
        if (key_number(v[0]) > c->cumulative && (uint64_t)v[1] > c->cumulative)
            break;
        if (key_number(v[0]) > c->cumulative)
            c->cumulative = key_number(v[0]);
        if ((rc = db_run(s, SQL_EARLY_DROP_TO, DB_INTS(base, v[0]))) != 0)
            break;
        c->early--;
    }
    return rc == STORE_NONE ? 0 : rc;
}

int store_mark_number(struct store *s, int peer, enum msg_class class, uint64_t previous,
                      uint64_t number)
{
    struct peer_row *p;
    struct class_row *c;
    int64_t there;
    bool early = false;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    c = &p->class[class];
    if (number == 0 || number > STORE_NUMBER_MAX || previous >= number)
        return STORE_REFUSED;
    if (number <= c->cumulative)
        return STORE_NONE;
    if (c->early > 0) {
        rc = db_read(s, SQL_EARLY_GET, DB_INTS(key_of(peer, class, number)), &there, 1);
        if (rc < 0)
            return rc;
        early = rc == 0;
    }
    if (early && previous > c->cumulative)
        return STORE_NONE;
    if (previous > c->cumulative) {
        if (c->early >= STORE_EARLY_MAX)
            return STORE_REFUSED;
        if ((rc = db_run(s, SQL_EARLY_ADD,
                         DB_INTS(key_of(peer, class, number), (int64_t)previous))) != 0)
            return rc;
        c->early++;
    } else {
        c->cumulative = number;
        if ((rc = advance(s, p, class)) != 0)
            return rc;
    }
    peer_class_changed(s, p, class);
    return 0;
}

/* ---- the peer's segments ---- */

static void pack(struct buf *b, const struct store_mark marks[CLASS_COUNT])
{
    for (int class = 0; class < CLASS_COUNT; class ++) {
        const struct store_mark *m = &marks[class];

        buf_put_varint(b, m->cumulative);
        buf_put_varint(b, m->early_count);
        for (unsigned i = 0; i < m->early_count; i++) {
            buf_put_varint(b, m->early[i]);
            buf_put_varint(b, m->early_previous[i]);
        }
    }
}

static bool unpack(const void *bytes, size_t n, struct store_mark marks[CLASS_COUNT])
{
    struct reader r = reader_of(bytes, n);

    for (int class = 0; class < CLASS_COUNT; class ++) {
        struct store_mark *m = &marks[class];
        uint64_t count;

        m->cumulative = read_varint(&r);
        count = read_varint(&r);
        if (count > STORE_EARLY_MAX)
            return false;
        m->early_count = (unsigned)count;
        for (unsigned i = 0; i < m->early_count; i++) {
            m->early[i] = read_varint(&r);
            m->early_previous[i] = read_varint(&r);
        }
    }
    return !r.bad && r.left == 0;
}

/* What a change of segments works with: too large for the stack of a callback. */
struct meeting {
    struct lineage_node nodes[STORE_SEGMENTS_MAX + 2];
    int count;         /* remembered ones, oldest first; the new one may stand behind them */
    int current, next; /* positions; current -1 = none yet */
    uint64_t branch;   /* numbers up to here are the same messages under both */
    struct store_mark before[CLASS_COUNT], after[CLASS_COUNT], other[CLASS_COUNT];
};

static int load_segments(struct store *s, struct peer_row *p, struct meeting *m)
{
    sqlite3_stmt *st =
        db_bind(s, SQL_SEGMENTS_EACH, DB_INTS(segment_base(p->id), segment_base(p->id + 1)));
    int rc;

    while ((rc = db_step(s, st)) > 0 && m->count <= STORE_SEGMENTS_MAX) {
        struct lineage_node *node = &m->nodes[m->count++];

        node->key = sqlite3_column_int64(st, 0);
        node->generation = (uint32_t)sqlite3_column_int64(st, 1);
        node->segment.id = (uint32_t)sqlite3_column_int64(st, 2);
        node->segment.predecessor = (uint32_t)sqlite3_column_int64(st, 3);
        node->segment.predecessor_end = (uint64_t)sqlite3_column_int64(st, 4);
    }
    db_done(st);
    m->current =
        p->met ? lineage_find(m->nodes, m->count, p->remote_generation, p->remote_segment) : -1;
    return rc < 0 ? rc : 0;
}

/* Adds to m->after what we have, in any remembered segment, of the numbers that it shares with the
 * new one. */
static int gather(struct store *s, struct peer_row *p, struct meeting *m)
{
    int newest = -1;
    sqlite3_stmt *st;
    int rc;

    for (int i = 0; i < m->count; i++) {
        if (i != m->next && m->nodes[i].generation == m->nodes[m->next].generation)
            newest = i;
    }
    st = db_bind(s, SQL_SEGMENTS_EACH, DB_INTS(segment_base(p->id), segment_base(p->id + 1)));
    for (int i = 0; (rc = db_step(s, st)) > 0 && i < m->count; i++) {
        int nodes = m->next < m->count ? m->count : m->count + 1;
        uint64_t shared = lineage_shared(m->nodes, nodes, m->next, i, newest);

        if (i == m->current) {
            m->branch = shared;
            memcpy(m->other, m->before, sizeof(m->other));
        } else if (!unpack(sqlite3_column_blob(st, 5), (size_t)sqlite3_column_bytes(st, 5),
                           m->other)) {
            return db_fail_with(s, EBADMSG, "the marks of an earlier segment are damaged");
        }
        for (int class = 0; class < CLASS_COUNT; class ++) {
            mark_cut(&m->other[class], shared);
            mark_add(&m->after[class], &m->other[class]);
        }
    }
    db_done(st);
    return rc < 0 ? rc : 0;
}

/* The current segment is left: its marks are put beside it. The new one becomes the newest; of too
 * many the oldest goes. */
static int take_over(struct store *s, struct peer_row *p, struct meeting *m)
{
    const struct lineage_node *next = &m->nodes[m->next];
    struct buf blob;
    sqlite3_stmt *st;
    int rc = 0;

    if (m->current >= 0) {
        buf_init(&blob, MARKS_BLOB_MAX);
        pack(&blob, m->before);
        if (blob.failed) {
            rc = db_fail_with(s, ENOMEM, "out of memory");
        } else {
            st = db_bind(s, SQL_SEGMENT_LEAVE, DB_INTS(m->nodes[m->current].key));
            db_bind_blob(st, 2, buf_bytes(&blob), blob.len);
            rc = db_step(s, st);
        }
        buf_fini(&blob);
    }
    if (rc == 0 && m->next < m->count)
        rc = db_run(s, SQL_SEGMENT_DROP, DB_INTS(next->key));
    else if (rc == 0 && m->count >= STORE_SEGMENTS_MAX)
        rc = db_run(s, SQL_SEGMENT_DROP, DB_INTS(m->nodes[m->current == 0 ? 1 : 0].key));
    if (rc == 0)
        rc = db_run(s, SQL_SEGMENT_ADD,
                    DB_INTS(segment_base(p->id) | db_ordinal(s), next->generation, next->segment.id,
                            next->segment.predecessor, (int64_t)next->segment.predecessor_end));
    p->met = true;
    p->remote_generation = next->generation;
    p->remote_segment = next->segment.id;
    p->remote_predecessor = next->segment.predecessor;
    p->remote_predecessor_end = next->segment.predecessor_end;
    peer_row_changed(s, p);
    return rc;
}

/* What else came from the branch that was left: the numbers above the branch point are other
 * messages now. */
static int drop_branch(struct store *s, struct peer_row *p, uint64_t branch)
{
    int rc = history_cut(s, p, STORE_IN, branch);

    for (int class = 0; rc == 0 && class < CLASS_COUNT; class ++) {
        struct store_partial partial;

        rc = store_partial_get(s, p->id, class, &partial);
        if (rc == 0 && partial.number > branch)
            rc = store_partial_drop(s, p->id, class);
        rc = rc < 0 ? rc : 0;
    }
    if (rc == 0)
        rc = db_run(s, SQL_ANCHORS_CLEAR, DB_INTS(key_side(p->id, STORE_IN)));
    return rc == 0 ? store_topics_clear(s, p->id, STORE_IN) : rc;
}

static bool same_marks(const struct store_mark a[CLASS_COUNT],
                       const struct store_mark b[CLASS_COUNT])
{
    for (int class = 0; class < CLASS_COUNT; class ++) {
        if (a[class].cumulative != b[class].cumulative ||
            a[class].early_count != b[class].early_count ||
            memcmp(a[class].early, b[class].early,
                   a[class].early_count * sizeof(a[class].early[0])) != 0)
            return false;
    }
    return true;
}

/* Does the new segment go on where the current one is? Not by the marks alone: a clone may have come as far as the one that it was
 * cloned from, with other messages, or have sent none and have received ours. */
static bool continues(const struct meeting *m, const struct lineage_node *next)
{
    int predecessor = lineage_find(m->nodes, m->count, next->generation, next->segment.predecessor);
    if (predecessor >= 0 && predecessor != m->current)
        return false;
    for (int class = 0; class < CLASS_COUNT; class ++) {
        const struct store_mark *had = &m->before[class];
        uint64_t highest = had->early_count > 0 ? had->early[had->early_count - 1] : had->cumulative;
        if (highest > m->branch)
            return false;
    }
    return same_marks(m->before, m->after);
}

static int meet(struct store *s, struct peer_row *p, const struct store_remote *remote,
                struct meeting *m, enum store_remote_change *change)
{
    int rc = load_segments(s, p, m);

    if (rc != 0)
        return rc;
    m->next = lineage_find(m->nodes, m->count, remote->generation, remote->segment.id);
    if (m->next < 0) {
        m->next = m->count;
        m->nodes[m->next] = (struct lineage_node){0, remote->generation, remote->segment};
        if (m->nodes[m->next].segment.predecessor_end > STORE_NUMBER_MAX)
            m->nodes[m->next].segment.predecessor_end =
                STORE_NUMBER_MAX; /* no honest peer says so */
    }
    if ((rc = load_marks(s, p, m->before)) != 0 || (rc = gather(s, p, m)) != 0 ||
        (rc = take_over(s, p, m)) != 0 || (rc = save_marks(s, p, m->after)) != 0)
        return rc;
    if (m->current < 0 || m->nodes[m->current].generation != remote->generation)
        *change = STORE_REMOTE_NEW;
    else
        *change = continues(m, &m->nodes[m->next]) ? STORE_REMOTE_NEXT : STORE_REMOTE_FORK;
    return *change == STORE_REMOTE_NEXT
               ? 0
               : drop_branch(s, p, *change == STORE_REMOTE_NEW ? 0 : m->branch);
}

int store_remote_seen(struct store *s, int peer, const struct store_remote *remote,
                      enum store_remote_change *change)
{
    struct peer_row *p = peer_row(s, peer);
    struct meeting *m;
    int rc = db_ready(s);

    if (rc != 0)
        return rc;
    if (!p)
        return db_fail_with(s, EINVAL, "unknown peer");
    if (p->met && p->remote_generation == remote->generation &&
        p->remote_segment == remote->segment.id) {
        *change = STORE_REMOTE_SAME;
        return 0;
    }
    if ((rc = db_write(s)) != 0)
        return rc;
    if (!(m = calloc(1, sizeof(*m))))
        return db_fail_with(s, ENOMEM, "out of memory");
    rc = meet(s, p, remote, m, change);
    free(m);
    return rc;
}
