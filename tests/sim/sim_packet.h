/* MQTT packets as the simulated broker reads and writes them: a small codec of its own for 3.1.1 and 5, that shares nothing
 * with gateway/mqtt, so that a misreading there does not hide behind the same one here. */
#ifndef TESTS_SIM_SIM_PACKET_H
#define TESTS_SIM_SIM_PACKET_H

#include "base/buf.h"

enum sim_packet_type {
    SIM_CONNECT = 1, SIM_CONNACK, SIM_PUBLISH, SIM_PUBACK, SIM_PUBREC, SIM_PUBREL, SIM_PUBCOMP,
    SIM_SUBSCRIBE, SIM_SUBACK, SIM_UNSUBSCRIBE, SIM_UNSUBACK, SIM_PINGREQ, SIM_PINGRESP, SIM_DISCONNECT,
};

struct sim_packet {
    enum sim_packet_type type;
    unsigned flags;
    struct reader body;
};
/* The next whole packet at the front of b, which is to be consumed (*size bytes) when done with it.
 * Return: 1; 0 = not whole yet; -1 = no MQTT. */
int sim_packet_next(const struct buf *b, struct sim_packet *p, size_t *size);

struct sim_connect {
    unsigned level;          /* 4, 5, 0x84 (3.1.1 as a bridge) */
    bool clean;
    unsigned keepalive_s;
    uint32_t receive_maximum, packet_max;
    char client_id[80];
};
bool sim_read_connect(struct sim_packet *p, struct sim_connect *out);

struct sim_publish {
    char topic[256];
    unsigned qos;
    bool retain, dup;
    uint16_t packet_id;
    bool again;              /* user property lw-again */
    bool has_expiry;
    uint32_t expiry_s;
    bool aliased;            /* a topic alias, which we do not allow */
    const uint8_t *payload;
    size_t n;
};
bool sim_read_publish(struct sim_packet *p, bool v5, struct sim_publish *out);
/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
bool sim_read_ack(struct sim_packet *p, bool v5, uint16_t *packet_id, unsigned *reason);

struct sim_subscribe {
    uint16_t packet_id;
    uint32_t id;             /* subscription identifier, 0 = none */
    char filter[256];        /* one a packet: more is refused */
    unsigned options;
};
/* Also UNSUBSCRIBE. */
bool sim_read_subscribe(struct sim_packet *p, bool v5, struct sim_subscribe *out);

void sim_write_connack(struct buf *b, bool v5, bool session, unsigned code, unsigned receive_maximum);
struct sim_deliver {
    const char *topic;
    unsigned qos;
    bool retain, dup;
    uint16_t packet_id;
    const uint32_t *sub_ids; /* MQTT 5 */
    unsigned sub_id_count;
    bool has_expiry;         /* MQTT 5 */
    uint32_t expiry_s;
    const uint8_t *payload;
    size_t n;
};
void sim_write_publish(struct buf *b, bool v5, const struct sim_deliver *d);
void sim_write_ack(struct buf *b, enum sim_packet_type type, uint16_t packet_id);
/* PUBACK or PUBREC with a reason code; MQTT 5. */
void sim_write_refusal(struct buf *b, enum sim_packet_type type, uint16_t packet_id, uint8_t reason);
void sim_write_suback(struct buf *b, bool v5, bool unsub, uint16_t packet_id, unsigned reason);
void sim_write_pingresp(struct buf *b);

#endif
