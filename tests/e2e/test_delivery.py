"""What one end's broker takes arrives at the other end's broker: every QoS, every payload, every property."""
import re
import time
from datetime import datetime, timezone

import tap
from checks import expect, numbered, user_properties
from processes import wait_until
from tap import case, check, check_equal


def every_qos_both_ways(world, transport):
    pair = world.pair(transport=transport)
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#")
    ups = {qos: numbered([f"up/q{qos}"], 60) for qos in (0, 1, 2)}
    downs = {qos: numbered([f"down/q{qos}"], 60) for qos in (0, 1, 2)}
    for qos in (0, 1, 2):
        edge.publish_many(ups[qos], qos=qos)
        hub.publish_many(downs[qos], qos=qos)
    expect(hub, sum(ups.values(), []), what="edge to hub")
    expect(edge, sum(downs.values(), []), what="hub to edge")
    for client in (hub, edge):
        for m in client.received:
            check_equal(m.qos, int(m.topic[-1]), f"QoS of {m.topic}")
    pair.wait_drained()


@case("QoS 0, 1 and 2 cross a serial line both ways, once and in order")
def _(world):
    every_qos_both_ways(world, "serial")


@case("QoS 0, 1 and 2 cross tcp both ways, once and in order")
def _(world):
    every_qos_both_ways(world, "tcp")


@case("a route's qos caps what is asked of the broker and used at the far end")
def _(world):
    pair = world.pair(edge={"route up": {"qos": 1}}, transport="tcp")
    hub = pair.hub_client("up/#")
    pair.edge_client().publish("up/a", "x", qos=2)
    check_equal(hub.wait_payload("x").qos, 1, "QoS at the far end")


@case("payloads of every byte value, none, and topics long and in other scripts arrive as they were")
def _(world):
    pair = world.pair()
    hub = pair.hub_client("up/#")
    sent = [("up/bytes", bytes(range(256))), ("up/none", b""), ("up/späť/温度/🌊", b"utf-8"),
            ("up/" + "long/" * 100 + "end", b"long topic"), ("up//empty//levels/", b"x"), ("up/ space", b" ")]
    client = pair.edge_client()
    for topic, payload in sent:
        client.publish(topic, payload)
    hub.wait_count(len(sent))
    check_equal([(m.topic, m.payload) for m in hub.received], sent, "messages")


@case("MQTT 5 properties that mean something to the receiver arrive")
def _(world):
    pair = world.pair(transport="tcp")
    hub = pair.hub_client("up/#")
    pair.edge_client().publish("up/a", "{}", ContentType="application/json", ResponseTopic="down/answer",
                               CorrelationData=b"\x00\x01id", PayloadFormatIndicator=1,
                               UserProperty=[("unit", "m"), ("unit", "ft")])
    p = hub.wait_payload("{}").properties
    check_equal(p.ContentType, "application/json", "content type")
    check_equal(p.ResponseTopic, "down/answer", "response topic")
    check_equal(p.CorrelationData, b"\x00\x01id", "correlation data")
    check_equal(p.PayloadFormatIndicator, 1, "payload format")
    check_equal([u for u in p.UserProperty if u[0] == "unit"], [("unit", "m"), ("unit", "ft")], "user properties")


@case("a message's expiry is counted down by the time spent on the way, and an expired one is counted")
def _(world):
    pair = world.pair(transport="tcp")
    hub = pair.hub_client("up/#", f"longwire/{pair.hub.name}/gap/#")
    client = pair.edge_client()
    pair.proxy.refusing = True
    pair.proxy.cut()
    began = time.monotonic()
    client.publish("up/long", "long", MessageExpiryInterval=600)
    client.publish("up/short", "short", MessageExpiryInterval=3)
    pair.edge.wait_peer(pair.hub.name, lambda p: p["dropped"].get("expired") == 1, "the short one has expired")
    pair.proxy.refusing = False
    left = hub.wait_payload("long", timeout=60).properties.MessageExpiryInterval
    check(599 - (time.monotonic() - began) <= left <= 598, "600 s less the seconds on the way", left, time.monotonic() - began)
    wait_until(lambda: any("/gap/" in m.topic for m in hub.received), "the expired one is told")
    check("short" not in hub.payloads(), "the expired message did not arrive", hub.payloads())
    check_equal(pair.edge.peer(pair.hub.name)["dropped"].get("expired"), 1, "dropped.expired")


@case("lw-time and lw-site tell where and when a message began")
def _(world):
    pair = world.pair(edge={"peer HUB": {"timestamps": "ms"}}, transport="tcp")
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    before = time.time()
    edge.publish("up/a", "x")
    properties = user_properties(hub.wait_payload("x"))
    check_equal(properties.get("lw-site"), pair.edge.name, "lw-site")
    stamp = properties.get("lw-time", "")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", stamp), "lw-time is RFC 3339 UTC", stamp)
    origin = datetime.fromisoformat(stamp.replace("Z", "+00:00")).astimezone(timezone.utc).timestamp()
    check(before - 1 <= origin <= time.time() + 1, "lw-time is when it was published", stamp, before)


@case("timestamps = no: neither lw-time nor lw-site")
def _(world):
    none = {"timestamps": "no"}
    pair = world.pair(edge={"peer HUB": none}, hub={"peer EDGE": none}, transport="tcp")
    hub = pair.hub_client("up/#")
    pair.edge_client().publish("up/a", "x")
    check_equal(user_properties(hub.wait_payload("x")), {}, "user properties")


@case("a 3.1.1 session at the far end gets the message without what it cannot carry")
def _(world):
    pair = world.pair(hub={"broker": {"protocol": "3.1.1"}}, transport="tcp")
    hub, edge = pair.hub_client("up/#", protocol=4), pair.edge_client("down/#")
    edge.publish_many(numbered(["up/a"], 30))
    hub.publish_many(numbered(["down/a"], 30))
    edge.publish("up/p", "with properties", ContentType="text/plain")
    expect(hub, numbered(["up/a"], 30) + [("up/p", "with properties")])
    expect(edge, numbered(["down/a"], 30))


def no_echo(world, protocol):
    site = {"broker": {"protocol": protocol}}
    pair = world.pair(edge={"route up": {"topics": "shared/#"}, **site},
                      hub={"route down": {"topics": "shared/#"}, **site}, transport="tcp")
    edge, hub = pair.edge_client("shared/#"), pair.hub_client("shared/#")
    from_edge = [("shared/a", f"e{i}") for i in range(20)]
    from_hub = [("shared/b", f"h{i}") for i in range(20)]
    edge.publish_many(from_edge)
    hub.publish_many(from_hub)
    expect(hub, from_edge + from_hub, what="hub")
    expect(edge, from_edge + from_hub, what="edge")
    pair.wait_drained()
    check_equal(pair.edge.peer(pair.hub.name)["delivered"], 20, "delivered by the edge")
    check_equal(pair.hub.peer(pair.edge.name)["delivered"], 20, "delivered by the hub")


@case("a topic routed both ways does not come back under MQTT 5 (no-local)")
def _(world):
    no_echo(world, "5")


@case("a topic routed both ways does not come back under 3.1.1 (the bridge bit)")
def _(world):
    no_echo(world, "3.1.1")


@case("many topics at once: each keeps its order")
def _(world):
    pair = world.pair(baud=460800)
    hub = pair.hub_client("up/#")
    sent = numbered([f"up/sensor/{i}" for i in range(40)], 15)
    pair.edge_client().publish_many(sent, qos=1)
    expect(hub, sent)


if __name__ == "__main__":
    tap.main()
