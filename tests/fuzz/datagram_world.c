#include "tests/fuzz/datagram_world.h"

#include <errno.h>
#include "base/msg.h"
#include "tests/fuzz/checks_void.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/primer_made.h"

#define MODEL_BYTES (256u << 10)
#define MODEL_MOST  (1u << 20) /* that the peer may ask for */
#define TAIL        20

unsigned world_reached[REACHED_COUNT];
const char *const world_reached_names[REACHED_COUNT] = {
    "a frame that leans", "an epoch with X25519 in its key", "a share that is not here", "an anchor or model that is not here",
    "a topic table that is not here", "a floor", "a nonce to be echoed", "an anchor in use", "a chain made again",
    "a record that makes no sense", "a hostile frame that leans", "a hostile epoch", "a hostile acknowledgement",
};

/* ---- owners ---- */

static uint32_t on_random(void *ctx)
{
    struct world *w = ((struct end *)ctx)->world;
    w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(w->seed >> 33);
}

static void on_random_bytes(void *ctx, void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(on_random(ctx) >> 7);
}

static void on_output(void *ctx, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    struct end *e = ctx;
    FUZZ_MUST(n > 0 && n <= e->config.mtu && (bytes[0] & 0x80));
    world_reached[REACHED_FLOOR] += (bytes[0] & 0xcc) == DATAGRAM_FLOOR;
    world_reached[REACHED_NO_ANCHOR] += (bytes[0] & 0xcc) == DATAGRAM_NO_ANCHOR;
    world_reached[REACHED_LACKS_SHARE] += (bytes[0] & 0xce) == (DATAGRAM_FLOOR | 2);
    e->token = token ? token : e->token;
    if (e->flying_count == FLYING_MAX)
        return;
    memcpy(e->flying[e->flying_count].bytes, bytes, n);
    e->flying[e->flying_count++].n = n;
}

static struct record message_of(const struct end *e, unsigned n, uint8_t payload[256])
{
    const struct message *m = &e->made[n];
    for (unsigned i = 0; i < m->len; i++)
        payload[i] = (uint8_t)(n * 7 + (i & 15) * 13 + (unsigned)e->side);
    return (struct record){.type = RECORD_MESSAGE, .class = m->class, .number = n, .previous = n - 1, .slot = RECORD_NO_SLOT,
                           .topic = "sensors/t", .topic_len = 9, .bytes = payload, .len = m->len, .total = m->len};
}

static unsigned next_of(const struct end *e)
{
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        for (unsigned n = 1; n <= e->count; n++)
            if (!e->given[n] && !e->live.acked[n] && (unsigned)e->made[n].class == class)
                return n;
    return 0;
}

static bool on_next_record(void *ctx, size_t room, struct record *r)
{
    struct end *e = ctx;
    FUZZ_MUST(e->given_count < GIVEN_MAX);
    if (e->has_hostile) {
        e->has_hostile = false;
        e->given_as[e->given_count++] = 0;
        *r = e->hostile;
        return true;
    }
    unsigned n = next_of(e);
    if (n == 0)
        return false;
    e->given[n] = true;
    e->given_as[e->given_count++] = (uint8_t)n;
    *r = message_of(e, n, e->payload);
    r->number += e->base;
    r->previous += e->base;
    return true;
}

static void on_take_back(void *ctx)
{
    struct end *e = ctx;
    FUZZ_MUST(e->given_count > 0);
    unsigned n = e->given_as[--e->given_count];
    e->given[n] = false;
    e->has_hostile |= n == 0;
}

static void on_pending(void *ctx, struct channel_pending *out)
{
    const struct end *e = ctx;
    *out = (struct channel_pending){.oldest_ms = -1};
    for (unsigned n = 1; n <= e->count; n++) {
        if (e->given[n] || e->live.acked[n])
            continue;
        out->alarm |= e->made[n].class == CLASS_ALARM;
        out->high |= e->made[n].class == CLASS_HIGH;
        out->oldest_ms = e->made[n].class > CLASS_HIGH ? e->world->now_ms / 2 : out->oldest_ms;
    }
    out->oldest_ms = e->has_hostile ? e->world->now_ms : out->oldest_ms;
}

static void on_forgotten(void *ctx)
{
    struct end *e = ctx;
    world_reached[REACHED_FORGOTTEN]++;
    e->settled = 0;
}

static void on_settled(void *ctx, uint64_t up_to[CLASS_COUNT])
{
    up_to[CLASS_NORMAL] = ((struct end *)ctx)->settled;
}

