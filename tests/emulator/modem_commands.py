"""What each AT command does. A row a command: a function of (modem, command) that says its information lines and returns
True (OK), False (ERROR) or LATER (it answers by itself)."""
import re

import modem_session

LATER = object()
LOCATION = re.compile(r"[+-]?\d{4}\.\d{3},[+-]?\d{5}\.\d{3}$")


def run(modem, command):
    function = TABLE.get(command.name)
    if function is None or command.operator == "=?":
        return function is not None
    return function(modem, command)


# --- the modem in general --------------------------------------------------------------------------------------

def setting(values):
    def act(modem, command):
        value = int(command.argument or 0)
        if value not in values:
            return False
        modem.settings[command.name] = value
        return True
    return act


def nothing(_modem, _command):
    return True


def reset(modem, _command):
    modem.settings = dict(modem.stored_profile)
    return True


def store_profile(modem, command):
    modem.judge.violation("stores-profile", f"AT{command.name}: the user's modem is changed for good, and its flash worn")
    return True


def change_speed(modem, command):
    if command.operator == "?":
        modem.say("+IPR:6")
        return True
    modem.judge.violation("changes-speed", "AT+IPR=: the speed is changed silently")
    return False


def identify(text):
    def act(modem, _command):
        for line in text(modem):
            modem.say(line)
        return True
    return act


def flush_and_sleep(modem, _command):
    """AT*F: OK, then nothing until power is taken away and given back."""
    modem.result("OK")
    modem.mode = "dead"
    return LATER


def radio(modem, command):
    if command.argument not in ("0", "1"):
        return False
    modem.radio = command.argument == "1"
    if modem.radio:
        modem.judge.radio_switched_on()
    return True


def signal_quality(modem, command):
    if command.name == "+CSQF" or not modem.csq:
        modem.say(f"{command.name}:{modem.signal}")
        return True

    def late():
        if modem.mode == "busy":
            if modem.csq == "error":
                modem.result("ERROR")
            else:
                modem.say(f"+CSQ:{modem.signal}")
                modem.result("OK")
    modem.timebase.later(50 if modem.csq == "error" else 20, late)
    return LATER


def indicators(modem, command):
    if command.operator == "?":
        modem.say("+CIER:" + ",".join(map(str, modem.cier)))
        return True
    try:
        values = [int(v or 0) for v in command.argument.split(",")]
    except ValueError:
        return False
    if not 1 <= len(values) <= 5 or any(v not in (0, 1) for v in values):
        return False
    modem.cier = tuple((values + [0, 0, 0])[:3])
    if modem.cier[0]:  # the state as it is, after the OK
        if modem.cier[1]:
            modem.held.append(f"+CIEV:0,{modem.signal}")
        if modem.cier[2]:
            modem.held.append(f"+CIEV:1,{1 if modem.network else 0}")
    return True


def system_time(modem, _command):
    ticks = int(modem.timebase.now() / 0.09) & 0xFFFFFFFF
    modem.say(f"-MSSTM: {ticks:08x}" if modem.network else "-MSSTM: no network service")
    return True


def ring_cause(modem, _command):
    modem.say(f"+CRIS:000,{1 if modem.ring_flag else 0:03d}")
    return True


# --- buffers ----------------------------------------------------------------------------------------------------

def write_binary(modem, command):
    try:
        n = int(command.argument)
    except ValueError:
        return False
    if command.operator != "=":
        return False
    if not 1 <= n <= modem.mo_max:
        modem.judge.violation("mo-over-the-limit", f"+SBDWB={n} on a modem that takes 1 to {modem.mo_max}")
        modem.say("3")
        return True

    def ready():
        if modem.mode == "busy":
            modem.begin_write(n)
    modem.timebase.later(modem.rng.choice([0.05, 0.1, 0.3, 2]), ready)
    return LATER


def write_text(modem, command):
    modem.judge.violation("text-for-data", "+SBDWT cannot carry every byte")
    if command.operator != "=" or len(command.argument) > 120:
        return False
    modem.mo, modem.mo_sent = command.argument.encode(), False
    return True


def read_binary(modem, _command):
    modem.say_blob(modem.mt if modem.mt is not None else b"")
    return LATER


def read_text(modem, _command):
    modem.judge.violation("text-for-data", "+SBDRT has no certain end")
    modem.port.write(b"\r\n+SBDRT:\r" + (modem.mt or b""))
    return True


def clear(modem, command):
    if command.argument not in ("0", "1", "2"):
        return False
    if command.argument in ("0", "2"):
        modem.mo, modem.mo_sent = None, False
    if command.argument in ("1", "2"):
        if modem.mt is not None and not modem.mt_read:
            modem.judge.violation("mt-unread", "the MT buffer cleared with an unread message in it")
            modem.ledger.counts["mt_lost"] += 1
        modem.mt, modem.mt_read, modem.mtmsn = None, False, -1
    modem.say("0")
    return True


def copy_to_mt(modem, _command):
    size = len(modem.mo or b"")
    modem.mt, modem.mt_read = (modem.mo, False) if modem.mo else (None, False)
    modem.say(f"SBDTC: Outbound SBD copied to Inbound SBD: size = {size}")
    return True


