/* Guests: connections of a listener that have not said who they are. Whoever can reach the port can be one, so each costs a bounded
 * number of bytes for a bounded time, and there is a bounded number of them: where that is reached, the oldest gives way, so that
 * many that say nothing keep out nobody who speaks. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct guest {
    size_t link;
    uint64_t station;
    struct channel_guest *parser;
    int64_t until_ms;
};

static size_t limit_of(const struct bridge *b, size_t link)
{
    size_t n = b->links[link].guests;
    return n ? n : GUESTS_DEFAULT;
}

int guests_init(struct bridge *b)
{
    size_t room = 0;
    for (size_t i = 0; i < b->config->link_count; i++)
        room += b->links[i].listener ? limit_of(b, i) : 0;
    b->guests = calloc(room ? room : 1, sizeof *b->guests);
    return b->guests ? 0 : -ENOMEM;
}

void guests_fini(struct bridge *b)
{
    for (size_t i = 0; i < b->guest_count; i++)
        channel_guest_free(b->guests[i].parser);
    free(b->guests);
}

struct guest *guests_find(struct bridge *b, size_t link, uint64_t station)
{
    for (size_t i = 0; i < b->guest_count; i++)
        if (b->guests[i].link == link && b->guests[i].station == station)
            return &b->guests[i];
    return NULL;
}

void guests_remove(struct bridge *b, struct guest *g)
{
    channel_guest_free(g->parser);
    *g = b->guests[--b->guest_count];
}

/* Strangers do not fill the log: the first that is refused, and then each doubling. */
static void refuse(struct bridge *b, struct guest *g, const char *why)
{
    uint64_t n = ++b->guests_refused;
    bridge_logf(b, (n & (n - 1)) == 0 ? BRIDGE_WARN : BRIDGE_DEBUG, "link", "connection refused: %s link=%s refused=%llu", why,
                b->config->links[g->link].name, (unsigned long long)n);
    b->env.link_reset(b->env.ctx, g->link, g->station, why);
    guests_remove(b, g);
}

/* Frees a place on this link if there is none. */
static void make_room(struct bridge *b, size_t link)
{
    struct guest *oldest = NULL;
    size_t n = 0;
    for (size_t i = 0; i < b->guest_count; i++) {
        struct guest *g = &b->guests[i];
        if (g->link != link)
            continue;
        n++;
        if (!oldest || g->until_ms < oldest->until_ms)
            oldest = g;
    }
    if (n >= limit_of(b, link))
        refuse(b, oldest, "too many unknown connections");
}

void guests_add(struct bridge *b, size_t link, uint64_t station)
{
    make_room(b, link);
    struct channel_guest *parser = channel_guest_new();
    if (!parser) {
        b->env.link_reset(b->env.ctx, link, station, "out of memory");
        return;
    }
    b->guests[b->guest_count++] = (struct guest){link, station, parser, b->now.mono_ms + GUEST_TIMEOUT_MS};
}

void guests_on_timer(struct bridge *b)
{
    for (size_t i = b->guest_count; i-- > 0;)
        if (b->guests[i].until_ms <= b->now.mono_ms)
            refuse(b, &b->guests[i], "said nothing in time");
}

int64_t guests_deadline(const struct bridge *b)
{
    int64_t at = NEVER;
    for (size_t i = 0; i < b->guest_count; i++)
        if (b->guests[i].until_ms < at)
            at = b->guests[i].until_ms;
    return at;
}

/* ---- who it is ---- */

static struct peer *peer_of_guest(struct bridge *b, size_t link, enum channel_guest_outcome what, const char *name, uint32_t epoch)
{
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        if (p->link != link)
            continue;
        if (what == CHANNEL_GUEST_NAME ? strcmp(p->config->name, name) == 0 : channel_peer_epoch(p->channel) == epoch)
            return p;
    }
    return NULL;
}

static void tell_guest(struct bridge *b, const struct guest *g, enum channel_refusal why)
{
    uint8_t frame[64];
    size_t n = channel_guest_refusal(why, frame, sizeof frame);
    if (n && b->env.link_send(b->env.ctx, g->link, g->station, frame, n, 0, false) != 0)
        return; /* it learns by the closing */
}

void guests_bytes(struct bridge *b, struct guest *g, const uint8_t *bytes, size_t n)
{
    char name[CHANNEL_NAME_MAX + 1], why[CHANNEL_NAME_MAX + 32];
    uint32_t epoch = 0;
    enum channel_guest_outcome what = channel_guest_feed(g->parser, bytes, n, name, &epoch);
    switch (what) {
    case CHANNEL_GUEST_MORE:
        return;
    case CHANNEL_GUEST_BAD:
        refuse(b, g, "does not speak our language");
        return;
    case CHANNEL_GUEST_NAME:
    case CHANNEL_GUEST_EPOCH:
        break;
    }
    struct peer *p = peer_of_guest(b, g->link, what, name, epoch);
    if (!p && what == CHANNEL_GUEST_EPOCH) {
        /* An epoch from before our restart: told to greet anew, it names itself on the same connection. */
        tell_guest(b, g, CHANNEL_REFUSED_BUSY);
        channel_guest_free(g->parser);
        g->parser = channel_guest_new();
        if (!g->parser)
            refuse(b, g, "out of memory");
        return;
    }
    if (!p) {
        snprintf(why, sizeof why, "unknown site %s", name);
        tell_guest(b, g, CHANNEL_REFUSED_UNKNOWN);
        refuse(b, g, why);
        return;
    }
    uint64_t station = g->station;
    struct channel_guest *parser = g->parser;
    g->parser = NULL;
    guests_remove(b, g);
    peers_attach(p, station);
    size_t len;
    const uint8_t *all = channel_guest_bytes(parser, &len);
    channel_on_bytes(p->channel, all, len, b->now.mono_ms);
    channel_guest_free(parser);
}
