"""A client script under MicroPython, in a process of its own, its output read line by line."""

import os
import queue
import subprocess
import threading
import time
from pathlib import Path

from tools import toolchain

CLIENTS = toolchain.ROOT / "tests" / "broker" / "clients"
LIB = toolchain.ROOT / "lib"
HEAP = "256k"  # a W5100S-EVB-Pico has 208 KB free; objects of the 64-bit unix port are about twice as big
WAIT_S = 15.0


class Device:
    """A running script. Leaving the `with` kills what is left of it."""

    def __init__(self, micropython: Path, script: Path, *arguments: object, heap: str = HEAP, lib: Path = LIB) -> None:
        command = [str(micropython), "-X", f"heapsize={heap}", str(script), *map(str, arguments)]
        environment = {**os.environ, "MICROPYPATH": f"{lib}:{script.parent}:.frozen"}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.output.append(line.rstrip("\n"))
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self, start: str, timeout: float = WAIT_S) -> str:
        """Wait for a line that begins with `start`; return what follows."""
        end = time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=max(end - time.monotonic(), 0.001))
            except queue.Empty:
                raise AssertionError(f"no line {start!r} in {timeout} s; the device said:\n{self.said()}") from None
            if line is None:
                self._lines.put(None)
                raise AssertionError(f"the device ended without a line {start!r}; it said:\n{self.said()}")
            if line.startswith(start):
                return line[len(start) :].strip()

    def said(self) -> str:
        return "\n".join(self.output)

    def tell(self, line: str) -> None:
        """Give the script a line on its standard input."""
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def finish(self, code: int = 0, timeout: float = WAIT_S) -> list[str]:
        """The script ends by itself, in time, with this exit code. Returns its output."""
        try:
            got = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the device still runs after {timeout} s; it said:\n{self.said()}") from None
        while self._lines.get(timeout=timeout) is not None:
            pass
        self._lines.put(None)
        assert got == code, f"exit code {got}; the device said:\n{self.said()}"
        return self.output

    def kill(self) -> None:
        """kill -9: nothing is said to the broker."""
        self._process.kill()
        self._process.wait(5)

    def close(self) -> None:
        self.kill()
        self._reader.join(5)
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
