"""What a modem and its cable do to a working link (facts on modems, section 7): each fault by itself, between two brokers, with
the emulator's judge asked at the end of each case.

What happens in sessions is in test_satellite.py, what happens to the boxes in test_satellite_accidents.py."""
import tap
from gateway import command
from satellite import IMEI, SatellitePair, traffic
from tap import case, check, check_equal

# What ModemManager says and is answered, as it stands on a line that it has just let go.
MODEM_MANAGER = (b"AT+GCAP\r\r\nERROR\r\nATI\r\r\nIRIDIUM 9600 Family SBD Transceiver\r\n\r\nOK\r\n"
                 b"AT+CGMI\r\r\nIridium\r\n\r\nOK\r\n"
                 b"AT+CPIN?\r\r\nERROR\r\n\xff\x7e\x00\x78\xf0\x7e\r\n0\r\n\r\nREADY\r\n+SBDIX: 0, 4711, 1, 12, 300, 7\r\n")


def not_yet(world, **how):
    """A pair whose edge has not started, and a way to start it."""
    pair = SatellitePair(world, start=False, **how)
    return pair, pair.sky.ask


def told(pair, words, timeout=60):
    pair.edge.wait_status(lambda s: words in str(s["peers"][0]["links"][0]), f"the edge says: {words}", timeout)


class Going:
    """A pair that has exchanged messages; on() exchanges more of them."""

    def __init__(self, pair, n=1):
        self.pair, self.n = pair, 0
        self.edge, self.hub = pair.edge_client("down/#"), pair.hub_client("up/#")
        self.on(n)

    def on(self, n=1):
        traffic(self.pair, n, 120, self.edge, self.hub, self.n)
        self.n += n


@case("`longwire probe` leaves the port alone that a running gateway holds, and says so")
def _(world):
    pair = SatellitePair(world)
    going = Going(pair)
    done = command("probe", str(world.folder / "modem"))
    check_equal((done.returncode, done.stdout), (1, ""), "exit status and output of probe")
    check("in use by another program" in done.stderr, "it says that the port is in use", done.stderr)
    going.on()
    pair.sky.check_conduct()


# --- a modem that is broken ----------------------------------------------------------------------------------


@case("a modem that fails its self-test says so, and is used as far as it goes")
def _(world):
    pair, ask = not_yet(world)
    ask("modem", imei=IMEI, hardware_failure="RFA,12")
    ask("power", imei=IMEI)
    pair.start()
    pair.sky.wait(lambda r: r["modems"][IMEI]["opens"] > 0, "the port is opened")
    going = Going(pair)
    ask("power", imei=IMEI)  # while the host listens: the failure is heard
    pair.edge.process.wait_line("HARDWARE FAILURE: RFA,12", 60)
    going.on()
    pair.sky.check_conduct()


@case("a modem that answers nothing but HARDWARE FAILURE is told of and left in peace, and used again when it is mended")
def _(world):
    pair = SatellitePair(world)
    going = Going(pair)
    pair.sky.ask("modem", imei=IMEI, broken="RFA,12")
    going.edge.publish("up/a", str(going.n))
    told(pair, "hardware failure")
    spoken = pair.sky.modem()["bytes_in"]
    began = pair.sky.report()["now"]
    pair.sky.wait(lambda r: r["now"] > began + 300, "five minutes of it")
    check(pair.sky.modem()["bytes_in"] - spoken < 3000, "it is asked now and then", pair.sky.modem()["bytes_in"] - spoken)
    pair.sky.ask("modem", imei=IMEI, broken="")
    going.hub.wait_payload(str(going.n), 60)
    going.edge.publish("up/b", str(going.n))
    for topic in ("down/a", "down/b"):
        going.hub.publish(topic, str(going.n))
    going.n += 1
    going.on()
    pair.sky.check_conduct()


# --- a wrong rate ---------------------------------------------------------------------------------------------


