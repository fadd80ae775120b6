#include "gateway/cli/estimate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "config/password.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/estimate_input.h"
#include "gateway/cli/estimate_live.h"
#include "gateway/cli/estimate_options.h"
#include "gateway/cli/estimate_report.h"
#include "link_drivers/driver.h"

#define PROGRESS_SECONDS 2

/* Interrupted once: no further message is counted, and those before are told of. Twice: nothing is. */
static volatile sig_atomic_t interrupts;

static void on_interrupt(int signal)
{
    interrupts++;
}

static bool interrupted(void *ctx)
{
    return interrupts > 0;
}

static bool given_up(void *ctx)
{
    return interrupts > 1;
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
    while (rc > 0 && !interrupts) {
        rc = estimate_input_next(in, &m, stderr);
        if (rc < 0)
            break;
        int put = rc > 0 ? estimate_traffic_put(t, &m) : 0;
        if (put < 0) {
            fprintf(stderr, "%s: message %llu: %s\n", name,
                    (unsigned long long)estimate_traffic_messages(t),
                    estimate_traffic_error(t, put));
            rc = put;
        }
        tell_progress(in, t, size, &next);
    }
    estimate_input_free(in);
    return rc < 0 && !interrupts ? rc : 0;
}

static int take_recording(const char *name, struct estimate_traffic *t)
{
    if (strcmp(name, "-") == 0)
        return take_file(stdin, "standard input", t);
    FILE *f = fopen(name, "r");
    if (!f) {
        int rc = -errno;
        fprintf(stderr, "%s: %s\n", name, strerror(-rc));
        return rc;
    }
    int rc = take_file(f, name, t);
    fclose(f);
    return rc;
}

/* ---- a broker ---- */

static int take_live(struct estimate_options *o, const struct config *config,
                     struct estimate_traffic *t)
{
    struct config_broker broker = {.port = 1883, .protocol = PROTOCOL_AUTO};
    char host[512], err[512];
    char *password = NULL;
    size_t password_len = 0;
    if (config)
        broker = config->broker;
    snprintf(host, sizeof host, "%s", o->broker);
    if (strcmp(o->broker, "file") != 0 && !estimate_options_broker(host, &broker)) {
        fprintf(stderr,
                "longwire: --broker %s: HOST, HOST:PORT, [ADDRESS]:PORT or unix:/path is allowed\n",
                o->broker);
        return -EINVAL;
    }
    if (broker.password_file && broker.password_file[0]) {
        password = password_read(broker.password_file, &password_len, err, sizeof err);
        if (!password) {
            fprintf(stderr, "longwire: %s\n", err);
            return -EACCES;
        }
    }
    const struct estimate_live_plan plan = {&broker, password, password_len,
                                            config,  o->for_ms, interrupted};
    int64_t lasted_ms = o->for_ms;
    int rc = estimate_live(&plan, t, &lasted_ms, stderr, stderr);
    password_free(password, password_len);
    o->terms.span_ms = o->terms.span_ms ? o->terms.span_ms : lasted_ms;
    return rc;
}

/* ---- the command ---- */

static int finish(const struct estimate_options *o, struct estimate_traffic *t)
{
    if (interrupts)
        fprintf(stderr, "longwire: interrupted: what follows is of the %llu messages so far\n",
                (unsigned long long)estimate_traffic_messages(t));
    if (estimate_traffic_messages(t) == 0) {
        if (o->recording)
            fprintf(stderr, "%s: no messages\n", o->recording);
        else
            fprintf(stderr, "longwire: the broker published nothing that %s in this time\n",
                    o->config_file ? "the routes ask for" : "may be read");
        return -ENODATA;
    }
    int rc = estimate_traffic_end(t);
    if (rc < 0)
        fprintf(stderr, "longwire: %s\n", estimate_traffic_error(t, rc));
    return rc;
}

static int tell(struct estimate_options *o, const struct estimate_traffic *t)
{
    int rc = 0;
    if (!o->terms.span_ms)
        o->terms.span_ms = estimate_traffic_span_ms(t);
    if (o->json)
        rc = estimate_report_json(t, &o->terms, stdout);
    else
        estimate_report_words(t, &o->terms, stdout);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = -EIO;
    if (rc < 0)
        fprintf(stderr, "longwire: the report: %s\n", strerror(-rc));
    return rc;
}

static int estimate(struct estimate_options *o, const struct config *config)
{
    struct estimate_traffic *t =
        estimate_traffic_new(config, &o->terms.link, given_up, NULL);
    if (!t) {
        fprintf(stderr, "longwire: out of memory\n");
        return EXIT_FAILED;
    }
    int rc = o->recording ? take_recording(o->recording, t) : take_live(o, config, t);
    if (rc == 0)
        rc = finish(o, t);
    if (rc == 0)
        rc = tell(o, t);
    estimate_traffic_free(t);
    return rc == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int wrong_usage(const char *what)
{
    fprintf(stderr, "longwire: estimate: %s\n\n%s", what, estimate_usage);
    return EXIT_USAGE;
}

int command_estimate(int argc, char **argv)
{
    /* The temporary folders of the gateways are to be taken away whatever ends this. */
    const struct sigaction interrupt = {.sa_handler = on_interrupt};
    struct estimate_options o;
    struct config *config = NULL;
    if (argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
        return fputs(estimate_usage, stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
    const char *wrong = estimate_options_read(&o, argc, argv);
    if (wrong)
        return wrong_usage(wrong);
    if (o.config_file && !(config = config_load(o.config_file, link_driver_options, stderr)))
        return EXIT_FAILED;
    wrong = estimate_options_complete(&o, config);
    int status;
    if (wrong) {
        status = wrong_usage(wrong);
    } else {
        sigaction(SIGINT, &interrupt, NULL);
        sigaction(SIGTERM, &interrupt, NULL);
        status = estimate(&o, config);
    }
    config_free(config);
    return status;
}
