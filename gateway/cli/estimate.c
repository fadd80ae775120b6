#include "gateway/cli/estimate.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/units.h"
#include "config/password.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/estimate_input.h"
#include "gateway/cli/estimate_live.h"
#include "gateway/cli/estimate_report.h"
#include "gateway/wire/codec_mix.h"
#include "gateway/wire/framing.h"
#include "link_drivers/driver.h"

#define STREAM_FRAME     220 /* bytes: what a line with few errors carries best */
#define SBD_MTU          340 /* of an Iridium 9602, mobile originated */
#define SBD_CREDIT       50
#define MEMORY           (4u << 20)
#define BAUD             9600
#define TOP              20
#define PROGRESS_SECONDS 2

static const char usage[] =
    "What traffic costs on a link, beside MQTT and MQTT-SN, before there is a link.\n"
    "\n"
    "    longwire estimate [FILE.ini] RECORDING.ndjson\n"
    "    longwire estimate [FILE.ini] --broker HOST[:PORT]|file --for DURATION\n"
    "\n"
    "RECORDING: one {\"t\": seconds, \"topic\": ..., \"payload\": text} or {... \"payload_b64\": "
    "base64} a line; - is\n"
    "standard input. FILE.ini: its peers and routes are used, and with --broker file its broker; "
    "without it\n"
    "everything is carried to one peer.\n"
    "\n"
    "    --link stream|datagram   kind of link (stream)\n"
    "    --frame N, --mtu N       bytes of a frame (220), of a datagram (340)\n"
    "    --credit N               each frame is billed in steps of N bytes, 0 = it is not (stream "
    "0, datagram 50)\n"
    "    --hold DURATION|never    how long a message waits for others to share its frame (0); "
    "alarm, high do not\n"
    "    --baud N                 for minutes of air time (9600)\n"
    "    --price-kb P --price-credit P --price-minute P --price-month P   what is paid, 0 where "
    "not said\n"
    "    --codec full|plain --codec-memory SIZE --timestamps no|s|ms     where FILE.ini does not "
    "say\n"
    "    --span DURATION          what the recording covers, for a month's figures (first message "
    "to last)\n"
    "    --top N, --json          topics shown (20); everything as JSON\n";

struct arguments {
    const char *config_file, *recording, *broker;
    int64_t for_ms, frame, credit;
    int timestamps, codec; /* -1: not said */
    bool json;
    struct estimate_terms terms;
};

/* ---- the command line ---- */

