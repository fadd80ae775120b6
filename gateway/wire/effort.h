/* Whether the codec or the line is what the traffic waits for, told by measuring: how much of the time
 * behind a backlog goes into encoding, and whether more arrives when less is squeezed. Pure; the
 * clock that it measures with is the owner's.
 *
 * It steps down, a level at a time, only where the codec has a good part of the time, and stays down only where that
 * brings more messages to the peer: a slow processor on a slow line squeezes. A backlog that is gone ends it. */
#ifndef WIRE_EFFORT_H
#define WIRE_EFFORT_H

#include <stdbool.h>
#include <stdint.h>
#include "gateway/wire/codec.h"

#define EFFORT_WINDOW_MS   100
#define EFFORT_HOLD_MS     30000   /* after a fall that brought nothing; doubles */
#define EFFORT_HOLD_MAX_MS 3600000

struct effort {
    bool fixed;             /* `now` is not to be changed */
    enum codec_effort now;
    int64_t backlog_ms;     /* when there was one last */
    bool open;              /* a window is being measured: */
    int64_t since_ms;
    uint64_t worked_us, arrived; /* in it; payload bytes that had arrived when it began */
    bool settling;          /* the first window after a step still brings what was encoded before it */
    uint64_t rate[CODEC_EFFORT_STORED]; /* payload bytes a second that arrived at each level before it was left */
    int64_t hold_ms, held_until_ms;
};

void effort_init(struct effort *e, enum codec_effort begin, bool fixed);
/* Encoding took so long. */
void effort_worked(struct effort *e, uint64_t us);
/* Looks at how it goes: more waits to be encoded or not; payload bytes that have arrived so far. Return: e->now. */
enum codec_effort effort_look(struct effort *e, bool backlog, uint64_t arrived, int64_t now_ms);

#endif
