"""Faults, on purpose, the full form: how many of them does it take to lose a message?

    python tests/faults/soak.py                                  everything, some 20 minutes
    python tests/faults/soak.py --seed 7 --face sync             again as it was
    python tests/faults/soak.py --messages 1000 --faults 50 --cuts 0
    python tests/faults/soak.py --transport ws --cuts 0          through WebSocket

Exit code 1 when a message was lost or came twice by the client's doing, when order was broken, or when nothing moved.
"""

import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    _ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from faults import scenarios
from faults.tally import Outcome
from faults.traffic import Traffic
from tools import toolchain

_TOGETHER = 2  # runs at the same time: much of it is waiting
_KILLS = 20  # of mosquitto, and of the device

NOTES = (
    "again at QoS 1: allowed. cut off: at QoS 2, the power was cut between noting a message and the callback's end.",
    "lost, twice by the broker: mosquitto forgot what it had acknowledged just before kill -9; see traffic.py.",
    "bytes that change: each may cost a message, or its order, which is no failure; see proxy.py.",
)
Chosen = list[tuple[str, str]]  # version and client
COLUMNS = (
    "run",
    "client",
    "MQTT",
    "messages",
    "faults",
    "kill -9",
    "connections",
    "lost",
    "twice at QoS 2",
    "out of order",
    "again at QoS 1",
    "lost by the broker",
    "twice by the broker",
    "cut off",
    "seconds",
)


@dataclass
class Run:
    """A scenario and what came of it."""

    name: str
    face: str
    version: str
    kills: int
    traffic: Traffic
    outcome: Outcome | None = None
    failure: str = ""

    def __str__(self) -> str:
        return f"{self.name}, {self.face}, MQTT {self.version}"

    def go(self) -> "Run":
        try:
            self.outcome = self.traffic.run()
            self.failure = self.outcome.problems()
        except (AssertionError, OSError, RuntimeError) as error:
            self.failure = str(error) or repr(error)
        return self


