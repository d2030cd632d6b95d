"""An evening in the life of a W5100S-EVB-Pico, on the stand-in of its chip. Runs under MicroPython, see point 25."""

import time

import network
import world

import board

nic = network.use("wiznet")
address = {"ip": "192.168.1.20", "subnet": "255.255.255.0", "gateway": "192.168.1.1", "dns": "192.168.1.1"}
link = board.link({"network": {"static": address}})


def run(seconds):
    """Let the board work; return after how many ms the link was up again, None: it was not."""
    start = world.now
    up = None
    while world.now < start + seconds * 1000:
        nic.run()
        link.step(time.ticks_add(0, world.now))
        if up is None and link.isconnected():
            up = world.now - start
        world.advance(50)
    return up


def tell(what, up):
    print(what, "up" if link.isconnected() else "down", -1 if up is None else up, link.info()["ip"], nic.activations)


tell("boot", run(5))
nic.fatal_error()
tell("driver", run(10))
nic.cable = False
run(1)
tell("cable", run(60))
nic.cable = True
tell("back", run(5))
nic.fatal_error()
nic.broken = 2
tell("chip", run(60))
