"""The asyncio client: the same names, awaited. Here is only the waiting.

Two tasks drive the connection while it is wanted: one is woken by the stream, the other by the clock.
Whoever awaits something sleeps until one of them has handled a packet, and looks then.
"""

import asyncio
from time import ticks_diff, ticks_ms

from micropython import const

from .calls import Calls

_PUBLISH = const(0x30)  # packet type, as in protocol.py
_WANTED = const(0)  # states of a filter, as in subscriptions.py
_UNWANTED = const(4)

# Longest pause of the clock's task, ms: the precision of all deadlines.
_TICK = const(50)

# Messages that wait for `async for`. From _QUEUE on nothing more is read, and TCP lets the broker wait, unless
# a task waits for an answer, which stands behind them. From _MOST on messages at QoS 0 are dropped, and the first
# at QoS 1 or 2 ends the reading in any case.
_QUEUE = const(8)
_MOST = const(64)


class AsyncMQTTClient(Calls):
    """An MQTT client whose connection is served in the background. See Connection for the constructor.

    Callbacks are plain functions; what they raise goes to the loop's exception handler. Messages that
    no callback claims are for `async for message in client`. At QoS 1 they are acknowledged when the next one is
    asked for, or by acknowledge(), or at disconnect(): a program that is cut off while it works with one, or
    leaves `async with` by an exception, gets it again, in a session that is kept. That is for one task in `async for`:
    several acknowledge each other's. At QoS 2, which is never delivered twice, when they are taken.
    `dropped` counts messages at QoS 0 for which there was no room.
    Deadlines, exceptions and what is kept are as in MQTTClient. Any number of tasks may publish at once.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._progress = asyncio.Event()
        self._messages = []  # (message, its acknowledgement)
        self._waiting = 0  # tasks that wait for an answer
        self.dropped = 0
        self._reader = self._clock = None

    async def __aenter__(self):
        await self.connect()
        return self

    async def __aexit__(self, *error):
        if error[0]:
            self._taken = None  # who fails with a message gets it again
        await self.disconnect()

    def __aiter__(self):
        return self

    async def __anext__(self):
        """Return the next message. Ends with disconnect(), raises when the connection is lost for good."""
        while self._taken or not self._messages or self._protocol.room() < 8:
            if self._taken and self._protocol.room() > 7:
                self.acknowledge()
            elif self._clock or self._messages:
                await self._progress.wait()
            else:
                raise self.error or StopAsyncIteration
        message, self._taken = self._messages.pop(0)
        if message.qos != 1:
            self.acknowledge()
        return message

    def acknowledge(self):
        """Have done with the message that `async for` gave last, at once: after `break`, or before a wait in the loop
        for what a broker may hold back until then (receive_maximum=1)."""
        if self._taken:
            self._protocol.acknowledge(self._taken)
            self._taken = None
            self._flush()

    async def connect(self, clean_session=None, timeout=None, *, wait=True):
        """Connect; return whether the broker had kept this client's session. See MQTTClient.connect."""
        self._begin(clean_session, len(self._servers) if wait else -1, timeout)
        self._clock = asyncio.create_task(self._run())  # an older one ends, if it still runs
        if wait:
            deadline = self._deadline(timeout)
            try:
                while not self.isconnected():
                    await self._wait(deadline)
            finally:
                if not self.isconnected():
                    self._close()
        return self._protocol.session_present

    async def disconnect(self):
        """Tell the broker and close; the last will is not published. Raises nothing when there is no connection."""
        deadline = self._deadline(None)
        try:
            while not self._farewell():
                await self._wait(deadline)
            while self._unfinished(0):
                await self._wait(deadline)
        except OSError:
            pass  # dead already
        self._close()
        self.error = None

    async def publish(self, topic, msg, retain=False, qos=0, wait=True):
        """Send a message; return its packet identifier (None at QoS 0). See MQTTClient.publish."""
        packet_id = self._protocol.publish(topic, msg, retain, qos)
        if packet_id == 0:
            return None
        deadline = self._deadline(None)
        while packet_id is None:
            self._put_off(wait or qos)
            await self._wait(deadline)
            packet_id = self._protocol.publish(topic, msg, retain, qos)
        self._flush()
        dropped = self._protocol.outbox.dropped
        while wait and self._unfinished(packet_id):
            await self._wait(deadline)
        self._kept(packet_id, dropped)
        return packet_id if qos else None

    async def subscribe(self, topic, qos=0, *, callback=None, wait=True):
        """Subscribe to a topic filter or a list of them; return the QoS granted. See MQTTClient.subscribe."""
        entries = self._want(topic, qos, callback, _WANTED)
        if wait:
            await self._await(entries)
            return self._granted(entries)

    async def unsubscribe(self, topic, *, wait=True):
        """Unsubscribe a topic filter or a list of them."""
        entries = self._want(topic, 0, None, _UNWANTED)
        if wait:
            await self._await(entries)

    async def wait_msg(self, timeout=None):
        """Wait until a callback has had a message; False: none came within timeout (s; None: for ever)."""
        before = self.message
        deadline = None if timeout is None else self._deadline(timeout)
        while self.message is before:
            if deadline is not None and ticks_diff(deadline, ticks_ms()) <= 0:
                return False
            self._check()
            await self._progress.wait()
        return True

    async def check_msg(self, attempts=None):
        """Let the client work; return whether a callback has had a message. For the likeness to MQTTClient."""
        before = self.message
        self._check()
        await asyncio.sleep_ms(0)
        return self.message is not before

    async def ping(self):
        """Send PINGREQ now. Keep alive does so by itself."""
        Calls.ping(self)

    async def flush(self, timeout=None):
        """Wait until every message at QoS 1 and 2 is acknowledged, for example before a deep sleep."""
        deadline = self._deadline(timeout)
        while self.pending() or self._unfinished(0):
            await self._wait(deadline)

    async def _await(self, entries):
        deadline = self._deadline(None)
        while not self._answered(entries):
            await self._wait(deadline)

    # One turn of waiting until a deadline.
    async def _wait(self, deadline):
        now = ticks_ms()
        if ticks_diff(deadline, now) <= 0:
            self._expire()
        self._check()
        self._waiting += 1
        try:
            await self._progress.wait()
        finally:
            self._waiting -= 1

    # The clock's task: connects, keeps alive, and lets waiters look at their deadlines.
    async def _run(self):
        me = asyncio.current_task()
        while self._state and self._clock is me:
            self._turn()
            if self.isconnected():
                if not self._reader:
                    self._reader = asyncio.create_task(self._read())
                await asyncio.sleep_ms(min(5 if self._protocol.writing() else _TICK, self.due(ticks_ms())))
            else:
                await asyncio.sleep_ms(5 if self._transport else _TICK)
        if self._clock is me:
            self._clock = None
        self._tell()

    # The stream's task: woken when there is something to read, or room for what is left to write.
    async def _read(self):
        while self.isconnected():
            if self._turn():
                await asyncio.sleep_ms(0)  # a flood must not keep the other tasks out
            elif self._hold:
                await asyncio.sleep_ms(_TICK // 5)
            elif self.isconnected():
                await _ready(self._transport.stream, self._writing())
        self._reader = None

    def _turn(self):
        event = 0
        try:
            self._hold = len(self._messages) > (_MOST if self._waiting else _QUEUE - 1)
            event = self.step(ticks_ms())
        except Exception as error:  # from a callback; these tasks must go on, so another one ends by it
            event = _PUBLISH
            asyncio.create_task(_raise(error))  # noqa: RUF006 (the loop holds it)
        self._tell()
        return event

    # Wake everybody who waits; the flag itself is never left set.
    def _tell(self):
        self._progress.set()
        self._progress.clear()

    def _unclaimed(self, message):
        if not message.qos and len(self._messages) >= _MOST:
            self.dropped += 1
        else:
            self._messages.append((message, self._protocol.postpone()))

    def _close(self):
        reader, self._reader = self._reader, None
        if reader and reader is not asyncio.current_task():
            reader.cancel()
        super()._close()


# For the loop's exception handler.
async def _raise(error):
    raise error


# Wait for a stream, as asyncio's own streams do: one awaits the io queue of the loop (MicroPython's
# asyncio.core, which aioespnow uses in the same way). The plain generator is what an await compiles to.
def _ready(stream, writing):
    queue = asyncio.core._io_queue
    yield queue.queue_write(stream) if writing else queue.queue_read(stream)
