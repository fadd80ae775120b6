#include "link_drivers/line_clock.h"

#include <assert.h>

#define NS_PER_MS 1000000
#define NS_PER_S  1000000000

void line_clock_init(struct line_clock *c, uint32_t bits_s, unsigned bits_a_byte, size_t frame_max)
{
    assert(bits_s > 0 && bits_a_byte > 0);
    c->byte_ns = (int64_t)NS_PER_S * bits_a_byte / bits_s;
    if (c->byte_ns < 1)
        c->byte_ns = 1;
    c->idle_at_ns = 0;
    c->horizon_ns = (int64_t)NS_PER_MS * (line_clock_rate(c) >= LINE_CLOCK_FAST_BYTES_S
                                              ? LINE_CLOCK_FAST_HORIZON_MS
                                              : LINE_CLOCK_HORIZON_MS);
    c->frame_max = frame_max;
}

uint32_t line_clock_rate(const struct line_clock *c)
{
    int64_t rate = NS_PER_S / c->byte_ns;
    return rate < 1 ? 1 : (uint32_t)rate;
}

size_t line_clock_room_max(const struct line_clock *c)
{
    size_t horizon = (size_t)(c->horizon_ns / c->byte_ns);
    return horizon > c->frame_max ? horizon : c->frame_max;
}

void line_clock_sent(struct line_clock *c, size_t n, int64_t now_ms)
{
    int64_t now_ns = now_ms * NS_PER_MS;
    if (c->idle_at_ns < now_ns)
        c->idle_at_ns = now_ns;
    c->idle_at_ns += (int64_t)n * c->byte_ns;
}

/* Line time of all that has left us and of what waits to. */
static int64_t line_clock_ahead_ns(const struct line_clock *c, size_t kernel, size_t pending,
                                   int64_t now_ms)
{
    int64_t counted = c->idle_at_ns - now_ms * NS_PER_MS;
    int64_t seen = (int64_t)kernel * c->byte_ns;
    if (counted < seen)
        counted = seen; /* also when the line stands still: the other end stopped us (CTS, XOFF) */
    return counted + (int64_t)pending * c->byte_ns;
}

size_t line_clock_room(const struct line_clock *c, size_t kernel, size_t pending, int64_t now_ms)
{
    int64_t ahead = line_clock_ahead_ns(c, kernel, pending, now_ms);
    if (ahead > c->horizon_ns)
        return 0;
    size_t room = (size_t)((c->horizon_ns - ahead) / c->byte_ns);
    return room > c->frame_max ? room : c->frame_max;
}

int64_t line_clock_room_at_ms(const struct line_clock *c, size_t kernel, size_t pending,
                              int64_t now_ms)
{
    int64_t over = line_clock_ahead_ns(c, kernel, pending, now_ms) - c->horizon_ns;
    if (over <= 0)
        return now_ms;
    return now_ms + (over + NS_PER_MS - 1) / NS_PER_MS;
}
