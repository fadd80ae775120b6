"""The emulated modem against the facts, spoken to by hand, byte by byte."""
import hand
from hand import IMEI, Line, case, equal, holds

TRAP = b"\r\nOK\r\nSBDRING\r\n+SBDIX: 0,1\x00\x11\x13\xff\r\n\r\nERROR\r\n"


@case("a new modem echoes, and answers between CR LF; E0, V0 and Q1 change that")
def _(emulator):
    line = Line(emulator.device)
    equal(line.ask("AT"), bytes.fromhex("41540D0D0A4F4B0D0A"), "AT")
    equal(line.ask("ATE0"), b"ATE0\r\r\nOK\r\n", "ATE0")
    equal(line.ask("AT+CGSN"), b"\r\n" + IMEI.encode() + b"\r\n\r\nOK\r\n", "IMEI")
    equal(line.ask("ATV0", b"0\r"), b"0\r", "V0")
    equal(line.ask("AT+CGSN", b"0\r"), IMEI.encode() + b"\r\n0\r", "IMEI with V0")
    equal(line.ask("ATV1Q0"), b"\r\nOK\r\n", "two settings on one line")


@case("the grammar: 128 characters, no mixed case, junk before AT, A/, unknown commands")
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    for bad in ("At", "AT+XYZ", "AT" + "E" * 130, "AT+SBDWB=x", "AT&K7"):
        equal(line.ask(bad), b"\r\nERROR\r\n", bad)
    equal(line.ask("\x00junkAT+CSQF"), b"\r\n+CSQF:4\r\n\r\nOK\r\n", "junk before AT")
    line.say(b"A/")
    line.read_until(lambda h: b"OK" in h, "A/ repeats")
    equal(line.take(), b"\r\n+CSQF:4\r\n\r\nOK\r\n", "A/")
    equal(line.ask("at+csqf"), b"\r\n+CSQF:4\r\n\r\nOK\r\n", "lower case")
    line.say(b"nothing for you\r")
    equal(line.ask("AT"), b"\r\nOK\r\n", "a line without AT is not answered")


@case("a binary write: READY, the vectors of the facts, 2 for a wrong sum, 3 at once for a wrong size")
def _(emulator):
    line = Line(emulator.device)
    equal(line.ask("AT+SBDWB=5", b"READY\r\n"), b"AT+SBDWB=5\r\r\nREADY\r\n", "READY")
    line.say(bytes.fromhex("68656C6C6F0214"))
    line.read_until(lambda h: h.endswith(b"OK\r\n"), "stored")
    equal(line.take(), bytes.fromhex("0D0A300D0A0D0A4F4B0D0A"), "stored")
    line.ask("ATE0")
    for payload, tail in ((b"\0", "0000"), (b"a" * 50, "12f2"), (b"\xff" * 340, "52ac"), (bytes(range(256)), "7f80")):
        equal(line.write_mo(payload, int(tail, 16)), b"\r\n0\r\n\r\nOK\r\n", f"{len(payload)} bytes")
    equal(line.write_mo(b"hello", 1), b"\r\n2\r\n\r\nOK\r\n", "wrong sum")
    equal(line.ask("AT+SBDWB=341"), b"\r\n3\r\n\r\nOK\r\n", "too large, and no READY")
    equal(line.ask("AT+SBDWB=0"), b"\r\n3\r\n\r\nOK\r\n", "too small")
    equal(emulator.violations(), ["mo-over-the-limit", "mo-over-the-limit"], "violations")


@case("a write that does not come ends after 60 s with 1 and no OK", scale=0.005)
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    line.ask("AT+SBDWB=10", b"READY\r\n")
    line.say(b"four")
    line.read_until(lambda h: b"1\r\n" in h, "the timeout")
    equal(line.take(), b"\r\n1\r\n", "timeout")
    equal(line.ask("AT"), b"\r\nOK\r\n", "command mode")


@case("an LF after the CR is the first byte of the payload")
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    line.say(b"AT+SBDWB=5\r\n")
    line.read_until(lambda h: b"READY" in h, "READY")
    line.take()
    line.say(bytes.fromhex("68656C6C6F0214"))
    line.read_until(lambda h: h.endswith(b"OK\r\n"), "an answer")
    equal(line.take(), b"\r\n2\r\n\r\nOK\r\n", "wrong sum, though the LF came before READY")
    line.ask("AT+SBDWB=5", b"READY\r\n")
    line.say(b"\n" + bytes.fromhex("68656C6C6F0214"))
    line.read_until(lambda h: h.endswith(b"OK\r\n"), "an answer")
    equal(line.take(), b"\r\n2\r\n\r\nOK\r\n", "wrong sum")


