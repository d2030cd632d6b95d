"""Whatever happens, and in whatever order: what was accepted on flash arrives, in order, at QoS 2 once."""

import sys
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from flash.kit import Folder
from support import fakenet
from support.answering import Broker

FlashOutbox = fakenet.fieldmqtt_on(fakenet.Network(Broker())).FlashOutbox

_SIZE, _RAM = 8192, 256
_POLICIES = ((60_000, "wait"), (25, "drop"), (200, "drop"))  # count, full
_PUBACK, _PUBREC, _PUBREL, _PUBCOMP = "PUBACK", "PUBREC", "PUBREL", "PUBCOMP"
_SERIAL = slice(9, 15)  # of a packet: which message it is


def _packet(packet_id: int, qos: int, serial: int, size: int) -> bytes:
    head = bytes((0x30 | qos << 1, size - 2, 0, 3)) + b"a/b" + packet_id.to_bytes(2, "big")
    return (head + b"%06d" % serial).ljust(size, b".")


class _Peer:
    """A broker: a session as section 4.3 wants it, and what it delivered. Answers at QoS 1 may overtake those at 2."""

    def __init__(self) -> None:
        self.known: dict[int, int] = {}  # QoS 2: messages by identifier that wait for PUBREL
        self.delivered: list[int] = []
        self.connect(False)

    def connect(self, session_present: bool) -> None:
        self.arriving: deque[tuple[str, int, bytes]] = deque()
        self.answers: dict[int, deque[tuple[str, int]]] = {1: deque(), 2: deque()}
        if not session_present:
            self.known.clear()

    def work(self) -> None:
        """Take one packet."""
        kind, packet_id, data = self.arriving.popleft()
        if kind == _PUBREL:
            if packet_id in self.known:
                self.delivered.append(self.known.pop(packet_id))
            self.answers[2].append((_PUBCOMP, packet_id))
        elif data[0] & 4:
            self.known.setdefault(packet_id, int(data[_SERIAL]))
            self.answers[2].append((_PUBREC, packet_id))
        else:
            self.delivered.append(int(data[_SERIAL]))
            self.answers[1].append((_PUBACK, packet_id))


