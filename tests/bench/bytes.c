/* Bytes a message that the mixing codec makes of recordings: NDJSON, one {"topic", "payload" or
 * "payload_b64"} a line.
 *
 *     bytes [--memory BYTES] [--no-decode] [--no-primer] [--framed] [--fast] [--costs]
 *           [--mix times|even|turns] FILE.ndjson | FOLDER ...
 *
 * --mix: all files as sites behind one gateway, their messages interleaved by the times recorded (each file
 * from its own beginning), at even paces so that all end together, or by turns until each has run out.
 * --costs: what the parts of records cost, by the model's own probabilities, and for a mix by site.
 *
 * Framed: a unit is closed as soon as it holds 220 bytes. Single: each message is a unit of its own. What
 * was coded is decoded again and compared. Times of origin are not coded, and all is of one class. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/mix_records.h"
#include "gateway/wire/mix_records_memory.h"
#include "gateway/wire/mix_steps.h"
#include "gateway/wire/primer.h"
#include "gateway/wire/primer_models.h"
#include "tests/bench/recording.h"

#define FRAME_BYTES 220

#define SITES_MAX 32

enum mix { MIX_TIMES, MIX_EVEN, MIX_TURNS };

static int by_when(const void *a, const void *b)
{
    const struct message *x = a, *y = b;

    if (x->when != y->when)
        return x->when < y->when ? -1 : 1;
    return (x->site > y->site) - (x->site < y->site);
}

/* Interleaves the sites; within each the order stays. */
static void interleave(struct recording *r, enum mix mix)
{
    for (size_t begin = 0, end; begin < r->count; begin = end) {
        double latest = 0, first = r->messages[begin].when;
        for (end = begin; end < r->count && r->messages[end].site == r->messages[begin].site; end++)
            continue;
        for (size_t i = begin; i < end; i++) {
            double place = (double)(i - begin), when = r->messages[i].when - first;
            latest = when > latest ? when : latest;
            /* Becomes the place in the mix. Times that stand still are told apart by the order. */
            r->messages[i].when = mix == MIX_TIMES  ? latest + place * 1e-9
                                  : mix == MIX_EVEN ? place / (double)(end - begin)
                                                    : place;
        }
    }
    qsort(r->messages, r->count, sizeof *r->messages, by_when);
}

static struct record record_of(const struct recording *r, size_t i)
{
    const struct message *m = &r->messages[i];

    return (struct record){.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = i + 1, .previous = i,
                           .slot = m->topic % RECORD_TOPIC_SLOTS, .bytes = m->payload, .len = m->len,
                           .total = m->len};
}

static bool no_primer;
static enum codec_effort effort;

struct result {
    uint64_t bytes;
    double seconds;
    bool same;
};

/* Decodes a unit and compares its messages from *next on. */
static bool unit_is_right(struct codec_decoder *d, const struct recording *r, const uint8_t *unit,
                          size_t n, size_t *next)
{
    struct record got;
    uint64_t needed;
    int rc;

    if (codec_mix.feed(d, unit, n, true) != 0)
        return false;
    while ((rc = codec_mix.decode(d, &got, &needed)) == 0) {
        if (got.type == RECORD_TOPIC)
            continue;
        struct record want = record_of(r, *next);
        if (got.number != want.number || got.slot != want.slot || got.len != want.len ||
            memcmp(got.bytes, want.bytes, want.len) != 0)
            return false;
        ++*next;
    }
    return rc == CODEC_MORE;
}

static struct result measure(const struct recording *r, size_t memory, size_t frame, bool decode)
{
    struct codec_encoder *e = codec_mix.encoder_new(memory);
    struct codec_decoder *d =
        decode ? codec_mix.decoder_new(memory, &(struct codec_limits){.max_message = 1u << 20}) : NULL;
    bool *named = calloc(r->topic_count, sizeof *named);
    struct result result = {.same = true};
    struct buf out;
    size_t next = 0;
    uint64_t needed;

