/* A session with hand-made bytes on its server's side. What it calls back is written down as text,
 * what it sends is compared as hex, so that a test reads as the dialogue that it checks. It shares
 * no parser with the session: the bytes in the tests are taken from the specification's tables. */
#ifndef TESTS_MQTT_RIG_H
#define TESTS_MQTT_RIG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "gateway/mqtt/session.h"

/* CONNACKs with success. */
#define CONNACK_5   "20 03 00 00 00"
#define CONNACK_311 "20 02 00 00"

struct rig {
    struct mqtt_session *s;
    struct buf out;
    int64_t now;
    char log[65536];
    size_t log_len;
    unsigned callbacks;
    enum rig_reaction {
        REACT_NOTHING,
        REACT_STOP,
        REACT_FREE,
        REACT_DISCONNECT
    } reaction; /* in publish */
    bool closed;
};

/* A config to start from: client id "c", keepalive 60 s, session expiry
 * never, receive maximum 3, packets up to 1000 bytes, connect timeout 5 s. */
struct mqtt_session_config rig_config(enum mqtt_version version);
void rig_init(struct rig *r, const struct mqtt_session_config *config);
/* The same, without the oversize callback. */
void rig_init_without_oversize(struct rig *r, const struct mqtt_session_config *config);
void rig_fini(struct rig *r);
/* Starts, gives the CONNACK, and forgets what was sent and called back. */
void rig_connect(struct rig *r, const char *connack_hex);
void rig_start(struct rig *r);
/* rig_config with that version, rig_init and rig_connect. */
void rig_begin(struct rig *r, enum mqtt_version version);
/* Spaces in hex are for the reader; 'text' in quotes stands for its bytes. */
void rig_feed(struct rig *r, const char *hex);
/* Compares with what was sent (called back) since the last time. */
void rig_expect_sent(struct rig *r, const char *hex);
void rig_expect_log(struct rig *r, const char *log);
/* Moves time on to `at`, ringing the timer whenever the session's deadline comes. */
void rig_run_until(struct rig *r, int64_t at);
/* Bytes of hex as above, at most max. Return: how many. */
size_t rig_bytes(const char *hex, uint8_t *to, size_t max);

#endif
