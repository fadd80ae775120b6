"""A session with the gateway, from +SBDIX to its result, with everything that may end it in between."""
import status as st

TRAFFIC_MANAGEMENT_S = 240


def traffic_left(modem):
    return max(0, round(modem.traffic_until - modem.timebase.now()))


async def run(modem, kind, answering):
    """The task of one session; power loss cancels it."""
    registration = kind == "+SBDREG"
    name, plan = ("", {}) if registration else modem.chaos.session()
    if name:
        modem.ledger.faults[name] += 1
    modem.mode = "session"
    modem.session_began = modem.timebase.now()
    modem.session_opening = modem.port.opens
    mo = modem.mo or b""
    unread = modem.mt is not None and not modem.mt_read
    modem.judge.session_starts(mo, bool(mo) and modem.mo_sent, unread, registration, modem.network_told)
    if unread:
        modem.ledger.counts["mt_lost"] += 1
    if not registration:  # the start of any session empties the MT buffer
        modem.mt, modem.mt_read, modem.mtmsn = None, False, -1
    modem.log(f"session begins: {len(mo)} bytes MO, fault {name or 'none'} {plan or ''}")
    seconds = plan.get("seconds", modem.rng.uniform(*modem.session_s))
    status = await _on_air(modem, plan, registration, seconds)
    if registration:
        _registered(modem, status)
        return
    outcome = _exchange(modem, plan, status, mo)
    if plan.get("power") in ("before", "committed"):
        _record(modem, plan, status, outcome, mo, told=False)
        modem.session_task = None  # not cancelled from inside
        modem.power_cycle(modem.rng.uniform(2, 8))
        return
    if plan.get("unplug"):
        _record(modem, plan, status, outcome, mo, told=False)
        _vanish(modem)
        return
    await _tell(modem, plan, kind, answering, status, outcome, mo)


async def _on_air(modem, plan, registration, seconds):
    """Waits the session out. Return: its MO status."""
    limit = modem.session_timeout
    now = modem.timebase.now()
    status = plan.get("status")
    if status is None:
        if not modem.radio:
            status = st.RADIO_OFF
        elif now < modem.traffic_until:
            status = st.TRAFFIC_MANAGEMENT
        elif registration and modem.registered_at is not None and now - modem.registered_at < st.REGISTRATION_INTERVAL_S:
            status = st.REGISTERED_TOO_OFTEN
    if status in (st.RADIO_OFF, st.TRAFFIC_MANAGEMENT, st.REGISTERED_TOO_OFTEN, 35, 16):
        await modem.timebase.passes(0.2)  # known without going on air
        return status
    if modem.cier[0] and modem.cier[2] and modem.network:
        modem.unasked("+CIEV:1,0")
        modem.network_told = False
    began_with_network = modem.network
    at_most = limit if limit and "result" not in plan and "power" not in plan and seconds < 150 else seconds
    await modem.timebase.passes(min(seconds, at_most))
    if plan.get("power") == "before":
        return 17
    if status is not None:
        return status
    if limit and seconds > limit and at_most == limit:
        return 17
    if not modem.network:
        return 18 if began_with_network else st.NO_SERVICE
    return 0


class Outcome:
    """What the session did: at the gateway, and to the modem's buffers."""

    def __init__(self):
        self.momsn = 0
        self.mt_status, self.mtmsn, self.mt_length, self.queued = 0, 0, 0, 0
        self.mt_too_large = False
        self.delivered = False


def _exchange(modem, plan, status, mo):
    outcome = Outcome()
    outcome.momsn = modem.momsn
    ok = status in st.OK and plan.get("power") != "before"
    if ok:
        _fetch(modem, plan, outcome)
    if ok or plan.get("delivered"):
        outcome.delivered = True
        modem.account.mo_arrives(mo, modem.momsn, 0 if ok else status, outcome.mtmsn if outcome.mt_status == 1 else 0)
        modem.attached = True
        modem.registered_at = modem.timebase.now()
    elif modem.account.report_failed:
        modem.account.mo_arrives(b"", modem.momsn, status if status in (10, 12, 13, 14, 15) else 13)
    if status == st.TRAFFIC_MANAGEMENT:
        modem.traffic_until = max(modem.traffic_until, modem.timebase.now() + TRAFFIC_MANAGEMENT_S)
    if not ok:
        if plan.get("delivered") and mo:
            modem.ledger.bill(len(mo), 0, False)
        return outcome
    modem.momsn = (modem.momsn + 1) & 0xFFFF
    modem.ring_flag = False
    modem.mo_sent = bool(mo)
    modem.ledger.bill(len(mo), len(modem.mt or b""), modem.mt is not None)
    return outcome


