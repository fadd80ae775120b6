"""The satellite drivers broken on purpose (tests/emulator/sabotage.py): the judge must call each by its name.

LONGWIRE_SABOTAGED is the program with the breaches in it."""
import os
import pathlib
import sys

os.environ["LONGWIRE"] = os.environ.get("LONGWIRE_SABOTAGED", os.environ.get("LONGWIRE", ""))  # before gateway.py reads it
sys.path.append(str(pathlib.Path(__file__).parent.parent / "emulator"))

import tap  # noqa: E402
from sabotage import BREACHES  # noqa: E402
from satellite import IMEI, SatellitePair  # noqa: E402
from tap import case  # noqa: E402

SPEED = 100


class Meanwhile:
    """What happens while a driver is broken: each method may set the sky up, and says what the sites have to carry."""

    def __init__(self, pair, world):
        self.pair, self.sky, self.random = pair, pair.sky, world.random

    def sessions(self, *plans):
        self.sky.ask("script", imei=IMEI, sessions=list(plans))

    def talk(self, edge, hub):
        for i in range(2):
            edge.publish("up/a", f"{i}", wait=False)
            hub.publish("down/a", f"{i}", wait=False)

    def much(self, edge, hub):
        for i in range(8):
            edge.publish(f"up/{i}", self.random.randbytes(90).hex(), wait=False)
            hub.publish(f"down/{i}", self.random.randbytes(90).hex(), wait=False)

    def commands(self, edge, hub):
        for i in range(3):
            self.sky.ask("queue", imei=IMEI, payload=(b"\x80" + bytes([i]) * 20).hex())
            hub.publish(f"alarm/{i}", f"{i}", wait=False)
        self.talk(edge, hub)

    def refused(self, edge, hub):
        self.sessions(*[{"status": 35}] * 4)
        self.talk(edge, hub)

    def failing(self, edge, hub):
        self.sessions(*[{"status": 19, "seconds": 3}] * 30)
        self.talk(edge, hub)

    def barred(self, edge, hub):
        self.sessions(*[{"status": 15}] * 4)
        self.talk(edge, hub)

    def slow(self, edge, hub):
        self.sessions(*[{"seconds": 90}] * 4)
        self.talk(edge, hub)

    def away(self, edge, hub):
        """The modem is off, and its queue fills."""
        self.sky.ask("power", imei=IMEI, act="off")
        for i in range(12):
            hub.publish(f"alarm/{i}", self.random.randbytes(90).hex(), wait=False)

    def unknown(self, edge, hub):
        self.sky.ask("script", mt=[-2] * 6)
        hub.publish("alarm/a", "x", wait=False)


def sabotaged(number, what, kind, end, meanwhile):
    @case(f"the judge sees it when the {end} {what} ({kind})")
    def _(world):
        edge_name = world.site_name("edge")
        pair = SatellitePair(world, start=False, speed=SPEED, modem={"resend_after_s": 200 if kind == "resent-too-early" else 0},
                             edge={"link sky": {"hold": "1s"}},
                             hub={"link sky": {"hold": "1s"}, "route alarm": {"peer": edge_name, "topics": "alarm/#", "priority": "alarm"},
                                  "peer EDGE": {"mt_max": "270"}})
        broken = {"LONGWIRE_BREACH": str(number)}
        pair.hub.start(env=broken if end == "hub" else None)
        pair.edge.start(env=broken if end == "edge" else None)
        pair.sky.wait(lambda r: r["modems"][IMEI]["attached"] or r["violations"], "the modem is registered")
        getattr(Meanwhile(pair, world), meanwhile)(pair.edge_client(), pair.hub_client())
        pair.sky.wait(lambda r: kind in [v["kind"] for v in r["violations"]], f"the judge says {kind}", 30)


for number_, (what_, kind_, end_, meanwhile_, _) in enumerate(BREACHES, 1):
    sabotaged(number_, what_, kind_, end_, meanwhile_)

if __name__ == "__main__":
    tap.main()
