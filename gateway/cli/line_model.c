#include "gateway/cli/line_model.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/cli/seeded.h"

#define BITS_PER_BYTE 10 /* start, eight data, stop */

struct flight {
    int64_t at_ns; /* when it is heard */
    uint8_t byte;
};

/* One direction. Times are nanoseconds inside, so that 9600 baud does not drift by rounding. */
struct way {
    struct line_quality q;
    uint8_t queue[LINE_QUEUE_BYTES];
    int64_t said_ns[LINE_QUEUE_BYTES]; /* when each queued byte was there to be sent */
    size_t queue_head, queue_len;
    struct flight *flight; /* ring of LINE_FLIGHT_BYTES, grown in doublings */
    size_t flight_cap, flight_head, flight_len;
    int64_t free_ns; /* the line has sent everything before this */
    int64_t last_ns; /* arrival of the newest byte in flight: a shorter delay must not reorder */
    uint32_t burst_left;
    struct line_counters n;
};

struct line_model {
    struct way ways[2];
    struct seeded chance;
    bool cut, half;
};

struct line_model *line_model_new(uint64_t seed)
{
    struct line_model *m = calloc(1, sizeof *m);
    if (m != NULL)
        m->chance.state = seed;
    return m;
}

void line_model_free(struct line_model *m)
{
    if (m == NULL)
        return;
    free(m->ways[LINE_A].flight);
    free(m->ways[LINE_B].flight);
    free(m);
}

void line_model_set(struct line_model *m, enum line_end from, const struct line_quality *q)
{
    m->ways[from].q = *q;
}

void line_model_get(const struct line_model *m, enum line_end from, struct line_quality *q)
{
    *q = m->ways[from].q;
}

void line_model_cut(struct line_model *m, bool cut)
{
    m->cut = cut;
}

bool line_model_is_cut(const struct line_model *m)
{
    return m->cut;
}

void line_model_half_duplex(struct line_model *m, bool half)
{
    m->half = half;
}

bool line_model_is_half_duplex(const struct line_model *m)
{
    return m->half;
}

/* Makes the ring hold one more. False: it is full, as much as it may ever be, or out of memory. */
static bool flight_room(struct way *w)
{
    if (w->flight_len < w->flight_cap)
        return true;
    size_t cap = w->flight_cap == 0 ? 1024 : w->flight_cap * 2;
    if (cap > LINE_FLIGHT_BYTES)
        return false;
    struct flight *ring = malloc(cap * sizeof *ring);
    if (ring == NULL)
        return false;
    for (size_t i = 0; i < w->flight_len; i++)
        ring[i] = w->flight[(w->flight_head + i) & (w->flight_cap - 1)];
    free(w->flight);
    w->flight = ring;
    w->flight_cap = cap;
    w->flight_head = 0;
    return true;
}

static struct flight *flight_at(struct way *w, size_t i)
{
    return &w->flight[(w->flight_head + i) & (w->flight_cap - 1)];
}

static void fly(struct way *w, uint8_t byte, int64_t at_ns)
{
    if (!flight_room(w)) {
        w->n.lost++;
        return;
    }
    if (at_ns < w->last_ns)
        at_ns = w->last_ns;
    w->last_ns = at_ns;
    w->flight_len++;
    *flight_at(w, w->flight_len - 1) = (struct flight){.at_ns = at_ns, .byte = byte};
}

static int64_t byte_ns(const struct way *w)
{
    return w->q.baud == 0 ? 0 : BITS_PER_BYTE * 1000000000ll / w->q.baud;
}

static uint8_t noise(struct line_model *m)
{
    return (uint8_t)seeded_next(&m->chance);
}

/* What the line does to one byte that was sent from start_ns to end_ns. */
static void pass(struct line_model *m, struct way *w, uint8_t byte, int64_t end_ns)
{
    int64_t at_ns = end_ns + (int64_t)w->q.delay_us * 1000;
    uint8_t heard = byte;
    if (m->cut) {
        w->n.cut++;
        return;
    }
    if (seeded_chance(&m->chance, w->q.burst_ppb))
        w->burst_left = w->q.burst_bytes;
    if (w->burst_left > 0) {
        w->burst_left--;
        heard = noise(m);
    }
    if (w->q.bit_error_ppb != 0)
        for (int bit = 0; bit < 8; bit++)
            if (seeded_chance(&m->chance, w->q.bit_error_ppb))
                heard ^= (uint8_t)(1 << bit);
    if (heard != byte)
        w->n.damaged++;
    if (seeded_chance(&m->chance, w->q.loss_ppb))
        w->n.lost++;
    else
        fly(w, heard, at_ns);
    if (seeded_chance(&m->chance, w->q.insert_ppb)) {
        w->n.invented++;
        fly(w, noise(m), at_ns);
    }
}

