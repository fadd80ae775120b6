/* Name resolution as the system does it (getaddrinfo: nsswitch, resolv.conf that appears later), in
 * a thread of its own, so that the loop never blocks (I10). */
#ifndef BASE_RESOLVE_H
#define BASE_RESOLVE_H

#include <stdbool.h>
#include <sys/socket.h>
#include "base/attr.h"

#define RESOLVE_MAX_ADDRESSES 8

struct resolve;
/* One candidate address, in the order in which they should be tried (RFC 6724). */
struct resolve_result {
    struct sockaddr_storage address;
    socklen_t address_len;
};

/* Begins to look up host and port (numeric or service name) for a stream socket. passive: for
 * listen, where host may be "" or "*" for every address. Both strings are copied. Return: 0 and *r;
 * negative errno (no descriptor, memory or thread to be had). */
int resolve_start(struct resolve **r, const char *host, const char *port, bool passive) MUST_CHECK;
/* A descriptor that becomes readable once the answer is there. Owned by r. */
int resolve_fd(const struct resolve *r);
/* Takes the answer without waiting: the number of addresses put in out (at most max, and at most
 * RESOLVE_MAX_ADDRESSES), 0 = not yet there, or a negative EAI_ code for gai_strerror (they are
 * negative). May be called again: the answer stays until resolve_free. */
int resolve_take(struct resolve *r, struct resolve_result *out, int max) MUST_CHECK;
/* Forgets it at any time, also while the thread still runs (it then cleans up by itself). NULL
 * allowed. */
void resolve_free(struct resolve *r);

#endif
