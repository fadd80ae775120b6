#!/usr/bin/env python3
"""What a restart costs, on recordings (NDJSON): the table of tests/bench/priming.c, into a document if that is wanted.

    priming.py FOLDER [--write docs/BENCHMARKS.md] [--program build/tests/bench/priming]"""
import argparse
import os
import subprocess
import sys

import report

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folder")
    p.add_argument("--write", metavar="FILE")
    p.add_argument("--program", default=os.path.join(ROOT, "build", "tests", "bench", "priming"))
    o = p.parse_args()
    table = subprocess.run([o.program, o.folder], stdout=subprocess.PIPE, text=True, check=False)
    if table.returncode:
        sys.exit(f"priming.py: {o.program} failed")
    text = f"{report.measured(ROOT)} with `tests/bench/priming.py {o.folder}`.\n\n{table.stdout.rstrip()}"
    print(text)
    if o.write:
        report.write_part(o.write, "priming.py", text)


main()
