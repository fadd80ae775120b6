#include "tests/sim/sim_plan.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/msg_class.h"

#define KEEPALIVE_S 60
#define LEN_MAX     (128 << 10) /* larger payloads show nothing more, and take the processor's time */
#define LEN_HUGE    (1 << 20)
#define TOPICS_MANY 4000        /* of each route; a peer has 4,096 slots for all */
#define ANY_LINE    (HAZARD_DELAY | HAZARD_HALF | HAZARD_METERED)

const struct sim_family sim_families[] = {
    {"clean line", 0, HAZARD_METERED | HAZARD_CLOCK},
    {"long delay", HAZARD_DELAY, HAZARD_METERED | HAZARD_NOISE},
    {"noise", HAZARD_NOISE, ANY_LINE},
    {"half duplex", HAZARD_HALF, HAZARD_NOISE | HAZARD_METERED | HAZARD_DELAY | HAZARD_SILENCE},
    {"outages", HAZARD_OUTAGE, ANY_LINE | HAZARD_NOISE | HAZARD_LARGE},
    {"silent outages", HAZARD_SILENCE, ANY_LINE | HAZARD_NOISE | HAZARD_LARGE},
    {"crash of the edge", HAZARD_CRASH_EDGE, ANY_LINE | HAZARD_NOISE | HAZARD_LARGE | HAZARD_TCP},
    {"crash of the hub", HAZARD_CRASH_HUB, ANY_LINE | HAZARD_NOISE | HAZARD_LARGE | HAZARD_TCP},
    {"crash of both", HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB, ANY_LINE | HAZARD_OUTAGE | HAZARD_STOP | HAZARD_TCP},
    {"brokers vanish", HAZARD_BROKER, ANY_LINE | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB | HAZARD_LARGE},
    {"brokers forget", HAZARD_SESSION | HAZARD_BROKER, HAZARD_METERED | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB},
    {"full disks", HAZARD_DISK_FULL, HAZARD_METERED | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB | HAZARD_LARGE | HAZARD_TCP},
    {"disk errors", HAZARD_DISK_ERROR, HAZARD_METERED | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB | HAZARD_LARGE | HAZARD_TCP},
    {"discards", HAZARD_DISCARD, ANY_LINE | HAZARD_OUTAGE | HAZARD_CLOCK | HAZARD_TCP | HAZARD_NOISE},
    {"discards and crashes", HAZARD_DISCARD | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB, HAZARD_OUTAGE | HAZARD_CLOCK | HAZARD_TCP},
    {"large messages", HAZARD_LARGE, ANY_LINE | HAZARD_NOISE | HAZARD_OUTAGE | HAZARD_TCP},
    {"tcp", HAZARD_TCP | HAZARD_OUTAGE, HAZARD_DELAY | HAZARD_SILENCE | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB | HAZARD_LARGE},
    {"store lost", HAZARD_STORE_LOST, HAZARD_BROKER | HAZARD_OUTAGE | HAZARD_METERED | HAZARD_TCP | HAZARD_LARGE},
    {"store set back", HAZARD_STORE_OLD, HAZARD_BROKER | HAZARD_OUTAGE | HAZARD_METERED | HAZARD_TCP | HAZARD_LARGE},
    {"orderly stops", HAZARD_STOP, ANY_LINE | HAZARD_OUTAGE | HAZARD_TCP | HAZARD_LARGE},
    {"datagrams", HAZARD_DATAGRAM, HAZARD_DELAY | HAZARD_LARGE | HAZARD_OUTAGE | HAZARD_BROKER},
    {"datagrams and crashes", HAZARD_DATAGRAM | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB,
     HAZARD_DELAY | HAZARD_STOP | HAZARD_BROKER | HAZARD_LARGE},
    {"datagrams and full disks", HAZARD_DATAGRAM | HAZARD_DISK_FULL, HAZARD_DELAY | HAZARD_BROKER | HAZARD_LARGE},
    {"datagrams and disk errors", HAZARD_DATAGRAM | HAZARD_DISK_ERROR, HAZARD_DELAY | HAZARD_BROKER | HAZARD_CRASH_EDGE},
    {"metered line and crashes", HAZARD_METERED | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB, HAZARD_OUTAGE | HAZARD_BROKER},
    {"clocks and crashes", HAZARD_EXPIRY | HAZARD_DISCARD | HAZARD_CLOCK | HAZARD_OUTAGE | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB, 0},
    {"expiring messages", HAZARD_EXPIRY, HAZARD_OUTAGE | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB | HAZARD_CLOCK | HAZARD_BROKER},
    {"refusing brokers", HAZARD_REFUSE, HAZARD_OUTAGE | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB | HAZARD_BROKER | HAZARD_SESSION},
    {"many topics", HAZARD_TOPICS | HAZARD_TCP, HAZARD_OUTAGE | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB, true},
    {"megabytes", HAZARD_HUGE | HAZARD_TCP, HAZARD_OUTAGE | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB | HAZARD_BROKER,
     true},
    {"everything", 0, ~(unsigned)HAZARD_DATAGRAM},
    {"sealed", HAZARD_SEALED, ANY_LINE | HAZARD_NOISE | HAZARD_OUTAGE | HAZARD_SILENCE | HAZARD_LARGE | HAZARD_TCP | HAZARD_CRASH_EDGE},
    {"sealed, attacked", HAZARD_SEALED | HAZARD_ATTACKER, ANY_LINE | HAZARD_NOISE | HAZARD_OUTAGE | HAZARD_SILENCE | HAZARD_TCP},
    {"sealed, attacked, crashes", HAZARD_SEALED | HAZARD_ATTACKER | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB,
     ANY_LINE | HAZARD_OUTAGE | HAZARD_TCP | HAZARD_STOP | HAZARD_DISK_FULL},
    {"sealed, attacked, stores lost and set back", HAZARD_SEALED | HAZARD_ATTACKER | HAZARD_STORE_LOST | HAZARD_STORE_OLD,
     HAZARD_OUTAGE | HAZARD_METERED | HAZARD_TCP | HAZARD_BROKER},
    {"sealed datagrams and crashes", HAZARD_SEALED | HAZARD_DATAGRAM | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB,
     HAZARD_DELAY | HAZARD_BROKER | HAZARD_OUTAGE}, /* attacked as well: the last family */
    {"datagrams and lost stores", HAZARD_DATAGRAM | HAZARD_STORE_LOST,
     HAZARD_DELAY | HAZARD_BROKER | HAZARD_OUTAGE | HAZARD_METERED},
    {"datagrams and old stores", HAZARD_DATAGRAM | HAZARD_STORE_OLD,
     HAZARD_DELAY | HAZARD_BROKER | HAZARD_OUTAGE | HAZARD_METERED},
    {"sealed datagrams, attacked", HAZARD_SEALED | HAZARD_ATTACKER | HAZARD_DATAGRAM, HAZARD_DELAY | HAZARD_OUTAGE | HAZARD_METERED},
    {"forward secret datagrams, attacked, crashes",
     HAZARD_SHARES | HAZARD_SEALED | HAZARD_ATTACKER | HAZARD_DATAGRAM | HAZARD_CRASH_EDGE | HAZARD_CRASH_HUB,
     HAZARD_DELAY | HAZARD_OUTAGE | HAZARD_METERED | HAZARD_STOP | HAZARD_BROKER | HAZARD_LARGE},
    {"sealed datagrams, attacked, stores lost and set back",
     HAZARD_SEALED | HAZARD_ATTACKER | HAZARD_DATAGRAM | HAZARD_STORE_LOST | HAZARD_STORE_OLD,
     HAZARD_DELAY | HAZARD_OUTAGE | HAZARD_METERED | HAZARD_BROKER},
};
const unsigned sim_family_count = sizeof sim_families / sizeof sim_families[0];

