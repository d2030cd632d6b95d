"""An MQTT 5 broker that says arbitrary bytes to a client that only listens, beside `support.reference5`.

As far as the reference finds the stream right, the client must deliver and answer what the reference does. From there
on it may refuse (it must when the broker says goodbye) or go on, but ends in order: an OSError and a closed connection,
in time. Whatever it sends is well formed. The first byte of an input chooses the settings as in `decoder`.
"""

import received5
from fuzz.decoder import TIMEOUT, Broken, hear
from fuzz.reference import Malformed, frame
from support import reference5
from support.answering import packet_id
from support.fakenet import split
from support.session5 import Broker5, Session5

_MOST = 20  # receive_maximum, the client's default
_ALIASES = 8  # topic_alias_maximum
_ACKS = (0x40, 0x50, 0x62, 0x70)
_OPEN, _UNSURE, _ENDED = 0, 1, 2  # after what the reference has seen: all is right; up to the client; it must end


class Receiver5:
    """What a client has to make of packets that are right. `verdict` is one of the above."""

    def __init__(self, online):
        self.online = online
        self.verdict = _OPEN
        self.messages = []
        self.answers = []  # (first byte, packet identifier)
        self._topics = {}
        self._received = set()

    def take(self, packet):
        """A packet has come. Raises reference5.Broken."""
        fields = reference5.decode(packet)
        name = fields["packet"]
        if not self.online:
            self._connack(fields)
        elif name == "PUBLISH":
            self._publish(fields, packet)
        elif name == "PUBREL":
            self._received.discard(fields["packet_id"])
            self.answers.append((0x70, fields["packet_id"]))
        elif name == "PUBREC" and fields["code"] < 0x80:
            self.answers.append((0x62, fields["packet_id"]))
        elif name in ("DISCONNECT", "AUTH"):
            self.verdict = _ENDED
        elif name not in ("PUBACK", "PUBREC", "PUBCOMP", "PINGRESP"):
            self.verdict = _UNSURE  # a packet that no broker sends, or that answers nothing

    def _connack(self, fields):
        if fields["packet"] != "CONNACK" or fields["code"]:
            self.verdict = _ENDED
        elif fields["session_present"] or "server_keepalive" in fields["properties"]:
            self.verdict = _UNSURE
        self.online = not self.verdict

    def _publish(self, fields, packet):
        properties = dict(fields["properties"])
        alias = properties.pop("topic_alias", 0)
        topic = fields["topic"]
        if alias > _ALIASES or len(self._received) >= _MOST:
            self.verdict = _UNSURE  # it is refused, but not before the answers to what came before are written
            return
        if alias and topic:
            self._topics[alias] = topic
        topic = topic or self._topics.get(alias)
        if not topic:
            self.verdict = _UNSURE
            return
        head = packet[0]
        payload = _payload(bytes(fields["payload"]), properties)
        message = (topic.encode(), payload, head & 1, head >> 1 & 3, head >> 3 & 1, properties or None)
        number = fields["packet_id"]
        if head & 6:
            self.answers.append((0x40 if head & 6 == 2 else 0x50, number))
        if head & 6 == 4:
            if number in self._received:  # which a broker says on another connection only
                self.verdict = _UNSURE
                return
            self._received.add(number)
        self.messages.append(message)


def _payload(payload, properties):
    if properties.get("payload_format"):
        try:
            return str(payload, "utf-8")
        except ValueError:
            pass
    return payload


def _expected(stream, greeting, max_packet):
    receiver = Receiver5(online=not greeting)
    at = 0
    try:
        while not receiver.verdict:
            found = frame(stream, at, max_packet)
            if found is None:
                break
            receiver.take(stream[at : found[2]])
            at = found[2]
    except (Malformed, reference5.Broken):
        receiver.verdict = _UNSURE  # in places the client is more patient than the reference, for the sake of its size
    return receiver


def check(data):
    """Raise unless the client makes of the input what it must."""
    broker = Broker5()
    broker.strict = False
    session, error, stall, said = hear(data, Session5, broker, received5.CONNACK)
    _compare(session, error, stall, _expected(*said))


def _compare(session, error, stalling, expected):
    sock = session.sock
    if session.messages[: len(expected.messages)] != expected.messages:
        raise Broken("messages %r, expected %r" % (session.messages, expected.messages))
    if not expected.verdict and (session.messages != expected.messages or bool(error) == expected.online):
        raise Broken("messages %r, expected %r; %r" % (session.messages, expected.messages, error))
    if expected.verdict == _ENDED and not isinstance(error, session.module.MQTTException):
        raise Broken("ended by the broker, but %r" % error)
    if bool(error) != sock.closed or session.client.isconnected() == sock.closed:
        raise Broken("closed: %r, after %r" % (sock.closed, error))
    if session.clock.now > TIMEOUT * 1000 + 100:
        raise Broken("outlasts its deadline: %d ms" % session.clock.now)
    packets, rest = split(sock.sent)
    if rest and not stalling:
        raise Broken("half a packet: %r" % bytes(rest))
    for packet in packets:
        reference5.decode(packet)
    answers = [(packet[0], packet_id(packet)) for packet in packets if packet[0] in _ACKS]
    least = 0 if stalling or error else len(expected.answers)
    shorter = min(len(answers), len(expected.answers))
    if answers[:shorter] != expected.answers[:shorter] or len(answers) < least:
        raise Broken("answered %r, expected %r" % (answers, expected.answers))
