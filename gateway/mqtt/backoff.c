#include "gateway/mqtt/backoff.h"

int64_t backoff_next_ms(int64_t previous_ms, uint32_t random)
{
    if (previous_ms < BACKOFF_MIN_MS)
        previous_ms = BACKOFF_MIN_MS;
    if (previous_ms > BACKOFF_MAX_MS)
        previous_ms = BACKOFF_MAX_MS;
    int64_t span = 3 * previous_ms - BACKOFF_MIN_MS + 1;
    int64_t wait = BACKOFF_MIN_MS + (int64_t)(random % (uint32_t)span);
    return wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS;
}
