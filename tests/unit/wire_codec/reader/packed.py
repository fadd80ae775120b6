"""[M-10] the columns of packed binary."""
from .basics import hash3, quotient, spread, stretch, tail
from .references import NONE, Reference


class Column:
    def __init__(self):
        self.spread, self.same, self.seen = [256] * 3, 64, 0


def signed(v):
    return (v & 255 ^ 128) - 128


def cumulated(x, guess, width, same):
    if x < guess:
        return tail(guess - x, width)
    return 2 * tail(1, width) + same - tail(x + 1 - guess, width)


def mass(low, high, guess, width, same, wraps):
    return sum(cumulated(high, g, width, same) - cumulated(low - 1, g, width, same)
               for g in ((guess, guess - 256, guess + 256) if wraps else (guess,)))


class Packed:
    def __init__(self, window, columns):
        self.window, self.count, self.columns = window, columns, {}
        self.last, self.before = Reference(), Reference()
        self.state = None

    def begin(self, slot):
        self.slot, self.state = slot, None

    def prepare(self, position, fixed):
        w, last = self.window, self.last
        ring = w.mask // 4
        self.last_byte, self.before_byte = last.byte(w), self.before.byte(w)
        if fixed is not None:
            self.column = fixed
        elif last.on and w.head - last.place <= ring:
            self.column = w.columns[last.place & ring]
        else:
            self.column = position & 255
        w.columns[w.head & ring] = self.column
        self.lean, self.carried, self.state = 0, 0x1000, None
        if not last.on:
            return
        carry = 0
        if position and last.place != last.begin:
            now, was = w.at(w.head - 1), w.at(last.place - 1)
            self.lean = max(-2, min(2, now - was))
            to = was + signed(now - was)
            carry = 1 if to > 255 else -1 if to < 0 else 0
        self.carried = (self.last_byte + carry & 255) | carry + 1 << 8
        self.state = self.columns.setdefault(spread(hash3(self.slot, self.column, 3), self.count), Column())

    def guesses(self):
        last = self.last_byte
        return [last, last if self.before_byte == NONE else 2 * last - self.before_byte & 255, last - 256 * self.lean]

    def predict(self, node, bits):
        c, out = self.state, []
        if not c:
            return [0] * 8
        half, low = 128 >> bits, node << 8 - bits & 255
        for k, guess in enumerate(self.guesses()):
            same = c.same * 65536
            zeros = 64 + mass(low, low + half - 1, guess, c.spread[k], same, k < 2)
            ones = 64 + mass(low + half, low + 2 * half - 1, guess, c.spread[k], same, k < 2)
            p = ones * 65535 // (zeros + ones)
            out += [stretch(p), quotient(p - 32768, 32)]
        return out + [0, 0]

    def follow(self, c):
        s = self.state
        if s:
            rate = max(3, min(14, s.seen))
            for k, guess in enumerate(self.guesses()):
                error = abs(signed(c - guess) if k < 2 else c - guess)
                if k == 0 and error == 0:
                    continue
                s.spread[k] = max(6, s.spread[k] + quotient(error * 16 - s.spread[k], rate))
            s.same = max(2, s.same + quotient((255 if c == self.last_byte else 0) - s.same, rate))
            s.seen = min(200, s.seen + 1)
        self.last.follow_binary(self.window, c)
        self.before.follow_binary(self.window, c)

    def align(self, position):
        self.last.align(self.window, position)
        self.before.align(self.window, position)
