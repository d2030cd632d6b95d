"""What happens to wired boards. Each scenario is a trap; SCENARIOS names the naive link that falls into it.

Runs under MicroPython, see scenario.py.
"""

import naive
import world
from world import check

STATIC = {"static": {"ip": "192.168.1.20", "subnet": "255.255.255.0", "gateway": "192.168.1.1", "dns": "192.168.1.1"}}


def second_constructor(subject):
    """WIZNET5K() takes a working interface down: asking for telemetry must not."""
    link = subject.build({})
    subject.until_up(5, "boot")
    link.info()
    subject.make({}).step(0)  # and a second link in the same program does not either
    subject.run(1)
    check(subject.nic.activations == 1 and link.isconnected(), "the interface went down")


def static_before_active(subject):
    """active(True) forgets the address."""
    subject.nic.dhcp_server = False
    link = subject.build(STATIC)
    subject.until_up(5, "static address")
    check(link.info()["ip"] == "192.168.1.20", "address is %s" % link.info()["ip"])


def static_name_server(subject):
    """ifconfig() leaves the name server's address without a type."""
    subject.build(STATIC)
    subject.until_up(5, "static address")
    check(subject.nic.resolves(), "names are not resolved")


def static_beside_dhcp(subject):
    """ipconfig(addr4=…) does not stop DHCP, which overwrites the address."""
    subject.nic.cable = False
    world.at(20, lambda: setattr(subject.nic, "cable", True))
    link = subject.build(STATIC)
    subject.run(60)
    check(link.info()["ip"] == "192.168.1.20", "address is %s" % link.info()["ip"])


def dhcp_blocks(subject):
    """No DHCP server: the program goes on, no step takes longer than activating the chip."""
    subject.nic.dhcp_server = False
    subject.build({})
    subject.run(120)
    check(world.longest_step <= 420, "a step took %d ms" % world.longest_step)


def late_cable(subject):
    """The cable comes 70 s after boot, when DHCP asks only once a minute."""
    subject.nic.cable = False
    world.at(70, lambda: setattr(subject.nic, "cable", True))
    link = subject.build({})
    subject.run(70)
    check(not link.isconnected(), "connected without a cable")
    subject.until_up(2, "cable in")


def late_dhcp(subject):
    """The DHCP server comes back after two minutes."""
    subject.nic.dhcp_server = False
    world.at(127, lambda: setattr(subject.nic, "dhcp_server", True))
    subject.build({})
    subject.run(127)
    subject.until_up(30, "DHCP server there")


def wedged_dhcp(subject):
    """A DHCP client that gets no lease any more until the interface is started again."""
    subject.build({})
    subject.run(0.1)
    subject.nic.dhcp.bound = False
    subject.nic.address = ("0.0.0.0", "0.0.0.0", "0.0.0.0")
    subject.nic.dhcp_wedged = True
    subject.until_up(120, "wedged")


def driver_error(subject):
    """A fatal error of the driver downs the interface: started again, with its address."""
    link = subject.build(STATIC)
    subject.until_up(5, "boot")
    subject.nic.fatal_error()
    subject.run(0.5)
    subject.until_up(5, "driver error")
    check(link.info()["ip"] == "192.168.1.20", "address is %s" % link.info()["ip"])
    check(subject.nic.resolves(), "names are not resolved")


