#include "link_drivers/directip_wait.h"

#include <assert.h>

#define SECOND 1000ll
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const struct {
    int64_t first_ms;
    int64_t most_ms; /* 0: always the first */
} waits[WAIT_COUNT] = {
    [WAIT_MO_IDLE] = {30 * SECOND, 0}, /* as the gateway's guide advises */
    [WAIT_MO_MESSAGE] = {2 * MINUTE, 0},
    [WAIT_MO_COMMIT] = {1 * MINUTE, 0},
    [WAIT_MO_CLOSE] = {10 * SECOND, 0},
    [WAIT_MO_YIELD] = {5 * SECOND, 0},
    [WAIT_MT_RESOLVE] = {30 * SECOND, 0},
    [WAIT_MT_CONNECT] = {20 * SECOND, 0},
    [WAIT_MT_ANSWER] = {30 * SECOND, 0},
    [WAIT_MT_AGAIN] = {10 * SECOND, 2 * MINUTE},
    [WAIT_MT_GATEWAY] = {2 * SECOND, 5 * MINUTE},
    [WAIT_MT_FULL] = {5 * MINUTE, 1 * HOUR},
    [WAIT_MT_REFUSED] = {5 * MINUTE, 6 * HOUR},
    [WAIT_MT_LIFE] = {5 * DAY, 0},
};

int64_t directip_wait_ms(enum directip_wait wait, unsigned n, uint32_t random, int64_t scale)
{
    assert(scale >= 1);
    int64_t ms = waits[wait].first_ms, most = waits[wait].most_ms;
    for (unsigned i = 1; i < n && ms < most; i++)
        ms *= 2;
    if (most > 0) {
        if (ms > most)
            ms = most;
        ms = ms / 2 + (int64_t)random % (ms / 2 + 1);
    }
    ms /= scale;
    return ms > 0 ? ms : 1;
}
