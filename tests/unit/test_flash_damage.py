"""The outbox on flash when its folder holds what nobody wrote, or half of what was written."""

import os

from flash.kit import Board, Folder, drain, library, put, take
from support.fakenet import Random
from support.session import raised

_RECORD = 54  # bytes of a record with a packet of 40


def _outbox(folder, size=8192, ram=512, **arguments):
    return library().FlashOutbox(folder.path, size, ram, **arguments)


def _filled(folder, count=200, first=1):
    """An outbox with `count` messages in some segments; its files."""
    outbox = _outbox(folder, 20000)
    for number in range(first, first + count):
        put(outbox, number)
    outbox.receive(5)
    outbox.close()
    return folder.copy()


def _works(folder, expected=None):
    """It opens, has what was expected, sends it, accepts more, and opens again with that."""
    outbox = _outbox(folder, 20000)
    found = drain(outbox)
    assert expected is None or found == expected, (found, expected)
    assert outbox.pending == 0
    newest = outbox.newest
    for number in range(newest + 1, newest + 4):
        assert put(outbox, number)
    again = _outbox(folder, 20000)
    assert drain(again)[-3:] == list(range(newest + 1, newest + 4))
    return outbox


def test_files_that_are_not_its_own():
    names = (
        "README",
        "notes.txt",
        "0000000g",
        "000000001",
        "0000001",
        "FFFFFFFF",
        "ä",
        "state.old",
        "ffffffff",
        "deadbeef",
    )
    for name in names:
        for data in (b"", b"x", b"\xff" * 5000):
            with Folder() as folder:
                _filled(folder)
                folder.write(name, data)
                _works(folder, list(range(1, 201)))
                outbox = _outbox(folder, 20000)
                for number in range(1000, 1200):
                    assert put(outbox, number), name
                assert drain(_outbox(folder, 20000))[-200:] == list(range(1000, 1200)), name


def test_folders_that_are_named_like_its_files():
    for name in ("state", "state.new", "00000000", "00000003", "00000009", "deadbeef", "f0000000"):
        with Folder() as folder:
            _filled(folder)
            if name in folder.names():
                os.remove(folder.name(name))
            os.mkdir(folder.name(name))
            for _ in range(3):
                _works(folder)


def test_each_segment_missing():
    with Folder() as folder:
        copy = _filled(folder)
        for missing in folder.segments():
            folder.restore({name: copy[name] for name in copy if name != missing})
            at = int(missing, 16) * 75
            _works(folder, [n for n in range(1, 201) if not at - 75 < n <= at])
        folder.restore({"state": copy["state"]})
        _works(folder, [])


def test_a_segment_twice():
    with Folder() as folder:
        copy = _filled(folder)
        for name in folder.segments():
            for other in ("00000000", "00000009", "0000000a"):
                files = dict(copy)
                files[other] = copy[name]
                folder.restore(files)
                outbox = _outbox(folder, 20000)
                found = []
                while outbox.pending:
                    record = take(outbox)
                    assert record, (name, other, "what is left is never sent")
                    found.append(record[0])
                    assert outbox.puback(record[0]), (name, other)
                assert [n for n in range(1, 201) if n not in found] == [], (name, other)


def test_each_segment_of_random_bytes():
    random = Random(4)
    with Folder() as folder:
        copy = _filled(folder)
        for name in folder.segments():
            for length in (0, 1, 13, 14, 15, 100, 5000):
                files = dict(copy)
                files[name] = bytes([random.below(256) for _ in range(length)])
                folder.restore(files)
                _works(folder)


def test_a_state_of_garbage():
    random = Random(5)
    for length in list(range(20)) + [100, 1000]:
        with Folder() as folder:
            _filled(folder)
            folder.write("state", bytes([random.below(256) for _ in range(length)]))
            folder.write("state.new", b"half of someth")
            outbox = _outbox(folder, 20000)
            assert outbox.damaged == 1 and outbox.received == set()
            _works(folder, list(range(1, 201)))
            outbox.receive(6)
            outbox = _outbox(folder, 20000)
            assert outbox.received == {6} and outbox.damaged == 0


