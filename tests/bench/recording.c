#include "tests/bench/recording.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int recording_add(struct recording *r, const char *path)
{
    unsigned site = r->sites++;
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;

    if (!f)
        return -errno;
    while (getline(&line, &cap, f) > 0) {
        json_t *j = json_loads(line, JSON_ALLOW_NUL, NULL);
        json_t *payload = json_object_get(j, "payload"), *coded = json_object_get(j, "payload_b64");
        const char *topic = json_string_value(json_object_get(j, "topic"));
        struct message m = {.when = json_number_value(json_object_get(j, "t")), .site = site};
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

void recording_free(struct recording *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->messages[i].payload);
    for (unsigned i = 0; i < r->topic_count; i++)
        free(r->topics[i]);
    free(r->messages);
    free(r->topics);
}

static int is_recording(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');

    return dot && strcmp(dot, ".ndjson") == 0;
}

int recordings_each(const char *path, int (*each)(void *ctx, const char *file), void *ctx)
{
    struct dirent **entries;
    int n = scandir(path, &entries, is_recording, alphasort), sum = 0;

    if (n < 0)
        return each(ctx, path);
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        sum += each(ctx, file);
        free(entries[i]);
    }
    free(entries);
    return n > 0 ? sum : 1;
}
