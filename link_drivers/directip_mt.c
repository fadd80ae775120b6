#include "link_drivers/directip_mt.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link_drivers/directip_mt_internal.h"

/* A modem whose numbers jump by more has been exchanged, or had its counter cleared. */
#define MTMSN_STEP_MAX 50

int64_t directip_mt_wait_ms(const struct directip_mt *c, enum directip_wait wait, unsigned n)
{
    return directip_wait_ms(wait, n, c->host->ops->random(c->host), c->settings.time_scale);
}

/* --- stations --- */

static int compare_stations(const void *a, const void *b)
{
    const struct directip_mt_station *x = a, *y = b;
    return (x->station > y->station) - (x->station < y->station);
}

static int compare_imeis(const void *a, const void *b)
{
    const struct directip_mt_station *const *x = a, *const *y = b;
    return strcmp((*x)->imei, (*y)->imei);
}

struct directip_mt_station *directip_mt_station(struct directip_mt *c, station_t station)
{
    struct directip_mt_station key = {.station = station};
    return c->count == 0 ? NULL
                         : bsearch(&key, c->stations, c->count, sizeof(key), compare_stations);
}

struct directip_mt_station *directip_mt_find(struct directip_mt *c, const char *imei)
{
    struct directip_mt_station key = {.imei = imei}, *pointer = &key;
    struct directip_mt_station **found =
        c->count == 0 ? NULL
                      : bsearch(&pointer, c->by_imei, c->count,
                                sizeof(struct directip_mt_station *), compare_imeis);
    return found ? *found : NULL;
}

int directip_mt_init(struct directip_mt *c, const struct directip_mt_settings *settings,
                     struct link_host *host)
{
    size_t peers = 0;
    memset(c, 0, sizeof(*c));
    c->settings = *settings;
    c->host = host;
    while (host->ops->peer(host, peers))
        peers++;
    c->stations = calloc(peers + 1, sizeof(*c->stations));
    c->by_imei = calloc(peers + 1, sizeof(struct directip_mt_station *));
    if (!c->stations || !c->by_imei)
        return -ENOMEM;
    for (size_t i = 0; i < peers; i++) {
        const struct link_peer *p = host->ops->peer(host, i);
        bool whole = strlen(p->imei) == DIRECTIP_IMEI_DIGITS &&
                     strspn(p->imei, "0123456789") == DIRECTIP_IMEI_DIGITS;
        for (size_t j = 0; j < c->count; j++)
            whole = whole && strcmp(c->stations[j].imei, p->imei) != 0;
        if (!whole)
            continue;
        size_t mt_max = p->mt_max < DIRECTIP_MT_PAYLOAD_MAX ? p->mt_max : DIRECTIP_MT_PAYLOAD_MAX;
        c->stations[c->count++] = (struct directip_mt_station){
            .station = p->station, .name = p->name, .imei = p->imei, .mt_max = mt_max};
    }
    qsort(c->stations, c->count, sizeof(*c->stations), compare_stations);
    for (size_t i = 0; i < c->count; i++)
        c->by_imei[i] = &c->stations[i];
    qsort(c->by_imei, c->count, sizeof(struct directip_mt_station *), compare_imeis);
    return 0;
}

void directip_mt_fini(struct directip_mt *c)
{
    free(c->stations);
    free(c->by_imei);
    c->stations = NULL;
    c->by_imei = NULL;
    c->count = 0;
}

/* --- the message in hand --- */

void directip_mt_finish(struct directip_mt *c, struct directip_mt_station *s,
                        enum send_outcome outcome, int64_t now_ms)
{
    uint64_t token = s->job->token;
    c->bytes_out += outcome == SEND_FAILED ? 0 : s->job->payload_n;
    directip_mt_hang_up(c, s);
    free(s->job);
    s->job = NULL;
    if (outcome == SEND_UNKNOWN) {
        s->queued++; /* it may lie there */
        s->queued_ms = now_ms;
    }
    c->host->ops->sent(c->host, s->station, token, outcome);
}

