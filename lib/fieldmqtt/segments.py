"""Records in files, to which they are only ever appended: what lies under the outbox on flash.

A folder of segments, files named by ascending numbers, each a sequence of records:

    size (2) | packet identifier (2) | head: segment (4), offset (2) | CRC-32 (4) | the PUBLISH packet (size bytes)

The head is where the oldest unfinished record was when this one was written; so acknowledgements cost no writes of
their own, and the last whole record of the newest segment says where to go on after a reboot. A segment before the head
is deleted. What does not end in a whole record was cut off by a loss of power: the whole records before it count, and
the next record begins a new segment.

A place is (number of the segment, offset in it).
"""

import os
from binascii import crc32
from errno import EIO, ENOENT
from struct import pack_into, unpack_from

from micropython import const

_FORMAT = ">HHIHI"
_HEADER = const(14)
_CRC = const(10)  # where the checksum is

_BLOCK = const(4096)  # of littlefs on RP2040 and ESP32: what a file takes at least
_CORRUPT = const(84)  # littlefs
_HIGHEST = const(0x7FFFFFFF)


class Segments:
    """The segments of a folder, with packets of at most `most` bytes. `scratch`: a memoryview for reading what need not
    be kept. Allocates in every call.

    `damaged` counts segments that held something else than whole records; `largest` is the largest packet from
    the head on that open() has found.
    """

    def __init__(self, folder, segment_size, most, scratch):
        self.folder = folder
        self.damaged = self.largest = 0
        self._segment_size = segment_size
        self._most = most
        self._scratch = scratch
        self._header = bytearray(_HEADER)
        self._table = []  # [number, bytes in whole records], oldest first
        self._last = 0  # the highest number that was used
        self._out = None  # the file that is the newest of them
        self.kept = False  # a file with half a record, or even a whole one, is left from the write that failed last

    def end(self):
        """Return a place behind all records."""
        return (self._table[-1][0], self._table[-1][1]) if self._table else (self._last + 1, 0)

    def used(self, size):
        """Return the bytes taken on flash when a packet of `size` bytes is appended: each file is a block at least."""
        lengths = [segment[1] for segment in self._table]
        if self._fits(size):
            lengths[-1] += _HEADER + size
        else:
            lengths.append(_HEADER + size)
        return sum([max(length, _BLOCK) for length in lengths])

    def append(self, packet_id, packet, head):
        """Write a record through to flash; return (its place, the one that follows). Raises OSError, MemoryError."""
        if not self._fits(len(packet)):
            self._roll()
        self.kept = False
        number, offset = self._table[-1]
        end = offset + _HEADER + len(packet)
        places = ((number, offset), (number, end))
        pack_into(_FORMAT, self._header, 0, len(packet), packet_id, *head, 0)
        pack_into(">I", self._header, _CRC, crc32(packet, self._checksum()))
        try:
            self._out.write(self._header)
            self._out.write(packet)
            self._out.flush()
        except BaseException:  # also Ctrl-C: half a record may be there
            self._abandon()
            raise
        self._table[-1][1] = end
        return places

    def sweep(self, head):
        """Delete the segments before a place."""
        while self._table and self._table[0][0] < head[0]:
            self._remove(self._table.pop(0)[0])

    def close(self):
        """Close the file; the next record opens another."""
        out, self._out = self._out, None
        if out:
            out.close()

    def read(self, place, room, take):
        """Read the records from a place on, as long as room(size) says where a packet can be put, and not None.

        take(packet_id, size, place, place of what follows) gets each. Passes over what cannot be read. Returns False
        when there was no more room. Raises OSError for what may pass; it can be tried again.
        """
        for number, length in list(self._table):
            if (number, length) <= place:
                continue
            offset = place[1] if number == place[0] else 0
            try:
                with open(self._path(number), "rb") as file:
                    file.seek(offset)
                    if not self._read_on(file, number, offset, length, room, take):
                        return False
            except OSError as error:
                if error.args[0] not in (ENOENT, EIO, _CORRUPT):
                    raise
                self.damaged += 1
        return True

    def _read_on(self, file, number, offset, length, room, take):
        while offset < length:
            fields = self._fields(file)
            if not fields or fields[0] > self._most:
                break
            view = room(fields[0])
            if view is None:
                return False
            if file.readinto(view) != fields[0] or crc32(view, self._checksum()) != fields[4]:
                break
            end = offset + _HEADER + fields[0]
            take(fields[1], fields[0], (number, offset), (number, end))
            offset = end
        self.damaged += offset < length
        return True

    def open(self, head):
        """Take over what is there. Return (where the head is, packet identifier of the newest record, or 0, and the
        number of records from the head on). head: where it is known to be at least. Raises OSError."""
        numbers = sorted([number for number in map(_number, os.listdir(self.folder)) if number])
        newest = count = 0
        for number in reversed(numbers):
            last = self._scan(number, (0, 0))[2]
            if last:
                head = max(head, (last[2], last[3]))
                newest = last[1]
                break
        self._last = max(numbers + [head[0]])
        self.largest = 0
        for number in numbers:
            if number < head[0]:
                self._remove(number)
            else:
                count += self._adopt(number, head)
        return head, newest, count

    # Take over a segment; return the number of records from the head on.
    def _adopt(self, number, head):
        length, count, _ = self._scan(number, head)
        if length < 0:
            return 0  # it cannot be read; perhaps next time
        whole = os.stat(self._path(number))[6] == length
        self.damaged += not whole
        if not length:
            self._remove(number)
            return 0
        self._table.append([number, length])
        if number == self._last and whole:
            self._out = open(self._path(number), "ab")  # noqa: SIM115 (stays open)
        return count

    # Read a segment through; return (bytes in whole records, -1: it cannot be read; records from `head` on; the last
    # one's header).
    def _scan(self, number, head):
        length = count = 0
        last = None
        try:
            with open(self._path(number), "rb") as file:
                while True:
                    fields = self._fields(file)
                    if not (fields and self._is_whole(file, fields)):
                        return length, count, last
                    if (number, length) >= head:
                        count += 1
                        self.largest = max(self.largest, fields[0])
                    length += _HEADER + fields[0]
                    last = fields
        except OSError:
            return -1, 0, None

    # Read a header: (size, packet identifier, head's segment, head's offset, checksum), None: there is none.
    def _fields(self, file):
        if file.readinto(self._header) != _HEADER:
            return None
        fields = unpack_from(_FORMAT, self._header)
        return fields if fields[0] else None

    # The checksum begins with the header.
    def _checksum(self):
        return crc32(memoryview(self._header)[:_CRC])

    # Read a packet through, piece by piece.
    def _is_whole(self, file, fields):
        left, checksum = fields[0], self._checksum()
        while left:
            piece = self._scratch[: min(left, len(self._scratch))]
            if file.readinto(piece) != len(piece):
                return False
            checksum = crc32(piece, checksum)
            left -= len(piece)
        return checksum == fields[4]

    def _path(self, number):
        return "%s/%08x" % (self.folder, number)

    def _fits(self, size):
        return self._out and self._table[-1][1] + _HEADER + size <= self._segment_size

    # Begin a new segment.
    def _roll(self):
        self.close()
        self._table.append([self._last + 1, 0])  # first: it may raise MemoryError
        try:
            self._out = open(self._path(self._last + 1), "wb")  # noqa: SIM115 (stays open)
        except BaseException:
            self._table.pop()
            raise
        self._last += 1

    # Writing has failed: what follows half a record could not be found. An empty segment is not left behind.
    def _abandon(self):
        try:
            self.close()
        except OSError:
            pass
        self.kept = self._table[-1][1] > 0
        if not self.kept:
            self._remove(self._table.pop()[0])

    def _remove(self, number):
        try:
            os.remove(self._path(number))
        except OSError:
            pass  # the next start tries again


# The number of the segment that is called so, 0: it is no segment.
def _number(name):
    try:
        number = int(name, 16)
    except ValueError:
        return 0
    return number if "%08x" % number == name and 0 < number < _HIGHEST else 0
