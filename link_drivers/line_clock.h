/* A virtual clock of a serial line: how long the bytes that were handed to the kernel will still be
 * on their way. What lies in kernel, adapter and modem can no longer be overtaken, and none of them
 * tells how much that is: adapters and radios hide hundreds of bytes, a pty always says 0. So it is
 * counted here, by the rate of the line, and the kernel's count (TIOCOUTQ) is believed only when it
 * is larger.
 *
 * The rule: while more than a short horizon of line time is held, nothing more is taken; below it,
 * one whole frame is. So the line never idles behind a loop that is late by less than the horizon,
 * and an alarm waits for at most the horizon and one frame.
 *
 * Pure; time is the host's monotonic milliseconds. */
#ifndef LINK_DRIVERS_LINE_CLOCK_H
#define LINK_DRIVERS_LINE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* A loop may be late by an fsync (20 ms, more on an SD card). */
#define LINE_CLOCK_HORIZON_MS 60
/* From this rate on (115200 baud 8N1) a frame is short beside such delays, and more time ahead
 * costs nobody anything. */
#define LINE_CLOCK_FAST_BYTES_S    11520
#define LINE_CLOCK_FAST_HORIZON_MS 100

struct line_clock {
    int64_t byte_ns;    /* line time of one byte */
    int64_t idle_at_ns; /* when the line will have sent all that it was given */
    int64_t horizon_ns;
    size_t frame_max; /* bytes of the largest frame on the line */
};

/* A line of bits_s bits a second on which a byte takes bits_a_byte bits (both > 0). frame_max:
 * bytes that must fit at once when the line is nearly idle. */
void line_clock_init(struct line_clock *c, uint32_t bits_s, unsigned bits_a_byte, size_t frame_max);
/* Bytes a second, rounded down, at least 1. */
uint32_t line_clock_rate(const struct line_clock *c);
/* The most that line_clock_room ever says. */
size_t line_clock_room_max(const struct line_clock *c);
/* n bytes went to the kernel. */
void line_clock_sent(struct line_clock *c, size_t n, int64_t now_ms);
/* Bytes to be taken now. kernel: bytes that the kernel says it holds; pending: bytes that it has
 * not taken yet. */
size_t line_clock_room(const struct line_clock *c, size_t kernel, size_t pending, int64_t now_ms);
/* When room will be there if the line goes on at its rate; never before now_ms. */
int64_t line_clock_room_at_ms(const struct line_clock *c, size_t kernel, size_t pending,
                              int64_t now_ms);

#endif
