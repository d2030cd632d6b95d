"""A small coverage-guided fuzzer: inputs that reach a new line-to-line step of the library are kept and mutated.

Why our own. atheris has no release for all of Python 3.10 to 3.13, no wheel for Linux on ARM and none for macOS since
Python 3.11, and a wheel is over 30 MB; pythonfuzz was released last in 2019; hypofuzz installs everywhere but brings
twenty packages, two web servers among them, and keeps no corpus of bytes that MicroPython could replay. What is needed
is these few lines upon `sys.settrace`, which every Python has. Everything follows from the seed.
"""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

LIBRARY = str(Path(__file__).resolve().parents[2] / "lib" / "fieldmqtt")
Edges = frozenset[int]
Tracer = Callable[[FrameType, str, Any], Any]

_MOST_LINES = 2_000_000  # of the library in one run; a tenth of that is much
_SHIFT = 20  # room for a line's number beside its file's

# Packets of a broker, what they begin with, and lengths that lie at a border.
_HEX = """
    20020000 20020100 20020005 2002000b 300500017468 320700017400016869 340700017400016869 3c0700017400016869 36
    40020001 50020001 62020001 70020001 9003000100 9003000180 b0020001 d000 c000 e000 1000 d000d000d000d000d000d000
    00 01 7f 80 81 ff 0000 0001 0100 ffff 8000 ffffff7f ffffffff 80808001 8000 232b00 c3a4 c328 2453
"""
_WORDS = [bytes.fromhex(word) for word in _HEX.split()]


class Hang(BaseException):
    """The library does not come to an end. Nothing in it catches this."""


class Coverage:
    """Counts the steps from line to line of the library while it is entered (`with`)."""

    def __init__(self) -> None:
        self._tracers: dict[str, Tracer | None] = {}  # by file; None for those that do not count
        self._edges: dict[int, int] = {}
        self._last = self._lines = 0
        self._before: Any = None

    def __enter__(self) -> None:
        self._edges, self._last, self._lines = {}, 0, 0
        self._before = sys.gettrace()
        sys.settrace(self._enter)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def edges(self) -> Edges:
        """Which steps were taken."""
        return frozenset(self._edges)

    def counts(self) -> Edges:
        """Which steps were taken, and roughly how often: once, 2 to 3 times, 4 to 7, 8 to 15 …"""
        return frozenset(edge << 5 | count.bit_length() for edge, count in self._edges.items())

    def _enter(self, frame: FrameType, _event: str, _arg: object) -> Tracer | None:
        name = frame.f_code.co_filename
        if name not in self._tracers:
            base = (len(self._tracers) + 1) << _SHIFT
            self._tracers[name] = self._tracer(base) if name.startswith(LIBRARY) else None
        return self._tracers[name]

    def _tracer(self, base: int) -> Tracer:
        def trace(frame: FrameType, event: str, _arg: object) -> Any:
            if event == "line":
                here = base | frame.f_lineno
                edge = self._last * 31 ^ here
                self._edges[edge] = self._edges.get(edge, 0) + 1
                self._last = here
                self._lines += 1
                if self._lines > _MOST_LINES:
                    raise Hang(f"more than {_MOST_LINES} lines of the library for one input")
            return trace

        return trace


class Fuzzer:
    """Tries `target(data)` with ever new inputs. `findings`: what went wrong -> the shortest input that shows it."""

    def __init__(self, target: Callable[[bytes], None], seeds: Iterable[bytes], seed: int, longest: int = 150) -> None:
        self._target, self._longest = target, longest
        self._random = Random(seed)
        self._coverage = Coverage()
        self._seen: set[int] = set()
        self.edges: set[int] = set()
        self.corpus = [b""]
        self.findings: dict[str, bytes] = {}
        self.executions = 0
        target(b"")  # loads the library, whose definitions are not what is to be reached
        for data in seeds:
            self.run(data)

    def step(self) -> None:
        """One new input."""
        self.run(self._mutated())

    def run(self, data: bytes) -> Edges:
        """Run the target; keep the input if it reached something new. Returns what it reached."""
        finding = self._finding(data)
        if finding and len(data) < len(self.findings.get(finding, data + b" ")):
            self.findings[finding] = data
        edges, counts = self._coverage.edges(), self._coverage.counts()
        self.edges |= edges
        if not finding and not counts <= self._seen:
            self._seen |= counts
            self.corpus.append(data)
        return edges

    # What goes wrong with an input, "" if nothing does.
    def _finding(self, data: bytes) -> str:
        self.executions += 1
        try:
            with self._coverage:
                self._target(data)
        except (Exception, Hang) as error:
            return name_of(error)
        return ""

    def smallest(self, keep: Iterable[bytes] = ()) -> list[bytes]:
        """The shortest inputs that together take every step that the whole corpus takes, and those to be kept."""
        seen: set[int] = set()
        chosen = list(keep)
        for data in [*chosen, *sorted(self.corpus, key=len)]:
            edges = self.run(data)
            if not edges <= seen and data not in chosen:
                chosen.append(data)
            seen |= edges
        return chosen

    def shrink(self, data: bytes) -> bytes:
        """A shorter input with the same finding."""
        name, size = self._finding(data), len(data)
        while size := size // 2:
            at = 0
            while at < len(data):
                shorter = data[:at] + data[at + size :]
                if self._finding(shorter) == name:
                    data = shorter
                else:
                    at += size
        return data

    def _mutated(self) -> bytes:
        random = self._random
        data = bytearray(min(random.choices(self.corpus, k=2), key=len))  # the shorter one: it is faster
        for _ in range(1 << random.randrange(4)):
            self._mutate(data)
        return bytes(data[: self._longest])

    def _mutate(self, data: bytearray) -> None:
        random = self._random
        at = random.randrange(len(data) + 1)
        end = min(len(data), at + random.randrange(1, 9))
        kind = random.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = random.randrange(256)
        elif kind == 2 and at < len(data):  # lengths
            data[at] = (data[at] + random.choice((-2, -1, 1, 2))) & 0xFF
        elif kind == 3:
            data[at:at] = random.choice(_WORDS)
        elif kind == 4:
            data[at:end] = random.choice(_WORDS)
        elif kind == 5:
            del data[at:end]
        elif kind == 6:
            data[at:at] = data[at:end] * random.randrange(1, 4)
        else:  # splice
            other = random.choice(self.corpus)
            data[at:] = other[random.randrange(len(other) + 1) :]


def name_of(error: BaseException) -> str:
    """A short name for what went wrong: the exception and the last line of the library on its way."""
    where, traceback = "", error.__traceback__
    while traceback:
        code = traceback.tb_frame.f_code
        if code.co_filename.startswith(LIBRARY):
            where = f" in {Path(code.co_filename).name}:{code.co_name}"
        traceback = traceback.tb_next
    return f"{type(error).__name__}{where}: {re.split(r'[^a-zA-Z, ]', str(error))[0].strip()}"
