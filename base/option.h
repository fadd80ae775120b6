/* One row for each thing an operator may write in the INI file. The rows feed the parser, `longwire
 * check` and the man page. config/ has the rows of the fixed sections, each link driver its own;
 * neither includes the other. */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_STRING,   /* char *, owned; "" when empty */
    OPTION_PATH,     /* char *, owned, made absolute against the INI file's folder; "" when empty */
    OPTION_BOOL,     /* bool */
    OPTION_INT,      /* int64_t, min..max */
    OPTION_SIZE,     /* int64_t bytes, min..max */
    OPTION_DURATION, /* int64_t ms (base/units.h); OPTION_NEVER for "never" where never_ok */
    OPTION_ENUM,     /* int, index into names */
    OPTION_LIST,     /* struct string_list: between commas, at most OPTION_LIST_MAX, none twice */
    OPTION_CLASSES,  /* unsigned bitmask of 1 << enum msg_class, from a list of names */
};
#define OPTION_NEVER INT64_MAX
#define OPTION_LIST_MAX 256

struct string_list {
    char **items;
    size_t count;
};

struct option {
    const char *key;
    enum option_type type;
    size_t offset;            /* of the member in the section's struct */
    int64_t min, max;         /* INT, SIZE, DURATION (ms), STRING/LIST (bytes an item; 0,0: none) */
    const char *const *names; /* ENUM: NULL-terminated */
    const char *fallback;     /* the default, as the operator would write it; NULL = required */
    bool never_ok;            /* DURATION: "never" is allowed */
    const char *help;         /* one sentence for check, sample and man page */
    /* A further check of a STRING, PATH or LIST item; NULL or returns NULL when good, else what is
     * wrong (static). Not called on "" where that is the default. */
    const char *(*check)(const char *value);
};

/* A driver's rows: `driver = NAME` in a [link] section chooses them. */
struct option_group {
    const char *name;         /* "serial" */
    const struct option *rows;
    size_t count;
    size_t struct_size;       /* of the struct the offsets are in; zeroed before filling */
    const char *help;         /* one sentence: what kind of link */
    bool metered_default;     /* what `metered` is when the operator says nothing */
    /* A check across the options of one section; NULL, or returns NULL when good, else what is
     * wrong (static), and *key is the key to name in the message. Called only when each option of
     * the section is right. */
    const char *(*check)(const void *options, const char **key);
    /* May a link with these options serve several peers (a TCP listener, a modem gateway)? NULL =
     * never: a point-to-point line. The options are well-formed, but `check` may have failed them. */
    bool (*serves_many)(const void *options);
    /* It knows each peer by its `imei` from the start: every peer of such a link must have one. */
    bool by_imei;
};

#endif
