/* The serial driver and its port on ptys, whose other side shows what was really set and sent. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <asm/termbits.h>
#include <cmocka.h>
#include "link_drivers/line_clock.h"
#include "link_drivers/serial.h"
#include "link_drivers/serial_port.h"
#include "tests/conform/fake_host.h"

static char dir[64], link_path[128];

static int make_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/longwire-serial-XXXXXX", tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    snprintf(link_path, sizeof(link_path), "%s/usb-Longwire_Test-if00", dir);
    return 0;
}

static int remove_dir(void **state)
{
    unlink(link_path);
    return rmdir(dir);
}

/* A pty whose slave link_path points to. Fresh, as the kernel gives it: cooked and echoing. */
static int new_pty(void)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0);
    unlink(link_path);
    assert_int_equal(symlink(ptsname(fd), link_path), 0);
    return fd;
}

static struct termios2 mode_of(int master)
{
    struct termios2 t;
    assert_int_equal(ioctl(master, TCGETS2, &t), 0);
    return t;
}

static const struct tty_mode plain = {.baud = 9600, .stop_bits = 1};

static int try_open(struct serial_port *p, const char *path, const struct tty_mode *mode, char *why)
{
    serial_port_init(p);
    strcpy(why, "");
    int result = serial_port_open(p, path, mode, why);
    assert_int_equal(p->fd >= 0, result == 0);
    return result;
}

static void expect_refusal(const char *path, const struct tty_mode *mode, int error,
                           const char *words)
{
    struct serial_port p;
    char why[SERIAL_PORT_WHY_BYTES];
    assert_int_equal(try_open(&p, path, mode, why), error);
    if (!strstr(why, words))
        fail_msg("\"%s\" does not say \"%s\"", why, words);
}

/* --- the port --- */

static void test_raw_mode(void **state)
{
    int master = new_pty();
    assert_true(mode_of(master).c_lflag & ECHO);
    struct serial_port p;
    char why[SERIAL_PORT_WHY_BYTES];
    assert_int_equal(try_open(&p, link_path, &plain, why), 0);
    struct termios2 t = mode_of(master);
    assert_int_equal(t.c_lflag & (ECHO | ICANON | ISIG | IEXTEN), 0);
    assert_int_equal(t.c_oflag & OPOST, 0);
    assert_int_equal(t.c_iflag & (IXON | IXOFF | IXANY | ICRNL | ISTRIP | PARMRK), 0);
    assert_int_equal(t.c_cflag & (CSIZE | PARENB | CSTOPB | CRTSCTS | HUPCL), CS8);
    assert_true((t.c_cflag & (CLOCAL | CREAD)) == (CLOCAL | CREAD));
    assert_int_equal(t.c_ospeed, 9600);
    assert_int_equal(t.c_cflag & CBAUD, B9600); /* a name that stty and the far side know */
    serial_port_close(&p);
    close(master);
}

static void test_each_setting(void **state)
{
    int master = new_pty();
    const struct tty_mode full = {
        .baud = 57600, .stop_bits = 2, .flow = TTY_FLOW_RTSCTS, .hang_up = true};
    struct serial_port p;
    char why[SERIAL_PORT_WHY_BYTES];
    assert_int_equal(try_open(&p, link_path, &full, why), 0);
    struct termios2 t = mode_of(master);
    assert_true((t.c_cflag & (CSTOPB | CRTSCTS | HUPCL)) == (CSTOPB | CRTSCTS | HUPCL));
    assert_int_equal(t.c_ospeed, 57600);
    serial_port_close(&p);
    /* What was inherited from the last opening goes. */
    assert_int_equal(try_open(&p, link_path, &plain, why), 0);
    assert_int_equal(mode_of(master).c_cflag & (CSTOPB | CRTSCTS | HUPCL), 0);
    serial_port_close(&p);
    const struct tty_mode xon = {.baud = 9600, .stop_bits = 1, .flow = TTY_FLOW_XONXOFF};
    assert_int_equal(try_open(&p, link_path, &xon, why), 0);
    t = mode_of(master);
    assert_true((t.c_iflag & (IXON | IXOFF | IXANY)) == (IXON | IXOFF));
    assert_int_equal(t.c_cc[VSTART], 0x11);
    assert_int_equal(t.c_cc[VSTOP], 0x13);
    serial_port_close(&p);
    assert_int_equal(try_open(&p, link_path, &plain, why), 0);
    assert_int_equal(mode_of(master).c_iflag & (IXON | IXOFF | IXANY), 0);
    serial_port_close(&p);
    close(master);
}

static void test_unusual_baud(void **state)
{
    int master = new_pty();
    const struct tty_mode odd = {.baud = 12345, .stop_bits = 1};
    struct serial_port p;
    char why[SERIAL_PORT_WHY_BYTES];
    assert_int_equal(try_open(&p, link_path, &odd, why), 0);
    assert_int_equal(mode_of(master).c_ospeed, 12345);
    serial_port_close(&p);
    close(master);
}

