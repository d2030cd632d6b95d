"""What MQTT 5 sends, on top of Protocol.

A message at QoS 1 or 2 stands in the outbox as in 3.1.1, so that a backlog survives a change of version. If it
has properties, the topic's field holds more, and the packet type is 15 (0xF0), so that nobody sends it as it is:

    topic | NUL | run (2) | second of acceptance (4) | properties

`run` is a random number: after a restart the time of an earlier life means nothing, and the expiry begins anew.
What goes over the wire is put together in tx for each connection, because a topic alias (section 3.3.2.3.4) is worth
nothing on the next one, and what is left of the message expiry is sent.
"""

import os
from errno import ETIMEDOUT

from micropython import const

from .properties import block, encode, field, number
from .protocol import Protocol
from .subscriptions import topic_name
from .subscriptions5 import Subscriptions5
from .wire import put_head, to_bytes

# Packet types, as properties are allowed for them.
_CONNECT = const(1)
_AUTH = const(15)

# First bytes of packets.
_SUBSCRIBE = const(0x82)

_TOO_LARGE = const(0x95)
_NO_RETAIN = const(0x9A)
_NO_QOS = const(0x9B)

_GIVE_UP = const(16)  # most messages that are found too old in a row: a step stays short
_ALIASES = const(16)  # most topics that get an alias; the server may allow fewer
_REFUSALS = const(32)  # most that are kept for who waits for them

# States of a filter, as in subscriptions.py.
_REFUSED = const(3)

# What a server can do that says nothing about it in CONNACK (section 3.2.2.3).
LIMITS = {
    "maximum_qos": 2,
    "retain_available": 1,
    "receive_maximum": 65535,
    "maximum_packet_size": None,
    "topic_alias_maximum": 0,
    "wildcard_available": 1,
    "subscription_identifiers_available": 1,
    "shared_available": 1,
}


class Addressed:
    """A topic with the properties of a message, for publish() in the place of the topic."""

    def __init__(self, topic, properties):
        self.topic = topic
        self.properties = properties  # encoded, without their length


