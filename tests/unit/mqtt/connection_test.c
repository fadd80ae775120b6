/* The broker connection and the session on it, against a real mosquitto, and against sockets of the
 * test's own that misbehave. Time is real here: each wait is for an event, with a guard that fails
 * the test. */
#include <netinet/in.h>
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/event.h>
#include <cmocka.h>

#include "tests/unit/mqtt/broker.h"
#include "tests/unit/mqtt/owner.h"

static struct event_base *base;
static char folder[64];
static struct broker plain, tls;

static struct mqtt_address loopback(uint16_t port)
{
    return (struct mqtt_address){.host = "127.0.0.1", .port = port};
}

/* ---- against mosquitto ---- */

static void subscribe(struct owner *o, const char *filter, uint8_t qos)
{
    struct mqtt_subscription sub = {.filter = filter, .qos = qos, .id = 1};
    assert_int_equal(mqtt_session_subscribe(o->session, &sub, 60000), 0);
    owner_sync(o);
    wait_for(base, o->subscribed > 0);
}

static void publish(struct owner *o, const char *topic, uint8_t qos, uint16_t id,
                    const void *payload, size_t n)
{
    struct mqtt_out m = {
        .topic = topic, .payload = payload, .payload_len = n, .qos = qos, .packet_id = id};
    assert_int_equal(mqtt_session_publish(o->session, &m), 0);
    owner_sync(o);
}

static void messages_pass_with(const struct mqtt_address *address, enum mqtt_version version)
{
    struct owner a, b;
    struct mqtt_session_config ca = owner_config("a"), cb = owner_config("b");
    ca.version = cb.version = version;
    owner_init(&a, base, address, &ca);
    owner_init(&b, base, address, &cb);
    wait_for(base, a.connected && b.connected);
    assert_int_equal(mqtt_session_server(a.session)->version,
                     version == MQTT_311 ? MQTT_311 : MQTT_5);
    assert_int_equal(mqtt_session_server(a.session)->bridge, version == MQTT_311);
    subscribe(&a, "t/#", 2);
    for (unsigned i = 0; i < 30; i++)
        publish(&b, "t/x", (uint8_t)(i % 3), (uint16_t)(i + 1), "hello", 5);
    wait_for(base, a.published == 30 && b.acked == 20);
    assert_int_equal(a.last_payload, 5);
    assert_true(a.dry > 0);
    wait_for(base, mqtt_session_unacked(a.session) == 0);
    publish(&a, "t/own", 1, 1, "", 0); /* no-local, by MQTT 5 or by the bridge bit */
    wait_for(base, a.acked == 1);
    publish(&b, "t/end", 0, 0, "", 0);
    wait_for(base, strcmp(a.last_topic, "t/end") == 0);
    assert_int_equal(a.published, 31);
    owner_fini(&a);
    owner_fini(&b);
}

static void messages_pass_over_tcp_with_5(void **state)
{
    (void)state;
    struct mqtt_address address = loopback(plain.port);
    messages_pass_with(&address, MQTT_AUTO);
}

static void messages_pass_over_tcp_with_311(void **state)
{
    (void)state;
    struct mqtt_address address = loopback(plain.port);
    messages_pass_with(&address, MQTT_311);
}

static void messages_pass_over_a_unix_socket(void **state)
{
    (void)state;
    char host[128];
    snprintf(host, sizeof(host), "unix:%s/socket", folder);
    struct mqtt_address address = {.host = host};
    messages_pass_with(&address, MQTT_AUTO);
}

