/* Credits that recordings cost over Iridium SBD: what a buoy sends, held and filled by two whole gateways
 * (the real bridge, wire, store and MQTT session on simulated time) over a modem that loses nothing, beside
 * one MQTT message an SBD message, and beside what a sender would need that knew nothing could be lost.
 *
 *     credits [--hold SECONDS] [--first MESSAGES] FILE.ndjson | FOLDER ...
 *
 * One line a recording: name, messages, credits each way and what they are compared with (credits.py makes
 * the table). */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config/config.h"
#include "gateway/bridge/bridge.h"
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/primer_models.h"
#include "link_drivers/driver.h"
#include "tests/bench/bench_broker.h"
#include "tests/bench/recording.h"

#define CREDIT_BYTES   50
#define MO_MAX         340
#define MT_MAX         270
#define SESSION_MS     20000 /* of a modem that sees the sky */
#define BETWEEN_MS     10000 /* two sessions */
#define RING_MS        60000 /* after which the modem fetches what waits, though it has nothing to send */
#define ACK_MAX_AGE_MS (6 * 3600000ll)
#define MT_WINDOW      3
#define PATIENCE_MS    (60 * 86400000ll) /* after the last message */
#define IDEAL_OVERHEAD 9 /* of a frame: header and tag, [P-10] */
#define MODEL_MEMORY   (4u << 20)

enum { EDGE, HUB };

struct frame {
    uint8_t bytes[MO_MAX];
    size_t n;
    uint64_t token;
};

struct world;
struct site {
    struct world *world;
    struct config *config;
    struct store *store;
    struct bridge *bridge;
    struct bench_broker broker;
    struct buf to_broker;
    struct frame hand;   /* the frame that the link has taken, */
    bool has_hand;       /* until its outcome is told */
    bool owed_writable;
    unsigned errors;
};

struct world {
    struct store_now now;
    struct site site[2];
    struct frame queue[MT_WINDOW]; /* at the gateway, for the modem */
    size_t queued;
    bool in_session;
    int64_t session_at_ms; /* when it ends; between sessions: when the next may begin */
    int64_t rung_ms;       /* since when something waits for the modem; -1 = nothing */
    uint64_t seed;
    char folder[64];
    uint64_t mo_credits, mt_credits, poll_credits, sessions;
};

static const char *const texts[2] = {
    "[site]\nname = edge\n[broker]\nhost = h\nprotocol = 3.1.1\n[store]\npath = edge.db\n"
    "[peer hub]\nlinks = sat\nseal = none\ntimestamps = no\n"
    "[route all]\npeer = hub\ntopics = #\nqos = 1\nmax_payload = 1M\n"
    "[link sat]\ndriver = iridium-sbd\ndevice = /dev/null\n",
    "[site]\nname = hub\n[broker]\nhost = h\nprotocol = 3.1.1\n[store]\npath = hub.db\n"
    "[peer edge]\nlinks = sat\nseal = none\naccept = #\ntimestamps = no\nimei = 300234010753370\n"
    "[link sat]\ndriver = directip\nmo_listen = h:1\nmt_connect = h:2\n",
};

static uint64_t credits_of(size_t bytes)
{
    return (bytes + CREDIT_BYTES - 1) / CREDIT_BYTES;
}

/* --- services of the gateways --- */

static unsigned number_of(const struct site *s)
{
    return (unsigned)(s - s->world->site);
}

static void env_broker_write(void *ctx, struct buf *out)
{
    struct site *s = ctx;
    if (!buf_put(&s->to_broker, buf_bytes(out), out->len))
        abort();
    buf_consume(out, out->len);
}

static size_t env_broker_pending(void *ctx)
{
    return ((struct site *)ctx)->to_broker.len;
}

static void env_broker_drop(void *ctx, bool at_once)
{
    ((struct site *)ctx)->errors++;
}

static void env_broker_settled(void *ctx)
{
}

static size_t env_link_room(void *ctx, size_t link, uint64_t station)
{
    struct site *s = ctx;
    bool room = !s->has_hand && (number_of(s) == EDGE || s->world->queued < MT_WINDOW);
    s->owed_writable |= !room;
    return !room ? 0 : number_of(s) == EDGE ? MO_MAX : MT_MAX;
}

static int env_link_send(void *ctx, size_t link, uint64_t station, const uint8_t *bytes, size_t n, uint64_t token,
                         bool urgent)
{
    struct site *s = ctx;
    if (env_link_room(s, link, station) < n)
        abort();
    memcpy(s->hand.bytes, bytes, n);
    s->hand.n = n;
    s->hand.token = token;
    s->has_hand = true;
    return 0;
}

static void env_link_reset(void *ctx, size_t link, uint64_t station, const char *why)
{
    ((struct site *)ctx)->errors++;
}

