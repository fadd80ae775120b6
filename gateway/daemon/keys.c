#include "gateway/daemon/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "config/key_file.h"
#include "gateway/daemon/control.h"
#include "gateway/daemon/log.h"
#include "store/peek.h"
#include "store/store.h"

_Static_assert(KEY_BYTES == SECRET_BYTES, "a key file holds a secret");

int keys_secret(const struct config *c, const struct config_peer *peer, bool next, uint8_t out[SECRET_BYTES])
{
    const char *file = next ? peer->next_secret_file : peer->secret_file;
    char why[KEY_WHY_BYTES];
    int rc = key_file_read(file, config_key_owner(c), out, why);
    if (rc < 0)
        log_fmt(LOG_LEVEL_ERR, "config", "%s %s peer=%s", file, why, peer->name);
    return rc;
}

/* Where the key in use is looked up. */
struct lookup {
    const struct config *config;
    struct store *store;     /* one of these three */
    struct store_peek *peek;
    json_t *status;
};

static int lookup_secret(void *ctx, const struct config_peer *peer, bool next, uint8_t out[SECRET_BYTES])
{
    const struct lookup *l = ctx;
    char why[KEY_WHY_BYTES];
    return key_file_read(next ? peer->next_secret_file : peer->secret_file, config_key_owner(l->config), out, why);
}

/* What the running gateway says. */
static uint32_t id_in_status(const json_t *status, const char *peer)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(status, "peers"), i, p) {
        const char *name = json_string_value(json_object_get(p, "name"));
        const char *id = json_string_value(json_object_get(json_object_get(p, "key"), "in_use"));
        if (name && strcmp(name, peer) == 0)
            return id ? (uint32_t)strtoul(id, NULL, 16) : 0;
    }
    return 0;
}

static int lookup_in_use(void *ctx, const char *peer, uint32_t *id)
{
    const struct lookup *l = ctx;
    char name[KEYS_NAME_BYTES];
    uint8_t value[KEYS_VALUE_BYTES];
    size_t n = sizeof value;
    *id = 0;
    if (l->status) {
        *id = id_in_status(l->status, peer);
        return 0;
    }
    keys_store_name(peer, name);
    int rc = l->store ? store_get(l->store, name, value, &n) : store_peek_get(l->peek, name, value, &n);
    if (rc == 0)
        *id = keys_read_value(value, n);
    return rc < 0 ? rc : 0;
}

static size_t check(struct lookup *l, FILE *errors)
{
    struct keys_source source = {l, lookup_secret, lookup_in_use};
    return keys_check(l->config, &source, errors);
}

size_t keys_check_store(const struct config *c, struct store *s, FILE *errors)
{
    struct lookup l = {.config = c, .store = s};
    return check(&l, errors);
}

static bool any_sealed(const struct config *c)
{
    for (size_t i = 0; i < c->peer_count; i++)
        if (c->peers[i].seal != SEAL_NONE)
            return true;
    return false;
}

size_t keys_check_outside(const struct config *c, FILE *errors)
{
    struct lookup l = {.config = c};
    char *answer = NULL;
    size_t n = 0;
    if (!any_sealed(c))
        return 0;
    if (control_ask(c, &answer) == 0) {
        l.status = json_loads(answer, 0, NULL);
        free(answer);
    } else {
        int rc = store_peek_open(&l.peek, c->store.path);
        if (rc == STORE_LOCKED || rc < 0)
            fprintf(errors, "%s: warning: which keys are in use is not known: %s\n", c->file,
                    rc < 0 ? strerror(-rc) : "the running gateway does not answer, see `longwire status`");
    }
    if (l.status || l.peek)
        n = check(&l, errors);
    json_decref(l.status);
    store_peek_close(l.peek);
    return n;
}

void keys_summary(const struct config *c, FILE *out)
{
    struct lookup l = {.config = c};
    for (size_t i = 0; i < c->peer_count; i++) {
        const struct config_peer *peer = &c->peers[i];
        uint8_t secret[SECRET_BYTES];
        for (int next = 0; next < 2 && peer->seal != SEAL_NONE; next++) {
            if (!*(next ? peer->next_secret_file : peer->secret_file) || lookup_secret(&l, peer, next, secret) < 0)
                continue;
            uint32_t id = keys_id(c->site_name, peer->name, secret);
            explicit_bzero(secret, sizeof secret);
            if (next)
                fprintf(out, "key of peer %s: to be followed by %08x\n", peer->name, id);
            else
                fprintf(out, "key of peer %s: %08x, at the other end the same\n", peer->name, id);
        }
    }
}
