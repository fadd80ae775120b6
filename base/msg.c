#include "base/msg.h"

#include <stdlib.h>
#include <string.h>

/* Copies n bytes and a NUL to *at, moves *at behind them, returns where they are. */
static void *place(uint8_t **at, const void *bytes, size_t n)
{
    uint8_t *to = *at;
    if (n > 0)
        memcpy(to, bytes, n);
    to[n] = '\0';
    *at = to + n + 1;
    return to;
}

struct msg *msg_new(const char *topic, size_t topic_len, const void *payload, size_t payload_len,
                    const void *props, size_t props_len, const char *hops)
{
    size_t hops_len = hops ? strlen(hops) : 0;
    if (topic_len > UINT32_MAX || payload_len > UINT32_MAX || props_len > UINT32_MAX ||
        hops_len > UINT32_MAX)
        return NULL;
    /* One allocation: the bytes stand behind the struct, a NUL after each. */
    struct msg *m = malloc(sizeof(*m) + topic_len + payload_len + props_len + hops_len + 4);
    if (!m)
        return NULL;
    uint8_t *at = (uint8_t *)(m + 1);
    *m = (struct msg){
        .topic_len = (uint32_t)topic_len,
        .payload_len = (uint32_t)payload_len,
        .props_len = (uint32_t)props_len,
        .hops_len = (uint32_t)hops_len,
        .class = CLASS_NORMAL,
        .expiry_ms = MSG_NO_EXPIRY,
    };
    m->topic = place(&at, topic, topic_len);
    m->payload = place(&at, payload, payload_len);
    m->props = place(&at, props, props_len);
    m->hops = place(&at, hops, hops_len);
    return m;
}

void msg_free(struct msg *m)
{
    free(m);
}