    buf_init(&out, 1u << 24);
    if (!e || !named)
        abort();
    if (!no_primer && primer_teach(&codec_mix, e) != 0)
        abort();
    if (d)
        codec_mix.copy_to_decoder(d, e);
    codec_mix.set_effort(e, effort);
    for (size_t i = 0; i < r->count && result.same; i++) {
        struct record m = record_of(r, i);
        clock_t start = clock();
        if (!named[r->messages[i].topic]) {
            const char *topic = r->topics[r->messages[i].topic];
            struct record t = {.type = RECORD_TOPIC, .slot = m.slot, .topic = topic,
                               .topic_len = (uint32_t)strlen(topic)};
            named[r->messages[i].topic] = true;
            if (codec_mix.encode(e, &t, &out, &needed) != 0)
                abort();
        }
        if (codec_mix.encode(e, &m, &out, &needed) != 0)
            abort();
        bool ends = out.len >= frame || i + 1 == r->count;
        if (ends && codec_mix.flush(e, &out) != 0)
            abort();
        result.seconds += (double)(clock() - start) / CLOCKS_PER_SEC;
        if (!ends)
            continue;
        result.bytes += out.len;
        if (d)
            result.same = unit_is_right(d, r, buf_bytes(&out), out.len, &next) && next == i + 1;
        buf_clear(&out);
    }
    codec_mix.encoder_free(e);
    codec_mix.decoder_free(d);
    buf_fini(&out);
    free(named);
    return result;
}

/* --- what the parts cost --- */

enum part { PART_SLOT, PART_LENGTH, PART_SYMBOLS, PART_NAMES, PART_ENDS, PART_PAYLOAD, PARTS };
static const char *const part_names[PARTS] = {"slot", "length", "other symbols", "topic texts", "ends", "payload"};

static enum part part_of(const struct mix_records *w)
{
    if (w->step == STEP_TOPIC)
        return PART_NAMES;
    if (w->phase == MIX_PHASE_SYMBOL)
        return w->step == STEP_SLOT || w->step == STEP_SLOT_NEW || w->step == STEP_STRAND ? PART_SLOT
               : w->step == STEP_LENGTH                         ? PART_LENGTH
                                                                : PART_SYMBOLS;
    return w->phase == MIX_PHASE_END_FLAG ? PART_ENDS : PART_PAYLOAD;
}

/* Bits of one record, or of a unit's end. */
static void add_costs(struct mix_records *w, const struct record *m, uint64_t unit_bytes, double bits[PARTS])
{
    struct mix_choice choice = {0};
    enum mix_records_state state = MIX_RECORDS_MORE;

    if (m)
        choice = mix_records_choose(w, m);
    mix_records_begin(w, unit_bytes);
    while (state == MIX_RECORDS_MORE) {
        enum part part = part_of(w);
        int p = mix_records_predict(w);
        unsigned bit = mix_records_bit(w, m, &choice);
        bits[part] += p ? -log2((bit ? p : 65536 - p) / 65536.0) : 8;
        state = mix_records_update(w, bit);
    }
}

static void print_costs(const struct recording *r, size_t memory)
{
    static double bits[SITES_MAX][PARTS];
    size_t messages[SITES_MAX] = {0};
    void *storage = aligned_alloc(64, (mix_records_size(memory) + 63) & ~(size_t)63);
    bool *named = calloc(r->topic_count, sizeof *named);
    double unit = 0;

    if (!storage || !named)
        abort();
    memset(bits, 0, sizeof bits);
    memset(storage, 0, mix_records_size(memory));
    struct mix_records *w = mix_records_init(storage, memory, 1u << 20, UINT32_MAX);
    for (size_t i = 0; i < primer_count() && !no_primer; i++) {
        struct record p = primer_record(i);
        if (mix_records_learn(w, &p) != 0)
            abort();
    }
    if (mix_records_learn(w, NULL) != 0)
        abort();
    for (size_t i = 0; i < r->count; i++) {
        struct record m = record_of(r, i);
        unsigned site = r->messages[i].site % SITES_MAX;
        double before = 0, after = 0;
        for (unsigned k = 0; k < PARTS; k++)
            before += bits[site][k];
        if (!named[r->messages[i].topic]) {
            const char *topic = r->topics[r->messages[i].topic];
            struct record t = {.type = RECORD_TOPIC, .slot = m.slot, .topic = topic,
                               .topic_len = (uint32_t)strlen(topic)};
            named[r->messages[i].topic] = true;
            add_costs(w, &t, (uint64_t)(unit / 8), bits[site]);
        }
        add_costs(w, &m, (uint64_t)(unit / 8), bits[site]);
        messages[site]++;
        for (unsigned k = 0; k < PARTS; k++)
            after += bits[site][k];
        unit += after - before;
        if (unit >= 8 * FRAME_BYTES) {
            add_costs(w, NULL, (uint64_t)(unit / 8), bits[site]);
            unit = 0;
        }
    }
    printf("    %-10s", "bytes of");
    for (unsigned k = 0; k < PARTS; k++)
        printf(" %14s", part_names[k]);
    printf("\n");
    for (unsigned site = 0; site < r->sites && site < SITES_MAX; site++) {
        double sum = 0;
        printf("    site %-5u", site);
        for (unsigned k = 0; k < PARTS; k++) {
            printf(" %14.0f", bits[site][k] / 8);
            sum += bits[site][k] / 8;
        }
        printf("  = %9.0f, %.3f a message\n", sum, sum / (double)messages[site]);
    }
    mix_records_fini(w);
    free(storage);
    free(named);
}

