"""The outbox on flash: what publish() has accepted at QoS 1 or 2 outlives a reset and the loss of power.

Messages are records in `segments`. In RAM there is a ring as in Outbox, with the oldest unfinished ones; where it is
full the newer ones stay behind, on flash, and are read as it empties.

The file `state` holds what else has to outlive a reboot: the head once more, for sync(), and for QoS 2 the identifiers
that need PUBREL and those that were received and wait for it:

    head: segment (4), offset (2) | count (2), identifiers (2 each) | identifiers (2 each) | CRC-32 (4)

It is written anew beside itself and renamed, which littlefs does in one piece.
"""

import os
from binascii import crc32
from struct import pack, unpack_from

from micropython import const

from .outbox import Outbox
from .segments import Segments

_RECORD = const(5)  # what comes before a packet in the ring

# States of a record in the ring, as in outbox.py.
_QUEUED = const(1)
_PUBACK_PENDING = const(2)
_PUBREC_PENDING = const(3)
_PUBCOMP_PENDING = const(4)

_PUBREC = const(0x50)  # packet type

_MIN_SEGMENT = const(4096)  # a block of littlefs on RP2040 and ESP32
_SEGMENTS = const(16)  # what `size` is divided into, where they are larger than that


class FlashOutbox(Outbox):
    """An Outbox whose messages are in files. Blocks as long as the flash does: a block is erased for each message.

    folder: where, made if it is missing (its parent must be there); for one client alone. size: bytes on flash, 8192
    to 1000000. ram: bytes in RAM; a message takes at most a quarter of it. count, full: as in Outbox.
    A message is accepted when it is on flash: publish() raises the file system's OSError if that fails. What can no
    longer be read is left out: `damaged` counts files that did not end as they should. `failures` counts what could not
    be read now, or not be written of QoS 2's state. For exactly once over a reboot the broker has to keep the session:
    clean_session=False. Allocates for each message. Raises OSError if the folder cannot be used, ValueError for a size
    that cannot work.
    """

    properties = False  # whoever sends the messages knows those of MQTT 5

    def __init__(self, folder, size=65536, ram=4096, count=60000, full="wait"):
        if not 8192 <= size <= 1000000 or ram < 256:
            raise ValueError("size: 8192 to 1000000, ram: at least 256")
        super().__init__(ram, min(count, 60000), full)  # there are 65535 packet identifiers
        self.failures = 0
        self.largest = min(ram // 4, size - 16)  # packet
        self._space = ram - ram // 4  # of the ring; behind it a message is encoded that is to stay behind
        self._size = size
        self._view = memoryview(self.buffer)
        self._segments = Segments(folder, max(_MIN_SEGMENT, size // _SEGMENTS), self.largest, self._view)
        self._places = []  # where the messages in the ring are on flash
        self._next = None  # where the first one is that is on flash only, None: there is none
        self._behind = 0  # how many there are
        self._newest_in_ring = 0  # packet identifier
        self._in_ring = True  # where reserve() has given a place
        self._old_end = (0, 0)  # messages before this place may have been sent in an earlier life
        self._saved = b"\0\0"  # the identifiers in the file `state`
        self._released = []  # and those of them that need PUBREL
        # Those received that are not in there yet, for their messages wait to be taken; True: came again after the
        # connection was lost, and the broker waits for an answer on this one.
        self._waiting = {}
        self._open(folder)

    def sync(self):
        """Write down which messages are finished, for example before a reboot: else the last may be sent once more."""
        self._save(True)

    def close(self):
        """Close the file. The messages stay; the next FlashOutbox of this folder has them."""
        self._segments.close()

    # --- What differs from the outbox in RAM ----------------------------------------------

    def commit(self, packet_id, size):
        """Accept the packet that was written where reserve() said. Raises OSError if it cannot be written to flash."""
        if packet_id in self._released:  # 65535 messages ago
            self._save()
        at = self._reserved + _RECORD if self._in_ring else self._space
        self._places.append(None)  # grow now: later it may raise MemoryError
        self._places.pop()
        try:
            place = self._segments.append(packet_id, self._view[at : at + size], self._head_place())[0]
        except BaseException:
            if self._segments.kept:  # it may be there as a whole, and be found after a reboot
                self.newest = packet_id
            raise
        if self._in_ring:
            self._take(packet_id, size, place, None)
        else:
            self._next = self._next or place
            self._behind += 1
        self.newest = packet_id
        self.pending += 1
        self._segments.sweep(self._head_place())
        if not self._count:  # reading has failed before
            self._load()

    def uses(self, packet_id):
        """True while a message or an exchange with this identifier is unfinished."""
        return self._is_behind(packet_id) or super().uses(packet_id)

    def pubcomp(self, packet_id):
        """As in Outbox; an exchange whose message is still behind goes on when that is read."""
        return None if self._is_behind(packet_id) else super().pubcomp(packet_id)

    def _is_behind(self, packet_id):
        first = self._newest_in_ring
        return self._behind and 0 < (packet_id - first) % 65535 <= (self.newest - first) % 65535

    def pubrec(self, packet_id):
        """As in Outbox; noted on flash before PUBREL is sent."""
        known = super().pubrec(packet_id)
        self._save()
        return known

    def receive(self, packet_id, taken=True):
        """As in Outbox; noted on flash before the message is delivered. If that waits, by take(): until then it is lost
        with the power, and the broker has to send it again."""
        if packet_id in self._waiting:
            self._waiting[packet_id] = True
            return None
        first = super().receive(packet_id)
        try:
            if first and not taken:
                self._waiting[packet_id] = False
            else:
                self._save()
        except MemoryError:
            if first:
                super().release(packet_id)
            raise
        return first

    def take(self, reply):
        """As in Outbox; noted on flash before PUBREC is sent."""
        packet_id = reply & 0xFFFF
        if reply >> 16 != _PUBREC or packet_id not in self._waiting:
            return False
        again = self._waiting.pop(packet_id)
        try:
            self._save()
        except MemoryError:
            self.failures += 1  # the message goes its way all the same
        return again

    def release(self, packet_id):
        """As in Outbox; noted on flash before PUBCOMP is sent, after which the broker uses the identifier anew."""
        super().release(packet_id)
        self._waiting.pop(packet_id, None)
        self._save()

    def next(self):
        """As in Outbox; a client of 3.1.1 gets a message without the properties that one of MQTT 5 gave it."""
        packet_id = super().next()
        if self.start < self.end and self.buffer[self.start] >= 0xF0 and not self.properties:
            from .plain import plain

            self.start = plain(self.buffer, self.start, self.end)
        return packet_id

    def rewind(self, session_present):
        """As in Outbox."""
        super().rewind(session_present)
        if not session_present:
            self._old_end = (0, 0)
            self._waiting.clear()
        for packet_id in self._waiting:
            self._waiting[packet_id] = False
        self._save()
        self._load()

    def _room(self, size):
        if self._next and not self._count:  # reading has failed before
            self._load()
        if self.pending and self._segments.used(size) > self._size:
            return -1
        at = super()._room(size) if self._next is None else -1
        self._in_ring = at >= 0
        return at if self._in_ring else self._space

    @property
    def damaged(self):
        """Files that did not end as they should."""
        return self._segments.damaged

    def _drop(self, busy):
        done = super()._drop(busy)
        self._save()
        return done

    def _free(self):
        super()._free()
        self._load()
        self._segments.sweep(self._head_place())

    def _pop(self, size):
        super()._pop(size)
        self._places.pop(0)

    # Where the oldest unfinished message is; without one, where the next will be.
    def _head_place(self):
        return self._places[0] if self._places else self._next or self._segments.end()

    # --- Between flash and the ring -------------------------------------------------------

    # Read messages that stayed behind into the ring, as far as it has room.
    def _load(self):
        try:
            if self._next is None or not self._segments.read(self._next, self._view_in_ring, self._take):
                return
        except OSError:
            self.failures += 1
            return
        self.pending -= self._behind  # what was counted and could not be read
        self._behind = 0
        self._next = None

    def _view_in_ring(self, size):
        at = super()._room(size)
        return None if at < 0 else self._view[at : at + size]

    # A message is where the ring has its reserved place. What allocates comes first.
    def _take(self, packet_id, size, place, following):
        self._places.append(place)
        state = _QUEUED
        if following:
            self._next = following
            if self._behind:
                self._behind -= 1
            else:
                self.pending += 1
            if place < self._old_end:
                state = self._old_state(packet_id)
        self._append(packet_id, size, state)
        self._newest_in_ring = packet_id

    # It may have been sent in an earlier life: it is to be sent with DUP, or only PUBREL is.
    def _old_state(self, packet_id):
        if packet_id in self.orphans:
            self.orphans.remove(packet_id)
            return _PUBCOMP_PENDING
        return _PUBACK_PENDING if self.buffer[self._reserved + _RECORD] & 2 else _PUBREC_PENDING

    # Find out what an earlier life has left.
    def _open(self, folder):
        try:
            os.mkdir(folder)
        except OSError:
            pass  # it is there
        segments = self._segments
        head, self.newest, self._behind = segments.open(self._read_state())
        if segments.largest > self.largest:
            raise ValueError("ram, size: a message of %d bytes waits" % segments.largest)
        self._newest_in_ring = self.newest
        self.pending = self._behind
        self._next = head if self._behind else None
        self._old_end = segments.end()
        self._load()

    # --- The file `state` -----------------------------------------------------------------

    # Return the head.
    def _read_state(self):
        try:
            with open(self._segments.folder + "/state", "rb") as file:
                data = file.read()
        except OSError:
            return (0, 0)
        if len(data) < 12 or len(data) % 2 or crc32(memoryview(data)[:-4]) != unpack_from(">I", data, len(data) - 4)[0]:
            self._segments.damaged += 1
            return (0, 0)
        count, *identifiers = unpack_from(">%dH" % ((len(data) - 10) // 2), data, 6)
        self._released = identifiers[:count]
        self.orphans.extend(self._released)
        self.received.update(identifiers[count:])
        self._saved = data[6:-4]
        return unpack_from(">IH", data)

    # Write the file if it would say something new, or anyhow.
    def _save(self, anyhow=False):
        released = list(self.orphans)
        at = self._head
        for _ in range(self._count):
            at = self._place(at)
            state = self.buffer[at + 2] & 7
            if state == _PUBCOMP_PENDING or (not state and self.buffer[at + _RECORD] & 4):  # finished and not freed yet
                released.append(self.buffer[at + 3] << 8 | self.buffer[at + 4])
            at += _RECORD + (self.buffer[at] << 8 | self.buffer[at + 1])
        numbers = released + [packet_id for packet_id in self.received if packet_id not in self._waiting]
        identifiers = pack(">%dH" % (len(numbers) + 1), len(released), *numbers)
        if identifiers == self._saved and not anyhow:
            return
        data = pack(">IH", *self._head_place()) + identifiers
        name = self._segments.folder + "/state"
        try:
            with open(name + ".new", "wb") as file:
                file.write(data + pack(">I", crc32(data)))
            os.rename(name + ".new", name)
            self._saved = identifiers
            self._released = released
        except OSError:
            self.failures += 1