@case("a read: length, data and sum at once behind the echo; traps in the data; empty as four zeros")
def _(emulator):
    line = Line(emulator.device)
    equal(line.ask("AT+SBDRB"), b"AT+SBDRB\r\0\0\0\0\r\nOK\r\n", "empty")
    line.ask("ATE0")
    for payload in (TRAP, b"x" * 13, b"y" * 266, b"z" * 270):
        emulator.ask("queue", imei=IMEI, payload=payload.hex(), ring=False)
        equal(line.session()[2:5:2], [1, len(payload)], "one came")
        equal(line.read_mt(), payload, "the payload")
        equal(line.read_mt(), payload, "reading does not clear it")
    equal(emulator.violations(), ["needless-session"] * 3, "nobody had told of a message: only the first look is free")


@case("+SBDTC copies the MO buffer to the MT buffer")
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    line.write_mo(b"round")
    equal(line.ask("AT+SBDTC"), b"\r\nSBDTC: Outbound SBD copied to Inbound SBD: size = 5\r\n\r\nOK\r\n", "SBDTC")
    equal(line.read_mt(), b"round", "copied")
    equal(line.ask("AT+SBDD2"), b"\r\n0\r\n\r\nOK\r\n", "cleared")
    equal(line.ask("AT+SBDRB"), b"\0\0\0\0\r\nOK\r\n", "empty")


@case("a session: MOMSN counts successes, the MO buffer stays, the MT buffer is emptied at the start")
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    line.write_mo(b"one")
    equal(line.session()[:3], [0, 0, 0], "first")
    equal(line.ask("AT+SBDS"), b"\r\n+SBDS: 1, 1, 0, -1\r\n\r\nOK\r\n", "the MO buffer is still full")
    emulator.ask("script", imei=IMEI, sessions=[{"status": 19}])
    line.write_mo(b"two")
    equal(line.session()[:2], [19, 1], "failed")
    equal(line.ask("AT+SBDS"), b"\r\n+SBDS: 1, 1, 0, -1\r\n\r\nOK\r\n", "MOMSN stands")
    equal(line.session()[:2], [0, 1], "the number is kept for the retry")
    line.ask("AT+SBDD0")
    emulator.ask("queue", imei=IMEI, payload="01", ring=False)
    emulator.ask("queue", imei=IMEI, payload="02", ring=False)
    line.write_mo(b"three")
    equal(line.session(), [0, 2, 1, 1, 1, 1], "a message came, another waits")
    equal(line.ask("AT+SBDSX"), b"\r\n+SBDSX: 1, 3, 1, 1, 0, 1\r\n\r\nOK\r\n", "SBDSX")
    equal(line.read_mt(), b"\1", "read")
    line.ask("AT+SBDD0")
    equal(line.session()[2:], [1, 2, 1, 0], "the second")
    equal(emulator.modem()["counts"]["credits"], 1 + 1 + 2 + 1, "credits")
    equal(emulator.violations(), [], "violations")


@case("a result that is lost, with the session a success: MOMSN tells", scale=0.006)
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    emulator.ask("script", imei=IMEI, sessions=[{"result": "lost"}, {"power": "committed"}, {"result": "no_ok"}])
    line.write_mo(b"one")
    line.say(b"AT+SBDIX\r")
    emulator.wait(lambda: emulator.modem()["counts"].get("sessions") == 1, "the session ends")
    equal(line.take(), b"", "nothing is said")
    equal(line.ask("AT+SBDSX"), b"\r\n+SBDSX: 1, 1, 0, -1, 0, 0\r\n\r\nOK\r\n", "MOMSN has advanced")
    line.write_mo(b"two")
    line.say(b"AT+SBDIX\r")

    def back(modem):
        return modem["mode"] == "command" and modem["momsn"] == 2
    emulator.wait(lambda: back(emulator.modem()), "power lost and back")
    line.take()
    line.ask("ATE0")
    equal(line.ask("AT+SBDS"), b"\r\n+SBDS: 0, 2, 0, -1\r\n\r\nOK\r\n", "the buffer is gone, MOMSN stays")
    line.write_mo(b"three")
    line.say(b"AT+SBDIX\r")
    line.read_until(lambda h: h.count(b"\r\n") >= 2, "the result line")
    holds(b"OK" not in line.take(), "and no OK")
    equal(len(emulator.ask("delivered")["messages"]) + emulator.ask("report")["mo_queue"], 3, "the gateway has all three")


