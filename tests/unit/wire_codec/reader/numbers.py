"""[M-7] fields of numbers and their predictors, [M-9.4] floats as decimals, [M-9] values in containers."""
from .basics import M32, M64, quotient, spread, stretch, tail
from .references import Expectation

LAST, LINE, MEAN, RELATED = range(4)
VALUE_MAX = (1 << 57) - 1
SPREAD_MAX = 960000000


class Field:
    def __init__(self):
        self.check = self.seen = self.decimals = self.shown = self.digits = self.trust = self.relation = self.source = 0
        self.padded = False
        self.hits, self.spread = [0] * 4, [0] * 4
        self.last = self.before = self.mean16 = 0


class Recent:
    def __init__(self, key=0, decimals=0, value=0, before=0):
        self.key, self.decimals, self.value, self.before = key, decimals, value, before


def rescale(value, old, new):
    """None where it does not fit."""
    if new < old:
        return quotient(value, 10 ** (old - new))
    factor = 10 ** (new - old)
    return None if abs(value) > VALUE_MAX // factor else value * factor


def relate(f, r, relation):
    value, before = rescale(r.value, r.decimals, f.decimals), rescale(r.before, r.decimals, f.decimals)
    if value is None or before is None:
        return None
    if relation == 0:
        return value
    if relation == 1:
        return f.last + value - before
    if relation == 2:
        return f.last - (value - before)
    if r.before == 0 or abs(f.last) > 0x7fffffff or abs(r.value) > 0x7fffffff:
        return None
    product, half = f.last * r.value, abs(r.before) // 2
    product += -half if product < 0 else half
    return quotient(product, r.before) if r.before > 0 else quotient(-product, -r.before)


