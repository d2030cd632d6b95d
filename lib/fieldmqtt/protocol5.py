"""MQTT 5: what its packets have more than those of MQTT 3.1.1. What is sent is in `sending5`."""

from micropython import const

from .properties import decode
from .protocol import Message
from .sending5 import LIMITS, Sending5
from .subscriptions import topic_name
from .wire import MQTTException

# Packet types, as properties are allowed for them.
_CONNACK = const(2)
_PUBLISH = const(3)
_DISCONNECT = const(14)
_AUTH = const(15)

# First bytes of packets.
_PUBACK = const(0x40)
_PUBREC = const(0x50)
_PUBCOMP = const(0x70)
_UNSUBACK = const(0xB0)

_FAILED = const(0x80)  # reason codes from here on
_CONTINUE = const(0x18)
_MALFORMED = const(0x81)
_PROTOCOL_ERROR = const(0x82)
_NOT_AUTHORISED = const(0x87)
_RECEIVE_MAXIMUM = const(0x93)
_ALIAS_INVALID = const(0x94)


class Protocol5(Sending5):
    """The packets and the session of one client that speaks MQTT 5, or 3.1.1 where `level` is 4."""

    def _handle(self, head, at, end):
        if self.level == 5 and head & 0xF0 != 0x30:
            flags = 2 if head & 0xF0 in (0x60, 0x80, 0xA0) else 0
            if head & 0x0F != flags or (head == 0xD0 and at != end):
                raise MQTTException(_MALFORMED, "flags")
            if head == 0xE0 and self.online:
                raise self._problem(self._reason(at, end, _DISCONNECT))
            if head == 0xF0:
                return self._auth(at, end)
        return super()._handle(head, at, end)

    # What the packet read last says with this reason code.
    def _problem(self, reason_code):
        from .reasons5 import problem

        return problem(reason_code, self.properties)

    # The reason code at rx[at]; behind it properties. Both may be left out (section 3.4.2.1).
    def _reason(self, at, end, kind):
        if self._read(at + 1, end, kind) < end:
            raise MQTTException(_MALFORMED, "after the properties")
        return self._rx[at] if at < end else 0

    # Properties, as far as there are any. Allocates nothing where there are none.
    def _read(self, at, end, kind):
        self.properties = None
        if at < end and self._rx[at]:
            self.properties, at = decode(self._view, at, end, kind)
            if kind not in (_CONNACK, _PUBLISH, _DISCONNECT):
                self._asked_for()
            return at
        return at + 1

    # Section 3.1.2.11.7: what explains a problem comes only where it was asked for.
    def _asked_for(self):
        if not self.settings.get("request_problem_information", 1):
            for name in ("reason_string", "user_properties"):
                if name in self.properties:
                    raise MQTTException(_PROTOCOL_ERROR, name)

    # AUTH (section 3.15): what the exchange goes on with is up to `auth`.
    def _auth(self, at, end):
        reason_code = self._reason(at, end, _AUTH)
        known = (0, _CONTINUE) if self.online else (_CONTINUE,)
        if not self.authenticating or reason_code not in known:
            raise MQTTException(_PROTOCOL_ERROR, "AUTH")
        self._prove(reason_code)
        return 0xF0 if self.online else 0  # before CONNACK an event would mean that

    def _prove(self, reason_code):
        properties = self.properties or {}
        if properties.get("authentication_method") != self.auth.method:
            raise MQTTException(_PROTOCOL_ERROR, "authentication method")
        data = properties.get("authentication_data")
        try:
            answer = self.auth.step(data) if reason_code else self.auth.done(data)
        except (ValueError, TypeError) as error:  # TypeError: the server has sent no data where there should be some
            raise MQTTException(_NOT_AUTHORISED, "the server: %s" % error) from None
        if reason_code:
            self.authenticate(_CONTINUE, answer)
        else:
            self.authenticating = False

    # CONNACK (section 3.2).
    def _connack(self, at, end):
        self.limits = LIMITS
        self.window = self._window
        self.subscriptions.matched = ()  # type: ignore[attr-defined]
        if self.level == 4:
            return super()._connack(at, end)
        flags, reason_code = self._view[at : at + 2] if end - at > 1 else (2, 0)
        if flags > 1 or (flags and reason_code) or (end - at < 3 and not reason_code):
            raise MQTTException(_MALFORMED, "CONNACK")
        if self._read(at + 2, end, _CONNACK) < end:
            raise MQTTException(_MALFORMED, "CONNACK")
        properties = self.properties or {}
        if reason_code:
            raise self._problem(reason_code)
        if flags and self._clean:
            raise MQTTException(_PROTOCOL_ERROR, "session present")
        if self.auth:
            self._prove(0)
        self.limits = dict(LIMITS)
        self.limits.update(properties)
        self.window = min(self._window, self.limits["receive_maximum"])
        super()._connack(at, at + 2)
        self._limit = min(self._limit, self.limits["maximum_packet_size"] or self._limit)
        expiry = self.limits.get("session_expiry", self.settings.get("session_expiry"))
        self.kept = bool(expiry)

    def _publish(self, head, at, end):
        if self.level == 4:
            return super()._publish(head, at, end)
        rx = self._rx
        qos = head >> 1 & 3
        first = at + 2
        stop = first + (rx[at] << 8 | rx[at + 1]) if first <= end else end
        at = stop + 2 if qos else stop
        if at >= end or qos == 3:
            raise MQTTException(_MALFORMED, "PUBLISH")
        at = self._read(at, end, _PUBLISH)
        properties = self.properties
        topic = bytes(self._view[first:stop])
        payload = bytes(self._view[at:end])
        self.subscriptions.matched = ()  # type: ignore[attr-defined]
        if properties or not topic:
            topic, payload = self._described(topic, payload, properties or {})
        try:
            topic_name(topic, 65535)
        except ValueError:
            raise MQTTException(_MALFORMED, "topic name") from None
        if qos and not head & 8:  # mosquitto 2.0.11 sends again whatever it had open: refused, it would for ever
            self._received += 1
            if self._received > self.settings.get("receive_maximum", 65535):
                raise MQTTException(_RECEIVE_MAXIMUM, "receive maximum exceeded")
        return self._message(Message(topic, payload, head & 1, qos, head >> 3 & 1, properties or None), stop)

    # The topic, be it an alias (section 3.3.2.3.4), and the payload, as text where it says so.
    def _described(self, topic, payload, properties):
        alias = properties.pop("topic_alias", None)
        if alias is not None:
            if not 0 < alias <= self.settings.get("topic_alias_maximum", 0):
                raise MQTTException(_ALIAS_INVALID, "topic alias invalid")
            if topic:
                self._topics[alias] = topic
            topic = self._topics.get(alias, b"")
        if not topic:
            raise MQTTException(_PROTOCOL_ERROR, "no topic")
        try:
            topic_name(properties.get("response_topic", "a"), 65535)
        except ValueError:
            raise MQTTException(_PROTOCOL_ERROR, "response topic") from None
        if properties.get("payload_format"):
            try:
                payload = str(payload, "utf-8")
            except ValueError:
                pass  # whoever published it was wrong; the bytes are what there is
        self.subscriptions.matched = properties.get("subscription_identifier", ())  # type: ignore[attr-defined]
        return topic, payload

    def _acknowledged(self, head, at, end):
        if self.level == 4 or end - at < 2:
            return super()._acknowledged(head, at, end)
        reason_code = self._reason(at + 2, end, head >> 4)
        packet_id = self._rx[at] << 8 | self._rx[at + 1]
        if not packet_id:
            raise MQTTException(_MALFORMED, "packet identifier 0")
        failed = reason_code >= _FAILED and head in (_PUBACK, _PUBREC)
        if head in (_PUBACK, _PUBCOMP) or failed:
            self._sent = max(0, self._sent - 1)
        if reason_code or self.properties:
            self.acknowledged = (packet_id, reason_code, self.properties)
        if failed and head == _PUBREC:
            known = self._finished(packet_id, False)
            if known is False:
                raise MQTTException(_PROTOCOL_ERROR, "wrong ack")
        else:
            super()._acknowledged(head, at, at + 2)
            known = self.finished == packet_id
        if failed and known:  # else nobody waits for it
            self.finished = 0
            self._refuse(packet_id, self._problem(reason_code))

    # SUBACK and UNSUBACK (sections 3.9, 3.11), one reason code each: one filter is asked for at a time.
    def _subscribed(self, kind, at, end):
        if self.level == 4:
            return super()._subscribed(kind, at, end)
        packet_id = self._rx[at] << 8 | self._rx[at + 1] if end - at > 3 else 0
        codes = self._view[self._read(at + 2, end, kind >> 4) : end] if packet_id else b""
        granted = (0, 0x11) if kind == _UNSUBACK else (0, 1, 2)
        if len(codes) != 1 or (codes[0] not in granted and codes[0] < _FAILED):
            raise MQTTException(_MALFORMED, "SUBACK")
        if not self.subscriptions.replied(kind == _UNSUBACK, packet_id, codes, self.properties):  # type: ignore[attr-defined]
            raise MQTTException(_PROTOCOL_ERROR, "SUBACK")

    # As Protocol; whatever ends an exchange makes room for another (section 3.3.4).
    def _answer(self, reply):
        super()._answer(reply)
        if reply >> 16 in (_PUBACK, _PUBCOMP):
            self._received = max(0, self._received - 1)
