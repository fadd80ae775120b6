#!/usr/bin/env python3
"""`longwire probe` on the emulated modem.

usage: LONGWIRE=.../longwire test_probe.py [WORD]"""
import fcntl
import os
import pty
import subprocess
import threading
import tty

from hand import IMEI, Line, case, equal, holds, main


def probe(device):
    done = subprocess.run([os.environ["LONGWIRE"], "probe", device], capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout, done.stderr


def check_words(emulator, *words):
    status, out, err = probe(emulator.device)
    equal(status, 0, "exit status\n" + err)
    for word in (IMEI, "TA", "signal", "MOMSN") + words:
        holds(word in out, f"says {word}", out)
    counts = emulator.modem()["counts"]
    holds(not counts.get("sessions") and not counts.get("credits") and not counts.get("registrations"), "costs nothing", counts)
    equal(emulator.violations(), [], "what no careful host does")


@case("it says what modem is there, for nothing")
def test_plain(emulator):
    check_words(emulator, "19200 baud", "outgoing empty", "incoming empty")


@case("it finds a modem at another rate")
def test_rate(emulator):
    emulator.ask("port", imei=IMEI, act="baud", value=9600)
    check_words(emulator, "9600 baud")


@case("it finds a modem that somebody left quiet and numeric", modem={"profile": {"Q": 1, "V": 0}})
def test_quiet(emulator):
    check_words(emulator)


@case("it says that nothing answers")
def test_nothing(emulator):
    emulator.ask("power", imei=IMEI, act="off")
    status, out, err = probe(emulator.device)
    equal((status, out), (1, ""), "exit status and output")
    holds("answers" in err, "says so", err)


@case("it leaves a port alone that is in use, and one that is none")
def test_in_use(emulator):
    port = os.open(emulator.device, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(port, fcntl.LOCK_EX)
    status, _, err = probe(emulator.device)
    os.close(port)
    holds(status == 1 and "in use" in err, "says that the port is in use", status, err)
    status, _, err = probe("/dev/null")
    holds(status == 1 and "not a serial port" in err, "says that it is none", status, err)
    status, _, err = probe("/nonexistent")
    holds(status == 1 and "no such device" in err, "says that it is none", status, err)


@case("it leaves both buffers as they are, a message for sending and an unread one")
def test_buffers(emulator):
    line = Line(emulator.device)
    line.ask("ATE0")
    emulator.ask("queue", imei=IMEI, payload=b"for us".hex(), ring=False)
    line.session()
    line.write_mo(b"not sent yet")
    before = emulator.modem()
    line.close()
    status, out, err = probe(emulator.device)
    equal(status, 0, "exit status\n" + err)
    holds("outgoing holds a message" in out and "incoming holds an unread message" in out, "says what they hold", out)
    after = emulator.modem()
    equal((after["momsn"], after["mo_waits"], after["counts"].get("sessions")),
          (before["momsn"], True, before["counts"].get("sessions")), "MOMSN, buffer and sessions")
    line = Line(emulator.device)
    line.ask("ATE0")
    equal(line.read_mt(), b"for us", "the unread message")
    line.close()
    equal(emulator.violations(), [], "what no careful host does")


@case("a receiver for GPS, which speaks without end: it says that this is another device, and what it says")
def test_gps(_emulator):
    master, slave = pty.openpty()
    tty.setraw(slave)
    over = threading.Event()

    def speak():
        while not over.wait(0.02):
            os.write(master, b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n")

    def swallow():
        while not over.is_set() and os.read(master, 1000):
            pass
    threads = [threading.Thread(target=speak, daemon=True), threading.Thread(target=swallow, daemon=True)]
    for thread in threads:
        thread.start()
    status, out, err = probe(os.ttyname(slave))
    over.set()
    equal((status, out), (1, ""), "exit status and output")
    holds("another device" in err and "$GPGGA,092750" in err, "says so", err)


@case("a line that brings noise alone: it says that nothing can be read")
def test_noise(emulator):
    emulator.ask("port", imei=IMEI, act="baud", value=300)  # not among those that are tried
    status, out, err = probe(emulator.device)
    equal((status, out), (1, ""), "exit status and output")
    holds("answers" in err and "not readable" in err, "says so", err)


if __name__ == "__main__":
    main()
