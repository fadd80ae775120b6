/* When a driver tries again. Pure: the delay follows from how often it failed and from random bits
 * of the host, so that a thousand boxes whose hub restarts do not come back in the same second. */
#ifndef LINK_DRIVERS_RETRY_H
#define LINK_DRIVERS_RETRY_H

#include <stdint.h>

#define RETRY_FIRST_MS 1000
/* A link that was up for this long is a working one: its next failure begins again at the first
 * delay. Shorter than this, it may be one that comes up only to be refused (an unknown site, a port
 * that hangs up), which must not be asked every second. */
#define RETRY_SETTLED_MS 10000

/* The delay before the next try, after `failures` (1 = the first) in a row: doubling from 1..2 s,
 * at most max_ms (>= 1000); the upper half of it is random. Return: RETRY_FIRST_MS .. max_ms. */
int64_t retry_delay_ms(unsigned failures, int64_t max_ms, uint32_t random);

#endif
