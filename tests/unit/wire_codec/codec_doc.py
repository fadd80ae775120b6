#!/usr/bin/env python3
"""Decodes the examples of docs/CODEC.md by the reader that was made from that document and docs/MODEL.md.

usage: codec_doc.py ROOT"""
import os
import re
import sys

ROOT = sys.argv[1]
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(ROOT, "gateway", "wire"), os.path.dirname(os.path.abspath(__file__))]
from reader.basics import hash2, hash3, spread, squash  # noqa: E402
from reader.records import ABORT, Records  # noqa: E402

MEMORY = 256 << 10


def blocks(name):
    with open(os.path.join(ROOT, "docs", "CODEC.md"), encoding="utf-8") as f:
        return re.findall(rf"```example {name}\n(.*?)```", f.read(), re.S)


def told(r):
    return f"abort class={r.klass} number={r.number} previous={r.previous}" if r.type == ABORT else "reset"


def main():
    facts = dict(re.findall(r"^(.*?) = (.*)$", blocks("mix-hash")[0], re.M))
    got = {"hash2 1 2": f"{hash2(1, 2):08x}", "hash3 1 2 3": f"{hash3(1, 2, 3):08x}",
           "spread 80000000 1000": str(spread(0x80000000, 1000)), "squash 256": str(squash(256))}
    print(f"{'ok' if got == facts else 'not ok'} 1 - hashes and squash are as the document shows")
    model, said, wanted = Records(MEMORY), [], []
    for line in blocks("mix-stream")[0].splitlines():
        key, _, value = line.partition(" = ")
        if key == "record":
            wanted.append(value)
        elif key == "unit":
            said += [told(r) for r in model.unit(bytes.fromhex(value))]
    good = bool(wanted) and said == wanted
    print(f"{'ok' if good else 'not ok'} 2 - a decoder made from the document reads the example stream")
    if not good:
        print(f"# {said}\n# {wanted}")
    print("1..2")
    sys.exit(0 if good and got == facts else 1)


main()
