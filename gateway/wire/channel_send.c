#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/wire/channel_internal.h"
#include "gateway/wire/record_check.h"

static_assert(RECORD_LIST_SENT_BYTES + sizeof(struct record) + RECORD_CHUNK_MAX + 2 * 65536 + 2048 <
                  RECORD_LIST_MAX_BYTES,
              "a frame that we make could be refused");

/* After so long without a byte of ours the line may have made noise of its own. */
#define LINE_IDLE_MS 200
/* Of a frame: what of a message may overflow into the next, on a line whose rate is known. */
#define OVERFLOW_PART 4

int channel_encoder_renew(struct channel *c)
{
    if (c->encoder)
        c->codec->encoder_free(c->encoder);
    c->encoder = c->codec->encoder_new(c->codec_memory);
    return c->encoder ? 0 : -ENOMEM;
}

int channel_send_begin(struct channel *c)
{
    c->codec = codec_find(c->codec_version);
    if (!c->codec)
        return -EINVAL;
    c->pending = calloc(CHANNEL_PENDING_RECORDS, sizeof *c->pending);
    if (channel_encoder_renew(c) < 0 || !c->pending)
        return -ENOMEM;
    c->check_encoded = c->check_framed = RECORD_CHECK_START;
    c->granted = true;
    piece_size_init(&c->pieces);
    c->needed = 0;
    c->lead = 0;
    return 0;
}

void channel_send_end(struct channel *c)
{
    if (c->encoder)
        c->codec->encoder_free(c->encoder);
    c->encoder = NULL;
    free(c->pending);
    c->pending = NULL;
    c->pending_head = c->pending_count = c->pending_bytes = 0;
    buf_clear(&c->stream);
    buf_trim(&c->stream, 0);
    c->framed = c->flush_at = 0;
    c->unit_open = c->flushed = false;
    c->records_framed = 0;
    c->payload_given = c->payload_framed = c->payload_acked = c->grant_end = 0;
    arq_send_reset(&c->out);
    c->rto_tries = c->unheard = c->polls = 0;
    c->rto_anew = c->rto_anew_spent = false;
}

size_t channel_emit(struct channel *c, const uint8_t *frame, size_t n, bool urgent, bool over,
                    size_t room, int64_t now_ms)
{
    uint8_t framed[FRAMING_MAX_BYTES];
    bool lead = now_ms - c->last_output_ms > LINE_IDLE_MS + pace_line_ms(&c->pace, FRAME_MAX_BYTES);
    size_t len = framing_encode(&c->avoid, lead, frame, n, framed);
    if (len > room)
        return 0;
    c->ops->output(c->ctx, framed, len, 0, urgent);
    c->last_output_ms = now_ms;
    c->status.frames_out++;
    if (c->config.half_duplex)
        turn_sent(&c->turn, len, over, c->ops->random(c->ctx), now_ms);
    return len;
}

size_t channel_emit_once(struct channel *c, const uint8_t *frame, size_t n, bool over, size_t room,
                         int64_t now_ms)
{
    size_t sent = channel_emit(c, frame, n, false, over, room, now_ms);
    if (sent > 0 || !c->sealed)
        return sent;
    memcpy(c->held, frame, n);
    c->held_n = n;
    c->held_over = over;
    return n;
}

/* ---- acknowledgements ---- */

bool channel_ack_due(const struct channel *c, int64_t now_ms)
{
    if (!c->live || (c->greet == GREET_HELLO))
        return false;
    if (c->ack_now)
        return true;
    if (!c->ack_wanted)
        return false;
    if (c->config.half_duplex)
        return true; /* our turn is the time for it */
    bool on_disk = c->in.committed + 1 == c->in.next;
    return now_ms >= c->ack_at_ms + (on_disk ? 0 : CHANNEL_COMMIT_WAIT_MS);
}

/* What was told last is now up to date. */
static void ack_told(struct channel *c)
{
    c->acked_in = c->in.committed;
    c->unacked = 0;
    c->ack_now = false;
    /* What is here and not on disk will be told again when it is: channel_committed. */
    c->ack_wanted = false;
}

static uint8_t grant_now(struct channel *c)
{
    return frame_grant_encode(c->ops->grant(c->ctx));
}

