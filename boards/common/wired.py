"""A wired link on WIZnet chips (W5100S, W5500) as MicroPython's rp2 port drives them: lwIP over raw frames.

What has to be known about that driver:
- `network.WIZNET5K()` takes a working interface down: it is called once per interpreter, here.
- `active(True)` resets the chip, forgets the address and starts DHCP; a static address is set after it, every time.
- Pulling the cable raises nothing and keeps the address. DHCP is not started again when the cable comes back, and its
  own retries are up to a minute apart: a cable that comes late is answered by asking for DHCP again.
- A driver error ("fatal error" on the console) leaves the interface down for good: `Link` starts it again.
"""

import network
from micropython import const

from link import Link

_DHCP_MS = const(20000)  # a DHCP server answers within a few seconds, or something is wrong
_DHCP_TRIES = const(3)
_CARRIER_MS = const(300000)

_NO_CARRIER = const(0)  # of status(); 1: carrier but the interface is down, 2: carrier and interface up

_nic = None


def _driver():
    """Return the one WIZNET5K of this interpreter."""
    global _nic
    if _nic is None:
        _nic = network.WIZNET5K()
    return _nic


class WiredLink(Link):
    """The link of a W5100S or W5500 board. `step()` takes about 0.4 s when the chip has to be activated."""

    def __init__(self, settings):
        super().__init__(settings)
        self._dhcp = False
        self._dhcp_tries = 0
        self._carrier = False

    def _start(self):
        self.nic = _driver()
        if self.settings.get("hostname"):
            network.hostname(self.settings["hostname"])  # this driver announces it by mDNS only
        self.nic.active(True)
        self._dhcp = self._set_address()
        self._dhcp_tries = 0
        self._carrier = False

    def _watch(self, now, up):
        carrier = self.nic.status() != _NO_CARRIER
        if carrier != self._carrier:
            self._carrier = carrier
            self._deadline = None
            if carrier and self._dhcp:
                self.nic.ipconfig(dhcp4=True)  # asks at once; renews when there is an address already
        if not carrier:
            # Some PHYs wake up only by a reset; a missing cable is not an error, so nothing is reported.
            if self._expired(now, _CARRIER_MS):
                self._reset()
        elif not up and self._expired(now, _DHCP_MS):
            self._no_address()

    def _no_address(self):
        """There is a carrier and no address: ask DHCP again, then try with a chip that was reset."""
        self._deadline = None
        self._dhcp_tries += 1
        if self._dhcp and self._dhcp_tries < _DHCP_TRIES:
            self._report("no answer from a DHCP server; asking again")
            self.nic.ipconfig(dhcp4=True)
        else:
            self._report("no address; starting the interface again")
            self._reset()
