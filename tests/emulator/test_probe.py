#!/usr/bin/env python3
"""`longwire probe` on the emulated modem.

usage: LONGWIRE=.../longwire test_probe.py [WORD]"""
import fcntl
import os
import subprocess

from hand import IMEI, case, equal, holds, main


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


if __name__ == "__main__":
    main()
