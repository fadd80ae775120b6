#include "tests/conform/fake_host.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GUARD_REAL_MS  60000
#define GRACE_SLICES   8
#define GUARD_WORLD_MS (24 * 3600 * 1000ll)
#define OP_REAL_MS     5000 /* generous: the machine is busy, but a wait for a modem takes longer */
#define START_MS       1000000

static int64_t real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Around each op: services may be called, and nothing may take long, for a loop waits (I10). */
static void op_begin(struct fake_world *w)
{
    if (w->in_op++ == 0)
        w->op_began_real_ms = real_ms();
}

static void op_end(struct fake_world *w)
{
    if (--w->in_op == 0)
        assert(real_ms() - w->op_began_real_ms < OP_REAL_MS);
}

static struct fake_link *link_of(struct link_host *h)
{
    struct fake_link *l = h->owner;
    assert(l->world->in_op > 0); /* services are called from inside ops only */
    return l;
}

/* --- services --- */

static void host_watch(struct link_host *h, int fd, unsigned events)
{
    struct fake_link *l = link_of(h);
    assert(fd >= 0 && fcntl(fd, F_GETFD) >= 0); /* watched while open, forgotten before close */
    assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    size_t i = 0;
    while (i < l->fd_count && l->fds[i].fd != fd)
        i++;
    if (events == WATCH_NONE) {
        if (i < l->fd_count)
            l->fds[i] = l->fds[--l->fd_count];
        return;
    }
    if (i == l->fd_count) {
        assert(l->fd_count < FAKE_FDS_MAX);
        l->fd_count++;
    }
    l->fds[i].fd = fd;
    l->fds[i].events = events;
}

static void host_timer(struct link_host *h, int64_t at_ms)
{
    link_of(h)->timer_at_ms = at_ms;
}

struct fake_station *fake_station(struct fake_link *l, station_t station)
{
    for (size_t i = 0; i < l->station_count; i++)
        if (l->stations[i]->station == station)
            return l->stations[i];
    return NULL;
}

static struct fake_station *known_station(struct fake_link *l, station_t station)
{
    struct fake_station *s = fake_station(l, station);
    if (s)
        return s;
    assert(l->station_count < FAKE_STATIONS_MAX);
    s = calloc(1, sizeof(*s));
    assert(s);
    s->station = station;
    l->stations[l->station_count++] = s;
    return s;
}

static void host_deliver(struct link_host *h, station_t station, const uint8_t *bytes, size_t n)
{
    struct fake_link *l = link_of(h);
    struct fake_station *s = fake_station(l, station);
    assert(s && s->state == LINK_UP); /* nothing comes from where nobody is */
    s->bytes = realloc(s->bytes, s->n + n + 1);
    assert(s->bytes && s->frames < sizeof(s->frame_len) / sizeof(s->frame_len[0]));
    memcpy(s->bytes + s->n, bytes, n);
    s->n += n;
    s->frame_len[s->frames++] = n;
    l->commit_due = true;
    if (l->on_deliver)
        l->on_deliver(l, station);
}

static void host_sent(struct link_host *h, station_t station, uint64_t token,
                      enum send_outcome outcome)
{
    struct fake_link *l = link_of(h);
    assert(l->outcome_due && token == l->last_token); /* one outcome for each send */
    l->outcome_due = false;
    l->last_outcome = outcome;
    l->last_sent = station;
    switch (outcome) {
    case SEND_DONE:
        l->sent_done++;
        break;
    case SEND_FAILED:
        l->sent_failed++;
        break;
    case SEND_UNKNOWN:
        l->sent_unknown++;
        break;
    }
}

static void host_writable(struct link_host *h, station_t station)
{
    struct fake_station *s = fake_station(link_of(h), station);
    assert(s);
    s->writables++;
}

static void host_state(struct link_host *h, station_t station, enum link_state state,
                       const char *why)
{
    struct fake_station *s = known_station(link_of(h), station);
    assert(why && *why);
    s->state = state;
    s->ups += state == LINK_UP;
    s->downs += state == LINK_DOWN;
    snprintf(s->why, sizeof(s->why), "%s", why);
}

static void host_trace(struct link_host *h, int level, const char *fmt, ...)
{
    struct fake_link *l = link_of(h);
    va_list args;
    va_start(args, fmt);
    vsnprintf(l->last_trace, sizeof(l->last_trace), fmt, args);
    va_end(args);
    l->warnings += level >= 2;
}

static uint32_t host_random(struct link_host *h)
{
    struct fake_world *w = link_of(h)->world;
    return w->random = w->random * 1664525u + 1013904223u;
}

static const struct link_peer *host_peer(struct link_host *h, size_t i)
{
    const struct fake_link *l = link_of(h);
    return i < l->given.peer_count ? &l->given.peers[i] : NULL;
}

static int host_note_write(struct link_host *h, const void *bytes, size_t n)
{
    struct fake_link *l = link_of(h);
    assert(n <= LINK_NOTE_MAX);
    if (l->note_error) {
        int error = l->note_error;
        l->note_error = 0;
        return error;
    }
    memcpy(l->given.note, bytes, n);
    l->given.note_n = n;
    l->note_writes++;
    return 0;
}

