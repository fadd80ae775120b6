"""What the host may not do: the conduct that the facts call impossible or lazy becomes a violation of the ledger.

Times are measured here from the moment a result is written until the next command is read, which is never shorter than
what the host waited; where the emulator itself was served late, nobody is accused."""
import hashlib

import status as st

TOLERANCE = 0.9  # a host's clock and ours differ, and its waits have jitter
HOST_GUARD_S = 100  # a session longer than this may be given up by the host, which then asks for signs of life
COMMIT_S = 1.0   # real seconds that a host needs to store what it was told: if its port closes sooner, it is excused


def digest(payload):
    return hashlib.sha256(payload).hexdigest()[:16]


class Judge:
    def __init__(self, timebase, ledger, log, poll_s=0.0, resend_after_s=0.0):
        self.timebase, self.ledger, self.log = timebase, ledger, log
        self.poll_s = poll_s                  # the host's own mailbox interval; 0: it may not poll
        self.resend_after_s = resend_after_s  # sooner than this no handed-over message goes out again
        self.last = None           # what was told of the last session
        self.not_before = (0.0, "")
        self.failures = []         # when sessions failed
        self.handed_over = {}      # digest: when it was told, or None where the host was not told
        self.refused = {}          # digest: a status that no retry mends
        self.uncertain = None      # digest of what the last session carried, its fate not told
        self.asked_since = True    # +SBDS or +SBDSX since the last session
        self.mail = True           # a reason to look into the mailbox: told by ring, flag or queue. At first: unknown
        self.checked_at = None
        self.bad_sums = 0
        self.told_real = 0.0
        self.silent_lines = []

    def violation(self, kind, text):
        entry = {"kind": kind, "text": text, "at": round(self.timebase.now(), 1)}
        self.ledger.violations.append(entry)
        self.log(f"VIOLATION {kind}: {text}")

    # --- the line ------------------------------------------------------------------------------------------

    def reopened(self):
        """Another process, or another try of this one: what it cannot know yet is forgiven."""
        self.bad_sums = 0
        self.silent_lines = []
        if self.timebase.real() - self.told_real < COMMIT_S:
            self.not_before = (0.0, "")
            self.mail = True

    def bytes_in_session(self, data, seconds, same_opening):
        if same_opening and seconds < HOST_GUARD_S and not self.timebase.starved():
            self.violation("bytes-in-session", f"{data[:40]!r} sent {seconds:.0f} s into a session")

    def line_while_deaf(self):
        """The modem is off and hears nothing; whoever asks more often than once a second hammers."""
        now = self.timebase.now()
        self.silent_lines = [t for t in self.silent_lines if now - t < 30] + [now]
        if len(self.silent_lines) > 90:
            self.silent_lines = []
            self.violation("hammering", "more than three lines a second to a modem that does not answer")

    def checksum_wrong(self):
        self.bad_sums += 1
        if self.bad_sums > 1:
            self.violation("wrong-checksum-again", "a binary write with a wrong checksum, repeated on a clean line")

    def checksum_right(self):
        self.bad_sums = 0

    def stored(self, payload):
        if payload[:2] == b"RB":
            self.violation("starts-with-RB", "RockBLOCK routes such a message to somebody else")

    # --- before a session ----------------------------------------------------------------------------------

    def session_starts(self, mo, mo_unchanged_since_success, mt_unread, registration, network_told):
        now = self.timebase.now()
        if mt_unread:
            self.violation("mt-unread", "a session begun with an unread message in the MT buffer: it is lost")
        self._too_early(now, network_told)
        if registration:
            return
        if mo:
            self._mo(mo, mo_unchanged_since_success, now)
        elif not self._mailbox_may_be_looked_into(now):
            self.violation("needless-session", "an empty session without a ring, a queue, or a poll that is due")
        self.asked_since = False

    def _too_early(self, now, network_told):
        until, why = self.not_before
        if why == "32" and network_told:
            return
        if now < until and not self.timebase.starved():
            self.violation("too-early", f"a session {until - now:.0f} s sooner than status {why} allows")
        self.failures = [t for t in self.failures if now - t < st.STORM_WINDOW_S]
        if len(self.failures) > st.STORM_FAILURES and not self.timebase.starved():
            self.violation("retry-storm", f"{len(self.failures)} failed sessions in {st.STORM_WINDOW_S} s, and another")
            self.failures = []

    def _mo(self, mo, unchanged, now):
        name = digest(mo)
        if name in self.refused:
            self.violation("permanent-again", f"sent again after status {self.refused[name]}, which no retry mends")
        if unchanged:
            self.violation("mo-resent", "the MO buffer still holds what was sent, and is billed again")
        elif name in self.handed_over:
            told = self.handed_over[name]
            self.ledger.counts["resends"] += 1
            if told is not None and now - told < self.resend_after_s * TOLERANCE and not self.timebase.starved():
                self.violation("resent-too-early", f"handed over {now - told:.0f} s ago and sent again")
        if self.uncertain == name and not self.asked_since:
            self.violation("unknown-not-asked", "a message of unknown fate sent again without reading the MOMSN")

    def _mailbox_may_be_looked_into(self, now):
        if self.mail:
            return True
        return self.poll_s > 0 and (self.checked_at is None or now - self.checked_at >= self.poll_s * TOLERANCE)

    # --- after it ------------------------------------------------------------------------------------------

    def succeeded(self, mo, told):
        """The gateway has it and MOMSN has advanced; told: the result line was written to an open port."""
        if mo:
            name = digest(mo)
            if told or name not in self.handed_over:
                self.handed_over[name] = self.timebase.now() if told else None
            self.uncertain = None if told else name

    def result(self, status, mo, mt_status, queued, told, wait_s=0.0):
        """What the host was told, or would have been."""
        now = self.timebase.now()
        ok = status in st.OK
        if not told:
            self.uncertain = digest(mo) if mo else None
            self.mail = True
            return
        self.told_real = self.timebase.real()
        if ok:
            self.failures = []
            self.mail = mt_status == 2 or (mt_status == 1 and queued > 0) or status == 1
            self.checked_at = now
            self.not_before = (0.0, "")
            return
        self.failures.append(now)
        if status in st.UNKNOWN:
            self.uncertain = digest(mo) if mo else None
        if status in st.PERMANENT and mo:
            self.refused[digest(mo)] = status
        least = wait_s if wait_s else st.LEAST_WAIT_S.get(status, 0)
        self.not_before = (now + least * TOLERANCE, str(status))

    def registered(self, status, wait_s):
        """+SBDREG was answered."""
        if status not in st.OK:
            self.not_before = (self.timebase.now() + (wait_s or st.LEAST_WAIT_S.get(status, 0)) * TOLERANCE, str(status))

    def momsn_told(self):
        """+SBDS or +SBDSX was answered: whatever was uncertain can be known now."""
        self.asked_since = True

    def traffic_told(self, seconds):
        """+SBDLOE said how long."""
        if self.not_before[1] == str(st.TRAFFIC_MANAGEMENT):
            self.not_before = (self.timebase.now() + seconds * TOLERANCE, str(st.TRAFFIC_MANAGEMENT))

    def mail_told(self):
        self.mail = True

    def radio_switched_on(self):
        if self.not_before[1] == str(st.RADIO_OFF):
            self.not_before = (0.0, "")
