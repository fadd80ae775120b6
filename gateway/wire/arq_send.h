/* The sending half of windowed selective repeat: frames kept byte for byte until the peer has them
 * on its disk ([P-5]). Pure; memory is bounded by FRAME_WINDOW frames.
 *
 * A stream link keeps order. So when a frame is known to have arrived, every frame sent before it
 * that has not is lost: no count of duplicates and no timer is needed but for the tail. */
#ifndef WIRE_ARQ_SEND_H
#define WIRE_ARQ_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "gateway/wire/frame.h"

struct arq_frame {
    uint8_t *bytes; /* with header and tag, before framing */
    size_t len;
    bool received; /* the peer has it, not yet on its disk */
    bool lost;     /* to be sent again */
    bool urgent, over, has_ack;
    unsigned sent_count;
    uint64_t ack;                   /* the full number that its riding acknowledgement named */
    uint64_t records;               /* complete by this frame, since the epoch began */
    uint64_t payload_end;           /* payload bytes given since the epoch began */
    uint64_t serial, serial_before; /* of its last transmission, and of the one before */
    int64_t sent_at_ms, sent_before_ms;
    uint64_t
        delivered_then; /* arq.delivered at its last transmission, and when that had been reached */
    int64_t delivered_at_then_ms;
};

struct arq_send {
    struct arq_frame frames[FRAME_WINDOW]; /* by number modulo FRAME_WINDOW */
    uint64_t first, next;     /* unacknowledged: first .. next - 1; numbers begin at 1 */
    uint64_t serial;          /* of transmissions */
    uint64_t highest_arrived; /* serial of the latest transmission known to have arrived */
    int64_t patience_ms; /* a frame that was overtaken is lost only when it is so old; 0 = a line
                            keeps order */
    unsigned lost_count;
    size_t in_flight_bytes; /* sent, neither arrived nor given up as lost */
    unsigned in_flight;
    uint64_t delivered; /* bytes that arrived */
    int64_t delivered_at_ms;
};

void arq_send_init(struct arq_send *a);
void arq_send_fini(struct arq_send *a);
/* Forgets all frames: a new epoch. */
void arq_send_reset(struct arq_send *a);

bool arq_send_full(const struct arq_send *a);
/* Adds the frame of number a->next, copies its bytes. Return: it, to be filled further; NULL = no
 * memory. The window must not be full. */
struct arq_frame *arq_send_add(struct arq_send *a, const uint8_t *bytes, size_t n) MUST_CHECK;
struct arq_frame *arq_send_get(struct arq_send *a, uint64_t number);
/* The earliest frame to be sent (again), or NULL. */
struct arq_frame *arq_send_due(struct arq_send *a);
/* The frame is given to the line now. */
void arq_send_sent(struct arq_send *a, struct arq_frame *f, int64_t now_ms);

struct arq_ack_result {
    bool valid;    /* the number named is one that we sent */
    bool progress; /* something was not known before */
    size_t arrived_bytes;
    int64_t rtt_ms;          /* of the latest frame known to have arrived at its first sending; -1 = none */
    uint64_t rate_bytes_s;   /* delivery rate over that frame's flight; 0 = none, or it was sent again in vain */
    uint64_t rate_delivered; /* `delivered` when that frame was sent: which round it belongs to */
    unsigned lost;           /* frames newly found lost */
    unsigned loss_runs;      /* of these, how many not right behind another */
    uint64_t records, payload_end; /* of the newest frame on the peer's disk; 0 = none new */
};
/* cumulative: full number, durable. bitmap as in struct frame_control. min_rtt_ms: less than this
 * after a resend, what arrived was the sending before. */
struct arq_ack_result arq_send_on_ack(struct arq_send *a, uint64_t cumulative,
                                      const uint8_t *bitmap, size_t bitmap_bytes,
                                      int64_t min_rtt_ms, int64_t now_ms);
/* Nothing was heard for too long: the earliest frame that has not arrived is to be sent again.
 * Return: false = all have arrived (and wait for the peer's disk). */
bool arq_send_timeout(struct arq_send *a);
/* The link says that the frame did not leave. */
void arq_send_failed(struct arq_send *a, struct arq_frame *f);
/* The link was interrupted: all that has not arrived is to be sent again. */
void arq_send_interrupted(struct arq_send *a);

#endif
