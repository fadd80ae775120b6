#include "config/check.h"

#include <string.h>

#include "base/topic.h"
#include "base/units.h"
#include "config/config_options.h"
#include "config/ini.h"

struct check {
    const struct config *c;
    struct diag *d;
};

/* Where a message about a section or key belongs: title and line. */
struct place {
    const char *title;
    int line;
    bool written; /* the key stands in the file */
    bool bad;     /* and its value was refused already */
};

static struct place place_of(const struct check *k, const char *title, int section_line,
                             const char *key)
{
    const struct ini_section *s = section_line ? ini_section_at(k->c->source, section_line) : NULL;
    const struct ini_entry *e = s && key ? ini_find(k->c->source, s, key) : NULL;
    return (struct place){
        .title = s ? s->title : title,
        .line = e ? e->line : section_line,
        .written = e != NULL,
        .bad = e && e->bad,
    };
}

#define ERROR_AT(k, p, key, ...) diag_error((k)->d, (p).line, (p).title, key, __VA_ARGS__)
#define WARN_AT(k, p, key, ...)  diag_warning((k)->d, (p).line, (p).title, key, __VA_ARGS__)

static bool host_is_here(const char *host)
{
    return strncmp(host, "unix:", 5) == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0;
}

static void check_tls(const struct check *k)
{
    const struct config_broker *b = &k->c->broker;
    const struct {
        const char *key, *value;
    } keys[] = {{"tls_ca", b->tls_ca},
                {"tls_cert", b->tls_cert},
                {"tls_key", b->tls_key},
                {"tls_name", b->tls_name}};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && !b->tls; i++) {
        struct place p = place_of(k, "broker", b->line, keys[i].key);
        if (*keys[i].value)
            ERROR_AT(k, p, keys[i].key, "has no effect without tls = yes");
    }
    if (b->tls && *b->tls_cert && !*b->tls_key)
        ERROR_AT(k, place_of(k, "broker", b->line, "tls_cert"), "tls_cert",
                 "tls_key is needed beside it");
    if (b->tls && *b->tls_key && !*b->tls_cert)
        ERROR_AT(k, place_of(k, "broker", b->line, "tls_key"), "tls_key",
                 "tls_cert is needed beside it");
    if (b->tls && b->port == 1883)
        WARN_AT(k, place_of(k, "broker", b->line, "port"), "port",
                "on 1883 brokers usually speak without TLS; with it they listen on 8883");
}

static void check_broker(const struct check *k)
{
    const struct config_broker *b = &k->c->broker;
    check_tls(k);
    struct place p = place_of(k, "broker", b->line, "password_file");
    if (*b->password_file && !*b->username && b->protocol != PROTOCOL_5)
        ERROR_AT(k, p, "password_file",
                 "MQTT 3.1.1 has no password without a user name, allowed: username = NAME, or "
                 "protocol = 5");
    else if (*b->password_file && !b->tls && !host_is_here(b->host))
        WARN_AT(k, p, "password_file",
                "the password goes over the network in clear without tls = yes");
}

/* DESIGN 2: what a peer sends must fit what may be kept of it. */
static void check_peer_sizes(const struct check *k, const struct config_peer *peer)
{
    char text[UNITS_TEXT_BYTES];
    if (peer->max_message <= k->c->store.max_bytes)
        return;
    size_format(k->c->store.max_bytes, text);
    ERROR_AT(k, place_of(k, "", peer->line, "max_message"), "max_message",
             "is more than store.max_bytes, allowed: at most %s", text);
}

/* What is written beside seal = none, and does nothing there. */
static void warn_unused(const struct check *k, const struct config_peer *peer)
{
    static const char *const keys[] = {"secret_file", "next_secret_file", "seal_tag",
                                       "forward_secrecy"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct place p = place_of(k, "", peer->line, keys[i]);
        if (p.written && !p.bad)
            WARN_AT(k, p, keys[i], "is not used with seal = none");
    }
}

static void check_seal(const struct check *k, const struct config_peer *peer)
{
    struct place p = place_of(k, "", peer->line, "seal");
    struct place secret = place_of(k, "", peer->line, "secret_file");
    struct place next = place_of(k, "", peer->line, "next_secret_file");
    struct place tag = place_of(k, "", peer->line, "seal_tag");
    if (p.bad)
        return;
    if (peer->seal == SEAL_NONE) {
        warn_unused(k, peer);
        return;
    }
    if (!*peer->secret_file && !secret.bad)
        ERROR_AT(k, secret, "secret_file",
                 "a key is needed, allowed: secret_file = FILE (made by `longwire keygen FILE`), or "
                 "seal = none, which protects nothing");
    else if (*peer->secret_file && strcmp(peer->secret_file, peer->next_secret_file) == 0)
        ERROR_AT(k, next, "next_secret_file", "is the same file as secret_file");
    if (peer->seal_tag % 2 != 0 && !tag.bad)
        ERROR_AT(k, tag, "seal_tag", "allowed: 4, 6, 8, 10, 12, 14 or 16");
}

