/* Bytes a message that the mixing codec makes of recordings: NDJSON, one {"topic", "payload" or
 * "payload_b64"} a line.
 *
 *     bytes [--memory BYTES] [--no-decode] [--framed] FILE.ndjson | FOLDER ...
 *
 * Framed: a unit is closed as soon as it holds 220 bytes. Single: each message is a unit of its own. What
 * was coded is decoded again and compared. Times of origin are not coded, and all is of one class. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/primer.h"

#define FRAME_BYTES 220

struct message {
    unsigned topic;
    uint8_t *payload;
    uint32_t len;
};

struct recording {
    char **topics;
    unsigned topic_count;
    struct message *messages;
    size_t count;
    uint64_t payload_bytes;
};

static void *grown(void *old, size_t count, size_t size)
{
    /* by doubling: at 0, 1, 2, 4 ... */
    if (count & (count - 1))
        return old;
    void *p = realloc(old, (count ? 2 * count : 1) * size);
    if (!p)
        abort();
    return p;
}

static uint8_t *unbase64(const char *s, uint32_t *len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t *out = malloc(strlen(s) + 1);
    uint32_t bits = 0, n = 0, have = 0;

    if (!out)
        abort();
    for (; *s && *s != '='; s++) {
        const char *d = strchr(digits, *s);
        if (!d)
            continue;
        bits = bits << 6 | (uint32_t)(d - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (uint8_t)(bits >> have);
        }
    }
    *len = n;
    return out;
}

static unsigned topic_of(struct recording *r, const char *topic)
{
    static unsigned last;

    if (last < r->topic_count && strcmp(r->topics[last], topic) == 0)
        return last;
    for (last = 0; last < r->topic_count; last++)
        if (strcmp(r->topics[last], topic) == 0)
            return last;
    r->topics = grown(r->topics, r->topic_count, sizeof *r->topics);
    r->topics[r->topic_count] = strdup(topic);
    return r->topic_count++;
}

static int read_recording(const char *path, struct recording *r)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;

    *r = (struct recording){0};
    if (!f)
        return -errno;
    while (getline(&line, &cap, f) > 0) {
        json_t *j = json_loads(line, JSON_ALLOW_NUL, NULL);
        json_t *payload = json_object_get(j, "payload"), *coded = json_object_get(j, "payload_b64");
        const char *topic = json_string_value(json_object_get(j, "topic"));
        struct message m = {0};
        if (topic && payload) {
            m.len = (uint32_t)json_string_length(payload);
            m.payload = malloc(m.len + 1);
            if (m.payload)
                memcpy(m.payload, json_string_value(payload), m.len);
        } else if (topic && coded) {
            m.payload = unbase64(json_string_value(coded), &m.len);
        }
        if (m.payload) {
            m.topic = topic_of(r, topic);
            r->messages = grown(r->messages, r->count, sizeof *r->messages);
            r->messages[r->count++] = m;
            r->payload_bytes += m.len;
        }
        json_decref(j);
    }
    free(line);
    fclose(f);
    return r->count ? 0 : -ENODATA;
}

static void free_recording(struct recording *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->messages[i].payload);
    for (unsigned i = 0; i < r->topic_count; i++)
        free(r->topics[i]);
    free(r->messages);
    free(r->topics);
}

static struct record record_of(const struct recording *r, size_t i)
{
    const struct message *m = &r->messages[i];

    return (struct record){.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = i + 1, .previous = i,
                           .slot = m->topic % RECORD_TOPIC_SLOTS, .bytes = m->payload, .len = m->len,
                           .total = m->len};
}

static bool no_primer;

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
    for (size_t i = 0; i < primer_count() && !no_primer; i++) {
        struct record p = primer_record(i);
        if (codec_mix.prime_encoder(e, &p) != 0 || (d && codec_mix.prime_decoder(d, &p) != 0))
            abort();
    }
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

static int bench(const char *path, size_t memory, bool decode, bool with_single)
{
    struct recording r;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

    if (read_recording(path, &r) != 0) {
        fprintf(stderr, "%s: no messages\n", path);
        return 1;
    }
    struct result framed = measure(&r, memory, FRAME_BYTES, decode);
    struct result single = {.same = true};
    if (with_single)
        single = measure(&r, memory, 0, decode);
    double n = (double)r.count;
    printf("%-28s %7zu %8.1f %9.3f %9llu %9.3f %6.3f %8.0f  %s\n", name, r.count,
           (double)r.payload_bytes / n, (double)framed.bytes / n, (unsigned long long)framed.bytes,
           (double)single.bytes / n, (double)single.bytes / (double)framed.bytes,
           (double)r.payload_bytes / framed.seconds / 1000,
           !decode ? "-" : framed.same && single.same ? "same" : "DIFFERS");
    fflush(stdout);
    free_recording(&r);
    return framed.same && single.same ? 0 : 1;
}

static int is_recording(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');

    return dot && strcmp(dot, ".ndjson") == 0;
}

int main(int argc, char **argv)
{
    size_t memory = 4u << 20;
    bool decode = true, with_single = true;
    int failed = 0;

    printf("%-28s %7s %8s %9s %9s %9s %6s %8s\n", "recording", "n", "payload", "framed", "bytes", "single",
           "ratio", "KB/s");
    for (int i = 1; i < argc; i++) {
        struct dirent **entries;
        int n;
        if (strcmp(argv[i], "--memory") == 0 && i + 1 < argc) {
            memory = strtoul(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--no-decode") == 0) {
            decode = false;
        } else if (strcmp(argv[i], "--no-primer") == 0) {
            no_primer = true;
        } else if (strcmp(argv[i], "--framed") == 0) {
            with_single = false;
        } else if ((n = scandir(argv[i], &entries, is_recording, alphasort)) >= 0) {
            for (int k = 0; k < n; k++) {
                char path[4096];
                snprintf(path, sizeof path, "%s/%s", argv[i], entries[k]->d_name);
                failed += bench(path, memory, decode, with_single);
                free(entries[k]);
            }
            free(entries);
        } else {
            failed += bench(argv[i], memory, decode, with_single);
        }
    }
    return failed ? 1 : 0;
}
