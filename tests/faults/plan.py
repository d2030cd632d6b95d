"""Which fault comes when: decided by a seed and by the bytes carried, not by the clock.

The n-th connection of a seed always has the same faults after the same bytes. What differs from run to run is how much
the two sides have to say by then; so a run can be replayed as far as TCP allows.
"""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# At the beginning of a connection.
REFUSE = "refuse"  # accepted and reset at once
CLOSED = "closed"  # the same, and the port stays closed for a while
SILENCE = "silence"  # accepted; the broker is never asked, nothing is ever answered
# In the middle; the connection goes on.
DELAY = "delay"  # one direction rests
DRIBBLE = "dribble"  # one byte at a time
SPLIT = "split"  # a few bytes at a time, packets cut anywhere
MERGE = "merge"  # many packets at once
CORRUPT = "corrupt"  # a byte becomes another one
# In the middle; it is the end of the connection.
RESET = "reset"  # RST to both sides
DROP = "drop"  # closed to both sides
HALF_OPEN = "half-open"  # one direction is swallowed from here on, nobody is told
BLACK_HOLE = "black hole"  # nothing is taken any more in either direction, nobody is told

AT_ACCEPT = (REFUSE, CLOSED, SILENCE)
FATAL = (RESET, DROP, HALF_OPEN, BLACK_HOLE)
MILD = (DELAY, DRIBBLE, SPLIT, MERGE)
LOSSLESS = (REFUSE, REFUSE, CLOSED, SILENCE, *3 * (RESET, DROP), HALF_OPEN, BLACK_HOLE, *2 * MILD)

_ACCEPT_CHANCE = 0.15
_EARLY_CHANCE = 0.25  # for a fault to come soon after the one before: in CONNECT, CONNACK and what is sent again


class Fault(NamedTuple):
    kind: str
    to_broker: bool = True  # the direction in which it comes
    after: int = 0  # bytes in this direction since the fault before
    size: int = 0  # ms: closed, delay; bytes: split, dribble, merge; corrupt: what the byte is XORed with


class Plan:
    """The faults of a seed. `kinds`: which, one named twice is twice as likely; `gap`: mean bytes between two.

    `first`: the connections before this one, counted from 0, have none.
    """

    def __init__(self, seed: int, kinds: Sequence[str] = LOSSLESS, gap: int = 2000, first: int = 0) -> None:
        self.seed, self.kinds, self._gap, self._first = seed, tuple(kinds), gap, first
        self._at_accept = [kind for kind in kinds if kind in AT_ACCEPT]
        self._later = [kind for kind in kinds if kind not in AT_ACCEPT]

    def faults(self, connection: int) -> Iterator[Fault]:
        """The faults of a connection, in their order. A fatal one is the last."""
        chance = random.Random(f"{self.seed}/{connection}")
        if connection < self._first:
            return
        if self._at_accept and chance.random() < _ACCEPT_CHANCE:
            yield Fault(chance.choice(self._at_accept), size=chance.randint(10, 200))
            return
        while self._later:
            fault = self._draw(chance)
            yield fault
            if fault.kind in FATAL:
                return

    def _draw(self, chance: random.Random) -> Fault:
        kind = chance.choice(self._later)
        to_broker = kind != CORRUPT and chance.random() < 0.5
        early = chance.random() < _EARLY_CHANCE
        after = chance.randint(0, 60) if early else int(chance.expovariate(1 / self._gap))
        size = 1 << chance.randrange(8) if kind == CORRUPT else chance.randint(10, 100)
        return Fault(kind, to_broker, after, size)


class Fixed(Plan):
    """Chosen by hand: the faults of each connection; those that come after the last have none."""

    def __init__(self, *connections: Sequence[Fault]) -> None:
        super().__init__(0)
        self._connections = connections

    def faults(self, connection: int) -> Iterator[Fault]:
        yield from self._connections[connection] if connection < len(self._connections) else ()