/* Paths of the files that group_setup makes. */
static const char *file(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static struct mqtt_address tls_address(void)
{
    return (struct mqtt_address){
        .host = "127.0.0.1",
        .port = tls.port,
        .tls = true,
        .tls_ca = file("ca.pem"),
        .tls_cert = file("client.pem"),
        .tls_key = file("client.key"),
    };
}

static void messages_pass_over_tls_with_client_certificate(void **state)
{
    (void)state;
    struct mqtt_address address = tls_address(); /* checked by its IP address */
    messages_pass_with(&address, MQTT_AUTO);
    address.host = "localhost"; /* by its name; ::1 may come first, where nobody listens */
    messages_pass_with(&address, MQTT_311);
    address.host = "127.0.0.1";
    address.tls_name = "broker.example";
    messages_pass_with(&address, MQTT_AUTO);
}

static void is_refused_with(const struct mqtt_address *address, const char *text)
{
    struct owner o;
    struct mqtt_session_config c = owner_config("refused");
    owner_init(&o, base, address, &c);
    wait_for(base, o.closed > 0);
    if (!strstr(o.text, text))
        fail_msg("closed with '%s', not '%s'", o.text, text);
    assert_int_equal(o.connected, 0);
    owner_fini(&o);
}

static void tls_refuses_what_cannot_be_trusted(void **state)
{
    (void)state;
    struct mqtt_address address = tls_address();
    address.tls_name = "other.example";
    is_refused_with(&address, "certificate refused: hostname mismatch");
    address.tls_name = "127.0.0.2";
    is_refused_with(&address, "certificate refused: IP address mismatch");
    address = tls_address();
    address.tls_ca = file("other.pem");
    is_refused_with(&address, "certificate refused: ");
    address.tls_ca = ""; /* the system's authorities do not know ours */
    is_refused_with(&address, "certificate refused: ");
    address = tls_address();
    address.tls_cert = address.tls_key = NULL;
    is_refused_with(&address, "TLS: ");
}

static void tls_names_the_file_that_is_wrong(void **state)
{
    (void)state;
    struct mqtt_address address = tls_address();
    address.tls_ca = file("missing.pem");
    is_refused_with(&address, "missing.pem: No such file or directory");
    address = tls_address();
    address.tls_cert = file("mosquitto.conf");
    is_refused_with(&address, "mosquitto.conf: no start line");
    address = tls_address();
    address.tls_key = file("other.key");
    is_refused_with(&address, "other.key: key values mismatch");
    address = tls_address();
    address.tls_key = file("locked.key"); /* never asks at the terminal */
    is_refused_with(&address, "locked.key: ");
}

static void renewed_files_work_without_a_restart(void **state)
{
    (void)state;
    struct owner o;
    struct mqtt_session_config c = owner_config("renew");
    struct mqtt_address address = tls_address();
    broker_shell(folder, "cp other.pem renewed.pem");
    address.tls_ca = file("renewed.pem");
    owner_init(&o, base, &address, &c);
    wait_for(base, o.closed > 0);
    broker_shell(folder, "cp ca.pem renewed.pem");
    wait_for(base, o.connected > 0);
    owner_fini(&o);
}

static void plain_port_is_no_tls(void **state)
{
    (void)state;
    struct mqtt_address address = tls_address();
    address.port = plain.port;
    is_refused_with(&address, "");
}

static void wrong_password_is_refused_and_the_right_one_taken(void **state)
{
    (void)state;
    struct broker b;
    char own[64];
    broker_folder(own);
    broker_shell(own, "mosquitto_passwd -b -c passwords user secret && chmod 700 passwords");
    broker_start(&b, own, "listener PORT 127.0.0.1\npassword_file %s/passwords\n");
    struct mqtt_address address = loopback(b.port);
    struct mqtt_session_config c = owner_config("p");
    c.username = "user";
    c.password = "wrong";
    c.password_len = 5;
    struct owner o;
    owner_init(&o, base, &address, &c);
    wait_for(base, o.session_closed > 0);
    assert_int_equal(o.why, MQTT_CLOSE_REFUSED);
    assert_string_equal(o.text, "refused: not authorized (0x87)");
    owner_fini(&o);
    c.password = "secret";
    c.password_len = 6;
    owner_init(&o, base, &address, &c);
    wait_for(base, o.connected);
    owner_fini(&o);
    broker_stop(&b);
    broker_remove_folder(own);
}

static void large_messages_come_in_bounded_pieces(void **state)
{
    (void)state;
    static uint8_t payload[1 << 20];
    struct mqtt_address address = loopback(plain.port);
    struct mqtt_session_config ca = owner_config("a"), cb = owner_config("b");
    struct owner a, b;
    owner_init(&a, base, &address, &ca);
    owner_init(&b, base, &address, &cb);
    wait_for(base, a.connected && b.connected);
    subscribe(&a, "big", 1);
    for (unsigned i = 0; i < 5; i++)
        publish(&b, "big", 1, (uint16_t)(i + 1), payload, sizeof(payload));
    assert_true(mqtt_connection_pending(b.connection) > 4 * sizeof(payload));
    wait_for(base, a.published == 5 && b.acked == 5);
    assert_int_equal(a.last_payload, sizeof(payload));
    assert_true(a.largest_piece <= 65536);
    assert_true(b.writable > 0);
    assert_int_equal(mqtt_connection_pending(b.connection), 0);
    owner_fini(&a);
    owner_fini(&b);
}

static void message_above_our_maximum_does_not_stop_the_feed(void **state)
{
    (void)state;
    static const uint8_t payload[100000];
    struct mqtt_address address = loopback(plain.port);
    for (int v = MQTT_311; v <= MQTT_5; v++) {
        struct mqtt_session_config ca = owner_config(v == MQTT_5 ? "over5" : "over4"),
                                   cb = owner_config("b");
        ca.version = (enum mqtt_version)v;
        ca.packet_max_bytes = 50000;
        struct owner a, b;
        owner_init(&a, base, &address, &ca);
        owner_init(&b, base, &address, &cb);
        wait_for(base, a.connected && b.connected);
        subscribe(&a, "over/#", 1);
        publish(&b, "over/1", 1, 1, payload, 40000);
        publish(&b, "over/2", 1, 2, payload, sizeof(payload));
        publish(&b, "over/3", 1, 3, payload, 40000);
        wait_for(base, strcmp(a.last_topic, "over/3") == 0);
        assert_int_equal(a.published, 2);
        assert_int_equal(a.oversize, v == MQTT_311); /* an MQTT 5 broker keeps it to itself */
        assert_int_equal(mqtt_session_unacked(a.session), 0);
        assert_int_equal(a.connected, 1);
        owner_fini(&a);
        owner_fini(&b);
    }
}

enum leave { LEAVE_BY_STOP, LEAVE_BY_DROP, LEAVE_WITHOUT_DISCONNECT };

/* A client with a will leaves, while another looks on. */
static void will_is_published(const struct mqtt_address *address, enum leave leave)
{
    struct mqtt_session_config ca = owner_config("a"), cb = owner_config("b");
    cb.will = (struct mqtt_will){.topic = "will", .payload = "gone", .payload_len = 4};
    struct owner a, b;
    owner_init(&a, base, address, &ca);
    owner_init(&b, base, address, &cb);
    wait_for(base, a.connected && b.connected);
    subscribe(&a, "#", 0);
    publish(&b, "before", 0, 0, "x", 1);
    wait_for(base, a.published == 1);
    if (leave != LEAVE_WITHOUT_DISCONNECT)
        mqtt_session_disconnect(b.session, false);
    owner_sync(&b);
    if (leave == LEAVE_BY_DROP) {
        mqtt_connection_drop(b.connection, false);
        assert_int_equal(b.closed, 0);
    } else {
        mqtt_connection_stop(b.connection, 600000);
        assert_int_equal(b.closed, 0);
        wait_for(base, b.closed == 1); /* the broker closed: not the whole linger */
        assert_string_equal(b.text, "stopped");
    }
    if (leave == LEAVE_WITHOUT_DISCONNECT)
        wait_for(base, strcmp(a.last_topic, "will") == 0);
    owner_run_for(base, 100);
    assert_int_equal(b.opened, 1);
    assert_string_equal(a.last_topic, leave == LEAVE_WITHOUT_DISCONNECT ? "will" : "before");
    owner_fini(&a);
    owner_fini(&b);
}

static void stop_sends_disconnect_so_that_no_will_is_published(void **state)
{
    (void)state;
    struct mqtt_address address = loopback(plain.port), secure = tls_address();
    will_is_published(&address,
                      LEAVE_WITHOUT_DISCONNECT); /* the test sees a will when there is one */
    will_is_published(&address, LEAVE_BY_STOP);
    will_is_published(&secure, LEAVE_BY_STOP);
}

static void drop_gives_the_kernel_what_was_written(void **state)
{
    (void)state;
    struct mqtt_address address = loopback(plain.port), secure = tls_address();
    will_is_published(&address, LEAVE_BY_DROP);
    will_is_published(&secure, LEAVE_BY_DROP);
}

static void broker_that_comes_back_is_found_again(void **state)
{
    (void)state;
    struct broker b;
    char own[64];
    broker_folder(own);
    broker_start(&b, own, "listener PORT 127.0.0.1\nallow_anonymous true\n");
    struct mqtt_address address = loopback(b.port);
    struct mqtt_session_config c = owner_config("a");
    struct owner o;
    owner_init(&o, base, &address, &c);
    wait_for(base, o.connected);
    broker_stop(&b);
    wait_for(base, o.closed == 1);
    wait_for(base, o.closed == 2); /* after the back-off: nobody there */
    assert_string_equal(o.text, "Connection refused");
    broker_restart(&b);
    wait_for(base, o.connected == 2);
    owner_fini(&o);
    broker_stop(&b);
    broker_remove_folder(own);
}

/* ---- against sockets of our own ---- */

/* A unix socket that listens. Return: its descriptor; *address is where. */
static int listen_unix(struct mqtt_address *address)
{
    static char host[128];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(host, sizeof(host), "unix:%s/own", folder);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/own", folder);
    unlink(a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 8), 0);
    *address = (struct mqtt_address){.host = host};
    return fd;
}

