"""A thousand reconnects: no socket stays open, the heap stays flat.

    python tests/long/reconnects.py                     both clients, each end of a connection 1,000 times
    python tests/long/reconnects.py --client sync       one of them

The device counts its own open files. Exit code 1: there are more of them at the end, or the heap grew.
"""

import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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

from long.ends import End, Port, ends
from long.measured import DEVICE, Client, Heap, compiled, growth, heap
from support.certificates import Certificates
from support.device import Device
from tools import toolchain

REPORTS = 10  # of the heap and the open files

_BOUND = 2048  # bytes: a TLS stream takes 960, and what looks like a pointer to it can keep one of them alive
_HEAP = "128k"
_WAIT_S = 120.0  # from one report to the next
_TOGETHER = 8


@dataclass
class Row:
    """What one device has told: the open files before the first connection and at each report, and the heaps."""

    end: End
    face: Client
    count: int
    connections: int = 0
    files: list[int] = field(default_factory=list)
    heaps: list[Heap] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What is not as it should be: one line each."""
        found = growth(self.heaps, _BOUND)
        if max(self.files) > self.files[0]:
            found.append(f"open files: {self.files}")
        if self.end.peer and self.connections < self.count:
            found.append(f"only {self.connections} connections")
        return found


def measure(micropython: Path, end: End, face: Client, count: int, library: Path, certificates: Certificates) -> Row:
    """Have a device lose `count` connections. Raises AssertionError when it fails."""
    row = Row(end, face, count)
    trusted = [certificates.ca.der] if end.tls else []
    with Port(end) as port:
        arguments = (face.value, port.number, count, count // REPORTS, *trusted)
        device = Device(micropython, DEVICE / "reconnects.py", *arguments, heap=_HEAP, lib=library)
        try:
            row.files.append(int(device.line("open")))
            for _ in range(REPORTS):
                row.files.append(int(device.line("open", _WAIT_S)))
                row.heaps.append(heap(device))
            device.finish()
        finally:
            device.close()
        row.connections = port.connections
    return row


class Bench:
    """Devices, and all that they need, for every end of a connection with each face, `counts[face]` times."""

    def __init__(self, micropython: Path, library: Path, certificates: Certificates, counts: dict[Client, int]) -> None:
        self._micropython, self._library, self._certificates = micropython, library, certificates
        self.wanted = [(end, face, count) for face, count in counts.items() for end in ends(certificates)]

    def rows(self) -> Iterator[Row]:
        """Each as it is done; some devices run at the same time."""
        with ThreadPoolExecutor(_TOGETHER) as pool:
            yield from pool.map(self._measure, self.wanted)

    def _measure(self, wanted: tuple[End, Client, int]) -> Row:
        return measure(self._micropython, *wanted, self._library, self._certificates)


_COLUMNS = ("end of the connection", "client", "times", "open files", "bytes allocated", "largest free block")


def _show(console: Console, rows: list[Row]) -> None:
    table = Table(box=box.HEAVY_HEAD if console.is_terminal else box.MARKDOWN)
    for number, name in enumerate(_COLUMNS):
        table.add_column(name, justify="right" if number > 1 else "left")
    for row in rows:
        first, last = row.heaps[0], row.heaps[-1]
        files = f"{row.files[0]} to {max(row.files)}"
        memory = (f"{first.allocated:,} to {last.allocated:,}", f"{first.largest:,} to {last.largest:,}")
        cells = (row.end.name, row.face.value, f"{row.count:,}", files, *memory)
        table.add_row(*cells, style="red" if row.problems else "")
    console.print(table)


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
Count = Annotated[int, typer.Option("--count", help="How often each connection comes to its end.", min=REPORTS)]
Face = Annotated[Client | None, typer.Option("--client", help="Only this client.", show_default="both")]


@app.command()
def main(count: Count = 1000, client: Face = None) -> None:
    """Lose connections in every way. Exit code 1: a socket stayed open, or the heap grew."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)  # a table in a log is not to be folded
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no device is to outlive us
    counts = dict.fromkeys([client] if client else Client, count)
    try:
        with tempfile.TemporaryDirectory(prefix="fieldmqtt-reconnects-") as folder:
            library = compiled(Path(folder))
            bench = Bench(toolchain.micropython(), library, Certificates(library), counts)
            silent = not console.is_terminal
            total = len(bench.wanted)
            rows = list(track(bench.rows(), "reconnecting", total, console=console, transient=True, disable=silent))
    except (toolchain.ToolchainMissing, AssertionError) as error:
        typer.echo(f"reconnects: {error}", err=True)
        raise typer.Exit(1) from None
    _show(console, rows)
    problems = [f"{row.end.name}, {row.face.value}: {problem}" for row in rows for problem in row.problems]
    for problem in problems:
        typer.echo(f"reconnects: {problem}", err=True)
    raise typer.Exit(bool(problems))


if __name__ == "__main__":
    app()
