"""The fleet's figures: latency percentiles, what arrived of what was promised, what processes use, a storm's course."""

import math
import os
import threading
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WINDOW_S = 10.0  # of what is shown while it runs
MOMENT_S = 0.1
_PROC = Path("/proc")


@dataclass(frozen=True)
class Percentiles:
    """Of latencies, seconds: each was not exceeded by so many in a hundred (nearest rank)."""

    p50: float
    p95: float
    p99: float
    max: float


def percentiles(values: Iterable[float]) -> Percentiles | None:
    """None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    p50, p95, p99 = (ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.95, 0.99))
    return Percentiles(p50, p95, p99, ordered[-1])


class Arrivals:
    """Every reading that reached the subscriber. Readings are added by one thread and looked at by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[int, bytearray] = {}  # board: one byte for each `seq`, 1 when it has arrived
        self._distinct: dict[int, int] = {}
        self._recent: deque[tuple[float, float | None]] = deque()  # when it arrived, after how long
        self._calm, self._stormy = array("d"), array("d")
        self._since = self._cut = self._back = math.inf
        self.received = 0
        self.twice = 0
        self.bytes = 0  # of payload

    def add(self, board: int, seq: int, sent: float, arrived: float, size: int) -> None:
        """A reading has come; times in seconds since 1970. One that came before counts as `twice` only."""
        with self._lock:
            seen = self._seen.setdefault(board, bytearray())
            if seq >= len(seen):
                seen.extend(bytes(seq + 1 - len(seen)))
            if seen[seq]:
                self.twice += 1
                return
            seen[seq] = 1
            self._distinct[board] = self._distinct.get(board, 0) + 1
            self.received += 1
            self.bytes += size
            self._recent.append((arrived, arrived - sent if sent >= self._since else None))
            if arrived >= self._cut and sent < self._back:
                self._stormy.append(arrived - sent)
            elif sent >= self._since:
                self._calm.append(arrived - sent)

    def storm(self, cut: float, back: float = math.inf) -> None:
        """Connections were cut at this time; all boards are back since that. What waited meanwhile counts apart."""
        with self._lock:
            self._cut, self._back = cut, back

    def settled(self, now: float) -> None:
        """All boards are there; the latency of what was sent before, perhaps without a connection, does not count."""
        with self._lock:
            self._since = now

    def of(self, board: int) -> int:
        """How many different readings of this board have come."""
        with self._lock:
            return self._distinct.get(board, 0)

    def recent(self, now: float) -> tuple[float, Percentiles | None]:
        """Messages a second and their latency, over the last WINDOW_S."""
        with self._lock:
            while self._recent and self._recent[0][0] < now - WINDOW_S:
                self._recent.popleft()
            recent = list(self._recent)
        since = recent[0][0] if recent else now
        latencies = (latency for _, latency in recent if latency is not None)
        return len(recent) / max(now - since, 1.0), percentiles(latencies)

    def latency(self, stormy: bool = False) -> Percentiles | None:
        """Of those that a storm did not hold up, since settled(); or of those that it did."""
        with self._lock:
            values = list(self._stormy if stormy else self._calm)
        return percentiles(values)


@dataclass(frozen=True)
class Usage:
    """What some processes use together: memory in KB, and the CPU time that they have had, seconds."""

    processes: int
    memory_kb: int  # PSS
    private_kb: int  # of it what no other process has
    cpu_s: float


def usage(pids: Iterable[int]) -> Usage | None:
    """None where the system does not tell, which only Linux does, and when none of them runs.

    PSS: what a process has alone, and of each page that it shares the share that falls to it. So the sum over all
    processes is what they really take; that of RSS would count the pages of the program 500 times.
    """
    count = memory = private = 0
    cpu = 0.0
    for pid in pids:
        try:
            lines = [line.split() for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()]
            cpu += int((_PROC / str(pid) / "schedstat").read_text().split()[0]) / 1e9
        except (OSError, IndexError, ValueError):  # it has ended, or this is another system
            continue
        memory += sum(int(line[1]) for line in lines if line[0] == "Pss:")
        private += sum(int(line[1]) for line in lines if line[0].startswith("Private_"))
        count += 1
    return Usage(count, memory, private, cpu) if count else None


@dataclass
class Storm:
    """What happened after the cut, in seconds from it on: `attempts` to connect, and when boards were `back` online."""

    boards: int
    returned: float | None = None  # when the broker answered again
    attempts: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Boards that are not back."""
        return self.boards - len(self.back)

    @property
    def peak(self) -> int:
        """The most attempts within a moment."""
        times = sorted(self.attempts)
        return max((bisect_left(times, at + MOMENT_S) - number for number, at in enumerate(times)), default=0)

    def per_second(self, times: Sequence[float]) -> list[int]:
        """How many of the times are in each second from the cut on."""
        counts = [0] * (math.floor(max([0.0, *self.attempts, *self.back])) + 1)
        for at in times:
            counts[max(0, math.floor(at))] += 1
        return counts


def allow_open_files(wanted: int) -> int | None:
    """Let this process, and those that it starts, have so many files open. Returns the limit when that is too low."""
    if os.name != "posix":
        return None
    import resource

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if most != unlimited and most < wanted:
        return most
    if now != unlimited and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return None
