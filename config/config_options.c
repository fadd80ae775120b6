#include "config/config_options.h"

#include <stdint.h>
#include <string.h>

#include "base/topic.h"
#include "config/config.h"

#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define DAY    (24 * 60 * MINUTE)
#define KIB    ((int64_t)1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

#define PREFIX_MAX_BYTES     1024      /* of a topic prefix; what is left of 65535 is the topic's */
#define UNIX_PATH_MAX_BYTES  107       /* sockaddr_un.sun_path without its NUL */
#define MQTT_MAX_PACKET      268435455 /* MQTT 5, 2.1.4: the largest remaining length */
#define MQTT_MAX_KEEPALIVE_S 65535     /* 3.1.2.10: 16 bits */
#define MQTT_MAX_EXPIRY_S    4294967294 /* 3.1.2.11.2: 32 bits, the last value means never */

const char *config_name_check(const char *name)
{
    size_t n = strlen(name);
    if (n < 1 || n > CONFIG_NAME_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != n)
        return "a name is 1 to 63 characters of a-z 0-9 - _";
    return NULL;
}

static const char *check_host(const char *host)
{
    if (strncmp(host, "unix:", 5) == 0) {
        if (host[5] != '/' || strlen(host + 5) > UNIX_PATH_MAX_BYTES)
            return "unix: is followed by an absolute path of at most 107 bytes";
        return NULL;
    }
    if (strpbrk(host, " \t/"))
        return "allowed: a host name, an address, or unix:/path";
    return NULL;
}

static const char *check_topic_base(const char *base)
{
    size_t n = strlen(base);
    if (!topic_name_valid(base, n) || base[0] == '$' || base[0] == '/' || base[n - 1] == '/')
        return "allowed: levels of a topic without +, #, a leading $, and a slash at either end";
    return NULL;
}

static const char *check_filter(const char *filter)
{
    if (!topic_filter_valid(filter, strlen(filter)))
        return "not a topic filter: + stands alone in a level, # alone and last";
    if (strncmp(filter, "$share/", 7) == 0)
        return "a shared subscription gives each message to only one of several, so that some "
               "would never come here";
    return NULL;
}

static const char *check_prefix(const char *prefix)
{
    if (!topic_name_valid(prefix, strlen(prefix)))
        return "allowed: a topic without + and #";
    return NULL;
}

static const char *check_imei(const char *imei)
{
    if (strlen(imei) != 15 || strspn(imei, "0123456789") != 15)
        return "an IMEI has 15 digits";
    return NULL;
}

static const char *check_key_id(const char *id)
{
    if (strlen(id) != 8 || strspn(id, "0123456789abcdef") != 8)
        return "the id of a key has 8 digits 0-9 a-f, as `longwire status` shows it";
    return NULL;
}

static const struct option site_rows[] = {
    {.key = "name",
     .type = OPTION_STRING,
     .offset = offsetof(struct config, site_name),
     .check = config_name_check,
     .help = "The name of this end: 1 to 63 characters of a-z 0-9 - _. The other ends know it by "
             "this name."},
};

static const char *const protocol_names[] = {
    [PROTOCOL_AUTO] = "auto", [PROTOCOL_5] = "5", [PROTOCOL_311] = "3.1.1", NULL};

