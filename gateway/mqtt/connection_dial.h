/* One attempt to reach a broker: its name is resolved, and its addresses are tried one after the other, until one of them takes the
 * connection. What comes of that (TLS, MQTT) may fail, too: then the next address is asked for.
 *
 * Everything comes from the loop, nothing from inside a call, but for `failed` out of connection_dial_next. */
#ifndef MQTT_CONNECTION_DIAL_H
#define MQTT_CONNECTION_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attr.h"

#define CONNECTION_DIAL_WHY_MAX 256

struct event_base;
struct connection_dial;

struct connection_dial_ops {
    /* fd, connected and not blocking, is the owner's from here on. */
    void (*dialled)(void *ctx, int fd);
    /* No address is left, or none was found. why: a sentence, until the call returns. */
    void (*failed)(void *ctx, const char *why);
};

/* host: a name or address, or "unix:/path"; copied. timeout_ms: for the name, and for each address. Return: NULL with *wrong, a
 * sentence that lasts. */
struct connection_dial *connection_dial_new(struct event_base *base, const char *host, uint16_t port, int64_t timeout_ms,
                                            const struct connection_dial_ops *ops, void *ctx,
                                            const char **wrong) MUST_CHECK;
/* May be the last thing that one of its callbacks does. NULL is allowed. */
void connection_dial_free(struct connection_dial *d);
/* A new attempt, from the name on. */
void connection_dial_start(struct connection_dial *d);
/* The address that was dialled last is of no use, for this reason: the next one. */
void connection_dial_next(struct connection_dial *d, const char *why);
/* The attempt is given up; nothing comes of it. May be called inside its callbacks. */
void connection_dial_stop(struct connection_dial *d);
bool connection_dial_is_unix(const char *host);

#endif
