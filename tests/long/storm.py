"""The reconnect storm: many boards, one broker, all cut off at once.

    python tests/long/storm.py              500 boards, and the same once more without jitter
    python tests/long/storm.py --write      and docs/storm.md is written

Each board is a MicroPython process with the library's defaults. mosquitto is killed, stays away for some seconds and is
started again. Exit code 1: a board has not come back, or too many tried to at the same moment.
"""

import math
import signal
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Annotated

if __name__ == "__main__":
    _ROOT = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from long.fleet import FleetError, storm
from long.measured import compiled
from tools import toolchain
from tools.broker import BrokerError
from tools.fleet_figures import MOMENT_S, Storm

LIMIT = 0.25  # of the boards may try within a moment

_BACKOFF = (1, 60)  # s, the library's default
_DOC = toolchain.ROOT / "docs" / "storm.md"
_WIDTH = 60  # of the longest bar


def histogram(result: Storm, longest: int) -> str:
    """Each second from the cut on: how many attempts to connect there were, how many boards were back."""
    lines = ["second  attempts  back"]
    attempts, returns = result.per_second(result.attempts), result.per_second(result.back)
    for second, (tried, back) in enumerate(zip(attempts, returns, strict=True)):
        lines.append(f"{second:>6}  {tried:>8}  {back:>4}  {'#' * math.ceil(tried * _WIDTH / longest)}".rstrip())
    return "\n".join(lines)


def summary(result: Storm) -> str:
    """What the verdict is about, in one line."""
    broker = f"The broker was there again after {result.returned:.1f} s"
    back = f"all {result.boards} are back" if not result.missing else f"{result.missing} are missing"
    peak = f"At most {result.peak} tried within {MOMENT_S} s, {result.peak / result.boards:.0%} of the boards"
    return f"{broker}; {back}, the last after {max(result.back, default=0):.1f} s. {peak}."


def problems(result: Storm, limit: float = LIMIT) -> list[str]:
    """What is not as it should be: one line each."""
    found = []
    if result.missing:
        found.append(f"{result.missing} of {result.boards} boards did not come back")
    if result.peak > result.boards * limit:
        found.append(f"{result.peak} of {result.boards} boards tried within {MOMENT_S} s; at most {limit:.0%} should")
    return found


def page(jitter: Storm, fixed: Storm, command: str) -> str:
    """docs/storm.md."""
    longest = max(max(each.per_second(each.attempts)) for each in (jitter, fixed))
    return f"""\
# The reconnect storm

{jitter.boards} boards are online, and their broker is killed; some seconds later it is started again. Each board is a
MicroPython process of its own with the library's defaults, `backoff=(1, 60)`; the broker is mosquitto, all on one
computer. `attempts` counts what the boards tried in this second after the cut, successful or not, and the bar shows it;
`back` counts the boards that came online in it. The first pause is anything up to 1 s, the next anything up to 2 s, and
so on: some boards try twice in the first second.

    {command}

makes both histograms and writes this page.

## As it is

```text
{histogram(jitter, longest)}
```

{textwrap.fill(summary(jitter), 120)}

## Without jitter

The same boards, but every pause is as long as it may be: 1 s, 2 s, 4 s and so on. All try at the same moment, and the
broker's computer lets some of them wait.

```text
{histogram(fixed, longest)}
```

{textwrap.fill(summary(fixed), 120)}
"""


class _Show:
    """A bar on a terminal, elsewhere a line for each part."""

    def __init__(self, console: Console, boards: int) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), "boards online", TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self.bar.add_task("", total=boards)
        self._last = ""

    def __call__(self, what: str, online: int) -> None:
        self.bar.update(self._task, completed=online, description=what)
        if self.bar.disable and what != self._last:
            print(f"storm: {what}", flush=True)
        self._last = what


app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
Boards = Annotated[int, typer.Option("--boards", help="How many.", min=2)]
Away = Annotated[float, typer.Option("--away", help="Seconds between the end of the broker and its start.", min=1)]
Write = Annotated[bool, typer.Option("--write", help="Write docs/storm.md.")]


@app.command()
def main(boards: Boards = 500, away: Away = 5.0, write: Write = False) -> None:
    """Cut off many boards at once, with jitter and without. Exit code 1: one is missing, or too many came at once."""
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no board is to outlive us
    show = _Show(console, boards)
    results = []
    try:
        with tempfile.TemporaryDirectory(prefix="fieldmqtt-storm-") as folder, show.bar:
            library = compiled(Path(folder))
            for jitter in (True, False):
                show("with jitter" if jitter else "without jitter", 0)
                options = {"away": away, "backoff": _BACKOFF, "jitter": jitter}
                results.append(storm(toolchain.micropython(), library, boards, show=show, **options))
    except (toolchain.ToolchainMissing, BrokerError, FleetError) as error:
        typer.echo(f"storm: {error}", err=True)
        raise typer.Exit(1) from None
    jitter, fixed = results
    text = page(jitter, fixed, f".venv/bin/python tests/long/storm.py --boards {boards} --away {away:g} --write")
    typer.echo(text)
    if write:
        _DOC.write_text(text, encoding="utf-8")
        typer.echo(f"storm: written to {_DOC.relative_to(toolchain.ROOT)}")
    for problem in problems(jitter):
        typer.echo(f"storm: {problem}", err=True)
    raise typer.Exit(bool(problems(jitter)))


if __name__ == "__main__":
    app()
