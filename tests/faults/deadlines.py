"""Deadlines, measured: every call that can be left without an answer, against a peer that does not answer.

    python tests/faults/deadlines.py            a table; exit code 1 when a limit is exceeded
    python tests/faults/deadlines.py --write    and into docs/guarantees.md

The client runs under MicroPython over real sockets. A call is to return or raise within its deadline + 100 ms; a step
of the client, a check_msg() and, with asyncio, the pause of another task take 20 ms at most. Time in which another
process had the CPU does not count for the 20 ms. Who exceeds a limit is measured once more, alone, and that is said.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    _ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from faults import deadlines_peers as peers
from support.certificates import Authority, Pair
from support.device import Device
from support.scripted import ScriptedBroker, black_hole
from support.scripted_ws import ScriptedWebBroker
from tools import tables, toolchain

LATE_MS = 100  # a call may be so much later than its deadline
STEP_MS = 20  # a step, a check_msg(), a pause of another task
FACES = ("sync", "asyncio")
MARKERS = ("<!-- deadlines -->", "<!-- /deadlines -->")

_DEADLINE_S = 0.5
_TOGETHER = 8  # cases that run at the same time: nearly all of their time they wait
_EARLY_MS = 5  # the clock's grain
_SCRIPT = Path(__file__).resolve().parent / "device" / "deadlines.py"
_DOC = toolchain.ROOT / "docs" / "guarantees.md"


@dataclass(frozen=True)
class Case:
    """`call`: which of the device script; `peer`: what it meets. `outcome`: how the call is to end."""

    name: str
    call: str
    peer: peers.Script = peers.silent
    outcome: str = "ETIMEDOUT"
    tls: bool = False
    settings: tuple[str, ...] = ()
    heap: str = "256k"
    broker: type[ScriptedBroker] = ScriptedBroker
    port: Callable[[], AbstractContextManager[int]] | None = None  # in place of a broker: a port that never answers


_QOS_1, _QOS_2, _WS = ("qos=1",), ("qos=2",), ("transport=ws",)


def _large(
    name: str, call: str, peer: peers.Script = peers.silent, outcome: str = "ETIMEDOUT", tls: bool = False
) -> Case:
    """A payload that is larger than the socket's buffer."""
    return Case(name, call, peer, outcome, tls, ("qos=0", "size=1000000"), "4m", peers.Narrow)


