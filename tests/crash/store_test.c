/* A store whose every write, sync, read, open and allocation fails once, and once for good: what was committed is there
 * afterwards, what was not is there whole or not at all, every failure is told in a sentence that names the file, nothing
 * is taken for damage that is none, and no memory is left. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "store/history.h"
#include "store/inbox.h"
#include "store/marks.h"
#include "store/outbox.h"
#include "store/partials.h"
#include "store/peers.h"
#include "store/store.h"
#include "store/topics.h"
#include "tests/crash/fault.h"

/* What the store has promised to hold. */
struct promise {
    uint64_t queued;      /* bit n: message n of the outbox */
    uint64_t received;    /* the mark of the peer, and bit n of the inbox */
    uint32_t partial;     /* bytes of the message that comes in pieces */
    char value;           /* of the name "client_id" */
};

struct run {
    char folder[64], path[96];
    struct store *s;
    struct store_now now;
    struct store_opened opened;
    uint32_t seed;
    int peer;
    struct promise promised, written, unsure; /* committed; in the open transaction; of a commit that failed */
    bool doubt;
    char err[512];
};

static void fill(void *ctx, void *bytes, size_t n)
{
    struct run *r = ctx;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)((r->seed = r->seed * 1664525u + 1013904223u) >> 24);
}