static const struct option broker_rows[] = {
    {.key = "host",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_broker, host),
     .min = 1,
     .max = 255,
     .fallback = "127.0.0.1",
     .check = check_host,
     .help = "The local MQTT broker: a name, an address, or unix:/path of a socket."},
    {.key = "port",
     .type = OPTION_INT,
     .offset = offsetof(struct config_broker, port),
     .min = 1,
     .max = 65535,
     .fallback = "1883",
     .help = "Its TCP port. With TLS brokers usually listen on 8883."},
    {.key = "protocol",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_broker, protocol),
     .names = protocol_names,
     .fallback = "auto",
     .help = "The version of MQTT; auto asks for 5 and falls back to 3.1.1."},
    {.key = "client_id",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_broker, client_id),
     .min = 1,
     .max = 255,
     .fallback = "",
     .help =
         "The name of the session at the broker; empty means longwire-NAME, NAME being the site's. "
         "Changing it leaves the old session, with what waits in it, behind."},
    {.key = "username",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_broker, username),
     .min = 1,
     .max = 1024,
     .fallback = "",
     .help = "The user name for the broker; empty means none."},
    {.key = "password_file",
     .type = OPTION_PATH,
     .offset = offsetof(struct config_broker, password_file),
     .fallback = "",
     .help = "A file with the password on its first line."},
    {.key = "tls",
     .type = OPTION_BOOL,
     .offset = offsetof(struct config_broker, tls),
     .fallback = "no",
     .help = "Speak TLS to the broker; its certificate and host name are checked."},
    {.key = "tls_ca",
     .type = OPTION_PATH,
     .offset = offsetof(struct config_broker, tls_ca),
     .fallback = "",
     .help = "The certificates (PEM) that may sign the broker's; empty means those that the system "
             "trusts."},
    {.key = "tls_cert",
     .type = OPTION_PATH,
     .offset = offsetof(struct config_broker, tls_cert),
     .fallback = "",
     .help = "A certificate (PEM) of ours, where the broker asks for one."},
    {.key = "tls_key",
     .type = OPTION_PATH,
     .offset = offsetof(struct config_broker, tls_key),
     .fallback = "",
     .help = "The private key (PEM) of tls_cert."},
    {.key = "tls_name",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_broker, tls_name),
     .min = 1,
     .max = 255,
     .fallback = "",
     .help =
         "The host name that must stand in the broker's certificate; empty means that of host."},
    {.key = "topic_base",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_broker, topic_base),
     .min = 1,
     .max = 200,
     .fallback = "longwire",
     .check = check_topic_base,
     .help =
         "State, gaps and link state are published under this topic, followed by the site's name. "
         "Routes never carry these topics."},
    {.key = "keepalive",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_broker, keepalive_ms),
     .min = 5 * SECOND,
     .max = MQTT_MAX_KEEPALIVE_S * SECOND,
     .fallback = "60s",
     .help = "How soon a broker that has gone silent is noticed (rounded up to whole seconds)."},
    {.key = "session_expiry",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_broker, session_expiry_ms),
     .min = MINUTE,
     .max = MQTT_MAX_EXPIRY_S * SECOND,
     .never_ok = true,
     .fallback = "never",
     .help = "How long the broker keeps our session, and what waits in it, while longwire is not "
             "connected "
             "(MQTT 5). The default loses nothing."},
};

static const char *const on_full_names[] = {
    [ON_FULL_DROP_OLDEST] = "drop-oldest", [ON_FULL_DROP_NEWEST] = "drop-newest", NULL};

static const struct option store_rows[] = {
    {.key = "path",
     .type = OPTION_PATH,
     .offset = offsetof(struct config_store, path),
     .fallback = "",
     .help = "The database file; empty means /var/lib/longwire/NAME.db, NAME being the site's."},
    {.key = "max_bytes",
     .type = OPTION_SIZE,
     .offset = offsetof(struct config_store, max_bytes),
     .min = MIB,
     .max = 1024 * GIB,
     .fallback = "256M",
     .help = "The most that may wait for one peer, and the most that may wait from one peer for "
             "the broker."},
    {.key = "on_full",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_store, on_full),
     .names = on_full_names,
     .fallback = "drop-oldest",
     .help =
         "What gives way when max_bytes is reached: the oldest message of the lowest class, or the "
         "new "
         "one. It is counted and the other end is told. A sixteenth is kept for alarm and high."},
    {.key = "history",
     .type = OPTION_SIZE,
     .offset = offsetof(struct config_store, history),
     .min = 0,
     .max = GIB,
     .fallback = "4M",
     .help = "Delivered messages that are kept, for each peer and direction: they prime the "
             "compression after "
             "a restart, and `longwire history` shows them."},
    {.key = "codec_cache",
     .type = OPTION_SIZE,
     .offset = offsetof(struct config_store, codec_cache),
     .min = MIB,
     .max = 64 * GIB,
     .fallback = "256M",
     .help = "The most memory that compression takes for all peers together: each has its share, "
             "and does without a model where that is under 256K for each direction."},
};

