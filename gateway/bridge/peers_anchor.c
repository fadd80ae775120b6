/* Anchors of datagram links: which messages both ends have, kept by each as the codec's records, under an id made of them. The
 * sender names a number up to which all is settled at both ends, and a hash; where the receiver's own history makes the same,
 * frames may lean on it once that word is acknowledged. */
#include "gateway/bridge/internal.h"

#include <errno.h>
#include <stdlib.h>
#include "base/hash.h"
#include "gateway/wire/codec_plain.h"
#include "gateway/wire/prime_share.h"
#include "store/anchors.h"

#define ANCHOR_MESSAGES 1000
#define ANCHOR_BYTES    (256u << 10)
#define ANCHOR_UNITS    (PRIME_SHARE_UNITS / 2) /* each direction's, for neither knows of the other */
#define ANCHOR_LEAST    16 /* messages */
#define ANCHOR_STREAM   (640u << 10)

/* All up to here is settled: the peer has it on its disk. */
static uint64_t settled_up_to(struct peer *p)
{
    uint64_t up_to = p->sender.committed;
    for (int c = 0; c < CLASS_COUNT; c++) {
        struct outbox_row row;
        int rc = store_outbox_next(p->bridge->store, p->id, (enum msg_class)c, 0, 0, &row);
        if (custody_failed(p->bridge, rc))
            return 0;
        if (rc != 0)
            continue;
        msg_free(row.msg);
        up_to = row.number - 1 < up_to ? row.number - 1 : up_to;
    }
    return up_to;
}

/* A slot that the peer is not known to have is none. */
static void settle_slot(const struct peer *p, bool out, struct record *r, const struct priming *t)
{
    bool more = r->offset + r->len < r->total;
    const struct msg *m = t->tail[more ? t->left - 1 : t->left].msg; /* that the record is of */
    if (out && r->type == RECORD_MESSAGE && r->slot != RECORD_NO_SLOT && sender_topic_pending(&p->sender, r->slot)) {
        r->slot = RECORD_NO_SLOT;
        r->topic = m->topic;
        r->topic_len = m->topic_len;
    }
}

/* The anchor's records, coded plainly. Return: its id; 0: there are too few, or the store or memory failed. */
static uint32_t make(struct peer *p, bool out, uint64_t up_to, struct buf *blob)
{
    struct bridge *b = p->bridge;
    struct priming t = {0};
    struct record r;
    uint64_t needed;
    enum store_direction dir = out ? STORE_OUT : STORE_IN;
    int rc = priming_load_to(&t, b->store, p->id, dir, out ? p->config->timestamps : TIMESTAMPS_S, up_to, ANCHOR_MESSAGES, ANCHOR_BYTES);
    if (custody_failed(b, rc) || rc != 0)
        return 0;
    priming_cut(&t, ANCHOR_UNITS);
    struct codec_encoder *e = t.count >= ANCHOR_LEAST ? codec_plain.encoder_new(0) : NULL;
    bool good = e;
    while (good && priming_next(&t, out ? p->sender.topics : p->topics_in, &r)) {
        settle_slot(p, out, &r, &t);
        good = codec_plain.encode(e, &r, blob, &needed) == 0;
    }
    good = good && codec_plain.flush(e, blob) == 0 && blob->len <= STORE_ANCHOR_MAX_BYTES;
    if (e)
        codec_plain.encoder_free(e);
    priming_drop(&t);
    uint32_t id = good ? hash64_fold32(hash64_add(HASH64_START, buf_bytes(blob), blob->len)) : 0;
    return good && id == 0 ? 1 : id;
}

bool peers_anchor_propose(struct peer *p, uint64_t *up_to, uint32_t *id)
{
    struct bridge *b = p->bridge;
    struct buf blob;
    if (p->config->codec == CODEC_PLAIN || (*up_to = settled_up_to(p)) == 0)
        return false;
    buf_init(&blob, ANCHOR_STREAM);
    *id = make(p, true, *up_to, &blob);
    bool good = *id && !custody_failed(b, store_anchor_put(b->store, p->id, STORE_OUT, *id, buf_bytes(&blob), blob.len));
    buf_fini(&blob);
    if (good)
        bridge_logf(b, BRIDGE_DEBUG, "peer", "an anchor is proposed peer=%s id=%08x", p->config->name, *id);
    return good;
}

void peers_anchor_proposed(struct peer *p, uint64_t up_to, uint32_t id)
{
    struct bridge *b = p->bridge;
    struct buf blob;
    if (b->failed)
        return;
    buf_init(&blob, ANCHOR_STREAM);
    uint32_t ours = make(p, false, up_to, &blob);
    if (ours != id)
        bridge_logf(b, BRIDGE_INFO, "peer", "the histories differ: an anchor is not kept peer=%s", p->config->name);
    else if (!store_full(b->store))
        custody_failed(b, store_anchor_put(b->store, p->id, STORE_IN, id, buf_bytes(&blob), blob.len));
    buf_fini(&blob);
}

/* ---- read back ---- */

void peers_anchor_close(struct peer *p, bool out)
{
    if (p->anchors[out])
        codec_plain.decoder_free(p->anchors[out]);
    p->anchors[out] = NULL;
}

bool peers_anchor_open(struct peer *p, bool out, uint32_t id)
{
    static const struct codec_limits limits = {.max_message = UINT32_MAX};
    struct bridge *b = p->bridge;
    void *bytes = NULL;
    size_t n = 0;
    peers_anchor_close(p, out);
    if (b->failed || custody_failed(b, store_anchor_get(b->store, p->id, out ? STORE_OUT : STORE_IN, id, &bytes, &n)) || !bytes)
        return false;
    struct codec_decoder *d = codec_plain.decoder_new(0, &limits);
    if (d && codec_plain.feed(d, bytes, n, true) != 0) {
        codec_plain.decoder_free(d);
        d = NULL;
    }
    p->anchors[out] = d;
    free(bytes);
    return d;
}

bool peers_anchor_next(struct peer *p, bool out, struct record *r)
{
    uint64_t needed;
    return p->anchors[out] && codec_plain.decode(p->anchors[out], r, &needed) == 0;
}
