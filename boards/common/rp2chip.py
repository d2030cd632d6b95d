"""What the RP2040 boards share: the chip's thermometer and the watchdog."""

import time

import machine
from micropython import const

_HARDWARE_MS = const(8388)  # the longest time the RP2040's watchdog can be set to
_CHECK_MS = const(1000)
_WATCHDOG_CTRL_CLEAR = const(0x4005B000)  # writing a bit here clears it in the register CTRL (RP2040 datasheet, 4.7.6)
_ENABLE = const(1 << 30)


def temperature():
    """Return the temperature of the chip in degrees Celsius (RP2040 datasheet, 4.9.5)."""
    volts = machine.ADC(machine.ADC.CORE_TEMP).read_u16() * 3.3 / 65535
    return round(27 - (volts - 0.706) / 0.001721, 1)


class Watchdog:
    """Resets the board when `feed()` was not called for `ms`; `ms` may be longer than the hardware's 8.4 s.

    A name server that does not answer keeps getaddrinfo() for 7 s, two of them for 14 s, and of the program only
    timers run meanwhile. So the hardware watchdog is fed by a timer, and the timer stops doing so when the program
    has not called `feed()` for `ms`. If even the timer stands still, the hardware resets after 8.4 s.
    """

    def __init__(self, ms):
        self._ms = ms
        self._fed = time.ticks_ms()
        self._hardware = machine.WDT(timeout=_HARDWARE_MS)
        self._timer = machine.Timer(-1, period=_CHECK_MS, mode=machine.Timer.PERIODIC, callback=self._check)

    def feed(self):
        """Tell that the program is alive."""
        self._fed = time.ticks_ms()

    def stop(self):
        """Disarm, so that files can be copied and the REPL be used in peace. MicroPython has no call for this."""
        self._timer.deinit()
        machine.mem32[_WATCHDOG_CTRL_CLEAR] = _ENABLE

    def _check(self, _timer):
        if time.ticks_diff(time.ticks_ms(), self._fed) < self._ms:
            self._hardware.feed()
