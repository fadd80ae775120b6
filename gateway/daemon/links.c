#include "gateway/daemon/links.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <event2/event.h>
#include "gateway/daemon/clock.h"
#include "gateway/daemon/log.h"
#include "link_drivers/driver.h"
#include "store/note.h"

struct watched {
    struct link *link;
    int fd;
    struct event *event;
    struct watched *next;
};

struct link {
    struct link_host host;       /* first: a driver's host is its link */
    struct links *all;
    size_t index;
    const struct link_driver *driver;
    void *ctx;
    struct event *timer;
    struct watched *watched;
    bool inited;
    struct link_peer *peers;     /* of a link that knows its peers from the start */
    struct bridge_station *stations;
    size_t peer_count;
    uint64_t delivered, told;    /* deliveries; and how many of them the driver has been told to be on disk */
};

static_assert(LINK_NOTE_MAX == STORE_NOTE_MAX_BYTES, "a driver's note is the store's");

enum news_kind { NEWS_STATE, NEWS_WRITABLE, NEWS_SENT, NEWS_REPORT };
struct news {
    enum news_kind kind;
    size_t link;
    uint64_t station, token;
    int value;
    char why[128];
    char *json;                  /* NEWS_REPORT: owned */
    struct news *next;
};

struct links {
    struct event_base *base;
    const struct config *config;
    struct store *store;
    struct bridge *bridge;
    struct link *links;
    struct bridge_link *described;
    size_t count;
    struct news *first, **last;
    bool busy;                   /* the bridge is being told something */
};

/* ---- news for the bridge ---- */

static void tell(struct links *l, const struct news *n, const struct store_now *now)
{
    switch (n->kind) {
    case NEWS_STATE:
        bridge_link_state(l->bridge, n->link, n->station, (enum bridge_link_state)n->value, n->why, now);
        break;
    case NEWS_WRITABLE:
        bridge_link_writable(l->bridge, n->link, n->station, now);
        break;
    case NEWS_SENT:
        bridge_link_sent(l->bridge, n->link, n->station, n->token, n->value, now);
        break;
    case NEWS_REPORT:
        bridge_link_report(l->bridge, n->link, n->station, n->json, n->value, now);
        break;
    }
}

static void free_news(struct news *n)
{
    free(n->json);
    free(n);
}

static void dispatch(struct links *l)
{
    if (l->busy || !l->bridge)
        return;
    l->busy = true;
    while (l->first) {
        struct news *n = l->first;
        l->first = n->next;
        if (!l->first)
            l->last = &l->first;
        struct store_now now = clock_now();
        tell(l, n, &now);
        free_news(n);
    }
    l->busy = false;
}

void links_dispatch(struct links *l)
{
    dispatch(l);
    for (size_t i = 0; i < l->count && l->bridge && !l->busy; i++) {
        struct link *k = &l->links[i];
        if (!k->driver->committed || k->told == k->delivered || bridge_link_covered(l->bridge, i) < k->delivered)
            continue;
        k->told = k->delivered;
        k->driver->committed(k->ctx, clock_mono_ms());
        dispatch(l);
    }
}

static void add_news(struct links *l, const struct news *what)
{
    struct news *n = malloc(sizeof *n);
    if (!n) {
        log_text(LOG_LEVEL_ERR, "link", "out of memory: an event of a link is lost");
        free(what->json);
        return;
    }
    *n = *what;
    n->next = NULL;
    *l->last = n;
    l->last = &n->next;
}

/* ---- services of the host ---- */

static struct link *link_of(struct link_host *h)
{
    return (struct link *)h;
}

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
    struct link *k = ((struct watched *)ctx)->link;
    unsigned events = (what & EV_READ ? WATCH_READ : 0) | (what & EV_WRITE ? WATCH_WRITE : 0);
    k->driver->on_fd(k->ctx, fd, events, clock_mono_ms());
    links_dispatch(k->all);
}

static void host_watch(struct link_host *h, int fd, unsigned events)
{
    struct link *k = link_of(h);
    struct watched **at = &k->watched;
    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    if (*at) {
        struct watched *old = *at;
        event_free(old->event);
        *at = old->next;
        free(old);
    }
    if (events == WATCH_NONE)
        return;
    struct watched *w = calloc(1, sizeof *w);
    short what = (short)(EV_PERSIST | (events & WATCH_READ ? EV_READ : 0) | (events & WATCH_WRITE ? EV_WRITE : 0));
    if (w) {
        w->link = k;
        w->fd = fd;
        w->event = event_new(k->all->base, fd, what, on_event, w);
    }
    if (!w || !w->event || event_add(w->event, NULL) != 0) {
        log_text(LOG_LEVEL_ERR, "link", "cannot watch a descriptor: out of memory");
        if (w && w->event)
            event_free(w->event);
        free(w);
        return;
    }
    w->next = k->watched;
    k->watched = w;
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct link *k = ctx;
    k->driver->on_timer(k->ctx, clock_mono_ms());
    links_dispatch(k->all);
}

