"""One board at one port, over mpremote's transport: run code, move files, restart, listen.

Every wait has a deadline. Whatever goes wrong is a RemoteError whose message says what to do; only what the board's own
interpreter raised is a RemoteExecError, with the traceback.

    with Remote("/dev/ttyACM0") as board:
        print(board.info().board, board.eval("1 + 1"))
"""

import ast
import errno
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from mpremote.transport import TransportError, TransportExecError  # type: ignore[import-untyped]
from mpremote.transport_serial import SerialTransport  # type: ignore[import-untyped]
from serial.tools import list_ports  # type: ignore[import-untyped]

from tools import remote_info
from tools.remote_info import Info

__all__ = ["NO_BOARD", "Info", "Port", "Remote", "RemoteError", "RemoteExecError", "choose", "ports"]

NO_BOARD = """\
No board found: no USB serial port is there.
  - Is it plugged in with a cable that carries data? Many only charge.
  - A new board needs MicroPython first: make flash
  - In a virtual machine or a container, pass the USB device through.
  - A port that is not USB must be named: PORT=/dev/ttyS0"""

_BANNER = b"raw REPL; CTRL-B to exit\r\n"
_CHUNK = 1024  # bytes of a file in one piece of code: the board needs some four times that as heap
_GOODBYE_S = 2.5  # our firmware says goodbye to the broker before it stops
_BOOT_S = 5.0  # for boot.py
_QUIET_S = 0.1


class RemoteError(RuntimeError):
    """The board could not be reached or did not do what it was asked; the message says what to do."""


class RemoteExecError(RemoteError):
    """Code on the board raised an exception: `traceback` is what the board printed."""

    def __init__(self, port: str, traceback: str) -> None:
        self.traceback = traceback.strip()
        super().__init__(f"{port}: the board says:\n{self.traceback}")

    @property
    def last_line(self) -> str:
        """Such as `OSError: [Errno 28] ENOSPC`."""
        return self.traceback.splitlines()[-1] if self.traceback else ""


@dataclass(frozen=True)
class Port:
    """A serial port of this computer that is a USB device."""

    device: str
    description: str
    vid: int
    pid: int
    serial_number: str


def ports() -> list[Port]:
    """The USB serial ports that are there, sorted."""
    return [
        Port(found.device, found.description or "", found.vid, found.pid or 0, found.serial_number or "")
        for found in sorted(list_ports.comports(), key=lambda one: one.device)
        if found.vid is not None
    ]


def choose(port: str | None = None) -> str:
    """The port that was given, else the only one that is there. Raises RemoteError."""
    if port:
        return port
    found = ports()
    if not found:
        raise RemoteError(NO_BOARD)
    if len(found) > 1:
        names = "\n".join(f"  PORT={one.device}  {one.description}" for one in found)
        raise RemoteError(f"There are {len(found)} ports; say which (python -m tools …: --port):\n{names}")
    return found[0].device


