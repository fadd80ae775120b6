#include "link_drivers/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "link_drivers/link_report.h"

/* STREAM: a piece taken at once, and the line time that may be held before the next one. */
#define STREAM_ROOM_BYTES 1024
#define STREAM_AHEAD_US   100000

struct packet {
    struct packet *next;
    int64_t due_ms;
    size_t n;
    uint8_t bytes[];
};

/* What is under way to an end, by arrival. */
struct flight {
    struct packet *first;
    size_t count;
};

struct loop {
    struct link_host *host;
    struct loop_line *line;
    int end;
    enum link_kind kind;
    bool started;
    struct link_report report;
    struct flight in;
    int64_t busy_until_us; /* sending */
    bool sending;          /* DATAGRAM: an outcome is due at busy_until_us */
    uint64_t token;
    enum send_outcome outcome;
    bool short_of_room;
    uint64_t bytes_in, bytes_out;
};

struct loop_line {
    struct loop_settings settings;
    uint64_t random;
    bool cut;
    struct loop *ends[2]; /* NULL = not in use */
};

struct loop_line *loop_line_new(const struct loop_settings *settings)
{
    assert(settings->bytes_s > 0 && settings->mtu <= LOOP_MTU_MAX_BYTES);
    struct loop_line *line = calloc(1, sizeof(*line));
    if (!line)
        return NULL;
    line->settings = *settings;
    if (line->settings.delay_max_ms < settings->delay_min_ms)
        line->settings.delay_max_ms = settings->delay_min_ms;
    line->random = settings->seed;
    return line;
}

