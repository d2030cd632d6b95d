"""WIZnet W5100S-EVB-Pico and W5500-EVB-Pico: RP2040 with wired Ethernet."""

import sys

import machine

from rp2chip import Watchdog, temperature
from wired import WiredLink

# "W5100S_EVB_PICO" or "W5500_EVB_PICO"; the attribute is there since MicroPython 1.25
NAME = getattr(sys.implementation, "_build", "W5x00_EVB_PICO")

led = machine.Pin(25, machine.Pin.OUT)

reset = machine.reset
unique_id = machine.unique_id


def link(config):
    """Return the link for config["network"]; brings nothing up yet. Raises ValueError that names a wrong field."""
    return WiredLink(config.get("network", {}))


def sensors():
    """Return the readings of what is on every such board."""
    return {"temperature": temperature()}


def watchdog(ms):
    """Arm the watchdog; returns an object with feed() and stop()."""
    return Watchdog(ms)
