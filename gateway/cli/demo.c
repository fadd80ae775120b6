/* `longwire demo`: a boat's telemetry crosses a noisy 9600 bps line that is cut in the middle; commands go the other way. Shows live what
 * waits, crosses and arrives, and what it costs against plain MQTT. Exit 0 only if every message arrived once and in order. */
#include "gateway/cli/commands.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <event2/event.h>
#include "gateway/cli/demo_client.h"
#include "gateway/cli/demo_stage.h"
#include "gateway/cli/line_child.h"
#include "gateway/cli/line_sim.h"
#include "gateway/cli/telemetry.h"
#include "gateway/daemon/clock.h"

#define SEED          20261123
#define TRAFFIC_MS    26000   /* telemetry is played for so long ... */
#define CUT_FROM_MS   9000    /* ... with the line cut in the middle */
#define CUT_TO_MS     15000
#define SPEED         3       /* times as fast as the boat sends */
#define COMMAND_MS    4000    /* between commands */
#define DRAIN_MS      26000   /* what is still missing after this has not arrived */
#define SETUP_MS      10000
#define LIVE_MS       1000    /* between lines of the display */
#define NOISE         "2e-5"  /* chance of a bit error */
#define TCP_IP_HEADER 40      /* bytes a packet, IPv4 without options */

static const char *const phases[] = {"starting", "telemetry", "LINE CUT", "draining", "done"};
enum phase { PHASE_START, PHASE_TRAFFIC, PHASE_CUT, PHASE_DRAIN, PHASE_DONE };

struct demo {
    struct event_base *base;
    struct stage stage;
    struct demo_client *edge, *hub;
    struct telemetry telemetry;
    struct telemetry_message next;
    enum phase phase;
    int64_t began_ms, traffic_ms, drain_ms, live_ms, command_ms;
    unsigned commands;
    uint64_t plain_bytes;
    volatile sig_atomic_t interrupted;
    int status;
};

static struct demo *running; /* for the signal handler alone */

static void on_signal(int sig)
{
    (void)sig;
    running->interrupted = 1;
}

/* What the message would have cost as plain MQTT over TCP/IP: PUBLISH with QoS 1 and its PUBACK, a packet each. */
static uint64_t plain_cost(size_t topic, size_t payload)
{
    size_t body = 2 + topic + 2 + payload;
    return 1 + (body < 128 ? 1 : body < 16384 ? 2 : 3) + body + TCP_IP_HEADER + 4 + TCP_IP_HEADER;
}

static uint64_t line_bytes(struct demo *d)
{
    struct line_counters a = {0}, b = {0};
    if (line_child_counters(d->stage.line, LINE_A, &a) != 0 || line_child_counters(d->stage.line, LINE_B, &b) != 0)
        return 0;
    return a.sent + b.sent;
}

static void show(struct demo *d, int64_t now)
{
    const struct demo_account *up = demo_client_account(d->hub), *down = demo_client_account(d->edge);
    unsigned sent = up->expected + down->expected, arrived = up->arrived + down->arrived;
    printf("%5.1f s  %-9s  published %4u  waiting or crossing %4u  arrived %4u  line %7llu B  plain MQTT %8llu B   %s\n",
           (double)(now - d->began_ms) / 1000, phases[d->phase], sent, sent - arrived, arrived,
           (unsigned long long)line_bytes(d), (unsigned long long)d->plain_bytes, demo_client_last(d->hub));
    fflush(stdout);
}

static void set_line(struct demo *d, const char *command)
{
    char answer[LINE_SIM_ANSWER_MAX];
    if (line_child_ask(d->stage.line, command, answer, sizeof answer) != 0)
        fprintf(stderr, "longwire: the simulated line does not answer\n");
}

static void send_telemetry(struct demo *d, int64_t now)
{
    while (d->next.offset_ms <= (now - d->traffic_ms) * SPEED) {
        if (!demo_client_publish(d->edge, d->next.topic, d->next.payload, d->next.payload_len, d->next.retain))
            return;
        demo_client_expect(d->hub, d->next.topic, d->next.payload, d->next.payload_len);
        d->plain_bytes += plain_cost(strlen(d->next.topic), d->next.payload_len);
        telemetry_next(&d->telemetry, &d->next);
    }
}

static void send_command(struct demo *d, int64_t now)
{
    char payload[64];
    if (now < d->command_ms)
        return;
    int n = snprintf(payload, sizeof payload, "{\"valve\":%u,\"open\":%s}", d->commands % 4, d->commands % 2 ? "true" : "false");
    /* Numbered, so that equal commands are told apart. */
    n += snprintf(payload + n, sizeof payload - (size_t)n, " #%u", d->commands);
    if (!demo_client_publish(d->hub, "commands/valves", payload, (size_t)n, false))
        return;
    demo_client_expect(d->edge, "commands/valves", payload, (size_t)n);
    d->plain_bytes += plain_cost(strlen("commands/valves"), (size_t)n);
    d->commands++;
    d->command_ms = now + COMMAND_MS;
}

static bool complete(const struct demo_account *a)
{
    return a->arrived == a->expected;
}

