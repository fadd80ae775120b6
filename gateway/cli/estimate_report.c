#include "gateway/cli/estimate_report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include "base/units.h"

#define MONTH_MS    (30.4375 * 86400000) /* a twelfth of 365.25 days */
#define BITS_A_BYTE 10                   /* start and stop bit */

/* One way to carry the messages, and what a month of it comes to. */
struct way {
    const char *name, *title;
    uint64_t bytes, credits;
    double month_bytes, month_credits, month_minutes, month_cost;
};
enum { WAY_LONGWIRE, WAY_MQTT_TCP, WAY_MQTT_SN, WAYS };

static uint64_t all_credits(const struct estimate_totals *t)
{
    return t->credits + t->back_credits + t->polls;
}

static void fill_ways(struct way ways[WAYS], const struct estimate_peer *p,
                      const struct estimate_terms *terms)
{
    double months = terms->span_ms ? MONTH_MS / (double)terms->span_ms : 0;
    ways[WAY_LONGWIRE] = (struct way){"longwire", "longwire",
                                      p->totals.bytes + p->totals.back_bytes,
                                      all_credits(&p->totals)};
    ways[WAY_MQTT_TCP] =
        (struct way){"mqtt_tcp", "MQTT 3.1.1 over TCP/IP", p->sum.mqtt_tcp_bytes, 0};
    ways[WAY_MQTT_SN] = (struct way){"mqtt_sn", "MQTT-SN 1.2", p->sum.mqtt_sn_bytes, 0};
    for (int i = 0; i < WAYS; i++) {
        struct way *w = &ways[i];
        const struct estimate_prices *prices = &terms->prices;
        w->month_bytes = (double)w->bytes * months;
        w->month_credits = (double)w->credits * months;
        w->month_minutes = w->month_bytes * BITS_A_BYTE / (double)terms->link.baud / 60;
        w->month_cost = prices->month + w->month_bytes / 1000 * prices->kilobyte +
                        w->month_credits * prices->credit + w->month_minutes * prices->minute;
    }
}

static double a_message(uint64_t bytes, uint64_t messages)
{
    return messages ? (double)bytes / (double)messages : 0;
}

/* The topic's part of what lies on the line: frames and acknowledgements shared by stream bytes. */
static double line_bytes(const struct estimate_peer *p, const struct estimate_sum *topic)
{
    double all = (double)(p->totals.bytes + p->totals.back_bytes);
    return p->sum.stream_bytes ? all * (double)topic->stream_bytes / (double)p->sum.stream_bytes
                               : 0;
}

static int by_cost(const void *a, const void *b)
{
    const struct estimate_topic *x = *(const struct estimate_topic *const *)a,
                                *y = *(const struct estimate_topic *const *)b;
    return (x->sum.stream_bytes < y->sum.stream_bytes) -
           (x->sum.stream_bytes > y->sum.stream_bytes);
}

/* Costliest first. NULL: out of memory, or none. */
static const struct estimate_topic **sorted(const struct estimate_peer *p)
{
    const struct estimate_topic **list = calloc(p->topic_count ? p->topic_count : 1, sizeof *list);
    for (size_t i = 0; i < p->topic_count && list; i++)
        list[i] = &p->topics[i];
    if (list)
        qsort(list, p->topic_count, sizeof *list, by_cost);
    return list;
}

/* ---- words ---- */

static const char *codec_name(const struct estimate_link *link)
{
    return link->codec == CODEC_PLAIN  ? "plain"
           : link->codec == CODEC_FAST ? "fast"
           : link->codec == CODEC_FULL ? "full"
                                       : "as configured";
}

static void words_of_link(const struct estimate_link *link, FILE *out)
{
    char hold[UNITS_TEXT_BYTES];
    duration_format(link->hold_ms, hold);
    if (link->datagram)
        fprintf(out, "link: datagrams of at most %zu bytes", link->mtu);
    else
        fprintf(out, "link: a stream of %" PRId64 " baud", link->baud);
    if (link->credit_bytes)
        fprintf(out, ", billed in credits of %zu", link->credit_bytes);
    if (link->backlog)
        fprintf(out, "; messages come as fast as it takes them");
    else if (link->datagram)
        fprintf(out, "; messages wait %s for company", hold);
    fprintf(out, "; codec %s\n", codec_name(link));
}

