"""An edge with an Iridium modem and a hub with a DirectIP account, both emulated (tests/emulator).

LONGWIRE_EMULATOR_LOG=FILE keeps every step of the emulator there.

The emulator keeps a list of what no careful host does. A case that does not say otherwise fails when it is not empty."""
import json
import os
import pathlib
import select
import subprocess
import sys
import threading

from checks import expect, numbered
from gateway import merge
from processes import free_port, wait_until
from tap import SLOWNESS, Failure, check_equal

EMULATOR = pathlib.Path(__file__).parent.parent / "emulator" / "emulator.py"
IMEI = "300234010000001"
# Emulated seconds in a real one, where a case does not say otherwise.
SPEED = int(os.environ.get("LONGWIRE_SATELLITE_SPEED", "100"))


class Emulator:
    """The emulator as a child; ask() is its command line."""

    def __init__(self, world, modems, hub, seed, speed, **spec):
        self.world = world
        self.log_file = pathlib.Path(os.environ.get("LONGWIRE_EMULATOR_LOG", world.folder / "emulator.log"))
        spec = {"seed": seed, "scale": 1 / speed, "modems": modems, "hub": hub, "log": str(self.log_file), **spec}
        self._lock = threading.Lock()
        self.process = world.process("emulator", [sys.executable, str(EMULATOR), json.dumps(spec)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE)
        self.mt_port = self._answer()["mt_port"]

    def _answer(self):
        out = self.process.popen.stdout
        if not select.select([out], [], [], 30 * SLOWNESS)[0]:
            raise Failure("the emulator does not answer")
        answer = json.loads(out.readline() or '{"ok": false, "error": "it is gone"}')
        if not answer["ok"]:
            raise Failure("emulator: " + answer["error"])
        return answer

    def ask(self, do, **words):
        with self._lock:
            self.process.popen.stdin.write(json.dumps({"do": do, **words}).encode() + b"\n")
            self.process.popen.stdin.flush()
            return self._answer()

    def report(self):
        return self.ask("report")

    def modem(self, imei=IMEI):
        return self.report()["modems"][imei]

    def sessions(self, imei=IMEI):
        return self.modem(imei)["counts"].get("sessions", 0)

    def credits(self, imei=IMEI):
        return self.modem(imei)["counts"].get("credits", 0)

    def wait(self, condition, what, timeout=60):
        """condition(report) is asked again and again."""
        return wait_until(lambda: condition(self.report()), f"emulator: {what}", timeout, every=0.05)

    def check_conduct(self, but=()):
        """No violation, but those of these kinds."""
        violations = [v for v in self.report()["violations"] if v["kind"] not in but]
        check_equal(violations, [], "what no careful host does")

    def log(self, last=120):
        lines = self.log_file.read_text().splitlines()[-last:]
        return "".join(f"\n  emulator: {line}" for line in lines)


class SatellitePair:
    """Edge and hub, each beside its broker. Topics under up/ go from edge to hub, under down/ the other way.

    edge, hub: changes to their configurations (HUB and EDGE stand for the sites' names); modem: to the modem's spec."""

    def __init__(self, world, edge=None, hub=None, modem=None, start=True, confirm=True, speed=SPEED, **spec):
        self.world = world
        self.edge_broker, self.hub_broker = world.broker("edge-broker"), world.broker("hub-broker")
        self.mo_port = free_port()
        device = str(world.folder / "modem")
        self.sky = Emulator(world, [{"imei": IMEI, "path": device, **(modem or {})}],
                            {"port": self.mo_port, "confirm": confirm, **spec.pop("destination", {})},
                            spec.pop("seed", world.random.randrange(10**6)), speed, **spec)
        world.gateways.append(self)  # for last_words
        edge_name, hub_name = world.site_name("edge"), world.site_name("hub")
        self.edge = world.site("edge", self.edge_broker, {hub_name: "sky"}, merge({
            "route up": {"peer": hub_name, "topics": "up/#"},
            "link sky": {"driver": "iridium-sbd", "device": device, "model": "9602", "hold": "20s", "ack_max_age": "4m",
                         "min_interval": "0", "time_scale": str(speed)},
        }, self._named(edge)))
        self.hub = world.site("hub", self.hub_broker, {edge_name: "sky"}, merge({
            "route down": {"peer": edge_name, "topics": "down/#"},
            f"peer {edge_name}": {"imei": IMEI},
            "link sky": {"driver": "directip", "mo_listen": f"127.0.0.1:{self.mo_port}",
                         "mo_confirm": "yes" if confirm else "no", "mt_connect": f"127.0.0.1:{self.sky.mt_port}",
                         "hold": "20s", "ack_max_age": "4m", "time_scale": str(speed)},
        }, self._named(hub)))
        if start:
            self.start()

    def _named(self, changes):
        edge, hub = self.world.site_name("edge"), self.world.site_name("hub")
        return {section.replace("HUB", hub).replace("EDGE", edge): keys for section, keys in (changes or {}).items()}

    def start(self):
        self.hub.start(wait=False)
        self.edge.start(wait=False)
        for gateway in (self.hub, self.edge):
            gateway.wait_status(lambda s: s["broker"]["connected"], "broker connected")

    def edge_client(self, *filters, **how):
        return self.world.client(self.edge_broker, *filters, **how)

    def hub_client(self, *filters, **how):
        return self.world.client(self.hub_broker, *filters, **how)

    def wait_drained(self, timeout=90):
        """Both queues empty: all of it is acknowledged."""
        self.edge.wait_empty(self.hub.name, timeout)
        self.hub.wait_empty(self.edge.name, timeout)

    def last_words(self):
        if not self.sky.process.alive():
            return "\n  emulator: not running"
        report = self.sky.report()
        for modem in report["modems"].values():
            modem["sessions"] = modem["sessions"][-5:]
        return f"\n  emulator: {json.dumps(report)}" + self.sky.log()


def traffic(pair, n=12, timeout=90, edge=None, hub=None, start=0):
    """n messages on each of two topics each way, all of them once and in order."""
    edge, hub = edge or pair.edge_client("down/#"), hub or pair.hub_client("up/#")
    ups, downs = numbered(["up/a", "up/b"], n, start), numbered(["down/a", "down/b"], n, start)
    edge.publish_many(ups)
    hub.publish_many(downs)
    everything = numbered(["up/a", "up/b"], n + start), numbered(["down/a", "down/b"], n + start)
    expect(hub, everything[0], timeout, "edge to hub")
    expect(edge, everything[1], timeout, "hub to edge")
    return edge, hub
