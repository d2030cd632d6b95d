"""Cases with payloads in pieces, in both directions. Setting `size`: bytes of what is published; `version`: of MQTT."""

import asyncio
import gc
import hashlib
import sys
from binascii import hexlify
from time import sleep_ms

from common import Awaited, collect, main, real, settings, tell_events, until, work

import fieldmqtt

_PERIOD = 251


class Pattern:
    """A stream of `size` bytes that count from 0 to 250 again and again; after `most` bytes it ends too early.

    pause: ms for each piece.
    """

    def __init__(self, size, most=None, pause=0):
        self._pause = pause
        self._left = size if most is None else most
        self._at = 0
        self._period = bytes(range(_PERIOD)) * 4

    def readinto(self, buf):
        sleep_ms(self._pause)
        at = self._at % _PERIOD
        n = min(len(buf), self._left, len(self._period) - at)
        buf[:n] = self._period[at : at + n]
        self._at += n
        self._left -= n
        return n


class Pieces:
    """Prints what each message was, once it is there; finds a piece that is not where it must be."""

    def __init__(self):
        self.messages = 0
        self._next = 0

    def __call__(self, topic, piece, offset, size):
        if not offset:
            self._next, self._digest = 0, hashlib.sha256()
            print("begins", topic.decode(), size)
        if offset != self._next:
            print("gap", self._next, offset)
        self._next = offset + len(piece)
        self._digest.update(piece)
        if self._next == size:
            self.messages += 1
            print("large", topic.decode(), size, hexlify(self._digest.digest()).decode())


def _source(size, *arguments):
    return fieldmqtt.Source(Pattern(size, *arguments), size)


def _values():
    values = {"version": int(settings.get("version", 4)), "backoff": (0.1, 0.2)}
    for name in ("transport", "path"):
        if name in settings:
            values[name] = settings[name]
    return values


def _client(new, **keywords):
    """A client that receives pieces, and its Pieces."""
    values = _values()
    values.update(keywords)
    client, pieces = new(**values), Pieces()
    fieldmqtt.receive_large(real(client), pieces)
    tell_events(client)
    return client, pieces


async def send(new):
    """Alone, among others, and as the last thing before disconnect()."""
    client, _ = _client(new)
    await client.connect()
    size = int(settings["size"])
    print("returned", await client.publish("t", _source(size), True))
    await client.publish("t", _source(size), wait=False)
    await client.publish("t", "behind it", qos=1)
    await client.publish("t", _source(size), wait=False)
    await client.disconnect()


async def send_over_a_loss(new):
    """The connection is lost in the middle; then the stream ends too early; then all is well."""
    client, _ = _client(new)
    connections = []
    real(client).on_connect = connections.append
    await client.connect()
    size = int(settings["size"])
    for number, most, pause in ((2, size, 1), (3, size // 2, 0)):
        try:
            await client.publish("t", _source(size, most, pause))
        except OSError as error:
            print("raised", error)
        await until(client, lambda number=number: len(connections) == number)
        print("back")
    await client.publish("t", "small", qos=1)
    await client.publish("t", _source(size))
    await client.disconnect()


async def receive(new):
    client, pieces = _client(new, clean_session=False)
    small = collect(client)
    await client.connect()
    await until(client, lambda: pieces.messages + len(small) == settings["count"], 20)
    await work(client, 0.1)
    await client.disconnect()


async def both(new):
    """Publish one to `out`, then receive what comes to `in`: with less memory than either takes."""
    client, pieces = _client(new, **_tls())
    await client.connect()
    await client.subscribe("in", 2)
    await client.publish("out", _source(int(settings["size"])))
    print("published")
    await until(client, lambda: pieces.messages == settings["count"], 30)
    await client.publish("out", "and on", qos=1)
    gc.collect()
    print("allocated", gc.mem_alloc())
    await client.disconnect()


def _tls():
    if "cafile" not in settings:
        return {}
    return {"ssl": True, "ssl_params": {"cafile": settings["cafile"]}, "server": "localhost"}


async def power_cut(new):
    """With its outbox on flash: says when it is half way, and waits there for whoever cuts the power."""
    client, pieces = _client(new, clean_session=False, outbox=fieldmqtt.FlashOutbox(settings["folder"]))

    def callback(topic, piece, offset, size):
        pieces(topic, piece, offset, size)
        if settings["stop"] == "half" and offset > size // 2:
            print("half")
            sys.stdin.readline()

    fieldmqtt.receive_large(real(client), callback)
    await client.connect()
    await client.subscribe("in", 2)
    print("ready")
    await until(client, lambda: pieces.messages, 20)
    await work(client, 0.3)
    await client.disconnect()


async def queued(new):
    """asyncio: messages wait for `async for` while a large one comes."""
    client, pieces = _client(new)
    if isinstance(client, Awaited):
        raise ValueError("asyncio only")
    await client.connect()
    await client.subscribe("in", 1)
    print("ready")
    while not pieces.messages:
        await asyncio.sleep(0.01)
    seen = []
    async for message in client:
        seen.append(int(message.payload))
        if len(seen) == settings["count"]:
            break
    print("in order", seen == list(range(settings["count"])), "dropped", client.dropped)
    await client.disconnect()


main(globals())
