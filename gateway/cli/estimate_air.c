#include "gateway/cli/estimate_air.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "link_drivers/line_clock.h"

#define BITS_A_BYTE     10
#define STREAM_FRAME    600 /* bytes of the largest frame with all of its bytes escaped */
#define STREAM_MAX      (16u << 20)
#define SESSION_MS      20000
#define BETWEEN_MS      10000
#define RING_MS         60000
#define GATEWAY_FRAMES  3 /* that wait for the modem at the operator's gateway */

/* One way of a line. */
struct way {
    struct line_clock clock;
    struct buf bytes;   /* under way */
    struct buf lengths; /* of the frames in it, each with the time at which it is over: struct piece */
    struct buf out;     /* what was delivered last */
    bool short_of_room;
};
struct piece {
    int64_t at_ms;
    size_t n;
};

struct frame {
    uint8_t bytes[ESTIMATE_MTU_MAX];
    size_t n;
    uint64_t token;
};

struct modem {
    struct frame hand[2]; /* what each end gave, */
    bool has_hand[2];     /* until it has left */
    bool gone; /* what this end gave is over there: it is to be told */
    bool short_of_room[2];
    struct frame queue[GATEWAY_FRAMES], arrived[2]; /* arrived: at that end, by the last session */
    bool has_arrived[2];
    size_t queued;
    bool in_session;
    int64_t session_at_ms; /* when it ends; between sessions: when the next may begin */
    int64_t rung_ms;       /* since when something waits for the modem; -1 = nothing */
};

struct estimate_air {
    struct estimate_link link;
    struct way ways[2]; /* by the end that sends */
    struct modem modem;
    struct estimate_totals totals;
};

struct estimate_air *estimate_air_new(const struct estimate_link *link)
{
    struct estimate_air *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->link = *link;
    a->modem.rung_ms = -1;
    for (int end = 0; end < 2; end++) {
        struct way *w = &a->ways[end];
        buf_init(&w->bytes, STREAM_MAX);
        buf_init(&w->lengths, STREAM_MAX);
        buf_init(&w->out, STREAM_MAX);
        if (!link->datagram)
            line_clock_init(&w->clock, (uint32_t)link->baud, BITS_A_BYTE, STREAM_FRAME);
    }
    return a;
}

void estimate_air_free(struct estimate_air *a)
{
    for (int end = 0; a && end < 2; end++) {
        buf_fini(&a->ways[end].bytes);
        buf_fini(&a->ways[end].lengths);
        buf_fini(&a->ways[end].out);
    }
    free(a);
}

static void count(struct estimate_air *a, enum estimate_end from, size_t n)
{
    size_t step = a->link.credit_bytes;
    *(from == ESTIMATE_HERE ? &a->totals.frames : &a->totals.back_frames) += 1;
    *(from == ESTIMATE_HERE ? &a->totals.bytes : &a->totals.back_bytes) += n;
    *(from == ESTIMATE_HERE ? &a->totals.credits : &a->totals.back_credits) +=
        step ? (n + step - 1) / step : 0;
}

/* ---- a line ---- */

static struct piece first_piece(const struct way *w)
{
    struct piece p = {INT64_MAX, 0};
    if (w->lengths.len)
        memcpy(&p, buf_bytes(&w->lengths), sizeof p);
    return p;
}

static int line_send(struct estimate_air *a, enum estimate_end end, const uint8_t *bytes, size_t n,
                     int64_t now_ms)
{
    struct way *w = &a->ways[end];
    line_clock_sent(&w->clock, n, now_ms);
    const struct piece p = {(w->clock.idle_at_ns + 999999) / 1000000, n};
    if (!buf_put(&w->bytes, bytes, n) || !buf_put(&w->lengths, &p, sizeof p))
        return -ENOMEM;
    count(a, end, n);
    return 0;
}

static bool line_next(struct estimate_air *a, int64_t now_ms, struct estimate_air_event *e)
{
    for (int end = 0; end < 2; end++) {
        struct way *w = &a->ways[end];
        struct piece p = first_piece(w);
        if (p.at_ms <= now_ms) {
            buf_clear(&w->out);
            if (!buf_put(&w->out, buf_bytes(&w->bytes), p.n))
                return false;
            buf_consume(&w->bytes, p.n);
            buf_consume(&w->lengths, sizeof p);
            *e = (struct estimate_air_event){ESTIMATE_AIR_DELIVER, (enum estimate_end)!end,
                                             buf_bytes(&w->out), p.n, 0};
            return true;
        }
        if (w->short_of_room && line_clock_room(&w->clock, 0, 0, now_ms) > 0) {
            w->short_of_room = false;
            *e = (struct estimate_air_event){.kind = ESTIMATE_AIR_WRITABLE,
                                             .end = (enum estimate_end)end};
            return true;
        }
    }
    return false;
}

static int64_t line_deadline(const struct estimate_air *a, int64_t now_ms)
{
    int64_t next = INT64_MAX;
    for (int end = 0; end < 2; end++) {
        const struct way *w = &a->ways[end];
        int64_t at = first_piece(w).at_ms;
        next = at < next ? at : next;
        at = w->short_of_room ? line_clock_room_at_ms(&w->clock, 0, 0, now_ms) : INT64_MAX;
        next = at < next ? at : next;
    }
    return next;
}

/* ---- a modem ---- */

