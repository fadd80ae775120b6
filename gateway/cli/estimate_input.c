#include "gateway/cli/estimate_input.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/topic.h"

#define LINE_MAX_BYTES (8u << 20) /* a message of MQTT's usual sizes with every byte escaped */
#define MEMBERS_MAX    4096
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

static int hex_digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A byte of each 2 characters. Return: bytes, or -1: not hex. */
static long unhex(const char *s, size_t n, uint8_t *out)
{
    if (n % 2)
        return -1;
    for (size_t i = 0; i < n; i += 2) {
        int high = hex_digit_of(s[i]), low = hex_digit_of(s[i + 1]);
        if (high < 0 || low < 0)
            return -1;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return (long)(n / 2);
}

/* A payload that is coded as text. */
static const char *take_coded(struct estimate_input *in, struct estimate_message *m,
                              const json_t *coded, long (*decode)(const char *, size_t, uint8_t *),
                              const char *wrong)
{
    size_t n = json_string_length(coded);
    in->bytes = malloc(n + 1);
    if (!in->bytes)
        return "out of memory";
    long len = decode(json_string_value(coded), n, in->bytes);
    if (len < 0)
        return wrong;
    m->payload = in->bytes;
    m->payload_len = (size_t)len;
    return NULL;
}

static const char *take_payload(struct estimate_input *in, struct estimate_message *m)
{
    const json_t *text = json_object_get(in->json, "payload"),
                 *base64 = json_object_get(in->json, "payload_b64"),
                 *hex = json_object_get(in->json, "payload_hex");
    if ((text != NULL) + (base64 != NULL) + (hex != NULL) > 1)
        return "more than one of payload, payload_b64, payload_hex: one is allowed";
    if (json_is_string(base64))
        return take_coded(in, m, base64, unbase64, "payload_b64: not base64");
    if (json_is_string(hex))
        return take_coded(in, m, hex, unhex, "payload_hex: not hex");
    if (!text)
        return "no payload (text), payload_b64 (base64) or payload_hex";
    if (!json_is_string(text))
        return "payload: a text is wanted: as it was sent, in quotes";
    m->payload = (const uint8_t *)json_string_value(text);
    m->payload_len = json_string_length(text);
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
    const json_t *retain = json_object_get(in->json, "retain");
    m->retain = json_is_true(retain) || json_integer_value(retain) == 1;
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
    if (c == EOF && (n == 0 || ferror(in->f)))
        return -1;
    if (in->line)
        in->line[n] = '\0';
    in->read += n + 1;
    return (long)n;
}

static bool blank(const char *s, size_t n)
{
    return strspn(s, " \t\r\n") == n;
}

/* What people give that is no recording, by how it begins. Return: NULL: nothing of the kind. */
static const char *other_format(struct estimate_input *in)
{
    static const struct {
        const char *begins;
        size_t n;
        const char *what;
    } formats[] = {
        {"\x1f\x8b", 2, "compressed (gzip): zcat FILE | longwire estimate -"},
        {"\x28\xb5\x2f\xfd", 4, "compressed (zstd): zstdcat FILE | longwire estimate -"},
        {"\xfd" "7zXZ", 5, "compressed (xz): xzcat FILE | longwire estimate -"},
        {"BZh", 3, "compressed (bzip2): bzcat FILE | longwire estimate -"},
        {"PK\x03\x04", 4, "compressed (zip): unzip -p FILE | longwire estimate -"},
        {"\xff\xfe", 2, "UTF-16: UTF-8 is wanted"},
        {"\xfe\xff", 2, "UTF-16: UTF-8 is wanted"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strncmp(in->line, formats[i].begins, formats[i].n) == 0)
            return formats[i].what;
    return NULL;
}

/* A tree of JSON takes many times the bytes of its text; a message of ours is a flat one. */
static bool is_flat(const char *s, size_t n)
{
    size_t members = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted && s[i] == '\\')
            i++;
        else if (s[i] == '"')
            quoted = !quoted;
        else
            members += !quoted && (s[i] == ',' || s[i] == '[' || s[i] == '{');
    }
    return members <= MEMBERS_MAX;
}

static const char *take_line(struct estimate_input *in, size_t n, struct estimate_message *m)
{
    static char text[200];
    static const char mark[] = "\xef\xbb\xbf"; /* that editors of Windows begin a file with */
    const char *line = in->line, *other = in->number == 1 ? other_format(in) : NULL;
    json_error_t e = {0};
    if (other)
        return other;
    if (n > LINE_MAX_BYTES)
        return "longer than 8 MB";
    if (in->number == 1 && strncmp(line, mark, 3) == 0) {
        line += 3;
        n -= 3;
    }
    if (line[strspn(line, " \t")] != '{')
        return "a JSON object is wanted: {\"t\": seconds, \"topic\": \"...\", \"payload\": \"...\"}";
    if (!is_flat(line, n))
        return "too many members";
    in->json = json_loadb(line, n, JSON_ALLOW_NUL, &e);
    if (in->json)
        return take_message(in, m);
    snprintf(text, sizeof text, "%s", e.text);
    for (char *c = text; *c; c++)
        *c = *c < ' ' || *c > '~' ? '?' : *c; /* it quotes the line */
    return text;
}

int estimate_input_next(struct estimate_input *in, struct estimate_message *m, FILE *errors)
{
    const char *wrong = NULL;
    long n;
    forget(in);
    memset(m, 0, sizeof *m);
    do {
        errno = 0;
        n = read_line(in);
        if (n == -1 && (!ferror(in->f) || errno == EINTR))
            return 0; /* interrupted: the caller knows by whom */
        in->number++;
    } while (n == 0 || (n > 0 && blank(in->line, (size_t)n)));
    if (n < 0)
        wrong = n == -2 ? "out of memory" : strerror(errno ? errno : EIO);
    else
        wrong = take_line(in, (size_t)n, m);
    if (!wrong)
        return 1;
    fprintf(errors, "%s:%lu: %s\n", in->name, in->number, wrong);
    return -EINVAL;
}

uint64_t estimate_input_read(const struct estimate_input *in)
{
    return in->read;
}
