/* The topic table of what we send: slots in memory, the peer's confirmed state in the store, and the definitions that are between the two. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFINITIONS_MAX 2048 /* topic definitions not yet acknowledged */

static bool no_memory(struct peer *p)
{
    custody_failed(p->bridge, -ENOMEM);
    return false;
}

bool sender_topic_under_way(struct peer *p, unsigned slot, const char *topic, uint32_t epoch)
{
    struct sender *s = &p->sender;
    if (s->pending_count == DEFINITIONS_MAX)
        return false;
    if (s->pending_count == s->pending_size) {
        size_t size = s->pending_size ? 2 * s->pending_size : 16;
        struct topic_definition *more = realloc(s->pending, size * sizeof *more);
        if (!more)
            return no_memory(p);
        s->pending = more;
        s->pending_size = size;
    }
    char *copy = strdup(topic);
    if (!copy)
        return no_memory(p);
    if (topic_slots_set(s->topics, slot, topic, strlen(topic)) != 0) {
        free(copy);
        return no_memory(p);
    }
    s->pending[s->pending_count++] = (struct topic_definition){slot, copy, epoch};
    return true;
}

bool sender_define_topic(struct peer *p, const char *topic, unsigned *slot)
{
    *slot = topic_slots_victim(p->sender.topics);
    return sender_topic_under_way(p, *slot, topic, channel_frame_epoch(p->channel));
}

/* The first definition under way, of this slot; pending_count: none. */
static size_t find_definition(const struct sender *s, unsigned slot)
{
    size_t i = 0;
    while (i < s->pending_count && s->pending[i].slot != slot)
        i++;
    return i;
}

bool sender_topic_pending(const struct sender *s, unsigned slot)
{
    return find_definition(s, slot) < s->pending_count;
}

bool sender_slot_usable(const struct peer *p, unsigned slot)
{
    const struct sender *s = &p->sender;
    size_t i = find_definition(s, slot);
    if (!s->datagram || i == s->pending_count)
        return true;
    /* Frames of a datagram link arrive in any order: what leans on the definition's frame alone comes behind it for certain. */
    return channel_frame_leans(p->channel) && s->pending[i].epoch != 0 && s->pending[i].epoch == channel_frame_epoch(p->channel);
}

bool sender_confirm_topic(struct peer *p, unsigned slot)
{
    struct sender *s = &p->sender;
    struct bridge *b = p->bridge;
    size_t i = find_definition(s, slot);
    if (i == s->pending_count)
        return true; /* forgotten meanwhile: the peer began a new store */
    struct topic_definition d = s->pending[i];
    memmove(&s->pending[i], &s->pending[i + 1], (--s->pending_count - i) * sizeof *s->pending);
    int rc = store_topic_set(b->store, p->id, STORE_OUT, d.slot, d.topic, strlen(d.topic));
    free(d.topic);
    if (rc >= 0)
        rc = store_topics_state(b->store, p->id, STORE_OUT, &s->confirmed);
    return !custody_failed(b, rc);
}

static void drop_definitions(struct sender *s)
{
    for (size_t i = 0; i < s->pending_count; i++)
        free(s->pending[i].topic);
    s->pending_count = 0;
}

static void load_topic(void *ctx, unsigned slot, const char *topic, size_t n)
{
    struct topic_slots *t = ctx;
    if (topic_slots_set(t, slot, topic, n) != 0)
        return; /* out of memory: the topic is defined again, at the cost of its text */
}

int sender_load_topics(struct peer *p)
{
    struct sender *s = &p->sender;
    drop_definitions(s);
    topic_slots_clear(s->topics);
    int rc = store_topics_each(p->bridge->store, p->id, STORE_OUT, load_topic, s->topics);
    return rc < 0 ? rc : store_topics_state(p->bridge->store, p->id, STORE_OUT, &s->confirmed);
}

/* Brings our table to what the peer says it has: as confirmed, or with some of the definitions that were under way. What it has
 * and we do not know of (we crashed after sending it) shows in the hash, and the table is begun anew. */
bool sender_agree_on_topics(struct peer *p, const struct channel_marks *theirs)
{
    struct sender *s = &p->sender;
    while (s->pending_count && s->confirmed.sequence < theirs->topics_sequence)
        if (!sender_confirm_topic(p, s->pending[0].slot))
            return false;
    s->reset_topics = s->confirmed.sequence != theirs->topics_sequence || s->confirmed.hash != theirs->topics_hash;
    return !custody_failed(p->bridge, sender_load_topics(p));
}