static size_t emit_control(struct channel *c, enum frame_control_type type, bool over, size_t room,
                           int64_t now_ms)
{
    uint8_t frame[FRAME_CONTROL_MAX_BYTES + SEAL_TAG_MAX], bitmap[FRAME_BITMAP_MAX];
    struct frame_control f = {.type = type, .over = over, .number = c->control_out + 1};
    if (type != CONTROL_BYE) {
        f.ack = (uint16_t)c->in.committed;
        f.grant = grant_now(c);
        f.bitmap = bitmap;
        f.bitmap_bytes = arq_receive_bitmap(&c->in, bitmap);
    }
    size_t n = frame_control_encode(&f, frame);
    struct seal_context seal = channel_seal_out(c);
    n = seal_frame(&seal, SEAL_SPACE_CONTROL, f.number, frame, n);
    size_t sent = n > 0 ? channel_emit_once(c, frame, n, over, room, now_ms) : 0;
    if (sent == 0)
        return 0;
    c->control_out++; /* a number leaves once */
    if (type != CONTROL_BYE)
        ack_told(c);
    return sent;
}

void channel_on_ack(struct channel *c, uint16_t low, bool grant_known, uint8_t grant,
                    const uint8_t *bitmap, size_t bitmap_bytes, int64_t now_ms)
{
    uint64_t cumulative = frame_number(c->out.first - 1, low, FRAME_ACK_BITS);
    struct arq_ack_result r =
        arq_send_on_ack(&c->out, cumulative, bitmap, bitmap_bytes, c->pace.min_rtt_ms, now_ms);
    if (!r.valid)
        return;
    if (r.records > 0 || r.payload_end > c->payload_acked) {
        c->payload_acked = r.payload_end;
        c->ops->acked(c->ctx, r.records);
    }
    if (grant_known)
        c->grant_end = c->payload_acked + frame_grant_decode(grant);
    c->granted = c->payload_given < c->grant_end;
    pace_on_ack(&c->pace, r.rtt_ms, r.rate_bytes_s, r.rate_delivered, c->out.delivered, now_ms);
    pace_on_fate(&c->pace, r.arrived_bytes, r.loss_runs);
    if (r.progress) {
        c->progress_ms = now_ms;
        /* Where only what was sent again arrives, the wait may have been too short: it stays as long as it has become until a round
         * trip is measured, or each frame might be sent twice for ever (RFC 6298, 5.7). */
        c->rto_anew = false;
        if (r.rtt_ms >= 0) {
            c->rto_tries = 0;
            c->rto_anew_spent = false;
        }
    }
}

/* ---- data ---- */

bool channel_send_ready(const struct channel *c)
{
    if (c->state != CHANNEL_READY || c->greet != GREET_NONE || arq_send_full(&c->out) ||
        channel_prime_holds(c))
        return false;
    if (c->stream.len == 0 && c->pending_count == 0 && !(c->waiting && c->granted))
        return false;
    /* Half duplex is paced by its turns. */
    return c->config.half_duplex || pace_allows(&c->pace, c->out.in_flight_bytes, FRAME_MAX_BYTES);
}

static uint64_t work_us(const struct channel *c)
{
    return c->ops->work_us ? c->ops->work_us(c->ctx) : 0;
}

static bool encode(struct channel *c, const struct record *r, uint64_t *needed)
{
    if (c->codec_version >= CHANNEL_PRIMED_CODEC && c->lead == 0) {
        if (!buf_put_u8(&c->stream, channel_prime_tell(c)))
            return false;
        c->lead = 1;
    }
    uint64_t began_us = work_us(c);
    if (c->codec->encode(c->encoder, r, &c->stream, needed) < 0)
        return false;
    effort_worked(&c->effort, work_us(c) - began_us);
    if (r->type == RECORD_MESSAGE || r->type == RECORD_CHUNK)
        piece_size_coded(&c->pieces, r, *needed - c->needed);
    c->needed = *needed;
    return true;
}

uint32_t channel_piece(const struct channel *c, enum msg_class class, unsigned slot, bool begun,
                       uint32_t left, size_t room)
{
    uint32_t n = piece_size_next(&c->pieces, class, slot, begun, left, room, c->whole);
    uint64_t granted = c->grant_end > c->payload_given ? c->grant_end - c->payload_given : 0;
    /* A message that fits a frame whatever becomes of it may go beyond the grant rather than be torn. */
    if (n > granted && n > c->content_max)
        n = granted > 0 ? (uint32_t)granted : 1;
    return n;
}

