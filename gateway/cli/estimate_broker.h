/* As much of an MQTT 3.1.1 broker as one gateway needs where there is none: one client, QoS 1 and 2,
 * nothing lost. Pure: bytes in, bytes out. */
#ifndef CLI_ESTIMATE_BROKER_H
#define CLI_ESTIMATE_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"

struct estimate_broker {
    struct buf in, out; /* from the gateway, to it */
    uint16_t next_id;
    /* The gateway publishes this here; it lives until the call returns. */
    void (*taken)(void *ctx, const uint8_t *topic, size_t topic_len, const uint8_t *payload,
                  size_t n);
    void *ctx;
};

void estimate_broker_init(struct estimate_broker *b,
                          void (*taken)(void *ctx, const uint8_t *topic, size_t topic_len,
                                        const uint8_t *payload, size_t n),
                          void *ctx);
void estimate_broker_fini(struct estimate_broker *b);
/* Bytes of the gateway; answers are in out. Return: false where they are no MQTT, or out of memory. */
bool estimate_broker_feed(struct estimate_broker *b, const uint8_t *bytes, size_t n) MUST_CHECK;
/* A message of QoS 1 for the gateway. Return: false: out of memory. */
bool estimate_broker_publish(struct estimate_broker *b, const char *topic, const uint8_t *payload,
                             size_t n, bool retain) MUST_CHECK;

#endif
