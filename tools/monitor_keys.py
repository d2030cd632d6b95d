"""A line that is typed below the live table. Where the terminal cannot give single keys there is none."""

import os
import re
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

termios: ModuleType | None
try:
    import termios
    import tty
except ImportError:  # Windows: commands are sent by `--send`
    termios = None

_MAX_LINE = 300
_ESCAPES = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]")  # arrows and the like


class Keys:
    """Collects what is typed; `text` is the line so far."""

    def __init__(self) -> None:
        self.text = ""
        self.usable = termios is not None and sys.stdin.isatty()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """For this long keys come one by one and are not echoed; Ctrl-C is Ctrl-C all the same."""
        if not self.usable or termios is None:
            yield
            return
        before = termios.tcgetattr(sys.stdin)
        try:
            tty.setcbreak(sys.stdin)
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

    def lines(self) -> list[str]:
        """The lines that were finished by Enter since the last call. Never waits."""
        found = []
        while self.usable and select.select([sys.stdin], [], [], 0)[0]:
            data = os.read(sys.stdin.fileno(), 1024)
            if not data:  # the terminal is gone
                self.usable = False
            found += self.feed(_ESCAPES.sub("", data.decode(errors="ignore")))
        return found

    def feed(self, typed: str) -> list[str]:
        """Take in keys; returns the lines that they finish."""
        found = []
        for key in typed:
            if key in "\r\n":
                found.append(self.text)
                self.text = ""
            elif key in "\x7f\x08":
                self.text = self.text[:-1]
            elif key in "\x15\x1b":  # Ctrl-U, Escape
                self.text = ""
            elif key.isprintable() and len(self.text) < _MAX_LINE:
                self.text += key
        return found
