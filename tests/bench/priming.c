/* What a restart costs: bytes a message over the first messages after it, the models primed as docs/PROTOCOL.md [P-12] has it, beside what
 * the model that never restarted needs for the same messages; and what the first messages of a pair cost that never met before.
 *
 *     priming [--memory BYTES] [--bare] FILE.ndjson | FOLDER ...
 *
 * --bare: the tail alone, from an empty model. Messages are coded in units of 220 bytes as in bytes.c. A
 * recording is restarted at several places. Times are of the processor, in slices as channel_priming.c makes them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "gateway/bridge/priming.h"
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/primer_models.h"
#include "tests/bench/recording.h"

#define FRAME_BYTES 220
#define AFTER       200 /* messages after a restart */
#define FIRST       100 /* of a brand-new pair */
#define PLACES      4   /* where a recording is restarted */
#define SLICES_MAX  100000

static size_t memory = 4u << 20;
static bool bare;

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct record record_of(const struct recording *r, size_t i)
{
    const struct message *m = &r->messages[i];
    return (struct record){.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = i + 1, .previous = i,
                           .slot = m->topic % RECORD_TOPIC_SLOTS, .bytes = m->payload, .len = m->len, .total = m->len};
}

static struct codec_encoder *fresh(bool with_primer)
{
    struct codec_encoder *e = codec_mix.encoder_new(memory);
    if (!e || (with_primer && primer_teach(&codec_mix, e) != 0))
        abort();
    return e;
}

/* ---- priming from a tail ---- */

/* What learns: the model of what is sent, or of what comes. */
struct learner {
    struct codec_encoder *out;
    struct codec_decoder *in;
};

struct slices {
    double us[SLICES_MAX];
    size_t count;
    double under_way_us;
    size_t bytes;
};

static void learn(struct learner l, const struct record *r, struct slices *s)
{
    double from = cpu_us();
    if ((l.out ? codec_mix.prime_encoder(l.out, r) : codec_mix.prime_decoder(l.in, r)) != 0)
        abort();
    s->under_way_us += cpu_us() - from;
    s->bytes += r->len + PRIME_RECORD_COST;
    if (s->bytes >= PRIME_SLICE_BYTES && s->count < SLICES_MAX) {
        s->us[s->count++] = s->under_way_us;
        s->under_way_us = 0;
        s->bytes = 0;
    }
}

/* Where the tail begins that ends here, and its work. */
static size_t tail_begin(const struct recording *r, size_t end, uint64_t *work)
{
    size_t begin = end;
    uint64_t bytes = 0;
    for (*work = 0; begin > 0 && end - begin < PRIMING_MESSAGES; begin--) {
        const struct message *m = &r->messages[begin - 1];
        bytes += m->len + strlen(r->topics[m->topic]);
        if (bytes > PRIMING_BYTES)
            break;
        *work += prime_work(m->len);
    }
    return begin;
}

/* The tail that ends here, as far as these units reach (PRIME_SHARE_UNITS: all of it). */
static void prime(struct learner l, const struct recording *r, size_t end, unsigned units, struct slices *s)
{
    uint64_t work, most = (uint64_t)units * PRIME_UNIT_WORK;
    size_t begin = tail_begin(r, end, &work);
    for (; work > most; begin++)
        work -= prime_work(r->messages[begin].len);
    for (size_t i = begin; i < end; i++) {
        struct record m = record_of(r, i);
        m.previous = i > begin ? i : 0;
        for (m.len = 0; m.offset < m.total || m.offset == 0; m.offset += m.len) {
            uint32_t left = m.total - m.offset;
            m.len = left < PRIME_PIECE_BYTES ? left : PRIME_PIECE_BYTES;
            m.bytes = r->messages[i].payload + m.offset;
            m.type = m.offset ? RECORD_CHUNK : RECORD_MESSAGE;
            learn(l, &m, s);
            if (m.total == 0)
                break;
        }
    }
}

/* A process starts, and has had this recording in both directions: seconds of the processor until both models are primed, the
 * primer's model made first. */
static double restart(const struct recording *r, size_t end, struct slices *s)
{
    static const struct codec_limits limits = {.max_message = UINT32_MAX};
    uint64_t work;
    (void)tail_begin(r, end, &work);
    unsigned share = prime_share(prime_units(work), prime_units(work));
    double from = cpu_us();
    struct codec_encoder *primer = fresh(true), *e = codec_mix.encoder_new(memory);
    struct codec_decoder *d = codec_mix.decoder_new(memory, &limits);
    if (!e || !d)
        abort();
    codec_mix.copy_encoder(e, primer);
    codec_mix.copy_to_decoder(d, primer);
    prime((struct learner){.out = e}, r, end, share, s);
    prime((struct learner){.in = d}, r, end, share, s);
    double took = cpu_us() - from;
    codec_mix.encoder_free(primer);
    codec_mix.encoder_free(e);
    codec_mix.decoder_free(d);
    return took;
}

/* ---- coding ---- */

