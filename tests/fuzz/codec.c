/* What a peer's stream may hold, for each codec: [codec, limits] then pieces [length, unit end?] bytes. Whatever comes
 * out keeps within the limits and makes sense by itself; and coded again by the same codec, it comes back the same, with
 * the feed that `needed` names. */
#include "tests/fuzz/fuzz.h"
#include "base/msg.h"
#include "gateway/wire/codec.h"
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/codec_plain.h"
#include "gateway/wire/record_check.h"

#define MEMORY      (256u << 10)
#define RECORDS_MAX 50       /* of one input, and bytes in them: a model that is sure of itself makes many of few */
#define BYTES_MAX   3000     /* bytes of the stream, and takes its time to code them again */
#define OUT_MAX     (4u << 20)

struct again {               /* the same records, coded once more */
    const struct codec *codec;
    struct codec_encoder *encoder;
    struct codec_decoder *decoder;
    struct buf out;
    uint64_t given;          /* bytes of out that the decoder has had */
    uint64_t check_in, check_out;
};

static void sensible(const struct record *r, const struct codec_limits *limits)
{
    FUZZ_MUST(r->type < RECORD_TYPES && (unsigned)r->class < CLASS_COUNT);
    switch (r->type) {
    case RECORD_MESSAGE:
        FUZZ_MUST(r->number > r->previous && r->qos <= 2 && r->len <= r->total && r->offset == 0);
        FUZZ_MUST(r->slot < RECORD_TOPIC_SLOTS || r->slot == RECORD_NO_SLOT);
        FUZZ_MUST((uint64_t)r->total + r->props_len + r->topic_len <= limits->max_message);
        FUZZ_MUST(r->len <= RECORD_CHUNK_MAX && r->props_len <= MSG_PROPS_MAX_BYTES);
        break;
    case RECORD_CHUNK:
        FUZZ_MUST(r->len <= RECORD_CHUNK_MAX && (uint64_t)r->offset + r->len <= limits->max_message);
        break;
    case RECORD_TOPIC:
        FUZZ_MUST(r->slot < RECORD_TOPIC_SLOTS && r->topic_len <= 65535);
        break;
    case RECORD_GAP:
        FUZZ_MUST(r->number > r->previous && r->first_number <= r->number && r->reason < RECORD_REASONS);
        break;
    case RECORD_ABORT:
        FUZZ_MUST(r->number > r->previous);
        break;
    case RECORD_TOPICS_RESET:
        break;
    }
    /* Each byte that the record names can be read. */
    uint64_t touched = record_check_add(RECORD_CHECK_START, r);
    FUZZ_MUST(touched != 0);
}

/* An owner's numbers rise within a class; what a stranger sent may not, and cannot be coded. */
static bool codable(const struct record *r, uint64_t last[CLASS_COUNT])
{
    if (r->type == RECORD_TOPIC || r->type == RECORD_TOPICS_RESET || r->type == RECORD_CHUNK)
        return r->type != RECORD_CHUNK;
    if (r->number <= last[r->class] || r->number > UINT64_MAX >> 4)
        return false;
    last[r->class] = r->type == RECORD_ABORT ? r->previous : r->number;
    return r->type != RECORD_MESSAGE || r->total == r->len;
}

static void code_again(struct again *a, const struct record *r)
{
    uint64_t needed, needed_back;
    struct record back;
    if (a->codec->encode(a->encoder, r, &a->out, &needed) != 0 || a->codec->flush(a->encoder, &a->out) != 0)
        return; /* out is full: a record beyond what an owner may give */
    a->check_out = record_check_add(a->check_out, r);
    size_t n = a->out.len;
    FUZZ_MUST(a->codec->feed(a->decoder, buf_bytes(&a->out), n, true) == 0);
    FUZZ_MUST(a->codec->decode(a->decoder, &back, &needed_back) == 0 && needed_back == needed);
    a->check_in = record_check_add(a->check_in, &back);
    FUZZ_MUST(a->check_in == a->check_out);
    FUZZ_MUST(needed <= a->given + n + 8);
    FUZZ_MUST(a->codec->decode(a->decoder, &back, &needed_back) == CODEC_MORE);
    a->given += n;
    buf_clear(&a->out);
}

static void run(struct reader *r, const struct codec *codec, const struct codec_limits *limits)
{
    struct codec_limits wide = {.max_message = UINT32_MAX};
    struct codec_decoder *decoder = codec->decoder_new(MEMORY, limits);
    struct again a = {.codec = codec, .encoder = codec->encoder_new(MEMORY), .decoder = codec->decoder_new(MEMORY, &wide)};
    uint64_t last[CLASS_COUNT] = {0}, before = 0, spent = 0;
    unsigned records = 0;
    bool bad = !decoder || !a.encoder || !a.decoder;
    FUZZ_MUST(!bad);
    buf_init(&a.out, OUT_MAX);
    while (r->left > 0 && !bad && records < RECORDS_MAX && spent <= BYTES_MAX) {
        uint8_t how = read_u8(r);
        size_t n;
        uint8_t *bytes = fuzz_take(r, how >> 1, &n);
        bad = codec->feed(decoder, bytes, n, how & 1) != 0;
        free(bytes);
        struct record out;
        uint64_t needed = 0;
        int rc = bad ? CODEC_BAD : codec->decode(decoder, &out, &needed);
        while (rc == 0 && records++ < RECORDS_MAX) {
            FUZZ_MUST(needed >= before); /* the unit goes on */
            before = needed;
            sensible(&out, limits);
            spent += (uint64_t)out.len + out.topic_len + out.props_len + out.route_len;
            if (spent > BYTES_MAX)
                break;
            if (codable(&out, last))
                code_again(&a, &out);
            rc = codec->decode(decoder, &out, &needed);
        }
        bad = rc == CODEC_BAD || rc < 0;
        if (how & 1)
            before = 0; /* a unit may end before the bytes that its last record might have needed */
        if (rc == CODEC_BAD)
            FUZZ_MUST(codec->decode(decoder, &out, &needed) == CODEC_BAD);
    }
    codec->decoder_free(decoder);
    codec->decoder_free(a.decoder);
    codec->encoder_free(a.encoder);
    buf_fini(&a.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t bounds[] = {64, 300, 1000, 1u << 20};
    struct reader r = reader_of(data, size);
    uint8_t how = read_u8(&r);
    /* The mixing codec takes a microsecond and more a bit: of a megabyte that a few bytes may claim, some seconds. */
    struct codec_limits limits = {.max_message = bounds[how >> 1 & (how & 1 ? 1 : 3)]};
    run(&r, how & 1 ? &codec_mix : &codec_plain, &limits);
    return 0;
}
