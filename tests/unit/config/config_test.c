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

static struct config *load_good(const char *text)
{
    char *messages;
    struct config *c = load_text(text, &messages);
    if (!c)
        print_message("%s", messages);
    assert_non_null(c);
    free(messages);
    return c;
}

static void a_file_with_only_a_name_has_the_safe_defaults(void **state)
{
    struct config *c = load_good("[site]\nname = box\n");
    assert_string_equal(c->site_name, "box");
    assert_string_equal(c->broker.host, "127.0.0.1");
    assert_int_equal(c->broker.port, 1883);
    assert_int_equal(c->broker.protocol, PROTOCOL_AUTO);
    assert_string_equal(c->broker.client_id, "longwire-box");
    assert_string_equal(c->broker.username, "");
    assert_false(c->broker.tls);
    assert_string_equal(c->broker.topic_base, "longwire");
    assert_int_equal(c->broker.keepalive_ms, 60000);
    assert_true(c->broker.session_expiry_ms == OPTION_NEVER);
    assert_string_equal(c->store.path, "/var/lib/longwire/box.db");
    assert_int_equal(c->store.max_bytes, 256 << 20);
    assert_int_equal(c->store.on_full, ON_FULL_DROP_OLDEST);
    assert_int_equal(c->store.history, 4 << 20);
    assert_int_equal(c->store.codec_cache, 256 << 20);
    config_free(c);
}

static void peers_routes_and_links_have_the_safe_defaults(void **state)
{
    struct config *c =
        load_good("[site]\nname = box\n[peer hub]\nlinks = l\nsecret_file = hub.key\n"
                  "[route r]\npeer = hub\ntopics = a\n[link l]\ndriver = serial\ndevice = d\n");
    const struct config_peer *p = config_find_peer(c, "hub");
    assert_non_null(p);
    assert_int_equal(p->line, 3);
    assert_int_equal(p->links.count, 1);
    assert_string_equal(p->links.items[0], "l");
    assert_int_equal(p->seal, SEAL_FULL);
    assert_int_equal(p->seal_tag, 8);
    assert_false(p->forward_secrecy);
    assert_string_equal(p->next_secret_file, "");
    assert_int_equal(p->accept.count, 0);
    assert_false(p->forward);
    assert_string_equal(p->deliver_prefix, "");
    assert_int_equal(p->timestamps, TIMESTAMPS_S);
    assert_int_equal(p->codec, CODEC_AUTO);
    assert_int_equal(p->codec_memory, 4 << 20);
    assert_int_equal(p->max_message, 1 << 20);
    const struct config_route *r = &c->routes[0];
    assert_int_equal(r->priority, CLASS_NORMAL);
    assert_int_equal(r->keep, KEEP_ALL);
    assert_int_equal(r->min_interval_ms, 0);
    assert_true(r->expire_ms == OPTION_NEVER);
    assert_int_equal(r->qos, 2);
    assert_int_equal(r->retain, RETAIN_ON_CHANGE);
    assert_int_equal(r->max_payload, 65536);
    const struct config_link *l = config_find_link(c, "l");
    assert_non_null(l);
    assert_false(l->metered);
    assert_int_equal(l->probe_ms, 60000);
    assert_int_equal(l->carry, 15);
    assert_int_equal(((struct fake_serial *)l->options)->baud, 9600);
    assert_null(config_find_peer(c, "l"));
    assert_null(config_find_link(c, "hub"));
    config_free(c);
}

static const char full[] =
    "\xef\xbb\xbf; a comment\r\n"
    "# another\r\n"
    "  [site] ; with a comment\r\n"
    "\tname=buoy-17;not_a_comment\r\n"; /* refused below: ';' inside a word belongs to it */

static void a_semicolon_inside_a_word_is_no_comment(void **state)
{
    char *messages;
    assert_null(load_text(full, &messages));
    assert_non_null(strstr(messages, "\"buoy-17;not_a_comment\""));
    free(messages);
}