/* One line for all of them: a hub with a thousand peers would else bury every other message. */
static void warn_unsealed(const struct check *k)
{
    const struct config_peer *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < k->c->peer_count; i++) {
        if (k->c->peers[i].seal != SEAL_NONE)
            continue;
        first = first ? first : &k->c->peers[i];
        n++;
    }
    if (!first)
        return;
    struct place p = place_of(k, "", first->line, "seal");
    char others[64] = "";
    if (n > 1)
        snprintf(others, sizeof(others), " (and of %zu more)", n - 1);
    WARN_AT(k, p, "seal",
            "nobody is authenticated: whoever reaches the link of this peer%s can read what "
            "passes, and publish "
            "here what accept allows",
            others);
}

/* The state topics of this gateway: topic_base/NAME/#. */
static bool state_filter(const struct config *c, char *out, size_t size)
{
    int n = snprintf(out, size, "%s/%s/#", c->broker.topic_base, c->site_name);
    return *c->site_name && n > 0 && (size_t)n < size;
}

#define STATE_FILTER_BYTES 300 /* topic_base 200, name 63, "//#" */

static void check_accept(const struct check *k, const struct config_peer *peer)
{
    char state[STATE_FILTER_BYTES];
    if (*peer->deliver_prefix || !state_filter(k->c, state, sizeof(state)))
        return;
    for (size_t i = 0; i < peer->accept.count; i++) {
        if (topic_filters_overlap(peer->accept.items[i], state)) {
            WARN_AT(k, place_of(k, "", peer->line, "accept"), "accept",
                    "\"%s\" takes in this gateway's own topics %s; they stay closed to the peer",
                    peer->accept.items[i], state);
            return;
        }
    }
}

static void check_prefix_slash(const struct check *k, int line, const char *key, const char *prefix)
{
    size_t n = strlen(prefix);
    if (n > 0 && prefix[n - 1] != '/')
        WARN_AT(k, place_of(k, "", line, key), key,
                "is joined to the topic as it stands; did you mean \"%s/\"?", prefix);
}

static bool has_route(const struct config *c, const char *peer)
{
    for (size_t i = 0; i < c->route_count; i++)
        for (size_t j = 0; j < c->routes[i].peers.count; j++)
            if (strcmp(c->routes[i].peers.items[j], peer) == 0)
                return true;
    return false;
}

static void check_peer(const struct check *k, const struct config_peer *peer)
{
    struct place p = place_of(k, "", peer->line, "links");
    for (size_t i = 0; i < peer->links.count; i++)
        if (!config_find_link(k->c, peer->links.items[i]))
            ERROR_AT(k, p, "links", "there is no section [link %s]", peer->links.items[i]);
    if (peer->links.count > 1)
        ERROR_AT(k, p, "links", "this version takes one link a peer, allowed: the name of one");
    if (strcmp(peer->name, k->c->site_name) == 0)
        ERROR_AT(k, place_of(k, "", peer->line, NULL), NULL, "is the name of this site itself");
    check_seal(k, peer);
    check_peer_sizes(k, peer);
    check_accept(k, peer);
    check_prefix_slash(k, peer->line, "deliver_prefix", peer->deliver_prefix);
    p = place_of(k, "", peer->line, "accept");
    if (peer->accept.count == 0 && !p.bad && !peer->forward && !has_route(k->c, peer->name))
        WARN_AT(k, place_of(k, "", peer->line, NULL), NULL,
                "nothing goes either way: no route names this peer, and accept is empty");
}

/* A gateway that serves all its peers over one link tells them apart by their modems. */
static void check_imei_on(const struct check *k, const struct config_link *link,
                          const struct config_peer *peer)
{
    struct place p = place_of(k, "", peer->line, "imei");
    if (!*peer->imei) {
        if (!p.bad)
            ERROR_AT(k, p, "imei", "is needed on the link %s, which finds its peers by it",
                     link->name);
        return;
    }
    for (const struct config_peer *other = k->c->peers; other < peer; other++)
        if (strcmp(other->imei, peer->imei) == 0) {
            ERROR_AT(k, p, "imei", "is that of peer %s (line %d) too", other->name, other->line);
            return;
        }
}