/* A pty silently drops parity, as some adapters do: tcsetattr says success. */
static void test_untaken_setting(void **state)
{
    int master = new_pty();
    const struct tty_mode even = {.baud = 9600, .stop_bits = 1, .parity = TTY_PARITY_EVEN};
    expect_refusal(link_path, &even, -EINVAL, "does not take this parity");
    const struct tty_mode odd = {.baud = 9600, .stop_bits = 1, .parity = TTY_PARITY_ODD};
    expect_refusal(link_path, &odd, -EINVAL, "does not take this parity");
    close(master);
}

static void test_not_a_port(void **state)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/thing", dir);
    expect_refusal(path, &plain, -ENOENT, "no such device");
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    expect_refusal(path, &plain, -ENOTTY, "not a serial port");
    close(fd);
    unlink(path);
    expect_refusal(dir, &plain, -ENOTTY, "not a serial port");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refusal(path, &plain, -ENOTTY, "not a serial port");
    unlink(path);
    expect_refusal("/dev/null", &plain, -ENOTTY, "not a serial port");
    assert_int_equal(symlink(path, path), 0);
    expect_refusal(path, &plain, -ELOOP, path);
    unlink(path);
}

static void test_lock(void **state)
{
    int master = new_pty();
    struct serial_port first;
    char why[SERIAL_PORT_WHY_BYTES];
    assert_int_equal(try_open(&first, link_path, &plain, why), 0);
    const struct tty_mode other = {.baud = 300, .stop_bits = 1};
    expect_refusal(link_path, &other, -EBUSY, "in use by another program");
    assert_int_equal(mode_of(master).c_ospeed, 9600); /* and nothing was changed under its feet */
    serial_port_close(&first);
    assert_int_equal(try_open(&first, link_path, &other, why), 0);
    assert_true(fcntl(first.fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(first.fd, F_GETFL) & O_NONBLOCK);
    serial_port_close(&first);
    close(master);
}

/* --- the driver --- */

struct rig {
    struct fake_world world;
    struct fake_link link;
    struct serial_options options;
    int master;
};

static void rig_up(struct rig *r, struct serial_options options)
{
    r->options = options;
    r->options.device = link_path;
    r->master = new_pty();
    fake_world_init(&r->world);
    assert_int_equal(fake_link_open(&r->world, &r->link, &serial_driver, &r->options, false), 0);
    fake_start(&r->link);
    if (!fake_is_up(&r->link))
        fail_msg("not up: %s", r->link.stations[0]->why);
    r->world.grace_real_ms = 5;
}

static void rig_down(struct rig *r)
{
    fake_stop(&r->link);
    fake_link_close(&r->link);
    if (r->master >= 0)
        close(r->master);
}

static size_t take(int master)
{
    uint8_t bytes[8192];
    size_t n = 0;
    ssize_t got;
    while ((got = read(master, bytes, sizeof(bytes))) > 0)
        n += (size_t)got;
    return n;
}

static bool is_down(void *arg)
{
    return !fake_is_up(arg);
}

static bool is_up(void *arg)
{
    return fake_is_up(arg);
}

static void test_paced(void **state)
{
    struct rig r;
    rig_up(&r, (struct serial_options){.baud = 9600});
    static uint8_t frame[256];
    int64_t begin = r.world.now_ms;
    size_t sent = 0;
    while (r.world.now_ms < begin + 10000) {
        unsigned before = r.link.stations[0]->writables;
        while (fake_room(&r.link, STATION_NONE) >= sizeof(frame)) {
            assert_int_equal(fake_send(&r.link, STATION_NONE, frame, sizeof(frame)), 0);
            sent += sizeof(frame);
        }
        take(r.master);
        fake_run_for(&r.world, r.link.timer_at_ms - r.world.now_ms);
        assert_int_equal(r.link.stations[0]->writables, before + 1);
    }
    int64_t line = (r.world.now_ms - begin) * 960 / 1000;
    assert_in_range(sent, line, line + 256 + 960 * LINE_CLOCK_HORIZON_MS / 1000 + 1);
    rig_down(&r);
}

static void test_air_rate(void **state)
{
    struct rig r;
    rig_up(&r, (struct serial_options){.baud = 57600, .air_rate = 1200});
    assert_int_equal(serial_driver.rate(r.link.ctx), 150); /* no start and stop bits in the air */
    assert_true(fake_room(&r.link, STATION_NONE) <= SERIAL_FRAME_MAX_BYTES);
    rig_down(&r);
    rig_up(&r, (struct serial_options){.baud = 1200, .air_rate = 57600, .stop = 1});
    assert_int_equal(serial_driver.rate(r.link.ctx), 109); /* 11 bits a byte */
    rig_down(&r);
}

static void test_replug(void **state)
{
    struct rig r;
    rig_up(&r, (struct serial_options){.baud = 9600});
    int first = r.master;
    char first_name[64], second_name[64];
    snprintf(first_name, sizeof(first_name), "%s", ptsname(first));
    assert_non_null(strstr(fake_status(&r.link).detail, first_name));
    /* The new name is taken while the old one still is, so that it is another. */
    r.master = new_pty();
    snprintf(second_name, sizeof(second_name), "%s", ptsname(r.master));
    assert_string_not_equal(first_name, second_name);
    close(first);
    assert_true(fake_run(&r.world, is_down, &r.link));
    assert_int_equal(fake_watches(&r.link), 0); /* the old name is let go at once */
    assert_non_null(strstr(r.link.stations[0]->why, "is gone"));
    int64_t gone = r.world.now_ms;
    assert_true(fake_run(&r.world, is_up, &r.link));
    assert_true(r.world.now_ms - gone <= 2000);
    assert_non_null(strstr(fake_status(&r.link).detail, second_name));
    assert_int_equal(write(r.master, "hello", 5), 5);
    fake_run_for(&r.world, 10);
    assert_int_equal(r.link.stations[0]->n, 5);
    rig_down(&r);
}

static void test_unplugged_for_long(void **state)
{
    struct rig r;
    rig_up(&r, (struct serial_options){.baud = 9600});
    unlink(link_path);
    close(r.master);
    assert_true(fake_run(&r.world, is_down, &r.link));
    r.world.grace_real_ms = 0;
    unsigned tries = 0;
    for (int64_t end = r.world.now_ms + 3600 * 1000; r.world.now_ms < end; tries++) {
        int64_t wait = r.link.timer_at_ms - r.world.now_ms;
        assert_in_range(wait, 0, SERIAL_REOPEN_MAX_MS);
        fake_run_for(&r.world, wait);
    }
    assert_in_range(tries, 120, 260);
    r.master = new_pty();
    int64_t back = r.world.now_ms;
    assert_true(fake_run(&r.world, is_up, &r.link));
    assert_true(r.world.now_ms - back <= SERIAL_REOPEN_MAX_MS);
    rig_down(&r);
}

/* A far side that takes nothing: what is accepted stays bounded, and all of it comes once it takes
 * again. */
static void test_slow_reader(void **state)
{
    struct rig r;
    rig_up(&r, (struct serial_options){.baud = 921600});
    static uint8_t frame[256];
    size_t sent = 0;
    for (int i = 0; i < 3000; i++) {
        if (fake_room(&r.link, STATION_NONE) >= sizeof(frame)) {
            assert_int_equal(fake_send(&r.link, STATION_NONE, frame, sizeof(frame)), 0);
            sent += sizeof(frame);
        } else {
            r.world.now_ms += 10;
            if (r.link.timer_at_ms <= r.world.now_ms)
                fake_on_timer(&r.link);
        }
    }
    assert_true(sent < 100000);
    unsigned before = r.link.stations[0]->writables;
    size_t came = 0;
    for (int i = 0; i < 100 && came < sent; i++) {
        came += take(r.master);
        fake_run_for(&r.world, 10);
    }
    assert_int_equal(came, sent);
    assert_true(r.link.stations[0]->writables > before);
    assert_true(fake_room(&r.link, STATION_NONE) >= sizeof(frame));
    rig_down(&r);
}

static void test_xonxoff(void **state)
{
    struct rig r;
    rig_up(&r, (struct serial_options){.baud = 9600, .flow = TTY_FLOW_XONXOFF});
    size_t n = 99;
    const uint8_t *avoid = serial_driver.avoid(r.link.ctx, &n);
    assert_int_equal(n, 2);
    assert_memory_equal(avoid, "\x11\x13", 2);
    /* A frame of nothing but escapes fits. */
    assert_true(fake_room(&r.link, STATION_NONE) >= SERIAL_FRAME_MAX_ESCAPED_BYTES);

    assert_int_equal(write(r.master, "\x13", 1), 1); /* XOFF */
    fake_run_for(&r.world, 10);
    assert_int_equal(r.link.stations[0]->n, 0); /* the kernel's, not ours */
    assert_int_equal(fake_send(&r.link, STATION_NONE, (const uint8_t *)"stopped", 7), 0);
    fake_run_for(&r.world, 3000);
    assert_int_equal(take(r.master), 0);
    assert_int_equal(write(r.master, "\x11", 1), 1); /* XON */
    fake_run_for(&r.world, 10);
    assert_int_equal(take(r.master), 7);
    rig_down(&r);
    rig_up(&r, (struct serial_options){.baud = 9600});
    serial_driver.avoid(r.link.ctx, &n);
    assert_int_equal(n, 0);
    rig_down(&r);
}

static void test_xoff_by_noise(void **state)
{
    struct rig r;
    rig_up(&r, (struct serial_options){.baud = 9600, .flow = TTY_FLOW_XONXOFF});
    assert_int_equal(write(r.master, "\x13", 1), 1);
    fake_run_for(&r.world, 10);
    assert_int_equal(fake_send(&r.link, STATION_NONE, (const uint8_t *)"stopped", 7), 0);
    fake_run_for(&r.world, SERIAL_STOPPED_MAX_MS - 100);
    assert_int_equal(take(r.master), 0);
    fake_run_for(&r.world, 400);
    assert_int_equal(take(r.master), 7);
    assert_non_null(strstr(r.link.last_trace, "without an XON"));
    rig_down(&r);
}

/* CTS cannot be played on a pty; a far side that reads nothing looks the same from here. */
static void test_stop_is_told(void **state)
{
    struct rig r;
    rig_up(&r, (struct serial_options){.baud = 921600, .flow = TTY_FLOW_RTSCTS});
    static uint8_t frame[256];
    for (int i = 0; i < 3000; i++) {
        if (fake_room(&r.link, STATION_NONE) >= sizeof(frame))
            assert_int_equal(fake_send(&r.link, STATION_NONE, frame, sizeof(frame)), 0);
        r.world.now_ms++;
    }
    fake_run_for(&r.world, SERIAL_STOPPED_MAX_MS - 4000);
    assert_int_equal(r.link.warnings, 0);
    fake_run_for(&r.world, 100000);
    assert_int_equal(r.link.warnings, 1);
    assert_non_null(strstr(r.link.last_trace, "CTS is low"));
    rig_down(&r);
}

static void test_options(void **state)
{
    const char *key = NULL;
    struct serial_options o = {.baud = 9600};
    assert_null(serial_option_group.check(&o, &key));
    o.rs485 = true;
    assert_null(serial_option_group.check(&o, &key));
    o.flow = TTY_FLOW_RTSCTS;
    assert_non_null(serial_option_group.check(&o, &key));
    assert_string_equal(key, "rs485");
}

static void test_half_duplex(void **state)
{
    struct rig r;
    rig_up(&r, (struct serial_options){.baud = 9600, .duplex = SERIAL_HALF_DUPLEX, .rs485 = true});
    assert_true(serial_driver.half_duplex(r.link.ctx));
    assert_int_equal(r.link.warnings,
                     1); /* a pty cannot switch an RS-485 driver: said, not fatal */
    rig_down(&r);
    rig_up(&r, (struct serial_options){.baud = 9600});
    assert_false(serial_driver.half_duplex(r.link.ctx));
    assert_int_equal(r.link.warnings, 0);
    rig_down(&r);
}

static void test_wrong_device(void **state)
{
    struct rig r = {.options = {.device = dir, .baud = 9600}};
    fake_world_init(&r.world);
    assert_int_equal(fake_link_open(&r.world, &r.link, &serial_driver, &r.options, false), 0);
    fake_start(&r.link);
    assert_false(fake_is_up(&r.link));
    assert_non_null(strstr(r.link.stations[0]->why, "not a serial port"));
    fake_run_for(&r.world, 600000);
    assert_int_equal(r.link.stations[0]->downs, 1);                           /* said once */
    assert_true(r.link.timer_at_ms <= r.world.now_ms + SERIAL_REOPEN_MAX_MS); /* and tried on */
    fake_stop(&r.link);
    fake_link_close(&r.link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"a port is raw, 8N1, without flow control, at its rate", test_raw_mode},
        {"each setting is set, and cleared when not wanted", test_each_setting},
        {"an unusual baud rate is set exactly", test_unusual_baud},
        {"a setting that the device does not take is an error", test_untaken_setting},
        {"what is no serial port is refused in words", test_not_a_port},
        {"a port in use is refused and left alone", test_lock},
        {"a backlog is handed over at the rate of the line", test_paced},
        {"the slower of port and radio sets the rate", test_air_rate},
        {"an adapter that returns under another name is found", test_replug},
        {"an adapter that stays away is looked for, at most every 30 s", test_unplugged_for_long},
        {"a far side that reads nothing bounds what is accepted", test_slow_reader},
        {"XON/XOFF stops and goes on, and is kept off the data", test_xonxoff},
        {"an XOFF made by noise does not last", test_xoff_by_noise},
        {"output that CTS holds up is told once", test_stop_is_told},
        {"rs485 and rtscts exclude each other", test_options},
        {"half duplex is told, rs485 is tried", test_half_duplex},
        {"a device that is none is said once and tried on", test_wrong_device},
    };
    return cmocka_run_group_tests_name("serial", tests, make_dir, remove_dir);
}
