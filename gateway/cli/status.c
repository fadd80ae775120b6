/* `longwire status`: the daemon's JSON as it is, or in words. */
#include "gateway/cli/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "config/config.h"
#include "gateway/daemon/control.h"
#include "link_drivers/driver.h"

static long long number(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void print_link(const json_t *l)
{
    printf("    link %-12s %-9s %s  out %lld B in %lld frames, in %lld B in %lld frames, resent %lld, bad %lld", text(l, "name"),
           text(l, "state"), text(l, "driver"), number(l, "bytes_out"), number(l, "frames_out"), number(l, "bytes_in"),
           number(l, "frames_in"), number(l, "retransmits"), number(l, "bad_frames"));
    if (number(l, "rtt_ms") >= 0)
        printf(", round trip %lld ms", number(l, "rtt_ms"));
    printf("\n");
}

/* What a person does next in a change of keys. */
static void print_key(const json_t *key)
{
    const char *id = json_string_value(json_object_get(key, "in_use")), *next = json_string_value(json_object_get(key, "next_secret"));
    const char *change = text(key, "change");
    if (!key)
        return;
    if (strcmp(text(key, "seal"), "none") == 0) {
        printf("    NOT PROTECTED (seal = none): whoever reaches the link can read and forge\n");
        return;
    }
    printf("    seal %s, key %s%s", text(key, "seal"), id ? id : "not used yet",
           json_is_true(json_object_get(key, "forward_secret")) ? ", forward secret"
           : json_is_true(json_object_get(key, "forward_secrecy")) ? ", NOT forward secret yet"
                                                                  : "");
    if (strcmp(change, "done") == 0)
        printf("; the new key is in use: secret_file may go once the other end says so too");
    else if (next)
        printf("; to be followed by %s: %s", next, change);
    printf("\n");
    if (json_is_true(json_object_get(key, "misfit")))
        printf("    NOTHING THAT COMES FITS A KEY of ours: are key, seal and seal_tag the same at both ends?\n");
    if (json_is_true(json_object_get(key, "awaits_echo")))
        printf("    OUR STORE WAS SET BACK, lay long, or is new: nothing is taken from this peer until it has answered for itself\n");
    if (number(key, "forged") || number(key, "replayed"))
        printf("    refused: %lld frames that fit no key, %lld repeated\n", number(key, "forged"), number(key, "replayed"));
}

static void print_peer(const json_t *p)
{
    const json_t *queue = json_object_get(p, "queue");
    printf("peer %s%s\n    queued %lld messages, %lld B", text(p, "name"),
           json_is_true(json_object_get(p, "removed")) ? " (not in the file any more: its queue is kept)" : "",
           number(queue, "messages"), number(queue, "bytes"));
    if (number(queue, "messages"))
        printf(", the oldest for %.0f s", json_number_value(json_object_get(queue, "oldest_s")));
    printf("; delivered %lld, received %lld, waiting for the broker here %lld\n", number(p, "delivered"), number(p, "received"),
           number(p, "waiting_for_broker"));
    print_key(json_object_get(p, "key"));
    const char *reason;
    json_t *value;
    json_object_foreach(json_object_get(p, "dropped"), reason, value)
        printf("    dropped, %s: %lld\n", reason, (long long)json_integer_value(value));
    json_object_foreach(json_object_get(p, "gaps_received"), reason, value)
        printf("    dropped at the far end, %s: %lld\n", reason, (long long)json_integer_value(value));
    size_t i;
    json_array_foreach(json_object_get(p, "links"), i, value)
        print_link(value);
}

static int print_words(const char *answer)
{
    json_error_t e;
    json_t *o = json_loads(answer, 0, &e);
    if (!o) {
        fprintf(stderr, "longwire: the daemon's answer is no JSON: %s\n", e.text);
        return EXIT_FAILED;
    }
    const json_t *broker = json_object_get(o, "broker");
    printf("site %s, up %lld s; broker %s, %lld messages taken, %lld given\n", text(o, "site"), number(o, "uptime_s"),
           json_is_true(json_object_get(broker, "connected")) ? "connected" : "NOT CONNECTED", number(broker, "received"),
           number(broker, "published"));
    if (json_is_true(json_object_get(json_object_get(o, "store"), "full")))
        printf("THE DISK IS FULL: nothing more is taken from the broker until there is room\n");
    size_t i;
    json_t *peer;
    json_array_foreach(json_object_get(o, "peers"), i, peer)
        print_peer(peer);
    json_decref(o);
    return EXIT_DONE;
}

int command_status(const char *file, int json)
{
    struct config *c = config_load(file, link_driver_options, stderr);
    if (!c)
        return EXIT_FAILED;
    char *answer = NULL;
    int rc = control_ask(c, &answer);
    int status = EXIT_DONE;
    if (rc == -ECONNREFUSED) {
        fprintf(stderr, "longwire: no gateway of site %s is running\n", c->site_name);
        status = EXIT_NOT_RUNNING;
    } else if (rc < 0) {
        fprintf(stderr, "longwire: cannot ask the gateway of site %s: %s\n", c->site_name, strerror(-rc));
        status = EXIT_FAILED;
    } else if (json) {
        status = fputs(answer, stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
    } else {
        status = print_words(answer);
    }
    free(answer);
    config_free(c);
    return status;
}
