/* Two whole gateways with a link between them that loses nothing, on simulated time: what their
 * messages come to is not reckoned, it is seen. One pair for each peer of an estimate.
 *
 * Time is the recording's: between two messages the pair lives through what lies between them. With
 * estimate_link.backlog messages come instead as fast as the link takes them. */
#ifndef CLI_ESTIMATE_PAIR_H
#define CLI_ESTIMATE_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "config/config.h"
#include "gateway/cli/estimate_input.h"
#include "gateway/cli/estimate_link.h"

struct estimate_pair;

struct estimate_pair_ops {
    /* A message comes out at the far end, with the topic that it has there. */
    void (*delivered)(void *ctx, const char *topic, size_t topic_len, const uint8_t *payload,
                      size_t n);
    /* Is the user tired of waiting? */
    bool (*give_up)(void *ctx);
};

/* config: NULL: one peer, one route that takes all. peer: of its peers. config and ops outlive the
 * pair. Return: NULL with a sentence in err. */
struct estimate_pair *estimate_pair_new(const struct config *config, size_t peer,
                                        const struct estimate_link *link,
                                        const struct estimate_pair_ops *ops, void *ctx, char *err,
                                        size_t err_size) MUST_CHECK;
void estimate_pair_free(struct estimate_pair *p); /* NULL is allowed */
/* m->at_ms never falls. Return: 0; negative: no figure comes of this: estimate_pair_error. */
int estimate_pair_put(struct estimate_pair *p, const struct estimate_message *m) MUST_CHECK;
/* No message follows: runs until all are over there and acknowledged. Return: as above; -EINTR:
 * given up; -ETIMEDOUT: they have not arrived in two months. */
int estimate_pair_end(struct estimate_pair *p) MUST_CHECK;
/* A sentence about what went wrong. */
const char *estimate_pair_error(const struct estimate_pair *p);
const struct estimate_totals *estimate_pair_totals(const struct estimate_pair *p);
/* Messages that were not carried, by the gateway's own counters: "expired", "replaced" ... */
int estimate_pair_dropped(struct estimate_pair *p,
                          void (*each)(void *ctx, const char *reason, uint64_t count),
                          void *ctx) MUST_CHECK;

#endif
