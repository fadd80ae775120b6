/* Which history tails the models of a peer's new epoch are primed from, and whose turn it is. */
#include "gateway/bridge/internal.h"
#include "gateway/wire/prime_share.h"

/* New tails are begun while no more than this is left to do of all: some 7 s, and 1 MB of messages held. */
#define WORK_MAX (4u * PRIME_SHARE_UNITS * PRIME_UNIT_WORK)

static uint64_t work_left(const struct peer *p)
{
    return p->prime_out.work_left + p->prime_in.work_left;
}

static bool worth_it(const struct peer *p)
{
    uint64_t work = 0;
    for (size_t i = 0; i < p->bridge->peer_count; i++)
        work += work_left(&p->bridge->peers[i]);
    return p->config->codec != CODEC_PLAIN && !p->sender.datagram && work < WORK_MAX;
}

uint32_t peers_tail_in(struct peer *p)
{
    struct bridge *b = p->bridge;
    priming_drop(&p->prime_in);
    priming_drop(&p->prime_out);
    if (!worth_it(p))
        return 0;
    int rc = priming_load(&p->prime_in, b->store, p->id, STORE_IN, TIMESTAMPS_S);
    return custody_failed(b, rc) || rc != 0 ? 0 : priming_name(&p->prime_in);
}

void peers_tail_out(struct peer *p, uint32_t theirs)
{
    struct bridge *b = p->bridge;
    struct priming *t = &p->prime_out;
    priming_drop(t);
    if (theirs == 0 || !worth_it(p))
        return;
    int rc = priming_load(t, b->store, p->id, STORE_OUT, p->config->timestamps);
    if (custody_failed(b, rc))
        return;
    priming_cut(t, prime_tail_units(theirs));
    if (priming_name(t) == theirs)
        return;
    bridge_logf(b, BRIDGE_INFO, "peer", "histories differ: the codec begins from its primer alone peer=%s", p->config->name);
    priming_drop(t);
}

bool peers_prime_within(struct peer *p, bool out, unsigned units)
{
    struct priming *t = out ? &p->prime_out : &p->prime_in;
    priming_cut(t, units);
    if (t->count > 0)
        bridge_logf(p->bridge, BRIDGE_DEBUG, "peer", "priming from history peer=%s direction=%s messages=%zu", p->config->name,
                    out ? "out" : "in", t->count);
    return t->count > 0;
}

enum channel_prime peers_prime(struct peer *p, bool out, struct record *r)
{
    if (out && p->prime_out.count == 0)
        return CHANNEL_PRIME_END;
    bool more = out ? priming_next(&p->prime_out, p->sender.topics, r) : priming_next(&p->prime_in, p->topics_in, r);
    return more ? CHANNEL_PRIME_RECORD : CHANNEL_PRIME_END;
}

bool peers_priming(const struct bridge *b)
{
    for (size_t i = 0; i < b->peer_count; i++)
        if (channel_priming(b->peers[i].channel))
            return true;
    return primer_models_under_way(b->models);
}

/* Who is primed before whom: whom a frame waits for; then what is soon done, so that nobody waits behind a long tail for a short
 * one. Datagram links, whose answers take minutes, come last, in turns. */
static bool sooner(const struct peer *a, const struct peer *b)
{
    bool wanted_a = channel_prime_wanted(a->channel), wanted_b = channel_prime_wanted(b->channel);
    if (wanted_a != wanted_b)
        return wanted_a;
    if (a->sender.datagram != b->sender.datagram)
        return b->sender.datagram;
    return work_left(a) < work_left(b);
}

void peers_prime_some(struct bridge *b)
{
    struct peer *next = NULL;
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[(b->prime_turn + i) % b->peer_count];
        if (channel_priming(p->channel) && (!next || sooner(p, next)))
            next = p;
    }
    b->prime_turn++;
    if (next)
        channel_prime(next->channel, b->now.mono_ms);
    else
        primer_models_work(b->models);
}
