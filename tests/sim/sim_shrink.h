/* Makes a failing run smaller, for who must understand it. */
#ifndef TESTS_SIM_SIM_SHRINK_H
#define TESTS_SIM_SIM_SHRINK_H

#include "tests/sim/sim_seed.h"

/* Leaves out messages and faults of the run, ever smaller groups of them, as long as the same check fails; then tells what is left,
 * and with run->trace that run step by step. Return: 0; 1 = the seed does not fail, or not when it is done again by parts. */
int sim_shrink(const struct sim_run *run);

#endif
