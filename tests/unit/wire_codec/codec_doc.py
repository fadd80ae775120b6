#!/usr/bin/env python3
"""Decodes the example of docs/CODEC.md by what that document says, and by nothing of the program's but the
tables' generator: the range coder, the symbols and their mixer. (RESET and ABORT records consist of symbols alone.)

usage: codec_doc.py ROOT"""
import os
import re
import sys

ROOT = sys.argv[1]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "gateway", "wire"))
import gen_mix_tables as tables  # noqa: E402

M32 = 0xffffffff
UNIT_END, USUAL, TYPE, CLASS, PREVIOUS_KNOWN, PREVIOUS, NUMBER_HOW, NUMBER = range(8)
BITS = {UNIT_END: 1, USUAL: 1, TYPE: 3, CLASS: 2, PREVIOUS_KNOWN: 1, NUMBER_HOW: 2, PREVIOUS: 0, NUMBER: 0}
ABORT, RESET = 4, 5
NORMAL = 2
N = 1024  # counters of a table, at 256 KB of memory


def hash2(a, b):
    h = (a * 0x9e3779b1 & M32) ^ ((b + 0x632be5ab & M32) * 0x85ebca77 & M32)
    h ^= h >> 15
    h = h * 0x2c1b3c6d & M32
    return h ^ h >> 13


def hash3(a, b, c):
    return hash2(hash2(a, b), c)


def towards_zero(a, b):
    return a // b if a >= 0 else -(-a // b)


class Logistic:
    """[C-2.1]"""

    def __init__(self):
        self.table = tables.squash_table()
        self.tail = tables.logit_table(0, 2048, 1, -1)
        self.middle = tables.logit_table(128, 1921, 16, -1)

    def squash(self, logit):
        x = min(abs(logit), 2879)
        low, high = self.table[x >> 3], self.table[(x >> 3) + 1]
        p = low + ((high - low) * (x & 7) >> 3)
        return 65536 - p if logit < 0 else p

    def stretch(self, p):
        low = p if p < 32768 else 65535 - p
        logit = self.tail[low] if low < 2048 else self.middle[(low >> 4) - 128]
        return logit if p < 32768 else -logit


class Coder:
    """[C-1]"""

    def __init__(self, unit):
        self.unit, self.at = unit, 0
        self.range, self.value = M32, 0
        for _ in range(4):
            self.shift()

    def shift(self):
        self.value = (self.value << 8 | (self.unit[self.at] if self.at < len(self.unit) else 0)) & M32
        self.at += 1

    def bit(self, p):
        while self.range < 1 << 24:
            self.range = self.range << 8
            self.shift()
        bound = self.range * p >> 16
        if self.value < bound:
            self.range = bound
            return 1
        self.value -= bound
        self.range -= bound
        return 0


class Symbols:
    """[C-3]"""

    def __init__(self, logistic):
        self.logistic = logistic
        self.counters = [[[1 << 21, 0] for _ in range(N)] for _ in range(6)]
        self.weights = {}

    def bit(self, coder, step, contexts, node):
        w = self.weights.setdefault(step, [65536 * 20 // 100] * 6)
        counters = [self.counters[i][hash3(c, node, step) * N >> 32] for i, c in enumerate(contexts)]
        logits = [self.logistic.stretch(p >> 6) for p, _ in counters]
        logit = max(-2880, min(2880, sum(a * b for a, b in zip(w, logits)) >> 16))
        p = max(1, min(65535, self.logistic.squash(logit)))
        bit = coder.bit(p)
        error = towards_zero((bit << 16) - p, 16)
        for i, counter in enumerate(counters):
            w[i] = max(-8 * 65536, min(8 * 65536, w[i] + (logits[i] * error * 14 >> 14)))
            off = towards_zero((bit << 22) - bit - counter[0], 8)
            counter[0] += towards_zero(off * (65536 * 2 // (2 * counter[1] + 3)), 8192)
            counter[1] = min(511, counter[1] + 1)
        return bit

    def value(self, coder, step, contexts):
        bits, value = BITS[step] or 7, 0
        for done in range(bits):
            value = value << 1 | self.bit(coder, step, contexts, (value | 1 << done) + 17)
        if BITS[step] or value <= 1:
            return value
        size, value = value, 1
        for done in range(1, size):
            value = value << 1 | self.bit(coder, step, contexts, hash3(size, done, value if done <= 10 else 0))
        return value


class Stream:
    """[C-4], of the records that are symbols alone."""

    def __init__(self, logistic):
        self.symbols = Symbols(logistic)
        self.last, self.highest = [0] * 4, 0
        self.type, self.klass = 0, NORMAL
        self.unit_last = 0

    def unit(self, unit):
        coder, count, records = Coder(unit), 0, []

        def ask(step, *contexts):
            return self.symbols.value(coder, step, list(contexts) + [0] * (6 - len(contexts)))

        while True:
            shifts = coder.at - 4
            if ask(UNIT_END, 0, min(count, 255), shifts // 4, int(count >= self.unit_last),
                   hash2(self.type, self.klass), int(shifts >= 220)):
                self.unit_last = count
                return records
            usual = [0, self.type, hash2(self.type, self.klass), hash3(0, self.type, 1), hash3(0, 0, self.type)]
            assert ask(USUAL, *usual, hash3(0, 0, self.klass)) == 0, "only messages are usual"
            kind = ask(TYPE, *usual, hash3(0, 0, self.klass))
            if kind == ABORT:
                klass = ask(CLASS, *usual, hash3(kind, 0, self.klass))
                rest = (0, klass, hash2(klass, self.type), kind)
                previous = self.last[klass]
                if not ask(PREVIOUS_KNOWN, *rest):
                    step = ask(PREVIOUS, *rest)
                    previous += step >> 1 ^ -(step & 1)
                how = ask(NUMBER_HOW, *rest)
                number = (previous + 1 if how == 0 else self.highest + 1 if how == 1
                          else previous + 1 + ask(NUMBER, *rest))
                self.last[klass] = number
                self.highest = max(self.highest, number)
                self.klass = klass
                records.append(f"abort class={klass} number={number} previous={previous}")
            else:
                assert kind == RESET, f"type {kind}"
                records.append("reset")
            self.type = kind
            count += 1


def blocks(name):
    with open(os.path.join(ROOT, "docs", "CODEC.md"), encoding="utf-8") as f:
        return re.findall(rf"```example {name}\n(.*?)```", f.read(), re.S)


def main():
    failed = 0
    facts = dict(re.findall(r"^(.*?) = (.*)$", blocks("mix-hash")[0], re.M))
    logistic = Logistic()
    got = {"hash2 1 2": f"{hash2(1, 2):08x}", "hash3 1 2 3": f"{hash3(1, 2, 3):08x}",
           "spread 80000000 1000": str(0x80000000 * 1000 >> 32), "squash 256": str(logistic.squash(256))}
    print(f"{'ok' if got == facts else 'not ok'} 1 - hashes and squash are as the document shows")
    failed += got != facts
    stream, said, wanted = Stream(logistic), [], []
    for line in blocks("mix-stream")[0].splitlines():
        key, _, value = line.partition(" = ")
        if key == "record":
            wanted.append(value)
        elif key == "unit":
            said += stream.unit(bytes.fromhex(value))
    good = bool(wanted) and said == wanted
    print(f"{'ok' if good else 'not ok'} 2 - a decoder written from the document reads the example stream")
    if not good:
        print(f"# {said}\n# {wanted}")
    failed += not good
    print("1..2")
    sys.exit(1 if failed else 0)


main()
