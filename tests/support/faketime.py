"""A clock that moves only when somebody waits, poll on it, and chance that is the same on both interpreters."""

from support.ports import POLLIN, POLLOUT

_PERIOD = 1 << 30  # of the ticks of a 32-bit board
_IDLE_LIMIT = 20_000
_LOOKS_PER_MS = 20  # who looks again and again without waiting uses up time all the same


class WaitsForEver(Exception):
    """The client waits, no deadline set, and nothing can happen any more. Not an OSError: nobody may swallow it."""


class Clock:
    """Milliseconds that pass when somebody waits. The ticks wrap as on a board, `to_wrap` ms after the start."""

    def __init__(self, to_wrap=500):
        self.now = 0  # ms since the start, never wraps
        self._offset = _PERIOD - to_wrap
        self._events = []
        self.polls = 0  # how often somebody has polled
        self._looks = self._since = 0

    def ticks_ms(self):
        return (self.now + self._offset) % _PERIOD

    def ticks_us(self):
        return (self.now + self._offset) * 1000 % _PERIOD

    def ticks_add(self, ticks, delta):
        return (ticks + delta) % _PERIOD

    def ticks_diff(self, end, start):
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    def sleep_ms(self, ms):
        self.wait(ms, _never)

    def sleep(self, s):
        self.wait(int(s * 1000), _never)

    def time(self):
        return self.now // 1000

    def at(self, delay, event):
        """Have `event()` called in `delay` ms."""
        when = self.now + delay
        before = len([entry for entry in self._events if entry[0] <= when])  # MicroPython's sort is not stable
        self._events.insert(before, (when, event))

    def wait(self, ms, is_over):
        """Let `ms` pass (for ever if negative), stopping when `is_over()`."""
        if not ms and self.spins():
            ms = 1
        end = self.now + ms if ms >= 0 else None
        while not is_over():
            if self._events and (end is None or self._events[0][0] <= end):
                when, event = self._events.pop(0)
                self.now = max(self.now, when)
                event()
            elif end is None:
                raise WaitsForEver("waiting without a deadline, and nothing will happen")
            else:
                self.now = end
                return

    def spins(self):
        """Somebody looks without waiting. True when so many looks have taken a millisecond."""
        self._looks = self._looks + 1 if self.now == self._since else 0
        self._since = self.now
        return self._looks > _LOOKS_PER_MS


def _never():
    return False


class Poll:
    def __init__(self, clock):
        self._clock = clock
        self._wanted = {}
        self._idle = 0

    def register(self, sock, flags=POLLIN | POLLOUT):
        self._wanted[id(sock)] = (sock, flags)

    def modify(self, sock, flags):
        self._wanted[id(sock)] = (sock, flags)

    def unregister(self, sock):
        self._wanted.pop(id(sock), None)

    def _ready(self):
        found = []
        for sock, flags in self._wanted.values():
            events = sock.ready(flags)
            if events:
                found.append((sock, events))
        return found

    def poll(self, timeout=-1):
        clock = self._clock
        clock.polls += 1
        self._idle = 0 if timeout > 0 else self._idle + 1
        if self._idle > _IDLE_LIMIT:
            raise WaitsForEver("polls again and again without waiting")
        if timeout > 0 and self._ready() and clock.spins():
            clock.sleep_ms(1)
        clock.wait(timeout, self._ready)
        return self._ready()

    def ipoll(self, timeout=-1, _flags=0):
        return iter(self.poll(timeout))


class Random:
    """A small generator of numbers that is the same on both interpreters."""

    def __init__(self, seed):
        self._state = seed * 2654435761 % (1 << 32) or 1

    def below(self, limit):
        self._state = (self._state * 1664525 + 1013904223) % (1 << 32)
        return (self._state >> 16) % limit
