"""A whole MQTT 5 session against a hostile broker: the events of `ordeal`, and some that only MQTT 5 has.

What each packet must lead to is checked by `decoder5`. Here it is what holds for all of them: nothing but an OSError
comes out, every call ends in time, what is kept is bounded, and afterwards, with a friendly broker, all that was
accepted and neither refused nor expired has arrived, all filters are subscribed, and all works.
"""

from fuzz.decoder import Broken
from fuzz.hostile_broker import HostileBroker
from fuzz.ordeal import EVENTS, Ordeal, live
from support import reference5
from support.answering import PUBLISH, PUBREL, SUBSCRIBE, UNSUBSCRIBE, packet_id
from support.session5 import Session5, publish_ack, suback, unsuback

_CODES = (0, 0, 0x10, 0x11, 0x80, 0x87, 0x91, 0x97)
_GOODBYES = (0x00, 0x81, 0x89, 0x8B, 0x8E, 0x93, 0x9C, 0x9D)
_LIMITS = ({}, {"receive_maximum": 1}, {"maximum_packet_size": 60}, {"topic_alias_maximum": 2})
_LIMITS += ({"maximum_qos": 0}, {"retain_available": 0}, {"server_keepalive": 1}, {"session_expiry": 0})
_TOPICS = ("a", "a/b", "", "c")
_DESCRIBED = ({}, {"topic_alias": 1}, {"payload_format": 1}, {"message_expiry": 0}, {"subscription_identifier": 7})
_DESCRIBED += ({"response_topic": "r", "correlation_data": b"1"}, {"user_properties": [("a", "b"), ("a", "c")]})
_TIMEOUT = 300  # ms
_WINDOW = 500  # bytes
_RESPONSE = "fieldmqtt/a/response"
_MOST_KEPT = 8  # errors for those who wait, and for on_refused


class HostileBroker5(HostileBroker):
    """What it says of itself is in `limits`."""

    def __init__(self):
        super().__init__()
        self.answers[PUBLISH] = publish_ack
        self.answers[PUBREL] = lambda packet: reference5.ack(0x70, packet_id(packet))
        self.answers[SUBSCRIBE] = suback
        self.answers[UNSUBSCRIBE] = unsuback

    def be_friendly(self):
        super().be_friendly()
        self.limits = {}

    def connack(self):
        return reference5.connack(session_present=self.session_present, **self.limits)

    def note(self, sock, kind, packet):
        """As HostileBroker; every packet of the client is well formed."""
        fields = reference5.decode(packet)
        if kind == PUBLISH and packet[0] & 6:
            sock.published.append((fields["packet_id"], bytes(fields["payload"])))
        elif kind == SUBSCRIBE:
            sock.subscribed.update([topic_filter for topic_filter, _ in fields["filters"]])


