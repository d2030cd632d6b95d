"""A TCP proxy between a client and its broker that does on purpose what bad links do.

    with Proxy(broker.port, Plan(seed=7)) as proxy:
        ...  # the client connects to proxy.port
        print(proxy.report())

What faults there are, and which comes when, is in plan.py. Each one injected is logged.

All faults but one are such that TCP itself may show them: bytes come in order and unchanged, or the connection ends or
falls silent for ever. There a client can keep its promise, and this one must: nothing lost at QoS 1 and 2, nothing
duplicated at QoS 2.

The broker learns of the end of a connection a moment after the device. If that comes while it repeats what was in
flight, and the next connection at once, mosquitto 2.0.11 forgets for which messages it has had PUBREC and sends PUBLISH
for them again: at QoS 2 they arrive twice, and no client can know.

CORRUPT is different. Neither TCP (to whoever sits above its checksum) nor MQTT 3.1.1 has a way to see a changed byte,
so no client can keep that promise. What one changed byte on its way to the device may do to a correct client:
- in a payload: it is delivered as it came. Here each payload has a CRC of its own, by which the receiver knows it.
- in a topic: the message goes to another callback, or to none.
- in the packet identifier of PUBACK, PUBREC, PUBCOMP: the client takes another message in flight for acknowledged, and
  forgets it: it may be lost. One that is not in flight is ignored; the message waits for the next connection.
- in the packet identifier of a PUBLISH: the wrong one is acknowledged, so the message comes again: at QoS 2 it is
  delivered twice. And a wrong identifier at QoS 2 that never gets its PUBREL hides a later message that bears it.
- in the fixed header: the QoS falls, so the message is not acknowledged and comes again; or the stream is out of step.
- in CONNACK: "session present" is believed. Not in the first one: there the client would believe that it has
  subscribed in an earlier life; so that connection is left alone.
What is promised then: the client neither crashes nor hangs; it comes back; whatever passes its own CRC was sent; what
was accepted ends up as acknowledged; and one changed byte costs at most one message. An acknowledgement that was lost
so comes again with the next connection: these tests make one when nothing moves any more. A changed byte on its way to
the broker would test the broker (a SUBSCRIBE for another filter, a CONNECT of another client): it is not done.
"""

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from faults import plan as kinds
from faults.plan import Fault, Plan

_CHUNK = 16384
_MERGE_S = 0.05  # how long MERGE waits for more
_PIECE_S = 0.0005  # between two pieces, so that they are read one by one
_FINISH_S = 0.05
_START_S = 5.0
_RST = struct.pack("ii", 1, 0)

# Hears what a side says: the connection, whether it goes to the broker, the bytes (none: the connection is over). What
# it returns goes on in their place, unless that is nothing.
Tap = Callable[[int, bool, bytes], bytes | None]


class Injected(NamedTuple):
    kind: str
    connection: int
    to_broker: bool
    byte: int  # of this direction, counted from the connection's beginning

    def __str__(self) -> str:
        return f"{self.kind:<10} connection {self.connection} {'->' if self.to_broker else '<-'} byte {self.byte}"


class Proxy:
    """Listens on 127.0.0.1, `port`, and carries to the port `target`. `tap` is called in the proxy's thread."""

    def __init__(self, target: int, plan: Plan, tap: Tap = lambda *_: None) -> None:
        self.target, self.plan, self.tap = target, plan, tap
        self.log: list[Injected] = []
        self.connections = 0
        self._calm = False
        self._links: set[Link] = set()
        self._holder = _bound(0)  # keeps the port while nobody listens on it
        self.port: int = self._holder.getsockname()[1]
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="proxy", daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        if not self._started.wait(_START_S):
            raise RuntimeError("the proxy did not start")
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_S)
        self._holder.close()

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._end_all)

    def calm(self) -> None:
        """No faults any more, but every connection has to be made anew."""
        self._calm = True
        self.cut()

    def counts(self) -> Counter[str]:
        """How many faults of each kind were injected."""
        return Counter(each.kind for each in list(self.log))

    def report(self, last: int = 20) -> str:
        """The seed and the newest faults, for the message of a failure."""
        head = f"seed {self.plan.seed}, {self.connections} connections, {len(self.log)} faults; the last ones:"
        return "\n  ".join([head, *map(str, self.log[-last:])])

    def _end_all(self) -> None:
        for link in self._links:
            link.end(reset=True)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        accepting = self._loop.create_task(self._accept_for_ever())
        await self._stop.wait()
        accepting.cancel()
        self._end_all()
        await asyncio.gather(accepting, *(link.task for link in self._links), return_exceptions=True)

    async def _accept_for_ever(self) -> None:
        while True:
            with _bound(self.port) as listener:
                listener.listen(16)
                self._started.set()
                pause = 0.0
                while not pause:
                    device, _ = await self._loop.sock_accept(listener)
                    pause = self._begin(device)
            _reset(device)  # not before the port is closed
            await asyncio.sleep(pause)

    def _begin(self, device: socket.socket) -> float:
        """A connection has come. Returns for how long the port is to be closed now."""
        number, self.connections = self.connections, self.connections + 1
        faults = iter(()) if self._calm else self.plan.faults(number)
        first = next(faults, None)
        if first and first.kind in kinds.AT_ACCEPT:
            self.log.append(Injected(first.kind, number, True, 0))
        if first and first.kind == kinds.CLOSED:
            return first.size / 1000
        if first and first.kind == kinds.REFUSE:
            _reset(device)
            return 0
        link = Link(self, number, device, first, faults)
        self._links.add(link)
        link.task.add_done_callback(lambda _: self._links.discard(link))
        return 0


