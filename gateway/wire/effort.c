#include "gateway/wire/effort.h"

/* The receiver has to decode what was encoded, and to commit it too: where it is what all waits for, the
 * sender is seen to work for part of the time only. */
#define BUSY_PERCENT 30
#define GAIN_PERCENT 125 /* of the rate before, or squeezing was the better */

void effort_init(struct effort *e, enum codec_effort begin, bool fixed)
{
    *e = (struct effort){.now = begin, .fixed = fixed};
}

void effort_worked(struct effort *e, uint64_t us)
{
    e->worked_us += us;
}

static void begin_window(struct effort *e, uint64_t arrived, int64_t now_ms)
{
    e->open = true;
    e->since_ms = now_ms;
    e->worked_us = 0;
    e->arrived = arrived;
}

/* The step down brought nothing: back, and not again so soon. */
static void step_up(struct effort *e, int64_t now_ms)
{
    e->now--;
    e->settling = true;
    e->hold_ms = e->hold_ms == 0 ? EFFORT_HOLD_MS : 2 * e->hold_ms;
    if (e->hold_ms > EFFORT_HOLD_MAX_MS)
        e->hold_ms = EFFORT_HOLD_MAX_MS;
    e->held_until_ms = now_ms + e->hold_ms;
}

static void step_down(struct effort *e, uint64_t rate)
{
    e->rate[e->now++] = rate;
    e->settling = true;
}

static void judge(struct effort *e, uint64_t rate, uint64_t busy_percent, int64_t now_ms)
{
    if (e->settling)
        e->settling = false;
    else if (e->now != CODEC_EFFORT_FULL && rate * 100 < e->rate[e->now - 1] * GAIN_PERCENT)
        step_up(e, now_ms);
    else if (e->now != CODEC_EFFORT_STORED && busy_percent >= BUSY_PERCENT && now_ms >= e->held_until_ms)
        step_down(e, rate);
}

enum codec_effort effort_look(struct effort *e, bool backlog, uint64_t arrived, int64_t now_ms)
{
    if (e->fixed)
        return e->now;
    if (backlog)
        e->backlog_ms = now_ms;
    if (now_ms - e->backlog_ms >= EFFORT_WINDOW_MS) { /* less may be a commit that is waited for */
        e->open = e->settling = false;
        e->now = CODEC_EFFORT_FULL;
    } else if (backlog && (!e->open || arrived < e->arrived)) { /* less: a new epoch counts anew */
        begin_window(e, arrived, now_ms);
    } else if (e->open && now_ms - e->since_ms >= EFFORT_WINDOW_MS) {
        uint64_t ms = (uint64_t)(now_ms - e->since_ms);
        judge(e, (arrived - e->arrived) * 1000 / ms, e->worked_us / 10 / ms, now_ms);
        begin_window(e, arrived, now_ms);
    }
    return e->now;
}
