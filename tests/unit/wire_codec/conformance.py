#!/usr/bin/env python3
"""Decodes streams of the codec, and encodes some, by a reader written from docs/CODEC.md and docs/MODEL.md, which shares no
code with the program but the generator of its tables: what the documents say is what the codec does, to the last bit. The same streams are
kept in vectors.txt, for other implementations (PROGRAM > vectors.txt, with a new codec version).

usage: conformance.py ROOT PROGRAM [TIMES [WORD]]

PROGRAM writes the streams; TIMES: of so many times as many messages; WORD: only those whose name has it"""
import os
import subprocess
import sys
import time

ROOT, PROGRAM, TIMES, WORD = (sys.argv[1:] + ["1", ""][len(sys.argv) - 3:])[:4]
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(ROOT, "gateway", "wire"), os.path.dirname(os.path.abspath(__file__))]
from reader.records import Record, Records  # noqa: E402

AGAIN = ("records", "numbers", "events", "random")  # streams that are encoded, too
NAMES = ("message", "chunk", "topic", "gap", "abort", "reset")
BYTES = ("topic", "props", "hops", "data", "route")


def told(r):
    """A record as the program writes it."""
    def fields(*names):
        return "".join(f" {n}={v.hex() if isinstance(v, (bytes, bytearray)) else int(v)}" for n in names for v in (getattr(r, n),))

    text = NAMES[r.type]
    if r.type not in (2, 5):
        text += fields("klass", "number")
    if r.type in (0, 3, 4):
        text += fields("previous")
    if r.type == 0:
        text += fields("slot", "topic", "qos", "retain")
        text += fields("origin", "in_ms") if r.origin is not None else ""
        text += fields("expiry") if r.expiry is not None else ""
        text += fields("props", "hops", "total", "data")
    return text + fields(*{0: (), 1: ("offset", "data"), 2: ("slot", "topic"), 4: (), 5: (),
                           3: ("first", "count", "reason", "since", "until", "route")}[r.type])


def known(text):
    name, *pairs = text.split(" ")
    fields = dict(pair.split("=") for pair in pairs)
    return Record(type=NAMES.index(name), **{k: bytes.fromhex(v) if k in BYTES else int(v) for k, v in fields.items()})


def main():
    lines = subprocess.run([PROGRAM, TIMES], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors.txt"), encoding="ascii") as f:
        kept = f.read().splitlines()
    pinned = TIMES != "1" or lines == kept
    print(f"{'ok' if pinned else 'not ok'} 1 - the codec writes the test vectors")
    if not pinned:
        print(f"# line {next((n for n, (a, b) in enumerate(zip(lines, kept)) if a != b), min(len(lines), len(kept))) + 1} differs")
    streams = []
    for line in lines:
        key, _, value = line.partition(" = ")
        if key == "stream":
            streams.append((value, []))
        else:
            streams[-1][1].append((key, value))
    streams = [s for s in streams if WORD in s[0]]
    failed = int(not pinned)
    for i, (name, entries) in enumerate(streams):
        began = time.monotonic()
        model, other = (Records(int(name.rpartition("=")[2])) for _ in range(2))
        wanted, wrong, units = [], None, 0
        for key, value in entries:
            if key == "prime":
                model.prime(known(value))
            elif key == "numbers":
                model.forget_numbers()
            elif key == "record":
                wanted.append(value)
            else:
                unit = bytes.fromhex(value.partition("=")[2])
                got = [told(r) for r in model.unit(unit)]
                units += 1
                if got != wanted:
                    at = next((n for n, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
                    wrong = f"unit {units}, record {at}:\n# {got[at:at + 1]}\n# {wanted[at:at + 1]}"
                    break
                if name.startswith(AGAIN) and other.encode([known(text) for text in wanted]) != unit:
                    wrong = f"unit {units} is encoded otherwise"
                    break
                wanted = []
        good, did = wrong is None and units > 0, "reads and writes" if name.startswith(AGAIN) else "reads"
        print(f"{'ok' if good else 'not ok'} {i + 2} - a codec made from the documents {did} the stream {name}")
        print(f"# {units} units, {time.monotonic() - began:.1f} s" if good else f"# {wrong}", flush=True)
        failed += not good
    print(f"1..{len(streams) + 1}")
    sys.exit(1 if failed else 0)


main()
