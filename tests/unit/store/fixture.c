#include "tests/unit/store/fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fixture_random(void *ctx, void *bytes, size_t n)
{
    struct fixture *f = ctx;

    for (size_t i = 0; i < n; i++) {
        f->random = f->random * 1664525u + 1013904223u;
        ((uint8_t *)bytes)[i] = (uint8_t)(f->random >> 24);
    }
}

int fixture_open(struct fixture *f)
{
    int rc;

    f->err[0] = '\0';
    rc = store_open(&f->s, f->path, &f->now, fixture_random, f, &f->opened, f->err, sizeof(f->err));
    if (rc == 0) {
        assert_ok(store_peer_id(f->s, "hub", &f->peer));
        assert_ok(store_commit(f->s, &f->now));
        store_history_limit(f->s, 1 << 20);
    }
    return rc;
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    snprintf(f->folder, sizeof(f->folder), "/tmp/longwire-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/store.db", f->folder);
    f->random = 7;
    f->now = (struct store_now){.mono_ms = 1000, .wall_ms = 1700000000000, .wall_trusted = true};
    assert_ok(fixture_open(f));
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    struct dirent *entry;
    DIR *dir;

    store_close(f->s);
    dir = opendir(f->folder);
    while (dir && (entry = readdir(dir)))
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(f->folder);
    free(f);
    return 0;
}

void fixture_reopen(struct fixture *f)
{
    store_close(f->s);
    f->s = NULL;
    if (fixture_open(f) != 0)
        fail_msg("%s", f->err);
}

void fixture_commit(struct fixture *f)
{
    if (store_commit(f->s, &f->now) != 0)
        fail_msg("%s", store_error(f->s));
}

const char *fixture_file(const struct fixture *f, const char *suffix)
{
    static char name[256];

    snprintf(name, sizeof(name), "%s%s", f->path, suffix);
    return name;
}

static void copy(const char *from, const char *to)
{
    char bytes[65536];
    ssize_t n;
    int in = open(from, O_RDONLY), out;

    if (in < 0) {
        unlink(to);
        return;
    }
    out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(out >= 0);
    while ((n = read(in, bytes, sizeof(bytes))) > 0)
        assert_int_equal(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
}

void fixture_copy(const struct fixture *f, const char *to)
{
    static const char *const suffixes[] = {"", "-wal"};
    char name[256];

    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "%s%s", to, suffixes[i]);
        copy(fixture_file(f, suffixes[i]), name);
    }
}

struct msg *fixture_msg(const char *topic, enum msg_class class, size_t n)
{
    size_t topic_len = strlen(topic);
    uint8_t *payload = malloc(n + 1);
    struct msg *msg;

    for (size_t i = 0; i < n; i++)
        payload[i] = (uint8_t)(topic[i % topic_len] + i / topic_len);
    msg = msg_new(topic, topic_len, payload, n, NULL, 0, "");
    free(payload);
    assert_non_null(msg);
    msg->class = class;
    msg->qos = 1;
    msg->origin_ms = 1700000000000;
    return msg;
}

static uint64_t put(struct fixture *f, const char *topic, enum msg_class class,
                    int64_t expire_age_ms, bool latest)
{
    struct msg *msg = fixture_msg(topic, class, 20);
    struct outbox_put what = {.peer = f->peer,
                              .msg = msg,
                              .route = "r",
                              .latest = latest,
                              .queued_age_ms = store_age_ms(f->s, &f->now),
                              .expire_age_ms = expire_age_ms};
    uint64_t number = 0;

    assert_ok(store_outbox_put(f->s, &what, &number));
    msg_free(msg);
    return number;
}

uint64_t fixture_put(struct fixture *f, const char *topic, enum msg_class class)
{
    return put(f, topic, class, MSG_NO_EXPIRY, false);
}

uint64_t fixture_put_expiring(struct fixture *f, const char *topic, enum msg_class class,
                              int64_t expire_age_ms)
{
    return put(f, topic, class, expire_age_ms, false);
}

uint64_t fixture_put_latest(struct fixture *f, const char *topic, enum msg_class class)
{
    return put(f, topic, class, MSG_NO_EXPIRY, true);
}

const char *fixture_outbox(struct fixture *f, enum msg_class class)
{
    static char text[4096];
    struct outbox_row row;
    size_t at = 0;
    uint64_t after = 0;
    int rc;

    text[0] = '\0';
    while ((rc = store_outbox_next(f->s, f->peer, class, after, UINT32_MAX, &row)) == 0 &&
           at < sizeof(text) - 128) {
        const char *space = at > 0 ? " " : "";

        if (row.gap)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u-%ux%u:%s", space,
                                   (unsigned)row.first_number, (unsigned)row.number,
                                   (unsigned)row.count, gap_reason_name(row.reason));
        else
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u:%s", space,
                                   (unsigned)row.number, row.msg->topic);
        after = row.number;
        msg_free(row.msg);
    }
    assert_int_equal(rc, STORE_NONE);
    return text;
}
