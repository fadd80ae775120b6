#!/usr/bin/env python3
"""The iridium-sbd driver alone (tests/support/sbd_host) against the emulated modem, whose judge must stay silent.

usage: LONGWIRE_SBD_HOST=.../sbd_host test_driver.py [WORD]     LONGWIRE_FRAMES=100 LONGWIRE_SEEDS=1-20: a campaign"""
import os
import random
import select
import signal
import subprocess
import threading
import time

from faults import SESSION_FAULTS
from hand import IMEI, case, equal, holds, main

HOST = os.environ.get("LONGWIRE_SBD_HOST", "")
PATIENCE_S = 100
FRAMES = int(os.environ.get("LONGWIRE_FRAMES", "6"))  # a case; a campaign takes hundreds


class Driver:
    """The driver as a process; frames are offered again until they are handed over, as the layers above do."""

    def __init__(self, emulator, poll_ms=0, check_ms=60000, min_interval_ms=0, baud=19200):
        self.emulator, self.arguments = emulator, [str(a) for a in (poll_ms, check_ms, min_interval_ms, baud)]
        self.note = emulator.folder.name + "/note"
        self.frames, self.outcomes, self.traces, self.states = [], [], [], []
        self.token = 0
        self.child = None
        self.start()

    def start(self):
        scale = round(1 / self.emulator.scale)
        self.child = subprocess.Popen([HOST, self.emulator.device, self.note, str(scale)] + self.arguments,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.rest = b""

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def _read(self, patience_s):
        if select.select([self.child.stdout], [], [], patience_s)[0]:
            data = os.read(self.child.stdout.fileno(), 65536)
            if not data:
                raise AssertionError(f"the driver's process ended: {self.child.wait()}; {self.traces[-5:]}")
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                self._line(line.decode())

    def _line(self, line):
        word, _, rest = line.partition(" ")
        if word == "frame":
            self.frames.append(bytes.fromhex(rest))
        elif word == "sent":
            self.outcomes.append((int(rest.split()[0]), rest.split()[1]))
        elif word == "trace":
            self.traces.append(rest)
        elif word in ("up", "down", "connecting"):
            self.states.append((word, rest))

    def wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            self._read(0.05)
            if time.monotonic() > deadline:
                raise AssertionError(f"did not happen: {what}\nstates {self.states[-3:]}\ntraces {self.traces[-8:]}\n")

    def wait_up(self):
        self.wait(lambda: self.states and self.states[-1][0] == "up", "the link is up")

    def offer(self, payload):
        """Return: what became of it."""
        self.token += 1
        self.child.stdin.write(f"send {self.token} {payload.hex()}\n".encode())
        self.wait(lambda: self.outcomes and self.outcomes[-1][0] == self.token, "the outcome of a frame")
        return self.outcomes[-1][1]

    def hand_over(self, payload, tries=60):
        for _ in range(tries):
            outcome = self.offer(payload)
            if outcome == "done":
                return
        raise AssertionError(f"not handed over in {tries} tries: {self.traces[-5:]}")


def arrived(emulator):
    return [s for s in emulator.modem()["sessions"] if s["delivered"] and s["mo"]]


def check_conduct(emulator, but=()):
    equal([v for v in emulator.ask("report")["violations"] if v["kind"] not in but], [], "what no careful host does")


@case("a frame goes out, a message comes in, and rest costs nothing", modem={"session_s": (5, 6)})
def test_both_ways(emulator):
    driver = Driver(emulator)
    driver.wait_up()
    driver.hand_over(b"\x80hello")
    emulator.ask("queue", imei=IMEI, payload=b"\r\nOK\r\nSBDRING\r\n\0\xff".hex())
    driver.wait(lambda: driver.frames, "a message")
    equal(driver.frames[0], b"\r\nOK\r\nSBDRING\r\n\0\xff", "the message")
    spent = emulator.modem()["counts"]["credits"]
    end = time.monotonic() + 3  # five minutes of the modem's
    while time.monotonic() < end:
        driver._read(0.1)
    equal(emulator.modem()["counts"]["credits"], spent, "credits at rest")
    check_conduct(emulator)


def _storm(emulator, seed, frames, kills):
    chance = random.Random(seed)
    driver = Driver(emulator)
    driver.wait_up()
    sent = []
    for i in range(frames):
        payload = bytes([0x80 | chance.randrange(64)]) + chance.randbytes(chance.randrange(1, 200)) + i.to_bytes(2, "big")
        sent.append(payload)
        if chance.random() < 0.4:
            emulator.ask("queue", imei=IMEI, payload=(b"MT%04d" % i + chance.randbytes(chance.randrange(0, 260))).hex(),
                         ring=chance.random() < 0.7)
        if kills and chance.random() < 0.2:
            driver.token += 1
            driver.child.stdin.write(f"send {driver.token} {payload.hex()}\n".encode())
            end = time.monotonic() + chance.uniform(0, 0.8)
            while time.monotonic() < end:
                driver._read(0.02)
            driver.kill()
            driver.start()
        driver.hand_over(payload)
    return driver, sent


# Those that make the driver wait for half an hour are left to its unit tests.
FAULTS = [name for _, name, _ in SESSION_FAULTS if name not in ("antenna", "queue full at the gateway")]
RATES = {"session": 0.4, "line": 0.05, "power": 0.002, "ready": 0.02, "garbage": 0.01}


SEEDS = range(1, 4)
if "LONGWIRE_SEEDS" in os.environ:
    first, last = map(int, os.environ["LONGWIRE_SEEDS"].split("-"))
    SEEDS = range(first, last + 1)


def _check_all(emulator, driver, sent):
    emulator.ask("rates")
    got = {bytes.fromhex(p) for _, _, p in emulator.ask("delivered")["messages"]}
    emulator.wait(lambda: emulator.ask("report")["mo_queue"] >= 0, "the gateway")
    waiting = emulator.ask("report")["mo_queue"]
    holds(len(got) + waiting >= len(set(sent)), "the gateway has each frame", len(got), waiting, len(set(sent)))
    check_conduct(emulator)


for seed in SEEDS:
    @case(f"every fault of modem and line at random, seed {seed}", seed=seed, scale=0.01, rates=RATES, only=FAULTS,
          modem={"quirks": "random", "resend_after_s": 0, "style": ("whole", "dribble", "pieces")[seed % 3]})
    def test_chaos(emulator, seed=seed):
        driver, sent = _storm(emulator, seed, FRAMES, False)
        _check_all(emulator, driver, sent)
        driver.kill()

    @case(f"the same with kill -9 of the driver, seed {seed}", seed=seed, scale=0.01, rates=RATES, only=FAULTS,
          modem={"quirks": "random", "resend_after_s": 0})
    def test_chaos_and_kills(emulator, seed=seed):
        driver, sent = _storm(emulator, seed, FRAMES, True)
        _check_all(emulator, driver, sent)
        driver.kill()


if __name__ == "__main__":
    main()
