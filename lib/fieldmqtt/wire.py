"""Framing: whole packets between two fixed buffers and a stream that may take or give any part of them.

Nothing here waits. `flush()` writes as much as the stream takes, `receive()` handles at
most one packet; both keep their progress in the object and go on where they stopped. A stream has
`write(buf, offset, size)` and `readinto(buf)` that return a count, or None for "not yet"; readinto
returns 0 when the peer has closed.
"""

from errno import EAGAIN, EALREADY, ECONNRESET, EINPROGRESS

from micropython import const

_PIECE = const(8192)  # most bytes of a long payload that are written at once: so a call of flush() stays short
_REPLY = const(8)  # bytes that must be free in tx before a packet is taken that may need an answer

# Reason codes for what the peer does wrong (MQTT 5, section 2.4; in 3.1.1 they stay on this side).
_MALFORMED = const(0x81)
_TOO_LARGE = const(0x95)


class MQTTException(OSError):
    """The peer refused something or broke the protocol. reason_code: int; reason: its meaning."""

    def __init__(self, reason_code, reason=""):
        super().__init__(reason_code, reason)
        self.reason_code = reason_code
        self.reason = reason


def to_bytes(text):
    """Return str as UTF-8, anything else unchanged."""
    return text.encode() if isinstance(text, str) else text


def not_yet(error):
    """True for an OSError that only says that a non-blocking stream is not ready: most ports return None instead."""
    return error.args and error.args[0] in (EAGAIN, EALREADY, EINPROGRESS)


def put_head(buf, at, head, remaining):
    """Write a fixed header (section 2.2) into buf: type and flags, Remaining Length. Return where it ends."""
    buf[at] = head
    at += 1
    while remaining > 127:
        buf[at] = remaining & 0x7F | 0x80
        remaining >>= 7
        at += 1
    buf[at] = remaining
    return at + 1


def put_field(buf, at, value):
    """Write a string or binary field (section 1.5.3) into buf: its length, two bytes, and its bytes.

    It has no more than 65,535 bytes: whoever calls this has seen to it that it fits into tx, which has no more."""
    size = len(value)
    buf[at] = size >> 8
    buf[at + 1] = size & 0xFF
    at += 2
    buf[at : at + size] = value
    return at + size


