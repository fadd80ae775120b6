#include "gateway/cli/demo_stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "gateway/cli/commands.h"
#include "gateway/cli/line_child.h"

#define BROKER_WAIT_TRIES 250 /* of 20 ms */
#define DIR_PARENT_MAX    40  /* bytes of TMPDIR: what stands below it must fit dir and a socket address */

static const char *const names[2] = {"edge", "hub"};

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint16_t port = 0;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0)
        port = ntohs(a.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

/* Starts a program whose output goes to DIR/NAME.log. */
static pid_t start(const struct stage *s, const char *log, const char *program, const char *arg1, const char *arg2)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setpgid(0, 0); /* Ctrl-C is for the demo, which ends them in order */
    char path[128];
    snprintf(path, sizeof path, "%s/%s.log", s->dir, log);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    execlp(program, program, arg1, arg2, (char *)NULL);
    _exit(127);
}

static int write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    if (!f)
        return -1;
    int rc = fputs(text, f) < 0 ? -1 : 0;
    return fclose(f) == 0 ? rc : -1;
}

static int start_broker(struct stage *s, int side)
{
    char path[128], text[512];
    s->port[side] = free_port();
    snprintf(path, sizeof path, "%s/%s-broker.conf", s->dir, names[side]);
    snprintf(text, sizeof text,
             "listener %u 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n", s->port[side]);
    if (write_file(path, text) != 0)
        return -1;
    char log[32];
    snprintf(log, sizeof log, "%s-broker", names[side]);
    /* Debian keeps daemons in /usr/sbin, which an ordinary user's PATH lacks. */
    const char *program = access("/usr/sbin/mosquitto", X_OK) == 0 ? "/usr/sbin/mosquitto" : "mosquitto";
    s->broker[side] = start(s, log, program, "-c", path);
    return s->broker[side] > 0 ? 0 : -1;
}

static int wait_for_broker(const struct stage *s, int side)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(s->port[side]),
    };
    for (int i = 0; i < BROKER_WAIT_TRIES; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int rc = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&a, sizeof a);
        if (fd >= 0)
            close(fd);
        if (rc == 0)
            return 0;
        if (waitpid(s->broker[side], NULL, WNOHANG) != 0)
            return -1;
        poll(NULL, 0, 20);
    }
    return -1;
}

static int start_gateway(struct stage *s, int side, const char *self)
{
    char text[1024];
    int other = 1 - side;
    snprintf(s->file[side], sizeof s->file[side], "%s/%s.ini", s->dir, names[side]);
    int n = snprintf(text, sizeof text,
                     "[site]\nname = %s\n[broker]\nhost = 127.0.0.1\nport = %u\n[store]\npath = %s.db\n"
                     "[peer %s]\nlinks = radio\nsecret_file = demo.key\naccept = #\n"
                     "[link radio]\ndriver = serial\ndevice = %s/line-%s\nbaud = %d\nprobe = 5s\n",
                     names[side], s->port[side], names[side], names[other], s->dir, names[side], STAGE_BAUD);
    snprintf(text + n, sizeof text - (size_t)n,
             side == STAGE_EDGE ? "[route alarms]\npeer = hub\ntopics = alarms/#\npriority = alarm\nretain = pass\n"
                                  "[route telemetry]\npeer = hub\ntopics = #\nexclude = commands/#\nretain = pass\n"
                                : "[route commands]\npeer = edge\ntopics = commands/#\npriority = high\n");
    if (write_file(s->file[side], text) != 0)
        return -1;
    s->gateway[side] = start(s, names[side], self, "run", s->file[side]);
    return s->gateway[side] > 0 ? 0 : -1;
}

int stage_open(struct stage *s, const char *self, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    char program[512];
    ssize_t n = readlink(self, program, sizeof program - 1);
    if (n > 0) {
        program[n] = '\0';
        self = program;
    }
    const char *parent = getenv("TMPDIR");
    if (!parent || !*parent || strlen(parent) > DIR_PARENT_MAX)
        parent = "/tmp";
    snprintf(s->dir, sizeof s->dir, "%s/longwire-demo-XXXXXX", parent);
    if (!mkdtemp(s->dir)) {
        fprintf(stderr, "longwire: cannot make a folder in %s: %s\n", parent, strerror(errno));
        s->dir[0] = '\0';
        return -1;
    }
    for (int side = 0; side < 2; side++) {
        if (start_broker(s, side) != 0 || wait_for_broker(s, side) != 0) {
            fprintf(stderr, "longwire: mosquitto does not start (apt install mosquitto)\n");
            return -1;
        }
    }
    char link[2][96];
    for (int side = 0; side < 2; side++)
        snprintf(link[side], sizeof link[side], "%s/line-%s", s->dir, names[side]);
    int rc = line_child_start(&s->line, link[0], link[1], seed);
    if (rc < 0) {
        fprintf(stderr, "longwire: cannot simulate a line: %s\n", strerror(-rc));
        return -1;
    }
    char key[128];
    snprintf(key, sizeof key, "%s/demo.key", s->dir);
    if (command_keygen(key) != EXIT_DONE)
        return -1;
    for (int side = 0; side < 2; side++) {
        if (start_gateway(s, side, self) != 0) {
            fprintf(stderr, "longwire: cannot start the gateway of %s: %s\n", names[side], strerror(errno));
            return -1;
        }
    }
    return 0;
}

bool stage_alive(struct stage *s, const char **which)
{
    static const char *const what[2][2] = {{"edge's broker", "hub's broker"}, {"edge's gateway", "hub's gateway"}};
    for (int side = 0; side < 2; side++) {
        pid_t *pids[2] = {&s->broker[side], &s->gateway[side]};
        for (int k = 0; k < 2; k++) {
            if (*pids[k] <= 0 || waitpid(*pids[k], NULL, WNOHANG) == 0)
                continue;
            *pids[k] = 0;
            *which = what[k][side];
            return false;
        }
    }
    return true;
}

static void end(pid_t *pid, int sig)
{
    if (*pid <= 0)
        return;
    kill(*pid, sig);
    for (int i = 0; i < 150; i++) {
        if (waitpid(*pid, NULL, WNOHANG) != 0) {
            *pid = 0;
            return;
        }
        poll(NULL, 0, 20);
    }
    kill(*pid, SIGKILL);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void stage_close(struct stage *s)
{
    for (int side = 0; side < 2; side++)
        end(&s->gateway[side], SIGTERM);
    for (int side = 0; side < 2; side++)
        end(&s->broker[side], SIGTERM);
    line_child_stop(s->line);
    s->line = NULL;
    if (s->dir[0])
        nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    s->dir[0] = '\0';
}
