"""[M-2] the window, [M-3] references, [M-6] expectations."""
from .basics import M32, Place, counter, quotient, stretch

NONE = 256  # no byte


def is_digit(c):
    return 48 <= c <= 57


def is_letter(c):
    return 97 <= c <= 122 or 65 <= c <= 90 or c == 95 or c >= 128


def is_value(c):
    return is_digit(c) or c == 46 or is_letter(c)


def is_armor(c):
    return c not in (0x2c, 0x2a)


class Window:
    def __init__(self, size):
        self.mask = size - 1
        self.bytes, self.ends = bytearray(size), bytearray(size)
        self.columns = bytearray(size // 4)
        self.head = 1

    def at(self, place):
        return self.bytes[place & self.mask]

    def is_end(self, place):
        return self.ends[place & self.mask]

    def holds(self, place):
        return bool(place) and (self.head - place & M32) < self.mask - (self.mask >> 4)

    def put(self, c, end):
        self.bytes[self.head & self.mask] = c
        self.ends[self.head & self.mask] = end
        self.head += 1


def lean(place, vote):
    p = place.p()
    logit, off = stretch(p), quotient(p - 32768, 32)
    return (logit, off) if vote else (-logit, -off)


class Reference:
    def __init__(self):
        self.on, self.place, self.begin, self.end, self.agreed, self.missed = False, 0, 0, 0, 0, 0
        self.counter, self.vote = None, 0

    def start(self, w, place, length, agreed):
        self.on, self.place, self.agreed, self.missed, self.counter = w.holds(place), place, agreed, 0, None
        self.begin, self.end = (place, place + length) if self.on else (0, 0)

    def copy(self):
        r = Reference()
        r.__dict__.update(self.__dict__)
        return r

    def byte(self, w):
        return w.at(self.place) if self.on else NONE

    def predict(self, w, node, bits, binary, counters):
        """Two inputs, and how sure: 0 no vote, negative for a 0."""
        self.counter = None
        byte = self.byte(w) | 256
        if not self.on or byte >> 8 - bits != node:
            return (0, 0), 0
        n = self.agreed
        sure = n if n <= 11 else 15 if n > 400 else 14 if n > 64 else 13 if n > 31 else 12
        part = 0 if bits == 0 else 1 if bits < 3 else 2 if bits < 5 else 3
        self.counter = Place(counters, sure * 32 + self.missed * 8 + binary * 4 + part)
        self.vote = byte >> 7 - bits & 1
        return lean(self.counter, self.vote), sure + 1 if self.vote else -sure - 1

    def update(self, bit):
        if self.counter:
            self.counter.move(self.vote == bit, 511)

    def hit(self):
        self.agreed = min(65535, self.agreed + 1)
        if self.agreed > 15:
            self.missed = 0
        self.place += 1

    def miss(self):
        self.agreed = 0
        self.missed = min(3, self.missed + 1)

    def follow_text(self, w, armored, c):
        if not self.on:
            return
        belongs = is_armor if armored else is_value
        expected = w.at(self.place)
        if expected == c:
            self.hit()
        else:
            self.miss()
            if belongs(c):
                self.place += belongs(expected)
            else:
                for k in range(40):
                    if w.at(self.place + k) == c:
                        self.place += k + 1
                        break
                    if w.is_end(self.place + k):
                        break
        self.on = w.holds(self.place)

    def follow_binary(self, w, c):
        bounded = self.begin != self.end
        if not self.on and not bounded:
            return
        if self.on and w.at(self.place) == c:
            self.hit()
        else:
            self.miss()
            self.place += self.on
        if (bounded and self.place >= self.end) or not w.holds(self.place):
            self.on = False

    def follow_match(self, w, c):
        if not self.on:
            return
        if w.at(self.place) != c or not w.holds(self.place + 1):
            self.on = False
        else:
            self.hit()

    def common(self, w, place, most):
        return sum(w.at(place - i) == w.at(w.head - i) for i in range(1, most + 1) if place - i >= self.begin)

    def align(self, w, position):
        def fit(place):
            return all(w.at(place - i) == w.at(w.head - i) for i in (1, 2, 3))

        if self.begin == self.end or position < 3 or not w.holds(self.begin):
            return
        if self.on and (self.missed == 0 or (self.place - self.begin >= 3 and fit(self.place))):
            return
        if w.at(w.head - 1) == w.at(w.head - 2) == w.at(w.head - 3):
            return
        most = min(position, 20)
        now = self.common(w, self.place, most) if self.on else 0
        middle = self.place if self.on else self.end
        for d in range(1, 100):
            for place in (middle + d, middle - d):
                if not self.begin + 3 <= place < self.end:
                    continue
                if fit(place) and self.common(w, place, most) > now:
                    self.place, self.on, self.agreed, self.missed = place, True, 3, 1
                    return


def difference(c, was):
    """How one byte differs from another: 1 up by one, 2 down by one, 3 up, 4 down, 5 not as digits do."""
    if not is_digit(c) or not is_digit(was):
        return 5
    return {1: 1, -1: 2}.get(c - was, 3 if c > was else 4)


class Expectation:
    def __init__(self, kind):
        self.kind = kind
        self.counters = [counter(32768, 3)] * 512
        self.text, self.sure = b"", 0
        self.clear()

    def clear(self):
        self.text, self.at, self.diverged = b"", 0, 0
        self.counter, self.vote = None, 0

    def set(self, text, sure):
        self.text, self.sure, self.at, self.diverged = bytes(text), sure, 0, 0

    def byte(self):
        return NONE if self.diverged or self.at >= len(self.text) else self.text[self.at]

    def predict(self, node, bits, also):
        """Two inputs; 0 no vote, 1 votes, 2 votes and is sure."""
        self.counter = None
        byte = self.byte()
        if byte == NONE or (byte | 256) >> 8 - bits != node:
            return (0, 0), 0
        left = min(3, len(self.text) - self.at)
        part = 0 if bits < 4 else min(3, bits - 3)
        self.counter = Place(self.counters, self.sure << 5 | part << 3 | left << 1 | also)
        self.vote = byte >> 7 - bits & 1
        return lean(self.counter, self.vote), 1 + (self.sure > 8)

    def update(self, bit):
        if self.counter:
            self.counter.move(self.vote == bit, 255)

    def follow(self, c):
        expected = self.byte()
        if expected not in (NONE, c):
            self.diverged = difference(c, expected)
        self.at = min(len(self.text), self.at + 1)