class FlashBesideABroker(RuleBasedStateMachine):
    """One outbox on flash, its lives, its connections; every step is one that a client makes."""

    @initialize(first=st.sampled_from((0, 65_520)), policy=st.sampled_from(_POLICIES))
    def start(self, first: int, policy: tuple[int, str]) -> None:
        self.folder, self.policy = Folder().__enter__(), policy
        self.outbox, self.peer = FlashOutbox(self.folder.path, _SIZE, _RAM, *policy), _Peer()
        self.last_id = first
        self.qos_of: dict[int, int] = {}  # of each message accepted, by its serial number
        self.finished: set[int] = set()
        self.maybe_dropped: set[int] = set()  # others made room for a newer one
        self.twice_allowed: set[int] = set()  # a session was lost since they were accepted
        self.sent_before: set[int] = set()  # in this session
        self.serial_of: dict[int, int] = {}  # by packet identifier
        self.received: set[int] = set()
        self.in_flight_order: list[int] = []

    def _accept(self, qos: int, size: int) -> int | None:
        before = self.outbox.dropped
        at = self.outbox.reserve(size)
        if self.outbox.dropped != before:
            self.maybe_dropped.update(set(self.qos_of) - self.finished)
        if at < 0:
            return None
        packet_id = self.last_id % 65535 + 1
        while self.outbox.uses(packet_id):
            packet_id = packet_id % 65535 + 1
        serial = len(self.qos_of) + 1
        self.outbox.buffer[at : at + size] = _packet(packet_id, qos, serial, size)
        self.outbox.commit(packet_id, size)
        self.last_id = packet_id
        self.serial_of[packet_id] = serial
        return serial

    @rule(qos=st.sampled_from((1, 2)), size=st.integers(15, 64), count=st.sampled_from((1, 1, 2, 10, 60)))
    def publish(self, qos: int, size: int, count: int) -> None:
        for _ in range(count):
            serial = self._accept(qos, size)
            if serial is None:
                assert self.outbox.pending, "an empty outbox has room"
                return
            self.qos_of[serial] = qos

    @rule(rounds=st.lists(st.tuples(*[st.integers(0, 5)] * 4), min_size=1, max_size=6))
    def converse(self, rounds: list[tuple[int, int, int, int]]) -> None:
        """Packets go both ways, as many as each round says; what is on its way at the end stays there."""
        for sent, arriving, at_qos_1, at_qos_2 in rounds:
            self._send(sent)
            for _ in range(min(arriving, len(self.peer.arriving))):
                self.peer.work()
            self._answer(1, at_qos_1)
            self._answer(2, at_qos_2)

    def _send(self, count: int) -> None:
        for _ in range(count):
            packet_id = self.outbox.next()
            if not packet_id:
                return
            data = bytes(self.outbox.buffer[self.outbox.start : self.outbox.end])
            if data:
                serial = int(data[_SERIAL])
                assert self.serial_of[packet_id] == serial and data == self._expected(packet_id, serial, data)
                assert not self.in_flight_order or serial > self.in_flight_order[-1], "in order, once per connection"
                assert serial not in self.sent_before or data[0] & 8, "DUP"
                self.in_flight_order.append(serial)
                self.sent_before.add(serial)
            self.peer.arriving.append(("" if data else _PUBREL, packet_id, data))

    def _expected(self, packet_id: int, serial: int, data: bytes) -> bytes:
        packet = _packet(packet_id, self.qos_of[serial], serial, len(data))
        return bytes((packet[0] | data[0] & 8,)) + packet[1:]

    def _answer(self, qos: int, count: int) -> None:
        answers = self.peer.answers[qos]
        for _ in range(min(count, len(answers))):
            kind, packet_id = answers.popleft()
            orphan = packet_id in self.outbox.orphans
            taken = getattr(self.outbox, kind.lower())(packet_id)
            assert taken or orphan or self.serial_of[packet_id] in self.maybe_dropped, (kind, packet_id)
            if kind == _PUBREC:
                self.peer.arriving.append((_PUBREL, packet_id, b""))
            elif taken:
                self.finished.add(self.serial_of[packet_id])

    @rule(packet_id=st.integers(1, 4), first=st.booleans())
    def exchange_in_the_other_direction(self, packet_id: int, first: bool) -> None:
        if first:
            assert self.outbox.receive(packet_id) == (packet_id not in self.received)
            self.received.add(packet_id)
        else:
            self.outbox.release(packet_id)
            self.received.discard(packet_id)

    @rule(session_present=st.sampled_from((True, True, False)))
    def reconnect(self, session_present: bool) -> None:
        self.peer.connect(session_present)
        self.in_flight_order.clear()
        if not session_present:
            self.twice_allowed.update(self.qos_of)
            self.sent_before.clear()
            self.received.clear()
        self.outbox.rewind(session_present)
        for packet_id in self.outbox.orphans:  # as Protocol does
            self.peer.arriving.append((_PUBREL, packet_id, b""))

    @rule()
    def sync(self) -> None:
        self.outbox.sync()
        assert self.outbox.failures == 0

    @rule(session_present=st.sampled_from((True, True, False)), closed=st.booleans())
    def restart(self, session_present: bool, closed: bool) -> None:
        if closed:
            self.outbox.close()
        self.in_flight_order.clear()
        self.outbox = FlashOutbox(self.folder.path, _SIZE, _RAM, *self.policy)
        self.last_id = self.outbox.newest or self.last_id
        assert self.outbox.received == self.received
        assert self.outbox.pending >= len(set(self.qos_of) - self.finished - self.maybe_dropped)
        self.reconnect(session_present)

    @rule(qos=st.sampled_from((1, 2)), size=st.integers(15, 64), data=st.data(), session_present=st.booleans())
    def restart_while_writing(self, qos: int, size: int, data: st.DataObject, session_present: bool) -> None:
        before = self.folder.copy()
        if self._accept(qos, size) is None:
            return
        name = self.folder.segments()[-1]
        whole = self.folder.read(name)
        cut = data.draw(st.integers(len(before.get(name, b"")), len(whole) - 1))
        self.outbox.close()
        self.folder.write(name, whole[:cut])
        self.restart(session_present, False)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                if sys.exc_info()[0] is None:
                    self._all_arrives()
            finally:
                self.folder.__exit__(None, None, None)

    def _all_arrives(self) -> None:
        self.reconnect(True)  # releases what was dropped before it was sent again
        for _ in range(10 * len(self.qos_of) + 10):
            self.converse([(5, 10, 5, 5)])
        assert self.outbox.pending == 0 and self.outbox.orphans == []
        first = list(dict.fromkeys(self.peer.delivered))
        for qos in (1, 2):
            arrived = [n for n in first if self.qos_of[n] == qos and n not in self.maybe_dropped]
            assert sorted(arrived) == arrived, "in order"
        assert set(self.qos_of) - set(first) <= self.maybe_dropped, "all"
        for serial in first:
            if self.qos_of[serial] == 2 and serial not in self.twice_allowed:
                assert self.peer.delivered.count(serial) == 1, "exactly once"
        assert len(self.folder.segments()) <= 1


