/* Credits that recordings cost over Iridium SBD: what a buoy sends, held and filled by two whole gateways
 * (the real bridge, wire, store and MQTT session on simulated time) over a modem that loses nothing, beside
 * one MQTT message an SBD message, and beside what a sender would need that knew nothing could be lost.
 *
 *     credits [--hold SECONDS] [--first MESSAGES] FILE.ndjson | FOLDER ...
 *
 * One line a recording: name, messages, credits each way and what they are compared with (credits.py makes
 * the table). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/hash.h"
#include "config/config.h"
#include "gateway/cli/estimate_pair.h"
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/primer_models.h"
#include "link_drivers/driver.h"
#include "tests/bench/recording.h"

#define CREDIT_BYTES   50
#define MO_MAX         340
#define IDEAL_OVERHEAD 9 /* of a frame: header and tag, [P-10] */
#define MODEL_MEMORY   (4u << 20)

static const char text[] =
    "[site]\nname = edge\n[broker]\nhost = h\n[store]\npath = edge.db\n"
    "[peer hub]\nlinks = sat\nseal = none\ntimestamps = no\n"
    "[route all]\npeer = hub\ntopics = #\nqos = 1\nmax_payload = 1M\n"
    "[link sat]\ndriver = iridium-sbd\ndevice = /dev/null\n";

static uint64_t credits_of(size_t bytes)
{
    return (bytes + CREDIT_BYTES - 1) / CREDIT_BYTES;
}

