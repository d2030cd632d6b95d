"""The README keeps its word: its programs run as they stand, its commands and tables are those of the project."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from docs_programs import blocks, commands, table

from support.device import Device
from support.mosquitto import listener
from tools import cli, flash_board
from tools.broker import Broker
from tools.device import board_files
from tools.toolchain import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

README = ROOT / "README.md"
BOARDS_PAGE = ROOT / "docs" / "boards.md"
SYNC, ASYNC, UMQTT = blocks(README, "python")
BROKER = '"192.168.1.10"'  # as the README has it
BOARDS = {path.parent.name: tomllib.loads(path.read_text()) for path in (ROOT / "boards").glob("*/board.toml")}


def here(program: str, broker: Broker) -> str:
    assert program.count(BROKER) == 1
    return program.replace(BROKER, f'("127.0.0.1", {broker.port})')


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "asyncio"])
def test_eight_lines(run: Callable[..., Device], broker: Broker, program: str) -> None:
    assert len(program.splitlines()) == 8
    with listener(broker.port, "shed/#") as other:
        device = run(here(program, broker))
        message = other.next()
        assert (message.topic, message.payload.decode()) == ("shed/temperature", "21.5 °C")
        other.publish("shed/led", "on", qos=1)
        device.line("b'shed/led' b'on'")
        if program == SYNC:
            device.finish()


def test_moving_from_umqtt(run: Callable[..., Device], broker: Broker) -> None:
    program = UMQTT.replace('b"192.168.1.10", port=1883', f'b"127.0.0.1", port={broker.port}')
    assert program != UMQTT
    assert run(program).finish() == ["b'message/client1' {'value': 1}"]


def test_make_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    texts = [README, *(ROOT / "docs").glob("*.md")]
    named = {name for path in texts for name in re.findall(r"(?:`|^)make ([a-z]+)", path.read_text(), flags=re.M)}
    assert {"demo", "test"} <= named <= targets


def test_table_of_boards() -> None:
    def network(name: str) -> str:
        files = {path.name for path in board_files(name)}
        return "Ethernet" if "wired.py" in files else "WiFi" if "wifi.py" in files else "its own"

    assert {row[1]: row for row in table(README, "board")} == {
        f"[{name}](boards/{name}/)": [
            board["title"],
            f"[{name}](boards/{name}/)",
            board["chip"],
            network(name),
            board.get("image", {}).get("extension", ""),
        ]
        for name, board in BOARDS.items()
    }


def copied(command: str) -> list[Path]:
    """The files that an `mpremote cp` line puts into a board's root folder."""
    *names, target = command.split()[2:]
    assert target == ":"
    return [path.resolve() for name in names for path in (sorted(ROOT.glob(name)) or [ROOT / name])]


def test_on_a_real_board() -> None:
    """Each line starts the command of its name, with what it is given, and that command is there."""
    lines = commands(README)[-4:]
    assert [line.split()[1] for line in lines] == ["flash", "provision", "deploy", "monitor"]
    for line in lines:
        make, name, *given = line.split()
        alone = {"PATH": os.environ["PATH"]}  # what `make test` was given is not for it
        does = subprocess.run([make, "-n", name, *given], cwd=ROOT, env=alone, capture_output=True, text=True)
        options = [part for one in given for part in (f"--{one.partition('=')[0].lower()}", one.partition("=")[2])]
        assert does.stdout.split("-m tools ")[-1].replace("\\\n", "").split() == [name, *options], does.stderr
        assert name in {command.name for command in cli.app.registered_commands}
    assert lines[0].partition("BOARD=")[2] in flash_board.names()


def test_copying_to_a_board() -> None:
    lines = commands(BOARDS_PAGE)
    assert (
        lines[0] == "cp firmware/config.example.json config.json" and (ROOT / "firmware/config.example.json").exists()
    )
    assert lines[1] == "mpremote mip install package.json" and lines[-1] == "mpremote reset"
    assert copied(lines[2]) == board_files("W5100S_EVB_PICO")
    assert copied(lines[-2]) == [*sorted((ROOT / "firmware").glob("*.py")), ROOT / "config.json"]


def test_every_board_has_its_line() -> None:
    said = [copied(command) for command in commands(BOARDS_PAGE)[2:-2]]
    needed = {tuple(board_files(name)) for name in BOARDS if name != "unix"}
    assert {tuple(files) for files in said} == needed and len(said) == len(needed)


def test_table_of_images() -> None:
    expected = {name: board for name, board in BOARDS.items() if name != "unix"}
    rows = {row[0]: row for row in table(BOARDS_PAGE, "folder")}
    assert rows.keys() == expected.keys()
    for name, board in expected.items():
        assert rows[name][1] == f"{board['image']['name']}-….{board['image']['extension']}"
        assert rows[name][3] == (hex(board["flash"]["offset"]) if "offset" in board["flash"] else "")


def test_place_of_the_cost_table() -> None:
    assert re.search(r"^<!-- sizes -->\n(.*\n)*<!-- /sizes -->$", README.read_text(), flags=re.M)
