"""An MQTT 5 client on `fakenet`, and a broker that speaks MQTT 5 with it."""

import received5
from support import fakenet, reference5
from support.answering import PUBLISH, PUBREL, SUBSCRIBE, UNSUBSCRIBE, Broker, packet_id
from support.session import Session

_prepared = []  # the library, once its MQTT 5 part is loaded


class Auth:
    """An authentication method that shows what it is given: `said` has what each call got."""

    method = "M"

    def __init__(self, first=b"\x00\xff", answers=(b"two", b"three")):
        self.first = first
        self.answers = list(answers)
        self.said = []

    def start(self):
        self.said.append("start")
        return self.first

    def step(self, data):
        self.said.append(data)
        if data == b"forged":
            raise ValueError("the server does not know the secret")
        return self.answers.pop(0)

    def done(self, data):
        self.said.append(("done", data))


class Broker5(Broker):
    """Answers every packet, after it has found it right; `decoded` is what they said."""

    strict = True

    def __init__(self, connack=received5.CONNACK, delay=1):
        super().__init__(connack, delay)
        self.decoded = []
        self.answers[PUBLISH] = publish_ack
        self.answers[PUBREL] = lambda packet: reference5.ack(0x70, packet_id(packet))
        self.answers[SUBSCRIBE] = suback
        self.answers[UNSUBSCRIBE] = unsuback

    def packet(self, sock, packet):
        if self.strict:
            self.decoded.append(reference5.decode(packet))
        super().packet(sock, packet)

    def said(self, name):
        """What the client's packets of this name said."""
        return [fields for fields in self.decoded if fields["packet"] == name]


def publish_ack(packet):
    qos = packet[0] >> 1 & 3
    return reference5.ack(0x40 if qos == 1 else 0x50, packet_id(packet)) if qos else b""


def suback(packet):
    fields = reference5.decode(packet)
    return reference5.suback(fields["packet_id"], *[options & 3 for _, options in fields["filters"]])


def unsuback(packet):
    fields = reference5.decode(packet)
    return reference5.unsuback(fields["packet_id"], *bytes(len(fields["filters"])))


def connack_with(**properties):
    """A broker whose CONNACK says so."""
    return Broker5(reference5.connack(**properties))


class Session5(Session):
    """As Session; `messages` have their properties too. auth: what method M says first, or an Auth."""

    def __init__(self, broker=None, will=None, network=None, will_properties=None, **settings):
        _prepare()
        values = {"version": 5}
        values.update(settings)
        if "auth" in values and not isinstance(values["auth"], Auth):
            values["auth"] = Auth(values["auth"])
        self.auth = values.get("auth")
        super().__init__(broker or Broker5(), None, network, **values)
        self.client.set_callback(lambda topic, msg: self.messages.append(tuple(self.client.message)))
        if will:
            self.client.set_last_will(*will, **(will_properties or {}))

    def received(self, data):
        """Let the broker send `data` and the client work; return what it sends back."""
        self.sent()
        self.sock.reply(data)
        self.pump()
        return self.sent()


def _prepare():
    """Load the MQTT 5 part of the library upon the fake modules too."""
    library = fakenet.fieldmqtt_on(fakenet.Network(None))
    if library in _prepared:
        return
    fakenet.load("MQTTClient5")
    _prepared[:] = [library]


def split(data):
    """What each packet of the client's bytes means; nothing may be left over."""
    packets, rest = fakenet.split(data)
    assert not rest, data[-rest:]
    return [reference5.meaning(packet) for packet in packets]


def same(sent, expected):
    """Whether the bytes mean the same: properties of different identifiers may stand in any order."""
    return split(sent) == split(expected)


def same_connect(sent, expected):
    """As same(), of CONNECT; the client may announce less than max_packet."""
    sent, expected = split(sent), split(expected)
    size = sent[0]["properties"].pop("maximum_packet_size", None)
    most = expected[0]["properties"].pop("maximum_packet_size")
    return sent == expected and size is not None and 0 < size <= most
