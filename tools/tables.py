"""Tables as the pages of docs/ show them: plain lines, the same on a terminal and in a pipe, where none is broken."""

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

_PIPED_WIDTH = 240


def console() -> Console:
    """One that writes to standard output, with long lines where that is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def show(console: Console, table: Table) -> None:
    """Print it without the empty lines that rich puts around such a table."""
    table.box = box.MARKDOWN
    with console.capture() as captured:
        console.print(table)
    console.out(captured.get().strip(" \n"), highlight=False)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int | None = None) -> str:
    """A table for a document, without padding. `numbers_from`: the first of the columns that are set right."""
    left = len(head) if numbers_from is None else numbers_from
    line = ["---" if at < left else "---:" for at in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, line, *rows))


def between(text: str, markers: tuple[str, str]) -> str:
    """What stands between the markers. ValueError when they are not there."""
    begin, end = (text.find(marker) for marker in markers)
    if not 0 <= begin < end:
        raise ValueError(f"there is no {markers[0]} … {markers[1]}: put them where the table belongs")
    return text[begin + len(markers[0]) : end].strip("\n")


def written(text: str, markers: tuple[str, str], part: str) -> str:
    """`text` with this part between its markers. ValueError when they are not there."""
    between(text, markers)
    begin, end = (text.find(marker) for marker in markers)
    return f"{text[: begin + len(markers[0])]}\n{part}\n{text[end:]}"