static const char *const seal_names[] = {
    [SEAL_FULL] = "full", [SEAL_AUTH] = "auth", [SEAL_NONE] = "none", NULL};
static const char *const timestamp_names[] = {
    [TIMESTAMPS_NO] = "no", [TIMESTAMPS_S] = "s", [TIMESTAMPS_MS] = "ms", NULL};
static const char *const codec_names[] = {[CODEC_AUTO] = "auto",
                                          [CODEC_FULL] = "full",
                                          [CODEC_FAST] = "fast",
                                          [CODEC_PLAIN] = "plain",
                                          NULL};

static const struct option peer_rows[] = {
    {.key = "links",
     .type = OPTION_LIST,
     .offset = offsetof(struct config_peer, links),
     .min = 1,
     .max = CONFIG_NAME_MAX,
     .check = config_name_check,
     .help = "The links to this peer, by name, in order of preference. This version takes one."},
    {.key = "seal",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_peer, seal),
     .names = seal_names,
     .fallback = "full",
     .help = "What protects the link: full (encrypted and authenticated), auth (authenticated, in "
             "clear, for bands where hiding is forbidden) or none: whoever reaches the link can "
             "then read and forge. Both ends write the same."},
    {.key = "secret_file",
     .type = OPTION_PATH,
     .offset = offsetof(struct config_peer, secret_file),
     .fallback = "",
     .help =
         "The file of the key shared with this peer, and with no other, made by `longwire keygen`; "
         "needed unless seal = none. It must be closed to all but its owner (mode 0600)."},
    {.key = "next_secret_file",
     .type = OPTION_PATH,
     .offset = offsetof(struct config_peer, next_secret_file),
     .fallback = "",
     .help = "A key that is to take the place of secret_file: used as soon as the other end has "
             "it too. `longwire status` says when secret_file may go."},
    {.key = "seal_tag",
     .type = OPTION_INT,
     .offset = offsetof(struct config_peer, seal_tag),
     .min = 4,
     .max = 16,
     .fallback = "8",
     .help = "Bytes of the tag that proves a frame: 4, 6, 8, 10, 12, 14 or 16, the same at both "
             "ends. Each forged frame passes with a chance of 1 in 256 to this power."},
    {.key = "forward_secrecy",
     .type = OPTION_BOOL,
     .offset = offsetof(struct config_peer, forward_secrecy),
     .fallback = "no",
     .help = "Exchange fresh keys (X25519, at most 40 bytes more each way), so that who later gets "
             "the key file cannot read what was recorded before. Where both ends write it: on stream "
             "links at each meeting, on datagram links from the first epoch after the other end's "
             "share is known, and anew each day (metered: each week); `longwire status` says whether "
             "it holds yet."},
    {.key = "drop_key",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_peer, drop_key),
     .min = 1,
     .max = 8,
     .fallback = "",
     .check = check_key_id,
     .help = "The id of a key that was in use with this peer and that no end has any more (lost or "
             "stolen): it may be left out although the peer has not shown another."},
    {.key = "accept",
     .type = OPTION_LIST,
     .offset = offsetof(struct config_peer, accept),
     .min = 1,
     .max = TOPIC_MAX_BYTES,
     .fallback = "",
     .check = check_filter,
     .help = "Filters of the topics that this peer may publish here, as it sends them. Empty means "
             "none; what is "
             "not accepted is counted and set aside."},
    {.key = "forward",
     .type = OPTION_BOOL,
     .offset = offsetof(struct config_peer, forward),
     .fallback = "no",
     .help = "Its messages may match routes to other peers."},
    {.key = "deliver_prefix",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_peer, deliver_prefix),
     .min = 1,
     .max = PREFIX_MAX_BYTES,
     .fallback = "",
     .check = check_prefix,
     .help =
         "Put before each of its topics when publishing here, as it stands: write the slash too."},
    {.key = "timestamps",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_peer, timestamps),
     .names = timestamp_names,
     .fallback = "s",
     .help = "Carry the time of origin, in seconds or milliseconds: it arrives as the MQTT 5 user "
             "property "
             "lw-time, beside lw-site."},
    {.key = "codec",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_peer, codec),
     .names = codec_names,
     .fallback = "auto",
     .help = "How hard messages are squeezed: full always; auto, unless the link is faster than "
             "that; fast, with a smaller model at twice the "
             "speed; plain, for debugging, not at all."},
    {.key = "codec_memory",
     .type = OPTION_SIZE,
     .offset = offsetof(struct config_peer, codec_memory),
     .min = 64 * KIB,
     .max = 256 * MIB,
     .fallback = "4M",
     .help =
         "Memory of the compression model, in each direction; the two ends agree on the smaller. On a datagram link a direction "
         "holds up to four, of at most 4M each, and the receiving end takes models of 1M in any case."},
    {.key = "max_message",
     .type = OPTION_SIZE,
     .offset = offsetof(struct config_peer, max_message),
     .min = KIB,
     .max = MQTT_MAX_PACKET,
     .fallback = "1M",
     .help = "Larger messages from this peer are refused."},
    {.key = "imei",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_peer, imei),
     .min = 1,
     .max = 15,
     .fallback = "",
     .check = check_imei,
     .help = "This peer's address on a directip link."},
    {.key = "mt_max",
     .type = OPTION_INT,
     .offset = offsetof(struct config_peer, mt_max),
     .min = 200,
     .max = 1890,
     .fallback = "270",
     .help = "Bytes of the largest message to this peer's modem on a directip link: 270 for a 9602 "
             "or 9603, 1890 for a 9522."},
};

