/* What the fuzz targets share. A target is one file: the bytes of an input are read as a small script (which call,
 * with what), the parser under test runs on them, and what must hold whatever they are is checked with FUZZ_MUST.
 *
 *     run.py    the same file under libFuzzer (clang), with address and undefined behaviour sanitizers
 *     replay.c  the same file with a plain main: replays corpus/NAME.hex as a test */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

/* libFuzzer's entry; always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A target may have it: something that its corpus is made to reach, and no input of this process did; NULL: all was reached. */
const char *fuzz_unreached(void) __attribute__((weak));

/* For fuzz_unreached: the name of the first of n counters that stands at 0; NULL: none does. */
static inline const char *fuzz_first_zero(const unsigned *counters, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (counters[i] == 0)
            return names[i];
    return NULL;
}

/* A promise of the code under test: breaking it is a finding, as a crash is. */
#define FUZZ_MUST(what)                                                                  \
    do {                                                                                 \
        if (!(what)) {                                                                   \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #what);   \
            abort();                                                                     \
        }                                                                                \
    } while (0)

/* Up to `most` further bytes of the script, fewer where it ends: a copy of just that size, so that a
 * sanitizer sees each byte read beyond it. To be freed. */
static inline uint8_t *fuzz_take(struct reader *script, size_t most, size_t *n)
{
    *n = script->bad ? 0 : script->left < most ? script->left : most;
    uint8_t *copy = malloc(*n ? *n : 1);
    FUZZ_MUST(copy);
    if (*n > 0)
        memcpy(copy, read_bytes(script, *n), *n);
    return copy;
}

/* Changes n bytes as the script says, [how many] then each [how, where, with]: turned, put in, taken out, cut off there. Return: bytes then,
 * at most `most`; 0 where nothing is left. */
static inline size_t fuzz_edit(struct reader *script, uint8_t *bytes, size_t n, size_t most)
{
    for (unsigned edits = read_u8(script) & 15; edits > 0 && n > 0; edits--) {
        uint8_t how = read_u8(script);
        size_t at = read_u8(script) % n;
        uint8_t with = read_u8(script);
        at = how & 4 ? n - 1 - at : at;
        if ((how & 3) == 0) {
            bytes[at] ^= with;
        } else if ((how & 3) == 1 && n < most) {
            memmove(bytes + at + 1, bytes + at, n++ - at);
            bytes[at] = with;
        } else if ((how & 3) == 2) {
            memmove(bytes + at, bytes + at + 1, --n - at);
        } else if ((how & 3) == 3) {
            n = at;
        }
    }
    return n;
}

#endif
