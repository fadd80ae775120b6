#include "gateway/wire/mix_reference.h"

#include <stddef.h>
#include "gateway/wire/mix_counter.h"

#define AGREED_MAX     65535
#define DELIMITER_SEEK 40  /* bytes that text may skip to find the delimiter again */
#define ALIGN_SEEK     100 /* bytes that binary looks up and down */
#define ALIGN_COMPARE  20
#define ALIGN_LEAST    3

bool mix_is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 128;
}

bool mix_is_value(uint8_t c)
{
    return mix_is_digit(c) || c == '.' || mix_is_letter(c);
}

void mix_reference_start(struct mix_reference *r, const struct mix_window *w, uint32_t place,
                         uint32_t length, unsigned agreed)
{
    *r = (struct mix_reference){.on = mix_window_holds(w, place), .place = place, .begin = place,
                                .end = place + length, .agreed = agreed};
    if (!r->on)
        r->begin = r->end = 0;
}

unsigned mix_reference_byte(const struct mix_reference *r, const struct mix_window *w)
{
    return r->on ? mix_window_at(w, r->place) : 256;
}

static unsigned agreed_class(unsigned n)
{
    if (n <= 11)
        return n;
    return n > 400 ? 15 : n > 64 ? 14 : n > 31 ? 13 : 12;
}

int mix_reference_predict(struct mix_reference *r, const struct mix_window *w, unsigned node,
                          unsigned bits, bool binary, uint32_t *counters, int16_t in[2])
{
    unsigned byte = mix_reference_byte(r, w) | 256;

    r->counter = NULL;
    in[0] = in[1] = 0;
    if (!r->on || byte >> (8 - bits) != node)
        return 0;
    unsigned sure = agreed_class(r->agreed);
    unsigned part = bits == 0 ? 0 : bits < 3 ? 1 : bits < 5 ? 2 : 3;
    r->counter = &counters[sure * 32 + r->missed * 8 + part + (binary ? 4 : 0)];
    r->vote = byte >> (7 - bits) & 1;
    int p = mix_counter_p(*r->counter);
    int logit = mix_stretch(p), lean = (p - 32768) / 32;
    in[0] = (int16_t)(r->vote ? logit : -logit);
    in[1] = (int16_t)(r->vote ? lean : -lean);
    return r->vote ? (int)sure + 1 : -(int)(sure + 1);
}

void mix_reference_update(struct mix_reference *r, int bit)
{
    if (r->counter)
        mix_counter_update(r->counter, r->vote == bit, 511);
}

static void hit(struct mix_reference *r)
{
    if (r->agreed < AGREED_MAX)
        r->agreed++;
    if (r->missed && r->agreed > 15)
        r->missed = 0;
    r->place++;
}

static void miss(struct mix_reference *r)
{
    r->agreed = 0;
    if (r->missed < 3)
        r->missed++;
}

void mix_reference_follow_text(struct mix_reference *r, const struct mix_window *w, bool armored, uint8_t c)
{
    if (!r->on)
        return;
    uint8_t expected = mix_window_at(w, r->place);
    if (expected == c) {
        hit(r);
    } else {
        miss(r);
        if (armored ? mix_is_armor(c) : mix_is_value(c)) { /* within a value: keep in step, but never pass its end */
            if (armored ? mix_is_armor(expected) : mix_is_value(expected))
                r->place++;
        } else {               /* at a delimiter: go to the same one */
            for (uint32_t k = 0; k < DELIMITER_SEEK; k++) {
                if (mix_window_at(w, r->place + k) == c) {
                    r->place += k + 1;
                    break;
                }
                if (mix_window_ends(w, r->place + k))
                    break;
            }
        }
    }
    if (!mix_window_holds(w, r->place))
        r->on = false;
}

void mix_reference_follow_binary(struct mix_reference *r, const struct mix_window *w, uint8_t c)
{
    bool bounded = r->begin != r->end;

    if (!r->on && !bounded)
        return;
    if (r->on && mix_window_at(w, r->place) == c) {
        hit(r);
    } else {
        miss(r);
        r->place += r->on;
    }
    if ((bounded && r->place >= r->end) || !mix_window_holds(w, r->place))
        r->on = false;
}

void mix_reference_follow_match(struct mix_reference *r, const struct mix_window *w, uint8_t c)
{
    if (!r->on)
        return;
    if (mix_window_at(w, r->place) != c || !mix_window_holds(w, r->place + 1)) {
        r->on = false;
        return;
    }
    hit(r);
}

/* How many of the last `most` bytes before the head stand before `place` too. */
static unsigned common(const struct mix_window *w, uint32_t place, uint32_t begin, uint32_t most)
{
    unsigned n = 0;

    for (uint32_t i = 1; i <= most && place - i >= begin; i++)
        n += mix_window_at(w, place - i) == mix_window_at(w, w->head - i);
    return n;
}

static bool last_three_fit(const struct mix_window *w, uint32_t place)
{
    for (uint32_t i = 1; i <= ALIGN_LEAST; i++)
        if (mix_window_at(w, place - i) != mix_window_at(w, w->head - i))
            return false;
    return true;
}

void mix_reference_align(struct mix_reference *r, const struct mix_window *w, uint32_t position)
{
    if (r->begin == r->end || position < ALIGN_LEAST || !mix_window_holds(w, r->begin))
        return;
    if (r->on && (r->missed == 0 ||
                  (r->place - r->begin >= ALIGN_LEAST && last_three_fit(w, r->place))))
        return;
    uint8_t c = mix_window_at(w, w->head - 1);
    if (c == mix_window_at(w, w->head - 2) && c == mix_window_at(w, w->head - 3))
        return; /* a run of one value fits anywhere */
    uint32_t most = position < ALIGN_COMPARE ? position : ALIGN_COMPARE;
    unsigned now = r->on ? common(w, r->place, r->begin, most) : 0;
    uint32_t middle = r->on ? r->place : r->end;
    for (uint32_t d = 1; d < ALIGN_SEEK; d++) {
        for (int side = 0; side < 2; side++) {
            uint32_t place = side ? middle - d : middle + d;
            if (place - r->begin < ALIGN_LEAST || place - r->begin >= r->end - r->begin)
                continue;
            if (!last_three_fit(w, place) || common(w, place, r->begin, most) <= now)
                continue;
            r->place = place;
            r->on = true;
            r->agreed = ALIGN_LEAST;
            r->missed = 1;
            return;
        }
    }
}
