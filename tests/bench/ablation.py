#!/usr/bin/env python3
"""What each vote of the mixing codec's model earns: builds tests/bench/bytes without one at a time, and measures.

    ablation.py FOLDER [--first MESSAGES] [--write docs/BENCHMARKS.md]

FOLDER holds *.ndjson; --first: of each recording no more than so many messages from its beginning. What is done is told on stderr. A vote that is off still learns and takes its memory, so what is told is its word in the mix alone:
the change of the bytes, in %, geometric mean over the recordings and for each."""
import argparse
import glob
import itertools
import math
import os
import subprocess
import sys
import tempfile
import time

import report

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = ("tests/bench/bytes.c", "tests/bench/recording.c", "gateway/wire/codec*.c", "gateway/wire/mix_*.c", "gateway/wire/primer*.c",
           "base/buf.c", "base/hash.c", "base/utf8.c", "base/crc32.c")
MIXES = "/mix_payload.c"
CONTEXTS = (  # of text; of packed binary and containers
    ("order 2", "order 2"), ("order 4", "order 4"), ("field, value so far", "topic, position, 2 bytes"),
    ("field, last value's byte", "column, last byte, change before"), ("topic, position, byte", "column, byte"),
    ("aligned bytes", "column of any topic, last two"), ("expected number", "column, last two, byte"), ("skipped byte", "skipped byte"),
    ("long match, last value", "long match"), ("how the field moved", "column, last byte, change and byte"),
    ("how much of the field is left", "column with its carry"), ("two words", "stride, two above"), ("word", "stride, above and byte"),
    ("all references", "all references"), ("first token, commas", "column, 2 bytes, last"))
PARTS = tuple((3 * i, 3, f"context {i}: {text} / {packed}") for i, (text, packed) in enumerate(CONTEXTS)) + (
    (0, 45, "all hashed contexts"),
    (45, 2, "reference: topic's last message"), (47, 2, "reference: field's last value"), (49, 2, "reference: long match"),
    (51, 2, "reference: short match"), (45, 8, "all references"),
    (53, 2, "expected: number along the line"), (55, 2, "expected: related number, float, checksum"),
    (57, 2, "number: last value"), (59, 2, "number: line"), (61, 2, "number: mean / carry"), (63, 2, "number: relation"), (57, 8, "all numbers"))


def compile_to(target, source, *flags):
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-fno-strict-overflow", "-D_GNU_SOURCE", "-I", ROOT, *flags, "-c", source, "-o", target],
                   check=True)


def build(folder, name, flags):
    """Only the file that the flags are for is compiled anew."""
    files = [path for pattern in SOURCES for path in sorted(glob.glob(os.path.join(ROOT, pattern)))]
    objects = []
    for path in files:
        mixes = path.endswith(MIXES)
        objects.append(os.path.join(folder, (name if mixes else "all") + "-" + os.path.basename(path) + ".o"))
        if mixes or not os.path.exists(objects[-1]):
            compile_to(objects[-1], path, *flags)
    program = os.path.join(folder, name)
    subprocess.run(["gcc", *objects, "-ljansson", "-lm", "-o", program], check=True)
    return program


def beginnings(folder, recordings, count):
    """A folder of the first messages of each recording."""
    for path in glob.glob(os.path.join(recordings, "*.ndjson")):
        with open(path, encoding="utf-8") as f, open(os.path.join(folder, os.path.basename(path)), "w", encoding="utf-8") as out:
            out.writelines(itertools.islice(f, count))
    return folder


def measure(program, folder):
    said = subprocess.run([program, "--framed", "--no-decode", folder], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {line.split()[0].removesuffix(".ndjson"): int(line.split()[4]) for line in said.splitlines()[1:]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("--first", type=int, metavar="MESSAGES")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began, recordings = time.monotonic(), arguments.folder
        if arguments.first:
            recordings = os.path.join(folder, "recordings")
            os.mkdir(recordings)
            beginnings(recordings, arguments.folder, arguments.first)
        whole = measure(build(folder, "whole", []), recordings)
        lines = ["| without | geometric mean | " + " | ".join(whole) + " |", "|---|---|" + "---|" * len(whole)]
        for done, (at, count, name) in enumerate(PARTS, 1):
            program = build(folder, f"without-{at}-{count}", [f"-DMIX_WITHOUT={at}", f"-DMIX_WITHOUT_COUNT={count}"])
            rest = measure(program, recordings)
            os.remove(program)
            changes = [rest[k] / whole[k] for k in whole]
            mean = math.exp(sum(map(math.log, changes)) / len(changes))
            lines.append(f"| {name} | {100 * mean - 100:+.1f} | " + " | ".join(f"{100 * c - 100:+.1f}" for c in changes) + " |")
            spent = time.monotonic() - began
            left = spent / (done + 1) * (len(PARTS) - done)
            print(f"{lines[-1]}  {done} of {len(PARTS)}, some {left / 60:.0f} min left", file=sys.stderr, flush=True)
    what = f"the first {arguments.first} messages of each recording" if arguments.first else "all messages of each recording"
    text = "\n".join([f"{report.measured(ROOT)}; {what}, frames of 220 bytes.", "", *lines])
    print(text)
    if arguments.write:
        report.write_part(arguments.write, "ablation.py", text)


if __name__ == "__main__":
    main()
