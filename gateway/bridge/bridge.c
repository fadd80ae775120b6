#include "gateway/bridge/bridge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/bridge/internal.h"

struct bridge *bridge_new(const struct config *config, const struct bridge_link *links, struct store *store,
                          const struct bridge_env *env, const void *password, size_t password_len,
                          const struct store_now *now, char *err, size_t err_size)
{
    struct bridge *b = calloc(1, sizeof *b);
    if (!b) {
        snprintf(err, err_size, "out of memory");
        return NULL;
    }
    b->config = config;
    b->links = links;
    b->store = store;
    b->env = *env;
    b->now = *now;
    b->started_ms = now->mono_ms;
    b->commit_at = b->probe_space_at = b->tidy_at = b->state_at = NEVER;
    store_history_limit(store, config->store.history);
    int rc = routes_init(&b->routes, config);
    if (rc == 0)
        rc = peers_init(b);
    if (rc == 0)
        rc = broker_init(b, password, password_len);
    if (rc == 0)
        rc = store_commit(store, now);
    if (rc < 0) {
        snprintf(err, err_size, "%s", rc == -ENOMEM ? "out of memory" : rc == -ENOKEY ? "the key of a peer cannot be read" : store_error(store));
        store_rollback(store);
        bridge_free(b);
        return NULL;
    }
    return b;
}

void bridge_free(struct bridge *b)
{
    if (!b)
        return;
    store_rollback(b->store);
    publisher_closed(b, false);
    store_rollback(b->store);
    broker_fini(b);
    peers_fini(b);
    routes_fini(&b->routes);
    free(b);
}

void bridge_stop(struct bridge *b, const struct store_now *now)
{
    b->now = *now;
    bridge_turn(b);
    if (store_dirty(b->store) && !custody_commit(b))
        bridge_logf(b, BRIDGE_ERR, "store", "last commit failed: %s", store_error(b->store));
    for (size_t i = 0; i < b->peer_count; i++)
        channel_goodbye(b->peers[i].channel, now->mono_ms);
    peers_pump(b);
    if (b->broker.connected) {
        struct mqtt_out out = {.payload = "offline", .payload_len = 7, .retain = true};
        char topic[STATE_TOPIC_MAX];
        out.topic = state_topic(b, topic, "state");
        if (mqtt_session_publish(b->broker.session, &out) != 0)
            bridge_logf(b, BRIDGE_DEBUG, "broker", "state not published topic=%s", topic);
        mqtt_session_disconnect(b->broker.session, false);
    }
    if (b->broker.out.len)
        b->env.broker_write(b->env.ctx, &b->broker.out);
}

void bridge_logf(struct bridge *b, enum bridge_log level, const char *subsystem, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    b->env.log(b->env.ctx, level, subsystem, text);
}

int64_t bridge_age(const struct bridge *b)
{
    return store_age_ms(b->store, &b->now);
}

uint32_t bridge_random32(struct bridge *b)
{
    uint32_t r;
    b->env.random(b->env.ctx, &r, sizeof r);
    return r;
}

void bridge_count(struct peer *p, const char *name, uint64_t add)
{
    if (add)
        custody_failed(p->bridge, store_count(p->bridge->store, p->id, name, add));
}
