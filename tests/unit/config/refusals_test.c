/* What is refused, with the line and the words that the operator gets. Each case is a file and its
 * whole output, so that a message too many fails as well as one too few. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/config/fixture.h"

struct wrong {
    const char *text;
    const char *messages; /* all of them */
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A whole gateway, lines 1 to 11; cases add to its end, and a later section may stand alone. */
#define SITE "[site]\nname = b\n"
#define LINK "[link l]\ndriver = serial\ndevice = d\n"
#define PEER "[peer p]\nlinks = l\nseal = none\naccept = cmd\n"
#define GOOD SITE LINK PEER "[route r]\n"
#define UNSEALED                                                                                   \
    "warning: peer p.seal: nobody is authenticated: whoever reaches the link of this peer can "    \
    "read what "                                                                                   \
    "passes, and publish here what accept allows\n"
#define W8 "t.ini:8: " UNSEALED

static void expect(const struct wrong *cases, size_t n, bool loads)
{
    for (size_t i = 0; i < n; i++) {
        char *messages;
        struct config *c = load_text(cases[i].text, &messages);
        if (strcmp(messages, cases[i].messages) != 0 || (c != NULL) != loads)
            fail_msg("%s\n--- said:\n%s--- and not:\n%s", cases[i].text, messages,
                     cases[i].messages);
        config_free(c);
        free(messages);
    }
}

static void lines_that_are_no_ini_are_refused_with_their_number(void **state)
{
    static const struct wrong cases[] = {
        {SITE PEER "junk\n" LINK,
         "t.ini:5: " UNSEALED
         "t.ini:7: neither [section] nor key = value (a value stands on one line)\n"},
        {SITE PEER "  a, b\n" LINK,
         "t.ini:5: " UNSEALED
         "t.ini:7: neither [section] nor key = value (a value stands on one line)\n"},
        {SITE PEER "imei : 3\n" LINK,
         "t.ini:5: " UNSEALED
         "t.ini:7: neither [section] nor key = value (a value stands on one line)\n"},
        {SITE PEER " = 3\n" LINK,
         "t.ini:5: " UNSEALED "t.ini:7: a key is one word of at most 63 bytes before the =\n"},
        {SITE PEER "two words = 3\n" LINK,
         "t.ini:5: " UNSEALED "t.ini:7: a key is one word of at most 63 bytes before the =\n"},
        {SITE LINK PEER "[route r\npeer = 3\n",
         W8 "t.ini:10: a section is written [kind] or [kind name], alone on its line\n"},
        {SITE LINK PEER "[route r] x\npeer = 3\n",
         W8 "t.ini:10: a section is written [kind] or [kind name], alone on its line\n"},
        {SITE LINK PEER "[]\npeer = 3\n",
         W8 "t.ini:10: the name of a section has 1 to 63 bytes, as in [peer hub]\n"},
        {SITE LINK PEER "imei = \"300234010753370\"\n",
         W8 "t.ini:10: peer p.imei: values are written without quotes\n"},
    };
    expect(cases, COUNT(cases), false);
    char *messages;
    assert_null(load_text("name = b\n" SITE, &messages));
    assert_non_null(strstr(messages, "t.ini:1: the key name stands before the first [section]\n"));
    free(messages);
}

#define NO_PEER "t.ini: warning: there is no [peer NAME]: nothing goes anywhere\n"

static void bad_bytes_are_refused_with_their_line(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *messages;
    } cases[] = {
        {"[site]\nname = b\nx\0y = 1\n", 23,
         NO_PEER "t.ini:3: a NUL byte is in the line; is this a text file?\n"},
        {"[site]\nname = b\n; caf\xe9\n", 23, NO_PEER "t.ini:3: the line is not UTF-8\n"},
        {"[site]\nname = b\nx\x1by = 1\n", 23,
         NO_PEER "t.ini:3: a control character is in the line\n"},
        {"[site]\nname = b\rc = 1\n", 22,
         NO_PEER "t.ini:1: site.name: must be written: The name of this end: 1 to 63 characters of "
                 "a-z 0-9 - _. The "
                 "other ends know it by this name.\nt.ini:2: a control character is in the line\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *messages;
        assert_null(load_bytes(cases[i].text, cases[i].n, &messages));
        assert_string_equal(messages, cases[i].messages);
        free(messages);
    }
}

