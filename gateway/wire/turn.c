#include "gateway/wire/turn.h"

#define FRAMED_MAX      256
#define FIRST_ANSWER_MS 1500

void turn_init(struct turn *t, uint32_t rate_bytes_s, bool speaks_first)
{
    *t = (struct turn){
        .rate_bytes_s = rate_bytes_s, .speaks_first = speaks_first, .answer_ms = FIRST_ANSWER_MS};
}

static int64_t line_ms(const struct turn *t, size_t n)
{
    return t->rate_bytes_s > 0 ? (int64_t)(n * 1000 / t->rate_bytes_s) + 1 : 0;
}

static int64_t random_part(const struct turn *t, uint32_t random)
{
    return t->speaks_first ? 0 : (int64_t)(random % (2 * TURN_SILENCE_MS)) + TURN_SILENCE_MS / 4;
}

bool turn_may_speak(const struct turn *t, int64_t now_ms)
{
    return now_ms >= t->from_ms; /* OURS and FREE from then on; THEIRS has lapsed then */
}

int64_t turn_due_ms(const struct turn *t, int64_t now_ms)
{
    return now_ms >= t->from_ms ? INT64_MAX : t->from_ms;
}

bool turn_burst_full(const struct turn *t, size_t n)
{
    if (t->rate_bytes_s == 0)
        return t->burst_frames + 1 >= TURN_BURST_FRAMES;
    /* Full when a further whole frame would not fit. */
    return t->burst_frames > 0 && line_ms(t, t->burst_bytes + n + FRAMED_MAX) > TURN_BURST_MS;
}

void turn_sent(struct turn *t, size_t n, bool over, uint32_t random, int64_t now_ms)
{
    if (t->holder != TURN_OURS) {
        t->holder = TURN_OURS; /* a free line is taken by speaking */
        t->burst_bytes = 0;
        t->burst_frames = 0;
    }
    t->spoke = true;
    t->from_ms = now_ms;
    t->burst_bytes += n;
    t->burst_frames++;
    if (t->line_free_ms < now_ms)
        t->line_free_ms = now_ms;
    t->line_free_ms += line_ms(t, n);
    if (!over)
        return;
    t->holder = TURN_THEIRS;
    t->awaiting = true;
    t->spoke = false;
    t->from_ms = t->line_free_ms + 2 * t->answer_ms + TURN_SILENCE_MS + random_part(t, random);
}

void turn_heard(struct turn *t, uint32_t random, int64_t now_ms)
{
    /* While we speak this is our own echo, or a collision that neither end can mend now. */
    if (now_ms <= t->line_free_ms)
        return;
    int64_t lapse = now_ms + TURN_SILENCE_MS + random_part(t, random);
    if (t->holder == TURN_THEIRS && t->awaiting) {
        int64_t took = now_ms - t->line_free_ms;
        if (took < 4 * FIRST_ANSWER_MS)
            t->answer_ms += (took - t->answer_ms) / 4;
        /* A late echo of ours must not shorten the wait for the answer. */
        if (lapse < t->from_ms)
            lapse = t->from_ms;
    }
    t->awaiting = false;
    t->holder = TURN_THEIRS;
    t->spoke = false;
    t->from_ms = lapse;
}

void turn_given(struct turn *t, int64_t now_ms)
{
    t->holder = TURN_OURS;
    t->awaiting = false;
    t->spoke = false;
    t->burst_bytes = 0;
    t->burst_frames = 0;
    t->from_ms = now_ms + TURN_GAP_MS + line_ms(t, 4);
}
