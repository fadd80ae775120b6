#include "gateway/wire/channel_datagram.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "gateway/wire/codec_plain.h"
#include "gateway/wire/datagram_frame.h"

#define DEAD_EPOCHS        8    /* of the peer, that a late frame must not bring back */
#define FRAME_BYTES_MAX    4096 /* whatever mtu is said */
#define RECORD_FIXED_BYTES 40   /* what a record costs at most beside its texts and payload */
#define RECORD_USUAL_BYTES 12
#define ACK_DELAY_MS       2000
#define ACK_FRAMES         8
#define METERED_RTO_MS     900000 /* an answer may wait for the peer's next session */
#define METERED_RTO_MAX_MS 21600000
#define METERED_ACK_DELAY_MS                                                                       \
    (METERED_RTO_MS * 2 / 3) /* cheaper than the frame that the peer would send again */

struct datagram {
    /* Out: frames in c->out; records of frame n are records[n] .. +count. */
    uint64_t first_record[FRAME_WINDOW];
    uint16_t record_count[FRAME_WINDOW];
    uint64_t records_given;
    struct record_list carried; /* one record that did not fit the last frame */
    bool announced;             /* the peer has acknowledged something of this epoch */
    /* In. Bit of a number: modulo FRAME_WINDOW, for cumulative + 1 .. + FRAME_WINDOW. */
    uint64_t cumulative; /* all up to here is on disk */
    bool here[FRAME_WINDOW], on_disk[FRAME_WINDOW];
    uint16_t waiting[FRAME_WINDOW]; /* ring: frames given to the owner and not committed, by number
                                       modulo FRAME_WINDOW */
    uint64_t given, committed;      /* frames, as the owner counts them */
    uint32_t segment, predecessor;  /* of the peer, as its epoch announced them */
    uint32_t dead[DEAD_EPOCHS];
    unsigned dead_next;
};

struct datagram *datagram_new(void)
{
    struct datagram *d = calloc(1, sizeof *d);
    if (d)
        record_list_init(&d->carried);
    return d;
}

void datagram_free(struct datagram *d)
{
    if (d)
        record_list_fini(&d->carried);
    free(d);
}

static void begin_epoch(struct channel *c)
{
    uint32_t before = c->own_epoch;
    arq_send_reset(&c->out);
    /* An acknowledgement that rides names half of the epoch: no two that follow one another share
     * it. */
    do
        c->own_epoch = c->ops->random(c->ctx);
    while (c->own_epoch == 0 || (uint16_t)c->own_epoch == (uint16_t)before);
    c->datagram->announced = false;
    c->datagram->records_given = 0;
    record_list_clear(&c->datagram->carried);
    c->payload_given = c->payload_acked = 0;
    c->grant_end = UINT64_MAX; /* nothing was said of it yet */
    c->waiting = true;
    c->ops->greeted(c->ctx, NULL);
}

void datagram_link_up(struct channel *c, int64_t now_ms)
{
    if (c->own_epoch == 0)
        begin_epoch(c);
    c->link_up = true;
    c->progress_ms = now_ms;
    channel_set_state(c, CHANNEL_READY, "link up");
}

void datagram_restart(struct channel *c)
{
    begin_epoch(c);
}

/* ---- in ---- */

static void peer_epoch(struct channel *c, uint32_t epoch)
{
    struct datagram *d = c->datagram;
    if (c->peer_epoch != 0)
        d->dead[d->dead_next++ % DEAD_EPOCHS] = c->peer_epoch;
    c->peer_epoch = epoch;
    d->cumulative = 0;
    memset(d->here, 0, sizeof d->here);
    memset(d->on_disk, 0, sizeof d->on_disk);
    d->committed =
        d->given; /* what the owner has yet to commit is of no frame that we would acknowledge */
    c->ack_wanted = false;
    c->unacked = 0;
}

