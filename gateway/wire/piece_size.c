#include "gateway/wire/piece_size.h"

#include <string.h>

#define EVEN     16u       /* 1:1 */
#define RATIO_MAX (32 * EVEN) /* what a step in the traffic may cost: so many frames, once */

void piece_size_init(struct piece_size *s)
{
    memset(s, 0, sizeof *s);
}

static unsigned known(uint16_t ratio16)
{
    return ratio16 < EVEN ? EVEN : ratio16;
}

uint32_t piece_size_next(const struct piece_size *s, enum msg_class class, unsigned slot,
                         bool begun, uint32_t left, size_t room, size_t whole)
{
    unsigned topic16 = slot < RECORD_TOPIC_SLOTS ? known(s->topic16[slot]) : EVEN;
    if (!begun && left <= RECORD_CHUNK_MAX && left <= whole * topic16 / EVEN)
        return left;
    if (begun)
        room = room * known(s->message16[class]) / EVEN;
    if (room > RECORD_CHUNK_MAX)
        room = RECORD_CHUNK_MAX;
    if (left <= room)
        return left;
    return room > 0 ? (uint32_t)room : 1;
}

void piece_size_coded(struct piece_size *s, const struct record *r, uint64_t coded)
{
    uint64_t ratio = coded > 0 ? (uint64_t)r->len * EVEN / coded : RATIO_MAX;
    uint16_t ratio16 = ratio < EVEN ? EVEN : ratio > RATIO_MAX ? RATIO_MAX : (uint16_t)ratio;
    uint16_t *of = &s->message16[r->class];
    bool begins = r->type == RECORD_MESSAGE;
    if (begins)
        s->slot[r->class] = (uint16_t)r->slot;
    unsigned most = 2 * (begins ? EVEN : known(*of));
    *of = ratio16 < most ? ratio16 : (uint16_t)most;
    if (r->offset + r->len == r->total && s->slot[r->class] < RECORD_TOPIC_SLOTS)
        s->topic16[s->slot[r->class]] = ratio16;
}
