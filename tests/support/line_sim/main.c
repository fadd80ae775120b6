/* line_sim LINK_A LINK_B [SEED]: the simulated serial line on its own, for the Python tests.
 * Commands come on stdin, answers go to stdout (gateway/cli/line_sim.h); it ends with its input. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "gateway/cli/line_sim.h"

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: line_sim LINK_A LINK_B [SEED]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    uint64_t seed = argc == 4 ? strtoull(argv[3], NULL, 0) : 1;
    return line_sim_run(argv[1], argv[2], seed, STDIN_FILENO, STDOUT_FILENO) == 0 ? 0 : 1;
}