class Numbers:
    def __init__(self, count):
        self.count = count
        self.fields = [Field() for _ in range(count)]
        self.recent = [Recent() for _ in range(64)]  # the latest first
        self.key, self.field, self.guess, self.related = 0, None, [0] * 4, False

    def open(self, key):
        at = 2 * spread(key, self.count // 2)
        f, check = self.fields, key & 0xffff
        if f[at].check != check and f[at + 1].check == check:
            f[at], f[at + 1] = f[at + 1], f[at]
        f = f[at]
        self.key, self.field, self.related = key, None, False
        if f.check != check or not f.seen:
            return False
        self.field = f
        self.guess = [f.last, 2 * f.last - f.before, f.mean16 + 8 >> 4, f.last]
        if f.trust:
            r = next((r for r in self.recent if r.key == f.source), None)
            guess = relate(f, r, f.relation) if r else None
            if guess is not None:
                self.related, self.guess[RELATED] = True, guess
        return True

    def cumulated(self, k, x):
        f, guess = self.field, self.guess[k]
        if x < guess:
            return tail(guess - x & M64, f.spread[k])
        return 2 * tail(1, f.spread[k]) + f.hits[k] * 65536 - tail(x + 1 - guess & M64, f.spread[k])

    def find_relation(self, f, value):
        if value == f.last:
            return
        for relation in range(4):
            for r in self.recent:
                if not r.key or r.key == self.key or (relation and r.value == r.before):
                    continue
                guess = relate(f, r, relation)
                if guess is not None and abs(guess - value) <= (relation == 3):
                    f.source, f.relation, f.trust = r.key, relation, 1
                    return

    def learn(self, f, value):
        rate = 2 if f.seen < 2 else min(12, f.seen + 1)
        for k in range(4):
            error = min(abs(value - self.guess[k]), SPREAD_MAX // 16)
            f.hits[k] = max(2, f.hits[k] + quotient((0 if error else 255) - f.hits[k], rate))
            if k == LAST and error == 0:
                continue
            f.spread[k] = max(6, f.spread[k] + quotient(error * 16 - f.spread[k], rate))
        off = abs(self.guess[RELATED] - value)
        if not f.trust:
            self.find_relation(f, value)
        elif self.related and off <= (f.relation == 3):
            f.trust += f.trust < 14 and value != f.last
        else:
            f.trust = max(0, f.trust - 2)
        f.mean16 += quotient(value * 16 - f.mean16, 6)

    def first(self, f, value):
        f.__init__()
        f.check, f.last, f.before, f.mean16 = self.key & 0xffff, value, value, value * 16
        f.spread = [min(16 + abs(value) // 4, 1000000)] * 4
        f.hits = [64] * 4

    def refine(self, f, decimals):
        factor = 10 ** (decimals - f.decimals)
        if any(abs(guess) > VALUE_MAX // factor for guess in self.guess):
            return False
        finer = [rescale(v, f.decimals, decimals) for v in (f.last, f.before, f.mean16)]
        if None in finer:
            return False
        f.last, f.before, f.mean16 = finer
        f.spread = [SPREAD_MAX if s > SPREAD_MAX // factor else s * factor for s in f.spread]
        f.decimals = decimals
        self.guess = [guess * factor for guess in self.guess]
        return True

    def close(self, value, decimals, digits, padded):
        f = self.field
        if decimals > 18 or abs(value) > VALUE_MAX:
            return
        known = f is not None
        if known and decimals > f.decimals:
            known = self.refine(f, decimals)
        elif known:
            finer = rescale(value, decimals, f.decimals)
            known = finer is not None
            value = finer if known else value
        if known:
            self.learn(f, value)
        else:
            f = f or self.fields[2 * spread(self.key, self.count // 2) + 1]
            self.first(f, value)
            f.decimals = decimals
        f.before, f.last = f.last, value
        f.shown, f.digits, f.padded = decimals, min(255, digits), padded
        f.seen = min(255, f.seen + 1)
        self.recent = [Recent(self.key, f.decimals, value, f.before)] + self.recent[:63]


def decimal_edge(bits, size, decimals):
    """[M-9.4] How many multiples of 10^-decimals, from 0, round to floats below this one; None: out of bounds."""
    fraction, bias = (23, 127) if size == 4 else (52, 1023)
    exponent, mantissa = bits >> fraction, bits & (1 << fraction) - 1
    if exponent >= 2 * bias + 1:
        return None
    if exponent > 0:
        mantissa |= 1 << fraction
    else:
        exponent = 1
    if mantissa == 0:
        return 0
    shift = fraction + 1 + bias - exponent
    product = (2 * mantissa - 1) * 10 ** decimals
    if shift < -20:
        return None
    edge = product << -shift if shift <= 0 else 1 if shift >= 128 else -(-product >> shift)
    whole = product >> shift if 0 < shift < 128 else edge
    return None if whole > VALUE_MAX else edge


def decimal_of(bits, size):
    """The shortest decimal that rounds to this float: (value, decimals), or None."""
    found = None
    for d in range(13):
        low, high = decimal_edge(bits, size, d), decimal_edge(bits + 1, size, d)
        if low is None or high is None:
            break
        found = low, d
        if high > low:
            break
    return found


class Value:
    """[M-9] A number of a container: fixed ones bit by bit, varints as expected bytes."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.expected = [Expectation(k) for k in range(2)]
        self.size = self.at = self.prefix = 0
        self.known = self.is_float = False
        self.idle()

    def idle(self):
        self.open, self.choices = False, 0
        for e in self.expected:
            e.clear()

    def begin(self, key, size, is_float):
        self.idle()
        self.open, self.size, self.is_float, self.at, self.prefix = True, size, is_float, 0, 0
        n = self.numbers
        self.known = n.open(key)
        if self.known and not size:
            self.expect(0, n.guess[LINE], n.field.hits[LINE] >> 4)
            if n.related:
                self.expect(1, n.guess[RELATED], n.field.trust)

    def expect(self, k, value, sure):
        if value < 0:
            return
        text = []
        while value > 127:
            text.append(value & 127 | 128)
            value >>= 7
        self.expected[k].set(text + [value], sure)

    def edge(self, bits):
        if self.is_float:
            return decimal_edge(bits, self.size, self.numbers.field.decimals)
        return bits if bits <= VALUE_MAX else None

    def between(self, k, low, high, negative):
        n = self.numbers
        if negative:
            return n.cumulated(k, -low) - n.cumulated(k, -high) & M32
        return n.cumulated(k, high - 1) - n.cumulated(k, low - 1) & M32

    def predict(self, node, bits):
        zero = [0] * 8
        self.choices = 0
        if not self.open or not self.known or not self.size:
            return zero
        done = 8 * self.at + bits
        prefix = self.prefix << bits | node & (1 << bits) - 1
        negative = False
        if self.is_float:
            if done == 0:
                return zero
            negative = prefix >> done - 1 & 1
            prefix &= (1 << done - 1) - 1
        shift = 8 * self.size - done - 1
        low = prefix << shift + 1
        first, middle = self.edge(low), self.edge(low + (1 << shift))
        if first is None or middle is None:
            return zero
        last = self.edge(low + (2 << shift))
        if last is None:
            last = VALUE_MAX
        if last <= first or middle < first or last < middle:
            return zero
        self.choices = min(15, (last - first).bit_length())
        out = []
        for k in range(4):
            zeros, ones = self.between(k, first, middle, negative), self.between(k, middle, last, negative)
            few = last - first < 1024
            zeros += middle - first if few else 1
            ones += last - middle if few else 1
            p = ones * 65535 // (zeros + ones)
            out += [stretch(p), quotient(p - 32768, 32)]
        return out

    def close(self):
        self.open = False
        value, decimals, negative = self.prefix, 0, False
        if self.is_float:
            sign = 1 << 8 * self.size - 1
            negative = bool(value & sign)
            found = decimal_of(value & sign - 1, self.size)
            if found is None:
                return
            value, decimals = found
        elif value > VALUE_MAX:
            return
        self.numbers.close(-value if negative else value, decimals, 0, False)

    def byte(self, c):
        for e in self.expected:
            e.follow(c)
        if not self.open:
            return
        if self.size:
            self.prefix = self.prefix << 8 | c
            self.at += 1
            if self.at == self.size:
                self.close()
        elif self.at > 8:
            self.open = False
        else:
            self.prefix |= (c & 127) << 7 * self.at
            self.at += 1
            if not c & 128:
                self.close()
