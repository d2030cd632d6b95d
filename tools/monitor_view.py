"""How the monitor shows what it knows: a table for terminals, a line for each event elsewhere."""

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tools.monitor_state import Board, Event, Fleet, clean

_BARS = "▁▂▃▄▅▆▇█"
_SPARK = 24
_NARROW = 66  # columns that all but the sparklines need
_SHOWN_VALUES = 8
_NOT_SHOWN = ("seq", "t", "link", "uptime")
_ONLY_IF_ANY = ("errors", "refused")
_COLOURS = {"online": "green", "offline": "red"}
_LATE_S = 60


def sparkline(values: Sequence[float], width: int = _SPARK) -> str:
    """The last values as bars between their least and their greatest."""
    shown = list(values)[-width:]
    if not shown:
        return ""
    least, span = min(shown), max(shown) - min(shown)
    if not 0 < span < float("inf"):
        return _BARS[3] * len(shown)
    return "".join(_BARS[min(7, int((value - least) / span * 8))] for value in shown)


def table(fleet: Fleet, now: float, width: int = 120) -> Table:
    """One row for each board, on a terminal of so many columns."""
    made = Table("board", "state", "last reading", "age", "link", "version", box=SIMPLE_HEAD, padding=0, expand=True)
    made.columns[2].ratio = 1
    for name, board in sorted(fleet.boards.items()):
        state = Text(board.state, style=_COLOURS.get(board.state, "yellow"))
        if board.state == "offline" and board.reason:
            state.append(f"\n{'last will' if board.reason == 'lost' else board.reason}", style="dim")
        age = "" if board.seen_at is None else _age(now - board.seen_at)
        late = board.seen_at is not None and now - board.seen_at > _LATE_S
        made.add_row(
            Text(name),
            state,
            _values(board, max(6, min(_SPARK, width - _NARROW))),
            Text(age, style="red" if late else ""),
            Text(board.link),
            Text(board.version),
        )
    return made


def _values(board: Board, spark: int) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    for _ in range(3):
        grid.add_column(no_wrap=True)
    shown = [item for item in board.reading.items() if item[0] not in _NOT_SHOWN]
    shown = [(name, value) for name, value in shown if value or name not in _ONLY_IF_ANY]
    for name, value in shown[:_SHOWN_VALUES]:
        line = sparkline(board.history.get(name, ()), spark)
        grid.add_row(Text(name, style="dim"), Text(_figure(value), justify="right"), Text(line, style="cyan"))
    if len(shown) > _SHOWN_VALUES:
        grid.add_row(Text(f"and {len(shown) - _SHOWN_VALUES} more", style="dim"))
    return grid


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _figure(value: Any) -> str:
    """A value for the table: large numbers with four digits and their power of ten."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
            if abs(value) >= size:
                return f"{value / size:.4g} {letter}"
    return short(value, 20)


def short(value: Any, most: int = 40) -> str:
    """A value in few letters."""
    text = value if isinstance(value, str) else json.dumps(value)
    return clean(text, most)


def screen(
    fleet: Fleet,
    now: float,
    *,
    status: str,
    log: Iterable[str],
    news: Iterable[str],
    prompt: str,
    width: int,
    dropped: int = 0,
) -> Group:
    """The whole: where the broker is, the boards, the log of the board at the port, what happened, the prompt.

    `dropped`: how many messages came faster than they could be taken in.
    """
    parts: list[RenderableType] = [Text(status, style="dim"), table(fleet, now, width)]
    if not fleet.boards:
        parts.append(Text("No board has said anything yet. In another terminal: make demo", style="yellow"))
    if lines := list(log):
        parts.append(Panel(Text("\n".join(lines)), title="log", title_align="left", border_style="dim"))
    parts += [Text(line) for line in news]
    if fleet.ignored:
        parts.append(Text(f"{fleet.ignored} messages of more boards than can be shown", style="red"))
    if dropped:
        parts.append(Text(f"{dropped} messages came faster than they can be shown", style="red"))
    return Group(*parts, Text(prompt))


def line(event: Event, at: float) -> str:
    """An event for those who cannot see the table."""
    return f"{time.strftime('%H:%M:%S', time.localtime(at))} {what(event)}"


def what(event: Event) -> str:
    """An event in words."""
    kind, name = event["event"], event.get("board", "")
    if kind == "reading":
        values = event["reading"].items()
        return f"{name} reading " + " ".join(f"{key}={short(value)}" for key, value in values if key not in _NOT_SHOWN)
    if kind == "state":
        state = event["state"]
        return f"{name} state {state['state']}" + (f" ({state['reason']})" if state.get("reason") else "")
    if kind == "result":
        return f"{name} result {short(event['result'], 200)}"
    if kind == "malformed":
        return f"{name} {event['kind']}: {event['why']}"
    if kind == "log":
        return f"{event['port']} | {event['line']}"
    return f"{kind} " + " ".join(str(value) for key, value in event.items() if key != "event")
