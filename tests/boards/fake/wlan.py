"""WLAN interfaces as the ESP32 port and the Pico W have them, traps included. Run under MicroPython.

A test turns the knobs: `reach` (the networks in reach: {ssid: password}), `hangs`, `wedged`, `no_dhcp`, `raises`.
"""

import world

_JOIN_MS = 2000


class Wlan:
    """What both ports have in common."""

    IF_STA = 0
    PM_NONE = "none"
    IDLE = CONNECTING = GOT_IP = NO_AP_FOUND = WRONG_PASSWORD = None

    def __init__(self):
        self.reach = {}
        self.hangs = 0  # so many joins never end
        self.wedged = False  # every join fails until the interface is started again
        self.no_dhcp = 0  # so many joins get no address
        self.raises = []  # what the next connect() calls raise
        self.connects = []  # the ssid of each connect()
        self.country_at_start = None
        self.hostname_at_connect = None
        self.pm = "performance"
        self.up = False
        self.state = self.IDLE
        self.ssid = self.key = None
        self._done = None  # when the join under way ends; None: none is
        self._address = None
        self.globals = {"country": "XX", "hostname": "mpy"}

    def lose(self):
        """The access point goes away for a moment or for ever: also take it out of `reach` for the latter."""
        self.state = self.IDLE
        self._done = None

    def run(self):
        """Bring a join under way to the present."""
        while self._done is not None and self._done <= world.now:
            self._done = None
            self._end_of_join()

    def _begin_join(self, when):
        self._done = when + _JOIN_MS
        if self.hangs:
            self.hangs -= 1
            self._done = when + 10**9

    def _result(self):
        if self.wedged or self.ssid not in self.reach:
            return self.NO_AP_FOUND
        return self.GOT_IP if self.reach[self.ssid] == self.key else self.WRONG_PASSWORD

    def active(self, on=None):
        if on is None:
            return self.up
        if on and not self.up:
            self.country_at_start = self.globals["country"]
        if not on:
            self.wedged = False
            self._address = None  # a static one is forgotten
            self.disconnect()
        self.up = bool(on)

    def connect(self, ssid=None, key=None):
        if self.raises:
            raise self.raises.pop(0)
        if not self.up:
            raise OSError("Wifi Not Started")
        self.run()
        self._check_connect()
        self.connects.append(ssid)
        self.hostname_at_connect = self.globals["hostname"]
        self.ssid, self.key = ssid, key
        self.state = self.CONNECTING
        self._begin_join(world.now)

    def _check_connect(self):
        pass

    def disconnect(self):
        self.state = self.IDLE
        self._done = None

    def isconnected(self):
        self.run()
        return self.up and self.state == self.GOT_IP

    def status(self, what=None):
        self.run()
        return -61 if what == "rssi" else self.state

    def config(self, *query, **settings):
        if query:
            return b"\x02\x00\x00\x00\x00\x02"
        self.pm = settings["pm"]

    def ifconfig(self, value=None):
        if value is not None:
            self._address = tuple(value)
        joined = self.state == self.GOT_IP
        if not self.up:
            return ("0.0.0.0",) * 4
        return self._address or ("10.0.0.88" if joined else "0.0.0.0", "255.255.255.0", "10.0.0.1", "10.0.0.1")


class Esp32(Wlan):
    """Joins again by itself, for ever, once connect() was called; connect() meanwhile raises."""

    IDLE, CONNECTING, GOT_IP, NO_AP_FOUND, WRONG_PASSWORD = 1000, 1001, 1010, 201, 202
    CONNECT_FAIL = 203

    def lose(self):
        super().lose()
        self._begin_join(world.now)

    def _end_of_join(self):
        self.state = self._result()
        if self.state != self.GOT_IP:
            self._begin_join(world.now)  # no answer is final

    def _check_connect(self):
        if self._done is not None:
            raise OSError("Wifi Internal Error")

    def boot_connecting(self, ssid, key):
        """The state after a restart of the program alone: the firmware is joining by itself."""
        self.ssid, self.key = ssid, key
        self.state = self.CONNECTING
        self._begin_join(world.now)


class PicoW(Wlan):
    """Tries once for each connect(). Status 2, which has no name, is "joined, no address yet"."""

    IDLE, CONNECTING, GOT_IP, NO_AP_FOUND, WRONG_PASSWORD = 0, 1, 3, -2, -3
    CONNECT_FAIL = -1
    JOINED = 2

    def _end_of_join(self):
        if self.state == self.JOINED:
            self.state = self.GOT_IP
            return
        self.state = self._result()
        if self.state == self.GOT_IP:
            self.state = self.JOINED
            if self.no_dhcp:
                self.no_dhcp -= 1
            else:
                self._begin_join(world.now)
