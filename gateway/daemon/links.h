/* The host of the link drivers: gives them descriptors' events and timers, and carries their news to the bridge.
 *
 * A driver may tell of a change of state from inside a call that the bridge made (send, reset). The bridge is not entered twice: such
 * news waits in a queue until the bridge has returned (links_dispatch). */
#ifndef DAEMON_LINKS_H
#define DAEMON_LINKS_H

#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "config/config.h"
#include "gateway/bridge/bridge.h"

struct event_base;
struct links;
struct store;

/* One host a config link; nothing is opened yet. store keeps the drivers' notes; it and config live longer. Return: NULL with a sentence in err. */
struct links *links_new(struct event_base *base, const struct config *config, struct store *store, char *err,
                        size_t err_size) MUST_CHECK;
void links_free(struct links *l);
/* What the bridge must know of each link, in the order of the configuration. */
const struct bridge_link *links_describe(const struct links *l);
/* Begins; from here on events go to the bridge. */
void links_start(struct links *l, struct bridge *b);
void links_stop(struct links *l);
/* Delivers news that came while the bridge was busy, and tells drivers of what is on disk by now. To be called whenever the bridge has returned. */
void links_dispatch(struct links *l);

/* Services of bridge_env. */
size_t links_room(struct links *l, size_t link, uint64_t station);
int links_send(struct links *l, size_t link, uint64_t station, const uint8_t *bytes, size_t n, uint64_t token, bool urgent);
void links_reset(struct links *l, size_t link, uint64_t station, const char *why);
void links_counts(struct links *l, size_t link, uint64_t *bytes_out, uint64_t *bytes_in, char *detail, size_t detail_size);

#endif
