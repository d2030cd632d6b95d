"""Run under MicroPython: a life of an outbox on littlefs, and what is left of it when the power goes at any operation.

    power_cuts.py SEED FIRST STEP [PARTS]

The life is recorded, each erasing and programming of the flash. Then for each operation number FIRST, FIRST + STEP, …
the memory is made as it was when the power went: before that operation, and when PARTS of it were done, in 8ths ("4":
half of it). It is mounted, an outbox opened, and compared with what had been accepted by then.
"""

import gc
import sys

sys.path.append(__file__.rsplit("/", 3)[0])

from chip import MOUNTED, Chip, Mounted, formatted

from flash.kit import drain, library, put, take
from support.fakenet import Random

_BLOCKS = 40
_STEPS = 90
_FOLDER = MOUNTED + "/outbox"


def _outbox():
    return library().FlashOutbox(_FOLDER, 12000, 512)


class Life:
    """Random steps of a client with an outbox. `events`: (operations of the flash until it was over, name, number)."""

    def __init__(self, seed):
        self.random = Random(seed)
        self.chip = Chip(_BLOCKS, formatted(_BLOCKS), [])
        self.events = []
        self.in_flight = {}  # what each waits for
        self.received = set()
        self.number = self.random.below(2) * 65500
        with Mounted(self.chip):
            self.outbox = _outbox()
            self.qos = {}
            for _ in range(_STEPS):
                self._step(self.random.below(20))
            self.outbox.close()

    def _done(self, name, number=0):
        self.events.append((len(self.chip.journal), name, number))

    def _step(self, which):
        if which < 9:
            self._accept(1 + self.random.below(6))
        elif which < 16:
            self._send_and_answer()
        elif which == 16:
            self._receive(1 + self.random.below(3))
        elif which == 17:
            self.outbox.sync()
            self._done("sync")
        elif which == 18:
            self.outbox.close()
            self.outbox = _outbox()
            _connect(self.outbox)
            self.in_flight.clear()
            self._done("restart")
        else:
            self._accept(20)

    def _accept(self, count):
        for _ in range(count):
            self.number = self.number % 65535 + 1
            self.qos[self.number] = 1 + self.random.below(2)
            if not put(self.outbox, self.number, self.qos[self.number], 20 + self.random.below(100)):
                return
            self._done("accepted", self.number)

    def _send_and_answer(self):
        for _ in range(self.random.below(8)):
            record = take(self.outbox)
            if record is None:
                break
            self.in_flight[record[0]] = self.qos[record[0]] if record[1] else 3
        for number in sorted(self.in_flight, key=lambda number: (number - self.number - 1) % 65535):
            if self.random.below(3):
                self._answer(number)
            elif self.in_flight[number] != 1:
                return  # answers at QoS 2 come in order, those at QoS 1 when they like

    def _answer(self, number):
        if self.in_flight[number] == 2:
            assert self.outbox.pubrec(number)
            self.in_flight[number] = 3
            self._done("released", number)
            return
        if self.in_flight.pop(number) == 1:
            assert self.outbox.puback(number)
        else:
            assert self.outbox.pubcomp(number)
        self._done("finished", number)

    def _receive(self, number):
        if number in self.received:
            self.outbox.release(number)
            self.received.remove(number)
            self._done("forgotten", number)
        else:
            assert self.outbox.receive(number)
            self.received.add(number)
            self._done("received", number)


class Known:
    """What is certain after some events."""

    def __init__(self):
        self.waiting, self.finished, self.released, self.received = [], set(), set(), set()

    def note(self, name, number):
        if name == "accepted":
            self.waiting.append(number)
        elif name == "finished" and number in self.waiting:  # else it was sent again after a restart
            self.waiting.remove(number)
            self.finished.add(number)
        elif name == "released":
            self.released.add(number)
        elif name == "received":
            self.received.add(number)
        elif name == "forgotten":
            self.received.discard(number)


def check(image, life, known, current):
    """Mount what is left and open an outbox. `current`: the event that was not over, None: none."""
    name, number = current[1:] if current else ("", 0)
    with Mounted(Chip(_BLOCKS, image)):
        outbox = _outbox()
        received = outbox.received ^ known.received
        assert not received or (name in ("received", "forgotten") and received == {number}), ("received", received)
        orphans = _connect(outbox)
        found = []
        while True:
            record = take(outbox)
            if record is None:
                break
            assert _may_be_sent(life, known, record, number), (name, number, record)
            found.append(record[0])
            _finish(outbox, record, life.qos[record[0]])
        missing = [n for n in known.waiting if n not in found and not (n in orphans and n in known.released)]
        assert not missing or (missing == [number] and name == "finished"), ("missing", missing)
        order = [(n - life.number - 1) % 65535 for n in found]
        assert order == sorted(order), ("order", found)
        assert outbox.pending == 0
        more = [(outbox.newest + i) % 65535 + 1 for i in range(3)]
        for packet_id in more:
            assert put(outbox, packet_id)
        outbox.close()
        outbox = _outbox()
        assert drain(outbox)[-3:] == more, "it goes on"
        outbox.close()


# A connection with the session present; PUBREL is sent for what was dropped, and answered.
def _connect(outbox):
    outbox.rewind(True)
    orphans = list(outbox.orphans)
    for packet_id in orphans:
        outbox.pubcomp(packet_id)
    return orphans


def _finish(outbox, record, qos):
    number, data = record
    if data and qos == 1:
        assert outbox.puback(number)
    else:
        assert not data or outbox.pubrec(number)
        assert outbox.pubcomp(number)


# Whether a record that the opened outbox sends is one that a broker may get, after what it has got.
def _may_be_sent(life, known, record, current):
    number, data = record
    if not data:
        return number in known.released or number == current
    if data[0] >> 1 & 3 != life.qos[number]:
        return False
    if number in known.waiting or number == current:
        return number not in known.released or number == current
    return number in known.finished and life.qos[number] == 1


def main(seed, first, step, parts):
    """Print how many operations there are, how many cuts were made, and each that was not survived."""
    life = Life(seed)
    journal = life.chip.journal
    before = Chip(_BLOCKS, formatted(_BLOCKS))
    known = Known()
    events = iter(life.events + [None])
    event = next(events)
    cuts = 0
    for at, entry in enumerate(journal):
        while event and event[0] <= at:
            known.note(*event[1:])
            event = next(events)
        if at % step == first:
            for part in [0] + parts:
                image = Chip(_BLOCKS, before.blocks)
                before._own.clear()
                image.redo(entry, part, 8)
                cuts += 1
                try:
                    check(image.blocks, life, known, event)
                except Exception as error:
                    print("FAILED seed %d, operation %d, %d/8 of it: %r" % (seed, at, part, error))
                    sys.print_exception(error)
            gc.collect()
        before.redo(entry)
    print("done", len(journal), cuts)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), [int(part) for part in sys.argv[4:]])
