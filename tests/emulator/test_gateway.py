"""The emulated gateway against the facts on DirectIP: a hub by hand at one end, a modem by hand at the other."""
import struct

import hand
from hand import IMEI, Hub, Line, case, equal, holds, mt_request, mt_send, mt_status


def momsn_and_payload(data):
    """Of a MO message, its elements in any order."""
    at, momsn, payload = 3, None, b""
    while at < len(data):
        identity, length = struct.unpack(">BH", data[at:at + 3])
        content = data[at + 3:at + 3 + length]
        if identity == 1:
            momsn, = struct.unpack(">H", content[20:22])
        if identity == 2:
            payload = content
        at += 3 + length
    return momsn, payload


def with_hub(emulator):
    hub = Hub()
    emulator.ask("gateway", port=hub.port)
    return hub


def mo(emulator, *numbers):
    for number in numbers:
        emulator.ask("mo", imei=IMEI, momsn=number, payload=f"{number:02x}")


@case("a message from the modem comes to the hub as the facts have it, and confirmed it is done")
def _(emulator):
    hub, line = with_hub(emulator), Line(emulator.device)
    line.ask("ATE0")
    line.write_mo(b"test message from pete")
    line.session()
    data = hub.take()
    equal(data[:6].hex(), "01003801001c", "lengths")
    equal(data[10:25].decode(), IMEI, "IMEI")
    equal(data[25:30].hex(), "0000000000", "status, MOMSN, MTMSN")
    equal(data[34:], b"\x02\x00\x16test message from pete", "payload")
    emulator.wait(lambda: emulator.ask("report")["mo_queue"] == 0, "delivered")


@case("not confirmed, confirmed as failed, or hung up on: it comes again, and those behind it wait")
def _(emulator):
    hub = with_hub(emulator)
    mo(emulator, 1, 2)
    for answer in (None, bytes.fromhex("01000405000100")):
        equal(momsn_and_payload(hub.take(answer)), (1, b"\1"), "again the first")
    equal(momsn_and_payload(hub.take()), (1, b"\1"), "again the first")
    equal(momsn_and_payload(hub.take()), (2, b"\2"), "then the second")
    equal(emulator.violations(), [], "violations")


@case("an answer that is no confirmation is held against the hub")
def _(emulator):
    hub = with_hub(emulator)
    mo(emulator, 1)
    hub.take(b"OK, thank you")
    emulator.wait(lambda: emulator.violations() == ["confirmation-malformed"], "held against it")


@case("each delivery fault: the hub sees it, and has every message in the end", scale=0.002)
def _(emulator):
    hub = with_hub(emulator)
    faults = ["twice", "confirmation lost", "byte by byte", "shuffled elements", "unknown element", "location",
              "long location", "reset before the payload", "reset after the payload", "length short", "length long",
              "header only beside", "stall"]
    emulator.ask("script", deliveries=faults)
    mo(emulator, *range(1, 15))
    seen = []
    while 14 not in seen:
        try:
            data = hub.take()
            overall, = struct.unpack(">H", data[1:3])
            if len(data) == overall + 3:
                seen.append(momsn_and_payload(data)[0])
        except ConnectionResetError:
            seen.append("reset")
        except struct.error:
            seen.append("malformed")
    holds(set(range(1, 15)) <= set(seen), "all came", seen)
    holds(seen.count(1) == 2 and seen.count(2) == 2, "twice, and again after a lost confirmation", seen)
    counted = emulator.ask("report")["gateway"]["faults"]
    equal(sorted(counted), sorted("delivery: " + f for f in faults), "all faults happened")


@case("late and reordered: those behind overtake", scale=0.002)
def _(emulator):
    hub = with_hub(emulator)
    emulator.ask("script", deliveries=["late", "reordered"])
    mo(emulator, 1, 2, 3, 4)
    order = [momsn_and_payload(hub.take())[0] for _ in range(4)]
    equal(order[:2], [3, 4], "overtaken")
    equal(sorted(order[2:]), [1, 2], "and they come still")


