/* A small MQTT client of the command line's own commands (demo, estimate), on the gateway's session and connection: it keeps
 * itself connected, subscribes each time anew, and acknowledges at once what it was given. */
#ifndef CLI_BROKER_CLIENT_H
#define CLI_BROKER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/mqtt/connection.h"
#include "gateway/mqtt/session.h"

struct event_base;
struct broker_client;

/* Called from the loop. None may free the client. */
struct broker_client_ops {
    /* Connected: the place for broker_client_subscribe. Return: false: try again on a new connection. */
    bool (*connected)(void *ctx, const struct mqtt_connack *server);
    void (*subscribed)(void *ctx, uint8_t reason);
    void (*message)(void *ctx, const struct mqtt_publish *p);
    /* A PUBLISH of QoS 2 has been settled, one way or the other. */
    void (*settled)(void *ctx);
    /* at_once: another version of MQTT is tried next, without waiting. */
    void (*closed)(void *ctx, const char *why, bool at_once);
    /* Some times a second. */
    void (*tick)(void *ctx, int64_t now_ms);
};

/* config, address: copied as far as session and connection copy them; they may go afterwards. ops and ctx stay the caller's.
 * Return: NULL with a sentence in err. */
struct broker_client *broker_client_new(struct event_base *base, const struct mqtt_session_config *config,
                                        const struct mqtt_address *address, const struct broker_client_ops *ops, void *ctx,
                                        char *err, size_t err_size) MUST_CHECK;
void broker_client_free(struct broker_client *c);
/* id: as in struct mqtt_subscription. Return: 0 or negative errno (session.h). */
int broker_client_subscribe(struct broker_client *c, const char *filter, uint8_t qos, uint32_t id) MUST_CHECK;
/* Publishes with QoS 2; broker_client_ops.settled follows. Return: false: not connected or the window is full; try again. */
bool broker_client_publish(struct broker_client *c, const char *topic, const void *payload, size_t n, bool retain) MUST_CHECK;

#endif
