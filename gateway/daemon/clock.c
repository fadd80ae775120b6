#include "gateway/daemon/clock.h"

#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>

#define TRUST_LOOK_MS 10000 /* adjtimex is a system call: asked now and then, not at every event */

static int64_t ms_of(clockid_t which)
{
    struct timespec ts;
    clock_gettime(which, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return ms_of(CLOCK_MONOTONIC);
}

uint64_t clock_work_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static bool kernel_trusts(void)
{
    const char *test = getenv("LONGWIRE_TEST_WALL_TRUSTED");
    if (test)
        return *test == '1';
    struct timex t = {.modes = 0};
    return adjtimex(&t) >= 0 && !(t.status & STA_UNSYNC);
}

struct store_now clock_now(void)
{
    static int64_t offset_ms, looked_at = -TRUST_LOOK_MS;
    static bool trusted;
    struct store_now now = {.mono_ms = clock_mono_ms(), .wall_ms = ms_of(CLOCK_REALTIME)};
    if (now.mono_ms - looked_at >= TRUST_LOOK_MS) {
        const char *offset = getenv("LONGWIRE_TEST_WALL_OFFSET_MS");
        offset_ms = offset ? strtoll(offset, NULL, 10) : 0;
        trusted = kernel_trusts();
        looked_at = now.mono_ms;
    }
    now.wall_ms += offset_ms;
    now.wall_trusted = trusted;
    return now;
}
