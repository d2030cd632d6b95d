"""The module `machine` of a fake RP2040 or ESP32. Runs under MicroPython."""

longest_wdt = 8388  # ms, of an RP2040
wdt = None
timer = None
mem32 = {}


def unique_id():
    return b"\xe6\x61\xa4\xd1\x76\x31\x2f\x2b"


def reset():
    raise SystemExit(42)


class Pin:
    OUT = 1

    def __init__(self, name, mode):
        self._value = 0

    def value(self, value=None):
        if value is None:
            return self._value
        self._value = value


class ADC:
    CORE_TEMP = 4

    def __init__(self, channel):
        pass

    def read_u16(self):
        return 14021  # 0.706 V, which is 27 degrees


class WDT:
    def __init__(self, id=0, timeout=5000):
        global wdt
        if timeout > longest_wdt:
            raise ValueError("timeout exceeds " + str(longest_wdt))
        self.fed = 0
        self.timeout = timeout
        wdt = self

    def feed(self):
        self.fed += 1


class Timer:
    PERIODIC = 1

    def __init__(self, id, period, mode, callback):
        global timer
        self.period = period
        self.callback = callback
        timer = self

    def deinit(self):
        self.callback = None
