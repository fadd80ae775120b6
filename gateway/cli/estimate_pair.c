#include "gateway/cli/estimate_pair.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "gateway/cli/estimate_air.h"
#include "gateway/cli/estimate_site.h"
#include "store/peers.h"

/* Some Unix time for recordings that begin at 0: times of origin are coded as steps. */
#define EPOCH_MS     1700000000000
#define GREETING_MS  60000 /* that the two have for themselves before the first message */
#define STEP_MS      60000
#define PATIENCE_MS  (60 * 86400000ll)
#define ROUNDS_MAX   10000000 /* things that may be due at one moment */
#define BACKLOG_BYTES 65536 /* that wait at least, where there is to be a backlog: some hundred frames */

struct estimate_pair {
    struct estimate_site sites[2];
    struct estimate_air *air;
    struct estimate_pair_ops ops;
    void *ctx;
    bool backlog, begun;
    struct store_now now;
    int64_t begin_ms, first_ms; /* this moment of ours is that of the recording */
    uint64_t seed;
    char folder[256], error[300];
};

/* ---- life ---- */

static bool make_folder(struct estimate_pair *p)
{
    const char *tmp = getenv("TMPDIR");
    /* Where the operator says, or in memory: thousands of commits are made there, and none is to last. */
    const char *const places[] = {tmp && *tmp ? tmp : "/dev/shm", "/tmp"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int n = snprintf(p->folder, sizeof p->folder, "%s/longwire-estimate-XXXXXX", places[i]);
        if (n < (int)sizeof p->folder && mkdtemp(p->folder))
            return true;
    }
    p->folder[0] = '\0';
    return false;
}

static void remove_folder(const char *folder)
{
    struct dirent *e;
    DIR *dir = folder[0] ? opendir(folder) : NULL;
    while (dir && (e = readdir(dir)))
        unlinkat(dirfd(dir), e->d_name, 0);
    if (dir)
        closedir(dir);
    if (folder[0])
        rmdir(folder);
}

struct estimate_pair *estimate_pair_new(const struct config *config, size_t peer,
                                        const struct estimate_link *link,
                                        const struct estimate_pair_ops *ops, void *ctx, char *err,
                                        size_t err_size)
{
    struct estimate_pair *p = calloc(1, sizeof *p);
    snprintf(err, err_size, "out of memory");
    if (!p)
        return NULL;
    p->ops = *ops;
    p->ctx = ctx;
    p->backlog = link->backlog;
    p->seed = 7;
    p->now = (struct store_now){.mono_ms = 1000, .wall_ms = EPOCH_MS, .wall_trusted = true};
    p->air = estimate_air_new(link);
    bool good = p->air != NULL;
    if (good && !make_folder(p)) {
        snprintf(err, err_size, "no temporary folder: %s", strerror(errno));
        good = false;
    }
    const struct estimate_site_plan plan = {config, peer, link, p->folder};
    for (int end = 0; end < 2 && good; end++) {
        struct estimate_site *s = &p->sites[end];
        s->air = p->air;
        s->now = &p->now;
        s->seed = &p->seed;
        s->delivered = end == ESTIMATE_THERE ? ops->delivered : NULL;
        s->ctx = ctx;
        good = estimate_site_init(s, (enum estimate_end)end, &plan, err, err_size) == 0;
    }
    if (good)
        return p;
    estimate_pair_free(p);
    return NULL;
}

void estimate_pair_free(struct estimate_pair *p)
{
    if (!p)
        return;
    for (int end = 0; end < 2; end++)
        estimate_site_fini(&p->sites[end]);
    estimate_air_free(p->air);
    remove_folder(p->folder);
    free(p);
}

/* ---- time ---- */

static int broken(struct estimate_pair *p, const char *what)
{
    const char *trouble =
        p->sites[0].trouble[0] ? p->sites[0].trouble : p->sites[1].trouble;
    snprintf(p->error, sizeof p->error, "%s%s%s", what, trouble[0] ? ": " : "", trouble);
    return -EPROTO;
}

/* All that is due now. */
static int settle(struct estimate_pair *p)
{
    struct estimate_air_event e;
    bool busy = true;
    for (unsigned round = 0; busy; round++) {
        busy = estimate_site_serve(&p->sites[ESTIMATE_HERE]);
        busy |= estimate_site_serve(&p->sites[ESTIMATE_THERE]);
        if (estimate_air_next(p->air, p->now.mono_ms, &e)) {
            estimate_site_hears(&p->sites[e.end], &e);
            busy = true;
        }
        if (p->sites[0].broken || p->sites[1].broken)
            return broken(p, "the gateways do not get on with one another");
        if (round == ROUNDS_MAX)
            return broken(p, "the gateways do not come to rest");
    }
    return 0;
}

