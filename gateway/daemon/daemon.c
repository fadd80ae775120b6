/* One loop, one thread (names are resolved in others, base/resolve.h). The store stays open for the life of the process; what is
 * built from the configuration (bridge, links, broker connection) is an *instance*, built anew by SIGHUP. */
#include "gateway/daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <event2/event.h>
#include "base/buf.h"
#include "config/config.h"
#include "config/password.h"
#include "gateway/bridge/bridge.h"
#include "gateway/daemon/clock.h"
#include "gateway/daemon/control.h"
#include "gateway/daemon/keys.h"
#include "gateway/daemon/links.h"
#include "gateway/daemon/log.h"
#include "gateway/daemon/notify.h"
#include "gateway/mqtt/connection.h"
#include "link_drivers/driver.h"
#include "store/store.h"

#define STOP_LINGER_MS 500     /* for the last packets to the broker; SIGTERM ends within 2 s */
#define STOP_LATEST_MS 1500
#define GOODBYE_MS     400     /* closing a serial port discards what it has not sent: line time for the last frames */
#define DESCRIPTORS_MAX 65536

struct instance {
    struct config *config;
    struct links *links;
    struct mqtt_connection *connection;
    struct bridge *bridge;
    bool closed;               /* the broker connection has ended for good */
};

struct daemon {
    const char *file;
    struct event_base *base;
    struct event *signals[4];
    struct event *timer;
    struct event *watchdog;    /* NULL: nobody watches */
    struct control *control;
    struct store *store;
    struct instance now;
    bool stop, reload;
    bool damaged;              /* the store's file: to be opened anew, which sets it aside */
};

/* ---- services of the bridge ---- */

static void env_broker_write(void *ctx, struct buf *out)
{
    struct daemon *d = ctx;
    if (d->now.connection)
        mqtt_connection_write(d->now.connection, out);
}

static size_t env_broker_pending(void *ctx)
{
    struct daemon *d = ctx;
    return d->now.connection ? mqtt_connection_pending(d->now.connection) : 0;
}

static void env_broker_drop(void *ctx, bool at_once)
{
    struct daemon *d = ctx;
    if (d->now.connection)
        mqtt_connection_drop(d->now.connection, at_once);
}

static void env_broker_settled(void *ctx)
{
    struct daemon *d = ctx;
    if (d->now.connection)
        mqtt_connection_settled(d->now.connection);
}

static size_t env_link_room(void *ctx, size_t link, uint64_t station)
{
    return links_room(((struct daemon *)ctx)->now.links, link, station);
}

static int env_link_send(void *ctx, size_t link, uint64_t station, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    return links_send(((struct daemon *)ctx)->now.links, link, station, bytes, n, token, urgent);
}

static void env_link_reset(void *ctx, size_t link, uint64_t station, const char *why)
{
    links_reset(((struct daemon *)ctx)->now.links, link, station, why);
}

static void env_link_counts(void *ctx, size_t link, uint64_t *bytes_out, uint64_t *bytes_in, char *detail, size_t detail_size)
{
    links_counts(((struct daemon *)ctx)->now.links, link, bytes_out, bytes_in, detail, detail_size);
}

static void env_store_damaged(void *ctx)
{
    ((struct daemon *)ctx)->damaged = true;
}

static void random_bytes(void *ctx, void *bytes, size_t n)
{
    (void)ctx;
    uint8_t *at = bytes;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno != EINTR)
            abort(); /* identities must be random: without a source nothing here is safe */
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

static int env_secret(void *ctx, const struct config_peer *peer, bool next, uint8_t out[SECRET_BYTES])
{
    return keys_secret(((struct daemon *)ctx)->now.config, peer, next, out);
}

static uint64_t env_work_us(void *ctx)
{
    (void)ctx;
    return clock_work_us();
}

static void env_log(void *ctx, enum bridge_log level, const char *subsystem, const char *text)
{
    (void)ctx;
    static const enum log_level levels[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERR};
    log_text(levels[level], subsystem, text);
}

/* ---- the broker connection's events ---- */

static void on_open(void *ctx)
{
    struct daemon *d = ctx;
    struct store_now now = clock_now();
    bridge_broker_open(d->now.bridge, &now);
    links_dispatch(d->now.links);
}

