#include "gateway/cli/estimate_share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/bridge/topic_slots.h"
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/codec_plain.h"
#include "gateway/wire/primer_models.h"

#define STREAM_MAX (16u << 20) /* of one message */

struct estimate_share {
    const struct codec *codec;
    struct codec_encoder *encoder;
    struct topic_slots *slots;
    struct buf stream;
    uint64_t number;
};

static bool prime(struct estimate_share *s)
{
    return !s->codec->prime_encoder || primer_teach(s->codec, s->encoder) == 0;
}

struct estimate_share *estimate_share_new(bool plain, size_t codec_memory)
{
    struct estimate_share *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->codec = plain ? &codec_plain : &codec_mix;
    s->encoder = s->codec->encoder_new(codec_memory);
    s->slots = topic_slots_new();
    buf_init(&s->stream, STREAM_MAX);
    if (s->encoder && s->slots && prime(s))
        return s;
    estimate_share_free(s);
    return NULL;
}

void estimate_share_free(struct estimate_share *s)
{
    if (!s)
        return;
    if (s->encoder)
        s->codec->encoder_free(s->encoder);
    topic_slots_free(s->slots);
    buf_fini(&s->stream);
    free(s);
}

/* The slot of the topic, named first where it is new. */
static int slot_of(struct estimate_share *s, const char *topic, unsigned *slot)
{
    uint64_t needed;
    if (topic_slots_find(s->slots, topic, slot))
        return 0;
    *slot = topic_slots_victim(s->slots);
    const struct record r = {.type = RECORD_TOPIC,
                             .slot = *slot,
                             .topic = topic,
                             .topic_len = (uint32_t)strlen(topic)};
    int rc = topic_slots_set(s->slots, *slot, topic, r.topic_len);
    return rc < 0 ? rc : s->codec->encode(s->encoder, &r, &s->stream, &needed);
}

int estimate_share_put(struct estimate_share *s, const char *topic, const uint8_t *payload,
                       size_t n, uint64_t *bytes)
{
    uint64_t needed;
    unsigned slot;
    buf_clear(&s->stream);
    int rc = slot_of(s, topic, &slot);
    struct record r = {.class = CLASS_NORMAL,
                       .number = s->number + 1,
                       .previous = s->number,
                       .slot = slot,
                       .qos = 1,
                       .total = (uint32_t)n};
    s->number++;
    do {
        r.type = r.offset ? RECORD_CHUNK : RECORD_MESSAGE;
        r.bytes = payload + r.offset;
        r.len = (uint32_t)(n - r.offset < RECORD_CHUNK_MAX ? n - r.offset : RECORD_CHUNK_MAX);
        rc = rc == 0 ? s->codec->encode(s->encoder, &r, &s->stream, &needed) : rc;
        r.offset += r.len;
    } while (rc == 0 && r.offset < n);
    *bytes = s->stream.len;
    return rc == 0 ? 0 : -ENOMEM;
}
