"""MQTT 3.1.1 packets and session state: calls become bytes, bytes become events.

Nothing here waits, opens a socket, reads a clock or prints. Framing is in `wire`; the messages at
QoS 1 and 2 are in the outbox, from which they are sent; all other packets are built in `_tx`.
"""

from collections import namedtuple

from micropython import const

from .subscriptions import Subscriptions, topic_name
from .wire import MQTTException, Wire, put_field, put_head, to_bytes

# Packet types with their fixed flags (section 2.2); receive() returns the type.
_CONNECT = const(0x10)
_CONNACK = const(0x20)
_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_PUBREC = const(0x50)
_PUBREL = const(0x62)
_PUBCOMP = const(0x70)
_SUBSCRIBE = const(0x82)
_SUBACK = const(0x90)
_UNSUBSCRIBE = const(0xA2)
_UNSUBACK = const(0xB0)
_PINGREQ = const(0xC0)
_PINGRESP = const(0xD0)
_DISCONNECT = const(0xE0)

# Reason codes for what the peer does wrong (MQTT 5, section 2.4; in 3.1.1 they stay on this side).
_MALFORMED = const(0x81)
_PROTOCOL_ERROR = const(0x82)
_QUOTA = const(0x93)

Message = namedtuple("Message", "topic payload retain qos dup properties")