static bool on_has_settled(void *ctx, const uint64_t up_to[CLASS_COUNT])
{
    uint64_t settled = up_to[CLASS_NORMAL];
    const struct end *e = ctx;
    return settled == 0 || (settled <= MESSAGES_MAX && e->live.have[settled]);
}

static const uint8_t *blob(struct world *w, const uint8_t *bytes, size_t n)
{
    FUZZ_MUST(w->blob_count < BLOBS_MAX);
    uint8_t *copy = w->blobs[w->blob_count++] = malloc(n ? n : 1);
    FUZZ_MUST(copy);
    memcpy(copy, bytes, n);
    return copy;
}

static void on_keep_frame(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct end *e = ctx;
    FUZZ_MUST(e->live.kept_count < KEPT_MAX); /* what was dropped is not here any more: the window bounds it */
    e->live.kept[e->live.kept_count++] = (struct kept){epoch, number, n, blob(e->world, bytes, n)};
}

static void on_drop_frame(void *ctx, uint32_t epoch, uint64_t number)
{
    struct disk *d = &((struct end *)ctx)->live;
    for (unsigned i = d->kept_count; i-- > 0;)
        if (d->kept[i].epoch == epoch && d->kept[i].number == number)
            memmove(&d->kept[i], &d->kept[i + 1], (--d->kept_count - i) * sizeof d->kept[0]);
}

static void on_keep_leaning(void *ctx, uint32_t epoch, uint64_t number, const uint8_t *bytes, size_t n)
{
    struct end *e = ctx;
    world_reached[REACHED_LEANING]++;
    FUZZ_MUST(n <= DATAGRAM_FRAME_MAX);
    if (e->live.leaning_count < LEANING_MAX)
        e->live.leaning[e->live.leaning_count++] = (struct kept){epoch, number, n, blob(e->world, bytes, n)};
}

static bool on_next_leaning(void *ctx, uint32_t epoch, uint64_t after, uint64_t *number, uint8_t *bytes, size_t *n)
{
    const struct disk *d = &((struct end *)ctx)->live;
    const struct kept *best = NULL;
    for (unsigned i = 0; i < d->leaning_count; i++)
        if (d->leaning[i].epoch == epoch && d->leaning[i].number > after && (!best || d->leaning[i].number < best->number))
            best = &d->leaning[i];
    if (!best)
        return false;
    FUZZ_MUST(best->n <= *n);
    world_reached[REACHED_CHAIN_AGAIN]++;
    *number = best->number;
    *n = best->n;
    memcpy(bytes, best->bytes, best->n);
    return true;
}

static void on_only_leaning(void *ctx, const uint32_t *epochs, unsigned count)
{
    struct disk *d = &((struct end *)ctx)->live;
    unsigned left = 0;
    for (unsigned i = 0; i < d->leaning_count; i++)
        for (unsigned k = 0; k < count; k++)
            if (d->leaning[i].epoch == epochs[k]) {
                d->leaning[left++] = d->leaning[i];
                break;
            }
    d->leaning_count = left;
}

static void on_restored(void *ctx, const struct record *r)
{
    struct end *e = ctx;
    bool known = r->type == RECORD_MESSAGE && r->number >= 1 && r->number <= e->count;
    FUZZ_MUST(e->given_count < GIVEN_MAX && (known || e->world->forged));
    if (known)
        e->given[r->number] = true;
    e->given_as[e->given_count++] = known ? (uint8_t)r->number : 0;
}

static void on_acked(void *ctx, uint64_t count)
{
    FUZZ_MUST(false); /* not on datagram links */
}

static void on_acked_record(void *ctx, uint64_t index)
{
    struct end *e = ctx;
    const struct world *w = e->world;
    FUZZ_MUST(index < e->given_count);
    unsigned n = e->given_as[index];
    if (!w->forged && !w->set_back)
        FUZZ_MUST(w->end[!e->side].disk.have[n]);
    e->live.acked[n] = true;
    e->settled = n > e->settled ? n : e->settled;
}

