#include "gateway/cli/estimate_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/units.h"
#include "gateway/wire/codec_mix.h"

#define SBD_MTU    340 /* of an Iridium 9602, mobile originated */
#define SBD_CREDIT 50
#define SBD_HOLD   (15 * 60000) /* what iridium-sbd has where nothing is said */
#define BAUD       9600
#define TOP        20

const char estimate_usage[] =
    "What traffic costs on a link, beside MQTT and MQTT-SN, before there is a link.\n"
    "\n"
    "    longwire estimate [FILE.ini] RECORDING.ndjson\n"
    "    longwire estimate [FILE.ini] --broker HOST[:PORT]|file --for DURATION\n"
    "\n"
    "RECORDING: one {\"t\": seconds, \"topic\": ..., \"payload\": text} a line, or payload_b64, or\n"
    "payload_hex; - is standard input. One is made by\n"
    "    mosquitto_sub -t '#' -F '{\"t\":%U,\"topic\":\"%t\",\"retain\":%r,\"payload_hex\":\"%x\"}'\n"
    "FILE.ini: its peers, routes and first link are used, and with --broker file its broker; without "
    "it\n"
    "everything is carried to one peer.\n"
    "\n"
    "    --link stream|datagram   kind of link (as in FILE.ini, or stream)\n"
    "    --baud N                 of a stream (9600)\n"
    "    --mtu N                  bytes of the largest datagram (340)\n"
    "    --credit N               each datagram is billed in steps of N bytes, 0 = it is not (50)\n"
    "    --hold DURATION|never    how long a datagram's messages wait for company (15m); alarm, high "
    "do not.\n"
    "                             never: messages come as fast as the link takes them, as behind "
    "a backlog\n"
    "    --price-kb P --price-credit P --price-minute P --price-month P   what is paid, 0 where "
    "not said\n"
    "    --codec full|fast|plain --codec-memory SIZE --timestamps no|s|ms   instead of FILE.ini's\n"
    "    --span DURATION          what the recording covers, for a month's figures (first message "
    "to last)\n"
    "    --top N, --json          topics shown (20); everything as JSON\n";

/* ---- the command line ---- */

static bool choice(const char *value, const char *const *names, int *chosen)
{
    for (int i = 0; names[i]; i++) {
        if (names[i][0] && strcmp(value, names[i]) == 0) {
            *chosen = i;
            return true;
        }
    }
    return false;
}

static bool price(const char *value, double *p)
{
    char *end;
    *p = strtod(value, &end);
    return end != value && *end == '\0' && isfinite(*p) && *p >= 0;
}

static bool whole(const char *value, int64_t least, int64_t most, int64_t *n)
{
    return integer_parse(value, n) && *n >= least && *n <= most;
}

/* What describes the link. Return: NULL; what is allowed; name: it is none of these. */
static const char *take_link(struct estimate_options *o, const char *name, const char *value)
{
    static const char *const kinds[] = {
        [ESTIMATE_STREAM] = "stream", [ESTIMATE_DATAGRAM] = "datagram", NULL};
    static const char *const codecs[] = {[CODEC_AUTO] = "",
                                         [CODEC_FULL] = "full",
                                         [CODEC_FAST] = "fast",
                                         [CODEC_PLAIN] = "plain",
                                         NULL};
    static const char *const timestamps[] = {
        [TIMESTAMPS_NO] = "no", [TIMESTAMPS_S] = "s", [TIMESTAMPS_MS] = "ms", NULL};
    struct estimate_link *link = &o->terms.link;
    if (strcmp(name, "--link") == 0)
        return choice(value, kinds, &o->kind) ? NULL : "stream or datagram";
    if (strcmp(name, "--mtu") == 0)
        return whole(value, ESTIMATE_MTU_MIN, ESTIMATE_MTU_MAX, &o->mtu) ? NULL
                                                                         : "128 to 4096 bytes";
    if (strcmp(name, "--credit") == 0)
        return whole(value, 0, 1 << 20, &o->credit) ? NULL : "bytes, 0 for none";
    if (strcmp(name, "--hold") == 0)
        return duration_parse(value, &o->hold_ms) ? NULL : "a duration: 30s, 0, never";
    if (strcmp(name, "--baud") == 0)
        return whole(value, 10, ESTIMATE_BAUD_MAX, &o->baud) ? NULL
                                                             : "10 to 10000000 bits a second";
    if (strcmp(name, "--codec") == 0)
        return choice(value, codecs, &link->codec) ? NULL : "full, fast or plain";
    if (strcmp(name, "--codec-memory") == 0)
        return size_parse(value, &link->codec_memory) &&
                       link->codec_memory >= CODEC_MIX_MEMORY_MIN &&
                       link->codec_memory <= CODEC_MIX_MEMORY_MAX
                   ? NULL
                   : "256K to 16M";
    if (strcmp(name, "--timestamps") == 0)
        return choice(value, timestamps, &link->timestamps) ? NULL : "no, s or ms";
    return name;
}

static const char *take_price(struct estimate_prices *prices, const char *name, const char *value)
{
    const struct {
        const char *name;
        double *price;
    } priced[] = {{"--price-kb", &prices->kilobyte},
                  {"--price-credit", &prices->credit},
                  {"--price-minute", &prices->minute},
                  {"--price-month", &prices->month}};
    for (size_t i = 0; i < sizeof priced / sizeof *priced; i++)
        if (strcmp(name, priced[i].name) == 0)
            return price(value, priced[i].price) ? NULL : "a price, not below 0";
    return "unknown option";
}

