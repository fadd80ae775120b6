#include "gateway/wire/pace.h"

#include "gateway/wire/frame.h"

#define FRAMED_MAX (FRAME_MAX_BYTES + 2)
/* Before anything is measured: both ends' loops, a radio's key-up, a satellite's hop. */
#define FIRST_RTT_MS     2000
#define FIRST_FLIGHT     (2 * FRAMED_MAX)
#define MIN_RTT_SPAN_MS  20000
#define DEEP_DRAIN_EVERY 4
#define BANDWIDTH_ROUNDS 10
#define ACK_DELAY_MIN_MS 20
#define ACK_DELAY_MAX_MS 1000
/* What a frame costs beside its content: header, check, tag, framing. */
#define FRAME_COST  10.0
#define CONTENT_MIN 48
/* Bytes over which the error rate is remembered: long enough to see 1e-4, short enough to follow
 * weather. */
#define ERROR_MEMORY 65536.0

void pace_init(struct pace *p, uint32_t rate_bytes_s)
{
    *p = (struct pace){
        .rate_bytes_s = rate_bytes_s, .srtt_ms = -1, .min_rtt_ms = -1, .startup = true};
}

void pace_restart(struct pace *p)
{
    double lost = p->lost, sent = p->sent;
    pace_init(p, p->rate_bytes_s);
    p->lost = lost;
    p->sent = sent;
}

static uint64_t bandwidth(const struct pace *p)
{
    return p->bandwidth[0] > p->bandwidth[1] ? p->bandwidth[0] : p->bandwidth[1];
}

int64_t pace_line_ms(const struct pace *p, size_t n)
{
    return p->rate_bytes_s > 0 ? (int64_t)(n * 1000 / p->rate_bytes_s) : 0;
}

int64_t pace_rto_ms(const struct pace *p, unsigned tries)
{
    int64_t rto;
    if (p->srtt_ms < 0) {
        rto = FIRST_RTT_MS + 3 * pace_line_ms(p, FRAMED_MAX);
    } else {
        int64_t spread = 4 * p->rttvar_ms;
        rto = p->srtt_ms + (spread > PACE_RTO_MIN_MS ? spread : PACE_RTO_MIN_MS) +
              pace_line_ms(p, FRAMED_MAX);
    }
    for (unsigned i = 0; i < tries && rto < PACE_RTO_MAX_MS; i++)
        rto *= 2;
    return rto < PACE_RTO_MAX_MS ? rto : PACE_RTO_MAX_MS;
}

int64_t pace_ack_delay_ms(const struct pace *p)
{
    int64_t delay = pace_line_ms(p, FRAMED_MAX) / 2;
    if (p->srtt_ms / 4 > delay)
        delay = p->srtt_ms / 4;
    if (delay < ACK_DELAY_MIN_MS)
        delay = ACK_DELAY_MIN_MS;
    return delay < ACK_DELAY_MAX_MS ? delay : ACK_DELAY_MAX_MS;
}

/* What the line carries in its shortest round trip. That holds one frame's own time on the line and the peer's delay of its
 * acknowledgement. */
static uint64_t pipe_bytes(const struct pace *p)
{
    return bandwidth(p) * (uint64_t)p->min_rtt_ms / 1000;
}

/* In flight while draining. To keep the line busy, a frame more than it carries: then no round trip can be seen that is shorter
 * than the one known, so now and then it is less. */
static uint64_t drain_limit(const struct pace *p)
{
    uint64_t pipe = pipe_bytes(p);
    uint64_t less = pipe / 4 > FRAMED_MAX ? pipe / 4 : FRAMED_MAX;
    if (p->drains % DEEP_DRAIN_EVERY != 0)
        return pipe + FRAMED_MAX;
    return pipe > less + FRAMED_MAX ? pipe - less : FRAMED_MAX;
}

bool pace_allows(const struct pace *p, size_t in_flight, size_t more)
{
    uint64_t bw = bandwidth(p);
    if (bw == 0 || p->min_rtt_ms < 0)
        return in_flight + more <= FIRST_FLIGHT;
    uint64_t pipe = pipe_bytes(p), limit;
    if (p->startup)
        limit = 2 * pipe + FIRST_FLIGHT;
    else if (p->draining)
        limit = drain_limit(p);
    else
        limit = pipe + bw * PACE_QUEUE_MS / 1000 + FRAMED_MAX;
    return in_flight + more <= limit;
}

