/* The file is first cut into sections and keys (ini.c), then each section's keys are put through
 * its option rows (value.c), then the whole is checked (check.c). No stage stops at an error, so
 * that one run tells them all. */
#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/check.h"
#include "config/config_options.h"
#include "config/diag.h"
#include "config/fill.h"
#include "config/ini.h"
#include "config/value.h"

#define MAX_DRIVERS_BYTES 200 /* of the list of drivers in a message */

struct loader {
    struct config *c;
    struct diag *d;
    const struct option_group *const *drivers;
    char *folder;             /* of the INI file, absolute */
    int seen[SECTION_KINDS];  /* line of the first section of the kind */
    bool full[SECTION_KINDS]; /* told that there are too many */
};

/* Reads at most INI_MAX_FILE_BYTES. Return: 0 with *text to be freed, or negative errno (-EFBIG,
 * -EINVAL for what is no regular file: a FIFO would keep us waiting for ever). */
static int read_file(const char *file, char **text, size_t *n)
{
    int err = 0;
    size_t have = 0;
    char *bytes = NULL;
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        err = -errno;
    else if (!S_ISREG(st.st_mode))
        err = -EINVAL;
    else if (st.st_size > INI_MAX_FILE_BYTES)
        err = -EFBIG;
    else if (!(bytes = malloc(INI_MAX_FILE_BYTES + 1)))
        err = -ENOMEM;
    while (!err) {
        ssize_t got = read(fd, bytes + have, INI_MAX_FILE_BYTES + 1 - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = -errno;
        if (got <= 0)
            break;
        have += (size_t)got;
        if (have > INI_MAX_FILE_BYTES)
            err = -EFBIG; /* it grew since fstat */
    }
    close(fd);
    if (err) {
        free(bytes);
        return err;
    }
    *text = bytes;
    *n = have;
    return 0;
}

/* The absolute folder of a file that exists. NULL: out of memory, or it cannot be named. */
static char *folder_of(const char *file)
{
    char *path = realpath(file, NULL);
    if (!path)
        return NULL;
    char *slash = strrchr(path, '/');
    slash[slash == path] = '\0'; /* "/" stays */
    return path;
}

static int fill_fixed(struct loader *l, const struct ini_section *s, enum section_kind kind,
                      void *base)
{
    struct fill_target t = {config_sections[kind].rows, config_sections[kind].count, base};
    return fill(l->c->source, s, &t, 1, true, l->folder, l->d);
}

static const struct option_group *find_driver(struct loader *l, const struct ini_section *s,
                                              struct ini_entry *e)
{
    char known[MAX_DRIVERS_BYTES] = "", quoted[VALUE_WHY_BYTES / 4];
    size_t n = 0;
    for (size_t i = 0; l->drivers[i]; i++) {
        if (strcmp(l->drivers[i]->name, e->value) == 0)
            return l->drivers[i];
        if (n < sizeof(known))
            n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", n ? ", " : "",
                                  l->drivers[i]->name);
    }
    value_quote(e->value, quoted);
    diag_error(l->d, e->line, s->title, e->key, "\"%s\" is not a driver, allowed: %s", quoted,
               known);
    return NULL;
}

static bool any_bad(const struct ini *ini, const struct ini_section *s)
{
    for (size_t i = s->first; i < s->first + s->count; i++)
        if (ini->entries[i].bad)
            return true;
    return false;
}

static int fill_link(struct loader *l, const struct ini_section *s, struct config_link *link)
{
    struct ini *ini = l->c->source;
    struct fill_target t[2] = {
        {config_sections[SECTION_LINK].rows, config_sections[SECTION_LINK].count, link}};
    struct ini_entry *e = ini_find(ini, s, "driver");
    size_t errors = l->d->errors;
    if (e && !e->bad)
        link->driver = find_driver(l, s, e);
    if (link->driver) {
        link->options = calloc(1, link->driver->struct_size);
        if (!link->options)
            return -ENOMEM;
        t[1] = (struct fill_target){link->driver->rows, link->driver->count, link->options};
    }
    int err = fill(ini, s, t, link->driver ? 2 : 1, link->driver != NULL, l->folder, l->d);
    if (err)
        return err;
    if (!link->driver)
        return 0;
    if (!ini_find(ini, s, "metered"))
        link->metered = link->driver->metered_default;
    const char *key = NULL;
    const char *wrong = NULL;
    /* A check across options sees only options that are each right. */
    if (errors == l->d->errors && !any_bad(ini, s) && link->driver->check)
        wrong = link->driver->check(link->options, &key);
    if (wrong) {
        e = key ? ini_find(ini, s, key) : NULL;
        diag_error(l->d, e ? e->line : s->line, s->title, key, "%s", wrong);
    }
    return 0;
}

static void unknown_section(struct loader *l, const struct ini_section *s)
{
    diag_error(l->d, s->line, NULL, NULL,
               "there is no section [%s], allowed: [site], [broker], [store], [peer NAME], [route "
               "NAME], [link NAME]",
               s->title);
}

