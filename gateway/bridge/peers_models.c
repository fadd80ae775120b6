/* The memory of the codec's models, that of all peers together bounded by codec_cache whatever they do at once. */
#include "gateway/bridge/internal.h"

#define DATAGRAM_MODELS 4 /* that a direction of a datagram link may hold: of two anchors, of an epoch's frames, and the one under way */

int64_t peers_model_share(const struct bridge *b)
{
    return b->config->store.codec_cache / (2 * (int64_t)b->config->peer_count + 2);
}

size_t peers_model_memory(const struct bridge *b, const struct config_peer *c, bool datagram)
{
    int64_t share = peers_model_share(b) / (datagram ? DATAGRAM_MODELS : 1);
    return (size_t)(c->codec_memory < share ? c->codec_memory : share);
}

void peers_bound_models(struct bridge *b, const struct peer *newest)
{
    size_t bytes = 0, budget = 0;
    for (size_t i = 0; i < b->peer_count; i++) {
        bytes += channel_models_in(b->peers[i].channel);
        budget += b->peers[i].sender.datagram ? (size_t)peers_model_share(b) : 0;
    }
    while (bytes > budget) {
        struct peer *oldest = NULL;
        for (size_t i = 0; i < b->peer_count; i++) {
            struct peer *p = &b->peers[i];
            if (p != newest && channel_models_in(p->channel) > 0 && (!oldest || p->models_used < oldest->models_used))
                oldest = p;
        }
        size_t freed = oldest ? channel_forget_models_in(oldest->channel) : 0;
        if (freed == 0)
            return; /* the newest's alone, or being made just now */
        bytes -= freed;
    }
}
