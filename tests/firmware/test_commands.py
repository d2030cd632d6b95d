"""Commands to a running board, answered on its result topic."""

import json
import time
from collections.abc import Callable

import pytest

from firmware.watcher import Watcher
from tools.device import Device
from tools.toolchain import ROOT

Board = Callable[..., Device]


@pytest.fixture
def running(board: Board, watcher: Watcher) -> Device:
    """A board that is online."""
    device = board(interval=60)
    device.start()
    watcher.until_state("online")
    return device


def test_interval(running: Device, watcher: Watcher) -> None:
    answer = watcher.command({"command": "interval", "value": 0.1, "id": "a1"})
    assert (answer["ok"], answer["command"], answer["value"], answer["id"]) == (True, "interval", 0.1, "a1")
    watcher.until_readings(5, timeout=3)
    watcher.until(lambda: watcher.states[-1]["interval"] == 0.1, "the state with the new interval")


@pytest.mark.parametrize("value", [0, -1, 1e9, "5", None, True, [1]])
def test_interval_out_of_bounds(running: Device, watcher: Watcher, value: object) -> None:
    answer = watcher.command({"command": "interval", "value": value})
    assert answer["ok"] is False
    assert "0.1 to 86400" in answer["error"]


def test_led(running: Device, watcher: Watcher) -> None:
    assert watcher.command({"command": "led", "value": True})["value"] is True
    assert watcher.command({"command": "led", "value": 0})["value"] is False
    assert "true or false" in watcher.command({"command": "led", "value": "on"})["error"]


def test_publish(running: Device, watcher: Watcher) -> None:
    watcher.until(lambda: watcher.readings, "the first reading")
    assert watcher.command({"command": "publish", "id": 5})["ok"] is True
    watcher.until(lambda: watcher.sequence == [0, 1], "a second reading")


def test_reboot(running: Device, watcher: Watcher) -> None:
    watcher.until(lambda: watcher.readings, "the first reading")
    assert watcher.command({"command": "reboot"})["ok"] is True
    watcher.until(lambda: running.reboots == 1, "the reboot")
    watcher.until(lambda: [state["state"] for state in watcher.states] == ["online", "offline", "online"], "its states")
    assert watcher.states[1]["reason"] == "reboot"
    watcher.until(lambda: [reading["seq"] for reading in watcher.readings] == [0, 0], "counting from 0 again")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nonsense", "not JSON"),
        ("", "not JSON"),
        ('{"command": publish}', "not JSON"),
        ("[1, 2]", "not an object"),
        ('"publish"', "not an object"),
        ("{}", "command: unknown; there are interval, led, publish, reboot"),
        ('{"command": "fly"}', "command: unknown"),
        ('{"command": ["led"]}', "command: unknown"),
        ('{"command": null, "id": 3}', "command: unknown"),
        ("\x00", "not JSON"),
        ("[" * 500, "not JSON"),
    ],
)
def test_malformed(running: Device, watcher: Watcher, text: str, error: str) -> None:
    answer = watcher.command(text)
    assert answer["ok"] is False
    assert answer["error"].startswith(error)
    assert watcher.command({"command": "publish"})["ok"] is True


def test_bytes_that_are_no_text(running: Device, watcher: Watcher) -> None:
    watcher.client.publish("fieldmqtt/board/command", b"\xff\xfe\x80{", qos=1)
    watcher.until(lambda: watcher.results, "an answer")
    assert watcher.results[0]["error"].startswith("not JSON")


def test_a_retained_command_is_not_carried_out(board: Board, watcher: Watcher) -> None:
    """A retained "reboot" would come again after every restart."""
    watcher.send(json.dumps({"command": "reboot"}), retain=True)
    device = board()
    device.start()
    watcher.until(lambda: watcher.results, "an answer")
    assert "retained" in watcher.results[0]["error"]
    watcher.until_readings(3)
    assert device.reboots == 0


@pytest.mark.parametrize("known", ['"x"', '"' + "ä" * 32 + '"', "5", "-1.5"])
def test_an_id_comes_back(running: Device, watcher: Watcher, known: str) -> None:
    answer = watcher.command(f'{{"command": "publish", "id": {known}}}')
    assert (answer["ok"], answer["id"]) == (True, json.loads(known))


@pytest.mark.parametrize(
    "odd",
    ['"' + "x" * 65 + '"', "[1]", "{}", "true", "1e999", "[" * 1900 + "]" * 1900],
    ids=["long", "list", "object", "bool", "infinite", "deep"],
)
def test_an_id_that_is_no_text_or_number(running: Device, watcher: Watcher, odd: str) -> None:
    """Not carried out, and not sent back: JSON nested too deep cannot be written again."""
    answer = watcher.command(f'{{"command": "publish", "id": {odd}}}')
    assert answer["ok"] is False and "id" not in answer
    assert answer["error"].startswith("id: ")
    assert watcher.command({"command": "publish"})["ok"] is True


def test_a_name_nested_too_deep(running: Device, watcher: Watcher) -> None:
    answer = watcher.command('{"command": ' + "[" * 1900 + "]" * 1900 + "}")
    assert answer["error"].startswith("command: unknown")
    assert watcher.command({"command": "publish"})["ok"] is True


COMMANDS = """
def _deep(app, value):
    deep = []
    for _ in range(2200):  # too deep to be written, and no more than a part of the heap
        deep = [deep]
    return deep

def _wrong(app, value):
    return 1 + "1"

COMMANDS.update(deep=_deep, wrong=_wrong, large=lambda app, value: "x" * 20000)
"""


@pytest.mark.parametrize("name", ["deep", "wrong", "large"])
def test_a_command_with_a_mistake(board: Board, watcher: Watcher, name: str) -> None:
    """It costs its own answer; the readings go on, and so do the other commands."""
    commands = (ROOT / "firmware" / "commands.py").read_text(encoding="utf-8")
    device = board({"commands.py": commands + COMMANDS})
    device.start()
    watcher.until_state("online")
    watcher.send(json.dumps({"command": name}))
    device.wait_for("error, ")
    assert watcher.command({"command": "led", "value": True})["command"] == "led"
    watcher.until_readings(5)
    assert watcher.readings[-1]["errors"] == 1
    assert device.running and device.reboots == 0


def test_a_retained_message_too_large_for_the_board(board: Board, watcher: Watcher) -> None:
    """It comes with each connection and ends it: the log says what to do."""
    watcher.send("x" * 5000, retain=True)
    device = board()
    device.start()
    assert "fieldmqtt/board/command" in device.wait_for("delete it")
    watcher.send("", retain=True)
    for _ in range(30):  # until the board is back, commands find nobody
        watcher.send(json.dumps({"command": "publish"}))
        time.sleep(1)
        if any(result["ok"] for result in watcher.results):
            return
    raise AssertionError("no answer after the message was deleted")


def test_many_at_once(running: Device, watcher: Watcher) -> None:
    """More than a board keeps: some may be dropped, the board stays."""
    for number in range(50):
        watcher.client.publish("fieldmqtt/board/command", json.dumps({"command": "led", "id": number}), qos=1)
    watcher.until(lambda: len(watcher.results) >= 8, "some answers")
    watcher.command({"command": "publish"})
    assert running.reboots == 0 and running.running
