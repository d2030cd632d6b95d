"""Whatever is wrong with a board, `deploy` says what to do, and the board is left as it was."""

import dataclasses
import os
from pathlib import Path

import pytest
from serial.tools import list_ports

from board.conftest import Command, Plug, configuration, files
from firmware.watcher import Watcher
from support.vboard import VirtualBoard
from tools import boards, deploy_plan, flash_uf2, remote
from tools.broker import Broker, free_port
from tools.remote import Remote

pytestmark = pytest.mark.xdist_group("board-messages")

FOR_EVER = "import time\nprint('begins')\nwhile True:\n    time.sleep(0.01)\n"
STUBBORN = """
import time
print("begins")
for n in range(3):
    try:
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        print("no", n)
"""
NOISY = """
import builtins
really = print
def noisy(*said):
    really("tick")
    really(*said)
builtins.print = noisy
"""


def refuse(command: Command, board: VirtualBoard, *options: object) -> str:
    """Deploy, which fails and changes nothing but where readings wait; returns what was said."""
    before = files(board)
    run = command("deploy", "--port", board.port, *options)
    assert run.exit_code == 1, run.output
    assert files(board) == before
    return run.stderr


@pytest.mark.parametrize("name", ["deploy", "boards"])
def test_no_board_at_all(command: Command, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setattr(list_ports, "comports", list)
    monkeypatch.setattr(flash_uf2, "candidates", list)
    run = command(name)
    assert run.exit_code == 1
    assert "No board found" in run.stderr and "carries data" in run.stderr and "make flash" in run.stderr


def test_a_port_that_is_not_there(command: Command):
    run = command("deploy", "--port", "/dev/nothing")
    assert run.exit_code == 1
    assert "/dev/nothing cannot be opened" in run.stderr and "dialout" in run.stderr


def test_something_that_is_not_micropython(command: Command, monkeypatch: pytest.MonkeyPatch):
    """A terminal at which nobody answers."""
    monkeypatch.setattr(boards, "_PATIENCE_S", 0.5)
    monkeypatch.setattr(remote, "_GOODBYE_S", 0.2)
    master, slave = os.openpty()
    try:
        run = command("boards", "--port", os.ttyname(slave))
    finally:
        os.close(master)
        os.close(slave)
    assert run.exit_code == 1
    assert "does not answer as MicroPython does" in run.output


def test_no_config(plug: Plug, command: Command):
    assert "no config.json on the board" in refuse(command, plug())


def test_a_config_that_the_firmware_would_refuse(plug: Plug, command: Command):
    said = refuse(command, plug({"config.json": '{"mqtt": {}}'}))
    assert "mqtt.server: missing" in said and "make provision" in said


def test_a_certificate_that_is_missing(plug: Plug, command: Command):
    config = configuration(1, mqtt={"tls": {"ca": "ca.der"}})
    assert "there is no file ca.der" in refuse(command, plug({"config.json": config}))


@pytest.mark.parametrize(
    ("version", "mpy", "says"),
    [
        ((1, 19, 1), 6 | 2 << 10, "runs MicroPython 1.19.1; fieldmqtt needs 1.23 or later"),
        ((1, 24, 0), 6 | 2 << 8 | 2 << 10, "loads .mpy files of version 6.2; the mpy-cross here makes 6.3"),
    ],
)
def test_an_old_firmware(plug: Plug, broker: Broker, command: Command, version: tuple, mpy: int, says: str):
    board = plug({"config.json": configuration(broker.port)}, version=version, mpy=mpy)
    said = refuse(command, board)
    assert says in said and "make flash" in said


def test_a_firmware_without_mpy_takes_sources(plug: Plug, broker: Broker, command: Command):
    board = plug({"config.json": configuration(broker.port, "old")}, version=(1, 24, 0), mpy=6 | 2 << 8 | 2 << 10)
    assert command("deploy", "--port", board.port, "--source").exit_code == 0


def test_a_board_that_nobody_knows(plug: Plug, command: Command):
    board = plug(build="TOASTER", platform="rp2")
    said = refuse(command, board)
    assert "calls itself TOASTER" in said and "BOARD=" in said and "W5100S_EVB_PICO" in said
    assert "no board NONSENSE" in refuse(command, board, "--board", "NONSENSE")


@pytest.mark.parametrize("name", ["fieldmqtt/__init__.py", "fieldmqtt.mpy"])
def test_a_library_that_would_hide_ours(plug: Plug, broker: Broker, command: Command, name: str):
    said = refuse(command, plug({"config.json": configuration(broker.port), name: ""}))
    assert f"mpremote rm -r :{name.partition('/')[0]}\n" in said


def test_a_board_that_prints_in_between(plug: Plug, deployed: Path, command: Command):
    board = plug(deployed)
    (board.folder / "boot.py").write_text(NOISY)
    assert "print in between" in refuse(command, board)


def test_ctrl_c_while_the_broker_is_asked(
    plug: Plug, deployed: Path, broker: Broker, command: Command, monkeypatch: pytest.MonkeyPatch
):
    """The last moment at which the program on the board is stopped."""
    board = plug(deployed)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with Watcher(broker.port) as watcher, monkeypatch.context() as patch:
        watcher.until_readings(1)
        patch.setattr("tools.provision_tls.client", interrupted)
        assert command("deploy", "--port", board.port).exit_code != 0
        watcher.until_state("online")
        watcher.until_readings(2)


def fill(board: VirtualBoard) -> None:
    """A large file of somebody's, and every file of the library another version."""
    (board.folder / "holiday.jpg").write_bytes(bytes(160_000))
    for name in files(board):
        if name.startswith("lib/"):
            (board.folder / name).write_bytes(b"another version")


def test_a_frozen_firmware(plug: Plug, deployed: Path, command: Command, monkeypatch: pytest.MonkeyPatch):
    info = Remote.info
    monkeypatch.setattr(Remote, "info", lambda remote: dataclasses.replace(info(remote), fieldmqtt="frozen"))
    said = refuse(command, plug(deployed))
    assert "frozen into the MicroPython" in said and "docs/freezing.md" in said


def test_a_full_board(plug: Plug, deployed: Path, command: Command):
    board = plug(deployed, capacity=250_000)
    fill(board)
    said = refuse(command, board)
    assert "The board is full" in said and "are free" in said
    assert "160,000  holiday.jpg" in said and "mpremote" in said


def test_a_board_that_is_full_before_it_says_so(
    plug: Plug, deployed: Path, command: Command, monkeypatch: pytest.MonkeyPatch
):
    board = plug(deployed, capacity=205_000)
    fill(board)
    monkeypatch.setattr(deploy_plan, "check_room", lambda *_: None)
    said = refuse(command, board)
    assert "The board is full: OSError" in said and "160,000  holiday.jpg" in said


def test_a_file_that_arrives_damaged(plug: Plug, deployed: Path, command: Command, monkeypatch: pytest.MonkeyPatch):
    board, put = plug(deployed), Remote.put
    (board.folder / "sensors.mpy").write_bytes(b"another version")

    def damaged(remote: Remote, path: str, data: bytes) -> None:
        put(remote, path, data[:-1] + b"x" if path == "sensors.mpy.new" else data)

    monkeypatch.setattr(Remote, "put", damaged)
    run = command("deploy", "--port", board.port)
    assert run.exit_code == 1
    assert "did not arrive as they were sent: sensors.mpy." in run.stderr and "another cable" in run.stderr
    assert files(board)["sensors.mpy"] == b"another version" and "deploy.todo" not in files(board)
    monkeypatch.undo()
    assert command("deploy", "--port", board.port).exit_code == 0
    assert not [name for name in files(board) if name.endswith(".new")]


def test_a_refusal_lets_the_program_run_on(plug: Plug, deployed: Path, broker: Broker, command: Command):
    board = plug(deployed)
    with Watcher(broker.port) as watcher:
        watcher.until_readings(1)
        refuse(command, board, "--board", "NONSENSE")
        watcher.until_state("online")
        watcher.until_readings(2)


def test_a_board_that_loops_in_main(plug: Plug, broker: Broker, command: Command):
    board = plug({"config.json": configuration(broker.port, "loop"), "main.py": FOR_EVER})
    run = command("deploy", "--port", board.port)
    assert run.exit_code == 0, run.output
    assert (board.folder / "main.py.old").read_text() == FOR_EVER


def test_a_program_that_catches_ctrl_c(plug: Plug, broker: Broker, command: Command):
    board = plug({"config.json": configuration(broker.port, "stubborn"), "main.py": STUBBORN})
    assert command("deploy", "--port", board.port).exit_code == 0


def test_a_board_that_blocks_in_boot(plug: Plug, broker: Broker, command: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote, "_BOOT_S", 2.0)
    board = plug({"config.json": configuration(broker.port, "boot"), "boot.py": FOR_EVER})
    run = command("deploy", "--port", board.port)
    assert run.exit_code == 0, run.output
    assert "boot.py on the board did not end by itself" in run.output
    assert "keep    boot.py as boot.py.old" in run.output


def test_a_broker_that_is_not_there(plug: Plug, deployed: Path, command: Command):
    board = plug(deployed)
    (board.folder / "config.json").write_text(configuration(free_port()))
    run = command("deploy", "--port", board.port, "--timeout", 3)
    assert run.exit_code == 1
    assert "this computer cannot watch the board's broker" in run.stderr
    assert "[0.0" in run.stderr and "ECONNREFUSED" in run.stderr  # what the board says
    assert "provision --check" in run.stderr


def test_a_program_that_fails(plug: Plug, deployed: Path, broker: Broker, command: Command):
    """A mistake of one's own: here a file that has the name of a module that the firmware imports."""
    board = plug(deployed)
    (board.folder / "ntptime.py").write_text("raise OSError('mine')\n")
    with Watcher(broker.port):
        run = command("deploy", "--port", board.port, "--timeout", 2)
    assert run.exit_code == 1
    assert "no reading arrived at fieldmqtt/board/reading within 2 s" in run.stderr
    assert "OSError: mine" in run.stderr and "mend it" in run.stderr
