/* The operator's file: any bytes. It is taken, or refused with at least one line that names it; what is taken can be
 * summed up, and taken again says the same. */
#include "tests/fuzz/fuzz.h"
#include <fcntl.h>
#include <unistd.h>
#include "config/config.h"
#include "link_drivers/driver.h"

static char folder[64], file[80];

static void leave(void)
{
    unlink(file);
    rmdir(folder);
}

/* A file of its own, on a path: relative paths in it are taken against its folder. */
static void write_file(const uint8_t *data, size_t size)
{
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s/longwire-config-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        FUZZ_MUST(mkdtemp(folder));
        snprintf(file, sizeof file, "%s/t.ini", folder);
        atexit(leave);
    }
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static struct config *load(char **messages, size_t *n)
{
    FILE *errors = open_memstream(messages, n);
    FUZZ_MUST(errors);
    struct config *c = config_load(file, link_driver_options, errors);
    fclose(errors);
    FUZZ_MUST(c || *n > 0);
    return c;
}

static void every_line_names_the_file(const char *messages)
{
    size_t n = strlen(file);
    for (const char *line = messages; *line; line = strchr(line, '\n') + 1) {
        FUZZ_MUST(strncmp(line, file, n) == 0 && line[n] == ':' && strchr(line, '\n'));
    }
}

static char *summary(const struct config *c)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    FUZZ_MUST(out);
    config_summary(c, out);
    FUZZ_MUST(config_check_files(c, out) < 100000);
    fclose(out);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *messages = NULL, *first = NULL, *second = NULL;
    size_t n = 0;
    write_file(data, size);
    struct config *c = load(&messages, &n);
    every_line_names_the_file(messages);
    free(messages);
    if (c) {
        first = summary(c);
        struct config *again = load(&messages, &n);
        FUZZ_MUST(again);
        second = summary(again);
        FUZZ_MUST(strcmp(first, second) == 0);
        config_free(again);
        free(messages);
        free(first);
        free(second);
    }
    config_free(c);
    return 0;
}