struct options {
    size_t memory;
    bool decode, with_single, costs;
};

static int bench(const char *name, const struct recording *r, const struct options *o)
{
    struct result framed = measure(r, o->memory, FRAME_BYTES, o->decode);
    struct result single = {.same = true};

    if (o->with_single)
        single = measure(r, o->memory, 0, o->decode);
    double n = (double)r->count;
    printf("%-28s %7zu %8.1f %9.3f %9llu %9.3f %6.3f %8.0f  %s\n", name, r->count,
           (double)r->payload_bytes / n, (double)framed.bytes / n, (unsigned long long)framed.bytes,
           (double)single.bytes / n, (double)single.bytes / (double)framed.bytes,
           (double)r->payload_bytes / framed.seconds / 1000,
           !o->decode ? "-" : framed.same && single.same ? "same" : "DIFFERS");
    if (o->costs)
        print_costs(r, o->memory);
    fflush(stdout);
    return framed.same && single.same ? 0 : 1;
}

static int bench_file(const char *path, const struct options *o)
{
    struct recording r = {0};
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    int failed = 1;

    if (recording_add(&r, path) != 0)
        fprintf(stderr, "%s: no messages\n", path);
    else
        failed = bench(name, &r, o);
    recording_free(&r);
    return failed;
}

static int bench_mix(char **paths, unsigned n, const char *how, const struct options *o)
{
    static const char *const names[] = {"times", "even", "turns"};
    struct recording r = {0};
    int failed = 0, mix = -1;

    for (int k = 0; k < 3; k++)
        if (strcmp(how, names[k]) == 0)
            mix = k;
    for (unsigned i = 0; i < n; i++)
        failed += recording_add(&r, paths[i]) != 0;
    if (mix < 0 || failed) {
        fprintf(stderr, "bytes: --mix times, even or turns, and recordings\n");
        failed = 1;
    } else {
        interleave(&r, (enum mix)mix);
        failed = bench(how, &r, o);
    }
    recording_free(&r);
    return failed;
}

struct paths {
    char *items[SITES_MAX];
    unsigned count;
};

static int add_path(void *ctx, const char *file)
{
    struct paths *p = ctx;
    if (p->count < SITES_MAX)
        p->items[p->count++] = strdup(file);
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {.memory = 4u << 20, .decode = true, .with_single = true};
    const char *mix = NULL;
    struct paths paths = {.count = 0};
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--memory") == 0 && i + 1 < argc)
            o.memory = strtoul(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--mix") == 0 && i + 1 < argc)
            mix = argv[++i];
        else if (strcmp(argv[i], "--no-decode") == 0)
            o.decode = false;
        else if (strcmp(argv[i], "--no-primer") == 0)
            no_primer = true;
        else if (strcmp(argv[i], "--framed") == 0)
            o.with_single = false;
        else if (strcmp(argv[i], "--fast") == 0)
            effort = CODEC_EFFORT_FAST;
        else if (strcmp(argv[i], "--costs") == 0)
            o.costs = true;
        else
            (void)recordings_each(argv[i], add_path, &paths);
    }
    printf("%-28s %7s %8s %9s %9s %9s %6s %8s\n", "recording", "n", "payload", "framed", "bytes", "single",
           "ratio", "KB/s");
    if (mix)
        failed = bench_mix(paths.items, paths.count, mix, &o);
    for (unsigned i = 0; i < paths.count; i++) {
        if (!mix)
            failed += bench_file(paths.items[i], &o);
        free(paths.items[i]);
    }
    return failed ? 1 : 0;
}