static void dry_comes_when_the_kernel_holds_no_more(void **state)
{
    (void)state;
    static const uint8_t bytes[100000];
    struct mqtt_address address;
    struct owner o;
    int listener = listen_unix(&address);
    owner_init_raw(&o, base, &address);
    wait_for(base, o.opened);
    int peer = accept(listener, NULL, NULL);
    assert_int_equal(send(peer, bytes, sizeof(bytes), MSG_DONTWAIT), sizeof(bytes));
    wait_for(base, o.dry);
    assert_int_equal(o.bytes_at_dry, sizeof(bytes));
    assert_int_equal(o.dry, 1);
    close(peer);
    wait_for(base, o.closed);
    assert_string_equal(o.text, "closed by the broker");
    owner_fini(&o);
    close(listener);
}

static void dead_port_is_tried_again_after_the_back_off(void **state)
{
    (void)state;
    struct mqtt_address address = loopback(broker_free_port());
    struct owner o;
    owner_init_raw(&o, base, &address);
    wait_for(base, o.closed == 2);
    assert_string_equal(o.text, "Connection refused");
    assert_in_range(o.closed_at[1] - o.closed_at[0], 990, 3000);
    owner_fini(&o);
}

static void name_that_does_not_resolve_is_told(void **state)
{
    (void)state;
    struct mqtt_address address = {.host = "no-such-host.invalid", .port = 1883};
    is_refused_with(&address, "cannot resolve no-such-host.invalid: ");
}