/* To the next moment at which something is due, at most until_ms. */
static int step(struct estimate_pair *p, int64_t until_ms)
{
    int rc = settle(p);
    if (rc < 0)
        return rc;
    int64_t next = estimate_air_deadline(p->air, p->now.mono_ms);
    for (int end = 0; end < 2; end++) {
        int64_t at = estimate_site_deadline(&p->sites[end]);
        next = at < next ? at : next;
    }
    next = next < until_ms ? next : until_ms;
    next = next > p->now.mono_ms ? next : p->now.mono_ms + 1;
    if (!p->backlog)
        p->now.wall_ms += next - p->now.mono_ms;
    p->now.mono_ms = next;
    return 0;
}

static int run_until(struct estimate_pair *p, int64_t until_ms)
{
    int rc = 0;
    while (rc == 0 && p->now.mono_ms < until_ms)
        rc = step(p, until_ms);
    return rc < 0 ? rc : settle(p);
}

/* ---- messages ---- */

/* Return: 0 and *q; negative. */
static int queue_of(struct estimate_pair *p, struct store_queue *q)
{
    const struct estimate_site *s = &p->sites[ESTIMATE_HERE];
    return store_peer_queue(s->store, s->peer_id, q) == 0
               ? 0
               : broken(p, "the gateway's store cannot be read");
}

/* Lives until the queue has room for more. */
static int keep_backlog(struct estimate_pair *p)
{
    struct store_queue q;
    int rc = settle(p);
    while (rc == 0 && (rc = queue_of(p, &q)) == 0 && q.bytes > BACKLOG_BYTES)
        rc = step(p, INT64_MAX);
    return rc;
}

static int begin(struct estimate_pair *p, const struct estimate_message *m)
{
    int rc = run_until(p, p->now.mono_ms + GREETING_MS);
    p->begun = true;
    p->begin_ms = p->now.mono_ms;
    p->first_ms = m->at_ms;
    p->now.wall_ms = EPOCH_MS;
    return rc;
}

int estimate_pair_put(struct estimate_pair *p, const struct estimate_message *m)
{
    int rc = p->begun ? 0 : begin(p, m);
    if (rc == 0 && p->backlog)
        p->now.wall_ms = EPOCH_MS + m->at_ms - p->first_ms;
    else if (rc == 0)
        rc = run_until(p, p->begin_ms + m->at_ms - p->first_ms);
    if (rc == 0 && !estimate_broker_publish(&p->sites[ESTIMATE_HERE].broker, m->topic, m->payload,
                                            m->payload_len, m->retain))
        rc = -ENOMEM;
    if (rc == 0 && p->backlog)
        rc = keep_backlog(p);
    return rc;
}

int estimate_pair_end(struct estimate_pair *p)
{
    const int64_t last_ms = p->now.mono_ms;
    struct store_queue q;
    int rc;
    do {
        rc = run_until(p, p->now.mono_ms + STEP_MS);
        if (rc == 0)
            rc = queue_of(p, &q);
        if (rc == 0 && p->ops.give_up(p->ctx))
            rc = -EINTR;
        if (rc == 0 && p->now.mono_ms > last_ms + PATIENCE_MS)
            rc = -ETIMEDOUT;
    } while (rc == 0 && q.messages + q.held_messages > 0);
    if (rc == -ETIMEDOUT)
        snprintf(p->error, sizeof p->error,
                 "%llu messages have not arrived two months after the last: the link is too slow for them",
                 (unsigned long long)(q.messages + q.held_messages));
    return rc;
}

const char *estimate_pair_error(const struct estimate_pair *p)
{
    return p->error;
}

const struct estimate_totals *estimate_pair_totals(const struct estimate_pair *p)
{
    return estimate_air_totals(p->air);
}

/* ---- what was not carried ---- */

struct counters {
    void (*each)(void *ctx, const char *reason, uint64_t count);
    void *ctx;
};

static void on_counter(void *ctx, const char *name, uint64_t value)
{
    const struct counters *c = ctx;
    if (strncmp(name, "dropped.", 8) == 0)
        c->each(c->ctx, name + 8, value);
    else if (strcmp(name, "unchanged") == 0 || strcmp(name, "bad_topic") == 0)
        c->each(c->ctx, name, value);
}

int estimate_pair_dropped(struct estimate_pair *p,
                          void (*each)(void *ctx, const char *reason, uint64_t count), void *ctx)
{
    const struct estimate_site *s = &p->sites[ESTIMATE_HERE];
    struct counters c = {each, ctx};
    return store_counters_each(s->store, s->peer_id, on_counter, &c) == 0 ? 0 : -EIO;
}
