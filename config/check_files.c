/* Apart from check.c, because this touches the file system: `longwire check` on another machine,
 * and every test of the rest, can do without. */
#include "config/config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/diag.h"
#include "config/ini.h"

static int key_line(const struct config *c, int section_line, const char *key, const char **title)
{
    const struct ini_section *s = section_line ? ini_section_at(c->source, section_line) : NULL;
    const struct ini_entry *e = s ? ini_find(c->source, s, key) : NULL;
    if (s)
        *title = s->title;
    return e ? e->line : section_line;
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
    if (*path && stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
        diag_warning(d, key_line(c, section_line, key, &title), title, key,
                     "%s can be read by every user of this machine", path);
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
    for (size_t i = 0; i < c->peer_count; i++)
        if (c->peers[i].seal != SEAL_NONE)
            check_secret(c, &d, "", c->peers[i].line, "secret_file", c->peers[i].secret_file);
    diag_print(&d, errors);
    size_t n = d.errors;
    diag_fini(&d);
    return n;
}
