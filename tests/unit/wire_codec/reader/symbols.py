"""[C-3] symbols, [C-4.2] strands."""
from .basics import M32, Place, RECIPROCAL, clamp, counter, hash2, hash3, quotient, spread, squash, stretch


FLAGS = 27  # sets from here on: [C-4.4]


class Symbols:
    def __init__(self, count):
        self.count = count
        self.counters = [[counter(32768, 0)] * count for _ in range(6)]
        self.weights = {}

    def bit(self, coder, step, depth, contexts, node, wanted):
        w = self.weights.setdefault((step, min(depth, 7)), [65536 * 20 // 100] * 6)
        share = self.count // 8  # of the flags beside bytes
        first, count = (share, self.count - share) if step < FLAGS else (0, share)
        places = [Place(self.counters[i], first + spread(hash3(c, node, step), count)) for i, c in enumerate(contexts)]
        logits = [stretch(place.p()) for place in places]
        p = max(1, min(65535, squash(clamp(sum(a * b for a, b in zip(w, logits)) >> 16))))
        bit = coder.bit(p, wanted)
        error = quotient((bit << 16) - p, 16)
        for i, place in enumerate(places):
            w[i] = max(-8 * 65536, min(8 * 65536, w[i] + (logits[i] * error * 14 >> 14)))
            place.move(bit, 511)
        return bit

    def value(self, coder, step, bits, contexts, wanted=None):
        """A symbol of so many bits, or (0) a number. wanted: its value, where it is known."""
        length = bits or 7
        code = None if wanted is None else wanted if bits else wanted.bit_length()
        value = 0
        for done in range(length):
            value = value << 1 | self.bit(coder, step, done, contexts, (value | 1 << done) + 17, digit(code, length - 1 - done))
        if bits or value <= 1:
            return value
        size, value = min(value, 64), 1
        for done in range(1, size):
            node = hash3(size, done, (value & M32) if done <= 10 else 0)
            value = value << 1 | self.bit(coder, step, done, contexts, node, digit(wanted, size - 1 - done))
        return value


def digit(value, at):
    return None if value is None else value >> at & 1


class Strand:
    def __init__(self):
        self.recent = [0] * 6
        self.seen = self.last = self.period = self.due = 0


def scale(late):
    return min((abs(late) // 64).bit_length(), 7) << 1 | (late < 0)


class Strands:
    """[C-4.2]"""

    def __init__(self):
        self.strand = [Strand() for _ in range(32)]
        self.first, self.levels = None, 0
        self.count = self.order = 0

    def name(self, text):
        """The strands of a topic by level."""
        h, hashes = 0, []
        for c in text:
            if c == 0x2f and len(hashes) < 4:
                hashes.append(h)
            h = hash2(h, c)
            if len(hashes) == 4:
                break
        hashes += [h] * (4 - len(hashes))
        if self.first is None:
            self.first, self.levels = hashes, 3
        while self.levels and hashes[self.levels - 1] != self.first[self.levels - 1]:
            self.levels -= 1
        return [h % 31 for h in hashes]

    def contexts(self, recent):
        waiting = sorted((i for i in range(32) if self.strand[i].seen >= 2), key=lambda i: self.strand[i].due)
        first, after = (waiting + [32, 32])[:2]
        now = self.count * 256
        late = scale(now - self.strand[first].due) if first < 32 else 0
        apart = scale(self.strand[after].due - self.strand[first].due) if after < 32 else 0
        both = first | after << 8
        return [hash3(first, recent[0], 1), hash3(self.order & 0xfff, both, 2), hash3(recent[0], recent[1], 3),
                hash2(self.order, 4), hash3(both, late | apart << 8, 5), 6]

    def add(self, number, slot):
        s, now = self.strand[number], self.count * 256
        if s.seen:
            gap, off = (self.count - s.last) * 256, now - s.due
            keeps = s.seen > 1 and abs(off) <= 2 * s.period
            s.period += quotient(gap - s.period, min(s.seen, 64))
            s.due = s.due + quotient(off, 4) if keeps else now
        else:
            s.due = now
        s.due += s.period
        s.last = self.count
        self.count += 1
        s.seen = min(255, s.seen + 1)
        s.recent = [slot + 1] + s.recent[:5]
        self.order = (self.order << 6 | number) & M32