class Ordeal5(Ordeal):
    """choice: as in Ordeal."""

    make_broker, make_session = HostileBroker5, Session5
    settings = {"session_expiry": 60, "receive_maximum": 3, "topic_alias_maximum": 2, "lower_qos": True}
    most_filters = Ordeal.most_filters + 1  # that of the responses

    def __init__(self, choice=0):
        self.refused_to_end = set()  # filters, perhaps: what the broker does not unsubscribe is subscribed still
        super().__init__(choice)
        self.client.on_refused = self._refused

    def _refused(self, packet_id, error):
        self.accepted.pop(packet_id, None)

    # --- What the program does ------------------------------------------------------------

    def publish(self, choice, size):
        properties = {"content_type": "t", "message_expiry": 1 + (choice >> 4)} if choice & 8 else {}
        self.counter += 1
        payload = b"%d " % self.counter + b"x" * size
        arguments = {"qos": choice % 3, "wait": False}
        arguments.update(properties)
        packet_id = self.call(_TIMEOUT, self.client.publish, "topic", payload, **arguments)
        if packet_id in self.accepted:
            raise Broken("packet identifier %d is in use" % packet_id)
        if packet_id and not properties:  # the others may expire
            self.accepted[packet_id] = (self.counter, payload)

    def unsubscribe(self, choice):
        self.refused_to_end.update(self.wanted)
        super().unsubscribe(choice)

    def request(self, choice, ms):
        """Ask, and hear nothing, or what else the broker says."""
        key = self.call(2 * ms + _TIMEOUT, self.client.request, "topic", b"?", ms / 1000, choice & 1, choice & 2 > 0)
        known = [entry.topic_filter for entry in self.client._protocol.subscriptions.entries]
        if _RESPONSE.encode() in known:
            self.wanted.add(_RESPONSE)
        else:  # refused
            self.wanted.discard(_RESPONSE)
        if isinstance(key, bytes):
            self.call(ms, self.client.response, key, ms / 1000)

    # --- What the broker does -------------------------------------------------------------

    def forge(self, choice, number):
        head = (0x40, 0x50, 0x62, 0x70, 0x90, 0xB0)[choice % 6]
        code = _CODES[choice >> 4 & 7]
        if head >= 0x90:
            self.say(reference5.packet(head, bytes((0, number % 8, 0, code))))
        else:
            self.say(reference5.ack(head, number % 8, code))

    def deliver(self, choice, number):
        flags = choice >> 4
        topic = _TOPICS[choice & 3]
        described = _DESCRIBED[number % len(_DESCRIBED)]
        self.say(reference5.publish(topic, b"h\xc3", flags >> 1 & 3, number & 7, flags & 1, flags >> 3, **described))

    def say_goodbye(self, choice):
        code = _GOODBYES[choice & 7]
        reference = {"server_reference": ("", "other", "other:1884 third", "[::1]:1")[choice >> 4 & 3]}
        self.say(reference5.disconnect(code, **(reference if choice & 8 else {})))

    def authenticate(self, choice):
        self.say(reference5.auth((0, 0x18, 0x19, 0x87)[choice & 3], authentication_method="M"))

    def limit(self, choice):
        """What the next CONNACK says."""
        self.broker.limits = dict(_LIMITS[choice % len(_LIMITS)])

    # --- What must be true ----------------------------------------------------------------

    def call(self, patience, function, *arguments, **keywords):
        """As in Ordeal; what this server has said that it does not take is a ValueError before anything is sent."""
        try:
            return super().call(patience, function, *arguments, **keywords)
        except ValueError as error:
            if "server" not in str(error):
                raise

    def step(self, now):
        self.strict = False  # nothing is compared packet by packet
        return super().step(now)

    def _handled(self, sock, event, _messages, finished):
        for each in finished:
            self.accepted.pop(each, None)
        self.subacks += event == 0x90
        if event == 0x20:
            self._untold()
            sock.missing = [payload for _, payload in sorted(self.accepted.values())]
        if len(sock.given) > _WINDOW:
            sock.given = bytearray()

    # What was refused, and will be told with the next step; what was dropped.
    def _untold(self):
        if self.dropped < self.outbox.dropped:
            self.dropped = self.outbox.dropped
            self.accepted = {each: self.accepted[each] for each in self.accepted if self.outbox.find(each) >= 0}
        for each, _ in self.client._protocol.fresh:
            self.accepted.pop(each, None)

    def _settled(self):
        protocol = self.client._protocol
        self._untold()
        if any(self.outbox.find(each) < 0 for each in self.accepted):
            raise Broken("forgotten, of %r" % self.accepted)
        if len(protocol.refused) > _MOST_KEPT or len(protocol.fresh) > _MOST_KEPT:
            raise Broken("more errors are kept than the bounds allow")

    def finish(self):
        """Whatever has happened: with a friendly broker all is well again, and nothing is missing."""
        self._come_back()
        sock = self.session.sock
        self.call(5000, self.client.flush, 5)
        self.pump(50)
        if self.client.pending() or self._error:
            raise Broken("pending: %d, %r" % (self.client.pending(), self._error))
        published = [payload for _, payload in sock.published]
        if [payload for payload in published if payload in sock.missing] != sock.missing:
            raise Broken("sent again %r, expected %r" % (published, sock.missing))
        if not self.wanted <= sock.subscribed <= self.wanted | self.refused_to_end:
            raise Broken("subscribed again %r, expected %r" % (sock.subscribed, self.wanted))
        delivered = self.delivered
        self.say(b"\x30\x08\x00\x05after\x00")
        self.pump(20)
        if self.delivered != delivered + 1 or self.session.sock is not sock:
            raise Broken("not as good as new")


# The events of Ordeal by their names, so that those of here count.
EVENTS5 = tuple([(getattr(Ordeal5, event.__name__), count) for event, count in EVENTS])
EVENTS5 += ((Ordeal5.request, 2), (Ordeal5.say_goodbye, 1), (Ordeal5.authenticate, 1), (Ordeal5.limit, 1))


def check(data):
    """Live through the events of an input. The first byte is the session's."""
    ordeal = Ordeal5(data[0] if data else 0)
    live(ordeal, data, EVENTS5)
    ordeal.finish()
