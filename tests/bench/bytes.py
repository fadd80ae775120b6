#!/usr/bin/env python3
"""Bytes a message on recordings (NDJSON, as `longwire estimate` reads them): ours beside what else there is.

    bytes.py FOLDER [--write docs/BENCHMARKS.md] [--live] [--without zpaq,mix] [--bytes PROGRAM]

FOLDER holds *.ndjson; none of it goes anywhere. --live: also the first messages of each over two real daemons
and a simulated serial line (needs the environment of tests/e2e: run it by `meson test`'s devenv or set LONGWIRE
and LONGWIRE_LINE_SIM). --install: apt-get installs the archivers first. --write replaces the file's table."""
import argparse
import base64
import glob
import json
import lzma
import math
import os
import shutil
import subprocess
import sys
import tempfile
import zlib

import report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LIVE_MESSAGES = 1000
LIVE_BAUD = 9600
COLUMNS = (  # key, title
    ("framed", "ours, frames of 220"),
    ("single", "ours, one at a time"),
    ("live", "ours, all on the line"),
    ("mqtt", "MQTT 3.1.1 over TCP/IP"),
    ("mqttsn", "MQTT-SN 1.2"),
    ("zlib", "zlib a message"),
    ("deflate", "streamed deflate"),
    ("zstd", "zstd -19, dictionary"),
    ("xz", "xz -9e, whole file"),
    ("brotli", "brotli -q 11, whole file"),
    ("zpaq", "zpaq -m5, whole file"),
)


def read(path):
    """[(topic, payload)] as bytes."""
    messages = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            m = json.loads(line)
            payload = m["payload"].encode() if "payload" in m else base64.b64decode(m["payload_b64"])
            messages.append((m["topic"].encode(), payload))
    return messages


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def ids(messages):
    """For each message: its topic's id as a varint, with the text at its first use."""
    known = {}
    for topic, _ in messages:
        if topic in known:
            yield varint(known[topic])
        else:
            known[topic] = len(known)
            yield varint(known[topic]) + varint(len(topic)) + topic


# --- what else there is: bytes of all messages ---------------------------------------------------------

def mqtt(messages):
    """QoS 1: PUBLISH and PUBACK, a segment each: 40 bytes of TCP/IP header, 4 of PPP."""
    def packet(rest):
        return 1 + len(varint(rest)) + rest
    return sum(packet(2 + len(t) + 2 + len(p)) + 4 + 2 * 44 for t, p in messages)


def mqttsn(messages):
    """QoS 1, topic ids of 2 bytes: PUBLISH and PUBACK, and a REGISTER and REGACK a topic."""
    def packet(rest):
        return rest + (1 if rest + 1 < 256 else 3)
    return (sum(packet(6 + len(p)) + 7 for _, p in messages) +
            sum(packet(5 + len(t)) + 7 for t in {t for t, _ in messages}))


def deflate_one(payload):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return min(len(c.compress(payload) + c.flush()), len(payload))


def zlib_each(messages):
    return sum(len(i) + deflate_one(p) for i, (_, p) in zip(ids(messages), messages))


def deflate_stream(messages):
    """One context, a sync flush after each message, its 00 00 FF FF left out."""
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return sum(len(c.compress(i + varint(len(p)) + p) + c.flush(zlib.Z_SYNC_FLUSH)) - 4
               for i, (_, p) in zip(ids(messages), messages))


