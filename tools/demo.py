"""`make demo`: a sensor board made of this computer publishes to a local broker, shown live."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import paho.mqtt.client as paho
import typer
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from tools.broker import Broker, BrokerError, local_broker
from tools.device import Device
from tools.monitor_find import announced
from tools.paho_client import leave
from tools.toolchain import ToolchainMissing

PREFIX = "fieldmqtt"
_INTERVAL_S = 1
_REFRESH_S = 0.1
_GOODBYE_S = 2
_PATIENCE_S = 15  # without a reading for so long after the start, something is wrong
_REMEMBERED = 1000  # readings by which one that comes again is known; a board resends far fewer
_NOT_SHOWN = ("seq", "t", "link")

Seconds = Annotated[float | None, typer.Option(min=1, help="End after so many seconds; without it Ctrl-C ends it.")]


class Board:
    """What is known about one board, from its messages alone."""

    def __init__(self) -> None:
        self.state = "?"
        self.received = 0
        self.last: dict[str, Any] = {}
        self.seen_at = 0.0
        # Of this run of the board, from one start to the next.
        self._lost_before = 0
        self._first = self._highest = self._count = 0
        self._seen: dict[int, dict[str, Any]] = {}  # seq -> reading, the last _REMEMBERED

    @property
    def lost(self) -> int:
        """Readings that are missing between the first and the last, over all runs."""
        return self._lost_before + (self._highest - self._first + 1 - self._count if self._count else 0)

    def add(self, reading: dict[str, Any]) -> None:
        """Count a reading, once: at QoS 1 it may come again, and later than those after it."""
        seq = int(reading["seq"])
        self.seen_at = time.monotonic()
        if self._seen.get(seq) == reading:
            return
        if not self._seen or self._is_new_run(seq, reading):
            self._lost_before = self.lost
            self._first, self._highest, self._count, self._seen = seq, seq, 0, {}
        self._seen[seq] = reading
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._count += 1
        self.received += 1
        if seq >= self._highest:
            self._highest, self.last = seq, reading

    def _is_new_run(self, seq: int, reading: dict[str, Any]) -> bool:
        """A board that starts again counts `seq` from 0, and its `uptime` falls."""
        if seq > self._highest:
            return bool(reading.get("uptime", 0) < self.last.get("uptime", 0))
        return seq in self._seen or seq < next(iter(self._seen))


class Watcher:
    """Subscribes to every board below PREFIX and keeps what they say."""

    def __init__(self, port: int) -> None:
        self.boards: dict[str, Board] = {}
        self.news: list[str] = []  # lines for those who cannot see the table
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="fieldmqtt-demo")
        self._client.on_connect = lambda client, *_: client.subscribe(f"{PREFIX}/#", qos=1)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        """Disconnect."""
        leave(self._client)

    @property
    def received(self) -> int:
        """Readings of all boards."""
        return sum(board.received for board in self.boards.values())

    @property
    def lost(self) -> int:
        """Gaps in the sequence numbers of all boards."""
        return sum(board.lost for board in self.boards.values())

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        name, _, kind = message.topic.removeprefix(f"{PREFIX}/").partition("/")
        board = self.boards.setdefault(name, Board())
        text = message.payload.decode(errors="replace")
        try:
            if kind == "reading":
                board.add(json.loads(text))
            elif kind == "state":
                board.state = _state(text)
            else:
                return
        except (ValueError, TypeError, KeyError) as error:
            text = f"{text}   (not understood: {error})"
        self.news.append(f"{name} {kind}: {text}")


def _state(text: str) -> str:
    """The state is a word, or JSON with a field of that name."""
    if not text.startswith("{"):
        return text.strip('"')
    return str(json.loads(text)["state"])


def _table(watcher: Watcher) -> Table:
    table = Table("board", "state", "last reading", "age", "received", "lost", title="Readings", expand=True)
    for name, board in sorted(watcher.boards.items()):
        colour = {"online": "green", "offline": "red"}.get(board.state, "yellow")
        shown = "  ".join(f"[dim]{escape(key)}[/] {escape(_short(value))}" for key, value in _fields(board.last))
        age = f"{time.monotonic() - board.seen_at:.1f} s" if board.seen_at else ""
        counts = f"{board.received}", f"[{'red' if board.lost else 'dim'}]{board.lost}[/]"
        table.add_row(escape(name), f"[{colour}]{escape(board.state)}[/]", shown, age, *counts)
    return table


def _fields(reading: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in reading.items() if key not in _NOT_SHOWN)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else text[:39] + "…"


def config(port: int) -> dict[str, Any]:
    """config.json of the device."""
    return {
        "name": "demo",
        "mqtt": {"server": "127.0.0.1", "port": port, "prefix": PREFIX},
        "interval": _INTERVAL_S,
    }


@contextmanager
def _screen(console: Console, watcher: Watcher, hint: str) -> Iterator[Callable[[], None]]:
    """Gives a function that shows what is new: a live table on a terminal, lines elsewhere."""

    def print_news() -> None:
        while watcher.news:
            print(watcher.news.pop(0), flush=True)

    if not console.is_terminal:
        yield print_news
        print_news()
        return
    with Live(console=console, refresh_per_second=4) as live:

        def update() -> None:
            watcher.news.clear()
            live.update(Group(_table(watcher), f"[dim]{hint}[/]"))

        yield update
        update()


def _watch(watcher: Watcher, device: Device, seconds: float | None, show: Callable[[], None]) -> None:
    """Until the time is up, Ctrl-C, or nothing is to be hoped for."""
    began = time.monotonic()
    while device.running:
        show()
        passed = time.monotonic() - began
        if (seconds and passed >= seconds) or (passed > _PATIENCE_S and not watcher.received):
            return
        time.sleep(_REFRESH_S)


def _say_goodbye(watcher: Watcher, device: Device) -> None:
    """Stop the device, and wait for its last message."""
    device.stop()
    deadline = time.monotonic() + _GOODBYE_S
    while any(board.state == "online" for board in watcher.boards.values()) and time.monotonic() < deadline:
        time.sleep(_REFRESH_S)


def _explain(device: Device, broker: Broker) -> None:
    """Nothing arrived: say what is known, and what to try."""
    print("No reading arrived. The last lines of the device:")
    print("\n".join(f"  {line}" for line in device.lines[-15:]) or "  (none)")
    print("The last lines of the broker:")
    print("\n".join(f"  {line}" for line in broker.log().splitlines()[-5:]) or "  (none)")
    print("To try: `make test` shows what does not work here; DEMO_SECONDS=60 gives a slow computer more time.")


def _run(console: Console, seconds: float | None) -> tuple[int, int]:
    """Run the demo; returns how many readings were received, and lost."""
    with local_broker() as broker, announced(broker.port):
        if broker.name != "mosquitto":
            console.print("There is no mosquitto here: the demo uses the embedded broker amqtt.")
        console.print(f"Broker {broker.name} at {broker.url}; topics {PREFIX}/#", highlight=False)
        end = f"Ends after {seconds:g} s." if seconds else "Ctrl-C ends it."
        hint = f"{end} In another terminal: make monitor, or any MQTT client: 127.0.0.1 port {broker.port}, {PREFIX}/#"
        watcher = Watcher(broker.port)
        with Device(config(broker.port)) as device:
            with _screen(console, watcher, hint) as show:
                with suppress(KeyboardInterrupt):
                    _watch(watcher, device, seconds, show)
                _say_goodbye(watcher, device)
            if not watcher.received:
                _explain(device, broker)
        watcher.close()
    return watcher.received, watcher.lost


def main(seconds: Seconds = None) -> None:
    """Show a sensor board on this computer publishing to a local broker."""
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # broker and device must end with us
    try:
        received, lost = _run(console, seconds)
        print(f"demo: {received} readings received, {lost} lost", flush=True)
    except BrokenPipeError:  # such as `make demo | head`: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None
    except (ToolchainMissing, BrokerError, OSError) as error:
        print(error)
        raise typer.Exit(1) from None
    raise typer.Exit(0 if received else 1)
