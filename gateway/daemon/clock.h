/* The one place that reads clocks. */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

#include <stdint.h>
#include "store/store.h"

int64_t clock_mono_ms(void);
/* For measuring how long our own work takes. */
uint64_t clock_work_us(void);
/* Monotonic and wall time, and whether the kernel says that wall time is synchronised (adjtimex).
 * For tests only: LONGWIRE_TEST_WALL_OFFSET_MS is added to wall time, LONGWIRE_TEST_WALL_TRUSTED (0 or 1) replaces the kernel's word. */
struct store_now clock_now(void);

#endif