static const char *const priority_names[] = {[CLASS_ALARM] = "alarm",
                                             [CLASS_HIGH] = "high",
                                             [CLASS_NORMAL] = "normal",
                                             [CLASS_BULK] = "bulk",
                                             NULL};
static const char *const keep_names[] = {[KEEP_ALL] = "all", [KEEP_LATEST] = "latest", NULL};
static const char *const retain_names[] = {
    [RETAIN_PASS] = "pass", [RETAIN_DROP] = "drop", [RETAIN_ON_CHANGE] = "on-change", NULL};

static const struct option route_rows[] = {
    {.key = "peer",
     .type = OPTION_LIST,
     .offset = offsetof(struct config_route, peers),
     .min = 1,
     .max = CONFIG_NAME_MAX,
     .check = config_name_check,
     .help = "The peers that get the messages, by name."},
    {.key = "topics",
     .type = OPTION_LIST,
     .offset = offsetof(struct config_route, topics),
     .min = 1,
     .max = TOPIC_MAX_BYTES,
     .check = check_filter,
     .help = "MQTT filters of the topics to send. For each peer the first route that matches, in "
             "the order "
             "of the file, takes the message."},
    {.key = "exclude",
     .type = OPTION_LIST,
     .offset = offsetof(struct config_route, exclude),
     .min = 1,
     .max = TOPIC_MAX_BYTES,
     .fallback = "",
     .check = check_filter,
     .help = "Filters of topics that this route leaves alone; a later route may take them."},
    {.key = "strip_prefix",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_route, strip_prefix),
     .min = 1,
     .max = PREFIX_MAX_BYTES,
     .fallback = "",
     .check = check_prefix,
     .help = "Taken off the front of the topic, where it stands there, before remote_prefix is put "
             "on."},
    {.key = "remote_prefix",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_route, remote_prefix),
     .min = 1,
     .max = PREFIX_MAX_BYTES,
     .fallback = "",
     .check = check_prefix,
     .help = "Put before the topic for the far end, as it stands: write the slash too."},
    {.key = "priority",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_route, priority),
     .names = priority_names,
     .fallback = "normal",
     .help = "alarm goes before everything else; high, normal and bulk share the rest 8:4:1."},
    {.key = "keep",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_route, keep),
     .names = keep_names,
     .fallback = "all",
     .help = "latest: a newer message replaces one of the same topic that was not yet sent, and is "
             "counted."},
    {.key = "min_interval",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_route, min_interval_ms),
     .min = 0,
     .max = 365 * DAY,
     .fallback = "0",
     .help =
         "At most one message of a topic in this time; the newest wins, the others are counted."},
    {.key = "expire",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_route, expire_ms),
     .min = SECOND,
     .max = 3650 * DAY,
     .never_ok = true,
     .fallback = "never",
     .help = "Messages that have waited longer are given up, counted, and the other end is told."},
    {.key = "qos",
     .type = OPTION_INT,
     .offset = offsetof(struct config_route, qos),
     .min = 0,
     .max = 2,
     .fallback = "2",
     .help = "The highest QoS asked from the broker and used at the far end. 2 delivers each "
             "message once "
             "as its publisher sent it."},
    {.key = "retain",
     .type = OPTION_ENUM,
     .offset = offsetof(struct config_route, retain),
     .names = retain_names,
     .fallback = "on-change",
     .help = "Retained messages: send them, drop them, or send one only where it differs from the "
             "last one "
             "sent of its topic (brokers repeat them at each new session)."},
    {.key = "max_payload",
     .type = OPTION_SIZE,
     .offset = offsetof(struct config_route, max_payload),
     .min = 1,
     .max = MQTT_MAX_PACKET,
     .fallback = "64K",
     .help =
         "Larger messages are refused, counted, and the other end is told. The default keeps a "
         "stray file off "
         "a thin link (64K take a minute at 9600 baud); the far end's max_message bounds it too."},
};

