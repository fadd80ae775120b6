"""An Iridium 9602, 9603 or 9522B at the end of a serial line: command mode, buffers, settings, power.

The port modes of the facts are `mode`: off, boot, dead (after AT*F), command, busy (a command is under way), write (SBD data
come in), read (SBD data go out), session. What may be said unasked in which mode is decided in unasked()."""
import at_command
import modem_commands
import modem_session

MODELS = {  # name: (largest MO, largest MT, +CGMM)
    "9602": (340, 270, "IRIDIUM 9600 Family SBD Transceiver"),
    "9603": (340, 270, "IRIDIUM 9600 Family SBD Transceiver"),
    "9522B": (1960, 1890, "9522B"),
}
PROFILE = {"E": 1, "V": 1, "Q": 0, "&K": 3, "&D": 2}
OK, ERROR = "OK", "ERROR"
NUMERIC = {"OK": "0", "ERROR": "4"}
WRITE_TIMEOUT_S = 60


class Modem:
    def __init__(self, timebase, rng, port, account, judge, ledger, chaos, log, imei, model="9602", quirks=None,
                 profile=None, session_s=(5, 20)):
        self.timebase, self.rng, self.port, self.account = timebase, rng, port, account
        self.judge, self.ledger, self.chaos, self.log = judge, ledger, chaos, log
        self.imei, self.model = imei, model
        self.mo_max, self.mt_max, self.model_name = MODELS[model]
        self.quirks = quirks
        self.stored_profile = {**PROFILE, **(profile or {})}
        self.session_s = session_s
        self.network = True          # a satellite is in view
        self.signal = 4
        self.csq = ""                # "": prompt; slow: 20 s; error
        self.hardware_failure = ""   # told at the end of the self-test
        self.three_wire = False      # RTS is not connected: with &K3 the data phases stall
        self.deaf_after_open_s = 0   # with &D2 and DTR seen off
        self.deaf_until = 0.0
        self.leftovers = b""         # what another program left on the line, heard at the next opening
        self.eol = "\r\n"            # around a line; some ends of cables leave a CR alone
        self.broken = ""             # every command is answered by HARDWARE FAILURE and this
        self.damages = []            # of the next answers to +SBDRB: sum, short, long, over, cut
        self.traps = []              # see trap()
        # Survives power loss.
        self.momsn = 0
        self.ring_flag = False
        self.traffic_until = 0.0
        self.registered_at = None
        self.attached = False
        self._power_task = None
        self.session_task = None
        self._deadline = None
        self.mode = "off"
        self._volatile()
        port.on_bytes, port.on_open, port.on_close = self._bytes, self._opened, self._closed
        account.modem = self

    def _volatile(self):
        self.settings = dict(self.stored_profile)
        self.mo = None
        self.mo_sent = False         # unchanged since a session carried it
        self.mt = None
        self.mt_read = False
        self.mtmsn = -1
        self.waiting = 0
        self.mta = self.quirks["mta_default"]
        self.session_timeout = 0
        self.cier = (0, 0, 0)
        self.areg = 0
        self.radio = True
        self.line = bytearray()
        self.last_line = ""
        self.lf_behind = False       # behind the CR of +SBDWB: the first byte of what is written
        self.held = []               # unsolicited lines that wait for command mode
        self.network_told = False

    # --- power ---------------------------------------------------------------------------------------------

    def power_on(self, boot_s=None):
        if self.mode != "off":
            return
        self._volatile()
        self.mode = "boot"
        boot_s = boot_s if boot_s is not None else self.rng.uniform(2, 10)
        self._power_task = self.timebase.later(boot_s, self._booted)

    def _booted(self):
        self.mode = "command"
        if self.hardware_failure:
            self.unasked(f"HARDWARE FAILURE: {self.hardware_failure}")

    def power_off(self):
        """At any instant: the buffers are gone, and whatever was being said ends."""
        for timer in (self._power_task, self._deadline):
            if timer:
                timer.cancel()
        if self.session_task:
            self.session_task.cancel()
            self.session_task = None
        self.mode = "off"
        self.port.forget()
        if self.mt is not None and not self.mt_read:
            self.ledger.counts["mt_lost_by_power"] += 1
        self._volatile()

    def power_cycle(self, off_s=3.0):
        self.power_off()
        self.timebase.later(off_s, self.power_on)

    def alive(self):
        return self.mode not in ("off", "boot", "dead")

    def trap(self, place):
        """Has a test laid a trap [place, act] here? Then the power or the port goes now. Return: it has."""
        for trap in self.traps:
            if trap[0] == place:
                self.traps.remove(trap)
                self.ledger.faults[f"{trap[1]} lost at {place}"] += 1
                self.log(f"trap at {place}: {trap[1]}")
                if trap[1] == "power":
                    self.power_cycle(self.rng.uniform(2, 8))
                else:
                    self.port.unplug()
                    self.timebase.later(self.rng.uniform(2, 20), lambda: self.port.plugged() or self.port.plug())
                return True
        return False

    # --- what is said --------------------------------------------------------------------------------------

    def _crlf(self, text):
        lead = "\r\n" if self.eol == "\r\n" else ""
        return (lead + text + self.eol).encode()

    def say(self, text):
        """An information line."""
        if self.chaos.garbage():
            self.ledger.faults["garbage"] += 1
            self.port.write(bytes(self.rng.choice(b"\x00\xff\xfe~U\x1b[") for _ in range(self.rng.randint(1, 12))))
        if self.chaos.line():
            self._something_unasked()
        self.port.write(self._crlf(text) if self.settings["V"] else text.encode() + b"\r\n")

    def result(self, code):
        """The final result of a command line; then the modem is ready for the next."""
        if self.chaos.line():
            self._something_unasked()
        if not self.settings["Q"]:
            self.port.write(self._crlf(code) if self.settings["V"] else NUMERIC[code].encode() + b"\r")
        self.mode = "command"
        self._release()

    def unasked(self, text):
        """A line that nobody asked for: at once where the mode allows it, else when it does again."""
        if not self.alive():
            return
        if self.mode in ("command", "session"):
            self._write_unasked(text)
        else:
            self.held.append(text)

    def _write_unasked(self, text):
        if text == "SBDRING":
            self.judge.mail_told()
        self.network_told |= text.startswith("+CIEV:1,1")
        glued = self.quirks["glued"] and self.rng.random() < 0.5
        self.port.write(text.encode() + b"\r\n" if glued else self._crlf(text))

    def _release(self):
        held, self.held = self.held, []
        for text in held:
            self._write_unasked(text)

    def _something_unasked(self):
        """What this modem's settings let it say at any time, sometimes twice."""
        choices = []
        if self.mta:
            choices.append("SBDRING")
        if self.cier[0] and self.cier[1]:
            choices.append(f"+CIEV:0,{self.rng.randint(0, 5)}")
        if self.cier[0] and self.cier[2]:
            choices += ["+CIEV:1,0", "+CIEV:1,1"] if self.network else ["+CIEV:1,0"]
        if self.areg:
            choices.append("+AREG:1,0")
        if choices:
            self.ledger.faults["unasked line"] += 1
            for _ in range(self.rng.choice([1, 1, 2])):
                self._write_unasked(self.rng.choice(choices))

    def ring(self):
        """The network alerts us. Seen only where a satellite is."""
        if not self.alive() or not self.network or not self.radio:
            self.ledger.counts["rings_missed"] += 1
            return
        self.ring_flag = True
        self.ledger.counts["rings"] += 1
        if self.mta:
            self.unasked("SBDRING")

    def set_network(self, present, signal=None):
        self.network = present
        self.signal = signal if signal is not None else (4 if present else 0)
        if not present:
            self.network_told = False
        mode, signal_wanted, service_wanted = self.cier
        if mode and signal_wanted:
            self.unasked(f"+CIEV:0,{self.signal}")
        if mode and service_wanted:
            self.unasked(f"+CIEV:1,{1 if present else 0}")

    # --- what is heard -------------------------------------------------------------------------------------

    def _opened(self):
        self.deaf_until = self.timebase.now() + (self.deaf_after_open_s if self.settings["&D"] == 2 else 0)
        if self.leftovers:
            leftovers, self.leftovers = self.leftovers, b""
            self.port.write(leftovers)

    def _closed(self):
        self.judge.reopened()

    def _bytes(self, data, garbled):
        at = 0
        while at < len(data):
            if self.mode == "write":
                at += self._write_bytes(data[at:], garbled)
                continue
            if self.mode == "session":
                self._bytes_in_session(data[at:], garbled)
                return
            if self.mode == "read":
                return
            self._command_byte(data[at], garbled)
            at += 1

    def _command_byte(self, byte, garbled):
        byte &= 0x7F
        if not self.alive() or self.timebase.now() < self.deaf_until:
            if byte == 0x0D and not garbled and not self.timebase.starved():
                self.judge.line_while_deaf()
            return
        if self.settings["E"]:
            self.port.write(bytes([byte]))
        if self.mode == "busy":
            self.lf_behind |= byte == 0x0A and "+SBDWB" in self.last_line
            return  # typed too early: echoed, and lost, but for the LF of a host that ends its lines in CR LF
        if byte == 0x0D:
            line, self.line = self.line.decode("ascii", "replace"), bytearray()
            self._line(line)
        elif byte == 0x08:
            del self.line[-1:]
        elif byte >= 0x20:
            self.line.append(byte)
            if bytes(self.line[-2:]) in (b"A/", b"a/") and len(self.line) == 2:
                self.line = bytearray()
                self._line(self.last_line)

    def _bytes_in_session(self, data, garbled):
        if not garbled:
            self.judge.bytes_in_session(data, self.timebase.now() - self.session_began,
                                        self.port.opens == self.session_opening)

    def _line(self, line):
        self.last_line = line
        self.lf_behind = False
        if self.trap(line):
            self.mode = "off" if self.mode == "off" else "command"
            return
        if self.chaos.power():
            self.ledger.faults["power lost at a command"] += 1
            self.log(f"power lost at {line!r}")
            self.power_cycle(self.rng.uniform(2, 8))
            return
        try:
            commands = at_command.parse(line)
        except at_command.Ignored:
            return
        except at_command.Malformed as why:
            self.ledger.counts["errors"] += 1
            self.log(f"ERROR: {why}")
            commands = None
        if commands is not None and len(commands) > 1 and any(c.name.startswith("+SBD") for c in commands):
            self.judge.violation("sbd-concatenated", f"{line!r}: +SBD commands go one on a line")
        self.log(f"> {line}")
        self.mode = "busy"
        self.timebase.later(self.rng.uniform(0, 0.3), self._execute, commands, self.port.opens)

    def _execute(self, commands, opening):
        if self.mode != "busy":
            return
        if self.broken:
            self.port.write(self._crlf(f"HARDWARE FAILURE: {self.broken}"))
            self.mode = "command"
            return
        if commands is None:
            self.result(ERROR)
            return
        for command in commands:
            handled = modem_commands.run(self, command)
            if handled is modem_commands.LATER:
                return  # it answers by itself
            if not handled:
                self.result(ERROR)
                return
        self.result(OK)

    # --- binary writes -------------------------------------------------------------------------------------

    def begin_write(self, n):
        self.write_size = n
        self.write_buffer = bytearray(b"\n" if self.lf_behind else b"")
        self.write_garbled = False
        self.mode = "write"
        if not self.chaos.ready_lost():
            self.port.write(b"READY\r\n" if self.quirks["ready_bare"] else self._crlf("READY"))
        else:
            self.ledger.faults["READY lost"] += 1
        self._deadline = self.timebase.later(WRITE_TIMEOUT_S, self._write_timeout)

    def _write_bytes(self, data, garbled):
        if self.three_wire and self.settings["&K"] == 3:
            return len(data)  # CTS never rises: the host's bytes do not come
        if self.trap("write"):
            return len(data)
        wanted = self.write_size + 2 - len(self.write_buffer)
        self.write_buffer += data[:wanted]
        self.write_garbled |= garbled
        if len(self.write_buffer) == self.write_size + 2:
            self._deadline.cancel()
            self.mode = "busy"
            self.timebase.later(self.rng.uniform(0, 0.2), self._write_done)
        return min(wanted, len(data))

    def _write_done(self):
        if self.mode != "busy":
            return
        payload, tail = bytes(self.write_buffer[:-2]), bytes(self.write_buffer[-2:])
        if sum(payload) & 0xFFFF != int.from_bytes(tail, "big"):
            if not self.write_garbled:
                self.judge.checksum_wrong()
            self.log("MO checksum wrong")
            self.say("2")
        else:
            self.judge.checksum_right()
            self.judge.stored(payload)
            self.mo, self.mo_sent = payload, False
            self.log(f"MO {len(payload)} bytes stored")
            self.say("0")
        self.result(OK)

    def _write_timeout(self):
        if self.mode != "write":
            return
        self.mode = "busy"
        self.ledger.counts["write_timeouts"] += 1
        self.say("1")
        if self.quirks["ok_after_timeout"]:
            self.result(OK)
        else:
            self.mode = "command"
            self._release()

    def say_blob(self, data):
        """+SBDRB's answer: no CR LF before it."""
        if self.three_wire and self.settings["&K"] == 3:
            self.mode = "busy"
            self.timebase.later(WRITE_TIMEOUT_S, self.result, ERROR)
            return
        self.mode = "read"
        damage = self.damages.pop(0) if self.damages and data else ""
        trapped = any(place == "read" for place, _ in self.traps)
        length = {"short": len(data) - 1, "long": len(data) + 1, "over": 0x0A0D}.get(damage, len(data))
        blob = length.to_bytes(2, "big") + data + (sum(data) + (damage == "sum") & 0xFFFF).to_bytes(2, "big")
        if damage:
            self.ledger.faults[f"MT {damage}"] += 1
        self.port.write(blob[:len(blob) // 2] if trapped or damage == "cut" else blob)

        def out():
            if trapped:
                self.trap("read")
                self.mode = "off" if self.mode == "off" else "command"
            elif self.mode == "read":
                self.mode = "busy"
                self.timebase.later(self.rng.uniform(0, 0.1), self._blob_said, not damage)
        self.port.when_drained(out)

    def _blob_said(self, whole):
        if self.mode == "busy":
            self.mt_read |= whole and self.port.opened
            self.result(OK)

    def begin_session(self, kind, answering):
        self.session_task = self.timebase.loop.create_task(modem_session.run(self, kind, answering))
