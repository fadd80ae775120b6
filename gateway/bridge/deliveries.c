/* How far the deliveries of each link are on our disk: a driver whose far side waits to hear of it (DirectIP) says so then. */
#include "gateway/bridge/internal.h"

void deliveries_covered(struct bridge *b)
{
    for (size_t i = 0; i < b->config->link_count; i++)
        b->deliveries[i].covered = b->deliveries[i].given;
}

void deliveries_lost(struct bridge *b)
{
    for (size_t i = 0; i < b->config->link_count; i++) {
        struct deliveries *d = &b->deliveries[i];
        /* The far side of such a link keeps what it was not told of, and brings it again. */
        if (b->links[i].addressed && d->given > d->covered)
            b->env.link_reset(b->env.ctx, i, 0, "what it brought was not kept");
    }
    deliveries_covered(b);
}

uint64_t bridge_link_covered(const struct bridge *b, size_t link)
{
    return b->deliveries[link].covered;
}
