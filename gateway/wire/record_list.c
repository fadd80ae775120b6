#include "gateway/wire/record_list.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void record_list_init(struct record_list *l)
{
    *l = (struct record_list){0};
}

void record_list_clear(struct record_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->records[i]);
    l->count = 0;
    l->bytes = 0;
}

void record_list_fini(struct record_list *l)
{
    record_list_clear(l);
    free(l->records);
    *l = (struct record_list){0};
}

static const void *copy(uint8_t **to, const void *bytes, uint32_t n)
{
    const void *at = *to;
    if (n > 0)
        memcpy(*to, bytes, n);
    *to += n;
    return at;
}

size_t record_list_size(const struct record *r)
{
    return sizeof *r + r->props_len + (size_t)r->hops_len + r->len + r->topic_len + r->route_len;
}

int record_list_add(struct record_list *l, const struct record *r)
{
    size_t size = record_list_size(r);
    if (l->count >= RECORD_LIST_MAX_RECORDS || size > RECORD_LIST_MAX_BYTES - l->bytes)
        return -EMSGSIZE;
    if (l->count == l->cap) {
        size_t cap = l->cap > 0 ? 2 * l->cap : 16;
        struct record **records = realloc(l->records, cap * sizeof *records);
        if (!records)
            return -ENOMEM;
        l->records = records;
        l->cap = cap;
    }
    struct record *own = malloc(size);
    if (!own)
        return -ENOMEM;
    *own = *r;
    uint8_t *at = (uint8_t *)(own + 1);
    own->props = copy(&at, r->props, r->props_len);
    own->hops = copy(&at, r->hops, r->hops_len);
    own->bytes = copy(&at, r->bytes, r->len);
    own->topic = copy(&at, r->topic, r->topic_len);
    own->route = copy(&at, r->route, r->route_len);
    l->records[l->count++] = own;
    l->bytes += size;
    return 0;
}

void record_list_drop_last(struct record_list *l)
{
    struct record *last = l->records[--l->count];
    l->bytes -= record_list_size(last);
    free(last);
}