/* Takes records until the frame has its `content`, or nothing waits. Return: false = the encoder
 * failed. */
static bool fill(struct channel *c, size_t content)
{
    struct record r;
    while (c->stream.len < content && !c->flushed && c->waiting &&
           c->pending_count < CHANNEL_PENDING_RECORDS &&
           c->pending_bytes < RECORD_LIST_SENT_BYTES) {
        c->granted = c->payload_given < c->grant_end;
        if (!c->granted)
            break;
        /* A message is not torn for the rest of a frame that is nearly full: what overflows begins
         * the next. It can no longer be overtaken, so on a line whose frames take their time it is little. */
        size_t left = content - c->stream.len;
        size_t overflow = c->config.rate_bytes_s > 0 ? content / OVERFLOW_PART : content;
        size_t room = left >= content / 4 ? left : left + overflow;
        c->whole = left + overflow < c->content_max ? left + overflow : c->content_max;
        if (room > c->grant_end - c->payload_given)
            room = (size_t)(c->grant_end - c->payload_given);
        if (!c->ops->next_record(c->ctx, room, &r)) {
            c->waiting = false;
            break;
        }
        struct pending_record *p =
            &c->pending[(c->pending_head + c->pending_count++) % CHANNEL_PENDING_RECORDS];
        uint32_t payload = r.type == RECORD_MESSAGE || r.type == RECORD_CHUNK ? r.len : 0;
        if (!encode(c, &r, &p->needed))
            return false;
        p->needed += c->lead;
        c->check_encoded = record_check_add(c->check_encoded, &r);
        c->payload_given += payload;
        p->check = c->check_encoded;
        p->payload = payload;
        p->size = record_list_size(&r);
        c->pending_bytes += p->size;
        p->urgent =
            r.type != RECORD_TOPIC && r.type != RECORD_TOPICS_RESET && r.class == CLASS_ALARM;
        c->unit_open = true;
    }
    /* Nothing more for now: what the coder still holds must not wait. Where it holds nothing that
     * the peer lacks, the unit stays open: its end would cost a frame. */
    if (c->stream.len < content && !c->flushed && c->unit_open &&
        (c->stream.len > 0 || c->pending_count > 0)) {
        if (c->codec->flush(c->encoder, &c->stream) < 0)
            return false;
        c->unit_open = false;
        c->flushed = true;
        c->flush_at = c->framed + c->stream.len;
    }
    return true;
}

/* How much of the stream this frame takes: all that fits, and with bytes to avoid on the line so
 * much that its framed form is no longer than a frame's. */
static size_t slice(const struct channel *c, size_t content)
{
    size_t n = c->stream.len < content ? c->stream.len : content;
    if (!c->avoid.on || n == 0)
        return n;
    for (;;) {
        size_t framed = framing_length(&c->avoid, false, buf_bytes(&c->stream), n);
        if (framed <= c->content_max || n <= 1)
            return n;
        size_t over = (framed - c->content_max + 1) / 2;
        n = over < n ? n - over : 1;
    }
}

/* Records whole by the end of this frame leave the ring. */
static void settle_pending(struct channel *c, uint64_t end, bool unit_end, bool *urgent)
{
    while (c->pending_count > 0) {
        struct pending_record *p = &c->pending[c->pending_head];
        if (!unit_end && p->needed > end)
            break;
        c->check_framed = p->check;
        c->payload_framed += p->payload;
        c->pending_bytes -= p->size;
        c->records_framed++;
        *urgent |= p->urgent;
        c->pending_head = (c->pending_head + 1) % CHANNEL_PENDING_RECORDS;
        c->pending_count--;
    }
    for (size_t i = 0; i < c->pending_count && !*urgent; i++)
        *urgent = c->pending[(c->pending_head + i) % CHANNEL_PENDING_RECORDS].urgent;
}