@case("a message that nobody takes for 12 hours is gone")
def _(emulator):
    mo(emulator, 1)
    emulator.ask("skip", seconds=12 * 3600 + 1)
    emulator.wait(lambda: emulator.ask("report")["gateway"]["counts"].get("mo_expired") == 1, "expired")
    equal(emulator.ask("report")["mo_queue"], 0, "gone")


@case("without confirmation the gateway says its message and leaves")
def _(emulator):
    hub = with_hub(emulator)
    emulator.ask("gateway", confirm=False)
    mo(emulator, 1)
    equal(momsn_and_payload(hub.take(None)), (1, b"\1"), "it came")
    emulator.wait(lambda: emulator.ask("report")["mo_queue"] == 0, "done")


@case("a stranger's IMEI, another source address, and a crowd that says nothing")
def _(emulator):
    hub = with_hub(emulator)
    hub.socket.listen(200)
    emulator.ask("gateway", held=True)
    equal(emulator.ask("crowd", n=50, data="0100")["accepted"], 50, "connections")
    emulator.ask("disperse")
    for _ in range(50):
        equal(hub.take(None), b"\x01\x00", "what they said")
    emulator.child.stdin.write('{"do": "stranger", "imei": "300000000000009", "payload": "00", "source": "127.0.0.2"}\n')
    emulator.child.stdin.flush()
    holds(b"300000000000009" in hub.take(), "the stranger")
    equal(emulator.child.stdout.readline(), '{"ok": true, "confirmed": true}\n', "confirmed")


@case("a message to the modem: the vectors' reply, the place in the queue, and it comes in a session")
def _(emulator):
    answer = mt_send(emulator.mt_port, mt_request(b"Msg7", IMEI, b"Hello World!"))
    equal(answer[:10].hex(), "01001c4400194d736737", "reply")
    equal((len(answer), answer[10:25].decode(), mt_status(answer)), (31, IMEI, 1), "reply")
    equal(mt_status(mt_send(emulator.mt_port, mt_request(b"Msg8", IMEI, b"second"))), 2, "second in the queue")
    line = Line(emulator.device)
    line.ask("ATE0")
    equal(line.session()[2:], [1, 1, 12, 1], "one came, one waits")
    equal(line.read_mt(), b"Hello World!", "payload")


@case("each refusal of the facts")
def _(emulator):
    port = emulator.mt_port

    def status(*request, **more):
        return mt_status(mt_send(port, mt_request(*request, **more)))
    equal(status(b"0001", "30023401000000x", b"x"), -1, "malformed IMEI")
    equal(status(b"0002", "300234010000009", b"x"), -2, "unknown IMEI")
    equal(status(b"0003", IMEI, b"x" * 1891), -3, "too large")
    equal(status(b"0004", IMEI, None), -4, "payload missing")
    equal(status(b"0005", IMEI, None, flags=2), -9, "ring only, not attached")
    equal(status(b"0006", IMEI, b"x", flags=0x20), -11, "MTMSN out of range")
    equal(mt_status(mt_send(port, b"\x01\x00\x03\x41\x00\x15")), -7, "malformed")
    emulator.ask("script", mt=[-6, "not attached", "queue full", -12])
    equal([status(b"0007", IMEI, b"x") for _ in range(4)], [-6, -9, -5, -12], "scripted")
    emulator.ask("gateway", allowed=["10.0.0.1"])
    equal(status(b"0008", IMEI, b"x"), -10, "source address")
    holds("mt-malformed" in emulator.violations(), "the malformed one is held against the hub")


@case("50 messages: one of less priority is refused, else the oldest of the lowest is lost silently", mt_window=100)
def _(emulator):
    for i in range(50):
        equal(mt_status(mt_send(emulator.mt_port, mt_request(struct.pack(">I", i), IMEI, bytes([i]),
                                                                 priority=3))), i + 1, "place")
    equal(mt_status(mt_send(emulator.mt_port, mt_request(b"low.", IMEI, b"low", priority=5))), -5, "refused")
    equal(mt_status(mt_send(emulator.mt_port, mt_request(b"high", IMEI, b"high", priority=1))), 1, "to the front")
    equal(emulator.modem()["counts"]["mt_bumped"], 1, "one was bumped")
    emulator.ask("skip", seconds=5 * 86400 + 1)
    equal(emulator.modem()["queue"], 0, "after five days all are gone")