static void listener_that_never_answers_times_out(void **state)
{
    (void)state;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    struct mqtt_address address = loopback(ntohs(a.sin_port));
    struct mqtt_session_config c = owner_config("a");
    c.connect_timeout_ms = 200;
    struct owner o;
    owner_init(&o, base, &address, &c);
    wait_for(base, o.session_closed); /* the kernel accepts; nobody says CONNACK */
    assert_int_equal(o.opened, 1);
    assert_int_equal(o.why, MQTT_CLOSE_TIMEOUT);
    owner_fini(&o);
    address = tls_address();
    address.port = ntohs(a.sin_port);
    address.connect_timeout_ms = 200;
    is_refused_with(&address, "no answer to the TLS handshake");
    close(listener);
}

/* Drops the connection n times, each time once it is open. Return: how long it took until it was open again. */
static int64_t drops_ms(struct owner *o, unsigned n)
{
    int64_t began = owner_now_ms();
    while (n-- > 0) {
        unsigned opened = o->opened;
        mqtt_connection_drop(o->connection, true);
        wait_for(base, o->opened == opened + 1);
    }
    return owner_now_ms() - began;
}

static void drop_reconnects_at_once_but_not_for_ever(void **state)
{
    (void)state;
    struct mqtt_address address;
    struct owner o;
    int listener = listen_unix(&address);
    owner_init_raw(&o, base, &address);
    wait_for(base, o.opened == 1);
    bool at_once = false;
    /* A machine that is busy may take a second for it too, but not every time. */
    for (unsigned i = 0; i < 10 && !at_once; i++) {
        at_once = drops_ms(&o, MQTT_CONNECTION_AT_ONCE_MAX) < 900;
        assert_true(drops_ms(&o, 1) >= 990); /* one too many */
        mqtt_connection_settled(o.connection);
    }
    assert_true(at_once);
    assert_int_equal(o.closed, 0); /* the owner knows that it dropped it */
    owner_fini(&o);
    close(listener);
}