static void host_timer(struct link_host *h, int64_t at_ms)
{
    struct link *k = link_of(h);
    if (at_ms == INT64_MAX) {
        evtimer_del(k->timer);
        return;
    }
    int64_t wait = at_ms - clock_mono_ms();
    if (wait < 0)
        wait = 0;
    struct timeval tv = {wait / 1000, wait % 1000 * 1000};
    evtimer_add(k->timer, &tv);
}

static void host_deliver(struct link_host *h, station_t station, const uint8_t *bytes, size_t n)
{
    struct link *k = link_of(h);
    dispatch(k->all);
    if (!k->all->bridge)
        return;
    struct store_now now = clock_now();
    k->all->busy = true;
    k->delivered++;
    bridge_link_bytes(k->all->bridge, k->index, station, bytes, n, &now);
    k->all->busy = false;
}

static void host_sent(struct link_host *h, station_t station, uint64_t token, enum send_outcome outcome)
{
    struct link *k = link_of(h);
    add_news(k->all, &(struct news){.kind = NEWS_SENT, .link = k->index, .station = station, .token = token, .value = outcome});
}

static void host_writable(struct link_host *h, station_t station)
{
    struct link *k = link_of(h);
    add_news(k->all, &(struct news){.kind = NEWS_WRITABLE, .link = k->index, .station = station});
}

static void host_state(struct link_host *h, station_t station, enum link_state state, const char *why)
{
    struct link *k = link_of(h);
    struct news n = {.kind = NEWS_STATE, .link = k->index, .station = station};
    switch (state) {
    case LINK_DOWN:
        n.value = BRIDGE_LINK_DOWN;
        break;
    case LINK_CONNECTING:
        n.value = BRIDGE_LINK_CONNECTING;
        break;
    case LINK_UP:
        n.value = BRIDGE_LINK_UP;
        break;
    }
    snprintf(n.why, sizeof n.why, "%s", why ? why : "");
    add_news(k->all, &n);
}

static void host_trace(struct link_host *h, int level, const char *fmt, ...)
{
    struct link *k = link_of(h);
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_fmt(level <= 0 ? LOG_LEVEL_DEBUG : level == 1 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "link", "%s link=%s", text,
            k->all->config->links[k->index].name);
}

static uint32_t host_random(struct link_host *h)
{
    (void)h;
    uint32_t r = 0;
    if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
        r = (uint32_t)clock_mono_ms();
    return r;
}

static const struct link_peer *host_peer(struct link_host *h, size_t i)
{
    const struct link *k = link_of(h);
    return i < k->peer_count ? &k->peers[i] : NULL;
}

static int host_note_write(struct link_host *h, const void *bytes, size_t n)
{
    const struct link *k = link_of(h);
    return store_note_write(k->all->store, k->all->config->links[k->index].name, bytes, n);
}

static size_t host_note_read(struct link_host *h, uint8_t bytes[LINK_NOTE_MAX])
{
    const struct link *k = link_of(h);
    return store_note_read(k->all->store, k->all->config->links[k->index].name, bytes);
}

static void host_report(struct link_host *h, station_t station, const char *json, bool publish)
{
    const struct link *k = link_of(h);
    char *copy = strdup(json);
    if (copy)
        add_news(k->all, &(struct news){.kind = NEWS_REPORT, .link = k->index, .station = station, .value = publish, .json = copy});
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
    .report = host_report,
};

/* ---- life ---- */

/* The peers that a link with many ends may speak with: those whose first link it is. */
static int find_peers(struct link *k, const struct config *config, const char *link)
{
    k->peers = calloc(config->peer_count + 1, sizeof *k->peers);
    k->stations = calloc(config->peer_count + 1, sizeof *k->stations);
    if (!k->peers || !k->stations)
        return -ENOMEM;
    for (size_t i = 0; i < config->peer_count; i++) {
        const struct config_peer *p = &config->peers[i];
        if (strcmp(p->links.items[0], link) != 0)
            continue;
        k->peers[k->peer_count++] = (struct link_peer){i + 1, p->name, p->imei, (size_t)p->mt_max};
    }
    return 0;
}

static void take_terms(const struct link *k, station_t station, struct bridge_terms *out)
{
    struct link_terms t = {0};
    if (k->driver->terms)
        k->driver->terms(k->ctx, station, &t);
    *out = (struct bridge_terms){t.quantum_bytes, t.hold_ms, t.ack_max_age_ms, t.alarm_places};
}

static void describe_datagrams(const struct link *k, bool many, struct bridge_link *out)
{
    out->mtu = k->driver->mtu(k->ctx, STATION_NONE);
    take_terms(k, STATION_NONE, &out->terms);
    out->addressed = many;
    out->stations = k->stations;
    out->station_count = many ? k->peer_count : 0;
    for (size_t i = 0; i < out->station_count; i++) {
        const struct link_peer *p = &k->peers[i];
        k->stations[i] = (struct bridge_station){.peer = p->name, .station = p->station, .mtu = k->driver->mtu(k->ctx, p->station)};
        take_terms(k, p->station, &k->stations[i].terms);
    }
}

