"""One board of the storm: board.py NUMBER PORT FIRST LONGEST jitter|fixed.

Tells when it tries to connect and when it is online, one line each: number, what, seconds since 1970.
"""

import select
import sys
import time

number, port, pauses = int(sys.argv[1]), int(sys.argv[2]), sys.argv[5]
backoff = (float(sys.argv[3]), float(sys.argv[4]))


def tell(what):
    sys.stdout.write("%d %s %.3f\n" % (number, what, time.time()))  # one write: all boards share the pipe


class Module:
    """Stands in sys.modules for the module of this name, with one function replaced."""

    def __init__(self, name, **function):
        self.real = __import__(name)
        for each in dir(self.real):
            setattr(self, each, getattr(self.real, each))
        for each, value in function.items():
            setattr(self, each, value)
        sys.modules[name] = self


def attempt(*arguments):
    tell("tries")
    return socket.real.socket(*arguments)


def sleep_ms(ms):
    nobody.poll(ms)  # this port's own wakes up 1,300 times a second; that times 500 would be what is measured


def no_chance(_):
    """Bytes that make every pause as long as its limit: the backoff without jitter.

    The client takes the remainder of limit + 1, in ms; this number is one less than a multiple of each.
    """
    product = 1
    for doubled in range(17):
        product *= min(int(backoff[1] * 1000), int(backoff[0] * 1000) << doubled) + 1
    return (product - 1).to_bytes(64, "big")


nobody = select.poll()
Module("time", sleep_ms=sleep_ms)
socket = Module("socket", socket=attempt)
if pauses == "fixed":
    Module("os", urandom=no_chance)

from fieldmqtt import MQTTClient  # noqa: E402

client = MQTTClient("board-%d" % number, "127.0.0.1", port, backoff=backoff)
client.on_connect = lambda session_present: tell("online")
client.subscribe("storm/%d/command" % number, 1, wait=False)
client.connect(wait=False)
while True:
    client.wait_msg(30)
    tell("lives")  # or ends, when nobody listens any more
