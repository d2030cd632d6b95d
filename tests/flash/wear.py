"""What the outbox on flash costs: bytes programmed and blocks erased for each message, and reads at boot.

    python tests/flash/wear.py             two tables
    python tests/flash/wear.py --write     and into docs/flash.md

Measured under MicroPython on a littlefs in RAM, as large as that of a W5100S-EVB-Pico; see littlefs/wear.py.
"""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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

from support.device import Device
from tools import tables, toolchain

MARKERS = ("<!-- wear -->", "<!-- /wear -->")
KINDS = {
    "online": "QoS 1, accepted and acknowledged one by one",
    "burst": "QoS 1, 100 accepted, then 100 acknowledged",
    "QoS 2 sent": "QoS 2 sent, one by one",
    "QoS 2 received": "QoS 2 received, one by one",
    "QoS 2 backlog": "QoS 2 received, 1,000 at once",
}
SIZES = (65536, 1000000)  # of the outbox, for the scan at boot

_CYCLES = 100_000  # erases that a block stands: W25Q16JV, data sheet
_MINUTES_A_YEAR = 60 * 24 * 365.25
_SCRIPT = Path(__file__).resolve().parent / "littlefs" / "wear.py"
_DOC = toolchain.ROOT / "docs" / "flash.md"
_HEAP = "16m"
_TIMEOUT_S = 3600

Row = tuple[str, ...]
WEAR = ("what", "bytes programmed for each", "blocks erased for each", "most worn block / mean", "years")
SCAN = ("size", "messages waiting", "reads", "bytes read", "on a computer")


def measure(micropython: Path, messages: int, used: int) -> Iterator[tuple[bool, Row]]:
    """Yield (whether it is a scan, a row) for each kind of wear and each size."""
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda kind: _run(micropython, kind, messages, used), KINDS):
            yield False, _wear_row(found)
    for size in SIZES:  # one at a time, for the clock's sake
        yield True, _scan_row(_run(micropython, "scan", size, used))


def _run(micropython: Path, *arguments: object) -> dict:
    device = Device(micropython, _SCRIPT, *arguments, heap=_HEAP)
    try:
        return json.loads(device.finish(timeout=_TIMEOUT_S)[-1])
    finally:
        device.close()


def years(most: int, messages: int) -> float:
    """Until the most worn block has been erased as often as it stands, at one message a minute."""
    return _CYCLES * messages / most / _MINUTES_A_YEAR


def _wear_row(found: dict) -> Row:
    count = found["count"]
    mean = found["erases"] / found["blocks"]
    figures = (found["programmed"] / count, found["erases"] / count, found["most"] / mean, years(found["most"], count))
    return (KINDS[found["kind"]], *(f"{figure:{form}}" for figure, form in zip(figures, (",.0f", ".2f", ".2f", ".0f"))))


def _scan_row(found: dict) -> Row:
    numbers = (found["size"], found["messages"], found["reads"], found["read"])
    return (*(f"{number:,}" for number in numbers), f"{found['us'] / 1000:.0f} ms")


def markdown(columns: Row, rows: list[Row]) -> str:
    """A table for a document."""
    lines = [columns, ("---", *["--:"] * (len(columns) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _show(console: Console, columns: Row, rows: list[Row]) -> None:
    table = Table(box=box.HEAVY_HEAD if console.is_terminal else box.MARKDOWN)
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _write(doc: Path, part: str) -> None:
    try:
        doc.write_text(tables.written(doc.read_text(encoding="utf-8"), MARKERS, part), encoding="utf-8")
    except ValueError as error:
        typer.echo(f"{doc.name}: {error}", err=True)
        raise typer.Exit(2) from None


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
Messages = Annotated[int, typer.Option("--messages", min=100, help="How many of each kind.")]
Used = Annotated[int, typer.Option("--used", min=0, max=1024, help="KiB of other files, which are never written.")]
Write = Annotated[bool, typer.Option("--write", help="Put the tables into docs/flash.md, between its markers.")]


@app.command()
def main(messages: Messages = 200_000, used: Used = 256, write: Write = False) -> None:
    """Measure what messages of 200 bytes cost on a file system of 1,408 KiB. Takes minutes."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # a table in a log is not to be folded
    try:
        micropython = toolchain.micropython()
    except toolchain.ToolchainMissing as missing:
        typer.echo(missing, err=True)
        raise typer.Exit(2) from None
    measuring = track(
        measure(micropython, messages, used),
        "measuring",
        len(KINDS) + len(SIZES),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    found = list(measuring)
    parts = [(columns, [row for is_scan, row in found if is_scan == scan]) for columns, scan in ((WEAR, 0), (SCAN, 1))]
    for columns, rows in parts:
        _show(console, columns, rows)
    if write:
        _write(_DOC, "\n\n".join(markdown(columns, rows) for columns, rows in parts))


if __name__ == "__main__":
    app()
