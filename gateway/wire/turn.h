/* Who may speak on a line that carries one voice at a time ([P-9]). Pure.
 *
 * The last frame of a burst says "over"; the other end then has the turn and, when it has nothing
 * to say, lets it lapse. After silence the one that speaks first may start after a fixed time, the
 * other after that and a random part, so that two that start at once do so only once. */
#ifndef WIRE_TURN_H
#define WIRE_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURN_BURST_MS     3000 /* of line time at most: an alarm at the other end waits no longer */
#define TURN_BURST_FRAMES 8    /* where the line's rate is not known */
#define TURN_GAP_MS       20 /* between "over" and the answer, beside 4 characters: transceivers switch \
                              */
#define TURN_SILENCE_MS 600 /* before the line counts as free: a radio's key-up is within it */

enum turn_holder { TURN_FREE, TURN_OURS, TURN_THEIRS };

struct turn {
    uint32_t rate_bytes_s;
    bool speaks_first;
    enum turn_holder holder;
    int64_t from_ms; /* OURS: may speak from here. THEIRS: theirs lapses here. FREE: may start from
                        here */
    int64_t line_free_ms; /* when what we gave to the line will have left */
    int64_t answer_ms;    /* how long the other took to answer lately */
    size_t burst_bytes;
    unsigned burst_frames;
    bool spoke;    /* this turn */
    bool awaiting; /* we said "over" and have heard nothing since */
};

void turn_init(struct turn *t, uint32_t rate_bytes_s, bool speaks_first);
/* May we send now? */
bool turn_may_speak(const struct turn *t, int64_t now_ms);
/* When that may become so without anything heard; INT64_MAX: it is so now. */
int64_t turn_due_ms(const struct turn *t, int64_t now_ms);
/* Is this frame of n bytes to be the last of the burst? */
bool turn_burst_full(const struct turn *t, size_t n);
/* We gave n bytes to the line; over: that was all. */
void turn_sent(struct turn *t, size_t n, bool over, uint32_t random, int64_t now_ms);
/* Any bytes came. */
void turn_heard(struct turn *t, uint32_t random, int64_t now_ms);
/* A whole frame of theirs said "over". */
void turn_given(struct turn *t, int64_t now_ms);

#endif
