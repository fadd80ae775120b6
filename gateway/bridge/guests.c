/* Guests: connections of a listener that have not said who they are. Whoever can reach the port can be one, so each costs a bounded
 * number of bytes for a bounded time, and there is a bounded number of them: where that is reached, one gives way, of the address
 * that has most of them, so that a flood from one place pushes out none from another; of those that are left, one that has shown
 * no key; and then the oldest. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/crc32.h"

struct guest {
    size_t link;
    uint64_t station;
    uint32_t from; /* of its address, a hash */
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
    b->guests_of = calloc(b->config->peer_count ? b->config->peer_count : 1, sizeof *b->guests_of);
    return b->guests && b->guests_of ? 0 : -ENOMEM;
}

void guests_fini(struct bridge *b)
{
    for (size_t i = 0; i < b->guest_count; i++)
        channel_guest_free(b->guests[i].parser);
    free(b->guests);
    free(b->guests_of);
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
    if (g->parser)
        channel_guest_unproven(g->parser);
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

/* name: "address:port" as the driver tells it, "[address]:port" for IPv6, of which half is one owner's to choose. */
static uint32_t address_of(const char *name)
{
    const char *end = strrchr(name, ':');
    size_t n = end ? (size_t)(end - name) : strlen(name), groups = 0;
    for (size_t i = 0; name[0] == '[' && i < n; i++)
        if (name[i] == ':' && ++groups == 4)
            n = i;
    return crc32_add(0, name, n);
}

/* As many as would be here from where g is, with the one that comes. */
static size_t from_there(const struct bridge *b, const struct guest *g, uint32_t coming)
{
    size_t n = g->from == coming;
    for (size_t i = 0; i < b->guest_count; i++)
        n += b->guests[i].link == g->link && b->guests[i].from == g->from;
    return n;
}

/* Should a give way rather than c? */
static bool rather(const struct bridge *b, const struct guest *a, const struct guest *c, uint32_t coming)
{
    size_t of_a = from_there(b, a, coming), of_c = from_there(b, c, coming);
    bool a_shown = channel_guest_has_shown(a->parser), c_shown = channel_guest_has_shown(c->parser);
    if (of_a != of_c)
        return of_a > of_c;
    return a_shown != c_shown ? c_shown : a->until_ms < c->until_ms;
}

/* Frees a place on this link if there is none. */
static void make_room(struct bridge *b, size_t link, uint32_t coming)
{
    struct guest *last = NULL;
    size_t n = 0;
    for (size_t i = 0; i < b->guest_count; i++)
        n += b->guests[i].link == link;
    if (n < limit_of(b, link))
        return;
    for (size_t i = 0; i < b->guest_count; i++)
        if (b->guests[i].link == link && (!last || rather(b, &b->guests[i], last, coming)))
            last = &b->guests[i];
    refuse(b, last, "too many unknown connections");
}

void guests_add(struct bridge *b, size_t link, uint64_t station, const char *name)
{
    uint32_t from = address_of(name);
    make_room(b, link, from);
    struct channel_guest *parser = channel_guest_new();
    if (!parser) {
        b->env.link_reset(b->env.ctx, link, station, "out of memory");
        return;
    }
    b->guests[b->guest_count++] = (struct guest){link, station, from, parser, b->now.mono_ms + GUEST_TIMEOUT_MS};
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

/* The channels of the peers that may come by this link. Return: how many. */
static size_t channels_of(const struct bridge *b, size_t link)
{
    size_t n = 0;
    for (size_t i = 0; i < b->peer_count; i++)
        if (b->peers[i].link == link)
            b->guests_of[n++] = b->peers[i].channel;
    return n;
}

/* Where a peer of the listener has a key, a stranger is given nothing, not even a refusal. */
static void tell(struct bridge *b, const struct guest *g, enum channel_refusal why)
{
    uint8_t frame[64];
    size_t count = channels_of(b, g->link);
    for (size_t i = 0; i < count; i++)
        if (channel_is_sealed(b->guests_of[i]))
            return;
    size_t n = channel_guest_refusal(why, frame, sizeof frame);
    if (n && b->env.link_send(b->env.ctx, g->link, g->station, frame, n, 0, false) != 0)
        return; /* it learns by the closing */
}

/* It has shown whose it is: its connection takes the place of the one that the peer had. */
static void join(struct bridge *b, struct guest *g, struct channel *channel)
{
    struct peer *p = b->peers;
    while (p->channel != channel)
        p++;
    uint64_t station = g->station;
    struct channel_guest *parser = g->parser;
    g->parser = NULL;
    guests_remove(b, g);
    peers_attach(p, station, parser);
    channel_guest_free(parser);
}

void guests_bytes(struct bridge *b, struct guest *g, const uint8_t *bytes, size_t n)
{
    char why[CHANNEL_NAME_MAX + 32];
    struct channel *whose = NULL;
    uint8_t out[CHANNEL_GUEST_REPLY_MAX];
    size_t count = channels_of(b, g->link);
    enum channel_guest_outcome what = channel_guest_feed(g->parser, b->guests_of, count, bytes, n, &whose);
    n = channel_guest_reply(g->parser, out);
    if (n && b->env.link_send(b->env.ctx, g->link, g->station, out, n, 0, false) != 0)
        what = CHANNEL_GUEST_MORE; /* the driver tells of the connection's end */
    switch (what) {
    case CHANNEL_GUEST_MORE:
        return;
    case CHANNEL_GUEST_BAD:
        refuse(b, g, "does not speak our language, or holds no key of ours");
        return;
    case CHANNEL_GUEST_PROVEN:
        join(b, g, whose);
        return;
    case CHANNEL_GUEST_STALE:
        /* An epoch from before our restart: told to greet anew, it names itself on the same connection. */
        tell(b, g, CHANNEL_REFUSED_BUSY);
        channel_guest_free(g->parser);
        g->parser = channel_guest_new();
        if (!g->parser)
            refuse(b, g, "out of memory");
        return;
    case CHANNEL_GUEST_UNKNOWN:
        snprintf(why, sizeof why, "unknown site %s", channel_guest_name(g->parser));
        tell(b, g, CHANNEL_REFUSED_UNKNOWN);
        refuse(b, g, why);
        return;
    }
}