/* A line that ends at one place cannot serve two peers; a listener can (serves_many). */
static void check_link(const struct check *k, const struct config_link *link)
{
    const struct config_peer *first = NULL;
    bool many =
        link->driver && link->driver->serves_many && link->driver->serves_many(link->options);
    for (size_t i = 0; i < k->c->peer_count; i++) {
        const struct config_peer *peer = &k->c->peers[i];
        bool uses = false;
        for (size_t j = 0; j < peer->links.count; j++)
            uses |= strcmp(peer->links.items[j], link->name) == 0;
        if (!uses)
            continue;
        if (first && link->driver && !many) {
            ERROR_AT(k, place_of(k, "", peer->line, "links"), "links",
                     "the link %s leads to one place, and peer %s (line %d) uses it already",
                     link->name, first->name, first->line);
            return;
        }
        first = first ? first : peer;
        if (link->driver && link->driver->by_imei)
            check_imei_on(k, link, peer);
    }
    if (!first)
        WARN_AT(k, place_of(k, "", link->line, NULL), NULL, "no peer uses this link");
    struct place p = place_of(k, "", link->line, "probe");
    if (link->metered && p.written && link->probe_ms > 0)
        WARN_AT(k, p, "probe", "a metered link is never probed");
}

/* Can a topic that the filter matches begin with this prefix? */
static bool can_begin(const char *filter, const char *prefix)
{
    while (*prefix) {
        if (*filter == '#')
            return true;
        if (*filter == '+') {
            prefix += strcspn(prefix, "/");
            filter++;
        } else if (*filter++ != *prefix++) {
            return false;
        }
    }
    return true;
}

static bool any_covers(const struct string_list *wide, const char *narrow)
{
    for (size_t i = 0; i < wide->count; i++)
        if (topic_filter_covers(wide->items[i], narrow))
            return true;
    return false;
}

static void check_route_topics(const struct check *k, const struct config_route *r)
{
    struct place p = place_of(k, "", r->line, "topics");
    char state[STATE_FILTER_BYTES];
    bool have_state = state_filter(k->c, state, sizeof(state));
    bool begins = false;
    for (size_t i = 0; i < r->topics.count; i++) {
        const char *f = r->topics.items[i];
        begins |= can_begin(f, r->strip_prefix);
        if (any_covers(&r->exclude, f))
            WARN_AT(k, p, "topics", "\"%s\" is wholly excluded by this route itself", f);
        else if (have_state && topic_filters_overlap(f, state) && !any_covers(&r->exclude, state))
            WARN_AT(k, p, "topics",
                    "\"%s\" takes in this gateway's own topics %s, which are left out", f, state);
        if (*f == '$' && !*r->remote_prefix && !*r->strip_prefix)
            WARN_AT(k, p, "topics",
                    "\"%s\": a broker takes no messages on topics that begin with $; write a "
                    "remote_prefix",
                    f);
    }
    if (*r->strip_prefix && r->topics.count > 0 && !begins)
        WARN_AT(k, place_of(k, "", r->line, "strip_prefix"), "strip_prefix",
                "no topic of this route begins with \"%s\"", r->strip_prefix);
}

/* A class that no link of a peer carries would wait there for ever. */
static void check_carried(const struct check *k, const struct config_route *r,
                          const struct config_peer *peer)
{
    unsigned carried = 0;
    bool known = false;
    for (size_t i = 0; i < peer->links.count; i++) {
        const struct config_link *link = config_find_link(k->c, peer->links.items[i]);
        known |= link != NULL;
        carried |= link ? link->carry : 0;
    }
    if (known && !(carried & 1u << r->priority))
        ERROR_AT(k, place_of(k, "", r->line, "priority"), "priority",
                 "no link of peer %s carries the class %s; see carry of the link", peer->name,
                 msg_class_name((enum msg_class)r->priority));
}

static void check_route(const struct check *k, const struct config_route *r)
{
    char text[UNITS_TEXT_BYTES];
    struct place p = place_of(k, "", r->line, "peer");
    for (size_t i = 0; i < r->peers.count; i++) {
        const struct config_peer *peer = config_find_peer(k->c, r->peers.items[i]);
        if (!peer)
            ERROR_AT(k, p, "peer", "there is no section [peer %s]", r->peers.items[i]);
        else
            check_carried(k, r, peer);
    }
    check_route_topics(k, r);
    check_prefix_slash(k, r->line, "strip_prefix", r->strip_prefix);
    check_prefix_slash(k, r->line, "remote_prefix", r->remote_prefix);
    if (r->max_payload > k->c->store.max_bytes) {
        size_format(k->c->store.max_bytes, text);
        ERROR_AT(k, place_of(k, "", r->line, "max_payload"), "max_payload",
                 "is more than store.max_bytes, allowed: at most %s", text);
    }
    if (r->keep == KEEP_LATEST && r->priority == CLASS_ALARM)
        WARN_AT(k, place_of(k, "", r->line, "keep"), "keep",
                "an alarm that is replaced before it is sent never arrives");
}

