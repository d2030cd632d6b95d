"""Arbitrary input for the decoder and for whole sessions, guided by what it reaches: see engine.py."""

import gc
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(_TESTS), str(_TESTS.parent / "lib"), str(_TESTS / "stubs")]

from fuzz import corpora  # noqa: E402
from fuzz.engine import Coverage, Fuzzer, Hang, name_of  # noqa: E402

_NAMES = " or ".join(corpora.TARGETS)
_TURN_S = 0.5  # the targets take turns
_REPORT_S = 10  # between two lines where there is no terminal

Fuzzers = dict[str, Fuzzer]


def _table(fuzzers: Fuzzers, spent: dict[str, float]) -> Table:
    table = Table("target", "executions", "per second", "edges", "corpus", "findings")
    for column in table.columns[1:]:
        column.justify = "right"
    for target, fuzzer in fuzzers.items():
        rate = fuzzer.executions / max(spent[target], 0.001)
        numbers = (fuzzer.executions, round(rate), len(fuzzer.edges), len(fuzzer.corpus), len(fuzzer.findings))
        table.add_row(target, *map(str, numbers))
    return table


def _plain(fuzzers: Fuzzers, spent: dict[str, float]) -> str:
    return "; ".join(
        f"{target}: {fuzzer.executions} executions, {fuzzer.executions / max(spent[target], 0.001):.0f}/s, "
        f"{len(fuzzer.edges)} edges, corpus {len(fuzzer.corpus)}, {len(fuzzer.findings)} findings"
        for target, fuzzer in fuzzers.items()
    )


def _fuzz(console: Console, fuzzers: Fuzzers, seconds: float) -> None:
    spent = dict.fromkeys(fuzzers, 0.0)
    end = time.monotonic() + seconds
    report = time.monotonic() + _REPORT_S
    with Live(_table(fuzzers, spent), console=console, auto_refresh=False, transient=True) as live:
        while time.monotonic() < end:
            for target, fuzzer in fuzzers.items():
                began = time.monotonic()
                while time.monotonic() < min(began + _TURN_S, end):
                    fuzzer.step()
                spent[target] += time.monotonic() - began
            if console.is_terminal:
                live.update(_table(fuzzers, spent), refresh=True)
            elif time.monotonic() > report:
                print(_plain(fuzzers, spent), flush=True)
                report += _REPORT_S
    console.print(_table(fuzzers, spent)) if console.is_terminal else print(_plain(fuzzers, spent))


def _report(target: str, fuzzer: Fuzzer) -> None:
    """Shrink what was found, add it to the corpus, say how to see it again."""
    remarks = corpora.load(target)
    for name, data in fuzzer.findings.items():
        print(f"{target}: {name}", flush=True)
        shortest = fuzzer.shrink(data)
        if not remarks.get(shortest):
            remarks[shortest] = name
        print(f"  .venv/bin/python tests/fuzz/fuzz.py --replay {target}:{shortest.hex()}")
        corpora.store(target, remarks, remarks)


def _replay(text: str) -> None:
    target, _, data = text.partition(":")
    if target not in corpora.TARGETS or not re.fullmatch("([0-9a-f]{2})*", data):
        raise typer.BadParameter(f"replay: {_NAMES}, a colon, the input as hex")
    try:
        with Coverage():  # which ends what hangs
            corpora.TARGETS[target](bytes.fromhex(data))
    except (Exception, Hang) as error:
        print(name_of(error), file=sys.stderr)
        raise
    print("nothing wrong")


Seconds = Annotated[float, typer.Option(min=0, help="How long, all targets together.")]
Seed = Annotated[int | None, typer.Option(help="Where the random numbers begin; chosen and printed unless given.")]
Target = Annotated[str | None, typer.Option(help=f"{_NAMES}; all unless given.")]
Replay = Annotated[str | None, typer.Option(metavar="TARGET:HEX", help="Run one input and nothing else.")]
Save = Annotated[bool, typer.Option("--save", help="Replace the corpus by the shortest that reaches as much.")]


app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    seconds: Seconds = 60, seed: Seed = None, target: Target = None, replay: Replay = None, save: Save = False
) -> None:
    """Look for input that breaks a promise. Exit code 1: found, added to the corpus, and printed how to see it."""
    if replay:
        return _replay(replay)
    if target and target not in corpora.TARGETS:
        raise typer.BadParameter(f"target: {_NAMES}")
    seed = SystemRandom().randrange(1 << 32) if seed is None else seed
    console = Console()
    print(f"seed {seed}", flush=True)
    gc.freeze()  # each connection of the library collects garbage; it need not look at the modules every time
    fuzzers = {
        name: Fuzzer(check, corpora.load(name), seed)
        for name, check in corpora.TARGETS.items()
        if target in (None, name)
    }
    with suppress(KeyboardInterrupt):  # what was found until then is told
        _fuzz(console, fuzzers, seconds)
    for name, fuzzer in fuzzers.items():
        if save:
            remarks = corpora.load(name)
            kept = [data for data, remark in remarks.items() if remark]
            corpora.store(name, fuzzer.smallest(kept), remarks)
        _report(name, fuzzer)
    if any(fuzzer.findings for fuzzer in fuzzers.values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
