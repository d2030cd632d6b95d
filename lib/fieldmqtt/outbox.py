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

from errno import ENOBUFS

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

# Incoming QoS 2 identifiers that wait for PUBREL; what is more waits for the next connection. mosquitto queues 1,000
# messages unless told otherwise, and sends them all at once after a reconnect. On a 32-bit board the set takes 4,892
# bytes at most, and 3,676 more while it grows.
_MAX_RECEIVED = const(1024)
_MAX_ORPHANS = const(256)


class Outbox:
    """Messages accepted for sending and not yet finished; identifiers received at QoS 2.

    size: bytes of the ring. A message takes its topic and payload and about 12 bytes. count: most messages.
    full: what becomes of one for which there is no room: "wait" until there is, or until the call's deadline;
    "refuse": OSError(ENOBUFS); "drop": the oldest make room, counted in `dropped`.
    """

    def __init__(self, size=4096, count=1000, full="wait"):
        if size >= 0xFF00:
            raise ValueError("size above 65279")
        if full not in ("wait", "refuse", "drop"):
            raise ValueError("full: wait, refuse or drop")
        self.moved = False  # since it was asked last, the oldest message was finished
        self.buffer = bytearray(size)
        self.full = full
        self.count = count
        self.dropped = 0  # messages given up to make room
        self.lost = 0  # the packet identifier of the one dropped last
        self.orphans = []  # identifiers of dropped messages at QoS 2 that the broker may have: they need PUBREL
        self.pending = 0  # messages not finished
        self.unsent = 0  # records from cursor to tail
        self.in_flight = 0  # messages sent on this connection and not finished
        self.start = 0  # what next() found: buffer[start:end]
        self.end = 0
        self.newest = 0  # the packet identifier given last
        self.received = set()
        # How many; 0: there were more, and no other is noted on this connection; -1: nor will one be released.
        self.most = _MAX_RECEIVED
        self.largest = size - _RECORD  # packet
        self._space = size  # of the ring
        self._count = 0  # records in it
        self._head = self._tail = self._cursor = self._reserved = 0

    def reserve(self, size, busy=0):
        """Return where in `buffer` a packet of `size` bytes can be written, -1: no room now.

        Nothing is accepted until commit(). busy: where the record ends that is being written just now, which
        cannot be dropped. Raises ValueError for a packet that would never fit, OSError(ENOBUFS) when `full` says so.
        """
        if size > self.largest:
            raise ValueError("%d bytes, at most %d" % (size, self.largest))
        while True:
            at = self._room(size) if self.pending < self.count else -1
            if at >= 0 or self.full == "wait":
                return at
            if self.full == "refuse" or not self._drop(busy):
                raise OSError(ENOBUFS, "outbox full")

    def _room(self, size):
        size += _RECORD
        space = self._space
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
        self._append(packet_id, size, _QUEUED)
        self.newest = packet_id
        self.pending += 1

    def _append(self, packet_id, size, state):
        buffer, at = self.buffer, self._reserved
        if not self._count:
            self._head = at
        elif at < self._tail < self._space:
            buffer[self._tail] = _WRAP
        if not self.unsent:
            self._cursor = at
        buffer[at] = size >> 8
        buffer[at + 1] = size & 0xFF
        buffer[at + 2] = state
        buffer[at + 3] = packet_id >> 8
        buffer[at + 4] = packet_id & 0xFF
        self._tail = at + _RECORD + size
        self._count += 1
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
        """QoS 1: the message is finished. False: it waits for something else; None: nothing waits for an answer."""
        return self._finish(packet_id, _PUBACK_PENDING)

    def pubrec(self, packet_id):
        """QoS 2: the broker has the message; from now on only PUBREL is sent. Returns as puback().

        A PUBREC for a message whose PUBREL is on its way is answered with PUBREL as well.
        """
        at = self._sent(packet_id)
        if at < 0:
            return None
        if self.buffer[at + 2] == _PUBACK_PENDING | _SENT:
            return False
        self.buffer[at + 2] = _PUBCOMP_PENDING | _SENT
        return True

    def pubcomp(self, packet_id):
        """QoS 2: the message is finished. Returns as puback()."""
        if packet_id in self.orphans:
            self.orphans.remove(packet_id)
        return self._finish(packet_id, _PUBCOMP_PENDING)

    def uses(self, packet_id):
        """True while a message or an exchange with this identifier is unfinished."""
        return self.find(packet_id) >= 0 or packet_id in self.orphans

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
        self.most = _MAX_RECEIVED
        if not session_present:
            self.received.clear()
            self.orphans.clear()

    def receive(self, packet_id, taken=True):
        """Note an incoming QoS 2 identifier. False: it is known, the message came before; None: there are too many, or
        the message came before and waits.

        taken: false when the message has to wait for take(). Allocates when the set grows.
        """
        if packet_id in self.received:
            return False
        if len(self.received) >= self.most:
            self.most = 0
            return None
        self.received.add(packet_id)
        return True

    def release(self, packet_id):
        """Forget an incoming QoS 2 identifier: PUBREL has come."""
        self.received.discard(packet_id)

    def take(self, reply):
        """A message is taken; reply: its acknowledgement, packet type << 16 | packet identifier.

        Returns true if it has waited since an earlier connection, and the broker has sent it on this one as well.
        """

    # The place of a message that was sent on this connection and is unfinished.
    def _sent(self, packet_id):
        at = self.find(packet_id)
        return at if at >= 0 and self.buffer[at + 2] & _SENT else -1

    def _finish(self, packet_id, state):
        at = self._sent(packet_id)
        if at < 0:
            return None
        if self.buffer[at + 2] != state | _SENT:
            return False
        self.buffer[at + 2] = _DONE
        self.pending -= 1
        self.in_flight -= 1
        self._free()
        return True

    # Give up the oldest message; False: there is none, it is being written, or too much is owed for others.
    def _drop(self, busy):
        at = self._head = self._place(self._head)
        buffer = self.buffer
        end = at + _RECORD + (buffer[at] << 8 | buffer[at + 1])
        if not self._count or end == busy:
            return False
        self.lost = buffer[at + 3] << 8 | buffer[at + 4]
        if buffer[at + 2] & ~_SENT in (_PUBREC_PENDING, _PUBCOMP_PENDING):
            if len(self.orphans) >= _MAX_ORPHANS:
                self.orphans.pop(0)
            self.orphans.append(self.lost)
        if buffer[at + 2] & _SENT:
            self.in_flight -= 1
        buffer[at + 2] = _DONE
        self.pending -= 1
        self.dropped += 1
        self._free()
        return True

    # Give back the finished records at the head.
    def _free(self):
        while self._count:
            at = self._head = self._place(self._head)
            if self.buffer[at + 2]:
                return
            self._pop(self.buffer[at] << 8 | self.buffer[at + 1])

    # Give back the record at the head, with its packet of `size` bytes.
    def _pop(self, size):
        self.moved = True
        self._head += _RECORD + size
        if self.unsent == self._count:  # the cursor stands on this one
            self.unsent -= 1
            self._cursor = self._place(self._head) if self.unsent else 0
        self._count -= 1

    # A record's place, where it may be past the wrap.
    def _place(self, at):
        return 0 if self._space - at < _RECORD or self.buffer[at] == _WRAP else at
