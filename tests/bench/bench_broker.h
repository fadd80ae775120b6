/* As much of an MQTT 3.1.1 broker as one gateway needs to be measured: one client, QoS 1, nothing lost. */
#ifndef TESTS_BENCH_BENCH_BROKER_H
#define TESTS_BENCH_BENCH_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

struct bench_broker {
    struct buf in, out; /* from the gateway, to it */
    bool subscribed;
    uint16_t next_id;
    uint64_t acknowledged; /* of what was published here */
    uint64_t taken;        /* from the gateway, its own state topics not counted */
    uint64_t taken_hash;   /* of topics and payloads, in any order */
};

void bench_broker_init(struct bench_broker *b);
void bench_broker_fini(struct bench_broker *b);
/* Bytes of the gateway; answers are in out. Return: false where they are no MQTT. */
bool bench_broker_feed(struct bench_broker *b, const uint8_t *bytes, size_t n);
/* A message for the gateway. Return: what taken_hash grows by where it comes out. */
uint64_t bench_broker_publish(struct bench_broker *b, const char *topic, const uint8_t *payload, size_t n);
/* Bytes of a PUBLISH of QoS 0: what a message is with MQTT's own framing. */
size_t bench_publish_bytes(size_t topic, size_t payload);

#endif
