"""A sensor board made of this computer: unix-port MicroPython in a folder laid out like a board's flash."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tools import toolchain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# An RP2040 has about 190 KB of heap with 32-bit words; the same objects take about twice that here.
HEAP = "384k"
_REBOOT = 42  # the exit code of board.reset() on unix
_STOP_S = 3.0
_KEPT_LINES = 2000

# What a board does after power on: boot.py, then main.py, in one interpreter.
_POWER_ON = "for _f in ('boot.py', 'main.py'): exec(compile(open(_f).read(), _f, 'exec'))"


def board_files(board: str) -> list[Path]:
    """The files of boards/<board>/ that lie flat in the root folder of that board."""
    folder = toolchain.ROOT / "boards" / board
    names = tomllib.loads((folder / "board.toml").read_text())["files"]
    return [(folder / name).resolve() for name in names]


def lay_out(folder: Path, config: Mapping[str, Any], board: str = "unix") -> None:
    """Copy to `folder` what lies on a board's flash: firmware, board files, library, config.json."""
    for path in [*(toolchain.ROOT / "firmware").glob("*.py"), *board_files(board)]:
        shutil.copy(path, folder)
    library = toolchain.ROOT / "lib" / "fieldmqtt"
    shutil.copytree(library, folder / "lib" / "fieldmqtt", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "config.json").write_text(json.dumps(config))


class Device:
    """Runs the firmware as a process, starts it again when it reboots, keeps what it prints. A context manager.

    `config`: the content of config.json. `micropython`: which one; the newest unless given.
    """

    def __init__(self, config: Mapping[str, Any], *, micropython: Path | None = None, heap: str = HEAP) -> None:
        self._micropython, self._heap = micropython or toolchain.micropython(), heap
        self._temporary = tempfile.TemporaryDirectory(prefix="fieldmqtt-device-")
        self.folder = Path(self._temporary.name)
        lay_out(self.folder, config)
        self.reboots = 0
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._ending = False

    def __enter__(self) -> "Device":
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        self._temporary.cleanup()

    @property
    def lines(self) -> list[str]:
        """What the device has printed, oldest first."""
        with self._changed:
            return list(self._lines)

    @property
    def running(self) -> bool:
        """Whether the firmware runs; a reboot counts as running."""
        return bool(self._reader and self._reader.is_alive())

    def start(self) -> None:
        """Power on."""
        if self.running:
            return
        self._ending = False
        self._process = self._power_on()
        self._reader = threading.Thread(target=self._follow, name="device", daemon=True)
        self._reader.start()

    def stop(self) -> int | None:
        """SIGTERM, as Ctrl-C in the REPL: the firmware says goodbye. Returns the exit code."""
        return self._end(kill=False)

    def kill(self) -> int | None:
        """Power off, in the middle of whatever it does."""
        return self._end(kill=True)

    def wait_for(self, text: str, timeout: float = 10) -> str:
        """The first line printed that holds `text`. Raises TimeoutError, with the last lines in its message."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self._lines:
                    if text in line:
                        return line
                if not self._changed.wait(max(0, deadline - time.monotonic())):
                    last = "\n".join(list(self._lines)[-15:])
                    raise TimeoutError(f"the device did not print {text!r} within {timeout} s; its last lines:\n{last}")

    def _end(self, kill: bool) -> int | None:
        with self._changed:
            self._ending = True
            process = self._process
        if not process:
            return None
        if process.poll() is None:
            process.kill() if kill else process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader:
            self._reader.join(_STOP_S)
        return process.returncode

    def _power_on(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(self._micropython), "-X", f"heapsize={self._heap}", "-c", _POWER_ON],
            cwd=self.folder,
            env={**os.environ, "MICROPYPATH": ".frozen:lib"},  # as on a board: '', '.frozen', '/lib'
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for us; the device ends when we say so
        )

    def _follow(self) -> None:
        while self._process and self._process.stdout:
            self._collect(self._process.stdout)
            code = self._process.wait()
            with self._changed:
                if code != _REBOOT or self._ending:
                    return
                self.reboots += 1
                self._process = self._power_on()

    def _collect(self, output: IO[str]) -> None:
        with output:
            for line in output:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
