"""What the gateway keeps for one IMEI: the queue of messages to the modem, its ring alerts, and where its own messages go."""
import re

import attacker

QUEUE_MAX = 50
MT_LARGEST = 1890
MT_LIFE_S = 5 * 86400
ROCKBLOCK_PREFIX = re.compile(rb"RB\d{7}")


class MtMessage:
    def __init__(self, payload, priority, client_id, mtmsn, number, at):
        self.payload, self.priority, self.client_id = payload, priority, client_id
        self.mtmsn, self.number, self.at = mtmsn, number, at


class Account:
    def __init__(self, timebase, rng, ledger, judge, log, imei, ring_repeat_s=20):
        self.timebase, self.rng, self.ledger, self.judge, self.log = timebase, rng, ledger, judge, log
        self.imei = imei
        self.modem = None            # set by the modem
        self.deliverer = None        # set by the gateway
        self.attacker = None         # set by the gateway, where there is one
        self.queue = []
        self.ring_repeat_s = ring_repeat_s
        self.ring_alerts = True      # provisioned
        self.rings_lost = 0.0        # this part of them
        self.report_failed = False   # failed sessions are told to the hub, header only
        self.life_s = MT_LIFE_S
        self.too_large = False
        self._mtmsn = 0
        self._number = 0
        self._arrived_at = None

    # --- from the modem ------------------------------------------------------------------------------------

    def mo_arrives(self, payload, momsn, status, mtmsn=0):
        """mtmsn: of the message that the session fetched; 0 = none."""
        if ROCKBLOCK_PREFIX.match(payload):
            self.ledger.counts["mo_misrouted"] += 1
            payload = payload[9:]
        for way, bytes_ in self._passes(attacker.UP, payload):
            self.carry(way, bytes_, momsn, status, mtmsn)

    def carry(self, way, payload, momsn, status=0, mtmsn=0):
        """A message to the hub, or one to the modem that nobody asked for."""
        if way == attacker.UP:
            self.deliverer.push(self.imei, momsn, payload, status, mtmsn)
        else:
            self.enqueue(payload, 5, b"test")
            self.ring()

    # --- to the modem --------------------------------------------------------------------------------------

    def next_mt(self, largest, keep):
        """The message that this session brings, or None. One too large for the modem is dropped, and too_large says so."""
        self.expire()
        self.too_large = False
        while self.queue and len(self.queue[0].payload) > largest:
            self.too_large = True
            self.ledger.counts["mt_too_large"] += 1
            self.queue.pop(0)
        if not self.queue:
            return None
        return self.queue[0] if keep else self.queue.pop(0)

    def expire(self):
        """The first that is too old takes the whole queue with it."""
        if self.queue and min(m.at for m in self.queue) < self.timebase.now() - self.life_s:
            self.ledger.counts["mt_expired"] += len(self.queue)
            self.log(f"gateway: queue of {len(self.queue)} MT messages expired")
            self.queue.clear()

    def accept(self, request):
        """Takes a message of the hub. Return: (auto id, position in the queue or a negative status)."""
        self.expire()
        if len(self.queue) >= QUEUE_MAX:
            worst = max(m.priority for m in self.queue)
            if request.priority > worst:
                return 0, -5
            bumped = next(m for m in self.queue if m.priority == worst)
            self.queue.remove(bumped)
            self.ledger.counts["mt_bumped"] += 1
        queued = []
        for way, payload in self._passes(attacker.DOWN, request.payload):
            if way == attacker.UP:
                self.carry(way, payload, self._number & 0xFFFF)
            else:
                queued.append(self.enqueue(payload, request.priority, request.client_id))
        self.ring()
        return 58000 + self._number, self.queue.index(queued[0]) + 1 if queued else 1

    def _passes(self, way, payload):
        return self.attacker.passes(way, payload) if self.attacker else [(way, payload)]

    def enqueue(self, payload, priority, client_id):
        self._number += 1
        self._mtmsn = (self._mtmsn + 1) & 0xFFFF
        message = MtMessage(payload, priority, client_id, self._mtmsn, self._number, self.timebase.now())
        self.queue.append(message)
        self.queue.sort(key=lambda m: (m.priority, m.number))
        return message

    def ring(self):
        """Twice, some seconds apart; not when another message has just come."""
        now = self.timebase.now()
        quiet = self._arrived_at is not None and now - self._arrived_at < 10
        self._arrived_at = now
        if quiet or not self.ring_alerts or self.modem is None or not self.modem.attached:
            return
        for wait in (self.rng.uniform(1, 3), self.rng.uniform(1, 3) + self.ring_repeat_s):
            self.timebase.later(wait, self._ring_now)

    def _ring_now(self):
        if self.queue and self.modem is not None:
            if self.rng.random() < self.rings_lost:
                self.ledger.counts["rings_missed"] += 1
            else:
                self.modem.ring()