/* Makes one frame of new data. Return: false = nothing to send, or no memory. */
static bool build(struct channel *c, int64_t now_ms)
{
    channel_prime_hurry(c, now_ms);
    if (c->codec->set_effort)
        c->codec->set_effort(c->encoder, effort_look(&c->effort, c->waiting, c->payload_acked, now_ms));
    /* An acknowledgement that has news rides along for three bytes. */
    bool ride = c->ack_wanted && c->in.committed > c->acked_in;
    size_t content = pace_content_bytes(&c->pace);
    size_t most = c->content_max - (ride ? FRAME_ACK_BYTES : 0);
    if (content > most)
        content = most;
    if (!fill(c, content)) {
        channel_nonsense(c, "encoder failed", now_ms);
        return false;
    }
    size_t n = slice(c, content);
    uint64_t end = c->framed + n;
    bool unit_end = c->flushed && end == c->flush_at, urgent = false;
    if (n == 0 && !unit_end)
        return false;
    settle_pending(c, end, unit_end, &urgent);

    uint8_t frame[FRAME_MAX_BYTES];
    bool last = n == c->stream.len && !(c->waiting && c->granted);
    struct frame_data f = {
        .number = c->out.next,
        .unit_end = unit_end,
        .over = c->config.half_duplex && (last || turn_burst_full(&c->turn, n)),
        .has_ack = ride,
        .check = record_check_fold(c->check_framed),
    };
    if (ride) {
        f.ack = (uint16_t)c->in.committed;
        f.grant = grant_now(c);
    }
    size_t len = frame_data_encode(&f, frame);
    memcpy(frame + len, buf_bytes(&c->stream), n);
    len += n;
    struct seal_context seal = channel_seal_out(c);
    len = seal_frame(&seal, SEAL_SPACE_DATA, f.number, frame, len);
    struct arq_frame *kept = len > 0 ? arq_send_add(&c->out, frame, len) : NULL;
    if (!kept) {
        channel_nonsense(c, "out of memory", now_ms);
        return false;
    }
    kept->over = f.over;
    kept->urgent = urgent;
    kept->has_ack = ride;
    kept->ack = c->in.committed;
    kept->records = c->records_framed;
    kept->payload_end = c->payload_framed;
    buf_consume(&c->stream, n);
    c->framed = end;
    c->flushed = c->flushed && !unit_end;
    c->status.stream_bytes_out += n;
    if (ride) {
        bool all = c->in.committed + 1 == c->in.next && !arq_receive_hole(&c->in);
        c->acked_in = c->in.committed;
        c->unacked = 0;
        c->ack_wanted = !all;
        if (all)
            c->ack_now = false;
    }
    return true;
}

static size_t emit_data(struct channel *c, struct arq_frame *f, size_t room, int64_t now_ms)
{
    size_t sent = channel_emit(c, f->bytes, f->len, f->urgent, f->over, room, now_ms);
    if (sent == 0)
        return 0;
    if (f->sent_count > 0)
        c->status.retransmits++;
    if (c->out.in_flight == 0)
        c->progress_ms = now_ms;
    arq_send_sent(&c->out, f, now_ms);
    return sent;
}

size_t channel_send_pump(struct channel *c, size_t room, int64_t now_ms)
{
    if (!c->live || c->greet == GREET_HELLO)
        return 0;
    if (c->send_bye) {
        size_t sent = emit_control(c, CONTROL_BYE, true, room, now_ms);
        c->send_bye = sent == 0;
        if (sent > 0) {
            c->left = true;
            channel_set_state(c, CHANNEL_IDLE, "said goodbye");
        }
        return sent;
    }
    if (c->greet != GREET_NONE || channel_numbers_spent(c, now_ms))
        return 0;
    struct arq_frame *due = arq_send_due(&c->out);
    bool data = due || channel_send_ready(c);
    if (c->send_poll) {
        size_t sent = emit_control(c, CONTROL_POLL, !data, room, now_ms);
        c->send_poll = sent == 0;
        return sent;
    }
    if (c->ack_now || (!data && channel_ack_due(c, now_ms)))
        return emit_control(c, CONTROL_ACK, !data, room, now_ms);
    /* A frame is built only when it can leave: until then it may still be overtaken. */
    if (!due && data &&
        room >= pace_content_bytes(&c->pace) + FRAME_MAX_BYTES - FRAME_CONTENT_MAX + 3) {
        if (build(c, now_ms))
            due = arq_send_due(&c->out);
    }
    if (!c->live)
        return 0;
    if (due)
        return emit_data(c, due, room, now_ms);
    /* The turn must be given back: what was sent last did not know that it was the last. */
    if (c->config.half_duplex && c->turn.holder == TURN_OURS && c->turn.spoke &&
        !channel_send_ready(c))
        return emit_control(c, CONTROL_ACK, true, room, now_ms);
    return 0;
}
