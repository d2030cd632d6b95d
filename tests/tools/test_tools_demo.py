"""`make demo`, as a newcomer and as a script see it."""

import re
import signal
import subprocess
import sys
import time

import pytest

from tools import toolchain
from tools.demo import Board

_LAST_LINE = re.compile(r"demo: (\d+) readings received, (\d+) lost")
_DEMO = [sys.executable, "-m", "tools", "demo"]


def _counts(output: str) -> tuple[int, int]:
    last = _LAST_LINE.fullmatch(output.splitlines()[-1])
    assert last, output
    return int(last[1]), int(last[2])


def test_demo_ends_by_itself_and_counts():
    run = subprocess.run([*_DEMO, "--seconds", "8"], cwd=toolchain.ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    received, lost = _counts(run.stdout)
    assert received >= 3
    assert lost == 0
    assert re.search(r"^\S+ reading: \{.*\"seq\"", run.stdout, re.MULTILINE)
    assert re.search(r"^\S+ state: .*online", run.stdout, re.MULTILINE)


def test_ctrl_c_ends_the_demo_cleanly():
    demo = subprocess.Popen(_DEMO, cwd=toolchain.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        shown = _read_until(demo, " reading: ")
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate(timeout=20)
    finally:
        demo.kill()
    assert _counts(rest)[0] >= 1, shown + rest
    assert demo.returncode == 0
    assert "Traceback" not in shown + rest


def _read_until(process: "subprocess.Popen[str]", text: str) -> str:
    shown, deadline = "", time.monotonic() + 30
    assert process.stdout
    for line in process.stdout:
        shown += line
        if text in line:
            return shown
        assert time.monotonic() < deadline, shown
    pytest.fail(f"the demo ended early:\n{shown}")


def test_a_reader_that_leaves_ends_the_demo_without_a_trace():
    demo = subprocess.Popen(_DEMO, cwd=toolchain.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        _read_until(demo, " reading: ")
        assert demo.stdout and demo.stderr
        demo.stdout.close()
        assert demo.wait(20) == 0
        assert demo.stderr.read() == ""
    finally:
        demo.kill()


def test_a_gap_in_seq_is_a_loss():
    board = Board()
    for seq in (7, 8, 11):
        board.add({"seq": seq})
    assert (board.received, board.lost) == (3, 2)


def test_a_board_that_starts_again_has_lost_nothing():
    board = Board()
    for seq in (7, 8, 0, 1):
        board.add({"seq": seq})
    assert (board.received, board.lost) == (4, 0)


def test_a_reading_that_comes_again_counts_once():
    board = Board()
    for seq in (7, 8, 9, 8, 10):
        board.add({"seq": seq, "uptime": 5 * seq})
    assert (board.received, board.lost) == (4, 0)
    assert board.last["seq"] == 10


def test_a_reading_that_comes_late_is_no_loss():
    board = Board()
    for seq in (7, 9, 8):
        board.add({"seq": seq, "uptime": 5 * seq})
    assert (board.received, board.lost) == (3, 0)


def test_losses_are_counted_in_each_run_of_a_board():
    board = Board()
    for seq, uptime in ((0, 0), (2, 10), (0, 1), (1, 6), (3, 16)):
        board.add({"seq": seq, "uptime": uptime})
    assert (board.received, board.lost) == (5, 2)


def test_a_start_that_only_the_uptime_tells():
    board = Board()
    for seq, uptime in ((0, 500), (1, 505), (2, 3)):
        board.add({"seq": seq, "uptime": uptime})
    assert (board.received, board.lost) == (3, 0)


@pytest.mark.parametrize("command", [[], ["setup"], ["demo"], ["check"]])
def test_help(command: list[str]):
    run = subprocess.run([sys.executable, "-m", "tools", *command, "--help"], cwd=toolchain.ROOT, capture_output=True)
    assert run.returncode == 0
    assert b"Usage: python -m tools" in run.stdout
