/* A simulated MQTT broker of one site, with one client: longwire. It keeps a persistent session as brokers do (queue, windows,
 * packet ids, QoS 1 and 2 both ways, redelivery with DUP), tells the ledger all that it sees, and holds longwire to the protocol
 * (check "mqtt"). */
#ifndef TESTS_SIM_SIM_BROKER_H
#define TESTS_SIM_SIM_BROKER_H

#include "tests/sim/sim_ledger.h"
#include "tests/sim/sim_packet.h"

#define SIM_SUBS_MAX 24

struct sim_broker_config {
    bool v5;                  /* else 3.1.1 alone: level 5 is refused */
    bool bridge_bit;          /* 3.1.1: level 0x84 is taken */
    unsigned window;          /* QoS > 0 messages in flight to longwire */
    unsigned receive_maximum; /* told to longwire, MQTT 5 */
    bool copy_each;           /* overlapping subscriptions: one copy each (mosquitto), else one with all identifiers */
    bool refuses;             /* some messages, for good: with a reason code, or by closing the connection on them */
    bool pass_on_release;     /* QoS 2 is passed on at PUBREL (mosquitto), else at PUBLISH */
};

struct sim_queued {           /* to longwire */
    uint32_t message;
    uint8_t qos;
    bool retain;
    uint16_t packet_id;       /* 0 = not sent */
    enum { SIM_QUEUED, SIM_SENT, SIM_RELEASED } state;
    bool counts;              /* toward the client's receive maximum */
    bool sent_here;           /* on this connection */
    uint32_t sub_ids[SIM_SUBS_MAX];
    unsigned sub_id_count;
};

struct sim_incoming {         /* QoS 2 from longwire, until PUBREL */
    bool known;
    uint32_t hash;            /* of its content: a packet id must not be given to another before that */
    struct sim_accepted *held;
};

struct sim_broker {
    struct sim_clock *clock;
    struct sim_report *report;
    struct sim_ledger *ledger;
    struct sim_broker_config config;
    unsigned site;
    const char *name;
    /* session: */
    bool session;
    struct sim_subscribe subs[SIM_SUBS_MAX];
    unsigned sub_count;
    struct sim_queued *queue;
    size_t queue_count, queue_size;
    uint16_t next_packet_id;
    struct sim_incoming *incoming; /* 65,536 */
    unsigned unreleased;      /* of these, known ones */
    uint32_t *retained;       /* ids of messages */
    size_t retained_count, retained_size;
    /* connection: */
    bool connected;           /* CONNECT taken */
    bool v5;
    struct sim_connect client;
    struct buf in, out;
    int64_t heard_at;
    uint64_t connections, sessions_lost, refused, expired;
    uint64_t published_to, acked_by;
};

void sim_broker_init(struct sim_broker *b, struct sim_clock *clock, struct sim_report *report, struct sim_ledger *ledger,
                     unsigned site, const struct sim_broker_config *config);
void sim_broker_fini(struct sim_broker *b);
/* A client publishes a message of the ledger. */
void sim_broker_publish(struct sim_broker *b, uint32_t message);
/* ---- the transport. What the broker writes is in out afterwards ---- */
void sim_broker_opened(struct sim_broker *b);
void sim_broker_closed(struct sim_broker *b);
/* Return: false: it closes the connection. */
bool sim_broker_bytes(struct sim_broker *b, const uint8_t *bytes, size_t n);
/* The session is forgotten; the connection must be closed. */
void sim_broker_lose_session(struct sim_broker *b);
/* Messages queued and not yet acknowledged. */
size_t sim_broker_backlog(const struct sim_broker *b);

#endif
