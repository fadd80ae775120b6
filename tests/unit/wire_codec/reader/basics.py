"""[C-1] the range coder, [C-2] tables, counters and hashes."""
import gen_mix_tables as tables

M32, M64 = 0xffffffff, 0xffffffffffffffff
LOGIT_MAX = 2880
SQUASH = tables.squash_table()
TAIL = tables.logit_table(0, 2048, 1, -1)
MIDDLE = tables.logit_table(128, 1921, 16, -1)
RECIPROCAL = [65536 * 2 // (2 * n + 3) for n in range(512)]
EXP = [(1 << 23) * tables.exp_fixed(-i, 128) // tables.ONE for i in range(2048)]
STATES = tables.states()


def hash2(a, b):
    h = (a * 0x9e3779b1 ^ (b + 0x632be5ab) * 0x85ebca77) & M32
    h ^= h >> 15
    h = h * 0x2c1b3c6d & M32
    return h ^ h >> 13


def hash3(a, b, c):
    return hash2(hash2(a, b), c)


def spread(h, n):
    return (h & M32) * n >> 32


def quotient(a, b):
    """a / b, rounded towards zero; b > 0."""
    return a // b if a >= 0 else -(-a // b)


def squash(logit):
    x = min(abs(logit), LOGIT_MAX - 1)
    low, high = SQUASH[x >> 3], SQUASH[(x >> 3) + 1]
    p = low + ((high - low) * (x & 7) >> 3)
    return 65536 - p if logit < 0 else p


def stretch(p):
    low = p if p < 32768 else 65535 - p
    logit = TAIL[low] if low < 2048 else MIDDLE[(low >> 4) - 128]
    return logit if p < 32768 else -logit


def clamp(logit):
    return max(-LOGIT_MAX, min(LOGIT_MAX, logit))


def counter(p, n):
    """[C-2.3]: p in 1/65536, as if seen n times. A counter is p in 22 bits, n in 10."""
    return p << 16 | n


def moved(c, bit, limit):
    n, p = c & 1023, c >> 10
    error = quotient((bit << 22) - bit - p, 8)
    p += quotient(error * RECIPROCAL[n], 8192)
    return p << 10 | (n + 1 if n < limit else n)


class Place:
    """One counter in a list, remembered from the prediction to its update."""

    def __init__(self, counters, index):
        self.counters, self.index = counters, index

    def p(self):
        return self.counters[self.index] >> 16

    def move(self, bit, limit):
        self.counters[self.index] = moved(self.counters[self.index], bit, limit)


def tail(d, width):
    """[C-2.5] About 2^23 times the probability of an error of at least d >= 1."""
    x = ((d * 2048 - 1024) & M64) // width
    narrow = EXP[x] if x < 2048 else 0
    x >>= 3
    wide = EXP[x] if x < 2048 else 0
    return narrow - (narrow >> 3) + (wide >> 3)


class Coder:
    """[C-1], the decoder: decisions out of a unit's bytes."""

    def __init__(self, unit):
        self.unit, self.at = unit, 0
        self.range, self.value = M32, 0
        for _ in range(4):
            self.shift()

    def shift(self):
        self.value = (self.value << 8 | (self.unit[self.at] if self.at < len(self.unit) else 0)) & M32
        self.at += 1

    def shifts(self):
        return self.at - 4

    def normalise(self):
        while self.range < 1 << 24:
            self.range = self.range << 8
            self.shift()

    def bit(self, p, _):
        self.normalise()
        bound = self.range * p >> 16
        if self.value < bound:
            self.range = bound
            return 1
        self.value -= bound
        self.range -= bound
        return 0

    def even(self, _):
        self.normalise()
        self.range >>= 8
        v = min(self.value // self.range, 255)
        self.value -= v * self.range
        return v


class Encoder:
    """[C-1], the encoder: bits that are known into a unit's bytes."""

    def __init__(self):
        self.low, self.range, self.out = 0, M32, bytearray()

    def shifts(self):
        return len(self.out)

    def carry(self):
        at = len(self.out) - 1
        while self.low >> 32 and self.out[at] == 255:
            self.out[at] = 0
            at -= 1
        if self.low >> 32:
            self.out[at] += 1
        self.low &= M32

    def normalise(self):
        while self.range < 1 << 24:
            self.range <<= 8
            self.carry()
            self.out.append(self.low >> 24)
            self.low = (self.low & 0xffffff) << 8

    def bit(self, p, wanted):
        self.normalise()
        bound = self.range * p >> 16
        if wanted:
            self.range = bound
        else:
            self.low += bound
            self.range -= bound
        return wanted

    def even(self, wanted):
        self.normalise()
        self.range >>= 8
        self.low += self.range * wanted
        return wanted

    def flush(self):
        """[C-1.4]"""
        self.normalise()
        whole = self.low + M32 >> 32 << 32
        self.low = whole if whole - self.low < self.range else self.low + 0xffffff >> 24 << 24
        carried = self.low >> 32
        self.carry()
        if self.low >> 24:
            self.out.append(self.low >> 24)
        elif not carried and self.out[-1:] == b"\0":
            self.out.pop()
        return bytes(self.out)


class Known:
    """In place of the coder where a record is known, in priming ([C-4.5])."""

    def shifts(self):
        return 0

    def bit(self, _, wanted):
        return wanted

    def even(self, wanted):
        return wanted
