"""A WIZNET5K as MicroPython's rp2 port drives it over lwIP, traps included. Runs under MicroPython.

A test turns the knobs: `cable`, `dhcp_server`, `dhcp_wedged`, `missing`, `broken`, `asleep`, and calls `fatal_error()`.
"""

import world

_ANY = "0.0.0.0"
_ACTIVATE_MS = 410
_DHCP_BLOCKS_MS = 10000
_DISCOVER_MAX_MS = 60000

nic = None  # the one object behind every WIZNET5K()


class Dhcp:
    """lwIP's DHCP client: discovers 1, 2, 4 … 32 s apart, then every 60 s; it knows nothing of the cable."""

    def __init__(self):
        self.next = world.now
        self.wait = 1000
        self.bound = False


class Nic:
    def __init__(self):
        self.cable = True
        self.dhcp_server = True
        self.dhcp_wedged = False  # no lease until the interface is started again
        self.missing = 0  # so many times the constructor raises
        self.asleep = False  # the PHY sees no cable until the chip is reset
        self.broken = 0  # so many times active(True) raises
        self.activations = 0
        self.requests = 0  # DHCP started by hand
        self.up = False
        self.address = (_ANY, _ANY, _ANY)
        self.dns = None
        self.dhcp = None

    # for tests

    def fatal_error(self):
        """What "wiznet5k_send_ethernet: fatal error" does: the interface is down, for good."""
        self.up = False

    def run(self):
        """Bring DHCP to the present."""
        dhcp = self.dhcp
        while dhcp and not dhcp.bound and dhcp.next <= world.now:
            if self.up and self.cable and self.dhcp_server and not (self.dhcp_wedged or self.asleep):
                dhcp.bound = True
                self.address = ("10.0.0.77", "255.255.255.0", "10.0.0.1")
                self.dns = ("10.0.0.1", True)
            dhcp.next += dhcp.wait
            dhcp.wait = min(2 * dhcp.wait, _DISCOVER_MAX_MS)

    def resolves(self):
        """Whether getaddrinfo() would get an answer: the address of a name server, of a known type."""
        return bool(self.dns and self.dns[1])

    # what the driver has

    def active(self, on=None):
        if on is None:
            return self.up
        if not on:
            self.up = False
            self.dhcp = None
        elif not self.up:
            world.advance(_ACTIVATE_MS)
            if self.broken:
                self.broken -= 1
                raise OSError("the chip does not answer")
            self.activations += 1
            self.up = True
            self.asleep = False
            self.dhcp_wedged = False
            self.address = (_ANY, _ANY, _ANY)
            self.dhcp = Dhcp()

    def isconnected(self):
        self.run()
        return self.cable and not self.asleep and self.up and self.address[0] != _ANY

    def status(self):
        if not self.cable or self.asleep or not self.activations:
            return 0
        return 2 if self.up else 1

    def config(self, name):
        if name != "mac":
            raise ValueError("unknown config param")
        return b"\x02\x00\x00\x00\x00\x01"

    def ifconfig(self, value=None):
        self.run()
        if value is None:
            return self.address + (self.dns[0] if self.dns else _ANY,)
        if value == "dhcp":
            self.ipconfig(dhcp4=True)
            self._wait_for_lease()
        else:
            ip, subnet, gateway, dns = value
            self.dhcp = None
            self.address = (ip, subnet, gateway)
            self.dns = (dns, False)  # the type of the address is whatever was on the stack

    def ipconfig(self, *query, **settings):
        self.run()
        if query:
            return {"dhcp4": bool(self.dhcp), "has_dhcp4": bool(self.dhcp and self.dhcp.bound)}[query[0]]
        if "addr4" in settings:
            self.address = tuple(settings["addr4"]) + (self.address[2],)  # DHCP goes on, and overwrites it
        elif settings["dhcp4"]:
            self.requests += 1
            if not (self.dhcp and self.dhcp.bound):
                self.address = (_ANY, _ANY, _ANY)
                self.dhcp = Dhcp()
        else:
            self.dhcp = None
            self.address = (_ANY, _ANY, _ANY)

    def _wait_for_lease(self):
        end = world.now + _DHCP_BLOCKS_MS
        while not self.dhcp.bound:
            if world.now > end:
                raise OSError("timeout waiting for DHCP to get IP address")
            world.advance(100)
            self.run()


nic = Nic()


def WIZNET5K():
    """Return the one object. Like the driver's constructor it zeroes the flags of the interface: it is down."""
    if nic.missing:
        nic.missing -= 1
        raise OSError("no chip")
    nic.up = False
    return nic


def ipconfig(dns):
    """network.ipconfig(dns=…), which sets the type of the address."""
    nic.dns = (dns, True)
