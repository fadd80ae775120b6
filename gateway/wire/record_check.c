#include "gateway/wire/record_check.h"

static uint64_t add_number(uint64_t h, uint64_t v)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    return hash64_add(h, bytes, sizeof bytes);
}

static uint64_t add_text(uint64_t h, const void *bytes, uint32_t n)
{
    h = add_number(h, n);
    return n > 0 ? hash64_add(h, bytes, n) : h;
}

static int64_t seconds(int64_t ms)
{
    return ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);
}

static uint64_t add_message(uint64_t h, const struct record *r)
{
    h = add_number(h, (uint64_t)r->slot << 16 | (uint64_t)r->qos << 8 | (r->retain ? 1u : 0u) |
                          (r->has_origin ? 2u : 0u) | (r->has_expiry ? 4u : 0u));
    if (r->slot == RECORD_NO_SLOT)
        h = add_text(h, r->topic, r->topic_len);
    if (r->has_origin)
        h = add_number(h, (uint64_t)(r->origin_in_ms ? r->origin_ms : seconds(r->origin_ms)));
    if (r->has_expiry)
        h = add_number(h, r->expiry_s);
    h = add_text(h, r->props, r->props_len);
    h = add_text(h, r->hops, r->hops_len);
    h = add_number(h, r->total);
    return add_text(h, r->bytes, r->len);
}

uint64_t record_check_add(uint64_t h, const struct record *r)
{
    uint64_t kind = r->type;
    if (r->type != RECORD_TOPIC && r->type != RECORD_TOPICS_RESET)
        kind = add_number(kind, (uint64_t)r->class) ^ r->number;
    h = add_number(h, kind);
    switch (r->type) {
    case RECORD_MESSAGE:
        return add_message(add_number(h, r->previous), r);
    case RECORD_CHUNK:
        return add_text(add_number(h, r->offset), r->bytes, r->len);
    case RECORD_TOPIC:
        return add_text(add_number(h, r->slot), r->topic, r->topic_len);
    case RECORD_GAP:
        h = add_number(add_number(h, r->previous), r->first_number);
        h = add_number(add_number(h, r->count), r->reason);
        h = add_number(add_number(h, (uint64_t)seconds(r->from_ms)), (uint64_t)seconds(r->to_ms));
        return add_text(h, r->route, r->route_len);
    case RECORD_ABORT:
        return add_number(h, r->previous);
    case RECORD_TOPICS_RESET:
        return h;
    }
    return h;
}

uint16_t record_check_fold(uint64_t h)
{
    return (uint16_t)hash64_fold32(h);
}
