"""Brokers that die, hang up or stay away.

What mosquitto acknowledged and then forgot in kill -9 (it saves after the acknowledgement) is the broker's loss, not
ours: these cases ask that everything that a gateway was given, it handed on, once."""
import threading

import tap
from checks import by_topic, expect, numbered
from processes import wait_until
from tap import case, check, check_equal

WINDOW = 20  # mosquitto's in-flight limit: the most it can have under way with one client


def through_proxies(world):
    """A pair whose gateways reach their brokers through proxies that can hang up."""
    brokers = world.broker("edge-broker"), world.broker("hub-broker")
    proxies = [world.proxy(b.port) for b in brokers]
    pair = world.pair(brokers=brokers, transport="tcp", edge={"broker": {"port": proxies[0].port}},
                      hub={"broker": {"port": proxies[1].port}})
    return pair, proxies


@case("the broker connection is cut at 20 random instants: sessions hold, exactly once and in order")
def _(world):
    pair, proxies = through_proxies(world)
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#")
    ups, downs = numbered(["up/a", "up/b"], 400), numbered(["down/a", "down/b"], 400)
    instant = threading.Event()
    infos = []
    for i in range(20):
        infos += [edge.publish(t, p, wait=False) for t, p in ups[i * 40:(i + 1) * 40]]
        infos += [hub.publish(t, p, wait=False) for t, p in downs[i * 40:(i + 1) * 40]]
        instant.wait(world.random.random() * 0.3)  # a random instant, not a wait for something
        proxies[i % 2].cut()
    expect(hub, ups, 180, "edge to hub")
    expect(edge, downs, 180, "hub to edge")


@case("the far broker is killed at random instants: all that arrived is handed to it, none set aside")
def _(world):
    pair = world.pair(transport="tcp")
    hub = pair.hub_client("up/#", client_id="keeper", keep=True)
    edge = pair.edge_client()
    sent = numbered(["up/a", "up/b"], 150)
    instant = threading.Event()
    kills = 5
    for i in range(kills):
        edge.publish_many(sent[i * 60:(i + 1) * 60])
        instant.wait(world.random.random() * 0.2)
        pair.hub_broker.kill()
        pair.hub_broker.start()
        pair.hub.wait_status(lambda s: s["broker"]["connected"], "hub connected again")
    pair.edge.wait_empty(pair.hub.name)
    status = pair.hub.wait_peer(pair.edge.name, lambda p: p["waiting_for_broker"] == 0, "all handed over")
    check_equal(status["received"], len(sent), "received by the hub's gateway")
    check_equal(status["dropped"], {}, "dropped by the hub's gateway")
    check_equal(pair.edge.peer(pair.hub.name)["dropped"], {}, "dropped by the edge's gateway")
    pair.hub_client().publish("up/a", "end")
    hub.wait_payload("end", timeout=60)
    # What the broker had acknowledged and not saved is bounded by its window; more would be ours.
    arrived = set((m.topic, m.payload.decode()) for m in hub.received)
    lost = [s for s in sent if s not in arrived]
    check(len(lost) <= kills * WINDOW, "lost by the broker", lost)
    print(f"# the broker forgot {len(lost)} of {len(sent)} that it had acknowledged")
    for topic, payloads in by_topic(hub).items():
        first = list(dict.fromkeys(p for p in payloads if p != "end"))
        check_equal(first, sorted(first, key=int), f"order of first arrivals on {topic}")


@case("the near broker is killed at random instants: what the gateway took arrives once")
def _(world):
    pair = world.pair(transport="tcp")
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    instant = threading.Event()
    infos = []
    for i in range(5):
        infos += [edge.publish(t, p, qos=1, wait=False) for t, p in numbered(["up/a", "up/b"], 30, start=i * 30)]
        instant.wait(world.random.random() * 0.2)
        pair.edge_broker.kill()
        pair.edge_broker.start()
        pair.edge.wait_status(lambda s: s["broker"]["connected"], "edge connected again")
    edge.wait_published(infos)
    edge.publish("up/end", "end")
    hub.wait_payload("end", timeout=60)
    pair.edge.wait_empty(pair.hub.name)
    taken = pair.edge.peer(pair.hub.name)["delivered"]
    pair.hub.wait_peer(pair.edge.name, lambda p: p["waiting_for_broker"] == 0, "all handed over")
    wait_until(lambda: hub.count() >= taken, "all that the edge took has arrived")
    check_equal(hub.count(), taken, "arrived once each, as the edge took them")
    check_equal(pair.edge.peer(pair.hub.name)["dropped"], {}, "dropped by the edge's gateway")


@case("the far broker is away for long: the link delivers, its gateway holds, a restart forgets nothing")
def _(world):
    pair = world.pair(transport="tcp")
    hub = pair.hub_client("up/#", client_id="keeper", keep=True)
    edge = pair.edge_client()
    pair.hub_broker.stop()
    sent = numbered(["up/a", "up/b"], 300)
    edge.publish_many(sent)
    pair.hub.wait_peer(pair.edge.name, lambda p: p["waiting_for_broker"] == len(sent), "all held for the broker")
    pair.hub.kill()
    pair.hub.start(wait=False)
    pair.hub_broker.start()
    expect(hub, sent, 90)


@case("a broker that lost its session before PUBCOMP gets the message again, counted and marked")
def _(world):
    pair, proxies = through_proxies(world)
    edge = pair.edge_client()
    # The answers of the hub's broker no longer reach the gateway: PUBLISH leaves, PUBREC does not come.
    proxies[1].stall()
    edge.publish("up/a", "x")
    pair.edge.wait_empty(pair.hub.name)
    pair.hub_broker.stop()
    (pair.hub_broker.folder / "mosquitto.db").unlink(missing_ok=True)
    proxies[1].stall(False)
    proxies[1].cut()
    pair.hub_broker.start()
    hub = pair.hub_client("up/#", "longwire/#")
    pair.hub.wait_peer(pair.edge.name, lambda p: p["waiting_for_broker"] == 0, "handed over")
    edge.publish("up/a", "y")
    hub.wait_payload("y", topic="up/a")


@case("a broker that accepts and then says nothing is noticed, and does not stop the link")
def _(world):
    brokers = world.broker("edge-broker"), world.broker("hub-broker")
    proxy = world.proxy(brokers[1].port)
    pair = world.pair(brokers=brokers, transport="tcp", hub={"broker": {"port": proxy.port, "keepalive": "5s"}})
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    edge.publish("up/a", "before")
    hub.wait_payload("before")
    proxy.stall()
    pair.hub.wait_status(lambda s: not s["broker"]["connected"], "the silence is noticed", 60)
    edge.publish("up/a", "meanwhile")
    pair.edge.wait_empty(pair.hub.name)
    proxy.stall(False)
    proxy.cut()
    hub.wait_payload("meanwhile", timeout=90)


if __name__ == "__main__":
    tap.main()