static void every_key_is_read(void **state)
{
    struct config *c = load_good(
        "[site]\nname = b_1\n"
        "[broker]\nhost = unix:/run/mq.sock\nport = 18\nprotocol = 3.1.1\nclient_id = me\nusername "
        "= u\n"
        "password_file = pw\ntls = on\ntls_ca = /ca\ntls_cert = c\ntls_key = k\ntls_name = n\n"
        "topic_base = gw/x\nkeepalive = 90s\nsession_expiry = 7d\n"
        "[store]\npath = sub/x.db\nmax_bytes = 1G\non_full = drop-newest\nhistory = 0\ncodec_cache "
        "= 8M\n"
        "[route one]\npeer = hub\ntopics = a/#,b , $SYS/+\nexclude = a/x ; but these\nstrip_prefix "
        "= a/\n"
        "remote_prefix = r/\npriority = alarm\nkeep = latest\nmin_interval = 500ms\nexpire = "
        "6h\nqos = 0\n"
        "retain = drop\nmax_payload = 512\n"
        "[peer hub]\nlinks = lan\nseal = auth\nsecret_file = /k\nnext_secret_file = /n\nseal_tag = "
        "16\nforward_secrecy = yes\ndrop_key = 0123abcd\naccept = cmd/#\nforward = yes\n"
        "deliver_prefix = in/\n"
        "timestamps = ms\ncodec = plain\ncodec_memory = 64K\nmax_message = 2M\nimei = "
        "300234010753370\n"
        "[link lan]\ndriver = tcp\nmetered = true\nprobe = 0\ncarry = alarm , high\nconnect = "
        "h:1\n");
    assert_string_equal(c->site_name, "b_1");
    assert_string_equal(c->broker.host, "unix:/run/mq.sock");
    assert_int_equal(c->broker.port, 18);
    assert_int_equal(c->broker.protocol, PROTOCOL_311);
    assert_string_equal(c->broker.client_id, "me");
    assert_true(c->broker.tls);
    assert_string_equal(c->broker.tls_ca, "/ca");
    assert_string_equal(c->broker.tls_name, "n");
    assert_string_equal(c->broker.topic_base, "gw/x");
    assert_int_equal(c->broker.keepalive_ms, 90000);
    assert_true(c->broker.session_expiry_ms == 604800000);
    assert_int_equal(c->store.max_bytes, 1 << 30);
    assert_int_equal(c->store.on_full, ON_FULL_DROP_NEWEST);
    assert_int_equal(c->store.history, 0);
    const struct config_route *r = &c->routes[0];
    assert_string_equal(r->name, "one");
    assert_int_equal(r->topics.count, 3);
    assert_string_equal(r->topics.items[0], "a/#");
    assert_string_equal(r->topics.items[1], "b");
    assert_string_equal(r->topics.items[2], "$SYS/+");
    assert_int_equal(r->exclude.count, 1);
    assert_string_equal(r->exclude.items[0], "a/x");
    assert_string_equal(r->strip_prefix, "a/");
    assert_string_equal(r->remote_prefix, "r/");
    assert_int_equal(r->priority, CLASS_ALARM);
    assert_int_equal(r->keep, KEEP_LATEST);
    assert_int_equal(r->min_interval_ms, 500);
    assert_int_equal(r->expire_ms, 21600000);
    assert_int_equal(r->qos, 0);
    assert_int_equal(r->retain, RETAIN_DROP);
    assert_int_equal(r->max_payload, 512);
    const struct config_peer *p = &c->peers[0];
    assert_int_equal(p->seal, SEAL_AUTH);
    assert_string_equal(p->secret_file, "/k");
    assert_string_equal(p->next_secret_file, "/n");
    assert_int_equal(p->seal_tag, 16);
    assert_true(p->forward_secrecy);
    assert_string_equal(p->drop_key, "0123abcd");
    assert_true(p->forward);
    assert_string_equal(p->deliver_prefix, "in/");
    assert_int_equal(p->timestamps, TIMESTAMPS_MS);
    assert_int_equal(p->codec, CODEC_PLAIN);
    assert_int_equal(p->codec_memory, 65536);
    assert_int_equal(p->max_message, 2 << 20);
    assert_string_equal(p->imei, "300234010753370");
    const struct config_link *l = &c->links[0];
    assert_string_equal(l->driver->name, "tcp");
    assert_true(l->metered);
    assert_int_equal(l->probe_ms, 0);
    assert_int_equal(l->carry, 1u << CLASS_ALARM | 1u << CLASS_HIGH);
    assert_string_equal(((struct fake_tcp *)l->options)->connect, "h:1");
    config_free(c);
}

static void paths_are_relative_to_the_folder_of_the_file(void **state)
{
    char *here = realpath(".", NULL), *want;
    assert_non_null(here);
    struct config *c =
        load_good("[site]\nname = b\n[store]\npath = sub/x.db\n[broker]\nusername = u\n"
                  "password_file = /etc/pw\n");
    assert_true(asprintf(&want, "%s/sub/x.db", here) > 0);
    assert_string_equal(c->store.path, want);
    assert_string_equal(c->broker.password_file, "/etc/pw");
    free(want);
    free(here);
    config_free(c);
}