CASES = (
    Case("connect: the broker's backlog is full", "connect", port=black_hole),
    Case("connect: SYN is swallowed", "connect", port=peers.swallowed_syn),
    Case("connect: CONNACK never comes", "connect", peers.accepts),
    Case("connect: half a CONNACK, then silence", "connect", peers.half_a_connack),
    Case("connect, TLS: the server says nothing", "connect", peers.accepts, tls=True),
    Case("connect, TLS: half of the server's first flight", "connect", peers.half_a_flight, tls=True),
    Case("connect, TLS: Finished never comes", "connect", peers.no_finished, tls=True),
    Case("subscribe: SUBACK never comes", "subscribe"),
    Case("unsubscribe: UNSUBACK never comes", "unsubscribe"),
    Case("publish QoS 1: PUBACK never comes", "publish", settings=_QOS_1),
    Case("publish QoS 1: half a PUBACK, then silence", "publish", peers.half_a_puback, settings=_QOS_1),
    Case("publish QoS 2: PUBREC never comes", "publish", settings=_QOS_2),
    Case("publish QoS 2: PUBCOMP never comes", "publish", peers.no_pubcomp, settings=_QOS_2),
    Case("publish QoS 1: the cable is out", "publish", peers.cable_out, settings=_QOS_1),
    _large("publish QoS 0: 1 MB, the peer stops reading", "publish"),
    _large("publish QoS 0, TLS: 1 MB, the peer stops reading", "publish", peers.silent_tls, tls=True),
    _large("publish QoS 1: the socket's buffer is full", "publish_behind"),
    Case("publish QoS 1: the outbox is full", "outbox_full"),
    Case("flush: PUBACK never comes", "flush"),
    Case("wait_msg: silence", "wait_msg", outcome="False"),
    Case("wait_msg: half a PUBLISH, then silence", "wait_msg", peers.half_a_publish, "False"),
    Case("wait_msg, TLS: half a record, then silence", "wait_msg", peers.half_a_record, "False", tls=True),
    Case("disconnect: the cable is out", "disconnect", peers.cable_out, "None"),
    _large("disconnect: the socket's buffer is full", "disconnect_behind", outcome="None"),
    Case("connect, WebSocket: the server says nothing", "connect", peers.accepts, settings=_WS),
    Case("connect, WebSocket: half of HTTP's answer, then silence", "connect", peers.half_an_agreement, settings=_WS),
    Case("connect, WebSocket and TLS: the server says nothing", "connect", peers.accepts, tls=True, settings=_WS),
    Case("connect, WebSocket and TLS: Finished never comes", "connect", peers.no_finished, tls=True, settings=_WS),
    Case("connect, WebSocket: CONNACK never comes", "connect", peers.accepts, settings=_WS, broker=ScriptedWebBroker),
    Case(
        "publish QoS 1, WebSocket: the cable is out",
        "publish",
        peers.cable_out,
        settings=_QOS_1 + _WS,
        broker=ScriptedWebBroker,
    ),
    Case(
        "publish QoS 0, WebSocket: 1 MB, the peer stops reading",
        "publish",
        settings=("qos=0", "size=1000000", *_WS),
        heap="4m",
        broker=peers.NarrowWeb,
    ),
    Case(
        "wait_msg, WebSocket: pings, half a frame, then silence",
        "wait_msg",
        peers.half_a_frame,
        "False",
        settings=_WS,
        broker=ScriptedWebBroker,
    ),
    Case(
        "disconnect, WebSocket: the cable is out",
        "disconnect",
        peers.cable_out,
        "None",
        settings=_WS,
        broker=ScriptedWebBroker,
    ),
)


@dataclass
class Row:
    """What was measured of one case with one face of the library, milliseconds."""

    case: Case
    face: str
    took: float = 0
    step: float = 0
    pause: float = 0
    outcome: str = ""
    before: list[str] = field(default_factory=list)  # what was wrong the first time, when this is the second
    deadline: float = _DEADLINE_S * 1000

    @property
    def over(self) -> float:
        return max(0.0, self.took - self.deadline)

    @property
    def problems(self) -> list[str]:
        """What exceeds its limit, in words."""
        found = []
        if self.outcome != self.case.outcome:
            found.append(f"ended with {self.outcome}, not {self.case.outcome}")
        elif self.outcome != "None" and self.took < self.deadline - _EARLY_MS:
            found.append(f"gave up after {self.took:.0f} ms")
        if self.over > LATE_MS:
            found.append(f"{self.over:.0f} ms after the deadline")
        if self.step > STEP_MS:
            found.append(f"a step of {self.step:.0f} ms")
        if self.pause > STEP_MS:
            found.append(f"a {'check_msg()' if self.face == 'sync' else 'pause'} of {self.pause:.0f} ms")
        return found


@contextmanager
def bench(micropython: Path) -> Iterator[Callable[..., Row]]:
    """Yields measure(case, face, *settings of the device script), which never raises what the case does."""
    with tempfile.TemporaryDirectory(prefix="fieldmqtt-deadlines-") as folder:
        authority = Authority(Path(folder))
        pair = authority.make("server", ["127.0.0.1"])

        def measure(case: Case, face: str, *settings: str) -> Row:
            row = Row(case, face)
            if case.tls:
                settings += (f"cafile={authority.root.der}",)
            try:
                _measure(row, micropython, pair, settings)
            except (AssertionError, OSError) as error:
                row.outcome = str(error) or repr(error)
            return row

        yield measure


