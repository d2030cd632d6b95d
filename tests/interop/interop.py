"""Every case on every broker: the table of docs/brokers.md.

    python tests/interop/interop.py                     all of it; the table is written
    python tests/interop/interop.py --broker aedes      one broker; with --write its column
    python tests/interop/interop.py --case will --face sync

Each broker is the real one, brought if it is missing, started here on loopback and stopped again; with
INTEROP_BROKER=mqtts://user:password@host somebody else's, too. Exit code 1: a case has failed, or works although the
broker's `differences` say that it does not, or a broker was asked for by name and is not to be had.
"""

import datetime
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    _ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

import typer
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from interop import table
from interop.brokers import BROKERS
from interop.cases import BY_NAME, FACES, Case
from interop.cases_run import Event, Result, Run
from interop.table import Cell, Column, Outcome
from support.signals import leave_on_signals
from tools import packages, tables, toolchain
from tools.broker import BrokerError

_DOC = toolchain.ROOT / "docs" / "brokers.md"
_BY_URL = "url"  # somebody else's broker: its column has the name of its host
_COLOURS = {
    Outcome.WORKS: "green",
    Outcome.CANNOT: "yellow",
    Outcome.LIMIT: "yellow",
    Outcome.KNOWN: "cyan",
    Outcome.FAILED: "bold red",
    Outcome.STALE: "bold red",
}


@dataclass
class Tried:
    """What was found out on one broker. `missing`: why it could not be had."""

    name: str
    version: str = ""
    cells: dict[str, Cell] = field(default_factory=dict)
    failures: list[Result] = field(default_factory=list)
    missing: str = ""
    broken: bool = False  # it is here, and does not start

    @property
    def problems(self) -> list[str]:
        """What has to be seen to, a line each."""
        found = [f"{name}: {cell.outcome.value}: {cell.why}" for name, cell in self.cells.items() if cell.outcome.wrong]
        return found + ([f"it does not start: {self.missing}"] if self.broken else [])