def repeated_driver_error(subject):
    """The error comes back at once, every time: a start every 250 ms would leave no time for anything else."""
    subject.build({})
    subject.until_up(5, "boot")
    for tenth in range(world.now // 100 + 1, 600):
        world.at(tenth / 10, subject.nic.fatal_error)
    subject.run(60 - world.now / 1000)
    check(3 < subject.nic.activations < 12, "%d activations in a minute" % subject.nic.activations)
    subject.until_up(70, "after the last error")


def broken_chip(subject):
    """active(True) raises OSError with a text; the board goes on trying, and less and less often."""
    subject.nic.broken = 6
    subject.build({})
    subject.until_up(120, "chip answers again")


def missing_chip(subject):
    """Not even the constructor succeeds, more often than the driver errors after which the interface is reset."""
    subject.nic.missing = 7
    link = subject.build({})
    subject.run(1)
    check(link.info()["ip"] is None and not link.isconnected(), "info is %s" % link.info())
    subject.until_up(240, "chip answers")


def sleeping_phy(subject):
    """The cable is in, and only a reset of the chip shows it: after five minutes without a carrier it is reset."""
    link = subject.build({})
    subject.until_up(5, "boot")
    subject.nic.asleep = True
    subject.run(290)
    check(subject.nic.activations == 1 and not link.isconnected(), "%d activations" % subject.nic.activations)
    subject.until_up(20, "chip reset")
    check(link.errors == 0, "a missing cable was reported")


def silent_link(subject):
    """Up, and nothing gets through: whoever notices may ask for a new start, and gets it with the address."""
    link = subject.build(STATIC)
    subject.until_up(5, "boot")
    link.restart()
    check(not link.isconnected(), "still up")
    subject.until_up(2, "restart")
    check(subject.nic.activations == 2 and link.info()["resets"] == 1, "info is %s" % link.info())
    check(link.info()["ip"] == "192.168.1.20" and link.errors == 0, "info is %s" % link.info())


def cable_out(subject):
    """Out for 3 s: seen, and the interface is left alone so that TCP survives."""
    link = subject.build({})
    subject.until_up(5, "boot")
    subject.nic.cable = False
    subject.run(3)
    check(not link.isconnected(), "connected without a cable")
    subject.nic.cable = True
    subject.run(1)
    check(link.isconnected() and subject.nic.activations == 1, "the interface was started again")


def cable_out_at_boot_for_a_day(subject):
    """For a day nothing is there; the board is up seconds after the cable."""
    subject.nic.cable = False
    subject.build({})
    subject.run(86400)
    subject.nic.cable = True
    subject.until_up(3, "cable in")


def _laninfo(text):
    with open("laninfo.txt", "w") as file:
        file.write(text)


def laninfo(subject):
    """Four lines are the address; Windows line ends and a byte order mark do not matter."""
    _laninfo("\ufeff192.168.7.5\r\n255.255.255.0\r\n192.168.7.1\r\n192.168.7.2\r\n\r\n")
    link = subject.build({})
    subject.until_up(5, "laninfo.txt")
    check(link.info()["ip"] == "192.168.7.5", "address is %s" % link.info()["ip"])
    check(subject.nic.ifconfig() == ("192.168.7.5", "255.255.255.0", "192.168.7.1", "192.168.7.2"), "not all of it")


def malformed_laninfo(subject):
    """A typing error costs the fixed address, not the board."""
    _laninfo("192.168.7.5\n255.255.255.0\n192.168.7.1.\n192.168.7.1\n")
    link = subject.build({})
    subject.until_up(5, "malformed laninfo.txt")
    check(link.info()["ip"] == "10.0.0.77", "address is %s" % link.info()["ip"])
    check(link.errors == 1, "%d errors counted" % link.errors)


SCENARIOS = {
    "second_constructor": (second_constructor, "wiznet", naive.ManyObjects),
    "static_before_active": (static_before_active, "wiznet", naive.StaticFirst),
    "static_name_server": (static_name_server, "wiznet", naive.IfconfigDns),
    "static_beside_dhcp": (static_beside_dhcp, "wiznet", naive.AddressByIpconfig),
    "dhcp_blocks": (dhcp_blocks, "wiznet", naive.BlockingDhcp),
    "late_cable": (late_cable, "wiznet", naive.Wired),
    "late_dhcp": (late_dhcp, "wiznet", naive.Wired),
    "wedged_dhcp": (wedged_dhcp, "wiznet", naive.Wired),
    "driver_error": (driver_error, "wiznet", naive.Wired),
    "repeated_driver_error": (repeated_driver_error, "wiznet", naive.Wired),
    "broken_chip": (broken_chip, "wiznet", naive.Wired),
    "missing_chip": (missing_chip, "wiznet", naive.Wired),
    "sleeping_phy": (sleeping_phy, "wiznet", naive.Wired),
    "silent_link": (silent_link, "wiznet", naive.Wired),
    "cable_out": (cable_out, "wiznet", naive.Latched),
    "cable_out_at_boot_for_a_day": (cable_out_at_boot_for_a_day, "wiznet", naive.Wired),
    "laninfo": (laninfo, "wiznet", naive.TrustingLaninfo),
    "malformed_laninfo": (malformed_laninfo, "wiznet", naive.TrustingLaninfo),
}
