"""Show what a board's module offers, as JSON: contract.py <port>. Runs under MicroPython, see test_contract.py."""

import json
import sys
import time

import machine
import network
import world

port = sys.argv[1]
if port != "unix":
    network.use(port)
if port == "esp32":
    machine.longest_wdt = 2**31
import board  # noqa: E402 (it wants a network)


def refuses(settings):
    """The ValueError of link(), as text; None: accepted."""
    try:
        board.link({"network": settings})
    except ValueError as e:
        return str(e)


class Time:
    """Stands for `time` where the watchdog looks at it."""

    ticks_diff = time.ticks_diff

    def __init__(self):
        self.now = 0

    def ticks_ms(self):
        return self.now


def watchdog():
    """How often the hardware is fed in 100 s in which the program says nothing, and what stop() writes where."""
    dog = board.watchdog(60000)
    if "rp2chip" in sys.modules:
        sys.modules["rp2chip"].time = clock = Time()
    dog.feed()
    before = machine.wdt.fed if port != "unix" else 0
    for second in range(1, 101):
        if "rp2chip" in sys.modules:
            clock.now = second * 1000
            machine.timer.callback(machine.timer)
    fed = machine.wdt.fed - before if port != "unix" else 0
    dog.stop()
    return {"silent": fed, "disarmed": list(machine.mem32.items()), "ms": machine.wdt and machine.wdt.timeout}


home = {"ssid": "home"}
link = board.link({"network": home})
link.step(0)
print(
    json.dumps(
        {
            "name": board.NAME,
            "unique_id": len(board.unique_id()),
            "led": board.led is not None and (board.led.value(1), board.led.value())[1],
            "sensors": board.sensors(),
            "info": sorted(link.info()),
            "connected": link.isconnected(),
            "reset": callable(board.reset),
            "without_ssid": refuses({}),
            "static": refuses({"ssid": "home", "static": {"ip": "10.0.0.256"}}),
            "both": refuses({"ssid": "home", "dhcp": True, "static": {}}),
            "fallback": refuses({"ssid": "home", "fallbacks": [{"ssid": ""}]}),
            "longest": world.longest_step,
            "watchdog": watchdog(),
        }
    )
)
