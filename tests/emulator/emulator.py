#!/usr/bin/env python3
"""Iridium modems on ptys and the Iridium gateway on real sockets, in one process, with a ledger and a judge.

usage: emulator.py SPEC      SPEC: JSON text, or the name of a file with it

    {"seed": 1,              all chance follows from it
     "scale": 0.02,          real seconds an emulated second takes
     "mt_port": 0,           where the gateway listens for the hub (0: any)
     "mt_window": 4,         messages in an IMEI's queue that a careful hub keeps to
     "hub": {"host": "127.0.0.1", "port": 10800, "confirm": true, "life_s": 43200},
     "rates": {"session": 0.3, "line": 0.05, "delivery": 0.2, "mt": 0.2, "power": 0.001, "ready": 0, "garbage": 0},
     "log": "emulator.log",  every step; stderr has the violations alone
     "modems": [{"imei": "300234010000001", "path": "/tmp/modem", "model": "9602", "session_s": [5, 20],
                 "quirks": {} | "random", "profile": {"E": 1}, "poll_s": 0, "resend_after_s": 0, "style": "whole"}]}

Then one JSON object a line on stdin is a command, answered by one line on stdout: {"ok": true, ...}. The first line of stdout
tells the ports. The commands are the methods named do_* below, e.g. {"do": "script", "imei": "...", "sessions": [{"status":
32}]}. The end of stdin ends the emulator."""
import asyncio
import json
import os
import random
import sys

import faults
from account import Account
from attacker import Attacker
from judge import Judge
from ledger import Ledger
from modem import Modem
from mo_delivery import Deliverer
from mt_server import MtServer
from port import Port
from timebase import Timebase


