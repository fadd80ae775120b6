/* What is printed from the option rows and from a loaded configuration: summary, man page section,
 * sample. */
#include "config/config.h"

#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "config/config_options.h"
#include "config/value.h"

#define ALLOWED_BYTES 200

static void print_list(FILE *out, const struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        fprintf(out, "%s%s", i ? ", " : "", list->items[i]);
}

static void print_duration(FILE *out, const char *before, int64_t ms, const char *after)
{
    char text[UNITS_TEXT_BYTES];
    duration_format(ms, text);
    fprintf(out, "%s%s%s", before, text, after);
}

static void print_size(FILE *out, const char *before, int64_t bytes, const char *after)
{
    char text[UNITS_TEXT_BYTES];
    size_format(bytes, text);
    fprintf(out, "%s%s%s", before, text, after);
}

static void summarise_broker(const struct config *c, FILE *out)
{
    static const char *const versions[] = {[PROTOCOL_AUTO] = "MQTT 5 or 3.1.1",
                                           [PROTOCOL_5] = "MQTT 5",
                                           [PROTOCOL_311] = "MQTT 3.1.1"};
    const struct config_broker *b = &c->broker;
    fprintf(out, "broker %s", b->host);
    if (strncmp(b->host, "unix:", 5) != 0)
        fprintf(out, " port %" PRId64, b->port);
    fprintf(out, ", %s%s, client %s", versions[b->protocol], b->tls ? " over TLS" : "",
            b->client_id);
    if (*b->username)
        fprintf(out, ", user %s", b->username);
    if (b->session_expiry_ms == OPTION_NEVER)
        fputs(", session kept for ever\n", out);
    else
        print_duration(out, ", session kept for ", b->session_expiry_ms, "\n");
}

static void summarise_peer(const struct config *c, const struct config_peer *peer, FILE *out)
{
    static const char *const seals[] = {[SEAL_FULL] = "encrypted",
                                        [SEAL_AUTH] = "authenticated, in clear",
                                        [SEAL_NONE] = "not protected"};
    fprintf(out, "peer %s: %s", peer->name, seals[peer->seal]);
    for (size_t i = 0; i < peer->links.count; i++) {
        const struct config_link *link = config_find_link(c, peer->links.items[i]);
        if (link)
            fprintf(out, ", by link %s (%s%s)", link->name, link->driver->name,
                    link->metered ? ", metered" : "");
    }
    if (peer->accept.count > 0) {
        fputs("\n  may publish here: ", out);
        print_list(out, &peer->accept);
        if (*peer->deliver_prefix)
            fprintf(out, " (put under %s)", peer->deliver_prefix);
    } else {
        fputs("\n  may publish nothing here", out);
    }
    fputs(peer->forward ? "\n  its messages may go on to other peers\n" : "\n", out);
}

static void summarise_route(const struct config_route *r, FILE *out)
{
    static const char *const retains[] = {[RETAIN_PASS] = "retained pass",
                                          [RETAIN_DROP] = "retained dropped",
                                          [RETAIN_ON_CHANGE] = "retained on change"};
    fprintf(out, "route %s: ", r->name);
    print_list(out, &r->topics);
    if (r->exclude.count > 0) {
        fputs(" without ", out);
        print_list(out, &r->exclude);
    }
    fputs(" to ", out);
    print_list(out, &r->peers);
    if (*r->strip_prefix)
        fprintf(out, ", %s taken off", r->strip_prefix);
    if (*r->remote_prefix)
        fprintf(out, ", under %s", r->remote_prefix);
    fprintf(out, "\n  %s, %s, qos %" PRId64 ", %s", msg_class_name((enum msg_class)r->priority),
            r->keep == KEEP_LATEST ? "only the latest of a topic" : "all", r->qos,
            retains[r->retain]);
    if (r->min_interval_ms > 0)
        print_duration(out, ", one of a topic in ", r->min_interval_ms, "");
    print_duration(out, ", expire: ", r->expire_ms, "");
    print_size(out, ", up to ", r->max_payload, " each\n");
}

void config_summary(const struct config *c, FILE *out)
{
    static const char *const when_full[] = {[ON_FULL_DROP_OLDEST] = "the oldest gives way",
                                            [ON_FULL_DROP_NEWEST] = "the new one gives way"};
    fprintf(out, "site %s\n", c->site_name);
    summarise_broker(c, out);
    fprintf(out, "store %s", c->store.path);
    print_size(out, ", up to ", c->store.max_bytes, " a peer; when full ");
    fprintf(out, "%s\n", when_full[c->store.on_full]);
    for (size_t i = 0; i < c->peer_count; i++)
        summarise_peer(c, &c->peers[i], out);
    for (size_t i = 0; i < c->route_count; i++)
        summarise_route(&c->routes[i], out);
}

