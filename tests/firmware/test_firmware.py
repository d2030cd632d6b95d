"""The firmware as a process, against a real broker: what its owner sees when things go wrong."""

import ast
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.conftest import configuration, until_it_ends
from firmware.watcher import Watcher
from support.certificates import Certificates
from support.mosquitto import store
from tools.broker import Broker, Tls
from tools.device import Device
from tools.toolchain import ROOT

Board = Callable[..., Device]

# boards/unix with a link that is up while there is a file `cable`
CABLE = """
import os
from unix_board import *
from unix_board import Link

class Cable(Link):
    def step(self, now):
        super().step(now)
        self._up = "cable" in os.listdir()

def link(config):
    return Cable()
"""

# boards/unix with a watchdog sixty times as fast
WATCHDOG = """
import unix_board
from unix_board import *

class Watchdog(unix_board.Watchdog):
    def stop(self):
        super().stop()
        print("disarmed")

def watchdog(ms):
    return Watchdog(ms // 60)
"""

# boards/unix whose link cannot tell of itself while the LED is lit
LINK = """
from unix_board import *
from unix_board import Link

class Speechless(Link):
    def info(self):
        if led.value():
            raise RuntimeError("no info")
        return super().info()

def link(config):
    return Speechless()
"""

# boards/unix whose link fails at every step while there is a file `broken`
BROKEN = (
    WATCHDOG
    + """
import os
from unix_board import Link

class Broken(Link):
    def step(self, now):
        super().step(now)
        if "broken" in os.listdir():
            raise RuntimeError("broken")

def link(config):
    return Broken()
"""
)


def test_readings_and_state(board: Board, watcher: Watcher) -> None:
    board().start()
    watcher.until_state("online")
    watcher.until_readings(5)
    assert watcher.sequence[:5] == [0, 1, 2, 3, 4]
    reading = watcher.readings[-1]
    assert abs(reading["t"] - time.time()) < 30
    assert isinstance(reading["temperature"], float) and reading["heap_free"] > 0 and reading["storage_free"] > 0
    assert reading["link"]["ip"] == "127.0.0.1"
    assert reading["refused"] == 0
    assert reading["uptime"] >= watcher.readings[0]["uptime"]
    state = watcher.states[-1]
    assert state["board"] == "unix" and state["micropython"].startswith("1.")
    assert f'version = "{state["version"]}"' in (ROOT / "pyproject.toml").read_text()


def test_broker_killed_and_started_again(board: Board, broker: Broker, watcher: Watcher) -> None:
    """The readings taken meanwhile arrive later; none is missing."""
    device = board(interval=0.1)
    device.start()
    watcher.until_readings(10)
    store(broker)
    broker.kill()
    before = watcher.sequence[-1]
    time.sleep(1.5)
    broker.start()
    watcher.until(lambda: watcher.sequence[-1] > before + 20, "readings after the restart", 30)
    assert sorted(watcher.sequence) == list(range(max(watcher.sequence) + 1))
    assert watcher.readings[-1]["errors"] > 0
    assert device.reboots == 0


def test_outbox_full(board: Board, broker: Broker, watcher: Watcher) -> None:
    """What does not fit is counted; what was kept arrives; the gap shows in seq; the loop never stalls."""
    device = board(interval=0.1, mqtt={"outbox": 2048, "flash": 0})
    device.start()
    watcher.until_readings(3)
    store(broker)
    broker.kill()
    device.wait_for("no room for reading", 20)
    time.sleep(1)
    broker.start()
    watcher.until(lambda: watcher.readings[-1]["refused"] > 0, "a reading that tells of refused ones", 30)
    count = watcher.readings[-1]["refused"]
    assert count > 5, "a publish that waits for room would have taken a reading every 10 s"
    missing = set(range(max(watcher.sequence) + 1)) - set(watcher.sequence)
    assert len(missing) == count


def test_vanishing_board_is_reported_by_the_last_will(board: Board, broker: Broker, watcher: Watcher) -> None:
    device = board()
    device.start()
    watcher.until_state("online")
    device.kill()
    watcher.until_state("offline")
    assert watcher.states[-1]["reason"] == "lost"
    with Watcher(broker.port, client_id="late") as late:
        late.until_state("offline")
        assert late.states[-1]["retained"]


def test_clean_stop(board: Board, watcher: Watcher) -> None:
    device = board()
    device.start()
    watcher.until_state("online")
    assert device.stop() == 0
    watcher.until_state("offline")
    assert watcher.states[-1]["reason"] == "stopped"