static size_t host_note_read(struct link_host *h, uint8_t bytes[LINK_NOTE_MAX])
{
    const struct fake_link *l = link_of(h);
    memcpy(bytes, l->given.note, l->given.note_n);
    return l->given.note_n;
}

static int64_t host_wall_ms(struct link_host *h)
{
    const struct fake_link *l = link_of(h);
    return l->given.wall_ms ? l->given.wall_ms + l->world->now_ms : 0;
}

static void host_report(struct link_host *h, station_t station, const char *json, bool publish)
{
    struct fake_link *l = link_of(h);
    assert(json[0] == '{' && json[strlen(json) - 1] == '}');
    assert(strlen(json) < sizeof(l->last_report)); /* not cut */
    snprintf(l->last_report, sizeof(l->last_report), "%s", json);
    l->last_report_station = station;
    l->last_report_published = publish;
    l->reports++;
}

static const struct link_host_ops host_ops = {
    .watch = host_watch,
    .timer = host_timer,
    .deliver = host_deliver,
    .sent = host_sent,
    .writable = host_writable,
    .state = host_state,
    .trace = host_trace,
    .random = host_random,
    .peer = host_peer,
    .note_write = host_note_write,
    .note_read = host_note_read,
    .wall_ms = host_wall_ms,
    .report = host_report,
};

/* --- links --- */

void fake_world_init(struct fake_world *w)
{
    memset(w, 0, sizeof(*w));
    w->now_ms = START_MS;
    w->random = 1;
    w->grace_real_ms = 40;
}

int fake_link_open(struct fake_world *w, struct fake_link *l, const struct link_driver *driver,
                   const void *options, bool metered)
{
    return fake_link_open_given(w, l, driver, options, metered, NULL);
}

int fake_link_open_given(struct fake_world *w, struct fake_link *l,
                         const struct link_driver *driver, const void *options, bool metered,
                         const struct fake_given *given)
{
    memset(l, 0, sizeof(*l));
    if (given)
        l->given = *given;
    l->world = w;
    l->driver = driver;
    l->timer_at_ms = INT64_MAX;
    l->host = (struct link_host){.ops = &host_ops, .owner = l, .metered = metered};
    known_station(l, STATION_NONE);
    l->ctx = calloc(1, driver->ctx_size);
    assert(l->ctx && w->link_count < FAKE_LINKS_MAX);
    w->links[w->link_count++] = l;
    op_begin(w);
    int result = driver->init(l->ctx, options, &l->host);
    op_end(w);
    return result;
}

void fake_link_close(struct fake_link *l)
{
    struct fake_world *w = l->world;
    op_begin(w);
    l->driver->fini(l->ctx);
    op_end(w);
    assert(l->fd_count == 0);
    assert(l->timer_at_ms == INT64_MAX);
    free(l->ctx);
    for (size_t i = 0; i < l->station_count; i++) {
        free(l->stations[i]->bytes);
        free(l->stations[i]);
    }
    for (size_t i = 0; i < w->link_count; i++)
        if (w->links[i] == l) {
            w->links[i] = w->links[--w->link_count];
            break;
        }
}

void fake_start(struct fake_link *l)
{
    op_begin(l->world);
    l->driver->start(l->ctx, l->world->now_ms);
    op_end(l->world);
}

void fake_stop(struct fake_link *l)
{
    op_begin(l->world);
    l->driver->stop(l->ctx, l->world->now_ms);
    op_end(l->world);
}

size_t fake_room(struct fake_link *l, station_t station)
{
    op_begin(l->world);
    size_t room = l->driver->room(l->ctx, station, l->world->now_ms);
    op_end(l->world);
    return room;
}

static int send_frame(struct fake_link *l, station_t station, const void *bytes, size_t n,
                      bool urgent)
{
    op_begin(l->world);
    int result =
        l->driver->send(l->ctx, station, bytes, n, l->last_token + 1, urgent, l->world->now_ms);
    op_end(l->world);
    if (result == 0 && l->driver->kind == LINK_DATAGRAM) {
        l->last_token++;
        l->outcome_due = true;
    }
    return result;
}

int fake_send(struct fake_link *l, station_t station, const void *bytes, size_t n)
{
    return send_frame(l, station, bytes, n, false);
}

int fake_send_urgent(struct fake_link *l, station_t station, const void *bytes, size_t n)
{
    return send_frame(l, station, bytes, n, true);
}

void fake_commit(struct fake_link *l)
{
    l->commit_due = false;
    if (!l->driver->committed)
        return;
    op_begin(l->world);
    l->driver->committed(l->ctx, l->world->now_ms);
    op_end(l->world);
}

void fake_reset(struct fake_link *l, station_t station, const char *why)
{
    op_begin(l->world);
    l->driver->reset(l->ctx, station, why, l->world->now_ms);
    op_end(l->world);
}

void fake_on_fd(struct fake_link *l, int fd, unsigned events)
{
    op_begin(l->world);
    l->driver->on_fd(l->ctx, fd, events, l->world->now_ms);
    op_end(l->world);
}