class Sending5(Protocol):
    """What a client sends, in MQTT 5, or in 3.1.1 where `level` is 4. Protocol5 adds what it receives."""

    level = 5
    lower_qos = False
    kept = False  # this session is to be gone on with: no Clean Start
    now = 0  # seconds, for the message expiry
    expired = 0  # messages that were too old to be sent
    settings = {}  # type: dict  # the properties of CONNECT
    auth = None  # what CONNECT and AUTH prove: see docs/mqtt5.md
    authenticating = False
    # The last acknowledgement that said more than success: packet_id, reason_code, properties.
    acknowledged = None  # type: tuple
    goodbye = b""  # what DISCONNECT says: reason code, length of the properties, properties
    properties = None  # type: dict  # of the packet that was read last
    _field = None  # what stands before the payload of the message being published
    given_up = 0  # messages in this step

    def __init__(self, outbox, tx_size, max_packet, window):
        super().__init__(outbox, tx_size, max_packet, window)
        outbox.properties = True
        self._records = memoryview(outbox.buffer)
        self.subscriptions = Subscriptions5()
        self.limits = LIMITS
        self.refused = []  # (packet_id, error), for those who wait
        self.fresh = []  # the same, for on_refused
        self._window = window
        self._run = os.urandom(2)

    def reset(self, stream):
        """As Protocol."""
        super().reset(stream)
        self._aliases = {}  # type: dict  # outgoing: the property by topic
        self._topics = {}  # type: dict  # of aliases, incoming
        self._sent = self._received = 0  # PUBLISH packets at QoS 1 and 2 that are not finished: sections 3.3.4, 4.9

    def agree(self, settings, auth, lower_qos):
        """Take the properties of CONNECT as a dict, what authenticates or None, and whether a QoS is lowered."""
        self.settings = settings
        self.auth = auth
        self.lower_qos = lower_qos
        if auth:
            settings["authentication_method"] = auth.method

    # --- Sending -------------------------------------------------------------------------

    def connect(self, client_id, user, password, keepalive, clean_session, will):
        """Queue CONNECT (section 3.1). will: also with its encoded properties. Raises ValueError if it cannot be."""
        if self.level == 4:
            return super().connect(client_id, user, password, keepalive, clean_session, will)
        self._clean = clean_session and not self.kept
        flags = 2 if self._clean else 0
        if self.auth:
            self.settings["authentication_data"] = self.auth.start()
            self.authenticating = True
        body = keepalive.to_bytes(2, "big") + block(encode(self.settings, _CONNECT)) + field(client_id)
        if will:
            flags |= 4 | will[3] << 3 | (32 if will[2] else 0)
            body += block(will[4]) + field(will[0]) + field(will[1])
        if user is not None:
            flags |= 128
            body += field(user)
        if password is not None:
            flags |= 64
            body += field(password)
        body = b"\0\4MQTT\5" + bytes((flags,)) + body
        if will and not self.stream:  # a call, and not the connection coming back
            self.demand(len(body))  # as far as it is known from the connection before
        self._send(0x10, body)

    def disconnect(self):
        """As Protocol; with what `goodbye` says."""
        if self.level == 4 or not self.goodbye:
            return super().disconnect()
        if self.room() < len(self.goodbye) + 8:
            return False
        self._send(0xE0, self.goodbye)
        self.outbox.in_flight = 65536
        return True

    def authenticate(self, reason_code, data):
        """Queue AUTH (section 3.15)."""
        self.authenticating = True
        properties = {"authentication_method": self.auth.method, "authentication_data": data}
        self._send(0xF0, bytes((reason_code,)) + block(encode(properties, _AUTH)))

    def _send(self, head, body):
        self._packet(head, len(body))
        at = self._tx_end
        self._tx_end = at + len(body)
        self._tx[at : self._tx_end] = body

    def check(self, topic, payload, retain, qos):
        """Return the QoS to publish with. Raises ValueError for what this server has said it does not take."""
        limits = self.limits
        if retain and not limits["retain_available"]:
            raise ValueError("retain: server has none")
        if qos > limits["maximum_qos"]:
            if not self.lower_qos:
                raise ValueError("qos: server takes %d at most" % limits["maximum_qos"])
            qos = limits["maximum_qos"]
        if limits["maximum_packet_size"]:
            properties = b""
            if topic.__class__ is Addressed:
                topic, properties = topic.topic, topic.properties
            size = (4 if qos else 2) + len(to_bytes(topic)) + len(block(properties)) + len(to_bytes(payload))
            self.demand(size)
        return qos

    def demand(self, remaining):
        """Raise ValueError where the server does not take a packet of so many bytes behind its fixed header."""
        if not self._fits_server(remaining):
            raise ValueError("server takes %d bytes at most" % self.limits["maximum_packet_size"])

    def _fits_server(self, remaining):
        most = self.limits["maximum_packet_size"]
        return not most or 1 + len(number(remaining)) + remaining <= most

    def _publish_any(self, topic, payload, retain, qos):
        name, properties = topic, b""
        if topic.__class__ is Addressed:
            name, properties = topic.topic, topic.properties
        if self.level == 4:
            return super()._publish_any(name, payload, retain, qos)
        if name is not self._checked:
            self._topic = bytes(topic_name(name, len(self._tx) - 12))  # a key of the aliases
            constant = name.__class__ is bytes or name.__class__ is str
            self._checked = name if constant else self
        if len(self._topic) + len(properties) + 24 > len(self._tx):
            raise ValueError("larger than tx_size")
        if qos:
            return self._store_any(qos, payload, retain, properties)
        if not self.online:
            return None
        self.check(topic, payload, retain, 0)  # once more: this may be another server
        self._field, alias = self._address(self._topic, properties, b"", len(to_bytes(payload)))
        try:
            done = self._publish_placed(topic, payload, retain)
        finally:
            if alias or topic is not self._checked:  # the next one looks different
                self._placed = self
        if alias and done is not None:
            self._aliases[self._topic] = alias
        return done

    # QoS 0, at once where tx is free: what comes before the payload stays there for the next one.
    def _publish_placed(self, topic, payload, retain):
        before = self._field
        at = 5 + len(before)
        if at + len(payload) > self._clear:
            return self._queue(payload, retain) if self.room() > len(before) + 10 else None
        self._tx[5:at] = before
        self._payload_at = at
        self._placed = topic
        return self.publish(topic, payload, retain, 0)

    def _store_any(self, qos, payload, retain, properties):
        name = self._topic
        if properties:
            self._topic = name + b"\0" + self._run + self.now.to_bytes(4, "big") + properties
        try:
            packet_id = self._store(qos, payload, retain)
        finally:
            self._topic = name
        if packet_id and self.refused:  # what an earlier message under this identifier has left
            self.refused = [one for one in self.refused if one[0] != packet_id]
        return packet_id

    # The fixed header of a PUBLISH, and what stands before the packet identifier or the payload.
    def _begin(self, buf, at, head, remaining):
        if head & 6 or self.level == 4:
            if 0 in self._topic:
                head |= 0xC0
            return super()._begin(buf, at, head, remaining)
        before = self._field
        at = put_head(buf, at, head, remaining + len(before) - 2 - len(self._topic))
        buf[at : at + len(before)] = before
        return at + len(before)

    # What stands before a payload of this length, and the alias that is given with it, as a property; None: none is.
    def _address(self, topic, properties, identifier, length):
        alias = self._aliases.get(topic)
        given = None
        size = len(topic) + len(identifier) + len(properties) + 7  # two lengths and the alias
        if alias:
            topic = b""
        elif len(topic) < 3 or len(self._aliases) >= min(_ALIASES, self.limits["topic_alias_maximum"]):
            pass  # it would not be shorter, or is not allowed
        elif self._fits_server(size + length) and size + 5 <= len(self._tx):
            alias = given = b"\x23\0" + bytes((len(self._aliases) + 1,))
        if alias:
            properties = alias + properties
        return field(topic) + identifier + block(properties), given

    # The next message of the outbox, as it is to be on this connection.
    def _next(self):
        if (self._sent >= self.window or self.given_up >= _GIVE_UP) and not self._owed:
            return False
        packet_id = super()._next()
        if self._body_first and self._body_end and (self.level == 5 or self.outbox.buffer[self._body_start] >= 0xF0):
            self._body_first = False
            self._put_together(packet_id, self._body_start, self._body_end)
        return packet_id

    # From the outbox's buffer into tx, a long payload as far as it fits. Allocates some 200 bytes.
    def _put_together(self, packet_id, start, end):
        buf, tx = self.outbox.buffer, self._tx
        self._body, self._body_end = None, 0  # first: what follows may raise MemoryError
        identifier = packet_id.to_bytes(2, "big")
        head = buf[start] & 0x0F
        topic, properties, at = self._stored(buf, start)
        reason_code = self._untakable(head, topic, properties, end - at)
        if reason_code is not None:
            return self._give_up(packet_id, head, reason_code)
        if self.level == 4:
            before, alias = field(topic) + identifier, None
        else:
            before, alias = self._address(topic, properties, identifier, end - at)
        if alias:
            self._aliases[topic] = alias
        to = put_head(tx, 0, head | 0x30, len(before) + end - at)
        fit = min(end - at, len(tx) - to - len(before))
        tx[to : to + len(before)] = before
        to += len(before)
        tx[to : to + fit] = self._records[at : at + fit]
        self._tx_end = to + fit
        self._clear = 0
        self._placed = self
        if at + fit < end:
            self._body, self._body_start, self._body_end = buf, at + fit, end
        if self.level == 5:
            self._sent += 1

    # A record of the outbox: its topic, its properties as they are now (None: it is too old), where the payload is.
    def _stored(self, buf, start):
        at = start + 1
        while buf[at] & 0x80:
            at += 1
        end = at + 3 + (buf[at + 1] << 8 | buf[at + 2])
        topic = bytes(self._records[at + 3 : end])
        properties = b""
        nul = topic.find(b"\0")
        if nul > 0:
            properties = topic[nul + 7 :]
            if properties[0] == 2 and topic[nul + 1 : nul + 3] == self._run:
                left = (
                    int.from_bytes(properties[1:5], "big") + int.from_bytes(topic[nul + 3 : nul + 7], "big") - self.now
                )
                # What has been sent before has to be sent again: section 4.4.
                left = max(left, 1) if buf[start] & 8 else left
                properties = b"\2" + left.to_bytes(4, "big") + properties[5:] if left > 0 else None
            topic = topic[:nul]
        return topic, properties, end + 2

    # The reason code for which the server could refuse this message, 0: it is too old; None: there is none.
    def _untakable(self, head, topic, properties, length):
        if properties is None:
            return 0
        size = 4 + len(topic) + len(block(properties))
        if size + 5 > len(self._tx):
            return _TOO_LARGE
        if self.level == 4:
            return None
        if not self._fits_server(size + length):
            return _TOO_LARGE
        if head >> 1 & 3 > self.limits["maximum_qos"]:
            return _NO_QOS
        if head & 1 and not self.limits["retain_available"]:
            return _NO_RETAIN
        return None

    # Finish a message that is not sent.
    def _give_up(self, packet_id, head, reason_code):
        self._finished(packet_id, head & 2)
        self.given_up += 1
        if reason_code:
            from .reasons5 import problem

            self._refuse(packet_id, problem(reason_code))
        else:
            self.expired += 1
            self._refuse(packet_id, OSError(ETIMEDOUT, "expired"), False)

    def _finished(self, packet_id, puback):
        if puback:
            return self.outbox.puback(packet_id)
        known = self.outbox.pubrec(packet_id)
        if known is not False:
            self.outbox.pubcomp(packet_id)
        return known

    def _refuse(self, packet_id, error, tell=True):
        self.refused = self.refused[1 - _REFUSALS :] + [(packet_id, error)]
        if tell:
            self.fresh = self.fresh[1 - _REFUSALS :] + [(packet_id, error)]

    def _ask(self, kind):
        if self.level == 4:
            return super()._ask(kind)
        identified = kind == _SUBSCRIBE and self.limits["subscription_identifiers_available"]
        while True:
            entry = self.subscriptions.first(kind == _SUBSCRIBE, self.room() - 24)  # type: ignore[attr-defined]
            if not entry:
                return
            body = self.subscriptions.wish(entry, kind == _SUBSCRIBE, identified)  # type: ignore[attr-defined]
            if self._fits_server(2 + len(body)):
                break
            entry.state = _REFUSED  # by another server than the one it was meant for
            entry.reason_code = _TOO_LARGE
        entry.packet_id = self.last_id = self._new_id()
        self._send(kind, entry.packet_id.to_bytes(2, "big") + body)