static void a_line_of_4097_bytes_is_refused(void **state)
{
    char text[5000] = "[site]\nname = b\n; ", *messages;
    size_t begin = strlen(text) - 2;
    memset(text + begin + 2, 'x', 4095);
    strcpy(text + begin + 4097, "\n");
    assert_null(load_text(text, &messages));
    assert_string_equal(messages, NO_PEER "t.ini:3: the line is longer than 4096 bytes\n");
    free(messages);
}

static void unknown_and_double_sections_and_keys_are_refused(void **state)
{
    static const struct wrong cases[] = {
        {SITE LINK PEER "[rout r]\n", W8
         "t.ini:10: there is no section [rout r], allowed: [site], [broker], [store], [peer NAME], "
         "[route NAME], [link NAME]\n"},
        {SITE LINK PEER "[site]\nname = c\n",
         W8 "t.ini:10: site: stands here a second time, first on line 1\n"},
        {SITE LINK PEER "[peer p]\nlinks = l\n",
         W8 "t.ini:10: peer p: stands here a second time, first on line 6\n"},
        {SITE LINK PEER "[link  l]\n",
         W8 "t.ini:10: link l: stands here a second time, first on line 3\n"},
        {SITE LINK PEER "[peer]\n", W8 "t.ini:10: peer: must have a name, as in [peer hub]\n"},
        {SITE LINK PEER "[broker x]\n",
         W8 "t.ini:10: broker x: has no name: write the kind alone\n"},
        {SITE LINK PEER "[peer Hub]\n",
         W8 "t.ini:10: peer Hub: a name is 1 to 63 characters of a-z 0-9 - _\n"},
        {SITE LINK PEER "[store]\nmax = 3\n", W8 "t.ini:11: store.max: there is no such key here, "
                                                 "allowed: path, max_bytes, on_full, history, "
                                                 "codec_cache\n"},
        {SITE LINK PEER "[store]\nhistory = 3\nhistory = 3\n",
         W8 "t.ini:12: store.history: stands here a second time, first on line 11\n"},
        {SITE "[link l]\ndriver = serial\ndevice = d\nconnect = h:1\n" PEER,
         "t.ini:6: link l.connect: there is no such key here, allowed: driver, metered, probe, "
         "carry, device, "
         "baud, parity, stop, flow, duplex\n"
         "t.ini:9: " UNSEALED},
    };
    expect(cases, COUNT(cases), false);
}