const struct sim_family *sim_family_find(const char *name)
{
    for (unsigned i = 0; i < sim_family_count; i++)
        if (strcmp(sim_families[i].name, name) == 0)
            return &sim_families[i];
    return NULL;
}

static bool has(const struct sim_plan *p, unsigned hazard)
{
    return p->hazards & hazard;
}

static bool coin(struct sim_rng *r, unsigned percent)
{
    return rng_chance(r, percent * (PPM / 100));
}

/* ---- the line ---- */

static void plan_line(struct sim_plan *p, struct sim_rng *r)
{
    static const uint32_t rates[] = {30, 120, 240, 960, 1200, 5760, 11520};
    struct sim_pipe_profile *f = &p->line.profile;
    p->line.tcp = has(p, HAZARD_TCP);
    p->line.half_duplex = has(p, HAZARD_HALF) && !p->line.tcp;
    f->rate_bytes_s = p->line.tcp ? (uint32_t)rng_range(r, 2000, 1000000) : rates[rng_range(r, 0, 6)];
    if (has(p, HAZARD_TOPICS | HAZARD_HUGE))
        f->rate_bytes_s = 50000 + f->rate_bytes_s / 10;
    f->piece_max_bytes = p->line.tcp ? 1460 : (uint32_t)rng_range(r, 1, f->rate_bytes_s / 20 + 2);
    f->delay_ms = rng_range(r, 0, 5);
    if (has(p, HAZARD_DELAY)) {
        f->delay_ms = rng_skewed(r, 50, 3000);
        f->jitter_ms = coin(r, 50) ? rng_skewed(r, 0, 1000) : 0;
    }
    if (has(p, HAZARD_NOISE) && !p->line.tcp) {
        f->flip_ppm = (uint32_t)rng_skewed(r, 30, 3000);
        f->drop_ppm = coin(r, 50) ? (uint32_t)rng_skewed(r, 0, 1000) : 0;
        f->insert_ppm = coin(r, 50) ? (uint32_t)rng_skewed(r, 0, 1000) : 0;
        f->burst_ppm = coin(r, 30) ? (uint32_t)rng_skewed(r, 0, 20000) : 0;
        f->repeat_ppm = coin(r, 30) ? (uint32_t)rng_skewed(r, 0, 20000) : 0;
    }
    p->line.horizon_bytes = f->rate_bytes_s * 60 / 1000;
    p->line.frame_bytes = p->line.tcp ? 65536 : 2048;
    if (coin(r, 20) && !p->line.tcp) {
        p->line.avoid[0] = 0x11;
        p->line.avoid[1] = 0x13;
        p->line.avoid_count = 2;
    }
    if (has(p, HAZARD_DATAGRAM)) {
        static const size_t mtus[] = {200, 270, 340, 1960};
        p->line.mtu = mtus[rng_range(r, 0, 3)];
        p->line.half_duplex = p->line.tcp = false;
        p->line.avoid_count = 0;
        f->rate_bytes_s = (uint32_t)rng_range(r, 20, 5000);
        /* Pieces of a large message are taken in order only: with frames that overtake each other by far it takes days. */
        f->jitter_ms = coin(r, 60) ? rng_skewed(r, 0, has(p, HAZARD_LARGE) ? 300 : 60000) : 0;
        p->line.lose_ppm = coin(r, 60) ? (uint32_t)rng_skewed(r, 0, 200000) : 0;
        p->line.double_ppm = coin(r, 50) ? (uint32_t)rng_skewed(r, 0, 200000) : 0;
        p->line.fail_ppm = coin(r, 50) ? (uint32_t)rng_skewed(r, 0, 200000) : 0;
        p->line.unknown_ppm = coin(r, 50) ? (uint32_t)rng_skewed(r, 0, 200000) : 0;
    }
    if (has(p, HAZARD_ATTACKER))
        p->line.attack_ppm = (uint32_t)rng_range(r, 10000, 500000);
    p->metered = has(p, HAZARD_METERED);
    p->probe_ms = coin(r, 80) ? rng_range(r, 10, 120) * 1000 : 0;
}