static const struct option link_rows[] = {
    {.key = "driver",
     .type = OPTION_STRING,
     .offset = offsetof(struct config_link, driver_name),
     .help = "The kind of link; it decides which further keys there are."},
    {.key = "metered",
     .type = OPTION_BOOL,
     .offset = offsetof(struct config_link, metered),
     .fallback = "no",
     .help = "The link costs by the byte: nothing is sent when there is nothing to say. The "
             "default is the driver's "
             "(yes where each byte is usually billed)."},
    {.key = "probe",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config_link, probe_ms),
     .min = 0,
     .max = DAY,
     .fallback = "60s",
     .help = "How long a peer may be silent before it is asked, on a link that is not metered; 0 "
             "means never."},
    {.key = "carry",
     .type = OPTION_CLASSES,
     .offset = offsetof(struct config_link, carry),
     .fallback = "alarm, high, normal, bulk",
     .help = "The classes of messages that this link may carry."},
};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

const struct config_section config_sections[SECTION_KINDS] = {
    [SECTION_SITE] = {"site", false, site_rows, COUNT(site_rows), "This end."},
    [SECTION_BROKER] = {"broker", false, broker_rows, COUNT(broker_rows),
                        "The MQTT broker beside this gateway."},
    [SECTION_STORE] = {"store", false, store_rows, COUNT(store_rows), "Where messages wait."},
    [SECTION_PEER] = {"peer", true, peer_rows, COUNT(peer_rows),
                      "A site at the other end of a link, by its [site] name."},
    [SECTION_ROUTE] = {"route", true, route_rows, COUNT(route_rows),
                       "Which messages go to which peers, and how."},
    [SECTION_LINK] = {"link", true, link_rows, COUNT(link_rows),
                      "A line, radio or network that leads to peers."},
};
