"""Many boards against one broker, each a MicroPython process, all telling through one pipe."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from long.measured import DEVICE
from tools.broker import Broker
from tools.fleet_boards import Told, kill
from tools.fleet_figures import Storm

_HEAP = "128k"
_STARTING = 10  # boards that may be on their way to the broker at the same time, before the storm
_PATIENCE_S = 120.0
_LOOK_S = 0.1

Show = Callable[[str, int], None]  # what is going on, and how many boards are online


class FleetError(RuntimeError):
    """Not all boards came online in the first place."""


class Fleet:
    """Boards, one after the other; `online`: when each came online last. A context manager."""

    def __init__(self, micropython: Path, library: Path, *arguments: object) -> None:
        self._command = [str(micropython), "-X", f"heapsize={_HEAP}", str(DEVICE / "board.py")]
        self._arguments = [str(argument) for argument in arguments]
        self._environment = {**os.environ, "MICROPYPATH": f"{library}:.frozen"}
        self._told = Told()
        self._boards: list[subprocess.Popen[bytes]] = []
        self.online: dict[bytes, float] = {}
        self.attempts: list[float] = []

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *exc: object) -> None:
        kill(self._boards)
        self._told.close()

    def start(self, boards: int, show: Show) -> None:
        """Start them, a few at a time. Raises FleetError when one does not come online."""
        deadline = time.monotonic() + _PATIENCE_S + boards
        for number in range(boards):
            while number - len(self.online) >= _STARTING:
                self._look_before(deadline)
            command = [*self._command, str(number), *self._arguments]
            self._boards.append(
                subprocess.Popen(
                    command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=self._told.writing,
                    start_new_session=True,  # Ctrl-C is for us
                )
            )
            show("starting the boards", len(self.online))
        while len(self.online) < boards:
            self._look_before(deadline)
            show("starting the boards", len(self.online))

    def look(self) -> None:
        """Take in what the boards tell within a moment."""
        for line in self._told.lines(_LOOK_S):
            number, what, at = line.split()
            if what == b"tries":
                self.attempts.append(float(at))
            elif what == b"online":
                self.online[number] = float(at)

    def forget(self) -> None:
        """What was told so far."""
        self.online.clear()
        self.attempts.clear()

    def _look_before(self, deadline: float) -> None:
        self.look()
        if time.monotonic() > deadline:
            raise FleetError(f"of {len(self._boards)} boards {len(self.online)} came online")


def storm(
    micropython: Path,
    library: Path,
    boards: int,
    *,
    away: float,
    backoff: tuple[float, float],
    jitter: bool,
    show: Show = lambda what, online: None,
) -> Storm:
    """Start the boards, kill the broker, start it again after `away` s, wait until all are back or patience ends."""
    result = Storm(boards)
    pauses = "jitter" if jitter else "fixed"
    with Broker() as broker, Fleet(micropython, library, broker.port, *backoff, pauses) as fleet:
        fleet.start(boards, show)
        fleet.forget()
        cut = time.time()
        broker.kill()
        while time.time() < cut + away:
            fleet.look()
            show("the broker is away", 0)
        broker.start()
        result.returned = time.time() - cut
        while len(fleet.online) < boards and time.time() < cut + away + _PATIENCE_S:
            fleet.look()
            show("the boards come back", len(fleet.online))
        result.attempts = [at - cut for at in fleet.attempts]
        result.back = [at - cut for at in fleet.online.values()]
    return result
