"""Flash memory made of Python, as littlefs sees it on an RP2040: blocks of 4096 bytes, programmed by 256.

It counts what wears it, and keeps a journal from which the memory can be had as it was when the power went.
"""

import os

try:
    from vfs import VfsLfs2, mount, umount
except ImportError:  # MicroPython 1.23
    from os import VfsLfs2, mount, umount

BLOCK = 4096
PROGRAM = 256
MOUNTED = "/flash"
_ERASED = b"\xff" * BLOCK
_ERASE = -1  # in the place of an offset in the journal


class Chip:
    """A block device. `image`: blocks that another chip had; they are copied before they are changed."""

    def __init__(self, blocks, image=None, journal=None):
        self.blocks = list(image) if image else [_ERASED] * blocks
        self._own = set()  # blocks that may be changed in place
        self.journal = journal
        self.count()

    def count(self):
        """Begin to count anew."""
        self.erases = [0] * len(self.blocks)
        self.programs = self.programmed = self.reads = self.read = 0

    def readblocks(self, number, buf, offset=0):
        self.reads += 1
        self.read += len(buf)
        buf[:] = memoryview(self.blocks[number])[offset : offset + len(buf)]

    def writeblocks(self, number, buf, offset):
        self.programs += 1
        self.programmed += len(buf)
        if self.journal is not None:
            self.journal.append((number, offset, bytes(buf)))
        self.program(number, offset, buf)

    def ioctl(self, operation, argument):
        if operation == 4:
            return len(self.blocks)
        if operation == 5:
            return BLOCK
        if operation == 6:
            self.erases[argument] += 1
            if self.journal is not None:
                self.journal.append((argument, _ERASE, b""))
            self.erase(argument, BLOCK)
        return 0

    def _block(self, number):
        if number not in self._own:
            self.blocks[number] = bytearray(self.blocks[number])
            self._own.add(number)
        return self.blocks[number]

    def erase(self, number, size):
        """Erase a block, or its first `size` bytes."""
        self._block(number)[:size] = _ERASED[:size]

    def program(self, number, offset, data):
        """Flash can only make zeros of ones."""
        block = self._block(number)
        end = offset + len(data)
        if block[offset:end] == _ERASED[: len(data)]:
            block[offset:end] = data
        else:
            for i, byte in enumerate(data):
                block[offset + i] &= byte

    def redo(self, entry, part=1, whole=1):
        """Do what the journal says, or the first part/whole of its bytes."""
        number, offset, data = entry
        if offset == _ERASE:
            self.erase(number, BLOCK * part // whole)
        else:
            self.program(number, offset, data[: len(data) * part // whole])


class Mounted:
    """A chip's file system at MOUNTED, in a `with`; formatted first if it is new."""

    def __init__(self, chip, new=False):
        self.chip = chip
        if new:
            VfsLfs2.mkfs(chip, progsize=PROGRAM)

    def __enter__(self):
        mount(VfsLfs2(self.chip, progsize=PROGRAM), MOUNTED)
        return MOUNTED

    def __exit__(self, _kind, _value, _trace):
        umount(MOUNTED)


def formatted(blocks):
    """The blocks of a new file system."""
    chip = Chip(blocks)
    with Mounted(chip, new=True) as path:
        os.listdir(path)
    return chip.blocks