class Wire:
    """A transmit buffer of `tx_size` bytes and a receive buffer of `max_packet` bytes.

    A subclass says in _handle and _next what packets mean.
    """

    # What is being written besides tx: body[body_start:body_end], while body_end is not 0.
    _body = None
    _body_start = 0
    _body_first = False  # True: before tx, a record of the outbox; False: after it, a long payload

    _payload_at = 0
    _owed = 0  # an acknowledgement that has found no room

    def __init__(self, tx_size, max_packet):
        self._placed = self  # the topic whose field is at tx[5:_payload_at]; self: none
        self._tx = bytearray(tx_size)
        self._rx = bytearray(max_packet)
        self._view = memoryview(self._rx)
        self.reset(None)

    def reset(self, stream):
        """Forget what belongs to a connection, and go on with a stream (None: there is none)."""
        self.stream = stream
        self._tx_start = self._tx_end = self._try = 0
        self._start = self._have = 0  # unread bytes are rx[start:have]
        self._body = None
        self._body_end = 0
        # How far a PUBLISH may reach in tx to go out at once: _limit, which is 0 offline; 0 while anything is queued.
        self._clear = self._limit = 0

    def room(self):
        """Bytes free for packets; 0 while a long payload is being written, which must not be interrupted."""
        return 0 if self._body_end and not self._body_first else len(self._tx) - self._tx_end

    def writing(self):
        """True while there is something that flush() has not been able to write."""
        return self._tx_end or self._body_end

    def flush(self):
        """Write as much as the stream takes, a long payload piece by piece: call again while writing().

        Raises the stream's OSError. Allocates nothing."""
        while True:
            if self._body_end and (self._body_first or not self._tx_end):
                self._body_start = self._write(self._body, self._body_start, self._body_end)
                if self._body_start < self._body_end:
                    return
                self._body = None
                self._body_end = 0
            elif self._tx_end:
                self._tx_start = self._write(self._tx, self._tx_start, self._tx_end)
                if self._tx_start < self._tx_end:
                    return
                self._tx_start = self._tx_end = 0
            elif not self._next():
                self._clear = self._limit
                return

    # Write a piece of buf[start:end]; return where the next one begins. TLS wants what it has refused, be it the rest
    # of a piece, again as it was, however much has been queued since.
    def _write(self, buf, start, end):
        end = self._try or min(end, start + _PIECE)
        try:
            start += self.stream.write(buf, start, end - start) or 0
        except OSError as error:
            if not not_yet(error):
                raise
        self._try = end if start < end else 0
        return start

    def receive(self):
        """Handle one packet and return its type (PUBLISH: see `message`), 0: none is complete yet.

        Reads from the stream at most once. Raises OSError when the peer has closed,
        MQTTException for what the specification forbids. Allocates for a message its topic,
        its payload and a tuple; for anything else nothing.
        """
        if self._owed or self.room() < _REPLY:
            return 0  # no room for an answer: let the peer wait
        size = self._complete()
        if not size:
            size = self.read() and self._complete()
            if not size:
                return 0
        if size > len(self._rx):
            return self._too_large(size)
        start = self._start
        end = self._start = start + size
        if end == self._have:
            self._start = self._have = 0
        at = start + 2
        while self._rx[at - 1] & 0x80:
            at += 1
        return self._handle(self._rx[start], at, end)

    def read(self):
        """Read what there is into rx, once; return how many bytes, None: none yet. Raises as receive()."""
        try:
            n = self.stream.readinto(self._view[self._have :] if self._have else self._rx)
        except OSError as error:
            if not not_yet(error):
                raise
            return None
        if n == 0:
            raise OSError(ECONNRESET, "closed by the peer")
        self._have += n or 0
        return n

    # The size of the packet at `start` when it is there as a whole, or too large; else 0 and room to read on.
    def _complete(self):
        rx, start, have = self._rx, self._start, self._have
        size = shift = 0
        for at in range(start + 1, min(start + 5, have)):
            size |= (rx[at] & 0x7F) << shift
            shift += 7
            if not rx[at] & 0x80:
                size += at + 1 - start
                break
        else:
            if shift == 28:
                raise MQTTException(_MALFORMED, "length")
            size = 0
        if size and (have - start >= size or size > len(rx)):
            return size
        if start:
            rx[: have - start] = self._view[start:have]
            self._start = 0
            self._have = have - start
        return 0

    # What to do with a packet of `size` bytes that has begun (streams.py has something better).
    def _too_large(self, size):
        raise MQTTException(_TOO_LARGE, "%d bytes, max_packet is %d" % (size, len(self._rx)))

    # Queue a fixed header; what follows is put behind it. Raises ValueError when there is no room.
    def _packet(self, head, remaining):
        if remaining + 5 > self.room():
            raise ValueError("%d bytes: raise tx_size" % remaining)
        self._clear = 0
        self._placed = self  # the topic that stands in tx stands there no more
        self._tx_end = put_head(self._tx, self._tx_end, head, remaining)

    def _put(self, value):
        self._tx_end = put_field(self._tx, self._tx_end, value)

    # Two bytes, the high one first.
    def _put_int(self, value):
        at = self._tx_end
        self._tx[at] = value >> 8
        self._tx[at + 1] = value & 0xFF
        self._tx_end = at + 2

    # A packet has come: its first byte; its variable header and payload are _rx[at:end]. Return what receive() returns.
    def _handle(self, head, at, end):
        raise NotImplementedError

    # All is written: provide more, and return whether there is.
    def _next(self):
        return 0
