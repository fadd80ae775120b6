/* What the line can take, learnt from what comes back: round-trip time and timeouts (RFC 6298,
 * Karn), how much may be in flight, and how long a frame should be at the line's error rate. Pure.
 *
 * In flight: what the line carries in its shortest round trip, and no more than PACE_QUEUE_MS of
 * line time beside it, so that an alarm does not wait behind what a modem has buffered. */
#ifndef WIRE_PACE_H
#define WIRE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_QUEUE_MS    750
#define PACE_RTO_MIN_MS  250
#define PACE_RTO_MAX_MS  60000
#define PACE_BACKOFF_MAX 6

struct pace {
    uint32_t rate_bytes_s;      /* of the line as configured; 0 = not known */
    int64_t srtt_ms, rttvar_ms; /* srtt -1 = not measured */
    int64_t min_rtt_ms;         /* of the current window; -1 = not measured */
    int64_t min_rtt_at_ms;
    bool draining; /* for one round the queue is let run dry, to see the true round trip */
    unsigned drains; /* so far */
    int64_t drain_until_ms;
    uint64_t bandwidth[2]; /* highest delivery rate of this and the last span of rounds, bytes/s */
    unsigned rounds;       /* in this span */
    uint64_t round_end;    /* `delivered` that ends the round */
    bool startup;          /* the line's rate is not found yet */
    uint64_t startup_best;
    unsigned startup_flat; /* rounds without growth */
    bool limited;          /* this round, more would have been sent */
    double lost, sent;     /* decaying counts: loss runs, bytes */
};

void pace_init(struct pace *p, uint32_t rate_bytes_s);
/* The line or its other end may have changed: measures anew, but keeps what it takes for likely. */
void pace_restart(struct pace *p);

/* Milliseconds that n bytes take on the line, as far as known (0 = not known). */
int64_t pace_line_ms(const struct pace *p, size_t n);
/* Time to wait for an answer; tries: how often it was waited for in vain. */
int64_t pace_rto_ms(const struct pace *p, unsigned tries);
/* How long an acknowledgement may wait for data to ride on. */
int64_t pace_ack_delay_ms(const struct pace *p);
/* May further `more` bytes be sent with in_flight bytes under way? */
bool pace_allows(const struct pace *p, size_t in_flight, size_t more);

/* More waits than pace_allows lets go. Only such rounds can tell what the line takes: in others the
 * rate that was measured is what there was to send. */
void pace_on_limited(struct pace *p);

/* One acknowledgement: as in struct arq_ack_result; delivered: the sum so far. */
void pace_on_ack(struct pace *p, int64_t rtt_ms, uint64_t rate_bytes_s, uint64_t rate_delivered,
                 uint64_t delivered, int64_t now_ms);
/* For the error rate: so many bytes reached their fate, with so many runs of losses among them. */
void pace_on_fate(struct pace *p, size_t bytes, unsigned loss_runs);
/* Bytes that a frame's content should have. */
size_t pace_content_bytes(const struct pace *p);

#endif
