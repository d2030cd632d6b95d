"""`make test-board`: the tests that run under MicroPython, on a virtual board; a short form of them."""

from pathlib import Path

import pytest

from board.conftest import Command, Plug, files
from firmware.watcher import Watcher
from tools import test_board
from tools.broker import Broker

pytestmark = pytest.mark.xdist_group("board-suite")


def test_files_of_tests_on_a_board(plug: Plug, command: Command):
    board = plug(heap="2M")
    run = command("test-board", "topics", "outbox", "--port", board.port)
    assert run.exit_code == 0, run.output
    assert "passed test_table_of_the_specification" in run.output
    assert run.output.splitlines()[-1] == f"test-board: {run.output.count('passed test_')} passed, 0 failed"
    assert not files(board)


def test_a_failure_shows(plug: Plug, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A test that fails, one that needs more memory than there is, a file that cannot be imported."""
    (tmp_path / "test_wrong.py").write_text("def test_a():\n    assert 1 == 2\ndef test_b():\n    bytearray(1 << 28)\n")
    (tmp_path / "test_broken.py").write_text(
        f"open('/{test_board._TEMPORARY}/left', 'w').close()\nimport nothing_of_that_name\n"
    )
    monkeypatch.setattr("tools.test_board._UNIT", tmp_path)
    board = plug(heap="2M")
    run = command("test-board", "wrong", "broken", "--port", board.port)
    assert run.exit_code == 1
    assert not files(board)
    assert "FAILED test_a" in run.output and "AssertionError" in run.output
    assert "nothing_of_that_name" in run.output
    assert run.output.splitlines()[-1] == "test-board: 0 passed, 2 failed, 1 need more memory than this board has"


def test_an_old_micropython_is_refused_and_goes_on(plug: Plug, command: Command):
    board = plug({"main.py": "print('it goes on')\n"}, version=(1, 19, 1))
    assert "needs 1.23 or later" in command("test-board", "topics", "--port", board.port).stderr
    board.wait_until(lambda: board.output.count("it goes on") == 2)


def test_a_file_that_is_not_there(plug: Plug, command: Command):
    run = command("test-board", "nonsense", "--port", "/dev/nothing")
    assert run.exit_code == 1
    assert "no file of tests nonsense" in run.stderr and "topics" in run.stderr


def test_the_program_starts_again(plug: Plug, deployed: Path, broker: Broker, command: Command):
    board = plug(deployed, heap="2M")
    with Watcher(broker.port) as watcher:
        watcher.until_readings(1)
        assert command("test-board", "outbox", "--port", board.port).exit_code == 0
        watcher.until_state("online")
        watcher.until_readings(1)
