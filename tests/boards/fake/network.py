"""The module `network` of a fake board. `use(port)` before anything imports a board. Runs under MicroPython."""

import wiznet
import wlan
from wiznet import WIZNET5K

__all__ = ("WIZNET5K",)

STA_IF = 0
nic = None


def use(port):
    """Become the module of this port: "wiznet", "esp32" or "picow". Returns the one interface, with its knobs."""
    global nic
    if port == "wiznet":
        nic = wiznet.nic
        globals()["ipconfig"] = wiznet.ipconfig
        return nic
    nic = {"esp32": wlan.Esp32, "picow": wlan.PicoW}[port]()
    for name in ("IDLE", "CONNECTING", "GOT_IP", "NO_AP_FOUND", "WRONG_PASSWORD", "CONNECT_FAIL"):
        globals()["STAT_" + name] = getattr(nic, name)
    return nic


class WLAN:
    """network.WLAN(…) gives the one interface each time."""

    IF_STA = 0
    PM_NONE = wlan.Wlan.PM_NONE

    def __new__(cls, interface=STA_IF):
        return nic


_globals = {"hostname": "W5100S-EVB"}


def country(code):
    if len(code) != 2:
        raise ValueError
    nic.globals["country"] = code


def hostname(name):
    if not isinstance(name, str):
        raise TypeError("can't convert to str")
    getattr(nic, "globals", _globals)["hostname"] = name
