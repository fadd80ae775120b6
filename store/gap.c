#include "store/gap.h"

#include <errno.h>
#include <string.h>
#include "store/db.h"
#include "store/key.h"
#include "store/outbox.h"
#include "store/queue.h"

const char *gap_reason_name(enum gap_reason r)
{
    switch (r) {
    case GAP_EXPIRED:
        return "expired";
    case GAP_OVERFLOW:
        return "overflow";
    case GAP_OVERSIZE:
        return "oversize";
    case GAP_REPLACED:
        return "replaced";
    case GAP_INTERVAL:
        return "interval";
    case GAP_LOST:
        return "lost";
    case GAP_REFUSED:
        return "refused";
    }
    return "unknown"; /* a number that came from a peer */
}

/* The earlier and the later of two times of which 0 means not known. */
static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Counts one message of this key into the newest gap of its kind above `fixed`, or begins a new
 * gap. */
static int add_gap(struct store *s, struct peer_row *p, int64_t key, const char *route,
                   enum gap_reason reason, int64_t origin_ms, uint64_t fixed)
{
    enum msg_class class = key_class(key);
    int64_t number = (int64_t)key_number(key);
    sqlite3_stmt *st;
    int rc = 0;

    if (number > (int64_t)fixed) {
        st = db_bind(s, SQL_GAP_NEWEST,
                     DB_INTS(key_group(p->id, class), reason, key_of(p->id, class, fixed)));
        db_bind_name(st, 4, route);
        if ((rc = db_step(s, st)) < 0)
            return rc;
    }
    if (rc > 0) {
        int64_t old = sqlite3_column_int64(st, 0), count = sqlite3_column_int64(st, 1);
        int64_t first = sqlite3_column_int64(st, 2);
        int64_t from = sqlite3_column_int64(st, 3), to = sqlite3_column_int64(st, 4);

        db_done(st);
        return db_run(s, SQL_GAP_GROW,
                      DB_INTS(old, key > old ? key : old, count + 1,
                              number < first ? number : first, earlier(from, origin_ms),
                              later(to, origin_ms)));
    }
    st = db_bind(s, SQL_GAP_ADD, DB_INTS(key, reason, 1, number, origin_ms, origin_ms));
    db_bind_name(st, 7, route);
    if ((rc = db_step(s, st)) != 0)
        return rc;
    p->class[class].gaps++;
    peer_class_changed(s, p, class);
    return 0;
}

int store_outbox_discard(struct store *s, int peer, enum msg_class class, uint64_t number,
                         enum gap_reason reason, uint64_t fixed)
{
    struct peer_row *p;
    int64_t key = key_of(peer, class, number), figures[3];
    char route[STORE_ROUTE_MAX + 1];
    int64_t origin_ms;
    sqlite3_stmt *st;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)))
        return db_fail_with(s, EINVAL, "unknown peer");
    if ((rc = db_read(s, SQL_OUTBOX_FIGURES, DB_INTS(key), figures, 3)) != 0)
        return rc;
    st = db_bind(s, SQL_OUTBOX_NAMES, DB_INTS(key));
    if ((rc = db_step(s, st)) <= 0)
        return rc == 0 ? STORE_NONE : rc;
    strncpy(route, (const char *)sqlite3_column_text(st, 0), sizeof(route) - 1);
    route[sizeof(route) - 1] = '\0';
    origin_ms = sqlite3_column_int64(st, 1);
    db_done(st);
    if ((rc = queue_forget(s, p, key, (uint64_t)figures[1], (unsigned)figures[2])) != 0 ||
        (rc = db_run(s, SQL_OUTBOX_DELETE, DB_INTS(key))) != 0)
        return rc;
    return add_gap(s, p, key, route, reason, origin_ms, fixed);
}

int store_outbox_gap(struct store *s, int peer, enum msg_class class, const char *route,
                     enum gap_reason reason, int64_t origin_ms, uint64_t fixed)
{
    struct peer_row *p;
    uint64_t number;
    int rc = db_write(s);

    if (rc != 0)
        return rc;
    if (!(p = peer_row(s, peer)) || !route || strlen(route) > STORE_ROUTE_MAX)
        return db_fail_with(s, EINVAL, "unknown peer, or name of a route too long");
    if ((rc = queue_number(s, p, &number)) != 0)
        return rc;
    return add_gap(s, p, key_of(peer, class, number), route, reason, origin_ms, fixed);
}
