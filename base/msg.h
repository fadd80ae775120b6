/* One MQTT application message as it passes through longwire: between session, routes, store and wire.
 * One allocation, one owner. */
#ifndef BASE_MSG_H
#define BASE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/msg_class.h"

#define MSG_HOPS_MAX 4              /* sites a forwarded message may have passed (DESIGN 2) */
#define MSG_PROPS_MAX_BYTES 65536   /* of MQTT 5 properties kept with a message */
#define MSG_NO_EXPIRY INT64_MAX

struct msg {
    char *topic;          /* NUL-terminated as well; no NUL inside */
    uint32_t topic_len;
    uint8_t *payload;     /* may be NULL when payload_len is 0 */
    uint32_t payload_len;
    /* MQTT 5 properties that mean something to the receiver, in MQTT 5 wire form without the total
     * length: payload format 0x01, content type 0x03, response topic 0x08, correlation data 0x09,
     * user property 0x26, in the order they came. Expiry is apart (below). */
    uint8_t *props;
    uint32_t props_len;
    char *hops;           /* site names the message came through, comma-separated, or "" */
    uint32_t hops_len;
    uint8_t qos;          /* 0..2 */
    bool retain;
    enum msg_class class;
    int64_t origin_ms;    /* wall clock at the first longwire, Unix ms; 0 = not known */
    int64_t expiry_ms;    /* left to live, ms; MSG_NO_EXPIRY. What it counts from, the holder says. */
};

/* Makes a message with copies of the given bytes (NULL, 0 for what is absent); the other fields zero,
 * class normal, expiry MSG_NO_EXPIRY. Return: NULL when out of memory. Free with msg_free. */
struct msg *msg_new(const char *topic, size_t topic_len, const void *payload, size_t payload_len,
                    const void *props, size_t props_len, const char *hops) MUST_CHECK;
/* Frees; NULL is allowed. */
void msg_free(struct msg *m);

#endif
