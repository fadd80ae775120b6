#include "tests/unit/wire_codec/run.h"

#include <stdlib.h>
#include <string.h>
#include "base/hash.h"

#define STREAM_MAX  (64u << 20)
#define MESSAGE_MAX (1u << 20)

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

void run_begin(struct run *run, const struct codec *codec, size_t memory)
{
    *run = (struct run){.codec = codec};
    run->encoder = must(codec->encoder_new(memory));
    run->records = must(calloc(RUN_RECORDS_MAX, sizeof *run->records));
    buf_init(&run->stream, STREAM_MAX);
}

void run_end(struct run *run)
{
    for (size_t i = 0; i < run->count; i++)
        free(run->records[i].bytes);
    free(run->records);
    buf_fini(&run->stream);
    run->codec->encoder_free(run->encoder);
}

static const void *keep(uint8_t **at, const void *bytes, size_t n)
{
    uint8_t *p = *at;

    if (n)
        memcpy(p, bytes, n);
    *at += n;
    return p;
}

void run_put(struct run *run, const struct record *r)
{
    if (run->count == RUN_RECORDS_MAX)
        abort();
    struct run_record *kept = &run->records[run->count++];
    uint8_t *at = must(malloc((size_t)r->len + r->topic_len + r->props_len + r->hops_len + r->route_len + 1));

    kept->r = *r;
    kept->bytes = at;
    kept->r.bytes = keep(&at, r->bytes, r->len);
    kept->r.topic = keep(&at, r->topic, r->topic_len);
    kept->r.props = keep(&at, r->props, r->props_len);
    kept->r.hops = keep(&at, r->hops, r->hops_len);
    kept->r.route = keep(&at, r->route, r->route_len);
    if (run->codec->encode(run->encoder, r, &run->stream, &kept->needed) != 0)
        abort();
}

void run_message(struct run *run, const struct stream_message *m)
{
    if (!run->named[m->slot]) {
        run->named[m->slot] = true;
        run_put(run, &(struct record){.type = RECORD_TOPIC, .slot = m->slot, .topic = m->topic,
                                      .topic_len = (uint32_t)strlen(m->topic)});
    }
    uint64_t previous = run->number++;
    run_put(run, &(struct record){.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = run->number,
                                  .previous = previous, .slot = m->slot, .bytes = m->payload,
                                  .len = (uint32_t)m->len, .total = (uint32_t)m->len});
}

void run_flush(struct run *run)
{
    if (run->units == RUN_UNITS_MAX || run->codec->flush(run->encoder, &run->stream) != 0)
        abort();
    run->unit_records[run->units] = run->count;
    run->unit_ends[run->units++] = run->stream.len;
}

void run_kind(struct run *run, const struct stream_kind *kind, uint64_t seed, size_t messages,
              size_t unit_bytes)
{
    struct stream s;
    struct stream_message m;
    uint64_t begin = run->stream.len;

    stream_begin(&s, seed);
    for (size_t i = 0; i < messages; i++) {
        kind->next(&s, &m);
        run_message(run, &m);
        if (run->stream.len - begin >= unit_bytes || i + 1 == messages) {
            run_flush(run);
            begin = run->stream.len;
        }
    }
}

static bool same_bytes(const void *a, size_t an, const void *b, size_t bn)
{
    return an == bn && (an == 0 || memcmp(a, b, an) == 0);
}

static bool same(const struct record *a, const struct record *b)
{
    if (a->type != b->type)
        return false;
    bool numbered = a->type != RECORD_TOPIC && a->type != RECORD_TOPICS_RESET;
    if (numbered && (a->class != b->class || a->number != b->number))
        return false;
    if (numbered && a->type != RECORD_CHUNK && a->previous != b->previous)
        return false;
    switch (a->type) {
    case RECORD_MESSAGE:
        return a->slot == b->slot && a->qos == b->qos && a->retain == b->retain &&
               a->has_origin == b->has_origin && a->has_expiry == b->has_expiry &&
               (!a->has_origin ||
                (a->origin_ms == b->origin_ms && a->origin_in_ms == b->origin_in_ms)) &&
               (!a->has_expiry || a->expiry_s == b->expiry_s) && a->total == b->total &&
               (a->slot != RECORD_NO_SLOT || same_bytes(a->topic, a->topic_len, b->topic, b->topic_len)) &&
               same_bytes(a->props, a->props_len, b->props, b->props_len) &&
               same_bytes(a->hops, a->hops_len, b->hops, b->hops_len) &&
               same_bytes(a->bytes, a->len, b->bytes, b->len);
    case RECORD_CHUNK:
        return a->offset == b->offset && same_bytes(a->bytes, a->len, b->bytes, b->len);
    case RECORD_TOPIC:
        return a->slot == b->slot && same_bytes(a->topic, a->topic_len, b->topic, b->topic_len);
    case RECORD_GAP:
        return a->first_number == b->first_number && a->count == b->count && a->reason == b->reason &&
               a->from_ms == b->from_ms && a->to_ms == b->to_ms &&
               same_bytes(a->route, a->route_len, b->route, b->route_len);
    case RECORD_ABORT:
    case RECORD_TOPICS_RESET:
        return true;
    }
    return false;
}

/* All records that `have` bytes of the stream bring, unit_end: and a unit's end with them. */
static const char *take(const struct run *run, struct codec_decoder *d, uint64_t have, bool unit_end,
                        size_t unit, size_t *next)
{
    struct record r;
    uint64_t needed;
    int rc;

    while ((rc = run->codec->decode(d, &r, &needed)) == 0) {
        if (*next == run->count)
            return "a record too many";
        const struct run_record *want = &run->records[(*next)++];
        if (!same(&want->r, &r))
            return "another record";
        if (needed != want->needed)
            return "needed differs";
        if (!unit_end && needed > have)
            return "a record came before what it needs";
    }
    if (rc != CODEC_MORE)
        return "not taken for a stream of the codec";
    if (unit_end && *next != run->unit_records[unit])
        return "a unit ended without all its records";
    if (*next < run->count && !unit_end && run->records[*next].needed <= have)
        return "a record did not come although what it needs was there";
    return NULL;
}

const char *run_check(const struct run *run, size_t memory, size_t piece_bytes)
{
    const struct codec_limits limits = {.max_message = MESSAGE_MAX};
    struct codec_decoder *d = must(run->codec->decoder_new(memory, &limits));
    const uint8_t *bytes = buf_bytes(&run->stream);
    const char *wrong = NULL;
    uint64_t have = 0;
    size_t next = 0;

    for (size_t unit = 0; unit < run->units && !wrong; unit++) {
        bool unit_end;
        do {
            uint64_t left = run->unit_ends[unit] - have;
            size_t n = left < piece_bytes ? (size_t)left : piece_bytes;
            unit_end = n == left;
            if (run->codec->feed(d, bytes + have, n, unit_end) != 0) {
                wrong = "feed refused";
                break;
            }
            have += n;
            wrong = take(run, d, have, unit_end, unit, &next);
        } while (!unit_end && !wrong);
    }
    run->codec->decoder_free(d);
    return wrong ? wrong : next == run->count ? NULL : "records are missing";
}

uint64_t run_hash(const struct run *run)
{
    return hash64_add(HASH64_START, buf_bytes(&run->stream), run->stream.len);
}
