#include "tests/unit/mqtt/broker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

void broker_folder(char folder[64])
{
    snprintf(folder, 64, "/tmp/longwire-mqtt-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

void broker_remove_folder(const char *folder)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

uint16_t broker_free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

void broker_shell(const char *folder, const char *command)
{
    char whole[1024];
    snprintf(whole, sizeof(whole), "cd '%s' && ( %s ) >shell.log 2>&1", folder, command);
    if (system(whole) != 0)
        fail_msg("in %s: %s", folder, command);
}

static void write_config(const struct broker *b, const char *config)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/mosquitto.conf", b->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    /* mosquitto started by root becomes another user, who cannot read the folder. */
    fprintf(f, "user %s\nlog_dest stderr\n", geteuid() == 0 ? "root" : "nobody");
    for (const char *p = config; *p;) {
        if (strncmp(p, "PORT", 4) == 0) {
            fprintf(f, "%u", b->port);
            p += 4;
        } else if (strncmp(p, "%s", 2) == 0) {
            fputs(b->folder, f);
            p += 2;
        } else {
            fputc(*p++, f);
        }
    }
    fclose(f);
}

/* Starts it with its stderr in a pipe, which stays open while it lives: it says too little to fill
 * it. */
static void spawn(struct broker *b)
{
    char path[96];
    int fds[2];
    snprintf(path, sizeof(path), "%s/mosquitto.conf", b->folder);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    b->pid = fork();
    assert_true(b->pid >= 0);
    if (b->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies takes it along */
        dup2(fds[1], 2);
        setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
        execlp("mosquitto", "mosquitto", "-c", path, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    b->log_fd = fds[0];
}

/* Reads what it says until it runs. Return: false when it ended instead. */
static bool runs(int fd, char *said, size_t size)
{
    size_t n = 0;
    said[0] = '\0';
    while (n + 1 < size) {
        ssize_t got = read(fd, said + n, size - 1 - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
        said[n] = '\0';
        if (strstr(said, " running"))
            return true;
    }
    return false;
}

void broker_start(struct broker *b, const char *folder, const char *config)
{
    char said[4096] = "";
    for (int tries = 0; tries < 5; tries++) { /* another process may take the port in between */
        *b = (struct broker){.port = broker_free_port()};
        snprintf(b->folder, sizeof(b->folder), "%s", folder);
        write_config(b, config);
        spawn(b);
        if (runs(b->log_fd, said, sizeof(said)))
            return;
        broker_stop(b);
    }
    fail_msg("mosquitto does not start: %s", said);
}

void broker_restart(struct broker *b)
{
    char said[4096];
    broker_stop(b);
    spawn(b);
    if (!runs(b->log_fd, said, sizeof(said)))
        fail_msg("mosquitto does not start again: %s", said);
}

void broker_stop(struct broker *b)
{
    if (b->pid <= 0)
        return;
    kill(b->pid, SIGKILL);
    waitpid(b->pid, NULL, 0);
    close(b->log_fd);
    b->pid = 0;
}