static void enter_folder(struct run *r)
{
    snprintf(r->folder, sizeof r->folder, "%s/longwire-crash-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->path, sizeof r->path, "%s/s.db", r->folder);
}

static void leave_folder(struct run *r)
{
    DIR *dir = opendir(r->folder);
    struct dirent *e;
    while (dir && (e = readdir(dir)))
        unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    rmdir(r->folder);
}

/* A call failed: the sentence says of which file. All since the last commit is given up, as the bridge does. */
static void failed(struct run *r, int rc)
{
    if (rc >= 0)
        fail_msg("returned %d where it must fail: %s", rc, store_error(r->s));
    if (!strstr(store_error(r->s), r->path))
        fail_msg("error %d, and the sentence is \"%s\"", rc, store_error(r->s));
    store_rollback(r->s);
    r->written = r->promised;
}

static bool open_store(struct run *r)
{
    r->err[0] = '\0';
    int rc = store_open(&r->s, r->path, &r->now, fill, r, &r->opened, r->err, sizeof r->err);
    if (r->opened.damaged)
        fail_msg("a good file was set aside: %s", r->err);
    if (rc != 0) {
        assert_null(r->s);
        if (rc > 0 || !strstr(r->err, r->path))
            fail_msg("open returned %d, and the sentence is \"%s\"", rc, r->err);
        return false;
    }
    if ((rc = store_peer_id(r->s, "hub", &r->peer)) != 0) {
        failed(r, rc);
        return false;
    }
    store_history_limit(r->s, 4096);
    return true;
}

/* The peer says who it is: without that no number of its counts. */
static bool meet(struct run *r)
{
    static const struct store_remote remote = {.generation = 9, .segment = {.id = 5}};
    enum store_remote_change change;
    int rc = store_remote_seen(r->s, r->peer, &remote, &change);
    if (rc != 0)
        failed(r, rc);
    return rc == 0;
}

static void commit(struct run *r)
{
    r->now.mono_ms += 100;
    int rc = store_commit(r->s, &r->now);
    if (rc == 0) {
        r->promised = r->written;
        r->doubt = false;
        return;
    }
    r->unsure = r->written;
    r->doubt = true;
    failed(r, rc);
}

static void queue_message(struct run *r)
{
    static const uint8_t payload[300] = "payload";
    uint64_t number = 0;
    struct msg *m = msg_new("sensors/a", 9, payload, sizeof payload, NULL, 0, "");
    if (!m)
        return; /* the caller's lack of memory, not the store's */
    m->qos = 1;
    struct outbox_put put = {.peer = r->peer, .msg = m, .route = "r", .queued_age_ms = 1, .expire_age_ms = MSG_NO_EXPIRY};
    int rc = store_outbox_put(r->s, &put, &number);
    msg_free(m);
    if (rc != 0) {
        failed(r, rc);
        return;
    }
    assert_true(number > 0 && number < 64 && !(r->promised.queued >> number & 1));
    r->written.queued |= 1ull << number;
}

static void settle_first(struct run *r)
{
    struct outbox_row row;
    int rc = store_outbox_next(r->s, r->peer, CLASS_NORMAL, 0, 1000, &row);
    if (rc == STORE_NONE)
        return;
    if (rc != 0) {
        failed(r, rc);
        return;
    }
    uint64_t number = row.number;
    msg_free(row.msg);
    if ((rc = store_outbox_settle(r->s, r->peer, CLASS_NORMAL, number, true)) != 0)
        failed(r, rc);
    else
        r->written.queued &= ~(1ull << number);
}

/* The next one: what was lost with its transaction the peer sends again. */
static void receive(struct run *r)
{
    uint64_t number = r->written.received + 1;
    int64_t key = 0;
    struct msg *m = msg_new("cmd/a", 5, "x", 1, NULL, 0, "");
    if (!m)
        return;
    int rc = store_mark_number(r->s, r->peer, CLASS_NORMAL, number - 1, number);
    if (rc == 0)
        rc = store_inbox_put(r->s, r->peer, m, number, 1, &key);
    msg_free(m);
    if (rc != 0)
        failed(r, rc);
    else
        r->written.received = number;
}

static void add_piece(struct run *r)
{
    struct store_partial p;
    int rc = store_partial_get(r->s, r->peer, CLASS_BULK, &p);
    if (rc == STORE_NONE && (rc = store_partial_begin(r->s, r->peer, CLASS_BULK, 50, 1000, "h", 1)) == 0) {
        p.have = 0;
        r->written.partial = 0;
    }
    if (rc == 0)
        rc = store_partial_add(r->s, r->peer, CLASS_BULK, p.have, "0123456789", 10);
    if (rc != 0)
        failed(r, rc);
    else
        r->written.partial = p.have + 10;
}

static void set_value(struct run *r, char value)
{
    int rc = store_set(r->s, "client_id", &value, 1);
    if (rc == 0)
        rc = store_topic_set(r->s, r->peer, STORE_OUT, (unsigned)value, "sensors/a", 9);
    if (rc != 0)
        failed(r, rc);
    else
        r->written.value = value;
}

static void scenario(struct run *r)
{
    if (open_store(r) && meet(r)) {
        commit(r);
        for (int i = 1; i <= 3; i++) {
            queue_message(r);
            queue_message(r);
            set_value(r, (char)('a' + i));
            commit(r);
            receive(r);
            add_piece(r);
            settle_first(r);
            commit(r);
        }
        int rc = store_tidy(r->s);
        if (rc < 0)
            failed(r, rc);
        queue_message(r); /* never committed */
    }
    store_close(r->s);
    r->s = NULL;
    r->written = r->promised;
}

static struct promise read_back(struct run *r)
{
    struct promise p = {0};
    struct outbox_row row;
    struct inbox_row in;
    struct store_mark marks[CLASS_COUNT];
    struct store_remote of;
    struct store_partial partial;
    size_t n = 1;
    int rc;
    for (uint64_t after = 0; (rc = store_outbox_next(r->s, r->peer, CLASS_NORMAL, after, 1000, &row)) == 0; after = row.number) {
        assert_int_equal(row.payload_len, 300);
        p.queued |= 1ull << row.number;
        msg_free(row.msg);
    }
    assert_int_equal(rc, STORE_NONE);
    rc = store_marks(r->s, r->peer, marks, &of);
    assert_true(rc >= 0);
    p.received = marks[CLASS_NORMAL].cumulative;
    uint64_t count = 0;
    for (int64_t after = 0; (rc = store_inbox_next(r->s, CLASS_NORMAL, after, &in)) == 0; after = in.key) {
        assert_true(in.number >= 1 && in.number <= p.received); /* mark and message are one transaction (I4) */
        count++;
        msg_free(in.msg);
    }
    assert_true(rc == STORE_NONE && count == p.received);
    p.partial = store_partial_get(r->s, r->peer, CLASS_BULK, &partial) == 0 ? partial.have : 0;
    if (store_get(r->s, "client_id", &p.value, &n) != 0)
        p.value = 0;
    return p;
}

static bool same(const struct promise *a, const struct promise *b)
{
    return a->queued == b->queued && a->received == b->received && a->partial == b->partial && a->value == b->value;
}

/* One scenario with the fault, then a clean start on what it left. Return: the fault was met. */
static bool try_once(const struct fault *f)
{
    struct run r = {.seed = 7, .now = {.mono_ms = 1000, .wall_ms = 1700000000000, .wall_trusted = true}};
    size_t blocks = fault_live_blocks();
    long long bytes = fault_live_sqlite_bytes();
    enter_folder(&r);
    fault_arm(f);
    fault_enter();
    scenario(&r);
    fault_leave();
    bool met = fault_disarm();
    if (fault_live_blocks() != blocks || fault_live_sqlite_bytes() != bytes)
        fail_msg("%s %u: %zu blocks and %lld bytes of SQLite's are left", fault_names[f->kind], f->at,
                 fault_live_blocks() - blocks, fault_live_sqlite_bytes() - bytes);
    if (!open_store(&r))
        fail_msg("%s %u: does not open afterwards: %s", fault_names[f->kind], f->at, r.err);
    struct promise found = read_back(&r);
    if (!same(&found, &r.promised) && !(r.doubt && same(&found, &r.unsure)))
        fail_msg("%s %u: promised %llx %llu %u %d, found %llx %llu %u %d", fault_names[f->kind], f->at,
                 (unsigned long long)r.promised.queued, (unsigned long long)r.promised.received, r.promised.partial,
                 r.promised.value, (unsigned long long)found.queued, (unsigned long long)found.received, found.partial,
                 found.value);
    if (!met)
        assert_true(r.promised.received == 3 && r.promised.partial == 30 && r.promised.value == 'd');
    store_close(r.s);
    leave_folder(&r);
    return met;
}

static void rise(enum fault_kind kind, int error, bool lasting, unsigned slow)
{
    struct fault f = {.kind = kind, .error = error, .lasting = lasting, .at = fault_first()};
    unsigned tried = 0;
    for (; try_once(&f); tried++)
        f.at = fault_next(f.at, slow);
    assert_true(tried > 0);
    print_message("# %s: %u places\n", fault_names[kind], tried);
}

#define CASE(name, kind, error, lasting, slow)  \
    static void name(void **state)              \
    {                                           \
        rise(kind, error, lasting, slow);       \
    }

CASE(committed_messages_survive_each_write_that_fails, FAULT_WRITE, EIO, false, 0)
CASE(committed_messages_survive_a_disk_that_is_full_from_any_write_on, FAULT_WRITE, ENOSPC, true, 0)
CASE(committed_messages_survive_a_disk_that_dies_at_any_write, FAULT_WRITE, EIO, true, 0)
CASE(committed_messages_survive_each_sync_that_fails, FAULT_SYNC, EIO, false, 0)
CASE(committed_messages_survive_syncs_that_fail_for_good, FAULT_SYNC, EIO, true, 0)
CASE(committed_messages_survive_each_read_that_fails, FAULT_READ, EIO, false, 0)
CASE(committed_messages_survive_each_file_that_cannot_be_opened, FAULT_OPEN, EACCES, false, 0)
CASE(committed_messages_survive_each_allocation_that_fails, FAULT_ALLOC, ENOMEM, false, 0)
CASE(committed_messages_survive_allocations_of_sqlite_that_fail, FAULT_MEMORY, ENOMEM, false, 100)

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(committed_messages_survive_each_write_that_fails),
        cmocka_unit_test(committed_messages_survive_a_disk_that_is_full_from_any_write_on),
        cmocka_unit_test(committed_messages_survive_a_disk_that_dies_at_any_write),
        cmocka_unit_test(committed_messages_survive_each_sync_that_fails),
        cmocka_unit_test(committed_messages_survive_syncs_that_fail_for_good),
        cmocka_unit_test(committed_messages_survive_each_read_that_fails),
        cmocka_unit_test(committed_messages_survive_each_file_that_cannot_be_opened),
        cmocka_unit_test(committed_messages_survive_each_allocation_that_fails),
        cmocka_unit_test(committed_messages_survive_allocations_of_sqlite_that_fail),
    };
    fault_init();
    return cmocka_run_group_tests(cases, NULL, NULL);
}