static void connection_may_be_freed_or_dropped_in_every_callback(void **state)
{
    (void)state;
    for (int where = FREE_IN_OPEN; where <= FREE_IN_CLOSED; where++) {
        struct mqtt_address address;
        struct owner o;
        int listener = listen_unix(&address);
        owner_init_raw(&o, base, &address);
        o.free_in = where;
        wait_for(base, o.opened);
        int peer = accept(listener, NULL, NULL);
        assert_int_equal(send(peer, "x", 1, MSG_NOSIGNAL), where == FREE_IN_OPEN ? -1 : 1);
        close(peer);
        wait_for(base, !o.connection);
        owner_run_for(base, 20);
        owner_fini(&o);
        close(listener);
    }
    struct mqtt_address address;
    struct owner o;
    int listener = listen_unix(&address);
    owner_init_raw(&o, base, &address);
    o.drop_in_bytes = true;
    wait_for(base, o.opened);
    int peer = accept(listener, NULL, NULL);
    assert_int_equal(send(peer, "x", 1, 0), 1);
    wait_for(base, o.bytes);
    owner_run_for(base, 20);
    assert_int_equal(o.dry, 0); /* of a connection that is gone */
    owner_fini(&o);
    close(peer);
    close(listener);
}

static void writing_to_a_broker_that_left_does_no_harm(void **state)
{
    (void)state;
    struct mqtt_address address;
    struct owner o;
    int listener = listen_unix(&address);
    owner_init_raw(&o, base, &address);
    wait_for(base, o.opened);
    close(accept(listener, NULL, NULL));
    assert_true(buf_put(&o.out, "hello", 5));
    mqtt_connection_write(o.connection, &o.out); /* SIGPIPE would end the test here */
    wait_for(base, o.closed);
    assert_true(buf_put(&o.out, "hello", 5));
    mqtt_connection_write(o.connection, &o.out);
    assert_int_equal(o.out.len, 0);
    assert_int_equal(mqtt_connection_pending(o.connection), 0);
    owner_fini(&o);
    close(listener);
}

static void stop_that_finds_nothing_open_is_told_too(void **state)
{
    (void)state;
    struct mqtt_address address = loopback(broker_free_port());
    struct owner o;
    owner_init_raw(&o, base, &address);
    mqtt_connection_stop(o.connection, 5000);
    assert_int_equal(o.closed, 0);
    wait_for(base, o.closed);
    assert_string_equal(o.text, "stopped");
    assert_int_equal(o.opened, 0);
    owner_fini(&o);
}

static void stop_ends_with_the_linger_where_the_broker_does_not_close(void **state)
{
    (void)state;
    struct mqtt_address address;
    struct owner o;
    int listener = listen_unix(&address);
    owner_init_raw(&o, base, &address);
    wait_for(base, o.opened);
    int64_t began = owner_now_ms();
    mqtt_connection_stop(o.connection, 150);
    wait_for(base, o.closed);
    assert_true(owner_now_ms() - began >= 140);
    owner_fini(&o);
    close(listener);
}

