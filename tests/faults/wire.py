"""What was really said between the device and its broker, read beside the proxy.

After a `kill -9` a broker may have forgotten what it had acknowledged: then a message is lost, or comes twice, and it
is not the client's doing. This says whose it is. It hears what each side says, before the proxy does anything to it.
"""

import time
from collections import Counter
from collections.abc import Iterator

from faults.device import numbered

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _PUBREC, _PUBREL, _PUBCOMP = 1, 2, 3, 4, 5, 6, 7

RECEIVE_MAXIMUM = 5  # of the broker, with version 5: what its CONNACK is made to say

Message = tuple[int, str]  # QoS and label


def packets(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the whole packets from the front of a buffer: first byte and what follows the Remaining Length."""
    while True:
        size = 0
        for at in range(1, min(len(buffer), 5)):
            size |= (buffer[at] & 0x7F) << 7 * (at - 1)
            if not buffer[at] & 0x80:
                break
        else:
            return
        if len(buffer) < (end := at + 1 + size):
            return
        yield buffer[0], bytes(buffer[at + 1 : end])
        del buffer[:end]


def limited(connack: bytes) -> bytes:
    """A CONNACK of MQTT 5 with the property Receive Maximum, which it did not have (section 3.2.2.3.3)."""
    made = bytes((0x21, *RECEIVE_MAXIMUM.to_bytes(2, "big")))
    size, properties = connack[1] + len(made), connack[4] + len(made)
    assert connack[0] == _CONNACK << 4 and max(size, properties) < 128, connack.hex()
    return bytes((connack[0], size, *connack[2:4], properties)) + made + connack[5:]


def _behind_properties(body: bytes, at: int) -> int:
    size = shift = 0
    while body[at] & 0x80:
        size |= (body[at] & 0x7F) << shift
        shift += 7
        at += 1
    return at + 1 + (size | body[at] << shift)


class Ledger:
    """The session's exchanges. `hear` is the proxy's tap."""

    def __init__(self) -> None:
        self.acknowledged: dict[Message, list[float]] = {}  # sent by the device: when the broker has said so
        self.repeated: list[Message] = []  # sent by the device at QoS 2 as new, though the broker had it
        self.offered: Counter[Message] = Counter()  # QoS 2 to the device: how often as a new message
        # QoS 2 to the device: the broker has forgotten for which message it has used the identifier. The device has
        # not, and takes this message for that one once more.
        self.hidden: set[Message] = set()
        self.said: dict[Message, int] = {}  # to the device: in which order
        self.completed: set[Message] = set()  # QoS 2 to the device: it has said PUBCOMP
        self.sessions = 0  # how often the broker said that it has none
        self.exceeding: list[Message] = []  # sent by the device although as many as Receive Maximum were not finished
        self.aliased = 0  # PUBLISH packets of the device with an alias in the place of the topic
        self._levels: dict[int, int] = {}  # the version that a connection speaks
        self._unfinished: dict[int, set[int]] = {}  # sent by the device on a connection: identifiers
        self._buffers: dict[tuple[int, bool], bytearray] = {}
        self._sent: dict[int, Message] = {}  # by the device, packet identifier -> message
        self._identifiers: dict[Message, int] = {}
        self._released: set[Message] = set()
        self._open: dict[int, Message] = {}  # QoS 2 to the device: until it says PUBCOMP
        self._unreleased: set[int] = set()  # the same: until the broker says PUBREL

    def level(self, connection: int) -> int:
        """The version that a connection speaks; 0 before CONNECT."""
        return self._levels.get(connection, 0)

    def hear(self, connection: int, to_broker: bool, data: bytes) -> None:
        if not data:
            for direction in (True, False):
                self._buffers.pop((connection, direction), None)
            self._unfinished.pop(connection, None)
            return
        buffer = self._buffers.setdefault((connection, to_broker), bytearray())
        buffer += data
        for head, body in packets(buffer):
            if head >> 4 == _CONNECT:
                self._levels[connection] = body[6]
            elif head >> 4 == _PUBLISH and head & 6:
                packet_id = self._publish(to_broker, head >> 1 & 3, body, self.level(connection) == 5)
                if to_broker and self.level(connection) == 5:
                    self._count(connection, packet_id)
            elif head >> 4 == _CONNACK and not body[0] & 1:
                self._new_session()
            elif _PUBACK <= head >> 4 <= _PUBCOMP:
                packet_id = int.from_bytes(body[:2], "big")
                self._answer(to_broker, head >> 4, packet_id)
                if not to_broker and head >> 4 in (_PUBACK, _PUBCOMP):
                    self._unfinished.get(connection, set()).discard(packet_id)

    def _count(self, connection: int, packet_id: int) -> None:
        unfinished = self._unfinished.setdefault(connection, set())
        unfinished.add(packet_id)
        if len(unfinished) > RECEIVE_MAXIMUM:
            self.exceeding.append(self._sent[packet_id])

    def _publish(self, to_broker: bool, qos: int, body: bytes, properties: bool) -> int:
        at = 2 + int.from_bytes(body[:2], "big")
        self.aliased += to_broker and at == 2
        packet_id = int.from_bytes(body[at : at + 2], "big")
        at = _behind_properties(body, at + 2) if properties else at + 2
        message = (qos, numbered.label(body[at:]) or "?")
        if to_broker:
            if qos == 2 and (message in self._released or self._identifiers.get(message, packet_id) != packet_id):
                self.repeated.append(message)
            self._sent[packet_id] = message
            self._identifiers[message] = packet_id
            return packet_id
        self.said.setdefault(message, len(self.said))
        if qos == 2:
            if self._open.setdefault(packet_id, message) != message:
                self.hidden.add(message)
            elif packet_id not in self._unreleased:
                self.offered[message] += 1
            self._unreleased.add(packet_id)
        return packet_id

    def _answer(self, to_broker: bool, kind: int, packet_id: int) -> None:
        if to_broker and kind == _PUBREL and packet_id in self._sent:
            self._released.add(self._sent[packet_id])
        elif to_broker and kind == _PUBCOMP and packet_id in self._open:
            self.completed.add(self._open.pop(packet_id))
        elif kind == _PUBREL:
            self._unreleased.discard(packet_id)
        elif not to_broker and packet_id in self._sent:
            self.acknowledged.setdefault(self._sent[packet_id], []).append(time.monotonic())

    def _new_session(self) -> None:
        self.sessions += 1
        self._sent.clear()
        self._identifiers.clear()
        self._released.clear()
        self._open.clear()
        self._unreleased.clear()