TestFlashBesideABroker = FlashBesideABroker.TestCase
TestFlashBesideABroker.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    report_multiple_bugs=False,
)


@st.composite
def _lives(draw: st.DrawFn) -> list[tuple[int, int]]:
    """So many accepted, so many of what is waiting finished, again and again."""
    return draw(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=6))


def _accept(outbox: FlashOutbox, number: int) -> bool:
    at = outbox.reserve(40)
    if at >= 0:
        outbox.buffer[at : at + 40] = _packet(number, 1, number, 40)
        outbox.commit(number, 40)
    return at >= 0


def _finish(outbox: FlashOutbox, most: int) -> list[int]:
    """Send and acknowledge so many; return which."""
    sent = []
    while len(sent) < most and (packet_id := outbox.next()):
        assert outbox.puback(packet_id)
        sent.append(packet_id)
    return sent


@settings(max_examples=100, report_multiple_bugs=False)
@given(lives=_lives(), running=st.booleans(), synced=st.booleans(), data=st.data())
def test_one_byte_damaged(lives: list[tuple[int, int]], running: bool, synced: bool, data: st.DataObject) -> None:
    with Folder() as folder:
        outbox = FlashOutbox(folder.path, 20_000, _RAM)
        waiting: list[int] = []
        newest = 0
        for accepted, finished in lives:
            for _ in range(accepted):
                if _accept(outbox, newest + 1):
                    newest += 1
                    waiting.append(newest)
            assert _finish(outbox, finished) == waiting[:finished]
            del waiting[:finished]
        if synced:
            outbox.sync()
        name = data.draw(st.sampled_from([name for name in folder.names() if folder.read(name)] or ["state"]))
        newest_segment = max(folder.segments(), default="")
        content = bytearray(folder.read(name) if name in folder.names() else b"new")
        safe = [n for n in waiting if b"%06d" % n not in content] if name != "state" else waiting
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        folder.write(name, content)
        if not running:
            outbox = FlashOutbox(folder.path, 20_000, _RAM)
        sent = _finish(outbox, 10_000)
        assert [n for n in safe if n not in sent] == [] and sorted(sent) == sent
        assert outbox.pending == outbox.unsent == 0
        newest = max(outbox.newest, newest)
        for number in range(newest + 1, newest + 4):
            assert _accept(outbox, number)
        if running and name == newest_segment:
            return  # they may have gone into it
        again = FlashOutbox(folder.path, 20_000, _RAM)
        assert _finish(again, 10_000)[-3:] == [newest + 1, newest + 2, newest + 3]
