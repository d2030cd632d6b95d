"""Run under MicroPython: an outbox on littlefs, where it is not the same as on other file systems.

cases.py        one line for each case that is passed
"""

import os
import sys

sys.path.append(__file__.rsplit("/", 3)[0])

from chip import MOUNTED, Chip, Mounted, formatted

from flash.kit import drain, library, put, take

_FOLDER = MOUNTED + "/outbox"
_FULL = (28, 36)  # ENOSPC, and ENAMETOOLONG, as which littlefs reports that a new file's name has no room


def _outbox(**arguments):
    return library().FlashOutbox(_FOLDER, **arguments)


def reads_what_was_written_by_another_handle():
    with Mounted(Chip(40), new=True) as path, open(path + "/file", "ab") as writer:
        for i in range(300):
            writer.write(b"%03d" % i * 20)
            writer.flush()
            with open(path + "/file", "rb") as reader:
                reader.seek(i * 60)
                assert reader.read() == b"%03d" % i * 20, i


def sends_what_stayed_behind_while_it_writes():
    with Mounted(Chip(60), new=True):
        outbox = _outbox(ram=512)
        sent, number = [], 0
        for _ in range(200):
            for _ in range(3):
                number += 1
                assert put(outbox, number, 1 + number % 2)
            record = take(outbox)
            sent.append(record[0])
            if not outbox.puback(record[0]):
                assert outbox.pubrec(record[0]) and outbox.pubcomp(record[0])
        assert sent + drain(outbox) == list(range(1, number + 1))
        assert outbox.damaged == outbox.failures == 0
        outbox.close()


def _fill(path):
    """Leave no free block, in a file that can be made and removed."""
    os.mkdir(path + "/ballast")
    for i in range(1000):
        try:
            with open("%s/ballast/%d" % (path, i), "wb") as file:
                file.write(b"b" * 3000)
        except OSError:
            return i
    raise AssertionError("it is never full")


def _unfill(path):
    for name in os.listdir(path + "/ballast"):
        os.remove(path + "/ballast/" + name)


def raises_when_the_file_system_is_full():
    """At every number of blocks that were left; what was accepted is there, and it goes on when there is room."""
    for blocks in range(7, 20):
        chip = Chip(blocks, formatted(blocks))
        with Mounted(chip):
            outbox = _outbox(size=100000, ram=512)
            accepted, refused = [], 0
            for number in range(1, 1500):
                try:
                    assert put(outbox, number)
                    accepted.append(number)
                except OSError as error:
                    assert error.args[0] in _FULL, error
                    refused += 1
                    if refused > 5:
                        break
            assert refused > 5 and outbox.pending == len(accepted), blocks
            assert take(outbox)[0] == 1
            outbox.close()
            outbox = _outbox(size=100000, ram=512)
            assert outbox.pending == len(accepted)
            half = accepted[: len(accepted) // 2]
            for number in half:
                assert take(outbox)[0] == number and outbox.puback(number)
            outbox.close()
            outbox = _outbox(size=100000, ram=512)
            rest = drain(outbox)
            assert rest == accepted[len(accepted) - len(rest) :] and len(rest) >= len(accepted) - len(half)
            assert put(outbox, number + 1)
            outbox.close()


def goes_on_when_there_is_room_again():
    """At the latest when messages are finished: until then littlefs may go on refusing what it refused before."""
    chip = Chip(40, formatted(40))
    with Mounted(chip) as path:
        outbox = _outbox(ram=512)
        for number in range(1, 40):
            assert put(outbox, number, 2)
        _fill(path)
        accepted = list(range(1, 40))
        for number in range(40, 140):
            try:
                assert put(outbox, number, 2)
                accepted.append(number)
            except OSError as error:
                assert error.args[0] in _FULL
        assert len(accepted) < 130, "some had no room"
        assert outbox.pubrec(take(outbox)[0]) and outbox.receive(1), "exchanges go on, on flash or not"
        outbox.close()
        outbox = _outbox(ram=512)
        assert outbox.pending == len(accepted)
        _unfill(path)
        outbox.rewind(True)
        assert drain(outbox) == accepted
        assert put(outbox, 140, 2) and outbox.receive(2)
        outbox.close()
        outbox = _outbox(ram=512)
        assert outbox.failures == outbox.damaged == 0
        assert 2 in outbox.received and drain(outbox)[-1] == 140
        outbox.close()


if __name__ == "__main__":
    for case in (
        reads_what_was_written_by_another_handle,
        sends_what_stayed_behind_while_it_writes,
        raises_when_the_file_system_is_full,
        goes_on_when_there_is_room_again,
    ):
        case()
        print("passed", case.__name__)
