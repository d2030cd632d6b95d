"""`make monitor`: every board of a broker in a live table, and commands to them.

Exit codes: 0; 1 with --seconds when no reading came, with --send when the board did not do it; 2 for what cannot be
meant.
"""

import json
import os
import secrets
import shlex
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live

from tools import monitor_view
from tools.certificates import CertificateError
from tools.monitor_keys import Keys
from tools.monitor_link import Events, Link, Log, Place, place
from tools.monitor_state import Event, Fleet, clean
from tools.provision_schema import SettingError
from tools.provision_target import TargetError

_REFRESH_S = 0.25
_LOOK_S = 2.0  # how often a broker that is away is looked for elsewhere: a new demo has a new port
_ANSWER_S = 10.0
_LOG_LINES = 8
_NEWS_LINES = 4
_HELP = "NAME COMMAND [VALUE]: interval 5, led true, publish, reboot"


class Monitor:
    """Takes in what happens; shows nothing itself. `find` says where the broker is."""

    def __init__(self, broker: str | None, config: Path | None, prefix: str) -> None:
        self._sought = (broker, config, prefix)
        self.events = Events()
        self.link = Link(place(*self._sought), self.events)
        self.fleet = Fleet(self.link.where.prefix)
        self.readings = 0
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self.news: deque[str] = deque(maxlen=_NEWS_LINES)
        self.status = f"Broker {self.link.where}: connecting"
        self._told = ""
        self._look_at = time.monotonic() + _LOOK_S

    def close(self) -> None:
        """Disconnect."""
        self.link.close()

    def step(self) -> list[Event]:
        """What happened since the last call, in at most _REFRESH_S."""
        found = [event for item in self.events.take(_REFRESH_S) if (event := self._event(item))]
        for event in found:
            self._remember(event)
        self._look_elsewhere()
        return found

    def send(self, words: list[str]) -> str:
        """Send NAME COMMAND [VALUE]; returns the id of the request. Raises ValueError."""
        if len(words) not in (2, 3):
            raise ValueError(f"it must be {_HELP}")
        identifier = secrets.token_hex(4)
        self.link.send(words[0], words[1], _value(words[2]) if len(words) == 3 else None, identifier)
        return identifier

    def _event(self, item: Any) -> Event | None:
        if not isinstance(item, dict):
            try:
                topic = item.topic
            except UnicodeDecodeError:  # a broker that lets through what MQTT forbids
                return None
            return self.fleet.add(topic, item.payload, item.retain, time.monotonic())
        if item["event"] != "broker":
            return item
        said = f"{item['state']} {item['broker']}"
        if said == self._told:  # once, not at every attempt
            return None
        self._told = said
        return item

    def _remember(self, event: Event) -> None:
        kind = event["event"]
        if kind == "reading":
            self.readings += 1
        elif kind == "log":
            self.log.append(event["line"])
        elif kind == "broker":
            self.status = f"Broker {event['broker']}: {event['state']}"
            if event["state"] != "connected":
                self.status += f" ({event['why']}); trying again" if event.get("why") else "; trying again"
        elif kind in ("result", "malformed"):
            self.news.append(monitor_view.what(event))

    def _look_elsewhere(self) -> None:
        """While the demo's broker is away there may be a new one, on another port."""
        if self.link.connected or any(self._sought[:2]) or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_S
        where = place(*self._sought)
        if where != self.link.where:
            self.link.close()
            self.link = Link(where, self.events)


def _value(word: str) -> Any:
    """JSON where it is JSON, else the word."""
    try:
        return json.loads(word)
    except ValueError:
        return word


def _show_lines(monitor: Monitor, end: float | None, as_json: bool) -> None:
    while end is None or time.monotonic() < end:
        for event in monitor.step():
            now = time.time()
            print(json.dumps({"at": round(now, 3), **event}) if as_json else monitor_view.line(event, now), flush=True)


def _show_live(monitor: Monitor, end: float | None, console: Console) -> None:
    keys = Keys()

    def picture() -> Group:
        prompt = f"> {keys.text}▏" if keys.usable else ""
        hint = f"Ctrl-C ends it. Type {_HELP}" if keys.usable else "Ctrl-C ends it."
        return monitor_view.screen(
            monitor.fleet,
            time.monotonic(),
            status=f"{monitor.status}. {hint}",
            log=monitor.log,
            news=monitor.news,
            prompt=prompt,
            width=console.width,
            dropped=monitor.events.dropped,
        )

    with keys.reading(), Live(picture(), console=console, auto_refresh=False, screen=False) as live:
        while end is None or time.monotonic() < end:
            monitor.step()
            for line in keys.lines():
                _command(monitor, line)
            live.update(picture(), refresh=True)


def _command(monitor: Monitor, line: str) -> None:
    if not line.strip():
        return
    try:
        monitor.send(shlex.split(line))
        monitor.news.append(f"sent: {clean(line)}")
    except ValueError as error:
        monitor.news.append(clean(error))


def _send(monitor: Monitor, words: list[str], as_json: bool) -> int:
    """Send one command and wait for the answer."""
    deadline = time.monotonic() + _ANSWER_S
    identifier = None
    while time.monotonic() < deadline:
        for event in monitor.step():
            answer = event.get("result", {})
            if event["event"] == "result" and identifier and answer.get("id") == identifier:
                print(json.dumps(answer) if as_json else monitor_view.what(event))
                return 0 if answer.get("ok") is True else 1
        if identifier is None and monitor.link.connected:
            identifier = monitor.send(words)
    known = ", ".join(monitor.fleet.boards) or "none"
    print(
        f"{monitor.status}. No answer from {clean(words[0])} within {_ANSWER_S:g} s; boards heard of: {known}",
        file=sys.stderr,
    )
    return 1


def _run(monitor: Monitor, console: Console, seconds: float | None, as_json: bool) -> int:
    end = None if seconds is None else time.monotonic() + seconds
    with suppress(KeyboardInterrupt):
        if as_json or not console.is_terminal:
            _show_lines(monitor, end, as_json)
        else:
            _show_live(monitor, end, console)
    return 0 if seconds is None or monitor.readings else 1


def _checked(send: bool, words: list[str], where: Place) -> None:
    if send != bool(words) or (send and len(words) not in (2, 3)):
        raise ValueError(f"commands are sent by --send {_HELP}")
    if set(where.prefix) & set("+#\0") or not where.prefix:
        raise ValueError("--prefix: what the topics of the boards begin with, without wildcards")


def main(
    words: Annotated[list[str] | None, typer.Argument(metavar="[NAME COMMAND [VALUE]]", help="With --send.")] = None,
    broker: Annotated[str | None, typer.Option(help="HOST or HOST:PORT; the demo's unless given.")] = None,
    config: Annotated[Path | None, typer.Option(help="Connect as this config.json says, with its TLS.")] = None,
    prefix: Annotated[str, typer.Option(help="What the topics of the boards begin with.")] = "fieldmqtt",
    port: Annotated[str | None, typer.Option(help="Show the log of the board at this port too.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send a command to a board and wait for its answer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each event.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")] = None,
) -> None:
    """Show what every board of a broker says, live."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _checked(send, words or [], place(broker, config, prefix))
        monitor = Monitor(broker, config, prefix)
    except (SettingError, CertificateError, TargetError, ValueError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    log = Log(port, monitor.events) if port else None
    try:
        code = _send(monitor, words, as_json) if words else _run(monitor, Console(), seconds, as_json)
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except ValueError as error:
        print(error, file=sys.stderr)
        code = 2
    finally:
        monitor.close()
        if log:
            log.close()
    raise typer.Exit(code)
