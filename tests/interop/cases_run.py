"""Runs cases on a broker, several at a time, and judges them. What fails is tried once more, alone; that is said."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from interop.cases import Case
from interop.cases_ends import Forbidden, Trial
from interop.served import Served
from interop.table import Cell, Outcome, judged
from support.mosquitto import WAIT_S

_TOGETHER = 4  # most of their time they wait
_EXPECTED_S = 6.0  # patience where nothing is expected to come
_LOG = 4000  # characters of the broker's log in a report, and of what a board has said
_ERROR = 300  # characters of an error in a line


@dataclass(frozen=True)
class Result:
    """One case with one face. `error`: empty when it worked; `report`: what there is to find out why with."""

    case: Case
    face: str
    seconds: float
    error: str = ""
    report: str = ""
    forbidden: str = ""


@dataclass(frozen=True)
class Event:
    """For a live view: a case begins, or has ended with a result."""

    case: Case
    face: str
    result: Result | None = None


def attempt(
    served: Served, micropython: Path, case: Case, face: str, begun: Callable[[Trial], None] = lambda trial: None
) -> Result:
    """Run one case with one face; never raises what the case does. `begun` is told of the trial."""
    began = time.monotonic()
    patience = _EXPECTED_S if case.name in served.differences else WAIT_S
    error = report = forbidden = ""
    trial = Trial(served, micropython, face, patience)
    begun(trial)
    try:
        with trial:
            case.run(trial)
    except Forbidden as reason:
        forbidden = str(reason)
    except Exception as raised:  # whatever it is, it is this case's
        error = _first_line(raised)
        report = _report(served, trial)
    return Result(case, face, time.monotonic() - began, error, report, forbidden)


def _first_line(error: Exception) -> str:
    """What an exception says; of an assertion without words what was asserted."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return (str(error) or f"{at.name}: {at.line}").splitlines()[0][:_ERROR]


def _report(served: Served, trial: Trial) -> str:
    said = [f"--- the board said\n{board.said()[-_LOG:]}" for board in trial.boards]
    return "\n".join([traceback.format_exc(), *said, f"--- end of the log of {served.name}", served.log()[-_LOG:]])


class Run:
    """All cases on one running broker. `cells` and `reports` are there when results() has come to its end."""

    def __init__(self, served: Served, micropython: Path, cases: Sequence[Case], faces: Sequence[str]) -> None:
        self._served, self._micropython = served, micropython
        self._faces = faces
        self._results: dict[str, list[Result]] = {case.name: [] for case in cases}
        self._before: dict[str, str] = {}  # the first failure of those that were tried again
        self._cases = cases
        self._lock = threading.Lock()
        self._trials: list[Trial] = []
        self._interrupted = False

    def go(self, tell: Callable[[Event], None]) -> None:
        """Run everything; `tell` is called from several threads, one at a time."""

        def one(case: Case, face: str) -> None:
            with self._lock:
                tell(Event(case, face))
            result = attempt(self._served, self._micropython, case, face, self._begun)
            with self._lock:
                self._results[case.name].append(result)
                tell(Event(case, face, result))

        allowed = [case for case in self._cases if not case.beyond(self._served.limits)]
        pool = ThreadPoolExecutor(_TOGETHER)
        try:
            together = [(case, face) for case in allowed if not case.alone for face in self._faces]
            for running in [pool.submit(one, *each) for each in together]:
                running.result()
        except BaseException:  # Ctrl-C: nobody waits until what runs has run out of patience
            pool.shutdown(wait=False, cancel_futures=True)
            self._interrupt()
            pool.shutdown()
            raise
        pool.shutdown()
        for each in [(case, face) for case in allowed if case.alone for face in self._faces] + self._again(together):
            one(*each)

    def _begun(self, trial: Trial) -> None:
        with self._lock:
            self._trials.append(trial)
            if self._interrupted:
                trial.interrupt()

    def _interrupt(self) -> None:
        with self._lock:
            self._interrupted = True
            for trial in self._trials:
                trial.interrupt()

    def _again(self, tried: Sequence[tuple[Case, str]]) -> list[tuple[Case, str]]:
        """What has failed among others is tried a second time, alone; why it failed is noted."""
        again = []
        for case, face in tried:
            [result] = [each for each in self._results[case.name] if each.face == face]
            if result.error and case.name not in self._served.differences:
                self._results[case.name].remove(result)
                self._before.setdefault(case.name, f"{face}: {result.error}")
                again.append((case, face))
        return again

    def cells(self) -> dict[str, Cell]:
        return {case.name: self._cell(case) for case in self._cases}

    def _cell(self, case: Case) -> Cell:
        if limit := case.beyond(self._served.limits):
            return Cell(Outcome.LIMIT, limit)
        results = sorted(self._results[case.name], key=lambda result: self._faces.index(result.face))
        if forbidden := [result.forbidden for result in results if result.forbidden]:
            return Cell(Outcome.CANNOT, forbidden[0])
        errors = [f"{result.face}: {result.error}" for result in results if result.error]
        cell = judged(self._served.differences.get(case.name), errors)
        if cell.outcome is Outcome.WORKS and case.name in self._before:
            return Cell(Outcome.WORKS, f"at the second try, alone; the first time {self._before[case.name]}")
        return cell

    def failures(self) -> Iterator[Result]:
        """What has gone wrong where nothing is known to."""
        for name, results in self._results.items():
            if name not in self._served.differences:
                yield from (result for result in results if result.error)