static void measure_rtt(struct pace *p, int64_t rtt_ms, int64_t now_ms)
{
    if (p->srtt_ms < 0) {
        p->srtt_ms = rtt_ms;
        p->rttvar_ms = rtt_ms / 2;
    } else {
        int64_t off = rtt_ms > p->srtt_ms ? rtt_ms - p->srtt_ms : p->srtt_ms - rtt_ms;
        p->rttvar_ms += (off - p->rttvar_ms) / 4;
        p->srtt_ms += (rtt_ms - p->srtt_ms) / 8;
    }
    /* A queue stands: the rate is found, whatever the rounds say. */
    if (p->min_rtt_ms >= 0 && rtt_ms > p->min_rtt_ms + 2 * PACE_QUEUE_MS)
        p->startup = false;
    if (p->min_rtt_ms < 0 || rtt_ms <= p->min_rtt_ms) {
        p->min_rtt_ms = rtt_ms;
        p->min_rtt_at_ms = now_ms;
        return;
    }
    if (p->draining && now_ms >= p->drain_until_ms) {
        /* The round trip has become longer if what we had in flight, and the peer's delay, do not explain what was seen. Taken for
         * longer whenever it was, it would grow by a frame's time with each drain behind a modem that buffers. */
        uint64_t bw = bandwidth(p);
        int64_t ours_ms = bw > 0 ? (int64_t)(drain_limit(p) * 1000 / bw) : 0;
        p->draining = false;
        if (rtt_ms > ours_ms + pace_ack_delay_ms(p))
            p->min_rtt_ms = rtt_ms;
        p->min_rtt_at_ms = now_ms;
    } else if (!p->draining && now_ms - p->min_rtt_at_ms > MIN_RTT_SPAN_MS) {
        p->draining = true;
        p->drains++;
        p->drain_until_ms = now_ms + p->srtt_ms + PACE_QUEUE_MS;
    }
}

void pace_on_limited(struct pace *p)
{
    p->limited = true;
}

static void end_round(struct pace *p)
{
    if (!p->limited)
        return;
    p->limited = false;
    if (p->startup) {
        uint64_t bw = bandwidth(p);
        if (bw > p->startup_best + p->startup_best / 4) {
            p->startup_best = bw;
            p->startup_flat = 0;
        } else if (++p->startup_flat >= 3) {
            p->startup = false;
        }
    }
    if (++p->rounds >= BANDWIDTH_ROUNDS) {
        p->rounds = 0;
        p->bandwidth[1] = p->bandwidth[0];
        p->bandwidth[0] = 0;
    }
}

void pace_on_ack(struct pace *p, int64_t rtt_ms, uint64_t rate_bytes_s, uint64_t rate_delivered,
                 uint64_t delivered, int64_t now_ms)
{
    if (rtt_ms < 0)
        return;
    measure_rtt(p, rtt_ms, now_ms);
    if (rate_delivered >= p->round_end) {
        end_round(p);
        p->round_end = delivered;
    }
    if (rate_bytes_s > p->bandwidth[0])
        p->bandwidth[0] = rate_bytes_s;
}

void pace_on_fate(struct pace *p, size_t bytes, unsigned loss_runs)
{
    double keep = 1.0 - (double)bytes / ERROR_MEMORY;
    if (keep < 0.5)
        keep = 0.5;
    p->lost = p->lost * keep + loss_runs;
    p->sent = p->sent * keep + (double)bytes;
}

size_t pace_content_bytes(const struct pace *p)
{
    /* Per byte error e, cost h: the share that gets through is (L - h) / L * (1 - e)^L, best near
     * L = sqrt(h / e). Compared squared, so that no libm is needed; a doubt of half a loss keeps
     * one unlucky frame on a new line from halving the rest. */
    double e = p->lost > 0.5 ? (p->lost - 0.5) / (p->sent > 4096 ? p->sent : 4096) : 0;
    size_t content = FRAME_CONTENT_MAX;
    while (content > CONTENT_MIN) {
        double length = (double)content + FRAME_COST;
        if (length * length * e <= FRAME_COST)
            break;
        content -= 6;
    }
    return content < CONTENT_MIN ? CONTENT_MIN : content;
}