static void give_up_job(struct directip_mt *c, struct directip_mt_station *s, int64_t now_ms)
{
    bool whole = s->job->state == JOB_ANSWER;
    directip_mt_finish(c, s, whole || s->job->may_have_left ? SEND_UNKNOWN : SEND_FAILED, now_ms);
}

void directip_mt_rest(struct directip_mt *c, struct directip_mt_station *s, enum directip_wait wait,
                      int64_t now_ms)
{
    s->closed_until_ms = now_ms + directip_mt_wait_ms(c, wait, ++s->refusals);
}

void directip_mt_station_down(struct directip_mt *c, struct directip_mt_station *s, const char *why)
{
    s->down = true;
    c->host->ops->state(c->host, s->station, LINK_DOWN, why);
}

static void station_up(struct directip_mt *c, struct directip_mt_station *s, const char *why)
{
    s->down = false;
    c->host->ops->state(c->host, s->station, LINK_UP, why);
}

void directip_mt_gateway_failed(struct directip_mt *c, enum directip_wait wait, const char *why,
                                int64_t now_ms)
{
    if (strcmp(c->trouble, why) != 0)
        c->host->ops->trace(c->host, 2, "the gateway takes no messages: to=%s:%s why=\"%s\"",
                            c->settings.connect.host, c->settings.connect.port, why);
    snprintf(c->trouble, sizeof(c->trouble), "%s", why);
    c->closed_until_ms = now_ms + directip_mt_wait_ms(c, wait, ++c->failures);
    c->address_count = 0; /* it may have moved */
    for (size_t i = 0; i < c->count; i++) {
        struct directip_mt_station *s = &c->stations[i];
        if (s->job && s->job->state == JOB_WAITING && !s->job->may_have_left)
            directip_mt_finish(c, s, SEND_FAILED, now_ms);
    }
}

void directip_mt_gateway_works(struct directip_mt *c)
{
    if (c->trouble[0] != '\0')
        c->host->ops->trace(c->host, 1, "the gateway takes messages again: to=%s:%s",
                            c->settings.connect.host, c->settings.connect.port);
    c->trouble[0] = '\0';
    c->failures = 0;
}

/* --- what the host asks --- */

static bool queue_full(const struct directip_mt *c, const struct directip_mt_station *s,
                       int64_t now_ms)
{
    return s->queued >= c->settings.window &&
           now_ms - s->queued_ms < directip_wait_ms(WAIT_MT_LIFE, 1, 0, c->settings.time_scale);
}

static bool is_open(const struct directip_mt *c, const struct directip_mt_station *s,
                    int64_t now_ms)
{
    return c->started && !s->down && !s->job && now_ms >= c->closed_until_ms &&
           now_ms >= s->closed_until_ms && !queue_full(c, s, now_ms);
}

size_t directip_mt_room(struct directip_mt *c, station_t station, int64_t now_ms)
{
    struct directip_mt_station *s = directip_mt_station(c, station);
    if (!s || !c->started)
        return 0;
    if (is_open(c, s, now_ms))
        return s->mt_max;
    s->short_of_room = true;
    return 0;
}

int directip_mt_send(struct directip_mt *c, station_t station, const uint8_t *bytes, size_t n,
                     uint64_t token, bool urgent, int64_t now_ms)
{
    struct directip_mt_station *s = directip_mt_station(c, station);
    if (!s || !c->started || s->down)
        return -ENOTCONN;
    if (n == 0 || n > s->mt_max)
        return -EMSGSIZE;
    struct directip_mt_job *j =
        directip_mt_room(c, station, now_ms) > 0 ? calloc(1, sizeof(*j) + n) : NULL;
    if (!j) {
        s->short_of_room = true;
        return -EAGAIN;
    }
    j->state = JOB_WAITING;
    j->fd = -1;
    j->at_ms = now_ms;
    j->token = token;
    j->urgent = urgent;
    j->priority = urgent ? c->settings.priority : DIRECTIP_PRIORITY_NONE;
    j->id = directip_mt_id(s->imei, bytes, n);
    j->payload_n = n;
    memcpy(j->payload, bytes, n);
    s->job = j;
    return 0;
}

