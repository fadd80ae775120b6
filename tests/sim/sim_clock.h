/* Simulated time: a queue of events, run in the order of their time and, at the same time, of their making. Nothing in the
 * simulator reads a real clock, so a seed runs the same everywhere. */
#ifndef TESTS_SIM_SIM_CLOCK_H
#define TESTS_SIM_SIM_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_NEVER INT64_MAX

/* arg is the caller's; owners that may have forgotten an event compare it with a generation of theirs. */
typedef void sim_event_fn(void *ctx, uint64_t arg);

struct sim_event {
    int64_t at_ms;
    uint64_t order;
    sim_event_fn *fn;
    void *ctx;
    uint64_t arg;
};

struct sim_clock {
    int64_t now_ms;
    uint64_t made;
    struct sim_event *heap;
    size_t count, size;
};

void sim_clock_init(struct sim_clock *c);
void sim_clock_fini(struct sim_clock *c);
/* Runs fn(ctx, arg) at at_ms, or now where that has passed. */
void sim_at(struct sim_clock *c, int64_t at_ms, sim_event_fn *fn, void *ctx, uint64_t arg);
/* When the next event is due; SIM_NEVER = none. */
int64_t sim_due(const struct sim_clock *c);
/* Takes the next event and runs it; the time is its time. There must be one. */
void sim_run_next(struct sim_clock *c);

#endif
