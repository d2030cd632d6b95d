"""A board without hardware: the unix port of MicroPython behind a pseudo-terminal, driven by the unmodified mpremote.

It has what a board has for those who talk to it: boot.py before main.py, Ctrl-C, the raw REPL and raw paste, soft
reset, machine.reset() and bootloader(), a file system that keeps its files. Its sockets, its heap and its TLS are the
computer's, and its output has \n where a board's has \r\n. A RTC and ROMFS are missing.

    python -m tests.support.vboard FOLDER LINK       to try it by hand: mpremote connect LINK fs ls
"""

import json
import os
import pty
import select
import subprocess
import tempfile
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tools import toolchain
from tools.device import HEAP

_SHIM = Path(__file__).with_name("shim.py")
_RAW, _FRIENDLY, _RESET, _BOOTLOADER = 40, 41, 42, 43
_UNREAD = 16384  # bytes of output kept while nobody reads; a board's USB drops what nobody takes
_STOP_S = 5


class VirtualBoard:
    """A context manager: plugged in at its begin. `folder` is its flash, which outlives it.

    `capacity`: bytes of flash. `version`, `mpy`, `build`, `platform`: what sys says of itself in place of the truth,
    as (1, 22, 2), the number sys.implementation._mpy, "W5100S_EVB_PICO", "rp2"; `machine`: sys.implementation._machine,
    and no build, as before MicroPython 1.25. `on_bootloader` is called when the board enters the bootloader, and so
    leaves its port.
    """

    def __init__(
        self,
        folder: Path,
        *,
        micropython: Path | None = None,
        heap: str = HEAP,
        capacity: int | None = None,
        version: tuple[int, int, int] | None = None,
        mpy: int | None = None,
        build: str | None = None,
        machine: str | None = None,
        platform: str | None = None,
        unique_id: str = "e661a4d176312f2b",
        on_bootloader: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder
        self.resets = 0  # machine.reset(), or a program that died
        self.soft_resets = 0
        self.received = 0  # bytes from the host since it was plugged in
        self.cut_at: int | None = None  # the cable is pulled out when so many were received
        self.in_bootloader = threading.Event()
        self._micropython, self._heap = micropython or toolchain.micropython(), heap
        self._options = {"version": version, "mpy": mpy, "build": build, "machine": machine, "platform": platform}
        self._options |= {"capacity": capacity, "unique_id": unique_id}
        self._on_bootloader = on_bootloader
        self._place = tempfile.TemporaryDirectory(prefix="fieldmqtt-vboard-")
        self.port = str(Path(self._place.name) / "tty")
        self._output = bytearray()
        self._unread = bytearray()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "VirtualBoard":
        self.plug()
        return self

    def __exit__(self, *exc: object) -> None:
        self.unplug()
        self._place.cleanup()

    @property
    def output(self) -> str:
        """All that the board has printed since it was plugged in."""
        return bytes(self._output).decode(errors="replace")

    @property
    def plugged(self) -> bool:
        """Whether the cable is in."""
        return bool(self._thread and self._thread.is_alive())

    def plug(self) -> None:
        """Put the cable in: the board starts, its port is there."""
        if self.plugged:
            return
        self.received, self._output, self._unread = 0, bytearray(), bytearray()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        Path(self.port).unlink(missing_ok=True)
        os.symlink(os.ttyname(self._slave), self.port)
        self._wake_reader, self._wake_writer = os.pipe()
        self._start("friendly")
        self._thread = threading.Thread(target=self._relay, name="virtual board", daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Pull the cable out: the port is gone, and so is the power."""
        if self._thread:
            with suppress(OSError):  # it is out already
                os.write(self._wake_writer, b"x")
            self._thread.join(_STOP_S)
            os.close(self._wake_writer)
            self._thread = None

    def wait_for(self, text: str, timeout: float = 15) -> None:
        """Wait until the board has printed this."""
        self.wait_until(lambda: text in self.output, timeout)

    def wait_until(self, condition: Callable[[], bool], timeout: float = 15) -> None:
        """Wait until this holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout} s in vain; the board said:\n{self.output[-2000:]}")
            time.sleep(0.01)

    # --- the process

    def _start(self, mode: str) -> None:
        """Whoever opens a terminal as the first of a session gets its Ctrl-C: hence the shell."""
        self._board, terminal = pty.openpty()
        tty.setraw(terminal)
        name = os.ttyname(terminal)
        options = ["-X", f"heapsize={self._heap}"]
        program = [str(self._micropython), *options, str(_SHIM), str(self.folder), mode, json.dumps(self._options)]
        self._process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" <{name} >{name} 2>&1', "sh", *program],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        while not self._is_open(terminal):
            time.sleep(0.001)
        os.close(terminal)

    def _is_open(self, terminal: int) -> bool:
        """Whether the process has the terminal: it is a session's, or the process has ended."""
        try:
            return os.tcgetpgrp(self._board) != 0 or self._process.poll() is not None
        except OSError:
            return self._process.poll() is not None

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        for descriptor in (self._board, self._master, self._slave, self._wake_reader):
            os.close(descriptor)
        Path(self.port).unlink(missing_ok=True)

    # --- between the host and the process

    def _relay(self) -> None:
        while True:
            writing = [self._master] if self._unread else []
            ready, writable, _ = select.select([self._master, self._board, self._wake_reader], writing, [])
            if self._wake_reader in ready or (self._master in ready and not self._to_board()):
                break
            if self._board in ready and not self._from_board() and not self._go_on(self._process.wait()):
                break
            if writable or self._unread:
                self._to_host()
        self._end()
        if self.in_bootloader.is_set():
            self._on_bootloader()

    def _to_board(self) -> bool:
        """False when the cable is to be pulled out now."""
        with suppress(BlockingIOError):
            data = os.read(self._master, 4096)
            if self.cut_at is not None:
                data = data[: self.cut_at - self.received]
            self.received += len(data)
            os.write(self._board, data)
        return self.cut_at is None or self.received < self.cut_at

    def _from_board(self) -> bool:
        """False at the end of the process."""
        try:
            data = os.read(self._board, 4096)
        except OSError:
            data = b""
        self._output += data
        self._unread += data[: max(0, _UNREAD - len(self._unread))]
        return bool(data)

    def _to_host(self) -> None:
        with suppress(BlockingIOError):
            del self._unread[: os.write(self._master, self._unread)]

    def _go_on(self, code: int) -> bool:
        """Start again as the exit code says; False: the board leaves its port."""
        os.close(self._board)
        self._board = os.dup(self._wake_reader)  # until there is another
        if code == _BOOTLOADER:
            self.in_bootloader.set()
            return False
        if code in (_RAW, _FRIENDLY):
            self.soft_resets += 1
        else:
            self.resets += 1
        os.close(self._board)
        self._start("raw" if code == _RAW else "friendly")
        return True
