"""Large payloads: in pieces, resumed where they were, bounded by what both ends allow."""
import tap
from processes import wait_until
from tap import case, check, check_equal

MEGABYTE = 1 << 20
LARGE = {"route up": {"max_payload": "2M", "priority": "bulk"},
         "route alarms": {"peer": "HUB", "topics": "alarms/#", "priority": "alarm"}}


def large_pair(world, **how):
    brokers = world.broker("edge-broker", persistence=False), world.broker("hub-broker", persistence=False)
    return world.pair(brokers=brokers, edge=LARGE, hub={"peer EDGE": {"max_message": "2M"}}, **how)


@case("1 MB crosses tcp as it was")
def _(world):
    pair = large_pair(world, transport="tcp")
    payload = world.random.randbytes(MEGABYTE)
    hub = pair.hub_client("up/#")
    pair.edge_client().publish("up/picture", payload)
    check(hub.wait_count(1, 60)[0].payload == payload, "the payload is as it was")
    pair.wait_drained()


@case("1 MB is resumed after a cut where it was, not from its start")
def _(world):
    pair = large_pair(world, transport="tcp")
    payload = world.random.randbytes(MEGABYTE)
    hub = pair.hub_client("up/#")
    pair.proxy.limit = pair.proxy.forward + 600_000
    pair.edge_client().publish("up/picture", payload)
    check(hub.wait_count(1, 90)[0].payload == payload, "the payload is as it was")
    check(pair.proxy.accepted >= 2, "it was cut", pair.proxy.accepted)
    check(pair.proxy.forward < 1.35 * MEGABYTE, "bytes on the wire", pair.proxy.forward)


def resumed_after_kill(world, which):
    pair = large_pair(world, transport="tcp")
    payload = world.random.randbytes(MEGABYTE)
    hub = pair.hub_client("up/#")
    victim = getattr(pair, which)
    begun = pair.proxy.forward
    pair.proxy.limit = begun + 600_000  # stands still there, so that the kill comes in the middle
    pair.proxy.refusing = True
    pair.edge_client().publish("up/picture", payload)
    pair.proxy.wait(lambda p: p.limit is None, "600,000 bytes on the wire")
    victim.kill()
    victim.start(wait=False)
    pair.proxy.refusing = False
    check(hub.wait_count(1, 90)[0].payload == payload, "the payload is as it was")
    check(pair.proxy.forward - begun < 1.35 * MEGABYTE, "bytes on the wire", pair.proxy.forward - begun)


@case("1 MB is resumed after kill -9 of the sender, not from its start")
def _(world):
    resumed_after_kill(world, "edge")


@case("1 MB is resumed after kill -9 of the receiver, not from its start")
def _(world):
    resumed_after_kill(world, "hub")


@case("1 MB over a serial line, overtaken by an alarm, cut and resumed")
def _(world):
    pair = large_pair(world, baud=921600)
    payload = world.random.randbytes(MEGABYTE)
    hub, edge = pair.hub_client("#"), pair.edge_client()
    sent = pair.line.status()["a"]["sent"]
    edge.publish("up/picture", payload)
    wait_until(lambda: pair.line.status()["a"]["sent"] > sent + 200_000, "the picture is under way")
    edge.publish("alarms/bilge", "HIGH")
    hub.wait_payload("HIGH")
    pair.line.cut()
    wait_until(lambda: pair.line.status()["a"]["cut"] > 0, "something went into the cut line")
    pair.line.restore()
    check(hub.wait_count(1, 120, topic="up/picture")[0].payload == payload, "the payload is as it was")
    check_equal([m.topic for m in hub.received if m.topic in ("alarms/bilge", "up/picture")], ["alarms/bilge", "up/picture"],
                "the alarm came first")
    check(pair.line.status()["a"]["sent"] - sent < 1.5 * MEGABYTE, "bytes on the line",
          pair.line.status()["a"]["sent"] - sent)


@case("a message above the receiver's max_message is refused and told, the next ones arrive")
def _(world):
    pair = world.pair(transport="tcp", edge={"route up": {"max_payload": "1M"}},
                      hub={"peer EDGE": {"max_message": "64K"}})
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    edge.publish("up/a", "1")
    edge.publish("up/a", bytes(100_000))
    edge.publish("up/a", "2")
    hub.wait_payload("2", timeout=60)
    check_equal(hub.payloads("up/a"), ["1", "2"], "arrived")
    pair.edge.wait_empty(pair.hub.name)
    dropped = [sum(g.peer(p)["dropped"].values()) for g, p in ((pair.edge, pair.hub.name), (pair.hub, pair.edge.name))]
    check(sum(dropped) >= 1, "it is counted", dropped)


if __name__ == "__main__":
    tap.main()
