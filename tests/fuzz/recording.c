/* A recording for `longwire estimate`: any bytes. Each line is a message that holds what is promised of one, or the
 * reading ends with one line that names file and line; read again it says the same. */
#include "tests/fuzz/fuzz.h"
#include "base/hash.h"
#include "base/topic.h"
#include "gateway/cli/estimate_input.h"

struct outcome {
    int rc;
    unsigned messages;
    uint64_t hash;
    char *errors;
};

static struct outcome read_all(const uint8_t *data, size_t size)
{
    struct outcome o = {.hash = HASH64_START};
    struct estimate_message m;
    size_t n = 0;
    int64_t last_ms = INT64_MIN;
    FILE *f = fmemopen((void *)(uintptr_t)data, size, "r"), *errors = open_memstream(&o.errors, &n);
    FUZZ_MUST(f && errors);
    struct estimate_input *in = estimate_input_new(f, "x");
    FUZZ_MUST(in);
    while ((o.rc = estimate_input_next(in, &m, errors)) > 0) {
        FUZZ_MUST(m.at_ms >= last_ms);
        FUZZ_MUST(topic_name_valid(m.topic, strlen(m.topic)));
        last_ms = m.at_ms;
        o.messages++;
        o.hash = hash64_add(o.hash, m.topic, strlen(m.topic));
        o.hash = hash64_add(o.hash, m.payload, m.payload_len);
    }
    FUZZ_MUST(estimate_input_read(in) <= size + 1);
    estimate_input_free(in);
    fclose(errors);
    fclose(f);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct outcome first = read_all(data, size), second = read_all(data, size);
    FUZZ_MUST(first.rc == 0 ? first.errors[0] == '\0' : strncmp(first.errors, "x:", 2) == 0);
    const char *end = strchr(first.errors, '\n');
    FUZZ_MUST(first.rc == 0 || (end && end[1] == '\0'));
    FUZZ_MUST(first.rc == second.rc && first.messages == second.messages && first.hash == second.hash);
    FUZZ_MUST(strcmp(first.errors, second.errors) == 0);
    free(first.errors);
    free(second.errors);
    return 0;
}
