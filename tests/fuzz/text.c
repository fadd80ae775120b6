/* The small parsers that topics, options, addresses and key files go through: one text, or two with a zero byte between. */
#include "tests/fuzz/fuzz.h"
#include "base/topic.h"
#include "base/units.h"
#include "base/utf8.h"
#include "config/key_file.h"
#include "link_drivers/tcp_address.h"

/* A filter matches itself as a topic, covers what it matches, and overlaps what it covers. */
static void topics(const char *a, const char *b)
{
    bool a_filter = topic_filter_valid(a, strlen(a)), b_filter = topic_filter_valid(b, strlen(b));
    bool b_topic = topic_name_valid(b, strlen(b));
    if (!a_filter)
        return;
    FUZZ_MUST(topic_filter_covers(a, a) && topic_filters_overlap(a, a));
    if (topic_name_valid(a, strlen(a)))
        FUZZ_MUST(topic_matches(a, a));
    if (b_filter) {
        FUZZ_MUST(topic_filters_overlap(a, b) == topic_filters_overlap(b, a));
        if (topic_filter_covers(a, b))
            FUZZ_MUST(topic_filters_overlap(a, b));
    }
    if (b_topic)
        FUZZ_MUST(topic_matches(a, b) == topic_filter_covers(a, b) && topic_matches(a, b) == topic_filters_overlap(a, b));
}

static void values(const char *text)
{
    struct tcp_address address;
    const char *wrong = tcp_address_parse(text, &address);
    FUZZ_MUST(wrong || (strlen(address.port) >= 1 && strlen(address.host) <= TCP_HOST_MAX));
    (void)tcp_address_check_connect(text);
    (void)tcp_address_check_listen(text);
    (void)utf8_valid(text, strlen(text));
    int64_t v, again;
    char out[UNITS_TEXT_BYTES];
    if (duration_parse(text, &v) && v >= 0) {
        duration_format(v, out);
        FUZZ_MUST(duration_parse(out, &again) && again == v);
    }
    if (size_parse(text, &v) && v >= 0) {
        size_format(v, out);
        FUZZ_MUST(size_parse(out, &again) && again == v);
    }
    if (integer_parse(text, &v))
        FUZZ_MUST(v == strtoll(text, NULL, 10));
}

/* A key is something other than zeros, and nothing of what is none is left behind. */
static void key(const uint8_t *data, size_t size)
{
    uint8_t key[KEY_BYTES], any = 0;
    char why[KEY_WHY_BYTES];
    int rc = key_text_parse((const char *)data, size, key, why);
    for (size_t i = 0; i < sizeof key; i++)
        any |= key[i];
    FUZZ_MUST((rc == 0) == (any != 0) && (rc == 0) == (why[0] == '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 2);
    FUZZ_MUST(text);
    memcpy(text, data, size);
    text[size] = text[size + 1] = '\0';
    const char *second = text + strlen(text) + 1;
    if (second > text + size)
        second = text + size + 1;
    topics(text, second);
    values(text);
    key(data, size);
    free(text);
    return 0;
}