def test_stop_without_a_broker(board: Board, broker: Broker) -> None:
    broker.kill()
    device = board()
    device.start()
    device.wait_for("error, mqtt")
    assert device.stop() == 0


def test_boot_before_the_broker(board: Board, broker: Broker, watcher: Watcher) -> None:
    store(broker)
    broker.kill()
    device = board()
    device.start()
    device.wait_for("error, mqtt")
    time.sleep(1)
    broker.start()
    watcher.until_readings(10, 30)
    assert sorted(watcher.sequence) == list(range(max(watcher.sequence) + 1))


def replace_board(device: Device, text: str) -> None:
    """Put another board.py in front of the one of unix, which becomes unix_board.py."""
    (device.folder / "board.py").rename(device.folder / "unix_board.py")
    (device.folder / "board.py").write_text(text)


def test_cable_out_at_boot(board: Board, watcher: Watcher) -> None:
    """The readings wait from the very first one on; nothing is tried without a link."""
    device = board()
    replace_board(device, CABLE)
    device.start()
    time.sleep(2)
    assert not watcher.readings
    assert not any("error" in line for line in device.lines)
    (device.folder / "cable").touch()
    watcher.until_readings(10)
    assert sorted(watcher.sequence) == list(range(max(watcher.sequence) + 1))


def test_a_failing_sensor_costs_only_itself(board: Board, watcher: Watcher) -> None:
    sensors = """
import board
def broken():
    raise OSError(5)
def good():
    return {"good": 1}
SENSORS = [broken, board.sensors, good]
"""
    device = board({"sensors.py": sensors})
    device.start()
    watcher.until_readings(3)
    assert watcher.readings[-1]["good"] == 1 and watcher.readings[-1]["errors"] >= 2
    assert "broken" in device.wait_for("error, sensor")


def test_what_a_sensor_must_not_give(board: Board, watcher: Watcher) -> None:
    """No dict, values that JSON cannot tell: logged, counted, null in the reading."""
    values = "{'x': object(), 'y': float('nan'), 'z': [1, {'a': b'b'}], 1: 2, 'fine': [1, {'a': 'b'}]}"
    device = board({"sensors.py": f"SENSORS = [lambda: {values}, lambda: 5]\n"})
    device.start()
    watcher.until_readings(2)
    reading = watcher.readings[1]
    assert (reading["x"], reading["y"], reading["z"], reading["fine"]) == (None, None, None, [1, {"a": "b"}])
    assert watcher.command({"command": "led", "value": True})["ok"]
    assert device.running


@pytest.mark.parametrize("sets", [True, False], ids=["server answers", "server silent"])
def test_network_time(board: Board, watcher: Watcher, sets: bool) -> None:
    ntptime = f"""
host = timeout = None
def settime():
    print("asked", host, timeout)
    if not {sets}:
        raise OSError(110)
"""
    device = board({"ntptime.py": ntptime}, ntp="time.example")
    device.start()
    watcher.until_readings(5)
    assert device.lines.count("asked time.example 1") == 1
    assert any("error, clock: no time from time.example" in line for line in device.lines) is not sets


def test_watchdog_ends_a_program_that_hangs(board: Board, watcher: Watcher) -> None:
    """As long as the program runs it is fed; when it hangs, the process ends."""
    sensors = """
import os, time
def hangs():
    while "hang" in os.listdir():
        time.sleep(1)
    return {}
SENSORS = [hangs]
"""
    device = board({"sensors.py": sensors}, watchdog=60)
    replace_board(device, WATCHDOG)
    device.start()
    watcher.until_readings(15)
    assert device.running
    (device.folder / "hang").touch()
    watcher.until(lambda: not device.running, "the end of the process", 5)


def test_a_mistake_in_the_program_leaves_the_board_running(board: Board, watcher: Watcher) -> None:
    device = board()
    replace_board(device, BROKEN)
    (device.folder / "broken").touch()
    device.start()
    device.wait_for("error, program: RuntimeError: broken")
    (device.folder / "broken").unlink()
    watcher.until_readings(3)
    assert watcher.readings[-1]["errors"] >= 1
    assert device.reboots == 0


def test_watchdog_ends_a_program_that_gets_nothing_done(board: Board, watcher: Watcher) -> None:
    """Each turn fails: that is no sign of life."""
    device = board(watchdog=120)
    replace_board(device, BROKEN)
    device.start()
    watcher.until_readings(3)
    (device.folder / "broken").touch()
    watcher.until(lambda: not device.running, "the end of the process", 10)


