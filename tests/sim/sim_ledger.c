#include "tests/sim/sim_ledger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRY_SLACK_MS 2000 /* whole seconds, rounded up by broker and gateway */

static const char *const site_names[2] = {"edge", "hub"};

void sim_ledger_init(struct sim_ledger *l, struct sim_report *report)
{
    memset(l, 0, sizeof *l);
    l->report = report;
    memset(l->last_accepted, 0xff, sizeof l->last_accepted);
}

void sim_ledger_fini(struct sim_ledger *l)
{
    free(l->messages);
}

uint32_t sim_ledger_add(struct sim_ledger *l, unsigned site, unsigned route, unsigned topic, size_t len, uint8_t qos,
                        bool retain, unsigned kind)
{
    if (l->count == l->size) {
        l->size = l->size ? 2 * l->size : 256;
        l->messages = realloc(l->messages, l->size * sizeof *l->messages);
        assert(l->messages);
    }
    struct sim_message *m = &l->messages[l->count];
    *m = (struct sim_message){
        .id = l->count,
        .from = site,
        .route = route,
        .len = len,
        .qos = qos,
        .sent_qos = qos,
        .retain = retain,
        .kind = kind,
        .given_at = l->report->clock->now_ms,
    };
    const struct sim_route *r = &l->routes[site][route];
    if (len < SIM_ID_BYTES)
        snprintf(m->topic, sizeof m->topic, "%s/%u/short/%08" PRIx32, r->prefix, topic, m->id);
    else
        snprintf(m->topic, sizeof m->topic, "%s/%u/value", r->prefix, topic);
    return l->count++;
}

void sim_ledger_payload(const struct sim_message *m, struct buf *out)
{
    char text[128];
    struct sim_rng rng = {.state = m->id * 0x9e3779b97f4a7c15ull + 7};
    size_t begin = out->len;
    snprintf(text, sizeof text, "%08" PRIx32, m->id);
    if (m->len >= SIM_ID_BYTES)
        buf_put(out, text, SIM_ID_BYTES);
    while (out->len - begin < m->len && !out->failed) {
        int n;
        uint8_t raw[64];
        switch (m->kind % 3) {
        case 0:
            n = snprintf(text, sizeof text, ",{\"t\":%" PRIi64 ",\"v\":%" PRIi64 ".%" PRIi64 "}", rng_range(&rng, 1700000000, 1700009999),
                         rng_range(&rng, 0, 40), rng_range(&rng, 0, 9));
            break;
        case 1:
            rng_bytes(&rng, raw, sizeof raw);
            memcpy(text, raw, sizeof raw);
            n = sizeof raw;
            break;
        default:
            memset(text, 'a' + (int)(m->id % 26), sizeof text);
            n = sizeof text;
        }
        size_t left = m->len - (out->len - begin);
        buf_put(out, text, (size_t)n < left ? (size_t)n : left);
    }
    assert(!out->failed);
}

uint32_t sim_ledger_find(const struct sim_ledger *l, const char *topic, const uint8_t *payload, size_t n)
{
    char text[SIM_ID_BYTES + 1] = "";
    const char *tail = strstr(topic, "/short/");
    if (tail)
        snprintf(text, sizeof text, "%s", tail + 7);
    else if (n >= SIM_ID_BYTES)
        memcpy(text, payload, SIM_ID_BYTES);
    char *end;
    unsigned long id = strtoul(text, &end, 16);
    return end == text + SIM_ID_BYTES && id < l->count ? (uint32_t)id : SIM_NO_MESSAGE;
}

void sim_ledger_offered(struct sim_ledger *l, uint32_t id, unsigned copies)
{
    struct sim_message *m = &l->messages[id];
    m->offers++;
    m->open_copies += copies;
    m->acked = m->acked || copies == 0;
    if (!m->offer_order)
        m->offer_order = ++l->offer_orders;
}

void sim_ledger_sent(struct sim_ledger *l, uint32_t id, uint8_t qos, bool again, bool retain)
{
    struct sim_message *m = &l->messages[id];
    m->resends += again;
    m->sent_qos = qos < m->sent_qos ? qos : m->sent_qos;
    m->retain_seen |= (uint8_t)(1u << retain);
}

void sim_ledger_acked(struct sim_ledger *l, uint32_t id)
{
    struct sim_message *m = &l->messages[id];
    assert(m->open_copies);
    if (--m->open_copies == 0)
        m->acked = true;
}

void sim_ledger_forgone(struct sim_ledger *l, uint32_t id)
{
    struct sim_message *m = &l->messages[id];
    assert(m->open_copies);
    m->open_copies--;
    m->forgone = true;
}

void sim_ledger_refused(struct sim_ledger *l, uint32_t id)
{
    l->messages[id].refused = true;
}

/* ---- what comes out ---- */

