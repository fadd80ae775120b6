#include "gateway/bridge/topic_slots.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "gateway/wire/record.h"

#define BUCKETS (2 * RECORD_TOPIC_SLOTS)
#define NONE    UINT16_MAX

struct entry {
    char *topic;
    uint64_t hash;
    uint16_t next;             /* in its bucket's chain */
    uint16_t newer, older;     /* in the order of use; only filled slots are in it */
};

struct topic_slots {
    struct entry slots[RECORD_TOPIC_SLOTS];
    uint16_t buckets[BUCKETS];
    uint16_t newest, oldest;
    unsigned filled;           /* slots 0 .. filled-1 were written in this order by topic_slots_victim */
};

static uint64_t hash_of(const char *topic)
{
    return hash64_add(HASH64_START, topic, strlen(topic));
}

struct topic_slots *topic_slots_new(void)
{
    struct topic_slots *t = calloc(1, sizeof *t);
    if (t)
        topic_slots_clear(t);
    return t;
}

void topic_slots_free(struct topic_slots *t)
{
    if (!t)
        return;
    topic_slots_clear(t);
    free(t);
}

void topic_slots_clear(struct topic_slots *t)
{
    for (unsigned i = 0; i < RECORD_TOPIC_SLOTS; i++)
        free(t->slots[i].topic);
    memset(t, 0, sizeof *t);
    memset(t->buckets, 0xff, sizeof t->buckets);
    t->newest = t->oldest = NONE;
}

static void leave_order(struct topic_slots *t, uint16_t i)
{
    struct entry *e = &t->slots[i];
    if (e->newer == NONE)
        t->newest = e->older;
    else
        t->slots[e->newer].older = e->older;
    if (e->older == NONE)
        t->oldest = e->newer;
    else
        t->slots[e->older].newer = e->newer;
}

static void enter_order(struct topic_slots *t, uint16_t i)
{
    struct entry *e = &t->slots[i];
    e->newer = NONE;
    e->older = t->newest;
    if (t->newest == NONE)
        t->oldest = i;
    else
        t->slots[t->newest].newer = i;
    t->newest = i;
}

static void leave_bucket(struct topic_slots *t, uint16_t i)
{
    uint16_t *at = &t->buckets[t->slots[i].hash % BUCKETS];
    while (*at != i)
        at = &t->slots[*at].next;
    *at = t->slots[i].next;
}

int topic_slots_set(struct topic_slots *t, unsigned slot, const char *topic, size_t n)
{
    assert(slot < RECORD_TOPIC_SLOTS);
    char *copy = strndup(topic, n);
    if (!copy)
        return -ENOMEM;
    struct entry *e = &t->slots[slot];
    if (e->topic) {
        leave_bucket(t, (uint16_t)slot);
        leave_order(t, (uint16_t)slot);
        free(e->topic);
    } else {
        t->filled++;
    }
    e->topic = copy;
    e->hash = hash_of(copy);
    e->next = t->buckets[e->hash % BUCKETS];
    t->buckets[e->hash % BUCKETS] = (uint16_t)slot;
    enter_order(t, (uint16_t)slot);
    return 0;
}

const char *topic_slots_get(const struct topic_slots *t, unsigned slot)
{
    return slot < RECORD_TOPIC_SLOTS ? t->slots[slot].topic : NULL;
}

bool topic_slots_find(struct topic_slots *t, const char *topic, unsigned *slot)
{
    uint64_t h = hash_of(topic);
    for (uint16_t i = t->buckets[h % BUCKETS]; i != NONE; i = t->slots[i].next) {
        if (t->slots[i].hash != h || strcmp(t->slots[i].topic, topic) != 0)
            continue;
        leave_order(t, i);
        enter_order(t, i);
        *slot = i;
        return true;
    }
    return false;
}

unsigned topic_slots_victim(struct topic_slots *t)
{
    if (t->filled == RECORD_TOPIC_SLOTS)
        return t->oldest;
    /* Slots are filled from 0 up; the search is short because `filled` is exact unless slots were set out of order. */
    for (unsigned i = t->filled; i < RECORD_TOPIC_SLOTS; i++)
        if (!t->slots[i].topic)
            return i;
    unsigned i = 0;
    while (t->slots[i].topic)
        i++;
    return i;
}
