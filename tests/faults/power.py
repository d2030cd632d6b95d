"""Power cuts: `kill -9` of a device at random points while it publishes into its flash outbox.

Each life of the device ends after a random number of lines that it has said and a random moment more, so at any
instruction: while a segment or the state is written, while the outbox is read at the start, while packets are sent. In
some lives there is no broker, so that messages pile up. Both clients take turns over the same folder.

What `publish` had accepted has to arrive; at QoS 2 once; in order. What it was about to accept may. A process that is
killed loses no byte that it had written: what a flash does with a write that is cut short is tested with the outbox.
"""

import time
from pathlib import Path

from faults.plan import Plan
from faults.traffic import Traffic
from tools.broker import free_port

_LINES = 120  # a life has at most so many
_MOMENT_S = 0.004
_START_S = 0.15  # a life that ends before the first line is that short
_STUCK_S = 0.5  # a full outbox says nothing more


class PowerCuts(Traffic):
    """So many lives and one more, which brings home what is left."""

    def __init__(self, micropython: Path, seed: int, cuts: int) -> None:
        super().__init__(micropython, "sync", Plan(seed, kinds=()), 0, flash=True)
        self.total = cuts

    def done(self) -> int:
        """Power cuts so far."""
        return self._run

    def _course(self) -> None:
        for _ in range(self.total):
            self._goal += 1
            self._device.tell("upto 1000000")
            self._live()
            self._face = self._chance.choice(("sync", "asyncio"))
            offline = self._chance.random() < 0.3
            self._restart_device(free_port() if offline else self.proxy.port)
        self._restart_device(self.proxy.port)
        self._until(self._complete, "what is left", fails=False)

    def _live(self) -> None:
        lines = self._chance.randint(0, _LINES)
        if self._chance.random() < 0.2:
            time.sleep(self._chance.uniform(0, _START_S))
            return
        until = sum(self._said.values()) + lines
        self._until(lambda: sum(self._said.values()) >= until or self._quiet() > _STUCK_S, "lines of the device")
        time.sleep(self._chance.uniform(0, _MOMENT_S))
