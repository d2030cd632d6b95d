"""What happens to WiFi boards. Each scenario is a trap; SCENARIOS names the naive link that falls into it.

Runs under MicroPython, see scenario.py.
"""

import naive
import world
from world import check

HOME = {"ssid": "home", "password": "right", "country": "DE", "hostname": "shed"}
TWO = {"ssid": "home", "password": "right", "fallbacks": [{"ssid": "barn", "password": "also right"}]}


def no_network_at_boot(subject):
    """The access point comes up five minutes after the board (a power cut ends for both at the same time)."""
    world.at(300, lambda: subject.nic.reach.update(home="right"))
    link = subject.build(HOME)
    subject.run(300)
    check(not link.isconnected(), "connected to nothing")
    subject.until_up(25, "access point there")
    check(link.info()["rssi"] == -61 and link.info()["ssid"] == "home", "info is %s" % link.info())


def joining_at_boot(subject):
    """After a restart of the program alone the firmware is still joining: connect() raises "Wifi Internal Error"."""
    subject.nic.reach["home"] = "right"
    subject.nic.up = True
    subject.nic.boot_connecting("home", "right")
    link = subject.build(HOME)
    subject.until_up(15, "restart")
    check(link.errors == 0, "%d errors" % link.errors)


def back_by_itself(subject):
    """The ESP32 joins again by itself: connect() is not called a second time."""
    subject.nic.reach["home"] = "right"
    link = subject.build(HOME)
    subject.until_up(10, "boot")
    subject.nic.lose()
    subject.run(1)
    check(not link.isconnected(), "loss not seen")
    subject.until_up(5, "access point back")
    check(link.errors == 0, "connect() called while joining")
    check(subject.nic.connects == ["home"], "connect() called %d times" % len(subject.nic.connects))


def back_by_connect(subject):
    """The Pico W does not: nothing happens until connect()."""
    subject.nic.reach["home"] = "right"
    subject.build(HOME)
    subject.until_up(10, "boot")
    del subject.nic.reach["home"]
    subject.nic.lose()
    subject.run(30)
    subject.nic.reach["home"] = "right"
    subject.until_up(40, "access point back")


def second_network(subject):
    """The first network's password was changed; the second is known too."""
    subject.nic.reach.update(home="changed", barn="also right")
    link = subject.build(TWO)
    subject.until_up(40, "second network")
    check(link.info()["ssid"] == "barn", "info is %s" % link.info())


def first_network_again(subject):
    """Both networks go, the first comes back: tried in turn, for ever."""
    subject.nic.reach["barn"] = "also right"
    link = subject.build(TWO)
    subject.until_up(60, "second network")
    subject.nic.reach.clear()
    subject.nic.lose()
    subject.run(600)
    subject.nic.reach["home"] = "right"
    subject.until_up(150, "first network")
    check(link.info()["ssid"] == "home", "info is %s" % link.info())


def hanging_join(subject):
    """A join that neither succeeds nor fails is given up."""
    subject.nic.reach["home"] = "right"
    subject.nic.hangs = 2
    subject.build(HOME)
    subject.until_up(60, "hanging join")


def wedged_driver(subject):
    """Every join fails until the interface is started again."""
    subject.nic.reach["home"] = "right"
    subject.nic.wedged = True
    subject.build(HOME)
    subject.until_up(180, "wedged")


def strange_errors(subject):
    """connect() raises OSError with a text or RuntimeError."""
    subject.nic.reach["home"] = "right"
    subject.nic.raises = [OSError("Wifi Internal State Error"), RuntimeError("Wifi Unknown Error 0x3007"), OSError(116)]
    link = subject.build(HOME)
    subject.until_up(60, "errors")
    check(link.errors == 3, "%d errors counted" % link.errors)


def settings_in_time(subject):
    """Country before active(True), name before connect(), no power saving."""
    subject.nic.reach["home"] = "right"
    subject.build(HOME)
    subject.until_up(10, "boot")
    check(subject.nic.country_at_start == "DE", "started for country %s" % subject.nic.country_at_start)
    check(subject.nic.hostname_at_connect == "shed", "connected as %s" % subject.nic.hostname_at_connect)
    check(subject.nic.pm == "none", "power saving is %s" % subject.nic.pm)


def static_address(subject):
    """A fixed address in place of DHCP, kept over a new start of the interface."""
    subject.nic.reach["home"] = "right"
    address = {"ip": "10.0.0.20", "subnet": "255.255.255.0", "gateway": "10.0.0.1", "dns": "10.0.0.2"}
    link = subject.build(dict(HOME, static=address))
    subject.until_up(10, "boot")
    check(subject.nic.ifconfig() == ("10.0.0.20", "255.255.255.0", "10.0.0.1", "10.0.0.2"), "not the address")
    subject.nic.active(False)
    subject.run(0.5)
    subject.until_up(20, "new start")
    check(link.info()["ip"] == "10.0.0.20", "info is %s" % link.info())


def silent_link(subject):
    """Up, and nothing gets through: whoever notices may ask for a new start."""
    subject.nic.reach["home"] = "right"
    link = subject.build(HOME)
    subject.until_up(10, "boot")
    link.restart()
    check(not link.isconnected() and not subject.nic.active(), "still up")
    subject.until_up(10, "restart")
    check(link.info()["resets"] == 1 and link.errors == 0, "info is %s" % link.info())


def joined_without_address(subject):
    """Pico W, status 2: joined, but DHCP does not answer."""
    subject.nic.reach["home"] = "right"
    subject.nic.no_dhcp = 2
    link = subject.build(HOME)
    subject.run(5)
    check(not link.isconnected(), "connected without an address")
    subject.until_up(60, "no address")


def final_answer(subject):
    """Pico W, status -3: a wrong password is final, waiting is useless."""
    subject.nic.reach.update(home="changed", barn="also right")
    subject.build(TWO)
    subject.until_up(12, "second network")


SCENARIOS = {
    "esp32_no_network_at_boot": (no_network_at_boot, "esp32", naive.Impatient),
    "esp32_joining_at_boot": (joining_at_boot, "esp32", naive.Wifi),
    "esp32_back_by_itself": (back_by_itself, "esp32", naive.Impatient),
    "esp32_second_network": (second_network, "esp32", naive.Wifi),
    "esp32_first_network_again": (first_network_again, "esp32", naive.Wifi),
    "esp32_hanging_join": (hanging_join, "esp32", naive.Wifi),
    "esp32_wedged_driver": (wedged_driver, "esp32", naive.Wifi),
    "esp32_strange_errors": (strange_errors, "esp32", naive.Wifi),
    "esp32_settings_in_time": (settings_in_time, "esp32", naive.LateSettings),
    "esp32_static_address": (static_address, "esp32", naive.Wifi),
    "esp32_silent_link": (silent_link, "esp32", naive.Wifi),
    "picow_static_address": (static_address, "picow", naive.Wifi),
    "picow_silent_link": (silent_link, "picow", naive.Wifi),
    "picow_no_network_at_boot": (no_network_at_boot, "picow", naive.Wifi),
    "picow_back_by_connect": (back_by_connect, "picow", naive.Wifi),
    "picow_second_network": (second_network, "picow", naive.Wifi),
    "picow_first_network_again": (first_network_again, "picow", naive.Wifi),
    "picow_joined_without_address": (joined_without_address, "picow", naive.StatusIsUp),
    "picow_final_answer": (final_answer, "picow", naive.Wifi),
    "picow_settings_in_time": (settings_in_time, "picow", naive.LateSettings),
    "picow_wedged_driver": (wedged_driver, "picow", naive.Wifi),
}
