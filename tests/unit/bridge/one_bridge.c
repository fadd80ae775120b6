#include "tests/unit/bridge/one_bridge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "link_drivers/driver.h"

#define TO_BROKER_MAX (1u << 20)

static void broker_write(void *ctx, struct buf *out)
{
    assert_true(buf_put(&((struct one_bridge *)ctx)->to_broker, buf_bytes(out), out->len));
    buf_consume(out, out->len);
}

static size_t broker_pending(void *ctx)
{
    return 0;
}

static void broker_drop(void *ctx, bool at_once)
{
}

static void broker_settled(void *ctx)
{
}

static size_t link_room(void *ctx, size_t link, uint64_t station)
{
    return 4096;
}

static int link_send(void *ctx, size_t link, uint64_t station, const uint8_t *bytes, size_t n, uint64_t token, bool urgent)
{
    struct one_bridge *f = ctx;
    f->sent++;
    if (f->on_send)
        f->on_send(f, station, bytes, n);
    return 0;
}

static void link_reset(void *ctx, size_t link, uint64_t station, const char *why)
{
    struct one_bridge *f = ctx;
    assert_true(f->ended_count < sizeof f->ended / sizeof f->ended[0]);
    f->ended[f->ended_count++] = station;
}

static void link_counts(void *ctx, size_t link, uint64_t *bytes_out, uint64_t *bytes_in, char *detail, size_t size)
{
    *bytes_out = *bytes_in = 0;
    detail[0] = '\0';
}

static void store_damaged(void *ctx)
{
}

void one_bridge_random(void *ctx, void *bytes, size_t n)
{
    static uint32_t state = 1;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
}

static int secret(void *ctx, const struct config_peer *peer, bool next, uint8_t out[SECRET_BYTES])
{
    memset(out, 7, SECRET_BYTES);
    return 0;
}

static void on_log(void *ctx, enum bridge_log level, const char *subsystem, const char *text)
{
    ((struct one_bridge *)ctx)->warnings += level >= BRIDGE_WARN;
}

static void start(struct one_bridge *f)
{
    const struct bridge_env env = {
        .ctx = f,
        .broker_write = broker_write,
        .broker_pending = broker_pending,
        .broker_drop = broker_drop,
        .broker_settled = broker_settled,
        .link_room = link_room,
        .link_send = link_send,
        .link_reset = link_reset,
        .link_counts = link_counts,
        .store_damaged = store_damaged,
        .random = one_bridge_random,
        .secret = secret,
        .log = on_log,
    };
    struct store_opened opened;
    char err[512] = "";
    int rc = store_open(&f->store, f->config->store.path, &f->now, one_bridge_random, NULL, &opened, err, sizeof err);
    if (rc == 0)
        f->bridge = bridge_new(f->config, &f->link, f->store, &env, NULL, 0, &f->now, err, sizeof err);
    if (!f->bridge)
        fail_msg("%s", err);
}

struct one_bridge *one_bridge_new(const char *text, struct bridge_link link)
{
    struct one_bridge *f = calloc(1, sizeof *f);
    char file[96];
    assert_non_null(f);
    f->now = (struct store_now){1000, 1000, false};
    f->link = link;
    buf_init(&f->to_broker, TO_BROKER_MAX);
    strcpy(f->folder, "/tmp/longwire-bridge-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(file, sizeof file, "%s/t.ini", f->folder);
    FILE *ini = fopen(file, "w");
    assert_non_null(ini);
    assert_true(fputs(text, ini) >= 0 && fclose(ini) == 0);
    char *warnings = NULL;
    size_t n = 0;
    FILE *told = open_memstream(&warnings, &n);
    f->config = config_load(file, link_driver_options, told);
    fclose(told);
    if (!f->config)
        fail_msg("%s", warnings);
    free(warnings);
    unlink(file);
    start(f);
    return f;
}

static void stop(struct one_bridge *f)
{
    bridge_free(f->bridge);
    store_close(f->store);
    f->bridge = NULL;
    f->store = NULL;
}

void one_bridge_restart(struct one_bridge *f)
{
    stop(f);
    buf_clear(&f->to_broker);
    start(f);
}

void one_bridge_free(struct one_bridge *f)
{
    static const char *const files[] = {"", "-wal", "-ballast", "-witness"};
    char file[300];
    stop(f);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(file, sizeof file, "%s%s", f->config->store.path, files[i]);
        unlink(file);
    }
    config_free(f->config);
    buf_fini(&f->to_broker);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
}

void one_bridge_until(struct one_bridge *f, int64_t mono_ms)
{
    int64_t at;
    while ((at = bridge_deadline(f->bridge, &f->now)) <= mono_ms) {
        f->now.mono_ms = at > f->now.mono_ms ? at : f->now.mono_ms + 1;
        bridge_on_timer(f->bridge, &f->now);
    }
    f->now.mono_ms = mono_ms;
}
