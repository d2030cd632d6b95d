"""`make fleet`: many virtual boards against one broker, live; what they cost, and what a storm does to them.

Exit codes: 0; 1 when a board was not connected or a message at QoS 1 was lost; 2 for what cannot be meant.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from tools import fleet_measure, fleet_view
from tools.broker import BrokerError
from tools.fleet_boards import FleetError
from tools.fleet_run import Plan, Result, Run, fleet
from tools.monitor_link import place
from tools.toolchain import ToolchainMissing

_RATES = (0.05, 600.0)  # messages per minute, as the firmware's interval allows
_REFRESH_S = 0.25
_LINE_S = 2.0


@contextmanager
def _shown(console: Console, quiet: bool) -> Iterator[Callable[[Run], None]]:
    """Gives a function that shows a run: a picture on a terminal, lines elsewhere, nothing when quiet."""
    due, phase = 0.0, ""

    def lines(run: Run) -> None:
        nonlocal due, phase
        if not quiet and (time.monotonic() >= due or run.phase != phase):
            due, phase = time.monotonic() + _LINE_S, run.phase
            print(fleet_view.line(fleet_view.now(run)), flush=True)

    if quiet or not console.is_terminal:
        yield lines
        return
    with Live(console=console, auto_refresh=False) as live:

        def draw(run: Run) -> None:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + _REFRESH_S
                live.update(fleet_view.picture(fleet_view.now(run)), refresh=True)

        yield draw


def _run(plan: Plan, console: Console, as_json: bool) -> Result:
    with fleet(plan) as run, _shown(console, as_json) as show:
        result = run.run(show)
    print(json.dumps(result.as_json()) if as_json else fleet_view.summary(result), flush=True)
    if result.problems() and run.boards.said:
        typer.echo("\n  ".join(["fleet: the boards said last:", *run.boards.said]), err=True)
    return result


def _measure(counts: list[int], plan: Plan, console: Console, as_json: bool, write: bool) -> list[str]:
    """Every count, without TLS and with it. Returns what went wrong."""
    results = []
    for one in fleet_measure.plans(counts, plan.rate, plan.seconds):
        if not as_json:
            what = f"{'with' if one.tls else 'without'} TLS{', a storm' if one.storm else ''}"
            print(f"fleet: {one.boards} boards {what}", flush=True)
        results.append(_run(one, console, as_json))
        if results[-1].interrupted:
            raise KeyboardInterrupt
    asked = f" --rate {plan.rate:g}" * (plan.rate != fleet_measure.RATE)
    asked += f" --seconds {plan.seconds:g}" if plan.seconds else ""
    command = f".venv/bin/python -m tools fleet {','.join(map(str, counts))}{asked} --write"
    parts = fleet_measure.page_parts(results, command)
    if not as_json:
        print("\n".join(("", parts["measured"], "", parts["arithmetic"])), flush=True)
    if write:
        fleet_measure.write(parts)
        typer.echo(f"fleet: written to {fleet_measure.DOC.name}", err=True)
    return [problem for result in results for problem in result.problems()]


def _end_in_good_order() -> None:
    """SIGTERM and SIGHUP are as Ctrl-C: nothing that we have started is to outlive us."""

    def hung_up(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # a terminal may say so twice, which would cut short what ends here
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else it is to outlive its terminal, as with nohup
        signal.signal(signal.SIGHUP, hung_up)


def _counts(text: str) -> list[int]:
    """Raises ValueError."""
    if not all(part.isdecimal() and int(part) for part in text.split(",")):
        raise ValueError(f"{text}: it must be a number of boards, or several such as 50,100,200,500")
    return [int(part) for part in text.split(",")]


def _checked(counts: list[int], plan: Plan, write: bool) -> None:
    """Raises ValueError for what cannot be meant."""
    if not _RATES[0] <= plan.rate <= _RATES[1]:
        raise ValueError(f"--rate {plan.rate:g}: it must be {_RATES[0]:g} to {_RATES[1]:g} messages per minute")
    if plan.broker and plan.storm:
        raise ValueError("--storm kills the local broker; stop and start your own by hand: the view shows who is back")
    if plan.broker and plan.tls:
        raise ValueError("--tls is for the local broker, whose certificate is made here")
    if len(counts) > 1 and (plan.broker or plan.storm or plan.tls):
        raise ValueError("several numbers of boards are measured with the local broker, without and with TLS, in peace")
    if write and len(counts) < 2:
        raise ValueError("--write needs several numbers of boards, such as 50,100,200,500")


def main(
    boards: Annotated[str, typer.Argument(help="How many; several, such as 50,100,200,500, are measured in turn.")],
    storm: Annotated[bool, typer.Option("--storm", help="Kill the broker, and start it again after 5 s.")] = False,
    seconds: Annotated[float | None, typer.Option(min=1, help="Publish for so long, then end; else Ctrl-C.")] = None,
    broker: Annotated[str | None, typer.Option(help="HOST:PORT of a broker that lets everybody in.")] = None,
    rate: Annotated[float | None, typer.Option(help="Messages per board per minute; 6, when measured 60.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="The local broker and the boards speak TLS.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Only the summary, as one JSON object.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Put what is measured into docs/fleet.md.")] = False,
) -> None:
    """Let many virtual boards publish to one broker, and show how all of them fare."""
    _end_in_good_order()
    sys.setswitchinterval(0.0005)  # the thread that takes the time of arrivals does not wait for the one that draws
    console = Console()
    try:
        counts = _counts(boards)
        where = place(broker, None, "") if broker else None
        if rate is None:
            rate = fleet_measure.RATE if len(counts) > 1 else Plan.rate
        plan = Plan(counts[0], rate, seconds, storm, tls=tls, broker=(where.host, where.port) if where else None)
        _checked(counts, plan, write)
    except ValueError as error:
        typer.echo(f"fleet: {error}", err=True)
        raise typer.Exit(2) from None
    try:
        if len(counts) > 1:
            problems = _measure(counts, plan, console, as_json, write)
        else:
            problems = _run(plan, console, as_json).problems()
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        problems = []
    except (ToolchainMissing, BrokerError, FleetError, OSError, ValueError) as error:
        typer.echo(f"fleet: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:  # while it was prepared, or a second one
        problems = ["ended before all was done; what it had started has ended too"]
        typer.echo(f"fleet: {problems[0]}", err=True)
    raise typer.Exit(1 if problems else 0)
