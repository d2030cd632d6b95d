"""`make bench`: this library beside a bare socket and umqtt.simple, against mosquitto on this computer.

Times are ratios to a bare socket under the same MicroPython: the clients take turns, in several rounds, and the
medians are shown. Heap and instructions are counted, not timed.
"""

import json
import signal
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tools import bench_peers, sizes, toolchain
from tools.bench_run import (
    ASYNCIO,
    BARE,
    CASES,
    CLIENTS,
    QOS0,
    QOS1,
    SYNC,
    UMQTT,
    WINDOW,
    Bench,
    BenchError,
    broker_apart,
    runs,
)
from tools.broker import BrokerError, free_port

OUTPUT = toolchain.ROOT / "build" / "bench.json"
QUICK_OUTPUT = OUTPUT.with_name("bench-quick.json")
_QUICK = 0.02  # of the messages
_MESSAGE = "64 bytes, its topic 19"  # as in bench_device/harness.py


@dataclass
class Figures:
    """Of one client in one case. ratio: to the bare socket, 1.0 is as fast."""

    per_second: float
    ratio: float
    heap: int
    wire: int  # bytes of a message and its acknowledgements


@dataclass(frozen=True)
class Budget:
    """A limit, and what was reached. None: not measured."""

    what: str
    limit: str
    reached: float | None
    met: bool | None


@dataclass
class Report:
    """All that was measured."""

    micropython: str
    placement: str
    rounds: int
    cases: dict[str, dict[str, Figures]]
    instructions: dict[str, int | None]
    sizes: sizes.Sizes
    notes: list[str]

    def budgets(self) -> list[Budget]:
        """The budgets of docs/design.md that can be measured."""
        ours = {case: self.cases[case] for case in (QOS0, QOS1, WINDOW)}
        return [
            _at_most("heap of a QoS 0 publish, MQTTClient, bytes", 0, ours[QOS0][SYNC].heap),
            _at_most("heap of a QoS 0 publish, AsyncMQTTClient, bytes", 256, ours[QOS0][ASYNCIO].heap),
            _at_most("instructions of a QoS 0 publish, MQTTClient", 9_500, self.instructions.get(SYNC)),
            _at_least("QoS 1 one by one, MQTTClient, of a bare socket", 0.8, ours[QOS1][SYNC].ratio),
            _at_least("QoS 1 window 20, MQTTClient, of a bare socket", 0.3, ours[WINDOW][SYNC].ratio),
            *(
                _at_most(f".mpy of {budget.what}, bytes", budget.kilobytes * 1024, budget.reached(self.sizes))
                for budget in sizes.BUDGETS
            ),
        ]


def _at_most(what: str, limit: int, reached: int | None) -> Budget:
    return Budget(what, f"<= {limit:,}", reached, None if reached is None else reached <= limit)


def _at_least(what: str, limit: float, reached: float) -> Budget:
    return Budget(what, f">= {limit:.0%}", reached, reached >= limit)


def measure(bench: Bench, rounds: int, step: Callable[[str], None]) -> dict[str, dict[str, Figures]]:
    """Every case with every client that has it. Calls step(what) before each process."""
    speeds: dict[tuple[str, str], list[float]] = {}
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for number in range(1, rounds + 1):
        for case, clients in runs(bench).items():
            for client in clients:
                step(f"round {number} of {rounds}: {CASES[case]}, {CLIENTS[client]}")
                speeds.setdefault((case, client), []).append(bench.speed(client, case))
    for case, clients in runs(bench).items():
        for client in clients:
            step(f"heap: {CASES[case]}, {CLIENTS[client]}")
            counts[case, client] = bench.counted(client, case)
    return {case: {c: _figures(speeds, counts, case, c) for c in clients} for case, clients in runs(bench).items()}


def _figures(
    speeds: dict[tuple[str, str], list[float]], counts: dict[Any, tuple[int, int]], case: str, client: str
) -> Figures:
    own, bare = speeds[case, client], speeds[case, BARE]
    ratios = [mine / yardstick for mine, yardstick in zip(own, bare, strict=True)]
    return Figures(round(statistics.median(own)), round(statistics.median(ratios), 4), *counts[case, client])


def _report(rounds: int, scale: float, together: bool, progress: "_Progress") -> Report:
    notes = []
    try:
        umqtt = bench_peers.umqtt_simple()
    except bench_peers.PeerMissing as missing:
        umqtt = None
        notes.append(f"umqtt.simple is missing: {missing}")
    micropython = toolchain.micropython()
    plain_port = free_port()
    with broker_apart(together=together, plain_port=plain_port) as (broker, placement):
        bench = Bench(micropython, umqtt, broker.port, scale, plain_port)
        progress.expect((rounds + 1) * sum(map(len, runs(bench).values())) + len(CLIENTS))
        cases = measure(bench, rounds, progress.step)
    instructions = {}
    for client in (UMQTT, SYNC, ASYNCIO):
        progress.step(f"instructions: {CLIENTS[client]}")
        instructions[client] = bench.instructions(client)
    if instructions[SYNC] is None:
        notes.append("Instructions are not counted: valgrind is not installed.")
    version = ".".join(map(str, toolchain.version_of(micropython) or ()))
    progress.step("sizes: mpy-cross")
    return Report(version, placement, rounds, cases, instructions, sizes.measure(), notes)


