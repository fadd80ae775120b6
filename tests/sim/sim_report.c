#include "tests/sim/sim_report.h"

#include <stdarg.h>
#include <stdio.h>

static void stamp(const struct sim_report *r)
{
    int64_t t = r->clock->now_ms;
    printf("%3lld %02lld:%02lld:%02lld.%03lld ", (long long)(t / 86400000), (long long)(t / 3600000 % 24),
           (long long)(t / 60000 % 60), (long long)(t / 1000 % 60), (long long)(t % 1000));
}

void sim_trace(struct sim_report *r, const char *who, const char *fmt, ...)
{
    if (!r->trace)
        return;
    stamp(r);
    printf("%-6s ", who);
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void sim_fail(struct sim_report *r, const char *check, const char *fmt, ...)
{
    if (r->failed)
        return;
    r->failed = true;
    snprintf(r->check, sizeof r->check, "%s", check);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->text, sizeof r->text, fmt, ap);
    va_end(ap);
    sim_trace(r, "CHECK", "%s: %s", r->check, r->text);
}
