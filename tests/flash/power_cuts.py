"""Cut the power at every operation on the flash: what was accepted is there afterwards.

    python tests/flash/power_cuts.py --seeds 20     a table; exit code 1 when anything was lost

Under MicroPython, on a littlefs in RAM; see littlefs/power_cuts.py.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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

from support.device import LIB, Device
from tools import toolchain

PARTS = (1, 4, 7)  # of an operation, in 8ths, after which the power goes, too

_SCRIPT = Path(__file__).resolve().parent / "littlefs" / "power_cuts.py"
_HEAP = "16m"
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Result:
    """Of one seed: how many operations there are, how many cuts were made, and a line for each that lost something."""

    seed: int
    operations: int
    cuts: int
    failures: list[str]


def cut(
    micropython: Path, seed: int, first: int = 0, step: int = 1, parts: Sequence[int] = PARTS, lib: Path = LIB
) -> Result:
    """Cut a life at the operations first, first + step, … Raises AssertionError when the script itself fails."""
    device = Device(micropython, _SCRIPT, seed, first, step, *parts, heap=_HEAP, lib=lib)
    try:
        output = device.finish(timeout=_TIMEOUT_S)
    finally:
        device.close()
    operations, cuts = map(int, re.findall(r"\d+", output[-1]))
    return Result(seed, operations, cuts, [line for line in output if line.startswith("FAILED")])


def cut_all(micropython: Path, seeds: Sequence[int]) -> Iterator[Result]:
    """Every operation of each seed's life."""
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda seed: cut(micropython, seed), seeds)


def _show(console: Console, results: Sequence[Result]) -> None:
    table = Table(box=box.HEAVY_HEAD if console.is_terminal else box.MARKDOWN)
    for name in ("seed", "operations", "power cuts", "not survived"):
        table.add_column(name, justify="right")
    for result in results:
        cells = (result.seed, result.operations, result.cuts, len(result.failures))
        table.add_row(*map(str, cells), style="red" if result.failures else "")
    console.print(table)
    for result in results:
        for line in result.failures:
            console.print(line, highlight=False, markup=False, soft_wrap=True)


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="How many lives.")]
First = Annotated[int, typer.Option("--first", min=1, help="The seed of the first one.")]


@app.command()
def main(seeds: Seeds = 10, first: First = 1) -> None:
    """Cut the power at every operation of random lives of an outbox on flash. Exit code 1: something was lost."""
    console = Console()
    try:
        micropython = toolchain.micropython()
    except toolchain.ToolchainMissing as missing:
        typer.echo(missing, err=True)
        raise typer.Exit(2) from None
    numbers = range(first, first + seeds)
    cutting: Iterable[Result] = cut_all(micropython, numbers)
    if console.is_terminal:
        cutting = track(cutting, "cutting", seeds, console=console, transient=True)
    results = list(cutting)
    _show(console, results)
    raise typer.Exit(any(result.failures for result in results))


if __name__ == "__main__":
    app()
