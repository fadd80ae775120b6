/* The receiving half of selective repeat: what came out of order waits here, bounded by
 * FRAME_WINDOW frames ([P-5]). Pure. Three marks run after one another: committed <= delivered <
 * next (in order, taken by the caller) .. next + FRAME_WINDOW. */
#ifndef WIRE_ARQ_RECEIVE_H
#define WIRE_ARQ_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/wire/frame.h"

struct arq_receive {
    uint8_t *
        early[FRAME_WINDOW]; /* frames above next, by number modulo FRAME_WINDOW; NULL = not here */
    uint16_t early_len[FRAME_WINDOW];
    uint64_t next;      /* the frame wanted next; numbers begin at 1 */
    uint64_t committed; /* all up to here are on our disk */
    uint64_t highest;   /* the highest number seen */
};

void arq_receive_init(struct arq_receive *a);
void arq_receive_fini(struct arq_receive *a);
void arq_receive_reset(struct arq_receive *a);

/* Is the frame of this number here already, or further? */
bool arq_receive_has(const struct arq_receive *a, uint64_t number);

enum arq_receive_outcome {
    ARQ_NEXT,      /* it is the one wanted: take it, call arq_receive_advance, then look for
                      arq_receive_early */
    ARQ_EARLY,     /* kept; a hole stands before it */
    ARQ_DUPLICATE, /* here already: the peer has not heard of it */
    ARQ_BEYOND,    /* outside the window, or no memory to keep it: as if it had been lost */
};
/* A frame (its tag checked) of this full number. */
enum arq_receive_outcome arq_receive_frame(struct arq_receive *a, uint64_t number,
                                           const uint8_t *bytes, size_t n) MUST_CHECK;
/* The frame a->next cannot be taken yet: kept like an early one. Return: false = no memory. */
bool arq_receive_hold(struct arq_receive *a, const uint8_t *bytes, size_t n) MUST_CHECK;
/* The frame a->next was taken. */
void arq_receive_advance(struct arq_receive *a);
/* The frame a->next, if it came early: its bytes (the caller frees them), or NULL. */
uint8_t *arq_receive_early(struct arq_receive *a, size_t *n) MUST_CHECK;
/* Is a frame missing below one that is here? */
bool arq_receive_hole(const struct arq_receive *a);
/* What is here above `committed`: bit i = frame committed + 1 + i. Return: bytes, trailing zeros
 * left out. */
size_t arq_receive_bitmap(const struct arq_receive *a, uint8_t bitmap[FRAME_BITMAP_MAX]);

#endif
