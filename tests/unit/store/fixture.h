/* What the tests of the store share: a temporary folder, a scripted clock, fixed randomness, short
 * ways to put and read. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "store/history.h"
#include "store/outbox.h"
#include "store/peers.h"
#include "store/store.h"

struct fixture {
    char folder[64];
    char path[96];
    char err[512];
    struct store *s;
    struct store_now now;
    struct store_opened opened;
    uint32_t random; /* state of the source of ids */
    int peer;        /* "hub" */
};

/* cmocka's setup and teardown: a folder, and a store that is open in it. The fixture is *state. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* The source of ids of a fixture (ctx). */
void fixture_random(void *ctx, void *bytes, size_t n);
/* Opens the store of the path; the result of store_open. */
int fixture_open(struct fixture *f);
/* Closes without a commit, opens again: what a crash of the process leaves. */
void fixture_reopen(struct fixture *f);
/* Commits, and fails the test if that does. */
void fixture_commit(struct fixture *f);
/* PATH + suffix, in a static buffer. */
const char *fixture_file(const struct fixture *f, const char *suffix);
/* Copies PATH + suffix to folder/name + suffix for "", "-wal": the disk at this moment. */
void fixture_copy(const struct fixture *f, const char *to);

/* A message with a payload of n bytes made of its topic. To be freed. */
struct msg *fixture_msg(const char *topic, enum msg_class class, size_t n);
/* Puts one into the outbox; returns its number. */
uint64_t fixture_put(struct fixture *f, const char *topic, enum msg_class class);
uint64_t fixture_put_expiring(struct fixture *f, const char *topic, enum msg_class class,
                              int64_t expire_age_ms);
uint64_t fixture_put_latest(struct fixture *f, const char *topic, enum msg_class class);
/* The outbox of a class as text: "1:topic 2-5x3:overflow ..." (gaps: first-number x count :
 * reason). Static buffer. */
const char *fixture_outbox(struct fixture *f, enum msg_class class);

#define assert_ok(call) assert_int_equal((call), 0)

#endif