/* Is this announced epoch one that may begin now? */
static bool accept_epoch(struct channel *c, const struct datagram_header *h)
{
    struct channel_marks ours;
    for (unsigned i = 0; i < DEAD_EPOCHS; i++)
        if (c->datagram->dead[i] == h->epoch)
            return false;
    /* A late frame of the process before. Older ones the owner knows. */
    if (c->peer_epoch != 0 && h->identity.segment == c->datagram->predecessor &&
        h->identity.segment != c->datagram->segment)
        return false;
    if (strcmp(h->name, c->config.own_name) == 0 ||
        (c->config.peer_name[0] && strcmp(h->name, c->config.peer_name) != 0) ||
        c->ops->greeting(c->ctx, &h->identity, &ours) != 0) {
        c->status.refused++;
        return false;
    }
    peer_epoch(c, h->epoch);
    c->datagram->segment = h->identity.segment;
    c->datagram->predecessor = h->identity.predecessor;
    return true;
}

/* How long a frame may be on its way: each costs, so doubt is on its side. */
static int64_t patience_ms(const struct channel *c)
{
    return c->config.metered ? METERED_RTO_MS : 3 * pace_rto_ms(&c->pace, 0) + ACK_DELAY_MS;
}

static void on_ack(struct channel *c, uint16_t low, uint8_t grant, const uint8_t *bitmap,
                   size_t bitmap_bytes, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    uint64_t cumulative = frame_number(c->out.first - 1, low, FRAME_ACK_BITS);
    if (cumulative >= c->out.next || cumulative + 1 < c->out.first)
        return; /* late */
    for (uint64_t n = c->out.first; n < c->out.next; n++) {
        const struct arq_frame *f = arq_send_get(&c->out, n);
        uint64_t bit = n - cumulative - 1;
        bool told = n <= cumulative || (bit < bitmap_bytes * 8 && (bitmap[bit / 8] >> bit % 8 & 1));
        if (!told || f->received || f->sent_count == 0)
            continue;
        for (unsigned i = 0; i < d->record_count[n % FRAME_WINDOW]; i++)
            c->ops->acked_record(c->ctx, d->first_record[n % FRAME_WINDOW] + i);
    }
    c->out.patience_ms = patience_ms(c);
    struct arq_ack_result r =
        arq_send_on_ack(&c->out, cumulative, bitmap, bitmap_bytes, c->pace.min_rtt_ms, now_ms);
    d->announced = true;
    if (r.payload_end > c->payload_acked)
        c->payload_acked = r.payload_end;
    c->grant_end = c->payload_acked + frame_grant_decode(grant);
    pace_on_ack(&c->pace, r.rtt_ms, r.rate_bytes_s, r.rate_delivered, c->out.delivered, now_ms);
    if (r.progress) {
        c->progress_ms = now_ms;
        c->rto_tries = 0;
    }
}

/* A whole record of the frame must do; what does not decode, or the owner cannot take now, was not
 * received. */
static bool take(struct channel *c, const uint8_t *bytes, size_t n)
{
    struct codec_limits limits = {.max_message = UINT32_MAX};
    struct codec_decoder *decoder = codec_plain.decoder_new(0, &limits);
    struct record r;
    uint64_t needed;
    bool good = decoder && codec_plain.feed(decoder, bytes, n, true) == 0;
    record_list_clear(&c->records);
    while (good) {
        int rc = codec_plain.decode(decoder, &r, &needed);
        if (rc == CODEC_MORE)
            break;
        good = rc == 0 && record_list_add(&c->records, &r) == 0;
    }
    if (!good)
        c->status.bad_frames++;
    for (size_t i = 0; i < c->records.count && good; i++)
        good = c->ops->record(c->ctx, c->records.records[i], c->datagram->given + 1) == 0;
    record_list_clear(&c->records);
    codec_plain.decoder_free(decoder);
    return good;
}