def _fetch(modem, plan, outcome):
    """At most one message from the queue, into the MT buffer."""
    how = plan.get("mt")
    account = modem.account
    outcome.mtmsn = plan.get("mtmsn", modem.quirks["idle_mtmsn"])
    if how == "error" and account.queue:
        outcome.mt_status = 2
    elif how != "none":
        message = account.next_mt(modem.mt_max, keep=how == "twice")
        outcome.mt_too_large = account.too_large
        if message:
            modem.mt, modem.mt_read, modem.mtmsn = message.payload, False, message.mtmsn
            outcome.mt_status, outcome.mtmsn, outcome.mt_length = 1, message.mtmsn, len(message.payload)
    outcome.queued = modem.waiting = len(account.queue)


def _record(modem, plan, status, outcome, mo, told, wait_s=0.0):
    # A session cut by power or by an unplugged port: the gateway's side is what the status says.
    status_now = 17 if plan.get("power") == "before" else status
    if status_now in st.OK:
        modem.judge.succeeded(mo, told)
    elif outcome.delivered:
        modem.judge.succeeded(mo, False)
    modem.judge.result(status_now, mo, outcome.mt_status, outcome.queued, told, wait_s)
    modem.ledger.session({"status": status_now, "momsn": outcome.momsn, "mo": len(mo), "mt": outcome.mt_length,
                          "mt_status": outcome.mt_status, "told": told, "delivered": outcome.delivered,
                          "seconds": modem.timebase.now() - modem.session_began, "at": round(modem.timebase.now(), 1)})
    modem.log(f"session ends: status {status_now} momsn {outcome.momsn} mt {outcome.mt_status}/{outcome.mt_length} "
              f"told {told}")


def _vanish(modem):
    modem.mode = "command"
    modem.session_task = None
    modem.port.unplug()
    modem.timebase.later(modem.rng.uniform(2, 20), lambda: modem.port.plugged() or modem.port.plug())


def result_line(modem, kind, status, outcome, result):
    fields = [status, outcome.momsn, outcome.mt_status, outcome.mtmsn, outcome.mt_length, outcome.queued]
    if status not in st.OK:  # the MT fields mean nothing then
        fields[2:] = modem.rng.choice([[0, 0, 0, 0], [2, 0, 0, 0], [1, 77, 12, 3]]) if modem.chaos.rates else [2, 0, 0, 0]
    fields = fields[:{"short": 2, "empty": 0}.get(result)]
    label = modem.quirks["label_a"] if kind == "+SBDIXA" else "+SBDIX"
    return label + modem.quirks["after_label"] + modem.quirks["separator"].join(map(str, fields))


async def _tell(modem, plan, kind, answering, status, outcome, mo):
    if outcome.mt_too_large and status == 0:
        status = 1
    told = modem.port.opened and plan.get("result", "told") in ("told", "no_ok")
    wait_s = 0.0
    if status == st.TRAFFIC_MANAGEMENT:
        wait_s = traffic_left(modem)
    elif status == st.REGISTERED_TOO_OFTEN:
        since = modem.timebase.now() - (modem.registered_at if modem.registered_at is not None else modem.timebase.now())
        wait_s = max(0.0, st.REGISTRATION_INTERVAL_S - since)
        modem.registered_at = modem.registered_at if modem.registered_at is not None else modem.timebase.now()
    _record(modem, plan, status, outcome, mo, told, wait_s)
    modem.session_task = None
    if modem.chaos.line():
        modem._something_unasked()
    line = result_line(modem, kind, status, outcome, plan.get("result"))
    if plan.get("result") == "lost":
        modem.mode = "command"
        _network_returns(modem)
        return
    if plan.get("result") == "garbled":
        line = "".join(c if i % 3 else "\x15" for i, c in enumerate(line))
    modem.mode = "busy"
    modem.say(line)
    if plan.get("power") == "after":  # the line has left, its OK never does
        modem.port.when_drained(lambda: modem.power_cycle(modem.rng.uniform(2, 8)))
        return
    if plan.get("result") == "no_ok":
        modem.mode = "command"
        _network_returns(modem)
        return
    await modem.timebase.passes(modem.rng.choice([0, 0, 0.1, 2]))
    if modem.mode == "busy":
        modem.result("OK")
        _network_returns(modem)


def _network_returns(modem):
    """Service is seen again some seconds after a session."""
    if modem.cier[0] and modem.cier[2]:
        def seen():
            if modem.network and modem.mode in ("command", "busy", "write", "read"):
                modem.unasked("+CIEV:1,1")
        modem.timebase.later(modem.rng.uniform(4, 12), seen)


def _registered(modem, status):
    modem.session_task = None
    modem.ledger.counts["registrations"] += 1
    if status == 0:
        modem.attached = True
        modem.registered_at = modem.timebase.now()
    since = modem.timebase.now() - modem.registered_at if modem.registered_at is not None else 0
    modem.judge.registered(status, max(0, st.REGISTRATION_INTERVAL_S - since)
                           if status == st.REGISTERED_TOO_OFTEN else 0)
    modem.mode = "busy"
    modem.say(f"+SBDREG:{2 if status == 0 else 1},{status}")
    modem.result("OK")
