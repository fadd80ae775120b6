/* The control socket: a unix stream socket, mode 0600. A client of the same user (or root) connects, gets one JSON object, and the connection ends. */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <stddef.h>
#include "base/attr.h"
#include "config/config.h"

struct event_base;
struct control;

#define CONTROL_PATH_MAX 108 /* sun_path */

/* Where the socket is: /run/longwire/NAME.sock where that folder can be written (or, for clients, where the socket is there), else
 * beside the store, STORE-PATH.sock. out: CONTROL_PATH_MAX bytes. second: the other place. Return: 0; -ENAMETOOLONG. */
int control_path(const struct config *c, int second, char *out) MUST_CHECK;

/* status: gives the object, to be freed by the caller. Return: NULL with a sentence in err. */
struct control *control_new(struct event_base *base, const struct config *c, char *(*status)(void *ctx), void *ctx,
                            char *err, size_t err_size) MUST_CHECK;
void control_free(struct control *c);

/* Asks a running daemon; waits at most 5 s. Return: 0 and *answer, to be freed; -ECONNREFUSED: none runs; negative errno. */
int control_ask(const struct config *c, char **answer) MUST_CHECK;

#endif
