/* A configuration from a text: two drivers that stand for the real ones, a file in a folder of its
 * own. */
#ifndef TESTS_CONFIG_FIXTURE_H
#define TESTS_CONFIG_FIXTURE_H

#include <stddef.h>
#include <stdint.h>
#include "config/config.h"

struct fake_serial {
    char *device;
    int64_t baud;
    int parity, stop, flow, duplex;
};
struct fake_tcp {
    char *connect, *listen;
};
extern const struct option_group *const fake_drivers[];
/* One that goes by the peers' imei. */
extern const struct option_group *const fake_gateway[];
/* What the files may name: fake_drivers, but where a test says otherwise. */
extern const struct option_group *const *load_drivers;

/* Makes a folder and goes there, so that messages begin with "t.ini:". For cmocka's group setup;
 * the teardown removes it. */
int enter_folder(void **state);
int leave_folder(void **state);

void write_file(const char *name, const char *text, size_t n);
/* Loads n bytes as t.ini. *messages: what was written to errors, to be freed. */
struct config *load_bytes(const char *text, size_t n, char **messages);
struct config *load_text(const char *text, char **messages);
/* The whole of a file, NUL-terminated, to be freed. */
char *slurp(const char *path);

#endif