static void on_closed(void *ctx, const char *why)
{
    struct daemon *d = ctx;
    struct store_now now = clock_now();
    d->now.closed = d->stop || d->reload;
    log_fmt(LOG_LEVEL_DEBUG, "broker", "closed: %s", why);
    if (!d->now.closed)
        bridge_broker_closed(d->now.bridge, why, &now);
    links_dispatch(d->now.links);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t n)
{
    struct daemon *d = ctx;
    struct store_now now = clock_now();
    bridge_broker_bytes(d->now.bridge, bytes, n, &now);
    links_dispatch(d->now.links);
}

static void on_dry(void *ctx)
{
    struct daemon *d = ctx;
    struct store_now now = clock_now();
    bridge_broker_dry(d->now.bridge, &now);
    links_dispatch(d->now.links);
}

static void on_writable(void *ctx)
{
    struct daemon *d = ctx;
    struct store_now now = clock_now();
    bridge_broker_writable(d->now.bridge, &now);
    links_dispatch(d->now.links);
}

static uint32_t connection_random(void *ctx)
{
    uint32_t r;
    random_bytes(ctx, &r, sizeof r);
    return r;
}

static const struct mqtt_connection_ops connection_ops = {
    .open = on_open,
    .closed = on_closed,
    .bytes = on_bytes,
    .dry = on_dry,
    .writable = on_writable,
    .random = connection_random,
};

/* ---- instances ---- */

static void instance_free(struct instance *in)
{
    if (in->links)
        links_stop(in->links);
    mqtt_connection_free(in->connection);
    in->connection = NULL;
    bridge_free(in->bridge);
    links_free(in->links);
    config_free(in->config);
    memset(in, 0, sizeof *in);
}

/* Takes config. Return: 0; -1 with a line in the log, and nothing left behind. */
static int instance_start(struct daemon *d, struct config *config)
{
    char err[512] = "";
    struct instance *in = &d->now;
    *in = (struct instance){.config = config};
    const struct config_broker *c = &config->broker;
    char *password = NULL;
    size_t password_len = 0;
    in->links = links_new(d->base, config, d->store, err, sizeof err);
    if (in->links && c->password_file[0]) {
        password = password_read(c->password_file, &password_len, err, sizeof err);
        if (!password)
            goto failed;
    }
    if (in->links) {
        struct mqtt_address address = {
            .host = c->host,
            .port = (uint16_t)c->port,
            .tls = c->tls,
            .tls_ca = c->tls_ca,
            .tls_cert = c->tls_cert,
            .tls_key = c->tls_key,
            .tls_name = c->tls_name,
        };
        in->connection = mqtt_connection_new(d->base, &address, &connection_ops, d, err, sizeof err);
    }
    if (in->connection) {
        struct bridge_env env = {
            .ctx = d,
            .broker_write = env_broker_write,
            .broker_pending = env_broker_pending,
            .broker_drop = env_broker_drop,
            .broker_settled = env_broker_settled,
            .link_room = env_link_room,
            .link_send = env_link_send,
            .link_reset = env_link_reset,
            .link_counts = env_link_counts,
            .store_damaged = env_store_damaged,
            .random = random_bytes,
            .secret = env_secret,
            .work_us = env_work_us,
            .log = env_log,
        };
        struct store_now now = clock_now();
        in->bridge = bridge_new(config, links_describe(in->links), d->store, &env, password, password_len, &now, err, sizeof err);
    }
    if (in->bridge) {
        password_free(password, password_len);
        links_start(in->links, in->bridge);
        mqtt_connection_start(in->connection);
        return 0;
    }
failed:
    password_free(password, password_len);
    log_fmt(LOG_LEVEL_ERR, "config", "cannot start: %s", err);
    instance_free(in);
    return -1;
}

/* Runs the loop until the broker connection has ended or the time is up. */
static void finish(struct daemon *d)
{
    struct store_now now = clock_now();
    bridge_stop(d->now.bridge, &now);
    mqtt_connection_stop(d->now.connection, STOP_LINGER_MS);
    int64_t begun = clock_mono_ms(), t;
    while ((t = clock_mono_ms() - begun) < STOP_LATEST_MS && (!d->now.closed || t < GOODBYE_MS)) {
        struct timeval tv = {0, 50000};
        evtimer_add(d->timer, &tv);
        event_base_loop(d->base, EVLOOP_ONCE);
    }
}

