/* What lies between the two gateways of an estimate, and loses nothing: a line of some baud, or a
 * satellite modem whose sessions carry a frame each way. Pure: time is an argument.
 *
 * The modem's times are those of an Iridium 9602 that sees the sky: a session takes 20 s, the next
 * begins 10 s later at the earliest, and what waits for a modem that has nothing to send is fetched
 * after a minute. */
#ifndef CLI_ESTIMATE_AIR_H
#define CLI_ESTIMATE_AIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/cli/estimate_link.h"

#define ESTIMATE_BACK_MTU 270 /* bytes of the largest frame to a 9602 */

enum estimate_air_kind {
    ESTIMATE_AIR_DELIVER,  /* bytes come out at this end */
    ESTIMATE_AIR_SENT,     /* datagram: what this end gave under the token has left */
    ESTIMATE_AIR_WRITABLE, /* this end, which was told of no room, has some again */
};
struct estimate_air_event {
    enum estimate_air_kind kind;
    enum estimate_end end;
    const uint8_t *bytes; /* until the next call */
    size_t n;
    uint64_t token;
};

struct estimate_air;

/* Return: NULL when out of memory. */
struct estimate_air *estimate_air_new(const struct estimate_link *link) MUST_CHECK;
void estimate_air_free(struct estimate_air *a); /* NULL is allowed */

/* Bytes that this end may give now. 0: ESTIMATE_AIR_WRITABLE follows. */
size_t estimate_air_room(struct estimate_air *a, enum estimate_end end, int64_t now_ms);
/* n <= room. Return: 0; -EAGAIN: no room; -ENOMEM. */
int estimate_air_send(struct estimate_air *a, enum estimate_end end, const uint8_t *bytes, size_t n,
                      uint64_t token, int64_t now_ms) MUST_CHECK;
/* The next thing that is due by now. Return: false: nothing is. */
bool estimate_air_next(struct estimate_air *a, int64_t now_ms, struct estimate_air_event *e);
/* When to ask again; INT64_MAX: not before something is given. */
int64_t estimate_air_deadline(const struct estimate_air *a, int64_t now_ms);
const struct estimate_totals *estimate_air_totals(const struct estimate_air *a);

#endif