static void address_that_cannot_work_is_refused(void **state)
{
    (void)state;
    char err[200], path[200] = "unix:/";
    memset(path + 6, 'x', 150);
    struct mqtt_address address = {.host = path};
    assert_null(mqtt_connection_new(base, &address, &owner_connection_ops, NULL, err, sizeof(err)));
    assert_string_equal(err, "the path of the unix socket is too long");
    address = (struct mqtt_address){.host = "unix:/x", .tls = true};
    assert_null(mqtt_connection_new(base, &address, &owner_connection_ops, NULL, err, sizeof(err)));
    assert_non_null(strstr(err, "tls_name"));
}

/* ---- */

#define OPENSSL_CA(name)                                                                           \
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=" name " -keyout " name           \
    ".key -out " name ".pem"

static int group_setup(void **state)
{
    (void)state;
    broker_folder(folder);
    broker_shell(folder, OPENSSL_CA("ca") " && " OPENSSL_CA("other"));
    broker_shell(
        folder,
        "printf 'subjectAltName=DNS:localhost,DNS:broker.example,IP:127.0.0.1' >san"
        " && openssl req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out "
        "server.csr"
        " && openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
        "    -extfile san -out server.pem"
        " && openssl req -newkey rsa:2048 -nodes -subj /CN=client -keyout client.key -out "
        "client.csr"
        " && openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
        "    -out client.pem"
        " && openssl pkey -in client.key -aes128 -passout pass:x -out locked.key"
        " && chmod 644 *.key");
    broker_start(&plain, folder,
                 "listener PORT 127.0.0.1\nallow_anonymous true\nlistener 0 "
                 "%s/socket\nallow_anonymous true\n");
    broker_start(
        &tls, folder,
        "listener PORT 127.0.0.1\nallow_anonymous true\ncafile %s/ca.pem\ncertfile %s/server.pem\n"
        "keyfile %s/server.key\nrequire_certificate true\n");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    broker_stop(&plain);
    broker_stop(&tls);
    broker_remove_folder(folder);
    libevent_global_shutdown();
    return 0;
}

/* A loop for each test: what a failed one leaves in its own does not reach the next. */
static int each_setup(void **state)
{
    (void)state;
    base = event_base_new();
    return base ? 0 : -1;
}

static int each_teardown(void **state)
{
    (void)state;
    event_base_free(base);
    return 0;
}

#define test_on_loop(function) cmocka_unit_test_setup_teardown(function, each_setup, each_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_on_loop(messages_pass_over_tcp_with_5),
        test_on_loop(messages_pass_over_tcp_with_311),
        test_on_loop(messages_pass_over_a_unix_socket),
        test_on_loop(messages_pass_over_tls_with_client_certificate),
        test_on_loop(tls_refuses_what_cannot_be_trusted),
        test_on_loop(tls_names_the_file_that_is_wrong),
        test_on_loop(renewed_files_work_without_a_restart),
        test_on_loop(plain_port_is_no_tls),
        test_on_loop(wrong_password_is_refused_and_the_right_one_taken),
        test_on_loop(large_messages_come_in_bounded_pieces),
        test_on_loop(message_above_our_maximum_does_not_stop_the_feed),
        test_on_loop(stop_sends_disconnect_so_that_no_will_is_published),
        test_on_loop(drop_gives_the_kernel_what_was_written),
        test_on_loop(broker_that_comes_back_is_found_again),
        test_on_loop(dry_comes_when_the_kernel_holds_no_more),
        test_on_loop(dead_port_is_tried_again_after_the_back_off),
        test_on_loop(name_that_does_not_resolve_is_told),
        test_on_loop(listener_that_never_answers_times_out),
        test_on_loop(drop_reconnects_at_once_but_not_for_ever),
        test_on_loop(connection_may_be_freed_or_dropped_in_every_callback),
        test_on_loop(writing_to_a_broker_that_left_does_no_harm),
        test_on_loop(stop_that_finds_nothing_open_is_told_too),
        test_on_loop(stop_ends_with_the_linger_where_the_broker_does_not_close),
        test_on_loop(address_that_cannot_work_is_refused),
    };
    return cmocka_run_group_tests_name("mqtt connection", tests, group_setup, group_teardown);
}
