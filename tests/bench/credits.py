#!/usr/bin/env python3
"""Credits that recordings cost over Iridium SBD (NDJSON, as `longwire estimate` reads them): ours beside what else there is.

    credits.py FOLDER [--hold 15m] [--first MESSAGES] [--write docs/CREDITS.md] [--credits PROGRAM]

FOLDER holds *.ndjson; none of it goes anywhere. --write replaces the file's table."""
import argparse
import math
import os
import re
import subprocess
import sys

import report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
UNITS = {"s": 1, "m": 60, "h": 3600}
GOAL_IDEAL, GOAL_ONE = 1.10, 0.20


def seconds(text):
    found = re.fullmatch(r"(\d+)([smh])", text)
    if not found:
        raise argparse.ArgumentTypeError("as in 90s, 15m, 1h")
    return int(found.group(1)) * UNITS[found.group(2)]


def measure(program, hold, first, folder):
    """{name: {"n", "one", "ideal", "mo", "mt", "polls", ...}} of the C program's lines."""
    out = subprocess.run([program, "--hold", str(hold), "--first", str(first), folder], stdout=subprocess.PIPE, text=True, check=False)
    rows = {}
    for line in out.stdout.splitlines():
        name, n, *rest, verdict = line.split()
        if verdict != "same":
            sys.exit(f"credits.py: {name}: what came is not what was sent")
        rows[name.removesuffix(".ndjson")] = {"n": int(n), **{k: int(v) for k, v in (r.split("=") for r in rest)}}
    if out.returncode != 0 or not rows:
        sys.exit(f"credits.py: {program} failed")
    return rows


def mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def table(rows):
    lines = ["| recording | messages | one MQTT message an SBD message | ideal | ours | ours : ideal | ours : one a message "
             "| beside it: acknowledgements (MT) | sessions for them alone |", "|---|---|---|---|---|---|---|---|---|"]
    for name, r in rows.items():
        def per(key, r=r):
            return f"{100 * r[key] / r['n']:.2f}"
        lines.append(f"| {name} | {r['n']} | {per('one')} | {per('ideal')} | {per('mo')} | {r['mo'] / r['ideal']:.2f} | "
                     f"{r['mo'] / r['one']:.3f} | {per('mt')} | {per('polls')} |")
    ideal, one = mean([r["mo"] / r["ideal"] for r in rows.values()]), mean([r["mo"] / r["one"] for r in rows.values()])
    lines.append(f"| geometric mean | | | | | {ideal:.2f} | {one:.3f} | | |")
    missed = [f"{n} ({r['mo'] / r['ideal']:.2f})" for n, r in rows.items() if r["mo"] > GOAL_IDEAL * r["ideal"]]
    dear = [f"{n} ({r['mo'] / r['one']:.3f})" for n, r in rows.items() if r["mo"] > GOAL_ONE * r["one"]]
    lines += ["", f"At most {GOAL_IDEAL:.2f} times the ideal: " + ("all." if not missed else f"not {', '.join(missed)}."),
              f"At most {GOAL_ONE:.2f} of one message an SBD message: " + ("all." if not dear else f"not {', '.join(dear)}.")]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--hold", type=seconds, default="15m")
    parser.add_argument("--first", type=int, default=0, help="messages of each recording; 0 = all")
    parser.add_argument("--credits", default=os.path.join(ROOT, "build", "tests", "bench", "credits"))
    parser.add_argument("--write", metavar="FILE")
    arguments = parser.parse_args()
    rows = measure(arguments.credits, arguments.hold, arguments.first, arguments.folder)
    part = f", the first {arguments.first} messages of each" if arguments.first else ""
    text = (f"{report.measured(ROOT)} with `tests/bench/credits.py "
            f"{arguments.folder}`, hold {arguments.hold} s{part}. Credits a hundred messages.\n\n{table(rows)}")
    print(text)
    if arguments.write:
        report.write_part(arguments.write, "credits.py", text)


if __name__ == "__main__":
    main()