static void words_of_ways(const struct way ways[WAYS], const struct estimate_peer *p,
                          const struct estimate_terms *terms, FILE *out)
{
    fprintf(out, "  %-24s %12s %12s", "", "B/message", "bytes");
    if (terms->span_ms)
        fprintf(out, " %14s %12s %12s %12s", "B/month", "credits", "minutes", "cost");
    fprintf(out, "\n");
    for (int i = 0; i < WAYS; i++) {
        const struct way *w = &ways[i];
        fprintf(out, "  %-24s %12.2f %12" PRIu64, w->title, a_message(w->bytes, p->sum.messages),
                w->bytes);
        if (terms->span_ms)
            fprintf(out, " %14.0f %12.0f %12.1f %12.2f", w->month_bytes, w->month_credits,
                    w->month_minutes, w->month_cost);
        fprintf(out, "\n");
    }
}

static void words_of_topics(const struct estimate_peer *p, const struct estimate_terms *terms,
                            FILE *out)
{
    const struct estimate_topic **list = sorted(p);
    if (!list)
        return;
    double months = terms->span_ms ? MONTH_MS / (double)terms->span_ms : 0;
    fprintf(out, "  %10s %10s %10s %10s %10s %14s  topic\n", "messages", "payload", "B/message",
            "MQTT/TCP", "MQTT-SN", terms->span_ms ? "B/month" : "bytes");
    for (size_t i = 0; i < p->topic_count && i < terms->top && list[i]->sum.messages; i++) {
        const struct estimate_sum *s = &list[i]->sum;
        double bytes = line_bytes(p, s);
        fprintf(out, "  %10" PRIu64 " %10.1f %10.2f %10.1f %10.1f %14.0f  %s\n", s->messages,
                a_message(s->payload_bytes, s->messages), bytes / (double)s->messages,
                a_message(s->mqtt_tcp_bytes, s->messages), a_message(s->mqtt_sn_bytes, s->messages),
                terms->span_ms ? bytes * months : bytes, list[i]->name);
    }
    if (p->topic_count > terms->top)
        fprintf(out, "  ... and %zu topics more (--top, --json)\n", p->topic_count - terms->top);
    free(list);
}

void estimate_report_words(const struct estimate_traffic *t, const struct estimate_terms *terms,
                           FILE *out)
{
    size_t count;
    const struct estimate_peer *peers = estimate_traffic_peers(t, &count);
    fprintf(out, "%" PRIu64 " messages", estimate_traffic_messages(t));
    if (terms->span_ms)
        fprintf(out, " in %.2f hours", (double)terms->span_ms / 3600000);
    fprintf(out, ", %" PRIu64 " that no route takes\n", estimate_traffic_unrouted(t));
    words_of_link(&terms->link, out);
    for (size_t i = 0; i < count; i++) {
        const struct estimate_peer *p = &peers[i];
        struct way ways[WAYS];
        fill_ways(ways, p, terms);
        fprintf(out,
                "\n%s: %" PRIu64 " messages, %.1f bytes of payload each; %" PRIu64
                " frames out, %" PRIu64 " bytes; %" PRIu64 " back, %" PRIu64 " bytes\n",
                p->name, p->sum.messages, a_message(p->sum.payload_bytes, p->sum.messages),
                p->totals.frames, p->totals.bytes, p->totals.back_frames, p->totals.back_bytes);
        if (p->totals.polls)
            fprintf(out, "  %" PRIu64 " of the credits: sessions held only to fetch what came back\n",
                    p->totals.polls);
        for (size_t k = 0; k < p->dropped_count; k++)
            fprintf(out, "  not carried, %s: %" PRIu64 "\n", p->dropped[k].reason,
                    p->dropped[k].count);
        words_of_ways(ways, p, terms, out);
        words_of_topics(p, terms, out);
    }
    if (!terms->span_ms)
        fprintf(out, "\nAll came at one time: what a month comes to is not known (--span).\n");
}

/* ---- JSON ---- */

static json_t *json_of_sum(const struct estimate_sum *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "messages", (json_int_t)s->messages,
                     "payload_bytes", (json_int_t)s->payload_bytes, "stream_bytes",
                     (json_int_t)s->stream_bytes, "mqtt_tcp_bytes", (json_int_t)s->mqtt_tcp_bytes,
                     "mqtt_sn_bytes", (json_int_t)s->mqtt_sn_bytes);
}

