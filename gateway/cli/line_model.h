/* A serial line as arithmetic: bytes in at one end, the same bytes out at the other, later, and
 * not always the same. Rate, delay, bit errors, lost and invented bytes, noise bursts, a cut,
 * and collisions where only one end may speak. Pure: time is an argument, chance comes from the
 * seed, so a run repeats exactly.
 *
 * Each end has a transmit queue (what a UART's driver holds), which empties at the line's rate;
 * what has left it is in flight for `delay` and then waits to be taken at the other end. */
#ifndef GATEWAY_CLI_LINE_MODEL_H
#define GATEWAY_CLI_LINE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

/* The two ends. The direction named `LINE_A` is what end A says and end B hears. */
enum line_end { LINE_A, LINE_B };

#define LINE_QUEUE_BYTES  4096      /* one end's transmit queue: a Linux tty holds a page */
#define LINE_FLIGHT_BYTES (1 << 20) /* in flight one way: 2 Mbaud through 5 s of delay */

/* How one direction treats its bytes. Chances are parts in 1,000,000,000. */
struct line_quality {
    uint32_t baud;          /* bits a second, 10 a byte (8N1); 0 = no limit */
    uint32_t delay_us;      /* from the last bit sent to the last bit heard */
    uint32_t bit_error_ppb; /* each bit turned over */
    uint32_t loss_ppb;      /* each byte swallowed (an overrun) */
    uint32_t insert_ppb;    /* after each byte: one that nobody sent */
    uint32_t burst_ppb;     /* at each byte: a burst of noise begins ... */
    uint32_t burst_bytes;   /* ... and turns this many bytes into noise */
};

struct line_counters {
    uint64_t sent;  /* bytes that left the transmit queue */
    uint64_t heard; /* bytes taken at the other end, invented ones included */
    uint64_t damaged, lost, invented;
    uint64_t cut;      /* sent into a cut line */
    uint64_t collided; /* half duplex: garbled because both ends spoke */
    int64_t busy_us;   /* time on the air */
};

struct line_model;

/* A line without faults and without a rate limit. Return: NULL when out of memory. */
struct line_model *line_model_new(uint64_t seed) MUST_CHECK;
void line_model_free(struct line_model *m);

/* Takes effect for bytes that have not begun to leave. */
void line_model_set(struct line_model *m, enum line_end from, const struct line_quality *q);
void line_model_get(const struct line_model *m, enum line_end from, struct line_quality *q);
/* A cut line swallows what is sent; what is in flight still arrives. */
void line_model_cut(struct line_model *m, bool cut);
bool line_model_is_cut(const struct line_model *m);
/* Both ends speaking at once garbles both, as on a shared radio channel. */
void line_model_half_duplex(struct line_model *m, bool half);
bool line_model_is_half_duplex(const struct line_model *m);

/* How many bytes the end's transmit queue takes now. */
size_t line_model_room(struct line_model *m, enum line_end from, int64_t now_us);
/* The end says n bytes; n at most what room said. */
void line_model_say(struct line_model *m, enum line_end from, const uint8_t *bytes, size_t n,
                    int64_t now_us);
/* Takes what has arrived at the end by now: at most max bytes. Return: how many. */
size_t line_model_hear(struct line_model *m, enum line_end at, uint8_t *out, size_t max,
                       int64_t now_us);
/* Puts foreign bytes into the end's ear, behind what has arrived by now. Return: how many
 * fitted. */
size_t line_model_inject(struct line_model *m, enum line_end at, const uint8_t *bytes, size_t n,
                         int64_t now_us);
/* Forgets what one end has still to say or hear: its plug was pulled. */
void line_model_unplug(struct line_model *m, enum line_end end, int64_t now_us);

/* When line_model_hear or line_model_room would next give more than now. INT64_MAX: nothing is
 * under way. */
int64_t line_model_next_us(struct line_model *m, int64_t now_us);
/* Bytes in the end's transmit queue. */
size_t line_model_waiting(const struct line_model *m, enum line_end from);
void line_model_counters(const struct line_model *m, enum line_end from, struct line_counters *out);

#endif