static void want_ack(struct channel *c, bool soon, int64_t now_ms)
{
    int64_t delay = c->config.metered ? METERED_ACK_DELAY_MS : ACK_DELAY_MS;
    if (!c->ack_wanted) {
        c->ack_wanted = true;
        c->ack_at_ms = now_ms + delay;
    }
    if (soon && c->ack_at_ms > now_ms + ACK_DELAY_MS)
        c->ack_at_ms = now_ms + ACK_DELAY_MS;
}

static void on_data(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    struct datagram_header h;
    size_t content;
    size_t header = n > SEAL_CRC_BYTES ? datagram_header_decode(&h, frame, n - SEAL_CRC_BYTES) : 0;
    uint32_t epoch = header > 0 && h.announces ? h.epoch : c->peer_epoch;
    bool fresh = epoch != c->peer_epoch;
    struct seal_context seal = {epoch, 0};
    uint64_t number = header > 0 ? frame_number(fresh ? 1 : d->cumulative + 1, (uint16_t)h.number,
                                                FRAME_DATA_BITS)
                                 : 0;
    if (number == 0 || epoch == 0 || h.epoch_low != (uint8_t)epoch ||
        !seal_open(&seal, SEAL_SPACE_DATA, number, frame, n, &content)) {
        c->status.bad_frames++;
        return;
    }
    if (fresh && !accept_epoch(c, &h))
        return;
    c->status.frames_in++;
    c->heard_ms = now_ms;
    channel_set_state(c, CHANNEL_READY, "heard again");
    if (h.has_ack && h.ack_epoch == (uint16_t)c->own_epoch)
        on_ack(c, h.ack, h.grant, &h.bitmap, 1, now_ms);
    if (number <= d->cumulative ||
        (number <= d->cumulative + FRAME_WINDOW && d->here[number % FRAME_WINDOW])) {
        want_ack(c, true, now_ms); /* it was sent again: the peer has not heard of it */
        return;
    }
    if (number > d->cumulative + FRAME_WINDOW || d->given - d->committed >= FRAME_WINDOW ||
        !take(c, frame + header, content - header))
        return;
    c->status.stream_bytes_in += content - header;
    d->here[number % FRAME_WINDOW] = true;
    d->waiting[d->given++ % FRAME_WINDOW] = (uint16_t)(number % FRAME_WINDOW);
    want_ack(c, ++c->unacked >= ACK_FRAMES, now_ms);
    c->ops->frame_done(c->ctx, d->given);
}

void datagram_on_frame(struct channel *c, const uint8_t *bytes, size_t n, int64_t now_ms)
{
    uint8_t frame[FRAME_BYTES_MAX];
    uint16_t ack;
    uint8_t grant;
    const uint8_t *bitmap;
    size_t bitmap_bytes;
    if (n < 2 || n > sizeof frame) {
        c->status.bad_frames++;
        return;
    }
    memcpy(frame, bytes, n);
    if (frame_kind(frame[0]) == FRAME_DATA) {
        on_data(c, frame, n, now_ms);
    } else if (c->own_epoch != 0 &&
               datagram_ack_decode(c->own_epoch, frame, n, &ack, &grant, &bitmap, &bitmap_bytes)) {
        c->status.frames_in++;
        c->heard_ms = now_ms;
        on_ack(c, ack, grant, bitmap, bitmap_bytes, now_ms);
    } else {
        c->status.bad_frames++;
    }
}

void datagram_committed(struct channel *c, uint64_t frame, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    for (; d->committed < frame && d->committed < d->given; d->committed++)
        d->on_disk[d->waiting[d->committed % FRAME_WINDOW]] = true;
    for (uint64_t next; next = d->cumulative + 1, d->on_disk[next % FRAME_WINDOW]; d->cumulative++)
        d->here[next % FRAME_WINDOW] = d->on_disk[next % FRAME_WINDOW] = false;
}

