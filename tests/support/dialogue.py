"""A person at a terminal: types when a question is there, and sees what anybody would see."""

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from contextlib import suppress

import pytest

from tools import toolchain

_PATIENCE_S = 40


class Dialogue:
    """`python -m tools …` at a terminal of its own; `shown` is what it has written, without escape sequences."""

    def __init__(self, *arguments: str, term: str = "dumb") -> None:
        self._master, terminal = pty.openpty()
        self.shown = ""
        self._from = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools", *arguments],
            cwd=toolchain.ROOT,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, "COLUMNS": "200", "LINES": "50", "TERM": term},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # secrets are asked for at /dev/tty
        )
        os.close(terminal)

    def expect(self, text: str) -> str:
        """Wait until this is shown, after what was waited for before; returns what came with it."""
        deadline = time.monotonic() + _PATIENCE_S
        while text not in self.shown[self._from :]:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._master], [], [], left)[0] or not self._read():
                pytest.fail(f"{text!r} was not shown after:\n{self.shown}")
        before = self._from
        self._from = self.shown.index(text, before) + len(text)
        return self.shown[before : self._from]

    def answer(self, question: str, typed: str = "") -> str:
        """Type when the question is there; returns what was shown until then."""
        seen = self.expect(question)
        seen += self.expect(": ") if not question.endswith(": ") else ""
        self.type(typed + "\n")
        return seen

    def type(self, keys: str) -> None:
        """Type without waiting for anything."""
        os.write(self._master, keys.encode())

    def interrupt(self) -> int:
        """Ctrl-C, as a person does: again when nothing happens. Returns the exit code.

        One that comes between a prompt and the wait for its answer is heard only after the next key: so is input().
        """
        for _ in range(10):
            self.type("\x03")
            while select.select([self._master], [], [], _PATIENCE_S / 10)[0]:
                if not self._read():
                    return self.process.wait(_PATIENCE_S)
        pytest.fail(f"Ctrl-C did not end it:\n{self.shown}")

    def end(self) -> int:
        """The exit code, when it has ended."""
        while select.select([self._master], [], [], _PATIENCE_S)[0]:
            if not self._read():
                break
        else:
            pytest.fail(f"it did not end after:\n{self.shown}")
        return self.process.wait(_PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def _read(self) -> bool:
        data = b""
        with suppress(OSError):
            data = os.read(self._master, 4096)
        self.shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", data.decode(errors="replace")).replace("\r", "")
        return bool(data)
