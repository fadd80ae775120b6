#include "gateway/bridge/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/buf.h"
#include "gateway/bridge/internal.h"
#include "gateway/wire/seal.h"

#define MISFITS_TOLD 2 /* frames in a row that fit no key, and none that does */

void keys_store_name(const char *peer, char out[KEYS_NAME_BYTES])
{
    snprintf(out, KEYS_NAME_BYTES, "key.%s", peer);
}

uint32_t keys_read_value(const uint8_t *value, size_t n)
{
    return n == KEYS_VALUE_BYTES ? be32_of(value) : 0;
}

uint32_t keys_id(const char *own_name, const char *peer_name, const uint8_t secret[SECRET_BYTES])
{
    /* Of mode and tag always these, so that a change of those leaves the name. */
    struct seal_terms terms;
    return seal_terms_init(&terms, SEAL_FULL, SEAL_TAG_DEFAULT, own_name, peer_name) ? seal_secret_id(&terms, secret) : 0;
}

/* ---- may a configuration take the place of the one before it? ---- */

/* Return: 0 = none, or it cannot be read. */
static uint32_t id_of(const struct config *c, const struct config_peer *peer, bool next, const struct keys_source *source)
{
    uint8_t secret[SECRET_BYTES];
    const char *file = next ? peer->next_secret_file : peer->secret_file;
    uint32_t id = 0;
    if (*file && source->secret(source->ctx, peer, next, secret) == 0)
        id = keys_id(c->site_name, peer->name, secret);
    explicit_bzero(secret, sizeof secret);
    return id;
}

static bool lacks(const struct config *c, const struct config_peer *peer, const struct keys_source *source, uint32_t in_use)
{
    uint32_t current = id_of(c, peer, false, source), next = id_of(c, peer, true, source);
    bool read_all = current && (next || !*peer->next_secret_file);
    return read_all && in_use != current && in_use != next && (!*peer->drop_key || in_use != strtoul(peer->drop_key, NULL, 16));
}

size_t keys_check(const struct config *c, const struct keys_source *source, FILE *errors)
{
    size_t n = 0;
    for (size_t i = 0; i < c->peer_count; i++) {
        const struct config_peer *peer = &c->peers[i];
        uint32_t in_use = 0;
        if (peer->seal == SEAL_NONE || source->in_use(source->ctx, peer->name, &in_use) < 0 || !in_use ||
            !lacks(c, peer, source, in_use))
            continue;
        n++;
        fprintf(errors,
                "%s:%d: peer %s.secret_file: the key %08x is in use with this peer, and in neither file: it would be cut off. Keep it as "
                "secret_file, with the new key as next_secret_file, until `longwire status` says at both ends that it may go. If no "
                "other end has it any more, write drop_key = %08x\n",
                c->file, config_line(c, peer->line, "secret_file"), peer->name, in_use, in_use);
    }
    return n;
}

/* ---- a peer's keys at run time ---- */

static int read_secret(struct peer *p, bool next, uint8_t out[SECRET_BYTES])
{
    const struct bridge *b = p->bridge;
    int rc = b->env.secret ? b->env.secret(b->env.ctx, p->config, next, out) : -ENOKEY;
    if (rc == 0)
        p->keys.id[next] = keys_id(b->config->site_name, p->config->name, out);
    return rc < 0 ? -ENOKEY : p->keys.id[next] ? 0 : -ENOMEM;
}