static bool choice(const char *value, const char *const *names, int *chosen)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(value, names[i]) == 0) {
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

/* Takes one option with its value. Return: NULL, or what is allowed. */
static const char *take_option(struct arguments *a, const char *name, const char *value)
{
    static const char *const links[] = {"stream", "datagram", NULL}, *const codecs[] = {
                                                                         "full", "plain", NULL};
    static const char *const timestamps[] = {
        [TIMESTAMPS_NO] = "no", [TIMESTAMPS_S] = "s", [TIMESTAMPS_MS] = "ms", NULL};
    struct estimate_link *link = &a->terms.link;
    struct estimate_prices *prices = &a->terms.prices;
    int64_t n = 0;
    int chosen = 0;
    if (strcmp(name, "--broker") == 0) {
        a->broker = value;
        return NULL;
    }
    if (strcmp(name, "--for") == 0)
        return duration_parse(value, &a->for_ms) && a->for_ms > 0 && a->for_ms != OPTION_NEVER
                   ? NULL
                   : "a duration: 10m";
    if (strcmp(name, "--link") == 0) {
        bool good = choice(value, links, &chosen);
        link->datagram = chosen == 1;
        return good ? NULL : "stream or datagram";
    }
    if (strcmp(name, "--frame") == 0 || strcmp(name, "--mtu") == 0)
        return whole(value, ESTIMATE_FRAME_MIN, ESTIMATE_MTU_MAX, &a->frame) ? NULL
                                                                             : "32 to 4096 bytes";
    if (strcmp(name, "--credit") == 0)
        return whole(value, 0, 1 << 20, &a->credit) ? NULL : "bytes, 0 for none";
    if (strcmp(name, "--hold") == 0)
        return duration_parse(value, &link->hold_ms) ? NULL : "a duration: 30s, 0, never";
    if (strcmp(name, "--baud") == 0)
        return whole(value, 1, 1000000000, &a->terms.baud) ? NULL : "bits a second";
    if (strcmp(name, "--codec") == 0) {
        return choice(value, codecs, &a->codec) ? NULL : "full or plain";
    }
    if (strcmp(name, "--codec-memory") == 0) {
        bool good = size_parse(value, &n) && n >= CODEC_MIX_MEMORY_MIN && n <= CODEC_MIX_MEMORY_MAX;
        link->codec_memory = (size_t)n;
        return good ? NULL : "256K to 16M";
    }
    if (strcmp(name, "--timestamps") == 0)
        return choice(value, timestamps, &a->timestamps) ? NULL : "no, s or ms";
    if (strcmp(name, "--span") == 0)
        return duration_parse(value, &a->terms.span_ms) && a->terms.span_ms != OPTION_NEVER
                   ? NULL
                   : "a duration: 1d";
    if (strcmp(name, "--top") == 0) {
        bool good = whole(value, 0, 1000000, &n);
        a->terms.top = (unsigned)n;
        return good ? NULL : "a number of topics";
    }
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

static bool ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static const char *take_arguments(struct arguments *a, int argc, char **argv)
{
    static char wrong[200];
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            a->json = true;
        } else if (argv[i][0] == '-' && argv[i][1]) {
            const char *allowed =
                i + 1 < argc ? take_option(a, argv[i], argv[i + 1]) : "it wants a value";
            if (allowed) {
                snprintf(wrong, sizeof wrong, "%s: %s", argv[i], allowed);
                return wrong;
            }
            i++;
        } else {
            const char **where = ends_in(argv[i], ".ini") ? &a->config_file : &a->recording;
            if (*where)
                return "one FILE.ini and one recording only";
            *where = argv[i];
        }
    }
    if (!a->recording == !a->broker)
        return "a recording, or --broker, is wanted";
    if (a->broker && !a->for_ms)
        return "--broker: for how long? --for 10m";
    if (a->broker && strcmp(a->broker, "file") == 0 && !a->config_file)
        return "--broker file: which FILE.ini?";
    if (!a->terms.link.datagram && a->frame > FRAME_MAX_BYTES)
        return "--frame: a stream's frames are at most 254 bytes";
    return NULL;
}

/* What was not said follows from the kind of link. */
static void fill_defaults(struct arguments *a)
{
    struct estimate_link *link = &a->terms.link;
    link->frame_bytes = a->frame ? (size_t)a->frame : link->datagram ? SBD_MTU : STREAM_FRAME;
    /* The frames of a datagram link each begin from a model that stands still, which a stream does not show: plain is the safe side. */
    link->plain = a->codec >= 0 ? a->codec == 1 : link->datagram;
    link->tag_bytes = SEAL_TAG_DEFAULT;
    link->credit_bytes = a->credit >= 0 ? (size_t)a->credit : link->datagram ? SBD_CREDIT : 0;
}

/* ---- a recording ---- */

static void tell_progress(const struct estimate_input *in, const struct estimate_traffic *t,
                          off_t size, time_t *next)
{
    time_t now = time(NULL);
    if (now < *next)
        return;
    if (*next && size > 0)
        fprintf(stderr, "longwire: %llu messages, %.0f %%\n",
                (unsigned long long)estimate_traffic_messages(t),
                100.0 * (double)estimate_input_read(in) / (double)size);
    else if (*next)
        fprintf(stderr, "longwire: %llu messages\n",
                (unsigned long long)estimate_traffic_messages(t));
    *next = now + PROGRESS_SECONDS;
}

