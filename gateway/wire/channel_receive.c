#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/wire/channel_internal.h"
#include "gateway/wire/record_check.h"

/* Beside the payload that max_message bounds, a record may hold a topic and properties. */
#define RECORD_EXTRA_MAX (65535u + 65536u)

int channel_decoder_renew(struct channel *c)
{
    struct codec_limits limits = {.max_message =
                                      c->config.max_message < UINT32_MAX - RECORD_EXTRA_MAX
                                          ? c->config.max_message + RECORD_EXTRA_MAX
                                          : UINT32_MAX};
    const struct codec *codec = codec_find(c->codec_version);
    if (c->decoder)
        codec->decoder_free(c->decoder);
    c->decoder = codec->decoder_new(c->codec_memory, &limits);
    return c->decoder ? 0 : -ENOMEM;
}

int channel_receive_begin(struct channel *c)
{
    c->check_in = RECORD_CHECK_START;
    return channel_decoder_renew(c);
}

void channel_receive_end(struct channel *c)
{
    if (c->decoder)
        c->codec->decoder_free(c->decoder);
    c->decoder = NULL;
    record_list_clear(&c->records);
    c->frame_base += c->in.next;
    arq_receive_reset(&c->in);
    c->acked_in = 0;
    c->ack_wanted = c->ack_now = false;
    c->unacked = 0;
    c->grant_repeats = 0;
}

static void want_ack(struct channel *c, int64_t now_ms)
{
    if (!c->ack_wanted) {
        c->ack_wanted = true;
        c->ack_at_ms = now_ms + pace_ack_delay_ms(&c->pace);
    }
    if (++c->unacked >= CHANNEL_ACK_FRAMES)
        c->ack_at_ms = now_ms;
}

/* Decodes what the frame completes into c->records. Return: NULL, or what is wrong. */
static const char *decode(struct channel *c, const struct frame_data *f, const uint8_t *content,
                          size_t n)
{
    struct record r;
    uint64_t needed;
    uint64_t check = c->check_in;
    record_list_clear(&c->records);
    if (c->codec->feed(c->decoder, content, n, f->unit_end) != 0)
        return "stream is not of this codec";
    for (;;) {
        int rc = c->codec->decode(c->decoder, &r, &needed);
        if (rc == CODEC_MORE)
            break;
        if (rc != 0)
            return rc == CODEC_BAD ? "stream is not of this codec" : "decoder failed";
        check = record_check_add(check, &r);
        if (record_list_add(&c->records, &r) != 0)
            return "frame holds more than we take";
    }
    if (record_check_fold(check) != f->check)
        return "models drifted apart";
    c->check_in = check;
    return NULL;
}

/* The first frame's first byte of content tells how the stream's model was primed: *at, where the content begins, goes
 * past it. Return: NULL, or what is wrong. */
static const char *first_byte(struct channel *c, const uint8_t *frame, size_t n, size_t *at)
{
    if (c->in.next != 1 || c->codec_version < CHANNEL_PRIMED_CODEC)
        return NULL;
    if (n == *at)
        return "stream does not begin as it must";
    return channel_prime_told(c, frame[(*at)++]);
}

/* Must the frame wait for the decoder to be primed? */
static bool must_wait(struct channel *c, const uint8_t *frame, size_t n)
{
    struct frame_data f;
    size_t header = frame_data_decode(&f, frame, n);
    return c->in.next == 1 && header > 0 && n > header && channel_prime_wait(c, frame[header]);
}

/* The frame c->in.next: its records go to the owner once its check is right. Return: false = the
 * epoch is over. */
static bool take(struct channel *c, const uint8_t *frame, size_t n, int64_t now_ms)
{
    struct frame_data f;
    size_t header = frame_data_decode(&f, frame, n);
    const char *wrong = header == 0 ? "frame too short" : NULL;
    if (!wrong)
        wrong = first_byte(c, frame, n, &header);
    if (!wrong)
        wrong = decode(c, &f, frame + header, n - header);
    uint64_t number = c->frame_base + c->in.next;
    for (size_t i = 0; i < c->records.count && !wrong; i++)
        if (c->ops->record(c->ctx, c->records.records[i], number) != 0)
            wrong = "record makes no sense";
    record_list_clear(&c->records);
    if (wrong) {
        channel_nonsense(c, wrong, now_ms);
        return false;
    }
    c->status.stream_bytes_in += n - header;
    arq_receive_advance(&c->in);
    want_ack(c, now_ms);
    c->ops->frame_done(c->ctx, number);
    return true;
}

void channel_take_held(struct channel *c, int64_t now_ms)
{
    uint8_t *early;
    size_t n;
    while ((early = arq_receive_early(&c->in, &n))) {
        bool good = take(c, early, n, now_ms);
        free(early);
        if (!good)
            return;
    }
}

