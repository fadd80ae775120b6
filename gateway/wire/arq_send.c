#include "gateway/wire/arq_send.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void arq_send_init(struct arq_send *a)
{
    *a = (struct arq_send){.first = 1, .next = 1};
}

void arq_send_fini(struct arq_send *a)
{
    for (size_t i = 0; i < FRAME_WINDOW; i++)
        free(a->frames[i].bytes);
    *a = (struct arq_send){0};
}

void arq_send_reset(struct arq_send *a)
{
    arq_send_fini(a);
    arq_send_init(a);
}

bool arq_send_full(const struct arq_send *a)
{
    return a->next - a->first >= FRAME_WINDOW;
}

struct arq_frame *arq_send_get(struct arq_send *a, uint64_t number)
{
    if (number < a->first || number >= a->next)
        return NULL;
    return &a->frames[number % FRAME_WINDOW];
}

struct arq_frame *arq_send_add(struct arq_send *a, const uint8_t *bytes, size_t n)
{
    assert(!arq_send_full(a));
    struct arq_frame *f = &a->frames[a->next % FRAME_WINDOW];
    *f = (struct arq_frame){.bytes = malloc(n), .len = n, .lost = true};
    if (!f->bytes)
        return NULL;
    memcpy(f->bytes, bytes, n);
    a->next++;
    a->lost_count++;
    return f;
}

struct arq_frame *arq_send_due(struct arq_send *a)
{
    if (a->lost_count == 0)
        return NULL;
    for (uint64_t number = a->first; number < a->next; number++)
        if (a->frames[number % FRAME_WINDOW].lost)
            return &a->frames[number % FRAME_WINDOW];
    return NULL;
}

void arq_send_sent(struct arq_send *a, struct arq_frame *f, int64_t now_ms)
{
    assert(f->lost);
    f->lost = false;
    a->lost_count--;
    a->in_flight++;
    a->in_flight_bytes += f->len;
    if (a->in_flight == 1 && a->delivered_at_ms < now_ms)
        a->delivered_at_ms = now_ms; /* after a pause the rate is measured anew */
    f->sent_count++;
    f->serial_before = f->serial;
    f->serial = ++a->serial;
    f->sent_before_ms = f->sent_at_ms;
    f->sent_at_ms = now_ms;
    f->delivered_then = a->delivered;
    f->delivered_at_then_ms = a->delivered_at_ms;
}

static void leave_flight(struct arq_send *a, struct arq_frame *f)
{
    if (f->lost) {
        f->lost = false;
        a->lost_count--;
    } else if (!f->received) {
        a->in_flight--;
        a->in_flight_bytes -= f->len;
    }
}

/* The latest first sending among those that an acknowledgement told of. */
struct sample {
    uint64_t serial;
    int64_t sent_at_ms, delivered_at_ms;
    uint64_t delivered;
};

static void arrived(struct arq_send *a, struct arq_frame *f, int64_t min_rtt_ms, int64_t now_ms,
                    struct arq_ack_result *r, struct sample *best)
{
    if (f->received)
        return;
    leave_flight(a, f);
    f->received = true;
    r->progress = true;
    r->arrived_bytes += f->len;
    uint64_t serial = f->serial;
    if (f->sent_count > 1 && now_ms - f->sent_at_ms < min_rtt_ms) {
        serial = f->serial_before;
        if (f->sent_count == 2)
            r->rtt_ms = now_ms - f->sent_before_ms;
    }
    if (serial > a->highest_arrived)
        a->highest_arrived = serial;
    if (f->sent_count == 1 && serial > best->serial)
        *best = (struct sample){serial, f->sent_at_ms, f->delivered_at_then_ms, f->delivered_then};
}

static void find_lost(struct arq_send *a, struct arq_ack_result *r, int64_t now_ms)
{
    bool run = false;
    for (uint64_t number = a->first; number < a->next; number++) {
        struct arq_frame *f = &a->frames[number % FRAME_WINDOW];
        if (f->received || f->lost || f->sent_count == 0) {
            run = false;
            continue;
        }
        if (f->serial >= a->highest_arrived || now_ms - f->sent_at_ms < a->patience_ms)
            continue;
        leave_flight(a, f);
        f->lost = true;
        a->lost_count++;
        r->lost++;
        r->loss_runs += run ? 0 : 1;
        run = true;
    }
}

struct arq_ack_result arq_send_on_ack(struct arq_send *a, uint64_t cumulative,
                                      const uint8_t *bitmap, size_t bitmap_bytes,
                                      int64_t min_rtt_ms, int64_t now_ms)
{
    struct arq_ack_result r = {.rtt_ms = -1};
    struct sample best = {0};
    if (cumulative >= a->next || cumulative + 1 < a->first)
        return r;
    r.valid = true;
    for (size_t i = 0; i < bitmap_bytes * 8; i++) {
        struct arq_frame *f = arq_send_get(a, cumulative + 1 + i);
        if (f && f->sent_count > 0 && (bitmap[i / 8] >> (i % 8) & 1))
            arrived(a, f, min_rtt_ms, now_ms, &r, &best);
    }
    while (a->first <= cumulative) {
        struct arq_frame *f = &a->frames[a->first % FRAME_WINDOW];
        arrived(a, f, min_rtt_ms, now_ms, &r, &best);
        r.progress = true;
        r.records = f->records;
        r.payload_end = f->payload_end;
        free(f->bytes);
        *f = (struct arq_frame){0};
        a->first++;
    }
    if (r.arrived_bytes > 0) {
        a->delivered += r.arrived_bytes;
        a->delivered_at_ms = now_ms;
    }
    if (best.serial > 0) {
        r.rtt_ms = now_ms - best.sent_at_ms;
        /* Over the longer of both intervals, so that acknowledgements that come in clumps do not
         * flatter. */
        int64_t took = now_ms - (best.delivered_at_ms < best.sent_at_ms ? best.delivered_at_ms
                                                                        : best.sent_at_ms);
        r.rate_bytes_s = (a->delivered - best.delivered) * 1000 / (uint64_t)(took > 0 ? took : 1);
        r.rate_delivered = best.delivered;
    }
    find_lost(a, &r, now_ms);
    return r;
}

bool arq_send_timeout(struct arq_send *a)
{
    for (uint64_t number = a->first; number < a->next; number++) {
        struct arq_frame *f = &a->frames[number % FRAME_WINDOW];
        if (f->received)
            continue;
        if (!f->lost) {
            leave_flight(a, f);
            f->lost = true;
            a->lost_count++;
        }
        return true;
    }
    return false;
}

void arq_send_failed(struct arq_send *a, struct arq_frame *f)
{
    if (f->received || f->lost)
        return;
    leave_flight(a, f);
    f->lost = true;
    a->lost_count++;
}

void arq_send_interrupted(struct arq_send *a)
{
    for (uint64_t number = a->first; number < a->next; number++) {
        struct arq_frame *f = &a->frames[number % FRAME_WINDOW];
        if (f->received || f->lost)
            continue;
        leave_flight(a, f);
        f->lost = true;
        a->lost_count++;
    }
}