class Emulator:
    def __init__(self, spec, loop):
        self.spec = spec
        self.seed = spec.get("seed", 1)
        self.timebase = Timebase(loop, spec.get("scale", 0.02))
        self._log_file = open(spec["log"], "a", buffering=1) if spec.get("log") else None
        self.ledger = Ledger()
        self.modems, self.accounts, self.deliverers = {}, {}, []
        rates = spec.get("rates", {})
        self.gateway_chaos = faults.Chaos(self._rng("gateway"), rates, spec.get("only"))
        hub = spec.get("hub", {})
        self.deliverer = Deliverer(self.timebase, self._rng("delivery"), self.gateway_chaos, self.ledger,
                                   self._logger("gateway"), hub.get("host", "127.0.0.1"), hub.get("port", 10800),
                                   hub.get("confirm", True))
        self.deliverer.life_s = hub.get("life_s", self.deliverer.life_s)
        self.mt_server = MtServer(self.timebase, self._rng("mt"), self.gateway_chaos, self.ledger, self._logger("gateway"),
                                  self.accounts, spec.get("mt_window", 4))
        self.deliverer.on_violation = self.mt_server.on_violation = self._violation
        for one in spec.get("modems", []):
            self._add_modem(one, rates)

    def _rng(self, name):
        return random.Random(f"{self.seed}/{name}")

    def _logger(self, name):
        def log(text):
            line = f"{self.timebase.now():10.2f} {name}: {text}"
            if self._log_file:
                self._log_file.write(line + "\n")
            if "VIOLATION" in text:
                print(line, file=sys.stderr, flush=True)
        return log

    def _violation(self, kind, text):
        self.ledger.violations.append({"kind": kind, "text": text, "at": round(self.timebase.now(), 1)})
        self._logger("gateway")(f"VIOLATION {kind}: {text}")

    def _add_modem(self, one, rates):
        imei = one["imei"]
        ledger, log = Ledger(), self._logger(imei[-4:])
        judge = Judge(self.timebase, ledger, log, one.get("poll_s", 0), one.get("resend_after_s", 0))
        chance = one.get("quirks") == "random"
        quirks = faults.quirks(self._rng(imei + "/quirks") if chance else None, {} if chance else one.get("quirks", {}))
        account = Account(self.timebase, self._rng(imei + "/account"), ledger, judge, log, imei, quirks["ring_repeat_s"])
        account.deliverer = self.deliverer
        port = Port(self.timebase, self._rng(imei + "/port"), one["path"], log)
        port.style = one.get("style", "whole")
        port.paced = one.get("paced", False)
        chaos = faults.Chaos(self._rng(imei + "/chaos"), one.get("rates", rates), one.get("only", self.spec.get("only")))
        modem = Modem(self.timebase, self._rng(imei), port, account, judge, ledger, chaos, log, imei,
                      one.get("model", "9602"), quirks, one.get("profile"), one.get("session_s", (5, 20)))
        self.accounts[imei], self.modems[imei] = account, modem
        if one.get("plugged", True):
            port.plug()
        modem.power_on(one.get("boot_s", 0))

    # --- commands --------------------------------------------------------------------------------------------

    def do_report(self):
        modems = {}
        for imei, modem in self.modems.items():
            account = self.accounts[imei]
            modems[imei] = {**modem.ledger.report(), "mode": modem.mode, "momsn": modem.momsn, "queue": len(account.queue),
                            "bytes_in": modem.port.bytes_in, "bytes_out": modem.port.bytes_out, "opens": modem.port.opens,
                            "attached": modem.attached, "traps": len(modem.traps), "damages": len(modem.damages),
                            "script": len(modem.chaos.script["session"]),
                            "mo_waits": modem.mo is not None and not modem.mo_sent}
        violations = [v for m in self.modems.values() for v in m.ledger.violations] + self.ledger.violations
        return {"now": round(self.timebase.now(), 1), "modems": modems, "gateway": self.ledger.report(),
                "mo_queue": len(self.deliverer.queue), "violations": violations,
                "script": sum(len(self.gateway_chaos.script[kind]) for kind in ("delivery", "mt"))}

    def do_delivered(self):
        """What the hub has, in order."""
        return {"messages": [[i, m, p.hex()] for i, m, p in self.deliverer.delivered]}

    def do_script(self, imei=None, sessions=(), deliveries=(), mt=()):
        """Faults in this order, before chance has a word. A session: a plan, or the name of one in faults.py."""
        plans = {name: {"name": name, **plan} for _weight, name, plan in faults.SESSION_FAULTS}
        if imei:
            self.modems[imei].chaos.script["session"] += [plans[s] if isinstance(s, str) else s for s in sessions]
        self.gateway_chaos.script["delivery"] += deliveries
        self.gateway_chaos.script["mt"] += mt

    def do_rates(self, only=None, **rates):
        for chaos in [self.gateway_chaos] + [m.chaos for m in self.modems.values()]:
            chaos.rates, chaos.only = dict(rates), only

    def do_power(self, imei, act="cycle", seconds=3.0):
        modem = self.modems[imei]
        {"on": modem.power_on, "off": modem.power_off, "cycle": lambda: modem.power_cycle(seconds)}[act]()

    def do_left(self, imei, typed="", write=0):
        """Another program had the port: a line half typed, or a +SBDWB that waits for so many bytes."""
        modem = self.modems[imei]
        modem.line += typed.encode()
        if write:
            modem.begin_write(write)

    def do_network(self, imei, present, signal=None):
        self.modems[imei].set_network(present, signal)

    def do_port(self, imei, act, value=None):
        port = self.modems[imei].port
        {"unplug": port.unplug, "plug": lambda: port.plug(value), "pause": lambda: port.pause(True),
         "resume": lambda: port.pause(False), "style": lambda: setattr(port, "style", value),
         "baud": lambda: setattr(port, "baud", value), "paced": lambda: setattr(port, "paced", value),
         "say": lambda: port.write(bytes.fromhex(value))}[act]()

    def do_modem(self, imei, **values):
        modem = self.modems[imei]
        for name, value in values.items():
            if name == "leftovers":
                value = bytes.fromhex(value)
            elif name == "traffic_s":
                name, value = "traffic_until", self.timebase.now() + value
            if not hasattr(modem, name):
                raise ValueError(f"a modem has no {name}")
            setattr(modem, name, value)

    def do_account(self, imei, **values):
        for name, value in values.items():
            if not hasattr(self.accounts[imei], name):
                raise ValueError(f"an account has no {name}")
            setattr(self.accounts[imei], name, value)

    def do_gateway(self, **values):
        """Attributes of the deliverer (held, confirm, source, life_s, location, port) and of the MT server (refusing,
        allowed, window, flush_allowed)."""
        for name, value in values.items():
            owner = next((o for o in (self.deliverer, self.mt_server) if hasattr(o, name)), None)
            if owner is None or name.startswith("_"):
                raise ValueError(f"the gateway has no {name}")
            setattr(owner, name, value)
        self.deliverer.hurry()

    def do_hurry(self):
        self.deliverer.hurry()

    def do_skip(self, seconds):
        self.timebase.skip(seconds)
        for account in self.accounts.values():
            account.expire()
        self.deliverer.hurry()

    def do_queue(self, imei, payload, ring=True):
        """A message to the modem that did not come from the hub."""
        account = self.accounts[imei]
        account.enqueue(bytes.fromhex(payload), 5, b"test")
        if ring:
            account.ring()

    def do_mo(self, imei, momsn, payload="", status=0):
        """A message to the hub that did not come from a modem."""
        self.deliverer.push(imei, momsn, bytes.fromhex(payload), status)

    def do_attack(self, imei, share):
        """Somebody in the network touches this share of the messages, both ways. Return: what he did so far."""
        account = self.accounts[imei]
        if account.attacker is None:
            account.attacker = Attacker(f"{self.seed}/attacker")
        account.attacker.share = share
        return {"done": account.attacker.done, "heard": len(account.attacker.heard)}

    def do_play(self, imei, last=1000, reflect=False):
        """He plays what he heard last, in its order, again."""
        account = self.accounts[imei]
        for i, (way, payload) in enumerate(account.attacker.heard[-last:]):
            account.carry(account.attacker.other(way) if reflect else way, payload, 30000 + i)

    def do_ring(self, imei):
        self.modems[imei].ring()

    async def do_stranger(self, imei, payload, source=None):
        return {"confirmed": await self.deliverer.stranger(imei, bytes.fromhex(payload), source)}

    async def do_crowd(self, n, data=""):
        return {"accepted": await self.deliverer.crowd(n, bytes.fromhex(data))}

    def do_disperse(self):
        self.deliverer.disperse()

    async def do_mt_listen(self, on=True):
        """on = false: the hub's connections are refused."""
        if on:
            await self.mt_server.listen(self.mt_server.port)
        else:
            await self.mt_server.close()

    # --- the process -----------------------------------------------------------------------------------------

    async def command(self, line):
        try:
            words = json.loads(line)
            answer = getattr(self, "do_" + words.pop("do"))(**words)
            if asyncio.iscoroutine(answer):
                answer = await answer
            return {"ok": True, **(answer or {})}
        except Exception as error:  # the test is told, and fails there
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    async def run(self):
        await self.mt_server.listen(self.spec.get("mt_port", 0))
        self._answer({"ok": True, "mt_port": self.mt_server.port,
                      "modems": {imei: modem.port.path for imei, modem in self.modems.items()}})
        reader = asyncio.StreamReader(limit=1 << 24)
        await self.timebase.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            self._answer(await self.command(line))
        for modem in self.modems.values():
            modem.port.unplug()
        sys.stdout.flush()
        os._exit(0)  # whoever is in the middle of a dialogue need not be heard

    def _answer(self, words):
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()


async def main():
    text = sys.argv[1]
    if os.path.exists(text):
        with open(text) as file:
            text = file.read()
    await Emulator(json.loads(text), asyncio.get_running_loop()).run()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(main())