static void advance(struct demo *d, int64_t now)
{
    switch (d->phase) {
    case PHASE_START:
        if (demo_client_ready(d->edge) && demo_client_ready(d->hub)) {
            d->phase = PHASE_TRAFFIC;
            d->traffic_ms = d->command_ms = now;
        } else if (now - d->began_ms > SETUP_MS) {
            fprintf(stderr, "longwire: the brokers do not answer\n");
            d->phase = PHASE_DONE;
        }
        return;
    case PHASE_TRAFFIC:
    case PHASE_CUT: {
        int64_t t = now - d->traffic_ms;
        enum phase want = t >= CUT_FROM_MS && t < CUT_TO_MS ? PHASE_CUT : PHASE_TRAFFIC;
        if (want != d->phase)
            set_line(d, want == PHASE_CUT ? "cut" : "restore");
        d->phase = want;
        send_telemetry(d, now);
        send_command(d, now);
        if (t >= TRAFFIC_MS) {
            d->phase = PHASE_DRAIN;
            d->drain_ms = now;
        }
        return;
    }
    case PHASE_DRAIN: {
        bool all = complete(demo_client_account(d->hub)) && complete(demo_client_account(d->edge));
        if (all || now - d->drain_ms > DRAIN_MS)
            d->phase = PHASE_DONE;
        return;
    }
    case PHASE_DONE:
        return;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct demo *d = ctx;
    (void)fd;
    (void)what;
    int64_t now = clock_mono_ms();
    const char *dead;
    enum phase before = d->phase;
    if (!stage_alive(&d->stage, &dead)) {
        fprintf(stderr, "longwire: %s has ended; see %s\n", dead, d->stage.dir);
        d->phase = PHASE_DONE;
    } else {
        advance(d, now);
    }
    if (before != d->phase || now - d->live_ms >= LIVE_MS) {
        d->live_ms = now;
        show(d, now);
    }
    if (d->phase == PHASE_DONE || d->interrupted)
        event_base_loopbreak(d->base);
}

static bool clean(const struct demo_account *a)
{
    return complete(a) && !a->doubled && !a->disordered && !a->strange;
}

static void summarise(struct demo *d)
{
    const struct demo_account *up = demo_client_account(d->hub), *down = demo_client_account(d->edge);
    uint64_t line = line_bytes(d);
    unsigned messages = up->arrived + down->arrived;
    bool ok = clean(up) && clean(down) && up->expected > 0 && down->expected > 0;
    printf("\nedge -> hub: %u published, %u arrived, %u doubled, %u out of order, %u unknown\n", up->expected, up->arrived,
           up->doubled, up->disordered, up->strange);
    printf("hub -> edge: %u published, %u arrived, %u doubled, %u out of order, %u unknown\n", down->expected, down->arrived,
           down->doubled, down->disordered, down->strange);
    if (messages && line)
        printf("on the line, both ways, noise, resends and acknowledgements included: %llu bytes, %.1f a message\n"
               "the same as plain MQTT over TCP/IP (QoS 1): %llu bytes, %.1f a message: %.1f times as much\n",
               (unsigned long long)line, (double)line / messages, (unsigned long long)d->plain_bytes,
               (double)d->plain_bytes / (up->expected + down->expected), (double)d->plain_bytes / (double)line);
    printf("%s\n", ok ? "Every message arrived once and in order." : "NOT every message arrived once and in order.");
    d->status = ok ? EXIT_DONE : EXIT_FAILED;
}

int command_demo(const char *self)
{
    struct demo d = {.status = EXIT_FAILED};
    running = &d;
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);

    printf("Two MQTT brokers, a gateway beside each, and between them a %d bps line with a bit error in every 50,000,\n"
           "cut for %d s in the middle. What crosses it is encrypted with a new key.\n\n", STAGE_BAUD, (CUT_TO_MS - CUT_FROM_MS) / 1000);
    fflush(stdout);
    d.began_ms = clock_mono_ms();
    d.base = event_base_new();
    struct event *tick = d.base ? event_new(d.base, -1, EV_PERSIST, on_tick, &d) : NULL;
    if (tick && stage_open(&d.stage, self, SEED) == 0) {
        char rate[64];
        snprintf(rate, sizeof rate, "set both baud %d ber " NOISE, STAGE_BAUD);
        set_line(&d, rate);
        telemetry_init(&d.telemetry, SEED, time(NULL));
        telemetry_next(&d.telemetry, &d.next);
        d.edge = demo_client_new(d.base, d.stage.port[STAGE_EDGE], "demo-edge", "commands/#");
        d.hub = demo_client_new(d.base, d.stage.port[STAGE_HUB], "demo-hub", "#");
        struct timeval tv = {0, 20000};
        if (d.edge && d.hub && event_add(tick, &tv) == 0)
            event_base_dispatch(d.base);
        if (d.interrupted)
            printf("\ninterrupted\n");
        else if (d.edge && d.hub)
            summarise(&d);
    }
    demo_client_free(d.edge);
    demo_client_free(d.hub);
    stage_close(&d.stage);
    if (tick)
        event_free(tick);
    if (d.base)
        event_base_free(d.base);
    return d.status;
}