def test_stopping_disarms_the_watchdog(board: Board, watcher: Watcher) -> None:
    """Whoever presses Ctrl-C wants to work on the board."""
    device = board(watchdog=600)
    replace_board(device, WATCHDOG)
    device.start()
    watcher.until_state("online")
    assert device.stop() == 0
    assert "disarmed" in device.lines


def test_reboot_although_the_farewell_fails(board: Board, watcher: Watcher) -> None:
    """The goodbye cannot be said: the last will says it, and the board restarts."""
    device = board(interval=60)
    replace_board(device, LINK)
    device.start()
    watcher.until_state("online")
    watcher.until(lambda: watcher.readings, "the first reading")
    for command in ({"command": "led", "value": True}, {"command": "interval", "value": 60}, {"command": "reboot"}):
        watcher.send(json.dumps(command))
    watcher.until(lambda: device.reboots == 1, "the reboot")
    watcher.until(lambda: [state["state"] for state in watcher.states] == ["online", "offline", "online"], "its states")


def test_boot_does_nothing() -> None:
    """Whatever boot.py does keeps tools from getting in."""
    assert ast.parse((ROOT / "firmware" / "boot.py").read_text(encoding="utf-8")).body == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"mqtt": {}}', "mqtt.server: missing"),
        ('{"mqtt": {"server": "a"}, "wifi": {}}', "wifi: no such field"),
        ("{x", "near line 1"),
        (None, "there is no file config.json"),
        ('{"mqtt": {"server": "a", "tls": {"ca": "ca.der"}}}', "mqtt.tls.ca: there is no file ca.der"),
        ('{"mqtt": {"server": "a", "tls": {"ca": "boot.py"}}}', "mqtt.tls.ca: invalid cert: boot.py"),
        ('{"mqtt": {"server": "a", "tls": {"ca": "lib"}}}', "mqtt.tls.ca: [Errno 21] EISDIR: lib"),
        (
            '{"mqtt": {"server": "a", "tls": {"insecure": true, "cert": "boot.py", "key": "main.py"}}}',
            "mqtt.tls.cert and key: invalid key: boot.py, main.py",
        ),
    ],
)
def test_broken_config(board: Board, text: str | None, says: str) -> None:
    device = board()
    (device.folder / "config.json").unlink()
    if text is not None:
        (device.folder / "config.json").write_text(text)
    device.start()
    assert says in device.wait_for("config.json is not usable")
    device.wait_for("copy it to the board")
    until_it_ends(device)
    assert device.stop() == 1


def test_login_and_its_secrets(micropython: Path) -> None:
    """A wrong password is logged by its meaning; neither password is ever printed."""
    with Broker(users={"shed": "open sesame"}) as broker:
        wrong = configuration(broker.port, mqtt={"user": "shed", "password": "wrong s3cret"})
        with Device(wrong, micropython=micropython) as device:
            device.wait_for("error, mqtt")
            printed = "\n".join(device.lines)
            assert "s3cret" not in printed and "not authorised" in printed
        right = configuration(broker.port, mqtt={"user": "shed", "password": "open sesame"})
        with Device(right, micropython=micropython) as device:
            device.wait_for("connected to the broker")
            device.stop()
            assert "sesame" not in "\n".join(device.lines)


def test_tls(micropython: Path, certificates: Certificates) -> None:
    """The certificates are files on the board; without a valid one there is no connection."""
    server, client, ca = certificates.server, certificates.client, certificates.ca
    tls = {"ca": str(ca.der), "cert": str(client.der), "key": str(client.key_der)}
    with Broker(tls=Tls(server.pem, server.key_pem, ca.pem, require_client=True)) as broker:
        with Device(configuration(broker.port, mqtt={"tls": tls}), micropython=micropython) as device:
            device.wait_for("connected to the broker")
        stranger = {**tls, "ca": str(certificates.self_signed.der)}
        with Device(configuration(broker.port, mqtt={"tls": stranger}), micropython=micropython) as device:
            device.wait_for("error, mqtt")
            assert not any("connected to the broker" in line for line in device.lines)


def test_default_name_is_the_chips_number(micropython: Path, broker: Broker) -> None:
    config = configuration(broker.port)
    del config["name"]
    with Device(config, micropython=micropython) as device:
        line = device.wait_for("name ")
        name = line.rpartition("name ")[2]
        assert len(name) == 12 and set(name) <= set("0123456789abcdef")
        with Watcher(broker.port, name) as watcher:
            watcher.until_readings(1)
