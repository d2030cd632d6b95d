"""`make boards`: what is plugged in."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from board.conftest import Command, Plug
from firmware.watcher import Watcher
from support.vboard import VirtualBoard
from tools import deploy_build, flash_uf2
from tools.broker import Broker

pytestmark = pytest.mark.xdist_group("board-boards")


@pytest.fixture
def boards(plug: Plug, deployed: Path, monkeypatch: pytest.MonkeyPatch) -> list[VirtualBoard]:
    """One that was deployed to, a new one, an old one: all that USB shows."""
    found = [
        plug(deployed),
        plug(build="W5100S_EVB_PICO", platform="rp2", capacity=1_441_792),
        plug(build="ESP32_GENERIC-SPIRAM", platform="esp32", version=(1, 19, 1)),
    ]
    fields = {"description": "Board in FS mode", "vid": 0x2E8A, "pid": 5, "serial_number": "1"}
    usb = [SimpleNamespace(device=one.port, **fields) for one in found]
    monkeypatch.setattr(list_ports, "comports", lambda: usb)
    return found


def test_a_table_of_all_that_is_there(boards: list[VirtualBoard], command: Command):
    run = command("boards")
    assert run.exit_code == 0, run.output
    rows = {one.port: next(line for line in run.output.splitlines() if one.port in line) for one in boards}
    ours, new, old = (rows[one.port] for one in boards)
    assert "unix" in ours and deploy_build.version() in ours
    assert "W5100S_EVB_PICO" in new and "1,408 KB" in new and "none" in new and "make deploy" in new
    assert "ESP32_GENERIC " in old and "1.19.1" in old and "needs 1.23" in old


def test_for_scripts(boards: list[VirtualBoard], command: Command):
    run = command("boards", "--json")
    found = {one["port"]: one for one in json.loads(run.stdout)}
    assert set(found) == {one.port for one in boards}
    assert found[boards[0].port]["info"]["fieldmqtt"] == deploy_build.version()
    assert found[boards[1].port]["board"] == "W5100S_EVB_PICO"
    assert found[boards[1].port]["info"]["flash_size"] == 1_441_792


def test_a_program_that_ran_runs_again(plug: Plug, deployed: Path, broker: Broker, command: Command):
    board = plug(deployed)
    with Watcher(broker.port) as watcher:
        watcher.until_readings(1)
        assert command("boards", "--port", board.port).exit_code == 0
        watcher.until_state("online")
        watcher.until_readings(2)


def test_a_new_board_in_its_bootloader(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    monkeypatch.setattr(list_ports, "comports", list)
    monkeypatch.setattr(flash_uf2, "candidates", lambda: [tmp_path])
    run = command("boards")
    assert run.exit_code == 0
    assert str(tmp_path) in run.output and "RP2040 bootloader" in run.output and "make flash" in run.output


def test_several_boards_and_none_named(boards: list[VirtualBoard], command: Command):
    run = command("deploy")
    assert run.exit_code == 1
    assert "There are 3 ports; say which" in run.stderr
    assert all(f"PORT={one.port}" in run.stderr for one in boards)


def test_a_fleet_is_all_that_is_there(boards: list[VirtualBoard], command: Command):
    run = command("deploy", "--port", "all")
    assert run.exit_code == 1
    lines = dict(line.split("  ", 1) for line in run.output.splitlines())
    assert "nothing to copy, first reading" in lines[boards[0].port]
    assert "no config.json" in lines[boards[1].port]
    assert "needs 1.23 or later" in lines[boards[2].port]
