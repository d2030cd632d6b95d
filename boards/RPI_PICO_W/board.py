"""Raspberry Pi Pico W: RP2040 with WiFi."""

import sys

import machine
import network

from rp2chip import Watchdog, temperature
from wifi import WiFiLink

NAME = getattr(sys.implementation, "_build", "RPI_PICO_W")

led = machine.Pin("LED", machine.Pin.OUT)  # behind the WiFi chip

reset = machine.reset
unique_id = machine.unique_id


def link(config):
    """Return the link for config["network"]; brings nothing up yet. Raises ValueError that names a wrong field."""
    final = (network.STAT_IDLE, network.STAT_CONNECT_FAIL, network.STAT_NO_AP_FOUND, network.STAT_WRONG_PASSWORD)
    return WiFiLink(config.get("network", {}), final)


def sensors():
    """Return the readings of what is on every such board."""
    return {"temperature": temperature()}


def watchdog(ms):
    """Arm the watchdog; returns an object with feed() and stop()."""
    return Watchdog(ms)
