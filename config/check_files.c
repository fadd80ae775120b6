/* Apart from check.c, because this touches the file system: `longwire check` on another machine,
 * and every test of the rest, can do without. */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/diag.h"
#include "config/ini.h"
#include "config/key_file.h"

static int key_line(const struct config *c, int section_line, const char *key, const char **title)
{
    const struct ini_section *s = section_line ? ini_section_at(c->source, section_line) : NULL;
    const struct ini_entry *e = s ? ini_find(c->source, s, key) : NULL;
    if (s)
        *title = s->title;
    return e ? e->line : section_line;
}

int config_line(const struct config *c, int section_line, const char *key)
{
    const char *title = "";
    return key_line(c, section_line, key, &title);
}

static void check_readable(const struct config *c, struct diag *d, const char *title,
                           int section_line, const char *key, const char *path)
{
    struct stat st;
    if (!*path)
        return;
    int line = key_line(c, section_line, key, &title);
    if (stat(path, &st) < 0 || access(path, R_OK) < 0)
        diag_error(d, line, title, key, "%s cannot be read: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        diag_error(d, line, title, key, "%s is not a file", path);
}

/* A secret that all users of the machine can read is none. */
static void check_secret(const struct config *c, struct diag *d, const char *title,
                         int section_line, const char *key, const char *path)
{
    struct stat st;
    check_readable(c, d, title, section_line, key, path);
    int line = key_line(c, section_line, key, &title);
    if (*path && stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
        diag_warning(d, line, title, key, "%s can be read by every user of this machine", path);
}

/* The folder is there and can be written, or the nearest one above that is there can be. */
static void check_store(const struct config *c, struct diag *d)
{
    const char *title = "store";
    int line = key_line(c, c->store.line, "path", &title);
    char folder[4096];
    struct stat st;
    size_t n = strlen(c->store.path);
    if (n >= sizeof(folder)) {
        diag_error(d, line, title, "path", "the path is too long, allowed: 4095 bytes");
        return;
    }
    memcpy(folder, c->store.path, n + 1);
    if (stat(folder, &st) == 0) {
        if (!S_ISREG(st.st_mode))
            diag_error(d, line, title, "path", "%s is not a file", folder);
        else if (access(folder, R_OK | W_OK) < 0)
            diag_error(d, line, title, "path", "%s cannot be written: %s", folder, strerror(errno));
    }
    /* The file needs a journal beside it, so that its folder must be writable in any case. */
    do {
        char *slash = strrchr(folder, '/');
        if (slash == folder)
            slash++;
        *slash = '\0';
    } while (strlen(folder) > 1 && stat(folder, &st) < 0 && errno == ENOENT);
    if (stat(folder, &st) < 0)
        diag_error(d, line, title, "path", "%s cannot be looked at: %s", folder, strerror(errno));
    else if (!S_ISDIR(st.st_mode))
        diag_error(d, line, title, "path", "%s is not a folder", folder);
    else if (access(folder, W_OK | X_OK) < 0)
        diag_error(d, line, title, "path", "nothing can be made in the folder %s: %s", folder,
                   strerror(errno));
}

/* Root may read any file; the gateway that runs as another user cannot. */
static void warn_out_of_reach(const struct config *c, struct diag *d, const struct config_peer *peer,
                              const char *option, const char *path, uid_t owner)
{
    struct stat st;
    const char *title = "";
    int line = key_line(c, peer->line, option, &title);
    if (geteuid() == 0 && owner != (uid_t)-1 && stat(path, &st) == 0 && st.st_uid != owner)
        diag_warning(d, line, title, option,
                     "%s belongs to root, and the store to uid %lu: a gateway that runs as that "
                     "user cannot read the key",
                     path, (unsigned long)owner);
}

/* A key, and where it came from. */
struct known_key {
    uint8_t key[KEY_BYTES];
    const struct config_peer *peer;
    const char *option;
};

static int by_key(const void *a, const void *b)
{
    const struct known_key *x = a, *y = b;
    int order = memcmp(x->key, y->key, KEY_BYTES);
    /* Equal keys in the order of the file, so that the later one is told of. */
    return order ? order : (x->peer->line > y->peer->line) - (x->peer->line < y->peer->line);
}

/* Two sites with one key could each pass for the other. */
static void check_keys_differ(const struct config *c, struct diag *d, const struct known_key *keys,
                              size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const char *title = "";
        if (memcmp(keys[i - 1].key, keys[i].key, KEY_BYTES) != 0)
            continue;
        int line = key_line(c, keys[i].peer->line, keys[i].option, &title);
        if (keys[i].peer == keys[i - 1].peer)
            diag_error(d, line, title, keys[i].option,
                       "holds the key that the peer's other file holds");
        else
            diag_error(d, line, title, keys[i].option,
                       "holds the key of peer %s: each peer needs its own", keys[i - 1].peer->name);
    }
}

uid_t config_key_owner(const struct config *c)
{
    struct stat st;
    char folder[4096];
    if (geteuid() != 0)
        return (uid_t)-1;
    if (stat(c->store.path, &st) == 0)
        return st.st_uid;
    if (strlen(c->store.path) >= sizeof(folder))
        return (uid_t)-1;
    strcpy(folder, c->store.path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[1] = '\0';
    return slash && stat(folder, &st) == 0 ? st.st_uid : (uid_t)-1;
}

static void check_keys(const struct config *c, struct diag *d)
{
    uid_t owner = config_key_owner(c);
    struct known_key *keys = calloc(2 * c->peer_count + 1, sizeof(*keys));
    size_t n = 0;
    if (!keys) {
        diag_error(d, 0, NULL, NULL, "out of memory");
        return;
    }
    for (size_t i = 0; i < 2 * c->peer_count; i++) {
        const struct config_peer *peer = &c->peers[i / 2];
        const char *option = i % 2 ? "next_secret_file" : "secret_file", *title = "";
        const char *path = i % 2 ? peer->next_secret_file : peer->secret_file;
        char why[KEY_WHY_BYTES];
        if (peer->seal == SEAL_NONE || !*path)
            continue;
        keys[n].peer = peer;
        keys[n].option = option;
        int line = key_line(c, peer->line, option, &title);
        if (key_file_read(path, owner, keys[n].key, why) == 0) {
            n++;
            warn_out_of_reach(c, d, peer, option, path, owner);
        } else {
            diag_error(d, line, title, option, "%s %s", path, why);
        }
    }
    qsort(keys, n, sizeof(*keys), by_key);
    check_keys_differ(c, d, keys, n);
    explicit_bzero(keys, (2 * c->peer_count + 1) * sizeof(*keys));
    free(keys);
}

size_t config_check_files(const struct config *c, FILE *errors)
{
    struct diag d;
    const struct config_broker *b = &c->broker;
    diag_init(&d, c->file);
    check_secret(c, &d, "broker", b->line, "password_file", b->password_file);
    check_readable(c, &d, "broker", b->line, "tls_ca", b->tls_ca);
    check_readable(c, &d, "broker", b->line, "tls_cert", b->tls_cert);
    check_secret(c, &d, "broker", b->line, "tls_key", b->tls_key);
    check_store(c, &d);
    check_keys(c, &d);
    diag_print(&d, errors);
    size_t n = d.errors;
    diag_fini(&d);
    return n;
}
