"""Links as they are usually written, in steps: each falls into a trap that ours avoids. Runs under MicroPython.

`Wired` and `Wifi` are the careful kind: right when all goes well. The others have one bad habit more.
"""

import network


class Wired:
    """Bring it up, then `while not nic.isconnected(): sleep`."""

    def __init__(self, settings):
        static = settings.get("static")
        self.address = static and (static["ip"], static["subnet"], static["gateway"], static["dns"])
        self.nic = None

    def step(self, now):
        if self.nic is None:
            self.start()

    def start(self):
        self.nic = network.WIZNET5K()
        self.nic.active(True)
        if self.address:
            self.nic.ifconfig(self.address)
            network.ipconfig(dns=self.address[3])

    def isconnected(self):
        return self.nic is not None and self.nic.isconnected()

    def info(self):
        return {"ip": self.nic.ifconfig()[0]}

    def restart(self):
        self.start()


class ManyObjects(Wired):
    """Makes the interface object anew in each function that needs it."""

    def info(self):
        return {"ip": network.WIZNET5K().ifconfig()[0]}


class StaticFirst(Wired):
    """Sets the address, then activates."""

    def start(self):
        self.nic = network.WIZNET5K()
        self.nic.ifconfig(self.address)
        self.nic.active(True)


class IfconfigDns(Wired):
    """Trusts the fourth value of ifconfig()."""

    def start(self):
        self.nic = network.WIZNET5K()
        self.nic.active(True)
        self.nic.ifconfig(self.address)


class AddressByIpconfig(Wired):
    """Sets the address by ipconfig() and leaves DHCP running."""

    def start(self):
        self.nic = network.WIZNET5K()
        self.nic.active(True)
        self.nic.ipconfig(addr4=(self.address[0], self.address[1]))


class BlockingDhcp(Wired):
    """Asks for DHCP by ifconfig("dhcp")."""

    def start(self):
        self.nic = network.WIZNET5K()
        self.nic.active(True)
        try:
            self.nic.ifconfig("dhcp")
        except OSError:
            pass


class Latched(Wired):
    """Believes that a link which was up stays up."""

    up = False

    def isconnected(self):
        self.up = self.up or super().isconnected()
        return self.up


class TrustingLaninfo(Wired):
    """Takes the file as it is."""

    def start(self):
        with open("laninfo.txt") as file:
            self.address = tuple(file.read().split("\n"))
        super().start()


class Wifi:
    """connect() once, then `while not nic.isconnected(): sleep`."""

    def __init__(self, settings):
        self.settings = settings
        self.nic = None

    def step(self, now):
        if self.nic is None:
            self.start()

    def start(self):
        network.country(self.settings.get("country", "XX"))
        network.hostname(self.settings.get("hostname", "mpy"))
        self.nic = network.WLAN(network.STA_IF)
        self.nic.active(True)
        self.nic.config(pm=network.WLAN.PM_NONE)
        self.nic.connect(self.settings["ssid"], self.settings["password"])

    def isconnected(self):
        return self.nic is not None and self.nic.isconnected()

    def restart(self):
        self.start()


class Impatient(Wifi):
    """Calls connect() whenever there is no connection."""

    def step(self, now):
        super().step(now)
        if not self.nic.isconnected():
            self.nic.connect(self.settings["ssid"], self.settings["password"])


class LateSettings(Wifi):
    """Sets the country and the name when the interface is already running, and leaves power saving on."""

    def start(self):
        self.nic = network.WLAN(network.STA_IF)
        self.nic.active(True)
        self.nic.connect(self.settings["ssid"], self.settings["password"])
        network.country(self.settings["country"])
        network.hostname(self.settings["hostname"])


class StatusIsUp(Wifi):
    """Takes a positive status for a connection."""

    def isconnected(self):
        return self.nic is not None and self.nic.status() > 1
