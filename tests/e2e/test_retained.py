"""Retained messages, as `retain` says: on-change, pass, drop; and their deletion."""
import tap
from checks import expect
from tap import case, check, check_equal


def retained_of(pair, topic_filter):
    """What a newcomer at the hub's broker finds: {topic: payload}."""
    marker = "marker/of-the-newcomer"
    newcomer = pair.hub_client(topic_filter, marker)
    newcomer.publish(marker, "end", qos=1)  # behind all retained ones
    newcomer.wait_payload("end")
    return {m.topic: m.payload.decode() for m in newcomer.received if m.retain}


@case("retain = on-change (the default): an equal retained message is not sent again, a changed one is")
def _(world):
    pair = world.pair(transport="tcp")
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    for payload in ("1", "1", "1", "2", "2", "1"):
        edge.publish("up/state", payload, retain=True)
    edge.publish("up/end", "end")
    hub.wait_payload("end")
    check_equal(hub.payloads("up/state"), ["1", "2", "1"], "changes only")
    check_equal(retained_of(pair, "up/state"), {"up/state": "1"}, "retained at the hub")


@case("retain = on-change: a message that is not retained always crosses")
def _(world):
    pair = world.pair(transport="tcp")
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    sent = [("up/event", "ON")] * 3
    edge.publish_many(sent)
    expect(hub, sent)
    check(not any(m.retain for m in hub.received), "none became retained")


@case("retain = pass: every one crosses and is retained at the far end")
def _(world):
    pair = world.pair(edge={"route up": {"retain": "pass"}}, transport="tcp")
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    for _ in range(3):
        edge.publish("up/state", "same", retain=True)
    hub.wait_count(3)
    check_equal(retained_of(pair, "up/state"), {"up/state": "same"}, "retained at the hub")


@case("retain = drop: messages cross, the flag does not")
def _(world):
    pair = world.pair(edge={"route up": {"retain": "drop"}}, transport="tcp")
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    edge.publish("up/state", "x", retain=True)
    hub.wait_payload("x")
    check_equal(retained_of(pair, "up/state"), {}, "retained at the hub")


@case("a retained deletion crosses, and the topic may come again with the same payload")
def _(world):
    pair = world.pair(transport="tcp")
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    edge.publish("up/state", "x", retain=True)
    hub.wait_count(1)
    edge.publish("up/state", b"", retain=True)
    hub.wait_count(2)
    check_equal(retained_of(pair, "up/state"), {}, "retained after the deletion")
    edge.publish("up/state", "x", retain=True)
    hub.wait_count(3)
    check_equal(retained_of(pair, "up/state"), {"up/state": "x"}, "retained again")


@case("what was retained before the gateway first came is carried when it subscribes")
def _(world):
    pair = world.pair(transport="tcp", start=False)
    edge, hub = pair.edge_client(), pair.hub_client("up/#")
    edge.publish("up/state", "old", retain=True)
    pair.start()
    hub.wait_payload("old")
    pair.wait_drained()
    pair.edge.restart()
    edge.publish("up/end", "end")
    hub.wait_payload("end")
    check_equal(hub.payloads("up/state"), ["old"], "not sent again after a restart")


if __name__ == "__main__":
    tap.main()