/* ---- routes ---- */

static void plan_discards(struct sim_plan *p, struct sim_route *route, struct sim_rng *r)
{
    static const int choices = 4;
    route->discards = true;
    switch (rng_range(r, 0, choices - 1)) {
    case 0:
        route->latest = true;
        break;
    case 1:
        route->min_interval_ms = rng_range(r, 1, 60) * 1000;
        break;
    case 2:
        route->expire_ms = rng_range(r, 5, p->active_ms / 2000 + 10) * 1000;
        break;
    default:
        route->max_payload = (size_t)rng_range(r, 20, 200);
    }
}

static void plan_routes(struct sim_plan *p, unsigned site, struct sim_rng *r)
{
    static const struct {
        const char *prefix;
        enum msg_class class;
    } kinds[] = {{"alarm", CLASS_ALARM}, {"high", CLASS_HIGH}, {"tele", CLASS_NORMAL}, {"bulk", CLASS_BULK}, {"over", CLASS_NORMAL}};
    unsigned n = sizeof kinds / sizeof kinds[0];
    for (unsigned i = 0; i < n; i++) {
        struct sim_route *route = &p->routes[site][i];
        *route = (struct sim_route){
            .topics = (unsigned)(has(p, HAZARD_TOPICS) ? rng_range(r, TOPICS_MANY / 2, TOPICS_MANY) : rng_skewed(r, 1, 40)),
            .class = kinds[i].class,
            .qos = coin(r, 75) ? 2 : coin(r, 80) ? 1 : 0,
            .retain = (enum sim_retain)rng_range(r, SIM_RETAIN_PASS, SIM_RETAIN_ON_CHANGE),
            .max_payload = 4u << 20,
        };
        snprintf(route->name, sizeof route->name, "r-%s", kinds[i].prefix);
        snprintf(route->prefix, sizeof route->prefix, "%s", kinds[i].prefix);
        /* The last one's second filter overlaps the others: their messages come in two copies, and one counts (I4b). */
        snprintf(route->filter, sizeof route->filter, i == n - 1 ? "%s/#, +/3/#" : "%s/#", kinds[i].prefix);
        if (has(p, HAZARD_DISCARD) && i >= 2 && coin(r, 60))
            plan_discards(p, route, r);
    }
    p->route_count[site] = n;
}

