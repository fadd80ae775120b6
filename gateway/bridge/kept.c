/* What of a peer is here and cannot be passed on yet: messages of which pieces are missing, and, on datagram links, messages that came before
 * their predecessors. Both are kept in the store as a blob of the message without (or with) its payload. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/topic.h"

/* ---- partials: the message without payload is kept as a blob beside what came of the payload ---- */

static bool put_header(struct buf *b, const struct record *r, const char *topic)
{
    buf_put_varint(b, r->previous);
    buf_put_u8(b, (uint8_t)(r->qos | r->retain << 2 | r->has_origin << 3 | r->has_expiry << 4));
    buf_put_be64(b, (uint64_t)r->origin_ms);
    buf_put_varint(b, r->expiry_s);
    buf_put_varint(b, strlen(topic));
    buf_put(b, topic, strlen(topic));
    buf_put_varint(b, r->props_len);
    buf_put(b, r->props, r->props_len);
    buf_put_varint(b, r->hops_len);
    return buf_put(b, r->hops, r->hops_len) && !b->failed;
}

/* topic: to be freed. */
static bool get_header(struct reader *in, struct record *r, char **topic)
{
    r->previous = read_varint(in);
    uint8_t flags = read_u8(in);
    r->qos = flags & 3;
    r->retain = flags & 4;
    r->has_origin = flags & 8;
    r->has_expiry = flags & 16;
    r->origin_ms = (int64_t)read_be64(in);
    r->expiry_s = read_varint(in);
    size_t topic_len = read_varint(in);
    const uint8_t *t = read_bytes(in, topic_len);
    r->props_len = (uint32_t)read_varint(in);
    r->props = read_bytes(in, r->props_len);
    r->hops_len = (uint32_t)read_varint(in);
    r->hops = (const char *)read_bytes(in, r->hops_len);
    *topic = in->bad || !t ? NULL : strndup((const char *)t, topic_len);
    return *topic != NULL;
}

void kept_begin(struct peer *p, const struct record *r, const char *topic)
{
    struct bridge *b = p->bridge;
    struct buf header;
    buf_init(&header, TOPIC_MAX_BYTES + MSG_PROPS_MAX_BYTES + 4096);
    if (put_header(&header, r, topic)) {
        int rc = store_partial_begin(b->store, p->id, r->class, r->number, r->total, buf_bytes(&header), header.len);
        if (rc == 0)
            rc = store_partial_add(b->store, p->id, r->class, 0, r->bytes, r->len);
        custody_failed(b, rc > 0 ? -EIO : rc);
    } else {
        custody_failed(b, -ENOMEM);
    }
    buf_fini(&header);
}

void kept_finish(struct peer *p, const struct record *chunk)
{
    struct bridge *b = p->bridge;
    void *header = NULL;
    uint8_t *payload = NULL;
    char *topic = NULL;
    size_t header_len;
    uint32_t n;
    struct record r = {.class = chunk->class, .number = chunk->number};
    int rc = store_partial_take(b->store, p->id, chunk->class, &header, &header_len, &payload, &n);
    struct reader in = reader_of(header, rc == 0 ? header_len : 0);
    if (rc == 0 && !get_header(&in, &r, &topic))
        rc = -EIO;
    if (!custody_failed(b, rc > 0 ? -EIO : rc)) {
        struct msg *m = arrival_msg(p, &r, topic, payload, n);
        if (m && !custody_failed(b, store_partial_drop(b->store, p->id, chunk->class))) {
            /* What lies between was settled while the pieces came. */
            kept_deliver(p, r.previous, r.number, m);
        }
        msg_free(m);
    }
    free(header);
    free(payload);
    free(topic);
}

/* ---- datagram links: what came before its predecessors waits, so that it is passed on in order (I5) ---- */

