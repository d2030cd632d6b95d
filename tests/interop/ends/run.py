"""The other end: our boards exchange messages with the clients that people use, each the real one, over mosquitto.

    python tests/interop/ends/run.py                    every client: a table, exit code 1 when something failed
    python tests/interop/ends/run.py --client umqtt     those whose name has this in it
    python tests/interop/ends/run.py --write            and the tables of docs/other-ends.md are written

A client that is missing is brought first; one that cannot be had is skipped, with the reason.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    _ROOT = Path(__file__).resolve().parents[3]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from interop.ends.cases import cases
from interop.ends.clients import CLIENTS, LEVELS, PAGE, Client
from interop.ends.exchanges import DIRECTIONS, Exchange, exchange
from support.signals import leave_on_signals
from tools import tables, toolchain
from tools.broker import Broker, BrokerError
from tools.packages import Unavailable

WORKS, FAILED, CANNOT = "works", "failed", "cannot"
MARKERS = ("<!-- other ends -->", "<!-- /other ends -->")

_TOGETHER = 3
_QOS = (0, 1, 2)
_MESSAGES = ("client", "version", "MQTT", *(f"{direction}, QoS {qos}" for direction in DIRECTIONS for qos in _QOS))
_CASES = ("client", "version", "case", "result")


@dataclass(frozen=True)
class Trial:
    """Something to try. `wanted` is an Exchange, or the name of a case."""

    client: type[Client]
    wanted: Exchange | str
    run: Callable[[], None]


@dataclass(frozen=True)
class Outcome:
    """Of a trial; no problem: it works."""

    client: type[Client]
    wanted: Exchange | str
    problem: str = ""

    @property
    def word(self) -> str:
        return FAILED if self.problem else WORKS

    @property
    def where(self) -> str:
        wanted = self.wanted
        if isinstance(wanted, Exchange):
            wanted = f"MQTT {LEVELS[wanted.level]}, {wanted.direction}, QoS {wanted.qos}"
        return f"{self.client.name}: {wanted}"


def trials(client: Client, micropython: Path) -> Iterator[Trial]:
    """All that is tried with one client."""
    kind = type(client)
    for level in kind.levels:
        for direction in DIRECTIONS:
            for qos in kind.qos:
                wanted = Exchange(kind, direction, qos, level)
                yield Trial(kind, wanted, partial(exchange, client, wanted, micropython))
    for case in cases(kind):
        yield Trial(kind, case.name, partial(case.run, client, micropython))


def attempt(trial: Trial) -> Outcome:
    """Whatever a trial meets is told, so that the others go on."""
    try:
        trial.run()
    except (AssertionError, OSError, BrokerError, ValueError) as error:
        return Outcome(trial.client, trial.wanted, str(error) or repr(error))
    return Outcome(trial.client, trial.wanted)


def bring(kinds: Iterable[type[Client]]) -> tuple[list[Client], dict[str, str]]:
    """The clients that are there, and why others are not, by name."""
    there, missing = [], {}
    for kind in kinds:
        try:
            there.append(kind())
        except Unavailable as error:
            missing[kind.name] = str(error)
    return there, missing


def message_rows(clients: Iterable[Client], outcomes: Iterable[Outcome]) -> Iterator[tuple[str, ...]]:
    """A row for each client and version of MQTT, in the order of _MESSAGES."""
    words = {outcome.wanted: outcome.word for outcome in outcomes}
    for client in clients:
        for level in client.levels:
            wanted = [Exchange(type(client), direction, qos, level) for direction in DIRECTIONS for qos in _QOS]
            yield (client.name, client.version, LEVELS[level], *(words.get(each, CANNOT) for each in wanted))


def case_rows(clients: Iterable[Client], outcomes: list[Outcome]) -> Iterator[tuple[str, ...]]:
    """A row for each case, in the order of _CASES."""
    for client in clients:
        mine = {outcome.wanted: outcome.word for outcome in outcomes if outcome.client is type(client)}
        for case in cases(type(client)):
            yield (client.name, client.version, case.name, mine[case.name])


def page_part(clients: list[Client], outcomes: list[Outcome], broker: str) -> str:
    """What stands between the markers of docs/other-ends.md."""
    made = f"Written by `python tests/interop/ends/run.py --write`: mosquitto {broker}, MicroPython {_version_text()}."
    notes = "\n".join(f"- {client.name}: {client.note}" for client in clients if client.note)
    parts = (
        made,
        tables.markdown(_MESSAGES, message_rows(clients, outcomes)),
        notes,
        tables.markdown(_CASES, case_rows(clients, outcomes)),
    )
    return "\n\n".join(parts)


def _version_text() -> str:
    return ".".join(map(str, toolchain.version_of(toolchain.micropython()) or ()))


def _broker_version() -> str:
    with Broker() as broker:
        return next((word for word in broker.log().split() if word.count(".") == 2 and word[0].isdigit()), "")


def _table(columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row, style="red" if FAILED in row else "")
    return table


def try_all(wanted: list[Trial], console: Console) -> list[Outcome]:
    """Several at the same time; on a terminal a bar shows how far it is, elsewhere a line for each client."""
    began = time.monotonic()
    outcomes = []
    left = {trial.client: 0 for trial in wanted}
    for trial in wanted:
        left[trial.client] += 1
    with ThreadPoolExecutor(_TOGETHER) as pool:
        running = [pool.submit(attempt, trial) for trial in wanted]
        shown = track(as_completed(running), "exchanging", len(running), console=console, transient=True)
        try:
            for done in shown if console.is_terminal else as_completed(running):
                outcomes.append(done.result())
                client = outcomes[-1].client
                left[client] -= 1
                if not left[client] and not console.is_terminal:
                    console.print(f"{client.name}: done after {time.monotonic() - began:.0f} s", highlight=False)
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C waits for those that run, not for those that wait
    return outcomes


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
Write = Annotated[bool, typer.Option("--write", help="Put the tables into docs/other-ends.md, between its markers.")]
Only = Annotated[str, typer.Option("--client", help="Only clients whose name has this in it.")]


@app.command()
def main(write: Write = False, client: Only = "") -> None:
    """Exchange messages between our boards and other clients. Exit code 1: something failed; 2: nothing was tried."""
    leave_on_signals()  # no broker is to outlive us
    console = tables.console()
    kinds = [kind for kind in CLIENTS if client.lower() in kind.name.lower()]
    if not kinds:
        raise typer.BadParameter(f"no client is called so; there are {'; '.join(kind.name for kind in CLIENTS)}")
    try:
        micropython, version = toolchain.micropython(), _broker_version()
    except (toolchain.ToolchainMissing, BrokerError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    clients, missing = bring(kinds)
    outcomes = try_all([trial for each in clients for trial in trials(each, micropython)], console)
    _report(console, clients, outcomes, missing)
    if write:
        _write(clients, outcomes, version)
    raise typer.Exit(any(outcome.problem for outcome in outcomes) if outcomes else 2)


def _report(console: Console, clients: list[Client], outcomes: list[Outcome], missing: dict[str, str]) -> None:
    tables.show(console, _table(_MESSAGES, message_rows(clients, outcomes)))
    console.print()
    tables.show(console, _table(_CASES, case_rows(clients, outcomes)))
    for name, reason in missing.items():
        console.print(f"{name}: skipped: {reason}", markup=False, highlight=False, soft_wrap=True)
    for outcome in outcomes:
        if outcome.problem:
            console.print(f"{outcome.where}: {outcome.problem}", markup=False, highlight=False, soft_wrap=True)


def _write(clients: list[Client], outcomes: list[Outcome], broker: str) -> None:
    if len(clients) < len(CLIENTS):
        typer.echo(f"{PAGE.name} is not written: not every client was tried", err=True)
        raise typer.Exit(2)
    try:
        part = page_part(clients, outcomes, broker)
        PAGE.write_text(tables.written(PAGE.read_text(encoding="utf-8"), MARKERS, part), encoding="utf-8")
    except ValueError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    typer.echo(f"written to {PAGE.name}")


if __name__ == "__main__":
    app()