/* Each record by itself, whoever sent it. */
static void sensible(const struct record *r)
{
    FUZZ_MUST(r->type < RECORD_TYPES && (unsigned)r->class < CLASS_COUNT);
    FUZZ_MUST(record_list_size(r) <= RECORD_LIST_MAX_BYTES && r->len <= RECORD_CHUNK_MAX);
    FUZZ_MUST(record_check_add(RECORD_CHECK_START, r) != 0); /* reads each byte that it names */
    if (r->type == RECORD_MESSAGE)
        FUZZ_MUST(r->number > r->previous && r->qos <= 2 && r->len <= r->total && r->offset == 0 &&
                  (r->slot < RECORD_TOPIC_SLOTS || r->slot == RECORD_NO_SLOT) && r->props_len <= MSG_PROPS_MAX_BYTES);
    if (r->type == RECORD_TOPIC)
        FUZZ_MUST(r->slot < RECORD_TOPIC_SLOTS);
    if (r->type == RECORD_GAP)
        FUZZ_MUST(r->number > r->previous && r->first_number <= r->number && r->reason < RECORD_REASONS);
}

static int on_record(void *ctx, const struct record *r, uint64_t frame)
{
    struct end *e = ctx;
    const struct end *peer = &e->world->end[!e->side];
    uint8_t payload[256];
    sensible(r);
    if (e->refusals > 0) {
        e->refusals--;
        return e->refusal;
    }
    bool ours = r->type == RECORD_MESSAGE && r->number >= 1 && r->number <= peer->count;
    if (e->world->forged) {
        world_reached[REACHED_HOSTILE_RECORD] += !ours;
        if (ours)
            e->live.have[r->number] = true;
        return 0;
    }
    FUZZ_MUST(ours);
    struct record sent = message_of(peer, (unsigned)r->number, payload);
    FUZZ_MUST(r->class == sent.class && r->previous == sent.previous && r->len == sent.len && r->total == sent.total &&
              r->topic_len == sent.topic_len && memcmp(r->topic, sent.topic, sent.topic_len) == 0 &&
              (r->len == 0 || memcmp(r->bytes, sent.bytes, r->len) == 0));
    e->live.have[r->number] = true;
    return 0;
}

static void on_frame_done(void *ctx, uint64_t frame)
{
    struct end *e = ctx;
    FUZZ_MUST(frame > e->frame);
    e->frame = frame;
}

static int on_greeting(void *ctx, const struct channel_identity *peer, struct channel_marks *ours)
{
    struct end *e = ctx;
    const struct world *w = e->world;
    if (!w->forged && peer->segment != w->end[!e->side].identity.segment)
        return CHANNEL_REFUSED_UNKNOWN; /* a late frame of a process that is over */
    ours->branched = w->forged && (peer->generation & 1);
    return 0;
}

static void on_greeted(void *ctx, const struct channel_marks *theirs)
{
    struct end *e = ctx;
    FUZZ_MUST(!theirs);
    memset(e->given, 0, sizeof e->given);
    e->given_count = 0;
}

/* ---- anchors: of all messages up to a number, by either direction's count ---- */

static uint32_t anchor_id(unsigned up_to)
{
    return up_to * 2654435761u | 1;
}

static bool anchor_keep(struct disk *d, unsigned up_to, bool out)
{
    for (unsigned i = 0; i < d->anchor_count; i++)
        if (d->anchors[i] == up_to && d->anchor_out[i] == out)
            return true;
    if (d->anchor_count == ANCHORS_MAX)
        return false;
    d->anchors[d->anchor_count] = up_to;
    d->anchor_out[d->anchor_count++] = out;
    return true;
}

static bool on_anchor_open(void *ctx, bool out, uint32_t id)
{
    struct end *e = ctx;
    const struct disk *d = &e->live;
    for (unsigned i = 0; i < d->anchor_count; i++)
        if (d->anchor_out[i] == out && anchor_id(d->anchors[i]) == id) {
            e->prime_end = d->anchors[i];
            e->prime_at = e->prime_end > TAIL ? e->prime_end - TAIL : 0;
            world_reached[REACHED_ANCHOR] += !out;
            return true;
        }
    return false;
}

static bool on_anchor_propose(void *ctx, uint64_t *up_to, uint32_t *id)
{
    struct end *e = ctx;
    unsigned n = 0;
    while (n < e->count && e->live.acked[n + 1])
        n++;
    *up_to = n;
    *id = anchor_id(n);
    return n > 0 && anchor_keep(&e->live, n, true);
}

static void on_anchor_proposed(void *ctx, uint64_t up_to, uint32_t id)
{
    struct end *e = ctx;
    bool all = up_to >= 1 && up_to <= e->world->end[!e->side].count && id == anchor_id((unsigned)up_to);
    for (unsigned n = 1; all && n <= up_to; n++)
        all = e->live.have[n];
    if (all)
        (void)anchor_keep(&e->live, (unsigned)up_to, false);
}