/* When the way's first queued byte begins to leave. */
static int64_t start_ns(const struct way *w)
{
    int64_t said = w->said_ns[w->queue_head];
    return said > w->free_ns ? said : w->free_ns;
}

/* Sends the first queued byte of a way. On a half-duplex line a byte that begins while the other
 * end's is still on the air garbles both. */
static void send_one(struct line_model *m, enum line_end from)
{
    struct way *w = &m->ways[from], *other = &m->ways[1 - from];
    int64_t start = start_ns(w);
    int64_t end = start + byte_ns(w);
    uint8_t byte = w->queue[w->queue_head];
    if (m->half && other->free_ns > start) {
        if (other->flight_len > 0)
            flight_at(other, other->flight_len - 1)->byte = noise(m);
        byte = noise(m);
        other->n.collided++;
        w->n.collided++;
    }
    w->queue_head = (w->queue_head + 1) % LINE_QUEUE_BYTES;
    w->queue_len--;
    w->free_ns = end;
    w->n.sent++;
    w->n.busy_us += (end - start) / 1000;
    pass(m, w, byte, end);
}

/* Sends all that begins by now, in the order in which it begins, both ends together. */
static void advance(struct line_model *m, int64_t now_us)
{
    int64_t now_ns = now_us * 1000;
    for (;;) {
        struct way *a = &m->ways[LINE_A], *b = &m->ways[LINE_B];
        int64_t at_a = a->queue_len > 0 ? start_ns(a) : INT64_MAX;
        int64_t at_b = b->queue_len > 0 ? start_ns(b) : INT64_MAX;
        enum line_end first = at_a <= at_b ? LINE_A : LINE_B;
        if ((first == LINE_A ? at_a : at_b) > now_ns)
            return;
        send_one(m, first);
    }
}

size_t line_model_room(struct line_model *m, enum line_end from, int64_t now_us)
{
    advance(m, now_us);
    return LINE_QUEUE_BYTES - m->ways[from].queue_len;
}

void line_model_say(struct line_model *m, enum line_end from, const uint8_t *bytes, size_t n,
                    int64_t now_us)
{
    struct way *w = &m->ways[from];
    assert(n <= LINE_QUEUE_BYTES - w->queue_len);
    for (size_t i = 0; i < n; i++) {
        size_t at = (w->queue_head + w->queue_len) % LINE_QUEUE_BYTES;
        w->queue[at] = bytes[i];
        w->said_ns[at] = now_us * 1000;
        w->queue_len++;
    }
    advance(m, now_us);
}

size_t line_model_hear(struct line_model *m, enum line_end at, uint8_t *out, size_t max,
                       int64_t now_us)
{
    struct way *w = &m->ways[1 - at];
    size_t n = 0;
    advance(m, now_us);
    while (n < max && w->flight_len > 0 && flight_at(w, 0)->at_ns <= now_us * 1000) {
        out[n++] = flight_at(w, 0)->byte;
        w->flight_head = (w->flight_head + 1) & (w->flight_cap - 1);
        w->flight_len--;
    }
    w->n.heard += n;
    return n;
}

size_t line_model_inject(struct line_model *m, enum line_end at, const uint8_t *bytes, size_t n,
                         int64_t now_us)
{
    struct way *w = &m->ways[1 - at];
    size_t done = 0;
    advance(m, now_us);
    /* They go before what is still in flight, by making the ring's front arrive now. */
    while (done < n && flight_room(w)) {
        w->flight_head = (w->flight_head + w->flight_cap - 1) & (w->flight_cap - 1);
        w->flight_len++;
        *flight_at(w, 0) = (struct flight){.at_ns = now_us * 1000, .byte = bytes[n - 1 - done]};
        done++;
    }
    w->n.invented += done;
    return done;
}

void line_model_unplug(struct line_model *m, enum line_end end, int64_t now_us)
{
    advance(m, now_us);
    m->ways[end].queue_len = 0;
    m->ways[1 - end].flight_len = 0;
}

int64_t line_model_next_us(struct line_model *m, int64_t now_us)
{
    int64_t next_ns = INT64_MAX;
    advance(m, now_us);
    for (int end = 0; end < 2; end++) {
        struct way *w = &m->ways[end];
        if (w->flight_len > 0 && flight_at(w, 0)->at_ns < next_ns)
            next_ns = flight_at(w, 0)->at_ns;
        if (w->queue_len > 0 && start_ns(w) < next_ns)
            next_ns = start_ns(w);
    }
    return next_ns == INT64_MAX ? INT64_MAX : (next_ns + 999) / 1000;
}

size_t line_model_waiting(const struct line_model *m, enum line_end from)
{
    return m->ways[from].queue_len;
}

void line_model_counters(const struct line_model *m, enum line_end from, struct line_counters *out)
{
    *out = m->ways[from].n;
}