static size_t disk_bitmap(const struct datagram *d, uint8_t bitmap[FRAME_BITMAP_MAX])
{
    size_t bytes = 0;
    memset(bitmap, 0, FRAME_BITMAP_MAX);
    for (size_t bit = 0; bit < FRAME_WINDOW; bit++) {
        if (!d->on_disk[(d->cumulative + 1 + bit) % FRAME_WINDOW])
            continue;
        bitmap[bit / 8] |= (uint8_t)(1u << bit % 8);
        bytes = bit / 8 + 1;
    }
    return bytes;
}

/* ---- out ---- */

static bool ack_due(const struct channel *c, int64_t now_ms)
{
    return c->ack_wanted && c->peer_epoch != 0 && (c->ack_now || now_ms >= c->ack_at_ms);
}

static void ack_told(struct channel *c, int64_t now_ms)
{
    /* What is not on disk yet is told with the next. */
    c->ack_wanted = c->datagram->committed < c->datagram->given;
    c->ack_at_ms = now_ms + (c->config.metered ? METERED_ACK_DELAY_MS : ACK_DELAY_MS);
    c->ack_now = false;
    c->unacked = 0;
}

static struct datagram_header header_of(struct channel *c)
{
    struct datagram *d = c->datagram;
    struct datagram_header h = {.number = c->out.next,
                                .epoch = c->own_epoch,
                                .announces = !d->announced,
                                .identity = c->identity};
    memcpy(h.name, c->config.own_name, sizeof h.name);
    if (c->ack_wanted && c->peer_epoch != 0) {
        uint8_t bitmap[FRAME_BITMAP_MAX];
        disk_bitmap(d, bitmap);
        h.has_ack = true;
        h.ack_epoch = (uint16_t)c->peer_epoch;
        h.ack = (uint16_t)d->cumulative;
        h.grant = frame_grant_encode(c->ops->grant(c->ctx));
        h.bitmap = bitmap[0];
    }
    return h;
}

/* Bytes of texts and payload that a record may have in the room left. In an empty frame it must fit
 * for certain; behind others it may be found too large, and is carried over. */
static size_t record_room(const struct channel *c, size_t left, bool first)
{
    size_t fixed = first ? RECORD_FIXED_BYTES : RECORD_USUAL_BYTES;
    size_t room = left > fixed ? left - fixed : 0;
    uint64_t granted = c->grant_end > c->payload_given ? c->grant_end - c->payload_given : 0;
    return room < granted ? room : (size_t)granted;
}

/* Codes records into out (records part only, at most `content` bytes). What does not fit is carried
 * over. */
static unsigned fill(struct channel *c, struct buf *out, size_t content, bool *urgent)
{
    struct datagram *d = c->datagram;
    struct codec_encoder *e = codec_plain.encoder_new(0);
    unsigned count = 0;
    uint64_t needed;
    while (e && count < UINT16_MAX) {
        struct record r;
        if (d->carried.count > 0) {
            r = *d->carried.records[0];
        } else {
            size_t room = record_room(c, content - out->len, count == 0);
            if (!c->waiting || room == 0)
                break;
            if (!c->ops->next_record(c->ctx, room, &r)) {
                c->waiting = false;
                break;
            }
        }
        size_t before = out->len;
        if (codec_plain.encode(e, &r, out, &needed) < 0 || out->len > content) {
            out->len = before;
            out->failed = false;
            if (count == 0 && d->carried.count > 0) {
                /* Alone in a frame, and too large: a fault of the owner's, which must not stop the
                 * rest. */
                record_list_clear(&d->carried);
                d->records_given++;
                c->ops->give_up(c->ctx, "a record is larger than a frame of the link");
                continue;
            }
            if (d->carried.count == 0 && record_list_add(&d->carried, &r) != 0)
                c->ops->give_up(c->ctx, "out of memory");
            if (count > 0)
                break;
            codec_plain.encoder_free(e); /* it has seen what was not sent */
            e = codec_plain.encoder_new(0);
            continue;
        }
        record_list_clear(&d->carried);
        *urgent |=
            r.type != RECORD_TOPIC && r.type != RECORD_TOPICS_RESET && r.class == CLASS_ALARM;
        if (r.type == RECORD_MESSAGE || r.type == RECORD_CHUNK)
            c->payload_given += r.len;
        count++;
    }
    codec_plain.encoder_free(e);
    return count;
}