void fake_on_timer(struct fake_link *l)
{
    op_begin(l->world);
    l->driver->on_timer(l->ctx, l->world->now_ms);
    op_end(l->world);
}

struct link_status fake_status(struct fake_link *l)
{
    struct link_status status;
    memset(&status, 0xff, sizeof(status));
    l->driver->status(l->ctx, &status);
    return status;
}

struct fake_station *fake_latest_station(struct fake_link *l)
{
    for (size_t i = l->station_count; i > 1; i--)
        if (l->stations[i - 1]->state == LINK_UP)
            return l->stations[i - 1];
    return NULL;
}

bool fake_is_up(const struct fake_link *l)
{
    return l->stations[0]->state == LINK_UP;
}

size_t fake_watches(const struct fake_link *l)
{
    return l->fd_count;
}

/* --- the loop --- */

/* Waits for descriptors for at most wait_ms of real time. Return: whether anything happened. */
static bool poll_once(struct fake_world *w, int wait_ms)
{
    struct pollfd fds[FAKE_LINKS_MAX * FAKE_FDS_MAX];
    struct fake_link *owners[FAKE_LINKS_MAX * FAKE_FDS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < w->link_count; i++)
        for (size_t j = 0; j < w->links[i]->fd_count; j++) {
            unsigned events = w->links[i]->fds[j].events;
            fds[n].fd = w->links[i]->fds[j].fd;
            fds[n].events =
                (short)((events & WATCH_READ ? POLLIN : 0) | (events & WATCH_WRITE ? POLLOUT : 0));
            owners[n++] = w->links[i];
        }
    if (poll(fds, n, wait_ms) <= 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        short r = fds[i].revents;
        assert(!(r & POLLNVAL));
        if (!r)
            continue;
        /* As libevent has it: a hang-up or an error comes as whatever is watched. */
        unsigned watched =
            (fds[i].events & POLLIN ? WATCH_READ : 0) | (fds[i].events & POLLOUT ? WATCH_WRITE : 0);
        unsigned events = (r & POLLIN ? WATCH_READ : 0) | (r & POLLOUT ? WATCH_WRITE : 0);
        if (r & (POLLHUP | POLLERR))
            events = watched;
        fake_on_fd(owners[i], fds[i].fd, events);
    }
    return true;
}

/* Gives kernel and threads their grace. In slices: where all of this process stood still meanwhile, a
 * thread of it has not had its time although the clock says so. Return: whether anything happened. */
static bool happens_in_grace(struct fake_world *w)
{
    int slice_ms = w->grace_real_ms > GRACE_SLICES ? w->grace_real_ms / GRACE_SLICES : w->grace_real_ms > 0;
    for (int spent_ms = 0; spent_ms < w->grace_real_ms; spent_ms += slice_ms)
        if (poll_once(w, slice_ms))
            return true;
    return poll_once(w, 0);
}

static bool fire_timers(struct fake_world *w)
{
    bool fired = false;
    for (size_t i = 0; i < w->link_count; i++) {
        struct fake_link *l = w->links[i];
        if (l->timer_at_ms <= w->now_ms) {
            l->timer_at_ms = INT64_MAX;
            fake_on_timer(l);
            fired = true;
        }
    }
    return fired;
}

/* A disk takes its time, but less than anything else here. */
static bool commit_all(struct fake_world *w)
{
    bool any = false;
    for (size_t i = 0; i < w->link_count; i++)
        if (w->links[i]->commit_due && !w->links[i]->disk_stands) {
            fake_commit(w->links[i]);
            any = true;
        }
    return any;
}

static int64_t next_timer(const struct fake_world *w)
{
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < w->link_count; i++)
        if (w->links[i]->timer_at_ms < at)
            at = w->links[i]->timer_at_ms;
    return at;
}

/* One thing happens, or time jumps, but not beyond until_ms. Return: false when nothing is left to
 * happen until then. */
static bool step(struct fake_world *w, int64_t until_ms)
{
    if (poll_once(w, 0) || fire_timers(w) || commit_all(w))
        return true;
    bool watched = false;
    for (size_t i = 0; i < w->link_count; i++)
        watched = watched || w->links[i]->fd_count > 0;
    if (w->settle ? w->settle(w->settle_arg) : watched && happens_in_grace(w))
        return true;
    int64_t at = next_timer(w);
    if (at > until_ms)
        return false;
    w->now_ms = at;
    return true;
}

bool fake_run(struct fake_world *w, bool (*cond)(void *arg), void *arg)
{
    int64_t real_end = real_ms() + GUARD_REAL_MS, world_end = w->now_ms + GUARD_WORLD_MS;
    while (!cond(arg)) {
        if (real_ms() > real_end || w->now_ms > world_end)
            return false;
        if (!step(w, world_end) && !poll_once(w, 1000) && !cond(arg))
            return false;
    }
    return true;
}

void fake_run_for(struct fake_world *w, int64_t ms)
{
    int64_t end = w->now_ms + ms, real_end = real_ms() + GUARD_REAL_MS;
    while (step(w, end))
        assert(real_ms() < real_end);
    w->now_ms = end;
}