static json_t *json_of_way(const struct way *w, const struct estimate_peer *p,
                           const struct estimate_terms *terms)
{
    json_t *o = json_pack("{s:I, s:f}", "bytes", (json_int_t)w->bytes, "bytes_per_message",
                          a_message(w->bytes, p->sum.messages));
    if (o && terms->span_ms)
        json_object_set_new(o, "month",
                            json_pack("{s:f, s:f, s:f, s:f}", "bytes", w->month_bytes, "credits",
                                      w->month_credits, "minutes", w->month_minutes, "cost",
                                      w->month_cost));
    return o;
}

static json_t *json_of_topics(const struct estimate_peer *p, const struct estimate_terms *terms)
{
    json_t *topics = json_array();
    const struct estimate_topic **list = sorted(p);
    for (size_t i = 0; i < p->topic_count && list; i++) {
        double bytes = line_bytes(p, &list[i]->sum);
        json_t *o = json_of_sum(&list[i]->sum);
        json_object_set_new(o, "topic", json_string(list[i]->name));
        json_object_set_new(o, "bytes", json_real(bytes));
        if (list[i]->sum.messages)
            json_object_set_new(o, "bytes_per_message",
                                json_real(bytes / (double)list[i]->sum.messages));
        if (terms->span_ms)
            json_object_set_new(o, "month_bytes",
                                json_real(bytes * MONTH_MS / (double)terms->span_ms));
        json_array_append_new(topics, o);
    }
    free(list);
    return topics;
}

static json_t *json_of_peer(const struct estimate_peer *p, const struct estimate_terms *terms)
{
    struct way ways[WAYS];
    fill_ways(ways, p, terms);
    json_t *o = json_of_sum(&p->sum);
    json_object_set_new(o, "name", json_string(p->name));
    json_t *dropped = json_object();
    for (size_t i = 0; i < p->dropped_count; i++)
        json_object_set_new(dropped, p->dropped[i].reason,
                            json_integer((json_int_t)p->dropped[i].count));
    json_object_set_new(o, "dropped", dropped);
    json_object_set_new(o, "frames_out", json_integer((json_int_t)p->totals.frames));
    json_object_set_new(o, "bytes_out", json_integer((json_int_t)p->totals.bytes));
    json_object_set_new(o, "frames_back", json_integer((json_int_t)p->totals.back_frames));
    json_object_set_new(o, "bytes_back", json_integer((json_int_t)p->totals.back_bytes));
    json_object_set_new(o, "credits", json_integer((json_int_t)all_credits(&p->totals)));
    json_object_set_new(o, "poll_credits", json_integer((json_int_t)p->totals.polls));
    for (int i = 0; i < WAYS; i++)
        json_object_set_new(o, ways[i].name, json_of_way(&ways[i], p, terms));
    json_object_set_new(o, "topics", json_of_topics(p, terms));
    return o;
}

int estimate_report_json(const struct estimate_traffic *t, const struct estimate_terms *terms,
                         FILE *out)
{
    size_t count;
    const struct estimate_peer *list = estimate_traffic_peers(t, &count);
    json_t *peers = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(peers, json_of_peer(&list[i], terms));
    const struct estimate_link *link = &terms->link;
    json_t *l = json_pack("{s:s, s:s, s:b}", "kind", link->datagram ? "datagram" : "stream", "codec",
                          codec_name(link), "backlog", link->backlog);
    if (link->datagram)
        json_object_update_new(
            l, json_pack("{s:I, s:I, s:f}", "mtu", (json_int_t)link->mtu, "credit_bytes",
                         (json_int_t)link->credit_bytes, "hold_s",
                         link->backlog ? 0.0 : (double)link->hold_ms / 1000));
    else
        json_object_set_new(l, "baud", json_integer(link->baud));
    json_t *o = json_pack("{s:I, s:I, s:f, s:o, s:o}", "messages",
                          (json_int_t)estimate_traffic_messages(t), "unrouted",
                          (json_int_t)estimate_traffic_unrouted(t), "span_s",
                          (double)terms->span_ms / 1000, "link", l, "peers", peers);
    int rc = o && json_dumpf(o, out, JSON_INDENT(1) | JSON_REAL_PRECISION(10)) == 0 &&
                     fputc('\n', out) != EOF
                 ? 0
                 : -ENOMEM;
    json_decref(o);
    return rc;
}