static struct config *load(struct daemon *d)
{
    struct config *c = config_load(d->file, link_driver_options, stderr);
    if (c && config_check_files(c, stderr)) {
        config_free(c);
        c = NULL;
    }
    return c;
}

static void reload(struct daemon *d)
{
    struct config *next = load(d);
    if (!next) {
        log_text(LOG_LEVEL_ERR, "config", "not reloaded: the file has errors; going on as before");
    } else if (strcmp(next->site_name, d->now.config->site_name) != 0 ||
               strcmp(next->store.path, d->now.config->store.path) != 0) {
        log_text(LOG_LEVEL_ERR, "config", "not reloaded: site.name and store.path change only by a restart; going on as before");
        config_free(next);
    } else if (keys_check_store(next, d->store, stderr)) {
        log_text(LOG_LEVEL_ERR, "config", "not reloaded: a key that is in use must stay; going on as before");
        config_free(next);
    } else {
        finish(d);
        struct config *old = d->now.config;
        d->now.config = NULL;
        instance_free(&d->now);
        if (instance_start(d, next) == 0) {
            log_text(LOG_LEVEL_INFO, "config", "reloaded");
            config_free(old);
        } else if (instance_start(d, old) != 0) {
            d->stop = true; /* neither file works any more; the supervisor starts us again */
        }
    }
    d->reload = false;
}

static int open_store(struct daemon *d, const struct config *config)
{
    char err[512] = "";
    struct store_opened opened;
    struct store_now now = clock_now();
    int rc = store_open(&d->store, config->store.path, &now, random_bytes, NULL, &opened, err, sizeof err);
    if (rc == STORE_LOCKED) {
        log_fmt(LOG_LEVEL_ERR, "store", "%s is in use: another longwire runs on it", config->store.path);
        return -1;
    }
    if (rc != 0) {
        log_fmt(LOG_LEVEL_ERR, "store", "cannot open: %s", err);
        return -1;
    }
    if (opened.damaged)
        log_fmt(LOG_LEVEL_ERR, "store", "the file was damaged: set aside, a new one begun path=%s", opened.aside_path);
    log_fmt(LOG_LEVEL_INFO, "store", "%s path=%s generation=%08x segment=%08x", opened.created ? "created" : "opened",
            config->store.path, opened.generation, opened.segment);
    return 0;
}

/* Nothing can be said or saved any more: from the last commit of the file that is set aside, the peer's marks and the broker's session
 * decide what comes again. */
static void begin_anew(struct daemon *d)
{
    struct config *config = d->now.config;
    d->now.config = NULL;
    d->damaged = false;
    instance_free(&d->now);
    store_close(d->store);
    d->store = NULL;
    if (open_store(d, config) != 0) {
        config_free(config);
        d->stop = true;
    } else if (instance_start(d, config) != 0) {
        d->stop = true;
    }
}

/* ---- the loop ---- */

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
    (void)what;
    struct daemon *d = ctx;
    if (sig == SIGHUP)
        d->reload = true;
    else if (sig != SIGPIPE)
        d->stop = true;
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    struct daemon *d = ctx;
    if (!d->now.bridge || d->stop || d->reload)
        return;
    struct store_now now = clock_now();
    if (bridge_deadline(d->now.bridge, &now) > now.mono_ms)
        return;
    bridge_on_timer(d->now.bridge, &now);
    links_dispatch(d->now.links);
}

static void set_timer(struct daemon *d)
{
    struct store_now now = clock_now();
    int64_t at = bridge_deadline(d->now.bridge, &now);
    if (at == INT64_MAX) {
        evtimer_del(d->timer);
        return;
    }
    int64_t wait = at > now.mono_ms ? at - now.mono_ms : 0;
    struct timeval tv = {wait / 1000, wait % 1000 * 1000};
    evtimer_add(d->timer, &tv);
}

static char *status(void *ctx)
{
    struct daemon *d = ctx;
    struct store_now now = clock_now();
    return d->now.bridge ? bridge_status_json(d->now.bridge, &now) : NULL;
}

