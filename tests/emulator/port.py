"""A serial port made of a pty: what the host plugs into, with all that can be wrong with a line.

Packet mode (TIOCPKT) lets the master see that the host flushed its side, which it does on opening: so an end of one
process and the start of the next are seen even when they come between two looks."""
import fcntl
import os
import select
import struct
import termios
import tty

TIOCPKT = 0x5420
FLUSHED = 0x03  # TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE
LOOK_S = 0.01   # real seconds between two looks whether somebody has opened the port

SPEEDS = {baud: getattr(termios, f"B{baud}") for baud in (300, 600, 1200, 2400, 4800, 9600, 19200, 38400)}


class Port:
    """on_bytes(data, garbled), on_open() and on_close() are the modem's. `style` is how what we say is cut into writes:
    whole, dribble (a byte a time) or pieces; coalesce waits so that several lines come at once."""

    def __init__(self, timebase, rng, path, log):
        self.timebase, self.rng, self.path, self.log = timebase, rng, path, log
        self.on_bytes = self.on_open = self.on_close = lambda *_: None
        self.baud = 19200
        self.paced = False
        self.style = "whole"
        self.reading = True
        self.bytes_in = self.bytes_out = 0
        self.opened = False
        self.opens = 0
        self._master = None
        self._out = bytearray()
        self._pump_timer = None
        self._look_timer = None
        self._drained = []

    # --- the plug ------------------------------------------------------------------------------------------

    def plug(self, path=None):
        """The port appears, under another name if one is given."""
        self.unplug()
        if path:
            self.path = path
        self._master, slave = os.openpty()
        tty.setraw(self._master)
        attributes = termios.tcgetattr(self._master)
        attributes[4] = attributes[5] = SPEEDS[19200]
        termios.tcsetattr(self._master, termios.TCSANOW, attributes)
        fcntl.ioctl(self._master, TIOCPKT, struct.pack("i", 1))
        os.set_blocking(self._master, False)
        link = self.path + ".new"
        os.symlink(os.ttyname(slave), link)
        os.replace(link, self.path)
        os.close(slave)
        self._look()

    def unplug(self):
        """Gone, with all that was on its way."""
        if self._master is None:
            return
        for timer in (self._look_timer, self._pump_timer):
            if timer:
                timer.cancel()
        self._pump_timer = self._look_timer = None
        self.timebase.loop.remove_reader(self._master)
        os.close(self._master)
        self._master = None
        self._out.clear()
        self._tell_drained()
        if os.path.islink(self.path):
            os.unlink(self.path)
        self._closed()

    def plugged(self):
        return self._master is not None

    def _look(self):
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        state = dict(poll.poll(0)).get(self._master, 0)
        if state & select.POLLIN or not state & select.POLLHUP:
            self._opened()
            self.timebase.loop.add_reader(self._master, self._readable)
            self._look_timer = None
        else:
            self._look_timer = self.timebase.loop.call_later(LOOK_S, self._look)

    def _opened(self):
        if not self.opened:
            self.opened = True
            self.opens += 1
            self.on_open()

    def _closed(self):
        if self.opened:
            self.opened = False
            self._out.clear()  # nobody listens
            self._tell_drained()
            self.on_close()

    # --- bytes ---------------------------------------------------------------------------------------------

    def host_speed_is_ours(self):
        return termios.tcgetattr(self._master)[4] == SPEEDS[self.baud]

    def host_speed(self):
        speed = termios.tcgetattr(self._master)[4]
        return next((baud for baud, constant in SPEEDS.items() if constant == speed), 0)

    def pause(self, paused):
        """A modem that does not read: the host's writes pile up until EAGAIN."""
        self.reading = not paused
        if self._master is not None and self.opened:
            if paused:
                self.timebase.loop.remove_reader(self._master)
            else:
                self.timebase.loop.add_reader(self._master, self._readable)

    def _readable(self):
        master = self._master
        try:
            packet = os.read(master, 4096)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last of the host's descriptors is closed
            self.timebase.loop.remove_reader(master)
            self._closed()
            self._look_timer = self.timebase.loop.call_later(LOOK_S, self._look)
            return
        if packet[0] != 0:
            if packet[0] & FLUSHED:
                self.opens += 1
            return
        data = packet[1:]
        self.bytes_in += len(data)
        if not self.host_speed_is_ours():
            self.on_bytes(bytes(self.rng.randrange(256) for _ in range(max(1, len(data) // 2))), True)
            return
        self.on_bytes(data, False)

    def write(self, data):
        if self._master is None or not self.opened:
            return
        self._out += data
        if self._pump_timer is None:
            wait = 0.03 if self.style == "coalesce" else 0
            self._pump_timer = self.timebase.loop.call_later(wait, self._pump)
            if wait == 0 and self.style == "whole" and not self.paced:
                self._pump_timer.cancel()
                self._pump()

    def forget(self):
        """The modem lost power: what it had not said is not said."""
        self._out.clear()

    def pending(self):
        return len(self._out) > 0

    def when_drained(self, function):
        """Calls it when all that was written has left."""
        if self._out:
            self._drained.append(function)
        else:
            function()

    def _tell_drained(self):
        waiting, self._drained = self._drained, []
        for function in waiting:
            function()

    def _pump(self):
        self._pump_timer = None
        if not self._out:
            self._tell_drained()
            return
        n = {"dribble": 1, "pieces": self.rng.randint(1, 40)}.get(self.style, len(self._out))
        if self.paced:
            n = min(n, 32)
        piece = bytes(self._out[:n])
        if not self.host_speed_is_ours():
            piece = bytes(self.rng.randrange(256) for _ in piece)
        try:
            written = os.write(self._master, piece)
        except BlockingIOError:
            written = 0
        except OSError:
            self._out.clear()
            return
        del self._out[:written]
        self.bytes_out += written
        if self._out:
            wait = written * 10 / self.baud * self.timebase.scale if self.paced and written else 0 if written else 0.01
            self._pump_timer = self.timebase.loop.call_later(wait, self._pump)
        else:
            self._tell_drained()