def _measure(row: Row, micropython: Path, pair: Pair, settings: tuple[str, ...]) -> None:
    case = row.case
    with ExitStack() as stack:
        if case.port:
            port = stack.enter_context(case.port())
        else:
            broker = case.broker()
            stack.callback(broker.close)
            port = broker.port
        arguments = (case.call, row.face, port, f"timeout={_DEADLINE_S}", *case.settings, *settings)
        device = Device(micropython, _SCRIPT, *arguments, heap=case.heap)
        stack.callback(device.close)

        def go() -> None:
            device.line("ready")
            device.tell("go")

        go() if case.port else case.peer(broker, go, pair)
        measured = json.loads(device.line("result"))
        device.finish()
        row.outcome = measured["outcome"]
        row.took, row.step, row.pause = (measured[name] / 1000 for name in ("took", "step", "pause"))


def measure_all(micropython: Path) -> Iterator[Row]:
    """Every case with both faces, as each is done; what exceeds a limit is measured a second time, alone."""
    wanted = [(case, face) for case in CASES for face in FACES]
    with bench(micropython) as measure:
        with ThreadPoolExecutor(_TOGETHER) as pool:
            rows = pool.map(lambda pair: measure(*pair), wanted)
            first = []
            for row in rows:
                first.append(row)
                if not row.problems:
                    yield row
        for row in first:
            if row.problems:
                again = measure(row.case, row.face)
                again.before = row.problems
                yield again


COLUMNS = ("case", "client", "deadline, ms", "measured", "over by", "longest step", "longest check_msg or pause")


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, in the order of COLUMNS."""
    name = row.case.name + (" (second try)" if row.before else "")
    figures = (f"{row.deadline:.0f}", f"{row.took:.0f}", f"{row.over:.0f}", f"{row.step:.1f}", f"{row.pause:.1f}")
    return (name, row.face, *figures)


def notes(rows: Iterable[Row]) -> Iterator[str]:
    """What is to be said of single rows."""
    for row in rows:
        where = f"{row.case.name}, {row.face}"
        if row.before:
            yield f"{where}: measured again; the first time {', '.join(row.before)}"
        if row.problems:
            yield f"{where}: EXCEEDED: {', '.join(row.problems)}"


def markdown(rows: Iterable[Row]) -> str:
    """The table for a document."""
    lines = [COLUMNS, ("---", "---", *["--:"] * 5), *map(cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _show(console: Console, rows: Iterable[Row]) -> None:
    table = Table(box=box.HEAVY_HEAD if console.is_terminal else box.MARKDOWN)
    for i, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if i > 1 else "left")
    for row in rows:
        table.add_row(*cells(row), style="red" if row.problems else "")
    console.print(table)


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
Write = Annotated[bool, typer.Option("--write", help="Put the table into docs/guarantees.md, between its markers.")]


@app.command()
def main(write: Write = False) -> None:
    """Measure every call that waits against a peer that does not answer. Exit code 1: a limit is exceeded."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=180)  # a table in a log is not to be folded
    try:
        micropython = toolchain.micropython()
    except toolchain.ToolchainMissing as missing:
        typer.echo(missing, err=True)
        raise typer.Exit(2) from None
    if not console.is_terminal:
        typer.echo(f"deadlines: measuring {len(CASES)} cases with {len(FACES)} clients, some 10 s")
    measuring = track(
        measure_all(micropython),
        "measuring",
        len(CASES) * len(FACES),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    rows = sorted(measuring, key=lambda row: (CASES.index(row.case), row.face != FACES[0]))
    _show(console, rows)
    for note in notes(rows):
        console.print(note, highlight=False, soft_wrap=True)
    if write:
        _write(rows)
    raise typer.Exit(any(row.problems for row in rows))


def _write(rows: list[Row]) -> None:
    try:
        _DOC.write_text(tables.written(_DOC.read_text(encoding="utf-8"), MARKERS, markdown(rows)), encoding="utf-8")
    except ValueError as error:
        typer.echo(f"{_DOC.name}: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"written to {_DOC.name}")


if __name__ == "__main__":
    app()
