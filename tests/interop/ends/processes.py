"""Programs of the other end as processes: one that is run to its end, one that is read while it runs."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from interop.ends.clients import Command

WAIT_S = 20.0


def run(command: Command, folder: Path, timeout: float = WAIT_S) -> None:
    """Run a program that ends by itself, with exit code 0; AssertionError with what it said otherwise."""
    try:
        done = subprocess.run(
            command.words,
            env=command.environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.output or b"").decode(errors="replace")
        raise AssertionError(f"{_name(command)} still runs after {timeout:.0f} s; it said: {said}") from None
    if done.returncode:
        said = done.stdout.decode(errors="replace")
        raise AssertionError(f"{_name(command)} ended with exit code {done.returncode}; it said: {said}")


class Reading:
    """A program that prints until it is ended, which leaving the `with` does."""

    def __init__(self, command: Command, folder: Path) -> None:
        self._name = _name(command)
        self._errors = folder / "errors"
        self._output = b""
        self._ended = False
        self._changed = threading.Condition()
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command.words,
                env=command.environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout
        self._process.stdout.close()

    @property
    def output(self) -> bytes:
        """What it has printed."""
        with self._changed:
            return self._output

    def until(self, there: Callable[[bytes], bool], what: str, timeout: float = WAIT_S) -> None:
        """Wait until its output is as wanted; AssertionError with what it said when that does not happen."""
        end = time.monotonic() + timeout
        with self._changed:
            while not there(self._output):
                left = end - time.monotonic()
                if self._ended or left <= 0:
                    how = "ended" if self._ended else f"printed in {timeout:.0f} s"
                    raise AssertionError(f"{self._name} {how} without {what}; it said: {self._said()}")
                self._changed.wait(left)

    def _said(self) -> str:
        errors = self._errors.read_bytes().decode(errors="replace")
        return f"{self._output[-1500:].decode(errors='replace')}\n{errors}".strip()

    def _read(self) -> None:
        assert self._process.stdout
        while data := self._process.stdout.read(65536):
            with self._changed:
                self._output += data
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def _name(command: Command) -> str:
    return " ".join(Path(word).name for word in command.words[:2])
