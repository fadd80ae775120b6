/* One seed, here or in a process of its own, and what came of it. */
#ifndef TESTS_SIM_SIM_SEED_H
#define TESTS_SIM_SIM_SEED_H

#include "tests/sim/sim_world.h"

#define SEED_CPU_S 240 /* of a seed that runs apart; the slowest take some seconds, some tens under sanitizers */

struct sim_outcome {
    bool ok;
    struct sim_figures figures;
    char check[32];        /* that was violated */
    char text[1100];       /* what is wrong, and how the seed is run again; a line */
};

/* A program that dies meanwhile says in which seed. deeds: NULL, or where the deeds of the run go, up to *deed_count, which is
 * then how many there were. */
void sim_seed_run(const struct sim_run *run, struct sim_outcome *out, struct sim_deed *deeds, size_t *deed_count);
/* The same in a process of its own: one that dies, or takes no end, is an outcome like others. */
void sim_seed_run_apart(const struct sim_run *run, struct sim_outcome *out);

void sim_figures_add(struct sim_figures *to, const struct sim_figures *f);
/* A line of those that are not 0. */
void sim_figures_print(const char *before, const struct sim_figures *f);

#endif