static bool build(struct channel *c, size_t mtu, int64_t now_ms)
{
    struct datagram *d = c->datagram;
    uint8_t frame[FRAME_BYTES_MAX];
    struct datagram_header h = header_of(c);
    size_t header = datagram_header_encode(&h, frame);
    bool urgent = false;
    struct buf records;
    if (mtu <= header + SEAL_CRC_BYTES + RECORD_FIXED_BYTES) {
        c->waiting = false;
        c->ops->give_up(c->ctx, "the link's frames are too small");
        return false;
    }
    buf_init(&records, 1 << 18);
    unsigned count = fill(c, &records, mtu - header - SEAL_CRC_BYTES, &urgent);
    size_t n = header + records.len;
    memcpy(frame + header, buf_bytes(&records), records.len);
    c->status.stream_bytes_out += records.len;
    buf_fini(&records);
    if (count == 0)
        return false;
    struct seal_context seal = {c->own_epoch, 0};
    n = seal_frame(&seal, SEAL_SPACE_DATA, h.number, frame, n);
    struct arq_frame *kept = arq_send_add(&c->out, frame, n);
    if (!kept) {
        datagram_restart(c); /* no memory: what was given is asked for again */
        return false;
    }
    d->first_record[h.number % FRAME_WINDOW] = d->records_given;
    d->record_count[h.number % FRAME_WINDOW] = (uint16_t)count;
    d->records_given += count;
    kept->urgent = urgent;
    kept->payload_end = c->payload_given;
    if (h.has_ack)
        ack_told(c, now_ms);
    return true;
}

static size_t mtu_of(const struct channel *c)
{
    return c->config.mtu < FRAME_BYTES_MAX ? c->config.mtu : FRAME_BYTES_MAX;
}

static bool has_data(const struct channel *c)
{
    return !arq_send_full(&c->out) &&
           (c->datagram->carried.count > 0 || (c->waiting && c->grant_end > c->payload_given));
}

size_t datagram_pump(struct channel *c, size_t room, int64_t now_ms)
{
    size_t total = 0;
    while (c->link_up && room - total >= mtu_of(c)) {
        struct arq_frame *due = arq_send_due(&c->out);
        if (!due && has_data(c) && build(c, mtu_of(c), now_ms))
            due = arq_send_due(&c->out);
        if (due) {
            uint64_t token = c->out.first;
            while (arq_send_get(&c->out, token) != due)
                token++;
            c->status.retransmits += due->sent_count > 0;
            if (c->out.in_flight == 0)
                c->progress_ms = now_ms;
            arq_send_sent(&c->out, due, now_ms);
            c->ops->output(c->ctx, due->bytes, due->len, token, due->urgent);
            total += due->len;
        } else if (ack_due(c, now_ms)) {
            uint8_t frame[DATAGRAM_ACK_FRAME_MAX], bitmap[FRAME_BITMAP_MAX];
            size_t n = disk_bitmap(c->datagram, bitmap);
            n = datagram_ack_encode(c->peer_epoch, c->datagram->cumulative,
                                    frame_grant_encode(c->ops->grant(c->ctx)), bitmap, n, frame);
            c->ops->output(c->ctx, frame, n, 0, false);
            ack_told(c, now_ms);
            total += n;
        } else {
            break;
        }
        c->status.frames_out++;
    }
    return total;
}

bool datagram_wants(const struct channel *c, int64_t now_ms)
{
    return c->link_up && (c->out.lost_count > 0 || has_data(c) || ack_due(c, now_ms));
}

void datagram_sent(struct channel *c, uint64_t token, int outcome, int64_t now_ms)
{
    struct arq_frame *f = arq_send_get(&c->out, token);
    if (token == 0 || !f || outcome != CHANNEL_SENT_FAILED)
        return; /* unknown: it may have left: an acknowledgement or the timer will tell */
    arq_send_failed(&c->out, f);
}