@case("each fault of a connection to the gateway", scale=0.002)
def _(emulator):
    port = emulator.mt_port
    emulator.ask("script", mt=["reply lost", "dropped before", "byte by byte", "confirmation of another", "stall"])
    equal(mt_send(port, mt_request(b"0001", IMEI, b"1")), b"", "no reply")
    equal(mt_send(port, mt_request(b"0002", IMEI, b"2")), b"", "no reply")
    equal(emulator.modem()["queue"], 1, "the first was queued, the second not")
    equal(mt_status(mt_send(port, mt_request(b"0003", IMEI, b"3"))), 2, "slowly")
    holds(mt_send(port, mt_request(b"0004", IMEI, b"4"))[6:10] != b"0004", "of another")
    equal(mt_send(port, mt_request(b"0005", IMEI, b"5")), b"", "nothing for five minutes, then the end")
    emulator.ask("gateway", refusing=True)
    try:
        equal(mt_send(port, mt_request(b"0006", IMEI, b"6")), b"", "reset")
    except ConnectionError:
        pass
    emulator.ask("mt_listen", on=False)
    try:
        mt_send(port, mt_request(b"0007", IMEI, b"7"))
        raise AssertionError("it answered")
    except ConnectionRefusedError:
        pass
    emulator.ask("gateway", refusing=False)
    emulator.ask("mt_listen")
    equal(mt_status(mt_send(port, mt_request(b"0008", IMEI, b"8"))), 5, "listening again, on the same port")


@case("what a careless hub does is held against it: flush, too large, a full window, one id for two messages")
def _(emulator):
    port = emulator.mt_port
    mt_send(port, mt_request(b"0001", IMEI, b"1", flags=1))
    mt_send(port, mt_request(b"0002", IMEI, b"2" * 271))
    mt_send(port, mt_request(b"0002", IMEI, b"other"))
    for i in range(3, 6):
        mt_send(port, mt_request(b"000%d" % i, IMEI, b"x"))
    mt_send(port, mt_request(b"bad!", "300234010000009", b"x"))
    mt_send(port, mt_request(b"bad!", "300234010000009", b"x"))
    equal(emulator.violations(), ["flush", "mt-over-the-limit", "mt-id-reused", "mt-window", "mt-retry-storm"], "violations")


@case("RB and seven digits go to another RockBLOCK; a failed session is told header only where that is wanted")
def _(emulator):
    hub, line = with_hub(emulator), Line(emulator.device)
    line.ask("ATE0")
    line.write_mo(b"RB0012345payload")
    line.session()
    equal(momsn_and_payload(hub.take()), (0, b"payload"), "stripped")
    equal(emulator.violations(), ["starts-with-RB"], "held against the host")
    emulator.ask("account", imei=IMEI, report_failed=True)
    emulator.ask("script", imei=IMEI, sessions=[{"status": 18}])
    line.write_mo(b"x")
    line.session()
    data = hub.take()
    equal((len(data), data[25]), (34, 13), "header only")


@case("delivered though the session failed: the retry is a second message of the same MOMSN")
def _(emulator):
    hub, line = with_hub(emulator), Line(emulator.device)
    line.ask("ATE0")
    emulator.ask("script", imei=IMEI, sessions=[{"status": 18, "delivered": True}, {"mt": "twice"}])
    line.write_mo(b"x")
    equal(line.session()[:2], [18, 0], "failed")
    equal(momsn_and_payload(hub.take()), (0, b"x"), "and delivered")
    line.ask("AT+SBDS")
    emulator.ask("queue", imei=IMEI, payload="31", ring=False)
    equal(line.session()[:3], [0, 0, 1], "again")
    equal(momsn_and_payload(hub.take()), (0, b"x"), "a second time")
    equal(line.read_mt(), b"1", "a message to us")
    line.ask("AT+SBDD0")
    equal(line.session()[2], 1, "and again")
    equal(line.read_mt(), b"1", "the same")
    equal(emulator.violations(), [], "violations")


if __name__ == "__main__":
    hand.main()
