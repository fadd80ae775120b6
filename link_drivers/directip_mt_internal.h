/* What the two files of the calling half of the directip driver share; for nobody else.
 *
 *     directip_mt.c       the modems: what may be sent to each, when, and what is told to the host
 *     directip_mt_call.c  one message on its way: the connection, and the gateway's answer */
#ifndef LINK_DRIVERS_DIRECTIP_MT_INTERNAL_H
#define LINK_DRIVERS_DIRECTIP_MT_INTERNAL_H

#include "link_drivers/directip_mt.h"
#include "link_drivers/directip_wait.h"

#define ANSWER_BYTES_MAX 256 /* it has 31, and room for elements to come */

enum job_state {
    JOB_WAITING, /* until at_ms, then for a place among the connections */
    JOB_CONNECTING,
    JOB_SENDING,
    JOB_ANSWER,
};

struct directip_mt_job {
    enum job_state state;
    uint64_t token;
    bool urgent;
    bool may_have_left; /* it was given away whole, and no answer came */
    unsigned tries;
    int fd; /* but for WAITING */
    int next_address;
    int64_t at_ms; /* WAITING: when it is due; else when the state has lasted too long */
    enum directip_priority priority;
    uint32_t id;
    size_t message_n, sent_n, answer_n, payload_n;
    uint8_t message[DIRECTIP_MT_BYTES_MAX];
    uint8_t answer[ANSWER_BYTES_MAX];
    uint8_t payload[];
};

/* ---- directip_mt.c ---- */

/* The n-th wait of this kind in a row, as the keys scale it. */
int64_t directip_mt_wait_ms(const struct directip_mt *c, enum directip_wait wait, unsigned n);
/* The message in hand is over: its connection is let go, and the host is told. */
void directip_mt_finish(struct directip_mt *c, struct directip_mt_station *s,
                        enum send_outcome outcome, int64_t now_ms);
/* The gateway cannot be had. What has certainly not left goes back to the host, which may have
 * something more urgent by the time that the gateway is there. */
void directip_mt_gateway_failed(struct directip_mt *c, enum directip_wait wait, const char *why,
                                int64_t now_ms);
/* It has answered. */
void directip_mt_gateway_works(struct directip_mt *c);
/* Nothing is sent to this modem for a while, longer each time. */
void directip_mt_rest(struct directip_mt *c, struct directip_mt_station *s, enum directip_wait wait,
                      int64_t now_ms);
void directip_mt_station_down(struct directip_mt *c, struct directip_mt_station *s,
                              const char *why);

/* ---- directip_mt_call.c ---- */

/* Begins with the first address. Whatever comes of it, now or later, ends in directip_mt_finish or
 * in another time to wait for. */
void directip_mt_call(struct directip_mt *c, struct directip_mt_station *s, int64_t now_ms);
/* Something can be written or read. */
void directip_mt_call_on_fd(struct directip_mt *c, struct directip_mt_station *s, int64_t now_ms);
/* Its state has lasted too long. */
void directip_mt_call_overdue(struct directip_mt *c, struct directip_mt_station *s, int64_t now_ms);
/* Lets go of the connection, if there is one. */
void directip_mt_hang_up(struct directip_mt *c, struct directip_mt_station *s);

#endif
