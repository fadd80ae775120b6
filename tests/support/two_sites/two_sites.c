#include "tests/support/two_sites/two_sites.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "link_drivers/driver.h"
#include "tests/support/primer_made.h"

#define INSTANT_MAX 2000 /* rounds of one instant: beyond, something spins */
#define CODEC_MEMORY (4u << 20)
#define BACK_OFF_MS 1000 /* before what was closed for a fault is opened again */

static const char *const texts[2] = {
    "[site]\nname = edge\n[broker]\nhost = h\nprotocol = 3.1.1\n[store]\npath = edge.db\nmax_bytes = 1M\nhistory = 16K\n"
    "[peer hub]\nlinks = l\nsecret_file = key\naccept = cmd/#\n"
    "[route alarms]\npeer = hub\ntopics = alarm/#\npriority = alarm\nqos = 2\n"
    "[route data]\npeer = hub\ntopics = data/#\nqos = 2\n"
    "[link l]\ndriver = tcp\nconnect = h:1\n",
    "[site]\nname = hub\n[broker]\nhost = h\nprotocol = 3.1.1\n[store]\npath = hub.db\nmax_bytes = 1M\nhistory = 16K\n"
    "[peer edge]\nlinks = l\nsecret_file = key\naccept = #\n"
    "[route commands]\npeer = edge\ntopics = cmd/#\nqos = 2\n"
    "[link l]\ndriver = tcp\nconnect = h:1\n",
};
static const struct bridge_link link_kind = {.rate_bytes_s = 0};

static unsigned number_of(const struct site *s)
{
    return (unsigned)(s - s->world->site);
}

static void enter(struct site *s)
{
    if (s->world->enter)
        s->world->enter(number_of(s));
}

static void leave(struct site *s)
{
    if (s->world->leave)
        s->world->leave(number_of(s));
}

/* ---- services of the gateway ---- */

static void env_broker_write(void *ctx, struct buf *out)
{
    struct site *s = ctx;
    leave(s);
    size_t n = out->len < sizeof s->to_broker - s->to_broker_len ? out->len : sizeof s->to_broker - s->to_broker_len;
    memcpy(s->to_broker + s->to_broker_len, buf_bytes(out), n);
    s->to_broker_len += n;
    buf_consume(out, n);
    enter(s);
}

static size_t env_broker_pending(void *ctx)
{
    return ((struct site *)ctx)->to_broker_len;
}

static void env_broker_drop(void *ctx, bool at_once)
{
    struct site *s = ctx;
    s->broker_drop = true;
    s->broker_at_ms = s->world->now.mono_ms + (at_once ? 1 : BACK_OFF_MS);
}

static void env_broker_settled(void *ctx)
{
}

static size_t env_link_room(void *ctx, size_t link, uint64_t station)
{
    const struct site *s = ctx, *peer = &s->world->site[!number_of(s)];
    return s->link_up && peer->line_len < TWO_SITES_LINE - 4096 ? 4096 : 0;
}

static int env_link_send(void *ctx, size_t link, uint64_t station, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    struct site *s = ctx, *peer = &s->world->site[!number_of(s)];
    if (!s->link_up || n > TWO_SITES_LINE - peer->line_len)
        return -ENOTCONN;
    memcpy(peer->line + peer->line_len, bytes, n);
    peer->line_len += n;
    return 0;
}

static void env_link_reset(void *ctx, size_t link, uint64_t station, const char *why)
{
    struct site *s = ctx;
    s->reset = true;
    s->link_at_ms = s->world->now.mono_ms + BACK_OFF_MS;
}

static void env_link_counts(void *ctx, size_t link, uint64_t *bytes_out, uint64_t *bytes_in, char *detail, size_t detail_size)
{
    *bytes_out = *bytes_in = 0;
    snprintf(detail, detail_size, "test");
}

static void env_store_damaged(void *ctx)
{
    ((struct site *)ctx)->damaged = true;
}