static void describe(const struct link *k, const struct config_link *c, struct bridge_link *out)
{
    const struct link_driver *d = k->driver;
    out->datagram = d->kind == LINK_DATAGRAM;
    out->half_duplex = d->half_duplex && d->half_duplex(k->ctx);
    out->calls = d->calls && d->calls(k->ctx);
    bool many = d->options->serves_many && d->options->serves_many(c->options);
    out->listener = many && !out->datagram;
    out->guests = out->listener && d->guests ? d->guests(k->ctx) : 0;
    out->rate_bytes_s = d->rate ? d->rate(k->ctx) : 0;
    const uint8_t *avoid = d->avoid ? d->avoid(k->ctx, &out->avoid_count) : NULL;
    if (!avoid || out->avoid_count > sizeof out->avoid)
        out->avoid_count = 0;
    else
        memcpy(out->avoid, avoid, out->avoid_count);
    if (out->datagram)
        describe_datagrams(k, many, out);
}

static int link_init(struct links *l, size_t i)
{
    struct link *k = &l->links[i];
    const struct config_link *c = &l->config->links[i];
    k->host.ops = &host_ops;
    k->host.owner = l;
    k->host.metered = c->metered;
    k->all = l;
    k->index = i;
    k->driver = link_driver_find(c->driver->name);
    k->timer = evtimer_new(l->base, on_timer, k);
    k->ctx = k->driver ? calloc(1, k->driver->ctx_size) : NULL;
    if (!k->timer || !k->ctx || find_peers(k, l->config, c->name) < 0)
        return -ENOMEM;
    k->inited = true;
    int rc = k->driver->init(k->ctx, c->options, &k->host);
    if (rc == 0)
        describe(k, c, &l->described[i]);
    return rc;
}

struct links *links_new(struct event_base *base, const struct config *config, struct store *store, char *err, size_t err_size)
{
    struct links *l = calloc(1, sizeof *l);
    if (l) {
        l->base = base;
        l->config = config;
        l->store = store;
        l->last = &l->first;
        l->links = calloc(config->link_count ? config->link_count : 1, sizeof *l->links);
        l->described = calloc(config->link_count ? config->link_count : 1, sizeof *l->described);
    }
    if (!l || !l->links || !l->described) {
        snprintf(err, err_size, "out of memory");
        links_free(l);
        return NULL;
    }
    for (size_t i = 0; i < config->link_count; i++) {
        l->count++;
        int rc = link_init(l, i);
        if (rc < 0) {
            snprintf(err, err_size, "link %s: %s", config->links[i].name, strerror(-rc));
            links_free(l);
            return NULL;
        }
    }
    return l;
}

void links_free(struct links *l)
{
    if (!l)
        return;
    l->bridge = NULL;
    for (size_t i = 0; i < l->count; i++) {
        struct link *k = &l->links[i];
        if (k->inited) {
            k->driver->stop(k->ctx, clock_mono_ms());
            k->driver->fini(k->ctx);
        }
        while (k->watched)
            host_watch(&k->host, k->watched->fd, WATCH_NONE);
        if (k->timer)
            event_free(k->timer);
        free(k->ctx);
        free(k->peers);
        free(k->stations);
    }
    while (l->first) {
        struct news *n = l->first;
        l->first = n->next;
        free_news(n);
    }
    free(l->links);
    free(l->described);
    free(l);
}

const struct bridge_link *links_describe(const struct links *l)
{
    return l->described;
}

void links_start(struct links *l, struct bridge *b)
{
    l->bridge = b;
    for (size_t i = 0; i < l->count; i++)
        l->links[i].driver->start(l->links[i].ctx, clock_mono_ms());
    links_dispatch(l);
}

void links_stop(struct links *l)
{
    l->bridge = NULL;
    for (size_t i = 0; i < l->count; i++)
        l->links[i].driver->stop(l->links[i].ctx, clock_mono_ms());
}

/* ---- services of bridge_env ---- */

size_t links_room(struct links *l, size_t link, uint64_t station)
{
    struct link *k = &l->links[link];
    return k->driver->room(k->ctx, station, clock_mono_ms());
}

int links_send(struct links *l, size_t link, uint64_t station, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    struct link *k = &l->links[link];
    return k->driver->send(k->ctx, station, bytes, n, token, urgent, clock_mono_ms());
}

void links_reset(struct links *l, size_t link, uint64_t station, const char *why)
{
    struct link *k = &l->links[link];
    if (k->driver->reset)
        k->driver->reset(k->ctx, station, why, clock_mono_ms());
}

void links_counts(struct links *l, size_t link, uint64_t *bytes_out, uint64_t *bytes_in, char *detail, size_t detail_size)
{
    struct link *k = &l->links[link];
    struct link_status s = {0};
    k->driver->status(k->ctx, &s);
    *bytes_out = s.bytes_out;
    *bytes_in = s.bytes_in;
    snprintf(detail, detail_size, "%s", s.detail);
}
