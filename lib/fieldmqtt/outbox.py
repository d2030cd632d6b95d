"""The session's messages at QoS 1 and 2: a ring of PUBLISH packets, encoded once.

A message is written into the ring in the form in which it goes over the wire, stays
there until the broker has finished with it, and is sent again from there after a
reconnect. So publishing allocates nothing, the order is kept, and the memory is
bounded and never fragments: one buffer, allocated in __init__.

A record is five bytes and the packet:

    size (2) | state (1) | packet identifier (2) | the PUBLISH packet (size bytes)

Records stand in the order of publishing from `head` to `tail`; where a record does
not fit before the buffer's end it starts at 0 again. `cursor` is the next record to
be sent on this connection. A finished record in the middle keeps its place until
those before it are finished too.
"""

from micropython import const

_RECORD = const(5)
_WRAP = const(0xFF)  # in the place of a size's high byte: the next record is at 0

# States of a record, named for what it waits for (MQTT 3.1.1, section 4.3).
_DONE = const(0)
_QUEUED = const(1)
_PUBACK_PENDING = const(2)
_PUBREC_PENDING = const(3)
_PUBCOMP_PENDING = const(4)
_SENT = const(0x10)  # added to the state: it was sent on this connection

_DUP = const(0x08)

# Incoming QoS 2 identifiers that wait for PUBREL. A broker that opens more is refused.
_MAX_RECEIVED = const(256)


