"""Urgency, measured: nothing runs beside these cases."""
import time

import tap
from checks import numbered
from processes import wait_until
from tap import SLOWNESS, case, check

FRAME_BYTES = 256  # the largest frame on a stream link


def noise(world, n):
    """A payload that no codec makes smaller: what is measured is the line."""
    return world.random.randbytes(n)


@case("an alarm behind a full backlog at 1200 baud arrives within two frames and a turn of the line", alone=True)
def _(world):
    pair = world.pair(baud=1200, edge={"route alarms": {"peer": "HUB", "topics": "alarms/#", "priority": "alarm"}})
    hub, edge = pair.hub_client("#"), pair.edge_client()
    edge.publish_many([("up/backlog", noise(world, 180)) for _ in range(60)], qos=1)
    hub.wait_count(3, topic="up/backlog")
    seconds = []
    for i in range(5):
        started = time.monotonic()
        edge.publish("alarms/bilge", f"HIGH {i}", qos=1, wait=False)
        seconds.append(hub.wait_payload(f"HIGH {i}").at - started)
    frame_s = FRAME_BYTES * 10 / 1200
    # Two frame times (the one on the line, its own) and what the two brokers and fsyncs take.
    check(max(seconds) <= 2 * frame_s + 0.3 * SLOWNESS, "slowest alarm", seconds, 2 * frame_s)
    check(len(hub.payloads("up/backlog")) < 60, "there was a backlog to overtake")


@case("classes share the line: bulk is not starved, high goes before it")
def _(world):
    pair = world.pair(baud=19200, edge={
        "route up": {"priority": "bulk"},
        "route high": {"peer": "HUB", "topics": "high/#", "priority": "high"},
    })
    hub, edge = pair.hub_client("up/#", "high/#"), pair.edge_client()
    pair.line.cut()
    edge.publish_many([(t, p.encode() + noise(world, 100)) for t, p in numbered(["up/a", "high/a"], 60)])
    pair.edge.wait_peer(pair.hub.name, lambda p: p["queue"]["messages"] == 120, "all queued")
    pair.line.restore()
    hub.wait_count(120, timeout=90)
    half = [m.topic for m in hub.received[:60]]
    check(half.count("high/a") > 40, "high first", half.count("high/a"))
    check(half.count("up/a") >= 4, "bulk gets its eighth", half.count("up/a"))


@case("an alarm overtakes a large message in the middle of it")
def _(world):
    pair = world.pair(baud=19200, edge={
        "route up": {"max_payload": "1M", "priority": "bulk"},
        "route alarms": {"peer": "HUB", "topics": "alarms/#", "priority": "alarm"},
    })
    hub, edge = pair.hub_client("#"), pair.edge_client()
    edge.publish("up/picture", world.random.randbytes(16000))
    sent = pair.line.status()["a"]["sent"]
    wait_until(lambda: pair.line.status()["a"]["sent"] > sent + 3000, "the picture is under way")
    edge.publish("alarms/bilge", "HIGH")
    hub.wait_payload("HIGH")
    check(not hub.payloads("up/picture"), "the picture came later")
    hub.wait_count(1, topic="up/picture", timeout=60)


if __name__ == "__main__":
    tap.main()
