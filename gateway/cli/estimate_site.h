/* One gateway of an estimate: the real bridge on a store of its own in a temporary folder, with a
 * broker that is there for it alone. Its owner gives it time and carries what it says on the air. */
#ifndef CLI_ESTIMATE_SITE_H
#define CLI_ESTIMATE_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "config/config.h"
#include "gateway/cli/estimate_air.h"
#include "gateway/cli/estimate_broker.h"
#include "store/store.h"

struct bridge;

struct estimate_site {
    enum estimate_end end;
    struct estimate_air *air;
    const struct store_now *now; /* the owner's clock */
    uint64_t *seed;
    struct config config; /* points into what follows and into the operator's */
    struct config_peer peer;
    struct config_route *routes;
    struct config_link link;
    struct string_list links, all;
    char *link_name, *all_filter, path[300];
    struct store *store;
    struct bridge *bridge;
    struct estimate_broker broker;
    struct buf to_broker;
    int peer_id;
    /* Not NULL: a message of the far end comes out here. */
    void (*delivered)(void *ctx, const char *topic, size_t topic_len, const uint8_t *payload,
                      size_t n);
    void *ctx;
    char trouble[200]; /* the last error that the gateway told of, "" = none */
    bool broken;       /* nothing good can come of it any more */
};

/* What both sites are made of. */
struct estimate_site_plan {
    const struct config *config; /* the operator's; NULL: one peer, one route that takes all */
    size_t peer;                 /* of its peers */
    const struct estimate_link *link;
    const char *folder;
};

/* s: zeroed but for air, now, seed, delivered and ctx. Return: 0; negative with a sentence in err;
 * fini is due either way. */
int estimate_site_init(struct estimate_site *s, enum estimate_end end,
                       const struct estimate_site_plan *plan, char *err,
                       size_t err_size) MUST_CHECK;
void estimate_site_fini(struct estimate_site *s);
/* Does one thing that is due now. Return: false: nothing was. */
bool estimate_site_serve(struct estimate_site *s);
int64_t estimate_site_deadline(struct estimate_site *s);
/* What the air has for it. */
void estimate_site_hears(struct estimate_site *s, const struct estimate_air_event *e);

#endif