class Remote:
    """A board whose program is stopped, so that it does what it is told. A context manager.

    `soft_reset`: begin with a fresh interpreter: boot.py has run, main.py has not. `interrupt=False`: leave the
    program alone; only lines() can be used then, until stop(). `timeout`: seconds for each answer, unless told.
    """

    def __init__(
        self, port: str, *, timeout: float = 10.0, soft_reset: bool = True, interrupt: bool = True, baud: int = 115200
    ) -> None:
        self.port, self._timeout = port, timeout
        self.boot_blocked = False  # boot.py did not end by itself; Ctrl-C ended it
        self._rest = b""
        self._folders: set[str] = set()  # known to be there
        self._transport = _open(port, baud, timeout)
        try:
            if interrupt:
                self.stop()
                if soft_reset:
                    self.soft_reset()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Remote":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave the board as it is (in the raw REPL other tools find their way too) and free the port."""
        try:
            if self._transport.in_raw_repl:
                self._transport.exit_raw_repl()
            self._transport.close()
        except OSError:  # the cable is out
            self._transport.serial.close()

    # --- the program on the board

    def stop(self) -> None:
        """Interrupt the program and enter the raw REPL. A program that catches Ctrl-C is asked for some time."""
        began = time.monotonic()
        keys = b"\r\x03\r\x01"
        with self._speaking():
            while not self._answered(keys, _BANNER + b">", 1.0):
                passed = time.monotonic() - began
                if passed > max(self._timeout, 3 * _GOODBYE_S):
                    raise RemoteError(_silent(self.port))
                keys = b"\r\x01" if passed < _GOODBYE_S else b"\x03\x03\r\x03\r\x01"
            self._prompt()

    def soft_reset(self) -> None:
        """A fresh interpreter: boot.py runs, main.py does not. A boot.py that does not end is interrupted."""
        with self._speaking():
            self._transport.read_until(1, b">", timeout=1)
            if not self._answered(b"\x04", b"soft reboot\r\n", self._timeout):
                raise RemoteError(_silent(self.port))
            if not self._answered(b"", _BANNER + b">", _BOOT_S):
                self.boot_blocked = True
                if not self._answered(b"\x03", _BANNER + b">", self._timeout):
                    raise RemoteError(_silent(self.port))
            self._prompt()

    def restart(self) -> None:
        """As after power on: boot.py, then main.py; lines() is what they print."""
        with self._speaking():
            self._transport.exit_raw_repl()
            self._transport.read_until(1, b">>> ", timeout_overall=self._timeout)
            self._transport.serial.write(b"\x04")
        self._rest = b""

    def reset(self) -> None:
        """Reset the chip; a USB port goes away and comes back. The connection is closed."""
        self._leave("import machine; machine.reset()")

    def bootloader(self) -> None:
        """Enter the chip's bootloader, where a new firmware can be put on it. The connection is closed."""
        self._leave("import machine; machine.bootloader()")

    def lines(self, seconds: float) -> Iterator[str]:
        """What the program prints, line by line, for so many seconds. Raises RemoteError when the cable is out."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with self._speaking():
                serial = self._transport.serial
                if not (waiting := serial.in_waiting):
                    time.sleep(min(left, 0.02))
                    continue
                self._rest += serial.read(waiting)
            *whole, self._rest = self._rest.split(b"\n")
            for line in whole:
                yield line.decode(errors="replace").rstrip("\r")

    # --- code

    def exec(self, code: str, timeout: float | None = None, show: Callable[[bytes], None] | None = None) -> str:
        """Run code and return what it prints; `show` gets it as it comes. Raises RemoteExecError with the traceback."""
        limit = timeout or self._timeout
        deadline = time.monotonic() + limit
        printed = bytearray()

        def collect(data: bytes) -> None:
            printed.extend(data)
            if show:
                show(data)
            if time.monotonic() > deadline:
                raise TransportError("too late")

        with self._speaking():
            self._transport.exec_raw_no_follow(code)
            _, error = self._transport.follow(limit, collect)
        if error:
            raise RemoteExecError(self.port, error.decode(errors="replace"))
        return printed.rstrip(b"\x04").decode(errors="replace").replace("\r\n", "\n")

    def eval(self, expression: str, timeout: float | None = None) -> Any:
        """The value of an expression whose repr() is a Python literal."""
        return self._literal(self.exec(f"print(repr({expression}))", timeout))

    def info(self) -> Info:
        """What the board is and what it runs."""
        return remote_info.parse(self._literal(self.exec(remote_info.INFO)))

    # --- files; paths are from the root folder, without a leading slash

    def list(self, folder: str = "") -> dict[str, int]:
        """Every file below `folder` and its size in bytes."""
        shown = self.exec(remote_info.LIST.format(f"{folder.strip('/')}/" if folder.strip("/") else ""))
        return dict(map(self._literal, shown.splitlines()))

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder of this name."""
        try:
            self.exec(f"import os; os.stat({path!r})")
        except RemoteExecError as error:
            if "OSError" in error.last_line:
                return False
            raise
        return True

    def hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """SHA-256, in hexadecimal, of those of these files that are there."""
        found: dict[str, str] = {}
        wanted = list_of(paths)
        for begin in range(0, len(wanted), 10):  # few at once: each answer has a deadline
            shown = self.exec(remote_info.HASHES.format(wanted[begin : begin + 10]), self._timeout * 3)
            found.update(map(self._literal, shown.splitlines()))
        return found

    def get(self, path: str) -> bytes:
        """The content of a file. Raises RemoteExecError when there is none."""
        with self._speaking():
            return bytes(self._transport.fs_readfile(path, chunk_size=_CHUNK))

    def put(self, path: str, data: bytes) -> None:
        """Write a file and the folders above it; what had that name is replaced, and half there when it fails."""
        for end in [at for at, letter in enumerate(path) if letter == "/"]:
            folder = path[:end]
            if folder not in self._folders and not self.exists(folder):
                self.exec(f"import os; os.mkdir({folder!r})")
            self._folders.add(folder)
        with self._speaking():
            self._transport.fs_writefile(path, data, chunk_size=_CHUNK)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self.exec(f"import os; os.remove({path!r})")

    def rename(self, old: str, new: str) -> None:
        """Rename a file; a file `new` is replaced, at once on littlefs."""
        self.exec(f"import os; os.rename({old!r}, {new!r})")

    def mount(self, folder: Path) -> None:
        """Let the board see a folder of this computer as /remote, until its next reset."""
        with self._speaking():
            self._transport.mount_local(str(folder))

    # --- the transport

    def _literal(self, answer: str) -> Any:
        try:
            return ast.literal_eval(answer.strip())
        except (ValueError, SyntaxError):
            raise RemoteError(
                f"{self.port}: the board's answer cannot be read.\n"
                "  - Does something on it print in between, a timer or a thread of boot.py? Repeat the command.\n"
                "  - If it stays so, another cable, another USB port."
            ) from None

    def _answered(self, keys: bytes, ending: bytes, seconds: float) -> bool:
        """Send keys; whether the board's output came to end so within the time."""
        self._transport.serial.write(keys)
        said: bytes = self._transport.read_until(1, ending, timeout_overall=seconds)
        return said.endswith(ending)

    def _prompt(self) -> None:
        """Throw away what is on its way, such as more banners, and ask for one fresh prompt."""
        serial = self._transport.serial
        quiet_at = time.monotonic() + _QUIET_S
        deadline = quiet_at + self._timeout
        while time.monotonic() < min(quiet_at, deadline):
            if serial.in_waiting:
                serial.read(serial.in_waiting)
                quiet_at = time.monotonic() + _QUIET_S
            time.sleep(0.01)
        if not self._answered(b"\x01", _BANNER, self._timeout):
            raise RemoteError(_silent(self.port))
        self._transport.in_raw_repl = True

    def _leave(self, code: str) -> None:
        with self._speaking():
            self._transport.exec_raw_no_follow(code)
        self._transport.in_raw_repl = False
        self.close()

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn what the transport raises into RemoteError."""
        try:
            yield
        except TransportExecError as error:
            raise RemoteExecError(self.port, error.error_output) from None
        except (TransportError, struct.error, SyntaxError) as error:
            raise RemoteError(f"{_silent(self.port)}\n  ({error})") from None
        except OSError as error:
            raise _broken(self.port, error) from None


def list_of(paths: Iterable[str]) -> list[str]:
    """Paths as the board knows them: without a leading slash."""
    return [path.lstrip("/") for path in paths]


def _open(port: str, baud: int, timeout: float) -> SerialTransport:
    try:
        transport = SerialTransport(port, baudrate=baud, timeout=timeout)
    except (TransportError, OSError) as error:
        raise _cannot_open(port, str(error)) from None
    transport.is_pty = False  # it would read without looking whether there is anything
    transport.serial.write_timeout = timeout
    return transport


def _cannot_open(port: str, said: str) -> RemoteError:
    others = ", ".join(one.device for one in ports()) or "none"
    return RemoteError(
        f"{port} cannot be opened ({said}).\n"
        f"  - Is the board plugged in, and is this its port? There are: {others}\n"
        "  - Does another program use it (mpremote, Thonny, a monitor)? Close that one.\n"
        "  - Linux: sudo usermod -aG dialout $USER (Arch: uucp), then log in again."
    )


def _broken(port: str, error: OSError) -> RemoteError:
    if error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOSPC):  # of a file on the board, which mpremote translated
        return RemoteExecError(port, f"OSError: {error}")
    return RemoteError(
        f"{port}: the connection broke ({error}).\n"
        "  Plug the cable in again and repeat the command: it goes on where it stopped."
    )


def _silent(port: str) -> str:
    return (
        f"{port}: the board does not answer as MicroPython does.\n"
        "  - A program that catches Ctrl-C, in boot.py or main.py? Unplug the board, plug it in, repeat this at once.\n"
        "  - Another firmware, or none? Put MicroPython onto it: make flash\n"
        "  - If nothing helps, erase it (all its files are lost): docs/first-board.md, the board does not answer"
    )
