#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "config/config.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/estimate.h"
#include "gateway/cli/probe.h"
#include "gateway/daemon/daemon.h"
#include "gateway/daemon/keys.h"
#include "link_drivers/driver.h"

static const char usage[] =
    "Longwire carries MQTT over links that are thin, costly and often dead.\n"
    "\n"
    "    longwire run [FILE]             run the gateway in the foreground; SIGTERM stops, SIGHUP reads FILE again\n"
    "    longwire check [FILE]           check the file: a summary, or every error\n"
    "    longwire status [FILE] [--json] ask the running gateway\n"
    "    longwire estimate ...           what traffic would cost on a link: longwire estimate --help\n"
    "    longwire keygen FILE            a new key for both ends of a link, in a new file of mode 0600\n"
    "    longwire probe DEVICE           which satellite modem answers on a serial port; free of charge\n"
    "    longwire demo                   both ends and a simulated radio link on this machine\n"
    "    longwire options                the reference of all options, as man page source\n"
    "    longwire sample                 an INI file with every option at its default\n"
    "    longwire --version | --help\n"
    "\n"
    "FILE defaults to " DEFAULT_FILE ". Exit status: 0 done, 1 failed, 2 usage, 3 not running.\n";

int command_manual(void)
{
    config_manual(link_driver_options, stdout);
    return ferror(stdout) ? EXIT_FAILED : EXIT_DONE;
}

int command_sample(void)
{
    config_sample(link_driver_options, stdout);
    return ferror(stdout) ? EXIT_FAILED : EXIT_DONE;
}

int command_check(const char *file)
{
    struct config *c = config_load(file, link_driver_options, stderr);
    if (!c)
        return EXIT_FAILED;
    int status = config_check_files(c, stderr) || keys_check_outside(c, stderr) ? EXIT_FAILED : EXIT_DONE;
    if (status == EXIT_DONE) {
        config_summary(c, stdout);
        keys_summary(c, stdout);
    }
    config_free(c);
    return status;
}

static int wrong(const char *what, const char *which)
{
    fprintf(stderr, "longwire: %s%s%s\n%s", what, which ? ": " : "", which ? which : "", usage);
    return EXIT_USAGE;
}

/* Keys are in our memory, whichever command reads them: it is not written to core files, nor read by other
 * processes of the same user. */
static void close_memory(void)
{
    struct rlimit none = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        fputs("longwire: a core file of this process may hold keys\n", stderr);
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : NULL;
    const char *file = NULL;
    int json = 0;
    close_memory();
    if (!command)
        return wrong("what shall it do?", NULL);
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0)
        return fputs(usage, stdout) < 0 ? EXIT_FAILED : EXIT_DONE;
    if (strcmp(command, "--version") == 0)
        return printf("longwire %s\n", LONGWIRE_VERSION) < 0 ? EXIT_FAILED : EXIT_DONE;
    if (strcmp(command, "estimate") == 0)
        return command_estimate(argc - 2, argv + 2);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0 && strcmp(command, "status") == 0)
            json = 1;
        else if (argv[i][0] == '-')
            return wrong("unknown option", argv[i]);
        else if (file)
            return wrong("one FILE only", argv[i]);
        else
            file = argv[i];
    }
    if (strcmp(command, "demo") == 0)
        return file ? wrong("demo takes no FILE", file) : command_demo("/proc/self/exe");
    if (strcmp(command, "options") == 0)
        return command_manual();
    if (strcmp(command, "sample") == 0)
        return command_sample();
    if (strcmp(command, "keygen") == 0)
        return file ? command_keygen(file) : wrong("keygen needs the FILE to make", NULL);
    if (strcmp(command, "probe") == 0)
        return file ? command_probe(file) : wrong("probe needs the DEVICE", NULL);
    if (!file)
        file = DEFAULT_FILE;
    if (strcmp(command, "run") == 0)
        return daemon_run(file);
    if (strcmp(command, "check") == 0)
        return command_check(file);
    if (strcmp(command, "status") == 0)
        return command_status(file, json);
    return wrong("unknown command", command);
}