static enum channel_prime on_prime(void *ctx, bool out, struct record *r)
{
    struct end *e = ctx;
    if (e->prime_at >= e->prime_end)
        return CHANNEL_PRIME_END;
    *r = message_of(out ? e : &e->world->end[!e->side], ++e->prime_at, e->payload);
    return CHANNEL_PRIME_RECORD;
}

static void on_primed(void *ctx, bool out)
{
}

static void on_saved_changed(void *ctx)
{
}

static void on_state(void *ctx, enum channel_state state, const char *why)
{
    FUZZ_MUST(why[0] != '\0');
}

static void on_give_up(void *ctx, const char *why)
{
    FUZZ_MUST(why[0] != '\0');
}

static uint64_t on_grant(void *ctx)
{
    return ((struct end *)ctx)->grant;
}

static const struct channel_ops ops = {
    .output = on_output, .next_record = on_next_record, .take_back = on_take_back, .pending = on_pending,
    .forgotten = on_forgotten, .settled = on_settled, .has_settled = on_has_settled,
    .keep_frame = on_keep_frame, .drop_frame = on_drop_frame, .keep_leaning = on_keep_leaning,
    .next_leaning = on_next_leaning, .only_leaning = on_only_leaning, .saved_changed = on_saved_changed,
    .restored = on_restored, .acked = on_acked, .acked_record = on_acked_record, .record = on_record,
    .frame_done = on_frame_done, .greeting = on_greeting, .greeted = on_greeted, .state = on_state, .give_up = on_give_up,
    .anchor_open = on_anchor_open, .anchor_propose = on_anchor_propose, .anchor_proposed = on_anchor_proposed,
    .prime = on_prime, .primed = on_primed, .random = on_random, .random_bytes = on_random_bytes, .grant = on_grant,
};

/* ---- the world ---- */

static void start(struct end *e)
{
    e->channel = channel_new(&e->config, &e->identity, &ops, e);
    FUZZ_MUST(e->channel);
    if (e->disk.saved_len > 0)
        FUZZ_MUST(channel_load(e->channel, e->disk.saved, e->disk.saved_len));
    if (e->disk.saved_out_len > 0)
        FUZZ_MUST(channel_load_out(e->channel, e->disk.saved_out, e->disk.saved_out_len));
    struct kept kept[KEPT_MAX];
    unsigned count = e->live.kept_count;
    memcpy(kept, e->live.kept, count * sizeof kept[0]);
    for (unsigned i = 0; i < count; i++)
        if (!channel_restore_frame(e->channel, kept[i].epoch, kept[i].number, kept[i].bytes, kept[i].n))
            on_drop_frame(e, kept[i].epoch, kept[i].number);
    if (e->up)
        channel_link_up(e->channel, e->world->now_ms);
}

void world_restart(struct end *e)
{
    channel_free(e->channel);
    e->live = e->disk;
    memset(e->given, 0, sizeof e->given);
    e->given_count = 0;
    e->frame = 0;
    e->prime_at = e->prime_end = 0;
    e->identity.predecessor = e->identity.segment++;
    start(e);
}

struct world *world_new(uint8_t how)
{
    static const enum seal_mode seals[] = {SEAL_FULL, SEAL_AUTH, SEAL_FULL, SEAL_NONE};
    static const size_t sizes[] = {MODEL_BYTES, 512u << 10, MODEL_MOST};
    struct world *w = calloc(1, sizeof *w);
    FUZZ_MUST(w);
    w->now_ms = 1000000;
    w->seed = 1;
    for (int i = 0; i < 2; i++) {
        struct end *e = &w->end[i];
        *e = (struct end){.world = w, .side = i, .up = true, .grant = 1u << 20};
        e->identity = (struct channel_identity){.generation = 8, .segment = 100 + 1000u * (unsigned)i, .predecessor = 99};
        e->config = (struct channel_config){
            .kind = CHANNEL_DATAGRAM, .seal = seals[how & 3], .forward_secrecy = !(how & 4), .codec_version = how & 8 ? 1 : 2,
            .metered = how & 16, .mtu = how & 32 ? 340 : 1960, .quantum_bytes = how & 32 ? 50 : 0, .hold_ms = how & 32 ? 60000 : 0,
            .ack_max_age_ms = how & 32 ? 300000 : 0, .alarm_places = how & 32 ? 4 : 0, .max_message = 1u << 20,
            .codec_memory = MODEL_BYTES, .models = primer_made(sizes, how & 8 ? 0 : sizeof sizes / sizeof sizes[0]),
        };
        memset(e->config.secrets.current, 0x5a, SECRET_BYTES);
        memset(e->config.secrets.next, 0xa5, SECRET_BYTES);
        e->config.secrets.has_next = how & 64;
        snprintf(e->config.own_name, sizeof e->config.own_name, "%s", i ? "hub" : "buoy");
        snprintf(e->config.peer_name, sizeof e->config.peer_name, "%s", i ? "buoy" : "hub");
        start(e);
    }
    w->forged = checks_void = how & 128;
    return w;
}

