"""What may go wrong, at random by a seed, or in the order that a script gives.

A session's plan is a dict; what is not in it is as usual:
  status     the MO status (default: what the state of the world gives)
  delivered  a failing status, yet the gateway has the message
  seconds    how long it takes
  result     told | lost (nothing is said) | no_ok (the result line, but never the OK) | garbled |
             short (its first two fields) | empty (none)
  power      before | committed (the gateway has it, MOMSN is stored, nobody was told) | after (the result)
  unplug     the port vanishes during the session and comes back
  mt         none (left in the queue) | error (status 2) | twice (delivered and kept)
  mtmsn      what is told where no message came
"""

SESSION_FAULTS = [  # (weight, name, plan)
    (3, "no network", {"status": 32}),
    (3, "radio drop, not delivered", {"status": 18}),
    (3, "radio drop, delivered", {"status": 18, "delivered": True}),
    (2, "incomplete, delivered", {"status": 13, "delivered": True}),
    (2, "gateway timeout", {"status": 10}),
    (2, "gateway timeout, delivered", {"status": 10, "delivered": True}),
    (2, "protocol error", {"status": 19}),
    (1, "gateway silent", {"status": 17}),
    (1, "busy", {"status": 35}),
    (1, "registered too often", {"status": 36}),
    (1, "traffic management", {"status": 38}),
    (1, "queue full at the gateway", {"status": 11}),
    (1, "antenna", {"status": 33}),
    (1, "reserved", {"status": 47}),
    (1, "reserved low", {"status": 6}),
    (2, "success 1", {"status": 1}),
    (2, "success 2", {"status": 2}),
    (1, "success 3", {"status": 3}),
    (1, "success 4", {"status": 4}),
    (4, "result lost", {"result": "lost"}),
    (2, "result garbled", {"result": "garbled"}),
    (2, "OK lost", {"result": "no_ok"}),
    (1, "fields missing", {"result": "short"}),
    (1, "all fields missing", {"result": "empty"}),
    (2, "result late", {"seconds": 170}),
    (2, "power lost before", {"power": "before"}),
    (3, "power lost after the commit", {"power": "committed"}),
    (2, "power lost after the result", {"power": "after"}),
    (2, "port vanishes", {"unplug": True}),
    (3, "mt twice", {"mt": "twice"}),
    (2, "mt error", {"mt": "error"}),
    (1, "mt left", {"mt": "none"}),
    (1, "mtmsn -1", {"mtmsn": -1}),
    (1, "mtmsn stale", {"mtmsn": 4711}),
]

DELIVERY_FAULTS = [  # of a MO message to the hub
    (3, "twice"), (3, "late"), (3, "reordered"), (3, "confirmation lost"), (2, "byte by byte"), (2, "shuffled elements"),
    (2, "unknown element"), (2, "location"), (1, "long location"), (2, "reset before the payload"),
    (2, "reset after the payload"), (1, "length short"), (1, "length long"), (1, "header only beside"), (1, "stall"),
]

MT_FAULTS = [  # of a connection of the hub to us
    (4, "reply lost"), (3, "dropped before"), (2, "queue full"), (2, "no resources"), (2, "byte by byte"),
    (1, "confirmation of another"), (1, "stall"), (1, "not attached"),
]

QUIRKS = {  # the doubtful points of the facts: a careful host does not mind
    "ready_bare": [False, True],          # READY without a leading CR LF
    "ok_after_timeout": [False, True],    # OK after SBDWB's 1
    "mta_default": [0, 1],
    "ring_repeat_s": [13, 20],
    "label_a": ["+SBDIX", "+SBDIXA"],     # how the result of +SBDIXA is called
    "after_label": [": ", ":"],
    "separator": [", ", ","],
    "glued": [False, True],               # unsolicited lines without a CR LF of their own before them
    "idle_mtmsn": [0, -1, 9],             # where no message came
    "momsn_shown": ["next"],              # by +SBDS and +SBDSX; some texts read as if it were the last
}


class Chaos:
    """rates: {"session": 0.3, "line": 0.05, "delivery": 0.2, "mt": 0.2, "power": 0.001}; a script comes before chance."""

    def __init__(self, rng, rates=None, only=None):
        self.rng = rng
        self.rates = rates or {}
        self.only = only           # names of faults that chance may choose; None: all
        self.script = {"session": [], "delivery": [], "mt": []}

    def _chance(self, kind):
        return self.rng.random() < self.rates.get(kind, 0.0)

    def _choose(self, table):
        rows = [row for row in table if self.only is None or row[1] in self.only]
        if not rows:
            return None
        return self.rng.choices(rows, weights=[row[0] for row in rows])[0]

    def session(self):
        """(name, plan) of the next session."""
        if self.script["session"]:
            plan = dict(self.script["session"].pop(0))
            return plan.pop("name", "script"), plan
        if self._chance("session"):
            row = self._choose(SESSION_FAULTS)
            if row:
                return row[1], dict(row[2])
        return "", {}

    def delivery(self):
        return self._named("delivery", DELIVERY_FAULTS)

    def mt(self):
        return self._named("mt", MT_FAULTS)

    def _named(self, kind, table):
        if self.script[kind]:
            return self.script[kind].pop(0)
        if self._chance(kind):
            row = self._choose(table)
            return row[1] if row else ""
        return ""

    def line(self):
        """Something unasked for at this place of a dialogue?"""
        return self._chance("line")

    def power(self):
        """Power lost at this command?"""
        return self._chance("power")

    def ready_lost(self):
        return self._chance("ready")

    def garbage(self):
        return self._chance("garbage")


def quirks(rng, fixed):
    """One reading of each doubtful point: as given, else by chance, else (rng None) the first."""
    return {name: fixed.get(name, rng.choice(values) if rng else values[0]) for name, values in QUIRKS.items()}
