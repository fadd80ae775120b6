#include "gateway/bridge/priming.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include "base/hash.h"
#include "gateway/wire/prime_share.h"
#include "store/history.h"

struct load {
    struct priming *tail;
    int timestamps;
    bool failed;
    uint64_t up_to;
    unsigned most;
    uint64_t bytes_left;
};

/* What crossed the link: whole seconds are what both kinds of timestamps have in common. */
static int64_t origin_of(const struct msg *m, int timestamps)
{
    if (timestamps == TIMESTAMPS_NO || m->origin_ms == 0)
        return 0;
    return (m->origin_ms / 1000 - (m->origin_ms % 1000 < 0)) * 1000;
}

static bool add(void *ctx, uint64_t number, const struct msg *m)
{
    struct load *l = ctx;
    struct priming *t = l->tail;
    uint64_t bytes = (uint64_t)m->topic_len + m->payload_len;
    if (number > l->up_to)
        return true;
    if (t->count == l->most || bytes > l->bytes_left)
        return false;
    l->bytes_left -= bytes;
    struct msg *copy = msg_new(m->topic, m->topic_len, m->payload, m->payload_len, NULL, 0, "");
    if (!copy) {
        l->failed = true;
        return false;
    }
    copy->class = m->class;
    copy->qos = m->qos;
    copy->retain = m->retain;
    copy->origin_ms = origin_of(m, l->timestamps);
    t->tail[t->count++] = (struct priming_message){number, copy};
    t->work_left += prime_work(copy->payload_len);
    return true;
}

static uint64_t add_number(uint64_t h, uint64_t v)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    return hash64_add(h, bytes, sizeof bytes);
}

static uint32_t hash_of(const struct priming *t)
{
    uint64_t h = HASH64_START;
    for (size_t i = 0; i < t->count; i++) {
        const struct msg *m = t->tail[i].msg;
        h = add_number(h, t->tail[i].number);
        h = add_number(h, (uint64_t)m->class << 8 | (uint64_t)m->qos << 1 | m->retain);
        h = add_number(h, (uint64_t)m->origin_ms);
        h = add_number(h, m->topic_len);
        h = hash64_add(h, m->topic, m->topic_len);
        h = add_number(h, m->payload_len);
        h = hash64_add(h, m->payload, m->payload_len);
    }
    return hash64_fold32(h);
}

static int load(struct load *l, struct store *store, int peer, enum store_direction dir, unsigned most, uint64_t max_bytes)
{
    struct priming *t = l->tail;
    priming_drop(t);
    t->tail = calloc(l->most, sizeof *t->tail);
    if (!t->tail)
        return -ENOMEM;
    int rc = store_history_newest(store, peer, dir, most, max_bytes, add, l);
    if (rc == 0 && l->failed)
        rc = -ENOMEM;
    if (rc == 0 && t->count == 0)
        rc = STORE_NONE;
    if (rc != 0)
        priming_drop(t);
    t->left = t->count;
    return rc;
}

int priming_load(struct priming *t, struct store *store, int peer, enum store_direction dir, int timestamps)
{
    struct load l = {t, timestamps, false, UINT64_MAX, PRIMING_MESSAGES, UINT64_MAX};
    return load(&l, store, peer, dir, PRIMING_MESSAGES, PRIMING_BYTES);
}

int priming_load_to(struct priming *t, struct store *store, int peer, enum store_direction dir,
                    int timestamps, uint64_t up_to, unsigned most, uint64_t max_bytes)
{
    struct load l = {t, timestamps, false, up_to, most, max_bytes};
    return load(&l, store, peer, dir, UINT_MAX, UINT64_MAX);
}

void priming_cut(struct priming *t, unsigned units)
{
    uint64_t most = (uint64_t)units * PRIME_UNIT_WORK;
    for (; t->count > 0 && t->work_left > most; t->count--) {
        struct msg *oldest = t->tail[t->count - 1].msg;
        t->work_left -= prime_work(oldest->payload_len);
        msg_free(oldest);
    }
    t->left = t->count;
}

uint32_t priming_name(const struct priming *t)
{
    return t->count > 0 ? prime_tail_name(hash_of(t), prime_units(t->work_left)) : 0;
}

void priming_drop(struct priming *t)
{
    for (size_t i = 0; i < t->count; i++)
        msg_free(t->tail[i].msg);
    free(t->tail);
    *t = (struct priming){0};
}

bool priming_next(struct priming *t, struct topic_slots *topics, struct record *r)
{
    if (t->left == 0)
        return false;
    const struct priming_message *e = &t->tail[t->left - 1];
    const struct msg *m = e->msg;
    uint32_t left = m->payload_len - t->offset;
    *r = (struct record){
        .type = t->offset ? RECORD_CHUNK : RECORD_MESSAGE,
        .class = m->class,
        .number = e->number,
        .previous = t->previous[m->class],
        .qos = m->qos,
        .retain = m->retain,
        .has_origin = m->origin_ms != 0,
        .origin_ms = m->origin_ms,
        .hops = "",
        .total = m->payload_len,
        .offset = t->offset,
        .bytes = m->payload_len ? m->payload + t->offset : (const uint8_t *)"",
        .len = left < PRIME_PIECE_BYTES ? left : PRIME_PIECE_BYTES,
    };
    if (!topic_slots_find(topics, m->topic, &r->slot)) {
        r->slot = RECORD_NO_SLOT;
        r->topic = m->topic;
        r->topic_len = m->topic_len;
    }
    t->offset += r->len;
    t->work_left -= r->len + PRIME_RECORD_COST;
    if (t->offset == m->payload_len) {
        t->previous[m->class] = e->number;
        t->offset = 0;
        t->left--;
    }
    return true;
}
