"""Urgency, by what arrives before what. How long it takes is tests/bench/line_bench.py's question."""
import tap
from checks import numbered
from processes import wait_until
from tap import case, check, check_equal


def noise(world, n):
    """A payload that no codec makes smaller: what is measured is the line."""
    return world.random.randbytes(n)


@case("an alarm behind a full backlog at 1200 baud is overtaken by what is on the line alone")
def _(world):
    pair = world.pair(baud=1200, edge={"route alarms": {"peer": "HUB", "topics": "alarms/#", "priority": "alarm"}})
    hub, edge = pair.hub_client("#"), pair.edge_client()
    edge.publish_many([("up/backlog", noise(world, 180)) for _ in range(60)], qos=1)
    hub.wait_count(3, topic="up/backlog")
    overtook = []
    for i in range(5):
        before = len(hub.payloads("up/backlog"))
        edge.publish("alarms/bilge", f"HIGH {i}", qos=1, wait=False)
        hub.wait_payload(f"HIGH {i}")
        overtook.append(len(hub.payloads("up/backlog")) - before)
    # A frame holds little more than one message of the backlog. At most one frame is on the line, and one behind it
    # in the tty; the rest is what a late process costs.
    check(max(overtook) <= 5, "messages of the backlog that came first", overtook)
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
    hub.wait_count(1, topic="up/picture", timeout=60)
    check_equal([m.topic for m in hub.received if m.topic in ("alarms/bilge", "up/picture")], ["alarms/bilge", "up/picture"],
                "the picture came later")


if __name__ == "__main__":
    tap.main()
