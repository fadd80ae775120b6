#include "link_drivers/link_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void link_report(struct link_report *r, struct link_host *host, enum link_state state,
                 const char *fmt, ...)
{
    char why[sizeof(r->why)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    if (state == r->state && strcmp(why, r->why) == 0)
        return;
    r->state = state;
    memcpy(r->why, why, sizeof(why));
    host->ops->state(host, STATION_NONE, state, r->why);
}
