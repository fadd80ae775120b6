#include "gateway/wire/mix_strands.h"

#include <string.h>
#include "gateway/wire/mix_counter.h"

#define ONE         256 /* message, in the units of periods */
#define PERIOD_RATE 64

void mix_strands_name(struct mix_strands *s, struct mix_strand_name *name, const char *text, uint32_t n)
{
    uint32_t h = 0, hash[MIX_STRAND_LEVELS];
    unsigned level = 0;

    for (uint32_t i = 0; i < n && level < MIX_STRAND_LEVELS; i++) {
        if (text[i] == '/')
            hash[level++] = h;
        h = mix_hash2(h, (uint8_t)text[i]);
    }
    while (level < MIX_STRAND_LEVELS)
        hash[level++] = h;
    for (unsigned i = 0; i < MIX_STRAND_LEVELS; i++)
        name->at[i] = (uint8_t)(hash[i] % MIX_STRAND_TEXT);
    if (!s->named) {
        s->named = true;
        s->levels = MIX_STRAND_LEVELS - 1;
        memcpy(s->first, hash, sizeof hash);
    }
    while (s->levels && hash[s->levels - 1] != s->first[s->levels - 1])
        s->levels--;
}

unsigned mix_strands_of(const struct mix_strands *s, const struct mix_strand_name *name)
{
    return name->at[s->levels];
}

static uint32_t scale(int64_t late)
{
    uint64_t size = (uint64_t)(late < 0 ? -late : late) / (ONE / 4);
    unsigned bits = 0;

    for (; size; size >>= 1)
        bits++;
    return (bits > 7 ? 7 : bits) << 1 | (late < 0);
}

void mix_strands_contexts(const struct mix_strands *s, const uint32_t recent[2], uint32_t c[6])
{
    int64_t now = (int64_t)s->count * ONE;
    unsigned next = MIX_STRANDS, after = MIX_STRANDS;

    for (unsigned i = 0; i < MIX_STRANDS; i++) {
        if (s->strand[i].seen < 2)
            continue;
        if (next == MIX_STRANDS || s->strand[i].due < s->strand[next].due) {
            after = next;
            next = i;
        } else if (after == MIX_STRANDS || s->strand[i].due < s->strand[after].due) {
            after = i;
        }
    }
    uint32_t late = next < MIX_STRANDS ? scale(now - s->strand[next].due) : 0;
    uint32_t apart = after < MIX_STRANDS ? scale(s->strand[after].due - s->strand[next].due) : 0;
    uint32_t both = next | after << 8;
    c[0] = mix_hash3(next, recent[0], 1);
    c[1] = mix_hash3(s->order & 0xfff, both, 2);
    c[2] = mix_hash3(recent[0], recent[1], 3);
    c[3] = mix_hash2(s->order, 4);
    c[4] = mix_hash3(both, late | apart << 8, 5);
    c[5] = 6; /* the shares alone */
}

void mix_strands_add(struct mix_strands *s, unsigned strand, uint32_t slot)
{
    struct mix_strand *t = &s->strand[strand];
    int64_t now = (int64_t)s->count * ONE;

    if (t->seen) {
        int64_t gap = (int64_t)(s->count - t->last) * ONE;
        int64_t off = now - t->due, wide = 2 * (int64_t)t->period;
        unsigned rate = t->seen < PERIOD_RATE ? t->seen : PERIOD_RATE;
        t->period = (uint32_t)(t->period + (gap - (int64_t)t->period) / rate);
        /* A beat that is kept is followed gently, one that is lost begins anew. */
        t->due = t->seen == 1 || off > wide || off < -wide ? now : t->due + off / 4;
    } else {
        t->due = now;
    }
    t->due += t->period;
    t->last = s->count++;
    if (t->seen < 255)
        t->seen++;
    memmove(t->recent + 1, t->recent, (MIX_STRAND_RECENT - 1) * sizeof *t->recent);
    t->recent[0] = slot + 1;
    s->order = s->order << 6 | strand;
}
