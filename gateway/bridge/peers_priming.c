/* Which history tails the models of a peer's new epoch are primed from, and whose turn it is. */
#include "gateway/bridge/internal.h"

#define PRIMINGS_MAX 8 /* peers at a time: each holds up to two tails, and all share one processor */

static unsigned tails_held(const struct bridge *b)
{
    unsigned n = 0;
    for (size_t i = 0; i < b->peer_count; i++)
        n += b->peers[i].prime_out.count > 0 || b->peers[i].prime_in.count > 0;
    return n;
}

static bool worth_it(const struct peer *p)
{
    return p->config->codec != CODEC_PLAIN && !p->sender.datagram && tails_held(p->bridge) < PRIMINGS_MAX;
}

uint32_t peers_tail_in(struct peer *p)
{
    struct bridge *b = p->bridge;
    uint32_t hash;
    priming_drop(&p->prime_in);
    priming_drop(&p->prime_out);
    if (!worth_it(p))
        return 0;
    int rc = priming_load(&p->prime_in, b->store, p->id, STORE_IN, TIMESTAMPS_S, &hash);
    return custody_failed(b, rc) || rc != 0 ? 0 : hash;
}

void peers_tail_out(struct peer *p, uint32_t their_hash)
{
    struct bridge *b = p->bridge;
    uint32_t hash;
    priming_drop(&p->prime_out);
    if (their_hash == 0 || p->config->codec == CODEC_PLAIN)
        return;
    int rc = priming_load(&p->prime_out, b->store, p->id, STORE_OUT, p->config->timestamps, &hash);
    if (custody_failed(b, rc))
        return;
    if (rc == 0 && hash == their_hash) {
        bridge_logf(b, BRIDGE_DEBUG, "peer", "priming from history peer=%s messages=%zu", p->config->name, p->prime_out.count);
        return;
    }
    bridge_logf(b, BRIDGE_INFO, "peer", "histories differ: the codec begins from its primer alone peer=%s", p->config->name);
    priming_drop(&p->prime_out);
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

void peers_prime_some(struct bridge *b)
{
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[b->prime_turn++ % b->peer_count];
        if (!channel_priming(p->channel))
            continue;
        channel_prime(p->channel, b->now.mono_ms);
        return;
    }
    primer_models_work(b->models);
}
