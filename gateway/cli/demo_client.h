/* An MQTT client of the demo at one broker: publishes, subscribes, and keeps account of what it expects, so that each message is
 * seen to arrive once and in order. Uses the gateway's own session and connection; the tests use a client of others' making. */
#ifndef CLI_DEMO_CLIENT_H
#define CLI_DEMO_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

struct event_base;
struct demo_client;

struct demo_account {
    unsigned expected, arrived, doubled, disordered, strange;
};

/* Connects to 127.0.0.1:port and subscribes to filter with QoS 2. Return: NULL when out of memory. */
struct demo_client *demo_client_new(struct event_base *base, uint16_t port, const char *id, const char *filter) MUST_CHECK;
void demo_client_free(struct demo_client *c);
/* Connected and subscribed, and the gateway at this broker is, too. */
bool demo_client_ready(const struct demo_client *c);
/* Publishes with QoS 2. Return: false: not connected or the window is full; try again. */
bool demo_client_publish(struct demo_client *c, const char *topic, const void *payload, size_t n, bool retain) MUST_CHECK;
/* PUBLISHes not yet taken by the broker. */
unsigned demo_client_unsent(const struct demo_client *c);
/* This client shall get such a message. */
void demo_client_expect(struct demo_client *c, const char *topic, const void *payload, size_t n);
const struct demo_account *demo_client_account(const struct demo_client *c);
/* Topic of the last arrival, "" before the first. */
const char *demo_client_last(const struct demo_client *c);

#endif
