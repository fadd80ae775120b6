/* What a run says: a trace for people, and the first violation of a check, which ends the run. */
#ifndef TESTS_SIM_SIM_REPORT_H
#define TESTS_SIM_SIM_REPORT_H

#include <stdbool.h>
#include "base/attr.h"
#include "tests/sim/sim_clock.h"

struct sim_report {
    const struct sim_clock *clock;
    bool trace;            /* lines go to stdout */
    bool failed;
    char check[32];        /* name of the check that was violated */
    char text[600];
};

void sim_trace(struct sim_report *r, const char *who, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Only the first counts. check: a short name, the same wherever it is checked. */
void sim_fail(struct sim_report *r, const char *check, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
