"""The outbox on flash when the file system fails: what publish() accepted is there, what it refused does no harm."""

import os
import sys

from flash.kit import Board, Folder, drain, library, put, take, take_all
from support.session import raised


def _outbox(folder, size=8192, ram=512, **arguments):
    return library().FlashOutbox(folder.path, size, ram, **arguments)


class _Faults:
    """Stands in for open(): the operations on files from `first` on, `count` of them, raise `error`.

    late: what is written reaches the file with flush(), as on littlefs; else at once, half of it when it fails.
    reading: it is reading that fails, not writing.
    """

    def __init__(self, first, count, error, late=True, reading=False):
        self.first, self.end, self.error, self.late, self.reading = first, first + count, error, late, reading
        self.operations = 0

    def __enter__(self):
        self._put_in_place(self.open)
        return self

    def __exit__(self, _kind, _value, _trace):
        self._put_in_place(open)

    def _put_in_place(self, function):
        for name in ("flash", "segments"):
            sys.modules["fieldmqtt." + name].open = function

    def open(self, path, mode):
        if (mode == "rb") == self.reading:
            self.step()
        return _File(self, open(path, mode))

    def step(self):
        self.operations += 1
        if self.first <= self.operations - 1 < self.end:
            raise self.error


class _File:
    def __init__(self, faults, file):
        self._faults, self._file = faults, file
        self._unwritten = b""
        self._failed = False
        self.read, self.seek = file.read, file.seek

    def __enter__(self):
        return self

    def __exit__(self, _kind, _value, _trace):
        self.close()

    def readinto(self, buf):
        if self._faults.reading:
            self._faults.step()
        return self._file.readinto(buf)

    def write(self, data):
        self._step(bytes(data[: len(data) // 2]))
        self._unwritten += bytes(data)
        if not self._faults.late:
            self._put()
        return len(data)

    def flush(self):
        self._step(b"")
        self._put()
        self._file.flush()

    def close(self):
        try:
            if self._unwritten and not self._failed:
                self.flush()
        finally:
            self._file.close()

    def _step(self, half):
        if self._faults.reading:
            return
        try:
            self._faults.step()
        except BaseException:
            self._failed = True
            if not self._faults.late:
                self._file.write(half)
                self._file.flush()
            raise

    def _put(self):
        self._file.write(self._unwritten)
        self._unwritten = b""


def _try(outbox, numbers):
    """Accept those; return (accepted, refused with the fault's exception)."""
    accepted, refused = [], []
    for number in numbers:
        try:
            assert put(outbox, number)
            accepted.append(number)
        except (OSError, MemoryError, KeyboardInterrupt):
            refused.append(number)
    return accepted, refused


def _in_order(found, accepted, refused):
    """Everything accepted, in order; of what was refused only what had been written before it failed."""
    return [n for n in found if n not in refused] == accepted and sorted(found) == found


def _each_fault():
    for error in (OSError(28, "no space"), OSError(5, "input/output"), MemoryError(), KeyboardInterrupt()):
        for late in (True, False):
            for count in (1, 2, 3, 10):
                yield error, late, count


def test_a_fault_at_any_operation():
    for error, late, count in _each_fault():
        for first in range(0, 24, 1 if count < 2 else 5):
            with Folder() as folder:
                outbox = _outbox(folder)
                with _Faults(first, count, error, late):
                    accepted, refused = _try(outbox, range(1, 21))
                what = (error, late, count, first)
                assert refused and accepted[-1] == 20, what
                assert outbox.pending == len(accepted), what
                again = _outbox(folder)
                found = drain(again)
                assert _in_order(found, accepted, refused if not late else []), (what, found, refused)
                assert drain(outbox) == accepted, what


def test_a_fault_while_messages_are_behind():
    for error, late, count in _each_fault():
        for first in range(30, 60, 5):
            with Folder() as folder:
                outbox = _outbox(folder)
                with _Faults(first, count, error, late):
                    accepted, refused = _try(outbox, range(1, 31))
                assert refused and drain(outbox) == accepted and outbox.pending == 0, (error, late, count, first)


def test_a_record_that_is_whole_and_was_refused():
    """flush() may fail after all is written: that message must not take the place of one that was accepted."""
    for first in range(3, 60, 3):  # flush() of each record
        with Folder() as folder:
            outbox = _outbox(folder)
            with _Faults(first, 1, OSError(5), False):
                accepted, refused = _try(outbox, range(1, 31))
            assert len(refused) == 1
            found = []
            while outbox.pending:
                in_flight = [number for number, _ in take_all(outbox)]
                found += in_flight
                for number in reversed(in_flight):  # room for many at once
                    assert outbox.puback(number)
            assert found == accepted, refused


def test_a_full_file_system_for_long():
    with Folder() as folder:
        outbox = _outbox(folder)
        put(outbox, 1)
        outbox.close()
        names = len(folder.names())
        with _Faults(0, 1_000_000, OSError(28), True):
            assert _try(outbox, range(2, 300))[0] == []
            assert len(folder.names()) <= names
            assert take(outbox)[0] == 1 and outbox.puback(1), "what is there can be sent"
            outbox.sync()
            assert outbox.failures == 1
        assert put(outbox, 300)
        assert drain(_outbox(folder))[-1] == 300


def test_the_client_raises_what_the_file_system_raises():
    with Folder() as folder:
        board = Board(folder).connected()
        with _Faults(1, 1, OSError(28), True):
            error = raised(OSError, board.client.publish, "t", "lost", qos=1)
        assert error.args[0] == 28
        assert board.client.isconnected() and board.client.pending() == 0
        board.client.publish("t", "kept", qos=1)
        assert board.broker.delivered == [b"kept"]


def test_refused_messages_use_up_no_identifiers():
    """Else they wrap around while an old message waits, and the order of identifiers is no order any more."""
    with Folder() as folder:
        board = Board(folder)
        board.client.connect(wait=False)
        board.broker.accepts = lambda sock: "refused"
        first = board.client.publish("t", "first", qos=1, wait=False)
        board.outbox.close()
        with _Faults(0, 1_000_000, OSError(28), True):
            for _ in range(1000):
                raised(OSError, board.client.publish, "t", "refused", qos=1, wait=False)
        assert board.client.publish("t", "second", qos=1, wait=False) == first % 65535 + 1


def test_the_state_cannot_be_written():
    for first in range(4):
        with Folder() as folder:
            outbox = _outbox(folder)
            put(outbox, 1, 2)
            take(outbox)
            with _Faults(first, 4, OSError(28), True):
                assert outbox.pubrec(1) and outbox.receive(9), "the exchange goes on"
            assert outbox.failures > 0
            outbox.receive(10)
            again = _outbox(folder)
            assert again.received == {9, 10}, "what was missed is written with what comes next"
            assert take(again) == (1, b"")


def test_reading_fails_for_a_while():
    """No memory for a file, say: what stayed behind is read later."""
    payloads = [b"%050d" % i for i in range(120)]
    for error in (OSError(12, "no memory"), MemoryError()):
        for first in (0, 1, 9):
            for count in (3,):
                with Folder() as folder:
                    board = Board(folder, flash={"ram": 512})
                    board.client.connect(wait=False)
                    board.broker.accepts = lambda sock: "refused"
                    board.publish_all(payloads)
                    board.broker.accepts = lambda sock: None
                    with _Faults(first, count, error, reading=True) as faults:
                        board.pump(60_000)
                        assert faults.operations > first
                    board.client.publish("t", "last", qos=1, wait=False)
                    board.pump(120_000)
                    what = (error, first, count, board.client.pending())
                    assert board.client.pending() == 0, what
                    seen = [p for i, p in enumerate(board.broker.delivered) if p not in board.broker.delivered[:i]]
                    assert seen == payloads + [b"last"], what


def test_the_folder_vanishes():
    with Folder() as folder:
        outbox = _outbox(folder)
        for number in range(1, 31):
            put(outbox, number)
        copy = folder.copy()
        folder.restore({})
        os.rmdir(folder.path)
        outbox.close()
        raised(OSError, put, outbox, 31)
        sent = drain(outbox)
        assert sent == list(range(1, len(sent) + 1)) and outbox.pending == 0, "those in RAM"
        assert outbox.failures == 0
        outbox.sync()
        assert outbox.failures == 1
        folder.restore({name: copy[name][:30] for name in copy})
        assert put(outbox, 31) and drain(outbox) == [31]


def test_a_folder_that_cannot_be_used():
    with Folder() as folder:
        with open(folder.path, "w") as file:
            file.write("a file")
        raised(OSError, _outbox, folder)
        os.remove(folder.path)
        folder.path += "/deeper"
        raised(OSError, _outbox, folder)
        folder.path = folder.parent + "/outbox"
