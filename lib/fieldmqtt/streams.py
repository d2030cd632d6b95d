"""Payloads larger than the buffers, piece by piece, in both directions: a camera's picture, a new firmware.

Nobody else pays for it: what is streamed stands in front of methods of the protocol, as attributes of that one
object, while it lasts.
"""

from errno import ECONNABORTED, ECONNRESET

from micropython import const

from .protocol import Message
from .wire import MQTTException, not_yet

_PIECE = const(512)  # bytes that are read from a Source at once
_PIECES = const(4)  # most that are written in one call of flush(): through a WebSocket each is masked byte by byte
_PUBLISH = const(0x30)
_CONNECT = const(0x10)  # of a step: something, but no message
_MALFORMED = const(0x81)


class Source:
    """A payload for `publish(topic, Source(stream, size))` at QoS 0: `size` bytes that stream.readinto(buf) gives.

    They are read while they are sent: until publish() has returned, or with wait=False until the next message goes
    out, `stream` belongs to the client. It is never waited for: None from readinto is as bad as an end that comes too
    early, or an exception. The connection is given up then, for the broker waits for the rest, and publish() raises
    OSError; what fits into tx may be read as a whole first, and is a ValueError. `timeout` is for all of the payload.
    Serves once. Allocates 512 bytes, what fits into tx all of it; and a memoryview for each piece.
    """

    def __init__(self, stream, size):
        if not 0 <= size < 268000000:
            raise ValueError("Source: size")
        self._readinto, self._size = stream.readinto, size
        self._piece = memoryview(bytearray(min(_PIECE, size)))
        self._at = self._have = 0  # where in the payload the piece begins, and its bytes
        self._protocol = None

    def __len__(self):
        return self._size

    def encode(self):
        """Return all of it: a payload that fits into tx goes out like any other. May be called again: publish() may
        have to wait."""
        if self._protocol:
            raise ValueError("Source: used")
        if not self._have:
            self._piece = memoryview(bytearray(self._size))
        try:
            while self._have < self._size:
                self._have += self._read(self._piece[self._have :])
        except OSError as error:  # nothing has been sent: no fault of the connection's
            self._protocol = self
            raise ValueError(error.args[1]) from None
        return self._piece

    def begin(self, protocol, retain):
        """Queue the packet's beginning; from now on the protocol asks here for the rest. Returns as its publish()."""
        if self._protocol:
            raise ValueError("Source: used")
        head = _PUBLISH | (1 if retain else 0)
        protocol._tx_end = protocol._begin(protocol._tx, protocol._tx_end, head, len(protocol._topic) + self._size + 2)
        protocol._clear = 0
        protocol._placed = protocol
        self._protocol = protocol
        if self._size:
            protocol._body, protocol._body_start, protocol._body_end = self, 0, self._size
            protocol._body_first = False
            protocol._write = self._write
        return -1

    # In the place of Wire._write; only for this payload does it something else.
    def _write(self, buf, start, end):
        protocol = self._protocol
        if buf is not self:
            if protocol._body is not self:  # lost with its connection
                del protocol._write
            return protocol.__class__._write(protocol, buf, start, end)
        for _ in range(_PIECES):
            if start == self._at + self._have:
                self._at, self._have = start, self._read(self._piece[: end - start])
            n = None
            try:
                n = protocol.stream.write(self._piece, start - self._at, self._at + self._have - start)
            except OSError as error:
                if not not_yet(error):
                    raise
            if not n:
                break
            start += n
            if start == end:
                del protocol._write
                break
        return start

    def _read(self, view):
        try:
            n = self._readinto(view)
        except Exception as error:  # whatever it is, the packet cannot be finished
            raise OSError(ECONNABORTED, "Source: %r" % error) from None
        if not n:
            raise OSError(ECONNABORTED, "Source: too short")
        return n


def receive_large(client, callback):
    """Let messages larger than max_packet come, piece by piece. Call it before connect().

    callback(topic, piece, offset, size), for whatever topic: piece is payload[offset:offset + len(piece)] of `size`
    bytes, a memoryview that is valid during the call; `client.message` has the rest. A piece at offset 0
    begins a message, one with offset + len(piece) == size ends it. At QoS 1 and 2 it is acknowledged then; when the
    connection is lost before, it begins again. What the callback raises is passed on, and the pieces go on coming.
    callback None: such messages are acknowledged and skipped.
    With MQTT 5 no Maximum Packet Size is announced any more. The topic and the properties must fit into max_packet.
    """
    _Large(client, callback)