@case("power lost: boot takes its time, settings and buffers are gone, AT*F sleeps until power comes", scale=0.006)
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    line.write_mo(b"lost")
    emulator.ask("modem", imei=IMEI, hardware_failure="1,2")
    emulator.ask("power", imei=IMEI)
    line.read_until(lambda h: b"HARDWARE FAILURE: 1,2\r\n" in h, "the self-test")
    line.take()
    equal(line.ask("AT+SBDS"), b"AT+SBDS\r\r\n+SBDS: 0, 0, 0, -1\r\n\r\nOK\r\n", "echo again, and empty")
    emulator.ask("modem", imei=IMEI, hardware_failure="")
    line.ask("AT*F")
    line.say(b"AT\r")
    equal(emulator.modem()["mode"], "dead", "after AT*F")
    emulator.ask("power", imei=IMEI)
    emulator.wait(lambda: emulator.modem()["mode"] == "command", "back")
    equal(line.ask("AT"), b"AT\r\r\nOK\r\n", "heard nothing meanwhile")


@case("unsolicited lines: between lines, during a session, held back while data are written",
      modem={"quirks": {"mta_default": 1}})
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    equal(line.ask("AT+CIER=1,1,1", b"+CIEV:1,1\r\n"), b"\r\nOK\r\n\r\n+CIEV:0,4\r\n\r\n+CIEV:1,1\r\n",
          "signal and service after the OK")
    line.ask("AT+SBDWB=5", b"READY\r\n")
    emulator.ask("ring", imei=IMEI)
    equal(line.take(), b"", "no ring during the write")
    line.say(bytes.fromhex("68656C6C6F0214"))
    line.read_until(lambda h: b"SBDRING" in h, "the ring afterwards")
    equal(line.take(), b"\r\n0\r\n\r\nOK\r\n\r\nSBDRING\r\n", "in this order")
    emulator.ask("script", imei=IMEI, sessions=[{"seconds": 150}])
    line.say(b"AT+SBDIXA\r")
    emulator.wait(lambda: emulator.modem()["mode"] == "session", "a session")
    emulator.ask("ring", imei=IMEI)
    line.read_until(lambda h: b"SBDRING" in h, "a ring in the session")
    line.read_until(lambda h: b"\r\nOK\r\n" in h, "the result")
    equal(emulator.violations(), [], "violations")


@case("chance puts unsolicited lines and garbage anywhere between lines", rates={"line": 1.0},
      modem={"quirks": {"mta_default": 1}})
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    heard = line.ask("AT+CSQF")
    holds(b"SBDRING" in heard and heard.index(b"SBDRING") < heard.index(b"+CSQF"), "before the first line", heard)
    holds(b"SBDRING" in heard[heard.index(b"+CSQF"):], "and before OK", heard)


@case("a message in the queue rings twice where the modem is attached, once heard or missed", scale=0.006)
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    line.ask("AT+SBDMTA=1")
    equal(line.ask("AT+SBDREG"), b"\r\n+SBDREG:2,0\r\n\r\nOK\r\n", "registered")
    equal(line.ask("AT+SBDREG"), b"\r\n+SBDREG:1,36\r\n\r\nOK\r\n", "not twice in 3 minutes")
    emulator.ask("queue", imei=IMEI, payload="00")
    line.read_until(lambda h: h.count(b"SBDRING") == 2, "two rings")
    line.take()
    holds(b", 1, 0\r\n" in line.ask("AT+SBDSX"), "the flag stands")
    equal(line.session("AT+SBDIXA")[2:5], [1, 1, 1], "it came")
    line.read_mt()
    holds(b", 0, 0\r\n" in line.ask("AT+SBDSX"), "the flag is gone")
    emulator.ask("network", imei=IMEI, present=False)
    emulator.ask("queue", imei=IMEI, payload="00")
    emulator.wait(lambda: emulator.modem()["counts"].get("rings_missed") == 2, "missed without a satellite")


@case("a wrong baud rate is garbage both ways")
def _(emulator):
    emulator.ask("port", imei=IMEI, act="baud", value=9600)
    line = Line(emulator.device)
    line.say(b"AT\r" * 5)
    emulator.wait(lambda: emulator.modem()["bytes_in"] >= 15, "heard")
    emulator.ask("port", imei=IMEI, act="baud", value=19200)
    line.take()
    line.say(b"\r")
    equal(line.ask("AT")[-6:], b"\r\nOK\r\n", "at the right one it answers")


