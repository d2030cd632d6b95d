"""A client that does what the host says, line by line; the cases are on the host's side.

    micropython interop_board.py sync|asyncio

The first line of the standard input are the client's arguments (outbox: its size), every other one is a step:
(method, arguments, keywords), all as Python text. Between two steps the client works. A line of the output is a word
and Python text:

    ready                                              the client is there
    done VALUE                                         a step has returned
    refused KIND, NUMBER, TEXT                         or raised
    message CALLBACK, TOPIC, PAYLOAD, RETAIN, QOS, DUP, PROPERTIES
    large TOPIC, SIZE, DIGEST                          a message that came piece by piece
    online SESSION_PRESENT, lost KIND, NUMBER, TEXT    what becomes of the connection
    on_refused NUMBER                                  the broker has refused a message
"""

import asyncio
import hashlib
import select
import sys

sys.path.append("%s/broker/clients" % __file__.rsplit("/", 3)[0])

from common import Awaited, real

import fieldmqtt

_TURN_MS = 10  # of work, until the next look for a step
_ROW = bytes(range(256)) * 2


def described(error):
    """An exception as the host reads it."""
    number = getattr(error, "reason_code", error.args[0] if error.args else None)
    return repr((type(error).__name__, number, str(error)))


class Pattern:
    """A stream of bytes that differ from block to block; `digest` is of what was read."""

    def __init__(self, size):
        self._left = size
        self._block = 0
        self.digest = hashlib.sha256()

    def readinto(self, buf):
        """Fill the buffer as far as whole blocks, or what is left, go into it."""
        filled = 0
        while self._left and (len(buf) - filled >= 256 or not filled):
            size = min(256, self._left, len(buf) - filled)
            start = self._block & 255
            buf[filled : filled + size] = _ROW[start : start + size]
            self._block += 1
            self._left -= size
            filled += size
        self.digest.update(bytes(memoryview(buf)[:filled]))
        return filled


class Steps:
    """The client, and the steps that are more than a call of it: the methods without underscore."""

    def __init__(self, client):
        self._client = client
        self._message = None
        self._digest = None
        own = real(client)
        own.set_callback(self._named(None))
        own.on_connect = lambda session_present: print("online", bool(session_present))
        own.on_disconnect = lambda error: print("lost", described(error))
        own.on_refused = lambda packet_id, error: print("on_refused", error.reason_code)

    def _named(self, name):
        def callback(topic, payload):
            self._message = real(self._client).message
            print("message", repr((name,) + tuple(self._message)))

        return callback

    async def take(self, method, arguments, keywords):
        """Do one step, and print how it ended."""
        if "callback" in keywords:
            keywords["callback"] = self._named(keywords["callback"])
        try:
            result = await getattr(self, method, getattr(self._client, method, None))(*arguments, **keywords)
            print("done", repr(tuple(result) if isinstance(result, tuple) else result))
        except (OSError, ValueError) as error:
            print("refused", described(error))

    async def work(self):
        """What the client has to do."""
        if isinstance(self._client, Awaited):
            try:
                self._client.client.wait_msg(_TURN_MS / 1000)
                return
            except OSError:
                pass  # there is no connection, nor to be one
        await asyncio.sleep_ms(_TURN_MS)

    async def set_last_will(self, *arguments, **keywords):
        real(self._client).set_last_will(*arguments, **keywords)

    async def isconnected(self):
        return real(self._client).isconnected()

    async def attribute(self, name):
        return getattr(real(self._client), name)

    async def burst(self, topic, count, qos):
        """Publish numbers, each handed over; then wait for all."""
        for i in range(count):
            await self._client.publish(topic, b"%d" % i, qos=qos, wait=False)
        await self._client.flush(60)
        return real(self._client).pending()

    async def reply(self, payload, **keywords):
        """Answer the last message."""
        return await self._client.reply(self._message, payload, **keywords)

    async def publish_large(self, topic, size):
        """Publish from a stream; return the digest of what was in it."""
        pattern = Pattern(size)
        await self._client.publish(topic, fieldmqtt.Source(pattern, size))
        return pattern.digest.digest()

    async def receive_large(self):
        """Have large messages come piece by piece. Before connect()."""
        fieldmqtt.receive_large(real(self._client), self._piece)

    def _piece(self, topic, piece, offset, size):
        if piece is None:
            print("large", repr((topic, offset, "broken off")))
            return
        if not offset:
            self._digest = hashlib.sha256()
        self._digest.update(piece)
        if offset + len(piece) == size:
            print("large", repr((topic, size, self._digest.digest())))


async def main():
    kind = fieldmqtt.MQTTClient if sys.argv[1] == "sync" else fieldmqtt.AsyncMQTTClient
    arguments = eval(sys.stdin.readline())
    if "outbox" in arguments:
        arguments["outbox"] = fieldmqtt.Outbox(arguments["outbox"])
    client = kind(**arguments)
    steps = Steps(Awaited(client) if sys.argv[1] == "sync" else client)
    orders = select.poll()
    orders.register(sys.stdin, select.POLLIN)
    print("ready None")
    while True:
        while not orders.poll(0):
            await steps.work()
        line = sys.stdin.readline()
        if not line:
            return
        await steps.take(*eval(line))


asyncio.run(main())