/* Bytes of the messages from..to, a unit of its own at both ends; named: topics that are named already. */
static uint64_t code(struct codec_encoder *e, const struct recording *r, size_t from, size_t to, bool *named)
{
    struct buf out;
    uint64_t bytes = 0, needed;
    buf_init(&out, 1u << 24);
    for (size_t i = from; i < to; i++) {
        struct record m = record_of(r, i);
        unsigned topic = r->messages[i].topic;
        struct record t = {.type = RECORD_TOPIC, .slot = m.slot, .topic = r->topics[topic],
                           .topic_len = (uint32_t)strlen(r->topics[topic])};
        if (!named[topic] && codec_mix.encode(e, &t, &out, &needed) != 0)
            abort();
        named[topic] = true;
        if (codec_mix.encode(e, &m, &out, &needed) != 0)
            abort();
        if (out.len < FRAME_BYTES && i + 1 < to)
            continue;
        if (codec_mix.flush(e, &out) != 0)
            abort();
        bytes += out.len;
        buf_clear(&out);
    }
    buf_fini(&out);
    return bytes;
}

/* ---- a recording ---- */

struct sums {
    double alone, both, first;
    unsigned count;
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Bytes of the messages behind a restart, by a model primed with so much of the tail. */
static uint64_t after_restart(const struct recording *r, size_t place, unsigned units, const bool *named, bool *again, struct slices *s)
{
    struct codec_encoder *e = fresh(!bare);
    memcpy(again, named, r->topic_count * sizeof *named);
    s->under_way_us = 0;
    s->bytes = 0;
    prime((struct learner){.out = e}, r, place, units, s);
    uint64_t bytes = code(e, r, place, place + AFTER, again);
    codec_mix.encoder_free(e);
    return bytes;
}

static int bench(void *ctx, const char *file)
{
    static struct slices s;
    struct sums *sums = ctx;
    struct recording r = {0};
    if (recording_add(&r, file) != 0 || r.count < 2 * AFTER) {
        fprintf(stderr, "priming: %s cannot be read, or is too short\n", file);
        return 1;
    }
    const char *name = strrchr(file, '/');
    bool *named = calloc(r.topic_count, sizeof *named), *again = calloc(r.topic_count, sizeof *again);
    struct codec_encoder *steady = fresh(true);
    uint64_t alone = 0, beside = 0, unbroken = 0;
    double longest_us = 0;
    size_t at = 0;
    s.count = 0;
    for (unsigned k = 1; k <= PLACES; k++) {
        size_t place = (r.count - AFTER) * k / PLACES;
        uint64_t work;
        (void)tail_begin(&r, place, &work);
        (void)code(steady, &r, at, place, named);
        alone += after_restart(&r, place, PRIME_SHARE_UNITS, named, again, &s);
        beside += after_restart(&r, place, prime_share(prime_units(work), prime_units(work)), named, again, &s);
        unbroken += code(steady, &r, place, place + AFTER, named);
        at = place + AFTER;
        double took = restart(&r, place, &s);
        longest_us = took > longest_us ? took : longest_us;
    }
    codec_mix.encoder_free(steady);
    uint64_t first[2];
    for (unsigned with = 0; with < 2; with++) {
        struct codec_encoder *e = fresh(with);
        memset(named, 0, r.topic_count * sizeof *named);
        first[with] = code(e, &r, 0, FIRST, named);
        codec_mix.encoder_free(e);
    }
    qsort(s.us, s.count, sizeof *s.us, by_size);
    double n = PLACES * AFTER, was = (double)unbroken;
    double ratio = (double)alone / was, both = (double)beside / was, gain = (double)first[1] / (double)first[0];
    printf("| %.*s | %.2f | %.2f | %.3f | %.2f | %.3f | %.1f | %.1f | %.3f | %.2f | %.1f | %.1f | %.1f |\n",
           (int)strcspn(name ? name + 1 : file, "."), name ? name + 1 : file, was / n, (double)alone / n, ratio,
           (double)beside / n, both, (double)first[0] / FIRST, (double)first[1] / FIRST, gain, longest_us / 1e6,
           s.us[s.count / 2] / 1e3, s.us[s.count * 99 / 100] / 1e3, s.us[s.count - 1] / 1e3);
    fflush(stdout);
    sums->alone += log(ratio);
    sums->both += log(both);
    sums->first += log(gain);
    sums->count++;
    free(named);
    free(again);
    recording_free(&r);
    return 0;
}

int main(int argc, char **argv)
{
    struct sums sums = {0};
    int failed = 0;
    printf("| recording | steady | after a restart | ratio | beside another | ratio | first %u, no primer | with it | ratio "
           "| re-priming both, s | slice ms: median | 99 %% | longest |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n", FIRST);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--memory") == 0 && i + 1 < argc)
            memory = strtoul(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--bare") == 0)
            bare = true;
        else
            failed += recordings_each(argv[i], bench, &sums);
    }
    if (sums.count)
        printf("| geometric mean | | | %.3f | | %.3f | | | %.3f | | | | |\n", exp(sums.alone / sums.count), exp(sums.both / sums.count),
               exp(sums.first / sums.count));
    return failed || !sums.count ? 1 : 0;
}
