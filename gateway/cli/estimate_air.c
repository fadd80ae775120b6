#include "gateway/cli/estimate_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/wire/channel.h"
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/codec_plain.h"
#include "gateway/wire/datagram_frame.h"
#include "gateway/wire/frame.h"
#include "gateway/wire/primer.h"

/* When the far end acknowledges, as gateway/wire/channel does it: after so many frames, or so long
 * after the first. A datagram costs, so there the answer waits long. */
#define STREAM_ACK_FRAMES   32
#define STREAM_ACK_MS       200
#define DATAGRAM_ACK_FRAMES 8
#define DATAGRAM_ACK_MS     600000
#define RATIO_MAX           16
#define STREAM_MAX          (4u << 20) /* coded and not yet in a frame */

struct estimate_line {
    struct estimate_link link;
    const struct codec *codec;
    struct codec_encoder *encoder;
    struct buf stream;
    struct estimate_totals totals;
    uint64_t payload, coded; /* bytes so far, into the codec and out of it */
    uint64_t number;         /* of the last frame */
    unsigned unacked;
    int64_t ack_at_ms; /* if unacked */
};

static size_t overhead(const struct estimate_line *l)
{
    return (l->link.datagram ? DATAGRAM_HEADER_BYTES : FRAME_HEADER_BYTES) + FRAME_CHECK_BYTES +
           l->link.tag_bytes;
}

static size_t content(const struct estimate_line *l)
{
    return l->link.frame_bytes - overhead(l);
}

/* A new pair of ends begins with what the codec is shipped with. */
static bool prime(struct estimate_line *l)
{
    bool good = true;
    for (size_t i = 0; l->codec->prime_encoder && i < primer_count() && good; i++) {
        struct record r = primer_record(i);
        good = l->codec->prime_encoder(l->encoder, &r) == 0;
    }
    return good;
}

struct estimate_line *estimate_line_new(const struct estimate_link *link)
{
    struct estimate_line *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->link = *link;
    l->codec = link->plain ? &codec_plain : &codec_mix;
    l->encoder = l->codec->encoder_new(link->codec_memory);
    buf_init(&l->stream, STREAM_MAX);
    if (l->encoder && prime(l))
        return l;
    if (l->encoder)
        l->codec->encoder_free(l->encoder);
    free(l);
    return NULL;
}

void estimate_line_free(struct estimate_line *l)
{
    if (!l)
        return;
    l->codec->encoder_free(l->encoder);
    buf_fini(&l->stream);
    free(l);
}

static uint64_t credits(const struct estimate_line *l, size_t bytes)
{
    size_t step = l->link.credit_bytes;
    return step ? (bytes + step - 1) / step : 0;
}

/* The bytes of a frame as they lie on the line. */
static size_t on_the_line(const struct estimate_line *l, const uint8_t *frame, size_t n)
{
    static const struct framing_avoid none;
    return l->link.datagram ? n : framing_length(&none, false, frame, n);
}

/* Only the length of the tag counts here: framing costs the same whatever bytes it holds. */
static size_t seal(const struct estimate_line *l, uint8_t *frame, size_t n)
{
    memset(frame + n, 0, l->link.tag_bytes);
    return n + l->link.tag_bytes;
}

static void acknowledge(struct estimate_line *l)
{
    uint8_t frame[FRAME_CONTROL_MAX_BYTES + DATAGRAM_ANSWER_MAX + SEAL_TAG_MAX];
    size_t n;
    if (l->link.datagram) {
        static const uint8_t bitmap[1]; /* nothing beyond: 0 bytes of it */
        struct datagram_answer a = {.type = DATAGRAM_ACK, .ack = l->number, .bitmap = bitmap};
        size_t clear;
        n = datagram_answer_encode(&a, NULL, frame, &clear);
    } else {
        struct frame_control f = {
            .type = CONTROL_ACK, .number = l->totals.back_frames + 1, .ack = (uint16_t)l->number};
        n = frame_control_encode(&f, frame);
    }
    n = seal(l, frame, n);
    size_t bytes = on_the_line(l, frame, n);
    l->totals.back_frames++;
    l->totals.back_bytes += bytes;
    l->totals.credits += credits(l, bytes);
    l->unacked = 0;
}

void estimate_line_tick(struct estimate_line *l, int64_t now_ms)
{
    if (l->unacked && now_ms >= l->ack_at_ms)
        acknowledge(l);
}

static void cut_frame(struct estimate_line *l, size_t n, bool unit_end, int64_t now_ms)
{
    uint8_t frame[ESTIMATE_MTU_MAX];
    size_t len;
    l->number++;
    if (l->link.datagram) {
        struct datagram_header h = {.number = l->number, .epoch_low = 1};
        size_t clear;
        len = datagram_header_encode(&h, SEAL_NONE, frame, &clear);
        memset(frame + len, 0, FRAME_CHECK_BYTES);
        len += FRAME_CHECK_BYTES;
    } else {
        struct frame_data f = {
            .number = l->number, .unit_end = unit_end, .check = (uint16_t)(l->number * 40503u)};
        len = frame_data_encode(&f, frame);
    }
    memcpy(frame + len, buf_bytes(&l->stream), n);
    buf_consume(&l->stream, n);
    len = seal(l, frame, len + n);
    size_t bytes = on_the_line(l, frame, len);
    l->totals.frames++;
    l->totals.bytes += bytes;
    l->totals.credits += credits(l, bytes);
    l->totals.stream_bytes += n;
    if (!l->unacked++)
        l->ack_at_ms = now_ms + (l->link.datagram ? DATAGRAM_ACK_MS : STREAM_ACK_MS);
    if (l->unacked == (l->link.datagram ? DATAGRAM_ACK_FRAMES : STREAM_ACK_FRAMES))
        acknowledge(l);
}

int estimate_line_put(struct estimate_line *l, const struct record *r, int64_t now_ms,
                      uint64_t *stream_bytes)
{
    uint64_t needed;
    size_t before = l->stream.len;
    estimate_line_tick(l, now_ms);
    if (l->codec->encode(l->encoder, r, &l->stream, &needed) < 0)
        return -ENOMEM;
    *stream_bytes = l->stream.len - before;
    l->payload += r->type == RECORD_MESSAGE || r->type == RECORD_CHUNK ? r->len : 0;
    l->coded += *stream_bytes;
    while (l->stream.len >= content(l))
        cut_frame(l, content(l), false, now_ms);
    return 0;
}

size_t estimate_line_room(const struct estimate_line *l)
{
    size_t left = content(l) - l->stream.len;
    size_t room = left >= content(l) / 4 ? left : left + content(l);
    /* As much payload as has gone into so many bytes so far. */
    uint64_t ratio = l->coded ? l->payload / l->coded : 1;
    ratio = ratio < 1 ? 1 : ratio > RATIO_MAX ? RATIO_MAX : ratio;
    return room * ratio < CHANNEL_WHOLE_BYTES ? CHANNEL_WHOLE_BYTES : room * (size_t)ratio;
}

int estimate_line_flush(struct estimate_line *l, int64_t now_ms, uint64_t *stream_bytes)
{
    size_t before = l->stream.len;
    if (l->codec->flush(l->encoder, &l->stream) < 0)
        return -ENOMEM;
    *stream_bytes = l->stream.len - before;
    while (l->stream.len > 0)
        cut_frame(l, l->stream.len < content(l) ? l->stream.len : content(l),
                  l->stream.len <= content(l), now_ms);
    return 0;
}

const struct estimate_totals *estimate_line_totals(const struct estimate_line *l)
{
    return &l->totals;
}
