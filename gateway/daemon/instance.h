/* What is built from one configuration: bridge, links and broker connection, joined. SIGHUP makes another in its place; loop and
 * store stay. */
#ifndef DAEMON_INSTANCE_H
#define DAEMON_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/attr.h"
#include "config/config.h"
#include "gateway/bridge/bridge.h"
#include "gateway/daemon/links.h"
#include "gateway/mqtt/connection.h"
#include "store/store.h"

struct event_base;

struct instance {
    struct config *config; /* owned */
    struct links *links;
    struct mqtt_connection *connection;
    struct bridge *bridge; /* NULL: it does not run */
    bool ending;           /* instance_stop was called */
    bool closed;           /* ... and the broker connection has ended for good */
    bool damaged;          /* the store's file: to be opened anew, which sets it aside */
};

/* Takes config. in must stay where it is until instance_free: callbacks point to it. Return: 0; -1 with a line in the log, and
 * nothing left behind. */
int instance_start(struct instance *in, struct event_base *base, struct store *store, struct config *config) MUST_CHECK;
/* Commits and says goodbye; then the loop must run until `closed`, or for as long as one likes to wait. */
void instance_stop(struct instance *in, int64_t linger_ms);
/* Also of one that never ran. Its configuration is freed, unless it was taken out. */
void instance_free(struct instance *in);
/* From the kernel; without a source nothing here is safe, and the process ends. ctx is not used. */
void instance_random(void *ctx, void *bytes, size_t n);

#endif