void directip_mt_heard(struct directip_mt *c, struct directip_mt_station *s,
                       const struct directip_mo_message *session, int64_t now_ms)
{
    if (!c->started)
        return;
    if (s->down)
        station_up(c, s, "heard from");
    if (!directip_session_reached(session->session) ||
        (s->heard && s->heard_momsn == session->momsn && s->heard_time_s == session->time_s))
        return; /* the second: reported before */
    unsigned fetched = 1;
    if (session->mtmsn != 0 && s->mtmsn != 0)
        fetched = (uint16_t)(session->mtmsn - s->mtmsn);
    if (fetched == 0 || fetched > MTMSN_STEP_MAX)
        fetched = 1;
    s->queued -= fetched < s->queued ? fetched : s->queued;
    s->heard = true;
    s->heard_momsn = session->momsn;
    s->heard_time_s = session->time_s;
    if (session->mtmsn != 0)
        s->mtmsn = session->mtmsn;
    if (!s->lasting) {
        s->closed_until_ms = now_ms;
        s->refusals = 0;
    }
}

/* --- the run of things --- */

static void tell_start(struct directip_mt *c, const char *why)
{
    for (size_t i = 0; i < c->count; i++)
        station_up(c, &c->stations[i], why);
}

void directip_mt_start(struct directip_mt *c, int64_t now_ms)
{
    if (c->started)
        return;
    c->started = true;
    c->failures = 0;
    c->closed_until_ms = now_ms;
    for (size_t i = 0; i < c->count; i++)
        c->stations[i].closed_until_ms = now_ms;
    tell_start(c, "known by its IMEI");
}

static void forget_addresses(struct directip_mt *c)
{
    if (c->resolve) {
        c->host->ops->watch(c->host, resolve_fd(c->resolve), WATCH_NONE);
        resolve_free(c->resolve);
        c->resolve = NULL;
    }
    c->address_count = 0;
}

void directip_mt_stop(struct directip_mt *c, const char *why, int64_t now_ms)
{
    if (!c->started)
        return;
    forget_addresses(c);
    for (size_t i = 0; i < c->count; i++) {
        struct directip_mt_station *s = &c->stations[i];
        if (s->job)
            give_up_job(c, s, now_ms);
        s->short_of_room = false;
        s->refusals = 0;
        if (!s->down)
            directip_mt_station_down(c, s, why);
    }
    c->started = false;
    c->trouble[0] = '\0';
}

void directip_mt_reset(struct directip_mt *c, station_t station, const char *why, int64_t now_ms)
{
    struct directip_mt_station *s = directip_mt_station(c, station);
    if (!s || !c->started || s->down)
        return;
    if (s->job)
        give_up_job(c, s, now_ms);
    directip_mt_rest(c, s, WAIT_MT_GATEWAY, now_ms);
    directip_mt_station_down(c, s, why);
}

static void on_resolved(struct directip_mt *c, int64_t now_ms)
{
    int count = resolve_take(c->resolve, c->addresses, RESOLVE_MAX_ADDRESSES);
    if (count == 0)
        return;
    forget_addresses(c);
    if (count > 0)
        c->address_count = count;
    else
        directip_mt_gateway_failed(c, WAIT_MT_GATEWAY, gai_strerror(count), now_ms);
}

void directip_mt_on_fd(struct directip_mt *c, int fd, int64_t now_ms)
{
    if (c->resolve && fd == resolve_fd(c->resolve)) {
        on_resolved(c, now_ms);
        return;
    }
    for (size_t i = 0; i < c->active_count; i++) {
        struct directip_mt_station *s = c->active[i];
        if (s->job->fd != fd)
            continue;
        directip_mt_call_on_fd(c, s, now_ms);
        return;
    }
}

