"""A hub with several peers on one tcp listener: each gets its own, messages pass from one to another, strangers
are refused, and a peer that has gone silent is noticed."""
import socket

import tap
from checks import by_topic, expect, numbered
from processes import free_port, wait_until
from tap import SLOWNESS, case, check, check_equal


class Star:
    """A hub and edges `e1`, `e2`, ... each beside a broker of its own, each through a proxy of its own."""

    def __init__(self, world, edges=2, hub=None, edge=None, probe="2s"):
        self.world = world
        self.port = free_port()
        self.hub_broker = world.broker("hub-broker")
        self.names = [world.site_name(f"e{i + 1}") for i in range(edges)]
        self.brokers, self.edges, self.proxies = [], [], []
        sections = {"link wire": {"driver": "tcp", "listen": f"127.0.0.1:{self.port}", "probe": probe}}
        for name in self.names:
            sections[f"route to-{name}"] = {"peer": name, "topics": f"to/{name}/#, all/#"}
        for section, keys in self._named(hub).items():
            sections.setdefault(section, {}).update(keys)
        self.hub = world.site("hub", self.hub_broker, {n: "wire" for n in self.names}, sections)
        for i, name in enumerate(self.names):
            self.add_edge(f"e{i + 1}", edge, probe)
        self.hub.start()
        for gateway in self.edges:
            gateway.start()
            gateway.wait_link()

    def _named(self, changes):
        named = {}
        for section, keys in (changes or {}).items():
            for i, name in enumerate(self.names):
                section = section.replace(f"E{i + 1}", name)
            named[section] = keys
        return named

    def add_edge(self, short, sections=None, probe="2s"):
        broker = self.world.broker(f"{short}-broker")
        proxy = self.world.proxy(self.port)
        base = {"route up": {"peer": self.hub.name, "topics": "up/#"},
                "link wire": {"driver": "tcp", "connect": f"127.0.0.1:{proxy.port}", "probe": probe}}
        for section, keys in (sections or {}).items():
            base.setdefault(section, {}).update(keys)
        self.brokers.append(broker)
        self.proxies.append(proxy)
        self.edges.append(self.world.site(short, broker, {self.hub.name: "wire"}, base))
        return self.edges[-1]


@case("two peers on one listener: each gets its own topics, both get what is for all")
def _(world):
    star = Star(world)
    listeners = [world.client(b, "#") for b in star.brokers]
    hub = world.client(star.hub_broker, "up/#")
    for name in star.names:
        hub.publish(f"to/{name}/cmd", name)
    hub.publish("all/news", "news")
    for i, listener in enumerate(listeners):
        listener.wait_payload("news")
        mine = {t: p for t, p in by_topic(listener).items() if not t.startswith("longwire/")}
        check_equal(mine, {f"to/{star.names[i]}/cmd": [star.names[i]], "all/news": ["news"]}, f"at edge {i + 1}")
    for i, broker in enumerate(star.brokers):
        world.client(broker).publish_many(numbered([f"up/from{i}"], 30))
    expect(hub, numbered(["up/from0"], 30) + numbered(["up/from1"], 30))


@case("one route to two peers")
def _(world):
    star = Star(world)
    star.hub.reload({"route both": {"peer": ", ".join(star.names), "topics": "both/#"}})
    listeners = [world.client(b, "both/x") for b in star.brokers]
    probes = [world.client(b, "both/probe") for b in star.brokers]
    hub = world.client(star.hub_broker)

    def carries():
        hub.publish("both/probe")
        return all(p.count() for p in probes)
    wait_until(carries, "the route works after the reload", every=0.3)
    sent = numbered(["both/x"], 20)
    hub.publish_many(sent)
    for listener in listeners:
        expect(listener, sent)


@case("forward = yes: a message passes from one peer to another through the hub, once, and not back")
def _(world):
    star = Star(world, hub={"peer E1": {"forward": "yes"}, "peer E2": {"forward": "yes"}},
                edge={"route up": {"topics": "all/#"}})
    listeners = [world.client(b, "all/#") for b in star.brokers]
    hub = world.client(star.hub_broker, "all/#")
    sent = numbered(["all/chat"], 20)
    world.client(star.brokers[0]).publish_many(sent)
    expect(listeners[1], sent, what="at the other edge")
    expect(hub, sent, what="at the hub")
    for gateway in star.edges:
        gateway.wait_empty(star.hub.name)
    for name in star.names:
        star.hub.wait_empty(name)
    check_equal(listeners[0].count(), 20, "at the edge that it came from: its own publications only")
    check_equal(star.hub.peer(star.names[0])["delivered"], 0, "sent back to where it came from")