static void keep_ahead(struct peer *p, uint64_t number, const struct msg *m)
{
    struct bridge *b = p->bridge;
    struct record r = {
        .qos = m->qos,
        .retain = m->retain,
        .has_origin = m->origin_ms != 0,
        .origin_ms = m->origin_ms,
        .has_expiry = m->expiry_ms != MSG_NO_EXPIRY,
        .expiry_s = m->expiry_ms != MSG_NO_EXPIRY ? (uint64_t)m->expiry_ms / 1000 : 0,
        .props = m->props,
        .props_len = m->props_len,
        .hops = m->hops,
        .hops_len = m->hops_len,
    };
    struct buf blob;
    buf_init(&blob, TOPIC_MAX_BYTES + MSG_PROPS_MAX_BYTES + 4096 + (size_t)m->payload_len);
    buf_put_be64(&blob, (uint64_t)bridge_age(b));
    if (put_header(&blob, &r, m->topic) && buf_put(&blob, m->payload, m->payload_len))
        custody_failed(b, store_ahead_put(b->store, p->id, m->class, number, buf_bytes(&blob), blob.len));
    else
        custody_failed(b, -ENOMEM);
    buf_fini(&blob);
}

static void pass_on_kept(struct peer *p, enum msg_class class, uint64_t number)
{
    struct bridge *b = p->bridge;
    void *blob = NULL;
    size_t n;
    char *topic = NULL;
    struct record r = {.class = class, .number = number};
    int rc = store_ahead_take(b->store, p->id, class, number, &blob, &n);
    if (custody_failed(b, rc) || rc == STORE_NONE)
        return; /* none: the number was that of a gap */
    struct reader in = reader_of(blob, n);
    int64_t waited = bridge_age(b) - (int64_t)read_be64(&in);
    const uint8_t *payload = in.p;
    if (in.bad || !get_header(&in, &r, &topic)) {
        custody_failed(b, -EIO);
    } else {
        payload = in.p;
        struct msg *m = arrival_msg(p, &r, topic, payload, (uint32_t)in.left);
        if (m && m->expiry_ms != MSG_NO_EXPIRY)
            m->expiry_ms = m->expiry_ms > waited ? m->expiry_ms - waited : 1;
        if (m)
            arrival_pass_on(p, number, m);
        msg_free(m);
    }
    free(topic);
    free(blob);
}

/* Settles a number; m: its message, NULL for a gap. What waited for it follows it. Return: it was new. */
bool kept_settle_number(struct peer *p, enum msg_class class, uint64_t previous, uint64_t number, const struct msg *m)
{
    struct bridge *b = p->bridge;
    struct store_mark before[CLASS_COUNT], after[CLASS_COUNT];
    struct store_remote of;
    bool datagram = p->sender.datagram;
    if (datagram && custody_failed(b, store_marks(b->store, p->id, before, &of)))
        return false;
    int rc = store_mark_number(b->store, p->id, class, previous, number);
    if (custody_failed(b, rc))
        return false;
    if (rc != 0) {
        p->not_now = rc == STORE_REFUSED; /* too much came early: the frame must come again */
        bridge_count(p, "duplicates", !p->not_now);
        return false;
    }
    if (!datagram) {
        if (m)
            arrival_pass_on(p, number, m);
        return true;
    }
    if (custody_failed(b, store_marks(b->store, p->id, after, &of)))
        return false;
    uint64_t reached = after[class].cumulative;
    for (unsigned i = 0; i < before[class].early_count; i++)
        if (before[class].early[i] == number)
            m = NULL; /* it waits here already, and is among those passed on below */
    if (m && number > reached)
        keep_ahead(p, number, m);
    else if (m)
        arrival_pass_on(p, number, m);
    for (unsigned i = 0; i < before[class].early_count && before[class].early[i] <= reached && !b->failed; i++)
        pass_on_kept(p, class, before[class].early[i]);
    return true;
}

void kept_deliver(struct peer *p, uint64_t previous, uint64_t number, const struct msg *m)
{
    kept_settle_number(p, m->class, previous, number, m);
}

bool kept_is_settled(struct peer *p, enum msg_class class, uint64_t number)
{
    struct store_mark marks[CLASS_COUNT];
    struct store_remote of;
    if (store_marks(p->bridge->store, p->id, marks, &of) != 0)
        return false;
    bool settled = number <= marks[class].cumulative;
    for (unsigned i = 0; i < marks[class].early_count && !settled; i++)
        settled = marks[class].early[i] == number;
    return settled;
}