class Protocol(Wire):
    """The packets and the session of one client. Events of receive() leave `session_present` and `message`."""

    # Instances get these when they are first set: a small instance is a fast one.
    session_present = False
    message = None
    finished = 0  # the packet identifier of the message that was acknowledged to the end last
    failure = _asker = None  # what failed; the stream on which the broker waits for _reply
    _unanswered = 0  # CONNECT packets since the last CONNACK that accepted one
    _reply = 0  # what acknowledge() sends: packet type << 16 | packet identifier

    def __init__(self, outbox, tx_size, max_packet, window):
        super().__init__(tx_size, max_packet)
        self.outbox = outbox
        self.last_id = outbox.newest  # the packet identifier given last
        self.subscriptions = Subscriptions()
        self.window = window  # most PUBLISH packets in flight
        self._topic, self._checked = None, self  # the last topic name as bytes, and as given, if that is constant

    def reset(self, stream):
        """Forget what belongs to a connection and go on with a stream (None: there is none). Keep the session."""
        super().reset(stream)
        self.online = False  # CONNACK has come
        self._unanswered += 1 if stream else 0
        self._owed = 0

    # --- Sending -------------------------------------------------------------------------

    def connect(self, client_id, user, password, keepalive, clean_session, will):
        """Queue CONNECT. will: None or (topic, payload, retain, qos). Raises ValueError if it cannot be."""
        flags = 2 if clean_session else 0
        parts = [client_id]
        if will:
            flags |= 4 | will[3] << 3 | (32 if will[2] else 0)
            parts += will[:2]
        if user is not None:
            flags |= 128
            parts.append(user)
        if password is not None:
            flags |= 64
            parts.append(password)
        if flags & 192 == 64:
            raise ValueError("password without user")
        if not (client_id or clean_session):
            raise ValueError("clean_session=False needs a client_id")
        size = 10
        for part in parts:
            size += 2 + len(part)
        self._packet(_CONNECT, size)
        self._put(b"MQTT")
        self._put_int(4 << 8 | flags)  # MQTT 3.1.1, section 3.1.2.2
        self._put_int(keepalive)
        for part in parts:
            self._put(part)

    def publish(self, topic, payload, retain, qos):
        """Return 0: written; the packet identifier: stored, for flush() to write; -1: QoS 0 and being written;
        None: not now (no room, or QoS 0 and not online), nothing changed.

        Raises ValueError for a message that can never be sent, OSError for one that the outbox does not take; the
        stream's is «not now», and in `failure`. At QoS 0 the part of a long payload that is not in tx yet must not
        change until flush() has written it. Allocates nothing for bytes; before MicroPython 1.26 two slices."""
        # The usual case, written out: the topic of the last time still stands in tx; one write, no state to keep.
        at = self._payload_at
        try:
            end = at + len(payload)
            if qos or end > self._clear or topic is not self._placed:
                return self._publish_any(topic, payload, retain, qos)
            tx = self._tx
            tx[at:end] = payload
            size, at = end - 5, 3
            if size > 127:
                tx[3] = size & 0x7F | 0x80
                size >>= 7
                at = 2
            tx[at] = 0x31 if retain else 0x30
            tx[4] = size
            size = end - at
            n = self.stream.write(tx, at, size)
        except (TypeError, NotImplementedError):  # how a bytearray says that a str is no bytes
            if not hasattr(payload, "encode"):  # a str, or a Source (streams.py)
                raise
            return self.publish(topic, payload.encode(), retain, 0)
        except OSError as error:
            if qos:
                raise  # the outbox's
            self.failure = error
            return None
        if n == size:
            return 0
        self._tx_start, self._clear = at + (n or 0), 0
        self._tx_end = self._try = end
        return -1

    def _publish_any(self, topic, payload, retain, qos):
        if topic is not self._checked:
            self._topic = topic_name(topic, len(self._tx) - 12)
            constant = topic.__class__ is bytes or topic.__class__ is str
            self._checked = topic if constant else self
        if qos:
            return self._store(qos, payload, retain)
        if not self.online:
            return None
        at = 7 + len(self._topic)
        if at + len(payload) > self._clear:
            return self._queue(payload, retain)
        put_field(self._tx, 5, self._topic)
        self._payload_at = at
        self._placed = topic
        try:
            return self.publish(topic, payload, retain, 0)
        finally:
            if self._checked is self:  # a topic that may change is looked at anew every time
                self._placed = self

    # QoS 0 into tx behind what is there, the payload as far as it fits.
    def _queue(self, payload, retain):
        if self._body_end or self.room() < len(self._topic) + 12:
            return None
        if hasattr(payload, "begin"):
            return payload.begin(self, retain)  # a Source
        payload = memoryview(to_bytes(payload))
        length = len(payload)
        tx = self._tx
        at = self._begin(tx, self._tx_end, _PUBLISH | (1 if retain else 0), len(self._topic) + length + 2)
        fit = min(length, len(tx) - at)
        tx[at : at + fit] = payload[:fit]
        self._tx_end = at + fit
        self._clear = 0
        self._placed = self
        if fit < length:
            self._body = payload
            self._body_start, self._body_end = fit, length
            self._body_first = False
        return -1

    # QoS 1 and 2 into the outbox.
    def _store(self, qos, payload, retain):
        if qos not in (1, 2) or hasattr(payload, "begin"):
            raise ValueError("qos: 0, 1 or 2; Source: 0")
        payload = to_bytes(payload)
        remaining = len(self._topic) + len(payload) + 4
        size = remaining + (2 if remaining < 128 else 3 if remaining < 16384 else 4)
        outbox = self.outbox
        at = outbox.reserve(size, self._body_end if self._body is outbox.buffer else 0)
        if at < 0:
            return None
        packet_id = self._new_id()
        buf = outbox.buffer
        at = self._begin(buf, at, _PUBLISH | qos << 1 | (1 if retain else 0), remaining)
        buf[at] = packet_id >> 8
        buf[at + 1] = packet_id & 0xFF
        buf[at + 2 : at + 2 + len(payload)] = payload
        try:
            outbox.commit(packet_id, size)
        finally:
            if outbox.newest == packet_id:
                self.last_id = packet_id
        return packet_id

    # The fixed header and the topic of a PUBLISH.
    def _begin(self, buf, at, head, remaining):
        if remaining > 268435455:  # section 2.2.3
            raise ValueError("message too large")
        return put_field(buf, put_head(buf, at, head, remaining), self._topic)

    def subscribe(self):
        """Queue SUBSCRIBE and UNSUBSCRIBE, with as much as tx has room for; again while `subscriptions.changed`."""
        self.subscriptions.changed = False
        self._ask(_SUBSCRIBE)
        self._ask(_UNSUBSCRIBE)

    def fits(self, size):
        """Raise ValueError for a topic filter, or for CONNECT with fields of this size, that tx has no room for."""
        if size + 30 > len(self._tx):
            raise ValueError("larger than tx_size")

    def _ask(self, kind):
        subscribing = kind == _SUBSCRIBE
        batch = self.subscriptions.batch(subscribing, self.room() - 14)  # fixed header, identifier, an answer
        if not batch:
            return
        packet_id = self.last_id = self._new_id()
        size = 2
        for entry in batch:
            size += len(entry.topic_filter) + (3 if subscribing else 2)
        self._packet(kind, size)
        self._put_int(packet_id)
        for entry in batch:
            entry.packet_id = packet_id
            self._put(entry.topic_filter)
            if subscribing:
                self._tx[self._tx_end] = entry.options
                self._tx_end += 1

    def ping(self):
        """Queue PINGREQ; return False when there is no room now. Allocates nothing."""
        if self.room() < 8:
            return False
        self._packet(_PINGREQ, 0)
        return True

    def disconnect(self):
        """Queue DISCONNECT, after which nothing is taken from the outbox; return False when there is no room now."""
        if self.room() < 8:
            return False
        self._packet(_DISCONNECT, 0)
        self.outbox.in_flight = 65536  # above every window
        return True

    def postpone(self):
        """Take over the acknowledgement of the message received last: acknowledge() gets it later. Allocates."""
        reply, self._reply = self._reply, 0
        return (reply, self._asker)

    def acknowledge(self, postponed=None):
        """Queue the acknowledgement of the message received last, or a postponed one if the broker waits for it here.
        Where there is no room now it is owed, and nothing is received until flush() has made some."""
        reply, stream, self._reply = self._reply, self._asker, 0
        if postponed:
            reply, stream = postponed
        taken = self.outbox.take(reply)
        if reply and (stream is self.stream or (taken and self.online)):
            if self.room() < 8:
                self._owed = reply
            else:
                self._answer(reply)

    # Take the next message from the outbox, as far as the window allows.
    def _next(self):
        outbox = self.outbox
        if self._owed:
            self._answer(self._owed)
            self._owed = 0
            return True
        if self.online and outbox.most < 1 and (outbox.most or not outbox.received):
            raise MQTTException(_QUOTA, "QoS 2 without PUBREL")
        if not (outbox.unsent and self.online and outbox.in_flight < self.window):
            return False
        packet_id = outbox.next()
        if packet_id and outbox.start == outbox.end:
            self._answer(_PUBREL << 16 | packet_id)
        elif packet_id:
            self._body = outbox.buffer
            self._body_start, self._body_end = outbox.start, outbox.end
            self._body_first = True
            self._clear = 0
        return packet_id

    # --- Receiving -----------------------------------------------------------------------

    def _handle(self, head, at, end):
        kind = head & 0xF0
        if not self.online:
            if head != _CONNACK:
                raise MQTTException(_PROTOCOL_ERROR, "before CONNACK")
            self._connack(at, end)
        elif kind == _PUBLISH:
            return self._publish(head, at, end)
        elif head in (_PUBACK, _PUBREC, _PUBREL, _PUBCOMP):
            self._acknowledged(head, at, end)
        elif head in (_SUBACK, _UNSUBACK):
            self._subscribed(kind, at, end)
        elif head != _PINGRESP or at != end:
            raise MQTTException(_PROTOCOL_ERROR, "packet %02x" % head)
        elif not self.outbox.most:
            self.outbox.most = -1  # what the broker had to say to our PUBRECs has come before PINGRESP
        return kind

    # CONNACK (section 3.2). Raises MQTTException with the broker's refusal.
    def _connack(self, at, end):
        flags, code = self._rx[at], self._rx[at + 1]
        if end - at != 2 or flags > 1 or (code and flags):
            raise MQTTException(_MALFORMED, "CONNACK")
        if code:
            from .reasons import text

            raise MQTTException(code, text(code))
        self.session_present, self.online, self._limit = flags == 1, True, min(len(self._tx), 16388)
        self.outbox.rewind(self.session_present)
        # The session that is present may be a new one, made for a CONNECT whose CONNACK has not arrived.
        self.subscriptions.rewind(self.session_present and self._unanswered < 2)
        self._unanswered = 0
        for packet_id in self.outbox.orphans[: self.room() // 8]:
            self._answer(_PUBREL << 16 | packet_id)

    def _publish(self, head, at, end):
        rx = self._rx
        qos = head >> 1 & 3
        first = at + 2
        topic_end = first + (rx[at] << 8 | rx[at + 1]) if first <= end else end + 1
        at = topic_end + 2 if qos else topic_end
        if at > end or topic_end == first or qos == 3:
            raise MQTTException(_MALFORMED, "PUBLISH")
        topic = bytes(self._view[first:topic_end])
        if b"+" in topic or b"#" in topic or b"\0" in topic:
            raise MQTTException(_MALFORMED, "topic name")
        return self._message(Message(topic, bytes(self._view[at:end]), head & 1, qos, head >> 3 & 1, None), topic_end)

    # A message as it was received; its packet identifier is rx[at:at + 2], unless it is at QoS 0.
    def _message(self, message, at):
        self.message = message
        qos = message.qos
        if qos:
            packet_id = self._rx[at] << 8 | self._rx[at + 1]
            if not packet_id:
                raise MQTTException(_MALFORMED, "identifier 0")
            self._asker = self.stream
            self._reply = (_PUBACK if qos == 1 else _PUBREC) << 16 | packet_id
            if qos == 2:
                first = self.outbox.receive(packet_id, self.subscriptions.called(message.topic))
                if first is None:
                    self._reply = 0
                if not first:
                    self.acknowledge()
                    return _CONNECT  # something, but no message and no answer to us
        return _PUBLISH

    # PUBACK, PUBREC, PUBREL, PUBCOMP (section 4.3). What nobody waits for is ignored; PUBREC and PUBREL are answered.
    def _acknowledged(self, head, at, end):
        outbox = self.outbox
        packet_id = self._rx[at] << 8 | self._rx[at + 1] if end - at == 2 else 0
        known = None
        if not packet_id:
            raise MQTTException(_MALFORMED, "ack")
        if head == _PUBREL:
            outbox.release(packet_id)
            self._answer(_PUBCOMP << 16 | packet_id)
        elif head == _PUBREC:
            known = outbox.pubrec(packet_id)
            self._answer(_PUBREL << 16 | packet_id)
        else:
            known = outbox.puback(packet_id) if head == _PUBACK else outbox.pubcomp(packet_id)
            if known:
                self.finished = packet_id
        if known is False:
            raise MQTTException(_PROTOCOL_ERROR, "wrong ack")

    # SUBACK and UNSUBACK (sections 3.9, 3.11). One that nobody waits for is ignored.
    def _subscribed(self, kind, at, end):
        packet_id = self._rx[at] << 8 | self._rx[at + 1] if end - at >= 2 else 0
        codes = self._view[at + 2 : end]
        right = packet_id > 0
        if kind == _UNSUBACK:
            right = right and not codes
            codes = None
        else:
            for code in codes:
                right = right and code in (0, 1, 2, 0x80)
        if not right or not self.subscriptions.answered(packet_id, codes):
            raise MQTTException(_MALFORMED, "SUBACK")

    # An acknowledgement, packet type << 16 | packet identifier; receive() has seen to it that there is room.
    def _answer(self, reply):
        self._packet(reply >> 16, 2)
        self._put_int(reply & 0xFFFF)

    # Skipping those in use (section 2.3.1).
    def _new_id(self):
        packet_id = self.last_id % 65535 + 1
        while self.outbox.uses(packet_id) or self.subscriptions.uses(packet_id):
            packet_id = packet_id % 65535 + 1
        return packet_id
