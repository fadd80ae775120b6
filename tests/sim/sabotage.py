#!/usr/bin/env python3
"""Shows that the simulator can see. The gateway is broken on purpose, one promise at a time, and some check must notice within a
bounded number of seeds.

    sabotage.py generate ROOT OUT     writes the broken sources into OUT, a file each
    sabotage.py test PROGRAM [WORD]   runs every breach (or those with WORD in the name); TAP

All breaches are in one program, tests/sim/sim_sabotaged, each behind a number that its --breach chooses; the simulator proper and
the gateway know nothing of them. How a breach is written: tests/support/breach.py."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
import breach  # noqa: E402

# Each breach: (what the gateway does then, the invariant that it breaks, families in which it shows, [(file, piece, instead)]).
BREACHES = [
    ("acknowledges to the broker before the commit", "I1", ["crash of both", "crash of the edge"], [
        ("gateway/bridge/broker.c", "    br->owed[br->owed_count++] = (struct owed_ack){kind, packet_id};\n",
         "    br->owed[br->owed_count++] = (struct owed_ack){kind, packet_id};\n    if (BREACH)\n        broker_release_acks(b);\n")]),
    ("acknowledges in the wrong order", "I1", ["clean line"], [
        ("gateway/bridge/broker.c", "rc = mqtt_session_puback(br->session, br->owed[i].packet_id);",
         "rc = mqtt_session_puback(br->session, br->owed[BREACH ? br->owed_count - 1 - i : i].packet_id);")]),
    ("writes without waiting for the disk", "I1", ["crash of both", "crash of the edge"], [
        ("store/store.c", "        \"PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
         "        BREACH ? \"PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;\" :\n"
         "        \"PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")]),
    ("acknowledges a frame before the commit", "I2", ["brokers vanish", "crash of both", "everything"], [
        ("gateway/bridge/peers.c", "    p->frames_waiting = true;\n    custody_dirty(p->bridge, COMMIT_SOON_MS);\n",
         "    p->frames_waiting = true;\n    if (BREACH)\n        channel_committed(p->channel, frame, p->bridge->now.mono_ms);\n"
         "    custody_dirty(p->bridge, BREACH ? 3000 : COMMIT_SOON_MS);\n")]),
    ("skips what is not yet sent after a handshake", "I3", ["outages", "crash of the hub"], [
        ("gateway/bridge/sender_acked.c", "    l->cursor = mark;\n", "    l->cursor = BREACH ? p->sender.committed : mark;\n")]),
    ("releases a QoS 2 message before that is on disk", "I3", ["brokers vanish", "crash of the hub", "crash of both"], [
        ("gateway/bridge/publisher.c", "    f->state = FLIGHT_RECEIVED;\n", "    f->state = BREACH ? FLIGHT_RELEASE : FLIGHT_RECEIVED;\n")]),
    ("loses what the broker forgot", "I3", ["brokers forget"], [
        ("gateway/bridge/publisher.c", "    else\n        publish_again(b, &r);\n", "    else if (!BREACH)\n        publish_again(b, &r);\n")]),
    ("leaves the queue where it is after a restart", "I3", ["metered line and crashes", "crash of both"], [
        ("gateway/bridge/peers.c", "    if (sender_waits(p))\n        channel_kick(p->channel, p->bridge", "    if (!BREACH && sender_waits(p))\n        channel_kick(p->channel, p->bridge")]),
    ("forgets what it has of the peer", "I4", ["crash of both", "outages", "crash of the hub"], [
        ("gateway/bridge/receiver.c", "        ours->cumulative[c] = marks[c].cumulative;\n",
         "        ours->cumulative[c] = BREACH ? marks[c].cumulative / 2 : marks[c].cumulative;\n"),
        ("gateway/bridge/kept.c", "    if (rc != 0) {\n        p->not_now", "    if (BREACH ? rc > 1 : rc != 0) {\n        p->not_now")]),
    ("publishes under a packet id that is not on disk", "I4", ["crash of the hub", "crash of both"], [
        ("gateway/bridge/publisher.c", "            add_flight(pub, &row, FLIGHT_NEW, false);\n            custody_dirty(b, 0);\n",
         "            add_flight(pub, &row, BREACH ? FLIGHT_READY : FLIGHT_NEW, false);\n            custody_dirty(b, BREACH ? 3000 : 0);\n")]),
    ("does not know a QoS 2 message again", "I4", ["brokers vanish", "crash of the edge"], [
        ("gateway/bridge/broker.c", "    *repeated = rc == 0;\n", "    *repeated = !BREACH && rc == 0;\n")]),
    ("uses packet ids that the broker still knows", "I4", ["store lost", "store set back"], [
        ("gateway/bridge/publisher.c", "        if (!session_present)\n            pub->cleared[id] = true;\n",
         "        if (!session_present || BREACH)\n            pub->cleared[id] = true;\n")]),
    ("publishes out of order", "I5", ["clean line", "brokers vanish"], [
        ("gateway/bridge/publisher.c", "        struct flight *f = &pub->flights[i];\n        if (f->state == FLIGHT_READY && pub->careful",
         "        struct flight *f = &pub->flights[BREACH ? pub->count - 1 - i : i];\n"
         "        if (f->state == FLIGHT_READY && pub->careful")]),
    ("drops the message of a gap", "I6", ["discards"], [
        ("gateway/bridge/receiver.c", "    if (r->count)\n        publish_gap(p, r);\n",
         "    if (r->count && !BREACH)\n        publish_gap(p, r);\n")]),
    ("probes a metered link", "I7", ["clean line", "outages"], [
        ("gateway/bridge/peers.c", "        .metered = cl->metered,\n", "        .metered = !BREACH && cl->metered,\n"),
        ("gateway/bridge/peers.c", "        .probe_ms = cl->metered ? 0 : cl->probe_ms,\n",
         "        .probe_ms = BREACH ? 30000 : cl->metered ? 0 : cl->probe_ms,\n")]),
    ("takes frames without looking at their checks", "I9", ["noise"], [
        ("gateway/wire/channel_receive.c", "    if (record_check_fold(check) != f->check)\n",
         "    if (!BREACH && record_check_fold(check) != f->check)\n"),
        ("gateway/wire/seal.c", "    return wrong == 0;\n", "    return wrong == 0 || BREACH;\n")]),
    ("takes sealed frames without looking at their tags", "keys", ["sealed, attacked", "sealed, attacked, crashes"], [
        ("gateway/wire/seal.c", "                         *content - readable, frame + *content, tag, text))\n        return false;\n",
         "                         *content - readable, frame + *content, tag, text))\n        return BREACH && readable == *content;\n")]),
    ("seals two frames under one number", "keys", ["sealed"], [
        ("gateway/wire/channel_sealed_send.c", "    c->control_out += n > 0;\n", "    c->control_out += n > 0 && !BREACH;\n")]),
    ("does not mix the peer's share in", "keys", ["forward secret datagrams, attacked, crashes"], [
        ("gateway/wire/datagram_share.c", "    if (e->ids.offered && s->peer_count > 0) {\n",
         "    if (!BREACH && e->ids.offered && s->peer_count > 0) {\n"),
        ("gateway/wire/datagram_share.c", "    if (!wanted(c) || s->own_count == 0)\n",
         "    if (BREACH)\n        return true;\n    if (!wanted(c) || s->own_count == 0)\n")]),
    ("takes recordings for news where its store was set back", "keys", ["sealed datagrams, attacked, stores lost and set back"], [
        ("gateway/wire/datagram_epochs.c", "    d->doubt = true;\n", "    d->doubt = !BREACH;\n")]),
    ("tells nobody of a message that the broker refused", "I3", ["refusing brokers"], [
        ("gateway/bridge/publisher.c", "    bridge_count(p, \"dropped.broker_refused\", 1);\n",
         "    bridge_count(p, \"dropped.broker_refused\", 1);\n    if (BREACH)\n        return;\n")]),
    ("settles what waits for a missing frame", "I3", ["datagrams and crashes"], [
        ("gateway/wire/datagram_acked.c", "            if (f->leans && f->number > cumulative) {\n",
         "            if (!BREACH && f->leans && f->number > cumulative) {\n")]),
    ("takes every copy of a message", "I4b", ["clean line"], [
        ("gateway/bridge/broker.c", "    if (p->subscription_id_count == 0)\n", "    if (p->subscription_id_count == 0 || BREACH)\n")]),
    ("keeps memory of messages that are done", "I8", ["clean line"], [
        ("gateway/bridge/publisher.c", "    msg_free(f->msg);\n    f->msg = NULL;\n",
         "    if (!BREACH)\n        msg_free(f->msg);\n    f->msg = NULL;\n")]),
    ("lets wall clocks count that nobody trusts", "I11", ["clocks and crashes"], [
        ("store/store.c", "        if (v[4] && now->wall_trusted && now->wall_ms >= v[3])\n",
         "        if ((BREACH || (v[4] && now->wall_trusted)) && now->wall_ms >= v[3])\n")]),
    ("drops messages of QoS 0", "QoS 0", ["clean line"], [
        ("gateway/bridge/broker.c", "        if (copy_counts(b, p, m->topic)) {\n", "        if (!(BREACH && p->qos == 0) && copy_counts(b, p, m->topic)) {\n")]),
    ("lets messages live on", "expiry", ["expiring messages"], [
        ("gateway/bridge/publisher.c", "        .has_expiry = left != MSG_NO_EXPIRY,\n", "        .has_expiry = !BREACH && left != MSG_NO_EXPIRY,\n")]),
    ("forgets the retain flag", "retain", ["clean line"], [
        ("gateway/bridge/outbound.c", "        copy->retain = m->retain;\n", "        copy->retain = !BREACH && m->retain;\n")]),
]
SEEDS_MAX = 100  # of each family


def seen_by(program, number, families):
    for family in families:
        done = subprocess.run([program, "--breach", str(number), "--seeds", str(SEEDS_MAX), "--from", "1", "--family", family],
                              capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if line.startswith(("seed ", "# the program died"))]
            return lines[0] if lines else f"family \"{family}\": exit {done.returncode}"
    return None


def shrinks(program, number, seen):
    """A run that fails for few of its messages and faults must be brought down to those."""
    seed, family = re.match(r'seed (\d+), family "([^"]*)"', seen).groups()
    done = subprocess.run([program, "--breach", str(number), "--shrink", "--from", seed, "--family", family],
                          capture_output=True, text=True)
    left = re.findall(r"^(\d+) of (\d+) messages and faults are left", done.stdout, re.M)
    if done.returncode or not left:
        return done.stdout.splitlines()[-1:], False
    return f"{left[-1][0]} of {left[-1][1]} messages and faults are left of seed {seed}", int(left[-1][0]) < int(left[-1][1]) / 2


def test(program, word):
    missed, chosen = 0, [(i, b) for i, b in enumerate(BREACHES, 1) if word in b[0]]
    print(f"1..{len(chosen) + 1}")
    shrunk = None
    for case, (number, (name, invariant, families, _)) in enumerate(chosen, 1):
        seen = seen_by(program, number, families)
        missed += seen is None
        if seen and seen.startswith("seed") and invariant in ("I2", "I9") and not shrunk:
            shrunk = shrinks(program, number, seen)
        print(f"# {seen}" if seen else f"# none of {SEEDS_MAX} seeds each of {', '.join(families)} noticed")
        print(f"{'ok' if seen else 'not ok'} {case} - it is noticed when the gateway {name} ({invariant})", flush=True)
    said, good = shrunk or ("nothing failed that could be shrunk", bool(word))
    print(f"# {said}\n{'ok' if good else 'not ok'} {len(chosen) + 1} - a failing run is shrunk to less than half of what happens in it")
    return 1 if missed or not good else 0


def main(argv):
    code = breach.command(argv, [edits for _, _, _, edits in BREACHES], [name for name, _, _, _ in BREACHES], "sim_breach",
                          "tests/sim/sabotage.py", "../../")
    if code is not None:
        return code
    if len(argv) in (2, 3) and argv[0] == "test":
        return test(argv[1], argv[2] if len(argv) == 3 else "")
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
