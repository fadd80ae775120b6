"""A case's world: its folder, its processes, and the usual pair of sites that most cases want."""
import pathlib
import shutil
import tempfile

from broker import Broker
from client import Client
from gateway import Gateway, merge
from line import Line, Proxy
from processes import Process, free_port
from tap import Failure


class World:
    """Everything a case starts, so that it can be shown when it fails and is gone when it ends."""

    def __init__(self, name, random):
        self.name, self.random = name, random
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="longwire-e2e-"))
        self.processes = []
        self.gateways = []
        self.closers = []
        self._keys = {}
        # Site names are unique: as root, the control sockets of all sites share /run/longwire.
        self._tag = f"{free_port()}"

    def process(self, label, argv, **how):
        process = Process(label, argv, **how)
        self.processes.append(process)
        return process

    def broker(self, name, **how):
        return Broker(self, name, **how)

    def line(self, **how):
        return Line(self, **how)

    def proxy(self, port):
        return Proxy(self, port)

    def client(self, broker, *filters, **how):
        """A test client, subscribed."""
        client = Client(broker, **how)
        for topic_filter in filters:
            client.subscribe(topic_filter)
        return client

    def key(self, one, other, which=0):
        """The key of two sites (their names), as text of a key file; other ones by `which`."""
        pair = (frozenset((one, other)), which)
        return self._keys.setdefault(pair, self.random.randbytes(32).hex() + "\n")

    def site(self, short, broker, peers, sections):
        """A gateway named after the case. peers: {peer's site name: link name}; each sealed in full, with a key that
        the two share."""
        base = {
            "site": {"name": self.site_name(short)},
            "broker": {"host": "127.0.0.1", "port": broker.port},
            "store": {"path": f"{self.site_name(short)}.db"},
        }
        for peer, link in peers.items():
            base[f"peer {peer}"] = {"links": link, "secret_file": f"{peer}.key", "accept": "#"}
        gateway = Gateway(self, self.site_name(short), merge(base, sections))
        for peer in peers:
            gateway.write_key(peer)
        return gateway

    def site_name(self, short):
        return f"{short}-{self._tag}"

    def pair(self, edge=None, hub=None, transport="serial", baud=115200, start=True, brokers=None, seal="full", **quality):
        """Edge and hub, each beside its broker. Topics under up/ go from edge to hub, under down/ the other way.

        edge, hub: changes to their configurations. quality: of the serial line."""
        sealed = {"seal": seal} if seal != "none" else {"seal": seal, "secret_file": None}
        return Pair(self, merge({"peer HUB": sealed}, edge), merge({"peer EDGE": sealed}, hub), transport, baud, start,
                    brokers, quality)

    def check_processes(self):
        """A child that ended by itself, or that a sanitizer complained of, fails the case."""
        for process in self.processes:
            words = process.crashed()
            if words:
                raise Failure(words)

    def statuses(self):
        """How the gateways stand: of a failed case the first thing to show."""
        def words(gateway):
            try:
                return gateway.last_words()
            except Exception as error:  # it does not answer: that is part of what is to be shown
                return f"\n  no status: {error}"
        return "".join(words(g) for g in self.gateways)

    def logs(self):
        """The last lines of every process. A gateway's few last ones come first: where a record is cut short (tests/count),
        these are left."""
        running = [g.process for g in self.gateways if getattr(g, "process", None)]
        return "".join(p.log(15) for p in running) + "\n  at length:" + "".join(p.log() for p in self.processes)

    def close(self):
        for closer in reversed(self.closers):
            try:
                closer()
            except Exception as error:  # the case's verdict is known: only say it
                print(f"# closing: {error}")
        for process in reversed(self.processes):
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Pair:
    def __init__(self, world, edge, hub, transport, baud, start, brokers, quality):
        self.world = world
        self.edge_broker, self.hub_broker = brokers or (world.broker("edge-broker"), world.broker("hub-broker"))
        self.line = self.proxy = None
        if transport == "serial":
            self.line = world.line(baud=baud, **quality)
            edge_link = {"driver": "serial", "device": self.line.a, "baud": baud}
            hub_link = {"driver": "serial", "device": self.line.b, "baud": baud}
        else:
            self.hub_port = free_port()
            self.proxy = world.proxy(self.hub_port)
            edge_link = {"driver": "tcp", "connect": f"127.0.0.1:{self.proxy.port}"}
            hub_link = {"driver": "tcp", "listen": f"127.0.0.1:{self.hub_port}"}
        edge_name, hub_name = world.site_name("edge"), world.site_name("hub")
        self.edge = world.site("edge", self.edge_broker, {hub_name: "wire"}, merge({
            "route up": {"peer": hub_name, "topics": "up/#"},
            "link wire": edge_link,
        }, self._named(edge)))
        self.hub = world.site("hub", self.hub_broker, {edge_name: "wire"}, merge({
            "route down": {"peer": edge_name, "topics": "down/#"},
            "link wire": hub_link,
        }, self._named(hub)))
        if start:
            self.start()

    def _named(self, changes):
        """HUB or EDGE in a section's name or value stands for that site's name."""
        edge, hub = self.world.site_name("edge"), self.world.site_name("hub")
        named = {}
        for section, keys in (changes or {}).items():
            section = section.replace("HUB", hub).replace("EDGE", edge)
            named[section] = None if keys is None else {
                k: v.replace("HUB", hub).replace("EDGE", edge) if isinstance(v, str) else v for k, v in keys.items()}
        return named

    def changes(self, changes):
        """The same notation for a change at run time."""
        return self._named(changes)

    def start(self):
        self.hub.start(wait=False)
        self.edge.start(wait=False)
        for gateway in (self.hub, self.edge):
            gateway.wait_status(lambda s: s["broker"]["connected"], "broker connected")
        for gateway in (self.hub, self.edge):
            gateway.wait_link()

    def edge_client(self, *filters, **how):
        return self.world.client(self.edge_broker, *filters, **how)

    def hub_client(self, *filters, **how):
        return self.world.client(self.hub_broker, *filters, **how)

    def wait_drained(self, timeout=60):
        """Both queues empty: everything that was taken has been delivered over the link."""
        self.edge.wait_empty(self.hub.name, timeout)
        self.hub.wait_empty(self.edge.name, timeout)
