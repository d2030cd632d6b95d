"""`make deploy` on virtual boards: what is copied, what is kept, what a person reads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from board.conftest import Command, Plug, configuration, files
from firmware.watcher import Watcher
from tools.broker import Broker
from tools.toolchain import ROOT

pytestmark = pytest.mark.xdist_group("board-deploy")

OURS = "print('mine')\n"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project whose files may be edited."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("tools", "lib", "firmware", "boards"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "package.json", folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def run_in(checkout: Path, *arguments: str) -> str:
    """`python -m tools deploy …` in this copy; returns what it printed."""
    command = [sys.executable, "-m", "tools", "deploy", *arguments]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_from_a_bare_board_to_its_readings(plug: Plug, broker: Broker, command: Command, micropython: Path):
    board = plug({"config.json": configuration(broker.port, "bare")}, micropython=micropython)
    with Watcher(broker.port, "bare") as watcher:
        run = command("deploy", "--port", board.port)
        assert run.exit_code == 0, run.output
        assert "first reading after" in run.output
        watcher.until_state("online")
        watcher.until_readings(2)
    assert (board.folder / "lib" / "fieldmqtt" / "client.mpy").exists()
    assert not (board.folder / "lib" / "fieldmqtt" / "client.py").exists()
    assert not [name for name in files(board) if name.endswith((".new", ".todo"))]


def test_a_second_time_copies_nothing_and_a_changed_file_alone(plug: Plug, deployed: Path, checkout: Path):
    board = plug(deployed)
    before = files(board)
    assert "nothing to copy" in run_in(checkout, "--port", board.port)
    assert files(board) == before
    source = checkout / "firmware" / "sensors.py"
    source.write_text(source.read_text().replace('"heap_free"', '"heap"'))
    said = run_in(checkout, "--port", board.port)
    assert "1 copied, 0 removed" in said
    assert '"heap": ' in said  # the first reading is the new program's
    assert {name for name, data in files(board).items() if data != before[name]} == {"sensors.mpy", "deploy.json"}
    more = checkout / "firmware" / "more.py"
    more.write_text("x = 1\n")
    assert "add     more.mpy" in run_in(checkout, "--port", board.port)
    more.unlink()
    said = run_in(checkout, "--port", board.port)
    assert "remove  more.mpy" in said
    assert not (board.folder / "more.mpy").exists()


def test_what_is_not_ours_is_left_alone(plug: Plug, broker: Broker, command: Command):
    others = {
        "config.json": configuration(broker.port, "others"),
        "ca.der": "a certificate",
        "laninfo.txt": "192.168.1.2",
        "data/log.csv": "1,2",
        "lib/mine.py": OURS,
    }
    board = plug(others | {"outbox/readme": OURS, "main.py": OURS, "clock.py": OURS, "lib/fieldmqtt/client.py": OURS})
    run = command("deploy", "--port", board.port)
    assert run.exit_code == 0, run.output
    found = files(board)
    assert {name: found[name].decode() for name in others} == others
    assert (board.folder / "outbox" / "readme").read_text() == OURS
    # theirs gives way to ours, but is not lost; an old copy of the library is no loss
    assert found["main.py.old"].decode() == found["clock.py.old"].decode() == OURS
    assert "clock.py" not in found
    assert not [name for name in found if name.startswith("lib/fieldmqtt/") and not name.endswith(".mpy")]
    assert "keep    main.py as main.py.old" in run.output


def test_a_file_that_was_edited_on_the_board_is_kept_aside(plug: Plug, deployed: Path, command: Command):
    board = plug(deployed)
    (board.folder / "boot.py").write_text(OURS)
    assert command("deploy", "--port", board.port).exit_code == 0
    assert (board.folder / "boot.py.old").read_text() == OURS
    (board.folder / "boot.py").write_text(OURS)
    assert command("deploy", "--port", board.port).exit_code == 0
    assert (board.folder / "boot.py.old2").read_text() == OURS


def test_dry_run_shows_the_plan_and_changes_nothing(plug: Plug, deployed: Path, command: Command):
    board = plug(deployed)
    (board.folder / "sensors.mpy").unlink()
    before = files(board)
    run = command("deploy", "--port", board.port, "--dry-run")
    assert run.exit_code == 0, run.output
    assert "add     sensors.mpy" in run.output and "nothing was" in run.output
    assert files(board) == before


def test_a_dry_run_lets_the_program_run_on(plug: Plug, deployed: Path, broker: Broker, command: Command):
    board = plug(deployed)
    with Watcher(broker.port) as watcher:
        watcher.until_readings(1)
        assert command("deploy", "--port", board.port, "--dry-run").exit_code == 0
        watcher.until_state("online")
        watcher.until_readings(2)


def test_sources_and_back_to_compiled_files(plug: Plug, deployed: Path, command: Command):
    board = plug(deployed)
    assert command("deploy", "--port", board.port, "--source").exit_code == 0
    names = set(files(board))
    assert "sensor_app.py" in names and not [name for name in names if name.endswith(".mpy")]
    assert command("deploy", "--port", board.port).exit_code == 0
    assert {name for name in files(board) if name.endswith(".py")} == {"boot.py", "main.py"}


def test_two_boards_at_once_a_line_each(plug: Plug, deployed: Path, broker: Broker, command: Command):
    boards = [plug(deployed) for _ in range(2)]
    for number, board in enumerate(boards):
        (board.folder / "config.json").write_text(configuration(broker.port, f"board{number}"))
        (board.folder / "sensors.mpy").unlink()
    run = command("deploy", "--port", ",".join(board.port for board in boards))
    assert run.exit_code == 0, run.output
    assert len(run.output.splitlines()) == 2
    for number, board in enumerate(boards):
        assert f"{board.port}  unix: 1 copied, 0 removed, first reading after" in run.output
        assert f"fieldmqtt/board{number}/reading" in run.output


def test_a_fleet_asks_the_firmware_for_its_rules_at_once() -> None:
    """In a process of its own, in which nobody has asked before."""
    code = (
        "import sys, threading; sys.setswitchinterval(1e-6)\n"
        "from tools import provision_schema\n"
        "wrong, start = [], threading.Barrier(8)\n"
        "def ask():\n"
        "    start.wait()\n"
        "    try: provision_schema.complete({'mqtt': {'server': 'a'}}, 'RPI_PICO_W')\n"
        "    except provision_schema.SettingError: return\n"
        "    except Exception as error: wrong.append(repr(error))\n"
        "threads = [threading.Thread(target=ask) for _ in range(8)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "left = {'micropython', 'network', 'config', 'link', 'wifi'} & set(sys.modules)\n"
        "print(*wrong, *left)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (told.stdout, told.stderr) == ("\n", "")


def test_one_board_of_a_fleet_fails(plug: Plug, deployed: Path, command: Command):
    good, bad = plug(deployed), plug()
    run = command("deploy", "--port", f"{bad.port},{good.port}")
    assert run.exit_code == 1
    lines = dict(line.split("  ", 1) for line in run.output.splitlines())
    assert lines[good.port].startswith("unix: nothing to copy, first reading")
    assert lines[bad.port].startswith("failed: There is no config.json on the board") and "provision" in lines[bad.port]
