#!/usr/bin/env python3
"""Shows that the simulator can see: breaks the gateway on purpose, one promise at a time, in a scratch copy of the tree, and
demands that some check notices within a bounded number of seeds.

usage: sabotage.py ROOT [--seeds N] [--only WORD]

Not part of `meson test`, for it builds the gateway once for each breach (some minutes). Each breach is an exact piece of source
and what takes its place; a piece that is not there any more is an error, so that the list follows the code."""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

# name: families that should notice, [(file, old, new)]
BREACHES = {
    "acknowledges to the broker before the commit": (["crash of the edge", "crash of both"], [
        ("gateway/bridge/broker.c", "    br->owed[br->owed_count++] = (struct owed_ack){kind, packet_id};\n",
         "    br->owed[br->owed_count++] = (struct owed_ack){kind, packet_id};\n    broker_release_acks(b);\n")]),
    "acknowledges a frame before the commit": (["brokers vanish", "crash of both", "everything"], [
        ("gateway/bridge/peers.c", "    p->frames_waiting = true;\n    custody_dirty(p->bridge, COMMIT_SOON_MS);\n",
         "    p->frames_waiting = true;\n    channel_committed(p->channel, frame, p->bridge->now.mono_ms);\n"
         "    custody_dirty(p->bridge, 3000);\n")]),
    "writes without waiting for the disk": (["crash of both", "crash of the edge"], [
        ("store/store.c", "PRAGMA synchronous = FULL;", "PRAGMA synchronous = NORMAL;")]),
    "forgets what it has of the peer": (["crash of both", "outages", "crash of the hub"], [
        ("gateway/bridge/receiver.c", "        ours->cumulative[c] = marks[c].cumulative;\n",
         "        ours->cumulative[c] = marks[c].cumulative / 2;\n"),
        ("gateway/bridge/kept.c", "    if (rc != 0) {\n        p->not_now", "    if (rc > 1) {\n        p->not_now")]),
    "skips what is not yet sent after a handshake": (["outages", "crash of the hub"], [
        ("gateway/bridge/sender_acked.c", "    l->cursor = mark;\n", "    l->cursor = p->sender.committed;\n")]),
    "publishes out of order": (["clean line", "brokers vanish"], [
        ("gateway/bridge/publisher.c", "        struct flight *f = &pub->flights[i];\n        if (f->state == FLIGHT_READY && pub->careful",
         "        struct flight *f = &pub->flights[pub->count - 1 - i];\n        if (f->state == FLIGHT_READY && pub->careful")]),
    "takes frames without looking at their checks": (["noise"], [
        ("gateway/wire/channel_receive.c", "    if (record_check_fold(check) != f->check)\n",
         "    if (false && record_check_fold(check) != f->check)\n"),
        ("gateway/wire/seal.c", "    return wrong == 0;\n", "    return wrong == 0 || n > 0;\n")]),
    "drops the message of a gap": (["discards"], [
        ("gateway/bridge/receiver.c", "        publish_gap(p, r);\n", "        (void)publish_gap;\n")]),
    "releases a QoS 2 message before that is on disk": (["brokers vanish", "crash of the hub", "crash of both"], [
        ("gateway/bridge/publisher.c", "    f->state = FLIGHT_RECEIVED;\n", "    f->state = FLIGHT_RELEASE;\n")]),
    "publishes under a packet id that is not on disk": (["crash of the hub", "crash of both"], [
        ("gateway/bridge/publisher.c", "            add_flight(pub, &row, FLIGHT_NEW, false);\n            custody_dirty(b, 0);\n",
         "            add_flight(pub, &row, FLIGHT_READY, false);\n            custody_dirty(b, 3000);\n")]),
    "does not know a QoS 2 message again": (["brokers vanish", "crash of the edge"], [
        ("gateway/bridge/broker.c", "    *repeated = rc == 0;\n", "    *repeated = false;\n")]),
    "uses packet ids that the broker still knows": (["store lost", "store set back"], [
        ("gateway/bridge/publisher.c", "        if (!session_present)\n            pub->cleared[id] = true;\n",
         "        if (true)\n            pub->cleared[id] = true;\n")]),
    "forgets the retain flag": (["clean line"], [
        ("gateway/bridge/outbound.c", "        copy->retain = m->retain;\n", "        copy->retain = false;\n")]),
    "acknowledges in the wrong order": (["clean line"], [
        ("gateway/bridge/broker.c", "        switch (br->owed[i].kind) {\n        case OWED_PUBACK:\n"
         "            rc = mqtt_session_puback(br->session, br->owed[i].packet_id);\n",
         "        switch (br->owed[i].kind) {\n        case OWED_PUBACK:\n"
         "            rc = mqtt_session_puback(br->session, br->owed[br->owed_count - 1 - i].packet_id);\n")]),
    "leaves the queue where it is after a restart": (["crash of the edge", "orderly stops", "crash of both"], [
        ("gateway/bridge/peers.c", "    if (sender_waits(p))\n", "    if (false && sender_waits(p))\n")]),
    "probes a metered link": (["clean line", "outages"], [
        ("gateway/bridge/peers.c", "        .metered = cl->metered,\n", "        .metered = false,\n"),
        ("gateway/bridge/peers.c", "        .probe_ms = cl->metered ? 0 : cl->probe_ms,\n", "        .probe_ms = 30000,\n")]),
    "loses what the broker forgot": (["brokers forget"], [
        ("gateway/bridge/publisher.c", "        publish_again(b, &r);\n", "        (void)publish_again;\n")]),
}


def apply(root, edits):
    before = {}
    for path, old, new in edits:
        full = os.path.join(root, path)
        text = open(full, encoding="utf-8").read()
        before.setdefault(full, text)
        if text.count(old) < 1:
            raise SystemExit(f"{path}: the piece to be broken is not there any more:\n{old}")
        with open(full, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new, 1))
    return before


def build(build_dir):
    done = subprocess.run(["ninja", "-C", build_dir, "tests/sim/sim"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:])


def seen_by(build_dir, families, seeds):
    for family in families:
        done = subprocess.run([os.path.join(build_dir, "tests/sim/sim"), "--seeds", str(seeds), "--from", "1", "--family", family],
                              capture_output=True, text=True, timeout=600)
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if line.startswith("seed ")]
            return lines[0] if lines else f"family \"{family}\": the program died ({done.returncode})"
    return None


def main():
    args = argparse.ArgumentParser()
    args.add_argument("root")
    args.add_argument("--seeds", type=int, default=100)
    args.add_argument("--only", default="")
    args = args.parse_args()
    chosen = {name: what for name, what in BREACHES.items() if args.only in name}
    scratch = tempfile.mkdtemp(prefix="longwire-sabotage-")
    tree, build_dir, missed = os.path.join(scratch, "tree"), os.path.join(scratch, "build"), 0
    print(f"1..{len(chosen)}")
    try:
        shutil.copytree(args.root, tree, ignore=shutil.ignore_patterns("build*", ".git"))
        subprocess.run(["meson", "setup", "-Dwerror=false", build_dir, tree], check=True, capture_output=True)
        build(build_dir)
        for number, (name, (families, edits)) in enumerate(chosen.items(), 1):
            before = apply(tree, edits)
            build(build_dir)
            seen = seen_by(build_dir, families, args.seeds)
            missed += seen is None
            print(f"# {seen}" if seen else f"# none of {args.seeds} seeds each of {', '.join(families)} noticed")
            print(f"{'ok' if seen else 'not ok'} {number} - it is noticed when the gateway {name}", flush=True)
            for path, text in before.items():
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
    finally:
        shutil.rmtree(scratch)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