static int64_t rto_at(const struct channel *c)
{
    if (!c->link_up || c->out.first == c->out.next || c->out.lost_count > 0)
        return CHANNEL_NEVER;
    int64_t rto = patience_ms(c);
    int64_t max = c->config.metered ? METERED_RTO_MAX_MS : CHANNEL_METERED_RTO_MAX_MS;
    for (unsigned i = 0; i < c->rto_tries && rto < max; i++)
        rto *= 2;
    return c->progress_ms + (rto < max ? rto : max);
}

void datagram_on_timer(struct channel *c, int64_t now_ms)
{
    if (now_ms < rto_at(c))
        return;
    c->progress_ms = now_ms;
    if (++c->rto_tries < PACE_BACKOFF_MAX && arq_send_timeout(&c->out))
        return;
    /* A peer that lost its store cannot read what leans on an epoch that is announced no more. */
    channel_set_state(c, CHANNEL_SILENT, "no answer to what was sent");
    c->rto_tries = 0;
    begin_epoch(c);
}

int64_t datagram_deadline(const struct channel *c, int64_t now_ms)
{
    int64_t at = rto_at(c);
    if (c->link_up && c->ack_wanted && c->peer_epoch != 0 && c->ack_at_ms > now_ms &&
        c->ack_at_ms < at)
        at = c->ack_at_ms;
    return at;
}

/* ---- what must survive ---- */

size_t datagram_save(const struct channel *c, uint8_t out[CHANNEL_SAVED_MAX])
{
    const struct datagram *d = c->datagram;
    struct buf b;
    uint8_t bitmap[FRAME_BITMAP_MAX] = {0};
    /* Called where the records of all frames given are committed: these are on disk then. */
    for (size_t bit = 0; bit < FRAME_WINDOW; bit++)
        if (d->here[(d->cumulative + 1 + bit) % FRAME_WINDOW])
            bitmap[bit / 8] |= (uint8_t)(1u << bit % 8);
    buf_init(&b, CHANNEL_SAVED_MAX);
    buf_put_be32(&b, c->peer_epoch);
    buf_put_be64(&b, d->cumulative);
    buf_put(&b, bitmap, sizeof bitmap);
    buf_put_be32(&b, d->segment);
    buf_put_be32(&b, d->predecessor);
    for (unsigned i = 0; i < DEAD_EPOCHS; i++)
        buf_put_be32(&b, d->dead[(d->dead_next + i) % DEAD_EPOCHS]);
    size_t n = b.len;
    memcpy(out, buf_bytes(&b), n);
    buf_fini(&b);
    return n;
}

bool datagram_load(struct channel *c, const uint8_t *bytes, size_t n)
{
    struct datagram *d = c->datagram;
    struct reader r = reader_of(bytes, n);
    uint32_t epoch = read_be32(&r);
    uint64_t cumulative = read_be64(&r);
    const uint8_t *bitmap = read_bytes(&r, FRAME_BITMAP_MAX);
    uint32_t segment = read_be32(&r), predecessor = read_be32(&r), dead[DEAD_EPOCHS];
    for (unsigned i = 0; i < DEAD_EPOCHS; i++)
        dead[i] = read_be32(&r);
    if (r.bad || r.left > 0)
        return false;
    c->peer_epoch = epoch;
    d->cumulative = cumulative;
    d->segment = segment;
    d->predecessor = predecessor;
    memcpy(d->dead, dead, sizeof dead);
    for (size_t bit = 0; bit < FRAME_WINDOW; bit++) {
        bool is = bitmap[bit / 8] >> bit % 8 & 1;
        d->here[(cumulative + 1 + bit) % FRAME_WINDOW] =
            d->on_disk[(cumulative + 1 + bit) % FRAME_WINDOW] = is;
    }
    datagram_committed(c, d->committed, 0);
    return true;
}
