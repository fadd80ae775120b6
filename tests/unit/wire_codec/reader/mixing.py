"""[M-4] hashed contexts, [M-5] the mixer."""
from operator import mul

from .basics import LOGIT_MAX, M32, Place, STATES, clamp, counter, hash2, quotient, spread, squash, stretch

CONTEXTS, INPUTS = 15, 72
IMPLIED = [[0], [0]]  # [M-4.4]
for b in (0, 1):
    for _ in range(7):
        IMPLIED[b].append(STATES[IMPLIED[b][-1]][b])
FAST = (1, 3)


class Contexts:
    """[M-4]"""

    def __init__(self, lines, runs):
        self.lines, self.run_count = lines, runs
        self.line, self.runs = {}, {}
        start = [counter((4 * b + 1) * 65535 // (4 * (a + b) + 2), 4) for _, _, a, b in STATES]
        against = [65536 // (2 * n + 3) for n in range(64)]
        self.maps = [start * 4 for _ in range(CONTEXTS)]
        self.run_maps = [[[counter(p, 4) for p in against], [counter(65535 - p, 4) for p in against]] for _ in range(CONTEXTS)]

    def line_of(self, x):
        return self.line.setdefault(spread(x * 0x9e3779b1, self.lines), [0] * 32)

    def begin(self, kind, fast, hashes):
        self.kind, self.used = kind * 256, FAST if fast else range(CONTEXTS)
        self.hashes = hashes
        self.nibble = list(hashes)
        self.at_line, self.run, self.slot = [None] * CONTEXTS, [None] * CONTEXTS, [0] * CONTEXTS
        self.history, self.found, self.known = [0] * CONTEXTS, [False] * CONTEXTS, [False] * CONTEXTS
        self.surprised = False
        for i in self.used:
            self.at_line[i] = self.line_of(hashes[i])
            self.run[i], self.known[i] = self.run_of(hashes[i])

    def run_of(self, x):
        """The context's run, or the one that it may take; and whether it is its own."""
        at = spread(x * 0x85ebca77, self.run_count)
        bucket = [self.runs.setdefault(at ^ k, [0, 0, 0]) for k in range(4)]  # check, byte, count
        for run in bucket:
            if run[2] and run[0] == x & 0xffff:
                return run, True
        return min(bucket, key=lambda run: run[2]), False

    def find(self, i, node):
        """The place of the node's history in its line, or where it would go; what it is, or the check alone; was it found?"""
        line = self.at_line[i]
        h = (self.nibble[i] + node * 0x9e3779b1) * 0x2c1b3c6d & M32
        h ^= h >> 15
        check, place = h & 255, h >> 8 & 31
        for k in range(4):
            if line[place ^ k] >> 8 == check and line[place ^ k] & 255:
                return place ^ k, line[place ^ k], True

        def seen(at):
            return STATES[line[at] & 255][2] + STATES[line[at] & 255][3]

        worst = place
        if h >> 24 & 7:
            for k in range(1, 4):
                if seen(place ^ k) < seen(worst):
                    worst = place ^ k
        return worst, check << 8, False

    def votes(self, i, node, bits):
        return self.known[i] and (256 | self.run[i][1]) >> 8 - bits == node

    def run_counter(self, i, bits):
        _, byte, count = self.run[i]
        return Place(self.run_maps[i][byte >> 7 - bits & 1], min(63, count))

    def predict(self, node, bits):
        out = [0] * (3 * CONTEXTS)
        for i in self.used:
            self.slot[i], self.history[i], self.found[i] = self.find(i, node)
            if not self.found[i] and self.votes(i, node, bits):
                _, byte, count = self.run[i]
                self.history[i] |= IMPLIED[byte >> 7 - bits & 1][min(7, count)]
            state = self.history[i] & 255
            if state:
                p = self.maps[i][self.kind + state] >> 16
                out[3 * i], out[3 * i + 1] = stretch(p), quotient(p - 32768, 32)
            if self.votes(i, node, bits):
                out[3 * i + 2] = stretch(self.run_counter(i, bits).p())
        return out

    def update(self, node, bits, bit, surprise):
        self.surprised = self.surprised or surprise
        for i in self.used:
            state = self.history[i] & 255
            if state:
                Place(self.maps[i], self.kind + state).move(bit, 255)
            if self.found[i] or surprise and self.known[i]:
                self.at_line[i][self.slot[i]] = self.history[i] & 0xff00 | STATES[state][bit]
            if self.votes(i, node, bits):
                self.run_counter(i, bits).move(bit, 255)
            if bits == 3:
                self.nibble[i] = hash2(self.hashes[i], 0x51ed27 + (node << 1 | bit))
                self.at_line[i] = self.line_of(self.nibble[i])

    def end(self, c):
        for i in self.used:
            run = self.run[i]
            if run[0] != self.hashes[i] & 0xffff:
                if self.surprised and run[2] > 3:
                    run[2] -= 2
                elif self.surprised:
                    run[:] = self.hashes[i] & 0xffff, c, 1
            elif run[2] == 0 or run[1] != c:
                run[1], run[2] = c, 1
            else:
                run[2] = min(255, run[2] + 1)


class Mixer:
    """[M-5]"""

    def __init__(self, set_counts, map_counts):
        self.set_counts, self.map_counts = set_counts, map_counts
        self.sets, self.uses = {}, {}
        self.final = {}
        self.maps = [[min(65535, squash((i % 33 - 16) * 176)) for i in range(33 * n)] for n in map_counts]
        self.dither = 0

    def predict(self, fast, select, final, maps, inputs):
        self.inputs = inputs
        self.chosen = [(k, select[k] % self.set_counts[k]) for k in ((6,) if fast else range(6))]
        self.logits, self.ps = [], []
        for key in self.chosen:
            w = self.sets.setdefault(key, [4096 * 35 // 1000] * INPUTS)
            self.logits.append(clamp(sum(map(mul, w, inputs)) >> 12))
            self.ps.append(squash(self.logits[-1]))
        self.fast = fast
        self.f = self.final.setdefault(final, [65536 // 6] * 6)
        logit = self.logits[0] if fast else clamp(sum(map(mul, self.f, self.logits)) >> 16)
        self.mixed = squash(logit)
        bucket = (logit + LOGIT_MAX + 90) // 180
        self.at = [maps[k] % self.map_counts[k] * 33 + bucket for k in range(2)]
        p = (2 * self.mixed + self.maps[0][self.at[0]] + self.maps[1][self.at[1]]) // 4
        return max(1, min(65535, p))

    def update(self, bit):
        """Returns whether the bit was a surprise."""
        self.dither = (self.dither * 0x2c1b3c6d + 0x9e3779b1) & M32
        dither = self.dither >> 16
        used = [i for i, v in enumerate(self.inputs) if v]
        for key, p in zip(self.chosen, self.ps):
            uses = self.uses.get(key, 0)
            rate = 3 + 25 * 512 // (512 + uses)
            self.uses[key] = min(4096, uses + 1)
            error = quotient(((bit << 16) - p) * rate, 128)
            if error:
                w = self.sets[key]
                for i in used:
                    w[i] = max(-14400, min(14400, w[i] + (self.inputs[i] * error + dither >> 16)))
        error = quotient((bit << 16) - self.mixed, 16)
        if not self.fast:
            for k in range(6):
                self.f[k] += self.logits[k] * error + (1 << 13) >> 14
        for table, at in zip(self.maps, self.at):
            table[at] += (bit << 16) - bit - table[at] >> 6
        return (65536 - self.mixed if bit else self.mixed) >= 2048