def clear_momsn(modem, _command):
    modem.judge.violation("clears-momsn", "+SBDC: MOMSN is what messages are told apart by")
    modem.momsn = 0
    modem.say("0")
    return True


def buffers(modem, command):
    momsn = modem.momsn if modem.quirks["momsn_shown"] == "next" else (modem.momsn - 1) & 0xFFFF
    fields = [int(modem.mo is not None), momsn, int(modem.mt is not None), modem.mtmsn]
    if command.name == "+SBDSX":
        fields += [int(modem.ring_flag), modem.waiting]
        if modem.ring_flag or modem.waiting:
            modem.judge.mail_told()
    modem.say(f"{command.name}: " + ", ".join(map(str, fields)))
    modem.judge.momsn_told()
    return True


# --- the network ------------------------------------------------------------------------------------------------

def alerts(modem, command):
    if command.operator == "?":
        modem.say(f"+SBDMTA:{modem.mta}")
        return True
    if command.argument not in ("0", "1"):
        return False
    modem.mta = int(command.argument)
    return True


def session_timeout(modem, command):
    if command.operator == "?":
        modem.say(f"+SBDST:{modem.session_timeout}")
        return True
    if not command.argument.isdigit():
        return False
    modem.session_timeout = int(command.argument)
    return True


def auto_registration(modem, command):
    if command.operator == "?":
        modem.say(f"+SBDAREG:{modem.areg}")
        return True
    if command.argument not in ("0", "1", "2"):
        return False
    modem.areg = int(command.argument)
    return True


def short_code(modem, command):
    if command.operator == "?":
        modem.say("+SBDDSC:0")
    elif command.argument != "0":
        modem.judge.violation("short-code", "+SBDDSC other than 0")
    return True


def old_session(modem, _command):
    """+SBDI: other codes, and ring alerts are lost."""
    modem.judge.violation("old-session", "+SBDI has other codes, and detaches from ring alerts")
    modem.attached = False
    modem.say(f"+SBDI:0,{modem.momsn},0,-1,0,0")
    return True


def session(modem, command):
    if command.operator not in ("", "=") or (command.operator == "=" and not LOCATION.match(command.argument)):
        return False
    modem.begin_session(command.name, command.name == "+SBDIXA")
    return LATER


def registration(modem, command):
    if command.operator == "?":
        modem.say(f"+SBDREG:{2 if modem.attached else 0}")
        return True
    modem.begin_session("+SBDREG", False)
    return LATER


def detach(modem, _command):
    modem.attached = False
    modem.say("+SBDDET:0,0")
    return True


def traffic_management(modem, _command):
    left = modem_session.traffic_left(modem)

    def answer():
        if modem.mode == "busy":
            modem.say(f"+SBDLOE:0,{left}")
            modem.judge.traffic_told(left)
            modem.result("OK")
    modem.timebase.later(modem.rng.uniform(0, 10), answer)
    return LATER


def locked(modem, _command):
    modem.say("+CULK:0")
    return True


TABLE = {
    "E": setting((0, 1)), "V": setting((0, 1)), "Q": setting((0, 1)), "X": nothing, "S": nothing, "H": nothing, "L": nothing,
    "M": nothing, "Z": reset, "&F": reset, "&K": setting((0, 3)), "&D": setting((0, 1, 2, 3)), "&C": nothing, "&R": nothing,
    "&S": nothing, "&V": nothing, "&W": store_profile, "&Y": store_profile, "*F": flush_and_sleep, "*R": radio,
    "+IPR": change_speed,
    "I": identify(lambda m: [m.model_name]),
    "+CGMI": identify(lambda m: ["Iridium"]), "+GMI": identify(lambda m: ["Iridium"]),
    "+CGMM": identify(lambda m: [m.model_name]), "+GMM": identify(lambda m: [m.model_name]),
    "+CGSN": identify(lambda m: [m.imei]), "+GSN": identify(lambda m: [m.imei]),
    "+CGMR": identify(lambda m: ["Call Processor Version: TA16005", "Modem DSP Version: 1.7 svn: 2358",
                                 "DBB Version: 0x0001", "RFA Version: 0x0007"]),
    "+GMR": identify(lambda m: ["Call Processor Version: TA16005"]),
    "+CSQ": signal_quality, "+CSQF": signal_quality, "+CIER": indicators, "+CRIS": ring_cause, "+CULK": locked,
    "-MSSTM": system_time, "+SBDWB": write_binary, "+SBDWT": write_text, "+SBDRB": read_binary, "+SBDRT": read_text,
    "+SBDD": clear, "+SBDTC": copy_to_mt, "+SBDC": clear_momsn, "+SBDS": buffers, "+SBDSX": buffers, "+SBDMTA": alerts,
    "+SBDST": session_timeout, "+SBDAREG": auto_registration, "+SBDDSC": short_code, "+SBDI": old_session, "+SBDIX": session,
    "+SBDIXA": session, "+SBDREG": registration, "+SBDDET": detach, "+SBDLOE": traffic_management,
}
