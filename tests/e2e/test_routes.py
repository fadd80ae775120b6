"""Which message goes where, under which name, and what becomes of those that cannot."""
import itertools
import time

import tap
from checks import by_topic, gaps, numbered, wait_gaps
from processes import wait_until
from tap import Failure, case, check, check_equal


def hub_listener(pair):
    return pair.hub_client("#")


def data(client):
    """What arrived, the gateway's own topics apart: [(topic, payload)]."""
    with client.changed:
        return [(m.topic, m.payload.decode(errors="replace")) for m in client.received if not m.topic.startswith("longwire/")]


def flush(client, listener, topic="up/end"):
    """Everything that was published before has arrived, or never will."""
    client.publish(topic, "end")
    listener.wait_payload("end", timeout=60)


@case("the first matching route in file order wins; exclude lets a topic fall to the next")
def _(world):
    pair = world.pair(transport="tcp", edge={
        "route up": None,
        "route first": {"peer": "HUB", "topics": "s/#", "exclude": "s/debug/#", "remote_prefix": "first/"},
        "route second": {"peer": "HUB", "topics": "s/debug/#, s/a", "remote_prefix": "second/"},
    })
    listener, edge = hub_listener(pair), pair.edge_client()
    for topic in ("s/a", "s/debug/x", "s/b", "other"):
        edge.publish(topic, topic)
    flush(edge, listener, "s/end")
    check_equal(data(listener), [("first/s/a", "s/a"), ("second/s/debug/x", "s/debug/x"), ("first/s/b", "s/b"),
                                 ("first/s/end", "end")], "arrived")


@case("strip_prefix, remote_prefix and deliver_prefix make the far topic")
def _(world):
    pair = world.pair(transport="tcp",
                      edge={"route up": {"strip_prefix": "up/", "remote_prefix": "site/buoy/"}},
                      hub={"peer EDGE": {"deliver_prefix": "from/edge/", "accept": "site/#"}})
    listener = hub_listener(pair)
    pair.edge_client().publish("up/temp", "20")
    listener.wait_payload("20")
    check_equal(data(listener), [("from/edge/site/buoy/temp", "20")], "arrived")


def overlapping(world, protocol):
    pair = world.pair(transport="tcp", edge={
        "broker": {"protocol": protocol},
        "route up": {"topics": "up/#, up/+/x, up/a/+"},
        "route again": {"peer": "HUB", "topics": "up/a/x, +/a/x, #"},
    })
    listener, edge = hub_listener(pair), pair.edge_client()
    sent = []
    for i in range(20):
        sent += [("up/a/x", str(i)), ("up/b", str(i)), ("other/a/x", str(i))]
    edge.publish_many(sent)
    flush(edge, listener)
    check_equal(sorted(data(listener)), sorted(sent + [("up/end", "end")]), "one copy each")


@case("overlapping filters and routes give one copy under MQTT 5")
def _(world):
    overlapping(world, "5")


@case("overlapping filters and routes give one copy under 3.1.1")
def _(world):
    overlapping(world, "3.1.1")


@case("a route of # does not carry the gateway's own topics")
def _(world):
    pair = world.pair(transport="tcp", edge={"route up": {"topics": "#"}})
    listener, edge = hub_listener(pair), pair.edge_client()
    edge.publish("anything", "x")
    flush(edge, listener)
    own = [t for t in by_topic(listener) if t.startswith(f"longwire/{pair.edge.name}/")]
    check_equal(own, [], "the edge's own topics at the hub's broker")


@case("accept: what the receiver does not accept is not published, and counted")
def _(world):
    pair = world.pair(transport="tcp", hub={"peer EDGE": {"accept": "up/good/#, up/end"}})
    listener, edge = hub_listener(pair), pair.edge_client()
    edge.publish_many([("up/bad", "1"), ("up/good/a", "2"), ("up/bad", "3")])
    flush(edge, listener)
    check_equal(data(listener), [("up/good/a", "2"), ("up/end", "end")], "published")
    dropped = pair.hub.peer(pair.edge.name)["dropped"]
    check_equal(sum(dropped.values()), 2, f"counted at the hub in {dropped}")


