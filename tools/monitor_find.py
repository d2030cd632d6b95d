"""Where the demo's broker is: a small file in build/demo/ for as long as a demo runs."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.toolchain import ROOT

FOLDER = ROOT / "build" / "demo"


@contextmanager
def announced(port: int, folder: Path = FOLDER) -> Iterator[None]:
    """Tell other programs of this computer the port of the demo's broker."""
    file = folder / f"{os.getpid()}.json"
    with suppress(OSError):  # the demo is not worth less without it
        folder.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(json.dumps({"port": port}))
        new.replace(file)
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink()


def demo_port(folder: Path = FOLDER) -> int | None:
    """The port of the demo that was started last of those that run now, None if there is none."""
    found: list[tuple[float, int]] = []
    for file in folder.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if _is_running(int(file.stem)):  # a demo that was killed has left its file
                found.append((file.stat().st_mtime, int(json.loads(file.read_text())["port"])))
    return max(found)[1] if found else None


def _is_running(process: int) -> bool:
    if os.name != "posix":  # there os.kill() would end it
        return True
    try:
        os.kill(process, 0)
    except PermissionError:  # of another user: it is there
        return True
    except OSError:
        return False
    return True