static void byte_order_mark_crlf_blanks_and_a_last_line_without_end_are_taken(void **state)
{
    struct config *c = load_good("\xef\xbb\xbf\r\n; c\r\n  [site]  ; c\r\n\t name\t=  box  ; c ; "
                                 "d\r\n[store]\r\nmax_bytes=2M");
    assert_string_equal(c->site_name, "box");
    assert_int_equal(c->store.max_bytes, 2 << 20);
    config_free(c);
}

static void a_line_of_4096_bytes_is_taken_whole(void **state)
{
    char text[5000] = "[site]\nname = b\n[peer p]\nlinks = l\nseal = none\naccept = ";
    size_t begin = strlen(text) - strlen("accept = "), n = strlen(text);
    for (int i = 0; n < begin + 4096; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%stopic-with-a-long-name/%03d",
                              i ? "," : "", i);
    text[begin + 4096] = '\0';
    strcat(text, "\n[link l]\ndriver = sat\n");
    struct config *c = load_good(text);
    assert_in_range(c->peers[0].accept.count, 100, OPTION_LIST_MAX);
    assert_string_equal(c->peers[0].accept.items[99], "topic-with-a-long-name/099");
    config_free(c);
}

static void an_empty_carry_and_empty_texts_leave_the_defaults(void **state)
{
    struct config *c =
        load_good("[site]\nname = b\n[broker]\nclient_id =\nusername =\npassword_file = ; none\n"
                  "[store]\npath =\n[peer p]\nlinks = l\nseal = none\naccept =\nimei =\n"
                  "[link l]\ndriver = sat\ncarry =\n");
    assert_string_equal(c->broker.client_id, "longwire-b");
    assert_string_equal(c->store.path, "/var/lib/longwire/b.db");
    assert_int_equal(c->links[0].carry, 15);
    config_free(c);
}

static void the_driver_decides_whether_a_link_is_metered_until_the_operator_does(void **state)
{
    struct config *c = load_good(
        "[site]\nname = b\n[link s]\ndriver = sat\n[link t]\ndriver = sat\nmetered = off\n");
    assert_true(c->links[0].metered);
    assert_false(c->links[1].metered);
    config_free(c);
}

static void routes_keep_the_order_of_the_file(void **state)
{
    struct config *c = load_good(
        "[site]\nname = b\n[route z]\npeer = p\ntopics = z\n[peer p]\nlinks = l\nseal = none\n"
        "[route a]\npeer = p\ntopics = a\n[link l]\ndriver = sat\n[route m]\npeer = p\ntopics = "
        "m\n");
    assert_int_equal(c->route_count, 3);
    assert_string_equal(c->routes[0].name, "z");
    assert_string_equal(c->routes[1].name, "a");
    assert_string_equal(c->routes[2].name, "m");
    config_free(c);
}

static void the_examples_load_without_an_error(void **state)
{
    static const char *const examples[] = {SOURCE_ROOT "/config/edge.ini",
                                           SOURCE_ROOT "/config/hub.ini"};
    for (int i = 0; i < 2; i++) {
        char *text = slurp(examples[i]), *messages;
        struct config *c = load_text(text, &messages);
        if (!c)
            print_message("%s", messages);
        assert_non_null(c);
        assert_string_equal(messages, ""); /* not even a warning */
        free(messages);
        free(text);
        config_free(c);
    }
}

