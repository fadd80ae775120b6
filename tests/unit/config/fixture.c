#include "tests/unit/config/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const parities[] = {"none", "even", "odd", NULL};
static const char *const stops[] = {"1", "2", NULL};
static const char *const flows[] = {"none", "rtscts", "xonxoff", NULL};
static const char *const duplexes[] = {"full", "half", NULL};

static const struct option serial_rows[] = {
    {.key = "device",
     .type = OPTION_PATH,
     .offset = offsetof(struct fake_serial, device),
     .help = "The port."},
    {.key = "baud",
     .type = OPTION_INT,
     .offset = offsetof(struct fake_serial, baud),
     .min = 50,
     .max = 4000000,
     .fallback = "9600",
     .help = "Its speed."},
    {.key = "parity",
     .type = OPTION_ENUM,
     .offset = offsetof(struct fake_serial, parity),
     .names = parities,
     .fallback = "none",
     .help = "Its parity."},
    {.key = "stop",
     .type = OPTION_ENUM,
     .offset = offsetof(struct fake_serial, stop),
     .names = stops,
     .fallback = "1",
     .help = "Its stop bits."},
    {.key = "flow",
     .type = OPTION_ENUM,
     .offset = offsetof(struct fake_serial, flow),
     .names = flows,
     .fallback = "none",
     .help = "Its flow control."},
    {.key = "duplex",
     .type = OPTION_ENUM,
     .offset = offsetof(struct fake_serial, duplex),
     .names = duplexes,
     .fallback = "full",
     .help = "Half: one speaks at a time."},
};
static const struct option tcp_rows[] = {
    {.key = "connect",
     .type = OPTION_STRING,
     .offset = offsetof(struct fake_tcp, connect),
     .min = 1,
     .max = 300,
     .fallback = "",
     .help = "Where to."},
    {.key = "listen",
     .type = OPTION_STRING,
     .offset = offsetof(struct fake_tcp, listen),
     .min = 1,
     .max = 300,
     .fallback = "",
     .help = "Where at."},
};

static const char *check_tcp(const void *options, const char **key)
{
    const struct fake_tcp *t = options;
    if (*t->connect && *t->listen) {
        *key = "listen";
        return "stands beside connect, allowed: one of them";
    }
    if (!*t->connect && !*t->listen)
        return "allowed: connect = HOST:PORT or listen = ADDRESS:PORT";
    return NULL;
}

static bool tcp_serves_many(const void *options)
{
    return *((const struct fake_tcp *)options)->listen != '\0';
}

static const struct option_group serial = {.name = "serial",
                                           .rows = serial_rows,
                                           .count = sizeof(serial_rows) / sizeof(serial_rows[0]),
                                           .struct_size = sizeof(struct fake_serial),
                                           .help = "A serial line."};
static const struct option_group tcp = {.name = "tcp",
                                        .rows = tcp_rows,
                                        .count = sizeof(tcp_rows) / sizeof(tcp_rows[0]),
                                        .struct_size = sizeof(struct fake_tcp),
                                        .help = "A TCP connection.",
                                        .check = check_tcp,
                                        .serves_many = tcp_serves_many};
static const struct option_group metered = {
    .name = "sat", .struct_size = 1, .help = "A satellite.", .metered_default = true};
static bool always(const void *options)
{
    return true;
}

static const struct option_group gateway = {.name = "satgate",
                                            .struct_size = 1,
                                            .help = "All satellites.",
                                            .serves_many = always,
                                            .by_imei = true};
const struct option_group *const fake_drivers[] = {&serial, &tcp, &metered, NULL};
const struct option_group *const fake_gateway[] = {&gateway, NULL};
const struct option_group *const *load_drivers = fake_drivers;

static char folder[] = "/tmp/longwire-config-XXXXXX";

int enter_folder(void **state)
{
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

int leave_folder(void **state)
{
    unlink("t.ini");
    unlink("secret");
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

void write_file(const char *name, const char *text, size_t n)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

struct config *load_bytes(const char *text, size_t n, char **messages)
{
    size_t size;
    write_file("t.ini", text, n);
    FILE *errors = open_memstream(messages, &size);
    assert_non_null(errors);
    struct config *c = config_load("t.ini", load_drivers, errors);
    assert_int_equal(fclose(errors), 0);
    return c;
}

struct config *load_text(const char *text, char **messages)
{
    return load_bytes(text, strlen(text), messages);
}

char *slurp(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    size_t n = fread(text, 1, (1 << 16) - 1, f);
    assert_in_range(n, 1, (1 << 16) - 2);
    fclose(f);
    return text;
}