def test_a_state_cut_before_it_was_renamed():
    with Folder() as folder:
        outbox = _outbox(folder)
        outbox.receive(6)
        before = folder.read("state")
        outbox.receive(7)
        after = folder.read("state")
        for length in range(len(after) + 1):
            folder.write("state", before)
            folder.write("state.new", after[:length])
            outbox = _outbox(folder)
            assert outbox.received == {6} and outbox.damaged == 0
            outbox.receive(8)
            assert _outbox(folder).received == {6, 8}


def test_the_newest_segment_cut_anywhere():
    with Folder() as folder:
        copy = _filled(folder, 110)
        name = folder.segments()[-1]
        for length in range(0, len(copy[name]) + 1, 17):
            folder.write(name, copy[name][:length])
            outbox = _outbox(folder, 20000)
            assert outbox.damaged == (length % _RECORD > 0)
            newest = 75 + length // _RECORD
            assert outbox.newest == newest and put(outbox, newest + 1)
            outbox = _outbox(folder, 20000)
            assert drain(outbox) == list(range(1, newest + 2))
            folder.restore(copy)


def test_a_damaged_byte_costs_its_segment_at_most():
    with Folder() as folder:
        copy = _filled(folder)
        for name in folder.segments():
            first, size = int(name, 16) * 75 - 74, len(copy[name])
            for at in list(range(0, size, 301)) + list(range(size - _RECORD, size - 38)):  # and the last head
                folder.write(name, copy[name][:at] + bytes((copy[name][at] ^ 0x40,)) + copy[name][at + 1 :])
                lost = list(range(first + at // _RECORD, min(first + 75, 201)))
                outbox = _outbox(folder, 20000)
                assert outbox.damaged == 1
                assert drain(outbox) == [n for n in range(1, 201) if n not in lost], (name, at)
                folder.restore(copy)
        folder.write(name, copy[name][:-1] + b"?")
        _works(folder, list(range(1, 200)))


def test_damaged_while_it_runs():
    """Messages that stayed behind are read later; one that cannot be is no reason to lose the connection."""
    for at in (0, 1, 2, 4, 10, 20):  # both bytes of the size, the identifier, the head, the checksum, the packet
        for bit in (1, 0x80):
            with Folder() as folder:
                board = Board(folder, flash={"ram": 512})
                board.client.connect(wait=False)
                board.broker.accepts = lambda sock: "refused"
                payloads = [b"%050d" % i for i in range(120)]
                board.publish_all(payloads)
                name = folder.segments()[0]
                data = folder.read(name)
                record = 30 * 71  # the 31st of 57
                folder.write(name, data[: record + at] + bytes((data[record + at] ^ bit,)) + data[record + at + 1 :])
                board.broker.accepts = lambda sock: None
                board.pump(70_000)
                assert board.client.isconnected() and board.client.pending() == 0, (at, bit)
                count = len([None for sock in board.network.sockets if sock.sent])
                assert count == 1, "one connection"
                assert board.broker.delivered == payloads[:30] + payloads[57:], (at, bit)


def test_torn_at_every_restart():
    for accepted in (0, 1, 3):
        with Folder() as folder:
            count = 0
            for _ in range(100):
                outbox = _outbox(folder)
                for _ in range(accepted):
                    count += put(outbox, count + 1)
                if put(outbox, count + 1):  # while this is written the power goes
                    name = folder.segments()[-1]
                    folder.write(name, folder.read(name)[:-10])
            blocks = sum([-(-os.stat(folder.name(name))[6] // 4096) for name in folder.names()])
            assert blocks * 4096 <= 3 * 8192, (accepted, blocks, "size: 8192")
            assert drain(_outbox(folder)) == list(range(1, count + 1))


def test_opened_with_less_ram():
    with Folder() as folder:
        outbox = _outbox(folder, ram=2048)
        for number in range(1, 61):
            put(outbox, number, 1, 120 if number % 20 == 1 else 40)
        outbox.close()
        for ram in (256, 400, 479):
            raised(ValueError, _outbox, folder, ram=ram)
        outbox = _outbox(folder, ram=480)
        assert drain(outbox) == list(range(1, 61)), "a setting is put right: nothing was deleted"
        outbox.sync()
        assert _outbox(folder, ram=256).pending == 0, "what is finished need not fit any more"