void loop_line_free(struct loop_line *line)
{
    assert(!line || (!line->ends[0] && !line->ends[1]));
    free(line);
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t line_random(struct loop_line *line)
{
    uint64_t z = line->random += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static bool line_chance(struct loop_line *line, unsigned permille)
{
    return line_random(line) % 1000 < permille;
}

static bool line_joined(const struct loop_line *line)
{
    return !line->cut && line->ends[0] && line->ends[0]->started && line->ends[1] &&
           line->ends[1]->started;
}

static struct loop *other_end(const struct loop *l)
{
    return l->line->ends[1 - l->end];
}

/* --- what is under way --- */

static void flight_clear(struct flight *f)
{
    while (f->first) {
        struct packet *p = f->first;
        f->first = p->next;
        free(p);
    }
    f->count = 0;
}

/* Behind all that arrive no later, so that equal times keep their order. Out of bound or memory, it
 * is lost. */
static void flight_add(struct flight *f, const uint8_t *bytes, size_t n, int64_t due_ms)
{
    struct packet *p = f->count < LOOP_FLIGHT_MAX ? malloc(sizeof(*p) + n) : NULL;
    if (!p)
        return;
    p->due_ms = due_ms;
    p->n = n;
    memcpy(p->bytes, bytes, n);
    struct packet **at = &f->first;
    while (*at && (*at)->due_ms <= due_ms)
        at = &(*at)->next;
    p->next = *at;
    *at = p;
    f->count++;
}

/* --- an end --- */

static int64_t us_to_ms_up(int64_t us)
{
    return (us + 999) / 1000;
}

static size_t room_now(const struct loop *l, int64_t now_ms)
{
    if (l->report.state != LINK_UP)
        return 0;
    if (l->kind == LINK_DATAGRAM)
        return l->sending ? 0 : l->line->settings.mtu;
    const struct loop *other = other_end(l);
    if (l->busy_until_us - now_ms * 1000 > STREAM_AHEAD_US || !other ||
        other->in.count >= LOOP_FLIGHT_MAX)
        return 0;
    return STREAM_ROOM_BYTES;
}

static void arm(struct loop *l, int64_t now_ms)
{
    int64_t at = INT64_MAX;
    if (l->started) {
        if (l->report.state != LINK_UP && line_joined(l->line))
            at = now_ms; /* after a reset */
        if (l->in.first && l->in.first->due_ms < at)
            at = l->in.first->due_ms;
        if (l->sending && us_to_ms_up(l->busy_until_us) < at)
            at = us_to_ms_up(l->busy_until_us);
        if (l->short_of_room && l->kind == LINK_STREAM && l->report.state == LINK_UP) {
            int64_t free_ms = us_to_ms_up(l->busy_until_us - STREAM_AHEAD_US);
            if (free_ms <= now_ms)
                free_ms = now_ms + 1; /* the other end is slow in taking what came */
            if (free_ms < at)
                at = free_ms;
        }
    }
    l->host->ops->timer(l->host, at);
}

/* Has the other end look at the line in its own turn. */
static void wake_other(struct loop *l, int64_t at_ms)
{
    struct loop *other = other_end(l);
    if (other && other->started)
        other->host->ops->timer(other->host, at_ms);
}

/* What is under way to us and from us is lost; whether the frame in hand had left is not known. */
static void lose_all(struct loop *l)
{
    flight_clear(&l->in);
    l->busy_until_us = 0;
    if (l->sending) {
        l->sending = false;
        l->host->ops->sent(l->host, STATION_NONE, l->token, SEND_UNKNOWN);
    }
}

static void tell_state(struct loop *l)
{
    bool joined = line_joined(l->line);
    if (joined) {
        link_report(&l->report, l->host, LINK_UP, "joined");
        return;
    }
    lose_all(l);
    link_report(&l->report, l->host, LINK_CONNECTING, "no other end");
}

static int loop_init(void *ctx, const void *options, struct link_host *host, enum link_kind kind)
{
    struct loop *l = ctx;
    const struct loop_options *o = options;
    l->host = host;
    l->kind = kind;
    if (!o->line || o->end < 0 || o->end > 1 || o->line->ends[o->end])
        return -EINVAL;
    l->line = o->line;
    l->end = o->end;
    l->line->ends[l->end] = l;
    return 0;
}

static int loop_stream_init(void *ctx, const void *options, struct link_host *host)
{
    return loop_init(ctx, options, host, LINK_STREAM);
}

static int loop_datagram_init(void *ctx, const void *options, struct link_host *host)
{
    return loop_init(ctx, options, host, LINK_DATAGRAM);
}

static void loop_start(void *ctx, int64_t now_ms)
{
    struct loop *l = ctx;
    if (l->started)
        return;
    l->started = true;
    tell_state(l);
    arm(l, now_ms);
    wake_other(l, now_ms);
}

static void loop_stop(void *ctx, int64_t now_ms)
{
    struct loop *l = ctx;
    if (!l->started)
        return;
    l->started = false;
    l->short_of_room = false;
    lose_all(l);
    arm(l, now_ms);
    wake_other(l, now_ms);
    link_report(&l->report, l->host, LINK_DOWN, "stopped");
}

static void loop_fini(void *ctx)
{
    struct loop *l = ctx;
    if (!l->line)
        return;
    loop_stop(ctx, 0);
    l->line->ends[l->end] = NULL;
    l->line = NULL;
}

static size_t loop_room(void *ctx, station_t station, int64_t now_ms)
{
    struct loop *l = ctx;
    if (station != STATION_NONE)
        return 0;
    size_t room = room_now(l, now_ms);
    if (room == 0 && l->started) {
        l->short_of_room = true;
        arm(l, now_ms);
    }
    return room;
}

/* Decides by the seed what becomes of a frame. The dice are always thrown in the same order and
 * number, so that one setting changed does not change the others' luck. */
static void throw_datagram(struct loop *l, const uint8_t *bytes, size_t n, int64_t sent_ms)
{
    struct loop_line *line = l->line;
    const struct loop_settings *s = &line->settings;
    bool failed = line_chance(line, s->fail_permille);
    bool unknown = line_chance(line, s->unknown_permille);
    bool lost = line_chance(line, s->lose_permille);
    bool unknown_arrives = line_chance(line, 500);
    bool doubled = line_chance(line, s->double_permille);
    uint64_t spread = (uint64_t)(s->delay_max_ms - s->delay_min_ms) + 1;
    int64_t due[2];
    for (int i = 0; i < 2; i++)
        due[i] = sent_ms + s->delay_min_ms + (int64_t)(line_random(line) % spread);

    l->outcome = failed ? SEND_FAILED : unknown ? SEND_UNKNOWN : SEND_DONE;
    if (failed || (unknown ? !unknown_arrives : lost))
        return;
    struct flight *f = &other_end(l)->in;
    flight_add(f, bytes, n, due[0]);
    if (doubled)
        flight_add(f, bytes, n, due[1]);
}

static int loop_send(void *ctx, station_t station, const uint8_t *bytes, size_t n, uint64_t token,
                     bool urgent, int64_t now_ms)
{
    struct loop *l = ctx;
    if (l->report.state != LINK_UP || !line_joined(l->line) || station != STATION_NONE)
        return -ENOTCONN;
    if (l->kind == LINK_DATAGRAM && n > l->line->settings.mtu)
        return -EMSGSIZE;
    if (n > loop_room(ctx, station, now_ms)) {
        l->short_of_room = true;
        arm(l, now_ms);
        return -EAGAIN;
    }
    if (l->busy_until_us < now_ms * 1000)
        l->busy_until_us = now_ms * 1000;
    l->busy_until_us += (int64_t)n * 1000000 / l->line->settings.bytes_s;
    l->bytes_out += n;
    int64_t sent_ms = us_to_ms_up(l->busy_until_us);
    struct loop *other = other_end(l);
    if (l->kind == LINK_DATAGRAM) {
        l->sending = true;
        l->token = token;
        throw_datagram(l, bytes, n, sent_ms);
    } else {
        flight_add(&other->in, bytes, n, sent_ms + l->line->settings.delay_min_ms);
    }
    arm(l, now_ms);
    arm(other, now_ms);
    return 0;
}

static void deliver_due(struct loop *l, int64_t now_ms)
{
    while (l->in.first && l->in.first->due_ms <= now_ms) {
        struct packet *p = l->in.first;
        l->in.first = p->next;
        l->in.count--;
        l->bytes_in += p->n;
        l->host->ops->deliver(l->host, STATION_NONE, p->bytes, p->n);
        free(p);
    }
}

static void loop_on_timer(void *ctx, int64_t now_ms)
{
    struct loop *l = ctx;
    if (!l->started)
        return;
    tell_state(l);
    deliver_due(l, now_ms);
    if (l->sending && us_to_ms_up(l->busy_until_us) <= now_ms) {
        l->sending = false;
        l->host->ops->sent(l->host, STATION_NONE, l->token, l->outcome);
    }
    if (l->short_of_room && room_now(l, now_ms) > 0) {
        l->short_of_room = false;
        l->host->ops->writable(l->host, STATION_NONE);
    }
    arm(l, now_ms);
}

void loop_line_cut(struct loop_line *line, bool cut, int64_t now_ms)
{
    line->cut = cut;
    for (int i = 0; i < 2; i++)
        if (line->ends[i] && line->ends[i]->started)
            line->ends[i]->host->ops->timer(line->ends[i]->host, now_ms);
}

static size_t loop_mtu(void *ctx, station_t station)
{
    struct loop *l = ctx;
    return l->line->settings.mtu;
}

static uint32_t loop_rate(void *ctx)
{
    struct loop *l = ctx;
    return l->line->settings.bytes_s;
}

/* Down for this end only, and at once up again: the other has lost what was under way to us. */
static void loop_reset(void *ctx, station_t station, const char *why, int64_t now_ms)
{
    struct loop *l = ctx;
    if (station != STATION_NONE || l->report.state != LINK_UP)
        return;
    lose_all(l);
    link_report(&l->report, l->host, LINK_DOWN, "%s", why);
    arm(l, now_ms);
}

static void loop_on_fd(void *ctx, int fd, unsigned events, int64_t now_ms)
{
    /* It has none. */
}

static void loop_status(void *ctx, struct link_status *out)
{
    struct loop *l = ctx;
    *out = (struct link_status){.bytes_in = l->bytes_in, .bytes_out = l->bytes_out};
    snprintf(out->detail, sizeof(out->detail), "%s", l->report.why);
}

static const struct option_group loop_option_group = {
    .name = "loop",
    .struct_size = sizeof(struct loop_options),
    .help = "Two ends in one process: for tests.",
};

const struct link_driver loop_stream_driver = {
    .name = "loop-stream",
    .kind = LINK_STREAM,
    .options = &loop_option_group,
    .ctx_size = sizeof(struct loop),
    .init = loop_stream_init,
    .fini = loop_fini,
    .start = loop_start,
    .stop = loop_stop,
    .room = loop_room,
    .send = loop_send,
    .mtu = NULL, /* STREAM */
    .rate = loop_rate,
    .avoid = NULL,       /* every byte passes */
    .half_duplex = NULL, /* full */
    .calls = NULL, /* point to point: whoever is there is the peer */
    .reset = loop_reset,
    .on_fd = loop_on_fd,
    .on_timer = loop_on_timer,
    .status = loop_status,
};

const struct link_driver loop_datagram_driver = {
    .name = "loop-datagram",
    .kind = LINK_DATAGRAM,
    .options = &loop_option_group,
    .ctx_size = sizeof(struct loop),
    .init = loop_datagram_init,
    .fini = loop_fini,
    .start = loop_start,
    .stop = loop_stop,
    .room = loop_room,
    .send = loop_send,
    .mtu = loop_mtu,
    .rate = NULL, /* DATAGRAM */
    .avoid = NULL,
    .half_duplex = NULL,
    .calls = NULL, /* point to point: whoever is there is the peer */
    .reset = loop_reset,
    .on_fd = loop_on_fd,
    .on_timer = loop_on_timer,
    .status = loop_status,
};
