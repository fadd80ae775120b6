#include "gateway/cli/estimate_input.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/topic.h"

#define LINE_MAX_BYTES (8u << 20) /* a message of MQTT's usual sizes with every byte escaped */
#define TIME_MAX_S     4e9

struct estimate_input {
    FILE *f;
    const char *name;
    char *line;
    size_t cap;
    unsigned long number;
    uint64_t read;
    int64_t last_ms;
    json_t *json;   /* of the last message: its strings live in it */
    uint8_t *bytes; /* of its base64 */
};

struct estimate_input *estimate_input_new(FILE *f, const char *name)
{
    struct estimate_input *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->f = f;
    in->name = name;
    in->last_ms = INT64_MIN;
    return in;
}

static void forget(struct estimate_input *in)
{
    json_decref(in->json);
    in->json = NULL;
    free(in->bytes);
    in->bytes = NULL;
}

void estimate_input_free(struct estimate_input *in)
{
    if (!in)
        return;
    forget(in);
    free(in->line);
    free(in);
}

static int digit_of(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* out has room for 3 bytes of each 4 characters. Return: bytes, or -1: not base64 (RFC 4648, 4). */
static long unbase64(const char *s, size_t n, uint8_t *out)
{
    long len = 0;
    uint32_t bits = 0;
    if (n % 4)
        return -1;
    size_t pad = n && s[n - 1] == '=' ? 1 + (s[n - 2] == '=') : 0;
    for (size_t i = 0; i < n; i++) {
        int d = i >= n - pad ? 0 : digit_of(s[i]);
        if (d < 0)
            return -1;
        bits = bits << 6 | (uint32_t)d;
        if (i % 4 == 3)
            for (int k = 16; k >= 0; k -= 8)
                out[len++] = (uint8_t)(bits >> k);
    }
    return len - (long)pad;
}

static const char *take_payload(struct estimate_input *in, struct estimate_message *m)
{
    const json_t *text = json_object_get(in->json, "payload"),
                 *coded = json_object_get(in->json, "payload_b64");
    if (text && coded)
        return "both payload and payload_b64: one is allowed";
    if (json_is_string(text)) {
        m->payload = (const uint8_t *)json_string_value(text);
        m->payload_len = json_string_length(text);
        return NULL;
    }
    if (!json_is_string(coded))
        return "no payload (text) or payload_b64 (base64)";
    size_t n = json_string_length(coded);
    in->bytes = malloc(n + 1);
    if (!in->bytes)
        return "out of memory";
    long len = unbase64(json_string_value(coded), n, in->bytes);
    if (len < 0)
        return "payload_b64: not base64";
    m->payload = in->bytes;
    m->payload_len = (size_t)len;
    return NULL;
}

static const char *take_message(struct estimate_input *in, struct estimate_message *m)
{
    const json_t *t = json_object_get(in->json, "t"), *topic = json_object_get(in->json, "topic");
    if (!json_is_number(t) || json_number_value(t) < -TIME_MAX_S ||
        json_number_value(t) > TIME_MAX_S)
        return "t: a number of seconds is wanted";
    if (!json_is_string(topic) ||
        !topic_name_valid(json_string_value(topic), json_string_length(topic)))
        return "topic: an MQTT topic name is wanted";
    m->topic = json_string_value(topic);
    m->retain = json_is_true(json_object_get(in->json, "retain"));
    /* Recorders may shuffle a little; for us time never goes back. */
    m->at_ms = (int64_t)(json_number_value(t) * 1000 + 0.5);
    if (m->at_ms < in->last_ms)
        m->at_ms = in->last_ms;
    in->last_ms = m->at_ms;
    return take_payload(in, m);
}

/* The next line, without its end, NUL-terminated. Return: its length; -1: none; -2: out of memory;
 * a line above the bound is read up to it. */
static long read_line(struct estimate_input *in)
{
    size_t n = 0;
    int c;
    while ((c = getc_unlocked(in->f)) != EOF && c != '\n' && n <= LINE_MAX_BYTES) {
        if (n + 2 > in->cap) {
            size_t cap = in->cap ? 2 * in->cap : 4096;
            char *line = realloc(in->line, cap);
            if (!line)
                return -2;
            in->line = line;
            in->cap = cap;
        }
        in->line[n++] = (char)c;
    }
    if (c == EOF && n == 0)
        return -1;
    if (in->line)
        in->line[n] = '\0';
    in->read += n + 1;
    return (long)n;
}

static bool blank(const char *s)
{
    return s[strspn(s, " \t\r\n")] == '\0';
}

int estimate_input_next(struct estimate_input *in, struct estimate_message *m, FILE *errors)
{
    const char *wrong = NULL;
    json_error_t e = {0};
    long n;
    forget(in);
    memset(m, 0, sizeof *m);
    do {
        errno = 0;
        n = read_line(in);
        if (n == -1 && !ferror(in->f))
            return 0;
        in->number++;
    } while (n == 0 || (n > 0 && blank(in->line)));
    if (n < 0)
        wrong = n == -2 ? "out of memory" : strerror(errno ? errno : EIO);
    else if ((size_t)n > LINE_MAX_BYTES)
        wrong = "longer than 8 MB";
    else if (!(in->json = json_loadb(in->line, (size_t)n, JSON_ALLOW_NUL, &e)))
        wrong = e.text;
    else
        wrong = json_is_object(in->json) ? take_message(in, m) : "a JSON object is wanted";
    if (!wrong)
        return 1;
    fprintf(errors, "%s:%lu: %s\n", in->name, in->number, wrong);
    return -EINVAL;
}

uint64_t estimate_input_read(const struct estimate_input *in)
{
    return in->read;
}
