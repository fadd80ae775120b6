/* A good file damaged at random, thousands of times: the loader must say yes or no, with a message
 * for a no, and nothing else. The sanitizer builds watch the rest. LONGWIRE_SEED repeats a run. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/config/fixture.h"

#define ROUNDS 3000

static uint64_t state_;

static uint32_t next(uint32_t below)
{
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state_ >> 33) % below;
}

/* Pieces that mean something to the grammar: plain random bytes seldom get past the first check. */
static const char *const pieces[] = {"[",
                                     "]",
                                     "=",
                                     ";",
                                     " ;",
                                     ",",
                                     ",,",
                                     "\n",
                                     "\n[peer x]\n",
                                     "\n[link y]\ndriver = tcp\n",
                                     "#",
                                     "+",
                                     "/#",
                                     "$",
                                     "\"",
                                     "never",
                                     "0",
                                     "-1",
                                     "99999999999999999999",
                                     "K",
                                     "\xff",
                                     "\xc3",
                                     "\t",
                                     "\r",
                                     "name",
                                     "seal = full",
                                     "[route r]",
                                     "topics = #",
                                     "peer = hub",
                                     "unix:",
                                     "1d",
                                     "\n[site]\n",
                                     "qos = 2",
                                     " ",
                                     "driver = sat"};

static size_t insert(char *text, size_t n, size_t max, size_t at, const char *piece, size_t len)
{
    if (n + len > max)
        return n;
    memmove(text + at + len, text + at, n - at);
    memcpy(text + at, piece, len);
    return n + len;
}

static size_t damage(char *text, size_t n, size_t max)
{
    size_t at = next((uint32_t)n + 1), len;
    char byte = (char)next(256);
    switch (next(5)) {
    case 0: /* one byte becomes another */
        if (at < n)
            text[at] = byte;
        return n;
    case 1: /* some go */
        len = next(20);
        len = len < n - at ? len : n - at;
        memmove(text + at, text + at + len, n - at - len);
        return n - len;
    case 2: /* a piece comes */
        len = next(sizeof(pieces) / sizeof(pieces[0]));
        return insert(text, n, max, at, pieces[len], strlen(pieces[len]));
    case 3: /* a part is doubled */
        len = next(200);
        len = len < n - at ? len : n - at;
        char copy[200];
        memcpy(copy, text + at, len);
        return insert(text, n, max, next((uint32_t)n + 1), copy, len);
    default: /* the rest is lost, seldom */
        return next(8) == 0 ? at : n;
    }
}

static void no_damage_to_a_good_file_makes_the_loader_stumble(void **state)
{
    const char *given = getenv("LONGWIRE_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 20240607;
    static const char *const names[] = {SOURCE_ROOT "/config/edge.ini",
                                        SOURCE_ROOT "/config/hub.ini"};
    size_t taken = 0, refused = 0;
    print_message("# LONGWIRE_SEED=%llu\n", (unsigned long long)seed);
    state_ = seed;
    for (int file = 0; file < 2; file++) {
        char *good = slurp(names[file]);
        size_t size = strlen(good);
        char *text = malloc(2 * size);
        assert_non_null(text);
        for (int round = 0; round < ROUNDS; round++) {
            size_t n = size;
            char *messages;
            memcpy(text, good, size);
            for (uint32_t hits = 1 + next(6); hits > 0; hits--)
                n = damage(text, n, 2 * size);
            struct config *c = load_bytes(text, n, &messages);
            if (c) {
                FILE *sink = fopen("/dev/null", "w");
                assert_non_null(sink);
                config_summary(c, sink);
                fclose(sink);
                taken++;
            } else {
                assert_memory_equal(messages, "t.ini:", 6);
                refused++;
            }
            config_free(c);
            free(messages);
        }
        free(text);
        free(good);
    }
    /* Damage that is always refused, or never, would try nothing. */
    assert_true(taken > ROUNDS / 20);
    assert_true(refused > ROUNDS / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_damage_to_a_good_file_makes_the_loader_stumble),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
