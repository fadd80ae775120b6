/* Two ends in one process, joined by a line in memory: for tests and the simulator, and not in the
 * drivers' list. The stream kind carries bytes at a rate and with a delay; the datagram kind may
 * also lose, double, delay and reorder frames, and not know what became of one. What happens
 * follows from the seed and the order of the sends alone.
 *
 * An op of one end touches the other end's host only by setting its timer: everything that the
 * other end is told, it is told in its own turn. */
#ifndef LINK_DRIVERS_LOOP_H
#define LINK_DRIVERS_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "link_drivers/driver.h"

#define LOOP_MTU_MAX_BYTES 65536
#define LOOP_FLIGHT_MAX                                                                            \
    4096 /* frames or pieces under way in one direction; further datagrams are lost */

struct loop_settings {
    uint64_t seed;
    uint32_t bytes_s; /* of each direction; at least 1 */
    int64_t delay_min_ms,
        delay_max_ms;          /* DATAGRAM: of each frame, anywhere between; STREAM: the minimum */
    size_t mtu;                /* DATAGRAM: 1..LOOP_MTU_MAX_BYTES */
    unsigned lose_permille;    /* DATAGRAM: of the frames handed over (SEND_DONE) */
    unsigned double_permille;  /* DATAGRAM: come twice, each with a delay of its own */
    unsigned fail_permille;    /* DATAGRAM: SEND_FAILED, and did not leave */
    unsigned unknown_permille; /* DATAGRAM: SEND_UNKNOWN; half of these arrive */
};

struct loop_line;
/* Return: a line with both ends free, or NULL when out of memory. */
struct loop_line *loop_line_new(const struct loop_settings *settings) MUST_CHECK;
/* Frees it; no end may be in use any more. NULL allowed. */
void loop_line_free(struct loop_line *line);
/* Cuts the line (what is under way is lost, both ends go down), or joins it again. Not from inside
 * an op. */
void loop_line_cut(struct loop_line *line, bool cut, int64_t now_ms);

/* Not an operator's: a test fills it by hand. */
struct loop_options {
    struct loop_line *line;
    int end; /* 0 or 1 */
};

extern const struct link_driver loop_stream_driver;
extern const struct link_driver loop_datagram_driver;

#endif