class _Progress:
    """A bar on a terminal, a line for each round elsewhere."""

    def __init__(self, console: Console) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self.bar.add_task("", total=None)
        self._console = console
        self._last = ""

    def expect(self, total: int) -> None:
        """So many steps."""
        self.bar.update(self._task, total=total, completed=-1)

    def step(self, what: str) -> None:
        """The next one begins."""
        self.bar.update(self._task, advance=1, description=what)
        part = what.split(":")[0]
        if part != self._last and not self._console.is_terminal:
            print(f"bench: {part}", flush=True)
        self._last = part


def _tables(report: Report, style: box.Box) -> Iterator[Table]:
    clients = tuple(CLIENTS.values())
    speeds = _table("messages a second, and of a bare socket", clients, style)
    counts = _table("bytes of heap a message, machine instructions a publish", clients, style)
    wires = _table(f"bytes on the wire a message of {_MESSAGE}, acknowledgements included", clients, style)
    for case, figures in report.cases.items():
        speeds.add_row(CASES[case], *(_speed(figures.get(client)) for client in CLIENTS))
        heaps = (figures[client].heap if client in figures else None for client in CLIENTS)
        counts.add_row(f"heap, {CASES[case]}", *map(_number, heaps))
        sizes_ = (figures[client].wire if client in figures else None for client in CLIENTS)
        wires.add_row(CASES[case], *map(_number, sizes_))
    counts.add_row("instructions, QoS 0, 64 bytes", *(_number(report.instructions.get(client)) for client in CLIENTS))
    limits = _table("budgets", ("budget", "reached", "met"), style)
    for budget in report.budgets():
        reached = f"{budget.reached:.0%}" if isinstance(budget.reached, float) else _number(budget.reached)
        met = {True: "[green]yes[/]", False: "[red]no[/]", None: "not measured"}[budget.met]
        limits.add_row(budget.what, budget.limit, reached, met)
    yield from (speeds, counts, wires, limits)


def _table(title: str, columns: tuple[str, ...], style: box.Box) -> Table:
    table = Table(title=title, title_justify="left", box=style)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _speed(figures: Figures | None) -> str:
    if not figures:
        return "-"
    return f"{figures.per_second:,.0f} {figures.ratio:6.{0 if figures.ratio >= 0.01 else 1}%}"


def _show(console: Console, report: Report) -> None:
    style = box.HEAVY_HEAD if console.is_terminal else box.MARKDOWN
    for table in _tables(report, style):
        console.print(table)
    how = f"MicroPython {report.micropython}, mosquitto, {report.placement}; rounds: {report.rounds}, medians shown."
    for line in (how, *report.notes):
        console.print(line, highlight=False, soft_wrap=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _write(report: Report, output: Path) -> None:
    output.parent.mkdir(exist_ok=True)
    content = {**asdict(report), "budgets": [asdict(budget) for budget in report.budgets()]}
    output.write_text(json.dumps(content, indent=2) + "\n")


Quick = Annotated[bool, typer.Option("--quick", help="One short round, to see that it runs.")]
Rounds = Annotated[int, typer.Option(min=1, help="Medians are taken over so many.")]
OneCpu = Annotated[
    bool, typer.Option("--one-cpu", help="Broker and clients on one CPU: the clients' own work shows most.")
]


def main(quick: Quick = False, rounds: Rounds = 5, one_cpu: OneCpu = False) -> None:
    """Speed, heap and instructions beside a bare socket and umqtt.simple. Never fails because of a figure."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)  # a table in a log is not to be folded
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no broker is to outlive us
    progress = _Progress(console)
    try:
        with progress.bar:
            report = _report(1 if quick else rounds, _QUICK if quick else 1.0, one_cpu, progress)
        if quick:
            report.notes.append("--quick: so few messages that the times mean nothing.")
    except (toolchain.ToolchainMissing, BrokerError, BenchError, sizes.SizesError) as error:
        typer.echo(f"bench: {error}", err=True)
        raise typer.Exit(1) from None
    _show(console, report)
    output = QUICK_OUTPUT if quick else OUTPUT
    _write(report, output)
    typer.echo(f"bench: written to {output.relative_to(toolchain.ROOT)}")
