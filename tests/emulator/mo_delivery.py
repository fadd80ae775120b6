"""The gateway's half that calls the hub: each MO message over a connection of its own, in order, until the hub has it."""
import asyncio
import socket
import struct
import time

import directip

LADDER_S = (1, 5, 10, 20, 30, 60, 120, 240, 360)
MO_LIFE_S = 12 * 3600
QUEUE_MAX = 10000
PATIENCE_REAL_S = 20  # for the hub's answer: it has a real disk to sync


class Item:
    def __init__(self, imei, momsn, payload, status, cdr, at, mtmsn=0):
        self.imei, self.momsn, self.payload, self.status = imei, momsn, payload, status
        self.mtmsn = mtmsn
        self.cdr, self.at = cdr, at
        self.time = int(time.time())
        self.held_until = None


class Deliverer:
    """One destination. confirm: the hub's confirmation was agreed on."""

    def __init__(self, timebase, rng, chaos, ledger, log, host, port, confirm=True):
        self.timebase, self.rng, self.chaos, self.ledger, self.log = timebase, rng, chaos, ledger, log
        self.host, self.port, self.confirm = host, port, confirm
        self.source = None           # the address we call from
        self.life_s = MO_LIFE_S
        self.location = None         # (latitude, longitude, cep) sent with each message
        self.held = False            # nothing is delivered while this is set
        self.queue = []
        self.delivered = []          # (imei, momsn, payload) that the hub has, in order
        self.on_violation = lambda kind, text: None
        self._cdr = 0x70000000
        self._tries = 0
        self._wake = asyncio.Event()
        self._task = timebase.loop.create_task(self._run())

    def push(self, imei, momsn, payload, status, mtmsn=0):
        self._cdr += 1
        if len(self.queue) >= QUEUE_MAX:
            self.queue.pop(0)
            self.ledger.counts["mo_bumped"] += 1
        self.queue.append(Item(imei, momsn, payload, status, self._cdr, self.timebase.now(), mtmsn))
        self._wake.set()

    def hurry(self):
        """The next try now, whatever the ladder says."""
        self._tries = 0
        self._wake.set()

    async def _pause(self, seconds):
        self._wake.clear()
        timer = self.timebase.loop.call_later(max(0.001, seconds * self.timebase.scale), self._wake.set)
        await self._wake.wait()
        timer.cancel()

    def _expire(self):
        old = [i for i in self.queue if self.timebase.now() - i.at > self.life_s]
        for item in old:
            self.queue.remove(item)
            self.ledger.counts["mo_expired"] += 1
            self.log(f"gateway: MO momsn {item.momsn} expired undelivered")

    async def _run(self):
        while True:
            self._expire()
            now = self.timebase.now()
            ready = [i for i in self.queue if i.held_until is None or i.held_until <= now]
            if self.held or not ready:
                held = [i.held_until - now for i in self.queue if i.held_until and i.held_until > now]
                await self._pause(3600 if self.held or not held else min(held))
                continue
            item = ready[0]
            fault = self.chaos.delivery()
            if fault:
                self.ledger.faults["delivery: " + fault] += 1
                self.log(f"gateway: MO momsn {item.momsn} delivery fault: {fault}")
            if fault == "late":
                item.held_until = now + self.rng.uniform(60, 300)
                continue
            if fault == "reordered":
                item.held_until = now + 30
                continue
            if fault == "header only beside":
                await self._deliver(Item(item.imei, item.momsn, b"", 13, item.cdr ^ 0xFFFF, item.at), "")
            if await self._deliver(item, fault):
                self._tries = 0
                if item in self.queue:
                    self.queue.remove(item)
                self.delivered.append((item.imei, item.momsn, item.payload))
                self.ledger.counts["mo_delivered"] += 1
                if fault == "twice":
                    await self._deliver(item, "")
            else:
                wait = LADDER_S[min(self._tries, len(LADDER_S) - 1)]
                self._tries += 1
                self.ledger.counts["mo_delivery_failed"] += 1
                until = self.timebase.now() + wait
                while self.timebase.now() < until and self._tries:
                    await self._pause(until - self.timebase.now())

    def message_of(self, item, fault=""):
        """The bytes of one message, as the fault wants them."""
        header = directip.mo_header(item.cdr, item.imei, item.status, item.momsn, item.mtmsn, item.time)
        parts = [header]
        if item.payload:
            parts.append(directip.element(directip.MO_PAYLOAD, item.payload))
        location = self.location or ((-33.17, 118.54, 3) if "location" in fault else None)
        if location:
            parts.insert(1, directip.mo_location(*location, length=20 if fault == "long location" else 11))
        if fault == "unknown element":
            parts.insert(self.rng.randint(0, len(parts)), directip.element(0x7F, b"what is this"))
        if fault == "shuffled elements":
            parts.reverse()
        return directip.message(*parts, length_off_by={"length short": -1, "length long": 1}.get(fault, 0))

    async def connect(self, source=None):
        return await asyncio.open_connection(self.host, self.port, local_addr=(source, 0) if source else None)

    async def _deliver(self, item, fault):
        """Return: the gateway believes that the hub has it."""
        try:
            reader, writer = await self.connect(self.source)
        except OSError:
            return False
        try:
            return await self._converse(item, fault, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return False
        finally:
            writer.close()

    async def _converse(self, item, fault, reader, writer):
        data = self.message_of(item, fault)
        if fault == "reset before the payload":
            writer.write(data[:31])
            await writer.drain()
            return self._reset(writer)
        if fault == "stall":
            writer.write(data[:len(data) // 2])
            await writer.drain()
            await self.timebase.passes(40)
            return False
        if fault == "byte by byte":
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in data:
                writer.write(bytes([byte]))
                await writer.drain()
        else:
            writer.write(data)
            await writer.drain()
        if fault == "reset after the payload":
            return self._reset(writer)
        if fault == "confirmation lost":
            await self.timebase.passes(2)
            return False
        if not self.confirm:
            return not fault.startswith("length")
        return await self._confirmed(reader, fault)

    async def _confirmed(self, reader, fault):
        patience = PATIENCE_REAL_S if not fault.startswith("length") else 0.5
        try:
            answer = await asyncio.wait_for(reader.readexactly(len(directip.CONFIRMED)), patience)
        except asyncio.TimeoutError:
            return False
        if answer == directip.CONFIRMED:
            if fault.startswith("length"):
                self.on_violation("confirms-malformed", "a message whose overall length is wrong was confirmed")
                return False
            return True
        if answer != directip.NOT_CONFIRMED:
            self.on_violation("confirmation-malformed", f"the hub answered {answer.hex()}")
        return False

    def _reset(self, writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False

    # --- strangers ------------------------------------------------------------------------------------------

    async def stranger(self, imei, payload, source=None):
        """One message of a stranger: an IMEI that nobody knows, or an address that is not allowed. Return: confirmed."""
        self._cdr += 1
        item = Item(imei, 1, payload, 0, self._cdr, self.timebase.now())
        try:
            reader, writer = await self.connect(source)
            try:
                return await self._converse(item, "", reader, writer)
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            return False

    async def crowd(self, n, data=b""):
        """n connections at once that say `data` and nothing more; they are closed when the hub has had time. Return: how many
        the hub accepted."""
        writers = []
        for _ in range(n):
            try:
                _reader, writer = await self.connect()
                writer.write(data)
                writers.append(writer)
            except OSError:
                pass
        self._crowd = writers
        return len(writers)

    def disperse(self):
        for writer in getattr(self, "_crowd", []):
            writer.close()
