"""Tables as the pages of docs/ show them: plain lines, the same on a terminal and in a pipe, where none is broken."""

import sys

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
