/* An owner of connection and session, joined as the gateway joins them, that acknowledges all and
 * counts what happens; and the event loop's waits. Time is real: each wait is for an event, with a
 * guard that fails. */
#ifndef TESTS_MQTT_OWNER_H
#define TESTS_MQTT_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>
#include "base/buf.h"
#include "gateway/mqtt/connection.h"
#include "gateway/mqtt/session.h"

struct owner {
    struct mqtt_connection *connection;
    struct mqtt_session *session;
    struct buf out;
    struct event *timer;
    uint32_t random;
    bool raw;          /* no session: bytes are only counted */
    bool drop_at_once; /* what is done when the session closes */
    enum owner_free {
        FREE_NEVER,
        FREE_IN_OPEN,
        FREE_IN_BYTES,
        FREE_IN_DRY,
        FREE_IN_CLOSED
    } free_in;
    bool drop_in_bytes;
    /* what happened */
    unsigned opened, closed, connected, session_closed, dry, writable, published, acked, subscribed,
        oversize;
    size_t bytes, bytes_at_dry, largest_piece;
    enum mqtt_close why;
    uint8_t code;
    char text[400], last_topic[64];
    size_t last_payload;
    int64_t closed_at[8];
};

extern const struct mqtt_connection_ops owner_connection_ops;

/* Client id as given, MQTT_AUTO, packets up to 4 MB. */
struct mqtt_session_config owner_config(const char *client_id);
/* Starts to connect. */
void owner_init(struct owner *o, struct event_base *base, const struct mqtt_address *address,
                const struct mqtt_session_config *config);
/* The same without a session on it: bytes are only counted. */
void owner_init_raw(struct owner *o, struct event_base *base, const struct mqtt_address *address);
void owner_fini(struct owner *o);
/* Moves what the session has written to the socket, and sets its timer. */
void owner_sync(struct owner *o);

int64_t owner_now_ms(void);

/* A timer that sets *rang after ms. The caller frees it (event_free). */
struct event *owner_guard(struct event_base *base, int ms, bool *rang);

/* Runs the loop until the condition holds. */
#define wait_for(base, condition)                                                                  \
    do {                                                                                           \
        bool rang_ = false;                                                                        \
        struct event *guard_ = owner_guard(base, 20000, &rang_);                                   \
        while (!(condition) && !rang_)                                                             \
            event_base_loop(base, EVLOOP_ONCE);                                                    \
        event_free(guard_);                                                                        \
        if (!(condition))                                                                          \
            fail_msg("waited in vain for: %s", #condition);                                        \
    } while (0)

/* Runs the loop for a while in which something must not happen. */
void owner_run_for(struct event_base *base, int ms);

#endif