static bool kind_of(const struct ini_section *s, enum section_kind *kind)
{
    for (unsigned i = 0; i < SECTION_KINDS; i++) {
        if (strcmp(config_sections[i].kind, s->kind) == 0) {
            *kind = (enum section_kind)i;
            return true;
        }
    }
    return false;
}

/* May there be a section of this kind and name here? Tells what is wrong when not. */
static bool title_good(struct loader *l, const struct ini_section *s, enum section_kind kind)
{
    const char *wrong = NULL;
    if (config_sections[kind].named)
        wrong = *s->name ? config_name_check(s->name) : "must have a name, as in [peer hub]";
    else if (*s->name)
        wrong = "has no name: write the kind alone";
    if (wrong)
        diag_error(l->d, s->line, s->title, NULL, "%s", wrong);
    else if (!config_sections[kind].named && l->seen[kind])
        diag_error(l->d, s->line, s->title, NULL, "stands here a second time, first on line %d",
                   l->seen[kind]);
    else {
        l->seen[kind] = l->seen[kind] ? l->seen[kind] : s->line;
        return true;
    }
    return false;
}

/* Has the list room for one more section, whose name (first[i] by stride) is not there yet? */
static bool may_add(struct loader *l, const struct ini_section *s, enum section_kind kind,
                    const void *list, size_t count, size_t stride, size_t max)
{
    /* Every struct of a named section begins with its name and line. */
    struct head {
        char *name;
        int line;
    };
    for (size_t i = 0; i < count; i++) {
        const struct head *h = (const void *)((const char *)list + i * stride);
        if (strcmp(h->name, s->name) == 0) {
            diag_error(l->d, s->line, s->title, NULL, "stands here a second time, first on line %d",
                       h->line);
            return false;
        }
    }
    if (count < max)
        return true;
    if (!l->full[kind])
        diag_error(l->d, s->line, s->title, NULL, "too many [%s] sections, allowed: %zu", s->kind,
                   max);
    l->full[kind] = true;
    return false;
}

static_assert(offsetof(struct config_peer, name) == 0 && offsetof(struct config_route, name) == 0 &&
                  offsetof(struct config_link, name) == 0,
              "may_add reads the name at the front");
static_assert(offsetof(struct config_peer, line) == sizeof(char *) &&
                  offsetof(struct config_route, line) == sizeof(char *) &&
                  offsetof(struct config_link, line) == sizeof(char *),
              "may_add reads the line behind the name");

static int load_named(struct loader *l, const struct ini_section *s, enum section_kind kind)
{
    struct config *c = l->c;
    char **name;
    if (kind == SECTION_PEER) {
        if (!may_add(l, s, kind, c->peers, c->peer_count, sizeof(*c->peers), CONFIG_MAX_PEERS))
            return 0;
        struct config_peer *peer = &c->peers[c->peer_count++];
        peer->line = s->line;
        name = &peer->name;
    } else if (kind == SECTION_ROUTE) {
        if (!may_add(l, s, kind, c->routes, c->route_count, sizeof(*c->routes), CONFIG_MAX_ROUTES))
            return 0;
        struct config_route *route = &c->routes[c->route_count++];
        route->line = s->line;
        name = &route->name;
    } else {
        if (!may_add(l, s, kind, c->links, c->link_count, sizeof(*c->links), CONFIG_MAX_LINKS))
            return 0;
        struct config_link *link = &c->links[c->link_count++];
        link->line = s->line;
        name = &link->name;
    }
    if (!(*name = strdup(s->name)))
        return -ENOMEM;
    if (kind == SECTION_LINK)
        return fill_link(l, s, &c->links[c->link_count - 1]);
    return fill_fixed(l, s, kind,
                      kind == SECTION_PEER ? (void *)&c->peers[c->peer_count - 1]
                                           : (void *)&c->routes[c->route_count - 1]);
}

static int load_section(struct loader *l, const struct ini_section *s)
{
    struct config *c = l->c;
    enum section_kind kind;
    if (!kind_of(s, &kind)) {
        unknown_section(l, s);
        return 0;
    }
    if (!title_good(l, s, kind))
        return 0;
    switch (kind) {
    case SECTION_SITE:
        c->site_line = s->line;
        return fill_fixed(l, s, kind, c);
    case SECTION_BROKER:
        c->broker.line = s->line;
        return fill_fixed(l, s, kind, &c->broker);
    case SECTION_STORE:
        c->store.line = s->line;
        return fill_fixed(l, s, kind, &c->store);
    case SECTION_PEER:
    case SECTION_ROUTE:
    case SECTION_LINK:
        return load_named(l, s, kind);
    }
    return 0;
}

/* Room for as many of each kind as the file has, so that the arrays never move. */
static int allocate(struct config *c)
{
    size_t n[SECTION_KINDS] = {0};
    assert(c->source);
    for (size_t i = 0; i < c->source->section_count; i++) {
        enum section_kind kind;
        if (kind_of(&c->source->sections[i], &kind))
            n[kind]++;
    }
#define AT_MOST(x, max) ((x) < (max) ? (x) : (max))
    c->peers = calloc(AT_MOST(n[SECTION_PEER], CONFIG_MAX_PEERS) + 1, sizeof(*c->peers));
    c->routes = calloc(AT_MOST(n[SECTION_ROUTE], CONFIG_MAX_ROUTES) + 1, sizeof(*c->routes));
    c->links = calloc(AT_MOST(n[SECTION_LINK], CONFIG_MAX_LINKS) + 1, sizeof(*c->links));
#undef AT_MOST
    return c->peers && c->routes && c->links ? 0 : -ENOMEM;
}

