"""What was spent and what went wrong: counted here, asserted by the tests."""
from collections import Counter

CREDIT_BYTES = 50


def credits(n):
    """Started credits of n bytes."""
    return -(-n // CREDIT_BYTES)


class Ledger:
    """Of one modem, and its part of the gateway. `violations` are acts of the host that no careful driver commits."""

    def __init__(self):
        self.counts = Counter()
        self.statuses = Counter()
        self.faults = Counter()
        self.violations = []
        self.sessions = []  # of the last ones, what each was

    def session(self, record):
        self.counts["sessions"] += 1
        self.statuses[record["status"]] += 1
        self.counts["air_s"] += round(record["seconds"])
        self.sessions.append(record)
        del self.sessions[:-200]

    def bill(self, mo_bytes, mt_bytes, mt_taken):
        """A session that the gateway took part in to the end."""
        spent = credits(mo_bytes) + (max(1, credits(mt_bytes)) if mt_taken else 0)
        self.counts["credits"] += max(1, spent)
        self.counts["credits_mo"] += credits(mo_bytes)
        self.counts["mo_bytes"] += mo_bytes
        self.counts["mt_bytes"] += mt_bytes
        self.counts["mo_messages"] += mo_bytes > 0
        self.counts["mt_messages"] += mt_taken
        if mo_bytes == 0:
            self.counts["mailbox_checks"] += 1

    def report(self):
        return {"counts": dict(self.counts), "statuses": {str(k): v for k, v in sorted(self.statuses.items())},
                "faults": dict(self.faults), "violations": self.violations, "sessions": self.sessions[-20:]}
