#include "link_drivers/directip.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "link_drivers/address_list.h"
#include "link_drivers/directip_mo.h"
#include "link_drivers/directip_mt.h"

#define STRANGE_IMEIS 8 /* remembered, so that each is warned of once */

struct directip {
    bool good; /* init succeeded */
    const struct directip_options *options;
    struct link_host *host;
    struct link_report report;
    bool told_up; /* the stations */
    struct directip_mo mo;
    struct directip_mt mt;
    char strange[STRANGE_IMEIS][DIRECTIP_IMEI_DIGITS + 1];
    size_t strange_next;
    uint64_t from_strangers; /* messages of IMEIs that no peer has */
    uint64_t without_payload;
    uint64_t failed_sessions;
    uint64_t bytes_in; /* of payload: what is billed */
};

/* --- what a session says --- */

static void report_session(struct directip *d, const struct directip_mt_station *s,
                           const struct directip_mo_message *m)
{
    char json[512], when[32] = "", position[128] = "";
    time_t at = (time_t)m->time_s;
    struct tm utc;
    if (d->options->report == DIRECTIP_REPORT_NO)
        return;
    if (gmtime_r(&at, &utc))
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (m->located)
        snprintf(position, sizeof(position),
                 ",\"latitude\":%.5f,\"longitude\":%.5f,\"radius_km\":%u",
                 m->location.latitude / 60000.0, m->location.longitude / 60000.0,
                 m->location.radius_km);
    snprintf(json, sizeof(json),
             "{\"session\":\"%s\",\"session_status\":%u,\"session_time\":\"%s\",\"momsn\":%u,"
             "\"mtmsn\":%u,\"reference\":%u,\"bytes\":%zu%s}",
             directip_session_words(m->session), m->session, when, m->momsn, m->mtmsn,
             m->reference, m->payload_len, position);
    d->host->ops->report(d->host, s->station, json,
                         d->options->report == DIRECTIP_REPORT_TOPIC);
}

/* A message of a modem that is no peer's. It is acknowledged all the same: the gateway brings
 * messages in order, and would hold all others back behind it for hours. */
static void from_stranger(struct directip *d, const struct directip_mo_message *m)
{
    bool known = false;
    d->from_strangers++;
    for (size_t i = 0; i < STRANGE_IMEIS; i++)
        known = known || strcmp(d->strange[i], m->imei) == 0;
    if (known && (d->from_strangers & (d->from_strangers - 1)) != 0)
        return;
    if (!known)
        memcpy(d->strange[d->strange_next++ % STRANGE_IMEIS], m->imei, sizeof(m->imei));
    d->host->ops->trace(d->host, 2,
                        "a message of an IMEI that no peer has is thrown away: imei=%s momsn=%u "
                        "bytes=%zu so_far=%llu",
                        m->imei, m->momsn, m->payload_len,
                        (unsigned long long)d->from_strangers);
}

static bool on_message(void *ctx, const struct directip_mo_message *m, int64_t now_ms)
{
    struct directip *d = ctx;
    struct directip_mt_station *s = directip_mt_find(&d->mt, m->imei);
    if (!s) {
        from_stranger(d, m);
        return false;
    }
    bool reached = directip_session_reached(m->session);
    d->without_payload += m->payload == NULL;
    d->failed_sessions += !reached;
    d->host->ops->trace(d->host, m->session == DIRECTIP_SESSION_MT_TOO_LARGE ? 2 : reached ? 0 : 1,
                        "session: of=%s status=%u \"%s\" momsn=%u mtmsn=%u bytes=%zu", s->name,
                        m->session, directip_session_words(m->session), m->momsn, m->mtmsn,
                        m->payload_len);
    report_session(d, s, m);
    directip_mt_heard(&d->mt, s, m, now_ms);
    if (!m->payload || !d->told_up)
        return false;
    d->bytes_in += m->payload_len;
    d->host->ops->deliver(d->host, s->station, m->payload, m->payload_len);
    return true;
}

/* --- ops --- */

/* Does what is due, and sets the one timer; at the end of each event. */
static void settle(struct directip *d, int64_t now_ms)
{
    bool open = d->report.state == LINK_UP;
    if (open && !d->told_up) {
        d->told_up = true;
        directip_mt_start(&d->mt, now_ms);
    } else if (!open && d->told_up) {
        d->told_up = false;
        directip_mt_stop(&d->mt, d->report.why, now_ms);
    }
    directip_mt_settle(&d->mt, now_ms);
    int64_t mo = directip_mo_deadline(&d->mo), mt = directip_mt_deadline(&d->mt, now_ms);
    d->host->ops->timer(d->host, mo < mt ? mo : mt);
}

static const struct directip_mo_owner mo_owner = {.message = on_message};