static struct config *load(void)
{
    char file[] = "/tmp/longwire-credits-XXXXXX";
    int fd = mkstemp(file);
    FILE *errors = fopen("/dev/null", "w");
    if (fd < 0 || !errors || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    close(fd);
    struct config *c = config_load(file, link_driver_options, errors);
    fclose(errors);
    unlink(file);
    return c;
}

/* Since the recording began. */
static int64_t at_ms(const struct message *m)
{
    return (int64_t)(m->when * 1000);
}

/* --- ours --- */

struct delivery {
    uint64_t count, hash;
};

static uint64_t hash_of(const char *topic, size_t topic_len, const uint8_t *payload, size_t n)
{
    return hash64_add(hash64_add(HASH64_START, topic, topic_len), payload, n);
}

static void on_delivered(void *ctx, const char *topic, size_t topic_len, const uint8_t *payload, size_t n)
{
    struct delivery *d = ctx;
    d->count++;
    d->hash += hash_of(topic, topic_len, payload, n); /* in any order */
}

static bool on_give_up(void *ctx)
{
    return false;
}

/* Every message must come out at the hub with its bytes. Return: did it? */
static bool ours(const struct recording *r, int64_t hold_ms, struct estimate_totals *totals)
{
    static const struct estimate_pair_ops ops = {on_delivered, on_give_up};
    const struct estimate_link link = {.datagram = true, .mtu = MO_MAX, .credit_bytes = CREDIT_BYTES, .hold_ms = hold_ms,
                                       .timestamps = -1, .codec = -1};
    struct delivery wanted = {0}, came = {0};
    char err[300] = "the configuration";
    struct config *c = load();
    struct estimate_pair *p = c ? estimate_pair_new(c, 0, &link, &ops, &came, err, sizeof err) : NULL;
    if (!p) {
        fprintf(stderr, "credits: %s\n", err);
        exit(1);
    }
    int rc = 0;
    for (size_t i = 0; i < r->count && rc == 0; i++) {
        const struct message *m = &r->messages[i];
        const struct estimate_message e = {.at_ms = at_ms(m), .topic = r->topics[m->topic], .payload = m->payload,
                                           .payload_len = m->len};
        wanted.count++;
        wanted.hash += hash_of(e.topic, strlen(e.topic), e.payload, e.payload_len);
        rc = estimate_pair_put(p, &e);
    }
    if (rc == 0)
        rc = estimate_pair_end(p);
    if (rc < 0)
        fprintf(stderr, "credits: %s\n", estimate_pair_error(p));
    *totals = *estimate_pair_totals(p);
    estimate_pair_free(p);
    config_free(c);
    return rc == 0 && came.count == wanted.count && came.hash == wanted.hash;
}

/* --- what it is compared with --- */

/* Of a PUBLISH of QoS 0: a message with MQTT's own framing. */
static size_t publish_bytes(size_t topic, size_t payload)
{
    size_t rest = 2 + topic + payload;
    return 1 + (rest < 128 ? 1 : rest < 16384 ? 2 : rest < 2097152 ? 3 : 4) + rest;
}

static uint64_t one_a_message(const struct recording *r)
{
    uint64_t credits = 0;
    for (size_t i = 0; i < r->count; i++) {
        size_t n = publish_bytes(strlen(r->topics[r->messages[i].topic]), r->messages[i].len);
        credits += n / MO_MAX * credits_of(MO_MAX) + credits_of(n % MO_MAX);
    }
    return credits;
}

/* One model from the first to the last message, a unit for each window of `hold`, cut into frames. */
static uint64_t ideal(const struct recording *r, int64_t hold_ms)
{
    struct codec_encoder *e = codec_mix.encoder_new(MODEL_MEMORY);
    bool *named = calloc(r->topic_count, sizeof *named);
    uint64_t credits = 0, needed;
    struct buf out;
    buf_init(&out, 1u << 26);
    if (!e || !named)
        abort();
    if (primer_teach(&codec_mix, e) != 0)
        abort();
    for (size_t i = 0; i < r->count; i++) {
        const struct message *m = &r->messages[i];
        const char *topic = r->topics[m->topic];
        struct record t = {.type = RECORD_TOPIC, .slot = m->topic % RECORD_TOPIC_SLOTS, .topic = topic,
                           .topic_len = (uint32_t)strlen(topic)};
        struct record p = {.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = i + 1, .previous = i,
                           .slot = m->topic % RECORD_TOPIC_SLOTS, .bytes = m->payload, .len = m->len, .total = m->len};
        if ((!named[m->topic] && codec_mix.encode(e, &t, &out, &needed) != 0) ||
            codec_mix.encode(e, &p, &out, &needed) != 0)
            abort();
        named[m->topic] = true;
        if (i + 1 < r->count && at_ms(m + 1) / hold_ms == at_ms(m) / hold_ms)
            continue;
        if (codec_mix.flush(e, &out) != 0)
            abort();
        size_t frames = (out.len + MO_MAX - IDEAL_OVERHEAD - 1) / (MO_MAX - IDEAL_OVERHEAD);
        credits += credits_of(out.len + frames * IDEAL_OVERHEAD);
        buf_clear(&out);
    }
    codec_mix.encoder_free(e);
    buf_fini(&out);
    free(named);
    return credits;
}

/* --- one recording --- */

struct wish {
    int64_t hold_ms;
    size_t first; /* messages of each recording; 0 = all */
};

static int bench(void *ctx, const char *path)
{
    const struct wish *wish = ctx;
    const int64_t hold_ms = wish->hold_ms;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    struct recording r = {0};
    struct estimate_totals totals;

    if (recording_add(&r, path) != 0) {
        fprintf(stderr, "%s: no messages\n", path);
        return 1;
    }
    for (; wish->first > 0 && r.count > wish->first; r.count--)
        free(r.messages[r.count - 1].payload);
    bool good = ours(&r, hold_ms, &totals);
    printf("%s %zu one=%llu ideal=%llu mo=%llu mt=%llu polls=%llu %s\n", name, r.count, (unsigned long long)one_a_message(&r),
           (unsigned long long)ideal(&r, hold_ms), (unsigned long long)totals.credits, (unsigned long long)totals.back_credits,
           (unsigned long long)totals.polls, good ? "same" : "DIFFERS");
    fflush(stdout);
    recording_free(&r);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct wish wish = {.hold_ms = 900000};
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--hold") == 0 && i + 1 < argc)
            wish.hold_ms = strtol(argv[++i], NULL, 10) * 1000;
        else if (strcmp(argv[i], "--first") == 0 && i + 1 < argc)
            wish.first = strtoul(argv[++i], NULL, 10);
        else
            failed += recordings_each(argv[i], bench, &wish);
    }
    return failed ? 1 : 0;
}
