"""Brings the network of this board up, as its config.json says. Run it before another example, in one command:

    mpremote run examples/online.py run examples/publish.py

The board's files must be on it: README.md, "On a real board". A computer is online already.
"""

import time

import board
import config

PATIENCE = 30  # seconds

link = board.link(config.load())
start = time.ticks_ms()
while not link.isconnected():
    if time.ticks_diff(time.ticks_ms(), start) > PATIENCE * 1000:
        raise OSError("no network in %d s: %s" % (PATIENCE, link.info()))
    link.step(time.ticks_ms())
    time.sleep_ms(20)
print("online", link.info())
