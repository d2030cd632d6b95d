"""`python -m tools fleet` with real boards and a real broker; nothing of it runs afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from click.testing import Result
from paho.mqtt.enums import CallbackAPIVersion
from typer import Typer
from typer.testing import CliRunner

from tools import fleet as fleet_command
from tools import fleet_view, toolchain
from tools.broker import Broker
from tools.fleet_run import Plan, Run, fleet

_COMMAND = [sys.executable, "-m", "tools", "fleet"]
_WAIT_S = 60.0


def invoked(*arguments: str) -> Result:
    """`tools fleet` without a process of its own."""
    app = Typer()
    app.command()(fleet_command.main)
    return CliRunner().invoke(app, arguments)


def status(pid: int) -> list[str]:
    """Its state, its parent and so on; empty when there is none of this number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def children(parent: int) -> list[int]:
    """The processes that it has started: boards and a broker."""
    pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
    return [pid for pid in pids if status(pid)[1:2] == [str(parent)]]


def alive(pid: int) -> bool:
    """Whether it still does something; what has ended may wait for a parent that nobody is."""
    return status(pid)[:1] not in ([], ["Z"], ["X"])


def end(process: "subprocess.Popen[str]") -> None:
    """It ends what it has started, whether that is known here or not; killed it could not."""
    process.terminate()
    try:
        process.communicate(timeout=_WAIT_S)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def publishing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """A fleet of two that publishes, and its processes; its folders are in `tmp_path`."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("looks into /proc")
    process = subprocess.Popen(
        [*_COMMAND, *getattr(request, "param", ["2"]), "--rate", "120"],
        env={**os.environ, "TMPDIR": str(tmp_path)},  # who is killed does not clean up
        cwd=toolchain.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started: list[int] = []
    try:
        assert process.stdout
        told = ""
        while "publishing: 2 of 2 connected" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        started += children(process.pid)
        assert len(started) == 3, "two boards and a broker"
        yield process, started
    finally:
        end(process)
        for pid in filter(alive, started):
            os.kill(pid, signal.SIGKILL)


def test_a_storm_takes_the_broker_and_all_come_back_with_everything() -> None:
    boards, seconds, away = 4, 0.75, 1.25  # a first attempt comes within a second: the broker is still away
    phases: list[str] = []
    pids: list[int] = []
    lines: list[str] = []

    def show(going: Run) -> None:
        if not phases or phases[-1] != going.phase:
            phases.append(going.phase)
            pids.extend(going.boards.pids)
            lines.append(fleet_view.line(fleet_view.now(going)))

    began = time.time()
    with fleet(Plan(boards, 240, seconds, storm=True, away=away)) as going:
        assert going.broker and going.broker.process
        result = going.run(show)
        pids.append(going.broker.process.pid)
    assert result.problems() == [], list(going.boards.said)
    assert phases[:4] == ["starting", "publishing", "the broker is away", "the boards come back"]
    assert any(f"publishing: {boards} of {boards} connected" in line for line in lines)
    assert len(set(pids)) == boards + 1
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    # four a second of each, or half of that on a computer that is too busy for more
    assert boards * 2 * (seconds + away) < result.received <= boards * (4 * (time.time() - began) + 1)
    assert (result.connected, result.lost, result.silent) == (boards, 0, 0)
    assert result.reconnects >= boards
    storm = result.storm
    assert storm and storm.returned and not storm.missing
    assert min(storm.back) >= away > min(storm.attempts)
    assert result.latency and 0 < result.latency.p50 < 5
    # some messages were published while there was no broker, and they are here too
    assert result.storm_latency and result.storm_latency.max > 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process tells what it uses")
def test_what_boards_and_broker_use_is_measured() -> None:
    done = invoked("2", "--tls", "--seconds", "1", "--rate", "240", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["connected"], told["lost"], told["problems"], told["plan"]["tls"]) == (2, 0, [], True)
    assert 150 < told["payload"] < 400
    costs = told["costs"]
    assert 200 < costs["board_kb"] < 5000
    assert 500 < costs["broker_kb"] < 50000
    assert costs["connection_kb"] > 5, "TLS has buffers"
    assert 0 < costs["message_ms"] < 20
    assert 0 < costs["board_ms"] < 100


def test_a_broker_of_ones_own_and_nothing_stays_there() -> None:
    with Broker() as broker:
        done = invoked("2", "--broker", f"127.0.0.1:{broker.port}", "--seconds", "1", "--rate", "120")
        retained: list[str] = []
        client = paho.Client(CallbackAPIVersion.VERSION2, "afterwards")
        client.on_message = lambda client, data, message: retained.append(message.topic)
        client.on_connect = lambda client, *_: client.subscribe("#")
        client.on_subscribe = lambda client, *_: client.publish("that/is/all")
        client.connect("127.0.0.1", broker.port)
        while "that/is/all" not in retained:
            assert client.loop(_WAIT_S) == paho.MQTT_ERR_SUCCESS
        client.disconnect()
    assert done.exit_code == 0, done.output
    assert "connected   2 of 2 boards" in done.stdout
    assert " 0 lost" in done.stdout
    assert "\x1b" not in done.stdout
    assert retained == ["that/is/all"]


def test_a_message_that_the_broker_loses_is_told(tmp_path: Path) -> None:
    """It acknowledges readings that nobody may publish, and drops them: MQTT 3.1.1 has no way to say no."""
    rules = tmp_path / "rules"
    rules.write_text("topic read #\ntopic write +/+/state\n")
    rules.chmod(0o600)
    with Broker(extra=[f"acl_file {rules}"]) as broker:
        done = invoked("2", "--broker", f"127.0.0.1:{broker.port}", "--seconds", "1", "--rate", "120")
    assert done.exit_code == 1, done.output
    assert "connected   2 of 2 boards" in done.output
    assert "messages at QoS 1 were accepted by a board and did not arrive" in done.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["ctrl-c", "terminal closed"])
def test_it_is_ended_with_a_summary_and_leaves_nothing(
    publishing: tuple["subprocess.Popen[str]", list[int]], tmp_path: Path, number: signal.Signals
) -> None:
    process, started = publishing
    process.send_signal(number)
    told, _ = process.communicate(timeout=_WAIT_S)
    assert process.returncode == 0, told
    assert "connected   2 of 2 boards" in told
    assert " 0 lost" in told
    assert "Traceback" not in told
    assert not any(map(alive, started))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("publishing", [["2,3", "--seconds", "600"]], indirect=True)
def test_a_measurement_that_is_ended_does_not_go_on_with_the_next(
    publishing: tuple["subprocess.Popen[str]", list[int]],
) -> None:
    process, started = publishing
    process.terminate()
    told, _ = process.communicate(timeout=_WAIT_S)
    assert process.returncode == 1, told
    assert "ended before all was done" in told
    assert "3 boards" not in told
    assert not any(map(alive, started))


def test_no_board_outlives_a_fleet_that_is_killed(publishing: tuple["subprocess.Popen[str]", list[int]]) -> None:
    process, started = publishing
    process.kill()
    deadline = time.monotonic() + _WAIT_S
    while sum(map(alive, started)) > 1:  # the broker has nobody who tells it
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_too_few_open_files_are_said_before_anything_starts() -> None:
    command = f"ulimit -n 80; exec {sys.executable} -m tools fleet 100 --seconds 1"
    done = subprocess.run(["sh", "-c", command], cwd=toolchain.ROOT, capture_output=True, text=True, timeout=_WAIT_S)
    assert done.returncode == 1
    assert "164 for 100 boards, and this system allows 80 (ulimit -Hn)" in done.stderr
    assert "take at most 16 boards" in done.stderr


def test_no_broker_is_said() -> None:
    with Broker() as broker:
        port = broker.port
    done = invoked("2", "--broker", f"127.0.0.1:{port}", "--seconds", "1")
    assert done.exit_code == 1
    assert f"No broker at 127.0.0.1 port {port}" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none"], "must be a number of boards"),
        (["0"], "must be a number of boards"),
        (["2", "--rate", "601"], "0.05 to 600 messages per minute"),
        (["2", "--rate", "0"], "0.05 to 600 messages per minute"),
        (["2,3", "--rate", "0"], "0.05 to 600 messages per minute"),
        (["2", "--broker", "192.168.1.10:x"], "HOST:PORT"),
        (["2", "--broker", "192.168.1.10", "--storm"], "stop and start your own by hand"),
        (["2", "--broker", "192.168.1.10", "--tls"], "for the local broker"),
        (["2,3", "--storm"], "are measured"),
        (["2", "--write"], "several numbers"),
    ],
)
def test_what_cannot_be_meant(arguments: list[str], said: str) -> None:
    done = invoked(*arguments)
    assert (done.exit_code, said in done.output) == (2, True), done.output
