"""[M-8] the model of text."""
from .basics import Place, counter, hash2, hash3, spread, squash, stretch, quotient
from .checksums import Sentence
from .numbers import LAST, LINE, RELATED, Recent
from .references import Expectation, Reference, difference, is_armor, is_digit, is_letter, is_value

DIGITS_MAX = 15


def format_number(value, f):
    """[M-8.5] A number as the field's last one was written; empty where it is too long."""
    unit = 10 ** (f.decimals - f.shown)
    v, out, d = (abs(value) + unit // 2) // unit, [], 0
    while d < f.shown + (f.digits if f.padded else 1) or v:
        if len(out) + 3 > 24:
            return b""
        if d == f.shown and d:
            out.append(46)
        out.append(48 + v % 10)
        v //= 10
        d += 1
    if value < 0:
        out.append(45)
    return bytes(reversed(out))


def next_float(prefix, decimals):
    """[M-8.7] The smallest float >= prefix / 10^decimals, as (mantissa, scale)."""
    unit = 10 ** decimals
    m, rest = divmod(prefix, unit)
    scale = 0
    if m >> 24:
        return None
    while not m >> 23:
        scale += 1
        if scale > 58 or (m == 0 and rest == 0):
            return None
        rest *= 2
        m = m << 1 | (rest >= unit)
        rest -= unit if rest >= unit else 0
    return m + (rest != 0), scale


def float_text(prefix, decimals, significant):
    found = next_float(prefix, decimals)
    if found is None:
        return b""
    mantissa, scale = found
    mask = (1 << scale) - 1
    rest, whole, out = mantissa & mask, mantissa >> scale, []
    for _ in range(decimals):
        rest *= 10
        whole = whole * 10 + (rest >> scale)
        rest &= mask
    if whole != prefix:
        return b""
    while rest and len(out) < 20 and decimals + len(out) < 18:
        rest *= 10
        out.append(48 + (rest >> scale))
        rest &= mask
        slack = 10 ** (decimals + len(out)) >> 30
        known = len(str(prefix)) if prefix else 0
        if known + len(out) >= significant if significant else rest < slack or mask + 1 - rest < slack:
            if rest > mask // 2 and out[-1] < 57:
                out[-1] += 1
            break
    return bytes(out)


def direction(change, width):
    return 0 if change == 0 else (3 if abs(change) * 16 > width else 1) + (change < 0)


class Text:
    def __init__(self, window, numbers, places):
        self.window, self.numbers, self.place_count = window, numbers, places
        self.places = {}  # hash: check, place
        self.last = Reference()
        self.expected = [Expectation(k) for k in range(2)]
        self.floats = [[0, 0] for _ in range(256)]  # trust, digits
        start = [counter(squash((2 * i - 31) * 90), 6) for i in range(32)]
        self.calibration = [[list(start) for _ in range(4)] for _ in range(4)]
        self.place = self.steady = self.trend = 0
        self.calibrated = []
        self.sentence = Sentence()

    def begin(self, slot, topic_class):
        self.slot, self.topic_class = slot, topic_class
        self.word = self.last_word = self.string = self.key = 0
        self.path = [0] * 31
        self.depth = self.commas = self.part = 0
        self.in_string = self.in_sentence = self.armored = False
        self.first_token = hash2(slot, 5)
        self.value = self.value_at = 0
        self.field, self.class_field = hash3(slot, 0, 0), hash3(topic_class, 0, 0)
        self.field_begin()

    def lookup(self, key):
        """[M-8.3] The place where this key's last value began, and its own from now on."""
        at = spread(key, self.place_count)
        check, place = self.places.get(at, (0, 0))
        self.places[at] = key & 0xffff, self.window.head
        return place if check == key & 0xffff else 0

    def field_begin(self):
        w = self.window
        self.last.on = False
        self.diverged = self.last_length = 0
        self.last_is_number = False
        for e in self.expected:
            e.clear()
        self.is_number, self.negative, self.point, self.weighed = True, False, False, False
        self.digits = self.decimals = self.prefix = self.significant = 0
        self.padded = self.spelled = False
        place = self.lookup(self.field)
        if place:
            self.last.start(w, place, 0, 0)
        if self.last.on:
            n = 0
            while n < 24 and not w.is_end(place + n):
                c = w.at(place + n)
                if not is_value(c) and not (n == 0 and c == 45):
                    break
                n += 1
            self.last_length = n
            c = w.at(place)
            if c == 45 and n > 1:
                c = w.at(place + 1)
            self.last_is_number = n > 0 and is_digit(c)
        n = self.numbers
        self.number_known = n.open(self.field)
        if self.number_known:
            f, r = n.field, n.recent[0]
            self.trend = direction(f.last - f.before, f.spread[LAST]) * 5 + direction(r.value - r.before, 0)
            if f.seen > 1:
                self.expected[0].set(format_number(n.guess[LINE], f), f.hits[LINE] >> 4)
            if n.related:
                self.expected[1].set(format_number(n.guess[RELATED], f), f.trust)

    def prepare(self, fast):
        """[M-8.6] The shares of the digits to come."""
        n, f = self.numbers, self.numbers.field
        self.weighed = False
        if fast or not self.is_number or not self.number_known or self.digits + self.decimals >= DIGITS_MAX:
            return
        below = f.decimals - self.decimals - 1 if self.point else f.digits - self.digits - 1 + f.decimals
        weight = (10 ** max(0, min(17, below)) * 16).bit_length() - f.spread[LAST].bit_length() + 8
        self.place = max(0, min(15, weight))
        self.steady = f.hits[LAST] >> 6
        low = high = f.digits
        if self.point:
            if self.decimals >= f.decimals:
                return
            low = high = self.digits
        elif not f.padded or f.digits < 2:
            low, high = max(1, low - 1), high + 1
        mass = [[0] * 10 for _ in range(4)]
        for length in range(low, high + 1):
            done, whole = self.digits + self.decimals + 1, length + f.decimals
            if whole < done or length < self.digits + (not self.point) or whole > DIGITS_MAX + 2:
                continue
            if low != high and self.digits and self.prefix == 0:
                continue
            leads = self.digits == 0 and length > 1 and low != high
            unit = 10 ** (whole - done)
            edges = [(self.prefix * 10 + d) * unit for d in range(11)]
            for k in range(4):
                sums = [n.cumulated(k, -e if self.negative else e - 1) for e in edges]
                for d in range(leads, 10):
                    mass[k][d] += sums[d] - sums[d + 1] if self.negative else sums[d + 1] - sums[d]
        self.share = []
        for k in range(4):
            total = sum(mass[k])
            self.share.append([m * 60000 // total + 16 if total else 4 for m in mass[k]] + [4] * 6)
        self.weighed = True

    def predict_digit(self, node, bits):
        self.calibrated, out = [], [0] * 8
        if not self.weighed or bits < 4 or node >> bits - 4 != 0x13:
            return out
        low, half = (node & (1 << bits - 4) - 1) << 8 - bits, 1 << 7 - bits
        for k in range(4):
            zeros = sum(self.share[k][low:low + half])
            ones = sum(self.share[k][low + half:low + 2 * half])
            logit = stretch(ones * 65535 // (zeros + ones))
            place = Place(self.calibration[k][bits - 4], min(31, quotient(logit + 2880, 180)))
            self.calibrated.append(place)
            out[2 * k:2 * k + 2] = logit, stretch(place.p())
        return out

    def predict_expected(self, k, node, bits):
        e = self.expected[k]
        also = not self.diverged and self.last.byte(self.window) == e.byte()
        return e.predict(node, bits, also)

    def update(self, bit):
        for e in self.expected:
            e.update(bit)
        for place in self.calibrated:
            place.move(bit, 511)

    def follow(self, c):
        last, w = self.last, self.window
        if last.on:
            was = w.at(last.place)
            if self.diverged == 0:
                if was != c:
                    self.diverged = difference(c, was)
            elif self.diverged // 8 < 3:
                self.diverged += 8
            if was == c:
                last.agreed += 1
                last.place += 1
            else:
                last.missed, last.agreed = 1, 0
                last.place += is_value(was) or was == 45 or (self.armored and is_armor(was))
            last.on = w.holds(last.place)
        for e in self.expected:
            e.follow(c)

    def expect_float(self):
        e, (trust, digits) = self.expected[1], self.floats[self.class_field % 256]
        if (not self.point or self.significant < 7 or self.digits + self.decimals >= DIGITS_MAX
                or (not e.diverged and e.at < len(e.text))):
            return
        e.set(float_text(self.prefix, self.decimals, digits),
              (8 if trust else 0) + (6 if self.significant > 13 else self.significant - 7))
        self.spelled = len(e.text) > 0

    def learn_float(self):
        e, known = self.expected[1], self.floats[self.class_field % 256]
        if self.significant < 10:
            return
        right = self.spelled and not e.diverged
        known[0] = min(7, known[0] + 1) if right else known[0] // 2
        if right and e.at < len(e.text):
            known[1] = self.significant
        elif not known[0]:
            known[1] = 0

    def number_byte(self, c):
        if not self.is_number:
            return
        if is_digit(c):
            self.significant += c != 48 or self.significant > 0
            if self.digits + self.decimals >= DIGITS_MAX:
                self.is_number = self.point
                return
            if self.digits == 0 and not self.point:
                self.padded = c == 48
            self.prefix = self.prefix * 10 + c - 48
            if self.point:
                self.decimals += 1
            else:
                self.digits += 1
            self.expect_float()
        elif c == 45 and self.value_at == 0:
            self.negative = True
        elif c == 46 and not self.point and self.digits:
            self.point = True
        else:
            self.is_number = False

    def number_end(self):
        if self.is_number and self.point:
            self.learn_float()
        if self.is_number and self.digits:
            self.numbers.close(-self.prefix if self.negative else self.prefix, self.decimals, self.digits,
                               self.padded and self.digits > 1)
        self.is_number = self.number_known = False

    def structure(self, c):
        """[M-8.1] Moves through JSON and lists. Is c structural?"""
        if c == 0x22:
            self.in_string = not self.in_string
            if self.in_string:
                self.string = 0
            return False
        if self.in_string:
            self.string = hash2(self.string, c)
            return False
        if c in b"{[":
            if self.depth < 30:
                self.path[self.depth + 1] = hash2(self.path[self.depth], self.key + c)
                self.depth += 1
            self.key = self.commas = self.part = 0
        elif c in b"}]":
            self.depth = max(0, self.depth - 1)
            self.key, self.part = c, 0
        elif c == 0x3a and self.depth:
            self.key, self.part = self.string, 0
        elif c == 0x2c:
            self.commas += 1
            self.part = 0
            if self.depth:
                self.key = 1
        else:
            return False
        return True

    def parse(self, c, position):
        """The byte c has come, and was put; position: bytes of the message so far."""
        if is_letter(c) or (is_digit(c) and self.word):
            self.word = hash2(self.word, c)
        elif self.word:
            self.last_word, self.word = self.word, 0
        if (position < 6 or (self.commas == 0 and not self.depth)) and (is_letter(c) or c in b"$!"):
            self.first_token = hash2(self.first_token, c)
        structural = self.structure(c)
        if self.in_sentence and c != 0x2a:
            self.sentence.add(c)
        if is_value(c) or (c == 45 and self.value_at == 0) or (self.armored and is_armor(c)):
            self.value = hash2(self.value, c)
            self.number_byte(c)
            self.value_at += 1
            return
        self.number_end()
        begins = self.value_at == 0
        self.part += not structural
        self.value = self.value_at = 0
        where = hash2(self.path[self.depth], self.key) if self.depth else hash3(self.first_token, self.commas, 9)
        self.field, self.class_field = hash3(self.slot, where, self.part), hash3(self.topic_class, where, self.part)
        self.field_begin()
        if c in b"$!":
            self.in_sentence, self.armored = True, c == 0x21 and begins
            self.sentence = Sentence()
        elif c == 0x2a and self.in_sentence:
            self.in_sentence = self.armored = False
            self.expected[1].set(self.sentence.digits(), 15)
            self.number_known = False

    def end(self):
        self.number_end()