class _Show:
    """On a terminal what runs just now, elsewhere a line for each case that is done."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self.live = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._console = console
        self._broker = ""

    def broker(self, name: str) -> None:
        self._broker = name

    def __call__(self, event: Event) -> None:
        key = event.case.name, event.face
        if event.result is None:
            self._tasks[key] = self.live.add_task(f"{self._broker}  {event.case.name}  {event.face}")
            return
        self.live.remove_task(self._tasks.pop(key))
        if self.live.disable:
            said = event.result.error or event.result.forbidden or "ok"
            line = f"{self._broker}  {event.case.name}  {event.face}  {event.result.seconds:.1f} s  {said}"
            self._console.out(line, highlight=False)


def tried(name: str, cases: Sequence[Case], faces: Sequence[str], tell: Callable[[Event], None]) -> Tried:
    """Start one broker, run the cases on it, stop it."""
    try:
        with BROKERS[name]() as served:
            run = Run(served, toolchain.micropython(), cases, faces)
            run.go(tell)
            known_as = served.name if name == _BY_URL else name
            return Tried(known_as, served.version, run.cells(), list(run.failures()))
    except (packages.Unavailable, toolchain.ToolchainMissing) as error:
        return Tried(name, missing=_first_line(error))
    except (BrokerError, OSError) as error:
        return Tried(name, missing=_first_line(error), broken=True)


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]


def columns(found: Sequence[Tried], old: Sequence[Column], date: str) -> list[Column]:
    """The columns of a table in which what was not there stays as it was."""
    before = {column.name: column for column in old}
    new = [
        before.get(each.name, Column(each.name)).left(date, _why_missing(each))
        if each.missing
        else Column.of(each.name, each.version, date, each.cells)
        for each in found
    ]
    return table.merged(old, new, list(BROKERS))


def _why_missing(each: Tried) -> str:
    """For a document: the reason itself may name a place of this computer."""
    return "it did not start" if each.broken else "it could not be brought"


def write(found: Sequence[Tried], date: str, path: Path) -> None:
    """Put the table into the document. ValueError when it has no place for it."""
    text = path.read_text(encoding="utf-8")
    made = table.markdown(columns(found, table.parsed(text), date), list(BY_NAME))
    path.write_text(tables.written(text, table.MARKERS, made), encoding="utf-8")


def _show_table(console: Console, found: Sequence[Tried], cases: Sequence[Case]) -> None:
    shown = [each for each in found if not each.missing]
    rows = Table(box=box.SIMPLE_HEAD if console.is_terminal else box.MARKDOWN)
    for head in ("case", *(f"{each.name} {each.version}".strip() for each in shown)):
        rows.add_column(head)
    for case in cases:
        outcomes = [each.cells[case.name].outcome for each in shown]
        rows.add_row(case.name, *(Text(outcome.value, _COLOURS[outcome]) for outcome in outcomes))
    console.print(rows)


def _show_failures(console: Console, found: Sequence[Tried]) -> None:
    for each in found:
        for result in each.failures:
            head = f"=== {each.name}, {result.case.name}, {result.face}: {result.error}"
            console.print(head, style="bold red", markup=False, highlight=False, soft_wrap=True)
            console.print(result.report, markup=False, highlight=False, soft_wrap=True)


def _show_problems(console: Console, found: Sequence[Tried]) -> None:
    for each in found:
        if each.missing and not each.broken:
            console.print(f"{each.name}: not there: {each.missing}", markup=False, highlight=False, soft_wrap=True)
        for name, cell in each.cells.items():
            if cell.outcome is Outcome.WORKS and cell.why:
                console.print(f"{each.name}: {name}: {cell.why}", markup=False, highlight=False, soft_wrap=True)
        for problem in each.problems:
            console.print(f"{each.name}: {problem}", markup=False, highlight=False, soft_wrap=True)


def _chosen(given: list[str] | None, known: Sequence[str], what: str) -> list[str]:
    unknown = [name for name in given or () if name not in known]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}; there are {', '.join(known)}", param_hint=what)
    return [name for name in known if not given or name in given]


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
Brokers = Annotated[list[str] | None, typer.Option("--broker", help=f"Only this one: {', '.join(BROKERS)}.")]
Cases = Annotated[list[str] | None, typer.Option("--case", help="Only this one.")]
Faces = Annotated[list[str] | None, typer.Option("--face", help="Only this client: sync, asyncio.")]
Write = Annotated[bool, typer.Option("--write", help="Write the columns into docs/brokers.md, as a whole run does.")]


@app.command()
def main(broker: Brokers = None, case: Cases = None, face: Faces = None, write_: Write = False) -> None:
    """Try every case on every broker. Exit code 1: one has failed, or an entry of a broker's differences is stale."""
    names = _chosen(broker, list(BROKERS), "--broker")
    cases = [BY_NAME[name] for name in _chosen(case, list(BY_NAME), "--case")]
    faces = _chosen(face, FACES, "--face")
    whole = not case and not face
    if write_ and not whole:
        raise typer.BadParameter("a column is written as a whole: without --case and --face", param_hint="--write")
    console = tables.console()
    leave_on_signals()  # no broker is to outlive us
    show = _Show(console)
    found = []
    with show.live:
        for name in names:
            show.broker(name)
            found.append(tried(name, cases, faces, show))
    _show_failures(console, found)
    _show_table(console, found, cases)
    _show_problems(console, found)
    if write_ or (whole and not broker):
        write(found, datetime.date.today().isoformat(), _DOC)
        console.print(f"interop: written to {_DOC.name}", highlight=False)
    missing = any(each.missing for each in found) if broker else all(each.missing for each in found)
    raise typer.Exit(missing or any(each.problems for each in found))


if __name__ == "__main__":
    app()