static void on_watchdog(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx;
    notify_send("WATCHDOG=1");
}

/* That the loop turns is what the supervisor is told: a process that hangs is started again. */
static int watch(struct daemon *d, int64_t every_ms)
{
    struct timeval every = {every_ms / 1000, every_ms % 1000 * 1000};
    if (every_ms == 0)
        return 0;
    d->watchdog = event_new(d->base, -1, EV_PERSIST, on_watchdog, d);
    return d->watchdog && event_add(d->watchdog, &every) == 0 ? 0 : -1;
}

/* Keys are in our memory: it is not written to core files, nor read by other processes of the same user. */
static void close_memory(void)
{
    struct rlimit none = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        log_text(LOG_LEVEL_WARN, "loop", "a core file of this process may hold keys");
}

/* A listener may hold more connections than the usual soft limit of 1,024 descriptors allows. */
static void raise_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    r.rlim_cur = r.rlim_max < DESCRIPTORS_MAX ? r.rlim_max : DESCRIPTORS_MAX;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0)
        log_text(LOG_LEVEL_WARN, "loop", "the limit of open descriptors stays low");
}

static int setup_loop(struct daemon *d)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    struct event_config *ec = event_config_new();
    if (ec) {
        event_config_set_flag(ec, EVENT_BASE_FLAG_PRECISE_TIMER);
        d->base = event_base_new_with_config(ec);
        event_config_free(ec);
    }
    d->timer = d->base ? evtimer_new(d->base, on_timer, d) : NULL;
    for (int i = 0; d->timer && i < 4; i++) {
        d->signals[i] = evsignal_new(d->base, signals[i], on_signal, d);
        if (!d->signals[i] || event_add(d->signals[i], NULL) != 0)
            return -1;
    }
    return d->timer ? 0 : -1;
}

static void warn_seal(const struct config *config)
{
    for (size_t i = 0; i < config->peer_count; i++)
        if (config->peers[i].seal == SEAL_NONE)
            log_fmt(LOG_LEVEL_WARN, "peer", "seal = none: anyone on the link can read and forge peer=%s", config->peers[i].name);
}

static void cleanup(struct daemon *d)
{
    control_free(d->control);
    instance_free(&d->now);
    store_close(d->store);
    for (int i = 0; i < 4; i++)
        if (d->signals[i])
            event_free(d->signals[i]);
    if (d->timer)
        event_free(d->timer);
    if (d->watchdog)
        event_free(d->watchdog);
    if (d->base)
        event_base_free(d->base);
    log_flush();
}

int daemon_run(const char *file)
{
    struct daemon d = {.file = file};
    char err[256] = "";
    int status_code = 1;
    int64_t watchdog_ms = notify_init();
    log_init();
    close_memory();
    raise_descriptors();
    struct config *config = load(&d);
    if (!config)
        return 1;
    if (setup_loop(&d) != 0 || watch(&d, watchdog_ms) != 0) {
        log_text(LOG_LEVEL_ERR, "loop", "cannot start: out of memory or descriptors");
    } else if (open_store(&d, config) == 0) {
        warn_seal(config);
        d.control = control_new(d.base, config, status, &d, err, sizeof err);
        if (!d.control)
            log_fmt(LOG_LEVEL_WARN, "control", "%s: `longwire status` will not work", err);
        int rc = instance_start(&d, config);
        config = NULL;
        if (rc == 0) {
            log_fmt(LOG_LEVEL_INFO, "loop", "running site=%s", d.now.config->site_name);
            notify_send("READY=1");
            status_code = 0;
        }
        while (rc == 0 && !d.stop) {
            set_timer(&d);
            if (event_base_loop(d.base, EVLOOP_ONCE) < 0) {
                status_code = 1;
                break;
            }
            if (d.damaged)
                begin_anew(&d);
            else if (d.reload && !d.stop)
                reload(&d);
            if (!d.now.bridge) {
                status_code = 1;
                break;
            }
        }
        notify_send("STOPPING=1");
        if (d.now.bridge) {
            finish(&d);
            log_text(LOG_LEVEL_INFO, "loop", "stopped");
        }
    }
    config_free(config);
    cleanup(&d);
    return status_code;
}