class _Large:
    def __init__(self, client, callback):
        self._client, self._callback = client, callback
        self._protocol = protocol = client._protocol
        # The piece; all of the message but its payload; where it comes.
        self._payload = self._head = self._stream = None
        self._others = protocol.subscriptions.dispatch
        protocol._too_large = self._begin
        protocol.subscriptions.dispatch = self._dispatch
        getattr(protocol, "settings", {}).pop("maximum_packet_size", None)

    # A packet of `size` bytes has begun, its fixed header is there.
    def _begin(self, size):
        protocol = self._protocol
        head = protocol._rx[protocol._start]
        if head & 0xF0 != _PUBLISH or not protocol.online:
            return protocol.__class__._too_large(protocol, size)
        if head & 6 == 6:
            raise MQTTException(_MALFORMED, "PUBLISH")
        have = protocol._have - protocol._start
        protocol._rx[:have] = protocol._view[protocol._start : protocol._have]
        protocol._start, protocol._have = 0, have
        protocol.receive = self._receive
        self._head, self._stream, self._left = None, protocol.stream, size
        at = 2
        while protocol._rx[at - 1] & 0x80:
            at += 1
        self._at = at  # where the variable header begins
        return self._receive()

    # In the place of Wire.receive, until the packet has come.
    def _receive(self):
        protocol = self._protocol
        if protocol.stream is not self._stream:  # the connection was lost in the middle of it
            del protocol.receive
            return protocol.receive()
        if protocol._owed or protocol.room() < 8:
            return 0
        if not self._head:
            return self._read_head()
        n = self._read(2, min(len(protocol._rx), 2 + self._left))
        return self._deliver(protocol._view[2 : 2 + n]) if n else 0

    # Into rx[start:end]; return how many bytes.
    def _read(self, start, end):
        n = None
        try:
            n = self._stream.readinto(self._protocol._view[start:end])
        except OSError as error:
            if not not_yet(error):
                raise
        if n == 0:
            raise OSError(ECONNRESET, "closed by the peer")
        if n:
            self._client._asked = False  # PINGRESP stands behind this message, however long that takes
        return n or 0

    # All before the payload has to be there as a whole; the protocol itself takes it apart, as a message without a
    # payload, at QoS 1 where there is a packet identifier.
    def _read_head(self):
        protocol = self._protocol
        rx = protocol._rx
        most = len(rx) - 16
        size = self._head_size()
        if protocol._have < size <= most:
            protocol._have += self._read(protocol._have, len(rx))
            size = self._head_size()
        if size > most:
            return protocol.__class__._too_large(protocol, self._left)
        if protocol._have < size:
            return 0
        qos, at = rx[0] >> 1 & 3, self._at
        start = at + 2 + (rx[at] << 8 | rx[at + 1])
        packet_id = bytes(protocol._view[start : start + 2])
        protocol._publish(rx[0] & 0xF9 | (2 if qos else 0), at, size)
        protocol.postpone()
        message = protocol.message
        self._size = self._left = self._left - size
        self._known = qos == 2 and int.from_bytes(packet_id, "big") in protocol.outbox.received
        self._head = message.topic, message.retain, qos, message.dup, message.properties
        rx[:2] = packet_id
        return self._deliver(protocol._view[size : protocol._have])

    # How many bytes of the packet come before the payload, as far as that can be told.
    def _head_size(self):
        protocol = self._protocol
        rx, have = protocol._rx, protocol._have
        at = self._at + 2
        if have < at:
            return at
        at += (rx[at - 2] << 8 | rx[at - 1]) + (2 if rx[0] & 6 else 0)
        if getattr(protocol, "level", 4) == 5:
            size = shift = 0
            while True:
                at += 1
                if have < at:
                    return at
                size |= (rx[at - 1] & 0x7F) << shift
                shift += 7
                if not rx[at - 1] & 0x80 or shift > 21:  # what is malformed is the protocol's to find
                    return at + size
        return at

    # A piece of the payload has come: what receive() returns for it.
    def _deliver(self, payload):
        protocol = self._protocol
        topic, retain, qos, dup, properties = self._head
        protocol.message = message = Message(topic, payload, retain, qos, dup, properties)
        self._offset = self._size - self._left
        self._left -= len(payload)
        event = _PUBLISH
        if not self._left:
            del protocol.receive
            protocol._start = protocol._have = 0
            event = protocol._message(message, 0)
        if self._known or not self._callback or not payload:
            if not self._left:
                protocol.acknowledge()
            return _CONNECT
        self._payload = payload
        return event

    def _dispatch(self, topic, payload):
        if payload is not self._payload:
            return self._others(topic, payload)
        self._payload = None
        self._callback(topic, payload, self._offset, self._size)
        return (self._callback,)
