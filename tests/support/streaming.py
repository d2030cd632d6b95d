"""Payloads in pieces, upon `fakenet`: both versions of MQTT, streams that give what they are told to, what has come."""

from support import fakenet, reference5
from support.answering import Broker
from support.session import Session
from support.session5 import Broker5, Session5

VERSIONS = (Session, Session5)
MAX_PACKET = 256  # of those who receive pieces
PUBACK, PUBREC, PUBREL, PUBCOMP = 0x40, 0x50, 0x62, 0x70
_prepared = []  # the library, once its streams are loaded


def content(size):
    """A payload whose pieces can be told apart."""
    return bytes([(i * 7 + (i >> 8)) % 251 for i in range(256)] * (size // 256 + 1))[:size]


class Stream:
    """Gives `data`, as many bytes at a time as `turns` says in turn; None: not yet; what else is in it is raised."""

    def __init__(self, data, *turns):
        self.data = data
        self.at = 0
        self._turns = turns or (len(data),)
        self._turn = 0

    def readinto(self, buf):
        turn = self._turns[self._turn % len(self._turns)]
        self._turn += 1
        if isinstance(turn, BaseException):
            raise turn
        if turn is None:
            return None
        n = min(turn, len(buf), len(self.data) - self.at)
        buf[:n] = self.data[self.at : self.at + n]
        self.at += n
        return n


def session(version, broker=None, connect=True, **settings):
    """A session of this class of VERSIONS, connected."""
    made = version(broker, **settings)
    library = fakenet.fieldmqtt_on(made.network)
    if library not in _prepared:
        fakenet.load("Source", "receive_large")
        _prepared[:] = [library]
    return made.connected() if connect else made


def source(session, data, *turns, size=None):
    return session.module.Source(Stream(data, *turns), len(data) if size is None else size)


def published(version, topic, payload, qos=0, packet_id=1, retain=0, dup=0, **properties):
    """A PUBLISH, as the client or the broker sends it."""
    if version is Session5:
        return reference5.publish(topic, payload, qos, packet_id, retain, dup, **properties)
    number = bytes((packet_id >> 8, packet_id & 0xFF)) if qos else b""
    head = bytes((0x30 | dup << 3 | qos << 1 | retain,))
    return reference5.packet(head[0], reference5.field(topic), number, payload)


class Pieces:
    """For receive_large(): puts the pieces together and finds every one where it must be; `messages` has what came."""

    def __init__(self, client):
        self._client = client
        self.messages = []  # (topic, payload, retain, qos, dup), whole
        self.begun = 0  # messages of which a piece has come
        self.sizes = []  # of the pieces
        self._payload = b""
        self.properties = None

    def __call__(self, topic, piece, offset, size):
        if not offset:
            self.begun += 1
            self._payload = bytearray()
        message = self._client.message
        assert offset == len(self._payload) and len(piece) > 0, (offset, len(self._payload))
        assert message.topic == topic and bytes(message.payload) == bytes(piece)
        self._payload += piece
        self.sizes.append(len(piece))
        assert len(self._payload) <= size
        if len(self._payload) == size:
            self.properties = message.properties
            self.messages.append((topic, bytes(self._payload), message.retain, message.qos, message.dup))


def broker_of(version):
    """A broker that answers a client of this version."""
    return Broker5() if version is Session5 else Broker()


def listening(version, broker=None, callback=True, **settings):
    """A session that receives pieces into `pieces`; without a callback it skips them."""
    values = {"max_packet": MAX_PACKET, "backoff": (0.1, 0.1)}
    values.update(settings)
    made = session(version, broker or broker_of(version), connect=False, **values)
    made.pieces = Pieces(made.client)
    made.module.receive_large(made.client, made.pieces if callback else None)
    made.connected()
    made.sent()
    return made


def ack(head, packet_id=1):
    return bytes((head, 2, packet_id >> 8, packet_id & 0xFF))


def acks(made):
    """What was sent since, cut into packets."""
    sent = made.sent()
    packets, rest = fakenet.split(sent)
    assert not rest
    return packets
