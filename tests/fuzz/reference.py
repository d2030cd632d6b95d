"""What a client has to make of a broker's bytes, in the plainest way: the other half of a comparison.

It shares no line with the library. Where the specification leaves the check to the broker (packets.TOLERATED) it checks
nothing either. Runs under CPython and MicroPython.
"""

MOST_RECEIVED = 1024  # QoS 2 messages without PUBREL


class Malformed(Exception):
    """The client must close the connection."""


def frame(data, at, max_packet, have=None):
    """The packet that begins at `at`: (first byte, body, where it ends); None while a part of it is missing.

    have: so many bytes of the data have come, all of them unless given.
    """
    have = len(data) if have is None else have
    length = shift = 0
    for i in range(at + 1, at + 5):
        if i >= have:
            return None
        length |= (data[i] & 0x7F) << shift
        shift += 7
        if data[i] < 0x80:
            end = i + 1 + length
            if end - at > max_packet:
                raise Malformed("larger than max_packet")
            return None if end > have else (data[at], bytes(data[i + 1 : end]), end)
    raise Malformed("remaining length")


def number(body, at=0):
    """A packet identifier, which is never 0."""
    if at + 2 > len(body) or not (body[at] or body[at + 1]):
        raise Malformed("packet identifier")
    return body[at] << 8 | body[at + 1]


def heard(receiver, following):
    """What a Receiver makes of a stream: its messages, answers, whether it is refused. `following(at)`: as `frame`."""
    messages, answers, at = [], b"", 0
    try:
        while True:
            found = following(at)
            if found is None:
                return messages, answers, False
            head, body, at = found
            message, answer = receiver.take(head, body)
            answers += answer
            if message:
                messages.append(message)
    except Malformed:
        return messages, answers, True


class Receiver:
    """The receiving side of a client that has sent CONNECT and nothing else."""

    def __init__(self, online=False):
        self.online = online
        self.session_present = False
        self.received = set()  # identifiers at QoS 2 that wait for PUBREL
        self.too_many = False  # the others are for the next connection

    def take(self, head, body):
        """A packet has come: return (message or None, answer). Raises Malformed."""
        kind = head & 0xF0
        if not self.online:
            return self._connack(head, body)
        if kind == 0x30:
            return self._publish(head, body)
        if head in (0x40, 0x50, 0x62, 0x70, 0xB0):
            return None, self._acknowledged(head, number(body), len(body))
        if head == 0x90:
            number(body)
            if any(code not in (0, 1, 2, 0x80) for code in body[2:]):
                raise Malformed("return code")
        elif head != 0xD0 or body:
            raise Malformed("packet type or flags")
        return None, b""

    def _connack(self, head, body):
        if head != 0x20 or len(body) != 2 or body[0] > 1 or body[1]:
            raise Malformed("no CONNACK, or a refusal")
        self.online = True
        self.too_many = False
        self.session_present = body[0] == 1
        if not self.session_present:
            self.received.clear()
        return None, b""

    def _publish(self, head, body):
        qos = head >> 1 & 3
        size = body[0] << 8 | body[1] if len(body) > 1 else 0
        topic = body[2 : 2 + size]
        if qos == 3 or not size or len(topic) < size or any(c in b"+#\0" for c in topic):
            raise Malformed("topic name or QoS")
        at = 2 + size
        packet_id = number(body, at) if qos else 0
        message = (topic, body[at + 2 if qos else at :], head & 1, qos, head >> 3 & 1)
        if qos == 2:
            if packet_id in self.received:
                message = None
            elif len(self.received) == MOST_RECEIVED or self.too_many:
                self.too_many = True
                return None, b""
            self.received.add(packet_id)
        return message, bytes((0x40 if qos == 1 else 0x50, 2, packet_id >> 8, packet_id & 0xFF)) if qos else b""

    def _acknowledged(self, head, packet_id, size):
        if size != 2:
            raise Malformed("length of an acknowledgement")
        if head == 0x62:
            self.received.discard(packet_id)
        answer = {0x50: 0x62, 0x62: 0x70}.get(head)
        return bytes((answer, 2, packet_id >> 8, packet_id & 0xFF)) if answer else b""
