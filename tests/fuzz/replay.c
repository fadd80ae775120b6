/* replay CORPUS: runs the target that is linked in on every input of the corpus, each named on its line before it
 * runs, so that a crash tells which it was. One case in TAP: the corpus is made to cover a target as a whole.
 *
 * CORPUS is text: an input a line in hex; # begins a comment. */
#include <ctype.h>
#include <errno.h>
#include "tests/fuzz/fuzz.h"

static int digit(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Runs the input of one line. Return: 1, 0 = none on it, -1 = not hex. */
static int run_line(const char *line)
{
    size_t room = strlen(line) / 2 + 1, n = 0;
    uint8_t *input = malloc(room);
    int ran = 0;
    FUZZ_MUST(input);
    for (; digit(line[0]) >= 0; line += 2) {
        if (digit(line[1]) < 0) {
            free(input);
            return -1;
        }
        input[n++] = (uint8_t)(digit(line[0]) << 4 | digit(line[1]));
        ran = 1;
    }
    while (isspace((unsigned char)*line))
        line++;
    if (*line != '\0' && *line != '#')
        ran = -1;
    if (ran > 0) {
        uint8_t *exact = realloc(input, n); /* reading beyond the end shows under a sanitizer */
        input = exact ? exact : input;
        LLVMFuzzerTestOneInput(input, n);
    }
    free(input);
    return ran;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    FILE *corpus = fopen(argv[1], "r");
    char *line = NULL;
    size_t size = 0;
    unsigned number = 0, inputs = 0, bad = 0;
    if (!corpus) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    while (getline(&line, &size, corpus) > 0) {
        number++;
        fprintf(stderr, "line %u\n", number);
        int ran = run_line(line);
        inputs += ran > 0;
        if (ran < 0) {
            bad++;
            printf("# %s:%u: not an input in hex\n", argv[1], number);
        }
    }
    free(line);
    fclose(corpus);
    const char *unreached = bad == 0 && fuzz_unreached ? fuzz_unreached() : NULL;
    if (unreached) {
        bad++;
        printf("# no input reaches %s\n", unreached);
    }
    const char *name = strrchr(argv[1], '/');
    printf("%s 1 - all %u inputs of %s are taken without a crash or a broken promise\n1..1\n",
           bad == 0 && inputs > 0 ? "ok" : "not ok", inputs, name ? name + 1 : argv[1]);
    return bad == 0 && inputs > 0 ? 0 : 1;
}