void world_free(struct world *w)
{
    for (int i = 0; i < 2; i++)
        channel_free(w->end[i].channel);
    for (unsigned i = 0; i < w->blob_count; i++)
        free(w->blobs[i]);
    free(w);
}

void world_commit(struct end *e)
{
    e->live.saved_len = channel_save(e->channel, e->live.saved);
    e->live.saved_out_len = channel_save_out(e->channel, e->live.saved_out);
    e->disk = e->live;
    channel_committed(e->channel, e->frame, e->world->now_ms);
    channel_kept(e->channel);
}

void world_deliver(struct end *e, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    FUZZ_MUST(copy);
    memcpy(copy, bytes, n);
    channel_on_bytes(e->channel, copy, n, e->world->now_ms);
    free(copy);
}

static bool serve(struct end *e, bool commits)
{
    struct world *w = e->world;
    bool busy = false;
    if (commits)
        world_commit(e);
    if (channel_deadline(e->channel, w->now_ms) <= w->now_ms) {
        channel_on_timer(e->channel, w->now_ms);
        busy = true;
    }
    if (channel_priming(e->channel)) {
        channel_prime(e->channel, w->now_ms);
        busy = true;
    }
    if (channel_wants(e->channel, w->now_ms))
        busy |= channel_pump(e->channel, e->config.mtu, w->now_ms) > 0;
    return busy;
}

void world_serve(struct world *w, bool commits)
{
    for (int turns = 0;; turns++) {
        FUZZ_MUST(turns < TURNS_MAX);
        bool busy = serve(&w->end[0], commits);
        busy |= serve(&w->end[1], commits);
        if (!busy)
            return;
    }
}

void world_wait(struct world *w, int64_t most_ms)
{
    int64_t at = w->now_ms + most_ms;
    for (int i = 0; i < 2; i++) {
        int64_t due = channel_deadline(w->end[i].channel, w->now_ms);
        at = due > w->now_ms && due < at ? due : at;
    }
    w->now_ms = at;
}

void world_good_line(struct world *w, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        world_wait(w, 3600000);
        world_serve(w, true);
        for (int side = 0; side < 2; side++) {
            struct end *from = &w->end[side];
            unsigned count = from->flying_count;
            for (unsigned k = 0; k < count; k++)
                world_deliver(&w->end[!side], from->flying[k].bytes, from->flying[k].n);
            memmove(from->flying, from->flying + count, (from->flying_count - count) * sizeof from->flying[0]);
            from->flying_count -= count;
            channel_sent(from->channel, from->token, CHANNEL_SENT_DONE, w->now_ms);
        }
        world_serve(w, true);
    }
}

void world_check(const struct world *w)
{
    for (int i = 0; i < 2; i++) {
        const struct end *e = &w->end[i];
        const struct datagram *d = e->channel->datagram;
        uint64_t leaning = 0;
        for (unsigned k = 0; k < e->live.leaning_count; k++)
            leaning += e->live.leaning[k].n;
        FUZZ_MUST(d->frame_count <= FRAME_WINDOW && d->held_count <= DATAGRAM_HELD_MAX);
        FUZZ_MUST(d->in_count <= DATAGRAM_EPOCHS && d->out_count <= DATAGRAM_EPOCHS);
        FUZZ_MUST(d->given - d->committed <= FRAME_WINDOW);
        FUZZ_MUST(channel_models_in(e->channel) <= 4 * (size_t)MODEL_MOST);
        FUZZ_MUST(leaning <= DATAGRAM_EPOCHS * (uint64_t)(DATAGRAM_CHAIN_MAX + DATAGRAM_FRAME_MAX));
        for (unsigned k = 0; k < d->in_count; k++)
            world_reached[REACHED_MIXED_EPOCH] += d->in[k].ids.mixed;
        world_reached[REACHED_ECHO] += d->has_echo;
        struct channel_status status;
        channel_status(e->channel, &status);
    }
}
