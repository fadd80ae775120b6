/* Name resolution as the system does it (getaddrinfo: nsswitch, resolv.conf that appears later), in a
 * thread of its own, so that the loop never blocks (I10). */
#ifndef BASE_RESOLVE_H
#define BASE_RESOLVE_H

#include <stdint.h>
#include <sys/socket.h>
#include "base/attr.h"

struct resolve;
struct resolve_result {
    int error;                       /* 0, or an EAI_ code for gai_strerror */
    struct sockaddr_storage address; /* the candidates beyond the first: see resolve_take */
    socklen_t address_len;
};
#define RESOLVE_MAX_ADDRESSES 8

/* Begins to look up host and port (numeric or service name). passive: for listen.
 * Return: 0 and *r; negative errno. The answer makes resolve_fd() readable. */
int resolve_start(struct resolve **r, const char *host, const char *port, int passive) MUST_CHECK;
/* A descriptor that becomes readable once the answer is there. Owned by r. */
int resolve_fd(const struct resolve *r);
/* Takes the answer without waiting: the number of addresses put in out (at most max), 0 = not yet there,
 * or negative EAI_ code (they are negative). */
int resolve_take(struct resolve *r, struct resolve_result *out, int max) MUST_CHECK;
/* Forgets it at any time, also while the thread still runs (it then cleans up by itself). NULL allowed. */
void resolve_free(struct resolve *r);

#endif