@case("accept defaults to nothing")
def _(world):
    pair = world.pair(transport="tcp", hub={"peer EDGE": {"accept": None}})
    listener, edge = hub_listener(pair), pair.edge_client()
    edge.publish_many(numbered(["up/a"], 5))
    pair.edge.wait_empty(pair.hub.name)
    pair.hub.wait_peer(pair.edge.name, lambda p: sum(p["dropped"].values()) == 5, "five counted")
    check_equal(data(listener), [], "published")


@case("keep = latest: only the newest of each topic crosses, the others are counted and told")
def _(world):
    pair = world.pair(edge={"route up": {"keep": "latest"}})
    listener, edge = hub_listener(pair), pair.edge_client()

    def left():
        return pair.edge.peer(pair.hub.name)["links"][0]["stream_bytes_out"]
    pair.line.cut()
    before = left()
    edge.publish("up/a", "0")
    wait_until(lambda: left() > before, "the first one has left")
    # Into a line that is only cut a slow gateway would put each message as it comes, and could replace none of them.
    pair.line.ask("unplug a")
    pair.edge.wait_link("down")
    edge.publish_many(numbered(["up/a", "up/b"], 30)[1:])
    pair.edge.wait_peer(pair.hub.name, lambda p: p["dropped"].get("replaced", 0) >= 57, "all but the newest are replaced")
    pair.line.ask("replug a")
    pair.line.restore()
    flush(edge, listener)
    arrived = by_topic(listener)
    check_equal((arrived["up/a"], arrived["up/b"]), (["0", "29"], ["29"]), "arrived: what had left already, and the newest")
    wait_gaps(listener, "replaced", 57)
    check_equal(pair.edge.peer(pair.hub.name)["dropped"], {"replaced": 57}, "counted")


def until_one_arrives(client, listener, word):
    """On a route whose messages expire soon: on a slow machine the first ones may. Return: how many were published."""
    for n in itertools.count(1):
        client.publish("up/a", f"{word} {n}")
        try:
            listener.wait_for(lambda _: any(p.startswith(word) for p in listener.payloads("up/a")), word, 3)
            return n
        except Failure:
            if n == 20:
                raise


@case("expire: what waited too long is dropped, counted and told; what comes later arrives")
def _(world):
    pair = world.pair(baud=9600, edge={"route up": {"expire": "2s"}})
    listener, edge = hub_listener(pair), pair.edge_client()
    offered = until_one_arrives(edge, listener, "before")
    pair.line.cut()
    # What has already left is not dropped before its fate is known, so there is more than the line takes at once.
    edge.publish_many([("up/a", world.random.randbytes(500)) for _ in range(40)])
    pair.edge.wait_peer(pair.hub.name, lambda p: p["dropped"].get("expired", 0) >= 10, "expired", 60)
    pair.line.restore()
    listener.wait_for(lambda _: gaps(listener), "the gap is told", 60)
    offered += until_one_arrives(edge, listener, "after")
    pair.edge.wait_empty(pair.hub.name)
    dropped = pair.edge.peer(pair.hub.name)["dropped"]["expired"]
    records = wait_gaps(listener, "expired", dropped)
    check_equal({g["route"] for g in records}, {"up"}, "the route that they name")
    listener.wait_for(lambda _: len(data(listener)) + dropped >= 40 + offered, "arrived and counted make all")
    check_equal(len(data(listener)) + dropped, 40 + offered, "arrived and counted make all")


def overflow(world, on_full):
    pair = world.pair(transport="tcp", edge={
        "store": {"max_bytes": "1M", "on_full": on_full},
        "peer HUB": {"codec": "plain"},  # the store is what is asked, and a megabyte takes the codec its time
        "route alarms": {"peer": "HUB", "topics": "alarms/#", "priority": "alarm"},
    })
    listener, edge = hub_listener(pair), pair.edge_client()
    pair.proxy.refusing = True
    pair.proxy.cut()
    pair.edge.wait_link("down")
    edge.publish_many([("up/a", f"{i:03d}" + "." * 10000) for i in range(200)])
    edge.publish("alarms/a", "fire")
    pair.edge.wait_status(lambda s: s["broker"]["received"] == 201, "all taken from the broker")
    check(pair.edge.peer(pair.hub.name)["dropped"].get("overflow", 0) > 80, "overflowed")
    pair.proxy.refusing = False
    listener.wait_payload("fire", timeout=60)
    flush(edge, listener)
    dropped = pair.edge.peer(pair.hub.name)["dropped"]["overflow"]
    wait_gaps(listener, "overflow", dropped)
    arrived = [int(p[:3]) for t, p in data(listener) if t == "up/a"]
    check_equal(len(arrived) + dropped, 200, "arrived and counted make all")
    check_equal(arrived, sorted(arrived), "order")
    return arrived