static int take_file(FILE *f, const char *name, struct estimate_traffic *t)
{
    struct estimate_message m;
    struct estimate_input *in = estimate_input_new(f, name);
    struct stat st;
    off_t size = fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
    time_t next = 0;
    int rc = in ? 1 : -ENOMEM;
    while (rc > 0) {
        rc = estimate_input_next(in, &m, stderr);
        if (rc < 0)
            break;
        int put = rc > 0 ? estimate_traffic_put(t, &m) : 0;
        if (put < 0) {
            fprintf(stderr, "%s: message %llu: %s\n", name,
                    (unsigned long long)estimate_traffic_messages(t),
                    put == -E2BIG ? "too many topics" : strerror(-put));
            rc = put;
        }
        tell_progress(in, t, size, &next);
    }
    estimate_input_free(in);
    return rc;
}

static int take_recording(const char *name, struct estimate_traffic *t)
{
    if (strcmp(name, "-") == 0)
        return take_file(stdin, "standard input", t);
    FILE *f = fopen(name, "r");
    if (!f) {
        fprintf(stderr, "%s: %s\n", name, strerror(errno));
        return -errno;
    }
    int rc = take_file(f, name, t);
    fclose(f);
    return rc;
}

/* ---- a broker ---- */

/* HOST, HOST:PORT, [ADDRESS]:PORT or unix:/path; what is not said stays. host is overwritten. */
static bool parse_broker(char *text, struct config_broker *broker)
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

static int take_live(const struct arguments *a, const struct config *config,
                     struct estimate_traffic *t)
{
    struct config_broker broker = {.port = 1883, .protocol = PROTOCOL_AUTO};
    char host[512], err[512];
    char *password = NULL;
    size_t password_len = 0;
    if (config)
        broker = config->broker;
    snprintf(host, sizeof host, "%s", a->broker);
    if (strcmp(a->broker, "file") != 0 && !parse_broker(host, &broker)) {
        fprintf(stderr,
                "longwire: --broker %s: HOST, HOST:PORT, [ADDRESS]:PORT or unix:/path is allowed\n",
                a->broker);
        return -EINVAL;
    }
    if (broker.password_file && broker.password_file[0]) {
        password = password_read(broker.password_file, &password_len, err, sizeof err);
        if (!password) {
            fprintf(stderr, "longwire: %s\n", err);
            return -EACCES;
        }
    }
    int rc = estimate_live(&broker, password, password_len, config, a->for_ms, t, stderr, stderr);
    password_free(password, password_len);
    return rc;
}

/* ---- the command ---- */

static int estimate(struct arguments *a, const struct config *config)
{
    struct estimate_traffic *t = estimate_traffic_new(config, &a->terms.link, a->timestamps);
    int rc = -ENOMEM;
    if (t)
        rc = a->recording ? take_recording(a->recording, t) : take_live(a, config, t);
    if (rc == 0)
        rc = estimate_traffic_end(t);
    if (rc == 0 && estimate_traffic_messages(t) == 0) {
        fprintf(stderr, "longwire: %s: no messages\n", a->recording ? a->recording : "the broker");
        rc = -ENODATA;
    }
    if (rc == 0) {
        if (!a->terms.span_ms)
            a->terms.span_ms = a->broker ? a->for_ms : estimate_traffic_span_ms(t);
        if (a->json)
            rc = estimate_report_json(t, &a->terms, stdout);
        else
            estimate_report_words(t, &a->terms, stdout);
        if (fflush(stdout) != 0 || ferror(stdout))
            rc = -EIO;
    }
    if (rc == -ENOMEM)
        fprintf(stderr, "longwire: out of memory\n");
    estimate_traffic_free(t);
    return rc == 0 ? EXIT_DONE : EXIT_FAILED;
}

int command_estimate(int argc, char **argv)
{
    struct arguments a = {.timestamps = -1,
                          .codec = -1,
                          .credit = -1,
                          .terms = {.baud = BAUD, .top = TOP, .link.codec_memory = MEMORY}};
    if (argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
        return fputs(usage, stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
    const char *wrong = take_arguments(&a, argc, argv);
    if (wrong) {
        fprintf(stderr, "longwire: estimate: %s\n\n%s", wrong, usage);
        return EXIT_USAGE;
    }
    fill_defaults(&a);
    struct config *config = NULL;
    if (a.config_file && !(config = config_load(a.config_file, link_driver_options, stderr)))
        return EXIT_FAILED;
    int status = estimate(&a, config);
    config_free(config);
    return status;
}
