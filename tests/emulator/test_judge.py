"""Lazy hosts, one fault of real drivers each: the emulator must see every one, and none in a careful host."""
import struct

import hand
from hand import IMEI, Emulator, Line, case, equal, holds

QUICK = 0.006  # a write's minute is a third of a second: a loaded machine's host has to come back in it


def quiet(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    line.ask("AT+SBDMTA=1")
    return line


def queue(emulator, *payloads):
    for payload in payloads:
        emulator.ask("queue", imei=IMEI, payload=payload.hex(), ring=False)


def script(emulator, *sessions):
    emulator.ask("script", imei=IMEI, sessions=sessions)


@case("a careful host: the safe cycle, with failures in between, is held against nobody", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    queue(emulator, b"one", b"two")
    script(emulator, {}, {"status": 18, "delivered": True}, {})
    line.ask("AT+SBDSX")
    for payload in (b"first", b"second"):
        line.write_mo(payload)
        while line.session()[0] > 4:
            line.ask("AT+SBDSX")
        holds(line.read_mt() in (b"one", b"two"), "a message came")
        line.ask("AT+SBDD0")
    equal(emulator.violations(), [], "violations")
    equal(emulator.modem()["counts"].get("mt_lost", 0), 0, "lost")


@case("a session begun with an unread message loses it", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    queue(emulator, b"one", b"two")
    line.session()
    line.session()
    equal(emulator.violations(), ["mt-unread"], "violations")
    equal(emulator.modem()["counts"]["mt_lost"], 1, "lost")


@case("a MO buffer that is not cleared is sent and billed again", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    line.write_mo(b"x" * 60)
    line.session()
    line.session()
    equal(emulator.violations(), ["mo-resent"], "violations")
    equal(emulator.modem()["counts"]["credits"], 4, "billed")


@case("unknown taken for failed, without a look at the MOMSN", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    script(emulator, {"result": "lost"})
    line.write_mo(b"x")
    line.say(b"AT+SBDIX\r")
    emulator.wait(lambda: emulator.modem()["counts"].get("sessions") == 1, "a session")
    line.write_mo(b"x")
    line.session()
    equal(emulator.violations(), ["unknown-not-asked"], "violations")
    equal(emulator.modem()["counts"]["resends"], 1, "resent")


@case("a look into the mailbox that nothing asks for costs a credit; a ring, a queue or a poll that is due allow it", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    line.session()
    line.session()
    equal(emulator.violations(), ["needless-session"], "violations")
    emulator.ask("ring", imei=IMEI)
    line.read_until(lambda h: b"SBDRING" in h, "a ring")
    line.take()
    line.session("AT+SBDIXA")
    queue(emulator, b"1", b"2")
    emulator.ask("ring", imei=IMEI)
    line.session("AT+SBDIXA")
    line.read_mt()
    line.session()
    equal(emulator.violations(), ["needless-session"], "no more")
    equal(emulator.modem()["counts"]["mailbox_checks"], 5, "mailbox checks")


@case("a poll that is due may look", scale=QUICK, modem={"poll_s": 600})
def _(emulator):
    line = quiet(emulator)
    line.session()
    emulator.ask("skip", seconds=600)
    line.session()
    equal(emulator.violations(), [], "violations")
    line.session()
    equal(emulator.violations(), ["needless-session"], "violations")


def storm(status):
    @case(f"status {status} and at once another try", scale=QUICK)
    def _(emulator):
        line = quiet(emulator)
        script(emulator, {"status": status})
        line.write_mo(b"x")
        line.session()
        line.ask("AT+SBDSX")
        line.session()
        equal(emulator.violations(), ["too-early"], "violations")


for code in (11, 15, 16, 32, 33, 34, 35, 36, 37, 38, 64, 65):
    storm(code)


@case("nine failures within ten minutes, and another", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    script(emulator, *[{"status": 19, "seconds": 5}] * 10)
    line.write_mo(b"x")
    for _ in range(10):
        line.session()
        line.ask("AT+SBDSX")
    holds(emulator.violations() == ["retry-storm"], "violations", emulator.violations())


@case("12 is permanent: the same message again is held against the host", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    script(emulator, {"status": 12})
    line.write_mo(b"x")
    line.session()
    line.session()
    equal(emulator.violations(), ["permanent-again"], "violations")


@case("after 32, service that was seen again allows a session", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    line.ask("AT+CIER=1,0,1")
    emulator.ask("network", imei=IMEI, present=False)
    line.write_mo(b"x")
    equal(line.session()[0], 32, "no service")
    emulator.ask("network", imei=IMEI, present=True)
    line.read_until(lambda h: b"+CIEV:1,1" in h, "service")
    line.take()
    line.session()
    equal(emulator.violations(), [], "violations")


@case("commands during a session; but after the host's guard it may ask for life", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    script(emulator, {"seconds": 500})
    line.say(b"AT+SBDIX\r")
    emulator.wait(lambda: emulator.modem()["mode"] == "session", "a session")
    line.say(b"AT\r")
    emulator.wait(lambda: emulator.violations() == ["bytes-in-session"], "seen")
    emulator.ask("skip", seconds=130)
    line.say(b"AT\r")
    line.read_until(lambda h: b"\r\nOK\r\n" in h, "the result")
    equal(emulator.violations(), ["bytes-in-session"], "no more")


@case("another process that opens the port during a session cannot know", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    script(emulator, {"seconds": 500})
    line.say(b"AT+SBDIX\r")
    emulator.wait(lambda: emulator.modem()["mode"] == "session", "a session")
    opens = emulator.modem()["opens"]
    line.close()
    line = Line(emulator.device)
    emulator.wait(lambda: emulator.modem()["opens"] > opens, "opened anew")
    line.say(b"AT\r")
    line.read_until(lambda h: b"SBDIX" in h, "the result of the session")
    equal(emulator.violations(), [], "violations")


@case("a wrong checksum, and the same again", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    line.write_mo(b"hello", 1)
    equal(emulator.violations(), [], "once may be an accident")
    line.write_mo(b"hello", 1)
    equal(emulator.violations(), ["wrong-checksum-again"], "violations")


@case("commands that change or confuse: +SBDC, &W, +IPR, +SBDI, +SBDRT, +SBDWT, +SBDDSC, two +SBD on a line", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    for command in ("+SBDC", "&W0", "+IPR=5", "+SBDI", "+SBDRT", "+SBDWT=x", "+SBDDSC=64", "+SBDS;+SBDSX"):
        line.ask("AT" + command)
    equal(emulator.violations(), ["clears-momsn", "stores-profile", "changes-speed", "old-session", "text-for-data",
                                  "text-for-data", "short-code", "sbd-concatenated"], "violations")


@case("hammering a modem that is off", scale=QUICK)
def _(emulator):
    line = Line(emulator.device)
    emulator.ask("power", imei=IMEI, act="off")
    line.say(b"AT\r" * 80)
    equal(emulator.violations(), [], "impatient")
    line.say(b"AT\r" * 30)
    emulator.wait(lambda: emulator.violations() == ["hammering"], "hammering")


@case("handed over and sent again sooner than the hub could have acknowledged", scale=QUICK, modem={"resend_after_s": 3600})
def _(emulator):
    line = quiet(emulator)
    for _ in range(2):
        line.write_mo(b"x")
        line.session()
    equal(emulator.violations(), ["resent-too-early"], "violations")
    emulator.ask("skip", seconds=3600)
    line.write_mo(b"x")
    line.session()
    equal(emulator.violations(), ["resent-too-early"], "later it may")


@case("readline on binary: traps in the payload undo a host that reads lines", scale=QUICK)
def _(emulator):
    line = quiet(emulator)
    trap = b"a\r\nOK\r\n+SBDIX: 0\r\nb"
    queue(emulator, trap)
    line.session()
    line.say(b"AT+SBDRB\r")
    line.read_until(lambda h: b"\r\nOK\r\n" in h, "what a lazy host takes for the end")
    lazy = line.take()
    line.read_until(lambda h: h.endswith(b"\r\nOK\r\n") or (lazy + h).count(b"OK") == 2, "the true end")
    holds(trap not in lazy.split(b"\r\nOK\r\n")[0], "the lazy host has half a message", lazy)


@case("chance follows from the seed alone")
def _(_emulator):
    plans = []
    for seed in (7, 7, 8):
        emulator = Emulator(seed=seed, scale=QUICK, rates={"session": 1.0}, only=["busy", "success 2", "success 3", "success 4"])
        line = quiet(emulator)
        got = []
        for i in range(12):
            line.write_mo(struct.pack(">H", i))
            got.append(line.session()[0])
            line.ask("AT+SBDSX")
        plans.append(got)
        emulator.close()
    equal(plans[0], plans[1], "the same seed")
    holds(plans[0] != plans[2], "another seed", plans)


if __name__ == "__main__":
    hand.main()