/* What is told to have expired has had the time to (I11). */
static void check_age(struct sim_ledger *l, unsigned from, unsigned route)
{
    const struct sim_route *r = &l->routes[from][route];
    uint64_t old = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct sim_message *m = &l->messages[i];
        int64_t live = m->expiry_s ? (int64_t)m->expiry_s * 1000 : INT64_MAX;
        live = r->expire_ms && r->expire_ms < live ? r->expire_ms : live;
        bool due = live < INT64_MAX && l->report->clock->now_ms - m->given_at + EXPIRY_SLACK_MS >= live;
        if (m->from == from && m->route == route && due && m->offers > m->accepted)
            old += m->offers - m->accepted; /* a retained one is queued again for a new session */
    }
    if (l->gaps[from][route].expired > old && !l->clock_lies && !l->stores_fail)
        sim_fail(l->report, "age", "route %s of %s: %" PRIu64 " messages are told to have expired; %" PRIu64 " that did not come out were old enough", r->name,
                 site_names[from], l->gaps[from][route].expired, old);
}

static void on_gap(struct sim_ledger *l, unsigned site, const struct sim_accepted *a)
{
    static const char *const reasons[8] = {"", "expired", "overflow", "oversize", "replaced", "interval", "lost", "refused"};
    char text[512], route[32] = "", reason[16] = "";
    unsigned long long count = 0;
    snprintf(text, sizeof text, "%.*s", (int)(a->n < sizeof text ? a->n : sizeof text - 1), (const char *)a->payload);
    const char *at = strstr(text, "\"route\":\"");
    if (at)
        sscanf(at + 9, "%31[^\"]", route);
    at = strstr(text, "\"reason\":\"");
    if (at)
        sscanf(at + 10, "%15[^\"]", reason);
    at = strstr(text, "\"count\":");
    if (!at || sscanf(at + 8, "%llu", &count) != 1) {
        sim_fail(l->report, "gap", "a gap message without a count: %s", text);
        return;
    }
    unsigned from = !site;
    unsigned why = 1;
    while (why < 8 && strcmp(reasons[why], reason) != 0)
        why++;
    if (why == 8)
        sim_fail(l->report, "gap", "a gap message with an unknown reason: %s", text);
    else if (why == 6) /* "lost" names no route, nor does "refused" */
        l->gaps_lost[from] += count;
    else if (why == 7)
        l->refusals_told[site] += count;
    for (unsigned r = 0; why < 8 && r < l->route_count[from]; r++) {
        if (strcmp(l->routes[from][r].name, route) != 0)
            continue;
        if (a->again)
            l->gaps[from][r].again += count;
        else
            l->gaps[from][r].sum += count;
        if (why == 1 && !a->again)
            l->gaps[from][r].expired += count;
        check_age(l, from, r);
    }
    sim_trace(l->report, site_names[site], "gap route=%s reason=%s count=%llu", route, reason, count);
}

static void check_content(struct sim_ledger *l, const struct sim_message *m, const struct sim_route *r,
                          const struct sim_accepted *a)
{
    char topic[SIM_TOPIC_ROOM + 32];
    snprintf(topic, sizeof topic, "from/%s/%s", site_names[m->from], m->topic);
    if (strcmp(topic, a->topic) != 0)
        sim_fail(l->report, "topic", "message %u came under topic %s, not %s", m->id, a->topic, topic);
    struct buf want;
    buf_init(&want, m->len + 256);
    sim_ledger_payload(m, &want);
    if (want.len != a->n || (a->n && memcmp(buf_bytes(&want), a->payload, a->n) != 0))
        sim_fail(l->report, "payload", "message %u came altered: %zu bytes, not %zu", m->id, a->n, want.len);
    buf_fini(&want);
    int qos = m->qos < r->qos ? m->qos : r->qos;
    if (a->qos != qos)
        sim_fail(l->report, "qos", "message %u came with QoS %u, not %d", m->id, a->qos, qos);
    /* Never longer than it was given; that it is shorter by all the time on the way, nobody promises: a copy that is sent again is
     * the same bytes. */
    bool expires = m->expiry_s && a->v5;
    if (a->has_expiry != expires || (expires && a->expiry_s > m->expiry_s))
        sim_fail(l->report, "expiry", "message %u was to live %u s and came with %s%u", m->id, m->expiry_s,
                 a->has_expiry ? "" : "none, not ", a->expiry_s);
    unsigned flags = r->retain == SIM_RETAIN_DROP ? 1u : m->retain_seen;
    if (!(flags & 1u << a->retain))
        sim_fail(l->report, "retain", "message %u came with retain %d", m->id, a->retain);
}

/* QoS 2 at both brokers: once for each time that the sending broker queued it. QoS 1: once more for each time that it sent it
 * again, since nothing tells a second message from a second copy. */
static void check_doubled(struct sim_ledger *l, const struct sim_message *m, const struct sim_route *r)
{
    unsigned qos = m->sent_qos < r->qos ? m->sent_qos : (unsigned)r->qos;
    unsigned allowed = m->offers + m->unmarked_again + (m->sent_qos < 2 ? m->resends : 0);
    unsigned counted = m->accepted - m->accepted_again - (qos < 2 ? m->accepted_dup : 0);
    if (counted > allowed && !m->store_lost && !(qos == 0 && l->machines_fail))
        sim_fail(l->report, "doubled", "message %u (QoS %u, route %s) came out %u times (%u marked again, %u DUP); queued %u times, "
                 "sent again %u times", m->id, m->qos, r->name, m->accepted, m->accepted_again, m->accepted_dup, m->offers,
                 m->resends);
}