/* Is it our own voice, come back through a loop or a transceiver that hears itself? */
static bool is_echo(const struct channel *c, enum seal_space space, uint16_t low, unsigned bits,
                    uint64_t near, uint8_t *frame, size_t n)
{
    struct seal_context own = channel_seal_out(c);
    size_t content;
    return seal_open(&own, space, frame_number(near, low, bits), frame, n, &content);
}

static void on_data(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    struct frame_data f;
    size_t content;
    if (!c->live || frame_data_decode(&f, frame, n) == 0) {
        channel_unopened(c);
        return;
    }
    struct seal_context seal = channel_seal_in(c);
    uint64_t number = frame_number(c->in.next, (uint16_t)f.number, FRAME_DATA_BITS);
    if (number == 0 || !seal_open(&seal, SEAL_SPACE_DATA, number, frame, n, &content) ||
        frame_data_decode(&f, frame, content) == 0) {
        if (is_echo(c, SEAL_SPACE_DATA, (uint16_t)f.number, FRAME_DATA_BITS, c->out.next, frame, n))
            c->status.echoes++;
        else
            channel_unopened(c);
        return;
    }
    /* A frame that is here already may be a recording: with keys it is no sign of life. */
    bool repeated = arq_receive_has(&c->in, number);
    c->status.repeated += repeated;
    if (!repeated || !c->sealed)
        channel_heard(c, now_ms);
    if (f.over && c->config.half_duplex)
        turn_given(&c->turn, now_ms);
    /* What rides on a frame sent again is out of date. */
    if (f.has_ack && number > c->in.highest)
        channel_on_ack(c, f.ack, true, f.grant, NULL, 0, now_ms);
    if (!c->live)
        return;
    c->grant_repeats = 0;
    uint64_t highest = c->in.highest;
    switch (arq_receive_frame(&c->in, number, frame, content)) {
    case ARQ_NEXT:
        if (must_wait(c, frame, content)) {
            if (!arq_receive_hold(&c->in, frame, content))
                break; /* no memory: as if it had been lost */
            want_ack(c, now_ms);
        } else if (take(c, frame, content, now_ms)) {
            channel_take_held(c, now_ms);
        }
        break;
    case ARQ_EARLY:
        want_ack(c, now_ms);
        /* A hole that the peer cannot know of yet. */
        if (number > (highest > c->in.next ? highest : c->in.next - 1) + 1)
            c->ack_now = true;
        break;
    case ARQ_DUPLICATE:
        want_ack(c, now_ms);
        break;
    case ARQ_BEYOND:
        break;
    }
}

static void on_control(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    struct frame_control f;
    size_t content;
    if (!c->live || n < FRAME_HEADER_BYTES + SEAL_CRC_BYTES) {
        channel_unopened(c);
        return;
    }
    uint16_t low = (uint16_t)((frame[0] & 3) << 8 | frame[1]);
    struct seal_context seal = channel_seal_in(c);
    uint64_t number =
        frame_number(c->control_in + (1u << (FRAME_CONTROL_BITS - 2)), low, FRAME_CONTROL_BITS);
    if (!seal_open(&seal, SEAL_SPACE_CONTROL, number, frame, n, &content) ||
        !frame_control_decode(&f, frame, content)) {
        if (is_echo(c, SEAL_SPACE_CONTROL, low, FRAME_CONTROL_BITS, c->control_out, frame, n))
            c->status.echoes++;
        else
            channel_unopened(c);
        return;
    }
    if (number <= c->control_in) {
        c->status.replayed += c->sealed; /* said before */
        return;
    }
    c->control_in = number;
    channel_heard(c, now_ms);
    if (f.over && c->config.half_duplex)
        turn_given(&c->turn, now_ms);
    switch (f.type) {
    case CONTROL_POLL:
        c->ack_now = true;
        channel_on_ack(c, f.ack, true, f.grant, f.bitmap, f.bitmap_bytes, now_ms);
        break;
    case CONTROL_ACK:
        channel_on_ack(c, f.ack, true, f.grant, f.bitmap, f.bitmap_bytes, now_ms);
        break;
    case CONTROL_BYE:
        c->gone = true;
        channel_set_state(c, CHANNEL_SILENT, "the peer said goodbye");
        break;
    case CONTROL_RESERVED:
        break;
    }
}

void channel_on_frame(struct channel *c, uint8_t *frame, size_t n, int64_t now_ms)
{
    switch (frame_kind(frame[0])) {
    case FRAME_DATA:
        on_data(c, frame, n, now_ms);
        break;
    case FRAME_CONTROL:
        on_control(c, frame, n, now_ms);
        break;
    case FRAME_HANDSHAKE:
        channel_on_handshake(c, frame, n, now_ms);
        break;
    case FRAME_UNKNOWN:
        c->status.bad_frames++;
        break;
    }
}
