"""The gateway's half that the hub calls: one MT message a connection, answered with its place in the queue."""
import asyncio
import socket
import struct

import directip

IDLE_REAL_S = 30
PERMANENT = {-1, -2, -3, -4, -7, -8, -10, -11, -12}
LEAST_WAIT_S = 30  # of a careful client, before it asks again what was refused for good
CODES = {"queue full": -5, "no resources": -6, "not attached": -9}


class MtServer:
    def __init__(self, timebase, rng, chaos, ledger, log, accounts, window=4):
        self.timebase, self.rng, self.chaos, self.ledger, self.log = timebase, rng, chaos, ledger, log
        self.accounts = accounts     # {imei: Account}
        self.window = window         # outstanding messages an IMEI that we call careful
        self.allowed = None          # source addresses; None: all
        self.flush_allowed = False
        self.refusing = False        # connections are reset as they come
        self.payloads = {}           # (imei, client id): payload
        self.refused_at = {}         # (imei, client id): when refused for good
        self.on_violation = lambda kind, text: None
        self._server = None
        self.port = 0

    async def listen(self, port=0):
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self):
        """Connections are refused from now on."""
        if self._server:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _handle(self, reader, writer):
        self.ledger.counts["mt_connections"] += 1
        try:
            if self.refusing:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            await self._serve(reader, writer, self.chaos.mt())
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            self.ledger.counts["mt_broken_off"] += 1
        finally:
            writer.close()

    async def _serve(self, reader, writer, fault):
        if fault:
            self.ledger.faults[f"mt: {fault}"] += 1
            self.log(f"gateway: MT fault: {fault}")
        start = await asyncio.wait_for(reader.readexactly(3), IDLE_REAL_S)
        data = start + await asyncio.wait_for(reader.readexactly(struct.unpack(">H", start[1:])[0]), IDLE_REAL_S)
        if fault == "dropped before":
            return
        client_id, imei, auto_id, status = self._judge(data, writer, fault)
        self.log(f"gateway: MT {client_id.hex()} for {imei}: {status}")
        if fault == "reply lost":
            return
        if fault == "stall":
            await self.timebase.passes(300)
            return
        if fault == "confirmation of another":
            client_id = bytes(b ^ 0x5A for b in client_id)
        answer = directip.mt_confirmation(client_id, imei.encode("latin-1"), auto_id, status)
        pieces = [bytes([b]) for b in answer] if fault == "byte by byte" else [answer]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if reader._buffer:
            self.on_violation("mt-extra-bytes", "more than one message in a connection")

    def _judge(self, data, writer, fault):
        """(client id, imei, auto id, status); what is accepted is in the queue then."""
        try:
            request = directip.MtRequest(data)
        except directip.BadMessage as why:
            self.on_violation("mt-malformed", f"{why}: {data[:60].hex()}")
            return b"\0\0\0\0", "", 0, -7
        auto_id, status = self._status(request, writer, fault)
        self._conduct(request, status)
        self.ledger.counts["mt_requests"] += 1
        if status > 0:
            self.ledger.counts["mt_accepted"] += 1
        return request.client_id, request.imei, auto_id, status

    def _status(self, request, writer, fault):
        account = self.accounts.get(request.imei)
        if isinstance(fault, int):
            return 0, fault
        if fault in CODES:
            return 0, CODES[fault]
        if self.allowed is not None and writer.get_extra_info("peername")[0] not in self.allowed:
            return 0, -10
        if not request.imei.isdigit():
            return 0, -1
        if account is None:
            return 0, -2
        return self._queue(account, request)

    def _queue(self, account, request):
        ring_only = request.flags & directip.RING_ONLY
        if request.payload is not None and len(request.payload) > 1890:
            return 0, -3
        if request.flags & directip.FLUSH:
            if not self.flush_allowed:
                self.on_violation("flush", "the IMEI's queue was flushed unasked")
            account.queue.clear()
        if ring_only:
            if request.payload is not None:
                return 0, -7
            if not account.ring_alerts:
                return 0, -8
            if not account.modem or not account.modem.attached:
                return 0, -9
            account.ring()
            return 0, 0
        if not request.payload:
            return 0, 0 if request.flags & directip.FLUSH else -4
        if request.flags & directip.ASSIGN_MTMSN and not 1 <= int.from_bytes(request.client_id, "big") <= 65535:
            return 0, -11
        return account.accept(request)

    def _conduct(self, request, status):
        """What a careful hub does not do."""
        key = (request.imei, request.client_id)
        account = self.accounts.get(request.imei)
        now = self.timebase.now()
        if key in self.payloads and self.payloads[key] != request.payload:
            self.on_violation("mt-id-reused", f"client message id {request.client_id.hex()} names two messages")
        elif key in self.payloads:
            self.ledger.counts["mt_resent"] += 1
        self.payloads[key] = request.payload
        if key in self.refused_at and now - self.refused_at[key] < LEAST_WAIT_S and not self.timebase.starved():
            self.on_violation("mt-retry-storm", f"asked again {now - self.refused_at[key]:.0f} s after a lasting refusal")
        if status in PERMANENT:
            self.refused_at[key] = now
        else:
            self.refused_at.pop(key, None)
        if account is None:
            return
        if account.modem and request.payload and len(request.payload) > account.modem.mt_max:
            self.on_violation("mt-over-the-limit",
                              f"{len(request.payload)} bytes for a modem that takes {account.modem.mt_max}")
        if len({m.client_id for m in account.queue}) > self.window:
            self.on_violation("mt-window", f"{len(account.queue)} messages in the queue, of {self.window} that may be")
