/* Tells the host of a change once. A driver that tries every second for a month finds the same
 * fault each time; the log wants it once. */
#ifndef LINK_DRIVERS_LINK_REPORT_H
#define LINK_DRIVERS_LINK_REPORT_H

#include "base/attr.h"
#include "link_drivers/driver.h"

/* Zeroed: down, nothing said yet. */
struct link_report {
    enum link_state state;
    char why[128];
};

/* Tells the host state and why (printf-like) of the link, unless it is what was told last. */
void link_report(struct link_report *r, struct link_host *host, enum link_state state,
                 const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
