"""A command that is ended by a signal leaves nothing behind: no process, no folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools import toolchain

_INTEROP = toolchain.ROOT / "tests" / "interop"
_BEGIN_S = 60.0
_END_S = 20.0  # what waits for a message waits for 15 s
_INTERRUPTED = 130  # as after Ctrl-C
_COMMANDS = {
    "interop": ["interop.py", "--broker", "mosquitto", "--case", "keepalive", "--case", "will"],
    "ends": ["ends/run.py", "--client", "paho-mqtt"],
}


def _until(there: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


def _processes() -> Iterator[tuple[int, int, str]]:
    """Number, parent and command line of each process."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        yield int(path.name), int(parent), command


def _boards(run: int) -> list[int]:
    """The MicroPythons that the command has started."""
    return [number for number, parent, command in _processes() if parent == run and " -X heapsize=" in command]


def _left(folder: Path, boards: list[int]) -> list[str]:
    """What is still there of those that name something of the folder, and of the boards."""
    return [command for number, _, command in _processes() if command and (str(folder) in command or number in boards)]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("name", _COMMANDS)
def test_nothing_is_left(name: str, number: signal.Signals, tmp_path: Path) -> None:
    program, *arguments = _COMMANDS[name]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(_INTEROP / program), *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        try:
            _until(lambda: _boards(run.pid), _BEGIN_S)
            boards = _boards(run.pid)
            run.send_signal(number)
            assert run.wait(_END_S) == _INTERRUPTED
        finally:
            run.kill()
    assert not list(tmp_path.iterdir()) and not _left(tmp_path, boards)