static size_t modem_room(const struct estimate_air *a, enum estimate_end end)
{
    const struct modem *m = &a->modem;
    if (m->has_hand[end] || (end == ESTIMATE_THERE && m->queued == GATEWAY_FRAMES))
        return 0;
    return end == ESTIMATE_THERE && a->link.mtu > ESTIMATE_BACK_MTU ? ESTIMATE_BACK_MTU
                                                                    : a->link.mtu;
}

static void modem_send(struct modem *m, enum estimate_end end, const uint8_t *bytes, size_t n,
                       uint64_t token)
{
    memcpy(m->hand[end].bytes, bytes, n);
    m->hand[end].n = n;
    m->hand[end].token = token;
    m->has_hand[end] = true;
}

/* A frame goes each way, where there is one. */
static void end_session(struct estimate_air *a, int64_t now_ms)
{
    struct modem *m = &a->modem;
    m->in_session = false;
    m->session_at_ms = now_ms + BETWEEN_MS;
    if (m->has_hand[ESTIMATE_HERE]) {
        count(a, ESTIMATE_HERE, m->hand[ESTIMATE_HERE].n);
        m->arrived[ESTIMATE_THERE] = m->hand[ESTIMATE_HERE];
        m->has_arrived[ESTIMATE_THERE] = m->gone = true;
    } else if (a->link.credit_bytes) {
        a->totals.polls++;
    }
    if (m->queued > 0) {
        m->arrived[ESTIMATE_HERE] = m->queue[0];
        m->has_arrived[ESTIMATE_HERE] = true;
        memmove(m->queue, m->queue + 1, --m->queued * sizeof *m->queue);
    }
    m->rung_ms = m->queued > 0 ? now_ms : -1;
}

static bool left(struct modem *m, enum estimate_end end, struct estimate_air_event *e)
{
    m->has_hand[end] = false;
    *e = (struct estimate_air_event){
        .kind = ESTIMATE_AIR_SENT, .end = end, .token = m->hand[end].token};
    return true;
}

static bool modem_next(struct estimate_air *a, int64_t now_ms, struct estimate_air_event *e)
{
    struct modem *m = &a->modem;
    if (m->in_session && m->session_at_ms <= now_ms)
        end_session(a, now_ms);
    if (m->gone) {
        m->gone = false;
        return left(m, ESTIMATE_HERE, e);
    }
    for (int end = 0; end < 2; end++) {
        if (m->has_arrived[end]) {
            m->has_arrived[end] = false;
            *e = (struct estimate_air_event){ESTIMATE_AIR_DELIVER, (enum estimate_end)end,
                                             m->arrived[end].bytes, m->arrived[end].n, 0};
            return true;
        }
    }
    if (m->has_hand[ESTIMATE_THERE] && m->queued < GATEWAY_FRAMES) {
        m->queue[m->queued++] = m->hand[ESTIMATE_THERE];
        count(a, ESTIMATE_THERE, m->hand[ESTIMATE_THERE].n);
        m->rung_ms = m->rung_ms < 0 ? now_ms : m->rung_ms;
        return left(m, ESTIMATE_THERE, e);
    }
    for (int end = 0; end < 2; end++) {
        if (m->short_of_room[end] && modem_room(a, (enum estimate_end)end) > 0) {
            m->short_of_room[end] = false;
            *e = (struct estimate_air_event){.kind = ESTIMATE_AIR_WRITABLE,
                                             .end = (enum estimate_end)end};
            return true;
        }
    }
    if (!m->in_session && m->session_at_ms <= now_ms &&
        (m->has_hand[ESTIMATE_HERE] || (m->rung_ms >= 0 && now_ms >= m->rung_ms + RING_MS))) {
        m->in_session = true;
        m->session_at_ms = now_ms + SESSION_MS;
    }
    return false;
}

static int64_t modem_deadline(const struct modem *m)
{
    if (m->in_session || m->has_hand[ESTIMATE_HERE])
        return m->session_at_ms;
    if (m->rung_ms < 0)
        return INT64_MAX;
    return m->rung_ms + RING_MS > m->session_at_ms ? m->rung_ms + RING_MS : m->session_at_ms;
}

/* ---- either ---- */

size_t estimate_air_room(struct estimate_air *a, enum estimate_end end, int64_t now_ms)
{
    size_t room = a->link.datagram ? modem_room(a, end)
                                   : line_clock_room(&a->ways[end].clock, 0, 0, now_ms);
    if (room == 0)
        *(a->link.datagram ? &a->modem.short_of_room[end] : &a->ways[end].short_of_room) = true;
    return room;
}

int estimate_air_send(struct estimate_air *a, enum estimate_end end, const uint8_t *bytes, size_t n,
                      uint64_t token, int64_t now_ms)
{
    if (estimate_air_room(a, end, now_ms) < n)
        return -EAGAIN;
    if (!a->link.datagram)
        return line_send(a, end, bytes, n, now_ms);
    modem_send(&a->modem, end, bytes, n, token);
    return 0;
}

bool estimate_air_next(struct estimate_air *a, int64_t now_ms, struct estimate_air_event *e)
{
    return a->link.datagram ? modem_next(a, now_ms, e) : line_next(a, now_ms, e);
}

int64_t estimate_air_deadline(const struct estimate_air *a, int64_t now_ms)
{
    return a->link.datagram ? modem_deadline(&a->modem) : line_deadline(a, now_ms);
}

const struct estimate_totals *estimate_air_totals(const struct estimate_air *a)
{
    return &a->totals;
}