class Outbox:
    """Messages accepted for sending and not yet finished; identifiers received at QoS 2.

    size: bytes of the ring. A message takes its topic and payload and about 12 bytes.
    """

    def __init__(self, size=4096):
        if size >= 0xFF00:
            raise ValueError("outbox size: at most 65279 bytes")
        self.buffer = bytearray(size)
        self.pending = 0  # messages not finished
        self.unsent = 0  # records from cursor to tail
        self.in_flight = 0  # messages sent on this connection and not finished
        self.start = 0  # what next() found: buffer[start:end]
        self.end = 0
        self.newest = 0  # the packet identifier given last
        self.received = set()
        self._count = 0
        self._head = self._tail = self._cursor = self._reserved = 0

    def reserve(self, size):
        """Return where in `buffer` a packet of `size` bytes can be written, -1: no room now.

        Nothing changes until commit(). Raises ValueError for a packet that would never fit.
        """
        size += _RECORD
        space = len(self.buffer)
        if size > space:
            raise ValueError("message larger than the outbox: %d of %d bytes" % (size, space))
        head, tail = self._head, self._tail
        if not self._count:
            tail = 0
        elif tail <= head:
            if head - tail < size:
                return -1
        elif space - tail < size:
            if head < size:
                return -1
            tail = 0
        self._reserved = tail
        return tail + _RECORD

    def commit(self, packet_id, size):
        """Accept the packet of `size` bytes that was written where reserve() said."""
        buffer, at = self.buffer, self._reserved
        if not self._count:
            self._head = at
        elif at < self._tail < len(buffer):
            buffer[self._tail] = _WRAP
        if not self.unsent:
            self._cursor = at
        buffer[at] = size >> 8
        buffer[at + 1] = size & 0xFF
        buffer[at + 2] = _QUEUED
        buffer[at + 3] = packet_id >> 8
        buffer[at + 4] = packet_id & 0xFF
        self._tail = at + _RECORD + size
        self.newest = packet_id
        self._count += 1
        self.pending += 1
        self.unsent += 1

    def next(self):
        """Take the next record to be sent; return its packet identifier, 0: there is none.

        The packet is buffer[start:end]; start == end: the broker has the message already
        and wants PUBREL for this identifier.
        """
        buffer = self.buffer
        while self.unsent:
            at = self._place(self._cursor)
            size = buffer[at] << 8 | buffer[at + 1]
            self.unsent -= 1
            self.end = at + _RECORD + size
            self._cursor = self._place(self.end) if self.unsent else 0
            state = buffer[at + 2]
            if state == _DONE:
                continue
            self.start = at + _RECORD
            if state == _PUBCOMP_PENDING:
                self.start = self.end
            elif state == _QUEUED:
                state = _PUBACK_PENDING if buffer[self.start] & 2 else _PUBREC_PENDING
            else:
                buffer[self.start] |= _DUP
            buffer[at + 2] = state | _SENT
            self.in_flight += 1
            return buffer[at + 3] << 8 | buffer[at + 4]
        return 0

    def find(self, packet_id):
        """Return the place of the unfinished message with this identifier, -1: there is none."""
        buffer, at = self.buffer, self._head
        if not self._count:
            return -1
        # Identifiers are given in ascending order, so all in use lie from the head's to the newest.
        first = buffer[at + 3] << 8 | buffer[at + 4]
        if (packet_id - first) % 65535 > (self.newest - first) % 65535:
            return -1
        for _ in range(self._count):
            at = self._place(at)
            if buffer[at + 3] << 8 | buffer[at + 4] == packet_id and buffer[at + 2]:
                return at
            at += _RECORD + (buffer[at] << 8 | buffer[at + 1])
        return -1

    def puback(self, packet_id):
        """QoS 1: the message is finished. Return False for an identifier that waits for no PUBACK."""
        return self._finish(packet_id, _PUBACK_PENDING)

    def pubrec(self, packet_id):
        """QoS 2: the broker has the message; from now on only PUBREL is sent. False: not waited for.

        A PUBREC for a message whose PUBREL is on its way is answered with PUBREL as well.
        """
        at = self.find(packet_id)
        if at < 0 or self.buffer[at + 2] not in (_PUBREC_PENDING | _SENT, _PUBCOMP_PENDING | _SENT):
            return False
        self.buffer[at + 2] = _PUBCOMP_PENDING | _SENT
        return True

    def pubcomp(self, packet_id):
        """QoS 2: the message is finished. Return False for an identifier that waits for no PUBCOMP."""
        return self._finish(packet_id, _PUBCOMP_PENDING)

    def waits(self, packet_id):
        """True when a message with this identifier was sent on this connection and is unfinished."""
        at = self.find(packet_id)
        return at >= 0 and bool(self.buffer[at + 2] & _SENT)

    def rewind(self, session_present):
        """Start anew on a fresh connection: everything unfinished is to be sent again, in order.

        With the session present under the same identifier and with DUP; without it as new
        messages, also those of which the broker had acknowledged a part: its part is gone.
        """
        buffer, at = self.buffer, self._head
        for _ in range(self._count):
            at = self._place(at)
            if buffer[at + 2]:
                if session_present:
                    buffer[at + 2] &= ~_SENT
                else:
                    buffer[at + 2] = _QUEUED
                    buffer[at + _RECORD] &= ~_DUP
            at += _RECORD + (buffer[at] << 8 | buffer[at + 1])
        self._cursor = self._head
        self.unsent = self._count
        self.in_flight = 0
        if not session_present:
            self.received.clear()

    def receive(self, packet_id):
        """Note an incoming QoS 2 identifier; False: it is known, the message came before.

        Allocates when the set grows. Raises OverflowError above _MAX_RECEIVED identifiers.
        """
        if packet_id in self.received:
            return False
        if len(self.received) >= _MAX_RECEIVED:
            raise OverflowError
        self.received.add(packet_id)
        return True

    def release(self, packet_id):
        """Forget an incoming QoS 2 identifier: PUBREL has come."""
        self.received.discard(packet_id)

    def _finish(self, packet_id, state):
        at = self.find(packet_id)
        if at < 0 or self.buffer[at + 2] != state | _SENT:
            return False
        self.buffer[at + 2] = _DONE
        self.pending -= 1
        self.in_flight -= 1
        self._free()
        return True

    # Give back the finished records at the head.
    def _free(self):
        buffer = self.buffer
        while self._count:
            at = self._place(self._head)
            if buffer[at + 2]:
                self._head = at
                return
            self._head = at + _RECORD + (buffer[at] << 8 | buffer[at + 1])
            if self.unsent == self._count:  # the cursor stands on this one
                self.unsent -= 1
                self._cursor = self._place(self._head) if self.unsent else 0
            self._count -= 1

    # A record's place, where it may be past the wrap.
    def _place(self, at):
        buffer = self.buffer
        return 0 if len(buffer) - at < _RECORD or buffer[at] == _WRAP else at