static void env_random(void *ctx, void *bytes, size_t n)
{
    struct two_sites *w = ((struct site *)ctx)->world;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)((w->seed = w->seed * 1664525u + 1013904223u) >> 24);
}

static int env_secret(void *ctx, const struct config_peer *peer, bool next, uint8_t out[SECRET_BYTES])
{
    memset(out, 0x5a, SECRET_BYTES);
    return 0;
}

static void env_log(void *ctx, enum bridge_log level, const char *subsystem, const char *text)
{
    struct site *s = ctx;
    if (getenv("LONGWIRE_TEST_LOG"))
        fprintf(stderr, "%8lld %s %s: %s\n", (long long)s->world->now.mono_ms, s->config->site_name, subsystem, text);
    if (level < BRIDGE_WARN)
        return;
    s->errors += level == BRIDGE_ERR;
    snprintf(s->last_error, sizeof s->last_error, "%s: %s", subsystem, text);
}

static void store_random(void *ctx, void *bytes, size_t n)
{
    env_random(ctx, bytes, n);
}

/* ---- life ---- */

static struct primer_models *models_made(void)
{
    static const size_t size = CODEC_MEMORY;
    return primer_made(&size, 1);
}

bool two_sites_init(struct two_sites *w)
{
    memset(w, 0, sizeof *w);
    w->now = (struct store_now){.mono_ms = 1000, .wall_ms = 1700000000000, .wall_trusted = true};
    w->seed = 7;
    snprintf(w->folder, sizeof w->folder, "%s/longwire-sites-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(w->folder) || !models_made())
        return false;
    for (unsigned i = 0; i < 2; i++) {
        struct site *s = &w->site[i];
        char file[80];
        s->world = w;
        snprintf(file, sizeof file, "%s/t.ini", w->folder);
        int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, texts[i], strlen(texts[i])) != (ssize_t)strlen(texts[i]))
            return false;
        close(fd);
        FILE *errors = fopen("/dev/null", "w");
        s->config = errors ? config_load(file, link_driver_options, errors) : NULL;
        if (errors)
            fclose(errors);
        if (!s->config)
            return false;
        snprintf(s->path, sizeof s->path, "%s/%s.db", w->folder, s->config->site_name);
    }
    return true;
}

void two_sites_fini(struct two_sites *w)
{
    struct dirent *e;
    for (unsigned i = 0; i < 2; i++) {
        two_sites_kill(w, i);
        config_free(w->site[i].config);
    }
    DIR *dir = opendir(w->folder);
    while (dir && (e = readdir(dir)))
        unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    rmdir(w->folder);
}

bool two_sites_start(struct two_sites *w, unsigned site)
{
    struct site *s = &w->site[site];
    struct store_opened opened;
    struct bridge_env env = {
        .ctx = s, .broker_write = env_broker_write, .broker_pending = env_broker_pending, .broker_drop = env_broker_drop,
        .broker_settled = env_broker_settled, .link_room = env_link_room, .link_send = env_link_send,
        .link_reset = env_link_reset, .link_counts = env_link_counts, .store_damaged = env_store_damaged,
        .random = env_random, .secret = env_secret, .models = models_made(), .log = env_log,
    };
    s->damaged = s->reset = s->broker_drop = false;
    enter(s);
    int rc = store_open(&s->store, s->path, &w->now, store_random, s, &opened, s->last_error, sizeof s->last_error);
    if (rc == 0)
        s->bridge = bridge_new(s->config, &link_kind, s->store, &env, NULL, 0, &w->now, s->last_error, sizeof s->last_error);
    if (!s->bridge) {
        store_close(s->store);
        s->store = NULL;
    }
    leave(s);
    return s->bridge != NULL;
}

void two_sites_kill(struct two_sites *w, unsigned site)
{
    struct site *s = &w->site[site];
    enter(s);
    bridge_free(s->bridge);
    store_close(s->store);
    leave(s);
    s->bridge = NULL;
    s->store = NULL;
    s->broker_open = s->link_up = false;
    s->broker_at_ms = s->link_at_ms = 0;
    s->line_len = s->to_broker_len = 0;
    small_broker_closed(&s->broker);
}

