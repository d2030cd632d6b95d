"""A WiFi link with one or several known networks, for the ESP32 and the Pico W.

The ports differ where it hurts, so each rule here has its reason:
- The country is set before `active(True)`, the hostname before `connect()`.
- ESP32 joins again by itself after a loss, for ever, and `connect()` meanwhile raises OSError("Wifi Internal Error").
  So: wait, and only when patience ends `disconnect()` (which stops that), rest, `connect()`.
- ESP32's "wrong password" and "no access point found" are no final answers, it goes on trying; on the Pico W they are,
  and nothing happens any more until the next `connect()`. `final` names the status codes that are.
- Power saving makes boards unreachable after idle hours; it is off unless `"power_save": true`.
"""

import time

import network
from micropython import const

from link import Link

_JOIN_MS = const(20000)
_REST_MS = const(1000)  # between disconnect() and connect(), and between connect() and the first status that counts
_REST_MAX_MS = const(15000)  # after all known networks were tried
_ROUNDS_BEFORE_RESET = const(5)

_REASONS = (
    ("STAT_WRONG_PASSWORD", "wrong password"),
    ("STAT_NO_AP_FOUND", "no such network in reach"),
    ("STAT_CONNECT_FAIL", "refused by the access point"),
    ("STAT_GOT_IP", "an address, but no connection"),
    ("STAT_CONNECTING", "no answer in time"),
)


def known_networks(settings):
    """Return [(ssid, password), …] from the section `network`; raises ValueError that names the field."""
    if not settings.get("ssid"):
        raise ValueError("network.ssid: missing; put the name of your WiFi network there")
    networks = [(settings["ssid"], settings.get("password") or None)]
    for i, other in enumerate(settings.get("fallbacks") or ()):
        if not other.get("ssid"):
            raise ValueError("network.fallbacks[%d].ssid: missing" % i)
        networks.append((other["ssid"], other.get("password") or None))
    return networks


class WiFiLink(Link):
    """The link of a board with WiFi: `network.ssid` first, then `network.fallbacks` in turn, for ever."""

    def __init__(self, settings, final=()):
        """`final`: the status codes after which this port tries nothing more by itself."""
        super().__init__(settings)
        self._networks = known_networks(settings)
        self._final = final
        self._index = 0
        self._rounds = 0
        self._joining = False  # connect() was called and not undone by disconnect()

    def info(self):
        """As Link.info(), with ssid and rssi (dBm)."""
        info = super().info()
        if self._up:
            info["ssid"] = self._networks[self._index][0]
            info["rssi"] = self._ask(self._rssi)
        return info

    def _start(self):
        if self.settings.get("country"):
            network.country(self.settings["country"])
        if self.settings.get("hostname"):
            network.hostname(self.settings["hostname"])
        self.nic = network.WLAN(network.STA_IF)
        self.nic.active(True)
        if not self.settings.get("power_save"):
            self.nic.config(pm=network.WLAN.PM_NONE)
        self._set_address()
        self._joining = False
        self._rounds = 0

    def _watch(self, now, up):
        if up:
            self._joining = True
            self._rounds = 0
            return
        status = self.nic.status()
        if not self._joining:
            self._join(now, status)
        elif status in self._final or self._expired(now, _JOIN_MS):
            self._give_up(now, status)

    def _join(self, now, status):
        self._due = time.ticks_add(now, _REST_MS)
        if status == network.STAT_CONNECTING:  # the port is at it without having been asked: connect() would raise
            self.nic.disconnect()
            return
        ssid, password = self._networks[self._index]
        self._deadline = None
        self.nic.connect(ssid, password)
        self._joining = True

    def _give_up(self, now, status):
        """Leave this network and turn to the next one; after some rounds of all of them, restart the interface."""
        self._report("WiFi %r: %s" % (self._networks[self._index][0], self._reason(status)))
        self._joining = False
        self._index = (self._index + 1) % len(self._networks)
        if self._index == 0:
            self._rounds += 1
            self._rest(now, _REST_MAX_MS)
        else:
            self._due = time.ticks_add(now, _REST_MS)
        self.nic.disconnect()
        if self._rounds >= _ROUNDS_BEFORE_RESET:
            self._reset()

    def _reason(self, status):
        for name, text in _REASONS:
            if status == getattr(network, name, None):
                return text
        return "connection lost or never made (status %s)" % status

    def _rssi(self):
        return self.nic.status("rssi")