static void env_link_counts(void *ctx, size_t link, uint64_t *out, uint64_t *in, char *detail, size_t size)
{
    *out = *in = 0;
    snprintf(detail, size, "bench");
}

static void env_store_damaged(void *ctx)
{
    abort();
}

static void env_random(void *ctx, void *bytes, size_t n)
{
    struct world *w = ((struct site *)ctx)->world;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)((w->seed = w->seed * 6364136223846793005u + 1442695040888963407u) >> 56);
}

static void env_log(void *ctx, enum bridge_log level, const char *subsystem, const char *text)
{
    struct site *s = ctx;
    if (level >= BRIDGE_WARN)
        fprintf(stderr, "%lld %s %s: %s\n", (long long)s->world->now.mono_ms / 1000, s->config->site_name, subsystem, text);
    s->errors += level == BRIDGE_ERR;
}

/* --- life --- */

static struct config *load(const struct world *w, const char *text)
{
    char file[96];
    snprintf(file, sizeof file, "%s/t.ini", w->folder);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *errors = fopen("/dev/null", "w");
    if (fd < 0 || !errors || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    close(fd);
    struct config *c = config_load(file, link_driver_options, errors);
    fclose(errors);
    return c;
}

static void start_site(struct world *w, unsigned i, int64_t hold_ms)
{
    struct site *s = &w->site[i];
    const struct bridge_terms terms = {CREDIT_BYTES, i == EDGE ? hold_ms : 60000, ACK_MAX_AGE_MS, i == EDGE ? 2 : 0};
    const struct bridge_station edge = {.peer = "edge", .station = 1, .mtu = MT_MAX, .terms = terms};
    const struct bridge_link links[2] = {
        {.datagram = true, .mtu = MO_MAX, .terms = terms},
        {.datagram = true, .mtu = MT_MAX, .terms = terms, .addressed = true, .stations = &edge, .station_count = 1}};
    struct bridge_env env = {
        .ctx = s, .broker_write = env_broker_write, .broker_pending = env_broker_pending,
        .broker_drop = env_broker_drop, .broker_settled = env_broker_settled, .link_room = env_link_room,
        .link_send = env_link_send, .link_reset = env_link_reset, .link_counts = env_link_counts,
        .store_damaged = env_store_damaged, .random = env_random, .log = env_log};
    struct store_opened opened;
    char path[96], err[300] = "the configuration";
    s->world = w;
    s->config = load(w, texts[i]);
    bench_broker_init(&s->broker);
    buf_init(&s->to_broker, 64u << 20);
    snprintf(path, sizeof path, "%s/%s.db", w->folder, i == EDGE ? "edge" : "hub");
    if (!s->config || store_open(&s->store, path, &w->now, env_random, s, &opened, err, sizeof err) != 0 ||
        !(s->bridge = bridge_new(s->config, &links[i], s->store, &env, NULL, 0, &w->now, err, sizeof err))) {
        fprintf(stderr, "credits: %s\n", err);
        exit(1);
    }
    bridge_broker_open(s->bridge, &w->now);
    bridge_link_state(s->bridge, 0, i == EDGE ? 0 : 1, BRIDGE_LINK_UP, "bench", &w->now);
    if (i == HUB)
        bridge_link_state(s->bridge, 0, 0, BRIDGE_LINK_UP, "bench", &w->now);
}

static void world_begin(struct world *w, int64_t hold_ms)
{
    memset(w, 0, sizeof *w);
    w->now = (struct store_now){.mono_ms = 1000, .wall_ms = 1700000000000, .wall_trusted = true};
    w->seed = 7;
    w->rung_ms = -1;
    snprintf(w->folder, sizeof w->folder, "%s/longwire-credits-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(w->folder))
        abort();
    for (unsigned i = 0; i < 2; i++)
        start_site(w, i, hold_ms);
}

static void world_end(struct world *w)
{
    struct dirent *e;
    for (unsigned i = 0; i < 2; i++) {
        struct site *s = &w->site[i];
        bridge_free(s->bridge);
        store_close(s->store);
        config_free(s->config);
        bench_broker_fini(&s->broker);
        buf_fini(&s->to_broker);
    }
    DIR *dir = opendir(w->folder);
    while (dir && (e = readdir(dir)))
        unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    rmdir(w->folder);
}

/* --- the modem and its gateway --- */

static void tell_outcome(struct site *s)
{
    s->has_hand = false;
    bridge_link_sent(s->bridge, 0, number_of(s), s->hand.token, SEND_DONE, &s->world->now);
}

static void end_session(struct world *w)
{
    struct site *edge = &w->site[EDGE], *hub = &w->site[HUB];
    w->in_session = false;
    w->sessions++;
    w->session_at_ms = w->now.mono_ms + BETWEEN_MS;
    if (edge->has_hand) {
        struct frame mo = edge->hand;
        w->mo_credits += credits_of(mo.n);
        tell_outcome(edge);
        bridge_link_bytes(hub->bridge, 0, 1, mo.bytes, mo.n, &w->now);
    } else {
        w->poll_credits++;
    }
    if (w->queued > 0) {
        struct frame mt = w->queue[0];
        memmove(w->queue, w->queue + 1, --w->queued * sizeof mt);
        bridge_link_bytes(edge->bridge, 0, 0, mt.bytes, mt.n, &w->now);
    }
    w->rung_ms = w->queued > 0 ? w->now.mono_ms : -1;
}

/* Return: something happened. */
static bool serve_modem(struct world *w)
{
    struct site *edge = &w->site[EDGE], *hub = &w->site[HUB];
    if (hub->has_hand && w->queued < MT_WINDOW) {
        w->queue[w->queued++] = hub->hand;
        w->mt_credits += credits_of(hub->hand.n);
        w->rung_ms = w->rung_ms < 0 ? w->now.mono_ms : w->rung_ms;
        tell_outcome(hub);
        return true;
    }
    if (w->session_at_ms > w->now.mono_ms)
        return false;
    if (w->in_session) {
        end_session(w);
        return true;
    }
    if (edge->has_hand || (w->rung_ms >= 0 && w->now.mono_ms >= w->rung_ms + RING_MS)) {
        w->in_session = true;
        w->session_at_ms = w->now.mono_ms + SESSION_MS;
        return true;
    }
    return false;
}

static int64_t modem_deadline(const struct world *w)
{
    bool wanted = w->in_session || w->site[EDGE].has_hand;
    int64_t at = wanted ? w->session_at_ms : INT64_MAX;
    if (!wanted && w->rung_ms >= 0)
        at = w->rung_ms + RING_MS > w->session_at_ms ? w->rung_ms + RING_MS : w->session_at_ms;
    return at;
}

/* --- time --- */

static bool serve_site(struct site *s)
{
    struct world *w = s->world;
    if (s->to_broker.len > 0) {
        if (!bench_broker_feed(&s->broker, buf_bytes(&s->to_broker), s->to_broker.len))
            abort();
        buf_clear(&s->to_broker);
    } else if (s->broker.out.len > 0) {
        uint8_t bytes[16384];
        size_t n = s->broker.out.len < sizeof bytes ? s->broker.out.len : sizeof bytes;
        memcpy(bytes, buf_bytes(&s->broker.out), n);
        buf_consume(&s->broker.out, n);
        bridge_broker_bytes(s->bridge, bytes, n, &w->now);
        if (s->broker.out.len == 0)
            bridge_broker_dry(s->bridge, &w->now);
    } else if (s->owed_writable && !s->has_hand && (number_of(s) == EDGE || w->queued < MT_WINDOW)) {
        s->owed_writable = false;
        bridge_link_writable(s->bridge, 0, number_of(s), &w->now);
    } else if (bridge_deadline(s->bridge, &w->now) <= w->now.mono_ms) {
        bridge_on_timer(s->bridge, &w->now);
    } else {
        return false;
    }
    return true;
}

static void run_until(struct world *w, int64_t until_ms)
{
    for (;;) {
        bool busy = true;
        for (unsigned round = 0; busy; round++) {
            busy = serve_site(&w->site[EDGE]) | serve_site(&w->site[HUB]) | serve_modem(w);
            if (round > 1000000) {
                fprintf(stderr, "credits: something spins at %lld ms\n", (long long)w->now.mono_ms);
                abort();
            }
        }
        int64_t next = modem_deadline(w);
        for (unsigned i = 0; i < 2; i++) {
            int64_t at = bridge_deadline(w->site[i].bridge, &w->now);
            next = at < next ? at : next;
        }
        if (w->now.mono_ms >= until_ms)
            return;
        next = next < until_ms ? next : until_ms;
        next = next > w->now.mono_ms ? next : w->now.mono_ms + 1;
        w->now.wall_ms += next - w->now.mono_ms;
        w->now.mono_ms = next;
    }
}

/* --- what it is compared with --- */

/* Since the recording began. */
static int64_t at_ms(const struct message *m)
{
    return (int64_t)(m->when * 1000);
}

static uint64_t one_a_message(const struct recording *r)
{
    uint64_t credits = 0;
    for (size_t i = 0; i < r->count; i++) {
        size_t n = bench_publish_bytes(strlen(r->topics[r->messages[i].topic]), r->messages[i].len);
        credits += n / MO_MAX * credits_of(MO_MAX) + credits_of(n % MO_MAX);
    }
    return credits;
}

/* One model from the first to the last message, a unit for each window of `hold`, cut into frames. */
static uint64_t ideal(const struct recording *r, int64_t hold_ms)
{
    struct codec_encoder *e = codec_mix.encoder_new(MODEL_MEMORY);
    bool *named = calloc(r->topic_count, sizeof *named);
    uint64_t credits = 0, needed;
    struct buf out;
    buf_init(&out, 1u << 26);
    if (!e || !named)
        abort();
    if (primer_teach(&codec_mix, e) != 0)
        abort();
    for (size_t i = 0; i < r->count; i++) {
        const struct message *m = &r->messages[i];
        const char *topic = r->topics[m->topic];
        struct record t = {.type = RECORD_TOPIC, .slot = m->topic % RECORD_TOPIC_SLOTS, .topic = topic,
                           .topic_len = (uint32_t)strlen(topic)};
        struct record p = {.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = i + 1, .previous = i,
                           .slot = m->topic % RECORD_TOPIC_SLOTS, .bytes = m->payload, .len = m->len, .total = m->len};
        if ((!named[m->topic] && codec_mix.encode(e, &t, &out, &needed) != 0) ||
            codec_mix.encode(e, &p, &out, &needed) != 0)
            abort();
        named[m->topic] = true;
        if (i + 1 < r->count && at_ms(m + 1) / hold_ms == at_ms(m) / hold_ms)
            continue;
        if (codec_mix.flush(e, &out) != 0)
            abort();
        size_t frames = (out.len + MO_MAX - IDEAL_OVERHEAD - 1) / (MO_MAX - IDEAL_OVERHEAD);
        credits += credits_of(out.len + frames * IDEAL_OVERHEAD);
        buf_clear(&out);
    }
    codec_mix.encoder_free(e);
    buf_fini(&out);
    free(named);
    return credits;
}

/* --- one recording --- */

struct wish {
    int64_t hold_ms;
    size_t first; /* messages of each recording; 0 = all */
};

static int bench(void *ctx, const char *path)
{
    const struct wish *wish = ctx;
    const int64_t hold_ms = wish->hold_ms;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    static struct world w;
    struct recording r = {0};
    uint64_t hash = 0;

    if (recording_add(&r, path) != 0) {
        fprintf(stderr, "%s: no messages\n", path);
        return 1;
    }
    for (; wish->first > 0 && r.count > wish->first; r.count--)
        free(r.messages[r.count - 1].payload);
    world_begin(&w, hold_ms);
    run_until(&w, w.now.mono_ms + 1000);
    int64_t begin_ms = w.now.mono_ms;
    for (size_t i = 0; i < r.count; i++) {
        const struct message *m = &r.messages[i];
        run_until(&w, begin_ms + at_ms(m));
        hash += bench_broker_publish(&w.site[EDGE].broker, r.topics[m->topic], m->payload, m->len);
    }
    int64_t last_ms = w.now.mono_ms, drained_ms = 0;
    while (w.site[HUB].broker.taken < r.count && w.now.mono_ms < last_ms + PATIENCE_MS)
        run_until(&w, w.now.mono_ms + 60000);
    drained_ms = w.now.mono_ms - last_ms;
    run_until(&w, w.now.mono_ms + 2 * ACK_MAX_AGE_MS); /* the acknowledgements of the rest */
    const struct bench_broker *hub = &w.site[HUB].broker;
    bool good = hub->taken == r.count && hub->taken_hash == hash && w.site[EDGE].errors + w.site[HUB].errors == 0;
    printf("%s %zu one=%llu ideal=%llu mo=%llu mt=%llu polls=%llu sessions=%llu drained_s=%lld %s\n", name, r.count,
           (unsigned long long)one_a_message(&r), (unsigned long long)ideal(&r, hold_ms),
           (unsigned long long)w.mo_credits, (unsigned long long)w.mt_credits, (unsigned long long)w.poll_credits,
           (unsigned long long)w.sessions, (long long)drained_ms / 1000, good ? "same" : "DIFFERS");
    if (!good)
        fprintf(stderr, "%s: %llu of %zu messages came\n", name, (unsigned long long)hub->taken, r.count);
    fflush(stdout);
    world_end(&w);
    recording_free(&r);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct wish wish = {.hold_ms = 900000};
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--hold") == 0 && i + 1 < argc)
            wish.hold_ms = strtol(argv[++i], NULL, 10) * 1000;
        else if (strcmp(argv[i], "--first") == 0 && i + 1 < argc)
            wish.first = strtoul(argv[++i], NULL, 10);
        else
            failed += recordings_each(argv[i], bench, &wish);
    }
    return failed ? 1 : 0;
}
