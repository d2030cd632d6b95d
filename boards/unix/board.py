"""This computer as a board: the unix port of MicroPython in a folder that stands for the flash.

The network is the computer's own, so the link is up from the first step. SIGTERM raises KeyboardInterrupt, as Ctrl-C
does, in `link.step()`.
"""

import hashlib
import math
import os
import sys
import time

try:
    import ffi  # not in every build
except ImportError:
    ffi = None

NAME = "unix"
_REBOOT = 42  # exit code: whoever started this board is asked to start it again
_SIGTERM = 15


class Link:
    """The computer's network: nothing to bring up."""

    def __init__(self):
        self.errors = 0
        self.on_error = print
        self._up = False

    def step(self, now):
        """Advance; `now` is time.ticks_ms(). Raises KeyboardInterrupt after a SIGTERM."""
        self._up = True
        if _termination:
            _termination.check()

    def isconnected(self):
        """True from the first step on."""
        return self._up

    def restart(self):
        """The computer's network is not ours to restart."""

    def info(self):
        """Return what is known about the link."""
        return {"ip": "127.0.0.1", "mac": None, "resets": 0}


class Led:
    """An LED that exists as a number only."""

    def __init__(self):
        self._value = 0

    def value(self, value=None):
        """Return whether it is lit (0, 1), or set it."""
        if value is None:
            return self._value
        self._value = int(bool(value))


class Watchdog:
    """Ends the process by SIGALRM when `feed()` was not called for `ms`, rounded up to seconds."""

    def __init__(self, ms):
        self._seconds = (ms + 999) // 1000
        self._alarm = ffi.open(None).func("I", "alarm", "I") if ffi else lambda seconds: 0
        self.feed()

    def feed(self):
        """Tell that the program is alive."""
        self._alarm(self._seconds)

    def stop(self):
        """Disarm."""
        self._alarm(0)


class Termination:
    """SIGTERM, held back and asked for once a step: nothing of the program is interrupted half-way."""

    def __init__(self):
        libc = ffi.open(None)
        self._signals = bytearray(128)  # a sigset_t
        self._pending = libc.func("i", "sigpending", "p")
        self._is_member = libc.func("i", "sigismember", "pi")
        libc.func("i", "sigemptyset", "p")(self._signals)
        libc.func("i", "sigaddset", "pi")(self._signals, _SIGTERM)
        block = 1 if sys.platform == "darwin" else 0
        libc.func("i", "sigprocmask", "ipp")(block, self._signals, None)

    def check(self):
        """Raise KeyboardInterrupt when the signal has come."""
        self._pending(self._signals)
        if self._is_member(self._signals, _SIGTERM):
            raise KeyboardInterrupt


led = Led()
_termination = Termination() if ffi else None  # without ffi SIGTERM ends the process at once


def link(config):
    """Return the link; config["network"] has no meaning here."""
    return Link()


def unique_id():
    """Return six bytes that stay the same for this folder, as a chip's number does for a board."""
    return hashlib.sha256(os.getcwd().encode()).digest()[:6]


def sensors():
    """Return the computer's temperature in degrees Celsius; where it shows none, a slow wave that is made up."""
    try:
        with open("/sys/class/thermal/thermal_zone0/temp") as file:
            return {"temperature": round(int(file.read()) / 1000, 1)}
    except (OSError, ValueError):
        return {"temperature": round(22.5 + 2.5 * math.sin(time.time() / 60), 1)}


def watchdog(ms):
    """Arm the watchdog; returns an object with feed() and stop()."""
    return Watchdog(ms)


def reset():
    """End the process with exit code 42."""
    sys.exit(_REBOOT)