static char *printed(void (*print)(const struct option_group *const *, FILE *))
{
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    print(fake_drivers, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* Uncomments every key of the sample; what it then says must be what the loader takes by itself. */
static void the_sample_with_every_key_at_its_default_loads(void **state)
{
    char *sample = printed(config_sample), *text, *messages;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    static const char *const driver[] = {"serial", "tcp", "sat"};
    int link = 0;
    for (char *line = strtok(sample, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, "; The further keys", 18) == 0)
            link += fprintf(out, "[link l%d]\ndriver = %s\n", link, driver[link]) > 0;
        else if (strcmp(line, ";name = ; required") == 0)
            fputs("name = box\n", out);
        else if (strcmp(line, ";[peer NAME]") == 0)
            fputs("[peer p]\n", out);
        else if (strcmp(line, ";[route NAME]") == 0)
            fputs("[route r]\n", out);
        else if (strcmp(line, ";[link NAME]") == 0)
            fputs("[link l]\n", out);
        else if (strcmp(line, ";links = ; required") == 0)
            fputs("links = l\n", out);
        else if (strcmp(line, ";peer = ; required") == 0)
            fputs("peer = p\n", out);
        else if (strcmp(line, ";topics = ; required") == 0)
            fputs("topics = t\n", out);
        else if (strcmp(line, ";driver = ; required") == 0)
            fputs("driver = sat\n", out);
        else if (strcmp(line, ";device = ; required") == 0)
            fputs("device = d\n", out);
        else if (strcmp(line, ";seal = full") == 0)
            fputs("seal = none\n", out);
        else if (strcmp(line, ";listen =") == 0)
            fputs("listen = :1\n", out);
        else if (line[0] == ';' && line[1] != ' ')
            fprintf(out, "%s\n", line + 1);
    }
    assert_int_equal(fclose(out), 0);
    struct config *c = load_text(text, &messages);
    if (!c)
        print_message("%s\n%s", text, messages);
    assert_non_null(c);
    assert_int_equal(c->link_count, 4);
    assert_int_equal(c->links[0].probe_ms, 60000);
    assert_int_equal(c->routes[0].max_payload, 65536);
    config_free(c);
    free(messages);
    free(text);
    free(sample);
}

static void the_manual_tells_every_key_and_starts_no_request_by_accident(void **state)
{
    char *text = printed(config_manual);
    static const char *const pieces[] = {
        ".SS [site]\n",
        ".SS [peer NAME]\n",
        ".SS [link NAME] with driver = serial\n",
        ".B client_id\n",
        ".B max_payload\n",
        "Default: 64K.",
        "Allowed: drop\\-oldest, drop\\-newest. Default: drop\\-oldest.",
        ".B baud\n",
        "The default of metered is yes.",
        "Allowed: 1s to 3650d, or never. Default: never."};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
        if (!strstr(text, pieces[i]))
            fail_msg("%s is not in:\n%s", pieces[i], text);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (*line == '.')
            assert_true(strncmp(line, ".SS ", 4) == 0 || strncmp(line, ".TP\n", 4) == 0 ||
                        strncmp(line, ".B ", 3) == 0);
    free(text);
}

static void the_summary_tells_the_site_and_each_peer_and_route(void **state)
{
    char *text, *example = slurp(SOURCE_ROOT "/config/edge.ini");
    size_t n;
    struct config *c = load_good(example);
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    config_summary(c, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(
        text,
        "site buoy-17\n"
        "broker 127.0.0.1 port 1883, MQTT 5 or 3.1.1, client longwire-buoy-17, session kept for "
        "ever\n"
        "store /var/lib/longwire/buoy-17.db, up to 256M a peer; when full the oldest gives way\n"
        "peer hub: encrypted, by link radio (serial)\n"
        "  may publish here: cmd/#, config/#\n"
        "route alarms: alarm/# to hub, under site/buoy-17/\n"
        "  alarm, all, qos 2, retained on change, expire: never, up to 64K each\n"
        "route telemetry: sensors/#, gps without sensors/debug/# to hub, under site/buoy-17/\n"
        "  normal, all, qos 1, retained on change, expire: 7d, up to 64K each\n");
    free(text);
    free(example);
    config_free(c);
}

static char *check_files(const char *text, size_t *errors)
{
    char *messages;
    size_t n;
    struct config *c = load_good(text);
    FILE *out = open_memstream(&messages, &n);
    assert_non_null(out);
    *errors = config_check_files(c, out);
    assert_int_equal(fclose(out), 0);
    config_free(c);
    return messages;
}

static void files_that_cannot_be_read_are_named_with_their_line(void **state)
{
    size_t errors;
    char *messages =
        check_files("[site]\nname = b\n[store]\npath = t.ini/x.db\n[broker]\nusername = u\n"
                    "password_file = /nowhere/pw\ntls = yes\ntls_ca = .\n",
                    &errors);
    assert_int_equal(errors, 3);
    assert_non_null(strstr(
        messages, "t.ini:7: broker.password_file: /nowhere/pw cannot be read: No such file"));
    assert_non_null(strstr(messages, "t.ini:9: broker.tls_ca: "));
    assert_non_null(strstr(messages, " is not a file\n"));
    assert_non_null(strstr(messages, "t.ini:4: store.path: "));
    free(messages);
}

#define HALF "000102030405060708090a0b0c0d0e0f"
#define REST "101112131415161718191a1b1c1d1e1f"
#define SEALED                                                                                     \
    "[site]\nname = b\n[store]\npath = x.db\n[link l]\ndriver = serial\ndevice = d\n[peer p]\n" \
    "links = l\naccept = a\nsecret_file = secret\n"

static char *check_key(const char *key, const char *more, mode_t mode, size_t *errors)
{
    char text[512];
    write_file("secret", key, strlen(key));
    assert_int_equal(chmod("secret", mode), 0);
    snprintf(text, sizeof(text), SEALED "%s", more);
    char *messages = check_files(text, errors);
    unlink("secret");
    return messages;
}

static void a_key_file_is_refused_with_its_name_where_it_is_open_or_holds_no_key(void **state)
{
    static const struct {
        const char *key, *more;
        mode_t mode;
        const char *begin, *end; /* of the one line */
    } cases[] = {
        {HALF REST, "", 0640, "t.ini:11: peer p.secret_file: /",
         "/secret is open to others (mode 0640), allowed: chmod 600\n"},
        {HALF, "", 0600, "t.ini:11: peer p.secret_file: /",
         "/secret line 1: a key has 64 hex digits, here are 32\n"},
        {HALF REST, "next_secret_file = gone\n", 0600, "t.ini:12: peer p.next_secret_file: /",
         "/gone cannot be read: No such file or directory\n"},
        {HALF REST, "next_secret_file = ./secret\n", 0600, "t.ini:12: peer p.next_secret_file: ",
         "holds the key that the peer's other file holds\n"},
        {HALF REST, "[link m]\ndriver = sat\n[peer q]\nlinks = m\naccept = a\nsecret_file = secret\n",
         0600, "t.ini:17: peer q.secret_file: ",
         "holds the key of peer p: each peer needs its own\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t errors, begin = strlen(cases[i].begin), end = strlen(cases[i].end);
        char *messages = check_key(cases[i].key, cases[i].more, cases[i].mode, &errors);
        assert_int_equal(errors, 1);
        assert_true(strlen(messages) >= begin + end);
        assert_memory_equal(messages, cases[i].begin, begin);
        assert_string_equal(messages + strlen(messages) - end, cases[i].end);
        free(messages);
    }
}

static void key_files_of_two_peers_that_differ_are_good(void **state)
{
    size_t errors;
    char *messages = check_key(HALF REST, "", 0600, &errors);
    assert_int_equal(errors, 0);
    assert_string_equal(messages, "");
    free(messages);
    write_file("other", REST HALF, 64);
    assert_int_equal(chmod("other", 0400), 0);
    messages = check_key(HALF REST, "next_secret_file = other\n", 0600, &errors);
    assert_int_equal(errors, 0);
    free(messages);
    unlink("other");
}

static void a_store_named_like_a_socket_is_a_file_of_that_name(void **state)
{
    size_t errors;
    char *messages = check_files("[site]\nname = b\n[store]\npath = unix:x.db\n", &errors);
    assert_int_equal(errors, 0);
    free(messages);
}

static void files_that_are_there_and_a_folder_to_be_made_are_good(void **state)
{
    size_t errors;
    write_file("secret", "pw\n", 3);
    char *messages =
        check_files("[site]\nname = b\n[store]\npath = new/deep/x.db\n[broker]\nusername = u\n"
                    "password_file = secret\n",
                    &errors);
    assert_int_equal(errors, 0);
    assert_non_null(strstr(messages, "warning: broker.password_file: "));
    assert_non_null(strstr(messages, "can be read by every user"));
    free(messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_with_only_a_name_has_the_safe_defaults),
        cmocka_unit_test(peers_routes_and_links_have_the_safe_defaults),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(a_semicolon_inside_a_word_is_no_comment),
        cmocka_unit_test(paths_are_relative_to_the_folder_of_the_file),
        cmocka_unit_test(byte_order_mark_crlf_blanks_and_a_last_line_without_end_are_taken),
        cmocka_unit_test(a_line_of_4096_bytes_is_taken_whole),
        cmocka_unit_test(an_empty_carry_and_empty_texts_leave_the_defaults),
        cmocka_unit_test(the_driver_decides_whether_a_link_is_metered_until_the_operator_does),
        cmocka_unit_test(routes_keep_the_order_of_the_file),
        cmocka_unit_test(the_examples_load_without_an_error),
        cmocka_unit_test(the_sample_with_every_key_at_its_default_loads),
        cmocka_unit_test(the_manual_tells_every_key_and_starts_no_request_by_accident),
        cmocka_unit_test(the_summary_tells_the_site_and_each_peer_and_route),
        cmocka_unit_test(files_that_cannot_be_read_are_named_with_their_line),
        cmocka_unit_test(a_key_file_is_refused_with_its_name_where_it_is_open_or_holds_no_key),
        cmocka_unit_test(key_files_of_two_peers_that_differ_are_good),
        cmocka_unit_test(a_store_named_like_a_socket_is_a_file_of_that_name),
        cmocka_unit_test(files_that_are_there_and_a_folder_to_be_made_are_good),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
