/* The stream that docs/CODEC.md shows is what the codec writes; codec_doc.py reads it by the document. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/wire/codec_mix.h"

static uint64_t number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 10);
}

/* The record that a line of the example tells. */
static struct record record_of(const char *text)
{
    if (strcmp(text, "reset") == 0)
        return (struct record){.type = RECORD_TOPICS_RESET};
    assert_memory_equal(text, "abort ", 6);
    return (struct record){.type = RECORD_ABORT, .class = (enum msg_class)number_after(text, "class="),
                           .number = number_after(text, "number="), .previous = number_after(text, "previous=")};
}

static void the_documents_example_is_what_the_codec_writes(void **state)
{
    struct codec_encoder *e = codec_mix.encoder_new(CODEC_MIX_MEMORY_MIN);
    FILE *f = fopen(getenv("LONGWIRE_CODEC_DOC"), "r");
    char line[512];
    bool inside = false;
    unsigned units = 0;
    struct buf out;

    assert_non_null(f);
    assert_non_null(e);
    buf_init(&out, 4096);
    while (fgets(line, sizeof line, f)) {
        uint64_t needed;
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "```", 3) == 0)
            inside = strcmp(line, "```example mix-stream") == 0;
        if (inside && strncmp(line, "record = ", 9) == 0) {
            struct record r = record_of(line + 9);
            assert_int_equal(codec_mix.encode(e, &r, &out, &needed), 0);
        } else if (inside && strncmp(line, "unit = ", 7) == 0) {
            char hex[512] = "";
            assert_int_equal(codec_mix.flush(e, &out), 0);
            for (size_t i = 0; i < out.len; i++)
                snprintf(hex + 2 * i, 3, "%02x", buf_bytes(&out)[i]);
            assert_string_equal(hex, line + 7);
            buf_clear(&out);
            units++;
        }
    }
    assert_true(units > 1);
    fclose(f);
    buf_fini(&out);
    codec_mix.encoder_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documents_example_is_what_the_codec_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
