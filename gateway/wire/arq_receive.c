#include "gateway/wire/arq_receive.h"

#include <stdlib.h>
#include <string.h>

void arq_receive_init(struct arq_receive *a)
{
    *a = (struct arq_receive){.next = 1};
}

void arq_receive_fini(struct arq_receive *a)
{
    for (size_t i = 0; i < FRAME_WINDOW; i++)
        free(a->early[i]);
    *a = (struct arq_receive){0};
}

void arq_receive_reset(struct arq_receive *a)
{
    arq_receive_fini(a);
    arq_receive_init(a);
}

static bool keep(struct arq_receive *a, uint64_t number, const uint8_t *bytes, size_t n)
{
    size_t at = number % FRAME_WINDOW;
    a->early[at] = malloc(n);
    if (!a->early[at])
        return false;
    memcpy(a->early[at], bytes, n);
    a->early_len[at] = (uint16_t)n;
    return true;
}

bool arq_receive_has(const struct arq_receive *a, uint64_t number)
{
    return number < a->next ||
           (number < a->next + FRAME_WINDOW && a->early[number % FRAME_WINDOW]);
}

enum arq_receive_outcome arq_receive_frame(struct arq_receive *a, uint64_t number,
                                           const uint8_t *bytes, size_t n)
{
    if (number < a->next)
        return ARQ_DUPLICATE;
    /* The peer's window stands on what we have committed; what is beyond is none of its frames. */
    if (number > a->committed + FRAME_WINDOW)
        return ARQ_BEYOND;
    if (number > a->highest)
        a->highest = number;
    if (number == a->next)
        return ARQ_NEXT;
    if (a->early[number % FRAME_WINDOW])
        return ARQ_DUPLICATE;
    return keep(a, number, bytes, n) ? ARQ_EARLY : ARQ_BEYOND;
}

bool arq_receive_hold(struct arq_receive *a, const uint8_t *bytes, size_t n)
{
    return a->early[a->next % FRAME_WINDOW] || keep(a, a->next, bytes, n);
}

void arq_receive_advance(struct arq_receive *a)
{
    size_t at = a->next % FRAME_WINDOW;
    free(a->early[at]); /* it may have been kept early and come again */
    a->early[at] = NULL;
    a->next++;
}

uint8_t *arq_receive_early(struct arq_receive *a, size_t *n)
{
    size_t at = a->next % FRAME_WINDOW;
    uint8_t *bytes = a->early[at];
    *n = a->early_len[at];
    a->early[at] = NULL;
    return bytes;
}

bool arq_receive_hole(const struct arq_receive *a)
{
    return a->highest >= a->next;
}

size_t arq_receive_bitmap(const struct arq_receive *a, uint8_t bitmap[FRAME_BITMAP_MAX])
{
    memset(bitmap, 0, FRAME_BITMAP_MAX);
    size_t bytes = 0;
    for (uint64_t number = a->committed + 1;
         number <= a->highest && number <= a->committed + FRAME_WINDOW; number++) {
        if (number >= a->next && !a->early[number % FRAME_WINDOW])
            continue;
        size_t bit = (size_t)(number - a->committed - 1);
        bitmap[bit / 8] |= (uint8_t)(1u << (bit % 8));
        bytes = bit / 8 + 1;
    }
    return bytes;
}