/* Defaults that hang on the site's name. */
static int name_defaults(struct config *c)
{
    char *text;
    if (!*c->broker.client_id) {
        if (asprintf(&text, "longwire-%s", c->site_name) < 0)
            return -ENOMEM;
        free(c->broker.client_id);
        c->broker.client_id = text;
    }
    if (!*c->store.path) {
        if (asprintf(&text, "/var/lib/longwire/%s.db", c->site_name) < 0)
            return -ENOMEM;
        free(c->store.path);
        c->store.path = text;
    }
    return 0;
}

static int load(struct loader *l)
{
    struct config *c = l->c;
    int err = allocate(c);
    for (size_t i = 0; !err && i < c->source->section_count; i++)
        err = load_section(l, &c->source->sections[i]);
    /* Sections that are not in the file hold their defaults. */
    if (!err && !l->seen[SECTION_SITE]) {
        diag_error(l->d, 0, NULL, NULL, "there is no section [site] with the name of this end");
        err = fill_fixed(l, NULL, SECTION_SITE, c);
    }
    if (!err && !l->seen[SECTION_BROKER])
        err = fill_fixed(l, NULL, SECTION_BROKER, &c->broker);
    if (!err && !l->seen[SECTION_STORE])
        err = fill_fixed(l, NULL, SECTION_STORE, &c->store);
    if (!err)
        err = name_defaults(c);
    if (!err)
        config_check(c, l->d);
    return err;
}

/* Reads and cuts up the file. Return: as ini_parse; an unreadable file is told to d. */
static int read_source(struct loader *l, const char *file)
{
    char *text = NULL;
    size_t n = 0;
    int err = read_file(file, &text, &n);
    if (err == -EFBIG)
        diag_error(l->d, 0, NULL, NULL, "the file is larger than 1 MB");
    else if (err == -EINVAL)
        diag_error(l->d, 0, NULL, NULL, "this is not a file");
    else if (err)
        diag_error(l->d, 0, NULL, NULL, "cannot be read: %s", strerror(-err));
    if (err)
        return err;
    l->folder = folder_of(file);
    l->c->source = calloc(1, sizeof(*l->c->source));
    l->c->file = strdup(file);
    if (l->folder && l->c->source && l->c->file)
        err = ini_parse(l->c->source, text, n, l->d);
    else
        err = -ENOMEM;
    free(text);
    if (err)
        diag_error(l->d, 0, NULL, NULL, "out of memory");
    return err;
}

struct config *config_load(const char *file, const struct option_group *const *drivers,
                           FILE *errors)
{
    struct diag d;
    diag_init(&d, file);
    struct loader l = {.d = &d, .drivers = drivers, .c = calloc(1, sizeof(*l.c))};
    if (!l.c) {
        diag_error(&d, 0, NULL, NULL, "out of memory");
        goto out;
    }
    if (read_source(&l, file) < 0)
        goto out;
    if (load(&l) < 0)
        diag_error(&d, 0, NULL, NULL, "out of memory");
out:
    diag_print(&d, errors);
    if (d.errors > 0) {
        config_free(l.c);
        l.c = NULL;
    }
    diag_fini(&d);
    free(l.folder);
    return l.c;
}

static void fini_rows(enum section_kind kind, void *base)
{
    for (size_t i = 0; i < config_sections[kind].count; i++)
        value_fini(&config_sections[kind].rows[i], base);
}

static void fini_link(struct config_link *link)
{
    for (size_t i = 0; link->options && i < link->driver->count; i++)
        value_fini(&link->driver->rows[i], link->options);
    fini_rows(SECTION_LINK, link);
    free(link->options);
    free(link->name);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->peer_count; i++) {
        fini_rows(SECTION_PEER, &c->peers[i]);
        free(c->peers[i].name);
    }
    for (size_t i = 0; i < c->route_count; i++) {
        fini_rows(SECTION_ROUTE, &c->routes[i]);
        free(c->routes[i].name);
    }
    for (size_t i = 0; i < c->link_count; i++)
        fini_link(&c->links[i]);
    fini_rows(SECTION_SITE, c);
    fini_rows(SECTION_BROKER, &c->broker);
    fini_rows(SECTION_STORE, &c->store);
    free(c->peers);
    free(c->routes);
    free(c->links);
    if (c->source)
        ini_fini(c->source);
    free(c->source);
    free(c->file);
    free(c);
}

const struct config_peer *config_find_peer(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->peer_count; i++)
        if (strcmp(c->peers[i].name, name) == 0)
            return &c->peers[i];
    return NULL;
}

const struct config_link *config_find_link(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->link_count; i++)
        if (strcmp(c->links[i].name, name) == 0)
            return &c->links[i];
    return NULL;
}