/* ---- the operator's files ---- */

static void put(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct buf *b, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    assert(n >= 0 && (size_t)n < sizeof text);
    buf_put(b, text, (size_t)n);
}

static void put_route(struct buf *b, const struct sim_route *r, const char *peer, const char *site)
{
    static const char *const classes[] = {"alarm", "high", "normal", "bulk"};
    static const char *const retains[] = {"pass", "drop", "on-change"};
    put(b, "[route %s]\npeer = %s\ntopics = %s\nremote_prefix = from/%s/\npriority = %s\nqos = %d\nretain = %s\nmax_payload = %zu\n",
        r->name, peer, r->filter, site, classes[r->class], r->qos, retains[r->retain], r->max_payload);
    if (r->latest)
        put(b, "keep = latest\n");
    if (r->min_interval_ms)
        put(b, "min_interval = %llds\n", (long long)r->min_interval_ms / 1000);
    if (r->expire_ms)
        put(b, "expire = %llds\n", (long long)r->expire_ms / 1000);
}

/* Both ends alike but for forward secrecy, which each may have or not. */
static void put_seal(struct sim_plan *p, struct buf *b, unsigned site, struct sim_rng *r)
{
    static const char *const modes[] = {"full", "auth"};
    if (!has(p, HAZARD_SEALED)) {
        put(b, "seal = none\n");
        return;
    }
    if (site == 0) {
        p->seal = (unsigned)rng_range(r, 0, 1);
        p->seal_tag = 2 * (unsigned)rng_range(r, 3, 8);
    }
    put(b, "seal = %s\nsecret_file = peer.key\nseal_tag = %u\nforward_secrecy = %s\n", modes[p->seal], p->seal_tag,
        coin(r, 50) || has(p, HAZARD_SHARES) ? "yes" : "no");
}