def zstd_dictionary(messages, folder):
    """A dictionary of 16 KB from the first tenth (which goes as zlib; the dictionary itself is not charged);
    of each frame, magic number, sizes and checksum are left out."""
    first = max(len(messages) // 10, 1)
    os.mkdir(os.path.join(folder, "train"))
    os.mkdir(os.path.join(folder, "each"))
    total = sum(len(i) for i in ids(messages))
    names = []
    for n, (_, p) in enumerate(messages):
        name = os.path.join(folder, "train" if n < first else "each", f"{n}")
        if p:
            with open(name, "wb") as f:
                f.write(p)
        if n >= first and p:
            names.append(name)
        elif n < first:
            total += deflate_one(p)
    dictionary = os.path.join(folder, "dictionary")
    trained = subprocess.run(["zstd", "-q", "--train", "-r", os.path.join(folder, "train"), "--maxdict=16384", "-o",
                              dictionary], stderr=subprocess.DEVNULL, check=False)
    use = ["-D", dictionary] if trained.returncode == 0 else []
    for at in range(0, len(names), 2000):
        subprocess.run(["zstd", "-q", "-19", "--no-check", "--no-content-size", "--no-dictID", *use,
                        *names[at:at + 2000]], check=True)
    return total + sum(min(os.path.getsize(n + ".zst") - 4, os.path.getsize(n)) for n in names)


def whole_file(messages):
    return b"".join(i + varint(len(p)) + p for i, (_, p) in zip(ids(messages), messages))


def archived(command, made):
    """A function that writes the whole file, runs the command on it in a folder, and takes the size of what was made."""
    def run(messages, folder):
        with open(os.path.join(folder, "all"), "wb") as f:
            f.write(whole_file(messages))
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return os.path.getsize(os.path.join(folder, made))
    return run


OTHERS = {  # key: (program or None, function of messages and a folder)
    "mqtt": (None, lambda m, _: mqtt(m)),
    "mqttsn": (None, lambda m, _: mqttsn(m)),
    "zlib": (None, lambda m, _: zlib_each(m)),
    "deflate": (None, lambda m, _: deflate_stream(m)),
    "zstd": ("zstd", zstd_dictionary),
    "xz": (None, lambda m, _: len(lzma.compress(whole_file(m), preset=9 | lzma.PRESET_EXTREME))),
    "brotli": ("brotli", archived(["brotli", "-q", "11", "--lgwin=24", "all"], "all.br")),
    "zpaq": ("zpaq", archived(["zpaq", "a", "made.zpaq", "all", "-m5", "-t1"], "made.zpaq")),
}


# --- ours ----------------------------------------------------------------------------------------------

def ours(program, *arguments):
    """{name: (messages, framed, single)} in bytes, decoded again and compared."""
    said = subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = {}
    for line in said.splitlines()[1:]:
        name, n, _, _, framed, single = line.split()[:6]
        rows[name.removesuffix(".ndjson")] = (int(n), int(framed), float(single) * int(n))
    return rows


def live(messages):
    """Both ways over real daemons: frames, acknowledgements, the handshake. Bytes of the line."""
    sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
    import random
    from harness import World
    from processes import wait_until
    world = World("bytes", random.Random(1))
    try:
        pair = world.pair(baud=LIVE_BAUD, edge={"peer HUB": {"timestamps": "no"}})
        hub = pair.hub_client("up/#")
        pair.edge_client().publish_many([("up/" + t.decode(), p) for t, p in messages], qos=1)
        hub.wait_count(len(messages), timeout=600)
        wait_until(lambda: pair.edge.peer(pair.hub.name)["queue"]["messages"] == 0, "acknowledged", 60)
        line = pair.line.status()
        return line["a"]["sent"] + line["b"]["sent"]
    finally:
        world.close()


# --- the table -------------------------------------------------------------------------------------------

def mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else float("nan")


def measure(name, path, mine, arguments):
    messages = read(path)
    n = len(messages)
    row = {"n": n, "framed": mine[1] / n, "single": mine[2] / n}
    for key, (program, function) in OTHERS.items():
        if key in arguments.without or (program and not shutil.which(program)):
            continue
        with tempfile.TemporaryDirectory() as folder:
            row[key] = function(messages, folder) / n
        print(f"{name}: {key} {row[key]:.2f} bytes a message", file=sys.stderr, flush=True)
    if arguments.live:
        some = messages[:LIVE_MESSAGES]
        row["live"] = live(some) / len(some)
    return row


def table(rows, mixed):
    """Markdown: one line a recording, then our framed bytes as part of each other's."""
    shown = [(k, t) for k, t in COLUMNS if any(k in r for r in rows.values())]
    lines = ["| recording | messages | " + " | ".join(t for _, t in shown) + " |",
             "|---|---|" + "---|" * len(shown)]
    for name, row in rows.items():
        lines.append(f"| {name} | {row['n']} | " + " | ".join(
            f"{row[k]:.2f}" if k in row else "-" for k, _ in shown) + " |")
    # What was measured on the first messages alone compares with nothing here.
    ratios = [None if k == "live" else mean([r["framed"] / r[k] for r in rows.values() if k in r]) for k, _ in shown]
    lines.append("| ours in frames of 220 : this, geometric mean | | " +
                 " | ".join("-" if r is None else f"{r:.3f}" for r in ratios) + " |")
    single = mean([r["single"] / r["framed"] for r in rows.values()])
    lines += ["", f"One message at a time costs {single:.2f} times the framed figure (geometric mean)."]
    for how, (together, apart) in mixed.items():
        lines.append(f"All sites interleaved through one gateway, {how}: {together} bytes, {together / apart:.3f} times "
                     f"the {apart} of each alone.")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--bytes", default=os.path.join(ROOT, "build", "tests", "bench", "bytes"))
    parser.add_argument("--without", type=lambda s: s.split(","), default=[])
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--write", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.install:
        subprocess.run(["apt-get", "install", "-y", "-qq", "zstd", "xz-utils", "brotli", "zpaq"], check=True)
    paths = sorted(glob.glob(os.path.join(arguments.folder, "*.ndjson")))
    if not paths:
        sys.exit(f"bytes.py: {arguments.folder}: no *.ndjson")
    alone = ours(arguments.bytes, *paths)
    rows = {}
    for path in paths:
        name = os.path.basename(path).removesuffix(".ndjson")
        rows[name] = measure(name, path, alone[name], arguments)
    mixed = {}
    if "mix" not in arguments.without and len(paths) > 1:
        for how, title in (("times", "by the times recorded"), ("even", "at even paces"), ("turns", "by turns")):
            together = ours(arguments.bytes, "--framed", "--mix", how, *paths)[how][1]
            mixed[title] = (together, sum(a[1] for a in alone.values()))
    text = (f"{report.measured(ROOT)} with `tests/bench/bytes.py "
            f"{arguments.folder}`. Bytes a message.\n\n{table(rows, mixed)}")
    print(text)
    if arguments.write:
        report.write_part(arguments.write, "bytes.py", text)


if __name__ == "__main__":
    main()
