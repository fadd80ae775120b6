#!/usr/bin/env python3
"""Writes mix_tables.c: the constants of the context-mixing codec (docs/CODEC.md).

Integers throughout, so that every machine and every Python writes the same file:
    gen_mix_tables.py > mix_tables.c
tests/unit/wire_codec pins a hash of the tables, because one wrong entry at one end is a lost link.
"""

ONE = 1 << 96  # fixed point for exp and log


def exp_fixed(num, den):
    """exp(num / den), num / den <= 0, as ONE-scaled integer."""
    halvings = 12
    x = num * ONE // (den << halvings)
    term, total, k = ONE, ONE, 1
    while term:
        term = term * x // ONE // k if x >= 0 else -(-(term * x) // ONE // k)
        total += term
        k += 1
        if k > 60:
            break
    for _ in range(halvings):
        total = total * total // ONE
    return total


def squash_table():
    """Probability of a 1 in 1/65536 for the logit x / 256, x = 0, 8 .. 2880."""
    out = []
    for x in range(0, 2881, 8):
        e = exp_fixed(-x, 256)
        out.append(min(65535, (65536 * ONE * 2 // (ONE + e) + 1) // 2))
    return out


def logit_table(first, count, step, scale):
    """-256 ln(p / (1 - p)), p = (i + 1/2) * step / 65536, by bisection on exp."""
    out = []
    for i in range(first, first + count):
        p2 = (2 * i + 1) * step            # p * 131072
        lo, hi = 0, 4096                   # in 1/256
        while lo < hi:
            mid = (lo + hi) // 2
            # is exp(-(mid + 1/2) / 256) <= p / (1 - p)?  then the logit is at most mid
            if exp_fixed(-(2 * mid + 1), 512) * (131072 - p2) <= p2 * ONE:
                hi = mid
            else:
                lo = mid + 1
        out.append(lo * scale)
    return out


def states():
    """Bit histories: (zeros, ones, last bit) with bounded counts, numbered by their total."""
    cap = [41, 16, 9, 7, 6, 6, 6]

    def allowed(a, b):
        low, high = min(a, b), max(a, b)
        return low <= 6 and high <= cap[low]

    def fade(n):  # what a count becomes when the other bit is seen
        return n if n <= 2 else 2 if n == 3 else 3 if n <= 5 else 4 if n <= 9 else 5 if n <= 17 else 6

    ids, rows = {}, []
    for total in range(0, 83):
        for a in range(0, 42):
            b = total - a
            if 0 <= b <= 41 and allowed(a, b):
                for last in (0, 1):
                    if (a == 0 or b == 0) and last:
                        ids[a, b, 1] = ids[a, b, 0]
                        continue
                    ids[a, b, last] = len(rows)
                    rows.append((a, b, last))
    assert len(rows) <= 256
    table = []
    for a, b, last in rows:
        after = []
        for y in (0, 1):
            x, z = (fade(a), b + 1) if y else (a + 1, fade(b))
            while not allowed(x, z):
                if y:
                    z -= 1
                else:
                    x -= 1
            after.append(ids[x, z, y])
        table.append((after[0], after[1], a, b))
    while len(table) < 256:
        table.append((0, 0, 0, 0))
    return table


def emit(kind, name, values, width=100):
    print(f"const {kind} {name}[{len(values)}] = {{")
    line = "   "
    for v in values:
        word = f" {v},"
        if len(line) + len(word) > width:
            print(line)
            line = "   "
        line += word
    print(line)
    print("};\n")


def main():
    print("/* Written by gen_mix_tables.py: change that, not this. */")
    print('#include "gateway/wire/mix_tables.h"\n')
    emit("uint16_t", "mix_squash_table", squash_table())
    emit("int16_t", "mix_stretch_tail", [-v for v in logit_table(0, 2048, 1, 1)])
    emit("int16_t", "mix_stretch_middle", [-v for v in logit_table(128, 1921, 16, 1)])
    emit("uint16_t", "mix_reciprocal", [65536 * 2 // (2 * n + 3) for n in range(512)])
    emit("uint32_t", "mix_exp_tail", [(1 << 23) * exp_fixed(-i, 128) // ONE for i in range(2048)])
    rows = states()
    print("const struct mix_state mix_states[256] = {")
    line = "   "
    for n0, n1, a, b in rows:
        word = f" {{{{{n0}, {n1}}}, {a}, {b}}},"
        if len(line) + len(word) > 100:
            print(line)
            line = "   "
        line += word
    print(line)
    print("};")


if __name__ == "__main__":
    main()