static char *config_text(struct sim_plan *p, unsigned site, struct sim_rng *r)
{
    static const char *const names[] = {"edge", "hub"};
    static const char *const stamps[] = {"no", "s", "ms"};
    struct buf b;
    buf_init(&b, 65536);
    put(&b, "[site]\nname = %s\n[broker]\nhost = 127.0.0.1\nkeepalive = %ds\nsession_expiry = 30d\n", names[site], KEEPALIVE_S);
    put(&b, "[store]\npath = /sim-%u/%s.db\n", site, names[site]);
    if (has(p, HAZARD_DISCARD) && coin(r, 40)) {
        put(&b, "on_full = %s\n", coin(r, 50) ? "drop-oldest" : "drop-newest");
        p->max_bytes[site] = rng_skewed(r, 2000, 60000);
        for (unsigned i = 0; i < p->route_count[site]; i++)
            p->routes[site][i].discards = true;
    }
    put(&b, "[peer %s]\nlinks = line\naccept = from/%s/#\ntimestamps = %s\nmax_message = 4M\n", names[!site], names[!site],
        stamps[rng_range(r, 0, 2)]);
    put_seal(p, &b, site, r);
    for (unsigned i = 0; i < p->route_count[site]; i++)
        put_route(&b, &p->routes[site][i], names[!site], names[site]);
    put(&b, "[link line]\ndriver = %s\nmetered = %s\nprobe = %llds\n", p->line.tcp && site == 1 ? "simulated-listener" : "simulated",
        p->metered ? "yes" : "no", (long long)p->probe_ms / 1000);
    buf_put_u8(&b, 0);
    char *text = strdup((const char *)buf_bytes(&b));
    buf_fini(&b);
    assert(text);
    return text;
}

/* ---- the whole ---- */

static void plan_traffic(struct sim_plan *p, struct sim_rng *r)
{
    uint32_t rate = p->line.profile.rate_bytes_s;
    p->len_max = has(p, HAZARD_LARGE) ? (size_t)rng_skewed(r, 2000, (int64_t)rate * 60 + 2000) : (size_t)rng_skewed(r, 30, 1500);
    if (p->len_max > LEN_MAX)
        p->len_max = LEN_MAX;
    p->messages = (unsigned)rng_skewed(r, 10, 400);
    if (has(p, HAZARD_TOPICS)) {
        p->len_max = 40;
        p->messages = (unsigned)rng_range(r, 5000, 7000);
    } else if (has(p, HAZARD_HUGE)) {
        p->len_max = LEN_HUGE;
        p->messages = (unsigned)rng_range(r, 3, 12);
    }
    /* Sizes are skewed: the mean is about a tenth of the largest. Load the line to between a tenth and twice what it carries. */
    int64_t bytes = (int64_t)p->messages * ((int64_t)p->len_max / 10 + 40);
    p->active_ms = bytes * 1000 / rate * 100 / rng_range(r, 10, 200);
    if (p->active_ms < 30000)
        p->active_ms = 30000;
    if (has(p, HAZARD_TOPICS))
        p->active_ms = p->messages * 20;
    if (p->active_ms > 12 * 3600 * 1000)
        p->active_ms = 12 * 3600 * 1000;
    p->fault_every_ms = p->active_ms / rng_skewed(r, 2, 40) + 1000;
}

void sim_plan_init(struct sim_plan *p, const struct sim_family *family, struct sim_rng *rng)
{
    memset(p, 0, sizeof *p);
    p->family = family;
    p->hazards = family->must;
    for (unsigned bit = 0; bit <= 19; bit++)
        if (family->may & 1u << bit && coin(rng, 30))
            p->hazards |= 1u << bit;
    plan_line(p, rng);
    plan_traffic(p, rng);
    for (unsigned site = 0; site < 2; site++) {
        struct sim_broker_config *b = &p->brokers[site];
        b->v5 = coin(rng, 70);
        b->bridge_bit = coin(rng, 60);
        b->window = (unsigned)rng_skewed(rng, 1, 1000);
        b->receive_maximum = coin(rng, 50) ? 65535 : (unsigned)rng_skewed(rng, 1, 200);
        b->copy_each = coin(rng, 60);
        b->pass_on_release = coin(rng, 50);
        plan_routes(p, site, rng);
        p->config[site] = config_text(p, site, rng);
    }
    /* Hazards of a later day draw behind the others, so that seeds keep their meaning. */
    for (unsigned bit = 20; bit <= 21; bit++)
        if (family->may & 1u << bit && coin(rng, 30))
            p->hazards |= 1u << bit;
    for (unsigned site = 0; site < 2; site++)
        p->brokers[site].refuses = has(p, HAZARD_REFUSE);
}

void sim_plan_fini(struct sim_plan *p)
{
    free(p->config[0]);
    free(p->config[1]);
}
