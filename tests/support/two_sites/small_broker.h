/* As much of an MQTT 3.1.1 broker as one gateway needs: one client, a session that is kept, QoS 1 and 2 both ways, sent
 * again with DUP on a new connection. It takes no memory, so that faults of memory are the gateway's alone. */
#ifndef TESTS_SUPPORT_TWO_SITES_SMALL_BROKER_H
#define TESTS_SUPPORT_TWO_SITES_SMALL_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMALL_BROKER_MESSAGES 16 /* to the gateway */
#define SMALL_BROKER_TAKEN    64 /* from it, state topics not counted */
#define SMALL_BROKER_OUT      65536

enum small_state { SMALL_WAITING, SMALL_SENT, SMALL_RELEASED, SMALL_DONE };

struct small_broker {
    bool connected, session, subscribed;
    struct {
        char topic[32], payload[32];
        uint8_t qos;
        enum small_state state;
        bool before;                /* sent on an earlier connection */
    } messages[SMALL_BROKER_MESSAGES];
    unsigned count;
    uint8_t held[65536 / 8];        /* packet ids of QoS 2 PUBLISHes until their PUBREL */
    struct {
        char topic[48], payload[32];
        uint8_t qos;
        bool retained;
    } taken[SMALL_BROKER_TAKEN];
    unsigned taken_count;
    uint8_t in[SMALL_BROKER_OUT], out[SMALL_BROKER_OUT];
    size_t in_len, out_len;
    bool wrong;                     /* what came is no MQTT: close */
};

/* A new connection; what was under way on the last one is sent again. */
void small_broker_open(struct small_broker *b);
void small_broker_closed(struct small_broker *b);
/* Bytes of the gateway; answers are in out. */
void small_broker_feed(struct small_broker *b, const uint8_t *bytes, size_t n);
/* A message for the gateway, when it is there. */
void small_broker_publish(struct small_broker *b, const char *topic, const char *payload, uint8_t qos);
bool small_broker_all_acknowledged(const struct small_broker *b);
/* How often a message of this payload was taken. */
unsigned small_broker_times(const struct small_broker *b, const char *payload);

#endif
