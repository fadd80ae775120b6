/* What a datagram channel must remember: of its receiving half with the records of the frames that came, of its sending half with
 * the frames that it made, so that a restart says again, byte for byte, what may have been said. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store/anchors.h"

#define DOUBTS_BYTES 8 /* behind what the channel keeps: those of the store that it knows of */

static const char *key_of(const struct peer *p, const char *what, char key[32])
{
    snprintf(key, 32, "%s.%d", what, p->id);
    return key;
}

/* ---- written ---- */

void peers_saved_changed(void *ctx)
{
    struct peer *p = ctx;
    p->save_out = true;
    custody_dirty(p->bridge, COMMIT_LATEST_MS);
}

void peers_receiver_changed(void *ctx)
{
    struct peer *p = ctx;
    p->save_in = true;
    custody_dirty(p->bridge, COMMIT_LATEST_MS);
}

void peers_keep_frame(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct peer *p = ctx;
    int rc = store_frame_put(p->bridge->store, p->id, epoch, number, bytes, n);
    p->save_out = p->frames_kept = true;
    if (!custody_failed(p->bridge, rc > 0 ? -EIO : rc))
        custody_dirty(p->bridge, 0);
}

void peers_drop_frame(void *ctx, uint32_t epoch, uint64_t number)
{
    struct peer *p = ctx;
    if (!custody_failed(p->bridge, store_frame_drop(p->bridge->store, p->id, epoch, number)))
        custody_dirty(p->bridge, COMMIT_LATEST_MS);
}

static bool save_in(struct peer *p)
{
    char key[32];
    struct channel_status s;
    channel_status(p->channel, &s);
    if (s.forgotten != p->forgotten)
        store_forget(p->bridge->store);
    p->forgotten = s.forgotten;
    uint8_t saved[CHANNEL_SAVED_MAX + DOUBTS_BYTES];
    size_t n = channel_save(p->channel, saved);
    struct buf b;
    buf_init_over(&b, saved + n, DOUBTS_BYTES);
    buf_put_be32(&b, p->doubts.set_back);
    buf_put_be32(&b, p->doubts.aged);
    int rc = store_set(p->bridge->store, key_of(p, "channel", key), saved, n + b.len);
    explicit_bzero(saved, sizeof saved); /* keys may be among it */
    return !custody_failed(p->bridge, rc);
}

static bool save_out(struct peer *p)
{
    char key[32];
    uint8_t saved[CHANNEL_SAVED_OUT_MAX], lanes[SENDER_LANES_MAX];
    struct store *s = p->bridge->store;
    return !custody_failed(p->bridge, store_set(s, key_of(p, "channel-out", key), saved, channel_save_out(p->channel, saved))) &&
           !custody_failed(p->bridge, store_set(s, key_of(p, "lanes", key), lanes, sender_save_lanes(p, lanes)));
}

void peers_keep_leaning(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct peer *p = ctx;
    int rc = p->bridge->failed ? 0 : store_leaning_put(p->bridge->store, p->id, epoch, number, bytes, n);
    custody_failed(p->bridge, rc > 0 ? -EIO : rc);
}

void peers_only_leaning(void *ctx, const uint32_t *epochs, unsigned count)
{
    struct peer *p = ctx;
    if (!p->bridge->failed && !custody_failed(p->bridge, store_leaning_only(p->bridge->store, p->id, epochs, count)))
        custody_dirty(p->bridge, COMMIT_LATEST_MS);
}

void peers_before_commit(struct bridge *b)
{
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        if (!p->sender.datagram)
            continue;
        /* The shares, which an acknowledgement changes too, stand with what the receiving half keeps. */
        bool in = p->frames_waiting || p->save_in || (p->save_out && p->config->forward_secrecy);
        if ((in && !save_in(p)) || (p->save_out && !save_out(p)))
            return;
    }
}

/* ---- read ---- */

bool peers_next_leaning(void *ctx, uint32_t epoch, uint64_t after, uint64_t *number, uint8_t *bytes, size_t *n)
{
    struct peer *p = ctx;
    int rc = p->bridge->failed ? STORE_NONE : store_leaning_next(p->bridge->store, p->id, epoch, after, number, bytes, n);
    return !custody_failed(p->bridge, rc) && rc == 0;
}

