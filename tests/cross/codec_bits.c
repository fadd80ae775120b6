/* Writes and reads what the codecs make of generated streams, so that machines can be compared.
 *
 *     codec_bits OUT MEMORY BYTES [IN]
 *
 * codes about BYTES of payload with each codec, writes the coded streams to OUT, and, given IN,
 * decodes such streams of another machine and compares every record with the generator's.
 *
 * Everything that is coded comes from the seed below and from integers alone, so that any
 * difference between two machines is the codec's. Exit status: 0 done, 1 the stream is wrong, 2
 * usage or file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/codec_plain.h"
#include "tests/unit/wire_codec/run.h"

#define SEED       20261123
#define UNIT_BYTES 220
#define EACH_MAX   600 /* messages of a kind: run.h bounds the records of all kinds together */

static const struct codec *const codecs[] = {&codec_plain, &codec_mix};

/* Records of the other types, with every field somewhere set: their contexts, too, must not depend
 * on the machine. */
static void put_rarities(struct run *run)
{
    static const uint8_t props[] = {0x26, 0, 1, 'k', 0, 1, 'v'};
    static const uint8_t large[3000] = {1, 2, 3};
    static const char text[] = "plant/hall 3/door", route[] = "telemetry", hops[] = "buoy-17,hub";
    uint64_t n = run->number;

    run_put(run, &(struct record){.type = RECORD_MESSAGE,
                                  .class = CLASS_ALARM,
                                  .number = n + 1,
                                  .previous = n,
                                  .slot = RECORD_NO_SLOT,
                                  .topic = text,
                                  .topic_len = sizeof text - 1,
                                  .qos = 2,
                                  .retain = true,
                                  .has_origin = true,
                                  .origin_in_ms = true,
                                  .origin_ms = 1700000000123,
                                  .has_expiry = true,
                                  .expiry_s = 3600,
                                  .props = props,
                                  .props_len = sizeof props,
                                  .hops = hops,
                                  .hops_len = sizeof hops - 1,
                                  .bytes = props,
                                  .len = 4,
                                  .total = 4});
    run_put(run, &(struct record){.type = RECORD_MESSAGE,
                                  .class = CLASS_BULK,
                                  .number = n + 2,
                                  .previous = n,
                                  .slot = 1,
                                  .bytes = large,
                                  .len = 2000,
                                  .total = sizeof large});
    run_put(run, &(struct record){.type = RECORD_CHUNK,
                                  .class = CLASS_BULK,
                                  .number = n + 2,
                                  .offset = 2000,
                                  .bytes = large + 2000,
                                  .len = sizeof large - 2000});
    run_put(run, &(struct record){.type = RECORD_GAP,
                                  .class = CLASS_NORMAL,
                                  .number = n + 9,
                                  .previous = n,
                                  .first_number = n + 3,
                                  .count = 5,
                                  .reason = 2,
                                  .from_ms = 1700000000000,
                                  .to_ms = 1700000360000,
                                  .route = route,
                                  .route_len = sizeof route - 1});
    run_flush(run);
    run->number = n + 9;
}

static void make(struct run *run, const struct codec *codec, size_t memory, size_t bytes)
{
    struct stream s;
    struct stream_message m;
    size_t given = 0; /* what a kind of short messages leaves, the next ones take */

    run_begin(run, codec, memory);
    for (size_t k = 0; k < stream_kind_count; k++) {
        size_t begin = run->stream.len, end = given + (bytes - given) / (stream_kind_count - k);
        stream_begin(&s, SEED + k);
        for (unsigned i = 0; i < EACH_MAX && given < end; i++) {
            stream_kinds[k].next(&s, &m);
            if (codec->set_effort)
                codec->set_effort(run->encoder, i % 8 < 6 ? CODEC_EFFORT_FULL : CODEC_EFFORT_FAST);
            /* Slots of the kinds apart, so that a topic is named once. */
            m.slot = (m.slot + 311 * (unsigned)k) % RECORD_TOPIC_SLOTS;
            run_message(run, &m);
            given += m.len + 1;
            if (run->stream.len - begin >= UNIT_BYTES) {
                run_flush(run);
                begin = run->stream.len;
            }
        }
        if (run->stream.len > begin) /* a unit has at least one byte */
            run_flush(run);
    }
    put_rarities(run);
}

/* Puts what the file holds in the place of what was coded here, and decodes that. Return: NULL, or
 * what was wrong. */
static const char *decode(struct run *run, size_t memory, FILE *in)
{
    size_t n = run->stream.len;
    uint8_t *read = malloc(n);
    const char *wrong = "the stream is too short";

    if (!read)
        abort();
    if (fread(read, 1, n, in) == n) {
        buf_clear(&run->stream);
        if (!buf_put(&run->stream, read, n))
            abort();
        wrong = run_check(run, memory, 97);
    }
    free(read);
    return wrong;
}

static bool code(size_t memory, size_t bytes, FILE *out, FILE *in)
{
    struct run run;
    bool good = true;

    for (size_t c = 0; c < sizeof codecs / sizeof *codecs && good; c++) {
        make(&run, codecs[c], memory, bytes);
        printf("%s at %zu KB of memory: %zu records in %zu bytes, hash %016llx\n", codecs[c]->name,
               memory >> 10, run.count, run.stream.len, (unsigned long long)run_hash(&run));
        good = fwrite(buf_bytes(&run.stream), 1, run.stream.len, out) == run.stream.len;
        const char *wrong = in && good ? decode(&run, memory, in) : NULL;
        if (wrong)
            printf("%s at %zu KB of memory: %s\n", codecs[c]->name, memory >> 10, wrong);
        good = good && !wrong;
        run_end(&run);
    }
    return good && (!in || getc(in) == EOF);
}

int main(int argc, char **argv)
{
    FILE *out = argc == 4 || argc == 5 ? fopen(argv[1], "wb") : NULL;
    FILE *in = argc == 5 ? fopen(argv[4], "rb") : NULL;

    if (!out || (argc == 5 && !in)) {
        fprintf(stderr, "usage: codec_bits OUT MEMORY BYTES [IN]\n");
        return 2;
    }
    bool good = code(strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0), out, in);
    if (in)
        fclose(in);
    return fclose(out) == 0 && good ? 0 : 1;
}
