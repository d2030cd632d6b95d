"""What was really said between the device and its broker, read beside the proxy.

After a `kill -9` a broker may have forgotten what it had acknowledged: then a message is lost, or comes twice, and it
is not the client's doing. This says whose it is. It hears what each side says, before the proxy does anything to it.
"""

import time
from collections import Counter
from collections.abc import Iterator

from faults.device import numbered

_CONNACK, _PUBLISH, _PUBACK, _PUBREC, _PUBREL, _PUBCOMP = 2, 3, 4, 5, 6, 7

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


class Ledger:
    """The session's exchanges. `hear` is the proxy's tap."""

    def __init__(self) -> None:
        self.acknowledged: dict[Message, list[float]] = {}  # sent by the device: when the broker has said so
        self.repeated: list[Message] = []  # sent by the device at QoS 2 as new, though the broker had it
        self.offered: Counter[Message] = Counter()  # QoS 2 to the device: how often as a new message
        # QoS 2 to the device: the broker has forgotten for which message it has used the identifier. The device has
        # not, and takes this message for that one once more.
        self.hidden: set[Message] = set()
        self.completed: set[Message] = set()  # QoS 2 to the device: it has said PUBCOMP
        self.sessions = 0  # how often the broker said that it has none
        self._buffers: dict[tuple[int, bool], bytearray] = {}
        self._sent: dict[int, Message] = {}  # by the device, packet identifier -> message
        self._identifiers: dict[Message, int] = {}
        self._released: set[Message] = set()
        self._open: dict[int, Message] = {}  # QoS 2 to the device: until it says PUBCOMP
        self._unreleased: set[int] = set()  # the same: until the broker says PUBREL

    def hear(self, connection: int, to_broker: bool, data: bytes) -> None:
        if not data:
            for direction in (True, False):
                self._buffers.pop((connection, direction), None)
            return
        buffer = self._buffers.setdefault((connection, to_broker), bytearray())
        buffer += data
        for head, body in packets(buffer):
            if head >> 4 == _PUBLISH and head & 6:
                self._publish(to_broker, head >> 1 & 3, body)
            elif head >> 4 == _CONNACK and not body[0] & 1:
                self._new_session()
            elif _PUBACK <= head >> 4 <= _PUBCOMP:
                self._answer(to_broker, head >> 4, int.from_bytes(body[:2], "big"))

    def _publish(self, to_broker: bool, qos: int, body: bytes) -> None:
        at = 2 + int.from_bytes(body[:2], "big")
        packet_id = int.from_bytes(body[at : at + 2], "big")
        message = (qos, numbered.label(body[at + 2 :]) or "?")
        if to_broker:
            if qos == 2 and (message in self._released or self._identifiers.get(message, packet_id) != packet_id):
                self.repeated.append(message)
            self._sent[packet_id] = message
            self._identifiers[message] = packet_id
        elif qos == 2:
            if self._open.setdefault(packet_id, message) != message:
                self.hidden.add(message)
            elif packet_id not in self._unreleased:
                self.offered[message] += 1
            self._unreleased.add(packet_id)

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
