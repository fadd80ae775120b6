#include "tests/sim/sim_clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void sim_clock_init(struct sim_clock *c)
{
    memset(c, 0, sizeof *c);
}

void sim_clock_fini(struct sim_clock *c)
{
    free(c->heap);
}

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(struct sim_event *a, struct sim_event *b)
{
    struct sim_event t = *a;
    *a = *b;
    *b = t;
}

void sim_at(struct sim_clock *c, int64_t at_ms, sim_event_fn *fn, void *ctx, uint64_t arg)
{
    if (c->count == c->size) {
        c->size = c->size ? 2 * c->size : 64;
        c->heap = realloc(c->heap, c->size * sizeof *c->heap);
        assert(c->heap);
    }
    size_t i = c->count++;
    c->heap[i] = (struct sim_event){at_ms < c->now_ms ? c->now_ms : at_ms, c->made++, fn, ctx, arg};
    for (; i && before(&c->heap[i], &c->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&c->heap[i], &c->heap[(i - 1) / 2]);
}

int64_t sim_due(const struct sim_clock *c)
{
    return c->count ? c->heap[0].at_ms : SIM_NEVER;
}

void sim_run_next(struct sim_clock *c)
{
    assert(c->count);
    struct sim_event e = c->heap[0];
    c->heap[0] = c->heap[--c->count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < c->count; k++)
            if (before(&c->heap[k], &c->heap[least]))
                least = k;
        if (least == i)
            break;
        swap(&c->heap[i], &c->heap[least]);
        i = least;
    }
    c->now_ms = e.at_ms;
    e.fn(e.ctx, e.arg);
}