@case("the port vanishes and comes back under another name; a process that reopens it is noticed")
def _(emulator):
    line = Line(emulator.device)
    line.ask("AT")
    emulator.ask("port", imei=IMEI, act="unplug")
    try:
        gone = line.ask("AT") == b""
    except (OSError, AssertionError):
        gone = True
    holds(gone, "the line is dead")
    line.close()
    emulator.ask("port", imei=IMEI, act="plug", value=emulator.device + "-2")
    line = Line(emulator.device + "-2")
    line.ask("AT")
    line.close()
    emulator.wait(lambda: emulator.modem()["mode"] == "command", "closed")
    before = emulator.modem()["opens"]
    line = Line(emulator.device + "-2")
    line.ask("AT")
    holds(emulator.modem()["opens"] > before, "seen")


@case("each style of the line carries the same bytes: dribble, pieces, coalesce, paced")
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    for style in ("dribble", "pieces", "coalesce"):
        emulator.ask("port", imei=IMEI, act="style", value=style)
        line.write_mo(TRAP)
        line.ask("AT+SBDTC")
        equal(line.read_mt(), TRAP, style)
    emulator.ask("port", imei=IMEI, act="paced", value=True)
    equal(line.read_mt(), TRAP, "paced")


@case("status 38 counts down and survives power; radio off is 34; no satellite is 32; a slow and a failing +CSQ", scale=0.006)
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    emulator.ask("modem", imei=IMEI, traffic_s=900)
    equal(line.session()[0], 38, "managed")
    seconds = int(line.ask("AT+SBDLOE").split(b",")[1].split(b"\r")[0])
    holds(700 < seconds <= 900, "for how long", seconds)
    emulator.ask("power", imei=IMEI)
    emulator.wait(lambda: emulator.modem()["mode"] == "command", "power cycle")
    line.ask("ATE0")
    equal(line.session()[0], 38, "still managed")
    emulator.ask("modem", imei=IMEI, traffic_s=0)
    line.ask("AT*R0")
    equal(line.session()[0], 34, "radio off")
    line.ask("AT*R1")
    emulator.ask("network", imei=IMEI, present=False)
    equal(line.session()[0], 32, "no satellite")
    emulator.ask("modem", imei=IMEI, csq="error")
    equal(line.ask("AT+CSQ"), b"\r\nERROR\r\n", "CSQ")
    line.ask("AT+SBDST=7")
    emulator.ask("network", imei=IMEI, present=True)
    emulator.ask("script", imei=IMEI, sessions=[{"seconds": 40}])
    equal(line.session()[0], 17, "the session's own timeout")


@case("a message too large for the modem is told with status 1 and is gone")
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    emulator.ask("queue", imei=IMEI, payload="00" * 271, ring=False)
    equal(line.session()[0:3], [1, 0, 0], "told")
    equal(emulator.modem()["queue"], 0, "gone")


@case("without RTS, &K3 stalls the data phases alone", scale=0.006)
def _(emulator):
    emulator.ask("modem", imei=IMEI, three_wire=True)
    line = Line(emulator.device)
    line.ask("ATE0")
    line.ask("AT+SBDWB=5", b"READY\r\n")
    line.say(bytes.fromhex("68656C6C6F0214"))
    line.read_until(lambda h: b"1\r\n" in h, "the timeout")
    line.take()
    line.ask("AT&K0")
    equal(line.write_mo(b"hello"), b"\r\n0\r\n\r\nOK\r\n", "with &K0")


@case("a byte that comes during a session is not heard", scale=0.006)
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    emulator.ask("script", imei=IMEI, sessions=[{"seconds": 500}])
    line.say(b"AT+SBDIX\r")
    emulator.wait(lambda: emulator.modem()["mode"] == "session", "a session")
    line.say(b"AT+CGSN\r")
    line.read_until(lambda h: b"\r\nOK\r\n" in h, "the result")
    holds(IMEI.encode() not in line.take(), "not answered")
    equal(line.ask("AT"), b"\r\nOK\r\n", "and forgotten")


@case("the readings of the doubtful points differ by seed, and are kept to", modem={"quirks": {
    "label_a": "+SBDIXA", "after_label": ":", "separator": ",", "ready_bare": True, "idle_mtmsn": -1}})
def _(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    holds(line.ask("AT+SBDIXA").startswith(b"\r\n+SBDIXA:0,0,0,-1,0,0\r\n"), "the result's form")
    equal(line.ask("AT+SBDWB=1", b"READY\r\n"), b"READY\r\n", "READY bare")


if __name__ == "__main__":
    hand.main()