static void expire(struct directip_mt *c, int64_t now_ms)
{
    if (c->resolve && now_ms >= c->resolve_until_ms) {
        forget_addresses(c);
        directip_mt_gateway_failed(c, WAIT_MT_GATEWAY, "the name is not resolved: no answer",
                                   now_ms);
    }
    for (size_t i = c->active_count; i-- > 0;) {
        struct directip_mt_station *s = c->active[i];
        if (now_ms >= s->job->at_ms)
            directip_mt_call_overdue(c, s, now_ms);
    }
}

/* The message that is to leave next: alarms first, then what has waited longest. */
static struct directip_mt_station *next_due(const struct directip_mt *c, int64_t now_ms)
{
    struct directip_mt_station *found = NULL;
    for (size_t i = 0; i < c->count; i++) {
        struct directip_mt_station *s = &c->stations[i];
        if (!s->job || s->job->state != JOB_WAITING || s->job->at_ms > now_ms)
            continue;
        if (!found || (s->job->urgent && !found->job->urgent) ||
            (s->job->urgent == found->job->urgent && s->job->at_ms < found->job->at_ms))
            found = s;
    }
    return found;
}

static void begin_resolve(struct directip_mt *c, int64_t now_ms)
{
    int error =
        resolve_start(&c->resolve, c->settings.connect.host, c->settings.connect.port, false);
    if (error < 0) {
        c->resolve = NULL;
        directip_mt_gateway_failed(c, WAIT_MT_GATEWAY, strerror(-error), now_ms);
        return;
    }
    c->resolve_until_ms = now_ms + directip_mt_wait_ms(c, WAIT_MT_RESOLVE, 1);
    c->host->ops->watch(c->host, resolve_fd(c->resolve), WATCH_READ);
}

static void begin_due(struct directip_mt *c, int64_t now_ms)
{
    while (now_ms >= c->closed_until_ms && c->active_count < DIRECTIP_MT_CONNECTIONS_MAX &&
           !c->resolve) {
        struct directip_mt_station *s = next_due(c, now_ms);
        if (!s)
            return;
        if (c->address_count == 0) {
            begin_resolve(c, now_ms);
            return;
        }
        directip_mt_call(c, s, now_ms);
    }
}

void directip_mt_settle(struct directip_mt *c, int64_t now_ms)
{
    if (!c->started)
        return;
    expire(c, now_ms);
    begin_due(c, now_ms);
    for (size_t i = 0; i < c->count; i++) {
        struct directip_mt_station *s = &c->stations[i];
        if (s->down && now_ms >= s->closed_until_ms)
            station_up(c, s, "tried again");
        if (s->short_of_room && is_open(c, s, now_ms)) {
            s->short_of_room = false;
            c->host->ops->writable(c->host, s->station);
        }
    }
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When a station that waits may send, if no event comes before. */
static int64_t opens_ms(const struct directip_mt *c, const struct directip_mt_station *s,
                        int64_t now_ms)
{
    int64_t at = later(c->closed_until_ms, s->closed_until_ms);
    if (queue_full(c, s, now_ms))
        at = later(at, s->queued_ms + directip_wait_ms(WAIT_MT_LIFE, 1, 0, c->settings.time_scale));
    return at;
}

int64_t directip_mt_deadline(const struct directip_mt *c, int64_t now_ms)
{
    int64_t at = c->resolve ? c->resolve_until_ms : INT64_MAX;
    bool place = c->active_count < DIRECTIP_MT_CONNECTIONS_MAX && !c->resolve;
    for (size_t i = 0; c->started && i < c->count; i++) {
        const struct directip_mt_station *s = &c->stations[i];
        int64_t due = INT64_MAX;
        if (s->down)
            due = s->closed_until_ms;
        else if (s->job && s->job->state != JOB_WAITING)
            due = s->job->at_ms;
        else if (s->job && place)
            due = later(s->job->at_ms, c->closed_until_ms);
        else if (!s->job && s->short_of_room)
            due = opens_ms(c, s, now_ms);
        if (due < at)
            at = due;
    }
    return at;
}