/* Text as roff takes it: a hyphen that may be copied, no escapes, no line that begins a request. */
static void print_roff(FILE *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (p == text && (*p == '.' || *p == '\''))
            fputs("\\&", out);
        if (*p == '\\')
            fputs("\\e", out);
        else if (*p == '-')
            fputs("\\-", out);
        else
            fputc(*p, out);
    }
}

static void manual_row(const struct option *row, FILE *out)
{
    char allowed[ALLOWED_BYTES];
    bool text = row->type == OPTION_STRING || row->type == OPTION_PATH || row->type == OPTION_LIST;
    value_allowed(row, allowed, sizeof(allowed));
    fputs(".TP\n.B ", out);
    print_roff(out, row->key);
    fputs("\n", out);
    print_roff(out, row->help);
    fputs("\n", out);
    if (!text) {
        fputs("Allowed: ", out);
        print_roff(out, allowed);
        fputs(". ", out);
    } else if (row->type == OPTION_LIST) {
        fputs("A list with commas. ", out);
    } else if (row->type == OPTION_PATH) {
        fputs("A path, relative to the folder of the configuration file. ", out);
    }
    if (!row->fallback) {
        fputs("Required.\n", out);
    } else {
        fputs("Default: ", out);
        print_roff(out, *row->fallback ? row->fallback : "empty");
        fputs(".\n", out);
    }
}

static void manual_rows(const struct option *rows, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++)
        manual_row(&rows[i], out);
}

void config_manual(const struct option_group *const *drivers, FILE *out)
{
    for (size_t i = 0; i < SECTION_KINDS; i++) {
        const struct config_section *s = &config_sections[i];
        fprintf(out, ".SS [%s%s]\n", s->kind, s->named ? " NAME" : "");
        print_roff(out, s->help);
        fputs("\n", out);
        manual_rows(s->rows, s->count, out);
    }
    for (size_t i = 0; drivers[i]; i++) {
        fputs(".SS [link NAME] with driver = ", out);
        print_roff(out, drivers[i]->name);
        fputs("\n", out);
        print_roff(out, drivers[i]->help);
        fprintf(out, "\nThe default of metered is %s.\n",
                drivers[i]->metered_default ? "yes" : "no");
        manual_rows(drivers[i]->rows, drivers[i]->count, out);
    }
}

/* A comment, broken into lines of at most 100 characters. */
static void print_comment(FILE *out, const char *text)
{
    size_t column = 0;
    for (const char *p = text; *p;) {
        size_t word = strcspn(p, " ");
        if (column > 0 && column + 1 + word > 100) {
            fputs("\n", out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column ? " " : "; ", (int)word, p);
        p += word;
        p += strspn(p, " ");
    }
    fputs("\n", out);
}

static void sample_rows(const struct option *rows, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        char allowed[ALLOWED_BYTES];
        print_comment(out, rows[i].help);
        value_allowed(&rows[i], allowed, sizeof(allowed));
        if (rows[i].type != OPTION_STRING && rows[i].type != OPTION_PATH &&
            rows[i].type != OPTION_LIST)
            fprintf(out, "; Allowed: %s.\n", allowed);
        if (rows[i].fallback)
            fprintf(out, ";%s =%s%s\n", rows[i].key, *rows[i].fallback ? " " : "",
                    rows[i].fallback);
        else
            fprintf(out, ";%s = ; required\n", rows[i].key);
    }
}

void config_sample(const struct option_group *const *drivers, FILE *out)
{
    print_comment(
        out,
        "Every section and key of longwire's configuration, with its default. Take the ; from the "
        "front of the lines that you change; those that are required have no default.");
    for (size_t i = 0; i < SECTION_KINDS; i++) {
        const struct config_section *s = &config_sections[i];
        fputs("\n", out);
        print_comment(out, s->help);
        fprintf(out, ";[%s%s]\n", s->kind, s->named ? " NAME" : "");
        sample_rows(s->rows, s->count, out);
    }
    for (size_t i = 0; drivers[i]; i++) {
        fputs("\n", out);
        fprintf(out, "; The further keys of a [link NAME] with driver = %s.\n", drivers[i]->name);
        print_comment(out, drivers[i]->help);
        sample_rows(drivers[i]->rows, drivers[i]->count, out);
    }
}
