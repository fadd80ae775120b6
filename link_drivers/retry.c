#include "link_drivers/retry.h"

int64_t retry_delay_ms(unsigned failures, int64_t max_ms, uint32_t random)
{
    int64_t most = 2 * RETRY_FIRST_MS;
    for (unsigned i = 1; i < failures && most < max_ms; i++)
        most *= 2;
    if (most > max_ms)
        most = max_ms;
    int64_t least = most / 2;
    if (least < RETRY_FIRST_MS)
        least = RETRY_FIRST_MS;
    return least + (int64_t)random % (most - least + 1);
}