/* The first coming of each message of a topic is in the order in which the sending broker queued them. */
static void check_order(struct sim_ledger *l, const struct sim_message *m, unsigned lane)
{
    unsigned topic = 0;
    const char *at = strchr(m->topic, '/');
    if (at)
        topic = (unsigned)atoi(at + 1);
    if (topic >= SIM_ORDER_TOPICS || m->len < SIM_ID_BYTES || m->qos == 0)
        return;
    uint32_t *last = &l->last_accepted[m->from][m->route][topic][lane];
    if (*last != SIM_NO_MESSAGE && l->messages[*last].offer_order > m->offer_order && !m->store_lost && !m->forgone &&
        m->offers == 1)
        sim_fail(l->report, "order", "message %u of topic %s came after message %u, which was queued later", m->id, m->topic, *last);
    else
        *last = m->id;
}

void sim_ledger_accepted(struct sim_ledger *l, unsigned site, const struct sim_accepted *a)
{
    if (strncmp(a->topic, "longwire/", 9) == 0) {
        if (strstr(a->topic, "/gap/"))
            on_gap(l, site, a);
        return;
    }
    uint32_t id = sim_ledger_find(l, a->topic, a->payload, a->n);
    if (id == SIM_NO_MESSAGE || l->messages[id].from == site) {
        sim_fail(l->report, "payload", "what came out under topic %s is no message that went in", a->topic);
        return;
    }
    struct sim_message *m = &l->messages[id];
    const struct sim_route *r = &l->routes[m->from][m->route];
    sim_trace(l->report, site_names[site], "accepted message=%u topic=%s bytes=%zu qos=%u%s%s", id, a->topic, a->n, a->qos,
              a->dup ? " dup" : "", a->again ? " again" : "");
    l->accepted++;
    l->bytes += a->n;
    m->accepted++;
    m->accepted_again += a->again;
    m->accepted_dup += a->dup && !a->again;
    check_content(l, m, r, a);
    check_doubled(l, m, r);
    if (m->accepted == 1)
        check_order(l, m, a->late ? a->qos : 0);
}

/* ---- the end ---- */

bool sim_ledger_missing(const struct sim_ledger *l, const struct sim_message *m)
{
    if (m->accepted || !m->offers || m->store_lost || m->refused)
        return false;
    if (m->expiry_s && l->report->clock->now_ms - m->given_at + EXPIRY_SLACK_MS >= (int64_t)m->expiry_s * 1000)
        return false; /* a gap tells of it, or the far site counts it */
    if (m->qos == 0 || l->routes[m->from][m->route].qos == 0)
        return l->quiet && m->acked && !m->forgone;
    return m->acked || !m->forgone;
}

unsigned sim_ledger_due(const struct sim_ledger *l)
{
    unsigned due = 0;
    for (uint32_t i = 0; i < l->count; i++)
        due += !l->routes[l->messages[i].from][l->messages[i].route].discards && sim_ledger_missing(l, &l->messages[i]);
    return due;
}

static void settle_route(struct sim_ledger *l, unsigned site, unsigned route)
{
    const struct sim_route *r = &l->routes[site][route];
    uint64_t missing = 0, expiring = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct sim_message *m = &l->messages[i];
        expiring += m->from == site && m->route == route && m->expiry_s;
        if (m->from != site || m->route != route || !sim_ledger_missing(l, m))
            continue;
        missing++;
        if (!r->discards)
            sim_fail(l->report, "lost", "message %u (QoS %u, route %s, %s) never came out at the far broker", m->id, m->qos, r->name,
                     m->acked ? "acknowledged" : "not acknowledged");
    }
    if (missing > l->gaps[site][route].sum + l->gaps[site][route].again + l->gaps_lost[site])
        sim_fail(l->report, "gap", "route %s of %s: %" PRIu64 " messages are missing, and gaps tell of %" PRIu64, r->name, site_names[site],
                 missing, l->gaps[site][route].sum);
    else if (!r->discards && l->gaps[site][route].sum > expiring)
        sim_fail(l->report, "gap", "route %s of %s discards nothing, yet gaps tell of %" PRIu64, r->name, site_names[site],
                 l->gaps[site][route].sum);
}

static void settle_refused(struct sim_ledger *l, unsigned site)
{
    uint64_t refused = 0;
    for (uint32_t i = 0; i < l->count; i++)
        refused += l->messages[i].from == site && l->messages[i].refused && !l->messages[i].store_lost;
    if (refused > l->refusals_told[site])
        sim_fail(l->report, "refused", "the far broker refused %" PRIu64 " messages of %s, which is told of %" PRIu64, refused,
                 site_names[site], l->refusals_told[site]);
}

void sim_ledger_settle(struct sim_ledger *l)
{
    settle_refused(l, 0);
    settle_refused(l, 1);
    for (unsigned site = 0; site < 2; site++)
        for (unsigned r = 0; r < l->route_count[site]; r++)
            settle_route(l, site, r);
}
