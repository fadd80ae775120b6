/* One loop, one thread (names are resolved in others, base/resolve.h). The store stays open for the life of the process; what is
 * built from the configuration is an instance (instance.h), built anew by SIGHUP. */
#include "gateway/daemon/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <event2/event.h>
#include "config/config.h"
#include "gateway/daemon/clock.h"
#include "gateway/daemon/control.h"
#include "gateway/daemon/instance.h"
#include "gateway/daemon/keys.h"
#include "gateway/daemon/log.h"
#include "gateway/daemon/notify.h"
#include "link_drivers/driver.h"
#include "store/store.h"

#define STOP_LINGER_MS 500     /* for the last packets to the broker; SIGTERM ends within 2 s */
#define STOP_LATEST_MS 1500
#define GOODBYE_MS     400     /* closing a serial port discards what it has not sent: line time for the last frames */
#define DESCRIPTORS_MAX 65536

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
};

/* Runs the loop until the broker connection has ended or the time is up. */
static void finish(struct daemon *d)
{
    instance_stop(&d->now, STOP_LINGER_MS);
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
        if (instance_start(&d->now, d->base, d->store, next) == 0) {
            log_text(LOG_LEVEL_INFO, "config", "reloaded");
            config_free(old);
        } else if (instance_start(&d->now, d->base, d->store, old) != 0) {
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
    int rc = store_open(&d->store, config->store.path, &now, instance_random, NULL, &opened, err, sizeof err);
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
    if (opened.set_back)
        log_fmt(LOG_LEVEL_WARN, "store", "was set back, as far as can be told: %s path=%s", opened.set_back, config->store.path);
    if (opened.witness_error)
        log_fmt(LOG_LEVEL_WARN, "store", "its witness cannot be written, so the next start will take it for one that was set back: %s path=%s-witness",
                strerror(-opened.witness_error), config->store.path);
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
    instance_free(&d->now);
    store_close(d->store);
    d->store = NULL;
    if (open_store(d, config) != 0) {
        config_free(config);
        d->stop = true;
    } else if (instance_start(&d->now, d->base, d->store, config) != 0) {
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
        int rc = instance_start(&d.now, d.base, d.store, config);
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
            if (d.now.damaged)
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