struct reading {
    struct peer *peer;
    unsigned unknown; /* frames of no epoch that is under way */
    uint32_t unknown_epoch[STORE_FRAMES_MAX];
    uint64_t unknown_number[STORE_FRAMES_MAX];
};

static void restore_frame(void *ctx, uint32_t epoch, uint64_t number, const void *bytes, size_t n)
{
    struct reading *r = ctx;
    if (channel_restore_frame(r->peer->channel, epoch, number, bytes, n) || r->unknown == STORE_FRAMES_MAX)
        return;
    r->unknown_epoch[r->unknown] = epoch;
    r->unknown_number[r->unknown++] = number;
}

static int restore_frames(struct peer *p)
{
    struct reading *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->peer = p;
    int rc = store_frames_each(p->bridge->store, p->id, restore_frame, r);
    for (unsigned i = 0; i < r->unknown && rc == 0; i++)
        rc = store_frame_drop(p->bridge->store, p->id, r->unknown_epoch[i], r->unknown_number[i]);
    free(r);
    return rc;
}

static int load_out(struct peer *p)
{
    char key[32];
    uint8_t saved[CHANNEL_SAVED_OUT_MAX], lanes[SENDER_LANES_MAX];
    struct store *s = p->bridge->store;
    size_t n = sizeof saved, lanes_n = sizeof lanes;
    int rc = store_get(s, key_of(p, "channel-out", key), saved, &n);
    if (rc != 0 || !channel_load_out(p->channel, saved, n))
        return rc < 0 ? rc : STORE_NONE;
    rc = restore_frames(p);
    if (rc != 0)
        return rc;
    rc = store_get(s, key_of(p, "lanes", key), lanes, &lanes_n);
    return rc < 0 || !sender_load_lanes(p, lanes, rc == 0 ? lanes_n : 0) ? -EIO : 0;
}

static int load_in(struct peer *p)
{
    char key[32];
    uint8_t saved[CHANNEL_SAVED_MAX + DOUBTS_BYTES];
    size_t n = sizeof saved;
    int rc = store_get(p->bridge->store, key_of(p, "channel", key), saved, &n);
    /* A peer of whom nothing is kept has to answer for itself in any case. */
    p->doubts = store_doubts(p->bridge->store);
    n = rc == 0 && n >= DOUBTS_BYTES ? n - DOUBTS_BYTES : 0;
    struct reader r = reader_of(saved + n, DOUBTS_BYTES);
    if (n > 0)
        p->doubts = (struct store_doubts){read_be32(&r), 0};
    if (n > 0)
        p->doubts.aged = read_be32(&r);
    bool good = rc < 0 || channel_load(p->channel, saved, n);
    explicit_bzero(saved, sizeof saved);
    if (!good)
        bridge_logf(p->bridge, BRIDGE_WARN, "peer", "what the channel had remembered is not its own peer=%s", p->config->name);
    return rc;
}

int peers_load_channel(struct peer *p)
{
    int rc = load_in(p);
    if (rc >= 0)
        rc = load_out(p);
    if (rc >= 0)
        peers_doubt(p);
    return rc < 0 ? rc : 0;
}

void peers_doubt(struct peer *p)
{
    struct store_doubts now = store_doubts(p->bridge->store);
    bool set_back = now.set_back != p->doubts.set_back;
    if (!set_back && now.aged == p->doubts.aged)
        return;
    p->doubts = now;
    peers_receiver_changed(p);
    channel_doubt(p->channel, set_back);
    if (p->config->seal != SEAL_NONE)
        bridge_logf(p->bridge, BRIDGE_WARN, "peer", "our store %s: nothing is taken from the peer until it has answered for itself peer=%s",
                    set_back ? "was set back" : "lay long, and may be a copy", p->config->name);
}

void peers_read_back(struct peer *p)
{
    int rc = load_in(p);
    if (rc >= 0)
        rc = load_out(p);
    if (rc == STORE_NONE)
        channel_restart(p->channel, "store failed", p->bridge->now.mono_ms);
    else
        custody_failed(p->bridge, rc);
    peers_doubt(p);
}
