"""`python -m tools monitor` with a real broker and the real firmware; and with those who publish anything."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from support.dialogue import Dialogue
from support.mosquitto import listener
from support.vboard import VirtualBoard
from tools import monitor, monitor_find, monitor_link, monitor_view, toolchain
from tools.broker import Broker, free_port
from tools.device import Device
from tools.monitor_keys import Keys
from tools.monitor_link import Events
from tools.monitor_state import HISTORY, MAX_BOARDS, MAX_PAYLOAD, Fleet, clean

_COMMAND = [sys.executable, "-m", "tools", "monitor"]
_WAIT_S = 40.0


def config(port: int, **changes: Any) -> dict[str, Any]:
    return {"name": "shed", "interval": 0.3, **changes, "mqtt": {"server": "127.0.0.1", "port": port, "flash": 0}}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*_COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=toolchain.ROOT, capture_output=True, text=True, timeout=60)


def told_until(wanted: Callable[[str], bool], *arguments: object) -> str:
    """What it prints until this holds of all of it; then Ctrl-C, which ends it with code 0."""
    command = [*_COMMAND, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=toolchain.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    guard = threading.Timer(_WAIT_S, process.kill)
    guard.start()
    told = ""
    try:
        assert process.stdout
        for line in process.stdout:
            told += line
            if wanted(told):
                process.send_signal(signal.SIGINT)
                break
        told += process.stdout.read()
        assert process.wait(_WAIT_S) == 0, told
    finally:
        guard.cancel()
        process.kill()
        process.stdout.close()
    return told


def picture(fleet: Fleet, now: float, **parts: Any) -> str:
    """What a terminal of 120 columns shows."""
    console = Console(record=True, width=120, file=io.StringIO())
    parts = {"status": "", "log": [], "news": [], "prompt": "", "width": 120, **parts}
    console.print(monitor_view.screen(fleet, now, **parts))
    return console.export_text()


def feed(fleet: Fleet, kind: str, value: object, name: str = "shed", now: float = 0.0) -> Any:
    payload = value if isinstance(value, bytes) else json.dumps(value).encode()
    return fleet.add(f"fieldmqtt/{name}/{kind}", payload, False, now)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def watch() -> Iterator[Callable[..., monitor.Monitor]]:
    made: list[monitor.Monitor] = []

    def start(port: int) -> monitor.Monitor:
        made.append(monitor.Monitor(f"127.0.0.1:{port}", None, "fieldmqtt"))
        return made[-1]

    yield start
    for one in made:
        one.close()


def until(watching: monitor.Monitor, condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        watching.step()
        assert time.monotonic() < deadline, f"{what}; {watching.status}"


def test_a_board_lives_and_dies(broker: Broker, watch: Callable[..., monitor.Monitor]) -> None:
    """Online, readings, sparklines, a command, and offline by its last will."""
    watching = watch(broker.port)
    with Device(config(broker.port)) as device:
        until(watching, lambda: watching.readings >= 3, "three readings")
        shown = picture(watching.fleet, time.monotonic())
        [row] = [line for line in shown.splitlines() if "shed" in line]
        assert re.search(r"shed +online .* \d+ s +127\.0\.0\.1 +fieldmqtt \d", row)
        assert re.search(r"temperature +\d+\.?\d* [▁▂▃▄▅▆▇█]{3}", shown)
        assert watching.status == f"Broker 127.0.0.1 port {broker.port}: connected"
        done = run("--broker", f"127.0.0.1:{broker.port}", "--send", "shed", "interval", "0.5")
        assert (done.returncode, '"ok": true' in done.stdout) == (0, True), done.stdout + done.stderr
        refused = run("--broker", f"127.0.0.1:{broker.port}", "--send", "shed", "fly")
        assert refused.returncode == 1
        assert "command: unknown; there are" in refused.stdout
        until(watching, lambda: any('"value": 0.5' in line for line in watching.news), "the answer in the news")
        device.kill()
    board = watching.fleet.boards["shed"]
    until(watching, lambda: board.state == "offline", "the last will")
    assert re.search(r"offline.*\n.*last will", picture(watching.fleet, time.monotonic()))
    assert "MicroPython" in board.version, "what is known of a board outlives it"


def test_json_and_lines_for_scripts(broker: Broker) -> None:
    where = ("--broker", f"127.0.0.1:{broker.port}")
    with Device(config(broker.port)):
        told = told_until(lambda text: text.count('"seq"') >= 3, *where, "--json")
        lines = told_until(lambda text: text.count("reading") >= 3 and "online" in text, *where)
    events = [json.loads(line) for line in told.splitlines()]
    assert events[0] | {"at": 0} == {"at": 0, "event": "broker", "state": "connected", "broker": events[0]["broker"]}
    readings = [event["reading"]["seq"] for event in events if event["event"] == "reading"]
    assert len(readings) >= 3
    assert readings == sorted(readings)
    assert {event["board"] for event in events[1:]} == {"shed"}
    assert re.search(r"^\d\d:\d\d:\d\d shed state online$", lines, re.M)
    assert re.search(r"^\d\d:\d\d:\d\d shed reading .*temperature=\d", lines, re.M)
    assert "\x1b" not in lines


def test_a_broker_that_is_away_is_said_and_tried_again(
    watch: Callable[..., monitor.Monitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor_link, "_RETRY_S", (0.1, 0.1))
    with Broker() as broker:
        broker.stop()
        watching = watch(broker.port)
        until(watching, lambda: "away" in watching.status, "away")
        assert "trying again" in watching.status
        broker.start()
        until(watching, lambda: watching.status.endswith("connected"), "connected")
        broker.stop()
        until(watching, lambda: "away" in watching.status, "away again")
        with pytest.raises(ValueError, match="not sent: the broker at"):
            watching.send(["shed", "publish"])
        broker.start()
        until(watching, lambda: watching.status.endswith("connected"), "connected again")
    nothing = run("--broker", f"127.0.0.1:{free_port()}", "--seconds", 1)
    assert nothing.returncode == 1
    assert "broker away 127.0.0.1 port" in nothing.stdout


def test_a_login_that_is_refused_is_said(watch: Callable[..., monitor.Monitor]) -> None:
    with Broker(users={"u": "p"}) as broker:
        watching = watch(broker.port)
        until(watching, lambda: "refused (Not authorized)" in watching.status, "refused")
        watching.step()
        watching.step()
        assert "refused" in watching.status, "that the broker then hangs up says less"


def test_as_a_config_says(tmp_path: Path, certificates: Any) -> None:
    """Its broker, user, password, prefix and TLS."""
    server = certificates.server
    tls = [f"certfile {server.pem}", f"keyfile {server.key_pem}"]
    (tmp_path / "ca.der").write_bytes(certificates.ca.der.read_bytes())
    with Broker(users={"u": "h0rse"}, extra=tls) as broker:
        mqtt = {"server": "localhost", "port": broker.port, "user": "u", "password": "h0rse", "prefix": "farm"}
        text = json.dumps({"name": "shed", "ntp": "a", "mqtt": {**mqtt, "tls": {"ca": "ca.der"}}})
        (tmp_path / "config.json").write_text(text)
        told = told_until(lambda text: "broker" in text, "--config", tmp_path / "config.json")
    assert f"broker connected localhost port {broker.port}" in told
    assert "h0rse" not in told
    missing = run("--config", tmp_path / "none.json")
    assert (missing.returncode, "there is no such file" in missing.stderr) == (2, True)


def test_the_demo_is_found_without_arguments() -> None:
    demo = subprocess.Popen([sys.executable, "-m", "tools", "demo"], cwd=toolchain.ROOT, stdout=subprocess.DEVNULL)
    try:
        told = told_until(lambda text: "demo reading " in text)
    finally:
        demo.terminate()
        demo.wait(30)
    assert "demo reading " in told


def test_where_the_demo_is(tmp_path: Path) -> None:
    folder = tmp_path / "build" / "demo"
    assert monitor_find.demo_port(folder) is None
    with monitor_find.announced(2345, folder):
        assert monitor_find.demo_port(folder) == 2345
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        older = folder / f"{os.getppid()}.json"
        older.write_text('{"port": 1}')
        os.utime(older, (0, 0))
        for name, text in (("x", "{}"), ("0", ""), (str(gone.pid), '{"port": 2}'), (str(os.getpid()) + "x", "[]")):
            (folder / f"{name}.json").write_text(text)
        assert monitor_find.demo_port(folder) == 2345, "the last one that runs"
    assert monitor_find.demo_port(folder) == 1, "another goes on"
    for text in ("", "{", "[]", '{"port": "x"}'):
        older.write_text(text)
        assert monitor_find.demo_port(folder) is None


def test_commands_typed_below_the_table(broker: Broker) -> None:
    with Device(config(broker.port)) as device:
        person = Dialogue("monitor", "--broker", f"127.0.0.1:{broker.port}", term="xterm")
        try:
            person.expect("online")
            person.type("shed intervaX\x7fl 7\n")
            person.expect("sent: shed interval 7")
            person.expect('"value": 7')
            person.type("shed\n")
            person.expect("it must be NAME COMMAND")
            assert person.interrupt() == 0
        finally:
            person.close()
        assert device.running
    assert "Traceback" not in person.shown


def test_the_log_of_the_board_at_a_port(tmp_path: Path, broker: Broker) -> None:
    """Beside what the broker says; the program goes on, and its escape sequences do not reach the terminal."""
    (tmp_path / "main.py").write_text(
        "import time\nn = 0\nwhile True:\n    print('tick \\x1b[31m', n)\n    n += 1\n    time.sleep(.1)\n"
    )
    with VirtualBoard(tmp_path) as board:
        told = told_until(
            lambda text: text.count("tick") > 5, "--broker", f"127.0.0.1:{broker.port}", "--port", board.port
        )
        seen = re.findall(r"\| tick �\[31m (\d+)$", told, re.M)
        board.wait_for(f"tick \x1b[31m {int(seen[-1]) + 3}")
    assert len(seen) > 5
    assert "\x1b" not in told


def test_a_port_that_is_not_there_is_said(broker: Broker) -> None:
    where = ("--broker", f"127.0.0.1:{broker.port}", "--port", "/dev/nothing")
    told = told_until(lambda text: "broker connected" in text and "/dev/nothing" in text, *where)
    assert "/dev/nothing | /dev/nothing cannot be opened" in told


HOSTILE = [
    b"",
    b"not json",
    b"\x1b]0;owned\x07\x1b[2J",
    b'{"temperature": "\\u001b[31mred\\u0007", "\\u001b[2J": 1, "\\u202e": 2}',
    b'{"state": "\\u001b[5monline\\r\\n\\r\\n"}',
    b"[1, 2]",
    b'"online"',
    b"[" * 15_000,
    b'{"a":' * 3_000,
    b'{"a": 1' + b"0" * 5_000 + b"}",
    b'{"a": NaN, "b": 1e999, "c": -Infinity}',
    b'{"temperature": 1' + b"0" * 400 + b"}",
    b"{" + b" " * MAX_PAYLOAD + b"}",
    b"\xff\xfe\x00",
    b'{"seq": "\\ud800", "link": [], "errors": {"a": {"b": {"c": {"d": {"e": 1}}}}}}',
    json.dumps({f"value{n}": n for n in range(1000)}).encode(),
]


@pytest.mark.parametrize("kind", ["reading", "state", "result"])
def test_nothing_hostile_reaches_the_terminal(kind: str) -> None:
    fleet = Fleet("fieldmqtt")
    for payload in HOSTILE:
        event = feed(fleet, kind, payload, name="ev\x1b[2Jil\n")
        assert event is not None
        shown = monitor_view.line(event, 0) + picture(fleet, 1.0, news=[monitor_view.what(event)])
        assert all(letter.isprintable() or letter == "\n" for letter in shown), shown
        assert "\n" not in monitor_view.line(event, 0)
        assert json.loads(json.dumps(event, allow_nan=False)) == event
        assert len(monitor_view.line(event, 0)) < 6000
    [board] = fleet.boards.values()
    assert len(board.history) <= 24
    assert all(len(values) <= HISTORY for values in board.history.values())


def test_hostile_messages_through_a_real_broker(broker: Broker) -> None:
    with listener(broker.port) as evil:
        for number, payload in enumerate(HOSTILE):
            evil.publish(f"fieldmqtt/evil\u202e{number}/reading", payload, qos=1, retain=True)
        evil.publish("fieldmqtt/huge/reading", b"x" * 2_000_000, qos=1, retain=True)
        evil.publish("fieldmqtt/unknown/kind", b"x", qos=1, retain=True)
    lines = len(HOSTILE) + 1  # the connection and the huge one too, but nothing that is empty is retained
    told = told_until(lambda text: text.count("\n") >= lines, "--broker", f"127.0.0.1:{broker.port}", "--json")
    assert "2000000 bytes; at most 16384 are looked at" in told
    events = [json.loads(line) for line in told.splitlines()]
    names = {event.get("board", "").rpartition("\ufffd")[0] for event in events[1:]}
    assert names == {"evil", ""}, "every line is JSON, and nothing else was printed"
    assert told.isascii()


def test_the_number_of_boards_is_bounded() -> None:
    fleet = Fleet("fieldmqtt")
    for number in range(MAX_BOARDS + 5):
        feed(fleet, "reading", {"a": number}, name=f"board{number}")
    assert (len(fleet.boards), fleet.ignored) == (MAX_BOARDS, 5)
    events = Events()
    for number in range(6000):
        events.put(number)
    assert events.dropped == 1000
    assert "1000 messages came faster than they can be shown" in picture(fleet, 0.0, dropped=events.dropped)
    assert events.take(0)[0] == 0


def test_the_table() -> None:
    fleet = Fleet("fieldmqtt")
    link = {"ip": "10.0.0.2", "rssi": -61}
    for n in range(30):
        feed(fleet, "reading", {"seq": n, "temperature": n / 2, "flash": 246_444_050_432, "link": link, "errors": 0})
    feed(fleet, "state", {"state": "offline", "reason": "stopped", "version": "0.2.0"})
    feed(fleet, "state", {"state": "online", "board": "ESP32_GENERIC"}, name="barn")
    shown = picture(
        fleet, 7200.0, status="Broker there: connected", log=["[1.0] hello"], news=["sent: x"], prompt="> y"
    )
    lines = shown.splitlines()
    [shed] = [line for line in lines if "shed" in line]
    assert re.search(r"shed  *offline  *temperature  *14\.5 ▁.*█ *2 h +-61 dBm +fieldmqtt 0\.2\.0", shed)
    assert "246.4 G" in shown
    assert "errors" not in shown, "only when there are any"
    assert lines.index(next(line for line in lines if "barn" in line)) < lines.index(shed)
    for part in ("Broker there: connected", "[1.0] hello", "sent: x", "> y", "ESP32_GENERIC", "stopped"):
        assert part in shown
    assert "make demo" in picture(Fleet("fieldmqtt"), 0.0)


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([5], "▄"), ([1, 1], "▄▄"), ([0, 7], "▁█"), (range(8), "▁▂▃▄▅▆▇█"), ([-1e308, 1e308], "▄▄")],
)
def test_sparkline(values: list[float], bars: str) -> None:
    assert monitor_view.sparkline(list(values)) == bars


def test_clean() -> None:
    assert clean("Gerät 5 °C") == "Gerät 5 °C"
    assert clean("a\x1b[31m\r\nb\u202e") == "a�[31m��b�"
    assert clean("x" * 1000, 10) == "xxxxxxxxx…"


def test_keys() -> None:
    keys = Keys()
    assert keys.feed("shed le") == []
    assert keys.feed("dx\x7f true\r\nnext") == ["shed led true", ""]
    assert keys.feed("\x15again\x01\n") == ["again"]
    assert keys.feed("y" * 1000 + "\n") == ["y" * 300]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--broker", "host:port"], "it must be HOST or HOST:PORT"),
        (["--broker", "host:99999"], "it must be HOST or HOST:PORT"),
        (["--send", "shed"], "commands are sent by --send NAME COMMAND [VALUE]"),
        (["shed", "publish"], "commands are sent by --send NAME COMMAND [VALUE]"),
        (["--prefix", "a/#"], "--prefix: what the topics"),
    ],
)
def test_what_cannot_be_meant(arguments: list[str], message: str) -> None:
    app = Typer()
    app.command()(monitor.main)
    told = CliRunner().invoke(app, arguments)
    assert (told.exit_code, message in told.output) == (2, True), told.output


def test_places() -> None:
    found = monitor_link.place("broker.example", None, "farm")
    assert (found.host, found.port, found.prefix) == ("broker.example", 1883, "farm")
    assert monitor_link.place("broker.example:8000", None, "farm").port == 8000
