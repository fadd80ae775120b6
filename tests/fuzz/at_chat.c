/* What a modem, or whatever is on the line instead, may say to the AT engine. A script: a byte chooses a command, the next
 * how many of the bytes behind it come before time passes; then again. */
#include "tests/fuzz/fuzz.h"
#include "link_drivers/at_chat.h"

static const uint8_t blob[340];
static const struct at_request requests[] = {
    {.command = "AT+SBDMTA=1", .timeout_ms = 1000, .tail_ms = 100},
    {.command = "AT+SBDIX", .info = "+SBDIX", .timeout_ms = 1000, .tail_ms = 100},
    {.command = "AT+CGSN", .info = "", .info_may_miss = true, .timeout_ms = 1000, .tail_ms = 100},
    {.command = "AT+SBDD0", .form = AT_DIGIT, .timeout_ms = 1000, .tail_ms = 100},
    {.command = "AT+SBDRB", .form = AT_READ, .timeout_ms = 1000, .tail_ms = 100, .blob_max = 270},
    {.command = "AT+SBDRB", .form = AT_READ, .timeout_ms = 1000, .tail_ms = 100, .blob_max = AT_BLOB_MAX},
    {.command = "AT+SBDWB=340", .form = AT_WRITE, .timeout_ms = 1000, .tail_ms = 100, .blob = blob, .blob_bytes = 340},
    {.form = AT_HUSH, .timeout_ms = 100},
    {.form = AT_LISTEN, .timeout_ms = 100},
};

/* An answer is whole: it says what its form promises. */
static void check_answer(const struct at_chat *c)
{
    FUZZ_MUST(!at_chat_busy(c) && at_chat_deadline(c) == INT64_MAX);
    FUZZ_MUST(strlen(c->info) < AT_LINE_MAX && c->digit >= -1 && c->digit <= 9);
    if (c->outcome != AT_OK)
        return;
    if (c->request.form == AT_READ)
        FUZZ_MUST(c->blob_bytes <= c->request.blob_max);
    if (c->request.form == AT_DIGIT || c->request.form == AT_WRITE)
        FUZZ_MUST(c->digit == 0);
    if (c->request.form == AT_LINES && c->request.info && !c->request.info_may_miss)
        FUZZ_MUST(strncmp(c->info, c->request.info, strlen(c->request.info)) == 0);
}

static void feed(struct at_chat *c, const uint8_t *bytes, size_t n, int64_t now_ms)
{
    for (enum at_event e; (e = at_chat_feed(c, &bytes, &n, now_ms)) != AT_NOTHING;) {
        long v[6];
        if (e == AT_ANSWER)
            check_answer(c);
        else
            FUZZ_MUST(c->news[0] != '\0' && at_numbers(c->news, v, 6) <= 6);
    }
    FUZZ_MUST(n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader script = reader_of(data, size);
    struct at_chat *c = malloc(sizeof(*c));
    FUZZ_MUST(c);
    at_chat_init(c);
    int64_t now_ms = 0;
    while (script.left > 0) {
        uint8_t which = read_u8(&script);
        size_t n;
        if (!at_chat_busy(c))
            at_chat_ask(c, &requests[which % (sizeof(requests) / sizeof(requests[0]))], now_ms);
        uint8_t *bytes = fuzz_take(&script, read_u8(&script), &n);
        feed(c, bytes, n, now_ms);
        free(bytes);
        buf_clear(&c->out);
        if (which & 0x80)
            now_ms += 200;
        if (at_chat_on_time(c, now_ms) == AT_ANSWER)
            check_answer(c);
    }
    now_ms += 10000; /* whatever was said: in the end there is an answer */
    if (at_chat_busy(c)) {
        FUZZ_MUST(at_chat_on_time(c, now_ms) == AT_ANSWER);
        check_answer(c);
    }
    at_chat_fini(c);
    free(c);
    return 0;
}