static int directip_init(void *ctx, const void *options, struct link_host *host)
{
    struct directip *d = ctx;
    const struct directip_options *o = options;
    struct directip_mo_settings mo = {
        .allow = &o->mo_allow, .confirm = o->mo_confirm, .time_scale = o->time_scale};
    struct directip_mt_settings mt = {.window = (unsigned)o->mt_window,
                                      .priority = (enum directip_priority)o->mt_priority,
                                      .time_scale = o->time_scale};
    d->options = o;
    d->host = host;
    if (tcp_address_parse(o->mo_listen, &mo.listen) || tcp_address_parse(o->mt_connect, &mt.connect))
        return -EINVAL;
    directip_mo_init(&d->mo, &mo, host, &d->report, &mo_owner, d);
    d->good = true;
    return directip_mt_init(&d->mt, &mt, host);
}

static void directip_start(void *ctx, int64_t now_ms)
{
    struct directip *d = ctx;
    directip_mo_start(&d->mo, now_ms);
    settle(d, now_ms);
}

static void directip_stop(void *ctx, int64_t now_ms)
{
    struct directip *d = ctx;
    if (!d->good || d->mo.door.state == TCP_DOOR_STOPPED)
        return;
    directip_mo_stop(&d->mo);
    link_report(&d->report, d->host, LINK_DOWN, "stopped");
    settle(d, now_ms);
}

static void directip_fini(void *ctx)
{
    struct directip *d = ctx;
    directip_stop(ctx, 0);
    directip_mt_fini(&d->mt);
    d->good = false;
}

static size_t directip_room(void *ctx, station_t station, int64_t now_ms)
{
    struct directip *d = ctx;
    size_t room = directip_mt_room(&d->mt, station, now_ms);
    if (room == 0 && d->told_up && directip_mt_station(&d->mt, station))
        d->host->ops->timer(d->host, now_ms); /* `writable` is owed, maybe before all else */
    return room;
}

static int directip_send(void *ctx, station_t station, const uint8_t *bytes, size_t n,
                         uint64_t token, bool urgent, int64_t now_ms)
{
    struct directip *d = ctx;
    int result = directip_mt_send(&d->mt, station, bytes, n, token, urgent, now_ms);
    if (result == 0 || result == -EAGAIN)
        d->host->ops->timer(d->host, now_ms);
    return result;
}

static size_t directip_mtu(void *ctx, station_t station)
{
    struct directip *d = ctx;
    const struct directip_mt_station *s = directip_mt_station(&d->mt, station);
    size_t least = s ? s->mt_max : DIRECTIP_MT_PAYLOAD_MAX;
    for (size_t i = 0; !s && i < d->mt.count; i++)
        if (d->mt.stations[i].mt_max < least)
            least = d->mt.stations[i].mt_max;
    return least;
}

static void directip_terms(void *ctx, station_t station, struct link_terms *out)
{
    const struct directip *d = ctx;
    *out = (struct link_terms){.quantum_bytes = (uint32_t)d->options->credit_bytes,
                               .hold_ms = d->options->hold_ms / d->options->time_scale,
                               .ack_max_age_ms = d->options->ack_max_age_ms / d->options->time_scale};
}

static void directip_committed(void *ctx, int64_t now_ms)
{
    struct directip *d = ctx;
    directip_mo_committed(&d->mo, now_ms);
    settle(d, now_ms);
}

static void directip_reset(void *ctx, station_t station, const char *why, int64_t now_ms)
{
    struct directip *d = ctx;
    if (station != STATION_NONE) {
        directip_mt_reset(&d->mt, station, why, now_ms);
        if (d->told_up)
            d->host->ops->timer(d->host, now_ms);
        return;
    }
    directip_mo_reset(&d->mo, why, now_ms);
    settle(d, now_ms);
}

static void directip_on_fd(void *ctx, int fd, unsigned events, int64_t now_ms)
{
    struct directip *d = ctx;
    if (!directip_mo_on_fd(&d->mo, fd, now_ms))
        directip_mt_on_fd(&d->mt, fd, now_ms);
    settle(d, now_ms);
}

static void directip_on_timer(void *ctx, int64_t now_ms)
{
    struct directip *d = ctx;
    directip_mo_on_timer(&d->mo, now_ms);
    settle(d, now_ms);
}

static void directip_status(void *ctx, struct link_status *out)
{
    const struct directip *d = ctx;
    *out = (struct link_status){.bytes_in = d->bytes_in, .bytes_out = d->mt.bytes_out};
    if (d->mt.trouble[0] != '\0')
        snprintf(out->detail, sizeof(out->detail), "%s; MT: %s", d->report.why, d->mt.trouble);
    else
        snprintf(out->detail, sizeof(out->detail), "%s", d->report.why);
}

static bool directip_serves_many(const void *options)
{
    return true;
}

#define AT(member) offsetof(struct directip_options, member)
#define DAY_MS     86400000ll
static const char *const priority_names[] = {[DIRECTIP_PRIORITY_NONE] = "no",
                                             [DIRECTIP_PRIORITY_ELEMENT] = "element",
                                             [DIRECTIP_PRIORITY_FLAG] = "flag",
                                             NULL};