class Link:
    """One connection through the proxy. Of what is kept for both directions, True is to the broker."""

    def __init__(
        self, proxy: Proxy, number: int, device: socket.socket, fault: Fault | None, faults: Iterator[Fault]
    ) -> None:
        self._proxy, self._number = proxy, number
        self._loop = asyncio.get_running_loop()
        self._ends = {True: device, False: socket.socket()}  # where to read what goes in this direction
        for end in self._ends.values():
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._chance = random.Random(number)  # the sizes of pieces
        self._fault, self._faults = fault, faults
        self._left = fault.after if fault else 0  # bytes until it comes
        self._carried = {True: 0, False: 0}
        self._pieces = {True: (0, 0), False: (0, 0)}  # the next bytes go in pieces: so many bytes, the largest piece
        self._gather = {True: 0, False: 0}  # so many bytes are to go at once
        self._flip = {True: 0, False: 0}  # what the next byte is XORed with
        self._deaf: set[bool] = set()  # directions that are swallowed
        self._jobs: dict[bool, asyncio.Task[None]] = {}
        self._over, self._resets = asyncio.Event(), False
        self.task = self._loop.create_task(self._run())

    def end(self, reset: bool) -> None:
        """Close both sides, or reset them."""
        self._resets |= reset
        self._over.set()

    async def _run(self) -> None:
        try:
            if self._fault and self._fault.kind == kinds.SILENCE:
                self._deaf.add(True)
                directions = [True]
            else:
                await self._loop.sock_connect(self._ends[False], ("127.0.0.1", self._proxy.target))
                directions = [True, False]
            self._jobs.update({to_broker: self._loop.create_task(self._pump(to_broker)) for to_broker in directions})
            await self._over.wait()
        except OSError:  # the broker is down
            self._resets = True
        finally:
            for job in self._jobs.values():
                job.cancel()
            await asyncio.gather(*self._jobs.values(), return_exceptions=True)
            close = _reset if self._resets else socket.socket.close
            close(self._ends[True])
            await self._let_finish(self._ends[False])
            self._proxy.tap(self._number, True, b"")
            close(self._ends[False])

    async def _let_finish(self, broker: socket.socket) -> None:
        """Let the broker say into the void what it has begun to say, before it learns of the end."""
        with suppress(OSError, asyncio.TimeoutError):
            while await asyncio.wait_for(self._loop.sock_recv(broker, _CHUNK), _FINISH_S):
                pass

    async def _pump(self, to_broker: bool) -> None:
        source = self._ends[to_broker]
        with suppress(OSError):
            while data := await self._loop.sock_recv(source, _CHUNK):
                if self._gather[to_broker]:
                    data = await self._merged(source, data, to_broker)
                if to_broker not in self._deaf:
                    await self._carry(to_broker, self._proxy.tap(self._number, to_broker, data) or data)
        self.end(reset=False)

    async def _merged(self, source: socket.socket, data: bytes, to_broker: bool) -> bytes:
        size, self._gather[to_broker] = self._gather[to_broker], 0
        while len(data) < size:
            try:
                more = await asyncio.wait_for(self._loop.sock_recv(source, _CHUNK), _MERGE_S)
            except asyncio.TimeoutError:
                break
            if not more:
                break
            data += more
        return data

    async def _carry(self, to_broker: bool, data: bytes) -> None:
        while data and to_broker not in self._deaf:
            mine = self._fault is not None and self._fault.to_broker == to_broker
            now = data[: self._left] if mine else data
            await self._send(to_broker, now)
            data = data[len(now) :]
            self._carried[to_broker] += len(now)
            if mine:
                self._left -= len(now)
                if not self._left:
                    await self._inject()

    async def _send(self, to_broker: bool, data: bytes) -> None:
        sink = self._ends[not to_broker]
        if data and self._flip[to_broker]:
            data = bytes([data[0] ^ self._flip[to_broker]]) + data[1:]
            self._flip[to_broker] = 0
        left, largest = self._pieces[to_broker]
        while data and left > 0:
            size = self._chance.randint(1, min(largest, left))
            await self._loop.sock_sendall(sink, data[:size])
            await asyncio.sleep(_PIECE_S)
            left -= len(data[:size])
            data = data[size:]
            self._pieces[to_broker] = (left, largest)
        if data:
            await self._loop.sock_sendall(sink, data)

    async def _inject(self) -> None:
        """The fault's turn has come. The next one is drawn."""
        fault = self._fault
        assert fault
        self._fault = next(self._faults, None)
        self._left = self._fault.after if self._fault else 0
        to_broker = fault.to_broker
        self._proxy.log.append(Injected(fault.kind, self._number, to_broker, self._carried[to_broker]))
        if fault.kind == kinds.DELAY:
            await asyncio.sleep(fault.size / 1000)
        elif fault.kind in (kinds.DRIBBLE, kinds.SPLIT):
            self._pieces[to_broker] = (fault.size, 1 if fault.kind == kinds.DRIBBLE else 9)
        elif fault.kind == kinds.MERGE:
            self._gather[to_broker] = fault.size * 10
        elif fault.kind == kinds.CORRUPT:
            self._flip[to_broker] = fault.size
        elif fault.kind == kinds.HALF_OPEN:
            self._deaf.add(to_broker)
        elif fault.kind == kinds.BLACK_HOLE:
            self._jobs[not to_broker].cancel()
            await asyncio.Event().wait()
        else:
            self.end(reset=fault.kind == kinds.RESET)
            await asyncio.Event().wait()


def _reset(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    end.close()


def _bound(port: int) -> socket.socket:
    """A socket that nobody else can bind to its port, but those made here."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    made.setblocking(False)
    return made
