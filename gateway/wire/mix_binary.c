#include "gateway/wire/mix_binary.h"

#include <string.h>
#include "gateway/wire/mix_counter.h"

#define SPREAD_MIN 6

void mix_binary_init(struct mix_binary *b)
{
    for (uint32_t i = 0; i < b->column_count; i++)
        b->columns[i] = (struct mix_column){.spread = {256, 256, 256}, .same = 64};
}

void mix_binary_begin(struct mix_binary *b, uint32_t slot)
{
    b->slot = slot;
    b->state = NULL;
}

void mix_binary_prepare(struct mix_binary *b, uint32_t position, int fixed)
{
    const struct mix_window *w = b->window;

    b->last_byte = mix_reference_byte(&b->last, w);
    b->before_byte = mix_reference_byte(&b->before, w);
    /* A column keeps its name from message to message, however far insertions have moved it. */
    b->column = fixed >= 0       ? (unsigned)fixed
                : b->last.on && w->head - b->last.place <= w->mask / MIX_WINDOW_COLUMNS
                    ? w->columns[b->last.place & w->mask / MIX_WINDOW_COLUMNS]
                                 : position & 255;
    w->columns[w->head & w->mask / MIX_WINDOW_COLUMNS] = (uint8_t)b->column;

    b->lean = 0;
    b->carried = 0x1000;
    if (b->last.on) {
        int carry = 0;
        if (position && b->last.place != b->last.begin) {
            int is = mix_window_at(w, w->head - 1), was = mix_window_at(w, b->last.place - 1);
            int step = (int8_t)(is - was);
            b->lean = is - was > 2 ? 2 : is - was < -2 ? -2 : is - was;
            carry = was + step > 255 ? 1 : was + step < 0 ? -1 : 0;
        }
        b->carried = ((b->last_byte + (unsigned)carry) & 255) | (unsigned)(carry + 1) << 8;
    }
    b->state = b->last.on ? &b->columns[mix_spread(mix_hash3(b->slot, b->column, 3), b->column_count)]
                          : NULL;
}

static uint32_t tail(int d, uint32_t spread)
{
    uint32_t x = ((uint32_t)d * 2048 - 1024) / spread;
    uint32_t narrow = x < 2048 ? mix_exp_tail[x] : 0;

    x >>= 3;
    uint32_t wide = x < 2048 ? mix_exp_tail[x] : 0;
    return narrow - (narrow >> 3) + (wide >> 3);
}

/* Mass of all values <= x around the guess. */
static int64_t cumulated(int x, int guess, uint32_t spread, uint32_t same)
{
    if (x < guess)
        return tail(guess - x, spread);
    return 2 * (int64_t)tail(1, spread) + same - tail(x + 1 - guess, spread);
}

/* Mass of [low, high], the values wrapping round at 256. */
static int64_t mass(int low, int high, int guess, uint32_t spread, uint32_t same, bool wraps)
{
    int64_t sum = cumulated(high, guess, spread, same) - cumulated(low - 1, guess, spread, same);

    if (wraps)
        for (int turn = -256; turn <= 256; turn += 512)
            sum += cumulated(high, guess + turn, spread, same) -
                   cumulated(low - 1, guess + turn, spread, same);
    return sum;
}

static void guesses(const struct mix_binary *b, int guess[MIX_COLUMN_GUESSES])
{
    int last = (int)b->last_byte;

    guess[0] = last;
    guess[1] = b->before_byte == MIX_NO_BYTE ? last : (2 * last - (int)b->before_byte) & 255;
    guess[2] = last - 256 * b->lean;
}

void mix_binary_predict(const struct mix_binary *b, unsigned node, unsigned bits, int16_t *in)
{
    const struct mix_column *c = b->state;
    int guess[MIX_COLUMN_GUESSES];

    memset(in, 0, MIX_BINARY_INPUTS * sizeof *in);
    if (!c)
        return;
    guesses(b, guess);
    int half = 128 >> bits, low = (int)(node << (8 - bits)) & 255;
    for (unsigned k = 0; k < MIX_COLUMN_GUESSES; k++) {
        uint32_t same = c->same * 65536u;
        int64_t zeros = 64 + mass(low, low + half - 1, guess[k], c->spread[k], same, k < 2);
        int64_t ones = 64 + mass(low + half, low + 2 * half - 1, guess[k], c->spread[k], same, k < 2);
        int p = (int)(ones * 65535 / (zeros + ones));
        in[2 * k] = (int16_t)mix_stretch(p);
        in[2 * k + 1] = (int16_t)((p - 32768) / 32);
    }
}

void mix_binary_follow(struct mix_binary *b, uint8_t c)
{
    struct mix_column *s = b->state;

    if (s) {
        int guess[MIX_COLUMN_GUESSES];
        int rate = s->seen < 3 ? 3 : s->seen < 14 ? s->seen : 14;
        guesses(b, guess);
        for (unsigned k = 0; k < MIX_COLUMN_GUESSES; k++) {
            int error = k < 2 ? (int8_t)(c - guess[k]) : c - guess[k];
            error = error < 0 ? -error : error;
            if (k == 0 && error == 0)
                continue; /* how far it moves when it moves */
            int spread = s->spread[k] + (error * 16 - s->spread[k]) / rate;
            s->spread[k] = (uint16_t)(spread < SPREAD_MIN ? SPREAD_MIN : spread);
        }
        s->same = (uint8_t)(s->same + ((c == b->last_byte ? 255 : 0) - s->same) / rate);
        if (s->same < 2)
            s->same = 2;
        if (s->seen < 200)
            s->seen++;
    }
    mix_reference_follow_binary(&b->last, b->window, c);
    mix_reference_follow_binary(&b->before, b->window, c);
}

void mix_binary_align(struct mix_binary *b, uint32_t position)
{
    mix_reference_align(&b->last, b->window, position);
    mix_reference_align(&b->before, b->window, position);
}