@case("a modem at a rate that nobody knows is told of, and nothing is lost or sent meanwhile; at the right rate it goes on")
def _(world):
    pair, ask = not_yet(world)
    ask("port", imei=IMEI, act="baud", value=600)  # not among those that the driver tries: garbage both ways
    pair.start()
    told(pair, "no modem answers at 19200 baud", 90)
    check_equal(pair.sky.sessions(), 0, "sessions")
    ask("port", imei=IMEI, act="baud", value=19200)
    Going(pair)
    pair.sky.check_conduct()


@case("a modem at another rate than the file says is found there, used and told of")
def _(world):
    pair, ask = not_yet(world)
    ask("port", imei=IMEI, act="baud", value=9600)
    pair.start()
    pair.edge.process.wait_line("the modem speaks at 9600 baud, not at 19200 as configured", 90)
    Going(pair)
    pair.sky.check_conduct()


# --- a port that comes and goes -------------------------------------------------------------------------------


@case("the port vanishes at rest and comes back as another device")
def _(world):
    pair = SatellitePair(world)
    going = Going(pair)
    pair.sky.ask("port", imei=IMEI, act="unplug")
    told(pair, "no such device")
    pair.sky.ask("port", imei=IMEI, act="plug")
    going.on()
    pair.sky.check_conduct()


def loses(what, place, words):
    """what: power or port; place: of the emulator's traps."""
    @case(f"the {what} goes {words}: everything arrives once")
    def _(world):
        pair = SatellitePair(world)
        going = Going(pair)
        pair.wait_drained()
        pair.sky.ask("modem", imei=IMEI, traps=[[place, what]])
        going.on()
        pair.sky.wait(lambda r: r["modems"][IMEI]["traps"] == 0, "it went")
        going.on()
        pair.sky.check_conduct()


for who in ("power", "port"):
    loses(who, "write", "while a message is written into the modem")
    loses(who, "read", "while a message is read out of it")
    loses(who, "AT+SBDD0", "between a session and the clearing of what it sent")
    loses(who, "AT+SBDD1", "between the reading of a message and its clearing")


@case("the power goes at rest, for a moment and for long: the modem is set up again, and rings")
def _(world):
    pair = SatellitePair(world)
    going = Going(pair)
    pair.wait_drained()
    pair.sky.ask("power", imei=IMEI, act="cycle", seconds=1)
    going.on()
    pair.sky.ask("power", imei=IMEI, act="off")
    pair.edge.process.wait_line("no answer, asking anew", 60)
    began = pair.sky.report()["now"]
    pair.sky.wait(lambda r: r["now"] > began + 200, "minutes without power")
    pair.sky.ask("power", imei=IMEI, act="on")
    pair.sky.wait(lambda r: r["modems"][IMEI]["mode"] == "command", "it has started")
    going.on()
    going.hub.publish("down/a", str(going.n))  # by a ring alone
    going.edge.wait_payload(str(going.n), 60)
    pair.sky.check_conduct()


# --- what others left on the line -----------------------------------------------------------------------------


@case("ModemManager was there: its dialogue, echo, a half typed line, another profile, and a prompt that waits for bytes")
def _(world):
    pair, ask = not_yet(world, modem={"profile": {"E": 1, "V": 0, "Q": 1, "&K": 3, "&D": 2}})
    ask("modem", imei=IMEI, leftovers=MODEM_MANAGER.hex())
    ask("left", imei=IMEI, typed="AT+CPIN", write=40)
    pair.start()
    Going(pair)
    check_equal(pair.hub.peer(pair.edge.name)["received"], 2, "of messages that were received, none is made of leftovers")
    pair.sky.check_conduct()


@case("a prompt left open for the largest message swallows what is said first, and closes by itself")
def _(world):
    pair, ask = not_yet(world, modem={"quirks": "random"})
    ask("left", imei=IMEI, write=340)
    pair.start()
    Going(pair)
    pair.sky.check_conduct()


