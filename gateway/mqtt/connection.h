/* The session's socket: libevent bufferevents, TCP, unix socket or TLS (OpenSSL), asynchronous name resolution, reconnect with jittered back-off.
 * The only file that joins the pure session to an event loop. */
#ifndef MQTT_CONNECTION_H
#define MQTT_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/mqtt/session.h"

struct event_base;
struct mqtt_connection;

struct mqtt_address {              /* copied */
    const char *host;              /* name, address, or "unix:/path" */
    uint16_t port;
    bool tls;
    const char *tls_ca, *tls_cert, *tls_key;
    const char *tls_name;          /* name that the certificate must have; "" = host */
};

struct mqtt_connection_ops {
    /* Bytes came. The owner gives them to its session and then calls mqtt_connection_flush. */
    void (*bytes)(void *ctx, const uint8_t *bytes, size_t n);
    /* Everything that the socket had was given: the moment to commit (I1). */
    void (*dry)(void *ctx);
    /* Transport open (TLS done): start the session. */
    void (*open)(void *ctx);
    /* Transport closed or never opened; another attempt follows by itself after the back-off. */
    void (*closed)(void *ctx, const char *why);
    /* The output buffer has drained below its low mark. */
    void (*writable)(void *ctx);
    uint32_t (*random)(void *ctx);
    int64_t (*now_ms)(void *ctx);
};

struct mqtt_connection *mqtt_connection_new(struct event_base *base, const struct mqtt_address *address,
                                            const struct mqtt_connection_ops *ops, void *ctx, char *err, size_t err_size) MUST_CHECK;
void mqtt_connection_free(struct mqtt_connection *c);
/* Begins to connect, and keeps at it. Back-off 1 s to 60 s with jitter, begun anew after mqtt_connection_settled. */
void mqtt_connection_start(struct mqtt_connection *c);
void mqtt_connection_settled(struct mqtt_connection *c);
/* Closes now; connects again after the back-off, or at once. */
void mqtt_connection_drop(struct mqtt_connection *c, bool at_once);
/* Moves all of out to the socket. */
void mqtt_connection_write(struct mqtt_connection *c, struct buf *out);
/* Bytes handed over and not yet taken by the kernel. */
size_t mqtt_connection_pending(const struct mqtt_connection *c);
/* Stops for good: writes what is pending for at most linger_ms, then closes. done is told through closed. */
void mqtt_connection_stop(struct mqtt_connection *c, int64_t linger_ms);

#endif