/* Takes one option with its value. Return: NULL, or what is allowed. */
static const char *take_option(struct estimate_options *o, const char *name, const char *value)
{
    int64_t n = 0;
    if (strcmp(name, "--broker") == 0) {
        o->broker = value;
        return value[0] ? NULL : "HOST, HOST:PORT, [ADDRESS]:PORT, unix:/path or file";
    }
    if (strcmp(name, "--for") == 0)
        return duration_parse(value, &o->for_ms) && o->for_ms > 0 && o->for_ms != OPTION_NEVER
                   ? NULL
                   : "a duration above 0: 10m";
    if (strcmp(name, "--span") == 0)
        return duration_parse(value, &o->terms.span_ms) && o->terms.span_ms > 0 &&
                       o->terms.span_ms != OPTION_NEVER
                   ? NULL
                   : "a duration above 0: 1d";
    if (strcmp(name, "--top") == 0) {
        bool good = whole(value, 0, 1000000, &n);
        o->terms.top = (unsigned)n;
        return good ? NULL : "a number of topics";
    }
    const char *allowed = take_link(o, name, value);
    return allowed == name ? take_price(&o->terms.prices, name, value) : allowed;
}

static bool ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static const char *contradiction(const struct estimate_options *o)
{
    if (!o->recording && !o->broker)
        return "a recording, or --broker, is wanted";
    if (o->recording && o->broker)
        return "a recording or --broker, not both";
    if (o->broker && !o->for_ms)
        return "--broker: for how long? --for 10m";
    if (o->recording && o->for_ms)
        return "--for goes with --broker";
    if (o->broker && strcmp(o->broker, "file") == 0 && !o->config_file)
        return "--broker file: which FILE.ini?";
    return NULL;
}

const char *estimate_options_read(struct estimate_options *o, int argc, char **argv)
{
    static char wrong[200];
    *o = (struct estimate_options){
        .kind = ESTIMATE_KIND_ANY,
        .credit = -1,
        .hold_ms = -1,
        .mtu = -1,
        .baud = -1,
        .terms = {.top = TOP, .link = {.timestamps = -1, .codec = -1}}};
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
        } else if (argv[i][0] == '-' && argv[i][1]) {
            const char *allowed =
                i + 1 < argc ? take_option(o, argv[i], argv[i + 1]) : "it wants a value";
            if (allowed) {
                snprintf(wrong, sizeof wrong, "%s: %s", argv[i], allowed);
                return wrong;
            }
            i++;
        } else {
            const char **where = ends_in(argv[i], ".ini") ? &o->config_file : &o->recording;
            if (*where)
                return "one FILE.ini and one recording only";
            *where = argv[i];
        }
    }
    return contradiction(o);
}

/* ---- what was not said ---- */

/* A number among the driver's own options. */
static int64_t driver_value(const struct config_link *link, const char *key, int64_t fallback)
{
    for (size_t i = 0; link && i < link->driver->count; i++) {
        const struct option *row = &link->driver->rows[i];
        bool number = row->type == OPTION_INT || row->type == OPTION_SIZE ||
                      row->type == OPTION_DURATION;
        if (number && strcmp(row->key, key) == 0)
            return *(const int64_t *)(const void *)((const char *)link->options + row->offset);
    }
    return fallback;
}

static bool carries_datagrams(const struct config_link *link)
{
    return link && (strcmp(link->driver_name, "iridium-sbd") == 0 ||
                    strcmp(link->driver_name, "directip") == 0);
}

static int64_t said(int64_t value, int64_t otherwise)
{
    return value >= 0 ? value : otherwise;
}

const char *estimate_options_complete(struct estimate_options *o, const struct config *config)
{
    struct estimate_link *link = &o->terms.link;
    const struct config_link *theirs =
        config && config->peer_count ? config_find_link(config, config->peers[0].links.items[0])
                                     : NULL;
    link->datagram = o->kind == ESTIMATE_KIND_ANY ? carries_datagrams(theirs)
                                                  : o->kind == ESTIMATE_DATAGRAM;
    if (theirs && carries_datagrams(theirs) != link->datagram)
        theirs = NULL; /* another kind: it says nothing of this one */
    o->hold_ms = said(o->hold_ms, driver_value(theirs, "hold", link->datagram ? SBD_HOLD : 0));
    if (!link->datagram && o->hold_ms != 0 && o->hold_ms != OPTION_NEVER)
        return "--hold: on a stream nothing waits for company: 0, or never for a backlog";
    link->backlog = o->hold_ms == OPTION_NEVER;
    link->hold_ms = o->hold_ms;
    link->mtu = (size_t)said(o->mtu, SBD_MTU);
    link->credit_bytes =
        link->datagram ? (size_t)said(o->credit, driver_value(theirs, "credit_bytes", SBD_CREDIT))
                       : 0;
    if (!link->datagram && o->credit > 0)
        return "--credit: a stream's bytes are not billed by the frame; --price-kb";
    link->baud = said(o->baud, driver_value(theirs, "baud", BAUD));
    link->metered = !theirs || theirs->metered;
    link->probe_ms = theirs && !link->datagram ? theirs->probe_ms : 0;
    return config && config->peer_count == 0 ? "FILE.ini has no [peer NAME]: nothing is carried"
                                             : NULL;
}

/* ---- a broker's place ---- */

bool estimate_options_broker(char *text, struct config_broker *broker)
{
    char *port = strncmp(text, "unix:", 5) == 0 ? NULL : strrchr(text, ':');
    if (text[0] == '[') {
        char *end = strchr(text, ']');
        if (!end || (end[1] && end[1] != ':'))
            return false;
        port = end[1] ? end + 1 : NULL;
        *end = '\0';
        text++;
    } else if (port && strchr(text, ':') != port) {
        port = NULL; /* an IPv6 address without a port */
    }
    if (port) {
        *port = '\0';
        if (!whole(port + 1, 1, 65535, &broker->port))
            return false;
    }
    broker->host = text;
    return text[0] != '\0';
}
