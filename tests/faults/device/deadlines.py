"""One call that the peer never lets come to its end, measured. The peer is deadlines.py on the host.

    micropython deadlines.py CALL sync|asyncio PORT [key=value…]

Says `ready`, waits for a line, makes the call, lets the client work for a while, prints what it measured.
`hinder=MS` makes every step read from a socket that blocks: to see that the measuring sees it.
"""

import asyncio
import json
import socket
import sys
from errno import ETIMEDOUT
from time import sleep_ms, ticks_diff, ticks_us

sys.path.append("%s/broker/clients" % __file__.rsplit("/", 3)[0])

from common import Awaited, main, real, settings

_AFTER_MS = 200


class Clock:
    """Measures in microseconds, without those in which the process was ready to run and another one had the CPU.

    So a busy machine is not taken for a call that blocks, while what waits inside the system or computes counts in
    full. Only a loop that looks at the clock itself seems shorter by what the others took meanwhile: nothing on a
    quiet machine. Without Linux everything counts.
    """

    def __init__(self):
        try:
            self._file = open("/proc/self/schedstat", "rb")  # noqa: SIM115 (open as long as the program)
        except OSError:
            self._file = None

    def _waited(self):
        if not self._file:
            return 0
        self._file.seek(0)
        return int(self._file.read().split()[1]) // 1000

    def start(self):
        now = ticks_us()
        return now - self._waited()

    def since(self, start):
        waited = self._waited()
        return ticks_us() - waited - start


def _block(seconds):
    """What a step must never do."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(socket.getaddrinfo("127.0.0.1", 0)[0][-1])
    sock.settimeout(seconds)
    try:
        sock.recv(1)
    except OSError:
        pass
    sock.close()


class Meter:
    """Keeps the longest step of a client, and the longest pause of those beside it."""

    def __init__(self, client):
        self.clock = Clock()
        self.step = self.pause = 0
        self._step = client.step
        client.step = self._timed_step
        self._hinder = int(settings.get("hinder", 0)) / 1000

    def _timed_step(self, now):
        start = self.clock.start()
        try:
            if self._hinder:
                _block(self._hinder)
            return self._step(now)
        finally:
            self.step = max(self.step, self.clock.since(start))

    async def watch(self):
        """A task beside the client: how long is it kept out?"""
        while True:
            start = self.clock.start()
            await asyncio.sleep_ms(2)
            self.pause = max(self.pause, self.clock.since(start) - 2000)

    def check_msg(self, client):
        start = self.clock.start()
        try:
            client.check_msg()
        finally:
            self.pause = max(self.pause, self.clock.since(start))


async def _work(client, meter):
    """Let the client go on from where the call has left it."""
    if not isinstance(client, Awaited):
        await asyncio.sleep_ms(_AFTER_MS)
        return
    start = ticks_us()
    while ticks_diff(ticks_us(), start) < _AFTER_MS * 1000:
        try:
            meter.check_msg(client.client)
        except OSError:
            return  # not connected any more, and not wanted
        sleep_ms(2)


async def _timed(call):
    """(microseconds, what came of it)."""
    start = ticks_us()
    try:
        outcome = str(await call)
    except OSError as error:
        outcome = "ETIMEDOUT" if error.args[0] == ETIMEDOUT else repr(error)
    return ticks_diff(ticks_us(), start), outcome


async def _measure(client, call, again=None):
    print("ready")
    sys.stdin.readline()
    meter = Meter(real(client))
    watcher = None if isinstance(client, Awaited) else asyncio.create_task(meter.watch())
    await asyncio.sleep_ms(0)
    took, outcome = await _timed(call(client))
    if again:
        await again(client)
    await _work(client, meter)
    if watcher:
        watcher.cancel()
    print("result", json.dumps({"took": took, "outcome": outcome, "step": meter.step, "pause": meter.pause}))


def _link():
    """What the case goes through, as arguments of the client."""
    arguments = {"ssl": True, "ssl_params": {"cafile": settings["cafile"]}} if "cafile" in settings else {}
    arguments["transport"] = settings.get("transport", "tcp")
    return arguments


async def connect(new):
    await _measure(new(**_link()), lambda client: client.connect(), lambda client: client.connect(wait=False))


async def _online(new, call):
    client = new(**_link())
    await client.connect(timeout=8)
    await _measure(client, call)


async def subscribe(new):
    await _online(new, lambda client: client.subscribe("t", 1))


async def unsubscribe(new):
    await _online(new, lambda client: client.unsubscribe("t"))


async def publish(new):
    payload = bytearray(int(settings.get("size", 1)))
    await _online(new, lambda client: client.publish("t", payload, qos=settings["qos"]))


async def wait_msg(new):
    await _online(new, lambda client: client.wait_msg(settings["timeout"]))


async def flush(new):
    async def call(client):
        await client.publish("t", "x", qos=1, wait=False)
        await client.flush(settings["timeout"])

    await _online(new, call)


async def outbox_full(new):
    client = new()
    await client.connect(timeout=8)
    for _ in range(4):
        await client.publish("t", bytes(1000), qos=1, wait=False)
    await _measure(client, lambda client: client.publish("t", bytes(1000), qos=1, wait=False))


async def disconnect(new):
    await _online(new, lambda client: client.disconnect())


async def _buffer_full(new, call):
    """The socket has taken all it can, and the rest of a long payload waits."""
    client = new()
    await client.connect(timeout=8)
    await client.publish("t", bytearray(int(settings["size"])), wait=False)
    await _measure(client, call)


async def publish_behind(new):
    await _buffer_full(new, lambda client: client.publish("t", "x", qos=1))


async def disconnect_behind(new):
    await _buffer_full(new, lambda client: client.disconnect())


main(globals())
