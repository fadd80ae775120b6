/* What the operator decided: one INI file, read whole, every error of one run reported, as plain
 * structs. The option rows (config_options.c) feed this parser, `longwire check` and the man page.
 * DESIGN 5. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "base/attr.h"
#include "base/msg_class.h"
#include "base/option.h"
#include "base/seal_mode.h"

#define CONFIG_NAME_MAX 63          /* bytes of a site, peer, route, link name: [a-z0-9_-] */
#define CONFIG_MAX_PEERS 4096       /* the store's composite keys bound it (store/outbox.h) */
#define CONFIG_MAX_ROUTES 1024
#define CONFIG_MAX_LINKS 4096
/* The checks compare each with each: bounds on all topics and excludes of the routes, on all names
 * in their `peer`, and on all names in the `links` of peers. */
#define CONFIG_MAX_FILTERS 4096
#define CONFIG_MAX_ROUTE_PEERS 16384
#define CONFIG_MAX_PEER_LINKS 16384

struct ini;

enum protocol { PROTOCOL_AUTO, PROTOCOL_5, PROTOCOL_311 };
enum on_full { ON_FULL_DROP_OLDEST, ON_FULL_DROP_NEWEST };
enum timestamps { TIMESTAMPS_NO, TIMESTAMPS_S, TIMESTAMPS_MS };
enum codec_level { CODEC_AUTO, CODEC_FULL, CODEC_FAST, CODEC_PLAIN };
enum keep { KEEP_ALL, KEEP_LATEST };
enum retain_mode { RETAIN_PASS, RETAIN_DROP, RETAIN_ON_CHANGE };

struct config_broker {
    int line;                       /* of its section; 0 = none in the file */
    char *host;                     /* name, address, or "unix:/path" */
    int64_t port;
    int protocol;                   /* enum protocol */
    char *client_id;                /* never empty after loading: longwire-NAME */
    char *username;
    char *password_file;
    bool tls;
    char *tls_ca, *tls_cert, *tls_key, *tls_name;
    char *topic_base;
    int64_t keepalive_ms;
    int64_t session_expiry_ms;      /* OPTION_NEVER = never */
};

struct config_store {
    int line;                       /* as above */
    char *path;
    int64_t max_bytes;
    int on_full;                    /* enum on_full */
    int64_t history;
    int64_t codec_cache;
};

struct config_peer {
    char *name;
    int line;                       /* of its section, for messages */
    struct string_list links;
    int seal;                       /* enum seal_mode */
    char *secret_file, *next_secret_file; /* key files (config/key_file.h) */
    int64_t seal_tag;                     /* bytes */
    bool forward_secrecy;
    char *drop_key; /* 8 hex digits */
    struct string_list accept;      /* filters */
    bool forward;
    char *deliver_prefix;
    int timestamps;                 /* enum timestamps */
    int codec;                      /* enum codec_level */
    int64_t codec_memory;
    int64_t max_message;
    char *imei;
    int64_t mt_max;                 /* bytes of the largest frame to it, where the link goes by imei */
};

struct config_route {
    char *name;
    int line;
    struct string_list peers;       /* `peer =`, one or several */
    struct string_list topics, exclude; /* filters */
    char *strip_prefix, *remote_prefix;
    int priority;                   /* enum msg_class */
    int keep;                       /* enum keep */
    int64_t min_interval_ms;
    int64_t expire_ms;              /* OPTION_NEVER */
    int64_t qos;
    int retain;                     /* enum retain_mode */
    int64_t max_payload;
};

struct config_link {
    char *name;
    int line;
    char *driver_name;
    const struct option_group *driver;
    void *options;                  /* the driver's struct, owned */
    bool metered;
    int64_t probe_ms;               /* 0 = never */
    unsigned carry;                 /* bitmask of 1 << enum msg_class */
};

struct config {
    char *file;                     /* as given */
    char *site_name;
    int site_line;
    struct config_broker broker;
    struct config_store store;
    struct config_peer *peers;
    size_t peer_count;
    struct config_route *routes;    /* in file order */
    size_t route_count;
    struct config_link *links;
    size_t link_count;
    struct ini *source;             /* the file's text, for the line numbers of later messages */
};

/* Reads the file, and checks all that can be checked without touching anything else.
 * drivers: NULL-terminated array of the known drivers' rows; it outlives the configuration. Each
 * error is written to errors as one line, `FILE:LINE: section.key: what is wrong, what is allowed`;
 * warnings likewise, with "warning: " before the text.
 * Return: the configuration, owned by the caller, or NULL after at least one error line. */
struct config *config_load(const char *file, const struct option_group *const *drivers,
                           FILE *errors) MUST_CHECK;
/* NULL is allowed. */
void config_free(struct config *c);

/* Looks at the files that the configuration names: those to be read are there and readable (by the
 * user who runs this), key files are closed to others and hold keys of which no two are the same, the
 * store's folder is there or can be made. Messages as of config_load.
 * Return: the number of errors. */
size_t config_check_files(const struct config *c, FILE *errors) MUST_CHECK;

/* Who else may own the key files, for key_file_read: where root asks, the user whom the store belongs
 * to, for that user runs the gateway. */
uid_t config_key_owner(const struct config *c);

/* The line of a key in the section that begins on section_line, or that of the section: for messages. */
int config_line(const struct config *c, int section_line, const char *key);

/* Linear; NULL when there is none. */
const struct config_peer *config_find_peer(const struct config *c, const char *name);
const struct config_link *config_find_link(const struct config *c, const char *name);

/* A summary for `longwire check`: site, broker, each peer with its links, each route in words. */
void config_summary(const struct config *c, FILE *out);
/* The options of all sections and drivers as man page source (man(7) macros), from the rows. */
void config_manual(const struct option_group *const *drivers, FILE *out);
/* An annotated INI with every key, commented out, at its default. */
void config_sample(const struct option_group *const *drivers, FILE *out);

#endif