int keys_fill(struct peer *p, struct channel_config *out)
{
    struct bridge *b = p->bridge;
    char name[KEYS_NAME_BYTES];
    uint8_t value[KEYS_VALUE_BYTES];
    size_t n = sizeof value;
    out->seal = (enum seal_mode)p->config->seal;
    out->tag_bytes = (unsigned)p->config->seal_tag;
    out->forward_secrecy = p->config->forward_secrecy;
    if (out->seal == SEAL_NONE)
        return 0;
    keys_store_name(p->config->name, name);
    int rc = store_get(b->store, name, value, &n);
    if (rc < 0)
        return rc;
    p->keys.in_use = rc == 0 ? keys_read_value(value, n) : 0;
    out->secrets.has_next = *p->config->next_secret_file;
    rc = read_secret(p, false, out->secrets.current);
    if (rc == 0 && out->secrets.has_next)
        rc = read_secret(p, true, out->secrets.next);
    out->secrets.use_next = out->secrets.has_next && p->keys.in_use == p->keys.id[1];
    if (rc == 0 && p->keys.in_use && p->keys.in_use != p->keys.id[0] && p->keys.in_use != p->keys.id[1])
        bridge_logf(b, BRIDGE_WARN, "peer", "the key that was in use is gone from the file peer=%s key=%08x", p->config->name,
                    p->keys.in_use);
    return rc;
}

void keys_in_use(struct peer *p, bool next)
{
    struct bridge *b = p->bridge;
    uint32_t id = p->keys.id[next];
    char name[KEYS_NAME_BYTES];
    if (id == p->keys.in_use)
        return;
    uint8_t value[KEYS_VALUE_BYTES] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    keys_store_name(p->config->name, name);
    if (custody_failed(b, store_set(b->store, name, value, sizeof value)))
        return;
    p->keys.in_use = id;
    custody_dirty(b, COMMIT_SOON_MS);
    bridge_logf(b, BRIDGE_INFO, "peer", "%s peer=%s key=%08x",
                next ? "both ends use the new key: the old one may be taken out of the file" : "key in use", p->config->name, id);
}

/* Noise comes among frames that fit. Where nothing fits, the ends hold different keys, or differ in seal or seal_tag. */
void keys_watch(struct peer *p)
{
    struct peer_keys *k = &p->keys;
    struct channel_status s;
    channel_status(p->channel, &s);
    if (p->config->seal == SEAL_NONE || channel_state(p->channel) == CHANNEL_READY || s.frames_in != k->frames_in) {
        k->frames_in = s.frames_in;
        k->forged = s.forged;
        k->misfit = false;
        return;
    }
    uint64_t n = s.forged - k->forged;
    bool told = k->misfit;
    k->misfit = n >= MISFITS_TOLD;
    if (k->misfit && !told)
        bridge_logf(p->bridge, BRIDGE_WARN, "peer",
                    "nothing that comes fits a key of ours: are key, seal and seal_tag the same at both ends? peer=%s frames=%llu",
                    p->config->name, (unsigned long long)n);
}

static json_t *id_json(uint32_t id)
{
    char text[9];
    snprintf(text, sizeof text, "%08x", id);
    return id ? json_string(text) : json_null();
}

/* Where a change of keys stands, in one word. */
static const char *change(const struct peer *p, const struct channel_status *s)
{
    if (!p->keys.id[1])
        return "none";
    if (p->keys.in_use == p->keys.id[1])
        return "done"; /* secret_file may go */
    return s->peer_has_next ? "under way" : "waiting for the peer";
}

json_t *keys_json(const struct peer *p, const struct channel_status *s)
{
    static const char *const modes[] = {[SEAL_FULL] = "full", [SEAL_AUTH] = "auth", [SEAL_NONE] = "none"};
    if (p->config->seal == SEAL_NONE)
        return json_pack("{s:s}", "seal", "none");
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:s, s:b, s:b, s:b, s:b, s:I, s:I}", "seal", modes[p->config->seal], "tag_bytes",
                     (int)p->config->seal_tag, "secret", id_json(p->keys.id[0]), "next_secret", id_json(p->keys.id[1]), "in_use",
                     id_json(p->keys.in_use), "change", change(p, s), "misfit", p->keys.misfit, "forward_secrecy", p->config->forward_secrecy, "forward_secret",
                     s->forward_secret, "awaits_echo", s->awaits_echo, "forged",
                     (json_int_t)s->forged, "replayed", (json_int_t)s->replayed);
}