static bool subset(const struct string_list *inner, const struct string_list *outer)
{
    for (size_t i = 0; i < inner->count; i++) {
        bool found = false;
        for (size_t j = 0; j < outer->count && !found; j++)
            found = strcmp(inner->items[i], outer->items[j]) == 0;
        if (!found)
            return false;
    }
    return true;
}

/* The first filter of the later route that meets another one of the earlier route; the same filter
 * twice is one subscription. */
static const char *overlapping(const struct config_route *early, const struct config_route *late)
{
    for (size_t i = 0; i < late->topics.count; i++)
        for (size_t j = 0; j < early->topics.count; j++)
            if (topic_filters_overlap(early->topics.items[j], late->topics.items[i]) &&
                strcmp(early->topics.items[j], late->topics.items[i]) != 0)
                return late->topics.items[i];
    return NULL;
}

static void warn_unreached(const struct check *k, const struct config_route *early,
                           const struct config_route *late)
{
    if (!subset(&late->peers, &early->peers) || early->exclude.count > 0 || late->topics.count == 0)
        return;
    for (size_t i = 0; i < late->topics.count; i++)
        if (!any_covers(&early->topics, late->topics.items[i]))
            return;
    WARN_AT(k, place_of(k, "", late->line, NULL), NULL,
            "never used: route %s (line %d) takes all of its topics first", early->name,
            early->line);
}

/* I4b. Overlapping filters are no error: with MQTT 5 each copy names its subscription and one
 * counts, which was asked for with the highest QoS of all routes that it meets. What cannot be
 * covered are shared subscriptions (refused with the filter itself), and a broker that under 3.1.1
 * sends several copies, as MQTT-3.3.5-1 allows: no copy says then what it is one of. mosquitto
 * sends one, so that this is a warning, once. */
static void check_route_pairs(const struct check *k)
{
    const struct config *c = k->c;
    bool told = c->broker.protocol != PROTOCOL_311;
    for (size_t late = 0; late < c->route_count; late++) {
        for (size_t early = 0; early <= late; early++) { /* filters of one route may meet too */
            const char *f = told ? NULL : overlapping(&c->routes[early], &c->routes[late]);
            if (f)
                WARN_AT(
                    k, place_of(k, "", c->routes[late].line, "topics"), "topics",
                    "\"%s\" overlaps topics of route %s (line %d): under MQTT 3.1.1 some brokers "
                    "send a copy for each, which cannot be told from new messages",
                    f, c->routes[early].name, c->routes[early].line);
            told |= f != NULL;
            if (early < late)
                warn_unreached(k, &c->routes[early], &c->routes[late]);
        }
    }
}

static bool within(const struct check *k, const char *what, size_t n, size_t max)
{
    if (n > max)
        diag_error(k->d, 0, NULL, NULL, "%zu %s in all, allowed: %zu", n, what, max);
    return n <= max;
}

/* The checks compare each with each: these bounds keep a bad file from holding us up. */
static bool within_limits(const struct check *k)
{
    const struct config *c = k->c;
    size_t filters = 0, route_peers = 0, peer_links = 0;
    for (size_t i = 0; i < c->route_count; i++) {
        filters += c->routes[i].topics.count + c->routes[i].exclude.count;
        route_peers += c->routes[i].peers.count;
    }
    for (size_t i = 0; i < c->peer_count; i++)
        peer_links += c->peers[i].links.count;
    bool good = within(k, "topics and excludes of routes", filters, CONFIG_MAX_FILTERS);
    good &= within(k, "peers of routes", route_peers, CONFIG_MAX_ROUTE_PEERS);
    return within(k, "links of peers", peer_links, CONFIG_MAX_PEER_LINKS) && good;
}

void config_check(const struct config *c, struct diag *d)
{
    struct check k = {c, d};
    if (!within_limits(&k))
        return;
    check_broker(&k);
    for (size_t i = 0; i < c->peer_count; i++)
        check_peer(&k, &c->peers[i]);
    warn_unsealed(&k);
    for (size_t i = 0; i < c->link_count; i++)
        check_link(&k, &c->links[i]);
    for (size_t i = 0; i < c->route_count; i++)
        check_route(&k, &c->routes[i]);
    check_route_pairs(&k);
    if (c->peer_count == 0)
        diag_warning(d, 0, NULL, NULL, "there is no [peer NAME]: nothing goes anywhere");
}
