"""How a fleet is shown: live on a terminal, as lines elsewhere, and as a summary at the end."""

import math
import time
from dataclasses import dataclass

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tools.fleet_figures import MOMENT_S, Percentiles, Storm, Usage
from tools.fleet_run import Plan, Result, Run
from tools.monitor_view import sparkline

_BAR = 40
_SECONDS = 60  # of a storm, the last ones, in one line
_NO_FIGURES = "not known here"


@dataclass
class Now:
    """What there is to see at one moment. `cpu`: of one CPU, since the last look; None: not known."""

    plan: Plan
    where: str  # the broker
    phase: str = "starting"
    phase_s: float = 0.0
    connected: int = 0
    per_second: float = 0.0
    received: int = 0
    twice: int = 0
    latency: Percentiles | None = None
    reconnects: int = 0
    boards: Usage | None = None
    boards_cpu: float | None = None
    broker: Usage | None = None
    broker_cpu: float | None = None
    storm: Storm | None = None


def now(run: Run) -> Now:
    """Of a run that goes on."""
    first, last = run.samples[0], run.samples[-1]
    per_second, latency = run.arrivals.recent(time.time())
    seconds = last.at - first.at
    return Now(
        run.plan,
        run.where,
        run.phase,
        time.monotonic() - run.phase_began,
        len(run.boards.online),
        per_second,
        run.arrivals.received,
        run.arrivals.twice,
        latency,
        run.reconnects(),
        last.boards,
        _cpu(first.boards, last.boards, seconds),
        last.broker,
        _cpu(first.broker, last.broker, seconds),
        run.result.storm,
    )


def picture(seen: Now) -> Group:
    """For a terminal."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_row("boards", _connected(seen))
    table.add_row("messages", f"{seen.per_second:,.1f} a second, {seen.received:,} in all, {seen.twice:,} twice")
    table.add_row("latency", f"{_latency(seen.latency)} [dim](the last 10 s)[/]")
    table.add_row("reconnects", f"{seen.reconnects:,}")
    table.add_row("boards use", _used(seen.boards, seen.boards_cpu, each=True))
    table.add_row("broker uses", _used(seen.broker, seen.broker_cpu))
    if seen.storm:
        table.add_row("storm", storm_line(seen.storm))
        for what, times in (("attempts", seen.storm.attempts), ("back", seen.storm.back)):
            table.add_row("", f"[cyan]{sparkline(seen.storm.per_second(times), _SECONDS)}[/] {what} in each second")
    each = f"{seen.plan.rate:g} messages a minute each"
    title = (
        f"[bold]{seen.plan.boards} boards[/], {each}, to the broker at {seen.where}: {seen.phase}, {seen.phase_s:.0f} s"
    )
    end = f"{seen.plan.seconds:g} s of publishing, then it ends." if seen.plan.seconds else "Ctrl-C ends it."
    return Group(Text.from_markup(title), table, Text(end, style="dim"))


def line(seen: Now) -> str:
    """For those who cannot see the picture."""
    return (
        f"fleet: {seen.phase}: {seen.connected} of {seen.plan.boards} connected, "
        f"{seen.per_second:.1f} messages a second, {_latency(seen.latency)}, {seen.reconnects} reconnects"
    )


def storm_line(storm: Storm) -> str:
    """In one sentence."""
    if storm.returned is None:
        return "the broker is away"
    back = f"all {storm.boards} are back" if not storm.missing else f"{len(storm.back)} of {storm.boards} are back"
    last = f", the last after {max(storm.back):.1f} s" if storm.back else ""
    return (
        f"the broker was there again after {storm.returned:.1f} s; {back}{last}; "
        f"at most {storm.peak} tried within {MOMENT_S} s"
    )


def histogram(storm: Storm) -> str:
    """Each second from the cut on: how many attempts to connect there were, how many boards came back."""
    counts = list(zip(storm.per_second(storm.attempts), storm.per_second(storm.back), strict=True))
    longest = max(1, *(tried for tried, _ in counts))
    lines = ["second  attempts  back"]
    for second, (tried, back) in enumerate(counts):
        lines.append(f"{second:>6}  {tried:>8}  {back:>4}  {'#' * math.ceil(tried * _BAR / longest)}".rstrip())
    return "\n".join(lines)


def summary(result: Result) -> str:
    """What a run has shown, as plain lines."""
    plan, costs = result.plan, result.costs
    lines = [
        f"connected   {result.connected} of {plan.boards} boards, all after {result.start_s:.1f} s; "
        f"{result.reconnects} reconnects",
        f"messages    {result.received:,} received, {result.lost} lost, {result.twice} twice, {result.refused} refused "
        f"by full outboxes; {result.payload:.0f} bytes each",
    ]
    if result.latency:
        rate = result.calm_received / result.calm_s
        lines.append(f"latency     {_latency(result.latency)}, at {rate:.1f} messages a second")
    if costs.board_kb is not None and costs.board_ms is not None:
        lines.append(f"each board  {costs.board_kb:.0f} KB (PSS), {costs.board_ms:.2f} ms of CPU a second")
    if costs.broker_kb is not None and costs.connection_kb is not None:
        lines.append(f"broker      {costs.broker_kb:,.0f} KB (PSS), {costs.connection_kb:.1f} KB a connection")
    if costs.message_ms is not None and costs.connection_ms is not None:
        lines.append(
            f"its CPU     {costs.message_ms:.3f} ms a message, {costs.connection_ms:.2f} ms to connect a board"
        )
    if result.storm:
        lines += [f"storm       {storm_line(result.storm)}", histogram(result.storm)]
    if result.storm_latency:
        lines.append(f"meanwhile   {_latency(result.storm_latency)}")
    return "\n".join([*lines, *(f"fleet: {problem}" for problem in result.problems())])


def _connected(seen: Now) -> Table:
    row = Table.grid(padding=(0, 1))
    colour = "green" if seen.connected == seen.plan.boards else "yellow"
    bar = ProgressBar(seen.plan.boards, seen.connected, width=_BAR, complete_style=colour, finished_style=colour)
    row.add_row(f"[{colour}]{seen.connected}[/] of {seen.plan.boards} connected", bar)
    return row


def _latency(found: Percentiles | None) -> str:
    if found is None:
        return "no latency yet"
    each = (("p50", found.p50), ("p95", found.p95), ("p99", found.p99), ("max", found.max))
    return "  ".join(f"{name} {_milliseconds(value)}" for name, value in each) + " ms"


def _milliseconds(seconds: float) -> str:
    ms = seconds * 1000
    return f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"


def _cpu(first: Usage | None, last: Usage | None, seconds: float) -> float | None:
    """Of one CPU; None also when a process has ended meanwhile, and its time is gone with it."""
    if not (first and last and seconds) or last.cpu_s < first.cpu_s:
        return None
    return (last.cpu_s - first.cpu_s) / seconds


def _used(used: Usage | None, cpu: float | None, each: bool = False) -> str:
    if used is None:
        return f"[dim]{_NO_FIGURES}[/]"
    text = f"{used.memory_kb / 1024:,.1f} MB (PSS)"
    if each:
        text += f", {used.memory_kb / used.processes:,.0f} KB each"
    return text if cpu is None else f"{text}, {cpu:.1%} of a CPU"