def runs(chosen: Chosen, seed: int, messages: int, faults: int, cuts: int, transport: str) -> list[Run]:
    """What is to be done, the longest first. Power cuts go through TCP whatever `transport` says: the link is good."""
    few, some = max(1, messages // 20), max(1, faults // 5)
    kinds: list[tuple[str, int, Callable[[str, str], Traffic]]] = [
        (
            "bad links",
            _KILLS,
            lambda face, version: scenarios.lossless(face, seed, messages, faults, _KILLS, version, transport),
        ),
        (
            "broker killed at any moment",
            _KILLS // 2,
            lambda face, version: scenarios.rough(face, seed, few, _KILLS // 2, version, transport),
        ),
        (
            "device killed, flash outbox",
            _KILLS,
            lambda face, version: scenarios.device_killed(face, seed, few, some, _KILLS, version, transport),
        ),
        ("bytes that change", 0, lambda face, version: scenarios.corrupt(face, seed, few, some, version, transport)),
    ]
    found = [
        Run(name, face, version, kills, make(face, version))
        for name, kills, make in kinds
        for version, face in chosen
        if len(scenarios.VERSIONS[version]) == 1 or "device" in name  # only who is killed can change
    ]
    if not cuts:
        return found
    longest = sum(run.name == kinds[0][0] for run in found)
    return [
        *found[:longest],
        Run("power cuts", "both", "3.1.1", cuts, scenarios.power_cuts(seed, cuts)),
        *found[longest:],
    ]


def cells(run: Run) -> tuple[str, ...]:
    """A run as text, in the order of COLUMNS."""
    made = run.outcome
    if not made:
        return (run.name, run.face, run.version, *["failed"] * (len(COLUMNS) - 3))
    figures = (made.sent, sum(made.faults.values()), run.kills, made.connects, len(made.lost), len(made.twice))
    rest = (len(made.out_of_order), made.again, made.forgotten, made.doubled, made.cut)
    return (run.name, run.face, run.version, *(f"{figure:,}" for figure in figures + rest), f"{made.seconds:.0f}")


def _carry_out(wanted: list[Run], console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    progress = Progress(
        *columns, TextColumn("{task.fields[faults]} faults"), TimeElapsedColumn(), console=console, transient=True
    )
    progress.disable = not console.is_terminal
    with progress, ThreadPoolExecutor(_TOGETHER) as pool:
        for run in wanted:
            task = progress.add_task(str(run), total=run.traffic.total, faults=0)
            run.traffic.progress = lambda done, faults, task=task: progress.update(task, completed=done, faults=faults)
        for future in as_completed([pool.submit(run.go) for run in wanted]):
            run = future.result()
            made = f"{run.outcome.seconds:.0f} s" if run.outcome else "failed"
            console.print(f"{run}: {'FAILED' if run.failure else 'ok'}, {made}", highlight=False)


def _show(wanted: list[Run], console: Console) -> None:
    form = box.HEAVY_HEAD if console.is_terminal else box.MARKDOWN
    table = Table(box=form)
    for i, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if i > 2 else "left")
    for run in wanted:
        table.add_row(*cells(run), style="red" if run.failure else "")
    console.print(table)
    kinds = Table("client", *scenarios.KINDS, box=form, title="faults")
    for face in scenarios.FACES:
        counts = [run.outcome.faults for run in wanted if run.face == face and run.outcome]
        kinds.add_row(face, *(f"{sum(count[kind] for count in counts):,}" for kind in scenarios.KINDS))
    console.print(kinds)
    for note in NOTES:
        console.print(note, highlight=False, soft_wrap=True)


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
Messages = Annotated[int, typer.Option(min=20, help="At QoS 1 and at QoS 2, each way, for each client.")]
Faults = Annotated[int, typer.Option(min=5, help="At least so many, for each client.")]
Cuts = Annotated[int, typer.Option(min=0, help="Power cuts of a device with a flash outbox.")]
Seed = Annotated[int | None, typer.Option(help="Of everything random; one by chance unless given.")]
Face = Annotated[str, typer.Option(help="sync, asyncio, or both.")]
Transport = Annotated[str, typer.Option(help=f"Between device and broker: {' or '.join(scenarios.TRANSPORTS)}.")]
Version = Annotated[str, typer.Option(help=f"Of MQTT: {', '.join(scenarios.VERSIONS)}, or all.")]


@app.command()
def main(
    messages: Messages = 10_000,
    faults: Faults = 500,
    cuts: Cuts = 500,
    seed: Seed = None,
    face: Face = "both",
    version: Version = "all",
    transport: Transport = "tcp",
) -> None:
    """Send messages through bad links, kill the broker and the device, and count what is missing."""
    if face not in (*scenarios.FACES, "both"):
        raise typer.BadParameter("sync, asyncio or both", param_hint="--face")
    if version not in (*scenarios.VERSIONS, "all"):
        raise typer.BadParameter(", ".join((*scenarios.VERSIONS, "all")), param_hint="--version")
    if transport not in scenarios.TRANSPORTS:
        raise typer.BadParameter(" or ".join(scenarios.TRANSPORTS), param_hint="--transport")
    chosen = [
        (v, f) for v in scenarios.VERSIONS for f in scenarios.FACES if version in (v, "all") and face in (f, "both")
    ]
    console = Console()
    if not console.is_terminal:
        console = Console(width=220)  # a table in a log is not to be folded
    seed = random.randrange(100_000) if seed is None else seed
    console.print(f"soak: seed {seed}, {transport}; again with --seed {seed} --transport {transport}", highlight=False)
    try:
        wanted = runs(chosen, seed, messages, faults, cuts, transport)
    except toolchain.ToolchainMissing as missing:
        typer.echo(missing, err=True)
        raise typer.Exit(2) from None
    _carry_out(wanted, console)
    _show(wanted, console)
    for run in wanted:
        if run.failure:
            console.print(f"\n{run}:\n{run.failure}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(any(run.failure for run in wanted))


if __name__ == "__main__":
    app()
