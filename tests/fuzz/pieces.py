"""A broker that says arbitrary bytes to a client that takes large messages piece by piece. Compared with `reference`.

The first byte of an input chooses how little one read gives, and max_packet; the rest is what the broker says once the
client is online. Runs under CPython and MicroPython.
"""

from fuzz.decoder import Broken, listen
from fuzz.reference import Malformed, Receiver, frame, heard
from support import fakenet
from support.session import Session

LIMITS = (None, 1, 3, 40)  # bytes that one read gives at most
SIZES = (24, 64, 100, 300)  # max_packet
_LARGEST = 1 << 29  # no packet is
_HEAD = 16  # bytes of max_packet that the topic of a large message must leave


def _head(packet, max_packet):
    """How many bytes stand before the payload, as far as that can be told. Raises Malformed."""
    at = 2
    while packet[at - 1] & 0x80:
        at += 1
    if packet[0] & 0xF0 != 0x30 or packet[0] & 6 == 6:
        raise Malformed("larger than max_packet, or QoS 3")
    size = at + 2 + (2 if packet[0] & 6 else 0)
    if len(packet) >= at + 2:
        size += packet[at] << 8 | packet[at + 1]
    if size > max_packet - _HEAD:
        raise Malformed("topic")
    return at, size


def _frame(stream, at, max_packet):
    """As `frame`. Raises Malformed if what has come of a packet larger than max_packet is that already."""
    try:
        return frame(stream, at, max_packet)
    except Malformed:
        found = frame(stream, at, _LARGEST)  # which raises the same unless it is too large and nothing else
    packet = stream[at:]
    start, size = _head(packet, max_packet)
    if len(packet) >= size:
        Receiver(online=True).take(packet[0], packet[start:])
    return found


def expected(stream, max_packet):
    """What the reference makes of a stream: its messages, answers, whether it is refused."""
    return heard(Receiver(online=True), lambda at: _frame(stream, at, max_packet))


class Pieces:
    """Puts the pieces together; whole messages go to the others of the session."""

    def __init__(self, session):
        self._session = session
        self._payload = bytearray()
        fakenet.load("receive_large")
        session.module.receive_large(session.client, self._piece)

    def _piece(self, topic, piece, offset, size):
        message = self._session.client.message
        if not offset:
            self._payload = bytearray()
        if offset != len(self._payload) or not len(piece) or message.topic != topic:
            raise Broken("a piece of %d bytes at %d, not %d" % (len(piece), offset, len(self._payload)))
        self._payload.extend(piece)
        if len(self._payload) > size:
            raise Broken("%d bytes of %d" % (len(self._payload), size))
        if len(self._payload) == size:
            whole = (topic, bytes(self._payload), message.retain, message.qos, message.dup)
            self._session.messages.append(whole)


def check(data):
    """Raise unless the client makes of the input what it must."""
    choice = data[0] if data else 0
    stream = bytes(data[1:])
    max_packet = SIZES[choice >> 2 & 3]
    network = {"read_limit": LIMITS[choice & 3], "seed": choice + 1}
    session = Session(network=network, max_packet=max_packet, keepalive=0, timeout=1, auto_reconnect=False)
    Pieces(session)
    session.connected()
    session.sent()
    session.sock.reply(stream)
    error = None
    try:
        listen(session, len(stream))
    except OSError as raised:
        error = raised
    messages, answers, refused = expected(stream, max_packet)
    if session.messages != messages:
        raise Broken("messages %r, expected %r" % (session.messages, messages))
    if refused != isinstance(error, session.module.MQTTException) or bool(error) != session.sock.closed:
        raise Broken("refused: %r, but %r" % (refused, error))
    sent = session.sent()
    if not answers.startswith(sent) or (sent != answers and not refused):
        raise Broken("answered otherwise than %r" % answers)
