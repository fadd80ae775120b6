/* The session's socket: libevent bufferevents over TCP, a unix socket or TLS (OpenSSL),
 * asynchronous name resolution, reconnect with jittered back-off. The only file that joins the pure
 * session to an event loop.
 *
 * One attempt: resolve the name, then try each address in turn until one is open (with TLS: until
 * the broker's certificate is accepted). After a failed attempt or a lost connection it waits, and
 * tries again for ever, until mqtt_connection_stop or mqtt_connection_free. */
#ifndef MQTT_CONNECTION_H
#define MQTT_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/buf.h"

struct event_base;
struct mqtt_connection;

/* The version ladder has two refusals, and a broker may restart in the middle of it. */
#define MQTT_CONNECTION_AT_ONCE_MAX 4
/* For each of: name resolution, TCP connect to one address, TLS handshake with it. */
#define MQTT_CONNECT_TIMEOUT_MS 20000

struct mqtt_address { /* copied */
    const char *host; /* name, address, or "unix:/path" */
    uint16_t port;
    bool tls;
    /* PEM files, read at each connect; NULL or "" = none, for tls_ca the system's. */
    const char *tls_ca, *tls_cert, *tls_key;
    const char *tls_name; /* name or IP address that the certificate must have; NULL or "" = host */
    uint32_t connect_timeout_ms; /* 0 = MQTT_CONNECT_TIMEOUT_MS */
};

/* Called from the event loop only, never from inside a call of the owner. Each may call every
 * function below; freeing takes effect when the callback has returned. */
struct mqtt_connection_ops {
    /* Bytes came. The owner gives them to its session and then calls mqtt_connection_write. */
    void (*bytes)(void *ctx, const uint8_t *bytes, size_t n);
    /* Everything that the socket had was given: the moment to commit (I1). Not called while the
     * kernel holds more. */
    void (*dry)(void *ctx);
    /* Transport open (TLS done): start the session. */
    void (*open)(void *ctx);
    /* Transport closed by the other end or by a fault, or never opened; another attempt follows by
     * itself after the back-off. Also the end of mqtt_connection_stop, after which none follows.
     * Not called for mqtt_connection_drop. why: one line, ends without a full stop. */
    void (*closed)(void *ctx, const char *why);
    /* The output buffer has drained below its low mark. */
    void (*writable)(void *ctx);
    uint32_t (*random)(void *ctx); /* for the jitter of the back-off */
};

/* Return: NULL with a sentence in err (unix path too long, TLS without a name to check, memory).
 * The process ignores SIGPIPE from then on: a broker that goes away must not kill it. */
struct mqtt_connection *mqtt_connection_new(struct event_base *base,
                                            const struct mqtt_address *address,
                                            const struct mqtt_connection_ops *ops, void *ctx,
                                            char *err, size_t err_size) MUST_CHECK;
/* Closes at once, without a callback. NULL is allowed. */
void mqtt_connection_free(struct mqtt_connection *c);
/* Begins to connect, and keeps at it. Nothing if it has begun already. */
void mqtt_connection_start(struct mqtt_connection *c);
/* The broker has accepted the session: the back-off begins anew at 1 s. */
void mqtt_connection_settled(struct mqtt_connection *c);
/* Closes now, without the callback; connects again after the back-off, or at once. "At once" is
 * granted MQTT_CONNECTION_AT_ONCE_MAX times until the next mqtt_connection_settled. What was
 * written goes out as far as the kernel takes it now. Nothing after mqtt_connection_stop. */
void mqtt_connection_drop(struct mqtt_connection *c, bool at_once);
/* Moves all of out to the socket, and empties it. It takes any amount: the owner looks at pending
 * first where memory matters. Where the transport is not open the bytes are
 * discarded, for they belong to a connection that is gone. */
void mqtt_connection_write(struct mqtt_connection *c, struct buf *out);
/* Bytes handed over and not yet taken by the kernel. */
size_t mqtt_connection_pending(const struct mqtt_connection *c);
/* Stops for good: writes what is pending and waits for the broker to close, for at most linger_ms,
 * then closes. Its end is told through closed, always from the loop. */
void mqtt_connection_stop(struct mqtt_connection *c, int64_t linger_ms);

#endif
