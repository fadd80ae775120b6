/* FNV-1a hashing for tables and drift checks. Not for security. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH64_START 0xcbf29ce484222325ull
/* Continues a 64-bit FNV-1a hash over n bytes; begin with HASH64_START. */
uint64_t hash64_add(uint64_t h, const void *bytes, size_t n);
/* Folds 64 bits to 32 with a final mix (all input bits reach all output bits). */
uint32_t hash64_fold32(uint64_t h);

#endif