@case("overflow with drop-oldest: the newest and every alarm survive, the others are counted and told")
def _(world):
    arrived = overflow(world, "drop-oldest")
    check(199 in arrived, "the newest arrived", arrived)


@case("overflow with drop-newest: the oldest and every alarm survive, the others are counted and told")
def _(world):
    arrived = overflow(world, "drop-newest")
    check_equal(arrived, list(range(len(arrived))), "the oldest arrived")


@case("min_interval: at most one in the time, the newest wins, the others are counted")
def _(world):
    pair = world.pair(transport="tcp", edge={"route up": {"min_interval": "2s"}})
    listener, edge = hub_listener(pair), pair.edge_client()
    began = time.monotonic()
    edge.publish_many(numbered(["up/a"], 30))
    listener.wait_payload("29", timeout=30)
    intervals = (time.monotonic() - began) / 2  # how long the thirty take to come is the broker's affair
    arrived = by_topic(listener)["up/a"]
    check(2 <= len(arrived) <= 2 + intervals, "the first, and one in each interval", arrived, intervals)
    check_equal(arrived[0], "0", "the first goes at once")
    pair.edge.wait_empty(pair.hub.name)
    dropped = pair.edge.peer(pair.hub.name)["dropped"].get("interval", 0)
    check_equal(len(arrived) + dropped, 30, "arrived and counted make all")


@case("max_payload: a larger message is refused, counted and told; its neighbours arrive")
def _(world):
    pair = world.pair(transport="tcp", edge={"route up": {"max_payload": "1K"}})
    listener, edge = hub_listener(pair), pair.edge_client()
    edge.publish("up/a", "small")
    edge.publish("up/a", "x" * 1025)
    edge.publish("up/a", "y" * 1024)
    flush(edge, listener)
    wait_gaps(listener, "oversize", 1)
    check_equal([p for _, p in data(listener)], ["small", "y" * 1024, "end"], "arrived")
    check_equal(pair.edge.peer(pair.hub.name)["dropped"], {"oversize": 1}, "dropped")


@case("gap records stand in their place among the messages of the route")
def _(world):
    pair = world.pair(transport="tcp", edge={"route up": {"max_payload": "10"}})
    listener, edge = hub_listener(pair), pair.edge_client()
    for payload in ("1", "x" * 11, "2", "x" * 12, "x" * 13, "3"):
        edge.publish("up/a", payload)
    flush(edge, listener)
    with listener.changed:
        order = [m.payload.decode() if m.topic == "up/a" else "gap" for m in listener.received
                 if m.topic == "up/a" or "/gap/" in m.topic]
    # Gaps that could not leave before the next one came may be told as one, where the last of them stands.
    check_equal([o for o in order if o != "gap"], ["1", "2", "3"], "messages")
    check_equal(order[-2:], ["gap", "3"], "the last gap is told before the message after it")
    check_equal(sum(g["count"] for g in gaps(listener)), 3, "counted")


@case("priority: routes of every class arrive")
def _(world):
    classes = ("alarm", "high", "normal", "bulk")
    pair = world.pair(edge={f"route {c}": {"peer": "HUB", "topics": f"{c}/#", "priority": c} for c in classes})
    listener, edge = hub_listener(pair), pair.edge_client()
    sent = numbered([f"{c}/x" for c in classes], 20)
    edge.publish_many(sent)
    for c in classes:
        listener.wait_count(20, topic=f"{c}/x")
    for c in classes:
        check_equal(by_topic(listener)[f"{c}/x"], [str(i) for i in range(20)], c)


if __name__ == "__main__":
    tap.main()