static void bad_values_are_refused_with_what_is_allowed(void **state)
{
    static const struct {
        const char *section, *value, *message;
    } cases[] = {
        {"broker", "port = 0", "broker.port: \"0\" is out of bounds, allowed: 1 to 65535"},
        {"broker", "port = 65536", "broker.port: \"65536\" is out of bounds, allowed: 1 to 65535"},
        {"broker", "port = 1883x",
         "broker.port: \"1883x\" is not a whole number, allowed: 1 to 65535"},
        {"broker", "port =", "broker.port: \"\" is not a whole number, allowed: 1 to 65535"},
        {"broker", "port = 99999999999999999999",
         "broker.port: \"99999999999999999999\" is not a whole number, allowed: 1 to 65535"},
        {"broker", "protocol = 4", "broker.protocol: \"4\" is not known, allowed: auto, 5, 3.1.1"},
        {"broker", "tls = maybe", "broker.tls: \"maybe\" is neither yes nor no, allowed: yes, no"},
        {"broker", "keepalive = 60",
         "broker.keepalive: \"60\" has no unit (ms, s, m, h, d), allowed: 5s to 65535s"},
        {"broker", "keepalive = 1s",
         "broker.keepalive: \"1s\" is out of bounds, allowed: 5s to 65535s"},
        {"broker", "keepalive = never",
         "broker.keepalive: \"never\" is not possible here, allowed: 5s to 65535s"},
        {"broker", "keepalive = soon",
         "broker.keepalive: \"soon\" is not a duration such as 500ms, 30s, 15m, 6h or 7d, allowed: "
         "5s to 65535s"},
        {"broker", "host =", "broker.host: \"\" is empty, allowed: 1 to 255 bytes"},
        {"broker", "host = a b",
         "broker.host: \"a b\": allowed: a host name, an address, or unix:/path"},
        {"broker", "host = unix:x",
         "broker.host: \"unix:x\": unix: is followed by an absolute path of at most 107 bytes"},
        {"broker", "topic_base = a/",
         "broker.topic_base: \"a/\": allowed: levels of a topic without +, #, a leading $, and a "
         "slash at either end"},
        {"store", "max_bytes = 1X",
         "store.max_bytes: \"1X\" is not a size such as 512, 64K or 256M, allowed: 1M to 1024G"},
        {"store", "max_bytes = 1K",
         "store.max_bytes: \"1K\" is out of bounds, allowed: 1M to 1024G"},
        {"store", "on_full = wait",
         "store.on_full: \"wait\" is not known, allowed: drop-oldest, drop-newest"},
        {"link m", "driver = sat\ncarry = alarm, low",
         "link m.carry: \"low\" is not a class, allowed: alarm, high, normal, bulk"},
        {"link m", "driver = pigeon",
         "link m.driver: \"pigeon\" is not a driver, allowed: serial, tcp, sat"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[500], *messages;
        snprintf(text, sizeof(text), SITE LINK PEER "[%s]\n%s\n", cases[i].section, cases[i].value);
        assert_null(load_text(text, &messages));
        if (!strstr(messages, cases[i].message))
            fail_msg("%s\n--- said:\n%s", text, messages);
        free(messages);
    }
}

#define EACH "allowed: 1 to 65535 bytes each"

static void bad_items_of_lists_are_refused(void **state)
{
    static const struct {
        const char *value, *message;
    } cases[] = {
        {"topics = a,,b", "route r.topics: \"\" stands between commas as an item, " EACH},
        {"topics = a,", "route r.topics: \"\" stands between commas as an item, " EACH},
        {"topics = a, b, a", "route r.topics: \"a\" stands twice in the list, " EACH},
        {"topics =", "route r.topics: \"\" names nothing, " EACH},
        {"topics = a/#/b", "route r.topics: \"a/#/b\": not a topic filter: + stands alone in a "
                           "level, # alone and last"},
        {"topics = $share/g/a", "route r.topics: \"$share/g/a\": a shared subscription gives"},
        {"exclude = a+", "route r.exclude: \"a+\": not a topic filter"},
        {"peer = Q", "route r.peer: \"Q\": a name is 1 to 63 characters of a-z 0-9 - _"},
        {"strip_prefix = a/+", "route r.strip_prefix: \"a/+\": allowed: a topic without + and #"},
        {"qos = 3", "route r.qos: \"3\" is out of bounds, allowed: 0 to 2"},
        {"qos = -1", "route r.qos: \"-1\" is out of bounds, allowed: 0 to 2"},
        {"expire = 0", "route r.expire: \"0\" is out of bounds, allowed: 1s to 3650d, or never"},
        {"max_payload = 256M",
         "route r.max_payload: \"256M\" is out of bounds, allowed: 1 to 268435455"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[500], want[500], *messages;
        snprintf(text, sizeof(text), GOOD "%s\n", cases[i].value);
        snprintf(want, sizeof(want), "t.ini:11: %s", cases[i].message);
        assert_null(load_text(text, &messages));
        if (!strstr(messages, want))
            fail_msg("%s\n--- said:\n%s", text, messages);
        free(messages);
    }
}

static void a_long_bad_value_is_cut_between_characters(void **state)
{
    char text[1000] = SITE "[broker]\nprotocol = ", *messages;
    for (int i = 0; i < 100; i++)
        strcat(text, "\xc3\xa9");
    assert_null(load_text(text, &messages));
    assert_non_null(strstr(messages, "\xc3\xa9...\" is not known, allowed: auto, 5, 3.1.1\n"));
    free(messages);
}

static void what_is_required_is_named(void **state)
{
    static const struct wrong cases[] = {
        {"", NO_PEER "t.ini: there is no section [site] with the name of this end\n"},
        {SITE "[peer p]\nseal = none\naccept = a\n[route r]\n[link l]\n",
         "t.ini:3: peer p.links: must be written: The links to this peer, by name, in order of "
         "preference. This "
         "version takes one.\n"
         "t.ini:4: " UNSEALED
         "t.ini:6: route r.peer: must be written: The peers that get the messages, by name.\n"
         "t.ini:6: route r.topics: must be written: MQTT filters of the topics to send. For each "
         "peer the first "
         "route that matches, in the order of the file, takes the message.\n"
         "t.ini:7: link l.driver: must be written: The kind of link; it decides which further keys "
         "there are.\n"
         "t.ini:7: warning: link l: no peer uses this link\n"},
    };
    char *messages;
    assert_null(load_text(cases[0].text, &messages));
    assert_non_null(
        strstr(messages, "t.ini: there is no section [site] with the name of this end\n"));
    free(messages);
    expect(cases + 1, 1, false);
}

static void peers_of_a_link_that_goes_by_imei_have_one_each(void **state)
{
#define GATE "[link g]\ndriver = satgate\n"
#define VIA(name, imei) "[peer " name "]\nlinks = g\nseal = none\naccept = cmd\n" imei
#define UNSEALED_TO(others)                                                                        \
    "t.ini:7: warning: peer p.seal: nobody is authenticated: whoever reaches the link of this "    \
    "peer " others "can read what passes, and publish here what accept allows\n"
    static const struct wrong cases[] = {
        {SITE GATE VIA("p", ""),
         "t.ini:5: peer p.imei: is needed on the link g, which finds its peers by it\n" UNSEALED_TO("")},
        {SITE GATE VIA("p", "imei = 300234010753370\n") VIA("q", "imei = 300234010753370\n"),
         UNSEALED_TO("(and of 1 more) ") "t.ini:14: peer q.imei: is that of peer p (line 5) too\n"},
    };
    load_drivers = fake_gateway;
    expect(cases, COUNT(cases), false);
    load_drivers = fake_drivers;
}

static void sections_that_do_not_fit_together_are_refused(void **state)
{
    static const struct wrong cases[] = {
        {SITE LINK PEER "[route r]\npeer = q\ntopics = a\n",
         W8 "t.ini:11: route r.peer: there is no section [peer q]\n"},
        {SITE LINK "[peer p]\nseal = none\naccept = a\nlinks = m\n",
         "t.ini:3: warning: link l: no peer uses this link\n"
         "t.ini:7: " UNSEALED "t.ini:9: peer p.links: there is no section [link m]\n"},
        {SITE LINK PEER "[peer q]\nlinks = l\nseal = none\naccept = a\n",
         "t.ini:8: warning: peer p.seal: nobody is authenticated: whoever reaches the link of this "
         "peer (and of 1 "
         "more) can read what passes, and publish here what accept allows\n"
         "t.ini:11: peer q.links: the link l leads to one place, and peer p (line 6) uses it "
         "already\n"},
        {SITE "[link l]\ndriver = tcp\nconnect = h:1\n" PEER
              "[peer q]\nlinks = l\nseal = none\naccept = a\n",
         "t.ini:8: warning: peer p.seal: nobody is authenticated: whoever reaches the link of this "
         "peer (and of 1 "
         "more) can read what passes, and publish here what accept allows\n"
         "t.ini:11: peer q.links: the link l leads to one place, and peer p (line 6) uses it "
         "already\n"},
        {SITE LINK "[link m]\ndriver = sat\n[peer p]\nlinks = l, m\nseal = none\naccept = a\n",
         "t.ini:9: peer p.links: this version takes one link a peer, allowed: the name of one\n"
         "t.ini:10: " UNSEALED},
        {SITE LINK "[peer b]\nlinks = l\nseal = none\naccept = a\n",
         "t.ini:6: peer b: is the name of this site itself\n"
         "t.ini:8: warning: peer b.seal: nobody is authenticated: whoever reaches the link of this "
         "peer can read "
         "what passes, and publish here what accept allows\n"},
        {SITE "[link l]\ndriver = tcp\nconnect = h:1\nlisten = :1\n" PEER,
         "t.ini:6: link l.listen: stands beside connect, allowed: one of them\n"
         "t.ini:9: " UNSEALED},
        {SITE "[link l]\ndriver = tcp\n" PEER,
         "t.ini:3: link l: allowed: connect = HOST:PORT or listen = ADDRESS:PORT\n"
         "t.ini:7: " UNSEALED},
        {SITE LINK "carry = high\n" PEER "[route r]\npeer = p\ntopics = a\npriority = alarm\n",
         "t.ini:9: " UNSEALED "t.ini:14: route r.priority: no link of peer p carries the class "
         "alarm; see carry of the link\n"},
        {SITE LINK PEER "max_message = 2M\n[store]\nmax_bytes = 1M\n[route r]\npeer = p\ntopics = "
                        "a\nmax_payload = 3M\n",
         W8 "t.ini:10: peer p.max_message: is more than store.max_bytes, allowed: at most 1M\n"
            "t.ini:16: route r.max_payload: is more than store.max_bytes, allowed: at most 1M\n"},
        {SITE LINK PEER "[broker]\ntls_ca = x\n",
         W8 "t.ini:11: broker.tls_ca: has no effect without tls = yes\n"},
        {SITE LINK PEER "[broker]\ntls = yes\nport = 8883\ntls_key = k\n",
         W8 "t.ini:13: broker.tls_key: tls_cert is needed beside it\n"},
        {SITE LINK PEER "[broker]\npassword_file = x\n",
         W8 "t.ini:11: broker.password_file: MQTT 3.1.1 has no password without a user name, "
            "allowed: username = "
            "NAME, or protocol = 5\n"},
    };
    expect(cases, COUNT(cases), false);
}

#define NEEDED                                                                                     \
    "peer p.secret_file: a key is needed, allowed: secret_file = FILE (made by `longwire keygen "  \
    "FILE`), or seal = none, which protects nothing\n"
#define SEALED "[peer p]\nlinks = l\naccept = a\n"

static void a_peer_without_a_key_is_refused_unless_it_says_that_nothing_protects_it(void **state)
{
    static const struct wrong cases[] = {
        {SITE LINK SEALED, "t.ini:6: " NEEDED},
        {SITE LINK SEALED "seal = full\nsecret_file =\n", "t.ini:10: " NEEDED},
        {SITE LINK SEALED "seal = auth\n", "t.ini:6: " NEEDED},
        {SITE LINK SEALED "next_secret_file = k\n", "t.ini:6: " NEEDED},
        {SITE LINK SEALED "seal = nome\n",
         "t.ini:9: peer p.seal: \"nome\" is not known, allowed: full, auth, none\n"},
        {SITE LINK SEALED "secret_file = k\nnext_secret_file = k\n",
         "t.ini:10: peer p.next_secret_file: is the same file as secret_file\n"},
        {SITE LINK SEALED "secret_file = k\nseal_tag = 7\n",
         "t.ini:10: peer p.seal_tag: allowed: 4, 6, 8, 10, 12, 14 or 16\n"},
        {SITE LINK SEALED "secret_file = k\nseal_tag = 18\n",
         "t.ini:10: peer p.seal_tag: \"18\" is out of bounds, allowed: 4 to 16\n"},
        {SITE LINK SEALED "secret_file = k\nforward_secrecy = maybe\n",
         "t.ini:10: peer p.forward_secrecy: \"maybe\" is neither yes nor no, allowed: yes, no\n"},
        {SITE LINK SEALED "secret_file = k\ndrop_key = 12ab\n",
         "t.ini:10: peer p.drop_key: \"12ab\": the id of a key has 8 digits 0-9 a-f, as `longwire "
         "status` shows it\n"},
    };
    expect(cases, COUNT(cases), false);
}

/* Two peers on two links; the routes follow on line 13. */
#define TWO                                                                                        \
    SITE LINK "[link m]\ndriver = sat\n[peer p]\nlinks = l\nseal = none\n"                         \
              "[peer q]\nlinks = m\nseal = none\n"
#define W10                                                                                        \
    "t.ini:10: warning: peer p.seal: nobody is authenticated: whoever reaches the link of this "   \
    "peer "                                                                                        \
    "(and of 1 more) can read what passes, and publish here what accept allows\n"

static void overlapping_routes_of_any_qos_are_taken(void **state)
{
    static const struct wrong cases[] = {
        {TWO "[route a]\npeer = p\ntopics = x/#\nqos = 0\n[route b]\npeer = q\ntopics = x/+\n",
         W10},
        {TWO "[route a]\npeer = p\ntopics = x/#\n[route b]\npeer = q\ntopics = x/#\nqos = 0\n",
         W10},
    };
    expect(cases, COUNT(cases), true);
}

static void overlaps_under_3_1_1_draw_one_warning(void **state)
{
    static const struct wrong cases[] = {
        {TWO "[broker]\nprotocol = 3.1.1\n[route a]\npeer = p\ntopics = x/#\n"
             "[route b]\npeer = q\ntopics = y, x/+\n[route c]\npeer = q\ntopics = +/z\n",
         W10
         "t.ini:21: warning: route b.topics: \"x/+\" overlaps topics of route a (line 16): under "
         "MQTT 3.1.1 some brokers send a copy for each, which cannot be told from new messages\n"},
        {TWO "[broker]\nprotocol = 3.1.1\n[route a]\npeer = p, q\ntopics = x/#, x/1\n",
         W10
         "t.ini:18: warning: route a.topics: \"x/#\" overlaps topics of route a (line 16): under "
         "MQTT 3.1.1 some brokers send a copy for each, which cannot be told from new messages\n"},
        /* the same filter is one subscription, others do not meet */
        {TWO "[broker]\nprotocol = 3.1.1\n[route a]\npeer = p\ntopics = x/#\n"
             "[route b]\npeer = q\ntopics = x/#, y\n",
         W10},
    };
    expect(cases, COUNT(cases), true);
}

static void doubtful_configurations_load_with_a_warning(void **state)
{
    static const struct wrong cases[] = {
        {SITE LINK PEER "secret_file = x\n",
         W8 "t.ini:10: warning: peer p.secret_file: is not used with seal = none\n"},
        {SITE LINK PEER "next_secret_file = x\nseal_tag = 8\nforward_secrecy = yes\n",
         W8 "t.ini:10: warning: peer p.next_secret_file: is not used with seal = none\n"
            "t.ini:11: warning: peer p.seal_tag: is not used with seal = none\n"
            "t.ini:12: warning: peer p.forward_secrecy: is not used with seal = none\n"},
        {SITE LINK "[peer p]\nlinks = l\nseal = none\n",
         "t.ini:6: warning: peer p: nothing goes either way: no route names this peer, and accept "
         "is empty\n" W8},
        {SITE LINK PEER "[link m]\ndriver = sat\nprobe = 3s\n",
         W8 "t.ini:10: warning: link m: no peer uses this link\n"
            "t.ini:12: warning: link m.probe: a metered link is never probed\n"},
        {SITE LINK PEER "[route r]\npeer = p\ntopics = a/#\nstrip_prefix = b/\n",
         W8 "t.ini:13: warning: route r.strip_prefix: no topic of this route begins with \"b/\"\n"},
        {SITE LINK PEER "[route r]\npeer = p\ntopics = +/x\nstrip_prefix = b/x/\n", W8
         "t.ini:13: warning: route r.strip_prefix: no topic of this route begins with \"b/x/\"\n"},
        {SITE LINK PEER "[route r]\npeer = p\ntopics = a\nremote_prefix = site\n",
         W8 "t.ini:13: warning: route r.remote_prefix: is joined to the topic as it stands; did "
            "you mean \"site/\"?\n"},
        {SITE LINK PEER "[route r]\npeer = p\ntopics = a, #\n",
         W8 "t.ini:12: warning: route r.topics: \"#\" takes in this gateway's own topics "
            "longwire/b/#, which are left "
            "out\n"},
        {SITE LINK PEER "[route r]\npeer = p\ntopics = $SYS/a\n",
         W8 "t.ini:12: warning: route r.topics: \"$SYS/a\": a broker takes no messages on topics "
            "that begin with $; "
            "write a remote_prefix\n"},
        {SITE LINK PEER "[route r]\npeer = p\ntopics = a/b\nexclude = a/#\n",
         W8 "t.ini:12: warning: route r.topics: \"a/b\" is wholly excluded by this route itself\n"},
        {SITE LINK PEER "[route r]\npeer = p\ntopics = a/#\n[route s]\npeer = p\ntopics = a/b, a\n",
         W8 "t.ini:13: warning: route s: never used: route r (line 10) takes all of its topics "
            "first\n"},
        {SITE LINK PEER "[route r]\npeer = p\ntopics = a\npriority = alarm\nkeep = latest\n",
         W8 "t.ini:14: warning: route r.keep: an alarm that is replaced before it is sent never "
            "arrives\n"},
        {SITE LINK "[peer p]\nlinks = l\nseal = none\naccept = #\n",
         W8 "t.ini:9: warning: peer p.accept: \"#\" takes in this gateway's own topics "
            "longwire/b/#; they stay closed "
            "to the peer\n"},
        {SITE LINK PEER "[broker]\nhost = far\nusername = u\npassword_file = x\n",
         W8 "t.ini:13: warning: broker.password_file: the password goes over the network in clear "
            "without tls = yes\n"},
        {SITE LINK PEER "[broker]\ntls = yes\n",
         W8 "t.ini:10: warning: broker.port: on 1883 brokers usually speak without TLS; with it "
            "they listen on 8883\n"},
    };
    expect(cases, COUNT(cases), true);
}

static void what_is_right_draws_no_warning(void **state)
{
    static const struct wrong cases[] = {
        {SITE LINK PEER
         "[route r]\npeer = p\ntopics = a/#\nstrip_prefix = a/\nremote_prefix = s/\n",
         W8},
        {SITE LINK PEER
         "[route r]\npeer = p\ntopics = #\nexclude = longwire/#\nstrip_prefix = a/b/\n",
         W8},
        {SITE LINK PEER "[route r]\npeer = p\ntopics = +/x\nstrip_prefix = b/\n", W8},
        {SITE LINK PEER "[route r]\npeer = p\ntopics = $SYS/#\nremote_prefix = sys/\n", W8},
        {SITE LINK PEER
         "[route r]\npeer = p\ntopics = a/#\nexclude = a/b\n[route s]\npeer = p\ntopics = a/b\n",
         W8},
        {SITE LINK PEER "[broker]\nhost = unix:/s\nusername = u\npassword_file = x\n", W8},
        {SITE LINK "[peer p]\nlinks = l\nseal = none\naccept = #\ndeliver_prefix = in/\n", W8},
    };
    expect(cases, COUNT(cases), true);
}

static void a_listener_serves_many_peers(void **state)
{
    static const struct wrong cases[] = {
        {SITE "[link l]\ndriver = tcp\nlisten = :1\n" PEER
              "[peer q]\nlinks = l\nseal = none\naccept = a\n",
         "t.ini:8: warning: peer p.seal: nobody is authenticated: whoever reaches the link of this "
         "peer (and of 1 "
         "more) can read what passes, and publish here what accept allows\n"},
    };
    expect(cases, 1, true);
}

static void errors_of_all_kinds_come_in_one_run_in_the_order_of_the_lines(void **state)
{
    static const struct wrong cases[] = {
        {"[site]\nname = B\n[route r]\npeer = q\ntopics = a#\nqos = x\n[peer p]\nlinks = "
         "m\n[extra]\n",
         "t.ini:2: site.name: \"B\": a name is 1 to 63 characters of a-z 0-9 - _\n"
         "t.ini:4: route r.peer: there is no section [peer q]\n"
         "t.ini:5: route r.topics: \"a#\": not a topic filter: + stands alone in a level, # alone "
         "and last\n"
         "t.ini:6: route r.qos: \"x\" is not a whole number, allowed: 0 to 2\n"
         "t.ini:7: " NEEDED
         "t.ini:7: warning: peer p: nothing goes either way: no route names this peer, and accept "
         "is empty\n"
         "t.ini:8: peer p.links: there is no section [link m]\n"
         "t.ini:9: there is no section [extra], allowed: [site], [broker], [store], [peer NAME], "
         "[route NAME], "
         "[link NAME]\n"},
    };
    expect(cases, 1, false);
}

static void a_flood_of_errors_is_counted_beyond_two_hundred(void **state)
{
    static char text[20000] = SITE;
    char *messages;
    for (int i = 0; i < 1000; i++)
        strcat(text, "x = 1\n");
    assert_null(load_text(text, &messages));
    size_t lines = 0;
    for (char *p = messages; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 202); /* 200, the missing peer, the count */
    assert_non_null(strstr(messages, "\nt.ini: 800 more errors\n"));
    free(messages);
}

static void what_is_no_file_or_too_large_is_refused(void **state)
{
    static char big[1024 * 1024 + 1];
    char *messages;
    size_t n;
    memset(big, '\n', sizeof(big));
    memcpy(big, SITE, strlen(SITE));
    assert_null(load_bytes(big, sizeof(big), &messages));
    assert_string_equal(messages, "t.ini: the file is larger than 1 MB\n");
    free(messages);
    struct config *c = load_bytes(big, sizeof(big) - 1, &messages);
    assert_non_null(c);
    config_free(c);
    free(messages);

    assert_int_equal(mkfifo("fifo", 0600), 0);
    static const char *const others[][2] = {
        {"absent.ini", "absent.ini: cannot be read: No such file or directory\n"},
        {".", ".: this is not a file\n"},
        {"fifo", "fifo: this is not a file\n"},
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        FILE *errors = open_memstream(&messages, &n);
        assert_non_null(errors);
        assert_null(config_load(others[i][0], fake_drivers, errors));
        assert_int_equal(fclose(errors), 0);
        assert_string_equal(messages, others[i][1]);
        free(messages);
    }
    unlink("fifo");
}

static void limits_on_the_number_of_sections_hold(void **state)
{
    char *text = malloc(1 << 20), *messages;
    assert_non_null(text);
    size_t n = (size_t)sprintf(text, SITE LINK PEER);
    for (int i = 0; i <= CONFIG_MAX_ROUTES; i++)
        n += (size_t)sprintf(text + n, "[route r%d]\npeer = p\ntopics = t%d\n", i, i);
    assert_null(load_text(text, &messages));
    assert_string_equal(messages,
                        W8 "t.ini:3082: route r1024: too many [route] sections, allowed: 1024\n");
    free(messages);

    n = (size_t)sprintf(text, SITE LINK PEER);
    for (int i = 0; i < 17; i++) {
        n += (size_t)sprintf(text + n, "[route r%d]\npeer = p\ntopics = ", i);
        for (int j = 0; j < 256; j++)
            n += (size_t)sprintf(text + n, "%st%d/%d", j ? "," : "", i, j);
        n += (size_t)sprintf(text + n, "\n");
    }
    assert_null(load_text(text, &messages));
    assert_string_equal(messages,
                        "t.ini: 4352 topics and excludes of routes in all, allowed: 4096\n");
    free(messages);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_of_a_link_that_goes_by_imei_have_one_each),
        cmocka_unit_test(lines_that_are_no_ini_are_refused_with_their_number),
        cmocka_unit_test(bad_bytes_are_refused_with_their_line),
        cmocka_unit_test(a_line_of_4097_bytes_is_refused),
        cmocka_unit_test(unknown_and_double_sections_and_keys_are_refused),
        cmocka_unit_test(bad_values_are_refused_with_what_is_allowed),
        cmocka_unit_test(bad_items_of_lists_are_refused),
        cmocka_unit_test(a_long_bad_value_is_cut_between_characters),
        cmocka_unit_test(what_is_required_is_named),
        cmocka_unit_test(sections_that_do_not_fit_together_are_refused),
        cmocka_unit_test(a_peer_without_a_key_is_refused_unless_it_says_that_nothing_protects_it),
        cmocka_unit_test(overlapping_routes_of_any_qos_are_taken),
        cmocka_unit_test(overlaps_under_3_1_1_draw_one_warning),
        cmocka_unit_test(doubtful_configurations_load_with_a_warning),
        cmocka_unit_test(what_is_right_draws_no_warning),
        cmocka_unit_test(a_listener_serves_many_peers),
        cmocka_unit_test(errors_of_all_kinds_come_in_one_run_in_the_order_of_the_lines),
        cmocka_unit_test(a_flood_of_errors_is_counted_beyond_two_hundred),
        cmocka_unit_test(what_is_no_file_or_too_large_is_refused),
        cmocka_unit_test(limits_on_the_number_of_sections_hold),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
