"""A board's clock in the place of this computer's: ticks that wrap soon, and a time of day that jumps by years.

install() puts it where `import time` finds it. asyncio keeps the computer's clock, whose period its C part has.
"""

import sys
import time

_PERIOD = 1 << 30  # of the ticks of a 32-bit board
_JUMPS = (0, 946684800, 1609459200, 1735689600, 2145916800, 4070908800)  # 1970, 2000, 2021, 2025, 2038, 2099


class _Module:
    """Stands in sys.modules."""


class BoardTime:
    """A line is printed when the ticks have wrapped."""

    def __init__(self, to_wrap):
        self._start = _PERIOD - to_wrap - time.ticks_ms()
        self._before = 0
        self._looks = 0

    def ticks_ms(self):
        """Milliseconds, modulo a board's period."""
        now = (self._start + time.ticks_ms()) % _PERIOD
        if now < self._before:
            print("the ticks have wrapped")
        self._before = now
        return now

    def ticks_add(self, ticks, delta):
        """A board's, as ticks_diff() is."""
        return (ticks + delta) % _PERIOD

    def ticks_diff(self, end, start):
        """Also over the wrap, up to half a period."""
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    def time(self):
        """Another year each time."""
        self._looks += 1
        return _JUMPS[self._looks % len(_JUMPS)]

    def gmtime(self, seconds=None):
        """Of the same time of day."""
        return time.gmtime(self.time() if seconds is None else seconds)


def install(to_wrap):
    """From now on `import time` gives this clock, whose ticks wrap in `to_wrap` ms."""
    clock = BoardTime(to_wrap)
    module = _Module()
    for name in ("ticks_ms", "ticks_add", "ticks_diff", "time", "gmtime"):
        setattr(module, name, getattr(clock, name))
    module.sleep, module.sleep_ms = time.sleep, time.sleep_ms
    sys.modules["time"] = module
