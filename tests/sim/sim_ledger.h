/* The book of all messages of a run: what was given to which broker, what longwire was sent and has acknowledged, what came out
 * at the far broker. The checks on messages are made here, at each entry where they can be, and at the end.
 *
 * A message is known again by its payload, which begins with its id; one too short for that by its topic. */
#ifndef TESTS_SIM_SIM_LEDGER_H
#define TESTS_SIM_SIM_LEDGER_H

#include "base/buf.h"
#include "tests/sim/sim_report.h"
#include "tests/sim/sim_rng.h"

#define SIM_TOPIC_ROOM 96
#define SIM_ID_BYTES   8    /* of the id at the beginning of a payload */
#define SIM_ROUTES_MAX 8
#define SIM_ORDER_TOPICS 64  /* of a route, whose order is checked */
#define SIM_NO_MESSAGE UINT32_MAX

enum sim_retain { SIM_RETAIN_PASS, SIM_RETAIN_DROP, SIM_RETAIN_ON_CHANGE };

/* A route of one site, as its configuration says. */
struct sim_route {
    char name[16];
    char filter[48];
    char prefix[24];        /* of the topics that are published for it */
    unsigned topics;        /* how many different ones */
    int class;              /* enum msg_class */
    int qos;
    enum sim_retain retain;
    bool latest;
    int64_t min_interval_ms, expire_ms; /* 0 = none, never */
    size_t max_payload;
    bool discards;          /* may drop messages by its rules */
};

struct sim_message {
    uint32_t id;
    unsigned from;          /* site */
    unsigned route;
    char topic[SIM_TOPIC_ROOM];
    size_t len;
    unsigned kind;          /* of the payload's text */
    uint8_t qos;
    bool retain;
    uint32_t expiry_s;      /* from given_at; 0 = never */
    int64_t given_at;
    uint64_t offer_order;   /* when it was first queued for longwire; 0 = never */
    /* at the broker that it was given to: */
    unsigned offers;        /* times it was queued for longwire, copies of one publish counted once */
    unsigned resends;
    unsigned open_copies;   /* queued and not acknowledged */
    uint8_t sent_qos;       /* the least that it was sent to longwire with */
    uint8_t retain_seen;    /* bit 0: sent without the flag, bit 1: with it */
    bool acked;             /* all copies of some offer were acknowledged: longwire has taken it */
    bool forgone;           /* the broker lost it: longwire may or may not have it */
    bool refused;           /* the far broker will not have it */
    bool store_lost;        /* was under way when a store was lost or set back: may be missing or come twice */
    /* at the far broker: */
    unsigned accepted;      /* times it was taken as new */
    unsigned accepted_again;/* of these, how many marked lw-again */
    unsigned unmarked_again;/* times it may have come again without a mark, since the broker forgot and knows no properties, or the store is new */
    unsigned accepted_dup;  /* of these, how many were sent again with DUP */
};

struct sim_gaps {           /* of one route, as told at the far end */
    uint64_t sum;
    uint64_t expired;       /* of these */
    uint64_t again;         /* marked as published again: maybe told before, maybe for the first time */
};

struct sim_ledger {
    struct sim_report *report;
    struct sim_message *messages;
    uint32_t count, size;
    struct sim_route routes[2][SIM_ROUTES_MAX];
    unsigned route_count[2];
    struct sim_gaps gaps[2][SIM_ROUTES_MAX]; /* by the sending site's route */
    uint64_t gaps_lost[2];  /* told with the reason "lost" */
    uint64_t offer_orders;
    uint32_t last_accepted[2][SIM_ROUTES_MAX][SIM_ORDER_TOPICS][3]; /* the latest of each topic, and QoS where that matters */
    uint64_t refusals_told[2]; /* to this site's broker: messages of it that the far one refused */
    bool quiet;             /* nothing befalls machines and brokers: what leaves with QoS 0 arrives, too */
    bool clock_lies;        /* a wall clock was trusted, and wrong: ages may be too */
    bool stores_fail;       /* are lost or set back: then a broker may hold what longwire knows nothing of */
    bool machines_fail;     /* processes or disks: then what leaves with QoS 0 may leave twice, as nothing answers for it */
    uint64_t accepted, bytes;
    unsigned outstanding;   /* acknowledged or queued, due at the far end, not there yet */
};

void sim_ledger_init(struct sim_ledger *l, struct sim_report *report);
void sim_ledger_fini(struct sim_ledger *l);

/* A new message; its topic is one of the route's. Return: its id. */
uint32_t sim_ledger_add(struct sim_ledger *l, unsigned site, unsigned route, unsigned topic, size_t len, uint8_t qos,
                        bool retain, unsigned kind);
/* The payload of a message, whole. */
void sim_ledger_payload(const struct sim_message *m, struct buf *out);
/* Whose payload and topic these are; SIM_NO_MESSAGE: nobody's. prefix: what stands before the topic. */
uint32_t sim_ledger_find(const struct sim_ledger *l, const char *topic, const uint8_t *payload, size_t n);

/* ---- what brokers see ---- */
void sim_ledger_offered(struct sim_ledger *l, uint32_t id, unsigned copies);
void sim_ledger_sent(struct sim_ledger *l, uint32_t id, uint8_t qos, bool again, bool retain);
void sim_ledger_acked(struct sim_ledger *l, uint32_t id);
void sim_ledger_forgone(struct sim_ledger *l, uint32_t id);
/* The far broker refuses it. */
void sim_ledger_refused(struct sim_ledger *l, uint32_t id);
struct sim_accepted {
    const char *topic;
    const uint8_t *payload;
    size_t n;
    uint8_t qos;
    bool retain, dup, again;
    bool late;              /* the broker passes QoS 2 on at PUBREL: beside other QoS it comes late by the broker's doing */
    bool has_expiry;
    uint32_t expiry_s;
    bool v5;                /* could have one */
};
/* A broker takes a PUBLISH of longwire as new. */
void sim_ledger_accepted(struct sim_ledger *l, unsigned site, const struct sim_accepted *a);

/* Is it due at the far end, and not there? */
bool sim_ledger_missing(const struct sim_ledger *l, const struct sim_message *m);
/* Messages that are due and missing, not counting those of routes that may discard. */
unsigned sim_ledger_due(const struct sim_ledger *l);
/* All that must hold when everything has come to rest. */
void sim_ledger_settle(struct sim_ledger *l);

#endif
