"""The emulator's seconds: all its times are those of a real modem, times `scale`."""
import asyncio

LAG_TICK_S = 0.05
LAG_EXCUSES_S = 0.25   # real seconds of being late that make a measured time worthless
LAG_REMEMBERED_S = 5.0


class Timebase:
    """now() counts emulated seconds; later() and passes() wait for them. On a loaded machine the emulator itself may be
    served late: starved() says so, and then nobody is accused of having been hasty."""

    def __init__(self, loop, scale):
        self.loop, self.scale = loop, scale
        self._start = loop.time()
        self._skipped = 0.0
        self._late_at = None
        self._expected = loop.time()
        self._tick()

    def _tick(self):
        now = self.loop.time()
        if now - self._expected > LAG_EXCUSES_S:
            self._late_at = now
        self._expected = now + LAG_TICK_S
        self.loop.call_later(LAG_TICK_S, self._tick)

    def starved(self):
        now = self.loop.time()
        if now - self._expected > LAG_EXCUSES_S:
            self._late_at = now
        return self._late_at is not None and now - self._late_at < LAG_REMEMBERED_S

    def real(self):
        return self.loop.time()

    def now(self):
        return (self.loop.time() - self._start) / self.scale + self._skipped

    def skip(self, seconds):
        """Days pass at once: what has a lifetime grows old. Timers that run are not shortened."""
        self._skipped += seconds

    def later(self, seconds, function, *args):
        return self.loop.call_later(max(0.0, seconds) * self.scale, function, *args)

    async def passes(self, seconds):
        """Returns when so much time has gone by."""
        done = asyncio.Event()
        self.later(seconds, done.set)
        await done.wait()