static const char *const report_names[] = {[DIRECTIP_REPORT_NO] = "no",
                                           [DIRECTIP_REPORT_STATUS] = "status",
                                           [DIRECTIP_REPORT_TOPIC] = "topic",
                                           NULL};

static const struct option directip_rows[] = {
    {.key = "mo_listen",
     .type = OPTION_STRING,
     .offset = AT(mo_listen),
     .min = 1,
     .max = 300,
     .check = tcp_address_check_listen,
     .help = "address:port at which the gateway brings what modems sent; the provider is told it "
             "and customarily takes port 10800; *:port for every address of this machine."},
    {.key = "mo_allow",
     .type = OPTION_LIST,
     .offset = AT(mo_allow),
     .min = 1,
     .max = 64,
     .fallback = "127.0.0.1, ::1",
     .check = address_list_check,
     .help = "The addresses from which the gateway connects, as the provider names them: IP "
             "addresses, or networks as in 192.0.2.0/24. Nothing else proves who calls, so that "
             "all others are turned away; any takes them all, which only a firewall makes safe."},
    {.key = "mo_confirm",
     .type = OPTION_BOOL,
     .offset = AT(mo_confirm),
     .fallback = "yes",
     .help = "Tell the gateway of each message that it is on disk here, so that it brings again "
             "what is not. The account must have it switched on; where it has not, the gateway "
             "does not listen."},
    {.key = "mt_connect",
     .type = OPTION_STRING,
     .offset = AT(mt_connect),
     .min = 1,
     .max = 300,
     .check = tcp_address_check_connect,
     .help = "host:port of the gateway, to which messages for modems are brought."},
    {.key = "mt_window",
     .type = OPTION_INT,
     .offset = AT(mt_window),
     .min = 1,
     .max = 16,
     .fallback = "3",
     .help = "The most messages that lie at the gateway for one modem; it holds 50, and throws the "
             "oldest away unseen when a further one comes."},
    {.key = "mt_priority",
     .type = OPTION_ENUM,
     .offset = AT(mt_priority),
     .names = priority_names,
     .fallback = "element",
     .help = "How the gateway is told that a message with an alarm goes before others: by an "
             "element of its own, by a flag as older gateways have it, or not at all. Where the "
             "gateway does not know it, it is left out by itself."},
    {.key = "report",
     .type = OPTION_ENUM,
     .offset = AT(report),
     .names = report_names,
     .fallback = "status",
     .help = "What the gateway tells of each session of a modem, with its time and the place: "
             "status shows the last one there, topic publishes each as a message under topic_base "
             "as well."},
    {.key = "hold",
     .type = OPTION_DURATION,
     .offset = AT(hold_ms),
     .min = 0,
     .max = DAY_MS,
     .fallback = "1m",
     .help = "How long messages of class normal and bulk may wait for others to fill a started "
             "credit; alarm and high do not wait."},
    {.key = "ack_max_age",
     .type = OPTION_DURATION,
     .offset = AT(ack_max_age_ms),
     .min = 1000,
     .max = 30 * DAY_MS,
     .fallback = "6h",
     .help = "After this time what came is acknowledged even if nothing else is to be sent, and "
             "what was sent and not acknowledged is sent again if no more may be under way."},
    {.key = "credit_bytes",
     .type = OPTION_INT,
     .offset = AT(credit_bytes),
     .min = 1,
     .max = DIRECTIP_MT_PAYLOAD_MAX,
     .fallback = "50",
     .help = "The bytes that one credit pays for; each started one is billed, and is filled."},
    {.key = "time_scale",
     .type = OPTION_INT,
     .offset = AT(time_scale),
     .min = 1,
     .max = 100000,
     .fallback = "1",
     .help = "For tests: every wait of the driver is divided by it, hold and ack_max_age too."},
};

const struct option_group directip_option_group = {
    .name = "directip",
    .rows = directip_rows,
    .count = sizeof(directip_rows) / sizeof(directip_rows[0]),
    .struct_size = sizeof(struct directip_options),
    .help = "Iridium modems, by way of the provider's DirectIP gateway: the hub's side of "
            "iridium-sbd.",
    .metered_default = true,
    .serves_many = directip_serves_many,
    .by_imei = true,
};

const struct link_driver directip_driver = {
    .name = "directip",
    .kind = LINK_DATAGRAM,
    .options = &directip_option_group,
    .ctx_size = sizeof(struct directip),
    .init = directip_init,
    .fini = directip_fini,
    .start = directip_start,
    .stop = directip_stop,
    .room = directip_room,
    .send = directip_send,
    .mtu = directip_mtu,
    .terms = directip_terms,
    .committed = directip_committed,
    .rate = NULL,        /* DATAGRAM */
    .avoid = NULL,       /* every byte passes */
    .half_duplex = NULL, /* full */
    .calls = NULL,       /* the gateway names the modem */
    .reset = directip_reset,
    .on_fd = directip_on_fd,
    .on_timer = directip_on_timer,
    .status = directip_status,
};
