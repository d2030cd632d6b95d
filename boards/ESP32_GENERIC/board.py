"""Boards with an ESP32, ESP32-S3 or ESP32-C3 and WiFi."""

import sys

import esp32
import machine

from wifi import WiFiLink

NAME = getattr(sys.implementation, "_build", "ESP32_GENERIC")

# "Generic" says nothing about LEDs. If yours has one on pin 2: led = machine.Pin(2, machine.Pin.OUT)
led = None

reset = machine.reset
unique_id = machine.unique_id


class Watchdog:
    """Resets the chip when `feed()` was not called for `ms`."""

    def __init__(self, ms):
        self._wdt = machine.WDT(timeout=ms)
        self.feed = self._wdt.feed

    def stop(self):
        """Cannot be disarmed; an hour is enough to copy files and to use the REPL."""
        self._wdt = machine.WDT(timeout=3600000)


def link(config):
    """Return the link for config["network"]; brings nothing up yet. Raises ValueError that names a wrong field."""
    return WiFiLink(config.get("network", {}))


def sensors():
    """Return the readings of what is on every such board: the chip's temperature in degrees Celsius."""
    if hasattr(esp32, "mcu_temperature"):  # S3, C3
        return {"temperature": esp32.mcu_temperature()}
    return {"temperature": round((esp32.raw_temperature() - 32) / 1.8, 1)}


def watchdog(ms):
    """Arm the watchdog; returns an object with feed() and stop()."""
    return Watchdog(ms)
