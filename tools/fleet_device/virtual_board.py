# mypy: ignore-errors
"""One board of the fleet: the firmware, as virtual_board.py NUMBER PAUSE_MS CONFIG runs it; CONFIG is config.json.

It differs from a board in a folder in three things: the pause between two turns of its loop is longer, its readings
have a field `sent`, microseconds since 1970, and it ends when its standard input does: whoever started it is gone then.

What happens is told on standard output, one line each: number, seconds since 1970, and what:
    tries           a connection is begun
    online          the broker has accepted it
    lost REASON     it is lost
    says TEXT       the firmware's log
    taken N M       the last word: so many readings were taken, of which M were refused by the outbox
"""

import json
import select
import sys
import time

number, pause_ms = int(sys.argv[1]), int(sys.argv[2])
clock = time.time
taken = 0


def tell(what):
    try:  # noqa: SIM105 - no contextlib here
        sys.stdout.write(f"{number} {clock():.3f} {what}\n")  # one write: all boards share the pipe
    except OSError:
        pass  # nobody listens any more; the standard input has ended too


class Module:
    """Stands in sys.modules for the module of this name, with one function replaced."""

    def __init__(self, name, **function):
        real = __import__(name)
        for each in dir(real):
            setattr(self, each, getattr(real, each))
        for each, value in function.items():
            setattr(self, each, value)
        sys.modules[name] = self


class Pause:
    """Waits longer than it is told to. Raises KeyboardInterrupt once, when standard input ends."""

    def __init__(self):
        self._host = select.poll()
        self._host.register(sys.stdin, select.POLLIN)
        self._nobody = select.poll()
        self._ended = False

    def sleep_ms(self, ms):
        if self._ended:
            self._nobody.poll(ms)
        elif self._host.poll(max(ms, pause_ms)):
            self._ended = True
            raise KeyboardInterrupt


def sent():
    """The last sensor: what it measures is the time."""
    global taken
    taken += 1
    return {"sent": int(clock() * 1000000)}


def told_socket(*arguments):
    tell("tries")
    return plain_socket(*arguments)


def told_client(*arguments):
    client = plain_client(*arguments)
    client.on_disconnect = lambda reason: tell(f"lost {reason}")
    return client


def log(app, text):
    tell("online" if text == "connected to the broker" else "says " + text)


plain_socket = __import__("socket").socket
Module("socket", socket=told_socket)
Module("time", sleep_ms=Pause().sleep_ms)

import board  # noqa: E402
import config  # noqa: E402
import sensor_app  # noqa: E402
import sensors  # noqa: E402

plain_client = sensor_app.make_client
sensor_app.make_client = told_client
sensor_app.App.log = log
sensors.SENSORS.append(sent)
app = sensor_app.App(config.complete(json.loads(sys.argv[3])), board)
try:
    app.run()
finally:
    tell(f"taken {taken} {app.refused}")
