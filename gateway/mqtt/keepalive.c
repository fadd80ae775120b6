#include "gateway/mqtt/keepalive.h"

/* Bytes that come while the answer is awaited show that the server lives, and that the answer
 * stands behind them in its queue; but not for ever, or a half-dead server would never be left. */
#define GRACES_MAX 4

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void keepalive_start(struct keepalive *k, uint32_t interval_s, int64_t now_ms)
{
    *k = (struct keepalive){
        .interval_ms = (int64_t)interval_s * 1000,
        .sent_ms = now_ms,
        .heard_ms = now_ms,
    };
}

void keepalive_wrote(struct keepalive *k, int64_t now_ms)
{
    k->sent_ms = now_ms;
}

void keepalive_heard(struct keepalive *k, int64_t now_ms)
{
    k->heard_ms = now_ms;
}

void keepalive_pinged(struct keepalive *k, int64_t now_ms)
{
    k->waiting = true;
    k->ping_ms = now_ms;
    k->sent_ms = now_ms;
}

void keepalive_answered(struct keepalive *k)
{
    k->waiting = false;
}

int64_t keepalive_deadline(const struct keepalive *k)
{
    if (k->interval_ms == 0)
        return INT64_MAX;
    if (!k->waiting)
        return earlier(k->sent_ms, k->heard_ms) + k->interval_ms;
    int64_t grace = later(k->interval_ms / 2, KEEPALIVE_GRACE_MIN_MS);
    return earlier(later(k->ping_ms, k->heard_ms) + grace, k->ping_ms + GRACES_MAX * grace);
}

enum keepalive_due keepalive_due(const struct keepalive *k, int64_t now_ms)
{
    if (now_ms < keepalive_deadline(k))
        return KEEPALIVE_NOTHING;
    return k->waiting ? KEEPALIVE_DEAD : KEEPALIVE_PING;
}
