"""What every network link shares: when to look, when to give up, how to go on.

A link is advanced by `step(now)` and never waits. It looks at the driver four times a second, and whatever the driver
does (an error, an interface that went down, an address that never comes) it goes on trying, for ever, with pauses
that grow to a minute. `wired.py` and `wifi.py` say what there is to do for their kind of network.

The address of the board, first match wins:
1. `"dhcp": true` in the section `network` of config.json: DHCP
2. a file `laninfo.txt`: four lines, IP address, subnet mask, gateway, DNS server
3. `"static": {"ip": …, "subnet": …, "gateway": …, "dns": …}` in the section `network`
4. DHCP
A malformed laninfo.txt is reported through `on_error` and passed over: a typing error must not cost the board.
"""

import binascii
import time

import network
from micropython import const

_LOOK_MS = const(250)
_PAUSE_MS = const(1000)
_PAUSE_MAX_MS = const(60000)
_ERRORS_BEFORE_RESET = const(5)
_STABLE_LOOKS = const(40)  # in a row with the link up, about 10 s: from then on pauses begin small again

LANINFO = "laninfo.txt"
_FIELDS = ("ip", "subnet", "gateway", "dns")


def _check_ipv4(name, text):
    """Return `text` if it is four numbers from 0 to 255 with dots between; raises ValueError that names the field."""
    parts = text.split(".") if isinstance(text, str) else ()
    if len(parts) != 4 or not all(part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts):
        raise ValueError("%s: %r is not an IPv4 address such as 192.168.1.20" % (name, text))
    return text


def read_laninfo(path=LANINFO):
    """Return (ip, subnet, gateway, dns) from a laninfo.txt, None without such a file; ValueError when malformed."""
    try:
        with open(path) as file:
            # 500 characters are ten times what a good file has; a byte order mark comes from Windows editors
            text = file.read(500)
    except OSError:
        return None
    lines = [line.strip() for line in text.lstrip("\ufeff").strip().split("\n")]
    if len(lines) != 4:
        raise ValueError("%s: it has %d lines, it needs four: IP, subnet mask, gateway, DNS" % (path, len(lines)))
    return tuple(_check_ipv4("%s, %s" % (path, field), line) for field, line in zip(_FIELDS, lines))


def static_address(settings):
    """Return (ip, subnet, gateway, dns) from network.static, None when it is not there; ValueError names the field."""
    static = settings.get("static")
    if static is None:
        return None
    if settings.get("dhcp"):
        raise ValueError("network.static: it excludes network.dhcp; remove one of them")
    return tuple(_check_ipv4("network.static." + field, static.get(field)) for field in _FIELDS)


class Link:
    """One network interface: brought up, watched, recovered.

    A subclass makes `self.nic` in `_start()`.
    """

    def __init__(self, settings):
        """`settings` is the section `network` of the configuration. Raises ValueError that names a wrong field."""
        self.settings = settings
        self.static = static_address(settings)
        self.errors = 0  # counts on_error calls
        self.on_error = print  # called with one line of text
        self.nic = None
        self._up = False
        self._started = False
        self._resets = 0
        self._due = None  # ticks_ms of the next look
        self._deadline = None  # ticks_ms when waiting for the network ends
        self._in_a_row = 0  # driver errors since the last look without one
        self._pause = _PAUSE_MS
        self._looks_up = 0

    def isconnected(self):
        """True when there was a carrier and an address at the last look, at most 250 ms ago."""
        return self._up

    def info(self):
        """Return a dict for logs and telemetry: ip, mac, resets (how often the interface was started again)."""
        if self.nic is None:
            return {"ip": None, "mac": None, "resets": self._resets}
        return {"ip": self._ask(self._ip), "mac": self._ask(self._mac), "resets": self._resets}

    def step(self, now):
        """Advance; `now` is time.ticks_ms(). Never raises what a driver raises.

        Takes well under a millisecond, except when the driver has to be activated: about 0.4 s on a W5100S.
        """
        if self._due is not None and time.ticks_diff(self._due, now) > 0:
            return
        self._due = time.ticks_add(now, _LOOK_MS)
        try:
            self._look(now)
            self._in_a_row = 0
        except (OSError, RuntimeError, ValueError) as e:  # drivers raise all three, with a number or with a text
            self._up = False
            self._failed(now, e)

    def restart(self):
        """Switch the interface off; the next look starts it again. For a link that is up and lets nothing through."""
        self._deadline = None
        self._reset()

    def _start(self):
        """Activate the driver with the settings, and give it its address."""
        raise NotImplementedError

    def _watch(self, now, up):
        """Do what the state of the driver asks for; called at every look."""
        raise NotImplementedError

    def _look(self, now):
        if not (self._started and self.nic.active()):
            self._activate(now)
        up = bool(self.nic.isconnected())
        self._looks_up = self._looks_up + 1 if up else 0
        if up:
            self._deadline = None
        if self._looks_up >= _STABLE_LOOKS:
            self._pause = _PAUSE_MS
        self._up = up
        self._watch(now, up)

    def _activate(self, now):
        """Start the driver, and give it the address: activating forgets it."""
        again = self._started
        self._started = False
        self._deadline = None
        if again:
            self._report("the driver took the interface down; starting it again")
            self._resets += 1
        self._start()
        self._started = True
        if again:
            self._rest(now)

    def _failed(self, now, e):
        self._in_a_row += 1
        self._report("%s: %s" % (type(e).__name__, e))
        self._rest(now)
        if self._in_a_row % _ERRORS_BEFORE_RESET == 0:
            self._reset()

    def _reset(self):
        """Switch the interface off; the next look starts it again."""
        self._started = False
        self._up = False
        self._resets += 1
        if self.nic is None:  # not even the driver's constructor succeeded
            return
        try:
            self.nic.active(False)
        except (OSError, RuntimeError, ValueError) as e:
            self._report("%s: %s" % (type(e).__name__, e))

    def _rest(self, now, most_ms=_PAUSE_MAX_MS):
        """Put off the next look. Each rest is twice the one before, until the link is stable."""
        self._due = time.ticks_add(now, self._pause)
        self._pause = min(2 * self._pause, most_ms)

    def _expired(self, now, patience_ms):
        """True once `patience_ms` have passed since the first call after the deadline was cleared."""
        if self._deadline is None:
            self._deadline = time.ticks_add(now, patience_ms)
        return time.ticks_diff(now, self._deadline) >= 0

    def _address(self):
        """Return (ip, subnet, gateway, dns), or None for DHCP. Never raises: see the rules at the top."""
        if self.settings.get("dhcp"):
            return None
        try:
            return read_laninfo() or self.static
        except ValueError as e:
            self._report("%s; using %s" % (e, "network.static" if self.static else "DHCP"))
            return self.static

    def _set_address(self):
        """Give the interface its static address. Return True when DHCP is left to run instead."""
        address = self._address()
        if address is None:
            return True
        self.nic.ifconfig(address)  # stops DHCP too
        if hasattr(network, "ipconfig"):
            # ifconfig() leaves the type of the DNS address undefined on lwIP boards: answers would be dropped
            network.ipconfig(dns=address[3])
        return False

    def _ip(self):
        return self.nic.ifconfig()[0]

    def _mac(self):
        return binascii.hexlify(self.nic.config("mac")).decode()

    def _ask(self, question):
        try:
            return question()
        except (OSError, RuntimeError, ValueError):
            return None

    def _report(self, text):
        self.errors += 1
        self.on_error("link: " + text)