/* ---- time ---- */

/* The next thing that waits for this site, if any. Return: there was one. */
static bool serve(struct site *s)
{
    struct two_sites *w = s->world;
    struct site *peer = &w->site[!number_of(s)];
    if (!s->bridge)
        return false;
    bool up = peer->bridge && !s->reset && !peer->reset && s->link_at_ms <= w->now.mono_ms && peer->link_at_ms <= w->now.mono_ms;
    if (s->broker_drop || s->broker.wrong) {
        bool was = s->broker_open;
        s->broker_drop = s->broker_open = false;
        s->to_broker_len = 0;
        small_broker_closed(&s->broker);
        if (was)
            bridge_broker_closed(s->bridge, "dropped", &w->now);
    } else if (!s->broker_open && s->broker_at_ms <= w->now.mono_ms) {
        s->broker_open = true;
        small_broker_open(&s->broker);
        bridge_broker_open(s->bridge, &w->now);
    } else if (s->to_broker_len > 0) {
        small_broker_feed(&s->broker, (const uint8_t *)s->to_broker, s->to_broker_len);
        s->to_broker_len = 0;
    } else if (s->broker.out_len > 0) {
        size_t n = s->broker.out_len;
        static uint8_t bytes[SMALL_BROKER_OUT];
        memcpy(bytes, s->broker.out, n);
        s->broker.out_len = 0;
        bridge_broker_bytes(s->bridge, bytes, n, &w->now);
        bridge_broker_dry(s->bridge, &w->now);
    } else if (s->link_up != up) {
        s->link_up = up;
        s->line_len = 0;
        s->reset = false;
        bridge_link_state(s->bridge, 0, 0, up ? BRIDGE_LINK_UP : BRIDGE_LINK_DOWN, "test", &w->now);
    } else if (s->line_len > 0 && s->link_up) {
        static uint8_t bytes[TWO_SITES_LINE];
        size_t n = s->line_len;
        memcpy(bytes, s->line, n);
        s->line_len = 0;
        bridge_link_bytes(s->bridge, 0, 0, bytes, n, &w->now);
    } else if (bridge_deadline(s->bridge, &w->now) <= w->now.mono_ms) {
        bridge_on_timer(s->bridge, &w->now);
    } else {
        return false;
    }
    return true;
}

static int64_t next_event(struct two_sites *w, int64_t until)
{
    for (unsigned i = 0; i < 2; i++)
        if (w->site[i].bridge) {
            const struct site *s = &w->site[i];
            int64_t at = bridge_deadline(s->bridge, &w->now);
            until = at < until ? at : until;
            until = !s->broker_open && s->broker_at_ms < until ? s->broker_at_ms : until;
            until = !s->link_up && s->link_at_ms > w->now.mono_ms && s->link_at_ms < until ? s->link_at_ms : until;
        }
    return until;
}

void two_sites_run(struct two_sites *w, int64_t ms)
{
    int64_t until = w->now.mono_ms + ms;
    while (w->now.mono_ms < until) {
        bool busy = true;
        for (unsigned round = 0; busy && round < INSTANT_MAX; round++) {
            busy = false;
            for (unsigned i = 0; i < 2; i++) {
                struct site *s = &w->site[i];
                enter(s);
                busy |= serve(s);
                leave(s);
                if (s->damaged) { /* as the daemon does: free, open again, which sets the file aside */
                    two_sites_kill(w, i);
                    (void)two_sites_start(w, i);
                }
            }
        }
        if (busy) {
            fprintf(stderr, "something spins: %s | %s\n", w->site[0].last_error, w->site[1].last_error);
            abort();
        }
        int64_t next = next_event(w, until);
        next = next > w->now.mono_ms ? next : w->now.mono_ms + 1;
        w->now.wall_ms += next - w->now.mono_ms;
        w->now.mono_ms = next;
    }
}