@case("forward = no (the default): nothing passes from peer to peer")
def _(world):
    star = Star(world, edge={"route up": {"topics": "all/#"}})
    other = world.client(star.brokers[1], "all/#")
    hub = world.client(star.hub_broker, "all/#")
    sent = numbered(["all/chat"], 10)
    world.client(star.brokers[0]).publish_many(sent)
    expect(hub, sent)
    hub.publish("all/chat", "from the hub")
    other.wait_payload("from the hub")
    check_equal(other.payloads(), ["from the hub"], "at the other edge")


@case("an unknown site is refused, said so in both logs, and disturbs nobody (seal = none; else it hears nothing)")
def _(world):
    unsealed = {"seal": "none", "secret_file": None}
    star = Star(world, edges=1, hub={"peer E1": unsealed}, edge={f"peer {world.site_name('hub')}": unsealed})
    stranger = star.add_edge("stranger", {f"peer {star.hub.name}": unsealed}).start()
    client = world.client(star.brokers[1])
    client.publish("up/a", "from a stranger")
    star.hub.process.wait_line(stranger.name)
    stranger.process.wait_line("refus")
    hub = world.client(star.hub_broker, "up/#")
    world.client(star.brokers[0]).publish("up/a", "from a friend")
    hub.wait_payload("from a friend")
    check_equal(hub.payloads(), ["from a friend"], "at the hub")
    stranger.wait_peer(star.hub.name, lambda p: p["queue"]["messages"] == 1, "the stranger keeps its message")


@case("a stranger that speaks no Longwire at all is dropped, and disturbs nobody")
def _(world):
    star = Star(world, edges=1)
    sockets = []
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 40, bytes(2000), world.random.randbytes(4000), b""):
        s = socket.create_connection(("127.0.0.1", star.port))
        s.sendall(data)
        sockets.append(s)
    hub = world.client(star.hub_broker, "up/#")
    sent = numbered(["up/a"], 20)
    world.client(star.brokers[0]).publish_many(sent)
    expect(hub, sent)
    for s in sockets[:3]:
        s.settimeout(30 * SLOWNESS)
        try:
            while s.recv(1000):
                pass
        except ConnectionError:
            pass  # closed on: that is what is asked
        s.close()
    sockets[3].close()


@case("a half-open peer is noticed by both ends; traffic goes on over a new connection")
def _(world):
    star = Star(world, edges=1)
    hub, edge = world.client(star.hub_broker, "up/#"), world.client(star.brokers[0], "to/#")
    proxy = star.proxies[0]
    edge.publish("up/a", "before")
    hub.wait_payload("before")
    before = proxy.accepted
    proxy.stall()
    edge.publish("up/a", "during")
    hub.publish(f"to/{star.names[0]}/a", "during")
    star.edges[0].wait_status(lambda s: s["peers"][0]["links"][0]["state"] != "ready", "the silence is noticed", 60)
    star.hub.wait_status(lambda s: s["peers"][0]["links"][0]["state"] != "ready", "the silence is noticed", 60)
    # What was stalled is lost with its connections: only new ones pass.
    proxy.cut()
    proxy.stall(False)
    proxy.wait(lambda p: p.accepted > before, "a new connection")
    hub.wait_payload("during", timeout=60)
    edge.wait_payload("during", timeout=60)


@case("a hub restart: every edge comes back by itself and nothing is lost")
def _(world):
    star = Star(world, edges=3)
    hub = world.client(star.hub_broker, "up/#")
    clients = [world.client(b) for b in star.brokers]
    sent = [numbered([f"up/from{i}"], 60) for i in range(3)]
    for part in range(3):
        for i, client in enumerate(clients):
            client.publish_many(sent[i][part * 20:part * 20 + 20])
        star.hub.kill()
        star.hub.start(wait=False)
    expect(hub, sum(sent, []), 90)


@case("the same site from a new address takes over from its old connection")
def _(world):
    star = Star(world, edges=1, probe="60s")
    proxy = star.proxies[0]
    proxy.stall()           # the hub does not see that this connection is dead
    fresh = world.proxy(star.port)
    edge = star.edges[0]
    edge.kill()
    edge.start({"link wire": {"connect": f"127.0.0.1:{fresh.port}"}})
    edge.wait_link()
    hub = world.client(star.hub_broker, "up/#")
    world.client(star.brokers[0]).publish("up/a", "over the new one")
    hub.wait_payload("over the new one")


if __name__ == "__main__":
    tap.main()
