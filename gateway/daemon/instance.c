#include "gateway/daemon/instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/buf.h"
#include "config/password.h"
#include "gateway/daemon/clock.h"
#include "gateway/daemon/keys.h"
#include "gateway/daemon/log.h"

/* ---- services of the bridge ---- */

static void env_broker_write(void *ctx, struct buf *out)
{
    struct instance *in = ctx;
    if (in->connection)
        mqtt_connection_write(in->connection, out);
}

static size_t env_broker_pending(void *ctx)
{
    struct instance *in = ctx;
    return in->connection ? mqtt_connection_pending(in->connection) : 0;
}

static void env_broker_drop(void *ctx, bool at_once)
{
    struct instance *in = ctx;
    if (in->connection)
        mqtt_connection_drop(in->connection, at_once);
}

static void env_broker_settled(void *ctx)
{
    struct instance *in = ctx;
    if (in->connection)
        mqtt_connection_settled(in->connection);
}

static size_t env_link_room(void *ctx, size_t link, uint64_t station)
{
    return links_room(((struct instance *)ctx)->links, link, station);
}

static int env_link_send(void *ctx, size_t link, uint64_t station, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    return links_send(((struct instance *)ctx)->links, link, station, bytes, n, token, urgent);
}

static void env_link_reset(void *ctx, size_t link, uint64_t station, const char *why)
{
    links_reset(((struct instance *)ctx)->links, link, station, why);
}

static void env_link_counts(void *ctx, size_t link, uint64_t *bytes_out, uint64_t *bytes_in, char *detail, size_t detail_size)
{
    links_counts(((struct instance *)ctx)->links, link, bytes_out, bytes_in, detail, detail_size);
}

static void env_store_damaged(void *ctx)
{
    ((struct instance *)ctx)->damaged = true;
}

void instance_random(void *ctx, void *bytes, size_t n)
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
    return keys_secret(((struct instance *)ctx)->config, peer, next, out);
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
    struct instance *in = ctx;
    struct store_now now = clock_now();
    bridge_broker_open(in->bridge, &now);
    links_dispatch(in->links);
}

static void on_closed(void *ctx, const char *why)
{
    struct instance *in = ctx;
    struct store_now now = clock_now();
    in->closed = in->ending;
    log_fmt(LOG_LEVEL_DEBUG, "broker", "closed: %s", why);
    if (!in->closed)
        bridge_broker_closed(in->bridge, why, &now);
    links_dispatch(in->links);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t n)
{
    struct instance *in = ctx;
    struct store_now now = clock_now();
    bridge_broker_bytes(in->bridge, bytes, n, &now);
    links_dispatch(in->links);
}

static void on_dry(void *ctx)
{
    struct instance *in = ctx;
    struct store_now now = clock_now();
    bridge_broker_dry(in->bridge, &now);
    links_dispatch(in->links);
}

static void on_writable(void *ctx)
{
    struct instance *in = ctx;
    struct store_now now = clock_now();
    bridge_broker_writable(in->bridge, &now);
    links_dispatch(in->links);
}

static uint32_t connection_random(void *ctx)
{
    uint32_t r;
    instance_random(ctx, &r, sizeof r);
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

/* ---- life ---- */

void instance_free(struct instance *in)
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

int instance_start(struct instance *in, struct event_base *base, struct store *store, struct config *config)
{
    char err[512] = "";
    *in = (struct instance){.config = config};
    const struct config_broker *c = &config->broker;
    char *password = NULL;
    size_t password_len = 0;
    in->links = links_new(base, config, store, err, sizeof err);
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
        in->connection = mqtt_connection_new(base, &address, &connection_ops, in, err, sizeof err);
    }
    if (in->connection) {
        struct bridge_env env = {
            .ctx = in,
            .broker_write = env_broker_write,
            .broker_pending = env_broker_pending,
            .broker_drop = env_broker_drop,
            .broker_settled = env_broker_settled,
            .link_room = env_link_room,
            .link_send = env_link_send,
            .link_reset = env_link_reset,
            .link_counts = env_link_counts,
            .store_damaged = env_store_damaged,
            .random = instance_random,
            .secret = env_secret,
            .work_us = env_work_us,
            .log = env_log,
        };
        struct store_now now = clock_now();
        in->bridge = bridge_new(config, links_describe(in->links), store, &env, password, password_len, &now, err, sizeof err);
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

void instance_stop(struct instance *in, int64_t linger_ms)
{
    struct store_now now = clock_now();
    in->ending = true;
    bridge_stop(in->bridge, &now);
    mqtt_connection_stop(in->connection, linger_ms);
}