@case("a message that another program left in the modem is not sent, and one that it did not read is not taken for ours")
def _(world):
    pair, ask = not_yet(world)
    ask("left", imei=IMEI, write=5)
    ask("port", imei=IMEI, act="style", value="pieces")
    ask("queue", imei=IMEI, payload=b"not of a Longwire".hex(), ring=False)
    pair.start()
    Going(pair)
    check(pair.sky.credits() < 20, "credits", pair.sky.credits())
    pair.sky.check_conduct()


# --- modems that lie ------------------------------------------------------------------------------------------


@case("lines end in CR alone, and lines that nobody asked for come within answers")
def _(world):
    pair, ask = not_yet(world, rates={"line": 0.4}, modem={"quirks": {"glued": True}})
    ask("modem", imei=IMEI, eol="\r")
    pair.start()
    Going(pair, 3)
    pair.sky.check_conduct()


@case("the result of a session lacks fields, or all: MOMSN tells what became of the message, and it is not sent again")
def _(world):
    pair = SatellitePair(world)
    going = Going(pair)
    pair.wait_drained()
    pair.sky.ask("script", imei=IMEI, sessions=["fields missing", "all fields missing"])
    going.on(2)
    going.on(2)
    pair.sky.wait(lambda r: r["modems"][IMEI]["script"] == 0, "all of it happened")
    check_equal(pair.sky.modem()["counts"].get("resends", 0), 0, "messages sent twice")
    pair.sky.check_conduct()


@case("a message for us comes with a wrong sum, too short, too long, impossibly long or cut off: it is read again")
def _(world):
    pair = SatellitePair(world)
    going = Going(pair)
    pair.wait_drained()
    for damages in (["sum", "short"], ["long", "over", "cut"]):
        pair.sky.ask("modem", imei=IMEI, damages=damages)
        going.on()
        pair.sky.wait(lambda r: r["modems"][IMEI]["damages"] == 0, "all of it happened")
    counts = pair.sky.modem()["counts"]
    check_equal(counts.get("mt_lost", 0), 0, "messages lost in the modem")
    pair.sky.check_conduct()


# --- a network that says no -----------------------------------------------------------------------------------


@case("a locked modem (16): the link stops and tells, one session an hour asks whether it is unlocked, and it goes on")
def _(world):
    pair = SatellitePair(world, speed=400)
    hub, edge = pair.hub_client("up/#"), pair.edge_client()
    pair.sky.ask("script", imei=IMEI, sessions=[{"status": 16}])
    edge.publish("up/a", "x")
    pair.sky.wait(lambda r: r["modems"][IMEI]["counts"].get("sessions") == 1, "the refusal")
    told(pair, "the modem is locked (+CULK)")
    began = pair.sky.report()["now"]
    pair.sky.wait(lambda r: r["now"] > began + 1800, "half an hour")
    check_equal(pair.sky.sessions(), 1, "sessions meanwhile")
    hub.wait_payload("x", 60)
    pair.sky.check_conduct()


@case("traffic management (38): the driver asks how long (+SBDLOE), waits it out through a power cycle, and goes on")
def _(world):
    pair = SatellitePair(world)
    going = Going(pair)
    pair.wait_drained()
    pair.sky.ask("modem", imei=IMEI, traffic_s=300)
    sessions = pair.sky.sessions()
    going.edge.publish("up/a", str(going.n))
    pair.edge.process.wait_line("the network asks to wait: seconds=", 60)
    pair.sky.ask("power", imei=IMEI)
    going.hub.wait_payload(str(going.n), 90)
    statuses = pair.sky.modem()["statuses"]
    check_equal(statuses.get("38", 0), 1, "sessions that were refused")
    check(pair.sky.sessions() - sessions <= 4, "sessions", pair.sky.modem()["sessions"][-5:])
    pair.sky.check_conduct()


if __name__ == "__main__":
    tap.main()
