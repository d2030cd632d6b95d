"""What the monitor knows, from messages alone. Whoever can publish can send anything: nothing of it is trusted.

Texts lose everything that a terminal would obey, sizes and numbers of everything kept have bounds.
"""

import json
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

MAX_PAYLOAD = 16384
MAX_BOARDS = 1000
MAX_VALUES = 24  # of one reading
HISTORY = 60  # readings, for the sparklines
_MAX_TEXT = 200
_MAX_DEPTH = 4
_KINDS = ("reading", "state", "result")

Event = dict[str, Any]


def clean(value: object, most: int = _MAX_TEXT) -> str:
    """A text that can be shown: what is not printable (escape sequences, line ends, marks of direction) is replaced."""
    text = str(value).replace("\t", " ")
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


@dataclass
class Board:
    """One board. `seen_at`: of its last reading, in the caller's time; None before the first."""

    name: str
    state: str = "?"
    reason: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    reading: dict[str, Any] = field(default_factory=dict)
    seen_at: float | None = None
    received: int = 0
    history: dict[str, deque[float]] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Of what runs on it, as far as it says; a line for each."""
        parts = (("version", "fieldmqtt "), ("micropython", "MicroPython "), ("board", ""))
        return "\n".join(word + clean(self.about[name], 24) for name, word in parts if name in self.about)

    @property
    def link(self) -> str:
        """Signal strength where there is WiFi, else the address."""
        link = self.reading.get("link") or self.about.get("link")
        if not isinstance(link, dict):
            return ""
        rssi = link.get("rssi")
        return f"{rssi} dBm" if isinstance(rssi, int | float) else clean(link.get("ip") or "", 40)

    def add_reading(self, reading: dict[str, Any], now: float) -> None:
        """Keep it, and its numbers for the sparklines."""
        self.reading, self.seen_at = reading, now
        self.received += 1
        for name, value in reading.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                if name not in self.history and len(self.history) >= MAX_VALUES:
                    continue
                self.history.setdefault(name, deque(maxlen=HISTORY)).append(float(value))


class Fleet:
    """All boards below one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.boards: dict[str, Board] = {}
        self.ignored = 0  # messages of boards beyond MAX_BOARDS

    def add(self, topic: str, payload: bytes, retained: bool, now: float) -> Event | None:
        """Take in a message; returns what happened, with nothing in it that a terminal would obey. Never raises."""
        name, _, kind = topic.removeprefix(f"{self.prefix}/").rpartition("/")
        if not topic.startswith(f"{self.prefix}/") or not name or kind not in _KINDS:
            return None
        name = clean(name, 64)
        board = self.boards.get(name)
        if board is None:
            if len(self.boards) >= MAX_BOARDS:
                self.ignored += 1
                return None
            board = self.boards[name] = Board(name)
        try:
            value = _parse(payload)
            if kind == "state":
                board.state = clean(value["state"], 16)
                board.reason = clean(value.get("reason", ""), 40)
                board.about = value if board.state == "online" else {**board.about, **value}
            elif kind == "reading":
                board.add_reading(value, now)
        except (ValueError, KeyError) as error:
            said = f"no field {error}" if isinstance(error, KeyError) else str(error)
            return {"event": "malformed", "board": name, "kind": kind, "why": clean(said)}
        return {"event": kind, "board": name, "retained": retained, kind: value}


def _parse(payload: bytes) -> dict[str, Any]:
    """A JSON object, every text in it cleaned. Raises ValueError."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"{len(payload)} bytes; at most {MAX_PAYLOAD} are looked at")
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        raise ValueError(f"not JSON: {clean(payload[:60].decode(errors='replace'), 60)}") from None
    if not isinstance(value, dict):
        raise ValueError("JSON, but no object")
    cleaned: dict[str, Any] = _cleaned(value, 0)
    return cleaned


def _cleaned(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        if depth >= _MAX_DEPTH:
            return "{…}"
        return {clean(name, 40): _cleaned(inner, depth + 1) for name, inner in list(value.items())[: 2 * MAX_VALUES]}
    if isinstance(value, list):
        return "[…]" if depth >= _MAX_DEPTH else [_cleaned(inner, depth + 1) for inner in value[: 2 * MAX_VALUES]]
    if isinstance(value, str):
        return clean(value)
    return _number(value)


def _number(value: Any) -> Any:
    """Numbers that everyone can read; true, false and null as they are."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > 1 << 63:
        return float(value) if abs(value) < 10**300 else None
    return value
