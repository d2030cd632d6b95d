"""Run under MicroPython: what an outbox on littlefs programs, erases and reads; one line of JSON.

wear.py KIND COUNT USED     KIND: one of _KINDS; USED: KiB of other files
wear.py scan SIZE USED      reading a full outbox of SIZE bytes at boot
"""

import json
import sys
import time

sys.path.append(__file__.rsplit("/", 3)[0])

from chip import BLOCK, Chip, Mounted

from flash.kit import Folder, library, take

_BLOCKS = 352  # 1,408 KiB: the file system of MicroPython on a W5100S-EVB-Pico
_PACKET = b"\x32" + b"x" * 199
_BURST = 100  # messages accepted while there is no connection
_BACKLOG = 1000  # messages that a broker has queued and sends before it answers to any


def _put(outbox, number, qos=1):
    at = outbox.reserve(len(_PACKET))
    if at < 0:
        return False
    outbox.buffer[at : at + len(_PACKET)] = _PACKET
    outbox.buffer[at] = 0x30 | qos << 1
    outbox.commit(number, len(_PACKET))
    return True


def _online(outbox, count):
    for i in range(count):
        _put(outbox, i % 65535 + 1)
        assert outbox.puback(take(outbox)[0])


def _burst(outbox, count):
    for start in range(0, count, _BURST):
        for i in range(start, start + _BURST):
            assert _put(outbox, i % 65535 + 1)
        for _ in range(_BURST):
            assert outbox.puback(take(outbox)[0])


def _sent(outbox, count):
    for i in range(count):
        _put(outbox, i % 65535 + 1, 2)
        number = take(outbox)[0]
        assert outbox.pubrec(number) and outbox.pubcomp(number)


def _received(outbox, count):
    for i in range(count):
        assert outbox.receive(i % 65535 + 1)
        outbox.release(i % 65535 + 1)


def _backlog(outbox, count):
    for start in range(0, count, _BACKLOG):
        numbers = range(start % 65000 + 1, start % 65000 + 1 + min(_BACKLOG, count - start))
        for number in numbers:
            assert outbox.receive(number)
        for number in numbers:
            outbox.release(number)


_KINDS = {
    "online": _online,
    "burst": _burst,
    "QoS 2 sent": _sent,
    "QoS 2 received": _received,
    "QoS 2 backlog": _backlog,
}


def _file_system(used):
    """A chip with other files of so many KiB, mounted."""
    chip = Chip(_BLOCKS)
    with Mounted(chip, new=True) as path, open(path + "/other", "wb") as file:
        for _ in range(used // 4):
            file.write(b"o" * BLOCK)
    return chip


def wear(kind, count, used):
    chip = _file_system(used)
    with Mounted(chip) as path:
        outbox = library().FlashOutbox(path + "/outbox")
        _KINDS[kind](outbox, BLOCK // 10)  # what is only at the beginning
        chip.count()
        _KINDS[kind](outbox, count)
        assert outbox.failures == outbox.damaged == outbox.pending == 0
        outbox.close()
    return {
        "kind": kind,
        "count": count,
        "programmed": chip.programmed,
        "erases": sum(chip.erases),
        "most": max(chip.erases),
        "blocks": _BLOCKS - used // 4,
    }


def _fill(folder, size):
    outbox = library().FlashOutbox(folder, size)
    number = 0
    while _put(outbox, number + 1):
        number += 1
    outbox.close()
    return number


def _time_to_open(folder, size):
    start = time.ticks_us()
    library().FlashOutbox(folder, size).close()
    return time.ticks_diff(time.ticks_us(), start)


def scan(size, used):
    chip = _file_system(used)
    with Mounted(chip) as path:
        count = _fill(path + "/outbox", size)
    with Mounted(chip) as path:
        chip.count()
        outbox = library().FlashOutbox(path + "/outbox", size)
        assert outbox.pending == count
        outbox.close()
    with Folder() as folder:
        _fill(folder.path, size)
        took = min([_time_to_open(folder.path, size) for _ in range(9)])
    return {"size": size, "messages": count, "reads": chip.reads, "read": chip.read, "us": took}


if __name__ == "__main__":
    kind, count, used = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(json.dumps(scan(count, used) if kind == "scan" else wear(kind, count, used)))
